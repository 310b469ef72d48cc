//! The connections for reads, and those for the log and for what delivery keeps.
//!
//! The driver's own pool asks the database whether a connection is well each time that one comes back: as much work again as a read by key,
//! and without end where nothing answers. Here who has borrowed one says when it is done ([`super::session::Loan`]), and nothing needs to be
//! asked.

use super::past::Past;
use super::session::settle;
use crate::base::limits;
use deadpool::Runtime;
use deadpool::managed::{self, Metrics, Object, QueueMode, RecycleError, RecycleResult};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Whether a connection at rest may be dead. When one has failed, all that rested then are tried before they are used: after a restart of the
/// database, however short it was, none of them is left.
#[derive(Debug)]
pub(super) struct Doubt {
    begun: Instant,
    /// When a connection failed last, in milliseconds since the beginning.
    failed_ms: AtomicU64,
}

impl Doubt {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), failed_ms: AtomicU64::new(0) }
    }

    /// A connection has failed.
    pub(super) fn raise(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        // One that comes to rest within the same millisecond is tried once more than it must.
        self.failed_ms.fetch_max(now.saturating_add(1), Ordering::AcqRel);
    }

    /// Whether one that has rested for so long is to be tried.
    pub(super) fn is_about(&self, rested: Duration) -> bool {
        let since = self.begun.elapsed().saturating_sub(rested);
        rested > Duration::from_millis(limits::DATABASE_IDLE_CHECK_MS)
            || since < Duration::from_millis(self.failed_ms.load(Ordering::Acquire))
    }
}

/// A connection that is kept.
#[derive(Debug)]
pub(super) struct Pooled {
    pub(super) connection: PgConnection,
    /// Whether something has begun over it that has not come to its end.
    pub(super) is_at_work: bool,
}

/// How connections are made and kept.
#[derive(Clone)]
pub(super) struct Manager {
    pub(super) options: PgConnectOptions,
    pub(super) doubt: Arc<Doubt>,
    /// What the database must still have; nothing for who only reads, and perhaps from a replica.
    pub(super) past: Option<Arc<Past>>,
}

impl fmt::Debug for Manager {
    /// Without the address, which may hold a password (I6).
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Manager").field("doubt", &self.doubt).finish_non_exhaustive()
    }
}

/// Connections of one node for one purpose.
pub(super) type Pool = managed::Pool<Manager>;
/// One of them that is lent.
pub(super) type Lent = Object<Manager>;

impl Manager {
    /// A connection that is set up, to a database that has not been set back.
    pub(super) async fn connect(&self) -> sqlx::Result<PgConnection> {
        let mut connection = PgConnection::connect_with(&self.options).await?;
        settle(&mut connection).await?;
        if let Some(past) = &self.past {
            past.look(&mut connection).await?;
        }
        Ok(connection)
    }
}

impl managed::Manager for Manager {
    type Type = Pooled;
    type Error = sqlx::Error;

    async fn create(&self) -> sqlx::Result<Pooled> {
        Ok(Pooled { connection: self.connect().await?, is_at_work: false })
    }

    async fn recycle(&self, pooled: &mut Pooled, metrics: &Metrics) -> RecycleResult<sqlx::Error> {
        if pooled.is_at_work {
            return Err(RecycleError::message("what may be on its way over it is somebody else's"));
        }
        if metrics.age() > Duration::from_millis(limits::DATABASE_LIFETIME_MS) {
            return Err(RecycleError::message("old"));
        }
        if self.doubt.is_about(metrics.last_used()) {
            pooled.connection.ping().await?;
        }
        Ok(())
    }
}

/// At most so many at a time. Who asks for one waits for it, and for the database, for a bounded time.
pub(super) fn pool(manager: Manager, most: usize) -> Result<Pool, managed::BuildError> {
    let patience = Some(Duration::from_millis(limits::DATABASE_ACQUIRE_MS));
    let pool = managed::Pool::builder(manager).max_size(most).queue_mode(QueueMode::Lifo).runtime(Runtime::Tokio1);
    pool.wait_timeout(patience).create_timeout(patience).recycle_timeout(patience).build()
}
