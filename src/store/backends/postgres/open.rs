//! Opening: the address, a database that may still be starting, the migrations, the types and the indexes (see [`existing`] for a database
//! that stays as it is).

use super::build::{self, Prepared};
use super::column::failed;
use super::existing::{self, Known};
use super::past::Past;
use super::pool::{Doubt, Manager, pool};
use super::reader::Statements;
use super::sequencer::Staged;
use super::session::{self, Lock, limit_waits, settle};
use super::{Shared, address, epoch, ledger, sequences, views};
use crate::base::crypto::install_crypto;
use crate::base::limits;
use crate::scim::schema::Registry;
use crate::store::backends::{self, Opening, Purpose};
use crate::store::index::Indexes;
use crate::store::sql::catalogue::Catalogue;
use crate::store::{Result, StoreError, StoreErrorKind};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, PgTransaction, Row};
use std::collections::{BTreeSet, HashMap};
use std::io::ErrorKind;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

/// The migrations, in order. The schema's version is how many of them have run.
pub(super) const MIGRATIONS: &[&str] = &[include_str!("migrations/0001_first.sql"), include_str!("migrations/0002_revisions.sql")];
/// The least version of the server, as it counts them.
const LEAST_VERSION: i32 = 130_000;

pub(super) fn refused(operation: &'static str, problem: impl Into<String>) -> StoreError {
    StoreError::because(StoreErrorKind::Unavailable, operation, problem.into())
}

/// Opens the database: makes it what this program needs, if it is to serve, and finds out what it holds.
pub(super) async fn open(opening: Opening) -> Result<Shared> {
    install_crypto();
    let options = address::options(&opening)?;
    let is_read = opening.purpose == Purpose::Read;
    let options = if is_read { options.options([("default_transaction_read_only", "on")]) } else { options };
    let about = |error: StoreError| {
        if error.kind == StoreErrorKind::Refused {
            return error;
        }
        let place = options
            .get_socket()
            .map_or_else(|| format!("{}:{}", options.get_host(), options.get_port()), |socket| socket.display().to_string());
        let StoreError { kind, operation, source, .. } = error;
        let problem = source.map_or_else(|| place.clone(), |source| format!("{place}: {source}"));
        StoreError::because(kind, operation, problem)
    };
    let mut connection = reach(&options, is_read).await.map_err(about)?;
    let schema = check(&mut connection).await.map_err(about)?;
    let import = match opening.purpose {
        Purpose::Write => Some(session::claim_import(&options, schema).await.map_err(about)?),
        Purpose::Serve | Purpose::Read => None,
    };
    let Known { registry, catalogue, epoch } = known(&mut connection, schema, &opening).await.map_err(about)?;
    if opening.purpose == Purpose::Serve {
        sequences::bring_forward(&mut connection, schema).await.map_err(about)?;
        ledger::bring_back(&mut connection).await.map_err(about)?;
    }
    let (past, record_changes) = Past::new(&mut connection).await.map_err(failed("read how far the log is")).map_err(about)?;
    let past = Arc::new(past);
    settle(&mut connection).await.map_err(failed("open the database")).map_err(about)?;
    limit_waits(&mut connection).await.map_err(failed("open the database")).map_err(about)?;
    // Who has waited for other nodes has last looked long ago.
    let looked = Instant::now();
    if !is_read {
        let (_, held) = epoch::read(&mut connection).await.map_err(about)?;
        catalogue.set_unfinished(epoch::unfinished(&catalogue, &held));
    }
    let scans = opening.limits.scans.min(Semaphore::MAX_PERMITS);
    let manager = Manager { options: options.clone(), doubt: Arc::new(Doubt::new()), past: (!is_read).then(|| Arc::clone(&past)) };
    let pool = |most: usize| pool(manager.clone(), most).map_err(|error| about(refused("open the database", error.to_string())));
    Ok(Shared {
        readers: pool(limits::DATABASE_READERS.saturating_add(scans))?,
        delivery: pool(limits::DATABASE_DELIVERY)?,
        statements: Statements::new(&catalogue.group_types()),
        registry: Arc::new(registry),
        catalogue,
        looked: Mutex::new(looked),
        schema,
        epoch,
        opened: Mutex::new((!is_read).then_some(connection)),
        _import: import,
        ids: opening.ids,
        limits: opening.limits,
        channel: format!("carillon_{schema}"),
        leases_changed: watch::Sender::new(0),
        wake: past.wake(),
        past,
        records_changed: watch::Sender::new(record_changes),
        staged: Staged::default(),
        scans: Semaphore::new(scans),
    })
}

/// What the database holds, which is changed to what the configuration asks for unless it is to stay as it is.
async fn known(connection: &mut PgConnection, schema: u32, opening: &Opening) -> Result<Known> {
    let registry = &opening.registry;
    match opening.purpose {
        Purpose::Read => return existing::to_read(connection, schema, registry).await,
        Purpose::Write => {
            if let Some(known) = existing::to_write(connection, schema, registry).await? {
                return Ok(known);
            }
        }
        Purpose::Serve => {}
    }
    // To build an index takes as long as it takes.
    sqlx::raw_sql("SET statement_timeout = 0").execute(&mut *connection).await.map_err(failed("open the database"))?;
    migrate(connection, schema).await?;
    let registry = types(connection, schema, registry).await?;
    let (catalogue, epoch) = catalogue(connection, schema, &registry, opening.purpose).await?;
    views::show(connection, schema, &opening.views).await?;
    Ok(Known { registry, catalogue, epoch })
}

/// The first connection, when the database answers within a time: where both start together it is often the later one.
async fn reach(options: &PgConnectOptions, is_read: bool) -> Result<PgConnection> {
    const OPERATION: &str = "connect to the database";
    let deadline = Instant::now() + Duration::from_millis(limits::DATABASE_START_MS);
    let mut turns = interval(Duration::from_millis(limits::DATABASE_START_RETRY_MS));
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut is_told = false;
    loop {
        turns.tick().await;
        let problem = match timeout(Duration::from_millis(limits::DATABASE_ACQUIRE_MS), first(options, is_read)).await {
            Ok(Ok(Some(connection))) => return Ok(connection),
            Ok(Ok(None)) => "the server takes no writes: it is recovering, or it is a replica".to_owned(),
            Ok(Err(error)) if is_starting(options, &error) => error.to_string(),
            Ok(Err(error)) => return Err(address::explained(options, error, failed(OPERATION))),
            Err(_) => "no answer".to_owned(),
        };
        if Instant::now() >= deadline {
            return Err(refused(OPERATION, problem));
        }
        if !is_told {
            is_told = true;
            tracing::warn!(problem, "the database does not answer yet: waiting for it");
        }
    }
}

async fn first(options: &PgConnectOptions, is_read: bool) -> sqlx::Result<Option<PgConnection>> {
    let mut connection = PgConnection::connect_with(options).await?;
    settle(&mut connection).await?;
    let is_replica: bool = sqlx::query_scalar("SELECT pg_is_in_recovery()").fetch_one(&mut connection).await?;
    Ok((is_read || !is_replica).then_some(connection))
}

/// Whether a database that is starting, or just not there, fails so.
fn is_starting(options: &PgConnectOptions, error: &sqlx::Error) -> bool {
    match error {
        // A socket comes with its server; a file that belongs to the address does not come by itself.
        sqlx::Error::Io(failure) if failure.kind() == ErrorKind::NotFound => address::is_socket(options),
        sqlx::Error::Io(_) => address::of_tls(error).is_none(),
        // It starts up or shuts down, or has no connection left.
        sqlx::Error::Database(failure) => {
            matches!(failure.code().as_deref(), Some("57P01" | "57P02" | "57P03" | "53300"))
        }
        _ => false,
    }
}

/// Whether the server is one that this program can use; the object identifier of the schema.
async fn check(connection: &mut PgConnection) -> Result<u32> {
    const OPERATION: &str = "look at the database";
    const SQL: &str = "SELECT current_setting('server_version_num')::int, current_setting('server_version'), \
        current_setting('server_encoding'), current_setting('fsync'), \
        (SELECT oid::bigint FROM pg_namespace WHERE nspname = current_schema())";
    let failed = failed(OPERATION);
    let row = sqlx::query(SQL).fetch_one(connection).await.map_err(failed)?;
    let (number, name): (i32, String) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
    if number < LEAST_VERSION {
        return Err(refused(OPERATION, format!("the server is PostgreSQL {name}: expected 13 or newer")));
    }
    let encoding: String = row.try_get(2).map_err(failed)?;
    if encoding != "UTF8" {
        return Err(refused(OPERATION, format!("the database's encoding is {encoding}: expected UTF8")));
    }
    if row.try_get::<String, _>(3).map_err(failed)? == "off" {
        tracing::warn!("the server runs with fsync = off: what it acknowledges can be lost");
    }
    let schema: Option<i64> = row.try_get(4).map_err(failed)?;
    let schema = schema.and_then(|schema| u32::try_from(schema).ok());
    schema.ok_or_else(|| refused(OPERATION, "the search_path names no schema that exists and may be used"))
}

/// A transaction in which no other node changes tables, or what is noted of indexes.
pub(super) async fn alone<'c>(connection: &'c mut PgConnection, schema: u32, operation: &'static str) -> Result<PgTransaction<'c>> {
    let failed = failed(operation);
    let mut transaction = connection.begin().await.map_err(failed)?;
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(Lock::Schema.key(schema));
    lock.execute(&mut *transaction).await.map_err(failed)?;
    Ok(transaction)
}

/// Runs the migrations that have not run yet, each in a transaction with the note that it has.
async fn migrate(connection: &mut PgConnection, schema: u32) -> Result<()> {
    const OPERATION: &str = "migrate the database";
    const NOTE: &str =
        "INSERT INTO meta (name, value) VALUES ('schema_version', $1) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    let failed = failed(OPERATION);
    loop {
        let mut transaction = alone(connection, schema, OPERATION).await?;
        if !existing::is_begun(&mut transaction, schema).await? {
            let make = "CREATE TABLE meta (name text PRIMARY KEY, value text NOT NULL)";
            sqlx::query(make).execute(&mut *transaction).await.map_err(failed)?;
        }
        let done = existing::version(&mut transaction).await?.unwrap_or(0);
        if done > MIGRATIONS.len() {
            let problem = format!(
                "the data is of schema version {done}, this program knows versions up to {}: use a newer program",
                MIGRATIONS.len()
            );
            return Err(StoreError::because(StoreErrorKind::Corrupt, OPERATION, problem));
        }
        let Some(migration) = MIGRATIONS.get(done) else { return Ok(()) };
        sqlx::raw_sql(*migration).execute(&mut *transaction).await.map_err(failed)?;
        sqlx::query(NOTE).bind((done + 1).to_string()).execute(&mut *transaction).await.map_err(failed)?;
        transaction.commit().await.map_err(failed)?;
    }
}

/// The registry under the codes by which the database keeps its types. A type keeps its code for ever, served or not.
async fn types(connection: &mut PgConnection, schema: u32, registry: &Registry) -> Result<Registry> {
    const OPERATION: &str = "read the resource types";
    const KEEP: &str = "INSERT INTO type (code, name, endpoint) VALUES ($1, $2, $3) \
        ON CONFLICT (code) DO UPDATE SET endpoint = excluded.endpoint";
    let failed = failed(OPERATION);
    let mut transaction = alone(connection, schema, OPERATION).await?;
    let kept = existing::types(&mut transaction).await?;
    let records = registry.records(&kept).ok_or_else(|| refused(OPERATION, "no code is left for another type"))?;
    for record in records.iter().filter(|record| !kept.contains(record)) {
        let keep = sqlx::query(KEEP).bind(i32::from(record.code.0)).bind(&record.name).bind(&record.endpoint);
        keep.execute(&mut *transaction).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)?;
    Ok(registry.clone().with_records(&records))
}

/// The catalogue, with codes for its paths, and with the unique indexes that the configuration asks for; the others are built later. And the
/// epoch of these indexes, which the connection shows from now on.
async fn catalogue(connection: &mut PgConnection, schema: u32, registry: &Registry, purpose: Purpose) -> Result<(Catalogue, u32)> {
    const OPERATION: &str = "build the indexes";
    let failed = failed(OPERATION);
    let codes = codes(connection, schema, registry).await?;
    let code = |name: &str| codes.get(name).copied().ok_or_else(|| super::column::corrupt(OPERATION, "a path has no code"));
    let catalogue = Catalogue::new(registry, code)?;
    let deadline = Instant::now() + Duration::from_millis(limits::OTHER_NODES_MS);
    let mut turns = interval(Duration::from_millis(limits::INDEX_LOOK_MS));
    let mut told = None;
    loop {
        turns.tick().await;
        let mut transaction = alone(connection, schema, OPERATION).await?;
        match build::prepare(&mut transaction, schema, &catalogue).await? {
            Prepared::Ready { epoch: 2.., .. } if purpose == Purpose::Write => {
                return Err(backends::refused("a server has just set this database up: begin again"));
            }
            Prepared::Ready { epoch, unfinished, is_withdrawn } => {
                transaction.commit().await.map_err(failed)?;
                epoch::appear(connection, schema, epoch).await?;
                catalogue.set_unfinished(unfinished);
                if is_withdrawn {
                    tracing::warn!(
                        "nodes of another configuration use indexes that this one does not keep: waiting until they have noticed"
                    );
                    build::notice().await;
                }
                return Ok((catalogue, epoch));
            }
            Prepared::Wait(path) if Instant::now() >= deadline => {
                let problem = format!(
                    "'{path}' is to be unique, which nodes that are still running do not keep: stop them before this one starts"
                );
                return Err(refused(OPERATION, problem));
            }
            Prepared::Wait(path) => {
                // Others need the locks meanwhile.
                transaction.rollback().await.map_err(failed)?;
                if told.as_ref() != Some(&path) {
                    tracing::warn!(path, "waiting for the nodes to end that do not keep an index to be unique");
                    told = Some(path);
                }
            }
        }
    }
}

/// The codes of all paths that are indexed.
async fn codes(connection: &mut PgConnection, schema: u32, registry: &Registry) -> Result<HashMap<String, i64>> {
    const OPERATION: &str = "read the indexed paths";
    const KEEP: &str = "INSERT INTO path (name) SELECT name FROM unnest($1::text[]) AS fresh (name) \
        WHERE NOT EXISTS (SELECT FROM path WHERE path.name = fresh.name)";
    let failed = failed(OPERATION);
    let names: BTreeSet<String> =
        registry.types().iter().flat_map(|kind| Indexes::of(kind).names().map(ToString::to_string).collect::<Vec<_>>()).collect();
    let mut transaction = alone(connection, schema, OPERATION).await?;
    let names: Vec<String> = names.into_iter().collect();
    sqlx::query(KEEP).bind(names).execute(&mut *transaction).await.map_err(failed)?;
    let codes = existing::codes(&mut transaction).await?;
    transaction.commit().await.map_err(failed)?;
    Ok(codes)
}
