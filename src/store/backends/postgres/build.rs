//! Building indexes. A unique one is built before the store opens, because writes rest on it; any other while the nodes serve, a step at a time,
//! by one of them. Writes keep its entries from the start, searches use it when it holds every resource (see [`super::epoch`] for nodes that
//! do not agree on what is indexed).

use super::Shared;
use super::column::{corrupt, count, failed, id_bytes, id_of, key_bytes, number};
use super::epoch::{self, Held, Indexes};
use super::outage::Outage;
use super::session::Lock;
use crate::base::id::{Key, Tenant, TypeCode};
use crate::base::limits;
use crate::base::task::pause;
use crate::store::index::Entry;
use crate::store::sql::catalogue::{Catalogue, Definition, Table};
use crate::store::{Result, StoreError, StoreErrorKind};
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, Connection, PgConnection, Row};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

const OPERATION: &str = "build the indexes";

/// What preparing the indexes came to.
#[derive(Debug)]
pub(super) enum Prepared {
    /// The node may go on.
    Ready {
        /// The epoch of its indexes.
        epoch: u32,
        /// Those that searches may not use yet.
        unfinished: BTreeSet<(TypeCode, i64)>,
        /// Whether nodes that are still running use an index that this one does not keep.
        is_withdrawn: bool,
    },
    /// This path is to be unique, and nodes are still running that do not keep it so.
    Wait(String),
}

/// Notes what is to be indexed, and builds unique indexes that are not there yet, in a transaction in which nobody else does.
///
/// Fails when two resources share a value that is to be unique, and names the path.
pub(super) async fn prepare(connection: &mut PgConnection, schema: u32, catalogue: &Catalogue) -> Result<Prepared> {
    let wanted = catalogue.definitions();
    let text = epoch::definition(&wanted);
    let (configuration, held) = epoch::read(connection).await?;
    if configuration.definition == text && configuration.epoch > 0 {
        let unfinished = epoch::unfinished(catalogue, &held);
        return Ok(Prepared::Ready { epoch: configuration.epoch, unfinished, is_withdrawn: false });
    }
    let epoch = configuration.epoch + 1;
    let is_alone = epoch::is_alone(connection, schema, configuration.fence, epoch).await?;
    let is_empty = is_alone && is_empty(connection).await?;
    for definition in &wanted {
        let known = held.get(&(definition.kind, definition.code));
        match known {
            Some(held) if held.definition == definition.text && held.phase != "drop" => {}
            _ if definition.table == Table::Unique && !is_alone => return Ok(Prepared::Wait(definition.path.to_string())),
            _ if definition.table == Table::Unique => {
                build_unique(connection, catalogue, definition).await?;
                note(connection, definition, "whole").await?;
            }
            _ if is_empty => note(connection, definition, "whole").await?,
            None => note(connection, definition, "fill").await?,
            Some(_) => note(connection, definition, "clear").await?,
        }
    }
    drop_unwanted(connection, &held, &wanted).await?;
    let failed = failed(OPERATION);
    // Adding an entry that is there already is nothing: those that were being filled begin again with the new ones.
    sqlx::query("DELETE FROM index_progress").execute(&mut *connection).await.map_err(failed)?;
    let begin = sqlx::query("UPDATE configuration SET epoch = $1, definition = $2").bind(i64::from(epoch)).bind(text);
    begin.execute(&mut *connection).await.map_err(failed)?;
    if is_alone {
        epoch::fence(connection, epoch).await?;
    }
    let is_same = |key: &(TypeCode, i64), held: &Held| {
        wanted.iter().any(|definition| (definition.kind, definition.code) == *key && definition.text == held.definition)
    };
    let is_withdrawn = !is_alone && held.iter().any(|(key, index)| index.phase == "whole" && !is_same(key, index));
    let (_, held) = epoch::read(connection).await?;
    Ok(Prepared::Ready { epoch, unfinished: epoch::unfinished(catalogue, &held), is_withdrawn })
}

/// Waits until every other node has looked, or uses no index any more.
pub(super) async fn notice() {
    let time = Duration::from_millis(limits::INDEX_TRUST_MS + limits::INDEX_LOOK_MS);
    // Nothing tells that they all have: what is awaited is that the time for which they trust is over.
    pause(time).await;
}

async fn is_empty(connection: &mut PgConnection) -> Result<bool> {
    let empty = sqlx::query_scalar("SELECT NOT EXISTS (SELECT FROM resource)");
    empty.fetch_one(connection).await.map_err(failed(OPERATION))
}

async fn drop_unwanted(connection: &mut PgConnection, held: &Indexes, wanted: &[Definition]) -> Result<()> {
    let is_wanted = |key: &(TypeCode, i64)| wanted.iter().any(|definition| (definition.kind, definition.code) == *key);
    for (kind, code) in held.keys().filter(|key| !is_wanted(key)) {
        let drop =
            sqlx::query("UPDATE indexed SET phase = 'drop' WHERE type = $1 AND path = $2").bind(i32::from(kind.0)).bind(code);
        drop.execute(&mut *connection).await.map_err(failed(OPERATION))?;
    }
    Ok(())
}

async fn note(connection: &mut PgConnection, definition: &Definition, phase: &str) -> Result<()> {
    const NOTE: &str = "INSERT INTO indexed (type, path, definition, phase) VALUES ($1, $2, $3, $4) \
        ON CONFLICT (type, path) DO UPDATE SET definition = excluded.definition, phase = excluded.phase";
    let note = sqlx::query(NOTE).bind(i32::from(definition.kind.0)).bind(definition.code).bind(&definition.text).bind(phase);
    note.execute(connection).await.map(drop).map_err(failed(OPERATION))
}

/// The tables in which an index is.
const TABLES: [&str; 3] = ["unique_key", "lookup", "bare"];

async fn tenants(connection: &mut PgConnection) -> Result<Vec<i32>> {
    sqlx::query_scalar("SELECT DISTINCT tenant FROM counter").fetch_all(connection).await.map_err(failed(OPERATION))
}

/// Removes some entries of an index, however many resources share a value. Whether none are left.
async fn clear(connection: &mut PgConnection, kind: i32, code: i64) -> Result<bool> {
    for tenant in tenants(connection).await? {
        for table in TABLES {
            let clear = format!(
                "DELETE FROM {table} WHERE ctid = ANY (ARRAY (SELECT ctid FROM {table} WHERE tenant = $1 AND type = $2 AND path = $3 LIMIT $4))"
            );
            let clear =
                sqlx::query(AssertSqlSafe(clear)).bind(tenant).bind(kind).bind(code).bind(number(limits::INDEX_STEP_RESOURCES));
            if clear.execute(&mut *connection).await.map_err(failed(OPERATION))?.rows_affected() > 0 {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// A resource whose entries are to be added.
struct Visited {
    key: Key,
    body: Vec<u8>,
}

impl Visited {
    fn of(row: &PgRow) -> Result<Self> {
        let failed = failed(OPERATION);
        let (tenant, kind): (i32, i32) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
        let tenant = Tenant(u32::try_from(tenant).map_err(|_| corrupt(OPERATION, "not a tenant"))?);
        let kind = TypeCode(u16::try_from(kind).map_err(|_| corrupt(OPERATION, "not a resource type"))?);
        let id = id_of(row.try_get(2).map_err(failed)?)?;
        Ok(Self { key: Key { tenant, kind, id }, body: super::reader::bytes(row, 3)?.to_vec() })
    }

    fn entries(&self, catalogue: &Catalogue) -> Result<crate::store::index::Entries> {
        let Some(known) = catalogue.entry(self.key.kind) else { return Ok(crate::store::index::Entries::default()) };
        let document =
            serde_json::from_slice(&self.body).map_err(|error| StoreError::because(StoreErrorKind::Corrupt, OPERATION, error))?;
        Ok(known.indexes.entries(&document))
    }
}

/// Rows of an index, by column.
#[derive(Default)]
struct Entries {
    tenants: Vec<i32>,
    types: Vec<i32>,
    paths: Vec<i64>,
    values: Vec<Vec<u8>>,
    ids: Vec<Vec<u8>>,
}

impl Entries {
    fn add(&mut self, key: &Key, code: i64, entry: Option<&Entry>) {
        self.tenants.push(super::column::tenant_number(key.tenant));
        self.types.push(super::column::type_number(key.kind));
        self.paths.push(code);
        self.values.extend(entry.map(|entry| key_bytes(&entry.value)));
        self.ids.push(id_bytes(&key.id));
    }

    /// Writes those that are not there. How many these are.
    async fn insert(self, connection: &mut PgConnection, table: Table) -> Result<u64> {
        const UNIQUE: &str = "INSERT INTO unique_key (tenant, type, path, value, id) \
            SELECT * FROM unnest($1::int[], $2::int[], $3::bigint[], $4::bytea[], $5::bytea[]) ON CONFLICT DO NOTHING";
        const LOOKUP: &str = "INSERT INTO lookup (tenant, type, path, value, id) \
            SELECT * FROM unnest($1::int[], $2::int[], $3::bigint[], $4::bytea[], $5::bytea[]) ON CONFLICT DO NOTHING";
        if self.ids.is_empty() {
            return Ok(0);
        }
        let sql = if table == Table::Unique { UNIQUE } else { LOOKUP };
        let insert = sqlx::query(sql).bind(self.tenants).bind(self.types).bind(self.paths).bind(self.values).bind(self.ids);
        Ok(insert.execute(connection).await.map_err(failed(OPERATION))?.rows_affected())
    }

    /// Notes that resources have no value.
    async fn bare(self, connection: &mut PgConnection) -> Result<()> {
        const BARE: &str = "INSERT INTO bare (tenant, type, path, id) \
            SELECT * FROM unnest($1::int[], $2::int[], $3::bigint[], $4::bytea[]) ON CONFLICT DO NOTHING";
        if self.ids.is_empty() {
            return Ok(());
        }
        let insert = sqlx::query(BARE).bind(self.tenants).bind(self.types).bind(self.paths).bind(self.ids);
        insert.execute(connection).await.map(drop).map_err(failed(OPERATION))
    }
}

/// Entries of a path that have another form, or are in the other table, go; then those of all resources come. Nobody writes meanwhile.
async fn build_unique(connection: &mut PgConnection, catalogue: &Catalogue, definition: &Definition) -> Result<()> {
    const NEXT: &str =
        "SELECT tenant, type, id, body FROM resource WHERE tenant = $1 AND type = $2 AND id > $3 ORDER BY id LIMIT $4";
    let failed = failed(OPERATION);
    let kind = i32::from(definition.kind.0);
    while !clear(connection, kind, definition.code).await? {}
    for tenant in tenants(connection).await? {
        let mut after: Vec<u8> = Vec::new();
        loop {
            let next = sqlx::query(NEXT).bind(tenant).bind(kind).bind(after).bind(number(limits::INDEX_STEP_RESOURCES));
            let rows = next.fetch_all(&mut *connection).await.map_err(failed)?;
            let Some(last) = rows.last() else { break };
            after = last.try_get(2).map_err(failed)?;
            let (mut added, mut bare) = (Entries::default(), Entries::default());
            for row in &rows {
                let visited = Visited::of(row)?;
                let entries = visited.entries(catalogue)?.unique;
                let mut values = entries.iter().filter(|entry| entry.path == definition.path).peekable();
                if values.peek().is_none() && catalogue.places(definition.kind).contains(&definition.code) {
                    bare.add(&visited.key, definition.code, None);
                }
                values.for_each(|entry| added.add(&visited.key, definition.code, Some(entry)));
            }
            let all = added.ids.len() as u64;
            if added.insert(connection, Table::Unique).await? < all {
                let problem = format!("two resources share a value of '{}', which is to be unique", definition.path);
                return Err(StoreError::because(StoreErrorKind::Unavailable, OPERATION, problem));
            }
            bare.bare(connection).await?;
        }
    }
    Ok(())
}

/// How far the indexes are after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// Resources whose entries have been added.
    pub(super) visited: u64,
    /// Whether nothing is left to do.
    pub(super) finished: bool,
}

/// One step, in a transaction: removes at most [`limits::INDEX_STEP_RESOURCES`] entries, or adds those of as many resources. `None` while
/// this node may not: others are left that do not keep the indexes, or the indexes are those of another epoch.
pub(super) async fn step(connection: &mut PgConnection, shared: &Shared) -> Result<Option<Progress>> {
    let failed = failed(OPERATION);
    let mut transaction = connection.begin().await.map_err(failed)?;
    // Who begins another epoch waits for the step, and the step for it.
    let noted = sqlx::query_as("SELECT epoch, fence FROM configuration FOR SHARE").fetch_one(&mut *transaction).await;
    let (now, fence): (i64, i64) = noted.map_err(failed)?;
    if now != i64::from(shared.epoch) {
        return Ok(None);
    }
    if fence < now {
        let fence = u32::try_from(fence).map_err(|_| corrupt(OPERATION, "not an epoch"))?;
        if !epoch::is_alone(&mut transaction, shared.schema, fence, shared.epoch).await? {
            return Ok(None);
        }
        epoch::fence(&mut transaction, shared.epoch).await?;
    }
    let progress = one(&mut transaction, &shared.catalogue).await?;
    transaction.commit().await.map_err(failed)?;
    Ok(Some(progress))
}

async fn one(connection: &mut PgConnection, catalogue: &Catalogue) -> Result<Progress> {
    let failed = failed(OPERATION);
    let to_clear =
        sqlx::query_as("SELECT type, path, phase FROM indexed WHERE phase IN ('clear', 'drop') ORDER BY type, path LIMIT 1");
    let to_clear: Option<(i32, i32, String)> = to_clear.fetch_optional(&mut *connection).await.map_err(failed)?;
    if let Some((kind, code, phase)) = to_clear {
        if clear(connection, kind, i64::from(code)).await? {
            let next = match phase.as_str() {
                "drop" => "DELETE FROM indexed WHERE type = $1 AND path = $2",
                _ => "UPDATE indexed SET phase = 'fill' WHERE type = $1 AND path = $2",
            };
            sqlx::query(next).bind(kind).bind(code).execute(connection).await.map_err(failed)?;
        }
        return Ok(Progress { visited: 0, finished: false });
    }
    let filling = sqlx::query_as("SELECT type, path FROM indexed WHERE phase <> 'whole'");
    let filling: Vec<(i32, i32)> = filling.fetch_all(&mut *connection).await.map_err(failed)?;
    if filling.is_empty() {
        return Ok(Progress { visited: 0, finished: true });
    }
    fill(connection, catalogue, &filling.into_iter().map(|(kind, code)| (kind, i64::from(code))).collect()).await
}

/// Adds the entries of some resources. These are locked, so that no write of them is between what is read here and what is written.
async fn fill(connection: &mut PgConnection, catalogue: &Catalogue, filling: &BTreeSet<(i32, i64)>) -> Result<Progress> {
    const NEXT: &str = "SELECT tenant, type, id, body FROM resource WHERE (tenant, type, id) > ($1, $2, $3) \
        ORDER BY tenant, type, id LIMIT $4 FOR SHARE";
    let failed = failed(OPERATION);
    let noted = sqlx::query_as("SELECT tenant, type, id, visited FROM index_progress").fetch_optional(&mut *connection).await;
    let noted: Option<(i32, i32, Vec<u8>, i64)> = noted.map_err(failed)?;
    let (tenant, kind, id, visited) = noted.unwrap_or((-1, 0, Vec::new(), 0));
    let next = sqlx::query(NEXT).bind(tenant).bind(kind).bind(id).bind(number(limits::INDEX_STEP_RESOURCES));
    let rows = next.fetch_all(&mut *connection).await.map_err(failed)?;
    let visited = count(visited) + rows.len() as u64;
    let (mut valued, mut bare) = (Entries::default(), Entries::default());
    for row in &rows {
        let resource = Visited::of(row)?;
        let kind = i32::from(resource.key.kind.0);
        let is_filled = |code: &i64| filling.contains(&(kind, *code));
        let mut without: BTreeSet<i64> = catalogue.places(resource.key.kind).iter().copied().filter(is_filled).collect();
        for entry in &resource.entries(catalogue)?.lookup {
            if let Some(code) = catalogue.code(&entry.path).filter(is_filled) {
                valued.add(&resource.key, code, Some(entry));
                without.remove(&code);
            }
        }
        for code in without {
            bare.add(&resource.key, code, None);
        }
    }
    valued.insert(connection, Table::Lookup).await?;
    bare.bare(connection).await?;
    sqlx::query("DELETE FROM index_progress").execute(&mut *connection).await.map_err(failed)?;
    if let Some(row) = rows.last() {
        let keep = sqlx::query("INSERT INTO index_progress (tenant, type, id, visited) VALUES ($1, $2, $3, $4)");
        let keep = keep.bind(row.try_get::<i32, _>(0).map_err(failed)?).bind(row.try_get::<i32, _>(1).map_err(failed)?);
        let keep = keep.bind(row.try_get::<Vec<u8>, _>(2).map_err(failed)?).bind(number(visited));
        keep.execute(connection).await.map_err(failed)?;
    } else {
        let whole = sqlx::query("UPDATE indexed SET phase = 'whole' WHERE phase = 'fill'");
        whole.execute(connection).await.map_err(failed)?;
    }
    Ok(Progress { visited, finished: rows.is_empty() })
}

/// Looks which indexes are whole, for as long as the store is open, and builds those that are not when no other node does.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut outage = Outage::of("nobody looks at the indexes: searches go without them");
    let mut connection = shared.opened.lock().unwrap_or_else(PoisonError::into_inner).take();
    loop {
        if let Some(connection) = &mut connection
            && let Err(error) = tend(&shared, connection, &mut outage).await
        {
            outage.began(&error);
        }
        // What cannot be looked at is not trusted.
        shared.catalogue.set_unfinished(epoch::unfinished(&shared.catalogue, &Indexes::new()));
        connection = match epoch::writer(&shared).await {
            Ok(connection) => Some(connection),
            Err(error) => {
                outage.began(&error);
                pause(Duration::from_millis(limits::INDEX_LOOK_MS)).await;
                None
            }
        };
    }
}

/// Whoever says nothing for longer is given up: searches go by what was looked at so long ago, and by nothing older.
const TRUST: Duration = Duration::from_millis(limits::INDEX_TRUST_MS);

fn late() -> StoreError {
    StoreError::because(StoreErrorKind::Unavailable, OPERATION, "the database does not answer")
}

/// Looks and builds over this connection until it fails.
async fn tend(shared: &Shared, connection: &mut PgConnection, outage: &mut Outage) -> Result<Infallible> {
    let mut turns = interval(Duration::from_millis(limits::INDEX_LOOK_MS));
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut is_waiting, mut is_told) = (false, false);
    loop {
        turns.tick().await;
        let is_to_build = look(shared, connection).await?;
        outage.ended();
        if !is_to_build {
            continue;
        }
        let failed = failed(OPERATION);
        let key = Lock::Builder.key(shared.schema);
        let lock = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(key);
        let is_mine: bool = timeout(TRUST, lock.fetch_one(&mut *connection)).await.map_err(|_| late())?.map_err(failed)?;
        if !is_mine {
            continue;
        }
        let is_done = build(shared, connection).await;
        let unlock = sqlx::query("SELECT pg_advisory_unlock($1)").bind(key);
        timeout(TRUST, unlock.execute(&mut *connection)).await.map_err(|_| late())?.map_err(failed)?;
        match is_done {
            Ok(true) => {}
            Ok(false) if is_waiting => {}
            Ok(false) => {
                is_waiting = true;
                tracing::warn!("indexes are not built while nodes of another configuration are running");
            }
            // It is tried again: a step can be in the way of a writer. A document that cannot be read stays as it is.
            Err(_) if is_told => {}
            Err(error) => {
                is_told = true;
                tracing::error!(operation = error.operation, %error, "the indexes are not built: searches go without the unfinished ones");
            }
        }
    }
}

/// Looks once. Whether there is something to build.
async fn look(shared: &Shared, connection: &mut PgConnection) -> Result<bool> {
    let began = Instant::now();
    let looked = async {
        let (configuration, held) = epoch::read(connection).await?;
        if configuration.fence > shared.epoch {
            epoch::check(connection, shared.epoch).await?;
        }
        Ok((configuration, held))
    };
    let (configuration, held) = timeout(TRUST, looked).await.map_err(|_| late())??;
    let unfinished = epoch::unfinished(&shared.catalogue, &held);
    if configuration.epoch > shared.epoch {
        epoch::tell_lost(&shared.catalogue, &unfinished);
    }
    shared.catalogue.set_unfinished(unfinished);
    epoch::looked(shared, began);
    Ok(configuration.epoch == shared.epoch && held.values().any(|index| index.phase != "whole"))
}

/// Builds step by step. Whether all is built; not so where this node may not.
async fn build(shared: &Shared, connection: &mut PgConnection) -> Result<bool> {
    let begun = Instant::now();
    let (mut told, mut looked) = (begun, begun);
    loop {
        let Some(progress) = timeout(TRUST, step(connection, shared)).await.map_err(|_| late())?? else { return Ok(false) };
        if progress.finished {
            look(shared, connection).await?;
            tracing::info!(seconds = begun.elapsed().as_secs(), "the indexes are built");
            return Ok(true);
        }
        if looked.elapsed() >= Duration::from_millis(limits::INDEX_LOOK_MS) {
            look(shared, connection).await?;
            looked = Instant::now();
        }
        if told.elapsed() >= Duration::from_millis(limits::INDEX_REPORT_MS) {
            told = Instant::now();
            tracing::info!(resources = progress.visited, "indexes are being built");
        }
    }
}
