//! Records: compare-and-set, all or none, and the signal that they have changed.

use super::{Fixture, on_every_backend};
use crate::store::ledger::{Record, RecordChange};
use crate::store::{Ledger, Result, StoreErrorKind};
use std::task::{Context, Waker};
use std::time::Duration;

on_every_backend!(
    readers_of_records_are_woken_by_changes_alone,
    a_record_is_made_changed_and_removed_at_its_revision_alone,
    several_changes_are_made_together_or_not_at_all,
    changes_of_one_record_follow_each_other,
    collections_are_apart_and_in_the_order_of_ids,
    of_two_who_change_one_record_one_is_late,
    a_change_whose_asker_has_gone_wakes_readers_all_the_same,
);

fn change(id: &str, expected: Option<u64>, body: Option<&str>) -> RecordChange {
    RecordChange { collection: "stream", id: id.into(), expected, body: body.map(str::to_owned) }
}

fn record(id: &str, revision: u64, body: &str) -> Record {
    Record { id: id.into(), revision, body: body.into() }
}

/// Records as a database of an older version may hold them.
pub(crate) const OLDER: &str = "INSERT INTO record VALUES ('stream', 'a', 5, 'x'), ('stream', 'b', 2, 'x')";

/// Such a record goes on from its revision, and one that is made anew begins above all that have been.
pub(crate) async fn go_on_from_older(ledger: &dyn Ledger) {
    let as_they_were = vec![change("a", Some(5), Some("y")), change("b", Some(2), None)];
    ledger.write_records(as_they_were).await.expect("as they were");
    ledger.write_records(vec![change("b", None, Some("y"))]).await.expect("made anew");
    assert_eq!(ledger.records("stream").await.expect("records"), [record("a", 6, "y"), record("b", 8, "y")]);
}

async fn write(store: &Fixture, changes: Vec<RecordChange>) -> Result<(), StoreErrorKind> {
    store.backend.ledger.write_records(changes).await.map_err(|error| error.kind)
}

async fn records(store: &Fixture) -> Vec<Record> {
    store.backend.ledger.records("stream").await.expect("records")
}

async fn a_record_is_made_changed_and_removed_at_its_revision_alone(store: Fixture) {
    assert_eq!(write(&store, vec![change("a", None, Some("1"))]).await, Ok(()));
    assert_eq!(write(&store, vec![change("a", Some(1), Some("2"))]).await, Ok(()));
    assert_eq!(records(&store).await, [record("a", 2, "2")]);
    let late = [
        change("a", None, Some("x")),
        change("a", None, None),
        change("a", Some(1), Some("x")),
        change("a", Some(3), Some("x")),
        change("a", Some(1), None),
        change("b", Some(1), Some("x")),
        change("b", Some(1), None),
    ];
    for late in late {
        assert_eq!(write(&store, vec![late.clone()]).await, Err(StoreErrorKind::Stale), "{late:?}");
    }
    assert_eq!(records(&store).await, [record("a", 2, "2")]);
    assert_eq!(write(&store, vec![change("b", None, None), change("a", Some(2), None)]).await, Ok(()));
    assert_eq!(records(&store).await, []);
    // Who comes again has not been there before.
    assert_eq!(write(&store, vec![change("a", None, Some("3"))]).await, Ok(()));
    let again = records(&store).await;
    assert!(again[0].revision > 2, "{again:?}");
    for late in [change("a", Some(1), Some("x")), change("a", Some(2), Some("x")), change("a", Some(2), None)] {
        assert_eq!(write(&store, vec![late.clone()]).await, Err(StoreErrorKind::Stale), "{late:?}");
    }
    assert_eq!(records(&store).await, [record("a", again[0].revision, "3")]);
}

async fn several_changes_are_made_together_or_not_at_all(store: Fixture) {
    write(&store, vec![change("a", None, Some("1")), change("b", None, Some("1"))]).await.expect("two records");
    let changes = |revision| vec![change("a", Some(1), Some("2")), change("c", None, Some("1")), change("b", Some(revision), None)];
    assert_eq!(write(&store, changes(7)).await, Err(StoreErrorKind::Stale));
    assert_eq!(records(&store).await, [record("a", 1, "1"), record("b", 2, "1")]);
    assert_eq!(write(&store, changes(2)).await, Ok(()));
    assert_eq!(records(&store).await, [record("a", 2, "2"), record("c", 4, "1")]);
    assert_eq!(write(&store, vec![]).await, Ok(()));
}

async fn changes_of_one_record_follow_each_other(store: Fixture) {
    let changes = vec![change("a", None, Some("1")), change("a", Some(1), Some("2")), change("b", None, Some("1"))];
    write(&store, changes).await.expect("each finds what the one before it made");
    assert_eq!(records(&store).await, [record("a", 2, "2"), record("b", 3, "1")]);
    let again = vec![change("a", Some(2), None), change("a", None, None), change("a", None, Some("3")), change("b", Some(3), None)];
    write(&store, again).await.expect("removed and made again");
    assert_eq!(records(&store).await, [record("a", 6, "3")]);
    assert_eq!(write(&store, vec![change("a", Some(6), None), change("a", Some(6), None)]).await, Err(StoreErrorKind::Stale));
    assert_eq!(records(&store).await, [record("a", 6, "3")]);
}

async fn collections_are_apart_and_in_the_order_of_ids(store: Fixture) {
    let key = RecordChange { collection: "key", ..change("b", None, Some("k")) };
    let others = ["b", "a~", "B", "aa", "a"].map(|id| change(id, None, Some("s")));
    write(&store, others.into_iter().chain([key]).collect()).await.expect("records");
    let ids: Vec<String> = records(&store).await.into_iter().map(|record| record.id).collect();
    assert_eq!(ids, ["B", "a", "aa", "a~", "b"]);
    assert_eq!(store.backend.ledger.records("key").await.expect("records"), [record("b", 6, "k")]);
    assert_eq!(store.backend.ledger.records("other").await.expect("records"), []);
}

async fn of_two_who_change_one_record_one_is_late(store: Fixture) {
    write(&store, vec![change("a", None, Some("1"))]).await.expect("a record");
    let contenders = ["x", "y", "z"].map(|body| write(&store, vec![change("a", Some(1), Some(body))]));
    let mut results = futures_util::future::join_all(contenders).await;
    results.sort_by_key(Result::is_err);
    assert_eq!(results, [Ok(()), Err(StoreErrorKind::Stale), Err(StoreErrorKind::Stale)]);
    assert_eq!(records(&store).await[0].revision, 2);
}

async fn readers_of_records_are_woken_by_changes_alone(store: Fixture) {
    let mut changed = store.backend.ledger.records_changed();
    changed.mark_unchanged();
    write(&store, vec![change("a", None, Some("1"))]).await.expect("a record");
    assert!(changed.has_changed().expect("an open store"), "whoever is told of a change has been preceded by the signal");
    changed.mark_unchanged();
    write(&store, vec![change("a", None, Some("1"))]).await.expect_err("it is there already");
    store.given(&["a"], &[]).await;
    assert!(!changed.has_changed().expect("an open store"));
}

async fn a_change_whose_asker_has_gone_wakes_readers_all_the_same(store: Fixture) {
    let mut changed = store.backend.ledger.records_changed();
    changed.mark_unchanged();
    let ledger = &store.backend.ledger;
    let mut asking = Box::pin(ledger.write_records(vec![change("a", None, Some("1"))]));
    // It is asked for, and then nobody waits for the answer.
    let _ = asking.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    drop(asking);
    tokio::time::timeout(Duration::from_secs(10), changed.changed()).await.expect("in time").expect("an open store");
    assert_eq!(records(&store).await, [record("a", 1, "1")]);
}
