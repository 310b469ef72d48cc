//! What all lines share: a scratch folder, a data folder with the server's schema, and the recipes of its writes.

use crate::client::Connection;
use crate::learn::{Observed, Recipe, Snapshot};
use crate::limits::Scale;
use crate::person::{self, Person};
use crate::random::Random;
use crate::replay;
use crate::server::Server;
use crate::{Result, limits};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// The users from whom the recipes are learnt: the first may write what is written only once.
const SAMPLES: usize = 3;

/// The scratch folder and what was learnt.
#[derive(Debug)]
pub(crate) struct Lab {
    /// How much to do.
    pub(crate) scale: Scale,
    /// What a POST of a user writes.
    pub(crate) create: Recipe,
    /// What a PATCH writes that switches a user off.
    pub(crate) deactivate: Recipe,
    /// What a PATCH writes that switches a user on.
    pub(crate) activate: Recipe,
    folder: TempDir,
}

impl Lab {
    /// Runs a server over a new store and learns from what it writes.
    pub(crate) async fn build(scale: Scale) -> Result<Self> {
        // Beside the binary, on a disk: a folder in memory would make every sync free.
        let folder = tempfile::Builder::new().prefix("load-").tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let learned = folder.path().join("learned");
        std::fs::create_dir_all(&learned)?;
        let server = Server::start(&learned)?;
        let database = rusqlite::Connection::open(replay::database(&learned)?)?;
        let mut connection = Connection::open(server.address).await?;
        let created = creates(&mut connection, &database).await?;
        let people: Vec<Person> = created.iter().map(|(person, ..)| *person).collect();
        let create = Recipe::learn(&created)?;
        let deactivate = Recipe::learn(&patches(&mut connection, &database, &people, false).await?)?;
        let activate = Recipe::learn(&patches(&mut connection, &database, &people, true).await?)?;
        drop((connection, database));
        server.stop()?;
        Ok(Self { scale, create, deactivate, activate, folder })
    }

    /// A new data folder with these users beside the few samples.
    pub(crate) fn store(&self, name: &str, people: &[Person]) -> Result<PathBuf> {
        let folder = self.copy(&self.folder.path().join("learned"), name)?;
        replay::load(&folder, &self.create, people)?;
        Ok(folder)
    }

    /// A new folder with nothing in it.
    pub(crate) fn fresh(&self, name: &str) -> Result<PathBuf> {
        let folder = self.folder.path().join(name);
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }

    /// A copy of a data folder that no server runs on.
    pub(crate) fn copy(&self, from: &Path, name: &str) -> Result<PathBuf> {
        let folder = self.folder.path().join(name);
        replay::copy(from, &folder)?;
        Ok(folder)
    }

    /// A load of one round.
    pub(crate) fn load(&self) -> crate::client::Load {
        crate::client::Load { clients: limits::CLIENTS, requests: self.scale.round_requests, time: self.scale.round_time }
    }
}

async fn creates(connection: &mut Connection, database: &rusqlite::Connection) -> Result<Observed> {
    let mut random = Random::new();
    let mut observed = Observed::new();
    for _ in 0..SAMPLES {
        let before = Snapshot::read(database)?;
        let mut request = Vec::new();
        person::request(&mut request, "POST", format_args!("/Users"), &person::new_user(random.next()));
        connection.succeed(&request).await?;
        observed.push((person::read_person(connection.body())?, before, Snapshot::read(database)?));
    }
    Ok(observed)
}

async fn patches(
    connection: &mut Connection,
    database: &rusqlite::Connection,
    people: &[Person],
    active: bool,
) -> Result<Observed> {
    let mut observed = Observed::new();
    for person in people {
        let before = Snapshot::read(database)?;
        let mut request = Vec::new();
        person::request(&mut request, "PATCH", format_args!("/Users/{}", person.id), &person::set_active(active));
        connection.succeed(&request).await?;
        observed.push((*person, before, Snapshot::read(database)?));
    }
    Ok(observed)
}
