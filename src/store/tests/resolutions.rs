//! What streams have resolved: places that only grow, lives that follow each other.

use super::letters::letter;
use super::{Fixture, on_every_backend};
use crate::base::id::StreamId;
use crate::store::ledger::{Life, PlaceSet, RecordChange, Resolution};
use crate::store::{Place, Result, StoreErrorKind};

on_every_backend!(
    places_of_two_writers_are_merged_in_any_order,
    many_are_asked_for_at_once_in_any_order,
    a_newer_life_replaces_the_places_of_an_older_one,
    one_that_is_late_leaves_the_others_alone,
    resolutions_of_one_stream_in_one_call_follow_each_other,
    a_stream_that_is_no_more_leaves_nothing,
    a_stream_begins_a_life_with_its_record_or_not_at_all,
);

pub(super) fn stream(name: &str) -> StreamId {
    StreamId::parse(name).expect("a stream's id")
}

pub(super) fn places(text: &str) -> PlaceSet {
    text.parse().expect("places")
}

fn resolution(name: &str, epoch: u64, text: &str) -> Resolution {
    Resolution::of(stream(name), epoch, places(text))
}

async fn resolve(store: &Fixture, resolutions: Vec<Resolution>) -> Vec<Result<String, StoreErrorKind>> {
    let results = store.backend.ledger.resolve(resolutions).await.expect("answers");
    results.into_iter().map(|result| result.map(|places| places.to_string()).map_err(|error| error.kind)).collect()
}

async fn kept(store: &Fixture, name: &str, epoch: u64) -> Option<String> {
    let kept = store.backend.ledger.resolved(&stream(name), epoch).await.expect("places");
    kept.map(|places| places.to_string())
}

/// I5
async fn places_of_two_writers_are_merged_in_any_order(store: Fixture) {
    let parts = ["3", "0 5-6", "1 9", "0 4"];
    let orders = [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]];
    for (number, order) in orders.iter().enumerate() {
        let name = format!("s{number}");
        assert_eq!(kept(&store, &name, 0).await, None);
        for part in order {
            assert!(resolve(&store, vec![resolution(&name, 0, parts[*part])]).await[0].is_ok());
        }
        assert_eq!(kept(&store, &name, 0).await.as_deref(), Some("6 9"), "{order:?}");
        // No cursor goes back.
        assert_eq!(resolve(&store, vec![resolution(&name, 0, "0")]).await, [Ok("6 9".to_owned())]);
    }
}

async fn many_are_asked_for_at_once_in_any_order(store: Fixture) {
    resolve(&store, vec![resolution("a", 0, "3"), resolution("b", 2, "1 4"), resolution("c", 1, "7")]).await;
    let lives = [("c", 1), ("nobody", 0), ("b", 2), ("b", 1), ("a", 0), ("c", 1)].map(|(name, epoch)| (stream(name), epoch));
    let all = store.backend.ledger.resolved_of(&lives).await.expect("an answer");
    let all: Vec<Option<String>> = all.into_iter().map(|one| one.expect("places").map(|places| places.to_string())).collect();
    let expected = [Some("7"), None, Some("1 4"), None, Some("3"), Some("7")];
    assert_eq!(all.iter().map(Option::as_deref).collect::<Vec<_>>(), expected);
    assert!(store.backend.ledger.resolved_of(&[]).await.expect("an answer").is_empty());
}

async fn a_newer_life_replaces_the_places_of_an_older_one(store: Fixture) {
    assert_eq!(resolve(&store, vec![resolution("a", 1, "8 10")]).await, [Ok("8 10".to_owned())]);
    assert_eq!(resolve(&store, vec![resolution("a", 3, "2")]).await, [Ok("2".to_owned())]);
    assert_eq!(
        (kept(&store, "a", 1).await, kept(&store, "a", 3).await, kept(&store, "a", 4).await),
        (None, Some("2".into()), None)
    );
    for epoch in [0, 1, 2] {
        assert_eq!(resolve(&store, vec![resolution("a", epoch, "9")]).await, [Err(StoreErrorKind::Stale)]);
    }
    assert_eq!(kept(&store, "a", 3).await.as_deref(), Some("2"));
}

async fn one_that_is_late_leaves_the_others_alone(store: Fixture) {
    resolve(&store, vec![resolution("b", 2, "1")]).await;
    let results = resolve(&store, vec![resolution("a", 0, "1"), resolution("b", 1, "5"), resolution("c", 0, "3")]).await;
    assert_eq!(results, [Ok("1".to_owned()), Err(StoreErrorKind::Stale), Ok("3".to_owned())]);
    assert_eq!(kept(&store, "a", 0).await.as_deref(), Some("1"));
    assert_eq!(kept(&store, "b", 2).await.as_deref(), Some("1"));
    assert_eq!(kept(&store, "c", 0).await.as_deref(), Some("3"));
    assert_eq!(resolve(&store, vec![]).await, []);
}

async fn resolutions_of_one_stream_in_one_call_follow_each_other(store: Fixture) {
    let all = vec![resolution("a", 0, "2"), resolution("a", 0, "0 4"), resolution("a", 1, "1"), resolution("a", 0, "9")];
    let expected = [Ok("2".to_owned()), Ok("2 4".to_owned()), Ok("1".to_owned()), Err(StoreErrorKind::Stale)];
    assert_eq!(resolve(&store, all).await, expected);
}

async fn a_stream_that_is_no_more_leaves_nothing(store: Fixture) {
    resolve(&store, vec![resolution("a", 4, "2"), resolution("aa", 0, "3")]).await;
    let ledger = &store.backend.ledger;
    ledger.renew(vec![], &stream("a"), None).await.expect("forgotten");
    ledger.renew(vec![], &stream("never"), None).await.expect("nothing to forget");
    assert_eq!((kept(&store, "a", 4).await, kept(&store, "aa", 0).await), (None, Some("3".into())));
    // One of the same name begins anew, in any life.
    assert_eq!(resolve(&store, vec![resolution("a", 0, "1")]).await, [Ok("1".to_owned())]);
}

async fn a_stream_begins_a_life_with_its_record_or_not_at_all(store: Fixture) {
    let ledger = &store.backend.ledger;
    let record = |expected: Option<u64>, body: Option<&str>| {
        vec![RecordChange { collection: "stream", id: "a".into(), expected, body: body.map(str::to_owned) }]
    };
    let refused = Resolution { dead: vec![letter(5, false)], ..resolution("a", 7, "5") };
    resolve(&store, vec![refused.clone()]).await;
    let left = async || {
        let letters = ledger.dead_letters(&stream("a"), Place(0), 9, false).await.expect("letters").total;
        (kept(&store, "a", 7).await, kept(&store, "a", 9).await, letters)
    };
    let life = |epoch, text| Some(Life { epoch, places: places(text) });
    ledger.renew(record(None, Some("1")), &stream("a"), life(9, "3")).await.expect("begun");
    assert_eq!(left().await, (None, Some("3".into()), 0));
    assert_eq!(ledger.records("stream").await.expect("records").len(), 1);
    // What comes of the life before is late.
    assert_eq!(resolve(&store, vec![refused]).await, [Err(StoreErrorKind::Stale)]);
    let again = Resolution { dead: vec![letter(4, false)], ..resolution("a", 9, "4") };
    assert_eq!(resolve(&store, vec![again]).await, [Ok("4".to_owned())]);
    assert_eq!(left().await, (None, Some("4".into()), 1));
    // A second maker, one who thinks that it is no more, and one who removes what it does not know leave it alone.
    for (changes, life) in [
        (record(None, Some("2")), life(11, "0")),
        (record(None, None), None),
        (record(Some(2), None), None),
        ([record(Some(1), None), record(Some(1), None)].concat(), None),
    ] {
        let late = ledger.renew(changes, &stream("a"), life).await.map_err(|error| error.kind);
        assert_eq!((late, left().await), (Err(StoreErrorKind::Stale), (None, Some("4".into()), 1)));
    }
    ledger.renew(record(Some(1), None), &stream("a"), None).await.expect("ended");
    assert_eq!(left().await, (None, None, 0));
    assert_eq!(ledger.records("stream").await.expect("records"), []);
}
