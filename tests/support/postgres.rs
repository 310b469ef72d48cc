//! A schema of a test's own on a PostgreSQL server.

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

/// A schema. It goes with the last one who uses it.
#[derive(Debug)]
pub struct Schema {
    /// The address that leads into it.
    pub url: String,
    /// Nothing for a database that is somebody else's to remove.
    name: Option<String>,
}

impl Schema {
    /// A new one with nothing in it.
    pub fn new() -> Self {
        let server = std::env::var("CARILLON_POSTGRES_URL");
        let server = server.expect("CARILLON_POSTGRES_URL names a PostgreSQL server; tests/run starts one and sets it");
        let name = format!("test_{}", Uuid::new_v4().simple());
        let sign = if server.contains('?') { '&' } else { '?' };
        let schema = Self { url: format!("{server}{sign}options[search_path]={name}"), name: Some(name.clone()) };
        schema.ask(format!("CREATE SCHEMA {name}")).expect("a server that answers");
        schema
    }

    /// A database as it is.
    pub fn of(url: &str) -> Self {
        Self { url: url.to_owned(), name: None }
    }

    /// Everything that is in it, as text; what is kept as bytes in hexadecimal digits.
    pub fn contents(&self) -> String {
        let dump = "SELECT string_agg(query_to_xml(format('SELECT kept::text FROM %I AS kept', relname), true, false, '')::text, '') \
            FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace";
        self.ask(dump.to_owned()).expect("a server that answers").unwrap_or_default()
    }

    /// Runs one statement; the first value that it gives.
    pub fn ask(&self, sql: String) -> sqlx::Result<Option<String>> {
        let url = self.url.clone();
        // Whoever asks may be in a runtime already.
        let asking = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let options: PgConnectOptions = url.parse()?;
                let mut connection = PgConnection::connect_with(&options).await?;
                let value = sqlx::query_scalar::<_, Option<String>>(AssertSqlSafe(sql)).fetch_optional(&mut connection).await?;
                connection.close().await?;
                Ok(value.flatten())
            })
        });
        asking.join().expect("an answer")
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        let Some(name) = &self.name else { return };
        if let Err(error) = self.ask(format!("DROP SCHEMA {name} CASCADE")) {
            eprintln!("{name} stays: {error}");
        }
    }
}
