//! Building indexes. A unique one is built before the store opens, because writes rest on it; any other while the store serves, a step
//! at a time between commits. Writes keep its entries from the start, searches use it when it holds every resource.

use super::Shared;
use super::column::{Count, Id, failed, number};
use super::writer::Job;
use crate::base::id::{Key, Tenant, TypeCode};
use crate::base::limits;
use crate::store::index::Entry;
use crate::store::sql::Cell;
use crate::store::sql::catalogue::{Catalogue, Definition, Table};
use crate::store::{Result, StoreError, StoreErrorKind};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How far the indexes are after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// Resources whose entries have been added.
    pub(super) visited: u64,
    /// Whether nothing is left to do.
    pub(super) finished: bool,
}

const OPERATION: &str = "build the indexes";

/// Notes what is to be indexed, and builds unique indexes that are not there yet. Returns the indexes that are still to be built.
///
/// Fails when two resources share a value that is to be unique, and names the path.
pub(super) fn prepare(connection: &Connection, catalogue: &Catalogue) -> Result<BTreeSet<(TypeCode, i64)>> {
    let failed = failed(OPERATION);
    let held = held(connection)?;
    let is_empty: bool =
        connection.query_row("SELECT NOT EXISTS (SELECT 1 FROM resource)", [], |row| row.get(0)).map_err(failed)?;
    let wanted = catalogue.definitions();
    let mut is_begun_anew = false;
    for definition in &wanted {
        let known = held.get(&(definition.kind, definition.code));
        match known {
            Some((text, phase)) if *text == definition.text && phase != "drop" => continue,
            _ if definition.table == Table::Unique => {
                build_unique(connection, catalogue, definition)?;
                note(connection, definition, "whole")?;
            }
            _ if is_empty => note(connection, definition, "whole")?,
            None => note(connection, definition, "fill")?,
            Some(_) => note(connection, definition, "clear")?,
        }
        is_begun_anew |= definition.table == Table::Lookup && !is_empty;
    }
    for (kind, code) in held.keys().filter(|key| !wanted.iter().any(|definition| (definition.kind, definition.code) == **key)) {
        let drop = "UPDATE indexed SET phase = 'drop' WHERE type = ?1 AND path = ?2";
        connection.execute(drop, params![kind.0, code]).map_err(failed)?;
    }
    if is_begun_anew {
        // Adding an entry that is there already is nothing: those that were being filled begin again with the new ones.
        connection.execute("DELETE FROM index_progress", []).map_err(failed)?;
    }
    unfinished(connection)
}

/// What is noted of each index: its form and its phase.
fn held(connection: &Connection) -> Result<BTreeMap<(TypeCode, i64), (String, String)>> {
    let failed = failed(OPERATION);
    let mut statement = connection.prepare("SELECT type, path, definition, phase FROM indexed").map_err(failed)?;
    let held = statement.query_map([], |row| Ok(((TypeCode(row.get(0)?), row.get(1)?), (row.get(2)?, row.get(3)?))));
    held.map_err(failed)?.collect::<rusqlite::Result<_>>().map_err(failed)
}

/// The indexes that searches may not use yet.
fn unfinished(connection: &Connection) -> Result<BTreeSet<(TypeCode, i64)>> {
    let failed = failed(OPERATION);
    let mut statement = connection.prepare_cached("SELECT type, path FROM indexed WHERE phase <> 'whole'").map_err(failed)?;
    let unfinished = statement.query_map([], |row| Ok((TypeCode(row.get(0)?), row.get(1)?)));
    unfinished.map_err(failed)?.collect::<rusqlite::Result<_>>().map_err(failed)
}

fn note(connection: &Connection, definition: &Definition, phase: &str) -> Result<()> {
    const NOTE: &str = "INSERT INTO indexed (type, path, definition, phase) VALUES (?1, ?2, ?3, ?4) \
        ON CONFLICT DO UPDATE SET definition = excluded.definition, phase = excluded.phase";
    let parameters = params![definition.kind.0, definition.code, definition.text, phase];
    connection.execute(NOTE, parameters).map(drop).map_err(failed(OPERATION))
}

/// The tables in which an index is, and what tells its rows there apart.
const TABLES: [(&str, &str); 3] = [("unique_key", "value, id"), ("lookup", "value, id"), ("bare", "id")];

/// Entries of a path that have another form, or are in the other table, go.
fn build_unique(connection: &Connection, catalogue: &Catalogue, definition: &Definition) -> Result<()> {
    let failed = failed(OPERATION);
    for (table, _) in TABLES {
        let clear = format!("DELETE FROM {table} WHERE tenant = ?1 AND type = ?2 AND path = ?3");
        for tenant in tenants(connection)? {
            connection.execute(&clear, params![tenant, definition.kind.0, definition.code]).map_err(failed)?;
        }
    }
    let mut statement = connection.prepare("SELECT tenant, type, id, body FROM resource WHERE type = ?1").map_err(failed)?;
    let mut rows = statement.query([definition.kind.0]).map_err(failed)?;
    while let Some(row) = rows.next().map_err(failed)? {
        let key = key(row).map_err(failed)?;
        let entries = entries(catalogue, &key, row)?.unique;
        let mut values = entries.iter().filter(|entry| entry.path == definition.path).peekable();
        if values.peek().is_none() && catalogue.places(key.kind).contains(&definition.code) {
            bare(connection, &key, definition.code)?;
        }
        for entry in values {
            if insert(connection, catalogue, Table::Unique, &key, entry)? == 0 {
                let problem = format!("two resources share a value of '{}', which is to be unique", entry.path);
                return Err(StoreError::because(StoreErrorKind::Unavailable, OPERATION, problem));
            }
        }
    }
    Ok(())
}

fn tenants(connection: &Connection) -> Result<Vec<u32>> {
    let failed = failed(OPERATION);
    let mut statement = connection.prepare_cached("SELECT DISTINCT tenant FROM counter").map_err(failed)?;
    statement.query_map([], |row| row.get(0)).map_err(failed)?.collect::<rusqlite::Result<_>>().map_err(failed)
}

fn key(row: &Row<'_>) -> rusqlite::Result<Key> {
    Ok(Key { tenant: Tenant(row.get(0)?), kind: TypeCode(row.get(1)?), id: row.get::<_, Id>(2)?.0 })
}

/// The entries of a row's document.
fn entries(catalogue: &Catalogue, key: &Key, row: &Row<'_>) -> Result<crate::store::index::Entries> {
    let failed = failed(OPERATION);
    let Some(known) = catalogue.entry(key.kind) else { return Ok(crate::store::index::Entries::default()) };
    let body = row.get_ref(3).map_err(failed)?.as_blob().map_err(|error| failed(error.into()))?;
    let document = serde_json::from_slice(body).map_err(|error| StoreError::because(StoreErrorKind::Corrupt, OPERATION, error))?;
    Ok(known.indexes.entries(&document))
}

fn insert(connection: &Connection, catalogue: &Catalogue, table: Table, key: &Key, entry: &Entry) -> Result<usize> {
    let failed = failed(OPERATION);
    let sql = match table {
        Table::Unique => "INSERT OR IGNORE INTO unique_key VALUES (?1, ?2, ?3, ?4, ?5)",
        Table::Lookup => "INSERT OR IGNORE INTO lookup VALUES (?1, ?2, ?3, ?4, ?5)",
    };
    let (value, id) = (Cell::from(&entry.value), Cell::from(&key.id));
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    statement.execute(params![key.tenant.0, key.kind.0, catalogue.code(&entry.path), value, id]).map_err(failed)
}

/// Notes that a resource has no value at a path.
fn bare(connection: &Connection, key: &Key, code: i64) -> Result<()> {
    let failed = failed(OPERATION);
    let mut statement = connection.prepare_cached("INSERT OR IGNORE INTO bare VALUES (?1, ?2, ?3, ?4)").map_err(failed)?;
    statement.execute(params![key.tenant.0, key.kind.0, code, Cell::from(&key.id)]).map(drop).map_err(failed)
}

/// One step, within the writer's transaction: removes at most [`limits::INDEX_STEP_RESOURCES`] entries, or adds those of as many
/// resources.
pub(super) fn step(connection: &Connection, catalogue: &Catalogue) -> Result<Progress> {
    let failed = failed(OPERATION);
    let to_clear = connection
        .query_row("SELECT type, path, phase FROM indexed WHERE phase IN ('clear', 'drop') LIMIT 1", [], |row| {
            Ok((row.get::<_, u16>(0)?, row.get::<_, i64>(1)?, row.get::<_, String>(2)?))
        })
        .optional()
        .map_err(failed)?;
    if let Some((kind, code, phase)) = to_clear {
        if clear(connection, kind, code)? {
            let next = match phase.as_str() {
                "drop" => "DELETE FROM indexed WHERE type = ?1 AND path = ?2",
                _ => "UPDATE indexed SET phase = 'fill' WHERE type = ?1 AND path = ?2",
            };
            connection.execute(next, params![kind, code]).map_err(failed)?;
        }
        return Ok(Progress { visited: 0, finished: false });
    }
    let filling = unfinished(connection)?;
    if filling.is_empty() {
        return Ok(Progress { visited: 0, finished: true });
    }
    fill(connection, catalogue, &filling)
}

/// Removes some entries of an index, however many resources share a value. Whether none are left.
fn clear(connection: &Connection, kind: u16, code: i64) -> Result<bool> {
    let failed = failed(OPERATION);
    for tenant in tenants(connection)? {
        for (table, row) in TABLES {
            let clear = format!(
                "DELETE FROM {table} WHERE tenant = ?1 AND type = ?2 AND path = ?3 AND ({row}) IN \
                 (SELECT {row} FROM {table} WHERE tenant = ?1 AND type = ?2 AND path = ?3 LIMIT ?4)"
            );
            let most = number(limits::INDEX_STEP_RESOURCES);
            if connection.execute(&clear, params![tenant, kind, code, most]).map_err(failed)? > 0 {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn fill(connection: &Connection, catalogue: &Catalogue, filling: &BTreeSet<(TypeCode, i64)>) -> Result<Progress> {
    const NEXT: &str = "SELECT tenant, type, id, body FROM resource WHERE (tenant, type, id) > (?1, ?2, ?3) \
        ORDER BY tenant, type, id LIMIT ?4";
    const FIRST: &str = "SELECT tenant, type, id, body FROM resource ORDER BY tenant, type, id LIMIT ?1";
    let failed = failed(OPERATION);
    let noted = connection
        .query_row("SELECT tenant, type, id, visited FROM index_progress", [], |row| Ok((key(row)?, row.get::<_, Count>(3)?.0)))
        .optional()
        .map_err(failed)?;
    let most = number(limits::INDEX_STEP_RESOURCES);
    let mut statement = connection.prepare_cached(if noted.is_some() { NEXT } else { FIRST }).map_err(failed)?;
    let mut rows = match &noted {
        Some((last, _)) => statement.query(params![last.tenant.0, last.kind.0, Cell::from(&last.id), most]),
        None => statement.query([most]),
    }
    .map_err(failed)?;
    let mut visited = noted.as_ref().map_or(0, |(_, visited)| *visited);
    let mut last = None;
    while let Some(row) = rows.next().map_err(failed)? {
        let key = key(row).map_err(failed)?;
        let is_filled = |code: &i64| filling.contains(&(key.kind, *code));
        let mut without: BTreeSet<i64> = catalogue.places(key.kind).iter().copied().filter(is_filled).collect();
        for entry in &entries(catalogue, &key, row)?.lookup {
            if let Some(code) = catalogue.code(&entry.path).filter(is_filled) {
                insert(connection, catalogue, Table::Lookup, &key, entry)?;
                without.remove(&code);
            }
        }
        without.into_iter().try_for_each(|code| bare(connection, &key, code))?;
        visited += 1;
        last = Some(key);
    }
    connection.execute("DELETE FROM index_progress", []).map_err(failed)?;
    match &last {
        Some(key) => {
            let keep = "INSERT INTO index_progress (tenant, type, id, visited) VALUES (?1, ?2, ?3, ?4)";
            let parameters = params![key.tenant.0, key.kind.0, Cell::from(&key.id), number(visited)];
            connection.execute(keep, parameters).map_err(failed)?;
        }
        None => {
            connection.execute("UPDATE indexed SET phase = 'whole' WHERE phase = 'fill'", []).map_err(failed)?;
        }
    }
    Ok(Progress { visited, finished: last.is_none() })
}

/// Builds what is unfinished, on a thread of its own that asks the writer for one step after the other, and ends with it. A step that
/// was lost with its batch, as on a full disk, is tried again.
pub(super) fn start(shared: &Arc<Shared>, jobs: &SyncSender<Job>) -> Result<()> {
    let (shared, jobs) = (Arc::downgrade(shared), jobs.clone());
    let work = move || {
        let begun = Instant::now();
        let mut told = begun;
        loop {
            let (answer, answered) = oneshot::channel();
            let progress = match jobs.send(Job::Index(answer)).ok().map(|()| answered.blocking_recv()) {
                Some(Ok(Ok(progress))) => progress,
                Some(Ok(Err(error))) if error.is_retryable() => {
                    std::thread::park_timeout(Duration::from_millis(limits::INDEX_RETRY_MS));
                    continue;
                }
                _ => return,
            };
            if progress.finished {
                tracing::info!(seconds = begun.elapsed().as_secs(), "the indexes are built");
                if let Some(shared) = shared.upgrade() {
                    shared.catalogue.set_unfinished(BTreeSet::new());
                }
                return;
            }
            if told.elapsed() >= Duration::from_millis(limits::INDEX_REPORT_MS) {
                told = Instant::now();
                tracing::info!(resources = progress.visited, "indexes are being built");
            }
        }
    };
    let started = std::thread::Builder::new().name("store-indexer".into()).spawn(work);
    started.map(drop).map_err(|error| StoreError::because(StoreErrorKind::Unavailable, "start to build the indexes", error))
}
