//! What can go wrong in a store: the kind, what was being done, and whether trying again can help.

use crate::scim::error::{Error, ErrorKind};
use std::fmt;

/// The kinds of failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreErrorKind {
    /// A document is no longer at the revision that the unit was planned from: plan again.
    Stale,
    /// Somebody else has taken the lease under which this was to be done.
    Superseded,
    /// The resource does not exist (any more).
    NotFound,
    /// The resource is not at a version that the client named in `If-Match`.
    PreconditionFailed,
    /// Another resource holds this value of a unique attribute.
    Uniqueness {
        /// The attribute's canonical path.
        path: String,
    },
    /// These member ids name no resource, and the unit asked for known ones.
    UnknownMembers(Vec<String>),
    /// The work is over a limit of time or size: nothing that a repetition would mend.
    TooMany,
    /// The store cannot answer now: its queue is full, its disk failed, it shuts down. Trying again later can help.
    Unavailable,
    /// Another process has the store open, which belongs to one process at a time.
    InUse,
    /// The store is not one for what it is opened for; what lies behind it says why.
    Refused,
    /// The stored data cannot be understood.
    Corrupt,
}

/// A failure of a store.
#[derive(Debug, thiserror::Error)]
pub struct StoreError {
    /// What kind.
    pub kind: StoreErrorKind,
    /// What was being done. For the log, never for a client.
    pub operation: &'static str,
    /// What lies behind it. For the log, never for a client.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
    /// Which change of a unit it was that failed, from 0, where one did.
    pub change: Option<usize>,
}

impl StoreError {
    /// A failure without a cause of its own.
    pub fn new(kind: StoreErrorKind, operation: &'static str) -> Self {
        Self { kind, operation, source: None, change: None }
    }

    /// A failure with what lies behind it.
    pub fn because(
        kind: StoreErrorKind,
        operation: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self { kind, operation, source: Some(source.into()), change: None }
    }

    /// What a client is told. The inside of it goes to the log, once, here.
    pub fn answer(&self) -> Error {
        match &self.kind {
            StoreErrorKind::NotFound => Error::new(ErrorKind::NotFound, "Resource not found."),
            StoreErrorKind::PreconditionFailed => Error::new(
                ErrorKind::PreconditionFailed,
                "The resource is at a version that If-Match or If-None-Match does not allow.",
            ),
            StoreErrorKind::Uniqueness { path } => {
                Error::new(ErrorKind::Uniqueness, format!("Another resource has this value of the unique attribute '{path}'."))
            }
            StoreErrorKind::UnknownMembers(ids) => {
                Error::invalid_value(format!("These values of 'members' name no resource: {}.", ids.join(", ")))
            }
            StoreErrorKind::TooMany => {
                let detail = "This takes more work than the server allows. A filter or an order by an indexed attribute does not, nor does a \
                     cursor instead of a large startIndex.";
                Error::new(ErrorKind::TooMany, detail)
            }
            StoreErrorKind::Stale
            | StoreErrorKind::Superseded
            | StoreErrorKind::Unavailable
            | StoreErrorKind::InUse
            | StoreErrorKind::Refused => {
                tracing::warn!(operation = self.operation, error = %self, "the store is unavailable");
                Error::new(ErrorKind::Unavailable, "The server is busy; try again.")
            }
            StoreErrorKind::Corrupt => {
                tracing::error!(operation = self.operation, error = %self, "stored data cannot be read");
                Error::new(ErrorKind::Internal, "The server failed.")
            }
        }
    }

    /// Whether the same call can succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, StoreErrorKind::Stale | StoreErrorKind::Unavailable)
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {:?}", self.operation, self.kind)?;
        match &self.source {
            Some(source) => write!(formatter, ": {source}"),
            None => Ok(()),
        }
    }
}
