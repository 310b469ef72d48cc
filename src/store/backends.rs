//! The table of backends: one row each. Nothing above asks which one it is talking to.

pub mod memory;
pub mod sqlite;

use super::{Backend, Result, StoreError, StoreErrorKind};
use crate::base::id::Ids;
use crate::base::limits::Limits;
use crate::scim::schema::Registry;
use std::path::PathBuf;
use std::sync::Arc;

/// What a backend is opened with.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The folder of an embedded store.
    pub data_path: PathBuf,
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
    /// Opens it.
    pub open: fn(Opening) -> Result<Backend>,
}

/// Every backend.
pub const BACKENDS: &[Descriptor] = &[memory::DESCRIPTOR, sqlite::DESCRIPTOR];

/// Opens the backend of this name. The error says what is in the way, for the operator.
pub fn open(name: &str, opening: Opening) -> Result<Backend> {
    let Some(descriptor) = BACKENDS.iter().find(|descriptor| descriptor.name == name) else {
        let names: Vec<&str> = BACKENDS.iter().map(|descriptor| descriptor.name).collect();
        let problem = format!("there is no store '{name}', only {}", names.join(", "));
        return Err(StoreError::because(StoreErrorKind::Unavailable, "choose a store", problem));
    };
    (descriptor.open)(opening)
}
