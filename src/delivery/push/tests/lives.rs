//! What a stream delivers over crashes, restarts, replays, and clocks that are set back.

use super::support::receiver::{Received, Receiver};
use super::support::reply::{Gate, Reply};
use super::world::World;
use crate::base::heard::Heard;
use crate::delivery::stream::Status;
use crate::delivery::streams::Changed;
use crate::store::ledger::{Place, Trim};
use serde_json::{Value, json};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::Ordering;

fn jtis(received: &[Received]) -> Vec<String> {
    received.iter().map(Received::jti).collect()
}

/// 8935-2-01
#[tokio::test]
async fn what_was_committed_and_not_pushed_is_pushed_after_a_crash() {
    let receiver = Receiver::start().await;
    let gate = Gate::default();
    let held = gate.clone();
    receiver.otherwise(move |_| Reply::accepted().held_by(&held));
    let world = World::new();
    let id = world.stream("s", &receiver.url(), json!({})).await;
    let running = world.start().await;
    world.many_users("u", 8).await;
    receiver.at_least(1).await;
    running.kill().await;
    gate.open();
    let running = world.start().await;
    world.kept(&id, 8).await;
    running.stop().await;
    let expected: BTreeSet<String> = world.jtis(&id).await.into_iter().collect();
    assert_eq!(jtis(&receiver.received()).into_iter().collect::<BTreeSet<_>>(), expected);
}

/// 8935-2-01
#[tokio::test]
async fn what_was_pushed_and_not_kept_is_pushed_again_as_it_was() {
    let receiver = Receiver::start().await;
    let world = World::new();
    let id = world.stream("s", &receiver.url(), json!({})).await;
    world.users(&["a", "b"]).await;
    let running = world.start().await;
    world.kept(&id, 2).await;
    world.users(&["c", "d"]).await;
    receiver.at_least_accepted(4).await;
    running.kill().await;
    let kept = world.delivery.ledger.resolved(&id, 0).await.expect("places").expect("some").cursor();
    let running = world.start().await;
    world.kept(&id, 4).await;
    running.stop().await;
    let mut times: HashMap<String, BTreeSet<String>> = HashMap::new();
    for request in receiver.received() {
        times.entry(request.jti()).or_default().insert(request.set());
    }
    assert!(times.values().all(|sets| sets.len() == 1), "the same SET each time");
    assert_eq!(times.len(), 4);
    assert_eq!(receiver.count() as u64, 4 + (4 - kept.0), "what was kept is not sent again");
}

#[tokio::test]
async fn what_is_kept_is_not_sent_again_after_a_stop() {
    let receiver = Receiver::start().await;
    let world = World::on("sqlite");
    let id = world.stream("s", &receiver.url(), json!({})).await;
    world.many_users("u", 30).await;
    for _ in 0..2 {
        let running = world.start().await;
        world.kept(&id, 30).await;
        running.stop().await;
    }
    assert_eq!(receiver.count(), 30);
}

/// The waits of a stream do not depend on the clock on the wall.
#[tokio::test]
async fn a_clock_that_is_set_back_an_hour_changes_nothing() {
    let receiver = Receiver::start().await;
    receiver.script([Reply::status(503), Reply::status(429).header("retry-after", "0")]);
    let world = World::new();
    let id = world.stream("s", &receiver.url(), json!({})).await;
    world.users(&["a"]).await;
    let running = world.start().await;
    receiver.at_least(1).await;
    world.clock.0.fetch_sub(3_600_000, Ordering::SeqCst);
    world.kept(&id, 1).await;
    world.users(&["b"]).await;
    world.kept(&id, 2).await;
    running.stop().await;
    assert_eq!((receiver.count(), receiver.accepted().len()), (4, 2));
}

#[tokio::test]
async fn a_replay_begins_anew_with_the_same_names() {
    let receiver = Receiver::start().await;
    let world = World::new();
    let id = world.stream("s", &receiver.url(), json!({})).await;
    world.users(&["a", "b", "c"]).await;
    let running = world.start().await;
    world.kept(&id, 3).await;
    let replayed = world.delivery.streams.change(&id, |stream| {
        (stream.epoch, stream.start) = (stream.epoch + 1, 1);
        Ok(Changed::Yes)
    });
    replayed.await.expect("replayed");
    receiver.at_least_accepted(5).await;
    world.kept(&id, 3).await;
    running.stop().await;
    let expected: BTreeSet<String> = world.jtis(&id).await.into_iter().skip(1).collect();
    assert_eq!(jtis(&receiver.received()[3..]).into_iter().collect::<BTreeSet<_>>(), expected);
}

#[tokio::test]
async fn a_stream_that_has_lost_events_is_disabled() {
    let receiver = Receiver::start().await;
    let world = World::new();
    let id = world.stream("s", &receiver.url(), json!({})).await;
    world.many_users("u", 5).await;
    let trim = Trim { through: Place(3), before: crate::base::clock::Timestamp(0), limit: 100 };
    assert_eq!(world.delivery.ledger.trim(Place(0), trim).await.expect("trimmed"), 3);
    let running = world.start().await;
    let (status, _) = world.stopped(&id).await;
    running.stop().await;
    assert_eq!((status, world.record(&id).gap.map(|gap| gap.places), receiver.count()), (Status::Disabled, Some(3), 0));
}

/// In order for each subject, and never two of one at a time (I4).
#[tokio::test]
async fn events_of_one_subject_come_one_after_another() {
    let receiver = Receiver::start().await;
    let world = World::new();
    let id = world.stream("s", &receiver.url(), json!({})).await;
    world.users(&["a", "b"]).await;
    world.changes("a", 20).await;
    world.changes("b", 20).await;
    receiver
        .script((0..50).filter(|number| number % 5 == 0).map(|_| Reply::accepted()).chain([Reply::status(500), Reply::reset()]));
    let running = world.start().await;
    world.kept(&id, 42).await;
    running.stop().await;
    let mut last: HashMap<String, u64> = HashMap::new();
    for request in receiver.received().iter().filter(|request| request.answered == Some(202)) {
        let claims = request.claims();
        let payload = claims["events"].as_object().expect("events").values().next().expect("one").clone();
        let version: u64 = payload["version"].as_str().expect("a version").trim_matches('"').parse().expect("a number");
        let before = last.insert(claims["sub_id"]["uri"].to_string(), version).unwrap_or(0);
        assert_eq!(version, before + 1, "{claims}");
    }
    assert_eq!(last.values().copied().collect::<Vec<_>>(), [21, 21]);
    assert!(receiver.most_in_flight() <= 2);
}

#[tokio::test]
async fn events_of_others_move_the_cursor_and_are_not_sent() {
    let receiver = Receiver::start().await;
    let world = World::new();
    let id = world.stream("s", &receiver.url(), json!({"resource_types": ["Group"]})).await;
    world.many_users("u", 300).await;
    let running = world.start().await;
    world.kept(&id, 300).await;
    running.stop().await;
    assert_eq!(receiver.count(), 0);
}

/// One line for each attempt, and nothing in it that is the receiver's or the subject's alone (I6).
#[tokio::test]
async fn an_attempt_is_one_line_of_the_log() {
    let receiver = Receiver::start().await;
    receiver.script([Reply::status(503), Reply::refused("invalid_request")]);
    let world = World::new();
    let secret = json!({"method": "push", "endpoint": format!("{}?token=hidden", receiver.url()), "lanes": 1});
    let id = world.stream("s", "", json!({"method": secret})).await;
    world.users(&["bjensen"]).await;
    let heard = Heard::begin();
    let running = world.start().await;
    world.kept(&id, 1).await;
    running.stop().await;
    let text = heard.lines().join("\n");
    assert!(!text.contains("hidden") && !text.contains("bjensen") && !text.contains("127.0.0.1"), "{text}");
    let parsed = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let attempts: Vec<Value> =
        parsed.filter(|line| line["target"] == "carillon::delivery").map(|line| line["fields"].clone()).collect();
    let jti = world.jtis(&id).await.remove(0);
    let expected = |class: &str, status: u16, error: &str, attempt: u32| {
        json!({"message": "pushed", "stream": "s", "place": 1, "jti": jti, "txn": "txn-1000", "class": class, "status": status,
               "error": error, "attempt": attempt, "replay": false})
    };
    let mut told = attempts.clone();
    let waits: Vec<bool> =
        told.iter_mut().map(|line| line.as_object_mut().expect("fields").remove("next_attempt_ms").is_some()).collect();
    assert!(told.iter_mut().all(|line| line.as_object_mut().expect("fields").remove("ms").is_some()));
    assert_eq!(told, [expected("failing", 503, "http_503", 1), expected("refused", 400, "invalid_request", 2)]);
    assert_eq!(waits, [true, false]);
}
