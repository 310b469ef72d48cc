//! Resources that are taken over as they are, with their ids and times: read and validated on all cores, committed in batches in the
//! order in which they come.
//!
//! An import is the beginning of a resource's history: it is at version 1 afterwards, and no event tells of that unless
//! [`Terms::announce`] asks for it. What is there already with the same content is passed over, so that an import that came to an
//! early end is simply begun again.

mod commit;
mod existing;
mod pipeline;
mod read;
mod rehearse;
#[cfg(test)]
mod tests;
mod waiting;

use crate::scim::error::{Error, Result};
use crate::store::StoreError;
use std::fmt;
use std::io;
use std::sync::Arc;

/// Where a resource comes from, for the person who imports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The table, where it is one.
    pub table: Option<Arc<str>>,
    /// The line or the row, from 1.
    pub number: u64,
    /// What the table calls the row: its id.
    pub id: Option<Arc<str>>,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.table {
            None => write!(formatter, "line {}", self.number)?,
            Some(table) => write!(formatter, "row {} of {table}", self.number)?,
        }
        self.id.as_ref().map_or(Ok(()), |id| write!(formatter, " (id {id:?})"))
    }
}

/// A resource as it comes.
#[derive(Debug)]
pub struct Record {
    /// Where it comes from.
    pub origin: Origin,
    /// What is known of it beside its text.
    pub known: Option<Known>,
    /// Its JSON text, or why there is none.
    pub text: Result<Vec<u8>>,
}

/// What a table says of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The name of its type.
    pub kind: Arc<str>,
    /// Its `id`.
    pub id: String,
}

/// What becomes of a resource whose id is there already, with other content.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// It is refused.
    #[default]
    Refuse,
    /// What is there stays.
    Skip,
    /// It is replaced as by a PUT, with the event that tells of it (I1).
    Replace,
}

/// How an import goes.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    /// What becomes of what is there with other content.
    pub on_conflict: OnConflict,
    /// Each resource that is created gets its create event.
    pub announce: bool,
    /// Everything is checked that can be, and nothing is written.
    pub rehearse: bool,
    /// What comes without an `id` gets a new one.
    pub new_ids: bool,
    /// After so many refusals it ends; `None` is never.
    pub most_refusals: Option<u64>,
}

/// What has become of the resources so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// New here.
    pub created: u64,
    /// There already, the same.
    pub present: u64,
    /// There with other content, and replaced.
    pub replaced: u64,
    /// There with other content, and left so.
    pub skipped: u64,
    /// Not taken over.
    pub refused: u64,
}

impl Tally {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.created + self.present + self.replaced + self.skipped + self.refused
    }
}

/// Who is told how an import goes.
pub trait Witness: Send {
    /// A resource is not taken over.
    fn refused(&mut self, origin: &Origin, error: &Error);
    /// It has come so far.
    fn came_to(&mut self, tally: &Tally);
}

/// How an import ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// What has become of the resources.
    pub tally: Tally,
    /// Whether it ended early because too many were refused.
    pub is_stopped: bool,
}

/// Why an import cannot go on. What has been told to the witness stays.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// What is imported cannot be read.
    #[error("{0}")]
    Source(#[source] io::Error),
    /// The store cannot be read or written.
    #[error("the store: {0}")]
    Store(#[source] StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
