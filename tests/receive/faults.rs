//! Faults that a receiver shows on purpose.

use super::support::client::NoAnswer;
use super::support::wait::{PATIENCE, until};
use super::world::{World, assert_accepted, assert_refused, push};
use std::time::{Duration, Instant};

#[tokio::test]
async fn statuses_and_codes_come_as_often_as_asked_for() {
    let world = World::new();
    let receiver = world.listen(&["--fault", "status=503:2", "--fault", "err=made_up:3"]);
    let client = receiver.client().await;
    let set = world.signer.set("1");
    assert_accepted(&push(&client, &set).await);
    assert_eq!(push(&client, &set).await.status, 503);
    assert_refused(&push(&client, &set).await, "made_up", "As --fault asked for.");
    assert_eq!(push(&client, &world.signer.set("2")).await.status, 503);
    assert_eq!(world.jtis(), ["1"], "what is answered so is not kept");
}

#[tokio::test]
async fn a_late_answer_and_one_that_breaks_off_come_after_keeping() {
    let world = World::new();
    let receiver = world.listen(&["--fault", "delay=300", "--fault", "reset=2"]);
    let client = receiver.client().await;
    let begun = Instant::now();
    assert_accepted(&push(&client, &world.signer.set("1")).await);
    assert!(begun.elapsed() >= Duration::from_millis(300));
    let request = client.on("POST", "").header("content-type", "application/secevent+jwt").body(world.signer.set("2"));
    assert_eq!(request.try_send().await.err(), Some(NoAnswer::Unknown));
    assert_eq!(world.jtis(), ["1", "2"]);
}

#[tokio::test]
async fn an_answer_that_never_comes_does_not_hold_the_end_up() {
    let world = World::new();
    let mut receiver = world.listen(&["--fault", "drop"]);
    let client = receiver.client().await;
    let request = client.on("POST", "").header("content-type", "application/secevent+jwt").body(world.signer.set("1"));
    let waiting = tokio::spawn(request.try_send());
    until("it is kept", PATIENCE, || async { (world.jtis() == ["1"]).then_some(()) }).await;
    receiver.terminate();
    assert!(receiver.ended().await.success());
    let _ = waiting.await;
    receiver.says("received 1 (").await;
}
