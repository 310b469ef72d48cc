//! How far each stream is, for whoever watches the server. It is read when it is asked for, not more often than once in a while.

use super::Delivery;
use super::stream::Stream;
use crate::base::clock::Timestamp;
use crate::base::id::{StreamId, Tenant};
use crate::base::limits;
use crate::scim::error::Result as Answer;
use crate::store::Result;
use crate::store::ledger::{Place, PlaceSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// What was seen of the log and of the streams at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observation {
    /// The last place of the log.
    pub head: Place,
    /// Events up to this place are no longer kept.
    pub floor: Place,
    /// How many streams there are.
    pub count: usize,
    /// The first [`limits::OBSERVED_STREAMS`] of them, by id.
    pub streams: Vec<ObservedStream>,
}

/// How far a stream is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObservedStream {
    /// Which stream.
    pub id: StreamId,
    /// How many places of the log are behind its cursor. What of them is not the stream's counts until it is passed over, which
    /// takes a second at most.
    pub lag_events: u64,
    /// The age of the oldest event that is not resolved, in milliseconds; 0 when every event is.
    pub lag_ms: u64,
    /// The same, where a dead letter counts too, from the time at which it was given up.
    pub oldest_ms: u64,
    /// How many dead letters it has.
    pub dead_letters: u64,
}

/// The last observation.
#[derive(Debug, Default)]
pub(super) struct Observed(Mutex<Option<(Instant, Arc<Observation>)>>);

impl Delivery {
    /// What there is to see now, or was at most [`limits::OBSERVE_MS`] ago. Whoever asks meanwhile waits for the one who looks. Fails
    /// when the ledger cannot be read.
    pub async fn observe(&self) -> Answer<Arc<Observation>> {
        let mut last = self.observed.0.lock().await;
        let is_fresh = |at: &Instant| at.elapsed() < Duration::from_millis(limits::OBSERVE_MS);
        if let Some((_, observation)) = last.as_ref().filter(|(at, _)| is_fresh(at)) {
            return Ok(Arc::clone(observation));
        }
        let observation = Arc::new(self.see().await.map_err(|error| error.answer())?);
        *last = Some((Instant::now(), Arc::clone(&observation)));
        Ok(observation)
    }

    async fn see(&self) -> Result<Observation> {
        let reached = Place(*self.ledger.wake().borrow());
        let end = self.ledger.read(Tenant(0), reached, 1).await?;
        let snapshot = self.streams.watch().borrow().clone();
        let mut streams = Vec::new();
        for stream in snapshot.values().take(limits::OBSERVED_STREAMS) {
            streams.push(self.see_stream(stream, end.through, end.floor).await?);
            // A read may be answered on this thread at once: others that work on it get their turn.
            tokio::task::yield_now().await;
        }
        Ok(Observation { head: end.through, floor: end.floor, count: snapshot.len(), streams })
    }

    async fn see_stream(&self, stream: &Stream, head: Place, floor: Place) -> Result<ObservedStream> {
        let now = self.clock.now();
        let age = |at: Timestamp| u64::try_from(now.0.saturating_sub(at.0)).unwrap_or_default();
        // In this order: what is kept in between is in the second.
        let mut resolved = self.persister.unkept(&stream.id, stream.epoch);
        let kept = self.ledger.resolved(&stream.id, stream.epoch).await?;
        resolved.merge(&kept.unwrap_or_else(|| PlaceSet::through(stream.start())));
        // A stream that is pushed now knows more than is noted; what is no longer kept is lost, and nothing to catch up with.
        let standing = self.pushing.standing(&stream.id);
        let cursor = standing.map_or(Place(0), |standing| standing.cursor).max(resolved.cursor()).max(floor);
        let oldest = match standing.and_then(|standing| standing.oldest) {
            Some(at) => Some(at),
            None => self.oldest_open(stream, &resolved, cursor, head).await?,
        };
        let lag_ms = oldest.map_or(0, age);
        let dead = self.ledger.dead_letters(&stream.id, Place(0), 1, false).await?;
        let oldest_dead = dead.letters.first().map_or(0, |letter| age(letter.at));
        Ok(ObservedStream {
            id: stream.id.clone(),
            lag_events: head.0.saturating_sub(cursor.0),
            lag_ms,
            oldest_ms: lag_ms.max(oldest_dead),
            dead_letters: dead.total,
        })
    }

    /// The time of the first event behind a cursor that is the stream's and not resolved. Where too many that are neither stand before
    /// it, the time of the last one that was looked at: the event is at most as old.
    async fn oldest_open(&self, stream: &Stream, resolved: &PlaceSet, cursor: Place, head: Place) -> Result<Option<Timestamp>> {
        if cursor >= head {
            return Ok(None);
        }
        let part = self.tail.read(cursor, limits::OBSERVED_EVENTS).await?;
        let is_open = |place: Place| !resolved.contains(place);
        let oldest = part.events.iter().find(|logged| is_open(logged.place) && self.renderer.wants(stream, &logged.event));
        let last = part.events.last().filter(|_| part.more);
        Ok(oldest.or(last).map(|logged| logged.event.at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;
    use crate::base::id::{EventId, TimeOrderedIds};
    use crate::base::secret::SystemEntropy;
    use crate::delivery::{Parts, Settings};
    use crate::store::ledger::{DeadLetter, RecordChange, Resolution};
    use crate::store::tests::fixture::{USER, unit};
    use crate::store::tests::{Fixture, key, user};
    use serde_json::json;
    use uuid::Uuid;

    #[derive(Debug)]
    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> Timestamp {
            Timestamp(10_000)
        }
    }

    /// Three users, made at 1, 2 and 3 seconds, and streams called by these names, whatever else they are.
    async fn house(fixture: &Fixture, streams: &[(&str, serde_json::Value)]) -> Delivery {
        for (at, name) in [(1_000, "ann"), (2_000, "bob"), (3_000, "cid")] {
            let created = fixture.create(key(USER, name), &user(name));
            fixture.backend.store.commit(unit(at, vec![created])).await.expect("committed");
        }
        fixture.settled().await;
        let record = |(id, more): &(&str, serde_json::Value)| {
            let mut stream = json!({
                "tenant": 0, "owner": "ann", "origin": "request", "feeds": ["default"], "method": {"method": "poll"},
                "status": "enabled", "start": 0, "created": 0,
            });
            stream.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
            RecordChange { collection: "stream", id: (*id).to_owned(), expected: None, body: Some(stream.to_string()) }
        };
        fixture.backend.ledger.write_records(streams.iter().map(record).collect()).await.expect("written");
        let delivery = Delivery::new(Parts {
            ledger: Arc::clone(&fixture.backend.ledger),
            registry: Arc::clone(&fixture.registry),
            clock: Arc::new(Noon),
            ids: Arc::new(TimeOrderedIds),
            entropy: Arc::new(SystemEntropy),
            settings: Settings::default(),
        });
        delivery.streams.load().await.expect("read");
        delivery
    }

    fn id(name: &str) -> StreamId {
        StreamId::parse(name).expect("an id")
    }

    async fn a_stream_is_behind_by_what_is_its_own(fixture: Fixture) {
        let streams = [
            ("begins", json!({})),
            ("later", json!({"start": 2})),
            ("groups", json!({"resource_types": ["Group"]})),
            ("sparse", json!({})),
        ];
        let delivery = house(&fixture, &streams).await;
        let places = "0 2".parse().expect("places");
        let resolution = Resolution::of(id("sparse"), 0, places);
        fixture.backend.ledger.resolve(vec![resolution]).await.expect("kept").remove(0).expect("kept");
        let observed = |name: &str, lag_events, lag_ms| ObservedStream {
            id: id(name),
            lag_events,
            lag_ms,
            oldest_ms: lag_ms,
            dead_letters: 0,
        };
        let expected = Observation {
            head: Place(3),
            floor: Place(0),
            count: 4,
            streams: vec![
                observed("begins", 3, 9_000),
                observed("groups", 3, 0),
                observed("later", 1, 7_000),
                observed("sparse", 3, 9_000),
            ],
        };
        assert_eq!(*delivery.observe().await.expect("seen"), expected);
    }

    async fn a_dead_letter_is_behind_nothing_and_ages(fixture: Fixture) {
        let delivery = house(&fixture, &[("a", json!({"epoch": 2}))]).await;
        let letter = DeadLetter {
            place: Place(2),
            event: EventId(Uuid::nil()),
            at: Timestamp(4_000),
            attempts: 1,
            status: Some(400),
            error: "invalid_key".into(),
            description: None,
            retry: false,
        };
        let resolution = Resolution { dead: vec![letter], ..Resolution::of(id("a"), 2, PlaceSet::through(Place(3))) };
        fixture.backend.ledger.resolve(vec![resolution]).await.expect("kept").remove(0).expect("kept");
        let seen = delivery.observe().await.expect("seen");
        let expected = ObservedStream { id: id("a"), lag_events: 0, lag_ms: 0, oldest_ms: 6_000, dead_letters: 1 };
        assert_eq!(seen.streams, [expected]);
    }

    crate::store::tests::on_every_backend!(a_stream_is_behind_by_what_is_its_own, a_dead_letter_is_behind_nothing_and_ages);
}
