//! The streams there are.

mod change;
mod configured;
mod definition;
mod letters;
mod manage;
mod start;
mod view;

use super::seal::Sealer;
use super::stream::Stream;
use crate::base::id::StreamId;
use crate::base::limits;
use crate::store::ledger::Record;
use crate::store::{Ledger, Result};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

pub(super) use change::Changed;
pub use configured::{Configured, PUSH_STREAM, StartFailure};
pub use definition::{Authorization, Definition, Endpoint, Fault, Receiving, Rules, audience};
pub use start::Start;

/// The collection of the records of streams.
pub(super) const COLLECTION: &str = "stream";

/// What a stream's secret is sealed for.
fn place_of_secret(id: &StreamId) -> String {
    format!("{COLLECTION}/{id}")
}

/// The streams as they were read last.
pub(super) type Snapshot = Arc<BTreeMap<StreamId, Arc<Stream>>>;

/// The streams of this installation.
#[derive(Debug)]
pub(super) struct Streams {
    ledger: Arc<dyn Ledger>,
    sealer: Arc<Sealer>,
    snapshot: watch::Sender<Snapshot>,
    reading: tokio::sync::Mutex<()>,
    making: tokio::sync::Mutex<()>,
    beginning: tokio::sync::Mutex<()>,
    pokes: Mutex<HashMap<StreamId, watch::Sender<u64>>>,
}

impl Streams {
    pub(super) fn new(ledger: Arc<dyn Ledger>, sealer: Arc<Sealer>) -> Self {
        Self {
            ledger,
            sealer,
            snapshot: watch::Sender::new(Snapshot::default()),
            reading: tokio::sync::Mutex::default(),
            making: tokio::sync::Mutex::default(),
            beginning: tokio::sync::Mutex::default(),
            pokes: Mutex::default(),
        }
    }

    /// The streams there are, and a signal when they change.
    pub(super) fn watch(&self) -> watch::Receiver<Snapshot> {
        self.snapshot.subscribe()
    }

    /// One of them.
    pub(super) fn get(&self, id: &StreamId) -> Option<Arc<Stream>> {
        self.snapshot.borrow().get(id).cloned()
    }

    /// Whether there is a record of a stream, whether it can be read or not; also when nobody can say.
    pub(super) async fn is_kept(&self, id: &StreamId) -> bool {
        let records = self.ledger.records(COLLECTION).await;
        records.map_or(true, |records| records.iter().any(|record| record.id == id.as_str()))
    }

    /// Tells whoever delivers a stream that it has dead letters to send once more.
    pub(super) fn poke(&self, id: &StreamId) {
        if let Some(sender) = self.pokes.lock().unwrap_or_else(PoisonError::into_inner).get(id) {
            sender.send_modify(|count| *count += 1);
        }
    }

    /// Dead letters may have been marked on another node, whose hint says no more than that something has changed.
    fn poke_all(&self) {
        for sender in self.pokes.lock().unwrap_or_else(PoisonError::into_inner).values() {
            sender.send_modify(|count| *count += 1);
        }
    }

    /// Nobody delivers this stream any more: whoever waits for a poke is told so.
    fn unpoke(&self, id: &StreamId) {
        self.pokes.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
    }

    /// Wakes when a stream is [poked](Self::poke). Subscribe first and read its letters then: a poke before that says nothing new.
    pub(super) fn poked(&self, id: &StreamId) -> watch::Receiver<u64> {
        let mut pokes = self.pokes.lock().unwrap_or_else(PoisonError::into_inner);
        pokes.entry(id.clone()).or_default().subscribe()
    }

    /// Reads the streams that are kept. One that cannot be read is logged, and leaves the others alone.
    pub(super) async fn load(&self) -> Result<()> {
        // One reading after another, so that none is overtaken by an older one.
        let _turn = self.reading.lock().await;
        let records = self.ledger.records(COLLECTION).await?;
        let before = self.snapshot.borrow().clone();
        let streams = records.iter().filter_map(|record| read(&before, record)).map(|stream| (stream.id.clone(), stream));
        let streams: BTreeMap<StreamId, Arc<Stream>> = streams.collect();
        self.snapshot.send_if_modified(|snapshot| {
            let is_new = **snapshot != streams;
            if is_new {
                *snapshot = Arc::new(streams);
            }
            is_new
        });
        Ok(())
    }

    /// Reads them again whenever they may have changed, until it is dropped.
    pub(super) async fn follow(&self) {
        let mut changed = self.ledger.records_changed();
        loop {
            if let Err(error) = self.load().await {
                tracing::warn!(operation = error.operation, %error, "the streams cannot be read");
            }
            let patience = Duration::from_millis(limits::STREAMS_PATIENCE_MS);
            match tokio::time::timeout(patience, changed.changed()).await {
                Ok(Ok(())) if self.ledger.is_shared() => self.poke_all(),
                Ok(Ok(())) | Err(_) => {}
                Ok(Err(_)) => return,
            }
        }
    }
}

/// The stream of a record: the one that is known already, if nothing has changed.
fn read(known: &BTreeMap<StreamId, Arc<Stream>>, record: &Record) -> Option<Arc<Stream>> {
    let id = StreamId::parse(&record.id);
    if let Some(known) = id.as_ref().and_then(|id| known.get(id)).filter(|known| known.revision == record.revision) {
        return Some(Arc::clone(known));
    }
    match (id, serde_json::from_str::<Stream>(&record.body)) {
        (Some(id), Ok(stream)) => Some(Arc::new(Stream { id, revision: record.revision, ..stream })),
        (_, Err(error)) => {
            tracing::error!(
                stream = record.id,
                line = error.line(),
                column = error.column(),
                "a stream that is kept cannot be read"
            );
            None
        }
        (None, _) => {
            tracing::error!("a stream that is kept has an id that none can have");
            None
        }
    }
}

#[cfg(test)]
mod tests;
