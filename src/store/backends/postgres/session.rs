//! Connections: how each of them is set up, those that are lent for a read, and the locks that nodes hold against each other.

use super::Shared;
use super::column::failed;
use super::pool::{Lent, Pool};
use crate::base::limits;
use crate::store::backends::refused;
use crate::store::{Result, StoreError, StoreErrorKind};
use deadpool::managed::PoolError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::ops::{Deref, DerefMut};
use std::sync::LazyLock;
use std::time::Duration;

/// What every connection begins with, whatever the database's own defaults are.
///
/// Each statement goes by an index that is made for it. Statistics that are missing or old must not turn one into a walk through a whole
/// table, least of all one whose plan is kept: so pages in a row cost much. (To forbid them would cost so much that, in a statement which
/// reads a table of one row, the rest of the plan no longer counts.) And as its plan is no other for other values, it is made once: to plan a page
/// of a large table takes as long as to read it. No plan is so large that compiling it would pay.
static SETTINGS: LazyLock<String> = LazyLock::new(|| {
    format!(
        "SET statement_timeout = {}; SET idle_in_transaction_session_timeout = {}; \
         SET default_transaction_isolation = 'read committed'; \
         SET seq_page_cost = 100; SET random_page_cost = 1; SET enable_bitmapscan = off; SET max_parallel_workers_per_gather = 0; SET jit = off; \
         SET plan_cache_mode = force_generic_plan; \
         SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') <> 'remote_apply'",
        limits::DATABASE_STATEMENT_MS,
        limits::DATABASE_IDLE_TRANSACTION_MS,
    )
});

/// Sets a fresh connection up. An acknowledged commit is on disk (I2), unless the server itself is told otherwise.
pub(super) async fn settle(connection: &mut PgConnection) -> sqlx::Result<()> {
    sqlx::raw_sql(SETTINGS.as_str()).execute(connection).await.map(drop)
}

/// Who writes over this connection waits no longer for a row or a lock that another one holds.
pub(super) async fn limit_waits(connection: &mut PgConnection) -> sqlx::Result<()> {
    let set = format!("SET lock_timeout = {}", limits::DATABASE_LOCK_MS);
    sqlx::raw_sql(AssertSqlSafe(set)).execute(connection).await.map(drop)
}

/// A connection that holds the lock of an import for as long as it is open. Fails when another one does.
pub(super) async fn claim_import(options: &PgConnectOptions, schema: u32) -> Result<PgConnection> {
    // However long nothing is heard over it, nobody is to end it.
    const SQL: &str = "SELECT pg_try_advisory_lock($1), \
        (SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout')";
    let failed = failed("begin an import");
    let mut connection = PgConnection::connect_with(options).await.map_err(failed)?;
    settle(&mut connection).await.map_err(failed)?;
    let claim = sqlx::query_as(SQL).bind(Lock::Import.key(schema)).fetch_one(&mut connection).await;
    let (is_mine, _): (bool, Option<String>) = claim.map_err(failed)?;
    if is_mine { Ok(connection) } else { Err(refused("another import into this database is under way: begin when it has ended")) }
}

/// What nodes lock against each other. Numbers are for ever: nodes of two versions share a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    /// To change tables, or what is noted of indexes.
    Schema,
    /// To build indexes.
    Builder,
    /// Held for the time of an import: a second one would not see which ids the first one brings.
    Import,
    /// Held, shared, by every connection that writes for a node of this epoch (see [`super::epoch`]).
    Epoch(u32),
    /// To give events their places.
    Sequencer,
}

impl Lock {
    /// The key of it, for a schema of this object identifier.
    pub(super) fn key(self, schema: u32) -> i64 {
        const EPOCHS: u32 = 0x00ff_ffff;
        let (space, epoch) = match self {
            Self::Schema => (1, 0),
            Self::Builder => (2, 0),
            Self::Epoch(epoch) => (3, epoch & EPOCHS),
            Self::Import => (4, 0),
            Self::Sequencer => (5, 0),
        };
        ((u64::from(schema) << 32) | (space << 24) | u64::from(epoch)).cast_signed()
    }
}

/// A connection, lent for one purpose. Unless who has it says that it is [done](Self::done), the connection is used no more: what may still be
/// on its way over it would have to be read to its end by the next one.
#[derive(Debug)]
pub(super) struct Loan {
    lent: Lent,
    is_in_transaction: bool,
    is_left: bool,
}

impl Loan {
    /// Borrows a connection for single statements.
    pub(super) async fn take(pool: &Pool, operation: &'static str) -> Result<Self> {
        let lent = pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => failed(operation)(error),
            error => StoreError::because(StoreErrorKind::Unavailable, operation, error),
        });
        let mut lent = lent?;
        lent.is_at_work = true;
        Ok(Self { lent, is_in_transaction: false, is_left: false })
    }

    /// Borrows one for statements that all see one state, each of them within a time.
    pub(super) async fn snapshot(shared: &Shared, operation: &'static str, time: Duration) -> Result<Self> {
        let mut loan = Self::take(&shared.readers, operation).await?;
        // 0 would be no limit at all.
        let time = time.as_millis().clamp(1, u128::from(limits::DATABASE_STATEMENT_MS));
        let begin = format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = {time}");
        sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut *loan).await.map_err(failed(operation))?;
        loan.is_in_transaction = true;
        Ok(loan)
    }

    /// What it was lent for has come to its end.
    pub(super) async fn done(mut self, operation: &'static str) -> Result<()> {
        if self.is_in_transaction {
            sqlx::raw_sql("COMMIT").execute(&mut *self).await.map_err(failed(operation))?;
        }
        // What a large answer took is not kept.
        self.shrink_buffers();
        self.lent.is_at_work = false;
        Ok(())
    }

    /// Nobody wants what is still on its way: it may be more than a page is allowed to be.
    pub(super) fn leave(mut self) {
        self.is_left = true;
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if self.lent.is_at_work
            && !self.is_left
            && let Some(pool) = Lent::pool(&self.lent)
        {
            pool.manager().doubt.raise();
        }
    }
}

impl Deref for Loan {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.lent.connection
    }
}

impl DerefMut for Loan {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.lent.connection
    }
}

/// Has a statement or two done over a connection of this pool; gives it up when the database says nothing for longer than these may take.
pub(super) async fn ask<T>(
    pool: &Pool,
    operation: &'static str,
    work: impl AsyncFnOnce(&mut PgConnection) -> sqlx::Result<T>,
) -> Result<T> {
    let mut loan = Loan::take(pool, operation).await?;
    let late = |_| StoreError::because(StoreErrorKind::Unavailable, operation, "the database does not answer");
    let answer = tokio::time::timeout(Duration::from_millis(limits::DATABASE_BATCH_MS), work(&mut loan)).await;
    let answer = answer.map_err(late)?.map_err(failed(operation))?;
    loan.done(operation).await?;
    Ok(answer)
}

/// A connection of its own, as the writers have them and the listener has one. Nobody else uses it.
pub(super) async fn connect(shared: &Shared, operation: &'static str) -> Result<PgConnection> {
    let late = |_| StoreError::because(StoreErrorKind::Unavailable, operation, "the database does not answer");
    tokio::time::timeout(Duration::from_millis(limits::DATABASE_ACQUIRE_MS), shared.readers.manager().connect())
        .await
        .map_err(late)?
        .map_err(failed(operation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_of_two_schemas_and_two_purposes_are_different() {
        let locks = [Lock::Schema, Lock::Builder, Lock::Import, Lock::Sequencer, Lock::Epoch(0), Lock::Epoch(1)];
        let keys: std::collections::BTreeSet<i64> =
            [1, 2, u32::MAX].into_iter().flat_map(|schema| locks.map(|lock| lock.key(schema))).collect();
        assert_eq!(keys.len(), 18);
    }
}
