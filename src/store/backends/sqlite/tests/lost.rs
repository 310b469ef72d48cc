//! Batches that cannot be committed: what is logged, what is answered, and what is ready afterwards.

use super::*;
use crate::base::heard::Heard;
use std::sync::atomic::Ordering;

/// What is logged meanwhile, as lines.
fn logged(work: impl FnOnce()) -> Vec<String> {
    let heard = Heard::begin();
    work();
    heard.lines()
}

/// A disk that fails when this is done: a trigger that ends the statement (`ABORT`) or rolls everything back (`ROLLBACK`).
fn break_disk(connection: &Connection, when: &str, how: &str) {
    let sql = format!("CREATE TRIGGER broken BEFORE {when} BEGIN SELECT raise({how}, 'broken disk'); END");
    connection.execute_batch(&sql).expect(&sql);
}

fn mend_disk(connection: &Connection) {
    connection.execute_batch("DROP TRIGGER broken").expect("a trigger");
}

fn kind<T>(mut answer: Receiver<Result<T>>) -> Result<(), StoreErrorKind> {
    answer.try_recv().expect("an answer").map_err(|error| error.kind).map(drop)
}

#[test]
fn why_a_batch_is_lost_is_logged_once() {
    let mut stage = Stage::new();
    break_disk(&stage.writer.start.connection, "INSERT ON meta", "ABORT");
    let answers = [stage.queue(vec![stage.user("1", "a")]), stage.queue(vec![stage.user("2", "b")])];
    let lines = logged(|| stage.run());
    assert_eq!(answers.map(kind), [const { Err(StoreErrorKind::Unavailable) }; 2]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("ERROR") && lines[0].contains("note the last place") && lines[0].contains("broken disk"),
        "{lines:?}"
    );
    assert!(stage.writer.start.shared.has_lost_a_batch.load(Ordering::Relaxed));
    mend_disk(&stage.writer.start.connection);
    let answer = stage.queue(vec![stage.user("1", "a")]);
    assert_eq!(logged(|| stage.run()), Vec::<String>::new());
    assert_eq!(kind(answer), Ok(()));
    assert!(!stage.writer.start.shared.has_lost_a_batch.load(Ordering::Relaxed));
}

#[tokio::test]
async fn a_store_that_has_lost_a_batch_is_ready_when_it_can_write_again() {
    let folder = TempDir::new().expect("a folder");
    let registry = Arc::new(Registry::builtin());
    let store = super::super::Sqlite::open(opening(&folder, &registry)).expect("a store");
    let shape = Fixture::new("memory");
    let database = Connection::open(folder.path().join("data/carillon.db")).expect("the database");
    break_disk(&database, "INSERT ON meta", "ABORT");
    store.ready().await.expect("nothing is lost yet");
    let create = |id: &str| unit(1, vec![shape.create(key(USER, id), &user(id))]);
    assert_eq!(store.commit(create("a")).await.expect_err("a broken disk").kind, StoreErrorKind::Unavailable);
    assert_eq!(store.ready().await.expect_err("not ready").kind, StoreErrorKind::Unavailable);
    assert_eq!(store.ready().await.expect_err("still not ready").kind, StoreErrorKind::Unavailable);
    mend_disk(&database);
    store.ready().await.expect("ready, though nobody has written since");
    assert!(!store.shared.has_lost_a_batch.load(Ordering::Relaxed));
    store.commit(create("a")).await.expect("a commit");
    let log = store.read(Tenant(0), Place(0), 10).await.expect("the log").events;
    assert_eq!(log.iter().map(|logged| logged.place.0).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_batch_that_sqlite_has_rolled_back_is_lost_as_a_whole() {
    // I1
    for when in ["INSERT ON event WHEN new.place = 2", "INSERT ON secret"] {
        let mut stage = Stage::new();
        break_disk(&stage.writer.start.connection, when, "ROLLBACK");
        let before = stage.queue(vec![stage.user("1", "a")]);
        let (answer, secret) = oneshot::channel();
        let work = writer::Work::new(|connection| kept::secret(connection, "any", [7; 32]), || (), answer);
        stage.jobs.try_send(Job::Other(work)).expect("room in the queue");
        let after = [stage.queue(vec![stage.user("2", "b")]), stage.queue(vec![stage.user("3", "c")])];
        let lines = logged(|| stage.run());
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].contains("broken disk"), "{lines:?}");
        assert_eq!(kind(before), Err(StoreErrorKind::Unavailable), "{when}");
        assert_eq!(kind(secret), Err(StoreErrorKind::Unavailable), "{when}");
        // Nothing of the batch is kept, and what it did not come to is in the next one.
        assert_eq!(stage.numbers("SELECT count(*) FROM resource"), [0], "{when}");
        assert_eq!(stage.numbers("SELECT count(*) FROM secret"), [0], "{when}");
        mend_disk(&stage.writer.start.connection);
        stage.run();
        assert_eq!(stage.numbers("SELECT place FROM event"), stage.numbers("SELECT rowid FROM resource"), "{when}");
        drop(after);
    }
}
