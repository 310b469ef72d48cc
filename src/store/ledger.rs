//! The event log, and what delivery keeps beside it.

use super::Result;
use crate::base::id::{EventId, Tenant};
use crate::base::limits;
use crate::event::Event;
use async_trait::async_trait;
use std::fmt;
use tokio::sync::watch;

/// A place in the log: dense, from 1, in commit order. Writers never know theirs; readers hold a cursor over places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(pub u64);

/// An event and its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Logged {
    /// Where it is.
    pub place: Place,
    /// What it says.
    pub event: Event,
}

/// What holds events.
#[async_trait]
pub trait Ledger: Send + Sync + fmt::Debug {
    /// The events of a tenant after a place, in order, at most so many; fewer when they come to [`limits::LOG_PAGE_BYTES`] before
    /// (see [`is_full`]).
    async fn read(&self, tenant: Tenant, after: Place, limit: usize) -> Result<Vec<Logged>>;

    /// Where an event is; `None` when it is not kept (any more).
    async fn place_of(&self, tenant: Tenant, event: EventId) -> Result<Option<Place>>;

    /// Wakes when the log may have grown. Only a hint: read the log to know.
    fn wake(&self) -> watch::Receiver<u64>;

    /// A named secret of this installation, made from `fresh` when it is first asked for, and the same ever after.
    async fn secret(&self, name: &'static str, fresh: [u8; 32]) -> Result<[u8; 32]>;
}

/// Whether events come to as much as one reading of the log returns, so that there may be more of them than it was asked for.
pub fn is_full(events: &[Logged]) -> bool {
    events.iter().map(|logged| logged.event.bytes()).sum::<usize>() >= limits::LOG_PAGE_BYTES
}

/// The events up to the size of one reading, and the one that passes it.
pub(crate) fn up_to_full<E>(events: impl Iterator<Item = Result<Logged, E>>) -> Result<Vec<Logged>, E> {
    let mut taken = Vec::new();
    let mut bytes = 0;
    for logged in events {
        let logged = logged?;
        bytes += logged.event.bytes();
        taken.push(logged);
        if bytes >= limits::LOG_PAGE_BYTES {
            break;
        }
    }
    Ok(taken)
}
