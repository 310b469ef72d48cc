//! Fairness: many push streams at a steady rate of writes, with a dead and a slow receiver among them and without, by turns.

use super::delivery::p99_ms;
use crate::client::Connection;
use crate::lab::Lab;
use crate::person::{self, new_user, read_person};
use crate::random::Random;
use crate::receiver::{Receiver, Sink, Tally};
use crate::report::{Line, median};
use crate::server::Server;
use crate::stream::{self, Start};
use crate::{Result, limits};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How late healthy streams are, and what a write costs.
pub(crate) async fn measure(lab: &Lab) -> Result<Vec<Line>> {
    let (healthy, slow) = (Arc::new(Healthy::default()), Arc::new(Tally::default()));
    let receiver = Receiver::start(&healthy, Duration::ZERO).await?;
    let slow_receiver = Receiver::start(&slow, limits::SLOW_RECEIVER_TAKES).await?;
    let streams = lab.scale.streams;
    let config = |healthy: usize| {
        let mut config = String::new();
        for number in 0..healthy {
            stream::push(&mut config, &format!("healthy-{number}"), receiver.address, limits::LANES, Start::Now);
        }
        config
    };
    // As many healthy streams on both sides: only the other two differ.
    let without = Server::start_with(&lab.store("fair without", &[])?, &config(streams - 2))?;
    let mut with = config(streams - 2);
    stream::push(&mut with, "dead", Receiver::nobody().await?, limits::LANES, Start::Now);
    stream::push(&mut with, "slow", slow_receiver.address, limits::LANES, Start::Now);
    let with = Server::start_with(&lab.store("fair with", &[])?, &with)?;
    let (mut late, mut writes) = (Vec::new(), Vec::new());
    for _ in 0..lab.scale.rounds {
        let alone = run(lab, &without, &healthy).await?;
        let beside = run(lab, &with, &healthy).await?;
        late.push((beside.late_ms, alone.late_ms));
        writes.push((beside.write_ms, alone.write_ms));
    }
    with.stop()?;
    without.stop()?;
    if slow.progress().count == 0 {
        return Err("the slow receiver got nothing".into());
    }
    let name = "push beside a dead and a slow stream / alone, p99 ms";
    let note = format!("{} healthy streams; the slow one got {} SETs", streams - 2, slow.progress().count);
    let fair = Line::of_rounds(name, &late, limits::FAIR_LATE, note);
    let spread = writes.iter().map(|(_, alone)| *alone).collect::<Vec<_>>();
    let (least, most) = spread.iter().fold((f64::MAX, 0.0_f64), |(least, most), one| (least.min(*one), most.max(*one)));
    let note = format!("alone {least:.2} to {most:.2} ms");
    let cost = Line::of_rounds("SCIM POST meanwhile / alone, p50 ms", &writes, limits::FAIR_WRITE, note);
    Ok(vec![fair, cost])
}

/// What came of one run.
struct Outcome {
    late_ms: f64,
    write_ms: f64,
}

/// Writes at a steady rate, and waits until every healthy stream has had every event.
async fn run(lab: &Lab, server: &Server, healthy: &Healthy) -> Result<Outcome> {
    server.settle().await?;
    let mut connection = Connection::open(server.address).await?;
    let (mut random, mut request) = (Random::new(), Vec::new());
    let (mut committed, mut writes_ms) = (HashMap::new(), Vec::new());
    let before = healthy.tally.progress().count;
    let mut ticks = tokio::time::interval(limits::FAIR_WRITE_EVERY);
    let start = Instant::now();
    while start.elapsed() < lab.scale.fair_time {
        ticks.tick().await;
        request.clear();
        person::request(&mut request, "POST", format_args!("/Users"), &new_user(random.next()));
        let sent = Instant::now();
        connection.succeed(&request).await?;
        let answered = Instant::now();
        writes_ms.push((answered - sent).as_secs_f64() * 1000.0);
        committed.insert(read_person(connection.body())?.id.to_string(), answered);
    }
    let expected = committed.len() * (lab.scale.streams - 2);
    healthy.tally.reach(before + expected as u64).await?;
    let arrivals = std::mem::take(&mut *healthy.arrivals.lock().unwrap_or_else(PoisonError::into_inner));
    let late = arrivals.iter().filter_map(|(user, at)| Some(at.saturating_duration_since(*committed.get(user)?)));
    let late: Vec<Duration> = late.collect();
    if late.len() < expected {
        return Err(format!("healthy streams got {} of {expected} events", late.len()).into());
    }
    Ok(Outcome { late_ms: p99_ms(late), write_ms: median(writes_ms) })
}

/// The receiver of the healthy streams: whose event came, and when.
#[derive(Debug, Default)]
struct Healthy {
    tally: Tally,
    arrivals: Mutex<Vec<(String, Instant)>>,
}

impl Sink for Healthy {
    fn received(&self, _target: &str, set: &[u8]) {
        let now = Instant::now();
        if let Some(user) = user_of(set) {
            self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).push((user, now));
        }
        self.tally.add(1);
    }
}

/// The id of the user whom a SET is about.
fn user_of(set: &[u8]) -> Option<String> {
    let claims = URL_SAFE_NO_PAD.decode(set.split(|byte| *byte == b'.').nth(1)?).ok()?;
    let claims = String::from_utf8(claims).ok()?;
    let (_, rest) = claims.split_once("/Users/")?;
    Some(rest.split('"').next()?.to_owned())
}
