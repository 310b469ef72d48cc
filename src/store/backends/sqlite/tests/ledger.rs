//! What delivery keeps, on disk: lost batches, one that cannot be read, the room that a trimmed log takes.

use super::*;
use crate::base::clock::Timestamp;
use crate::base::id::StreamId;
use crate::store::ledger::{PlaceSet, RecordChange, Resolution, Trim};
use metrics_exporter_prometheus::PrometheusBuilder;

fn change(id: &str) -> RecordChange {
    RecordChange { collection: "stream", id: id.into(), expected: None, body: Some("{}".into()) }
}

fn resolution(name: &str, through: u64) -> Resolution {
    let stream = StreamId::parse(name).expect("an id");
    Resolution::of(stream, 0, PlaceSet::through(Place(through)))
}

/// I2
#[tokio::test]
async fn what_is_lost_with_its_batch_is_unavailable_and_wakes_nobody() {
    let folder = TempDir::new().expect("a folder");
    let registry = Arc::new(Registry::builtin());
    let store = super::super::Sqlite::open(opening(&folder, &registry)).expect("a store");
    let database = Connection::open(folder.path().join("data/carillon.db")).expect("the database");
    // Everything is undone, when the record or the places are written already.
    let broken = "CREATE TRIGGER broken AFTER INSERT ON record BEGIN SELECT raise(ROLLBACK, 'broken disk'); END; \
        CREATE TRIGGER broken_too AFTER INSERT ON resolved BEGIN SELECT raise(ROLLBACK, 'broken disk'); END;";
    database.execute_batch(broken).expect("triggers");
    let (mut changed, mut wake) = (store.records_changed(), store.wake());
    changed.mark_unchanged();
    wake.mark_unchanged();
    let written = store.write_records(vec![change("a")]).await;
    assert_eq!(written.map_err(|error| error.kind), Err(StoreErrorKind::Unavailable));
    let resolved = store.resolve(vec![resolution("a", 1)]).await;
    assert_eq!(resolved.map(drop).map_err(|error| error.kind), Err(StoreErrorKind::Unavailable));
    assert_eq!((changed.has_changed().expect("open"), wake.has_changed().expect("open")), (false, false));
    assert_eq!(store.records("stream").await.expect("records"), []);
    database.execute_batch("DROP TRIGGER broken; DROP TRIGGER broken_too").expect("mended");
    store.write_records(vec![change("a")]).await.expect("written");
    assert_eq!(store.resolved(&StreamId::parse("a").expect("an id"), 0).await.expect("places"), None);
    assert!(changed.has_changed().expect("open"));
}

#[tokio::test]
async fn places_that_cannot_be_read_concern_their_stream_alone() {
    let folder = TempDir::new().expect("a folder");
    let registry = Arc::new(Registry::builtin());
    let store = super::super::Sqlite::open(opening(&folder, &registry)).expect("a store");
    let database = Connection::open(folder.path().join("data/carillon.db")).expect("the database");
    database.execute_batch("INSERT INTO resolved VALUES ('b', 0, 'nonsense')").expect("a row");
    let all = vec![resolution("a", 1), resolution("b", 2), resolution("c", 3)];
    let results = store.resolve(all).await.expect("answers");
    let results: Vec<_> = results.into_iter().map(|result| result.map_err(|error| error.kind)).collect();
    let through = |place| Ok(PlaceSet::through(Place(place)));
    assert_eq!(results, [through(1), Err(StoreErrorKind::Corrupt), through(3)]);
}

#[tokio::test]
async fn a_log_that_is_trimmed_as_it_grows_takes_no_more_room() {
    const KEPT: u64 = 200;
    const ROUNDS: usize = 12;
    let folder = TempDir::new().expect("a folder");
    let registry = Arc::new(Registry::builtin());
    let store = super::super::Sqlite::open(opening(&folder, &registry)).expect("a store");
    let shape = Fixture::new("memory");
    let database = Connection::open(folder.path().join("data/carillon.db")).expect("the database");
    let before = user(&"x".repeat(2_000));
    store.commit(unit(1, vec![shape.create(key(USER, "a"), &before)])).await.expect("a user");
    let mut pages: Vec<i64> = Vec::new();
    for _ in 0..ROUNDS {
        let replaced = |_| {
            let mut change = shape.replace(key(USER, "a"), &before, &before);
            change.events[0].attributes = vec!["y".repeat(2_000)];
            unit(1, vec![change])
        };
        let results = store.commit_in_order((0..KEPT).map(replaced).collect(), None).await;
        assert!(results.len() == 200 && results.iter().all(Result::is_ok));
        let head = *store.wake().borrow();
        let trim = Trim { through: Place(head.saturating_sub(KEPT)), before: Timestamp(0), limit: 50 };
        let mut floor = store.read(Tenant(0), Place(0), 0).await.expect("the log").floor;
        while let gone @ 1.. = store.trim(floor, trim).await.expect("trimmed") {
            floor.0 += gone as u64;
        }
        pages.push(database.query_row("PRAGMA page_count", [], |row| row.get(0)).expect("a count"));
    }
    // Two rounds are there at most at a time: from then on each takes the room of the one that went.
    assert!(pages[ROUNDS - 1] <= pages[2] + 8, "{pages:?}");
    let kept: i64 = database.query_row("SELECT count(*) FROM event", [], |row| row.get(0)).expect("a count");
    assert_eq!(u64::try_from(kept), Ok(KEPT));
}

#[test]
fn how_many_units_a_commit_holds_is_counted() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let rendered = recorder.handle();
    let mut stage = Stage::new();
    let three =
        [stage.queue(vec![stage.user("1", "a")]), stage.queue(vec![stage.user("2", "b")]), stage.queue(vec![stage.user("3", "A")])];
    metrics::with_local_recorder(&recorder, || stage.run());
    // The empty unit that begins the batch counts, the one that failed does not.
    let text = rendered.render();
    assert!(text.contains("carillon_commit_batch_units_sum 3\n"), "{text}");
    assert!(text.contains("carillon_commit_batch_units_count 1\n"), "{text}");
    // What is no unit is not counted.
    let (answer, _secret) = oneshot::channel();
    let work = writer::Work::new(|connection| kept::secret(connection, "any", [7; 32]), || (), answer);
    metrics::with_local_recorder(&recorder, || assert!(stage.writer.batch(Job::Other(work))));
    assert!(rendered.render().contains("carillon_commit_batch_units_count 1\n"));
    drop(three);
}
