//! The same rows by the database's own means: `INSERT … SELECT` in one transaction, `COPY … FROM`.

use crate::{Result, replay};
use futures_util::StreamExt as _;
use rusqlite::Connection;
use sqlx::postgres::{PgConnectOptions, PgPoolCopyExt as _};
use sqlx::{AssertSqlSafe, ConnectOptions as _, PgConnection, PgPool};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What is sent at a time, in bytes.
const PIECE_BYTES: usize = 256 * 1024;

/// Where the rows of a store are.
#[derive(Debug)]
pub(crate) struct Rows {
    /// The data folder.
    pub(crate) folder: PathBuf,
    /// The address of a server, and the name of the schema there.
    pub(super) schema: Option<(String, String)>,
}

impl Rows {
    pub(crate) async fn new(folder: &Path, address: Option<&str>) -> Result<Self> {
        let mut rows = Self { folder: folder.to_owned(), schema: None };
        if let Some(address) = address {
            let schema = format!("load_{}", Uuid::new_v4().simple());
            run(&mut connect(address).await?, format!("CREATE SCHEMA {schema}")).await?;
            rows.schema = Some((address.to_owned(), schema));
        }
        Ok(rows)
    }

    /// The settings that name the store.
    pub(crate) fn settings(&self) -> Vec<(String, String)> {
        let folder = ("DATA_PATH".to_owned(), self.folder.display().to_string());
        let store = match &self.schema {
            None => ("STORE".to_owned(), "sqlite".to_owned()),
            Some((address, schema)) => ("DATABASE_URL".to_owned(), format!("{address}?options[search_path]={schema}")),
        };
        vec![folder, store]
    }

    pub(crate) async fn drop(self) -> Result<()> {
        let Some((address, schema)) = self.schema else { return Ok(std::fs::remove_dir_all(self.folder)?) };
        run(&mut connect(&address).await?, format!("DROP SCHEMA {schema} CASCADE")).await
    }
}

/// Inserts the rows of a store into new tables of the same kind, with the same indexes and as durably. How long it took, and how many.
pub(crate) async fn insert(rows: &Rows) -> Result<(Duration, u64)> {
    match &rows.schema {
        None => into_sqlite(&rows.folder),
        Some((address, schema)) => into_postgres(address, schema).await,
    }
}

fn into_sqlite(folder: &Path) -> Result<(Duration, u64)> {
    const MADE: &str =
        "SELECT type, name, sql FROM source.sqlite_schema WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite_%' ORDER BY rowid";
    let beside = folder.join("bulk");
    std::fs::create_dir_all(&beside)?;
    let file = beside.join("bulk.db");
    let connection = Connection::open(&file)?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -16384;")?;
    connection.execute("ATTACH ?1 AS source", [replay::database(folder)?.display().to_string()])?;
    let made = connection
        .prepare(MADE)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<rusqlite::Result<Vec<(String, String, String)>>>()?;
    made.iter().try_for_each(|(.., sql)| connection.execute_batch(sql))?;
    let begun = Instant::now();
    // Without a condition SQLite copies the pages of tables that are alike, and inserts nothing.
    connection.execute_batch("BEGIN IMMEDIATE")?;
    let mut rows = 0;
    for (_, table, _) in made.iter().filter(|(kind, ..)| kind == "table") {
        rows += connection.execute(&format!("INSERT INTO main.\"{table}\" SELECT * FROM source.\"{table}\" WHERE true"), [])?;
    }
    connection.execute_batch("COMMIT")?;
    let took = begun.elapsed();
    drop(connection);
    std::fs::remove_dir_all(beside)?;
    Ok((took, rows as u64))
}

async fn into_postgres(address: &str, schema: &str) -> Result<(Duration, u64)> {
    const TABLES: &str =
        "SELECT relname::text FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind = 'r' AND reltuples <> 0";
    let pool = PgPool::connect(address).await?;
    let copy = format!("{schema}_bulk");
    run(&mut connect(address).await?, format!("CREATE SCHEMA {copy}")).await?;
    // Which tables are empty is known after this.
    let analyze: Vec<String> =
        sqlx::query_scalar("SELECT relname::text FROM pg_class WHERE relnamespace = $1::regnamespace AND relkind = 'r'")
            .bind(schema)
            .fetch_all(&pool)
            .await?;
    for table in analyze {
        sqlx::raw_sql(AssertSqlSafe(format!("ANALYZE {schema}.\"{table}\""))).execute(&pool).await?;
    }
    let tables: Vec<String> = sqlx::query_scalar(TABLES).bind(schema).fetch_all(&pool).await?;
    let (mut took, mut rows) = (Duration::ZERO, 0);
    for table in tables {
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE TABLE {copy}.\"{table}\" (LIKE {schema}.\"{table}\" INCLUDING ALL)")))
            .execute(&pool)
            .await?;
        let mut file = tempfile::tempfile_in(env!("CARGO_TARGET_TMPDIR"))?;
        let mut out = pool.copy_out_raw(&format!("COPY {schema}.\"{table}\" TO STDOUT (FORMAT binary)")).await?;
        while let Some(bytes) = out.next().await {
            file.write_all(&bytes?)?;
        }
        file.rewind()?;
        let mut buffer = vec![0; PIECE_BYTES];
        let begun = Instant::now();
        let mut into = pool.copy_in_raw(&format!("COPY {copy}.\"{table}\" FROM STDIN (FORMAT binary)")).await?;
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            into.send(&buffer[..count]).await?;
        }
        rows += into.finish().await?;
        took += begun.elapsed();
    }
    run(&mut connect(address).await?, format!("DROP SCHEMA {copy} CASCADE")).await?;
    Ok((took, rows))
}

pub(super) async fn connect(address: &str) -> Result<PgConnection> {
    Ok(address.parse::<PgConnectOptions>()?.connect().await?)
}

pub(super) async fn run(connection: &mut PgConnection, sql: String) -> Result<()> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}
