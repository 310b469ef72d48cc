//! PostgreSQL: any number of nodes on one database.
//!
//! A node commits many units in one transaction ([`writer`]): it locks the rows that they touch, in one order, reads what they rest on,
//! applies them in memory by the same rules as every store ([`crate::store::apply`]) and writes what came of it. Events are staged with
//! the commit; the [`sequencer`] gives them their places once they are committed, so that the log has neither gaps nor late comers.

mod address;
mod build;
mod column;
mod epoch;
mod existing;
mod flush;
mod ledger;
mod listener;
mod lock;
mod open;
mod ordered;
mod outage;
mod past;
mod pool;
mod reader;
mod search;
mod sequencer;
mod sequences;
#[cfg(all(test, feature = "servers"))]
pub(crate) mod server;
mod session;
#[cfg(all(test, feature = "servers"))]
mod tests;
mod views;
mod writer;

use super::{Descriptor, Opening, Purpose};
use crate::base::clock::Timestamp;
use crate::base::id::{EventId, Ids, Key, StreamId, Tenant};
use crate::base::limits::{self, Limits};
use crate::base::task::lasting;
use crate::scim::schema::Registry;
use crate::store::ledger::{DeadLetters, Lease, Life, PlaceSet, Record, RecordChange, Resolution, Survey, Trim};
use crate::store::sql::catalogue::Catalogue;
use crate::store::{
    Backend, Capabilities, Committed, Detail, Ledger, Page, Place, Query, Reading, Result, Store, StoreError, StoreErrorKind,
    Stored, Unit,
};
use async_trait::async_trait;
use futures_util::FutureExt;
use past::Past;
use reader::Statements;
use sqlx::PgConnection;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;
use writer::Writer;

/// The row of the table.
pub const DESCRIPTOR: Descriptor = Descriptor {
    name: "postgres",
    examine: address::examine,
    open: |opening| {
        async move {
            let store = Arc::new(Postgres::open(opening).await?);
            let registry = Arc::clone(&store.shared.registry);
            Ok(Backend { store: Arc::clone(&store) as Arc<dyn Store>, ledger: store, registry })
        }
        .boxed()
    },
};

/// What all parts of the store share.
#[derive(Debug)]
struct Shared {
    /// Connections for reads. The writer and the listener have their own.
    readers: pool::Pool,
    /// Connections for the log and for what delivery keeps.
    delivery: pool::Pool,
    /// The types under the codes by which the database keeps them.
    registry: Arc<Registry>,
    catalogue: Catalogue,
    statements: Statements,
    /// When this node began the last look at which indexes are whole that it has finished.
    looked: Mutex<Instant>,
    /// The object identifier of the schema.
    schema: u32,
    /// The epoch of the indexes that this node keeps (see [`epoch`]).
    epoch: u32,
    /// The connection that prepared the database, for who looks after the indexes: it shows other nodes that this one is there.
    opened: Mutex<Option<PgConnection>>,
    /// The connection that holds the lock of an import.
    _import: Option<PgConnection>,
    ids: Arc<dyn Ids>,
    limits: Limits,
    /// The channel on which nodes tell each other that the log or the records have grown; of this schema alone.
    channel: String,
    /// What is known of the log, and whether it still is so.
    past: Arc<Past>,
    /// The last place of the log that this node knows of.
    wake: watch::Sender<u64>,
    /// How many changes of records this node knows of.
    records_changed: watch::Sender<u64>,
    /// How often this node has heard that leases have got another owner or none.
    leases_changed: watch::Sender<u64>,
    /// Tells the sequencer that this node has committed events, and readers that they have their places.
    staged: sequencer::Staged,
    /// A turn for each scan under way.
    scans: Semaphore,
}

impl Shared {
    /// Has a statement or two of the log or of delivery done.
    async fn ask<T>(&self, operation: &'static str, work: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>) -> Result<T> {
        session::ask(&self.delivery, operation, work).await
    }

    /// A connection has failed: the others are tried before they are used.
    fn doubt(&self) {
        self.readers.manager().doubt.raise();
    }

    /// Fails when the database is no longer the one that this node knows.
    fn check(&self, operation: &'static str) -> Result<()> {
        self.past.check().map_err(|problem| StoreError::because(StoreErrorKind::Unavailable, operation, problem))
    }
}

/// An open database.
#[derive(Debug)]
struct Postgres {
    shared: Arc<Shared>,
    writer: Writer,
    /// The sequencer, the listener, and who looks after the indexes. They end with the store.
    _tasks: JoinSet<()>,
}

impl Postgres {
    async fn open(opening: Opening) -> Result<Self> {
        let purpose = opening.purpose;
        let shared = Arc::new(open::open(opening).await?);
        let mut tasks = JoinSet::new();
        if purpose == Purpose::Read {
            return Ok(Self { writer: Writer::start(&shared, 0), shared, _tasks: tasks });
        }
        let [sequenced, heard, built] = std::array::from_fn(|_| Arc::clone(&shared));
        tasks.spawn(lasting("sequencer", move || sequencer::run(Arc::clone(&sequenced))));
        tasks.spawn(lasting("listener", move || listener::run(Arc::clone(&heard))));
        tasks.spawn(lasting("indexer", move || build::run(Arc::clone(&built))));
        let writer = Writer::start(&shared, limits::DATABASE_WRITERS);
        Ok(Self { shared, writer, _tasks: tasks })
    }
}

#[async_trait]
impl Store for Postgres {
    fn capabilities(&self) -> Capabilities {
        Capabilities { durable: true, atomic: true, member_rows: true, index_seeks: true, one_owner: false }
    }

    async fn get(&self, key: &Key, detail: Detail) -> Result<Option<Stored>> {
        reader::get(&self.shared, key, detail).await
    }

    async fn query(&self, query: &Query) -> Result<Page> {
        epoch::trusted(&self.shared, || search::search(&self.shared, query)).await
    }

    async fn commit(&self, unit: Unit) -> Result<Committed> {
        self.writer.commit(unit).await
    }

    async fn commit_in_order(&self, units: Vec<Unit>, most_failures: Option<usize>) -> Vec<Result<Committed>> {
        self.writer.commit_in_order(units, most_failures).await
    }

    async fn ready(&self) -> Result<()> {
        self.shared.check("ask the database")?;
        reader::ping(&self.shared).await
    }
}

#[async_trait]
impl Ledger for Postgres {
    async fn read(&self, tenant: Tenant, after: Place, limit: usize) -> Result<Reading> {
        ledger::read(&self.shared, tenant, after, limit).await
    }

    async fn place_of(&self, tenant: Tenant, event: EventId) -> Result<Option<Place>> {
        ledger::place_of(&self.shared, tenant, event).await
    }

    async fn place_before(&self, tenant: Tenant, time: Timestamp) -> Result<Place> {
        ledger::place_before(&self.shared, tenant, time).await
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn wake(&self) -> watch::Receiver<u64> {
        self.shared.wake.subscribe()
    }

    async fn set_back(&self) -> String {
        self.shared.past.lost().await
    }

    async fn settled(&self) {
        self.shared.staged.settled().await;
    }

    async fn trim(&self, floor: Place, trim: Trim) -> Result<usize> {
        ledger::trim(&self.shared, floor, trim).await
    }

    async fn secret(&self, name: &'static str, fresh: [u8; 32]) -> Result<[u8; 32]> {
        ledger::secret(&self.shared, name, fresh).await
    }

    async fn records(&self, collection: &'static str) -> Result<Vec<Record>> {
        ledger::records(&self.shared, collection).await
    }

    async fn write_records(&self, changes: Vec<RecordChange>) -> Result<()> {
        ledger::write_records(&self.shared, changes).await
    }

    fn records_changed(&self) -> watch::Receiver<u64> {
        self.shared.records_changed.subscribe()
    }

    async fn resolved(&self, stream: &StreamId, epoch: u64) -> Result<Option<PlaceSet>> {
        ledger::resolved(&self.shared, stream, epoch).await
    }

    async fn resolved_of(&self, lives: &[(StreamId, u64)]) -> Result<Vec<Result<Option<PlaceSet>>>> {
        ledger::resolved_of(&self.shared, lives).await
    }

    async fn resolve(&self, resolutions: Vec<Resolution>) -> Result<Vec<Result<PlaceSet>>> {
        self.shared.check("keep the places of a stream")?;
        ledger::resolve(&self.shared, &resolutions).await
    }

    async fn dead_letters(&self, stream: &StreamId, after: Place, limit: usize, retry_only: bool) -> Result<DeadLetters> {
        ledger::dead_letters(&self.shared, stream, after, limit, retry_only).await
    }

    async fn trim_letters(&self, trim: Trim) -> Result<usize> {
        ledger::trim_letters(&self.shared, trim).await
    }

    async fn renew(&self, changes: Vec<RecordChange>, stream: &StreamId, life: Option<Life>) -> Result<()> {
        ledger::renew(&self.shared, changes, stream, life).await
    }

    async fn claim(&self, owner: &str, names: &[String], length: Duration) -> Result<Vec<Lease>> {
        ledger::claim(&self.shared, owner, names, length).await
    }

    async fn survey(&self, owner: &str, names: &[String]) -> Result<Survey> {
        ledger::survey(&self.shared, owner, names).await
    }

    fn leases_changed(&self) -> Option<watch::Receiver<u64>> {
        Some(self.shared.leases_changed.subscribe())
    }

    async fn release(&self, owner: &str, names: &[String]) -> Result<()> {
        ledger::release(&self.shared, owner, names).await
    }
}
