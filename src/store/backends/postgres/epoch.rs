//! Which indexes are asked for, and how nodes that ask for different ones share a database.
//!
//! A node keeps the entries of the indexes that its configuration asks for, in every write, and of no others. So an index tells the truth
//! only while every node that writes knows it. Each set of indexes that is asked for has an *epoch*, a number that only grows. Every
//! connection over which a node writes holds a shared lock of that node's epoch from its beginning to its end, and so does the one over
//! which it looks after its indexes:
//!
//! - Who begins an epoch tries to lock all epochs before it. When it gets the locks nobody of them is left, and it raises the *fence* to its
//!   own epoch in the same transaction: connections of epochs below it are refused from then on, because each one looks at the fence after
//!   it has got its lock.
//! - While others are left, a new index is not built: its phase stays as it is, and no search uses it. It is built once the fence is raised.
//! - A unique index must be whole before its node writes: such a node waits for the others to end, or does not start.
//! - An index that is no longer asked for, or is asked for in another form, loses its phase before the new node writes without it. The
//!   others, which still search by it, look every second, and use no index unless they have looked a short time ago; the new node waits
//!   for longer than that. Whether they have is asked after the search: a node may have stood still in the middle of it.

use super::Shared;
use super::column::{corrupt, failed};
use super::session::{Lock, connect, limit_waits};
use crate::base::id::TypeCode;
use crate::base::limits;
use crate::store::sql::catalogue::{Catalogue, Definition, Table};
use crate::store::{Result, StoreError, StoreErrorKind};
use sqlx::{PgConnection, Row};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::future::Future;
use std::sync::PoisonError;
use std::time::Duration;
use tokio::time::Instant;

const OPERATION: &str = "look at the indexes";

/// What the database notes of all nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Configuration {
    pub(super) epoch: u32,
    pub(super) fence: u32,
    pub(super) definition: String,
}

/// An index as the database notes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) definition: String,
    pub(super) phase: String,
}

impl Held {
    /// Whether it is this index, and holds every resource.
    pub(super) fn is_whole(&self, definition: &Definition) -> bool {
        self.definition == definition.text && self.phase == "whole"
    }
}

/// Every index that the database knows.
pub(super) type Indexes = BTreeMap<(TypeCode, i64), Held>;

/// Indexes as one text, that changes when they do.
pub(super) fn definition(definitions: &[Definition]) -> String {
    definitions.iter().fold(String::new(), |mut all, definition| {
        // Writing to a String cannot fail.
        let _ = writeln!(all, "{} {} {}", definition.kind.0, definition.code, definition.text);
        all
    })
}

/// What is noted now.
pub(super) async fn read(connection: &mut PgConnection) -> Result<(Configuration, Indexes)> {
    const SQL: &str = "SELECT c.epoch, c.fence, c.definition, i.type, i.path, i.definition, i.phase \
        FROM configuration AS c LEFT JOIN indexed AS i ON true";
    let failed = failed(OPERATION);
    let rows = sqlx::query(SQL).fetch_all(connection).await.map_err(failed)?;
    let mut held = Indexes::new();
    for row in &rows {
        let Some(kind) = row.try_get::<Option<i32>, _>(3).map_err(failed)? else { continue };
        let kind = TypeCode(u16::try_from(kind).map_err(|_| corrupt(OPERATION, "not a resource type"))?);
        let path: i32 = row.try_get(4).map_err(failed)?;
        let index = Held { definition: row.try_get(5).map_err(failed)?, phase: row.try_get(6).map_err(failed)? };
        held.insert((kind, i64::from(path)), index);
    }
    let row = rows.first().ok_or_else(|| corrupt(OPERATION, "the configuration is gone"))?;
    let number = |column: usize| -> Result<u32> {
        let number: i64 = row.try_get(column).map_err(failed)?;
        u32::try_from(number).map_err(|_| corrupt(OPERATION, "not an epoch"))
    };
    Ok((Configuration { epoch: number(0)?, fence: number(1)?, definition: row.try_get(2).map_err(failed)? }, held))
}

/// The indexes of a catalogue that no search may use.
pub(super) fn unfinished(catalogue: &Catalogue, held: &Indexes) -> BTreeSet<(TypeCode, i64)> {
    let definitions = catalogue.definitions().into_iter();
    let is_unfinished =
        |definition: &Definition| held.get(&(definition.kind, definition.code)).is_none_or(|held| !held.is_whole(definition));
    definitions.filter(is_unfinished).map(|definition| (definition.kind, definition.code)).collect()
}

/// Says which indexes a node with other settings has just given up for all.
pub(super) fn tell_lost(catalogue: &Catalogue, unfinished: &BTreeSet<(TypeCode, i64)>) {
    for definition in catalogue.definitions() {
        let (kind, code) = (definition.kind, definition.code);
        if !unfinished.contains(&(kind, code)) || !catalogue.is_whole(kind, code) {
            continue;
        }
        let path = &*definition.path;
        match definition.table {
            Table::Unique => tracing::error!(path, "a node with other settings has begun: the attribute is no longer unique"),
            Table::Lookup => tracing::warn!(path, "a node with other settings has begun: the attribute is no longer indexed"),
        }
    }
}

/// Remembers a look that began then.
pub(super) fn looked(shared: &Shared, began: Instant) {
    *shared.looked.lock().unwrap_or_else(PoisonError::into_inner) = began;
}

/// Searches, and again when other indexes are whole than at the beginning: what was found by one that is no longer kept may miss something.
///
/// Fails when this node has not looked for long, because it stood still: nodes that do not keep an index may write by now.
pub(super) async fn trusted<T, F: Future<Output = Result<T>>>(shared: &Shared, search: impl Fn() -> F) -> Result<T> {
    for _ in 0..limits::BATCH_TRIES {
        let changes = shared.catalogue.changes();
        let found = search().await?;
        let looked = *shared.looked.lock().unwrap_or_else(PoisonError::into_inner);
        // What a look finds is noted before the look is.
        if looked.elapsed() > Duration::from_millis(limits::INDEX_TRUST_MS) && shared.catalogue.has_indexes() {
            break;
        }
        if shared.catalogue.changes() == changes {
            return Ok(found);
        }
    }
    Err(StoreError::because(StoreErrorKind::Unavailable, OPERATION, "it is not known which indexes other nodes keep"))
}

/// In a transaction: whether no node of an epoch from `fence` to before `epoch` is left. None comes back before the transaction ends.
pub(super) async fn is_alone(connection: &mut PgConnection, schema: u32, fence: u32, epoch: u32) -> Result<bool> {
    let keys: Vec<i64> = (fence..epoch).map(|epoch| Lock::Epoch(epoch).key(schema)).collect();
    let alone =
        sqlx::query_scalar("SELECT coalesce(bool_and(pg_try_advisory_xact_lock(key)), true) FROM unnest($1::bigint[]) AS key");
    alone.bind(keys).fetch_one(connection).await.map_err(failed(OPERATION))
}

/// In a transaction in which [`is_alone`] is true: nodes of an epoch before this one are refused from now on.
pub(super) async fn fence(connection: &mut PgConnection, epoch: u32) -> Result<()> {
    let raise = sqlx::query("UPDATE configuration SET fence = greatest(fence, $1)").bind(i64::from(epoch));
    raise.execute(connection).await.map(drop).map_err(failed(OPERATION))
}

/// Makes a connection show that a node of this epoch is there, for as long as it is open.
pub(super) async fn appear(connection: &mut PgConnection, schema: u32, epoch: u32) -> Result<()> {
    let failed = failed(OPERATION);
    let lock = sqlx::query("SELECT pg_advisory_lock_shared($1)").bind(Lock::Epoch(epoch).key(schema));
    lock.execute(&mut *connection).await.map_err(failed)?;
    check(connection, epoch).await
}

/// Fails when a node that asks for other indexes has taken over.
pub(super) async fn check(connection: &mut PgConnection, epoch: u32) -> Result<()> {
    let fence: i64 =
        sqlx::query_scalar("SELECT fence FROM configuration").fetch_one(connection).await.map_err(failed(OPERATION))?;
    if fence > i64::from(epoch) {
        let problem = "a node that was started later asks for other indexes, which this one does not keep: restart it with the same \
            configuration";
        return Err(StoreError::because(StoreErrorKind::Unavailable, OPERATION, problem));
    }
    Ok(())
}

/// A connection over which this node may write.
pub(super) async fn writer(shared: &Shared) -> Result<PgConnection> {
    const OPERATION: &str = "connect a writer";
    let mut connection = connect(shared, OPERATION).await?;
    let patience = Duration::from_millis(limits::DATABASE_ACQUIRE_MS);
    let late = |_| StoreError::because(StoreErrorKind::Unavailable, OPERATION, "another node prepares the database");
    tokio::time::timeout(patience, appear(&mut connection, shared.schema, shared.epoch)).await.map_err(late)??;
    limit_waits(&mut connection).await.map_err(failed(OPERATION))?;
    Ok(connection)
}
