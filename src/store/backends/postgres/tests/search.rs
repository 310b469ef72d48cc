//! Searches: the same as those of the store in memory, whatever the filter, the order and the page; and within their limits.

use super::super::session::Loan;
use super::{Fixture, Postgres, Schema};
use crate::base::limits;
use crate::scim::schema::Registry;
use crate::store::tests::fixture::{EVERYTHING, GROUP, USER, ids_of, unit};
use crate::store::tests::{group, key, user};
use crate::store::{Page, Query, Start, Store, StoreErrorKind};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

/// Texts that are close to each other.
const TEXTS: [&str; 10] = ["", "a", "A", "ab", "b", "ä", "\u{d7ff}", "\u{e000}", "\u{1f600}", "a'b"];

fn people() -> Vec<(String, Value)> {
    let long = "l".repeat(500);
    (0..60_usize)
        .map(|number| {
            let mut document = user(&format!("{}{number}", TEXTS[number % 5]));
            let text = TEXTS[(number * 7) % 10];
            if number % 3 > 0 {
                document["externalId"] = text.into();
            }
            if number % 4 > 0 {
                document["emails"] = json!([{"value": text, "type": "work"}, {"value": format!("{text}{}", number % 3)}]);
            }
            if number % 5 == 0 {
                document["title"] = format!("{long}{text}").into();
            }
            document["active"] = (number % 2 == 0).into();
            let id = if number % 2 == 0 {
                format!("{:08x}-0000-7000-8000-000000000000", number * 77)
            } else {
                format!("{text}{number}")
            };
            (id, document)
        })
        .collect()
}

async fn given(store: &Fixture) {
    let people = people();
    let mut changes: Vec<_> = people.iter().map(|(id, document)| store.create(key(USER, id), document)).collect();
    changes.extend(["g", "h", "i"].map(|id| store.create(key(GROUP, id), &group(id))));
    store.backend.store.commit(unit(1_000, changes)).await.expect("people");
    let members = |from: usize, step: usize| people.iter().skip(from).step_by(step).map(|(id, _)| id.as_str()).collect::<Vec<_>>();
    for (id, mut present) in [("g", members(0, 3)), ("h", members(1, 7))] {
        present.push("i");
        store.commit(vec![Fixture::move_members(id, &present, &[])]).await.expect("members");
    }
    store.commit(vec![Fixture::move_members("i", &["g", &people[5].0], &[])]).await.expect("a circle");
}

fn registry() -> Arc<Registry> {
    Arc::new(Registry::builtin().with_indexed("User", "title").with_indexed("User", "active").with_indexed("User", "meta.created"))
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => proptest::sample::select(&TEXTS[..]).prop_map(str::to_owned),
        1 => (0..60_usize).prop_map(|number| format!("{}{number}", TEXTS[number % 5])),
        1 => (440..520_usize).prop_map(|length| "l".repeat(length)),
        1 => (0..60_usize).prop_map(|number| people()[number].0.clone()),
    ]
}

fn filter() -> impl Strategy<Value = String> {
    let path = proptest::sample::select(&["userName", "externalId", "emails.value", "emails", "title", "displayName"][..]);
    let operator = proptest::sample::select(&["eq", "ne", "co", "sw", "ew", "gt", "ge", "lt", "le"][..]);
    let quoted = |text: String| Value::from(text).to_string();
    let leaf = prop_oneof![
        8 => (path.clone(), operator, text()).prop_map(move |(path, operator, text)| format!("{path} {operator} {}", quoted(text))),
        1 => path.prop_map(|path| format!("{path} pr")),
        1 => any::<bool>().prop_map(|value| format!("active eq {value}")),
        1 => text().prop_map(move |text| format!("id eq {}", quoted(text))),
        1 => proptest::sample::select(&["g", "h", "i", "x"][..]).prop_map(|group| format!("groups.value eq \"{group}\"")),
        1 => text().prop_map(move |text| format!("emails[type eq \"work\" and value sw {}]", quoted(text))),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left}) and ({right})")),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left}) or ({right})")),
            inner.prop_map(|inner| format!("not ({inner})")),
        ]
    })
}

#[derive(Clone, Debug)]
struct Asked {
    filter: Option<String>,
    sort: Option<&'static str>,
    offset: u64,
    limit: u64,
    is_detailed: bool,
}

fn asked() -> impl Strategy<Value = Asked> {
    let sorts = [
        None,
        Some("userName"),
        Some("-userName"),
        Some("externalId"),
        Some("-externalId"),
        Some("-id"),
        Some("emails"),
        Some("title"),
    ];
    let sort = proptest::sample::select(sorts.to_vec());
    let page = (prop_oneof![3 => Just(0_u64), 2 => 1..70_u64, 1 => Just(u64::MAX)], prop_oneof![1 => Just(0_u64), 6 => 1..80_u64]);
    (proptest::option::weighted(0.85, filter()), sort, page, any::<bool>())
        .prop_map(|(filter, sort, (offset, limit), is_detailed)| Asked { filter, sort, offset, limit, is_detailed })
}

/// What two stores answer alike: how much was read is each one's own.
fn comparable(page: Page) -> Page {
    Page { visited: 0, ..page }
}

#[test]
fn searches_find_what_those_in_memory_find() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let registry = registry();
    let (memory, postgres, place) = runtime.block_on(async {
        let memory = Fixture { registry: Arc::clone(&registry), ..Fixture::new("memory") };
        let place = Schema::empty().await;
        let node = Arc::new(place.node_of(&registry).await);
        let backend = crate::store::Backend { store: node.clone(), ledger: node, registry: Arc::clone(&registry) };
        let postgres = Fixture { backend, registry: Arc::clone(&registry), ..Fixture::new("memory") };
        given(&memory).await;
        given(&postgres).await;
        (memory, postgres, place)
    });
    let (found, missed) = (Cell::new(0), Cell::new(0));
    let mut runner = TestRunner::new(ProptestConfig::with_cases(400));
    let result = runner.run(&asked(), |asked| {
        runtime.block_on(async {
            let start = Start::Offset(asked.offset);
            let mut query = memory.query(USER, asked.filter.as_deref(), asked.sort, start, asked.limit);
            if asked.is_detailed {
                query.detail = EVERYTHING;
            }
            let expected = comparable(memory.page(query.clone()).await);
            prop_assert_eq!(&comparable(postgres.page(query.clone()).await), &expected);
            // The same as a walk, of which the pages go on where the ones before ended.
            let (mut start, mut walked) = (Start::After(None), Vec::new());
            loop {
                let query = Query { start, limit: asked.limit.max(7), ..query.clone() };
                let expected = comparable(memory.page(query.clone()).await);
                let page = comparable(postgres.page(query).await);
                prop_assert_eq!(&page, &expected);
                walked.extend(ids_of(&page.resources));
                let Some(next) = page.next else { break };
                start = Start::After(Some(next));
            }
            prop_assert_eq!(Some(walked.len() as u64), expected.total);
            let counter = if walked.is_empty() { &missed } else { &found };
            counter.set(counter.get() + 1);
            Ok(())
        })
    });
    runtime.block_on(async {
        drop(postgres);
        place.drop().await;
    });
    result.expect("the same");
    assert!(found.get() > 40 && missed.get() > 40, "{} {}", found.get(), missed.get());
}

/// More users than one step reads, and more than a search may look at without a turn.
async fn crowd(users: usize) -> (Fixture, Schema) {
    let (store, place) = Fixture::on_a_server().await;
    for first in (0..users).step_by(2_000) {
        let changes = (first..users.min(first + 2_000)).map(|number| {
            let mut document = user(&format!("u{number:06}"));
            document["externalId"] = "same".into();
            document["active"] = number.is_multiple_of(2).into();
            store.create(key(USER, &format!("u{number:06}")), &document)
        });
        store.backend.store.commit(unit(1, changes.collect())).await.expect("users");
    }
    (store, place)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_are_read_in_steps() {
    let (store, place) = crowd(3_000).await;
    for (filter, sort, start, total, first, visited) in [
        (Some("active eq true"), None, 0, 1_500, "u000000", 3_000),
        (Some("active eq true"), None, 1_000, 1_500, "u002000", 3_000),
        (Some("active eq true"), Some("-title"), 0, 1_500, "u002998", 3_000),
        (Some(r#"externalId eq "same" and active eq false"#), None, 700, 1_500, "u001401", 3_000),
        (Some(r#"externalId eq "same" and active eq false"#), Some("-userName"), 1, 1_500, "u002997", 3_000),
        (Some(r#"externalId eq "same""#), None, 2_990, 3_000, "u002990", 5),
        (Some(r#"userName sw "u0029""#), None, 50, 100, "u002950", 5),
    ] {
        for detail in [crate::store::Detail::default(), EVERYTHING] {
            let query = Query { detail, ..store.query(USER, filter, sort, Start::Offset(start), 5) };
            let page = store.page(query).await;
            let said = format!("{filter:?} {sort:?} {start} {detail:?}");
            assert_eq!((page.total, page.visited, page.resources.len()), (Some(total), visited, 5), "{said}");
            assert_eq!(page.resources[0].key, key(USER, first), "{said}");
            assert_eq!(page.resources[0].groups.is_some(), detail.groups, "{said}");
        }
    }
    drop(store);
    place.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scan_ends_in_time_and_waits_for_its_turn() {
    let (store, place) = crowd(3_000).await;
    drop(store);
    let registry = Arc::new(Registry::builtin());
    let mut opening = place.opening(&registry);
    opening.limits.scan_ms = 50;
    opening.limits.scans = 1;
    let node = Postgres::open(opening).await.expect("a node");
    let shape = Fixture::new("memory");
    let scan = shape.query(USER, Some("not (title pr)"), Some("title"), Start::Offset(0), 5);
    let turn = node.shared.scans.acquire().await.expect("a turn");
    assert_eq!(node.query(&scan).await.expect_err("no turn").kind, StoreErrorKind::TooMany);
    // What an index finds needs none.
    let seek = shape.query(USER, Some(r#"userName eq "u000007""#), None, Start::Offset(0), 5);
    assert_eq!(node.query(&seek).await.expect("a page").total, Some(1));
    drop(turn);
    // Somebody holds the table, so that no scan gets anywhere.
    let mut connection = place.connect().await;
    sqlx::raw_sql("BEGIN; LOCK TABLE resource").execute(&mut connection).await.expect("a lock");
    assert_eq!(node.query(&scan).await.expect_err("too long").kind, StoreErrorKind::TooMany);
    sqlx::raw_sql("COMMIT").execute(&mut connection).await.expect("no lock");
    let recovered = async { while node.ready().await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(30), recovered).await.expect("it is ready");
    drop(node);
    place.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_ends_early_when_it_is_large() {
    let (store, place) = Fixture::on_a_server().await;
    let large = "x".repeat(1024 * 1024);
    for number in 0..20 {
        let mut document = user(&format!("u{number:02}"));
        document["nickName"] = large.as_str().into();
        document["active"] = true.into();
        store.commit(vec![store.create(key(USER, &format!("u{number:02}")), &document)]).await.expect("a user");
    }
    for (filter, sort) in
        [(None, None), (Some("active eq true"), None), (None, Some("userName")), (Some(r#"userName sw "u""#), Some("title"))]
    {
        let page = store.page(store.query(USER, filter, sort, Start::Offset(0), 100)).await;
        assert_eq!((page.total, page.resources.len()), (Some(20), 16), "{filter:?} {sort:?}");
        let next = store.page(store.query(USER, filter, sort, Start::After(page.next), 100)).await;
        assert_eq!((next.resources.len(), next.next), (4, None), "{filter:?} {sort:?}");
    }
    drop(store);
    place.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_come_back_when_the_database_does() {
    let (store, place) = Fixture::on_a_server().await;
    store.given(&["a"], &[]).await;
    let ended = place.kill_sessions(&mut place.connect().await).await;
    assert!(ended > 2, "{ended}");
    let found = async {
        loop {
            let query = store.query(USER, Some(r#"userName eq "a""#), None, Start::Offset(0), 5);
            if let (Ok(page), Ok(()), Ok(_)) = (
                store.backend.store.query(&query).await,
                store.backend.store.ready().await,
                store.commit(vec![Fixture::move_members("g", &[], &[])]).await.or_else(|error| match error.kind {
                    StoreErrorKind::NotFound => Ok(crate::store::Committed::default()),
                    _ => Err(error),
                }),
            ) && page.visited == 1
            {
                return page.total;
            }
        }
    };
    assert_eq!(tokio::time::timeout(Duration::from_secs(30), found).await.expect("in time"), Some(1));
    drop(store);
    place.drop().await;
}

/// What is still on its way when a page is as large as a page may be is nobody's to read.
#[tokio::test]
async fn a_page_that_ends_early_leaves_its_connection() {
    const MIB: usize = 1024 * 1024;
    async fn session(node: &Postgres) -> i32 {
        let mut loan = Loan::take(&node.shared.readers, "ask").await.expect("a connection");
        let session = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut *loan).await.expect("a session");
        loan.done("ask").await.expect("done");
        session
    }
    let (store, place) = Fixture::on_a_server().await;
    for number in 0..limits::PAGE_BYTES / MIB + 4 {
        let mut large = user(&format!("u{number:02}"));
        large["title"] = "x".repeat(MIB).into();
        store.commit(vec![store.create(key(USER, &format!("{number:02}")), &large)]).await.expect("a large one");
    }
    let node = place.node().await;
    let first = session(&node).await;
    let few = node.query(&store.query(USER, None, None, Start::Offset(0), 3)).await.expect("a page");
    assert_eq!((few.resources.len(), session(&node).await), (3, first), "a page that came to its end");
    let page = node.query(&store.query(USER, None, None, Start::Offset(0), 100)).await.expect("a page");
    assert!(page.resources.len() < 20 && page.total == Some(20), "{} of {:?}", page.resources.len(), page.total);
    assert_ne!(session(&node).await, first);
    drop((store, node));
    place.drop().await;
}
