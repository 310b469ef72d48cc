//! `carillon import` against the database's own bulk insert of the same rows, and what the store then answers.
//!
//! Over SQLite always, and over PostgreSQL where `CARILLON_POSTGRES_URL` names a server: there it works in two schemas of its own, which it
//! drops at the end.

use super::import_bulk::{self, Rows};
use super::postgres::settle;
use crate::Result;
use crate::client::{Measured, Traffic, drive};
use crate::lab::Lab;
use crate::limits::{self, Limit};
use crate::person::{self, Get, Person, Searches};
use crate::report::Line;
use crate::server::Server;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often the memory of the import is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// The first page of users.
const PAGE: &str = "/Users?count=100";

/// Imports few users and many, and asks for them.
pub(crate) async fn measure(lab: &Lab) -> Result<Vec<Line>> {
    let mut lines = over(lab, "SQLite", None).await?;
    match std::env::var("CARILLON_POSTGRES_URL") {
        Ok(address) => lines.extend(over(lab, "PostgreSQL", Some(&address)).await?),
        Err(_) => eprintln!("import: CARILLON_POSTGRES_URL is not set, so that only SQLite is measured"),
    }
    Ok(lines)
}

async fn over(lab: &Lab, database: &str, address: Option<&str>) -> Result<Vec<Line>> {
    let few = Side::import(lab, database, "few", address, lab.scale.users_few).await?;
    let many = Side::import(lab, database, "many", address, lab.scale.users_large).await?;
    let (bulk, rows) = import_bulk::insert(&many.rows).await?;
    let users = count(many.people.len())?;
    let name = |what: &str| format!("{database}: {what}");
    let rates = [(users / many.took.as_secs_f64(), users / bulk.as_secs_f64())];
    let note =
        format!("{users} users, {rows} rows, import {:.1} s, bulk insert {:.1} s", many.took.as_secs_f64(), bulk.as_secs_f64());
    let mut lines = vec![
        Line::of_rounds(name("import / its own bulk insert, users/s"), &rates, Limit::Shown, note),
        amount(name("RssAnon of the import at its highest, MB"), many.memory_mb),
    ];
    if let Some(address) = address {
        settle(address).await?;
    }
    let (small, large) = (few.serve()?, many.serve()?);
    let (mut by_name, mut pages) = (Vec::new(), Vec::new());
    for _ in 0..lab.scale.rounds {
        let rates = (
            ask(lab, &large, Searches(Arc::clone(&many.people))).await?,
            ask(lab, &small, Searches(Arc::clone(&few.people))).await?,
        );
        by_name.push((rates.0.rate, rates.1.rate));
        let rates = (ask(lab, &large, Get(PAGE.into())).await?, ask(lab, &small, Get(PAGE.into())).await?);
        pages.push((rates.0.rate, rates.1.rate));
    }
    let sizes = format!("{} users / {}, requests/s", many.people.len(), few.people.len());
    lines.push(Line::of_rounds(name(&format!("userName eq, {sizes}")), &by_name, limits::IMPORTED_MANY_TO_FEW, String::new()));
    lines.push(Line::of_rounds(name(&format!("first page, {sizes}")), &pages, limits::IMPORTED_MANY_TO_FEW, String::new()));
    lines.push(amount(name("RssAnon of the server after that, MB"), megabytes(large.anonymous_bytes()?)?));
    small.stop()?;
    large.stop()?;
    few.rows.drop().await?;
    many.rows.drop().await?;
    Ok(lines)
}

async fn ask<T: Traffic>(lab: &Lab, server: &Server, traffic: T) -> Result<Measured> {
    server.settle().await?;
    drive(server.address, lab.load(), &Arc::new(traffic)).await
}

/// A store with imported users.
pub(super) struct Side {
    pub(super) people: Arc<Vec<Person>>,
    pub(super) rows: Rows,
    took: Duration,
    memory_mb: f64,
}

impl Side {
    pub(super) async fn import(lab: &Lab, database: &str, name: &str, address: Option<&str>, users: usize) -> Result<Self> {
        let folder = lab.fresh(&format!("import-{database}-{name}"))?;
        let people = crate::replay::people(users);
        let file = folder.join("users.jsonl");
        write(&file, &people)?;
        let rows = Rows::new(&folder, address).await?;
        let (took, memory_mb) = import(&folder, &rows, &file).await?;
        std::fs::remove_file(file)?;
        Ok(Self { people: Arc::new(people), rows, took, memory_mb })
    }

    pub(super) fn serve(&self) -> Result<Server> {
        Server::start_over(&self.rows.folder, self.rows.settings())
    }
}

fn write(file: &Path, people: &[Person]) -> Result<()> {
    let mut output = BufWriter::new(File::create(file)?);
    for Person { id, token } in people {
        let user = person::new_user(*token);
        let rest = user.strip_prefix('{').ok_or("a user is an object")?;
        writeln!(output, "{{\"id\":\"{id}\",{rest}")?;
    }
    Ok(output.into_inner().map_err(std::io::IntoInnerError::into_error)?.sync_all()?)
}

/// Runs the import. How long it took, from the start of the program to its end, and its memory at its highest.
async fn import(folder: &Path, rows: &Rows, file: &Path) -> Result<(Duration, f64)> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carillon"));
    command.arg("import").arg(file).current_dir(folder).env_clear().envs(rows.settings()).stdin(Stdio::null());
    let begun = Instant::now();
    let mut child = command.spawn()?;
    let status = format!("/proc/{}/status", child.id());
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    let mut highest = 0;
    loop {
        ticks.tick().await;
        if let Some(ended) = child.try_wait()? {
            let took = begun.elapsed();
            return if ended.success() {
                Ok((took, megabytes(highest)?))
            } else {
                Err(format!("the import ended: {ended}").into())
            };
        }
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let anonymous = text.lines().find_map(|line| line.strip_prefix("RssAnon:"));
        let kib = anonymous.and_then(|amount| amount.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
        highest = highest.max(kib.unwrap_or_default() * 1024);
    }
}

fn megabytes(bytes: u64) -> Result<f64> {
    Ok(f64::from(u32::try_from(bytes / 1000)?) / 1000.0)
}

fn count(number: usize) -> Result<f64> {
    Ok(f64::from(u32::try_from(number)?))
}

fn amount(name: String, value: f64) -> Line {
    Line { name, value, baseline: None, judged: value, limit: Limit::Shown, note: String::new() }
}
