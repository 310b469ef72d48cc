//! Push: what one stream costs those who write, how soon an event arrives, and how much lanes bring.

use super::delivery::{p50_ms, p99_ms};
use crate::client::{Connection, drive};
use crate::lab::Lab;
use crate::person::{self, Creates, new_user};
use crate::random::Random;
use crate::receiver::{Receiver, Tally};
use crate::report::Line;
use crate::server::Server;
use crate::stream::{self, Start};
use crate::{Result, limits, replay};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Durable POST with a push stream and without any, by turns. The time with the stream ends when the receiver has had every event, so
/// that a stream that falls behind is no way to be fast.
pub(crate) async fn beside_writes(lab: &Lab) -> Result<Line> {
    let tally = Arc::new(Tally::default());
    let receiver = Receiver::start(&tally, Duration::ZERO).await?;
    let mut config = String::new();
    stream::push(&mut config, "pace", receiver.address, limits::LANES_BESIDE_WRITES, Start::Now);
    let with = Server::start_with(&lab.store("with push", &[])?, &config)?;
    let without = Server::start(&lab.store("without push", &[])?)?;
    let traffic = Arc::new(Creates::default());
    let (mut rounds, mut behind, mut written) = (Vec::new(), Duration::ZERO, 0);
    for _ in 0..lab.scale.rounds {
        without.settle().await?;
        let alone = drive(without.address, lab.load(), &traffic).await?;
        with.settle().await?;
        let start = Instant::now();
        let beside = drive(with.address, lab.load(), &traffic).await?;
        let end = Instant::now();
        written += beside.requests;
        let last = tally.reach(written).await?.last.unwrap_or(end).max(end);
        behind = behind.max(last - end);
        #[expect(clippy::cast_precision_loss, reason = "counts of requests are small")]
        let rate = beside.requests as f64 / (last - start).as_secs_f64();
        rounds.push((rate, alone.rate));
    }
    let again = tally.progress().count - written;
    with.stop()?;
    without.stop()?;
    let pace = if behind <= limits::KEEPING_PACE { "kept pace" } else { "DID NOT KEEP PACE" };
    let note = format!("{pace}: last event {} ms after the last write; {again} events came again", behind.as_millis());
    Ok(Line::of_rounds("durable POST until pushed / without stream, users/s", &rounds, limits::PUSH_TO_NONE, note))
}

/// From the answer to a write, before which it is committed, to the arrival of its event, one write at a time.
pub(crate) async fn idle(lab: &Lab) -> Result<Line> {
    let tally = Arc::new(Tally::default());
    let receiver = Receiver::start(&tally, Duration::ZERO).await?;
    let mut config = String::new();
    stream::push(&mut config, "idle", receiver.address, limits::LANES, Start::Now);
    let server = Server::start_with(&lab.store("idle push", &[])?, &config)?;
    let mut connection = Connection::open(server.address).await?;
    let (mut random, mut request) = (Random::new(), Vec::new());
    let (mut from_answer, mut from_request) = (Vec::new(), Vec::new());
    // The first are not counted: connections and keys are made then.
    for number in 1..=limits::PUSH_WARM_UP + lab.scale.pushes_idle {
        request.clear();
        person::request(&mut request, "POST", format_args!("/Users"), &new_user(random.next()));
        let sent = Instant::now();
        connection.succeed(&request).await?;
        let answered = Instant::now();
        let arrived = tally.reach(number as u64).await?.last.unwrap_or(answered);
        if number > limits::PUSH_WARM_UP {
            from_answer.push(arrived.saturating_duration_since(answered));
            from_request.push(arrived - sent);
        }
        // Cursors are written after that, in batches: each write meets a server at rest.
        server.settle().await?;
    }
    server.stop()?;
    let note = format!("p50 {:.1} ms; from the request p99 {:.1} ms", p50_ms(&from_answer), p99_ms(from_request));
    let value = p99_ms(from_answer);
    let name = format!("commit to received by push, idle, p99 of {}, ms", lab.scale.pushes_idle);
    Ok(Line { name, value, baseline: None, judged: value, limit: limits::PUSH_IDLE_MS, note })
}

/// A backlog of events of different users to a receiver that takes its time, over several lanes.
pub(crate) async fn lanes(lab: &Lab) -> Result<Line> {
    let count = lab.scale.backlog;
    let folder = lab.store("lanes", &replay::people(count))?;
    let tally = Arc::new(Tally::default());
    let receiver = Receiver::start(&tally, limits::RECEIVER_TAKES).await?;
    let mut config = String::new();
    stream::push(&mut config, "lanes", receiver.address, limits::LANES, Start::Beginning);
    let server = Server::start_with(&folder, &config)?;
    let progress = tally.reach(count as u64).await?;
    server.stop()?;
    let (Some(first), Some(last)) = (progress.first, progress.last) else { return Err("nothing was pushed".into()) };
    #[expect(clippy::cast_precision_loss, reason = "counts of SETs are small")]
    let value = (progress.count - 1) as f64 / (last - first).as_secs_f64();
    let (lanes, takes) = (limits::LANES, limits::RECEIVER_TAKES.as_millis());
    let name = format!("push, {lanes} lanes, receiver of {takes} ms, SET/s");
    let most = u128::from(lanes) * 1000 / takes;
    let note = format!("{} SETs; no more than {most}/s are possible", progress.count);
    Ok(Line { name, value, baseline: None, judged: value, limit: limits::PUSH_LANES, note })
}
