//! The lines over one server with many users, loaded over HTTP: reads, filter, members, memory.

use super::{lists, members, reads};
use crate::client::{Load, drive};
use crate::lab::Lab;
use crate::limits::{self, Limit};
use crate::person::{Creates, EachOnce, Person};
use crate::report::{Line, Report};
use crate::server::Server;
use crate::{Result, replay};
use std::sync::{Arc, PoisonError};

/// Loads the users, then measures.
pub(crate) async fn measure(lab: &Lab, only: &[String], report: &mut Report) -> Result<()> {
    let wants = |name: &str| only.iter().any(|line| line == name);
    let server = Server::start(&lab.store("many", &[])?)?;
    let (people, loading) = load(&server, lab.scale.users).await?;
    report.push(loading);
    if wants("memory") {
        report.push(memory(&server, &people).await?);
    }
    if wants("read") {
        for line in reads::by_id(lab, &server, &people).await? {
            report.push(line);
        }
    }
    if wants("filter") {
        report.push(reads::by_name(lab, &server, &people).await?);
    }
    if wants("list") {
        report.push(lists::page(lab, &server).await?);
        report.push(lists::scan(lab, &server, &people).await?);
    }
    if wants("member") {
        report.push(members::measure(lab, &server, &people).await?);
    }
    if wants("memory") {
        report.push(memory_line("RssAnon after all of the above, MB", &server, Limit::Shown)?);
    }
    server.stop()
}

async fn load(server: &Server, count: usize) -> Result<(Arc<Vec<Person>>, Line)> {
    let traffic = Arc::new(Creates { keep: true, ..Creates::default() });
    let load = Load { clients: limits::CLIENTS, requests: count as u64, time: limits::LOADING };
    let measured = drive(server.address, load, &traffic).await?;
    let people = std::mem::take(&mut *traffic.made.lock().unwrap_or_else(PoisonError::into_inner));
    if people.len() != count {
        return Err(format!("{} of {count} users were loaded", people.len()).into());
    }
    server.settle().await?;
    let line = Line {
        name: format!("loading {count} users over HTTP, users/s"),
        value: measured.rate,
        baseline: None,
        judged: measured.rate,
        limit: Limit::Shown,
        note: measured.to_string(),
    };
    Ok((Arc::new(people), line))
}

/// Reads every user once, then looks.
async fn memory(server: &Server, people: &Arc<Vec<Person>>) -> Result<Line> {
    let load = Load { clients: limits::CLIENTS, requests: people.len() as u64, time: limits::LOADING };
    drive(server.address, load, &Arc::new(EachOnce::new(Arc::clone(people)))).await?;
    memory_line(&format!("RssAnon after loading and reading {}, MB", people.len()), server, limits::MEMORY_MB)
}

fn memory_line(name: &str, server: &Server, limit: Limit) -> Result<Line> {
    let bytes = u32::try_from(server.anonymous_bytes()? / 1000)?;
    let megabytes = f64::from(bytes) / 1000.0;
    Ok(Line { name: name.to_owned(), value: megabytes, baseline: None, judged: megabytes, limit, note: String::new() })
}

/// A server with few users, for comparison.
pub(crate) fn few(lab: &Lab) -> Result<(Server, Arc<Vec<Person>>)> {
    let people = replay::people(lab.scale.users_few);
    let server = Server::start(&lab.store("few", &people)?)?;
    Ok((server, Arc::new(people)))
}
