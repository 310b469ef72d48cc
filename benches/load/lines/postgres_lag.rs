//! How soon a committed write can be read in the log, seen from outside.
//!
//! All clients PATCH as fast as they can. For each answer it is noted when it came, and of which version of which user it tells. A connection
//! beside them listens to what tells the nodes how far the log is, and notes when it was told. Afterwards the log says which place each of
//! the versions has: it could be read since the first news of that place or a later one.

use super::import::Side;
use super::import_bulk::connect;
use super::postgres::load;
use crate::Result;
use crate::client::{Traffic, drive};
use crate::lab::Lab;
use crate::limits;
use crate::person::Patches;
use crate::random::Random;
use crate::report::{Line, median};
use carillon::base::clock::{Clock, SystemClock};
use sqlx::AssertSqlSafe;
use sqlx::postgres::PgListener;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::task::JoinHandle;
use uuid::Uuid;

/// A version of a user.
type Version = (Uuid, i64);

/// Every PATCH, with when its answer came.
#[derive(Debug)]
struct Timed {
    patches: Patches,
    answers: Mutex<Vec<(Version, Instant)>>,
}

impl Traffic for Timed {
    fn request(&self, client: usize, random: &mut Random, out: &mut Vec<u8>) {
        self.patches.request(client, random, out);
    }

    fn answered(&self, body: &[u8]) {
        let at = Instant::now();
        if let Some(version) = version(body) {
            self.answers.lock().unwrap_or_else(PoisonError::into_inner).push((version, at));
        }
    }
}

/// Of which version an answer tells.
fn version(body: &[u8]) -> Option<Version> {
    let body = std::str::from_utf8(body).ok()?;
    let (_, id) = body.split_once(r#""id":""#)?;
    let (_, version) = body.split_once(r#""version":""#)?;
    let digits = version.trim_start_matches(|sign: char| !sign.is_ascii_digit());
    let digits = digits.split(|sign: char| !sign.is_ascii_digit()).next()?;
    Some((id.get(..36)?.parse().ok()?, digits.parse().ok()?))
}

/// The news of the log: places, and when they were told.
type News = Arc<Mutex<Vec<(i64, Instant)>>>;

async fn listen(address: &str, schema: &str) -> Result<(News, JoinHandle<()>)> {
    let number: i64 = sqlx::query_scalar("SELECT oid::bigint FROM pg_namespace WHERE nspname = $1")
        .bind(schema)
        .fetch_one(&mut connect(address).await?)
        .await?;
    let mut listener = PgListener::connect(address).await?;
    listener.listen(&format!("carillon_{number}")).await?;
    let news = News::default();
    let noted = Arc::clone(&news);
    let listening = tokio::spawn(async move {
        while let Ok(told) = listener.recv().await {
            let at = Instant::now();
            if let Some(place) = told.payload().strip_prefix("log ").and_then(|place| place.parse().ok()) {
                noted.lock().unwrap_or_else(PoisonError::into_inner).push((place, at));
            }
        }
    });
    Ok((news, listening))
}

/// Writes at full load, then finds when each could be read.
pub(super) async fn measure(lab: &Lab, side: &Side, address: &str) -> Result<Line> {
    let (_, schema) = side.rows.schema.as_ref().ok_or("not a store on a server")?;
    let server = side.serve()?;
    let patches = Patches::new(Arc::clone(&side.people), limits::POSTGRES_CLIENTS);
    let traffic = Arc::new(Timed { patches, answers: Mutex::default() });
    let (news, listening) = listen(address, schema).await?;
    let anchor = (millisecond(SystemClock.now().0)?, Instant::now());
    let mut rates = Vec::new();
    for _ in 0..lab.scale.rounds {
        rates.push(drive(server.address, load(lab), &traffic).await?.rate);
        server.settle().await?;
    }
    listening.abort();
    server.stop()?;
    let answers = std::mem::take(&mut *traffic.answers.lock().unwrap_or_else(PoisonError::into_inner));
    let news = std::mem::take(&mut *news.lock().unwrap_or_else(PoisonError::into_inner));
    let places = places(address, schema).await?;
    let (mut since_answer, mut since_plan) = (Vec::new(), Vec::new());
    for (version, answered) in &answers {
        let (place, planned) = *places.get(version).ok_or("a write that was answered is not in the log")?;
        let first = news.partition_point(|(told, _)| *told < place);
        let (_, readable) = *news.get(first).ok_or("nobody was told of a place")?;
        since_answer.push(readable.saturating_duration_since(*answered));
        since_plan.push((anchor.0 + (readable - anchor.1)).duration_since(planned).unwrap_or_default());
    }
    let value = at(&mut since_answer, 99);
    let note = format!(
        "{} writes at {:.0}/s; p50 {:.1}, highest {:.1}; since the write was planned, before its commit, p50 {:.1}, p99 {:.1}",
        answers.len(),
        median(rates),
        at(&mut since_answer, 50),
        at(&mut since_answer, 100),
        at(&mut since_plan, 50),
        at(&mut since_plan, 99),
    );
    let name = "PostgreSQL: answer to readable, full load, p99, ms".to_owned();
    Ok(Line { name, value, baseline: None, judged: value, limit: limits::POSTGRES_LAG_MS, note })
}

/// The place of each version, and when it was planned.
async fn places(address: &str, schema: &str) -> Result<HashMap<Version, (i64, SystemTime)>> {
    let sql = format!("SELECT id, version, place, at FROM {schema}.event");
    let rows: Vec<(Vec<u8>, i64, i64, i64)> = sqlx::query_as(AssertSqlSafe(sql)).fetch_all(&mut connect(address).await?).await?;
    let mut places = HashMap::with_capacity(rows.len());
    for (id, version, place, at) in rows {
        let id = Uuid::from_slice(id.get(1..).ok_or("an empty id")?)?;
        places.insert((id, version), (place, millisecond(at)?));
    }
    Ok(places)
}

/// A time in milliseconds since 1970.
fn millisecond(at: i64) -> Result<SystemTime> {
    Ok(SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at)?))
}

/// So many hundredths of them are at most so long, in milliseconds.
fn at(times: &mut [Duration], hundredths: usize) -> f64 {
    times.sort_unstable();
    let last = times.len().saturating_sub(1);
    times.get((times.len() * hundredths / 100).min(last)).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}
