//! Poll: what one stream costs those who write, how fast a feed is drained, and how soon many that wait are woken.

use super::delivery::{p50_ms, p99_ms};
use crate::client::{Connection, drive};
use crate::lab::Lab;
use crate::limits::{self, Limit};
use crate::person::{self, Creates, new_user};
use crate::random::Random;
use crate::report::Line;
use crate::server::Server;
use crate::stream::{self, FEED, Poller};
use crate::{Result, replay};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Durable POST with a poll stream that is caught up and without any, by turns.
pub(crate) async fn beside_writes(lab: &Lab) -> Result<Line> {
    let with = Server::start(&lab.store("with poll", &[])?)?;
    let without = Server::start(&lab.store("without poll", &[])?)?;
    let target = stream::make_poll(&mut Connection::open(with.address).await?).await?;
    let poller = Poller::start(&with, target).await?;
    let traffic = Arc::new(Creates::default());
    let (mut rounds, mut behind, mut written) = (Vec::new(), Duration::ZERO, 0);
    for _ in 0..lab.scale.rounds {
        without.settle().await?;
        let alone = drive(without.address, lab.load(), &traffic).await?;
        with.settle().await?;
        let beside = drive(with.address, lab.load(), &traffic).await?;
        let end = Instant::now();
        written += beside.requests;
        let last = poller.tally.reach(written).await?.last.unwrap_or(end);
        behind = behind.max(last.saturating_duration_since(end));
        rounds.push((beside.rate, alone.rate));
    }
    let again = poller.tally.progress().count - written;
    poller.stop().await?;
    with.stop()?;
    without.stop()?;
    let pace = if behind <= limits::KEEPING_PACE { "caught up" } else { "WAS NOT CAUGHT UP" };
    let note = format!("{pace}: last event {} ms after the last write; {again} events came again", behind.as_millis());
    Ok(Line::of_rounds("durable POST with poll stream / without, users/s", &rounds, limits::POLL_TO_NONE, note))
}

/// Draining the feed, against a loop that makes the same SETs on one core: it writes the same claims as JSON and signs them as the
/// server does (jsonwebtoken, ES256), but has nothing to read, to look up, to acknowledge or to send.
pub(crate) async fn drain(lab: &Lab) -> Result<Line> {
    let prepared = lab.store("drained", &replay::people(lab.scale.drained))?;
    let (mut rounds, mut note) = (Vec::new(), String::new());
    for _ in 0..lab.scale.rounds {
        // A process of its own each time: what is drained was never signed before.
        let folder = lab.copy(&prepared, "draining")?;
        let server = Server::start(&folder)?;
        server.settle().await?;
        let (rate, sets, requests) = drain_once(&server, lab.scale.drained).await?;
        server.stop()?;
        std::fs::remove_dir_all(folder)?;
        rounds.push((rate, sign_all(&sets)?));
        note = format!("{} SETs in {requests} requests", sets.len());
    }
    std::fs::remove_dir_all(prepared)?;
    Ok(Line::of_rounds("draining a feed by poll / rendering in memory, SET/s", &rounds, limits::DRAIN_TO_MEMORY, note))
}

/// SETs a second, the SETs, and how many requests it took. At the end nothing is left, and the last are acknowledged.
async fn drain_once(server: &Server, count: usize) -> Result<(f64, Vec<String>, usize)> {
    let mut connection = Connection::open(server.address).await?;
    let (mut request, mut acknowledged): (_, Vec<String>) = (Vec::new(), Vec::new());
    let (mut drained, mut requests) = (Vec::new(), 0);
    let start = Instant::now();
    loop {
        request.clear();
        stream::poll(&mut request, FEED, &acknowledged, true);
        connection.succeed(&request).await?;
        requests += 1;
        acknowledged.clear();
        for (jti, set) in stream::sets(connection.body())? {
            acknowledged.push(jti.to_owned());
            drained.push(set.to_owned());
        }
        if acknowledged.is_empty() {
            break;
        }
    }
    let spent = start.elapsed().as_secs_f64();
    if drained.len() < count {
        return Err(format!("only {} of {count} SETs were drained", drained.len()).into());
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of SETs are small")]
    let rate = drained.len() as f64 / spent;
    Ok((rate, drained, requests))
}

/// SETs a second of the loop in memory.
fn sign_all(sets: &[String]) -> Result<f64> {
    let claims = sets.iter().map(|set| Ok(serde_json::from_slice(&part(set, 1)?)?)).collect::<Result<Vec<Value>>>()?;
    let first: Value = serde_json::from_slice(&part(sets.first().ok_or("nothing to sign")?, 0)?)?;
    let mut header = Header::new(Algorithm::ES256);
    header.typ = first["typ"].as_str().map(str::to_owned);
    header.kid = first["kid"].as_str().map(str::to_owned);
    if first["alg"] != "ES256" {
        return Err(format!("SETs are signed with {}", first["alg"]).into());
    }
    let key = EncodingKey::from_ec_der(&private_key()?);
    let start = Instant::now();
    for (claims, set) in claims.iter().zip(sets) {
        let signed = jsonwebtoken::encode(&header, claims, &key)?;
        // A signature has the same length whatever it is of: what is made is as large as what came.
        if signed.len() != set.len() {
            return Err(format!("{} bytes were signed instead of {}", signed.len(), set.len()).into());
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "counts of SETs are small")]
    let rate = claims.len() as f64 / start.elapsed().as_secs_f64();
    Ok(rate)
}

fn part(set: &str, number: usize) -> Result<Vec<u8>> {
    Ok(URL_SAFE_NO_PAD.decode(set.split('.').nth(number).ok_or("not a compact SET")?)?)
}

/// A new key of P-256, as PKCS #8.
fn private_key() -> Result<Vec<u8>> {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| "no key was made")?;
    Ok(key.to_pkcs8v1().map_err(|_| "the key cannot be told")?.as_ref().to_vec())
}

/// Many streams that wait, and one commit.
pub(crate) async fn wake(lab: &Lab) -> Result<Vec<Line>> {
    let folder = lab.store("wake", &[])?;
    let server = Server::start(&folder)?;
    let database = replay::database(&folder)?;
    let (mut connection, mut random) = (Connection::open(server.address).await?, Random::new());
    let mut waiting = Vec::new();
    for _ in 0..lab.scale.waiting {
        let target = stream::make_poll(&mut connection).await?;
        waiting.push((Connection::open(server.address).await?, target));
    }
    // Each has been asked once, so that what the server opens to look is open.
    for (connection, target) in &mut waiting {
        let mut request = Vec::new();
        stream::poll(&mut request, target, &[], true);
        connection.succeed(&request).await?;
    }
    let (mut late, mut open) = (Vec::new(), (0, 0));
    for _ in 0..lab.scale.rounds {
        server.settle().await?;
        let before = server.open(&database)?;
        let mut polls = JoinSet::new();
        for (connection, target) in waiting.drain(..) {
            polls.spawn(one_poll(connection, target));
        }
        // All of them wait once nothing is left to do.
        server.settle().await?;
        open = (server.open(&database)?, before);
        let mut request = Vec::new();
        person::request(&mut request, "POST", format_args!("/Users"), &new_user(random.next()));
        connection.succeed(&request).await?;
        let committed = Instant::now();
        while let Some(answered) = polls.join_next().await {
            let (connection, target, at) = answered??;
            late.push(at.saturating_duration_since(committed));
            waiting.push((connection, target));
        }
    }
    server.stop()?;
    let note = format!("p50 {:.1} ms", p50_ms(&late));
    let value = p99_ms(late);
    let name = format!("{} long polls woken by one commit, p99, ms", lab.scale.waiting);
    let woken = Line { name, value, baseline: None, judged: value, limit: limits::WAKE_MS, note };
    let (value, more) = (f64::from(open.0), f64::from(open.0) - f64::from(open.1));
    let note = format!("{} open while they wait, {} before; limit on what is more", open.0, open.1);
    let name = "files of the database held by those that wait".to_owned();
    let held = Line { name, value, baseline: None, judged: more, limit: Limit::AtMost(0.0), note };
    Ok(vec![woken, held])
}

/// Waits for an event and says when it came; then acknowledges it.
async fn one_poll(mut connection: Connection, target: String) -> Result<(Connection, String, Instant)> {
    let mut request = Vec::new();
    stream::poll(&mut request, &target, &[], false);
    connection.succeed(&request).await?;
    let at = Instant::now();
    let jtis: Vec<String> = stream::sets(connection.body())?.into_iter().map(|(jti, _)| jti.to_owned()).collect();
    if jtis.is_empty() {
        return Err("a poll was answered without an event".into());
    }
    request.clear();
    stream::poll(&mut request, &target, &jtis, true);
    connection.succeed(&request).await?;
    Ok((connection, target, at))
}
