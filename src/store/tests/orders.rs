//! Orders and walks.

use super::fixture::{GROUP, USER, ids_of, unit};
use super::{Fixture, key, on_every_backend};
use crate::base::id::TypeCode;
use crate::scim::sort::Sort;
use crate::store::{Page, Position, Query, Start};
use serde_json::{Value, json};

on_every_backend!(
    an_order_follows_the_values,
    a_walk_joins_to_the_whole_in_every_order,
    a_walk_sees_what_stays_once_while_others_come_and_go,
    an_index_gives_its_order_without_reading_the_rest,
    a_page_of_nothing_counts,
    members_are_not_read_to_know_that_there_are_any,
);

fn person(name: &str, rest: &Value) -> Value {
    let mut document = super::user(name);
    for (attribute, value) in rest.as_object().expect("an object") {
        document[attribute] = value.clone();
    }
    document
}

/// Each user's id says nothing of its place.
async fn people(store: &Fixture) {
    let long = "l".repeat(600);
    let people = [
        ("a", 5, person("Zoe", &json!({"externalId": "b", "active": true, "name": {"familyName": "ö"}}))),
        (
            "b",
            4,
            person(
                "adam",
                &json!({"externalId": "B", "active": false, "emails": [{"value": "b"}, {"value": "a", "primary": true}]}),
            ),
        ),
        ("c", 3, person("Bert", &json!({"emails": [{"value": "C"}, {"value": "a"}], "name": {"familyName": "O"}}))),
        ("d", 2, person(&format!("{long}b"), &json!({"externalId": "b"}))),
        ("e", 1, person(&format!("{long}a"), &json!({"emails": [{"value": "B"}], "active": true}))),
    ];
    for (id, at, document) in people {
        store.backend.store.commit(unit(at, vec![store.create(key(USER, id), &document)])).await.expect("a person");
    }
}

async fn sorted(store: &Fixture, filter: Option<&str>, sort: &str) -> String {
    let page = store.page(store.query(USER, filter, Some(sort), Start::Offset(0), 10)).await;
    assert_eq!((page.total, page.next), (Some(page.resources.len() as u64), None));
    ids_of(&page.resources).concat()
}

/// 7644-3.4.2.3-02 7644-3.4.2.3-03
async fn an_order_follows_the_values(store: Fixture) {
    people(&store).await;
    let long_ones = {
        // Beyond what an index holds of a value their order is that of a digest: the same in every store.
        let order = sorted(&store, None, "userName").await;
        order[2..4].to_owned()
    };
    assert!(["de", "ed"].contains(&long_ones.as_str()));
    for (sort, expected) in [
        ("userName", format!("bc{long_ones}a")),
        ("externalId", "badce".into()),
        ("emails", "bec".into()),
        ("emails.value", "bec".into()),
        ("name.familyName", "cabde".into()),
        ("active", "baecd".into()),
        ("meta.created", "edcba".into()),
        ("meta.lastModified", "edcba".into()),
        ("id", "abcde".into()),
        ("title", "abcde".into()),
        ("meta.resourceType", "abcde".into()),
    ] {
        let expected = if expected == "bec" { "becad".to_owned() } else { expected };
        assert_eq!(sorted(&store, None, sort).await, expected, "{sort}");
        let reversed: String = expected.chars().rev().collect();
        assert_eq!(sorted(&store, None, &format!("-{sort}")).await, reversed, "-{sort}");
        for filter in [r#"id ne "b""#, r#"externalId eq "b" or id eq "c" or userName sw "l""#, "userName pr"] {
            let kept = ids_of(&store.page(store.query(USER, Some(filter), None, Start::Offset(0), 10)).await.resources);
            let expected: String = expected.chars().filter(|id| kept.contains(&id.to_string())).collect();
            assert_eq!(sorted(&store, Some(filter), sort).await, expected, "{sort} {filter}");
        }
    }
}

/// Walks from the beginning to the end, page by page.
async fn walk(store: &Fixture, query: &Query) -> Vec<Page> {
    let mut pages = vec![store.page(query.clone()).await];
    while let Some(position) = pages.last().and_then(|page| page.next.clone()) {
        let page = store.page(Query { start: Start::After(Some(position)), ..query.clone() }).await;
        assert_eq!(page.total, None);
        assert!(!page.resources.is_empty() && pages.len() < 100);
        pages.push(page);
    }
    pages
}

/// 9865-2-03 9865-2.2-01
async fn a_walk_joins_to_the_whole_in_every_order(store: Fixture) {
    people(&store).await;
    let orders = ["userName", "externalId", "emails", "active", "meta.created", "id", "title"];
    let orders = orders.into_iter().flat_map(|name| [Some(name.to_owned()), Some(format!("-{name}"))]).chain([None]);
    for sort in orders {
        for filter in
            [None, Some("userName pr"), Some(r#"externalId eq "b" or userName ge "b""#), Some("active pr or not (title pr)")]
        {
            let query = |limit| store.query(USER, filter, sort.as_deref(), Start::Offset(0), limit);
            let whole = store.page(query(10)).await;
            for limit in 1..=5 {
                let pages = walk(&store, &query(limit)).await;
                let joined: Vec<_> = pages.iter().flat_map(|page| page.resources.clone()).collect();
                assert_eq!(ids_of(&joined), ids_of(&whole.resources), "{sort:?} {filter:?} {limit}");
                assert_eq!(pages.len() as u64, whole.resources.len().div_ceil(usize::try_from(limit).expect("small")) as u64);
                let by_offset = store.page(Query { start: Start::Offset(limit), ..query(2) }).await;
                let expected: Vec<String> =
                    ids_of(&whole.resources).into_iter().skip(usize::try_from(limit).expect("small")).take(2).collect();
                assert_eq!((ids_of(&by_offset.resources), by_offset.total), (expected, whole.total), "{sort:?} {filter:?} {limit}");
            }
        }
    }
    // A place in the order of another type, whose key this one may share with a smaller id.
    for (id, expected) in [("0", "badce"), ("c", "dce"), ("z", "ce")] {
        let key = Some(crate::scim::compare::Comparable::Text(if id == "0" { "A" } else { "b" }.into()));
        let start = Start::After(Some(Position { key, id: crate::base::id::ResourceId::parse(id) }));
        let page = store.page(store.query(USER, None, Some("externalId"), start, 10)).await;
        assert_eq!(ids_of(&page.resources).concat(), expected);
    }
}

/// 9865-2-05
async fn a_walk_sees_what_stays_once_while_others_come_and_go(store: Fixture) {
    let names: Vec<String> = (0..60).map(|number| format!("{}{number:02}", if number % 2 == 0 { "k" } else { "K" })).collect();
    store.given(&names.iter().map(String::as_str).collect::<Vec<_>>(), &[]).await;
    let mut made = 0;
    for (sort, filter) in [
        (None, None),
        (Some("userName"), None),
        (Some("-userName"), None),
        (Some("displayName"), None),
        (Some("-displayName"), None),
        (None, Some(r#"userName sw "k""#)),
        (Some("-userName"), Some("not (title pr)")),
    ] {
        let query = store.query(USER, filter, sort, Start::Offset(0), 7);
        let (mut seen, mut page) = (Vec::new(), store.page(query.clone()).await);
        loop {
            seen.extend(ids_of(&page.resources));
            let Some(position) = page.next else { break };
            // The last one seen goes, and others come before and after it, some of them for a moment only.
            let last = seen.last().expect("a page").clone();
            if !names[..50].contains(&last) {
                store.commit(vec![store.delete(key(USER, &last), &super::user(&last))]).await.expect("a deletion");
            }
            let fresh = ["A", "m"].map(|start| format!("{start}{made}"));
            made += 1;
            store.given(&[&fresh[0], &fresh[1]], &[]).await;
            if made % 2 == 0 {
                let gone = fresh.iter().map(|id| store.delete(key(USER, id), &super::user(id)));
                store.commit(gone.collect()).await.expect("deletions");
            }
            page = store.page(Query { start: Start::After(Some(position)), ..query.clone() }).await;
        }
        for name in &names[..50] {
            assert_eq!(seen.iter().filter(|id| *id == name).count(), 1, "{sort:?} {filter:?} {name}");
        }
        seen.sort_unstable();
        assert!(seen.windows(2).all(|pair| pair[0] != pair[1]));
    }
}

/// I8
async fn an_index_gives_its_order_without_reading_the_rest(store: Fixture) {
    if !store.backend.store.capabilities().index_seeks {
        return;
    }
    let names: Vec<String> = (0..50).map(|number| format!("u{number:02}")).collect();
    store.given(&names.iter().map(String::as_str).collect::<Vec<_>>(), &["g1", "g2", "g3"]).await;
    let visited = async |kind: TypeCode, filter: Option<&str>, sort: Option<&str>, start: Start| {
        let page = store.page(store.query(kind, filter, sort, start, 2)).await;
        (ids_of(&page.resources).join(" "), page.visited)
    };
    let after = |name: &str, id: &str| {
        let key = Some(crate::scim::compare::Comparable::Text(name.into()));
        Start::After(Some(Position { key, id: crate::base::id::ResourceId::parse(id) }))
    };
    let place = |id: &str| Start::After(Some(Position { key: None, id: crate::base::id::ResourceId::parse(id) }));
    for (kind, filter, sort, start, expected) in [
        (USER, None, Some("userName"), Start::Offset(0), ("u00 u01", 2)),
        (USER, None, Some("-userName"), Start::Offset(0), ("u49 u48", 2)),
        (USER, None, Some("userName"), Start::Offset(48), ("u48 u49", 2)),
        (USER, None, Some("userName"), after("u20", "u20"), ("u21 u22", 2)),
        (USER, None, Some("-userName"), after("u20", "u20"), ("u19 u18", 2)),
        // Nobody has one: the order is that of ids.
        (USER, None, Some("externalId"), Start::Offset(3), ("u03 u04", 2)),
        (USER, None, Some("-externalId"), place("u20"), ("u19 u18", 2)),
        (GROUP, None, Some("displayName"), after("g1", "g1"), ("g2 g3", 2)),
        (USER, None, None, place("u20"), ("u21 u22", 2)),
        (USER, None, Some("-id"), Start::Offset(1), ("u48 u47", 2)),
        (USER, Some(r#"userName eq "u07" or userName eq "u03""#), Some("title"), Start::Offset(0), ("u03 u07", 2)),
        (USER, Some(r#"userName sw "u""#), None, place("u30"), ("u31 u32", 2)),
        (USER, Some("not (title pr)"), None, place("u30"), ("u31 u32", 3)),
        (USER, None, Some("title"), Start::Offset(0), ("u00 u01", 50)),
    ] {
        let said = format!("{filter:?} {sort:?} {start:?}");
        let (ids, count) = visited(kind, filter, sort, start).await;
        assert_eq!((ids.as_str(), count), expected, "{said}");
    }
}

/// 7644-3.4.2.4-02
async fn a_page_of_nothing_counts(store: Fixture) {
    people(&store).await;
    for sort in [None, Some("userName"), Some("-title"), Some("id")] {
        for (filter, total) in [(None, 5), (Some("active eq true"), 2), (Some(r#"externalId eq "b""#), 2)] {
            let page = store.page(store.query(USER, filter, sort, Start::Offset(0), 0)).await;
            assert_eq!((page.total, page.resources.len(), page.next), (Some(total), 0, None), "{sort:?} {filter:?}");
        }
    }
    let unknown = Query { kind: TypeCode(99), ..store.query(USER, None, None, Start::Offset(0), 5) };
    let sort = Some(Sort { path: None, descending: true });
    for query in [unknown.clone(), Query { sort, ..unknown }] {
        assert_eq!(store.page(query).await, Page { total: Some(0), ..Page::default() });
    }
}

/// 7644-3.4.2.2-07
async fn members_are_not_read_to_know_that_there_are_any(store: Fixture) {
    store.given(&["a"], &["g1", "g2", "g3"]).await;
    store.commit(vec![Fixture::move_members("g2", &["a"], &[])]).await.expect("a member");
    for (filter, expected) in [
        ("members pr", "g2"),
        ("members.value pr", "g2"),
        ("not (members pr)", "g1g3"),
        ("members eq null", "g1g3"),
        ("members ne null", "g2"),
        (r#"members.type eq "User""#, "g2"),
        ("members[value pr]", "g2"),
        ("members.display pr", ""),
    ] {
        let page = store.page(store.query(GROUP, Some(filter), None, Start::Offset(0), 10)).await;
        assert_eq!(ids_of(&page.resources).concat(), expected, "{filter}");
    }
}
