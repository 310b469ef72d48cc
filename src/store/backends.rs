//! The table of backends: one row each. Nothing above asks which one it is talking to.

pub mod memory;
pub mod postgres;
pub mod sqlite;

#[cfg(all(test, feature = "servers"))]
pub(crate) use postgres::server;

use super::{Backend, Result, StoreError, StoreErrorKind};
use crate::base::id::Ids;
use crate::base::limits::Limits;
use crate::base::secret::Secret;
use crate::scim::schema::Registry;
use futures_util::future::BoxFuture;
use std::path::PathBuf;
use std::sync::Arc;

/// What a store is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To serve: the store becomes what the configuration asks for.
    Serve,
    /// To read what is there. Nothing of it changes, and no index is used.
    Read,
    /// To write into it beside the nodes that serve it: what they have set up stays as it is. Where nobody has set anything up, as in a new
    /// store, or where no other node can be, as in an embedded one, it is the same as [`Purpose::Serve`].
    Write,
}

/// What a backend is opened with.
#[derive(Clone, Debug)]
pub struct Opening {
    /// What it is opened for.
    pub purpose: Purpose,
    /// The folder of an embedded store.
    pub data_path: PathBuf,
    /// The address of a database, for a store that is reached by one. It may hold a password.
    pub database_url: Option<Secret>,
    /// The names of the views that show users and groups to readers of the database itself.
    pub views: [String; 2],
    /// The resource types it holds.
    pub registry: Arc<Registry>,
    /// Where the ids of events come from.
    pub ids: Arc<dyn Ids>,
    /// What it may spend.
    pub limits: Limits,
}

/// A backend that can be chosen.
#[derive(Clone, Copy, Debug)]
pub struct Descriptor {
    /// How it is chosen.
    pub name: &'static str,
    /// What the address of a database lets one say before anybody goes there: what may be regretted, or all that is in the way. Neither
    /// shows the address, which may hold a password.
    pub examine: fn(&Secret) -> std::result::Result<Vec<String>, Vec<String>>,
    /// Opens it.
    pub open: fn(Opening) -> BoxFuture<'static, Result<Backend>>,
}

/// Every backend.
pub const BACKENDS: &[Descriptor] = &[sqlite::DESCRIPTOR, postgres::DESCRIPTOR, memory::DESCRIPTOR];

/// What [`Descriptor::examine`] of this backend says.
pub fn examine(name: &str, address: &Secret) -> std::result::Result<Vec<String>, Vec<String>> {
    let descriptor = BACKENDS.iter().find(|descriptor| descriptor.name == name);
    descriptor.map_or_else(|| Ok(Vec::new()), |descriptor| (descriptor.examine)(address))
}

/// Opens the backend of this name. The error says what is in the way, for the operator.
pub async fn open(name: &str, opening: Opening) -> Result<Backend> {
    let Some(descriptor) = BACKENDS.iter().find(|descriptor| descriptor.name == name) else {
        let names: Vec<&str> = BACKENDS.iter().map(|descriptor| descriptor.name).collect();
        let problem = format!("there is no store '{name}', only {}", names.join(", "));
        return Err(StoreError::because(StoreErrorKind::Unavailable, "choose a store", problem));
    };
    (descriptor.open)(opening).await
}

/// Why a store is not opened for this purpose, for the operator.
fn refused(problem: impl Into<String>) -> StoreError {
    StoreError::because(StoreErrorKind::Refused, "open the store", problem.into())
}

/// Fails when a store of this schema version cannot be used as it is by a program that knows so many versions. `None` is a place where no
/// server has been.
fn check_version(version: Option<usize>, known: usize) -> Result<()> {
    let problem = match version {
        Some(version) if version == known => return Ok(()),
        None => "there is nothing here yet: no server has set it up".to_owned(),
        Some(version) if version < known => {
            format!(
                "the data is of schema version {version}, this program needs {known}: start a server of it first, which changes that"
            )
        }
        Some(version) => {
            format!("the data is of schema version {version}, this program knows versions up to {known}: use a newer program")
        }
    };
    Err(refused(problem))
}

/// The same for a backend that opens without waiting for another machine.
#[cfg(test)]
pub(crate) fn open_at_once(name: &str, opening: Opening) -> Result<Backend> {
    futures_util::FutureExt::now_or_never(open(name, opening)).expect("a backend within this process")
}
