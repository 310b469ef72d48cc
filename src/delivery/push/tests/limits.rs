//! Long waits, by a clock that does not run: the receiver is one that only answers.

use super::super::client::{Courier, Failure, Reply, Request};
use super::super::schedule::Schedule;
use super::world::World;
use crate::delivery::stream::Status;
use async_trait::async_trait;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// Answers every request the same way.
#[derive(Debug)]
struct Always(Reply, AtomicUsize);

#[async_trait]
impl Courier for Always {
    async fn send(&self, _: Request<'_>) -> Reply {
        self.1.fetch_add(1, Ordering::SeqCst);
        self.0.clone()
    }
}

const HOUR: u64 = 3_600;

/// How long a stream to such a receiver is tried, why it then is paused, and how many requests it took.
async fn given_up(reply: Reply) -> (Duration, String, usize) {
    let courier = Arc::new(Always(reply, AtomicUsize::new(0)));
    let mut world = World::new().with_courier(Arc::<Always>::clone(&courier));
    world.schedule = Schedule::STANDARD;
    let id = world.stream("s", "https://receiver.example/", json!({})).await;
    world.many_users("u", 5).await;
    let started = Instant::now();
    let running = world.start().await;
    let mut streams = world.delivery.streams.watch();
    let paused = streams.wait_for(|streams| streams.get(&id).is_some_and(|stream| stream.status != Status::Enabled)).await;
    let reason = paused.expect("a stream")[&id].reason.clone().expect("a reason");
    let elapsed = started.elapsed();
    running.stop().await;
    (elapsed, reason, courier.1.load(Ordering::SeqCst))
}

fn answered(status: u16) -> Reply {
    Reply::Answered { status, retry_after: None, body: Some(Vec::new()) }
}

/// 8935-2-03
#[tokio::test(start_paused = true)]
async fn a_dead_receiver_is_given_up_after_three_days_and_asked_rarely_until_then() {
    for (reply, error) in [(Reply::Failed(Failure::Connect), "connect"), (answered(500), "http_500"), (answered(408), "http_408")] {
        let (elapsed, reason, requests) = given_up(reply).await;
        assert_eq!(reason, format!("the receiver has not answered for 72 hours ({error})"));
        assert!(elapsed >= Duration::from_secs(72 * HOUR) && elapsed < Duration::from_secs(75 * HOUR), "{elapsed:?}");
        assert!((100..2_000).contains(&requests), "{requests}");
    }
}

/// 8935-4-05
#[tokio::test(start_paused = true)]
async fn a_credential_is_given_up_within_a_quarter_of_an_hour_and_an_endpoint_within_one() {
    let (elapsed, _, requests) = given_up(answered(401)).await;
    assert!(elapsed >= Duration::from_mins(7) && elapsed < Duration::from_mins(16), "{elapsed:?}");
    assert_eq!(requests, 10);
    let (elapsed, _, requests) = given_up(answered(404)).await;
    assert!(elapsed >= Duration::from_secs(HOUR / 2) && elapsed < Duration::from_secs(HOUR + 60), "{elapsed:?}");
    assert_eq!(requests, 5);
    let (_, reason, requests) = given_up(Reply::Failed(Failure::Address)).await;
    assert_eq!((reason.as_str(), requests), ("the endpoint's name has an address that this server does not send to (address)", 5));
}
