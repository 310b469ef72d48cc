//! Every fault of a receiver, and what becomes of its stream.

use super::support::receiver::Receiver;
use super::support::reply::{Gate, Reply};
use super::support::wait::{PATIENCE, until};
use super::world::World;
use crate::base::secret::SystemEntropy;
use crate::delivery::seal::Sealer;
use crate::delivery::stream::Status;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A world with one stream to a receiver, and the users that are created.
async fn world(receiver: &Receiver, users: &[&str]) -> (World, crate::base::id::StreamId) {
    let world = World::new();
    let id = world.stream("s", &receiver.url(), json!({})).await;
    world.users(users).await;
    (world, id)
}

/// 8935-2.1-01 8935-2.2-01 8935-2-03
#[tokio::test]
async fn each_set_is_one_post_and_is_not_sent_again_once_it_is_accepted() {
    let receiver = Receiver::start().await;
    let (world, id) = world(&receiver, &["a", "b", "c"]).await;
    let running = world.start().await;
    world.kept(&id, 3).await;
    world.users(&["d"]).await;
    world.kept(&id, 4).await;
    running.stop().await;
    let requests = receiver.received();
    let jtis: BTreeSet<String> = requests.iter().map(super::support::receiver::Received::jti).collect();
    assert_eq!(jtis, world.jtis(&id).await.into_iter().collect());
    assert_eq!(requests.len(), 4);
    for request in requests {
        assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/events"));
        let headers = ["content-type", "accept", "accept-language", "authorization"].map(|name| request.header(name));
        assert_eq!(headers, [Some("application/json"), Some("application/json"), Some("en"), None]);
    }
}

/// 8935-2.1-01
#[tokio::test]
async fn a_signed_set_goes_with_its_media_type_and_the_streams_authorization() {
    let receiver = Receiver::start().await;
    let world = World::new();
    let secret = crate::base::secret::Secret::new("Bearer of the stream");
    let id = crate::base::id::StreamId::parse("s").expect("an id");
    let sealed = Sealer::new(None, Arc::new(SystemEntropy)).seal("stream/s", secret.expose().as_bytes()).expect("sealed");
    let method = json!({"method": "push", "endpoint": receiver.url(), "lanes": 1, "authorization": sealed});
    world.stream("s", &receiver.url(), json!({"method": method, "format": "jwt"})).await;
    world.users(&["a"]).await;
    let running = world.start().await;
    world.kept(&id, 1).await;
    running.stop().await;
    let requests = receiver.received();
    let request = &requests[0];
    let headers = ["content-type", "authorization"].map(|name| request.header(name));
    assert_eq!(headers, [Some("application/secevent+jwt"), Some("Bearer of the stream")]);
    assert_eq!(super::support::receiver::header_of(&request.set())["typ"], "secevent+jwt");
    assert_eq!((requests.len(), request.jti()), (1, world.jtis(&id).await[0].clone()));
}

/// 8935-2-02 8935-2-03
#[tokio::test]
async fn a_dead_receiver_gets_everything_when_it_is_back() {
    let address = Receiver::nobody().await;
    let world = World::new();
    let id = world.stream("s", &format!("http://{address}/events"), json!({})).await;
    world.many_users("u", 20).await;
    let running = world.start().await;
    until("the breaker opens", PATIENCE, || async {
        (!running.pushing.breakers.of(address.to_string()).is_closed()).then_some(())
    })
    .await;
    let receiver = Receiver::start_at(address).await;
    world.kept(&id, 20).await;
    running.stop().await;
    assert_eq!(receiver.accepted().len(), 20);
    assert_eq!(world.record(&id).status, Status::Enabled);
}

/// 8935-4-02 8935-2-01
#[tokio::test]
async fn what_is_not_answered_in_time_is_sent_again_as_it_was() {
    let receiver = Receiver::start().await;
    receiver.script([Reply::never(), Reply::never()]);
    let (mut world, id) = world(&receiver, &["a"]).await;
    world.timing.request = Duration::from_millis(150);
    let running = world.start().await;
    world.kept(&id, 1).await;
    running.stop().await;
    let sets: BTreeSet<String> = receiver.received().iter().map(super::support::receiver::Received::set).collect();
    assert_eq!((receiver.count(), sets.len(), receiver.accepted().len()), (3, 1, 1));
}

/// 8935-2.2-01
#[tokio::test]
async fn another_success_than_202_is_a_success() {
    let receiver = Receiver::start().await;
    receiver.script([Reply::status(200).body("{}"), Reply::status(204), Reply::endless(201), Reply::reset_in_body(200)]);
    let (world, id) = world(&receiver, &["a", "b", "c", "d"]).await;
    let running = world.start().await;
    world.kept(&id, 4).await;
    running.stop().await;
    assert_eq!((receiver.count(), world.dead(&id, 0).await.len()), (4, 0));
}

/// 8935-2.2-01
#[tokio::test]
async fn nobody_is_followed_to_where_an_answer_points() {
    for status in [301, 302, 303, 307, 308] {
        let (receiver, metadata) = (Receiver::start().await, Receiver::start().await);
        receiver.script([Reply::redirect(status, &metadata.url())]);
        let (world, id) = world(&receiver, &["a", "b"]).await;
        let running = world.start().await;
        let reason = "the endpoint answers with a redirect, which is not followed".to_owned();
        assert_eq!(world.stopped(&id).await, (Status::Paused, reason), "{status}");
        running.stop().await;
        assert_eq!((receiver.count(), metadata.connections()), (1, 0), "{status}");
    }
}

/// 8935-4-03 8935-4-06 8935-2.4-01
#[tokio::test]
async fn a_refused_event_is_a_dead_letter_and_the_stream_goes_on() {
    for code in ["invalid_request", "invalid_audience", "invalid_issuer", "jwtHdr"] {
        let receiver = Receiver::start().await;
        receiver.script([Reply::refused(code)]);
        let (world, id) = world(&receiver, &["a", "b"]).await;
        let running = world.start().await;
        world.kept(&id, 2).await;
        let dead = world.dead(&id, 1).await;
        running.stop().await;
        let letter = &dead[0];
        assert_eq!((letter.place.0, letter.attempts, letter.status, letter.retry), (1, 1, Some(400), false));
        assert_eq!((letter.error.as_str(), letter.description.as_deref()), (code, Some("as the script says")));
        assert_eq!((receiver.count(), world.record(&id).status), (2, Status::Enabled));
    }
}

/// 8935-2.3-01
#[tokio::test]
async fn a_refusal_that_says_nothing_is_one_too() {
    let receiver = Receiver::start().await;
    let replies = [Reply::status(400), Reply::status(400).body("<html>"), Reply::endless(400), Reply::status(422).body("{}")];
    receiver.script(replies);
    let (world, id) = world(&receiver, &["a", "b", "c", "d", "e"]).await;
    let running = world.start().await;
    world.kept(&id, 5).await;
    let dead = world.dead(&id, 4).await;
    running.stop().await;
    let errors: Vec<&str> = dead.iter().map(|letter| letter.error.as_str()).collect();
    assert_eq!(errors, ["http_400", "http_400", "http_400", "http_422"]);
    assert_eq!(receiver.count(), 5);
}

/// 8935-4-03
#[tokio::test]
async fn twenty_refused_events_in_a_row_pause_the_stream() {
    let receiver = Receiver::start().await;
    receiver.otherwise(|_| Reply::refused("invalid_audience"));
    let world = World::new();
    let id = world.stream("s", &receiver.url(), json!({})).await;
    world.many_users("u", 60).await;
    let running = world.start().await;
    let reason = "the receiver refuses one event after another".to_owned();
    assert_eq!(world.stopped(&id).await, (Status::Paused, reason));
    world.dead(&id, 20).await;
    running.stop().await;
    assert_eq!(receiver.count(), 20);
}

/// 8935-4-04
#[tokio::test]
async fn a_key_that_is_not_known_yet_gets_a_second_chance_and_no_third() {
    let receiver = Receiver::start().await;
    receiver.script([Reply::refused("invalid_key")]);
    let (world, id) = world(&receiver, &["a", "b"]).await;
    let running = world.start().await;
    world.kept(&id, 2).await;
    let order: Vec<String> = receiver.received().iter().map(super::support::receiver::Received::jti).collect();
    let jtis = world.jtis(&id).await;
    assert_eq!(order, [0, 1, 0].map(|index: usize| jtis[index].clone()), "the others do not wait for it");
    let (first, second) = (receiver.received()[0].arrived, receiver.received()[2].arrived);
    assert!(second - first >= world.schedule.key_wait);
    receiver.script([Reply::refused("invalid_key"), Reply::refused("invalid_key")]);
    world.users(&["c"]).await;
    world.kept(&id, 3).await;
    let dead = world.dead(&id, 1).await;
    running.stop().await;
    assert_eq!((dead[0].error.as_str(), dead[0].attempts, receiver.count()), ("invalid_key", 2, 5));
}

/// 8935-4-05
#[tokio::test]
async fn a_credential_that_is_refused_pauses_the_stream_after_ten_tries() {
    for reply in [Reply::status(401), Reply::status(403), Reply::refused("authentication_failed"), Reply::refused("access_denied")]
    {
        let receiver = Receiver::start().await;
        let again = reply.clone();
        receiver.otherwise(move |_| again.clone());
        let (world, id) = world(&receiver, &["a", "b", "c"]).await;
        let running = world.start().await;
        let (status, reason) = world.stopped(&id).await;
        assert_eq!(status, Status::Paused);
        assert!(reason.starts_with("the receiver does not accept the authorization ("), "{reason}");
        running.stop().await;
        assert_eq!((receiver.count(), receiver.most_in_flight(), world.dead(&id, 0).await.len()), (10, 1, 0));
    }
}

#[tokio::test]
async fn an_endpoint_that_is_none_pauses_the_stream_after_five_tries() {
    for status in [404, 405, 410, 413, 415] {
        let receiver = Receiver::start().await;
        receiver.otherwise(move |_| Reply::status(status));
        let (world, id) = world(&receiver, &["a", "b", "c"]).await;
        let running = world.start().await;
        let reason = format!("the receiver has no endpoint for events there (http_{status})");
        assert_eq!(world.stopped(&id).await, (Status::Paused, reason));
        running.stop().await;
        assert_eq!((receiver.count(), receiver.most_in_flight(), world.dead(&id, 0).await.len()), (5, 1, 0));
    }
}

/// 8935-2-03
#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it_and_is_not_given_up() {
    let receiver = Receiver::start().await;
    let date = "Sun, 06 Nov 1994 08:49:37 GMT";
    let held = |status, retry_after| Reply::status(status).header("retry-after", retry_after);
    let replies = [429, 503].into_iter().flat_map(|status| ["1", "0", date, "soon", "-1"].map(|after| held(status, after)));
    receiver.script(replies.chain([Reply::status(429)]));
    let (world, id) = world(&receiver, &["a", "b"]).await;
    let running = world.start().await;
    world.kept(&id, 2).await;
    running.stop().await;
    let requests = receiver.received();
    assert_eq!((requests.len(), receiver.most_in_flight()), (13, 1));
    let waits: Vec<Duration> = requests.windows(2).take(11).map(|two| two[1].arrived - two[0].arrived).collect();
    assert!(waits.iter().all(|wait| *wait >= world.schedule.held.0), "{waits:?}");
    assert!(waits[0] >= world.schedule.held.1 && waits[5] >= world.schedule.held.1, "{waits:?}");
    assert_eq!(world.dead(&id, 0).await.len(), 0);
}

/// 8935-4-02
#[tokio::test]
async fn what_breaks_off_is_sent_again() {
    let receiver = Receiver::start().await;
    receiver.script([Reply::reset(), Reply::reset_in_body(400), Reply::reset_in_body(500), Reply::reset_in_body(202)]);
    let (world, id) = world(&receiver, &["a"]).await;
    let running = world.start().await;
    world.kept(&id, 1).await;
    running.stop().await;
    let sets: BTreeSet<String> = receiver.received().iter().map(super::support::receiver::Received::set).collect();
    assert_eq!((receiver.count(), sets.len(), world.dead(&id, 0).await.len()), (4, 1, 0));
}

#[tokio::test]
async fn an_answer_without_end_is_not_read() {
    let receiver = Receiver::start().await;
    receiver.otherwise(|_| Reply::endless(500));
    let (world, _) = world(&receiver, &["a"]).await;
    let running = world.start().await;
    receiver.at_least(3).await;
    running.kill().await;
    until("its connections are let go", PATIENCE, || async { (receiver.open_connections() == 0).then_some(()) }).await;
    assert!(receiver.connections() >= 3);
}

/// 8935-2-03
#[tokio::test]
async fn while_it_fails_one_request_is_under_way_and_then_all_lanes_are() {
    let receiver = Receiver::start().await;
    let world = World::new();
    let id = world.stream("s", &receiver.url(), json!({})).await;
    world.users(&["first"]).await;
    let running = world.start().await;
    world.kept(&id, 1).await;
    receiver.script((0..12).map(|_| Reply::status(503)));
    world.many_users("u", 3).await;
    receiver.at_least(13).await;
    world.kept(&id, 4).await;
    let failing = receiver.received();
    let gate = Gate::default();
    receiver.script((0..4).map(|_| Reply::accepted().held_by(&gate)));
    world.many_users("v", 8).await;
    receiver.at_least(failing.len() + 4).await;
    assert_eq!(receiver.most_in_flight(), 4);
    gate.open();
    world.kept(&id, 12).await;
    running.stop().await;
}

/// One event that a receiver cannot digest delays its subject, and nobody else.
#[tokio::test]
async fn an_event_that_always_fails_does_not_hold_up_the_others() {
    let receiver = Receiver::start().await;
    receiver.otherwise(|request| {
        let is_poison = request.claims()["sub_id"]["uri"] == "/Users/poison";
        if is_poison { Reply::status(500) } else { Reply::accepted() }
    });
    let world = World::new();
    let id = world.stream("s", &receiver.url(), json!({})).await;
    world.users(&["poison"]).await;
    world.many_users("u", 50).await;
    let running = world.start().await;
    receiver.at_least_accepted(50).await;
    assert_eq!(world.record(&id).status, Status::Enabled);
    receiver.otherwise(|_| Reply::accepted());
    world.kept(&id, 51).await;
    running.stop().await;
    assert_eq!(receiver.accepted().len(), 51);
}
