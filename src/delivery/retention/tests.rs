//! Retention: what goes, and what becomes of the streams that have not read it.

use super::*;
use crate::auth::{Caller, Scopes};
use crate::base::clock::Clock;
use crate::base::id::TimeOrderedIds;
use crate::base::secret::SystemEntropy;
use crate::delivery::Parts;
use crate::scim::error::{Error, ErrorKind};
use crate::store::ledger::DeadLetter;
use crate::store::tests::fixture::{GROUP, USER};
use crate::store::tests::{Fixture, group, key, on_every_backend, user};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

mod nodes;

on_every_backend!(
    the_newest_events_are_kept,
    events_go_by_the_clock_and_nothing_else,
    many_events_go_in_steps,
    a_stream_that_loses_events_is_disabled_with_its_gap,
    streams_that_an_event_does_not_concern_lose_nothing,
    what_a_stream_has_resolved_is_not_lost,
    a_gap_that_was_not_recorded_is_found,
    the_gap_of_a_disabled_stream_grows_now_and_then,
    an_implicit_stream_that_nobody_misses_is_removed,
    the_log_is_kept_within_its_bounds_while_delivery_runs,
    dead_letters_go_with_the_bounds_of_events,
);

/// A clock that a test sets.
#[derive(Debug, Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

struct House {
    delivery: Arc<Delivery>,
    clock: Arc<Hand>,
    store: Fixture,
    looks: Looks,
    /// How many events there have been.
    head: AtomicU64,
}

fn assemble(store: &Fixture, clock: &Arc<Hand>, retention: Retention) -> Arc<Delivery> {
    assemble_over(Arc::clone(&store.backend.ledger), store, clock, retention)
}

fn assemble_over(ledger: Arc<dyn crate::store::Ledger>, store: &Fixture, clock: &Arc<Hand>, retention: Retention) -> Arc<Delivery> {
    Arc::new(Delivery::new(Parts {
        ledger,
        registry: Arc::clone(&store.backend.registry),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        ids: Arc::new(TimeOrderedIds),
        entropy: Arc::new(SystemEntropy),
        settings: Settings { retention, ..Settings::default() },
    }))
}

const FOR_EVER_MS: u64 = i64::MAX.unsigned_abs();

impl House {
    fn new(store: Fixture, events: u64, age_ms: u64) -> Self {
        let clock = Arc::new(Hand::default());
        let delivery = assemble(&store, &clock, Retention { events, age_ms });
        Self { delivery, clock, store, looks: Looks::default(), head: AtomicU64::new(0) }
    }

    async fn look_at(&mut self, now: i64) {
        self.clock.0.store(now, Ordering::Relaxed);
        let head = self.head.load(Ordering::Relaxed);
        self.store.backend.ledger.wake().wait_for(|place| *place >= head).await.expect("an open store");
        Keeper(&self.delivery).look(&mut self.looks).await.expect("a look");
    }

    async fn places(&self) -> Vec<u64> {
        let reading = self.store.backend.ledger.read(TENANT, Place(0), 10_000).await.expect("the log");
        reading.events.into_iter().map(|logged| logged.place.0).collect()
    }

    /// Users that come at these times, an event each.
    async fn events(&self, times: &[i64]) {
        for at in times {
            let place = self.head.fetch_add(1, Ordering::Relaxed) + 1;
            self.store.happens(0, *at, &format!("u{place}")).await;
        }
    }

    async fn group(&self, name: &str) {
        self.head.fetch_add(1, Ordering::Relaxed);
        self.store.commit(vec![self.store.create(key(GROUP, name), &group(name))]).await.expect("a group");
    }

    async fn stream(&self, name: &str, more: Value) {
        let mut kept = json!({"tenant": 0, "owner": "somebody", "origin": "request", "feeds": ["default"],
            "method": {"method": "poll"}, "status": "enabled", "start": 0, "created": 0});
        let (Some(kept), Some(more)) = (kept.as_object_mut(), more.as_object()) else { panic!("objects") };
        kept.extend(more.clone());
        let stream: Stream = serde_json::from_value(Value::from(kept.clone())).expect("a stream");
        self.delivery.streams.create(Stream { id: id(name), ..stream }).await.expect("created");
    }

    fn get(&self, name: &str) -> Arc<Stream> {
        self.delivery.streams.get(&id(name)).expect("a stream")
    }

    /// What a stream has come to: its status and what it has lost.
    fn state(&self, name: &str) -> (Status, Option<Gap>) {
        let stream = self.get(name);
        (stream.status, stream.gap)
    }

    async fn resolved(&self, name: &str) -> String {
        let mut all = Keeper(&self.delivery).resolved(&[self.get(name)]).await.expect("an answer");
        all.remove(0).expect("places").to_string()
    }

    async fn resolve(&self, name: &str, places: &str) {
        let all = vec![resolution(&self.get(name), places.parse().expect("places"))];
        self.store.backend.ledger.resolve(all).await.expect("an answer").remove(0).expect("kept");
    }
}

fn id(name: &str) -> StreamId {
    StreamId::parse(name).expect("a stream's id")
}

fn lost(places: u64, at: i64) -> (Status, Option<Gap>) {
    (Status::Disabled, Some(Gap { places, at }))
}

const WHOLE: (Status, Option<Gap>) = (Status::Enabled, None);

/// 8936-2-02
async fn the_newest_events_are_kept(store: Fixture) {
    let mut house = House::new(store, 3, FOR_EVER_MS);
    house.look_at(9).await;
    house.events(&[1, 2, 3]).await;
    house.look_at(9).await;
    assert_eq!(house.places().await, [1, 2, 3]);
    house.events(&[4, 5]).await;
    house.look_at(9).await;
    assert_eq!(house.places().await, [3, 4, 5]);
    house.look_at(9).await;
    house.events(&[6]).await;
    house.look_at(9).await;
    assert_eq!(house.places().await, [4, 5, 6]);
}

/// 9967-5-06
async fn events_go_by_the_clock_and_nothing_else(store: Fixture) {
    const HOUR_MS: i64 = 60 * 60 * 1_000;
    let mut house = House::new(store, 1_000, 100);
    house.events(&[1_000, 1_050, 2_000, 1_060, 2_100]).await;
    for at_or_before in [i64::MIN, 0, 1_000 - HOUR_MS, 1_100] {
        house.look_at(at_or_before).await;
        assert_eq!(house.places().await, [1, 2, 3, 4, 5], "{at_or_before}");
    }
    house.look_at(1_101).await;
    assert_eq!(house.places().await, [2, 3, 4, 5]);
    // The fourth is old, but not before the third has gone.
    house.look_at(2_050).await;
    assert_eq!(house.places().await, [3, 4, 5]);
    house.look_at(2_101).await;
    assert_eq!(house.places().await, [5]);
    // Set back an hour: what is there stays, and what comes is new.
    house.events(&[2_101 - HOUR_MS]).await;
    house.look_at(2_101 - HOUR_MS).await;
    assert_eq!(house.places().await, [5, 6]);
    // Set forward without measure, everything is old.
    house.look_at(i64::MAX).await;
    assert_eq!(house.places().await, [0; 0]);
    house.events(&[5]).await;
    house.look_at(6).await;
    assert_eq!(house.places().await, [7]);
}

async fn many_events_go_in_steps(store: Fixture) {
    let mut house = House::new(store, 100, FOR_EVER_MS);
    let names: Vec<String> = (0..1_150).map(|number| format!("u{number}")).collect();
    let users = names.iter().map(|name| house.store.create(key(USER, name), &user(name)));
    house.store.commit(users.collect()).await.expect("many users");
    house.head.store(1_150, Ordering::Relaxed);
    house.stream("behind", json!({"start": 1_020})).await;
    house.stream("elsewhere", json!({"resource_types": ["Group"]})).await;
    house.look_at(0).await;
    assert_eq!(house.places().await, (1_051..=1_150).collect::<Vec<u64>>());
    assert_eq!((house.state("behind"), house.state("elsewhere")), (lost(30, 0), WHOLE));
    assert_eq!(house.resolved("elsewhere").await, "1050");
}

/// 8936-2-02
async fn a_stream_that_loses_events_is_disabled_with_its_gap(store: Fixture) {
    let recorder = PrometheusBuilder::new().build_recorder();
    let _counted = metrics::set_default_local_recorder(&recorder);
    let mut house = House::new(store, 2, FOR_EVER_MS);
    house.events(&[1, 2, 3, 4, 5]).await;
    house.stream("read", json!({"start": 3})).await;
    house.stream("unread", json!({"start": 1})).await;
    house.stream("paused", json!({"status": "paused", "reason": "the receiver is away"})).await;
    house.look_at(70).await;
    assert_eq!(house.state("read"), WHOLE);
    assert_eq!(house.state("unread"), lost(2, 70));
    assert_eq!(house.state("paused"), lost(3, 70));
    let reason = house.get("unread").reason.clone();
    assert_eq!(reason.as_deref(), Some("events were removed from the log before they were delivered"));
    // What comes next is behind the gap.
    assert_eq!((house.resolved("unread").await, house.resolved("paused").await), ("3".into(), "3".into()));
    let text = recorder.handle().render();
    assert!(text.contains("carillon_lost_places_total 5\n"), "{text}");
    house.look_at(80).await;
    assert_eq!(house.state("unread"), lost(2, 70));
    assert!(recorder.handle().render().contains("carillon_lost_places_total 5\n"));
}

async fn streams_that_an_event_does_not_concern_lose_nothing(store: Fixture) {
    let mut house = House::new(store, 2, FOR_EVER_MS);
    house.events(&[1, 2, 3]).await;
    house.group("one").await;
    house.events(&[5, 6, 7]).await;
    for (name, status) in [("groups", "enabled"), ("paused", "paused")] {
        house.stream(name, json!({"resource_types": ["Group"], "status": status})).await;
    }
    house.stream("deletions", json!({"events_requested": ["urn:ietf:params:scim:event:prov:delete"]})).await;
    house.stream("users", json!({"resource_types": ["User"], "start": 3})).await;
    house.look_at(9).await;
    assert_eq!(house.places().await, [6, 7]);
    assert_eq!(house.state("deletions"), WHOLE);
    assert_eq!(house.resolved("deletions").await, "5");
    assert_eq!((house.state("groups"), house.state("paused")), (lost(1, 9), lost(1, 9)));
    assert_eq!(house.state("users"), lost(1, 9));
    // What has gone since concerns nobody who looks at groups.
    house
        .delivery
        .streams
        .change(&id("paused"), |stream| {
            (stream.status, stream.gap) = (Status::Paused, None);
            Ok(Changed::Yes)
        })
        .await
        .expect("paused again");
    house.events(&[8, 9]).await;
    house.look_at(9).await;
    assert_eq!((house.state("paused"), house.resolved("paused").await), ((Status::Paused, None), "7".into()));
}

/// I5
async fn what_a_stream_has_resolved_is_not_lost(store: Fixture) {
    let mut house = House::new(store, 2, FOR_EVER_MS);
    house.events(&[1, 2, 3, 4, 5]).await;
    for name in ["whole", "part"] {
        house.stream(name, json!({})).await;
    }
    house.resolve("whole", "1 2-3 5").await;
    house.resolve("part", "1 3 5").await;
    house.look_at(9).await;
    assert_eq!((house.state("whole"), house.resolved("whole").await), (WHOLE, "3 5".into()));
    assert_eq!((house.state("part"), house.resolved("part").await), (lost(1, 9), "3 5".into()));
}

async fn a_gap_that_was_not_recorded_is_found(store: Fixture) {
    let mut house = House::new(store, 100, FOR_EVER_MS);
    house.events(&[1, 2, 3, 4]).await;
    house.stream("a", json!({"start": 1})).await;
    house.look_at(5).await;
    // The process died between the two.
    let trim = Trim { through: Place(3), before: Timestamp(i64::MIN), limit: 10 };
    assert_eq!(house.store.backend.ledger.trim(Place(0), trim).await.expect("trimmed"), 3);
    house.looks = Looks::default();
    house.look_at(6).await;
    assert_eq!((house.state("a"), house.resolved("a").await), (lost(2, 6), "3".into()));
    // A stream that is made too late finds it too.
    house.stream("b", json!({"start": 2})).await;
    house.look_at(7).await;
    assert_eq!(house.state("b"), lost(1, 7));
}

async fn the_gap_of_a_disabled_stream_grows_now_and_then(store: Fixture) {
    let mut house = House::new(store, 1, FOR_EVER_MS);
    house.stream("a", json!({"status": "disabled", "reason": "not now"})).await;
    house.events(&[1, 2]).await;
    house.look_at(5).await;
    house.looks.settled = None;
    house.look_at(6).await;
    // It was disabled before it lost anything: what the operator noted stays.
    assert_eq!((house.state("a"), house.get("a").reason.as_deref()), (lost(1, 6), Some("not now")));
    house.events(&[3, 4]).await;
    house.look_at(7).await;
    house.look_at(8).await;
    assert_eq!((house.state("a"), house.resolved("a").await), (lost(1, 6), "1".into()));
    house.looks.settled = None;
    house.look_at(9).await;
    assert_eq!((house.state("a"), house.resolved("a").await), (lost(3, 6), "3".into()));
}

async fn an_implicit_stream_that_nobody_misses_is_removed(store: Fixture) {
    let mut house = House::new(store, 1, 1_000);
    for origin in ["feed", "request"] {
        house.stream(origin, json!({"origin": origin})).await;
    }
    house.events(&[1, 2]).await;
    house.look_at(500).await;
    assert_eq!((house.state("feed"), house.state("request")), (lost(1, 500), lost(1, 500)));
    house.looks.settled = None;
    house.look_at(1_500).await;
    assert!(house.delivery.streams.get(&id("feed")).is_some());
    house.looks.settled = None;
    house.look_at(1_501).await;
    assert!(house.delivery.streams.get(&id("feed")).is_none());
    assert_eq!(house.state("request").0, Status::Disabled);
    assert_eq!(house.store.backend.ledger.resolved(&id("feed"), 0).await.expect("places"), None);
}

async fn the_log_is_kept_within_its_bounds_while_delivery_runs(store: Fixture) {
    let house = House::new(store, 2, FOR_EVER_MS);
    house.events(&[1, 2, 3, 4, 5]).await;
    let running = house.delivery.start().await.expect("it runs");
    let trimmed = async {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        while house.places().await.len() > 2 {
            looks.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), trimmed).await.expect("in time");
    assert_eq!(house.places().await, [4, 5]);
    running.stop().await;
}

async fn dead_letters_go_with_the_bounds_of_events(store: Fixture) {
    let mut house = House::new(store, 3, 1_000);
    house.stream("a", json!({})).await;
    house.stream("b", json!({"status": "disabled"})).await;
    house.events(&[100, 100, 100, 100, 100]).await;
    house.resolve("a", "5").await;
    let log = house.store.backend.ledger.read(TENANT, Place(0), 9).await.expect("the log").events;
    let letter = |place: u64, at| DeadLetter {
        place: Place(place),
        event: log[usize::try_from(place).expect("small") - 1].event.id,
        at: Timestamp(at),
        attempts: 1,
        status: None,
        error: "invalid_request".into(),
        description: None,
        retry: false,
    };
    for (name, dead) in [("a", vec![letter(2, 900), letter(3, 900), letter(5, 300)]), ("b", vec![letter(1, 900), letter(4, 900)])] {
        let all = vec![Resolution { dead, ..resolution(&house.get(name), PlaceSet::default()) }];
        house.store.backend.ledger.resolve(all).await.expect("an answer").remove(0).expect("kept");
    }
    let left = async |house: &House| {
        let mut left = Vec::new();
        for name in ["a", "b"] {
            let letters = house.store.backend.ledger.dead_letters(&id(name), Place(0), 9, false).await.expect("letters").letters;
            left.push(letters.iter().map(|letter| letter.place.0).collect::<Vec<u64>>());
        }
        left
    };
    // Too many events have come since the first two.
    house.look_at(1_000).await;
    assert_eq!(left(&house).await, [vec![3, 5], vec![4]]);
    // All events are too old, and the first letter that died.
    house.looks.lettered = None;
    house.look_at(1_301).await;
    assert_eq!((house.places().await, left(&house).await), (vec![], vec![vec![3], vec![4]]));
    // Not at every look.
    house.look_at(1_901).await;
    assert_eq!(left(&house).await, [vec![3], vec![4]]);
    // One whose event is gone is not sent any more, and says so.
    let caller = Caller { principal: "somebody".into(), tenant: TENANT, user_name: None, scopes: Scopes::default() };
    let tag = house.delivery.renderer.tag(&house.get("a")).await.expect("a tag");
    let jti = tag.jti(log[2].event.id);
    let refused = house.delivery.retry_dead_letters(&caller, "a", &json!({"jtis": [jti]})).await.expect_err("it is gone");
    let detail = format!("jtis: the event of '{jti}' is no longer kept: it cannot be sent any more, only discarded.");
    assert_eq!(refused, Error::new(ErrorKind::Gone, detail));
    assert_eq!(house.delivery.retry_dead_letters(&caller, "a", &json!({})).await, Ok(json!({"retried": 0, "gone": 1})));
    house.looks.lettered = None;
    house.look_at(1_901).await;
    assert_eq!(left(&house).await, [vec![0u64; 0], vec![]]);
}
