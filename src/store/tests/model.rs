//! Whatever is done to ledgers, each of them answers the same.

use super::Fixture;
use super::letters::letter;
use super::resolutions::stream;
use crate::base::clock::Timestamp;
use crate::base::id::Tenant;
use crate::store::ledger::{Life, PlaceSet, RecordChange, Resolution, Trim};
use crate::store::{Ledger, Place, Result};
use proptest::prelude::*;
use std::fmt::Debug;

/// What is done.
#[derive(Clone, Debug)]
enum Step {
    Event { tenant: u32, at: i64 },
    Trim { through: u64, before: i64, limit: usize },
    Write(Vec<RecordChange>),
    Resolve(Vec<Resolution>),
    Renew { stream: usize, change: RecordChange, life: Option<(u64, u64)> },
    TrimLetters { through: u64, before: i64, limit: usize },
    Read { tenant: u32, after: u64, limit: usize },
    PlaceBefore { tenant: u32, time: i64 },
    Kept { stream: usize, epoch: u64 },
    Letters { stream: usize, after: u64, limit: usize, retry_only: bool },
}

const STREAMS: [&str; 3] = ["a", "aa", "b"];

fn change() -> impl Strategy<Value = RecordChange> {
    let collection = prop_oneof![Just("stream"), Just("key")];
    let expected = prop_oneof![Just(None), (1u64..4).prop_map(Some)];
    let body = prop_oneof![3 => "[a-c]{1,2}".prop_map(Some), 1 => Just(None)];
    (collection, "[xy]", expected, body).prop_map(|(collection, id, expected, body)| RecordChange {
        collection,
        id,
        expected,
        body,
    })
}

fn resolution() -> impl Strategy<Value = Resolution> {
    let ranges = proptest::collection::vec((1u64..30, 0u64..4), 0..4);
    let dead = proptest::collection::vec((1u64..20, any::<bool>()), 0..3);
    let settled = proptest::collection::vec((1u64..20).prop_map(Place), 0..3);
    let (letters, change) = ((dead.clone(), dead, settled.clone(), settled), (0..STREAMS.len(), 0u64..3, 0u64..10));
    (change, ranges, letters).prop_map(|((which, epoch, cursor), ranges, (dead, changed, settled, retried))| {
        let mut places = PlaceSet::through(Place(cursor));
        for (first, more) in ranges {
            places.insert_range(Place(first), Place(first + more));
        }
        let letters = |all: Vec<(u64, bool)>| all.into_iter().map(|(place, retry)| letter(place, retry)).collect();
        let (dead, changed) = (letters(dead), letters(changed));
        Resolution { settled, changed, retried, dead, ..Resolution::of(stream(STREAMS[which]), epoch, places) }
    })
}

fn step() -> impl Strategy<Value = Step> {
    let (tenant, which) = (0u32..2, 0..STREAMS.len());
    prop_oneof![
        4 => (tenant.clone(), 0i64..50).prop_map(|(tenant, at)| Step::Event { tenant, at }),
        2 => (0u64..20, 0i64..50, 0usize..5).prop_map(|(through, before, limit)| Step::Trim { through, before, limit }),
        3 => proptest::collection::vec(change(), 0..4).prop_map(Step::Write),
        3 => proptest::collection::vec(resolution(), 0..4).prop_map(Step::Resolve),
        1 => (which.clone(), change(), proptest::option::of((0u64..3, 0u64..10)))
            .prop_map(|(stream, change, life)| Step::Renew { stream, change, life }),
        1 => (0u64..20, -9i64..9, 0usize..3).prop_map(|(through, before, limit)| Step::TrimLetters { through, before, limit }),
        3 => (tenant.clone(), 0u64..25, 0usize..6).prop_map(|(tenant, after, limit)| Step::Read { tenant, after, limit }),
        2 => (tenant, 0i64..55).prop_map(|(tenant, time)| Step::PlaceBefore { tenant, time }),
        2 => (which.clone(), 0u64..3).prop_map(|(stream, epoch)| Step::Kept { stream, epoch }),
        2 => (which, 0u64..20, 0usize..4, any::<bool>())
            .prop_map(|(stream, after, limit, retry_only)| Step::Letters { stream, after, limit, retry_only }),
    ]
}

/// An answer as text. Failures are compared by their kind.
fn told<T: Debug>(result: Result<T>) -> String {
    format!("{:?}", result.map_err(|error| error.kind))
}

/// Does a step and tells what was answered, and then what there is to see from outside.
async fn take(store: &Fixture, number: usize, step: &Step) -> String {
    let ledger: &dyn Ledger = store.backend.ledger.as_ref();
    let stream = |which: usize| stream(STREAMS[which]);
    match step.clone() {
        Step::Event { tenant, at } => {
            let head = *ledger.wake().borrow() + 1;
            store.happens(tenant, at, &format!("u{number}")).await;
            ledger.wake().wait_for(|place| *place >= head).await.expect("an open store");
            head.to_string()
        }
        Step::Trim { through, before, limit } => {
            let floor = ledger.read(Tenant(0), Place(0), 0).await.expect("the log").floor;
            told(ledger.trim(floor, Trim { through: Place(through), before: Timestamp(before), limit }).await)
        }
        Step::Write(changes) => {
            let written = told(ledger.write_records(changes).await);
            format!("{written} {} {}", told(ledger.records("stream").await), told(ledger.records("key").await))
        }
        Step::Resolve(resolutions) => {
            let results = ledger.resolve(resolutions).await.map(|results| results.into_iter().map(told).collect::<Vec<_>>());
            told(results)
        }
        Step::Renew { stream: which, change, life } => {
            let life = life.map(|(epoch, cursor)| Life { epoch, places: PlaceSet::through(Place(cursor)) });
            told(ledger.renew(vec![change], &stream(which), life).await)
        }
        Step::TrimLetters { through, before, limit } => {
            told(ledger.trim_letters(Trim { through: Place(through), before: Timestamp(before), limit }).await)
        }
        Step::Read { tenant, after, limit } => {
            let reading = ledger.read(Tenant(tenant), Place(after), limit).await.expect("the log");
            let events: Vec<_> =
                reading.events.iter().map(|logged| (logged.place, &logged.event.subject, logged.event.at)).collect();
            let mut found = Vec::new();
            for logged in &reading.events {
                found.push(told(ledger.place_of(Tenant(0), logged.event.id).await));
            }
            format!("{:?} {:?} {} {events:?} {found:?}", reading.floor, reading.through, reading.more)
        }
        Step::PlaceBefore { tenant, time } => told(ledger.place_before(Tenant(tenant), Timestamp(time)).await),
        Step::Kept { stream: which, epoch } => told(ledger.resolved(&stream(which), epoch).await),
        Step::Letters { stream: which, after, limit, retry_only } => {
            told(ledger.dead_letters(&stream(which), Place(after), limit, retry_only).await)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn ledgers_answer_alike(steps in proptest::collection::vec(step(), 1..40)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let (memory, sqlite) = (Fixture::new("memory"), Fixture::new("sqlite"));
            #[cfg(feature = "servers")]
            let (postgres, schema) = Fixture::on_a_server().await;
            for (number, step) in steps.iter().enumerate() {
                let expected = take(&memory, number, step).await;
                #[cfg(feature = "servers")]
                prop_assert_eq!(&take(&postgres, number, step).await, &expected, "{:?}", step);
                prop_assert_eq!(take(&sqlite, number, step).await, expected, "{:?}", step);
            }
            #[cfg(feature = "servers")]
            {
                drop(postgres);
                schema.drop().await;
            }
            Ok(())
        })?;
    }
}
