//! Streams that come, change and go; and what has to be verified before.

use super::support::receiver::Receiver;
use super::support::reply::{Gate, Reply};
use super::support::wait::{PATIENCE, until};
use super::world::World;
use crate::base::id::StreamId;
use crate::delivery::stream::{Method, Push, Status, Stream};
use crate::delivery::streams::Changed;
use serde_json::{Value, json};

async fn change(world: &World, id: &StreamId, mut change: impl FnMut(&mut Stream) + Send) {
    let changed = world.delivery.streams.change(id, |stream| {
        change(stream);
        Ok(Changed::Yes)
    });
    changed.await.expect("changed");
}

fn verification(holds_others: bool) -> Value {
    let event = uuid::Uuid::from_u128(77).to_string();
    json!({"verification": {"event": event, "at": 1_000, "state": "as asked", "holds_others": holds_others}})
}

fn is_verification(claims: &Value) -> bool {
    claims["events"].get("https://schemas.openid.net/secevent/ssf/event-type/verification").is_some()
}

#[tokio::test]
async fn a_stream_that_moves_goes_on_where_it_was() {
    let (before, after) = (Receiver::start().await, Receiver::start().await);
    let world = World::new();
    let id = world.stream("s", &before.url(), json!({})).await;
    world.many_users("u", 10).await;
    let running = world.start().await;
    before.at_least_accepted(10).await;
    change(&world, &id, |stream| {
        stream.method = Method::Push(Push { endpoint: after.url(), authorization: None, lanes: 2 });
    })
    .await;
    world.many_users("v", 10).await;
    world.kept(&id, 20).await;
    running.stop().await;
    assert_eq!((before.count(), after.count()), (10, 10), "nothing is lost, and nothing comes twice");
}

#[tokio::test]
async fn a_change_of_what_does_not_matter_interrupts_nothing() {
    let receiver = Receiver::start().await;
    let gate = Gate::default();
    receiver.script([Reply::accepted().held_by(&gate)]);
    let world = World::new();
    let id = world.stream("s", &receiver.url(), json!({})).await;
    world.users(&["a"]).await;
    let running = world.start().await;
    receiver.at_least(1).await;
    change(&world, &id, |stream| stream.description = Some("another".into())).await;
    gate.open();
    world.kept(&id, 1).await;
    running.stop().await;
    assert_eq!((receiver.count(), receiver.accepted().len()), (1, 1));
}

#[tokio::test]
async fn a_paused_stream_rests_and_goes_on_later() {
    let receiver = Receiver::start().await;
    let world = World::new();
    let id = world.stream("s", &receiver.url(), json!({})).await;
    world.users(&["a"]).await;
    let running = world.start().await;
    world.kept(&id, 1).await;
    change(&world, &id, |stream| stream.status = Status::Paused).await;
    running.rests(&receiver).await;
    world.users(&["b"]).await;
    let other = world.stream("t", &receiver.url(), json!({"start": 1})).await;
    world.kept(&other, 2).await;
    assert_eq!(receiver.count(), 2, "of the paused one there is nothing");
    change(&world, &id, |stream| stream.status = Status::Enabled).await;
    world.kept(&id, 2).await;
    running.stop().await;
    assert_eq!(receiver.count(), 3);
}

#[tokio::test]
async fn of_a_stream_that_is_gone_nothing_is_kept() {
    let receiver = Receiver::start().await;
    let gate = Gate::default();
    receiver.script([Reply::accepted().held_by(&gate)]);
    let world = World::new();
    let id = world.stream("s", &receiver.url(), json!({})).await;
    world.users(&["a"]).await;
    let running = world.start().await;
    receiver.at_least(1).await;
    world.delivery.streams.delete(&id).await.expect("deleted");
    gate.open();
    running.rests(&receiver).await;
    running.stop().await;
    assert_eq!(world.delivery.ledger.resolved(&id, 0).await.expect("places"), None);
}

#[tokio::test]
async fn a_new_endpoint_gets_nothing_before_it_is_verified() {
    let receiver = Receiver::start().await;
    let gate = Gate::default();
    receiver.script([Reply::status(500), Reply::accepted().held_by(&gate)]);
    let world = World::new();
    let id = world.stream("s", &receiver.url(), verification(true)).await;
    world.users(&["a", "b"]).await;
    let running = world.start().await;
    let requests = receiver.at_least(2).await;
    assert!(requests.iter().all(|request| is_verification(&request.claims())));
    let claims = requests[1].claims();
    assert_eq!(claims["sub_id"], json!({"format": "opaque", "id": "s"}));
    assert_eq!(claims["events"].as_object().expect("events").values().next(), Some(&json!({"state": "as asked"})));
    assert_eq!(requests[0].jti(), requests[1].jti());
    gate.open();
    world.kept(&id, 2).await;
    let verified = || async { world.record(&id).verification.is_none().then_some(()) };
    until("the record says so", PATIENCE, verified).await;
    running.stop().await;
    assert_eq!(receiver.count(), 4);
}

/// Any web server may answer 200 to whatever it is sent.
#[tokio::test]
async fn a_new_endpoint_that_answers_anything_with_200_is_not_verified() {
    let receiver = Receiver::start().await;
    receiver.script([Reply::status(200)]);
    let world = World::new();
    let id = world.stream("s", &receiver.url(), verification(true)).await;
    world.users(&["a"]).await;
    let running = world.start().await;
    assert_eq!(world.stopped(&id).await, (Status::Paused, "the endpoint is not verified: not_202".to_owned()));
    running.stop().await;
    assert_eq!(receiver.count(), 1);
}

#[tokio::test]
async fn a_new_endpoint_that_refuses_to_be_verified_gets_nothing_at_all() {
    let receiver = Receiver::start().await;
    receiver.script([Reply::refused("invalid_audience")]);
    let world = World::new();
    let id = world.stream("s", &receiver.url(), verification(true)).await;
    world.users(&["a"]).await;
    let running = world.start().await;
    let stopped = (Status::Paused, "the endpoint is not verified: invalid_audience".to_owned());
    assert_eq!(world.stopped(&id).await, stopped);
    assert_eq!(receiver.count(), 1);
    change(&world, &id, |stream| stream.status = Status::Enabled).await;
    world.kept(&id, 1).await;
    running.stop().await;
    let verifications: Vec<bool> = receiver.received().iter().map(|request| is_verification(&request.claims())).collect();
    assert_eq!(verifications, [true, true, false], "it is asked again before anything flows");
}

#[tokio::test]
async fn a_verification_that_was_asked_for_goes_first_and_holds_up_nothing() {
    let receiver = Receiver::start().await;
    receiver.script([Reply::refused("invalid_audience")]);
    let world = World::new();
    let id = world.stream("s", &receiver.url(), verification(false)).await;
    world.users(&["a"]).await;
    let running = world.start().await;
    world.kept(&id, 1).await;
    until("it is done with", PATIENCE, || async { world.record(&id).verification.is_none().then_some(()) }).await;
    running.stop().await;
    let verifications: Vec<bool> = receiver.received().iter().map(|request| is_verification(&request.claims())).collect();
    assert_eq!((verifications, world.record(&id).status), (vec![true, false], Status::Enabled));
}

#[tokio::test]
async fn an_endpoint_that_may_not_be_pauses_the_stream_before_anything_is_sent() {
    let receiver = Receiver::start().await;
    let world = World::new();
    let id = world.stream("s", &receiver.url(), json!({"origin": "request"})).await;
    world.users(&["a"]).await;
    let running = world.start().await;
    let reason = "the endpoint is not allowed: its host or its port is not one that this server sends to".to_owned();
    assert_eq!(world.stopped(&id).await, (Status::Paused, reason));
    running.stop().await;
    assert_eq!(receiver.connections(), 0);
}

#[tokio::test]
async fn a_stream_whose_secret_cannot_be_opened_is_paused() {
    let receiver = Receiver::start().await;
    let world = World::new();
    let method = json!({"method": "push", "endpoint": receiver.url(), "lanes": 1, "authorization": "sealed:AAAA"});
    let id = world.stream("s", &receiver.url(), json!({"method": method})).await;
    let running = world.start().await;
    let (status, reason) = world.stopped(&id).await;
    running.stop().await;
    assert!(status == Status::Paused && reason.contains("SECRETS_KEY"), "{reason}");
}
