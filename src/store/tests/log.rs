//! The log: reading it part by part, and taking its beginning away.

use super::fixture::{USER, unit};
use super::{Fixture, key, on_every_backend, user};
use crate::base::clock::Timestamp;
use crate::base::id::Tenant;
use crate::base::limits;
use crate::store::ledger::Trim;
use crate::store::{Place, Reading};

on_every_backend!(
    a_reading_ends_early_when_it_is_large,
    a_reading_tells_how_far_it_went_and_whether_there_is_more,
    events_of_others_at_the_end_are_read_past,
    the_log_is_trimmed_by_place,
    the_log_is_trimmed_by_age_up_to_the_first_that_is_young,
    a_trim_takes_so_many_at_most,
    a_trimmed_log_goes_on_with_the_next_place,
    what_is_trimmed_is_of_every_tenant,
    a_time_is_found_in_the_log,
);

const LONG_AGO: Timestamp = Timestamp(i64::MIN);

/// The floor, how far it went, whether there is more, and the places.
fn told(reading: &Reading) -> (u64, u64, bool, Vec<u64>) {
    (reading.floor.0, reading.through.0, reading.more, reading.events.iter().map(|logged| logged.place.0).collect())
}

async fn read(store: &Fixture, tenant: u32, after: u64, limit: usize) -> (u64, u64, bool, Vec<u64>) {
    told(&store.backend.ledger.read(Tenant(tenant), Place(after), limit).await.expect("the log"))
}

async fn trim(store: &Fixture, through: u64, before: Timestamp, limit: usize) -> usize {
    let ledger = &store.backend.ledger;
    let floor = ledger.read(Tenant(0), Place(0), 0).await.expect("the log").floor;
    let trim = Trim { through: Place(through), before, limit };
    // Who thinks that it begins elsewhere takes nothing.
    for other in [floor.0 + 1, floor.0.wrapping_sub(1)] {
        assert_eq!(ledger.trim(Place(other), trim).await.expect("an answer"), 0, "{other} is not {floor:?}");
    }
    ledger.trim(floor, trim).await.expect("trimmed")
}

/// Events 1, 2, … of the first tenant at these times.
async fn events(store: &Fixture, times: &[i64]) {
    for (number, at) in times.iter().enumerate() {
        store.happens(0, *at, &format!("u{number}")).await;
    }
}

async fn a_reading_tells_how_far_it_went_and_whether_there_is_more(store: Fixture) {
    assert_eq!(read(&store, 0, 0, 10).await, (0, 0, false, vec![]));
    events(&store, &[1, 2, 3]).await;
    assert_eq!(read(&store, 0, 0, 2).await, (0, 2, true, vec![1, 2]));
    assert_eq!(read(&store, 0, 2, 2).await, (0, 3, false, vec![3]));
    assert_eq!(read(&store, 0, 0, 3).await, (0, 3, false, vec![1, 2, 3]));
    assert_eq!(read(&store, 0, 3, 3).await, (0, 3, false, vec![]));
    assert_eq!(read(&store, 0, 1, 0).await, (0, 1, true, vec![]));
    assert_eq!(read(&store, 0, 3, 0).await, (0, 3, false, vec![]));
    assert_eq!(read(&store, 0, 9, 3).await, (0, 9, false, vec![]));
    assert_eq!(read(&store, 0, 0, usize::MAX).await, (0, 3, false, vec![1, 2, 3]));
}

/// I5
async fn events_of_others_at_the_end_are_read_past(store: Fixture) {
    for (tenant, id) in [(0, "a"), (1, "b"), (0, "c"), (1, "d"), (1, "e")] {
        store.happens(tenant, 1, id).await;
    }
    // The signal may come after the answer to the last commit.
    let mut wake = store.backend.ledger.wake();
    wake.wait_for(|place| *place == 5).await.expect("an open store");
    assert_eq!(read(&store, 0, 0, 10).await, (0, 5, false, vec![1, 3]));
    assert_eq!(read(&store, 0, 0, 2).await, (0, 5, false, vec![1, 3]));
    assert_eq!(read(&store, 0, 0, 1).await, (0, 1, true, vec![1]));
    assert_eq!(read(&store, 0, 3, 1).await, (0, 5, false, vec![]));
    assert_eq!(read(&store, 1, 0, 3).await, (0, 5, false, vec![2, 4, 5]));
    assert_eq!(read(&store, 2, 0, 3).await, (0, 5, false, vec![]));
}

async fn a_reading_ends_early_when_it_is_large(store: Fixture) {
    let third = limits::LOG_PAGE_BYTES / 3;
    for number in 0..4 {
        let id = format!("u{number}");
        let mut change = store.create(key(USER, &id), &user(&id));
        change.events[0].attributes = vec!["x".repeat(third)];
        store.backend.store.commit(unit(1, vec![change])).await.expect("an event");
    }
    store.backend.ledger.wake().wait_for(|place| *place == 4).await.expect("an open store");
    assert_eq!(read(&store, 0, 0, 10).await, (0, 3, true, vec![1, 2, 3]));
    assert_eq!(read(&store, 0, 0, 3).await, (0, 3, true, vec![1, 2, 3]));
    assert_eq!(read(&store, 0, 1, 10).await, (0, 4, false, vec![2, 3, 4]));
    assert_eq!(read(&store, 0, 3, 10).await, (0, 4, false, vec![4]));
}

async fn the_log_is_trimmed_by_place(store: Fixture) {
    events(&store, &[1, 2, 3, 4, 5]).await;
    let ids: Vec<_> = store.log().await.into_iter().map(|logged| logged.event.id).collect();
    assert_eq!(trim(&store, 0, LONG_AGO, 10).await, 0);
    assert_eq!(read(&store, 0, 0, 2).await, (0, 2, true, vec![1, 2]));
    assert_eq!(trim(&store, 2, LONG_AGO, 10).await, 2);
    assert_eq!(trim(&store, 2, LONG_AGO, 10).await, 0);
    // Floor and events are those of one moment, wherever the reader stands.
    assert_eq!(read(&store, 0, 0, 2).await, (2, 4, true, vec![3, 4]));
    assert_eq!(read(&store, 0, 2, 2).await, (2, 4, true, vec![3, 4]));
    assert_eq!(read(&store, 0, 4, 2).await, (2, 5, false, vec![5]));
    let ledger = &store.backend.ledger;
    for (id, place) in ids.iter().zip([None, None, Some(Place(3)), Some(Place(4)), Some(Place(5))]) {
        assert_eq!(ledger.place_of(Tenant(0), *id).await.expect("a place"), place);
    }
    assert_eq!(trim(&store, u64::MAX, LONG_AGO, 10).await, 3);
    assert_eq!(read(&store, 0, 0, 2).await, (5, 5, false, vec![]));
}

async fn the_log_is_trimmed_by_age_up_to_the_first_that_is_young(store: Fixture) {
    // The clock went back before the fourth, and on before the third.
    events(&store, &[10, 20, 50, 5, 60]).await;
    assert_eq!(trim(&store, 0, Timestamp(10), 10).await, 0);
    assert_eq!(trim(&store, 0, Timestamp(21), 10).await, 2);
    assert_eq!(read(&store, 0, 0, 9).await, (2, 5, false, vec![3, 4, 5]));
    assert_eq!(trim(&store, 0, Timestamp(21), 10).await, 0);
    // Either reason is enough: the third goes by its place, the fourth by its age.
    assert_eq!(trim(&store, 3, Timestamp(21), 10).await, 2);
    assert_eq!(read(&store, 0, 0, 9).await, (4, 5, false, vec![5]));
    assert_eq!(trim(&store, 0, Timestamp(i64::MAX), 10).await, 1);
}

async fn a_trim_takes_so_many_at_most(store: Fixture) {
    events(&store, &[1, 2, 3, 4, 5]).await;
    assert_eq!(trim(&store, 5, Timestamp(9), 0).await, 0);
    assert_eq!(trim(&store, 4, Timestamp(0), 3).await, 3);
    assert_eq!(read(&store, 0, 0, 9).await, (3, 5, false, vec![4, 5]));
    assert_eq!(trim(&store, 4, Timestamp(0), 3).await, 1);
    assert_eq!(trim(&store, 4, Timestamp(0), 3).await, 0);
}

async fn a_trimmed_log_goes_on_with_the_next_place(store: Fixture) {
    events(&store, &[1, 2, 3]).await;
    trim(&store, 3, LONG_AGO, 10).await;
    store.happens(0, 4, "a").await;
    assert_eq!(read(&store, 0, 0, 9).await, (3, 4, false, vec![4]));
    // A unit that fails takes no place.
    assert!(store.commit(vec![store.create(key(USER, "b"), &user("a"))]).await.is_err());
    store.happens(0, 5, "c").await;
    assert_eq!(read(&store, 0, 0, 9).await, (3, 5, false, vec![4, 5]));
}

async fn what_is_trimmed_is_of_every_tenant(store: Fixture) {
    for (tenant, at, id) in [(0, 1, "a"), (1, 1, "b"), (0, 9, "c"), (1, 2, "d")] {
        store.happens(tenant, at, id).await;
    }
    assert_eq!(trim(&store, 0, Timestamp(5), 10).await, 2);
    assert_eq!(read(&store, 1, 0, 9).await, (2, 4, false, vec![4]));
}

async fn a_time_is_found_in_the_log(store: Fixture) {
    let ledger = &store.backend.ledger;
    assert_eq!(ledger.place_before(Tenant(0), Timestamp(0)).await.expect("a place"), Place(0));
    events(&store, &[10, 20, 20, 5, 30]).await;
    store.happens(1, 15, "other").await;
    ledger.wake().wait_for(|place| *place == 6).await.expect("an open store");
    let cases = [(i64::MIN, 0), (10, 0), (11, 1), (20, 1), (21, 4), (30, 4), (31, 6), (i64::MAX, 6)];
    for (at, place) in cases {
        assert_eq!(ledger.place_before(Tenant(0), Timestamp(at)).await.expect("a place"), Place(place), "{at}");
    }
    trim(&store, 3, LONG_AGO, 10).await;
    for (at, place) in [(0, 3), (5, 3), (6, 4), (31, 6)] {
        assert_eq!(ledger.place_before(Tenant(0), Timestamp(at)).await.expect("a place"), Place(place), "{at}");
    }
    assert_eq!(ledger.place_before(Tenant(1), Timestamp(0)).await.expect("a place"), Place(5));
    trim(&store, 6, LONG_AGO, 10).await;
    assert_eq!(ledger.place_before(Tenant(0), Timestamp(0)).await.expect("a place"), Place(6));
}

/// I2
#[tokio::test]
async fn a_trimmed_log_survives_reopening() {
    let store = Fixture::new("sqlite");
    events(&store, &[1, 2, 3]).await;
    trim(&store, 2, LONG_AGO, 10).await;
    let store = store.reopened();
    assert_eq!(read(&store, 0, 0, 9).await, (2, 3, false, vec![3]));
    trim(&store, 3, LONG_AGO, 10).await;
    let store = store.reopened();
    assert_eq!(read(&store, 0, 0, 9).await, (3, 3, false, vec![]));
    assert_eq!(*store.backend.ledger.wake().borrow(), 3);
    store.happens(0, 1, "a").await;
    assert_eq!(read(&store, 0, 0, 9).await, (3, 4, false, vec![4]));
}
