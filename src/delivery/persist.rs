//! What streams have resolved is kept in batches: one call of the ledger for many of them, however many SETs were delivered.

use crate::base::id::StreamId;
use crate::base::limits;
use crate::base::task::pause;
use crate::store::ledger::{PlaceSet, Resolution};
use crate::store::{Ledger, Result, StoreError, StoreErrorKind};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// Keeps what streams have resolved. What it has not kept when the process ends is delivered once more.
#[derive(Debug)]
pub(super) struct Persister {
    ledger: Arc<dyn Ledger>,
    pending: Mutex<Pending>,
    /// There is something to keep.
    some: Notify,
    /// There is so much that nothing more is waited for.
    enough: Notify,
    /// One write at a time: none is overtaken by an older one.
    turn: tokio::sync::Mutex<()>,
    stale: watch::Sender<u64>,
    superseded: watch::Sender<u64>,
}

/// A life of a stream.
type Life = (StreamId, u64);

#[derive(Debug, Default)]
struct Pending {
    waiting: BTreeMap<Life, Resolution>,
    writing: BTreeMap<Life, Resolution>,
    notes: usize,
    /// The last life of each stream that is known to be over.
    stale: HashMap<StreamId, u64>,
}

impl Persister {
    pub(super) fn new(ledger: Arc<dyn Ledger>) -> Self {
        Self {
            ledger,
            pending: Mutex::default(),
            some: Notify::new(),
            enough: Notify::new(),
            turn: tokio::sync::Mutex::default(),
            stale: watch::Sender::new(0),
            superseded: watch::Sender::new(0),
        }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something was resolved. It is kept soon; a life that is over takes nothing any more.
    pub(super) fn note(&self, resolution: Resolution) {
        let mut pending = self.pending();
        if pending.is_stale(&resolution.stream, resolution.epoch) {
            return;
        }
        let is_first = pending.waiting.is_empty();
        pending.notes += 1;
        let is_enough = pending.notes == limits::PERSIST_SETS;
        add(&mut pending.waiting, resolution);
        drop(pending);
        if is_first {
            self.some.notify_one();
        }
        if is_enough {
            self.enough.notify_one();
        }
    }

    /// What a stream has resolved that is not kept yet, as far as is known. Read it before what is kept: what is in neither then was
    /// never noted.
    pub(super) fn unkept(&self, stream: &StreamId, epoch: u64) -> PlaceSet {
        let pending = self.pending();
        let life = (stream.clone(), epoch);
        let mut places = PlaceSet::default();
        for resolution in [pending.writing.get(&life), pending.waiting.get(&life)].into_iter().flatten() {
            places.merge(&resolution.places);
        }
        places
    }

    /// Wakes when a life of a stream has turned out to be over.
    pub(super) fn stale(&self) -> watch::Receiver<u64> {
        self.stale.subscribe()
    }

    /// Wakes when another node has turned out to hold the lease of a stream.
    pub(super) fn superseded(&self) -> watch::Receiver<u64> {
        self.superseded.subscribe()
    }

    /// Whether a life of a stream is over: the ledger keeps places of a later one.
    pub(super) fn is_stale(&self, stream: &StreamId, epoch: u64) -> bool {
        self.pending().is_stale(stream, epoch)
    }

    /// A stream is no more: nothing of it is kept any more.
    pub(super) async fn forget(&self, stream: &StreamId) {
        let _turn = self.turn.lock().await;
        let mut pending = self.pending();
        let Pending { waiting, writing, stale, .. } = &mut *pending;
        waiting.retain(|(of, _), _| of != stream);
        writing.retain(|(of, _), _| of != stream);
        stale.remove(stream);
    }

    /// Keeps what is noted, in batches, until it is dropped.
    pub(super) async fn follow(&self) {
        loop {
            // At once when it begins: one that failed may have left something.
            while let Err(error) = self.flush().await {
                tracing::warn!(operation = error.operation, %error, "what was delivered cannot be kept: it is tried again");
                pause(Duration::from_millis(limits::PERSIST_RETRY_MS)).await;
            }
            self.some.notified().await;
            let patience = Duration::from_millis(limits::PERSIST_MS);
            let _ = tokio::time::timeout(patience, self.enough.notified()).await;
        }
    }

    /// Keeps everything that has been noted until now. What cannot be kept is noted still.
    pub(super) async fn flush(&self) -> Result<()> {
        let _turn = self.turn.lock().await;
        let resolutions: Vec<Resolution> = {
            let mut pending = self.pending();
            pending.notes = 0;
            // What a write that was given up has left comes first: it is older.
            let waiting = std::mem::take(&mut pending.waiting);
            for resolution in waiting.into_values() {
                add(&mut pending.writing, resolution);
            }
            pending.writing.values().cloned().collect()
        };
        let mut kept = Ok(());
        for resolutions in batches(resolutions) {
            let lives: Vec<Life> = resolutions.iter().map(|resolution| (resolution.stream.clone(), resolution.epoch)).collect();
            let results = self.ledger.resolve(resolutions).await?;
            // Of one that cannot be kept the others are told all the same.
            kept = kept.and(self.written(lives.into_iter().zip(results)));
        }
        kept
    }

    fn written(&self, results: impl Iterator<Item = (Life, Result<PlaceSet>)>) -> Result<()> {
        let mut failure: Option<StoreError> = None;
        let (mut is_over, mut is_superseded) = (false, false);
        let mut pending = self.pending();
        for ((stream, epoch), result) in results {
            match result {
                // The other node delivers it too: nothing of it is to be kept.
                Err(error) if error.kind == StoreErrorKind::Superseded => is_superseded = true,
                Err(error) if error.kind != StoreErrorKind::Stale => {
                    failure = Some(error);
                    continue;
                }
                Err(_) => {
                    is_over = true;
                    let last = pending.stale.entry(stream.clone()).or_insert(epoch);
                    *last = epoch.max(*last);
                    pending.waiting.remove(&(stream.clone(), epoch));
                }
                Ok(_) => {}
            }
            pending.writing.remove(&(stream, epoch));
        }
        drop(pending);
        for (sender, _) in [(&self.stale, is_over), (&self.superseded, is_superseded)].into_iter().filter(|(_, is_so)| *is_so) {
            sender.send_modify(|count| *count += 1);
        }
        failure.map_or(Ok(()), Err)
    }
}

impl Pending {
    fn is_stale(&self, stream: &StreamId, epoch: u64) -> bool {
        self.stale.get(stream).is_some_and(|last| epoch <= *last)
    }
}

/// Resolutions in the order in which they are, cut so that no commit holds up others for long: after the one with which
/// [`limits::PERSIST_ROWS`] rows are reached.
pub(super) fn batches(resolutions: Vec<Resolution>) -> Vec<Vec<Resolution>> {
    let mut batches: Vec<Vec<Resolution>> = Vec::new();
    let mut rows = limits::PERSIST_ROWS;
    for resolution in resolutions {
        if rows >= limits::PERSIST_ROWS {
            batches.push(Vec::new());
            rows = 0;
        }
        rows += resolution.rows();
        if let Some(batch) = batches.last_mut() {
            batch.push(resolution);
        }
    }
    batches
}

/// Adds a later resolution to what there is of the same life.
fn add(to: &mut BTreeMap<Life, Resolution>, later: Resolution) {
    let Some(earlier) = to.get_mut(&(later.stream.clone(), later.epoch)) else {
        to.insert((later.stream.clone(), later.epoch), later);
        return;
    };
    earlier.places.merge(&later.places);
    earlier.fence = later.fence.max(earlier.fence);
    let Resolution { settled, changed, retried, dead, .. } = later;
    // A batch is kept in this order: what is settled goes first, so that it need not be taken out of the others but here.
    earlier.dead.retain(|letter| !settled.contains(&letter.place));
    for place in &settled {
        earlier.changed.retain(|letter| letter.place != *place);
        earlier.retried.retain(|retried| retried != place);
    }
    for letter in &dead {
        earlier.dead.retain(|known| known.place != letter.place);
        earlier.settled.retain(|place| *place != letter.place);
    }
    for letter in changed {
        earlier.retried.retain(|place| *place != letter.place);
        let (dead, changed) = (&mut earlier.dead, &mut earlier.changed);
        match dead.iter_mut().chain(changed.iter_mut()).find(|known| known.place == letter.place) {
            Some(known) => *known = letter,
            None => earlier.changed.push(letter),
        }
    }
    for place in retried {
        match earlier.dead.iter_mut().find(|known| known.place == place) {
            Some(known) => known.retry = true,
            None => earlier.retried.push(place),
        }
    }
    earlier.settled.extend(settled.into_iter().filter(|place| !earlier.settled.contains(place)).collect::<Vec<_>>());
    earlier.dead.extend(dead);
}

#[cfg(test)]
mod tests;
