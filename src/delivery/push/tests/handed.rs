//! A stream that goes to another node while the database is slow, and what happens meanwhile.

use super::support::receiver::Receiver;
use super::support::wait::{PATIENCE, until};
use super::world::{Running, World};
use crate::base::id::StreamId;
use crate::delivery::counted::Counted;
use crate::store::ledger::push_lease;
use serde_json::json;
use std::sync::Arc;

/// Two streams, of which one is about to go to another node: what was delivered of it cannot be kept as long as the guard is there.
async fn handing(world: &World, counted: &Arc<Counted>, receiver: &Receiver) -> (Running, [StreamId; 2]) {
    let streams = [world.stream("a", &receiver.url(), json!({})).await, world.stream("b", &receiver.url(), json!({})).await];
    let running = world.start().await;
    world.users(&["ann"]).await;
    receiver.at_least_accepted(2).await;
    counted.beside(1);
    // The one that goes is the last one.
    let is_ended = || async { format!("{:?}", running.pushing.leases).contains("Ended(").then_some(()) };
    until("its delivery has ended", PATIENCE, is_ended).await;
    (running, streams)
}

#[tokio::test]
async fn a_stream_that_is_removed_meanwhile_is_in_nobody_s_way() {
    let receiver = Receiver::start().await;
    let (world, counted) = World::beside_others();
    let guard = counted.hold().await;
    let (running, [stays, goes]) = handing(&world, &counted, &receiver).await;
    world.delivery.streams.delete(&stays).await.expect("removed");
    running.rests(&receiver).await;
    let claims = counted.claims();
    drop(guard);
    let is_given = || async { counted.given().contains(&push_lease(&goes)).then_some(()) };
    until("it goes to the other node", PATIENCE, is_given).await;
    until("leases are claimed", PATIENCE, || async { (counted.claims() > claims).then_some(()) }).await;
    running.stop().await;
}

#[tokio::test]
async fn a_stop_meanwhile_gives_everything_back() {
    let receiver = Receiver::start().await;
    let (world, counted) = World::beside_others();
    let guard = counted.hold().await;
    let (running, streams) = handing(&world, &counted, &receiver).await;
    let stopping = tokio::spawn(running.stop());
    tokio::task::yield_now().await;
    drop(guard);
    until("it stops", PATIENCE, || async { stopping.is_finished().then_some(()) }).await;
    stopping.await.expect("stopped");
    let given = counted.given();
    assert!(streams.iter().map(push_lease).chain(["node/node".into()]).all(|name| given.contains(&name)), "{given:?}");
}
