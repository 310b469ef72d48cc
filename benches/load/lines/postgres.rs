//! What the server does over PostgreSQL: against loops over the same driver with nothing around them, and two nodes against one.
//!
//! `CARILLON_POSTGRES_URL` names the server. Each line imports its users into a schema of its own, which goes at the end.

use super::import::Side;
use super::import_bulk::{connect, run};
use super::postgres_lag;
use super::postgres_raw::{Raw, Work};
use super::{members, reads};
use crate::Result;
use crate::client::{Load, Measured, drive};
use crate::lab::Lab;
use crate::limits;
use crate::person::{Mixed, Patches, Person, Reads};
use crate::report::{Line, Report};
use crate::server::Server;
use std::sync::Arc;
use std::time::Duration;

const DATABASE: &str = "PostgreSQL";

/// The lines of the names that are wanted.
pub(crate) async fn measure(lab: &Lab, only: &[String], report: &mut Report) -> Result<()> {
    let Ok(address) = std::env::var("CARILLON_POSTGRES_URL") else {
        eprintln!(
            "pg-…: not measured, because CARILLON_POSTGRES_URL is not set: expected the address of a server, like \
             postgresql://postgres@127.0.0.1:5432/postgres"
        );
        return Ok(());
    };
    for name in only.iter().filter(|name| name.starts_with("pg-")) {
        let side = Side::import(lab, DATABASE, name, Some(&address), lab.scale.users).await?;
        settle(&address).await?;
        let line = match name.as_str() {
            "pg-patch" => patch(lab, &side, &address).await,
            "pg-get" => get(lab, &side, &address).await,
            "pg-lag" => postgres_lag::measure(lab, &side, &address).await,
            "pg-nodes" => nodes(lab, &side).await,
            _ => member(lab, &side).await,
        };
        side.rows.drop().await?;
        report.push(line?);
    }
    Ok(())
}

/// Puts the import behind: what a checkpoint would write during the first round, and what the tables' statistics are.
pub(super) async fn settle(address: &str) -> Result<()> {
    let mut connection = connect(address).await?;
    run(&mut connection, "VACUUM ANALYZE".into()).await?;
    run(&mut connection, "CHECKPOINT".into()).await
}

/// All clients of these lines.
pub(super) fn load(lab: &Lab) -> Load {
    Load { clients: limits::POSTGRES_CLIENTS, ..lab.load() }
}

async fn patch(lab: &Lab, side: &Side, address: &str) -> Result<Line> {
    let mut raw = Raw::over(side, address).await?;
    let server = side.serve()?;
    let traffic = Arc::new(Patches::new(Arc::clone(&side.people), limits::POSTGRES_CLIENTS));
    let chosen = raw.choose(Work::Write, lab.scale.round_time / 2).await?;
    let (mut rounds, mut note) = (Vec::new(), String::new());
    for _ in 0..lab.scale.rounds {
        server.settle().await?;
        let measured = drive(server.address, load(lab), &traffic).await?;
        server.settle().await?;
        rounds.push((measured.rate, raw.rate(Work::Write, lab.scale.round_time).await?));
        note = format!("{measured}; raw: {chosen}");
    }
    server.stop()?;
    raw.drop().await?;
    Ok(Line::of_rounds("PostgreSQL: PATCH / raw update + outbox, users/s", &rounds, limits::POSTGRES_PATCH_TO_RAW, note))
}

async fn get(lab: &Lab, side: &Side, address: &str) -> Result<Line> {
    let mut raw = Raw::over(side, address).await?;
    let server = side.serve()?;
    let traffic = Arc::new(Reads(Arc::clone(&side.people)));
    let chosen = raw.choose(Work::Read, lab.scale.round_time / 2).await?;
    let (mut rounds, mut note) = (Vec::new(), String::new());
    for _ in 0..lab.scale.rounds {
        let (measured, processor_us) = reads::timed_with(&server, load(lab), &traffic).await?;
        server.settle().await?;
        rounds.push((measured.rate, raw.rate(Work::Read, lab.scale.round_time).await?));
        note = format!("{measured}; server processor {processor_us:.1} us a request; raw, without HTTP: {chosen}");
    }
    server.stop()?;
    raw.drop().await?;
    Ok(Line::of_rounds("PostgreSQL: GET / raw select by key, requests/s", &rounds, limits::POSTGRES_GET_TO_RAW, note))
}

/// One node with all clients and two with half of them each, by turns. The second one is there in its rounds alone.
async fn nodes(lab: &Lab, side: &Side) -> Result<Line> {
    let half = limits::POSTGRES_CLIENTS / 2;
    let (lower, upper) = side.people.split_at(side.people.len() / 2);
    let halves = [lower, upper].map(|people: &[Person]| Arc::new(Mixed::new(&Arc::new(people.to_vec()), half)));
    let whole = Arc::new(Mixed::new(&side.people, limits::POSTGRES_CLIENTS));
    let first = side.serve()?;
    let (mut rounds, mut note) = (Vec::new(), String::new());
    for _ in 0..lab.scale.rounds {
        first.settle().await?;
        let one = drive(first.address, load(lab), &whole).await?;
        let second = side.serve()?;
        let both = |time: Duration| {
            let load = Load { clients: half, time, ..load(lab) };
            let (first, second) = (first.address, second.address);
            let halves = &halves;
            async move { tokio::try_join!(drive(first, load, &halves[0]), drive(second, load, &halves[1])) }
        };
        // A process that has just begun has no connections yet, and the database no plans for them.
        both(lab.scale.round_time).await?;
        settled(&[&first, &second]).await?;
        let (left, right): (Measured, Measured) = both(lab.scale.round_time).await?;
        second.stop()?;
        rounds.push((left.rate + right.rate, one.rate));
        note = format!("half PATCH, half GET; one: {one}, two: {left} and {right}");
    }
    first.stop()?;
    Ok(Line::of_rounds("PostgreSQL: two nodes / one, requests/s", &rounds, limits::POSTGRES_TWO_NODES_TO_ONE, note))
}

async fn settled(servers: &[&Server]) -> Result<()> {
    for server in servers {
        server.settle().await?;
    }
    Ok(())
}

async fn member(lab: &Lab, side: &Side) -> Result<Line> {
    let server = side.serve()?;
    let mut line = members::measure(lab, &server, &side.people).await?;
    line.name = format!("{DATABASE}: {}", line.name);
    server.stop()?;
    Ok(line)
}
