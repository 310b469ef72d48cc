//! Indexes that are built while nodes serve, and nodes that do not agree on them.

use super::super::session::Lock;
use super::{Fixture, Postgres, Schema};
use crate::base::id::Key;
use crate::scim::schema::Registry;
use crate::store::tests::fixture::{USER, titled, unit, with_titles};
use crate::store::tests::{key, user};
use crate::store::{Query, Start, Store, StoreErrorKind};
use sqlx::Connection;
use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

const USERS: usize = 1_200;

fn key_of(id: &str) -> Key {
    key(USER, id)
}

/// How a node's documents are indexed.
fn shape(registry: &Arc<Registry>) -> Fixture {
    Fixture { registry: Arc::clone(registry), ..Fixture::new("memory") }
}

async fn fill(node: &Postgres) {
    let shape = shape(&Arc::new(Registry::builtin()));
    let users =
        (0..USERS).map(|number| shape.create(key(USER, &format!("u{number}")), &titled(number, &format!("t{}", number % 10))));
    node.commit(unit(1, users.collect())).await.expect("a commit");
}

async fn found(node: &Postgres, shape: &Fixture, filter: &str) -> (u64, u64) {
    let query: Query = shape.query(USER, Some(filter), None, Start::Offset(0), 5_000);
    let page = node.query(&query).await.expect("a search");
    (page.total.expect("a count"), page.visited)
}

/// Waits until the indexes of a node are as they are wanted.
async fn until(node: &Postgres, is_unfinished: bool, mut meanwhile: impl AsyncFnMut()) {
    let waited = async {
        while node.shared.catalogue.is_unfinished() != is_unfinished {
            meanwhile().await;
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waited).await.expect("the indexes come to it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_is_built_while_others_write() {
    let place = Schema::empty().await;
    fill(&place.node_of(&Arc::new(Registry::builtin())).await).await;
    // Somebody else builds, until some have been written.
    let mut builder = place.connect().await;
    let oid = "SELECT oid::bigint FROM pg_namespace WHERE nspname = current_schema()";
    let oid: i64 = sqlx::query_scalar(oid).fetch_one(&mut builder).await.expect("the schema");
    let key = Lock::Builder.key(u32::try_from(oid).expect("an identifier"));
    sqlx::query("SELECT pg_advisory_lock($1)").bind(key).execute(&mut builder).await.expect("a lock");
    let registry = with_titles();
    let (node, other, shape) = (place.node_of(&registry).await, place.node_of(&registry).await, shape(&registry));
    let moved = Cell::new(0_usize);
    let write = async || {
        let turn = moved.get();
        let number = if turn.is_multiple_of(2) { turn / 2 } else { USERS - 1 - turn / 2 };
        let id = format!("u{number}");
        let change = shape.replace(key_of(&id), &titled(number, &format!("t{}", number % 10)), &titled(number, "moved"));
        [&node, &other][turn % 2].commit(unit(2, vec![change])).await.expect("a commit");
        moved.set(turn + 1);
    };
    for _ in 0..20 {
        write().await;
    }
    assert!(node.shared.catalogue.is_unfinished() && other.shared.catalogue.is_unfinished());
    builder.close().await.expect("the lock is given back");
    until(&node, false, write).await;
    let moved = moved.get();
    until(&other, false, async || {}).await;
    for node in [&node, &other] {
        assert_eq!(found(node, &shape, r#"title eq "moved""#).await, (moved as u64, moved as u64));
        let mut total = 0;
        for title in 0..10 {
            let (count, visited) = found(node, &shape, &format!(r#"title eq "t{title}""#)).await;
            assert_eq!(count, visited);
            total += count;
        }
        assert_eq!(total, (USERS - moved) as u64);
    }
    drop((node, other));
    place.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_index_waits_for_nodes_that_do_not_keep_it() {
    let place = Schema::empty().await;
    let old = place.node_of(&Arc::new(Registry::builtin())).await;
    fill(&old).await;
    let registry = with_titles();
    let (new, shape) = (place.node_of(&registry).await, shape(&registry));
    // The old one writes on, and what it writes is found.
    let plain = Fixture::new("memory");
    old.commit(unit(2, vec![plain.create(key(USER, "x"), &titled(9_999, "late"))])).await.expect("a commit");
    assert!(new.shared.catalogue.is_unfinished());
    assert_eq!(found(&new, &shape, r#"title eq "late""#).await, (1, USERS as u64 + 1));
    drop(old);
    until(&new, false, async || {}).await;
    assert_eq!(found(&new, &shape, r#"title eq "late""#).await, (1, 1));
    drop(new);
    place.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_has_been_passed_by_writes_no_more() {
    let place = Schema::empty().await;
    let old = place.node_of(&Arc::new(Registry::builtin())).await;
    fill(&old).await;
    // It loses its connections, and does not come back before another one has begun.
    place.run("UPDATE configuration SET fence = epoch + 1, epoch = epoch + 1, definition = 'other'").await;
    let name = format!(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND pid <> pg_backend_pid() \
        AND classid = (SELECT oid FROM pg_namespace WHERE nspname = '{}')",
        place.name
    );
    place.run(name).await;
    until(&old, true, async || {}).await;
    let plain = Fixture::new("memory");
    let refused = async {
        loop {
            let name = Uuid::new_v4().to_string();
            match old.commit(unit(2, vec![plain.create(key(USER, &name), &user(&name))])).await {
                Err(error) if error.operation == "look at the indexes" => return error.kind,
                _ => tokio::task::yield_now().await,
            }
        }
    };
    let kind = tokio::time::timeout(Duration::from_secs(30), refused).await.expect("it is refused");
    assert_eq!(kind, StoreErrorKind::Unavailable);
    assert_eq!(old.ready().await.expect_err("not ready").kind, StoreErrorKind::Unavailable);
    drop(old);
    place.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unique_index_is_whole_before_a_node_opens() {
    let place = Schema::empty().await;
    fill(&place.node_of(&Arc::new(Registry::builtin())).await).await;
    let titles = Arc::new(Registry::builtin().with_unique("User", "title"));
    let error = Postgres::open(place.opening(&titles)).await.expect_err("two users share a title");
    assert!(error.to_string().contains("two resources share a value of 'title'"), "{error}");
    let nicknames = Arc::new(Registry::builtin().with_unique("User", "nickName"));
    let node = place.node_of(&nicknames).await;
    assert!(!node.shared.catalogue.is_unfinished());
    let query = shape(&nicknames).query(USER, None, Some("nickName"), Start::Offset(0), 3);
    let page = node.query(&query).await.expect("a page");
    assert_eq!((page.total, page.visited), (Some(USERS as u64), 3));
    drop(node);
    place.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_that_is_no_longer_asked_for_is_removed_and_can_come_again() {
    let place = Schema::empty().await;
    fill(&place.node_of(&Arc::new(Registry::builtin())).await).await;
    let count = async || -> i64 {
        let sql = "SELECT (SELECT count(*) FROM lookup WHERE path = (SELECT code FROM path WHERE name = 'title')) \
            + (SELECT count(*) FROM indexed WHERE phase <> 'whole')";
        sqlx::query_scalar(sql).fetch_one(&mut place.connect().await).await.expect("a count")
    };
    for (registry, entries) in [(with_titles(), USERS), (Arc::new(Registry::builtin()), 0), (with_titles(), USERS)] {
        let node = place.node_of(&registry).await;
        let built = async { while count().await != i64::try_from(entries).expect("small") {} };
        tokio::time::timeout(Duration::from_mins(1), built).await.expect("in time");
        drop(node);
    }
    place.drop().await;
}
