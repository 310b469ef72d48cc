//! What is SQLite's own: durability, batches, opening, query plans.

mod build;
mod in_order;
mod inline;
mod ledger;
mod log;
mod lost;
mod ordered;

use super::ordered::sql as order_sql;
use super::reader::{PARENTS, RESOURCE};
use super::scan::{AFTER, ALL, ALL_DOWN, BEFORE};
use super::writer::{self, Job, Start, Writer};
use super::{Shared, Sqlite, ledger as kept, open};
use crate::base::id::{Tenant, TimeOrderedIds};
use crate::base::limits::{self, Limits};
use crate::scim::schema::Registry;
use crate::store::sql::MIGRATIONS;
use crate::store::sql::filter::candidates;
use crate::store::sql::plan::Index;
use crate::store::tests::fixture::{GROUP, USER, opening, unit};
use crate::store::tests::{Fixture, group, key, records, user};
use crate::store::{Change, Committed, Guard, Ledger, Place, Result, Store, StoreErrorKind, backends};
use rusqlite::{Connection, params_from_iter};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::SyncSender;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::oneshot::{self, Receiver};
use tokio::sync::{Semaphore, watch};

/// A writer that runs when the test says so, over a database of its own.
struct Stage {
    writer: Writer,
    jobs: SyncSender<Job>,
    fixture: Fixture,
    _folder: TempDir,
}

impl Stage {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let registry = Arc::new(Registry::builtin());
        let opened = open::open(&opening(&folder, &registry), limits::WAL_PAGES).expect("an open database");
        let shared = Shared {
            instance: open::next_instance(),
            path: opened.path,
            catalogue: opened.catalogue,
            limits: Limits::default(),
            has_lost_a_batch: AtomicBool::new(false),
            log_is_too_long: watch::Sender::new(false),
        };
        let (jobs, writer) = Writer::new(Start {
            connection: opened.connection,
            shared: Arc::new(shared),
            registry,
            ids: Arc::new(TimeOrderedIds),
            wake: watch::Sender::new(opened.last_place),
            last_place: opened.last_place,
            most_log_pages: open::most_log_pages(limits::WAL_PAGES),
        });
        Self { writer, jobs, fixture: Fixture::new("memory"), _folder: folder }
    }

    fn queue(&self, changes: Vec<Change>) -> Receiver<Result<Committed>> {
        let (answer, answered) = oneshot::channel();
        self.jobs.try_send(Job::Commit(unit(1_000, changes), answer)).expect("room in the queue");
        answered
    }

    /// One batch of everything that waits.
    fn run(&mut self) {
        let (answer, _) = oneshot::channel();
        assert!(self.writer.batch(Job::Commit(unit(1, vec![]), answer)));
    }

    fn user(&self, id: &str, name: &str) -> Change {
        self.fixture.create(key(USER, id), &user(name))
    }

    fn numbers(&self, sql: &str) -> Vec<i64> {
        let connection = &self.writer.start.connection;
        let mut statement = connection.prepare(sql).expect("a statement");
        let numbers = statement.query_map([], |row| row.get(0)).expect("rows");
        numbers.collect::<rusqlite::Result<_>>().expect("numbers")
    }
}

#[test]
fn a_commit_waits_for_the_disk() {
    // I2: 2 is FULL
    let stage = Stage::new();
    assert_eq!(stage.numbers("PRAGMA synchronous"), [2]);
    assert_eq!(stage.numbers("PRAGMA wal_autocheckpoint"), [i64::from(limits::WAL_PAGES)]);
    let mode: String = stage.writer.start.connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).expect("a mode");
    assert_eq!(mode, "wal");
}

#[test]
fn in_one_batch_units_fail_alone() {
    let mut stage = Stage::new();
    let first = stage.queue(vec![stage.user("1", "a")]);
    let conflict = stage.queue(vec![stage.user("2", "b"), stage.user("3", "A")]);
    let outdated = Change {
        guard: Guard { revision: Some(9), ..Guard::default() },
        ..stage.fixture.replace(key(USER, "1"), &user("a"), &user("z"))
    };
    let outdated = stage.queue(vec![outdated]);
    let last = stage.queue(vec![stage.user("4", "b")]);
    stage.run();
    let kind =
        |mut answer: Receiver<Result<Committed>>| answer.try_recv().expect("an answer").map_err(|error| error.kind).map(drop);
    assert_eq!(kind(first), Ok(()));
    assert_eq!(kind(conflict), Err(StoreErrorKind::Uniqueness { path: "userName".into() }));
    assert_eq!(kind(outdated), Err(StoreErrorKind::Stale));
    assert_eq!(kind(last), Ok(()));
    assert_eq!(stage.numbers("SELECT place FROM event ORDER BY place"), [1, 2]);
    assert_eq!(stage.numbers("SELECT n FROM counter"), [2]);
    assert_eq!(stage.numbers("SELECT count(*) FROM unique_key"), [2]);
}

#[test]
fn a_batch_that_cannot_be_committed_is_answered_as_a_whole() {
    let mut stage = Stage::new();
    let pages = stage.numbers("PRAGMA page_count")[0];
    stage.writer.start.connection.pragma_update(None, "max_page_count", pages + 3).expect("a full disk");
    let answers: Vec<_> = (0..50)
        .map(|number| {
            let name = format!("{number}{}", "x".repeat(400));
            stage.queue(vec![stage.user(&number.to_string(), &name)])
        })
        .collect();
    // What is behind the failure waits for the next batch, which is as full.
    (0..50).for_each(|_| stage.run());
    let outcomes: Vec<_> =
        answers.into_iter().map(|mut answer| answer.try_recv().expect("an answer").map_err(|error| error.kind)).collect();
    let count = |kept: bool| outcomes.iter().filter(|outcome| outcome.is_ok() == kept).count();
    assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(_) | Err(StoreErrorKind::Unavailable))), "{outcomes:?}");
    assert!(count(false) > 0);
    let kept = i64::try_from(count(true)).expect("a number");
    assert_eq!(stage.numbers("SELECT count(*) FROM resource"), [kept]);
    assert_eq!(stage.numbers("SELECT count(*) FROM event"), [kept]);
    assert_eq!(stage.numbers("SELECT coalesce(max(place), 0) FROM event"), [kept]);
    stage.writer.start.connection.pragma_update(None, "max_page_count", pages + 10_000).expect("room again");
    let mut answer = stage.queue(vec![stage.user("after", "after")]);
    stage.run();
    assert!(answer.try_recv().expect("an answer").is_ok());
}

#[tokio::test]
async fn places_go_on_after_a_restart_and_are_never_used_again() {
    // I5
    let store = Fixture::new("sqlite");
    store.given(&["a", "b"], &[]).await;
    store.commit(vec![store.create(key(USER, "c"), &user("a"))]).await.expect_err("a taken name");
    let store = store.reopened();
    store.commit(vec![store.create(key(USER, "c"), &user("c"))]).await.expect("a commit");
    assert_eq!(store.log().await.iter().map(|logged| logged.place.0).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(store.search(USER, None, 0, 10).await.total, 3);
    let database = Connection::open(store.folder.path().join("data/carillon.db")).expect("the database");
    database.execute("DELETE FROM event WHERE place > 1", []).expect("retention");
    drop(database);
    let store = store.reopened();
    store.given(&["d"], &[]).await;
    assert_eq!(store.log().await.iter().map(|logged| logged.place.0).collect::<Vec<_>>(), [1, 4]);
    // The log's readers are woken after the commit is answered.
    let mut wake = store.backend.ledger.wake();
    tokio::time::timeout(Duration::from_secs(5), wake.wait_for(|place| *place == 4)).await.expect("in time").expect("a store");
}

#[tokio::test]
async fn a_second_process_is_refused_until_the_first_has_ended() {
    let store = Fixture::new("sqlite");
    let again = || backends::open_at_once("sqlite", opening(&store.folder, &store.registry));
    let error = again().expect_err("the folder is locked");
    assert_eq!(error.kind, StoreErrorKind::InUse);
    assert!(error.to_string().contains("another process has it open"), "{error}");
    let store = store.reopened();
    assert_eq!(store.log().await, []);
}

#[cfg(target_os = "linux")]
#[test]
fn preparing_the_folder_leaves_the_locks_of_a_database_alone() {
    use std::os::unix::fs::MetadataExt;
    let store = Fixture::new("sqlite");
    let folder = store.folder.path().join("data");
    let inode = format!(":{} ", std::fs::metadata(folder.join("carillon.db")).expect("the database").ino());
    let locks = || {
        let text = std::fs::read_to_string("/proc/locks").expect("the locks of the system");
        text.lines().filter(|line| line.contains("POSIX") && line.contains(&inode)).count()
    };
    let before = locks();
    assert!(before > 0);
    // As another program would that shares the folder and not the lock.
    std::fs::remove_file(folder.join("carillon.lock")).expect("no lock");
    let again = backends::open_at_once("sqlite", opening(&store.folder, &store.registry)).expect("the store opens");
    assert_eq!(locks(), before);
    drop(again);
}

#[tokio::test]
async fn a_database_of_an_older_version_is_brought_up_to_date() {
    let folder = TempDir::new().expect("a folder");
    let registry = Arc::new(Registry::builtin());
    let path = folder.path().join("data");
    std::fs::create_dir(&path).expect("a folder");
    let database = Connection::open(path.join("carillon.db")).expect("a database");
    database.execute_batch("CREATE TABLE meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID").expect("a table");
    database.execute("INSERT INTO meta VALUES ('schema_version', 6)", []).expect("its version");
    database.execute_batch(&MIGRATIONS[..6].concat()).expect("the older tables");
    database.execute_batch(records::OLDER).expect("records");
    drop(database);
    let store = Sqlite::open(opening(&folder, &registry)).expect("a store");
    records::go_on_from_older(&store).await;
}

#[tokio::test]
async fn a_newer_schema_and_garbage_are_refused() {
    let refused = |prepare: &dyn Fn(&std::path::Path)| {
        let Fixture { backend, folder, registry, .. } = Fixture::new("sqlite");
        drop(backend);
        prepare(&folder.path().join("data/carillon.db"));
        backends::open_at_once("sqlite", opening(&folder, &registry)).expect_err("refused")
    };
    let newer = refused(&|path| {
        let database = Connection::open(path).expect("the database");
        database.execute("UPDATE meta SET value = 99 WHERE name = 'schema_version'", []).expect("a newer version");
    });
    assert_eq!(newer.kind, StoreErrorKind::Corrupt);
    assert!(newer.to_string().contains("schema version 99"), "{newer}");
    let garbage = refused(&|path| std::fs::write(path, vec![b'x'; 8_192]).expect("garbage"));
    assert_eq!(garbage.kind, StoreErrorKind::Corrupt);
    assert!(garbage.to_string().contains("carillon.db"), "{garbage}");
    let unknown = Fixture::new("memory");
    let unknown = backends::open_at_once("paper", opening(&unknown.folder, &unknown.registry)).expect_err("no such store");
    assert!(unknown.to_string().contains("'paper', only sqlite, postgres, memory"), "{unknown}");
}

#[cfg(unix)]
#[test]
fn the_data_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let store = Fixture::new("sqlite");
    let mode = |path: &str| std::fs::metadata(store.folder.path().join(path)).expect(path).permissions().mode() & 0o777;
    assert_eq!(mode("data"), 0o700);
    for file in ["carillon.db", "carillon.db-wal", "carillon.db-shm", "carillon.lock"] {
        assert_eq!(mode(&format!("data/{file}")), 0o600, "{file}");
    }
}

#[tokio::test]
async fn a_changed_configuration_builds_its_index_anew() {
    let store = Fixture::new("sqlite");
    store.given(&[], &["g", "h"]).await;
    let Fixture { backend, folder, .. } = store;
    drop(backend);
    let registry = Arc::new(Registry::builtin().with_unique("Group", "displayName"));
    let backend = backends::open_at_once("sqlite", opening(&folder, &registry)).expect("the store opens");
    let store = Fixture::of(backend, registry, folder);
    let error = store.commit(vec![store.create(key(GROUP, "i"), &group("G"))]).await.expect_err("unique by now");
    assert_eq!(error.kind, StoreErrorKind::Uniqueness { path: "displayName".into() });
    let store = store.reopened_with(Registry::builtin());
    store.commit(vec![store.create(key(GROUP, "i"), &group("G"))]).await.expect("not unique any more");
    assert_eq!(store.search(GROUP, Some(r#"displayName eq "g""#), 0, 10).await.total, 2);
    let Fixture { backend, folder, .. } = store;
    drop(backend);
    let registry = Arc::new(Registry::builtin().with_unique("Group", "displayName"));
    let error = backends::open_at_once("sqlite", opening(&folder, &registry)).expect_err("two groups share a name");
    assert!(error.to_string().contains("share a value of 'displayName'"), "{error}");
}

#[tokio::test]
async fn a_closed_store_has_drained_and_takes_nothing_more() {
    let folder = TempDir::new().expect("a folder");
    let registry = Arc::new(Registry::builtin());
    let store = Arc::new(super::Sqlite::open(opening(&folder, &registry)).expect("a store"));
    let shape = Fixture::new("memory");
    let commits: Vec<_> = (0..100)
        .map(|number: u32| {
            let change = shape.create(key(USER, &number.to_string()), &user(&number.to_string()));
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.commit(unit(1, vec![change])).await })
        })
        .collect();
    tokio::task::yield_now().await;
    store.close();
    let mut kept = 0;
    for commit in commits {
        match commit.await.expect("a task") {
            Ok(_) => kept += 1,
            Err(error) => assert_eq!(error.kind, StoreErrorKind::Unavailable),
        }
    }
    let log = store.read(Tenant(0), Place(0), 1_000).await.expect("the log").events;
    assert_eq!(log.len(), kept);
    assert_eq!(store.ready().await.expect_err("closed").kind, StoreErrorKind::Unavailable);
    assert_eq!(store.secret("late", [0; 32]).await.expect_err("closed").kind, StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn scans_wait_for_their_turn_and_end_in_time() {
    // I8
    let folder = TempDir::new().expect("a folder");
    let registry = Arc::new(Registry::builtin());
    let mut settings = opening(&folder, &registry);
    settings.limits.scan_ms = 1;
    let mut store = super::Sqlite::open(settings).expect("a store");
    let shape = Fixture::new("memory");
    for batch in 0..20 {
        let changes = (0..500).map(|number| {
            let name = format!("{batch}-{number}");
            shape.create(key(USER, &name), &user(&name))
        });
        store.commit(unit(1, changes.collect())).await.expect("a commit");
    }
    let query = |text: &str| shape.query(USER, Some(text), None, crate::store::Start::Offset(0), 1);
    let error = store.query(&query(r#"displayName eq "x""#)).await.expect_err("too long");
    assert_eq!(error.kind, StoreErrorKind::TooMany);
    store.scans = Arc::new(Semaphore::new(0));
    let error = store.query(&query(r#"displayName eq "x""#)).await.expect_err("no turn");
    assert_eq!(error.kind, StoreErrorKind::TooMany);
    // A seek needs no turn.
    assert_eq!(store.query(&query(r#"userName eq "7-7""#)).await.expect("a seek").total, Some(1));
}

#[test]
fn any_number_of_scans_can_be_allowed() {
    let (folder, registry) = (TempDir::new().expect("a folder"), Arc::new(Registry::builtin()));
    let mut settings = opening(&folder, &registry);
    settings.limits.scans = usize::MAX;
    super::Sqlite::open(settings).expect("a store");
}

/// The steps of a statement's plan.
fn plan(connection: &Connection, sql: &str) -> Vec<String> {
    let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect(sql);
    let count = statement.parameter_count();
    let steps = statement.query_map(params_from_iter(vec![1; count]), |row| row.get(3)).expect("a plan");
    steps.collect::<rusqlite::Result<_>>().expect("steps")
}

#[test]
fn every_read_is_an_index_search() {
    let stage = Stage::new();
    let connection = &stage.writer.start.connection;
    let key_search = "SEARCH resource USING INDEX resource_key";
    assert_eq!(plan(connection, &ALL), [format!("{key_search} (tenant=? AND type=?)")]);
    assert_eq!(plan(connection, &RESOURCE), [format!("{key_search} (tenant=? AND type=? AND id=?)")]);
    assert_eq!(plan(connection, PARENTS), ["SEARCH member USING COVERING INDEX member_groups (tenant=? AND member_id=?)"]);
    let Shared { catalogue, .. } = &*stage.writer.start.shared;
    let filters = [
        (USER, r#"userName eq "a""#),
        (USER, r#"userName sw "a""#),
        (USER, r#"emails.value gt "a" and externalId pr"#),
        (USER, r#"id eq "a" or (externalId eq "b" and emails.value eq "c")"#),
        (GROUP, r#"members.value eq "a" and displayName eq "b""#),
        (USER, r#"groups eq "a""#),
    ];
    for (kind, text) in filters {
        let entry = catalogue.entry(kind).expect("a type");
        let filter = stage.fixture.filter(kind, text);
        let sql = candidates(catalogue, entry, &filter, None).expect(text).sql;
        let steps = plan(connection, &sql);
        assert!(
            !steps.iter().any(|step| step.starts_with("SCAN resource") || step.starts_with("SCAN member")),
            "{text}: {steps:?}"
        );
        assert!(steps.iter().any(|step| step.starts_with("SEARCH")), "{text}: {steps:?}");
    }
    let equality = plan(connection, "SELECT id FROM lookup WHERE tenant = 1 AND type = 1 AND path = 1 AND value = 'x' ORDER BY id");
    assert_eq!(equality, ["SEARCH lookup USING PRIMARY KEY (tenant=? AND type=? AND path=? AND value=?)"]);
}

#[test]
fn a_page_in_order_is_read_from_an_index() {
    let stage = Stage::new();
    let connection = &stage.writer.start.connection;
    let key_search = |bound: &str| [format!("SEARCH resource USING INDEX resource_key (tenant=? AND type=?{bound})")];
    assert_eq!(plan(connection, &ALL_DOWN), key_search(""));
    assert_eq!(plan(connection, &AFTER), key_search(" AND id>?"));
    assert_eq!(plan(connection, &BEFORE), key_search(" AND id<?"));
    let Shared { catalogue, .. } = &*stage.writer.start.shared;
    for (sort, table) in
        [("userName", "unique_key"), ("-userName", "unique_key"), ("externalId", "lookup"), ("-externalId", "lookup")]
    {
        let query = stage.fixture.query(USER, None, Some(sort), crate::store::Start::Offset(0), 10);
        let path = query.sort.as_ref().and_then(|sort| sort.path.clone()).expect("a path");
        let index = Index::of(catalogue, catalogue.entry(USER).expect("User"), &path, &query).expect("an index");
        assert_eq!(
            plan(connection, &order_sql(index, true, false)),
            [format!("SEARCH {table} USING PRIMARY KEY (tenant=? AND type=? AND path=?)")]
        );
        let after = plan(connection, &order_sql(index, true, true));
        assert!(
            after.len() == 1
                && after[0].starts_with(&format!("SEARCH {table} USING PRIMARY KEY (tenant=? AND type=? AND path=? AND ")),
            "{after:?}"
        );
        for is_after in [false, true] {
            let bound = if is_after { if sort.starts_with('-') { " AND id<?" } else { " AND id>?" } } else { "" };
            assert_eq!(
                plan(connection, &order_sql(index, false, is_after)),
                [format!("SEARCH bare USING PRIMARY KEY (tenant=? AND type=? AND path=?{bound})")]
            );
        }
    }
}

#[tokio::test]
async fn many_clients_of_one_group_lose_no_member() {
    let store = Arc::new(Fixture::new("sqlite"));
    store.given(&[], &["g"]).await;
    let names: Vec<String> = (0..50).map(|number| format!("m{number}")).collect();
    let additions: Vec<_> = names
        .iter()
        .map(|name| {
            let (store, change) = (Arc::clone(&store), Fixture::move_members("g", &[name], &[]));
            tokio::spawn(async move { store.commit(vec![change]).await })
        })
        .collect();
    let mut versions = Vec::new();
    for addition in additions {
        versions.push(addition.await.expect("a task").expect("a commit").outcomes[0].version);
    }
    versions.sort_unstable();
    assert_eq!(versions, (2..=51).collect::<Vec<_>>());
    assert_eq!(store.get(&key(GROUP, "g")).await.expect("the group").member_count, 50);
}
