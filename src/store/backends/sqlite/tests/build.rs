//! Indexes that are built while the store serves.

use super::super::Sqlite;
use super::super::build::Progress;
use super::*;
use crate::scim::filter;
use crate::store::sql::catalogue::Table;
use crate::store::tests::fixture::{Found, titled, with_titles};
use crate::store::{Detail, Query};

const USERS: usize = 1_200;

/// A database of users, each with a title, that was never asked to index titles.
async fn filled(folder: &TempDir) -> Fixture {
    let shape = Fixture::new("memory");
    let store = Sqlite::open(opening(folder, &Arc::new(Registry::builtin()))).expect("a store");
    let users =
        (0..USERS).map(|number| shape.create(key(USER, &format!("u{number}")), &titled(number, &format!("t{}", number % 10))));
    store.commit(unit(1, users.collect())).await.expect("a commit");
    shape
}

/// The database of [`filled`], opened again with titles to be indexed, and how documents are indexed then.
async fn asked_for_titles(folder: &TempDir) -> (Fixture, Sqlite) {
    filled(folder).await;
    let registry = with_titles();
    let store = Sqlite::open(opening(folder, &registry)).expect("a store");
    (Fixture { registry, ..Fixture::new("memory") }, store)
}

async fn search(store: &Sqlite, registry: &Registry, text: &str) -> Found {
    let kind = registry.by_code(USER).expect("User");
    let filter = filter::resolve(kind, &filter::parse(text).expect(text)).expect(text);
    let (start, detail) = (crate::store::Start::Offset(0), Detail::default());
    let query = Query { tenant: Tenant(0), kind: USER, filter: Some(filter), sort: None, start, limit: 5_000, detail };
    let page = store.query(&query).await.expect("a search");
    Found { total: page.total.expect("a count"), resources: page.resources, visited: page.visited }
}

/// Waits until the indexes are whole, and writes meanwhile.
async fn built(store: &Sqlite, mut meanwhile: impl AsyncFnMut()) {
    let whole = async {
        while store.shared.catalogue.is_unfinished() {
            meanwhile().await;
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), whole).await.expect("the indexes are built");
}

/// The users in an order in which those that a building has visited and those that it has not take turns.
fn from_both_ends(turn: usize) -> usize {
    if turn.is_multiple_of(2) { turn / 2 } else { USERS - 1 - turn / 2 }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_index_is_built_while_others_write() {
    let folder = TempDir::new().expect("a folder");
    let (shape, store) = asked_for_titles(&folder).await;
    let mut moved = 0;
    built(&store, async || {
        let number = from_both_ends(moved);
        let (id, before) = (format!("u{number}"), titled(number, &format!("t{}", number % 10)));
        let mut change = shape.replace(key(USER, &id), &before, &titled(number, "moved"));
        change.guard = Guard { revision: Some(1), ..Guard::default() };
        store.commit(unit(2, vec![change])).await.expect("a commit");
        moved += 1;
    })
    .await;
    assert!(moved > 0);
    let found = search(&store, &shape.registry, r#"title eq "moved""#).await;
    assert_eq!((found.total, found.visited), (moved as u64, moved as u64));
    let mut total = 0;
    for title in 0..10 {
        let found = search(&store, &shape.registry, &format!(r#"title eq "t{title}""#)).await;
        assert_eq!(found.visited, found.total);
        total += found.total;
    }
    assert_eq!(total, (USERS - moved) as u64);
}

/// Some users lose their title, some get it back or go, and some come without one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_has_no_value_is_known_when_an_index_is_built() {
    let folder = TempDir::new().expect("a folder");
    let (shape, store) = asked_for_titles(&folder).await;
    let mut moved = 0;
    built(&store, async || {
        let number = from_both_ends(moved);
        let (id, titled, bare) = (format!("u{number}"), titled(number, &format!("t{}", number % 10)), user(&format!("u{number}")));
        let mut changes = vec![shape.replace(key(USER, &id), &titled, &bare)];
        match moved % 5 {
            0 => changes.push(shape.replace(key(USER, &id), &bare, &titled)),
            1 => changes.push(shape.delete(key(USER, &id), &bare)),
            2 => changes.push(shape.create(key(USER, &format!("v{number}")), &user(&format!("v{number}")))),
            _ => {}
        }
        store.commit(unit(2, changes)).await.expect("a commit");
        moved += 1;
    })
    .await;
    assert!(moved > 0);
    super::ordered::all_are_known(folder.path());
    // An index that is unique is built at once.
    drop(store);
    let registry = Arc::new(Registry::builtin().with_unique("User", "nickName"));
    let store = Sqlite::open(opening(&folder, &registry)).expect("nobody has a nickname");
    built(&store, async || {}).await;
    super::ordered::all_are_known(folder.path());
}

#[tokio::test]
async fn a_building_that_was_broken_off_goes_on() {
    let folder = TempDir::new().expect("a folder");
    filled(&folder).await;
    let registry = with_titles();
    let opened = open::open(&opening(&folder, &registry), limits::WAL_PAGES).expect("an open database");
    let (entry, path) = (opened.catalogue.entry(USER).expect("User"), "title");
    let path = crate::scim::path::resolve(&entry.kind, path).expect("a path");
    assert_eq!(opened.catalogue.index_of(entry, &path), None);
    let step = super::super::build::step(&opened.connection, &opened.catalogue).expect("a step");
    assert_eq!(step, Progress { visited: limits::INDEX_STEP_RESOURCES, finished: false });
    drop(opened);
    let store = Sqlite::open(opening(&folder, &registry)).expect("a store");
    built(&store, async || {}).await;
    let found = search(&store, &registry, r#"title sw "t""#).await;
    assert_eq!((found.total, found.visited), (USERS as u64, USERS as u64));
    let entry = store.shared.catalogue.entry(USER).expect("User");
    assert!(matches!(store.shared.catalogue.index_of(entry, &path), Some((Table::Lookup, _))));
}

#[tokio::test]
async fn an_index_that_is_no_longer_asked_for_is_removed_and_can_come_again() {
    let folder = TempDir::new().expect("a folder");
    filled(&folder).await;
    let count = |folder: &TempDir| -> i64 {
        let connection = Connection::open(folder.path().join("data/carillon.db")).expect("a connection");
        let sql = "SELECT count(*) FROM lookup WHERE path = (SELECT code FROM path WHERE name = 'title')";
        connection.query_row(sql, [], |row| row.get(0)).expect("a count")
    };
    for (registry, entries) in [(with_titles(), USERS), (Arc::new(Registry::builtin()), 0), (with_titles(), USERS)] {
        let store = Sqlite::open(opening(&folder, &registry)).expect("a store");
        built(&store, async || {}).await;
        drop(store);
        assert_eq!(count(&folder), i64::try_from(entries).expect("small"));
    }
}

#[tokio::test]
async fn a_step_removes_no_more_entries_than_its_limit_however_many_share_a_value() {
    let folder = TempDir::new().expect("a folder");
    filled(&folder).await;
    drop(open::open(&opening(&folder, &with_titles()), limits::WAL_PAGES).expect("an open database"));
    let connection = Connection::open(folder.path().join("data/carillon.db")).expect("a connection");
    let count = |connection: &Connection| -> i64 {
        let sql = "SELECT count(*) FROM lookup WHERE path = (SELECT code FROM path WHERE name = 'title')";
        connection.query_row(sql, [], |row| row.get(0)).expect("a count")
    };
    let entries = "INSERT INTO lookup SELECT tenant, type, (SELECT code FROM path WHERE name = 'title'), 'same', id FROM resource";
    connection.execute_batch(entries).expect("entries");
    let opened = open::open(&opening(&folder, &Arc::new(Registry::builtin())), limits::WAL_PAGES).expect("an open database");
    let (users, most) = (i64::try_from(USERS).expect("small"), i64::try_from(limits::INDEX_STEP_RESOURCES).expect("small"));
    for left in [users - most, users - 2 * most, 0, 0] {
        let step = super::super::build::step(&opened.connection, &opened.catalogue).expect("a step");
        assert_eq!((step, count(&connection)), (Progress { visited: 0, finished: false }, left));
    }
    let step = super::super::build::step(&opened.connection, &opened.catalogue).expect("a step");
    assert_eq!(step, Progress { visited: 0, finished: true });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_step_that_is_lost_with_its_batch_is_tried_again() {
    let folder = TempDir::new().expect("a folder");
    filled(&folder).await;
    let connection = Connection::open(folder.path().join("data/carillon.db")).expect("a connection");
    let broken = "CREATE TRIGGER broken BEFORE INSERT ON index_progress BEGIN SELECT raise(ROLLBACK, 'full disk'); END";
    connection.execute_batch(broken).expect("a trigger");
    let store = Sqlite::open(opening(&folder, &with_titles())).expect("a store");
    let lost = async {
        while !store.shared.has_lost_a_batch.load(std::sync::atomic::Ordering::Relaxed) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), lost).await.expect("a step is lost");
    assert!(store.shared.catalogue.is_unfinished());
    connection.busy_timeout(Duration::from_mins(1)).expect("set");
    connection.execute_batch("DROP TRIGGER broken").expect("no trigger");
    built(&store, async || {}).await;
    let found = search(&store, &with_titles(), r#"title sw "t""#).await;
    assert_eq!((found.total, found.visited), (USERS as u64, USERS as u64));
}

#[tokio::test]
async fn a_unique_index_is_whole_before_the_store_opens() {
    let folder = TempDir::new().expect("a folder");
    filled(&folder).await;
    let registry = Arc::new(Registry::builtin().with_unique("User", "title"));
    let error = Sqlite::open(opening(&folder, &registry)).expect_err("two users share a title");
    assert!(error.to_string().contains("two resources share a value of 'title'"), "{error}");
    let registry = Arc::new(Registry::builtin().with_unique("User", "nickName"));
    let store = Sqlite::open(opening(&folder, &registry)).expect("nobody has a nickname");
    assert!(!store.shared.catalogue.is_unfinished());
}
