//! Streams as records: what happens when several change them, when one cannot be read, when events are lost, refused, asked for again.

use super::*;
use crate::auth::{Caller, Scopes};
use crate::base::clock::{SystemClock, Timestamp};
use crate::base::id::{EventId, Tenant, TimeOrderedIds};
use crate::base::secret::{Secret, SystemEntropy};
use crate::delivery::stream::{Gap, Status};
use crate::delivery::{Delivery, Parts, Settings};
use crate::scim::error::ErrorKind;
use crate::store::ledger::{DeadLetter, PlaceSet, RecordChange, Resolution, Trim};
use crate::store::tests::{Fixture, on_every_backend};
use crate::store::{Place, StoreErrorKind};
use serde_json::{Value, json};

on_every_backend!(
    a_record_that_cannot_be_read_leaves_the_others_alone,
    changes_that_meet_are_both_made,
    headers_that_were_kept_before_there_was_a_key_are_sealed_with_it,
    a_stream_that_is_made_anew_has_no_places,
    of_two_who_make_a_stream_one_does_and_takes_nothing_from_it,
    a_letter_that_is_discarded_meanwhile_is_not_marked,
    the_configuration_has_its_way_and_a_stream_its_place,
    dead_letters_are_listed_retried_and_discarded,
    what_a_request_says_is_as_it_is_described,
    a_replay_passes_over_nothing,
    a_replay_begins_a_new_life,
    what_is_no_longer_kept_is_gone_and_a_gap_is_passed_over,
    a_verification_is_answered,
    a_worker_is_poked,
);

fn delivery(store: &Fixture, settings: Settings) -> Arc<Delivery> {
    Arc::new(Delivery::new(Parts {
        ledger: Arc::clone(&store.backend.ledger),
        registry: Arc::clone(&store.backend.registry),
        clock: Arc::new(SystemClock),
        ids: Arc::new(TimeOrderedIds),
        entropy: Arc::new(SystemEntropy),
        settings,
    }))
}

fn caller(name: &str) -> Caller {
    Caller { principal: name.into(), tenant: Tenant(0), user_name: None, scopes: Scopes::default() }
}

fn id(text: &str) -> StreamId {
    StreamId::parse(text).expect("an id")
}

async fn made(delivery: &Delivery, body: Value) -> Arc<Stream> {
    delivery.create_stream(&caller("ann"), &body).await.expect("a stream")
}

async fn a_record_that_cannot_be_read_leaves_the_others_alone(store: Fixture) {
    let delivery = delivery(&store, Settings::default());
    let stream = made(&delivery, json!({})).await;
    let mut later: Value = serde_json::to_value(&*stream).expect("JSON");
    later["of_a_later_version"] = json!({"x": 1});
    let bodies =
        [("later", later.to_string()), ("broken", "{".into()), ("a b", later.to_string()), ("other", "{\"status\":7}".into())];
    let change =
        |(id, body): (&str, String)| RecordChange { collection: COLLECTION, id: id.into(), expected: None, body: Some(body) };
    store.backend.ledger.write_records(bodies.map(change).into()).await.expect("written");
    delivery.streams.load().await.expect("read");
    let known: Vec<String> = delivery.streams_of(&caller("ann")).iter().map(|stream| stream.id.to_string()).collect();
    assert_eq!(known, [stream.id.to_string(), "later".into()]);
}

async fn headers_that_were_kept_before_there_was_a_key_are_sealed_with_it(store: Fixture) {
    let before = delivery(&store, Settings::default());
    let header = "Bearer a-secret-of-the-receiver";
    let push = json!({"method": "urn:ietf:rfc:8935", "endpoint_url": "https://receiver.example/", "authorization_header": header});
    let stream = made(&before, json!({"delivery": push})).await;
    let kept = async || store.backend.ledger.records(COLLECTION).await.expect("records")[0].body.clone();
    let encoded = |text: &str| base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, text);
    let shows = |body: &str| body.contains(header) || body.contains(&encoded(header)) || body.contains("plain:");
    assert!(shows(&kept().await));
    let after = delivery(&store, Settings { secrets_key: Some(Secret::new("key")), ..Settings::default() });
    let running = after.start().await.expect("it starts");
    assert!(!shows(&kept().await));
    let sealed = after.streams.get(&stream.id).expect("the stream");
    let opened = after.streams.authorization(&sealed).expect("it opens").expect("a header");
    assert_eq!(opened.expose(), header);
    running.stop().await;
}

async fn changes_that_meet_are_both_made(store: Fixture) {
    // Two nodes on one ledger: neither sees the other's change before it makes its own.
    let (one, other) = (delivery(&store, Settings::default()), delivery(&store, Settings::default()));
    let stream = made(&one, json!({})).await;
    other.streams.load().await.expect("read");
    let id = stream.id.to_string();
    one.patch_stream(&caller("ann"), &id, "", &json!({"description": "one's"})).await.expect("changed");
    other.patch_stream(&caller("ann"), &id, "", &json!({"mode": "full"})).await.expect("changed");
    one.streams.load().await.expect("read");
    for delivery in [&one, &other] {
        let shown = delivery.represent(&delivery.stream_of(&caller("ann"), &id).expect("a stream"), "");
        assert_eq!((&shown["description"], &shown["mode"]), (&json!("one's"), &json!("full")));
    }
    one.delete_stream(&caller("ann"), &id).await.expect("removed");
    let gone = other.patch_stream(&caller("ann"), &id, "", &json!({"mode": "notice"})).await;
    assert_eq!(gone.map_err(|error| error.kind), Err(ErrorKind::NotFound));
}

async fn a_stream_that_is_made_anew_has_no_places(store: Fixture) {
    let delivery = delivery(&store, Settings::default());
    let blank = |start| delivery.blank(id("named"), "ann".into(), crate::delivery::stream::Origin::Feed, Place(start));
    let first = delivery.streams.create(blank(0)).await.expect("made");
    let again = delivery.streams.create(blank(7)).await.expect("there");
    assert_eq!(again.start, 0);
    let ledger = &store.backend.ledger;
    let late = || Resolution { dead: vec![letter(3)], ..Resolution::of(id("named"), first.epoch, PlaceSet::through(Place(5))) };
    let resolve = async || ledger.resolve(vec![late()]).await.expect("an answer").remove(0).map_err(|error| error.kind);
    let resolved = async |epoch| ledger.resolved(&id("named"), epoch).await.expect("places");
    let letters = async || ledger.dead_letters(&id("named"), Place(0), 9, false).await.expect("letters").total;
    resolve().await.expect("kept");
    delivery.delete_stream(&caller("ann"), "named").await.expect("removed");
    assert_eq!((resolved(first.epoch).await, letters().await), (None, 0));
    // A worker that did not know yet, before it is made anew and after that.
    resolve().await.expect("kept");
    let anew = delivery.streams.create(blank(7)).await.expect("made");
    assert!(anew.epoch > first.epoch);
    assert_eq!(resolve().await, Err(StoreErrorKind::Stale));
    assert_eq!((resolved(anew.epoch).await, letters().await), (Some(PlaceSet::through(Place(7))), 0));
    // What others find when they think that it is no more.
    delivery.streams.forget(&id("named")).await.expect("nothing to do");
    assert_eq!(resolved(anew.epoch).await, Some(PlaceSet::through(Place(7))));
}

async fn of_two_who_make_a_stream_one_does_and_takes_nothing_from_it(store: Fixture) {
    let (one, other) = (delivery(&store, Settings::default()), delivery(&store, Settings::default()));
    let blank = |start| one.blank(id("named"), "ann".into(), crate::delivery::stream::Origin::Feed, Place(start));
    let made = one.streams.create(blank(0)).await.expect("made");
    let dead = vec![letter(3)];
    let kept = Resolution { dead, ..Resolution::of(id("named"), made.epoch, PlaceSet::through(Place(5))) };
    let ledger = &store.backend.ledger;
    ledger.resolve(vec![kept]).await.expect("an answer").remove(0).expect("kept");
    // The other has looked before it was there.
    let late = other.streams.begin(&blank(7)).await.map_err(|error| error.kind);
    assert_eq!(late, Err(StoreErrorKind::Stale));
    assert_eq!(other.streams.create(blank(7)).await, Ok(Arc::clone(&made)));
    let resolved = ledger.resolved(&id("named"), made.epoch).await.expect("places");
    assert_eq!(resolved, Some(PlaceSet::through(Place(5))));
    assert_eq!(ledger.dead_letters(&id("named"), Place(0), 9, false).await.expect("letters").total, 1);
    // Many at once are all made, each with a life of its own.
    let names: Vec<StreamId> = (0..20).map(|number| id(&format!("s{number}"))).collect();
    let making = names.iter().enumerate().map(|(number, name)| {
        let node = if number % 2 == 0 { &one } else { &other };
        node.streams.create(Stream { id: name.clone(), ..blank(0) })
    });
    let made = futures_util::future::join_all(making).await;
    let lives: std::collections::BTreeSet<u64> = made.into_iter().map(|made| made.expect("made").epoch).collect();
    assert_eq!(lives.len(), 20);
}

async fn a_letter_that_is_discarded_meanwhile_is_not_marked(store: Fixture) {
    let delivery = delivery(&store, Settings::default());
    let ann = caller("ann");
    let stream = made(&delivery, json!({})).await;
    let tag = delivery.renderer.tag(&stream).await.expect("a tag");
    let jtis = json!([tag.jti(letter(1).event)]);
    for _ in 0..8 {
        let refused = Resolution { dead: vec![letter(1)], ..Resolution::of(stream.id.clone(), stream.epoch, PlaceSet::default()) };
        store.backend.ledger.resolve(vec![refused]).await.expect("an answer").remove(0).expect("kept");
        // Both look before either writes.
        let (discard, all) = (json!({"jtis": jtis, "reason": "seen"}), json!({}));
        let (discarded, retried) = tokio::join!(
            delivery.discard_dead_letters(&ann, stream.id.as_str(), &discard),
            delivery.retry_dead_letters(&ann, stream.id.as_str(), &all),
        );
        assert_eq!((discarded, retried.is_ok()), (Ok(json!({"discarded": 1})), true));
        let left = store.backend.ledger.dead_letters(&stream.id, Place(0), 9, false).await.expect("letters").letters;
        assert_eq!(left, []);
    }
}

fn configured(name: &str, body: &Value, store: &Fixture) -> Configured {
    let settings = Settings::default();
    let origin = crate::delivery::stream::Origin::Configuration;
    let rules = Rules { registry: &store.backend.registry, settings: &settings, origin, poll_url: None };
    let definition = rules.read(body.as_object().expect("an object")).expect("a definition");
    Configured { id: id(name), owner: "api-key".into(), audience: Vec::new(), start: Start::Now, definition }
}

async fn the_configuration_has_its_way_and_a_stream_its_place(store: Fixture) {
    let push = |url: &str, header: &str| json!({"delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": url, "authorization_header": header}});
    let with = |body: &Value| Settings {
        streams: vec![configured("hr", body, &store)],
        secrets_key: Some(Secret::new("key")),
        ..Settings::default()
    };
    store.happens(0, 1, "u1").await;
    let first = with(&push("https://r.example/a", "Bearer x"));
    let revision = async |settings: &Settings| {
        let delivery = delivery(&store, settings.clone());
        delivery.streams.load().await.expect("read");
        delivery.reconcile().await.expect("reconciled");
        let stream = delivery.streams.get(&id("hr")).expect("the stream");
        (delivery, stream)
    };
    let (delivery_of_first, stream) = revision(&first).await;
    assert_eq!((stream.start, stream.status), (1, Status::Enabled));
    let header = delivery_of_first.streams.authorization(&stream).expect("opened");
    assert_eq!(header, Some(Secret::new("Bearer x")));
    // The same again changes nothing, another definition keeps the place.
    assert_eq!(revision(&first).await.1.revision, stream.revision);
    let (_, moved) = revision(&with(&push("https://r.example/b", "Bearer x"))).await;
    assert_eq!((moved.revision, moved.start, &moved.verification), (stream.revision + 1, 1, &None));
    let (_, gone) = revision(&Settings { secrets_key: Some(Secret::new("key")), ..Settings::default() }).await;
    assert_eq!((gone.status, gone.reason.as_deref(), gone.start), (Status::Disabled, Some("no longer configured"), 1));
    let (_, back) = revision(&first).await;
    assert_eq!((back.status, back.reason.as_deref(), back.start), (Status::Enabled, None, 1));
    // A name that is somebody else's stops the start.
    let (delivery, _) = revision(&first).await;
    let stream = made(&delivery, json!({})).await;
    let taken = Settings { streams: vec![configured(stream.id.as_str(), &json!({}), &store)], ..Settings::default() };
    let other = self::delivery(&store, taken);
    other.streams.load().await.expect("read");
    let refused = other.reconcile().await.expect_err("the name is taken").to_string();
    assert!(refused.contains(stream.id.as_str()) && refused.contains("did not make"), "{refused}");
}

fn letter(place: u64) -> DeadLetter {
    DeadLetter {
        place: Place(place),
        event: EventId(uuid::Uuid::from_u128(place.into())),
        at: Timestamp(1_000),
        attempts: 2,
        status: Some(400),
        error: "invalid_audience".into(),
        description: Some("not ours".into()),
        retry: false,
    }
}

/// 8935-4-06
async fn dead_letters_are_listed_retried_and_discarded(store: Fixture) {
    let delivery = delivery(&store, Settings::default());
    let ann = caller("ann");
    let stream = made(&delivery, json!({})).await;
    let id = stream.id.as_str();
    let dead: Vec<DeadLetter> = (1..=5).map(letter).collect();
    let resolution = Resolution { dead, ..Resolution::of(stream.id.clone(), 0, PlaceSet::through(Place(9))) };
    store.backend.ledger.resolve(vec![resolution]).await.expect("an answer").remove(0).expect("kept");
    let tag = delivery.renderer.tag(&stream).await.expect("a tag");
    let jti = |place: u64| tag.jti(EventId(uuid::Uuid::from_u128(place.into())));
    let page = delivery.dead_letters(&ann, id, None, Some(2)).await.expect("a page");
    let shown = |place: u64| {
        json!({"jti": jti(place), "at": "1970-01-01T00:00:01.000Z", "attempts": 2, "status": 400, "err": "invalid_audience",
               "description": "not ours", "retry": false})
    };
    assert_eq!(page, json!({"total": 5, "letters": [shown(1), shown(2)], "next": "2"}));
    let rest = delivery.dead_letters(&ann, id, page["next"].as_str(), Some(9)).await.expect("a page");
    assert_eq!(rest, json!({"total": 5, "letters": [shown(3), shown(4), shown(5)]}));
    let some = delivery.retry_dead_letters(&ann, id, &json!({"jtis": [jti(2), jti(2)]})).await.expect("retried");
    assert_eq!(some, json!({"retried": 1, "gone": 0}));
    let waiting = async || {
        let letters = store.backend.ledger.dead_letters(&stream.id, Place(0), 9, true).await.expect("letters").letters;
        letters.iter().map(|letter| letter.place.0).collect::<Vec<u64>>()
    };
    assert_eq!(waiting().await, [2]);
    let foreign = delivery.retry_dead_letters(&ann, id, &json!({"jtis": [jti(7)]})).await.expect_err("there is none");
    assert_eq!(foreign.kind, ErrorKind::InvalidValue);
    let discarded = delivery.discard_dead_letters(&ann, id, &json!({"jtis": [jti(1), jti(2)], "reason": "seen"})).await;
    assert_eq!(discarded, Ok(json!({"discarded": 2})));
    assert_eq!(delivery.retry_dead_letters(&ann, id, &json!({})).await, Ok(json!({"retried": 3, "gone": 0})));
    assert_eq!(waiting().await, [3, 4, 5]);
}

async fn what_a_request_says_is_as_it_is_described(store: Fixture) {
    let delivery = delivery(&store, Settings::default());
    let ann = caller("ann");
    let push = json!({"delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": "https://r.example/a"}, "owner": "ben.1_-"});
    let stream = made(&delivery, push).await;
    let id = stream.id.as_str();
    assert_eq!((stream.owner.as_str(), stream.push().is_some()), ("ben.1_-", true));
    // Null removes how it is delivered, and with it what is said of pushes: without any it is polled.
    let polled = delivery.patch_stream(&ann, id, "", &json!({"delivery": null})).await.expect("changed");
    assert_eq!(polled.method, crate::delivery::stream::Method::Poll);
    // Characters count, not bytes.
    let longest = "ü".repeat(limits::STREAM_TEXT_CHARACTERS);
    delivery.verify_stream(&ann, id, &json!({"state": longest})).await.expect("asked");
    let paused = delivery.set_stream_status(&ann, id, &json!({"status": "paused", "reason": longest})).await.expect("paused");
    assert_eq!(paused.reason, Some(longest.clone()));
    let longer = format!("{longest}x");
    let detail = |refused: crate::scim::error::Result<Arc<Stream>>| refused.expect_err("refused").detail;
    let reason = delivery.set_stream_status(&ann, id, &json!({"status": "paused", "reason": longer})).await;
    assert_eq!(detail(reason), "reason: expected a text of at most 1024 characters.");
    for name in ["", "two words", "a:b", "ünal", &"x".repeat(limits::PRINCIPAL_BYTES + 1)] {
        let owned = delivery.create_stream(&ann, &json!({"owner": name})).await;
        assert_eq!(detail(owned), "owner: expected the name of a principal.", "{name}");
    }
    for after in ["", "+1", " 1", "-1", "1.0", "x"] {
        let refused = delivery.dead_letters(&ann, id, Some(after), None).await.expect_err("refused");
        assert_eq!(refused.detail, "after: expected the 'next' of the page before.", "{after}");
    }
    let beyond = delivery.dead_letters(&ann, id, Some("99999999999999999999999"), None).await;
    assert_eq!(beyond, Ok(json!({"total": 0, "letters": []})));
}

async fn events(store: &Fixture, count: u64) {
    for number in 1..=count {
        store.happens(0, i64::try_from(number).expect("small") * 1_000, &format!("u{number}")).await;
    }
}

/// 9967-5-06
/// I5: who asks for the last hour of a stream that is two hours behind gets both.
async fn a_replay_passes_over_nothing(store: Fixture) {
    store.given(&["a", "b", "c"], &[]).await;
    let delivery = delivery(&store, Settings::default());
    let stream = made(&delivery, json!({})).await;
    assert_eq!(stream.start, 3);
    store.happens(0, 5_000, "d").await;
    let path = stream.id.as_str();
    for body in [json!({"since": "9999-12-31T23:59:59Z"}), json!({"since": "9999-12-31T23:59:59Z", "fresh": true})] {
        let replayed = delivery.replay(&caller("ann"), path, &body).await.expect("replayed");
        assert_eq!(replayed.start, 3, "what it has not been delivered comes first");
    }
}

async fn a_replay_begins_a_new_life(store: Fixture) {
    let delivery = delivery(&store, Settings::default());
    events(&store, 4).await;
    let stream = made(&delivery, json!({})).await;
    assert_eq!(stream.start, 4);
    let ledger = &store.backend.ledger;
    let reading = ledger.read(Tenant(0), Place(0), 9).await.expect("the log");
    let dead = vec![letter(1), letter(3)];
    let resolution = Resolution { dead, ..Resolution::of(stream.id.clone(), 0, PlaceSet::through(Place(4))) };
    ledger.resolve(vec![resolution]).await.expect("an answer").remove(0).expect("kept");
    // After the second event, by the jti that the stream itself gave it.
    let jti = delivery.renderer.tag(&stream).await.expect("a tag").jti(reading.events[1].event.id);
    let replayed =
        delivery.replay(&caller("ann"), stream.id.as_str(), &json!({"after": jti, "fresh": true})).await.expect("replayed");
    assert_eq!((replayed.start, replayed.epoch, replayed.generation), (2, 1, 1));
    assert_eq!(ledger.resolved(&stream.id, 1).await.expect("places"), Some(PlaceSet::through(Place(2))));
    let left = ledger.dead_letters(&stream.id, Place(0), 9, false).await.expect("letters").letters;
    assert_eq!(left.iter().map(|letter| letter.place.0).collect::<Vec<_>>(), [1]);
    // The old jti still names the event, and so does a time.
    for body in [json!({"after": jti}), json!({"since": "1970-01-01T00:00:02.500Z"})] {
        let again = delivery.replay(&caller("ann"), stream.id.as_str(), &body).await.expect("replayed");
        assert_eq!((again.start, again.generation), (2, 1), "{body}");
    }
}

async fn what_is_no_longer_kept_is_gone_and_a_gap_is_passed_over(store: Fixture) {
    let delivery = delivery(&store, Settings::default());
    events(&store, 4).await;
    let stream = made(&delivery, json!({"start": {"since": "1970-01-01T00:00:00Z"}})).await;
    assert_eq!(stream.start, 0);
    let ledger = &store.backend.ledger;
    let first = ledger.read(Tenant(0), Place(0), 1).await.expect("the log").events.remove(0).event.id;
    ledger.trim(Place(0), Trim { through: Place(2), before: Timestamp(0), limit: 9 }).await.expect("trimmed");
    let ann = caller("ann");
    let jti = delivery.renderer.tag(&stream).await.expect("a tag").jti(first);
    for body in [json!({"after": jti}), json!({"since": "1970-01-01T00:00:01Z"})] {
        let gone = delivery.replay(&ann, stream.id.as_str(), &body).await.expect_err("it is gone");
        assert!(gone.kind == ErrorKind::Gone && gone.detail.contains("the oldest event kept is"), "{gone}");
    }
    delivery.streams.disable_for_gap(&stream.id, 0, Gap { places: 2, at: 5 }).await.expect("disabled");
    let shown = delivery.represent(&delivery.stream_of(&ann, stream.id.as_str()).expect("a stream"), "");
    assert_eq!((&shown["status"], &shown["gap"]), (&json!("disabled"), &json!({"places": 2, "at": "1970-01-01T00:00:00.005Z"})));
    let enabled = delivery.set_stream_status(&ann, stream.id.as_str(), &json!({"status": "enabled"})).await.expect("enabled");
    assert_eq!((enabled.status, enabled.gap), (Status::Enabled, None));
    assert_eq!(ledger.resolved(&stream.id, 0).await.expect("places"), Some(PlaceSet::through(Place(2))));
    // Pausing is for the life that saw the trouble.
    delivery.streams.pause(&stream.id, 7, "not this one").await.expect("nothing");
    assert_eq!(delivery.streams.get(&stream.id).expect("a stream").status, Status::Enabled);
    delivery.streams.pause(&stream.id, 0, "the receiver is away").await.expect("paused");
    let paused = delivery.streams.get(&stream.id).expect("a stream");
    assert_eq!((paused.status, paused.reason.as_deref()), (Status::Paused, Some("the receiver is away")));
    delivery.streams.pause(&id("nobody"), 0, "gone").await.expect("nothing to do");
}

/// SSF-8.1.4.1-01
async fn a_verification_is_answered(store: Fixture) {
    let settings =
        Settings { format: crate::delivery::stream::Format::Json, issuer: Some("https://i".into()), ..Settings::default() };
    let delivery = delivery(&store, settings);
    let ann = caller("ann");
    let said = json!({"delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": "https://r.example/a"}, "events_requested": [], "aud": "a"});
    let stream = made(&delivery, said).await;
    delivery.verify_stream(&ann, stream.id.as_str(), &json!({"state": "abc"})).await.expect("asked");
    let asked = delivery.streams.get(&stream.id).expect("a stream");
    let pending = asked.verification.clone().expect("a verification");
    let (jti, set) = delivery.renderer.verification(&asked).await.expect("rendered").expect("one");
    let event = "https://schemas.openid.net/secevent/ssf/event-type/verification";
    assert_eq!(
        serde_json::from_str::<Value>(&set).expect("JSON"),
        json!({"iss": "https://i", "iat": Timestamp(pending.at).seconds(), "jti": jti, "txn": pending.event, "aud": ["a"],
               "sub_id": {"format": "opaque", "id": stream.id.as_str()}, "events": {event: {"state": "abc"}}})
    );
    delivery.streams.verified(&stream.id, EventId(uuid::Uuid::nil())).await.expect("another's");
    assert!(delivery.streams.get(&stream.id).expect("a stream").verification.is_some());
    // Refused without anything that waits: it is done with. Refused where others wait: they go on waiting.
    delivery.streams.unverified(&stream.id, pending.event_id(), "invalid_state").await.expect("refused");
    let refused = delivery.streams.get(&stream.id).expect("a stream");
    assert_eq!((refused.status, &refused.verification), (Status::Enabled, &None));
    let moved =
        delivery.patch_stream(&ann, stream.id.as_str(), "", &json!({"delivery": {"endpoint_url": "https://r.example/b"}})).await;
    let pending = moved.expect("moved").verification.clone().expect("a verification");
    assert!(pending.holds_others);
    delivery.streams.unverified(&stream.id, pending.event_id(), "access_denied").await.expect("refused");
    let refused = delivery.streams.get(&stream.id).expect("a stream");
    assert_eq!(refused.reason.as_deref(), Some("the endpoint is not verified: access_denied"));
    assert_eq!((refused.status, &refused.verification), (Status::Paused, &Some(pending.clone())));
    delivery.streams.verified(&stream.id, pending.event_id()).await.expect("verified");
    assert_eq!(delivery.streams.get(&stream.id).expect("a stream").verification, None);
}

async fn a_worker_is_poked(store: Fixture) {
    let delivery = delivery(&store, Settings::default());
    let stream = made(&delivery, json!({})).await;
    delivery.streams.poke(&stream.id);
    let mut poked = delivery.streams.poked(&stream.id);
    assert!(!poked.has_changed().expect("open"));
    delivery.retry_dead_letters(&caller("ann"), stream.id.as_str(), &json!({})).await.expect("retried");
    assert!(poked.has_changed().expect("open"));
    poked.borrow_and_update();
    delivery.delete_stream(&caller("ann"), stream.id.as_str()).await.expect("removed");
    assert!(poked.changed().await.is_err());
}
