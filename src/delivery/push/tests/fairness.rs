//! What streams share, and that none of them suffers for another.

use super::support::receiver::Receiver;
use super::support::reply::Reply;
use super::support::wait::{PATIENCE, until};
use super::world::World;
use serde_json::json;

/// A hundred streams to receivers that never answer, with all their lanes, and one that works (I4).
#[tokio::test]
async fn receivers_that_never_answer_hold_up_nobody_else() {
    let (mute, healthy) = (Receiver::start().await, Receiver::start().await);
    mute.otherwise(|_| Reply::never());
    let world = World::new();
    for number in 0..100 {
        let lanes = json!({"method": {"method": "push", "endpoint": mute.url(), "lanes": 16}});
        world.stream(&format!("mute-{number}"), &mute.url(), lanes).await;
    }
    let running = world.start().await;
    world.many_users("u", 20).await;
    mute.at_least(20).await;
    let id = world.stream("healthy", &healthy.url(), json!({})).await;
    world.many_users("v", 20).await;
    world.kept(&id, 40).await;
    running.kill().await;
    assert_eq!(healthy.accepted().len(), 40);
}

/// Streams to one host that is dead learn of it from each other.
#[tokio::test]
async fn a_dead_host_is_asked_by_one_stream_at_a_time() {
    let address = Receiver::nobody().await;
    let world = World::new();
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(world.stream(&format!("s{number}"), &format!("http://{address}/{number}"), json!({})).await);
    }
    world.users(&["a"]).await;
    let running = world.start().await;
    let breaker = running.pushing.breakers.of(address.to_string());
    until("the breaker opens", PATIENCE, || async { (!breaker.is_closed()).then_some(()) }).await;
    let receiver = Receiver::start_at(address).await;
    for id in &ids {
        world.kept(id, 1).await;
    }
    running.stop().await;
    assert!(breaker.is_closed());
    assert_eq!(receiver.accepted().len(), 10);
}

#[tokio::test]
async fn a_thousand_streams_start_and_each_gets_its_event() {
    let receiver = Receiver::start().await;
    let world = World::new();
    for number in 0..1_000 {
        world.stream(&format!("s{number}"), &receiver.url(), json!({})).await;
    }
    world.users(&["a"]).await;
    let running = world.start().await;
    receiver.at_least_accepted(1_000).await;
    running.stop().await;
    assert_eq!(receiver.count(), 1_000);
    assert!(receiver.most_in_flight() <= 256);
}
