//! Poll (RFC 8936): a receiver acknowledges what it has, and takes what there is or waits for it.

mod acknowledge;
mod desk;
mod keep;
mod request;
mod select;
#[cfg(test)]
mod tests;

use super::Delivery;
use super::persist::Persister;
use super::render::Renderer;
use super::running::End;
use super::stream::{Status, Stream};
use super::streams::{Snapshot, Streams};
use super::tail::Tail;
use crate::auth::{Caller, Scope};
use crate::base::clock::Clock;
use crate::base::id::StreamId;
use crate::base::limits;
use crate::scim::error::{Error, ErrorKind, Result};
use crate::scim::path::shorten;
use crate::store::Ledger;
use crate::store::ledger::Place;
use dashmap::DashMap;
use desk::Desk;
use select::Selection;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::Instant;

pub use desk::Offer;
pub use request::{PollRequest, SetError};

/// What polls share.
#[derive(Debug)]
pub(super) struct Polls {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    tail: Arc<Tail>,
    streams: Arc<Streams>,
    renderer: Arc<Renderer>,
    persister: Arc<Persister>,
    desks: DashMap<StreamId, Arc<Desk>>,
    /// Room for requests that wait, those that read feeds among them.
    waiters: Arc<Semaphore>,
    /// And for those that follow them.
    followers: Arc<Semaphore>,
    pub(super) lease: Duration,
}

/// The answer to a poll (RFC 8936 §2.3).
#[derive(Debug)]
pub struct PollAnswer {
    /// By `jti`, in the order in which they are to be taken: the SETs.
    pub sets: Vec<(String, String)>,
    /// Whether there are unacknowledged SETs beyond these.
    pub more_available: bool,
    /// Their lease: say when they have left the house, otherwise they are given back.
    pub offer: Offer,
}

/// How long a poll may wait, and what ends that.
#[derive(Debug)]
struct Patience<'a> {
    until: Instant,
    end: &'a End,
}

/// Why a poll does not wait any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Woken {
    /// The log has grown.
    Log,
    /// Something else may have changed.
    Look,
    /// The time is up.
    Late,
    /// Another poll has taken the place, or the server stops.
    Over,
}

/// What a poll listens to while it waits. Made before the first look, so that nothing is missed.
#[derive(Debug)]
struct Signals {
    head: watch::Receiver<Place>,
    streams: watch::Receiver<Snapshot>,
    poked: watch::Receiver<u64>,
    changed: watch::Receiver<u64>,
}

impl Delivery {
    /// Whether receivers may poll.
    pub fn polls(&self) -> bool {
        !self.settings.poll_disabled
    }

    /// A poll of a stream by its name. A stream that is not the caller's is not there, for anybody but an administrator.
    pub async fn poll_stream(&self, caller: &Caller, stream: &str, request: PollRequest, wait: Duration) -> Result<PollAnswer> {
        self.check_polling()?;
        let stream = self.visible(caller, stream, caller.may(Scope::Admin))?;
        self.polls.poll(stream, request, wait, &self.end).await
    }

    /// A poll of the caller's own stream of a feed. The first one makes it, beginning with the oldest event that is kept.
    pub async fn poll_feed(&self, caller: &Caller, feed: &str, request: PollRequest, wait: Duration) -> Result<PollAnswer> {
        self.check_polling()?;
        let stream = self.implicit_stream(caller, feed).await?;
        match self.polls.poll(stream, request.clone(), wait, &self.end).await {
            // Somebody removed it meanwhile: it is made again.
            Err(error) if error.kind == ErrorKind::NotFound => {
                let stream = self.implicit_stream(caller, feed).await?;
                self.polls.poll(stream, request, wait, &self.end).await
            }
            answered => answered,
        }
    }

    fn check_polling(&self) -> Result<()> {
        if self.polls() {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Forbidden, "Polling is switched off here (SET_POLL_ENABLED)."))
    }

    fn visible(&self, caller: &Caller, id: &str, is_admin: bool) -> Result<Arc<Stream>> {
        let not_found = || Error::new(ErrorKind::NotFound, format!("Stream {} not found.", shorten(id)));
        let stream = StreamId::parse(id).and_then(|id| self.streams.get(&id)).ok_or_else(not_found)?;
        let is_seen = stream.tenant() == caller.tenant && (is_admin || stream.owner == caller.principal);
        if is_seen { Ok(stream) } else { Err(not_found()) }
    }
}

impl Polls {
    pub(super) fn new(
        ledger: &Arc<dyn Ledger>,
        clock: &Arc<dyn Clock>,
        tail: &Arc<Tail>,
        streams: &Arc<Streams>,
        renderer: &Arc<Renderer>,
        persister: &Arc<Persister>,
    ) -> Self {
        Self {
            ledger: Arc::clone(ledger),
            clock: Arc::clone(clock),
            tail: Arc::clone(tail),
            streams: Arc::clone(streams),
            renderer: Arc::clone(renderer),
            persister: Arc::clone(persister),
            desks: DashMap::new(),
            waiters: Arc::new(Semaphore::new(limits::POLL_WAITERS)),
            followers: Arc::new(Semaphore::new(limits::FEED_FOLLOWERS)),
            lease: Duration::from_millis(limits::POLL_LEASE_MS),
        }
    }

    /// Room for one more request that waits.
    pub(super) fn room_to_wait(&self) -> Result<Room> {
        let busy = |_| Error::new(ErrorKind::Unavailable, "Too many requests wait for events here; try again.");
        let permit = Arc::clone(&self.waiters).try_acquire_owned().map_err(busy)?;
        metrics::gauge!("carillon_poll_waiters").increment(1.0);
        Ok(Room { _permit: permit })
    }

    /// Room for one more reader that follows a feed.
    pub(super) fn room_to_follow(&self) -> Result<OwnedSemaphorePermit> {
        let busy = |_| Error::new(ErrorKind::Unavailable, "Too many readers follow feeds here; try again.");
        Arc::clone(&self.followers).try_acquire_owned().map_err(busy)
    }

    fn desk(&self, stream: &StreamId) -> Arc<Desk> {
        if let Some(desk) = self.desks.get(stream) {
            return Arc::clone(&desk);
        }
        Arc::clone(&self.desks.entry(stream.clone()).or_default())
    }

    /// What is acknowledged is kept before anything is looked for, and before anything is waited for (8936-2.4-02, 8936-2.4.2-01).
    async fn poll(self: &Arc<Self>, stream: Arc<Stream>, request: PollRequest, wait: Duration, end: &End) -> Result<PollAnswer> {
        self.check(&stream).await?;
        let desk = self.desk(&stream.id);
        desk.is_used();
        let (limit, is_patient) = (request.limit(), !request.return_immediately);
        let mut signals = Signals {
            head: self.tail.head(),
            streams: self.streams.watch(),
            poked: self.streams.poked(&stream.id),
            changed: desk.changed.subscribe(),
        };
        if !request.only_asks() {
            // A task of its own: what a receiver has acknowledged is resolved, whether or not it stays for the answer.
            let (polls, desk, stream) = (Arc::clone(self), Arc::clone(&desk), Arc::clone(&stream));
            let acknowledging = tokio::spawn(async move { polls.acknowledge(&desk, stream, &request).await });
            acknowledging.await.map_err(|_| Error::new(ErrorKind::Internal, "The server failed."))??;
            signals.changed.mark_unchanged();
        }
        let found = self.select(&desk, &self.current(&stream).await?, limit, true).await?;
        if found.is_something() || !is_patient {
            return self.answer(&desk, found).await;
        }
        let patience = Patience { until: Instant::now() + wait, end };
        self.wait(&desk, stream, limit, found, signals, &patience).await
    }

    /// Looks again whenever there may be something, until there is.
    async fn wait(
        self: &Arc<Self>,
        desk: &Arc<Desk>,
        mut stream: Arc<Stream>,
        limit: usize,
        mut found: Selection,
        mut signals: Signals,
        patience: &Patience<'_>,
    ) -> Result<PollAnswer> {
        let _room = self.room_to_wait()?;
        let mut waiter = desk.wait();
        loop {
            let woken = self.woken(&stream, &found, &mut signals, &mut waiter, patience).await;
            if woken == Woken::Late || woken == Woken::Over {
                found.more &= woken == Woken::Late;
                return self.answer(desk, found).await;
            }
            if woken == Woken::Log {
                // A burst comes as one answer.
                let debounce = Duration::from_millis(limits::POLL_DEBOUNCE_MS);
                let _ = tokio::time::timeout(debounce, patience.end.closing()).await;
                signals.head.mark_unchanged();
            }
            stream = self.current(&stream).await?;
            found = self.select(desk, &stream, limit, false).await?;
            if found.is_something() {
                return self.answer(desk, found).await;
            }
        }
    }

    async fn woken(
        &self,
        stream: &Arc<Stream>,
        found: &Selection,
        signals: &mut Signals,
        waiter: &mut desk::Waiter,
        patience: &Patience<'_>,
    ) -> Woken {
        let until = found.next_expiry.map_or(patience.until, |expiry| expiry.min(patience.until));
        let Signals { head, streams, poked, changed } = signals;
        let own = |snapshot: &Snapshot| !snapshot.get(&stream.id).is_some_and(|now| Arc::ptr_eq(now, stream));
        tokio::select! {
            biased;
            () = patience.end.closing() => Woken::Over,
            _ = &mut waiter.superseded => Woken::Over,
            Ok(()) = head.changed(), if found.follows_log => Woken::Log,
            true = async { streams.wait_for(own).await.is_ok() } => Woken::Look,
            Ok(()) = poked.changed() => Woken::Look,
            Ok(()) = changed.changed() => Woken::Look,
            _ = tokio::time::timeout_at(until, std::future::pending::<()>()) => {
                if until < patience.until { Woken::Look } else { Woken::Late }
            }
        }
    }

    /// The stream as it is now, if it may still be polled.
    async fn current(&self, stream: &Arc<Stream>) -> Result<Arc<Stream>> {
        let Some(now) = self.streams.get(&stream.id) else {
            return Err(Error::new(ErrorKind::NotFound, format!("Stream {} is no more.", stream.id)));
        };
        self.check(&now).await?;
        Ok(now)
    }

    /// A stream that is pushed is polled by nobody; one that is disabled has nothing and says why, so that its receiver does not ask
    /// for ever (SSF §8.1.2.1).
    async fn check(&self, stream: &Stream) -> Result<()> {
        if stream.push().is_some() {
            let detail = format!("Stream {} is pushed (urn:ietf:rfc:8935): nobody polls it.", stream.id);
            return Err(Error::new(ErrorKind::Conflict, detail));
        }
        if stream.status != Status::Disabled {
            return Ok(());
        }
        if stream.gap.is_some() {
            return Err(self.lost(stream).await?);
        }
        let reason = stream.reason.as_deref().map_or_else(String::new, |reason| format!(": {reason}"));
        Err(Error::new(ErrorKind::Conflict, format!("Stream {} is disabled{}.", stream.id, reason.trim_end_matches('.'))))
    }

    /// What a receiver is told whose events were not kept until it took them.
    async fn lost(&self, stream: &Stream) -> Result<Error> {
        let tag = self.renderer.tag(stream).await?;
        let first = self.ledger.read(stream.tenant(), Place(0), 1).await.map_err(|error| error.answer())?;
        let oldest = first
            .events
            .first()
            .map_or_else(|| "none is kept now".to_owned(), |logged| format!("the oldest one kept is {}", tag.jti(logged.event.id)));
        let detail = format!(
            "Stream {} is disabled: events of it were not kept until they were taken; {oldest}. A replay enables it again.",
            stream.id
        );
        Ok(Error::new(ErrorKind::Gone, detail))
    }
}

/// The room of a request that waits, which is counted.
#[derive(Debug)]
pub(super) struct Room {
    _permit: OwnedSemaphorePermit,
}

impl Drop for Room {
    fn drop(&mut self) {
        metrics::gauge!("carillon_poll_waiters").decrement(1.0);
    }
}
