//! Dead letters: in the order of places, counted, changed, settled.

use super::resolutions::{places, stream};
use super::{Fixture, on_every_backend};
use crate::base::clock::Timestamp;
use crate::base::id::EventId;
use crate::store::ledger::{DeadLetter, DeadLetters, Resolution, Trim};
use crate::store::{Place, StoreErrorKind};
use uuid::Uuid;

on_every_backend!(
    letters_are_read_in_the_order_of_places_and_counted,
    a_letter_that_dies_again_is_one_letter,
    letters_that_are_settled_are_gone,
    a_letter_that_is_settled_is_neither_changed_nor_marked,
    what_comes_late_changes_no_letter,
    letters_go_by_place_or_by_age,
    the_letters_of_a_stream_are_its_own,
);

pub(super) fn letter(place: u64, retry: bool) -> DeadLetter {
    DeadLetter {
        place: Place(place),
        event: EventId(Uuid::from_u128(u128::from(place))),
        at: Timestamp(-5),
        attempts: 3,
        status: Some(400),
        error: "invalid_request".into(),
        description: Some("no \u{0} good".into()),
        retry,
    }
}

fn dead(name: &str, epoch: u64, dead: Vec<DeadLetter>, settled: &[u64]) -> Resolution {
    let settled = settled.iter().copied().map(Place).collect();
    Resolution { settled, dead, ..Resolution::of(stream(name), epoch, places("0")) }
}

async fn keep(store: &Fixture, resolution: Resolution) -> Result<(), StoreErrorKind> {
    let mut results = store.backend.ledger.resolve(vec![resolution]).await.expect("an answer");
    results.remove(0).map(drop).map_err(|error| error.kind)
}

async fn letters(store: &Fixture, name: &str, after: u64, limit: usize, retry_only: bool) -> (u64, Vec<u64>) {
    let found = store.backend.ledger.dead_letters(&stream(name), Place(after), limit, retry_only).await.expect("letters");
    (found.total, found.letters.into_iter().map(|letter| letter.place.0).collect())
}

async fn letters_are_read_in_the_order_of_places_and_counted(store: Fixture) {
    assert_eq!(letters(&store, "a", 0, 10, false).await, (0, vec![]));
    keep(&store, dead("a", 0, [300, 7, 20].map(|place| letter(place, place == 20)).into(), &[])).await.expect("kept");
    assert_eq!(letters(&store, "a", 0, 10, false).await, (3, vec![7, 20, 300]));
    assert_eq!(letters(&store, "a", 7, 1, false).await, (3, vec![20]));
    assert_eq!(letters(&store, "a", 300, 10, false).await, (3, vec![]));
    assert_eq!(letters(&store, "a", 0, 0, false).await, (3, vec![]));
    assert_eq!(letters(&store, "a", 0, 10, true).await, (1, vec![20]));
    assert_eq!(letters(&store, "a", 20, 10, true).await, (1, vec![]));
    let found = store.backend.ledger.dead_letters(&stream("a"), Place(0), 1, false).await.expect("letters");
    assert_eq!(found, DeadLetters { total: 3, letters: vec![letter(7, false)] });
}

async fn a_letter_that_dies_again_is_one_letter(store: Fixture) {
    keep(&store, dead("a", 0, vec![letter(7, false)], &[])).await.expect("kept");
    let again = DeadLetter { attempts: 9, status: None, description: None, error: "dropped".into(), ..letter(7, true) };
    keep(&store, dead("a", 0, vec![letter(7, true), again.clone()], &[])).await.expect("kept");
    let found = store.backend.ledger.dead_letters(&stream("a"), Place(0), 10, true).await.expect("letters");
    assert_eq!(found, DeadLetters { total: 1, letters: vec![again] });
}

async fn letters_that_are_settled_are_gone(store: Fixture) {
    keep(&store, dead("a", 0, vec![letter(1, true), letter(2, false), letter(3, true)], &[])).await.expect("kept");
    keep(&store, dead("a", 0, vec![], &[1, 2, 99])).await.expect("kept");
    assert_eq!(letters(&store, "a", 0, 10, false).await, (1, vec![3]));
    // One that was delivered and has died anew in the meantime is a letter.
    keep(&store, dead("a", 0, vec![letter(3, false)], &[3])).await.expect("kept");
    assert_eq!(letters(&store, "a", 0, 10, false).await, (1, vec![3]));
    assert_eq!(letters(&store, "a", 0, 10, true).await, (0, vec![]));
}

async fn a_letter_that_is_settled_is_neither_changed_nor_marked(store: Fixture) {
    keep(&store, dead("a", 0, vec![letter(1, false), letter(2, false)], &[])).await.expect("kept");
    keep(&store, dead("a", 0, vec![], &[1])).await.expect("kept");
    let changed = [1, 2, 3].map(|place| DeadLetter { attempts: 4, ..letter(place, false) });
    let some = Resolution { changed: changed.to_vec(), retried: vec![Place(1), Place(3)], ..dead("a", 0, vec![], &[]) };
    keep(&store, some).await.expect("kept");
    assert_eq!(letters(&store, "a", 0, 10, false).await, (1, vec![2]));
    assert_eq!(letters(&store, "a", 0, 10, true).await, (0, vec![]));
    // In one call what is settled goes first, and what is new comes last.
    let all = Resolution {
        settled: vec![Place(2)],
        changed: vec![letter(2, false)],
        retried: vec![Place(2), Place(4)],
        ..dead("a", 0, vec![letter(4, false), letter(5, false)], &[])
    };
    keep(&store, all).await.expect("kept");
    let marked = Resolution { retried: vec![Place(5)], ..dead("a", 0, vec![], &[]) };
    keep(&store, marked).await.expect("kept");
    let found = store.backend.ledger.dead_letters(&stream("a"), Place(0), 9, false).await.expect("letters");
    assert_eq!(found, DeadLetters { total: 2, letters: vec![letter(4, false), letter(5, true)] });
}

async fn letters_go_by_place_or_by_age(store: Fixture) {
    let at = |place: u64, at: i64| DeadLetter { at: Timestamp(at), ..letter(place, false) };
    keep(&store, dead("a", 0, vec![at(1, 50), at(5, 10), at(9, 50)], &[])).await.expect("kept");
    keep(&store, dead("b", 0, vec![at(2, 9), at(3, 50), at(7, 10)], &[])).await.expect("kept");
    let trim = async |through, before, limit| {
        let trim = Trim { through: Place(through), before: Timestamp(before), limit };
        let trimmed = store.backend.ledger.trim_letters(trim).await.expect("trimmed");
        (trimmed, letters(&store, "a", 0, 9, false).await.1, letters(&store, "b", 0, 9, false).await.1)
    };
    assert_eq!(trim(0, 9, 9).await, (0, vec![1, 5, 9], vec![2, 3, 7]));
    assert_eq!(trim(9, 99, 0).await, (0, vec![1, 5, 9], vec![2, 3, 7]));
    assert_eq!(trim(2, 9, 9).await, (2, vec![5, 9], vec![3, 7]));
    assert_eq!(trim(0, 11, 9).await, (2, vec![9], vec![3]));
    // No more at a time than asked for, whatever the stream.
    let (trimmed, a, b) = trim(9, 99, 1).await;
    assert_eq!((trimmed, a.len() + b.len()), (1, 1));
    assert_eq!(trim(9, 99, 9).await, (1, vec![], vec![]));
}

async fn what_comes_late_changes_no_letter(store: Fixture) {
    keep(&store, dead("a", 2, vec![letter(1, false)], &[])).await.expect("kept");
    assert_eq!(keep(&store, dead("a", 1, vec![letter(2, false)], &[1])).await, Err(StoreErrorKind::Stale));
    assert_eq!(letters(&store, "a", 0, 10, false).await, (1, vec![1]));
    // The letters of an older life stay: what was refused then is refused still.
    keep(&store, dead("a", 3, vec![letter(4, false)], &[])).await.expect("kept");
    assert_eq!(letters(&store, "a", 0, 10, false).await, (2, vec![1, 4]));
}

async fn the_letters_of_a_stream_are_its_own(store: Fixture) {
    for name in ["a", "aa", "b"] {
        keep(&store, dead(name, 0, vec![letter(1, false), letter(2, false)], &[])).await.expect("kept");
    }
    keep(&store, dead("aa", 0, vec![], &[1])).await.expect("kept");
    store.backend.ledger.renew(vec![], &stream("a"), None).await.expect("forgotten");
    assert_eq!(letters(&store, "a", 0, 10, false).await, (0, vec![]));
    assert_eq!(letters(&store, "aa", 0, 10, false).await, (1, vec![2]));
    assert_eq!(letters(&store, "b", 0, 10, false).await, (2, vec![1, 2]));
}
