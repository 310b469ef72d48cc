//! A schema of a test's own on a server, and nodes over it.

use super::{Postgres, Shared, open};
use crate::base::secret::Secret;
use crate::scim::schema::Registry;
use crate::store::backends::Opening;
use crate::store::tests::fixture::opening;
use crate::store::{Backend, Ledger, Store};
use sqlx::error::DatabaseError;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use uuid::Uuid;

/// The longest wait for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The state of a transaction that the server ended because it waited in a circle.
const DEADLOCK: &str = "40P01";

/// A schema. It is there until [`Schema::drop`].
#[derive(Clone, Debug)]
pub(crate) struct Schema {
    pub(super) name: String,
    pub(super) address: String,
    options: PgConnectOptions,
}

impl Schema {
    /// A new one with the tables of the store.
    pub(crate) async fn new() -> Self {
        let schema = Self::empty().await;
        drop(schema.shared().await);
        schema
    }

    /// A new one with nothing in it.
    pub(crate) async fn empty() -> Self {
        let address = std::env::var("CARILLON_POSTGRES_URL");
        let address = address.expect("CARILLON_POSTGRES_URL names a PostgreSQL server; tests/run starts one and sets it");
        let name = format!("test_{}", Uuid::new_v4().simple());
        // Its sessions are known by its name.
        let address = format!("{address}?options[search_path]={name}&application_name={name}");
        let schema = Self { options: address.parse().expect("an address"), address, name };
        schema.run(format!("CREATE SCHEMA {}", schema.name)).await;
        schema
    }

    /// How it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Runs statements without parameters.
    pub(crate) async fn run(&self, sql: impl Into<String>) {
        run(&mut self.connect().await, sql.into()).await;
    }

    /// How a node of it is opened for these types.
    pub(super) fn opening(&self, registry: &Arc<Registry>) -> Opening {
        let folder = TempDir::new().expect("a folder");
        Opening { database_url: Some(Secret::new(&*self.address)), ..opening(&folder, registry) }
    }

    /// Removes it. A node that is just ending may still have a statement under way, and the two can wait for each other's
    /// locks: the server then ends one of them.
    pub(crate) async fn drop(self) {
        let sql = format!("DROP SCHEMA {} CASCADE", self.name);
        let mut connection = self.connect().await;
        let dropped = async {
            while let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql.as_str())).execute(&mut connection).await {
                let code = error.as_database_error().and_then(DatabaseError::code);
                assert_eq!(code.as_deref(), Some(DEADLOCK), "{error}");
            }
        };
        tokio::time::timeout(PATIENCE, dropped).await.expect("in time");
    }

    /// A session in it.
    pub(crate) async fn connect(&self) -> PgConnection {
        PgConnection::connect_with(&self.options).await.expect("a server that answers")
    }

    /// What a node shares, before any of its tasks runs.
    pub(super) async fn shared(&self) -> Arc<Shared> {
        Arc::new(open::open(self.opening(&Arc::new(Registry::builtin()))).await.expect("a database"))
    }

    /// A node with its tasks.
    pub(super) async fn node(&self) -> Postgres {
        self.node_of(&Arc::new(Registry::builtin())).await
    }

    /// The same for these types.
    pub(super) async fn node_of(&self, registry: &Arc<Registry>) -> Postgres {
        Postgres::open(self.opening(registry)).await.expect("a node")
    }

    /// The same, as it is handed on.
    pub(crate) async fn backend(&self) -> Backend {
        let node = Arc::new(self.node().await);
        let registry = Arc::clone(&node.shared.registry);
        Backend { store: Arc::clone(&node) as Arc<dyn Store>, ledger: node as Arc<dyn Ledger>, registry }
    }

    /// Waits until everything that is committed has its place, and a node knows of it.
    pub(crate) async fn settled(&self, wake: &mut watch::Receiver<u64>) {
        const SQL: &str = "SELECT last_place FROM log WHERE NOT EXISTS (SELECT FROM staged)";
        let mut connection = self.connect().await;
        let settled = async {
            loop {
                let last: Option<i64> = sqlx::query_scalar(SQL).fetch_optional(&mut connection).await.expect("the log");
                if let Some(last) = last {
                    return last;
                }
            }
        };
        let last = tokio::time::timeout(PATIENCE, settled).await.expect("in time");
        reached(wake, u64::try_from(last).expect("a place")).await;
    }

    /// Ends all sessions of the schema but this one.
    pub(super) async fn kill_sessions(&self, connection: &mut PgConnection) -> i64 {
        const SQL: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
            WHERE application_name = $1 AND pid <> pg_backend_pid()";
        sqlx::query_scalar(SQL).bind(&self.name).fetch_one(connection).await.expect("an administrator")
    }
}

/// Stages an event as a writer does: a resource's new version. Returns which event it is.
pub(crate) async fn stage(connection: &mut PgConnection, tenant: u32, at: i64, id: &[u8], version: i64) -> Uuid {
    const SQL: &str = "INSERT INTO staged (event_id, tenant, kind, type, id, external_id, version, txn, at, attributes, data) \
        VALUES ($1, $2, 1, 1, $3, NULL, $4, 'txn', $5, '[\"userName\"]', '{}')";
    let event = Uuid::new_v4();
    let query = sqlx::query(SQL).bind(event).bind(i32::try_from(tenant).expect("a tenant")).bind(id);
    query.bind(version).bind(at).execute(connection).await.expect("staged");
    event
}

/// Runs statements without parameters.
pub(crate) async fn run(connection: &mut PgConnection, sql: String) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.expect("statements");
}

/// Waits until a signal shows at least this.
pub(crate) async fn reached(signal: &mut watch::Receiver<u64>, least: u64) {
    let reached = signal.wait_for(|number| *number >= least);
    tokio::time::timeout(PATIENCE, reached).await.expect("in time").expect("an open store");
}
