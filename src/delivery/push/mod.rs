//! Push delivery (RFC 8935): each SET is sent to the receiver by a request of its own, and sent again until it is acknowledged or
//! refused for good.

mod address;
mod answer;
mod attempt;
mod breaker;
mod client;
mod endpoint;
mod leases;
mod letters;
mod reading;
mod schedule;
mod sender;
mod settle;
mod supervisor;
#[cfg(test)]
mod tests;

use super::persist::Persister;
use super::render::Renderer;
use super::stream::Format;
use super::streams::Streams;
use super::tail::Tail;
use crate::base::clock::{Clock, Timestamp};
use crate::base::id::StreamId;
use crate::base::limits;
use crate::base::secret::Entropy;
use crate::store::Ledger;
use crate::store::ledger::Place;
use breaker::Breakers;
use client::{Clients, Courier, SystemNames, Timing};
use leases::Leases;
use schedule::Schedule;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Semaphore, SemaphorePermit};

pub(super) use supervisor::supervise;

pub use endpoint::{Endpoint, Refusal, Settings};

/// What every push stream works with.
#[derive(Debug)]
pub(super) struct Pushing {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    tail: Arc<Tail>,
    streams: Arc<Streams>,
    renderer: Arc<Renderer>,
    persister: Arc<Persister>,
    settings: Settings,
    format: Format,
    courier: Arc<dyn Courier>,
    schedule: Arc<Schedule>,
    breakers: Breakers,
    permits: Permits,
    /// Streams that start at the same time read the ledger a few at a time.
    starts: Semaphore,
    standings: Mutex<HashMap<StreamId, Standing>>,
    leases: Leases,
}

/// What [`Pushing`] is made of.
#[derive(Debug)]
pub(super) struct Tools {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) tail: Arc<Tail>,
    pub(super) streams: Arc<Streams>,
    pub(super) renderer: Arc<Renderer>,
    pub(super) persister: Arc<Persister>,
    pub(super) settings: Settings,
    /// The format of streams that say nothing.
    pub(super) format: Format,
    /// This node, unlike any other.
    pub(super) node: String,
}

/// How far a stream that is being pushed has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Every place up to this one is resolved.
    pub(super) cursor: Place,
    /// When the first event happened that is not, if one is known.
    pub(super) oldest: Option<Timestamp>,
}

impl Pushing {
    /// Everything as it is meant to be: the system's names, the standard schedule.
    pub(super) fn new(tools: Tools) -> Self {
        let courier = Clients::new(Arc::new(SystemNames), &tools.settings, Timing::default());
        Self::with(tools, Arc::new(courier), Arc::new(Schedule::STANDARD))
    }

    fn with(tools: Tools, courier: Arc<dyn Courier>, schedule: Arc<Schedule>) -> Self {
        let Tools { ledger, clock, entropy, tail, streams, renderer, persister, settings, format, node } = tools;
        Self {
            leases: Leases::new(Arc::clone(&ledger), node),
            ledger,
            clock,
            entropy,
            tail,
            streams,
            renderer,
            persister,
            settings,
            format,
            courier,
            breakers: Breakers::new(Arc::clone(&schedule)),
            schedule,
            permits: Permits::default(),
            starts: Semaphore::new(limits::PUSH_STARTS),
            standings: Mutex::default(),
        }
    }

    /// A number that nobody can foresee.
    fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        self.entropy.fill(&mut bytes);
        u64::from_ne_bytes(bytes)
    }

    fn standings(&self) -> MutexGuard<'_, HashMap<StreamId, Standing>> {
        self.standings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the streams have come that are being pushed now.
    pub(super) fn standing(&self, stream: &StreamId) -> Option<Standing> {
        self.standings().get(stream).copied()
    }
}

/// Requests that may be under way at a time. Receivers that answer late or not at all share a part of their own, so that they hold up
/// none of the others. Whoever waits is served in order.
#[derive(Debug)]
struct Permits {
    soon: Semaphore,
    late: Semaphore,
}

impl Default for Permits {
    fn default() -> Self {
        Self { soon: Semaphore::new(limits::PUSH_IN_FLIGHT), late: Semaphore::new(limits::PUSH_SLOW_IN_FLIGHT) }
    }
}

impl Permits {
    /// A permit; `None` when there will be none any more.
    async fn acquire(&self, is_late: bool) -> Option<SemaphorePermit<'_>> {
        let share = if is_late { &self.late } else { &self.soon };
        share.acquire().await.ok()
    }

    /// Whether what is left is for streams that have nothing under way.
    fn are_scarce(&self, is_late: bool) -> bool {
        let share = if is_late { &self.late } else { &self.soon };
        share.available_permits() < limits::PUSH_SCARCE
    }
}
