//! Opening: the data folder and its lock, the migrations, and the indexes that the configuration asks for; or what there is of them.

use super::build;
use super::column::{Count, failed};
use crate::base::id::TypeCode;
use crate::base::limits;
use crate::scim::schema::{Registry, TypeRecord};
use crate::store::backends::{Opening, check_version};
use crate::store::sql::MIGRATIONS;
use crate::store::sql::catalogue::Catalogue;
use crate::store::{Result, StoreError, StoreErrorKind};
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const DATABASE_FILE: &str = "carillon.db";
const LOCK_FILE: &str = "carillon.lock";

/// What opening gives.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    /// The types under the codes by which the database keeps them.
    pub(super) registry: Arc<Registry>,
    pub(super) catalogue: Catalogue,
    pub(super) last_place: u64,
    pub(super) lock: File,
}

/// A number for each store that this process opens.
pub(super) fn next_instance() -> u64 {
    static INSTANCES: AtomicU64 = AtomicU64::new(0);
    INSTANCES.fetch_add(1, Ordering::Relaxed)
}

/// The length of the log above which scans wait, for a log that is moved into the database after so many pages.
pub(super) fn most_log_pages(log_pages: u32) -> u32 {
    log_pages.saturating_mul(limits::WAL_GROWTH)
}

/// Opens the database in the data folder, both made where they are not there.
pub(super) fn open(opening: &Opening, log_pages: u32) -> Result<Opened> {
    let folder = &opening.data_path;
    let lock = prepare_folder(folder)?;
    let path = folder.join(DATABASE_FILE);
    let about =
        |error: StoreError| StoreError::because(error.kind.clone(), "open the database", format!("{}: {error}", path.display()));
    let mut connection = connect(&path, log_pages).map_err(about)?;
    migrate(&mut connection).map_err(about)?;
    let registry = Arc::new(types(&mut connection, &opening.registry).map_err(about)?);
    let catalogue = catalogue(&mut connection, &registry).map_err(about)?;
    let last_place = last_place(&connection).map_err(about)?;
    Ok(Opened { connection, path, registry, catalogue, last_place, lock })
}

/// Opens the database as it is, for who only reads it, whatever its server is configured for. Searches go without indexes.
pub(super) fn open_to_read(opening: &Opening) -> Result<Opened> {
    let folder = &opening.data_path;
    let path = folder.join(DATABASE_FILE);
    if !path.is_file() {
        check_version(None, MIGRATIONS.len())?;
    }
    let lock = lock(folder)?;
    let failed = failed("connect to the database");
    let connection = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(failed)?;
    connection.busy_timeout(Duration::from_millis(limits::DATABASE_BUSY_MS)).map_err(failed)?;
    let is_begun = "SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'meta')";
    let is_begun: bool = connection.query_row(is_begun, [], |row| row.get(0)).map_err(failed)?;
    let version: Option<i64> = if is_begun { meta(&connection, "schema_version")? } else { None };
    check_version(version.map(|version| usize::try_from(version).unwrap_or(usize::MAX)), MIGRATIONS.len())?;
    let registry = opening.registry.as_ref().clone().of_records(&kept(&connection)?);
    let catalogue = Catalogue::new(&registry, |name| {
        let code = connection.query_row("SELECT code FROM path WHERE name = ?1", [name], |row| row.get(0)).optional();
        // A path that no index was ever made of has no code: nobody looks for it.
        code.map(Option::unwrap_or_default).map_err(failed)
    })?;
    let definitions = catalogue.definitions().into_iter();
    catalogue.set_unfinished(definitions.map(|definition| (definition.kind, definition.code)).collect());
    let last_place = last_place(&connection)?;
    Ok(Opened { connection, path, registry: Arc::new(registry), catalogue, last_place, lock })
}

/// Makes the folder, for its owner only, and locks it.
fn prepare_folder(folder: &Path) -> Result<File> {
    let failed = |problem: &str, error: &dyn std::fmt::Display| unusable(folder, problem, error);
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| failed("cannot make", &error))?;
    let lock = lock(folder)?;
    // SQLite gives its other files the permissions of this one. One that exists is not opened: closing it would end the locks that
    // SQLite has on it in this process (<https://www.sqlite.org/howtocorrupt.html> §2.2).
    match OpenOptions::new().create_new(true).write(true).mode(0o600).open(folder.join(DATABASE_FILE)) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed("cannot write to", &error)),
        _ => {}
    }
    sync_folders(folder).map_err(|error| failed("cannot sync", &error))?;
    Ok(lock)
}

fn unusable(folder: &Path, problem: &str, error: &dyn std::fmt::Display) -> StoreError {
    let text = format!("{problem} {}: {error}", folder.display());
    StoreError::because(StoreErrorKind::Unavailable, "open the data folder", text)
}

/// Locks the folder. The system lets go of the lock when the process ends, however it ends.
fn lock(folder: &Path) -> Result<File> {
    let failed = |problem: &str, error: &dyn std::fmt::Display| unusable(folder, problem, error);
    let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(folder.join(LOCK_FILE));
    let lock = lock.map_err(|error| failed("cannot write to", &error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => {
            Err(StoreError { kind: StoreErrorKind::InUse, ..failed("cannot lock", &"another process has it open") })
        }
        Err(TryLockError::Error(error)) => Err(failed("cannot lock", &error)),
    }
}

/// A file is on disk only when the folders that name it are.
fn sync_folders(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()?;
    match folder.canonicalize()?.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

fn connect(path: &Path, log_pages: u32) -> Result<Connection> {
    let failed = failed("connect to the database");
    let connection = Connection::open(path).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(limits::PREPARED_STATEMENTS);
    connection.busy_timeout(Duration::from_millis(limits::DATABASE_BUSY_MS)).map_err(failed)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        let problem = format!("the file system does not allow a write-ahead log (journal mode {mode})");
        return Err(StoreError::because(StoreErrorKind::Unavailable, "connect to the database", problem));
    }
    // Each page has a head of 24 bytes in the log (<https://www.sqlite.org/fileformat2.html#walformat>).
    let page: u64 = connection.query_row("PRAGMA page_size", [], |row| row.get::<_, Count>(0)).map_err(failed)?.0 + 24;
    let settings = [
        // An acknowledged write is on disk (I2).
        ("synchronous", "FULL".to_owned()),
        // Where a savepoint keeps what it may have to restore.
        ("temp_store", "MEMORY".to_owned()),
        ("cache_size", format!("-{}", limits::WRITER_CACHE_KIB)),
        ("wal_autocheckpoint", log_pages.to_string()),
        // A log that was too long once does not keep its room when it begins anew.
        ("journal_size_limit", (page * u64::from(most_log_pages(log_pages))).to_string()),
    ];
    for (name, value) in settings {
        connection.pragma_update(None, name, value).map_err(failed)?;
    }
    Ok(connection)
}

/// Runs the migrations that have not run yet, each in a transaction with the note that it has.
fn migrate(connection: &mut Connection) -> Result<()> {
    let failed = failed("migrate the database");
    connection.execute_batch("CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value) WITHOUT ROWID").map_err(failed)?;
    let version: i64 = meta(connection, "schema_version")?.unwrap_or(0);
    let done = usize::try_from(version).unwrap_or(usize::MAX);
    if done > MIGRATIONS.len() {
        let problem = format!(
            "the data is of schema version {version}, this program knows versions up to {}: use a newer program",
            MIGRATIONS.len()
        );
        return Err(StoreError::because(StoreErrorKind::Corrupt, "migrate the database", problem));
    }
    for (number, migration) in (1..).zip(MIGRATIONS).skip(done) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        transaction.execute_batch(migration).map_err(failed)?;
        set_meta(&transaction, "schema_version", number)?;
        transaction.commit().map_err(failed)?;
    }
    Ok(())
}

fn meta<T: rusqlite::types::FromSql>(connection: &Connection, name: &str) -> Result<Option<T>> {
    let found = connection.query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| row.get(0));
    found.optional().map_err(failed("read a setting"))
}

fn set_meta(connection: &Connection, name: &str, value: impl rusqlite::ToSql) -> Result<()> {
    const SET: &str = "INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT DO UPDATE SET value = excluded.value";
    connection.execute(SET, params![name, value]).map(drop).map_err(failed("write a setting"))
}

/// The last place that was ever given: the note of it outlives the rows.
fn last_place(connection: &Connection) -> Result<u64> {
    let noted: i64 = meta(connection, "last_place")?.unwrap_or(0);
    let newest: Option<i64> =
        connection.query_row("SELECT max(place) FROM event", [], |row| row.get(0)).map_err(failed("read the last place"))?;
    Ok(u64::try_from(noted.max(newest.unwrap_or(0))).unwrap_or(0))
}

/// The types that were ever served.
fn kept(connection: &Connection) -> Result<Vec<TypeRecord>> {
    let failed = failed("read the resource types");
    let mut statement = connection.prepare("SELECT code, name, endpoint FROM type ORDER BY code").map_err(failed)?;
    let kept =
        statement.query_map([], |row| Ok(TypeRecord { code: TypeCode(row.get(0)?), name: row.get(1)?, endpoint: row.get(2)? }));
    kept.and_then(Iterator::collect).map_err(failed)
}

/// The registry under the codes by which the database keeps its types. A type keeps its code for ever, served or not.
fn types(connection: &mut Connection, registry: &Registry) -> Result<Registry> {
    const KEEP: &str = "INSERT INTO type (code, name, endpoint) VALUES (?1, ?2, ?3) \
        ON CONFLICT (code) DO UPDATE SET endpoint = excluded.endpoint";
    let failed = failed("read the resource types");
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let kept = kept(&transaction)?;
    let used_up =
        || StoreError::because(StoreErrorKind::Unavailable, "read the resource types", "no code is left for another type");
    let records = registry.records(&kept).ok_or_else(used_up)?;
    for record in records.iter().filter(|record| !kept.contains(record)) {
        transaction.execute(KEEP, params![record.code.0, record.name, record.endpoint]).map_err(failed)?;
    }
    transaction.commit().map_err(failed)?;
    Ok(registry.clone().with_records(&records))
}

/// The catalogue, with codes for its paths, and with the unique indexes that the configuration asks for; the others are built later.
fn catalogue(connection: &mut Connection, registry: &Registry) -> Result<Catalogue> {
    let failed = failed("build the indexes");
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let catalogue = Catalogue::new(registry, |name| {
        transaction.execute("INSERT OR IGNORE INTO path (name) VALUES (?1)", [name]).map_err(failed)?;
        transaction.query_row("SELECT code FROM path WHERE name = ?1", [name], |row| row.get(0)).map_err(failed)
    })?;
    catalogue.set_unfinished(build::prepare(&transaction, &catalogue)?);
    transaction.commit().map_err(failed)?;
    Ok(catalogue)
}
