//! The embedded store: SQLite in WAL mode, one writer thread that commits many units at once, and readers on the threads that ask.
//!
//! A unit is answered only after the commit that holds it is synced (I2). Readers have a connection on each thread, so that a read
//! costs no hop between threads; only scans get threads of their own, and a bounded number of them.

mod build;
mod column;
mod ledger;
mod log;
mod open;
mod ordered;
mod reader;
mod rows;
mod scan;
mod writer;

#[cfg(test)]
mod tests;

use super::{Descriptor, Opening, Purpose};
use crate::base::id::StreamId;
use crate::base::id::{EventId, Key, Tenant};
use crate::base::limits::{self, Limits};
use crate::scim::schema::Registry;
use crate::store::ledger::{DeadLetters, Life, PlaceSet, Record, RecordChange, Resolution, Trim};
use crate::store::sql::catalogue::Catalogue;
use crate::store::sql::plan::Plan;
use crate::store::{
    Backend, Capabilities, Committed, Detail, Ledger, Page, Place, Query, Reading, Result, Store, StoreError, StoreErrorKind,
    Stored, Unit,
};
use async_trait::async_trait;
use futures_util::FutureExt;
use reader::{Reader, with_reader};
use std::fs::File;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::{Semaphore, oneshot, watch};
use writer::{Job, Work};

/// The row of the table.
pub const DESCRIPTOR: Descriptor =
    Descriptor { name: "sqlite", examine: |_| Ok(Vec::new()), open: |opening| std::future::ready(open(opening)).boxed() };

fn open(opening: Opening) -> Result<Backend> {
    let store = Arc::new(Sqlite::open(opening)?);
    let registry = Arc::clone(&store.registry);
    Ok(Backend { store: Arc::clone(&store) as Arc<dyn Store>, ledger: store, registry })
}

/// What readers and the writer share.
#[derive(Debug)]
struct Shared {
    /// Tells this store's connections from those of another that a thread has read.
    instance: u64,
    path: PathBuf,
    catalogue: Catalogue,
    limits: Limits,
    /// Whether the last batch could not be committed.
    has_lost_a_batch: AtomicBool,
    /// While this is so, no scan begins: the write-ahead log waits for those under way, to begin anew.
    log_is_too_long: watch::Sender<bool>,
}

/// An open database.
#[derive(Debug)]
struct Sqlite {
    shared: Arc<Shared>,
    /// The types under the codes by which the database keeps them.
    registry: Arc<Registry>,
    jobs: SyncSender<Job>,
    writer: Mutex<Option<JoinHandle<()>>>,
    wake: watch::Sender<u64>,
    records_changed: watch::Sender<u64>,
    scans: Arc<Semaphore>,
    /// How long a read may take on the thread that asks.
    inline_time: Duration,
    /// Held, with its lock, until the writer has ended.
    _lock: File,
}

fn unavailable(operation: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, operation)
}

impl Sqlite {
    fn open(opening: Opening) -> Result<Self> {
        Self::open_with_log(opening, limits::WAL_PAGES)
    }

    /// Opens it with a log of about so many pages.
    fn open_with_log(opening: Opening, log_pages: u32) -> Result<Self> {
        let opened = match opening.purpose {
            Purpose::Read => open::open_to_read(&opening)?,
            // Nobody else has it open: what an import sets up, the next server may change.
            Purpose::Serve | Purpose::Write => open::open(&opening, log_pages)?,
        };
        let wake = watch::Sender::new(opened.last_place);
        let shared = Arc::new(Shared {
            instance: open::next_instance(),
            path: opened.path,
            catalogue: opened.catalogue,
            limits: opening.limits.clone(),
            has_lost_a_batch: AtomicBool::new(false),
            log_is_too_long: watch::Sender::new(false),
        });
        let (jobs, writer) = if opening.purpose == Purpose::Read {
            // Nobody takes what is handed in.
            (sync_channel(0).0, None)
        } else {
            let (jobs, writer) = writer::start(writer::Start {
                connection: opened.connection,
                shared: Arc::clone(&shared),
                registry: Arc::clone(&opened.registry),
                ids: opening.ids,
                wake: wake.clone(),
                last_place: opened.last_place,
                most_log_pages: open::most_log_pages(log_pages),
            })?;
            if shared.catalogue.is_unfinished() {
                build::start(&shared, &jobs)?;
            }
            (jobs, Some(writer))
        };
        let scans = Arc::new(Semaphore::new(opening.limits.scans.min(Semaphore::MAX_PERMITS)));
        let inline_time = Duration::from_millis(limits::INLINE_READ_MS);
        Ok(Self {
            shared,
            registry: opened.registry,
            jobs,
            writer: Mutex::new(writer),
            wake,
            records_changed: watch::Sender::new(0),
            scans,
            inline_time,
            _lock: opened.lock,
        })
    }

    /// Ends the writer once it has committed what waits. Commits are [unavailable](StoreErrorKind::Unavailable) afterwards.
    fn close(&self) {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(writer) = writer {
            // Both fail only when the writer has ended by itself.
            let _ = self.jobs.send(Job::Stop);
            let _ = writer.join();
        }
    }

    async fn ask<T>(&self, operation: &'static str, job: impl FnOnce(oneshot::Sender<Result<T>>) -> Job) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        self.jobs.try_send(job(answer)).map_err(|error| match error {
            TrySendError::Full(_) => StoreError::because(StoreErrorKind::Unavailable, operation, "the writer's queue is full"),
            TrySendError::Disconnected(_) => unavailable(operation),
        })?;
        answered.await.map_err(|_| unavailable(operation))?
    }

    /// Work of the writer within a savepoint of its own; `then` runs as soon as it is on disk, whether anybody still waits or not.
    async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        work: impl FnOnce(&rusqlite::Connection) -> Result<T> + Send + 'static,
        then: impl FnOnce() + Send + 'static,
    ) -> Result<T> {
        self.ask(operation, |answer| Job::Other(Work::new(work, then, answer))).await
    }

    /// A read on the thread that asks. One that takes too long there is begun anew among the scans.
    async fn read_inline<T, Scan>(&self, read: impl FnOnce(&Reader) -> Result<T>, scan: impl FnOnce() -> Scan) -> Result<T>
    where
        T: Send + 'static,
        Scan: FnOnce(&Reader) -> Result<T> + Send + 'static,
    {
        let found = with_reader(&self.shared, self.inline_time, read);
        if !matches!(&found, Err(error) if error.kind == StoreErrorKind::TooMany) {
            return found;
        }
        self.scan(scan()).await
    }

    /// A read on a thread of its own, when one of the few for scans gets free in time and the log is not too long.
    async fn scan<T: Send + 'static>(&self, read: impl FnOnce(&Reader) -> Result<T> + Send + 'static) -> Result<T> {
        let time = self.shared.limits.scan_time();
        let mut log_is_too_long = self.shared.log_is_too_long.subscribe();
        let turn = async {
            let permit = Arc::clone(&self.scans).acquire_owned().await.ok()?;
            log_is_too_long.wait_for(|is_too_long| !is_too_long).await.ok()?;
            Some(permit)
        };
        let too_many = |_| StoreError::new(StoreErrorKind::TooMany, "wait for a scan to begin");
        let permit = tokio::time::timeout(time, turn).await.map_err(too_many)?;
        let permit = permit.ok_or_else(|| unavailable("wait for a scan to begin"))?;
        let shared = Arc::clone(&self.shared);
        let scan = tokio::task::spawn_blocking(move || {
            let found = with_reader(&shared, time, read);
            drop(permit);
            found
        });
        scan.await.map_err(|error| StoreError::because(StoreErrorKind::Unavailable, "scan resources", error))?
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.close();
    }
}

#[async_trait]
impl Store for Sqlite {
    fn capabilities(&self) -> Capabilities {
        Capabilities { durable: true, atomic: true, member_rows: true, index_seeks: true, one_owner: true }
    }

    async fn get(&self, key: &Key, detail: Detail) -> Result<Option<Stored>> {
        let again = || {
            let key = key.clone();
            move |reader: &Reader| reader.get(&key, detail)
        };
        self.read_inline(|reader| reader.get(key, detail), again).await
    }

    async fn query(&self, query: &Query) -> Result<Page> {
        let plan = Plan::new(&self.shared.catalogue, query);
        let again = || {
            let (shared, query, plan) = (Arc::clone(&self.shared), query.clone(), plan.clone());
            move |reader: &Reader| reader.search(&shared, &query, &plan)
        };
        if plan.is_seek() {
            self.read_inline(|reader| reader.search(&self.shared, query, &plan), again).await
        } else {
            self.scan(again()).await
        }
    }

    async fn commit(&self, unit: Unit) -> Result<Committed> {
        self.ask("commit a unit", |answer| Job::Commit(unit, answer)).await
    }

    async fn commit_in_order(&self, units: Vec<Unit>, most_failures: Option<usize>) -> Vec<Result<Committed>> {
        let committed = self.ask("commit units in order", |answer| Job::CommitInOrder(units, most_failures, answer)).await;
        // When all of it is lost, the first unit has failed and the others were not tried.
        committed.unwrap_or_else(|error| vec![Err(error)])
    }

    async fn ready(&self) -> Result<()> {
        let is_running = |writer: &JoinHandle<()>| !writer.is_finished();
        if !self.writer.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(is_running) {
            return Err(unavailable("ask the writer"));
        }
        if self.shared.has_lost_a_batch.load(Ordering::Relaxed) {
            // Who is told that nothing can be written sends nothing to write, so that no unit would ever show that it can again.
            self.ask("commit again", Job::Probe).await?;
        }
        with_reader(&self.shared, self.shared.limits.scan_time(), Reader::ping)
    }
}

#[async_trait]
impl Ledger for Sqlite {
    async fn read(&self, tenant: Tenant, after: Place, limit: usize) -> Result<Reading> {
        let head = Place(*self.wake.borrow());
        let read = move |reader: &Reader| reader.events(tenant, head, after, limit);
        self.read_inline(read, || read).await
    }

    async fn place_of(&self, tenant: Tenant, event: EventId) -> Result<Option<Place>> {
        let read = move |reader: &Reader| reader.place_of(tenant, event);
        self.read_inline(read, || read).await
    }

    fn wake(&self) -> watch::Receiver<u64> {
        self.wake.subscribe()
    }

    async fn trim(&self, floor: Place, trim: Trim) -> Result<usize> {
        self.write("trim the log", move |connection| ledger::trim(connection, floor, trim), || ()).await
    }

    async fn secret(&self, name: &'static str, fresh: [u8; 32]) -> Result<[u8; 32]> {
        self.write("make a secret", move |connection| ledger::secret(connection, name, fresh), || ()).await
    }

    async fn records(&self, collection: &'static str) -> Result<Vec<Record>> {
        let read = move |reader: &Reader| reader.records(collection);
        self.read_inline(read, || read).await
    }

    async fn write_records(&self, changes: Vec<RecordChange>) -> Result<()> {
        let signal = self.records_changed.clone();
        let then = move || signal.send_modify(|count| *count += 1);
        self.write("write records", move |connection| ledger::write_records(connection, &changes), then).await
    }

    fn records_changed(&self) -> watch::Receiver<u64> {
        self.records_changed.subscribe()
    }

    async fn resolved(&self, stream: &StreamId, epoch: u64) -> Result<Option<PlaceSet>> {
        let read = |reader: &Reader| reader.resolved(stream, epoch);
        let stream = stream.clone();
        self.read_inline(read, || move |reader: &Reader| reader.resolved(&stream, epoch)).await
    }

    async fn resolve(&self, resolutions: Vec<Resolution>) -> Result<Vec<Result<PlaceSet>>> {
        let resolve = move |connection: &rusqlite::Connection| {
            resolutions.iter().map(|resolution| ledger::resolve(connection, resolution)).collect()
        };
        self.write("keep the places of streams", resolve, || ()).await
    }

    async fn dead_letters(&self, stream: &StreamId, after: Place, limit: usize, retry_only: bool) -> Result<DeadLetters> {
        let stream = stream.clone();
        let read = |reader: &Reader| reader.dead_letters(&stream, after, limit, retry_only);
        let again = stream.clone();
        self.read_inline(read, || move |reader: &Reader| reader.dead_letters(&again, after, limit, retry_only)).await
    }

    async fn trim_letters(&self, trim: Trim) -> Result<usize> {
        self.write("remove old dead letters", move |connection| ledger::trim_letters(connection, trim), || ()).await
    }

    async fn renew(&self, changes: Vec<RecordChange>, stream: &StreamId, life: Option<Life>) -> Result<()> {
        let (stream, signal) = (stream.clone(), self.records_changed.clone());
        let work = move |connection: &rusqlite::Connection| ledger::renew(connection, &changes, &stream, life.as_ref());
        self.write("begin or end a stream", work, move || signal.send_modify(|count| *count += 1)).await
    }
}
