//! The event log, and what delivery keeps beside it: records, the places that each stream has resolved, dead letters.

mod places;
mod time;

use super::Result;
use crate::base::clock::Timestamp;
use crate::base::id::{EventId, StreamId, Tenant};
use crate::base::limits;
use crate::event::Event;
use async_trait::async_trait;
use std::fmt;
use std::time::Duration;
use tokio::sync::watch;

pub use places::{NotPlaces, PlaceSet};

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

/// A part of the log, seen at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reading {
    /// Events up to this place are no longer kept. A reader whose cursor is before it has lost some.
    pub floor: Place,
    /// The last place up to which `events` holds everything: where to go on reading.
    pub through: Place,
    /// Whether there is more behind it.
    pub more: bool,
    /// The events, in order.
    pub events: Vec<Logged>,
}

/// A document that delivery keeps: a stream, a signing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Unique in its collection.
    pub id: String,
    /// One more with every change. A record that is removed and made again is at one that it never had.
    pub revision: u64,
    /// JSON text.
    pub body: String,
}

/// A change of a record, if it is still as the change supposes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordChange {
    /// In which collection.
    pub collection: &'static str,
    /// Which record.
    pub id: String,
    /// The revision it must be at; `None`: there must be none.
    pub expected: Option<u64>,
    /// Its new body; `None` removes it.
    pub body: Option<String>,
}

/// Places that a stream has resolved, and what came of some of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolution {
    /// Which stream.
    pub stream: StreamId,
    /// Which of its lives. A replay begins a new one, with places of its own; resolutions of an older one are
    /// [stale](super::StoreErrorKind::Stale).
    pub epoch: u64,
    /// Everything that is known to be resolved: acknowledged, dead, or not the stream's. Merged with what is kept.
    pub places: PlaceSet,
    /// Places whose dead letters are settled: delivered after all, or discarded.
    pub settled: Vec<Place>,
    /// Dead letters that have changed. One that somebody has settled meanwhile stays so.
    pub changed: Vec<DeadLetter>,
    /// Places whose dead letters are to be delivered once more, where there are any still.
    pub retried: Vec<Place>,
    /// Dead letters that are new, or of an event that was refused once more in its turn.
    pub dead: Vec<DeadLetter>,
    /// The epoch of the [`push_lease`] under which this was done, if it was done under one. When somebody else has taken the lease
    /// since, the resolution is [superseded](super::StoreErrorKind::Superseded).
    pub fence: Option<u64>,
}

impl Resolution {
    /// Places that a stream has resolved, of which nothing came that is to be noted.
    pub fn of(stream: StreamId, epoch: u64, places: PlaceSet) -> Self {
        Self { stream, epoch, places, settled: Vec::new(), changed: Vec::new(), retried: Vec::new(), dead: Vec::new(), fence: None }
    }

    /// How many rows it takes to keep it.
    pub fn rows(&self) -> usize {
        1 + self.settled.len() + self.changed.len() + self.retried.len() + self.dead.len()
    }
}

/// The life with which a stream begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Above that of every life which a stream of this id has had.
    pub epoch: u64,
    /// What is none of its own: the places before its beginning.
    pub places: PlaceSet,
}

/// The right to be the only one who does something, for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// What it is for.
    pub name: String,
    /// Rises with every change of the owner: what is written under an older one is refused.
    pub epoch: u64,
}

/// The name of the lease whose owner alone pushes the events of a stream.
pub fn push_lease(stream: &StreamId) -> String {
    format!("push/{stream}")
}

/// The name of the lease by which a node shows that it is there and delivers.
pub fn node_lease(owner: &str) -> String {
    format!("node/{owner}")
}

/// Whose leases are, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// How many other nodes are there: those that hold the [`node_lease`] of their name.
    pub others: usize,
    /// Those of the names that the owner holds.
    pub own: Vec<String>,
    /// Those that nobody holds.
    pub free: Vec<String>,
}

/// The name of the lease whose owner alone keeps the log within its bounds. It saves work: nothing rests on there being one.
pub const RETENTION_LEASE: &str = "retention";

/// An event that a stream's receiver refused for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Where the event is in the log. Retention may have taken it.
    pub place: Place,
    /// The event.
    pub event: EventId,
    /// When it was given up.
    pub at: Timestamp,
    /// How many times it was sent.
    pub attempts: u32,
    /// The HTTP status of the last answer, if there was one.
    pub status: Option<u16>,
    /// The error code: one of RFC 8935 §2.4, or our own word for what happened.
    pub error: String,
    /// What the receiver said beside it, shortened.
    pub description: Option<String>,
    /// Whether it is to be delivered once more.
    pub retry: bool,
}

/// Some of a stream's dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetters {
    /// How many there are in all.
    pub total: u64,
    /// By place.
    pub letters: Vec<DeadLetter>,
}

/// What is to be taken from the beginning of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// Events up to this place go,
    pub through: Place,
    /// and events from before this time; up to the first event that is neither.
    pub before: Timestamp,
    /// Most events at once: a trim holds up no writer for long.
    pub limit: usize,
}

/// What holds events, and what delivery keeps beside them.
#[async_trait]
pub trait Ledger: Send + Sync + fmt::Debug {
    /// The events of a tenant after a place, in order, at most so many; fewer when they come to [`limits::LOG_PAGE_BYTES`] before.
    async fn read(&self, tenant: Tenant, after: Place, limit: usize) -> Result<Reading>;

    /// Where an event is; `None` when it is not kept (any more).
    async fn place_of(&self, tenant: Tenant, event: EventId) -> Result<Option<Place>>;

    /// The place before the first event that is kept and not from before a time; the last place when every event is.
    ///
    /// It is found by halving, with some dozen readings of one event however long the log is: events are in the order of time but for
    /// those that are committed together. Where a clock was set back between them it is a place at which the log passes the time.
    async fn place_before(&self, tenant: Tenant, time: Timestamp) -> Result<Place> {
        time::place_before(self, tenant, time).await
    }

    /// Wakes when the log may have grown. Only a hint: read the log to know. Its value is a place that the log has reached.
    fn wake(&self) -> watch::Receiver<u64>;

    /// Ends when the log is no longer the one that was read: its database was set back, by a failover or a restore, and gives places once
    /// more, to other events. Whatever was read of it or reckoned from it is void then; the process has to begin anew. Returns what
    /// was seen. A store that only one process can open is not set back while it is open.
    async fn set_back(&self) -> String {
        std::future::pending().await
    }

    /// Waits until the log holds what was committed through this process before it was asked for, at most for a short time: for a reader
    /// who may just have written. Where events have their places with the commit there is nothing to wait for.
    async fn settled(&self) {}

    /// Takes events from the beginning of the log, whatever their tenant, where it still is behind `floor`. Returns how many: those
    /// right behind it, whose places are dense. None when somebody else has trimmed the log meanwhile.
    async fn trim(&self, floor: Place, trim: Trim) -> Result<usize>;

    /// A named secret of this installation, made from `fresh` when it is first asked for, and the same ever after.
    async fn secret(&self, name: &'static str, fresh: [u8; 32]) -> Result<[u8; 32]>;

    /// The records of a collection, by id.
    async fn records(&self, collection: &'static str) -> Result<Vec<Record>>;

    /// Changes records, all or none. Fails with [`StoreErrorKind::Stale`](super::StoreErrorKind::Stale) when one of them is not as its
    /// change supposes. It is on disk when this returns.
    async fn write_records(&self, changes: Vec<RecordChange>) -> Result<()>;

    /// Wakes when records may have changed. Only a hint.
    fn records_changed(&self) -> watch::Receiver<u64>;

    /// What a stream has resolved in an epoch; `None` when nothing is kept of it.
    async fn resolved(&self, stream: &StreamId, epoch: u64) -> Result<Option<PlaceSet>>;

    /// What streams have resolved, each in an epoch: as [`resolved`](Self::resolved) says of one, in the order in which they are asked
    /// for. An inner failure is of one stream alone.
    async fn resolved_of(&self, lives: &[(StreamId, u64)]) -> Result<Vec<Result<Option<PlaceSet>>>> {
        let mut all = Vec::with_capacity(lives.len());
        for (stream, epoch) in lives {
            all.push(self.resolved(stream, *epoch).await);
        }
        Ok(all)
    }

    /// Keeps what streams have resolved. There is a result for each, in order: the places that are then kept. Those that succeed are
    /// on disk when this returns.
    async fn resolve(&self, resolutions: Vec<Resolution>) -> Result<Vec<Result<PlaceSet>>>;

    /// The dead letters of a stream after a place, at most so many; those to be delivered once more alone, if so asked.
    async fn dead_letters(&self, stream: &StreamId, after: Place, limit: usize, retry_only: bool) -> Result<DeadLetters>;

    /// Removes dead letters, whatever their stream: those of events up to a place, the first of them first, and then those that died
    /// before a time, the oldest first; together at most so many. Returns how many.
    async fn trim_letters(&self, trim: Trim) -> Result<usize>;

    /// Changes records, as [`write_records`](Self::write_records) does, and with them a stream of this id begins or, without a life, is
    /// no more; all or none. The places and dead letters that were kept under this id are gone. What comes of an older life after a
    /// new one has begun is stale.
    async fn renew(&self, changes: Vec<RecordChange>, stream: &StreamId, life: Option<Life>) -> Result<()>;

    /// Whether other processes use the same ledger: what was read of it before may have been changed by them.
    fn is_shared(&self) -> bool {
        false
    }

    /// Takes leases that are free or have run out, and holds those that are the owner's already for that long from now on, by the
    /// clock of the store. Returns those of the names that the owner then holds. An owner is one life of one process: its name is
    /// never used again.
    ///
    /// A store that only one process can open gives whatever is asked for, always in the same epoch.
    async fn claim(&self, _owner: &str, names: &[String], _length: Duration) -> Result<Vec<Lease>> {
        Ok(names.iter().map(|name| Lease { name: name.clone(), epoch: 1 }).collect())
    }

    /// Tells whose leases of these names are, and how many nodes there are beside the owner, by the clock of the store.
    async fn survey(&self, _owner: &str, names: &[String]) -> Result<Survey> {
        Ok(Survey { free: names.to_vec(), ..Survey::default() })
    }

    /// Wakes when leases may have got another owner or none; `None` where nobody but this process has any. Only a hint: a lease that
    /// runs out tells nobody.
    fn leases_changed(&self) -> Option<watch::Receiver<u64>> {
        None
    }

    /// Gives leases back, so that nobody need wait until they run out. What is not the owner's stays as it is.
    async fn release(&self, _owner: &str, _names: &[String]) -> Result<()> {
        Ok(())
    }
}

/// The part of the log that a store has read: at most `limit` events, in order, and the one behind them if it has that too. `head` is
/// a place that the log had reached before it was read.
pub(crate) fn reading<E>(
    floor: Place,
    head: Place,
    after: Place,
    limit: usize,
    events: impl Iterator<Item = Result<Logged, E>>,
) -> Result<Reading, E> {
    let mut taken: Vec<Logged> = Vec::new();
    let mut bytes = 0;
    let mut more = false;
    for logged in events {
        let logged = logged?;
        if taken.len() >= limit || bytes >= limits::LOG_PAGE_BYTES {
            more = true;
            break;
        }
        bytes += logged.event.bytes();
        taken.push(logged);
    }
    let last = taken.last().map_or(after, |logged| logged.place);
    let through = if more { last } else { last.max(head) };
    Ok(Reading { floor, through, more, events: taken })
}
