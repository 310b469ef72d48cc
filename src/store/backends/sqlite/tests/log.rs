//! The length of the write-ahead log.

use super::super::reader::Reader;
use super::super::{Sqlite, open::most_log_pages};
use super::*;

/// A log so short that a test overflows it.
const LOG_PAGES: u32 = 100;
/// How many commits a reader sees go by.
const COMMITS_PER_READ: u64 = 200;
const PATIENCE: Duration = Duration::from_secs(20);

/// A read transaction that lasts until this is so.
fn long_read<T>(reader: &Reader, mut seen: watch::Receiver<T>, mut is_over: impl FnMut(&T) -> bool) {
    let mut statement = reader.connection.prepare("SELECT count(*) FROM event").expect("a statement");
    let mut rows = statement.query([]).expect("rows");
    rows.next().expect("a row");
    let over = async { tokio::time::timeout(PATIENCE, seen.wait_for(|value| is_over(value))).await.map(drop) };
    tokio::runtime::Handle::current().block_on(over).expect("in time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_stays_short_while_readers_overlap() {
    let folder = TempDir::new().expect("a folder");
    let registry = Arc::new(Registry::builtin());
    let mut settings = opening(&folder, &registry);
    settings.limits.scan_ms = u64::try_from(PATIENCE.as_millis()).expect("a time");
    let store = Arc::new(Sqlite::open_with_log(settings, LOG_PAGES).expect("a store"));
    let (shape, commits) = (Fixture::new("memory"), watch::Sender::new(0));
    let reader = |offset: u64| {
        let (store, mut seen) = (Arc::clone(&store), commits.subscribe());
        tokio::spawn(async move {
            // The second begins when the first is half done, so that at any time one of them has an old state.
            seen.wait_for(|number| *number >= offset).await.expect("commits");
            let mut reads = 0;
            while *seen.borrow() < 4_000 {
                let seen = seen.clone();
                let read = move |reader: &Reader| {
                    let until = *seen.borrow() + COMMITS_PER_READ;
                    long_read(reader, seen, |number| *number >= until);
                    Ok(())
                };
                store.scan(read).await.expect("a read");
                reads += 1;
            }
            reads
        })
    };
    let readers = [reader(1), reader(COMMITS_PER_READ / 2)];
    let mut gate = store.shared.log_is_too_long.subscribe();
    let log = folder.path().join("data/carillon.db-wal");
    let (mut longest, mut closed) = (0, 0);
    while !readers.iter().all(tokio::task::JoinHandle::is_finished) {
        let number = *commits.borrow();
        let name = number.to_string();
        store.commit(unit(1, vec![shape.create(key(USER, &name), &user(&name))])).await.expect("a commit");
        commits.send_replace(number + 1);
        longest = longest.max(std::fs::metadata(&log).expect("the log").len() / 4_120);
        if gate.has_changed().expect("a gate") {
            closed += u32::from(*gate.borrow_and_update());
        }
    }
    for reader in readers {
        assert!(reader.await.expect("a reader") > 2);
    }
    assert!(closed > 1, "the log was never too long");
    assert!(longest < u64::from(most_log_pages(LOG_PAGES)) * 10, "{longest} pages");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_emptied_though_nobody_writes_any_more() {
    let folder = TempDir::new().expect("a folder");
    let registry = Arc::new(Registry::builtin());
    let store = Arc::new(Sqlite::open_with_log(opening(&folder, &registry), LOG_PAGES).expect("a store"));
    let (shape, ends) = (Fixture::new("memory"), watch::Sender::new(false));
    let (began, has_begun) = oneshot::channel();
    let (reading, seen) = (Arc::clone(&store), ends.subscribe());
    let reader = tokio::spawn(async move {
        let read = move |reader: &Reader| {
            let mut began = Some(began);
            long_read(reader, seen, |ends| {
                // Asked first when the transaction is open.
                if let Some(began) = began.take() {
                    began.send(()).expect("a test that waits");
                }
                *ends
            });
            Ok(())
        };
        reading.scan(read).await
    });
    has_begun.await.expect("a reader");
    let mut gate = store.shared.log_is_too_long.subscribe();
    for number in 0..1_000 {
        let name = number.to_string();
        store.commit(unit(1, vec![shape.create(key(USER, &name), &user(&name))])).await.expect("a commit");
        if *gate.borrow() {
            break;
        }
    }
    assert!(*gate.borrow(), "the gate never closed");
    ends.send_replace(true);
    reader.await.expect("a task").expect("a read");
    tokio::time::timeout(PATIENCE, gate.wait_for(|is_too_long| !is_too_long)).await.expect("in time").expect("a gate");
    assert_eq!(std::fs::metadata(folder.path().join("data/carillon.db-wal")).expect("the log").len(), 0);
}

#[tokio::test]
async fn a_scan_waits_for_the_log_no_longer_than_its_time() {
    let folder = TempDir::new().expect("a folder");
    let registry = Arc::new(Registry::builtin());
    let mut settings = opening(&folder, &registry);
    settings.limits.scan_ms = 10;
    let store = Sqlite::open(settings).expect("a store");
    store.shared.log_is_too_long.send_replace(true);
    assert_eq!(store.scan(|_| Ok(())).await.expect_err("the gate is closed").kind, StoreErrorKind::TooMany);
    store.shared.log_is_too_long.send_replace(false);
    store.scan(|_| Ok(())).await.expect("the gate is open");
}
