//! Records, compared and set in one call; and secrets, of which the first one made stays.

use super::super::Shared;
use super::super::column::{count, number};
use super::super::listener::raise;
use super::super::session::ask;
use crate::base::id::StreamId;
use crate::store::ledger::{Life, Record, RecordChange, push_lease};
use crate::store::{Result, StoreError, StoreErrorKind};
use sqlx::postgres::PgArguments;
use sqlx::query::QueryScalar;
use sqlx::{PgConnection, Postgres};

pub(in super::super) async fn secret(shared: &Shared, name: &'static str, fresh: [u8; 32]) -> Result<[u8; 32]> {
    const MAKE: &str = "INSERT INTO secret (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    // A statement of its own: it sees what another node has made meanwhile.
    const READ: &str = "SELECT value FROM secret WHERE name = $1";
    const OPERATION: &str = "make a secret";
    let made = async |connection: &mut PgConnection| {
        sqlx::query(MAKE).bind(name).bind(&fresh[..]).execute(&mut *connection).await?;
        sqlx::query_scalar::<_, Vec<u8>>(READ).bind(name).fetch_one(connection).await
    };
    let value = shared.ask(OPERATION, made).await?;
    value.try_into().map_err(|_| StoreError::because(StoreErrorKind::Corrupt, OPERATION, "not 32 bytes"))
}

pub(in super::super) async fn records(shared: &Shared, collection: &'static str) -> Result<Vec<Record>> {
    const SQL: &str = "SELECT id, revision, body FROM record WHERE collection = $1 ORDER BY id";
    let query = sqlx::query_as::<_, (String, i64, String)>(SQL).bind(collection);
    let rows = shared.ask("read records", async |connection| query.fetch_all(connection).await).await?;
    Ok(rows.into_iter().map(|(id, revision, body)| Record { id, revision: count(revision), body }).collect())
}

pub(in super::super) async fn write_records(shared: &Shared, changes: Vec<RecordChange>) -> Result<()> {
    const SQL: &str = "SELECT change_records($1, $2, $3, $4, $5)";
    if changes.is_empty() {
        return Ok(());
    }
    change(shared, "write a record", move |channel| columns(sqlx::query_scalar(SQL), changes).bind(channel)).await
}

pub(in super::super) async fn renew(
    shared: &Shared,
    changes: Vec<RecordChange>,
    stream: &StreamId,
    life: Option<Life>,
) -> Result<()> {
    const SQL: &str = "SELECT renew_stream($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let (name, lease) = (stream.as_str().to_owned(), push_lease(stream));
    let (epoch, places) = life.map(|life| (number(life.epoch), life.places.to_string())).unzip();
    let query = move |channel| {
        let query = columns(sqlx::query_scalar(SQL), changes).bind(channel);
        query.bind(name).bind(lease).bind(epoch).bind(places)
    };
    change(shared, "begin or end a stream", query).await
}

/// A call of a function that changes records and tells how many changes there have been.
type Call = QueryScalar<'static, Postgres, Option<i64>, PgArguments>;

/// The changes as arrays, one a column.
fn columns(call: Call, changes: Vec<RecordChange>) -> Call {
    let collections: Vec<&'static str> = changes.iter().map(|change| change.collection).collect();
    let revisions: Vec<Option<i64>> = changes.iter().map(|change| change.expected.map(number)).collect();
    let (ids, bodies): (Vec<String>, Vec<Option<String>>) = changes.into_iter().map(|change| (change.id, change.body)).unzip();
    call.bind(collections).bind(ids).bind(revisions).bind(bodies)
}

async fn change(shared: &Shared, operation: &'static str, call: impl FnOnce(String) -> Call + Send + 'static) -> Result<()> {
    let (delivery, channel, signal) = (shared.delivery.clone(), shared.channel.clone(), shared.records_changed.clone());
    // A task of its own: what is asked for is told to the readers of this node though its asker has gone.
    let changing = tokio::spawn(async move {
        let changes = ask(&delivery, operation, async |connection| call(channel).fetch_one(connection).await).await?;
        raise(&signal, changes.map_or(0, count));
        Ok(())
    });
    changing.await.map_err(|error| StoreError::because(StoreErrorKind::Unavailable, operation, error))?
}
