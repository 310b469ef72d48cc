//! The least that could do the same over PostgreSQL: loops over the program's own driver, with its pool, prepared statements and nothing
//! around them.
//!
//! The rows are a copy of the store's `resource`. A write is a transaction of two statements: the update of one row, by its key, with a
//! document of the same size, and the insert of a row as large as an event into an outbox. A read selects one document by its key.

use super::import::Side;
use super::import_bulk::{connect, run};
use crate::random::Random;
use crate::{Result, limits};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, PgPool};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;
use uuid::Uuid;

const UPDATE: &str = "UPDATE resource SET version = version + 1, revision = revision + 1, modified = $4, body = $5 \
    WHERE tenant = $1 AND type = $2 AND id = $3";
const INSERT: &str = "INSERT INTO outbox (event_id, tenant, type, id, at, attributes, data) VALUES ($1, $2, $3, $4, $5, $6, $7)";
const SELECT: &str = "SELECT body FROM resource WHERE tenant = $1 AND type = $2 AND id = $3";
/// As long as what the server stages of a PATCH of one attribute.
const ATTRIBUTES: &str = r#"["active"]"#;
const DATA: &str = r#"[{"op":"replace","path":"active","value":true}]"#;

/// What the loops do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// BEGIN, UPDATE, INSERT, COMMIT.
    Write,
    /// SELECT.
    Read,
}

/// How the loops are run.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    connections: u32,
    threads: usize,
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} connections, {} threads", self.connections, self.threads)
    }
}

/// Rows of its own in a schema of its own.
#[derive(Debug)]
pub(super) struct Raw {
    address: String,
    schema: String,
    rows: Arc<Vec<Row>>,
    shape: Shape,
}

/// The key of a row of the copy.
type Row = (i32, i32, Vec<u8>);

impl Raw {
    /// Over a copy of the users of a store.
    pub(super) async fn over(side: &Side, address: &str) -> Result<Self> {
        let (_, source) = side.rows.schema.as_ref().ok_or("not a store on a server")?;
        let schema = format!("{source}_raw");
        let mut connection = connect(address).await?;
        let tables = format!(
            "CREATE SCHEMA {schema};
            CREATE TABLE {schema}.resource (LIKE {source}.resource INCLUDING ALL);
            INSERT INTO {schema}.resource SELECT * FROM {source}.resource;
            CREATE TABLE {schema}.outbox (number bigserial PRIMARY KEY, event_id uuid NOT NULL, tenant integer NOT NULL,
                type integer NOT NULL, id bytea NOT NULL, at bigint NOT NULL, attributes text NOT NULL, data text);"
        );
        run(&mut connection, tables).await?;
        run(&mut connection, format!("VACUUM ANALYZE {schema}.resource")).await?;
        run(&mut connection, "CHECKPOINT".into()).await?;
        let rows = sqlx::query_as(AssertSqlSafe(format!("SELECT tenant, type, id FROM {schema}.resource")));
        let rows = Arc::new(rows.fetch_all(&mut connection).await?);
        let shape = Shape { connections: readers(), threads: threads()? };
        Ok(Self { address: address.to_owned(), schema, rows, shape })
    }

    /// Runs each shape for a time and takes the fastest one from now on: the program's pool or a connection for each client, the program's
    /// threads or one alone.
    pub(super) async fn choose(&mut self, work: Work, time: Duration) -> Result<Shape> {
        let mut best = (0.0, self.shape);
        let threads = threads()?;
        let wide = u32::try_from(limits::POSTGRES_CLIENTS)?;
        for connections in [readers(), wide] {
            for threads in [threads, 1] {
                let shape = Shape { connections, threads };
                let rate = self.run(work, time, shape).await?;
                if rate > best.0 {
                    best = (rate, shape);
                }
            }
        }
        self.shape = best.1;
        Ok(self.shape)
    }

    /// Transactions or reads a second.
    pub(super) async fn rate(&self, work: Work, time: Duration) -> Result<f64> {
        self.run(work, time, self.shape).await
    }

    /// The loops have threads of their own, like the server: those of the clients have enough to do.
    async fn run(&self, work: Work, time: Duration, shape: Shape) -> Result<f64> {
        let options = self.address.parse::<PgConnectOptions>()?.options([("search_path", &self.schema)]);
        let rows = Arc::clone(&self.rows);
        let running = tokio::task::spawn_blocking(move || {
            let mut runtime = if shape.threads > 1 { Builder::new_multi_thread() } else { Builder::new_current_thread() };
            let runtime = runtime.worker_threads(shape.threads).enable_all().build()?;
            runtime.block_on(all(work, time, shape, options, rows))
        });
        running.await?
    }

    /// Drops the copy.
    pub(super) async fn drop(self) -> Result<()> {
        run(&mut connect(&self.address).await?, format!("DROP SCHEMA {} CASCADE", self.schema)).await
    }
}

/// The connections of the program's pool.
fn readers() -> u32 {
    let scans = carillon::base::limits::Limits::default().scans;
    u32::try_from(carillon::base::limits::DATABASE_READERS.saturating_add(scans)).unwrap_or(u32::MAX)
}

/// The threads of the program.
fn threads() -> Result<usize> {
    Ok(std::thread::available_parallelism()?.get())
}

async fn all(work: Work, time: Duration, shape: Shape, options: PgConnectOptions, rows: Arc<Vec<Row>>) -> Result<f64> {
    let pool = PgPoolOptions::new().max_connections(shape.connections).test_before_acquire(false).connect_with(options).await?;
    // Every connection is there, and has prepared its statements, before the time begins.
    let lent = futures_util::future::try_join_all((0..shape.connections).map(|_| pool.acquire())).await?;
    drop(lent);
    one_of_all(work, Duration::ZERO, &pool, &rows).await?;
    let begun = Instant::now();
    let done = one_of_all(work, time, &pool, &rows).await?;
    let rate = f64::from(done) / begun.elapsed().as_secs_f64();
    pool.close().await;
    Ok(rate)
}

/// Every client's loop for a time, and once at least.
async fn one_of_all(work: Work, time: Duration, pool: &PgPool, rows: &Arc<Vec<Row>>) -> Result<u32> {
    let end = Instant::now() + time;
    let body: Arc<str> = body(pool, rows).await?.into();
    let clients: Vec<_> = (0..limits::POSTGRES_CLIENTS)
        .map(|client| {
            let (pool, rows, body) = (pool.clone(), Arc::clone(rows), Arc::clone(&body));
            tokio::spawn(async move {
                let mut random = Random::new();
                let mut done = 0_u32;
                loop {
                    // Each client has rows of its own, so that none waits for another.
                    let at = random.below(rows.len() / limits::POSTGRES_CLIENTS) * limits::POSTGRES_CLIENTS + client;
                    match work {
                        Work::Write => write(&pool, &rows[at], &body, &mut random).await?,
                        Work::Read => read(&pool, &rows[at]).await?,
                    }
                    done += 1;
                    if Instant::now() >= end {
                        return Result::Ok(done);
                    }
                }
            })
        })
        .collect();
    let mut done = 0;
    for client in clients {
        done += client.await??;
    }
    Ok(done)
}

async fn body(pool: &PgPool, rows: &[Row]) -> Result<String> {
    let row = rows.first().ok_or("no rows")?;
    Ok(sqlx::query_scalar(SELECT).bind(row.0).bind(row.1).bind(&row.2).fetch_one(pool).await?)
}

async fn write(pool: &PgPool, row: &Row, body: &str, random: &mut Random) -> Result<()> {
    let at = 1_800_000_000_000_i64;
    let mut transaction = pool.begin().await?;
    let update = sqlx::query(UPDATE).bind(row.0).bind(row.1).bind(&row.2).bind(at).bind(body);
    let updated = update.execute(&mut *transaction).await?;
    if updated.rows_affected() != 1 {
        return Err("no row was changed".into());
    }
    let event = Uuid::from_u64_pair(random.next(), random.next());
    let insert = sqlx::query(INSERT).bind(event).bind(row.0).bind(row.1).bind(&row.2).bind(at).bind(ATTRIBUTES).bind(DATA);
    insert.execute(&mut *transaction).await?;
    Ok(transaction.commit().await?)
}

async fn read(pool: &PgPool, row: &Row) -> Result<()> {
    let select = sqlx::query_scalar(SELECT).bind(row.0).bind(row.1).bind(&row.2);
    let document: String = select.fetch_one(pool).await?;
    if document.is_empty() {
        return Err("an empty document".into());
    }
    Ok(())
}
