//! An existing database: a table of users and a table of groups, each of an id and a JSON document.

use super::{Batches, Feed};
use crate::base::limits;
use crate::base::secret::Secret;
use crate::engine::import::{Known, Origin, Record};
use crate::scim::error::{Error as ScimError, ErrorKind};
use futures_util::StreamExt as _;
use rusqlite::types::ValueRef;
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection, Row as _};
use std::io::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How such a database is named.
pub(super) const FROM: &str = "--from or IMPORT_FROM";
/// The column of documents; where there is none of this name it is the second one.
const DETAILS: &str = "details";

/// Where the tables are.
pub(super) enum Source {
    Sqlite(PathBuf),
    Postgres(Box<PgConnectOptions>),
}

/// The name of a resource type, and of its table.
pub(super) type Tables = [(&'static str, String); 2];

impl Source {
    /// Reads an address. What it says of a problem holds nothing of the address, which may hold a password.
    pub(super) fn parse(url: &Secret) -> std::result::Result<Self, String> {
        let expected =
            || "expected sqlite:FILE or postgresql://USER:PASSWORD@HOST/DATABASE (no other database is read yet)".to_owned();
        let url = url.expose();
        if let Some(path) = url.strip_prefix("sqlite:") {
            return file(path.strip_prefix("//").unwrap_or(path)).map(Self::Sqlite);
        }
        let (scheme, rest) = url.split_once("://").ok_or_else(expected)?;
        let engine = scheme.split_once('+').map_or(scheme, |(engine, _)| engine);
        if !matches!(engine, "postgresql" | "postgres") {
            return Err(expected());
        }
        let options = format!("postgresql://{rest}").parse::<PgConnectOptions>().map_err(|_| expected())?;
        Ok(Self::Postgres(Box::new(options)))
    }

    /// Opens it, and looks for both tables.
    pub(super) async fn open(self, tables: Tables) -> Result<Opened> {
        match self {
            Self::Sqlite(path) => sqlite(&path, tables),
            Self::Postgres(options) => postgres(&options, tables).await,
        }
    }
}

/// A table, and the statement that reads it.
pub(super) struct Table {
    kind: Arc<str>,
    name: Arc<str>,
    select: String,
}

/// A database whose tables are there, as they are at one time.
pub(super) enum Opened {
    Sqlite(rusqlite::Connection, Vec<Table>),
    Postgres(Box<PgConnection>, Vec<Table>),
}

impl Opened {
    /// Reads all rows of both tables, users first.
    pub(super) async fn read(self, most: usize, feed: Feed) {
        let read = match self {
            Self::Sqlite(connection, tables) => {
                let feed = feed.clone();
                let work = move || read_sqlite(&connection, tables, most, feed);
                tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Error::other(error)))
            }
            Self::Postgres(connection, tables) => read_postgres(*connection, tables, most, &feed).await,
        };
        if let Err(error) = read {
            // Who is not there any more needs no reason.
            let _ = feed.send(Err(Error::other(format!("{FROM}: {error}")))).await;
        }
    }
}

/// A file that is there; three slashes mean a relative one to some and an absolute one to others.
fn file(path: &str) -> std::result::Result<PathBuf, String> {
    let spellings = [Some(path), path.strip_prefix('/')];
    let found = spellings.into_iter().flatten().map(PathBuf::from).find(|path| path.is_file());
    found.ok_or_else(|| format!("there is no file {path}"))
}

/// A row as it comes. `number` is its place in the table, from 1.
fn record(kind: &Arc<str>, table: &Arc<str>, number: u64, id: Option<String>, text: Option<Vec<u8>>, most: usize) -> Record {
    let text = match text {
        None => Err(ScimError::invalid_syntax("The row has no document.")),
        Some(text) if text.len() > most => {
            let mib = most / (1024 * 1024);
            Err(ScimError::new(ErrorKind::TooLarge, format!("The document is longer than {mib} MiB (--max-line-mib).")))
        }
        Some(text) => Ok(text),
    };
    let origin = Origin { table: Some(Arc::clone(table)), number, id: id.as_deref().map(Into::into) };
    // A row without an id is refused for its empty one.
    Record { origin, known: Some(Known { kind: Arc::clone(kind), id: id.unwrap_or_default() }), text }
}

/// The columns of ids and of documents.
fn columns(table: &str, names: &[String]) -> Result<(String, String)> {
    let find = |wanted: &str| names.iter().find(|name| name.eq_ignore_ascii_case(wanted)).cloned();
    let id = find("id").ok_or_else(|| Error::other(format!("the table {table} has no column id")))?;
    let details = find(DETAILS).or_else(|| names.get(1).cloned());
    let details = details.ok_or_else(|| Error::other(format!("the table {table} has no column {DETAILS}")))?;
    Ok((quoted(&id), quoted(&details)))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn missing(table: &str) -> Error {
    Error::other(format!("there is no table {table}: --users-table and --groups-table name others"))
}

fn sqlite(path: &Path, tables: Tables) -> Result<Opened> {
    let connection =
        rusqlite::Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(Error::other)?;
    connection.busy_timeout(Duration::from_millis(limits::DATABASE_BUSY_MS)).map_err(Error::other)?;
    connection.execute_batch("BEGIN").map_err(Error::other)?;
    let mut found = Vec::new();
    for (kind, name) in tables {
        let mut about = connection.prepare("SELECT name FROM pragma_table_info(?1)").map_err(Error::other)?;
        let names = about.query_map([&name], |row| row.get::<_, String>(0)).and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>);
        let names = names.map_err(Error::other)?;
        if names.is_empty() {
            return Err(missing(&name));
        }
        let (id, details) = columns(&name, &names)?;
        let select = format!("SELECT CAST({id} AS TEXT), {details} FROM {}", quoted(&name));
        found.push(Table { kind: kind.into(), name: name.into(), select });
    }
    Ok(Opened::Sqlite(connection, found))
}

fn read_sqlite(connection: &rusqlite::Connection, tables: Vec<Table>, most: usize, feed: Feed) -> Result<()> {
    let mut batches = Batches::new(feed);
    for Table { kind, name, select } in tables {
        let mut statement = connection.prepare(&select).map_err(Error::other)?;
        let (mut rows, mut number) = (statement.query([]).map_err(Error::other)?, 0);
        while let Some(row) = rows.next().map_err(Error::other)? {
            number += 1;
            let id = row.get_ref(0).map_err(Error::other)?;
            let id = id.as_bytes_or_null().ok().flatten().and_then(|id| String::from_utf8(id.to_vec()).ok());
            let text = match row.get_ref(1).map_err(Error::other)? {
                ValueRef::Text(text) | ValueRef::Blob(text) => Some(text.to_vec()),
                _ => None,
            };
            if !batches.push_blocking(record(&kind, &name, number, id, text, most)) {
                return Ok(());
            }
        }
    }
    batches.end_blocking();
    Ok(())
}

async fn postgres(options: &PgConnectOptions, tables: Tables) -> Result<Opened> {
    // The text of an error of the driver names no password.
    let connecting = tokio::time::timeout(Duration::from_millis(limits::DATABASE_CONNECT_MS), options.connect());
    let connected = connecting.await.map_err(|_| Error::other("the database does not answer"))?;
    let mut connection = connected.map_err(Error::other)?;
    let begun = sqlx::raw_sql("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").execute(&mut connection).await;
    begun.map_err(Error::other)?;
    let mut found = Vec::new();
    for (kind, name) in tables {
        let select = select(&mut connection, &name).await?;
        found.push(Table { kind: kind.into(), name: name.into(), select });
    }
    Ok(Opened::Postgres(Box::new(connection), found))
}

async fn read_postgres(mut connection: PgConnection, tables: Vec<Table>, most: usize, feed: &Feed) -> Result<()> {
    let mut batches = Batches::new(feed.clone());
    for Table { kind, name, select } in tables {
        let (mut rows, mut number) = (sqlx::query(AssertSqlSafe(select)).fetch(&mut connection), 0);
        while let Some(row) = rows.next().await {
            number += 1;
            let row: PgRow = row.map_err(Error::other)?;
            let id: Option<String> = row.try_get(0).map_err(Error::other)?;
            let text: Option<String> = row.try_get(1).map_err(Error::other)?;
            let record = record(&kind, &name, number, id, text.map(String::into_bytes), most);
            if let Some(batch) = batches.add(record)
                && feed.send(Ok(batch)).await.is_err()
            {
                return Ok(());
            }
        }
    }
    let rest = batches.take();
    // Who is not there any more needs no rest.
    let _ = feed.send(Ok(rest)).await;
    Ok(())
}

/// What a name may stand for, as SQL writes it: a table, or one of a schema; as it is written, and as SQL reads it without quotes.
fn spellings(name: &str) -> Vec<String> {
    let folded = name.to_ascii_lowercase();
    let whole = [name, &folded].map(quoted);
    let parts =
        [name, &folded].map(|name| name.split_once('.').map(|(schema, table)| format!("{}.{}", quoted(schema), quoted(table))));
    whole.into_iter().chain(parts.into_iter().flatten()).collect()
}

/// The statement that reads a table.
async fn select(connection: &mut PgConnection, name: &str) -> Result<String> {
    const FIND: &str = "SELECT spelled, c.oid::bigint, coalesce(obj_description(c.oid, 'pg_class') LIKE 'Made by Carillon%', false) \
        FROM unnest($1::text[]) WITH ORDINALITY AS s (spelled, n) JOIN pg_class c ON c.oid = to_regclass(spelled) ORDER BY n LIMIT 1";
    const COLUMNS: &str =
        "SELECT attname::text FROM pg_attribute WHERE attrelid::bigint = $1 AND attnum > 0 AND NOT attisdropped ORDER BY attnum";
    let find = sqlx::query_as(FIND).bind(spellings(name));
    let found: Option<(String, i64, bool)> = find.fetch_optional(&mut *connection).await.map_err(Error::other)?;
    let (spelled, table, is_ours) = found.ok_or_else(|| missing(name))?;
    if is_ours {
        let moves = "carillon export and carillon import move its resources, with their passwords";
        return Err(Error::other(format!(
            "{name} is a view of Carillon: {moves}; --users-table and --groups-table name other tables"
        )));
    }
    let names: Vec<String> = sqlx::query_scalar(COLUMNS).bind(table).fetch_all(connection).await.map_err(Error::other)?;
    let (id, details) = columns(name, &names)?;
    Ok(format!("SELECT {id}::text, {details}::text FROM {spelled}"))
}
