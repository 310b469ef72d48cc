//! Reads: by id against bare axum, and by `userName` against the same with few users.

use super::many;
use crate::Result;
use crate::client::{Connection, Load, Measured, Traffic, drive};
use crate::lab::Lab;
use crate::limits::{self, Limit};
use crate::person::{self, Patches, Person, Reads, Searches, Static};
use crate::random::Random;
use crate::report::Line;
use crate::server::Server;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// GET by id, alone and with writers alongside.
pub(crate) async fn by_id(lab: &Lab, server: &Server, people: &Arc<Vec<Person>>) -> Result<Vec<Line>> {
    let mut connection = Connection::open(server.address).await?;
    let mut request = Vec::new();
    person::request(&mut request, "GET", format_args!("/Users/{}", people[0].id), "");
    connection.succeed(&request).await?;
    let bare = Server::start_static(std::str::from_utf8(connection.body())?)?;
    let reads = Arc::new(Reads(Arc::clone(people)));
    let patches = Arc::new(Patches::new(Arc::clone(people), limits::WRITERS_BESIDE_READS));
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let (mut notes, mut notes_beside) = (String::new(), String::new());
    for _ in 0..lab.scale.rounds {
        let (read, read_us) = timed(lab, server, &reads).await?;
        let (fixed, fixed_us) = timed(lab, &bare, &Arc::new(Static)).await?;
        let writers = Writers::start(server.address, &patches, lab.scale.round_time);
        let (mixed, _) = timed(lab, server, &reads).await?;
        let written = writers.finish().await?;
        alone.push((read.rate, fixed.rate));
        beside.push((mixed.rate, fixed.rate));
        notes = format!("{read}; server processor {read_us:.1} us a request, bare {fixed_us:.1}");
        notes_beside = format!("{mixed}; {written:.0} writes/s");
    }
    let size = people.len();
    let name = format!("GET /Users/{{id}} of {size} / bare axum, requests/s");
    let name_beside = "the same with 300 PATCH/s alongside, requests/s";
    Ok(vec![
        Line::of_rounds(name, &alone, limits::READ_TO_STATIC, notes),
        Line::of_rounds(name_beside, &beside, Limit::Shown, notes_beside),
    ])
}

/// `userName eq` with many users and with few.
pub(crate) async fn by_name(lab: &Lab, server: &Server, people: &Arc<Vec<Person>>) -> Result<Line> {
    let (few_server, few) = many::few(lab)?;
    expect_one_match(server, people[people.len() / 2]).await?;
    expect_one_match(&few_server, few[few.len() / 2]).await?;
    let (search, search_few) = (Arc::new(Searches(Arc::clone(people))), Arc::new(Searches(Arc::clone(&few))));
    let mut rounds = Vec::new();
    let mut note = String::new();
    for _ in 0..lab.scale.rounds {
        let (large, large_us) = timed(lab, server, &search).await?;
        let (small, small_us) = timed(lab, &few_server, &search_few).await?;
        rounds.push((large.rate, small.rate));
        note = format!("{large}; server processor {large_us:.1} us a request, few {small_us:.1}");
    }
    few_server.stop()?;
    let name = format!("userName eq, {} users / {}, requests/s", people.len(), few.len());
    Ok(Line::of_rounds(name, &rounds, limits::FILTER_MANY_TO_FEW, note))
}

/// What is fast but wrong does not count.
async fn expect_one_match(server: &Server, person: Person) -> Result<()> {
    let mut request = Vec::new();
    let target = format_args!("/Users?filter=userName%20eq%20%22u{:016x}%40example.com%22", person.token);
    person::request(&mut request, "GET", target, "");
    let mut connection = Connection::open(server.address).await?;
    connection.succeed(&request).await?;
    let answer: serde_json::Value = serde_json::from_slice(connection.body())?;
    let id = answer.pointer("/Resources/0/id").and_then(serde_json::Value::as_str);
    if answer["totalResults"] == 1 && id == Some(&person.id.to_string()) {
        return Ok(());
    }
    Err(format!("a search for one user found {answer}").into())
}

/// A load, and the processor time of the server for each request, in microseconds.
pub(super) async fn timed<T: Traffic>(lab: &Lab, server: &Server, traffic: &Arc<T>) -> Result<(Measured, f64)> {
    timed_with(server, lab.load(), traffic).await
}

/// The same with another load.
pub(super) async fn timed_with<T: Traffic>(server: &Server, load: Load, traffic: &Arc<T>) -> Result<(Measured, f64)> {
    server.settle().await?;
    let before = server.processor_us()?;
    let measured = drive(server.address, load, traffic).await?;
    let spent = u32::try_from(server.processor_us()? - before)?;
    Ok((measured, f64::from(spent) / f64::from(u32::try_from(measured.requests.max(1))?)))
}

/// Clients that change users at a steady rate together.
struct Writers {
    tasks: Vec<JoinHandle<Result<f64>>>,
}

impl Writers {
    /// The traffic is for [`limits::WRITERS_BESIDE_READS`] clients.
    fn start(address: SocketAddr, traffic: &Arc<Patches>, time: Duration) -> Self {
        let one = |client| tokio::spawn(write_steadily(address, Arc::clone(traffic), client, time));
        Self { tasks: (0..limits::WRITERS_BESIDE_READS).map(one).collect() }
    }

    /// The rate that they kept together, in changes a second.
    async fn finish(self) -> Result<f64> {
        let mut rate = 0.0;
        for task in self.tasks {
            rate += task.await??;
        }
        Ok(rate)
    }
}

async fn write_steadily(address: SocketAddr, traffic: Arc<Patches>, client: usize, time: Duration) -> Result<f64> {
    let mut connection = Connection::open(address).await?;
    let mut random = Random::new();
    let mut request = Vec::new();
    let mut ticks = tokio::time::interval(limits::WRITE_BESIDE_READS_EVERY);
    let start = Instant::now();
    let mut written = 0_u32;
    while start.elapsed() < time {
        ticks.tick().await;
        request.clear();
        traffic.request(client, &mut random, &mut request);
        connection.succeed(&request).await?;
        written += 1;
    }
    Ok(f64::from(written) / start.elapsed().as_secs_f64())
}
