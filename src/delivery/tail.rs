//! The end of the log in memory: it is read from the ledger once, however many streams follow it, and not at all while none does.

use crate::base::id::Tenant;
use crate::base::limits;
use crate::base::task::pause;
use crate::store::ledger::{Logged, Place};
use crate::store::{Ledger, Result};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// The newest events of a tenant, and a signal when there are more.
#[derive(Debug)]
pub(super) struct Tail {
    ledger: Arc<dyn Ledger>,
    tenant: Tenant,
    ring: Mutex<Ring>,
    head: watch::Sender<Place>,
    /// How far the log has come, as those who write it say.
    wake: watch::Receiver<u64>,
    /// Somebody follows.
    demand: Notify,
}

#[derive(Debug)]
struct Ring {
    /// Whether what is added to the log comes here.
    is_followed: bool,
    /// Behind this place it holds every event.
    after: Place,
    events: VecDeque<Arc<Logged>>,
    bytes: usize,
}

/// A part of the log.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Events up to this place are no longer kept. A reader whose cursor is before it has lost some.
    pub(super) floor: Place,
    /// The last place up to which `events` holds everything.
    pub(super) through: Place,
    /// Whether there is more behind it.
    pub(super) more: bool,
    /// The events, in order.
    pub(super) events: Vec<Arc<Logged>>,
}

impl Tail {
    /// The end of a tenant's log as it is now.
    pub(super) fn new(ledger: Arc<dyn Ledger>, tenant: Tenant) -> Self {
        let wake = ledger.wake();
        let head = Place(*wake.borrow());
        let ring = Mutex::new(Ring { is_followed: false, after: head, events: VecDeque::new(), bytes: 0 });
        Self { ledger, tenant, ring, head: watch::Sender::new(head), wake, demand: Notify::new() }
    }

    /// The last place that has been read. Wakes when the log has grown.
    pub(super) fn head(&self) -> watch::Receiver<Place> {
        let head = self.head.subscribe();
        self.demand.notify_one();
        head
    }

    /// The events after a place, in order, at most so many: from memory when they are there.
    pub(super) async fn read(&self, after: Place, limit: usize) -> Result<Part> {
        if let Some(part) = self.recent(after, limit) {
            return Ok(part);
        }
        self.kept(after, limit).await
    }

    /// The same, and sure to hold what was committed before it was asked for: for a reader who has just written.
    pub(super) async fn read_now(&self, after: Place, limit: usize) -> Result<Part> {
        self.ledger.settled().await;
        let reached = Place(*self.wake.borrow());
        let is_known = reached <= *self.head.borrow();
        if is_known || self.catches_up(reached).await { self.read(after, limit).await } else { self.kept(after, limit).await }
    }

    async fn catches_up(&self, reached: Place) -> bool {
        let mut head = self.head();
        let patience = Duration::from_millis(limits::TAIL_CATCH_UP_MS);
        matches!(tokio::time::timeout(patience, head.wait_for(|head| *head >= reached)).await, Ok(Ok(_)))
    }

    /// The same as the ledger has it now: nothing that it no longer keeps.
    pub(super) async fn kept(&self, after: Place, limit: usize) -> Result<Part> {
        let reading = self.ledger.read(self.tenant, after, limit).await?;
        let events = reading.events.into_iter().map(Arc::new).collect();
        Ok(Part { floor: reading.floor, through: reading.through, more: reading.more, events })
    }

    fn recent(&self, after: Place, limit: usize) -> Option<Part> {
        let ring = self.ring();
        let through = *self.head.borrow();
        if !ring.is_followed || after < ring.after {
            return None;
        }
        let from = ring.events.partition_point(|logged| logged.place <= after);
        let events: Vec<Arc<Logged>> = ring.events.range(from..).take(limit).cloned().collect();
        let more = ring.events.len() - from > events.len();
        let last = events.last().map_or(after, |logged| logged.place);
        let through = if more { last } else { through.max(after) };
        Some(Part { floor: Place(0), through, more, events })
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads what is added to the log, until it is dropped. A failure of the ledger is tried again.
    pub(super) async fn follow(&self) {
        let mut wake = self.ledger.wake();
        let mut used = Instant::now();
        loop {
            if self.head.receiver_count() > 0 {
                used = Instant::now();
            } else if used.elapsed() >= Duration::from_millis(limits::TAIL_PATIENCE_MS) {
                self.rest();
                self.demand.notified().await;
            }
            self.begin(Place(*wake.borrow_and_update()));
            let after = *self.head.borrow();
            match self.ledger.read(self.tenant, after, limits::TAIL_READ_EVENTS).await {
                Ok(reading) => {
                    self.add(reading.floor, reading.events, reading.through);
                    if reading.more {
                        continue;
                    }
                    // The wake-up is only a hint: look again after a while, whether it came or not.
                    let patience = Duration::from_millis(limits::TAIL_PATIENCE_MS);
                    if let Ok(Err(_)) = tokio::time::timeout(patience, wake.changed()).await {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(operation = error.operation, %error, "the log cannot be read");
                    pause(Duration::from_millis(limits::TAIL_RETRY_MS)).await;
                }
            }
        }
    }

    /// Nobody follows: what is here grows old.
    fn rest(&self) {
        let mut ring = self.ring();
        *ring = Ring { is_followed: false, after: ring.after, events: VecDeque::new(), bytes: 0 };
    }

    /// Begins at a place that the log has reached, unless it goes on already.
    fn begin(&self, reached: Place) {
        let mut ring = self.ring();
        if ring.is_followed {
            return;
        }
        let head = reached.max(*self.head.borrow());
        *ring = Ring { is_followed: true, after: head, events: VecDeque::new(), bytes: 0 };
        self.move_head(head);
    }

    /// Under the lock of the ring, so that whoever sees the new head finds its events.
    fn move_head(&self, through: Place) {
        self.head.send_if_modified(|head| {
            let is_later = through > *head;
            *head = through.max(*head);
            is_later
        });
    }

    fn add(&self, floor: Place, events: Vec<Logged>, through: Place) {
        let mut ring = self.ring();
        // What the log no longer keeps is not told from memory either: whoever needs it is to learn from the ledger that it is lost.
        while let Some(oldest) = ring.events.pop_front_if(|oldest| oldest.place <= floor) {
            ring.bytes = ring.bytes.saturating_sub(oldest.event.bytes());
        }
        ring.after = ring.after.max(floor);
        for logged in events {
            ring.bytes += logged.event.bytes();
            ring.events.push_back(Arc::new(logged));
        }
        while (ring.events.len() > limits::TAIL_EVENTS || ring.bytes > limits::TAIL_BYTES)
            && let Some(oldest) = ring.events.pop_front()
        {
            ring.bytes = ring.bytes.saturating_sub(oldest.event.bytes());
            ring.after = oldest.place;
        }
        self.move_head(through);
    }
}

#[cfg(test)]
mod tests;
