//! Durable writes against a bare loop that commits the same rows, in an empty store and in a large one.

use crate::Result;
use crate::client::{Load, drive};
use crate::lab::Lab;
use crate::learn::Recipe;
use crate::limits;
use crate::person::{Bulks, Creates, Patches, Person};
use crate::random::Random;
use crate::replay::{self, Replay};
use crate::report::{Line, Report};
use crate::server::Server;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Creates and patches at each size. Each measurement starts from fresh copies: PATCH must not pay for what POST left behind.
pub(crate) async fn measure(lab: &Lab, only: &[String], report: &mut Report) -> Result<()> {
    let wants = |name: &str| only.iter().any(|line| line == name);
    if wants("create") {
        report.push(Pair::new(lab, &lab.store("empty", &[])?, &[])?.creates(lab, "an empty store").await?);
    }
    if wants("bulk") {
        report.push(Pair::new(lab, &lab.store("bulk", &[])?, &[])?.bulks(lab).await?);
    }
    if !(wants("create") || wants("patch")) {
        return Ok(());
    }
    for count in [lab.scale.users_few, lab.scale.users_large] {
        let size = format!("{count} users");
        let people = replay::people(count);
        let folder = lab.store(&size, &people)?;
        if wants("create") && count == lab.scale.users_large {
            report.push(Pair::new(lab, &folder, &people)?.creates(lab, &size).await?);
        }
        if wants("patch") {
            report.push(Pair::new(lab, &folder, &people)?.patches(lab, &size).await?);
        }
        std::fs::remove_dir_all(folder)?;
    }
    Ok(())
}

/// A server and a bare loop over equal files.
struct Pair {
    server: Server,
    bare: Replay,
    people: Arc<Vec<Person>>,
    folders: [PathBuf; 2],
}

impl Pair {
    fn new(lab: &Lab, folder: &Path, people: &[Person]) -> Result<Self> {
        let folders = [lab.copy(folder, "server")?, lab.copy(folder, "bare")?];
        let (server, bare) = (Server::start(&folders[0])?, Replay::durable(&folders[1])?);
        Ok(Self { server, bare, people: Arc::new(people.to_vec()), folders })
    }

    fn end(self) -> Result<()> {
        self.server.stop()?;
        drop(self.bare);
        // A large store takes gigabytes.
        self.folders.iter().try_for_each(std::fs::remove_dir_all)?;
        Ok(())
    }

    async fn creates(mut self, lab: &Lab, size: &str) -> Result<Line> {
        let traffic = Arc::new(Creates::default());
        let (mut rounds, mut note) = (Vec::new(), String::new());
        for _ in 0..lab.scale.rounds {
            self.server.settle().await?;
            let measured = drive(self.server.address, lab.load(), &traffic).await?;
            self.server.settle().await?;
            let bare = self.bare_rate(lab, |_| (&lab.create, replay::people(limits::ROWS_PER_TRANSACTION)))?;
            rounds.push((measured.rate, bare));
            note = measured.to_string();
        }
        self.end()?;
        Ok(Line::of_rounds(format!("durable POST, {size} / bare loop, users/s"), &rounds, limits::CREATE_TO_BARE, note))
    }

    /// One client that sends one bulk request after another: the bare loop has one connection too.
    async fn bulks(mut self, lab: &Lab) -> Result<Line> {
        let traffic = Arc::new(Bulks { users: limits::USERS_IN_BULK, failed: AtomicUsize::new(0) });
        let (mut rounds, mut note) = (Vec::new(), String::new());
        for _ in 0..lab.scale.rounds {
            self.server.settle().await?;
            let measured = drive(self.server.address, Load { clients: 1, ..lab.load() }, &traffic).await?;
            self.server.settle().await?;
            let bare = self.bare_rate(lab, |_| (&lab.create, replay::people(limits::ROWS_PER_TRANSACTION)))?;
            rounds.push((measured.rate * f64::from(limits::USERS_IN_BULK), bare));
            note = measured.to_string();
        }
        self.end()?;
        match traffic.failed.load(Ordering::Relaxed) {
            0 => Ok(Line::of_rounds("Bulk of 1,000 creates / bare batched loop, users/s", &rounds, limits::BULK_TO_BARE, note)),
            failed => Err(format!("{failed} operations of bulk requests failed").into()),
        }
    }

    async fn patches(mut self, lab: &Lab, size: &str) -> Result<Line> {
        let traffic = Arc::new(Patches::new(Arc::clone(&self.people), limits::CLIENTS));
        let mut turns = Turns::new(&self.people);
        let (mut rounds, mut note) = (Vec::new(), String::new());
        for _ in 0..lab.scale.rounds {
            self.server.settle().await?;
            let measured = drive(self.server.address, lab.load(), &traffic).await?;
            self.server.settle().await?;
            let bare = self.bare_rate(lab, |lab| turns.next(lab))?;
            rounds.push((measured.rate, bare));
            note = measured.to_string();
        }
        self.end()?;
        Ok(Line::of_rounds(format!("durable PATCH active, {size} / bare loop, users/s"), &rounds, limits::PATCH_TO_BARE, note))
    }

    /// Users a second of the bare loop. Only its transactions are timed.
    fn bare_rate<'a>(&mut self, lab: &'a Lab, mut next: impl FnMut(&'a Lab) -> (&'a Recipe, Vec<Person>)) -> Result<f64> {
        let (mut written, mut spent) = (0_u32, Duration::ZERO);
        while spent < lab.scale.round_time && u64::from(written) < lab.scale.round_requests {
            let (recipe, people) = next(lab);
            spent += self.bare.write(recipe, &people)?;
            written += u32::try_from(people.len())?;
        }
        Ok(f64::from(written) / spent.as_secs_f64())
    }
}

/// Whom the bare loop switches off or on next: everybody once in a random order, then everybody back, and so on.
struct Turns {
    order: Vec<Person>,
    at: usize,
    active: bool,
}

impl Turns {
    fn new(people: &[Person]) -> Self {
        let mut random = Random::new();
        let mut order = people.to_vec();
        for index in (1..order.len()).rev() {
            order.swap(index, random.below(index + 1));
        }
        Self { order, at: 0, active: false }
    }

    fn next<'a>(&mut self, lab: &'a Lab) -> (&'a Recipe, Vec<Person>) {
        if self.at == self.order.len() {
            self.at = 0;
            self.active = !self.active;
        }
        let end = (self.at + limits::ROWS_PER_TRANSACTION).min(self.order.len());
        let people = self.order[self.at..end].to_vec();
        self.at = end;
        (if self.active { &lab.activate } else { &lab.deactivate }, people)
    }
}
