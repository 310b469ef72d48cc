//! Writes what units have come to: a statement for each table that changes, however many units there are.
//!
//! The order is the same in every transaction, and within a statement that of keys, so that two nodes seldom wait for each other in a circle.
//! Where each takes a unique value that the other one gives up they do: the database ends one of the transactions, which is tried again.

use super::column::{id_bytes, number, tenant_number, write_failed as failed};
use super::lock::{IndexColumns, columns};
use crate::base::id::{Key, ResourceId};
use crate::event::Event;
use crate::scim::resource::Member;
use crate::store::sql::draft::{Differences, IndexKey, Membership, Named, Row, Written};
use crate::store::{Result, StoreError, StoreErrorKind};
use sqlx::PgConnection;
use sqlx::postgres::PgQueryResult;
use uuid::Uuid;

const DELETE: &str = "DELETE FROM resource r USING unnest($1::int[], $2::int[], $3::bytea[]) AS gone (tenant, type, id) \
    WHERE r.tenant = gone.tenant AND r.type = gone.type AND r.id = gone.id";
const INSERT: &str = "INSERT INTO resource \
    (tenant, type, id, version, revision, created, modified, member_count, external_id, display, secrets, body) \
    SELECT tenant, type, id, version, revision, created, modified, member_count, external_id, display, nullif(secrets, ''), body \
    FROM unnest($1::int[], $2::int[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], $9::text[], \
    $10::text[], $11::text[], $12::bigint[]) AS new \
    (tenant, type, id, version, member_count, modified, revision, external_id, display, secrets, body, created) \
    ON CONFLICT DO NOTHING";
const REPLACE: &str = "UPDATE resource r SET version = new.version, member_count = new.member_count, \
    modified = coalesce(new.modified, r.modified), revision = new.revision, external_id = new.external_id, display = new.display, \
    secrets = nullif(coalesce(new.secrets, r.secrets), ''), body = new.body \
    FROM unnest($1::int[], $2::int[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::text[], $9::text[], \
    $10::text[], $11::text[]) AS new \
    (tenant, type, id, version, member_count, modified, revision, external_id, display, secrets, body) \
    WHERE r.tenant = new.tenant AND r.type = new.type AND r.id = new.id";
const COUNT_UP: &str = "UPDATE resource r SET version = new.version, member_count = new.member_count, \
    modified = coalesce(new.modified, r.modified) \
    FROM unnest($1::int[], $2::int[], $3::bytea[], $4::bigint[], $5::bigint[], $6::bigint[]) AS new \
    (tenant, type, id, version, member_count, modified) WHERE r.tenant = new.tenant AND r.type = new.type AND r.id = new.id";
const RELEASE: &str = "DELETE FROM unique_key k \
    USING unnest($1::int[], $2::int[], $3::int[], $4::bytea[], $5::bytea[]) AS gone (tenant, type, path, value, id) \
    WHERE k.tenant = gone.tenant AND k.type = gone.type AND k.path = gone.path AND k.value = gone.value AND k.id = gone.id";
const CLAIM: &str = "INSERT INTO unique_key (tenant, type, path, value, id) \
    SELECT * FROM unnest($1::int[], $2::int[], $3::int[], $4::bytea[], $5::bytea[]) ON CONFLICT DO NOTHING";
const UNINDEX: &str = "DELETE FROM lookup l \
    USING unnest($1::int[], $2::int[], $3::int[], $4::bytea[], $5::bytea[]) AS gone (tenant, type, path, value, id) \
    WHERE l.tenant = gone.tenant AND l.type = gone.type AND l.path = gone.path AND l.value = gone.value AND l.id = gone.id";
const INDEX: &str = "INSERT INTO lookup (tenant, type, path, value, id) \
    SELECT * FROM unnest($1::int[], $2::int[], $3::int[], $4::bytea[], $5::bytea[]) ON CONFLICT DO NOTHING";
const CLOTHE: &str = "DELETE FROM bare b USING unnest($1::int[], $2::int[], $3::int[], $4::bytea[]) AS gone (tenant, type, path, id) \
    WHERE b.tenant = gone.tenant AND b.type = gone.type AND b.path = gone.path AND b.id = gone.id";
const BARE: &str = "INSERT INTO bare (tenant, type, path, id) \
    SELECT * FROM unnest($1::int[], $2::int[], $3::int[], $4::bytea[]) ON CONFLICT DO NOTHING";
const DISBAND: &str = "DELETE FROM member m USING unnest($1::int[], $2::bytea[]) AS gone (tenant, id) \
    WHERE m.tenant = gone.tenant AND m.group_id = gone.id";
const LEAVE: &str = "DELETE FROM member m USING unnest($1::int[], $2::bytea[], $3::bytea[]) AS gone (tenant, group_id, member_id) \
    WHERE m.tenant = gone.tenant AND m.group_id = gone.group_id AND m.member_id = gone.member_id";
const JOIN: &str = "INSERT INTO member (tenant, group_id, member_id, kind, display) \
    SELECT * FROM unnest($1::int[], $2::bytea[], $3::bytea[], $4::text[], $5::text[]) ON CONFLICT DO NOTHING";
const STAGE: &str = "WITH batch AS MATERIALIZED (SELECT nextval('staged_number_seq') AS number) \
    INSERT INTO staged (number, event_id, tenant, kind, type, id, external_id, version, txn, at, attributes, data, ordinal) \
    SELECT batch.number, new.* FROM batch, unnest($1::uuid[], $2::int[], $3::int[], $4::int[], $5::bytea[], $6::text[], $7::bigint[], \
    $8::text[], $9::bigint[], $10::text[], $11::text[]) WITH ORDINALITY AS new";
const COUNT: &str = "INSERT INTO counter (tenant, type, slot, n) SELECT tenant, type, $3, n \
    FROM unnest($1::int[], $2::int[], $4::bigint[]) AS new (tenant, type, n) \
    ON CONFLICT (tenant, type, slot) DO UPDATE SET n = counter.n + excluded.n";

/// Another node was faster with a key or an id: the batch is to be made anew.
fn overtaken() -> StoreError {
    StoreError::new(StoreErrorKind::Stale, "take a unique key")
}

/// Writes all of it, within the transaction that has read what it rests on.
pub(super) async fn write(connection: &mut PgConnection, differences: &Differences, slot: i32) -> Result<()> {
    ended(connection, &differences.ended).await?;
    resources(connection, &differences.resources).await?;
    indexes(connection, differences).await?;
    members(connection, differences).await?;
    stage(connection, &differences.events).await?;
    counted(connection, differences, slot).await
}

/// Keys as arrays: tenants, types, ids.
fn keys<'k>(keys: impl Iterator<Item = &'k Key>) -> (Vec<i32>, Vec<i32>, Vec<Vec<u8>>) {
    let (mut tenants, mut types, mut ids) = (Vec::new(), Vec::new(), Vec::new());
    for key in keys {
        tenants.push(tenant_number(key.tenant));
        types.push(i32::from(key.kind.0));
        ids.push(id_bytes(&key.id));
    }
    (tenants, types, ids)
}

async fn ended(connection: &mut PgConnection, ended: &[Key]) -> Result<()> {
    if ended.is_empty() {
        return Ok(());
    }
    let (tenants, types, ids) = keys(ended.iter());
    let deleted = sqlx::query(DELETE).bind(tenants).bind(types).bind(ids).execute(connection).await;
    deleted.map(drop).map_err(failed("delete resources"))
}

/// Rows of a kind: created, replaced, or with other counters alone.
async fn resources(connection: &mut PgConnection, changed: &[(Key, Row)]) -> Result<()> {
    let created = |row: &Row| row.written.as_ref().is_some_and(|written| written.created.is_some());
    let (new, known): (Vec<_>, Vec<_>) = changed.iter().partition(|(_, row)| created(row));
    let (replaced, counted): (Vec<_>, Vec<_>) = known.into_iter().partition(|(_, row)| row.written.is_some());
    if !new.is_empty() {
        let created = |(_, row): &&(Key, Row)| row.written.as_ref().and_then(|written| written.created).map_or(0, |at| at.0);
        let times: Vec<i64> = new.iter().map(created).collect();
        let inserted = with_documents(INSERT, &new).bind(times).execute(&mut *connection).await;
        all_of(new.len(), &inserted.map_err(failed("insert resources"))?)?;
    }
    if !replaced.is_empty() {
        let updated = with_documents(REPLACE, &replaced).execute(&mut *connection).await;
        updated.map_err(failed("replace resources"))?;
    }
    if !counted.is_empty() {
        with_counters(COUNT_UP, &counted).execute(connection).await.map_err(failed("count members"))?;
    }
    Ok(())
}

/// That every row was inserted: one that was not is another node's.
fn all_of(wanted: usize, inserted: &PgQueryResult) -> Result<()> {
    if inserted.rows_affected() == wanted as u64 { Ok(()) } else { Err(overtaken()) }
}

type Query<'q> = sqlx::query::Query<'q, sqlx::Postgres, sqlx::postgres::PgArguments>;

/// `$1` to `$6`: keys and counters.
fn with_counters<'q>(sql: &'static str, rows: &[&(Key, Row)]) -> Query<'q> {
    let (tenants, types, ids) = keys(rows.iter().map(|(key, _)| key));
    let versions: Vec<i64> = rows.iter().map(|(_, row)| number(row.facts.version)).collect();
    let counts: Vec<i64> = rows.iter().map(|(_, row)| number(row.facts.member_count)).collect();
    let modified: Vec<Option<i64>> = rows.iter().map(|(_, row)| row.modified.map(|at| at.0)).collect();
    sqlx::query(sql).bind(tenants).bind(types).bind(ids).bind(versions).bind(counts).bind(modified)
}

/// `$7` to `$11` as well: revisions and documents.
fn with_documents<'q>(sql: &'static str, rows: &[&(Key, Row)]) -> Query<'q> {
    let revisions: Vec<i64> = rows.iter().map(|(_, row)| number(row.facts.revision)).collect();
    let external_ids: Vec<Option<String>> = rows.iter().map(|(_, row)| row.external_id.clone()).collect();
    let written = || rows.iter().filter_map(|(_, row)| row.written.as_ref());
    let displays: Vec<Option<String>> = written().map(|written| written.display.clone()).collect();
    let secrets: Vec<Option<String>> = written().map(|written| written.secrets.clone()).collect();
    let text = |written: &Written| String::from_utf8_lossy(&written.body).into_owned();
    let bodies: Vec<String> = written().map(text).collect();
    with_counters(sql, rows).bind(revisions).bind(external_ids).bind(displays).bind(secrets).bind(bodies)
}

async fn indexes(connection: &mut PgConnection, differences: &Differences) -> Result<()> {
    entries(connection, "release unique keys", RELEASE, &differences.released).await?;
    let claimed = entries(connection, "claim unique keys", CLAIM, &differences.claimed).await?;
    if claimed != differences.claimed.len() as u64 {
        return Err(overtaken());
    }
    entries(connection, "remove index entries", UNINDEX, &differences.unindexed).await?;
    entries(connection, "add index entries", INDEX, &differences.indexed).await?;
    bared(connection, CLOTHE, &differences.clothed).await?;
    bared(connection, BARE, &differences.bare).await
}

async fn entries(
    connection: &mut PgConnection,
    operation: &'static str,
    sql: &'static str,
    entries: &[(IndexKey, ResourceId)],
) -> Result<u64> {
    if entries.is_empty() {
        return Ok(0);
    }
    let keys = IndexColumns::new(entries.iter().map(|(key, _)| key));
    let ids: Vec<Vec<u8>> = entries.iter().map(|(_, id)| id_bytes(id)).collect();
    let query = sqlx::query(sql).bind(keys.tenants).bind(keys.types).bind(keys.paths).bind(keys.values).bind(ids);
    query.execute(connection).await.map(|done| done.rows_affected()).map_err(failed(operation))
}

async fn bared(connection: &mut PgConnection, sql: &'static str, places: &[(Key, i64)]) -> Result<()> {
    if places.is_empty() {
        return Ok(());
    }
    let (tenants, types, ids) = keys(places.iter().map(|(key, _)| key));
    let paths: Vec<i32> = places.iter().map(|(_, code)| i32::try_from(*code).unwrap_or(i32::MAX)).collect();
    let done = sqlx::query(sql).bind(tenants).bind(types).bind(paths).bind(ids).execute(connection).await;
    done.map(drop).map_err(failed("note who has no value"))
}

async fn members(connection: &mut PgConnection, differences: &Differences) -> Result<()> {
    disband(connection, &differences.disbanded).await?;
    leave(connection, &differences.left).await?;
    join(connection, &differences.joined).await
}

async fn disband(connection: &mut PgConnection, groups: &[Named]) -> Result<()> {
    if groups.is_empty() {
        return Ok(());
    }
    let (tenants, ids) = columns(groups.iter());
    let done = sqlx::query(DISBAND).bind(tenants).bind(ids).execute(connection).await;
    done.map(drop).map_err(failed("remove all members"))
}

async fn leave(connection: &mut PgConnection, left: &[Membership]) -> Result<()> {
    if left.is_empty() {
        return Ok(());
    }
    let tenants: Vec<i32> = left.iter().map(|(tenant, ..)| tenant_number(*tenant)).collect();
    let groups: Vec<Vec<u8>> = left.iter().map(|(_, group, _)| id_bytes(group)).collect();
    let ids: Vec<Vec<u8>> = left.iter().map(|(.., id)| id_bytes(id)).collect();
    let done = sqlx::query(LEAVE).bind(tenants).bind(groups).bind(ids).execute(connection).await;
    done.map(drop).map_err(failed("remove members"))
}

async fn join(connection: &mut PgConnection, joined: &[(Named, Member)]) -> Result<()> {
    if joined.is_empty() {
        return Ok(());
    }
    let (tenants, groups) = columns(joined.iter().map(|(group, _)| group));
    let ids: Vec<Vec<u8>> = joined.iter().map(|(_, member)| id_bytes(&member.id)).collect();
    let kinds: Vec<Option<String>> = joined.iter().map(|(_, member)| member.kind.clone()).collect();
    let displays: Vec<Option<String>> = joined.iter().map(|(_, member)| member.display.clone()).collect();
    let query = sqlx::query(JOIN).bind(tenants).bind(groups).bind(ids).bind(kinds).bind(displays);
    query.execute(connection).await.map(drop).map_err(failed("add members"))
}

/// The events, numbered in their order. Whoever stages them holds the lock of what they tell of: of one resource they are numbered in
/// the order in which it changed.
async fn stage(connection: &mut PgConnection, events: &[Event]) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let (tenants, types, subjects) = keys(events.iter().map(|event| &event.subject));
    let ids: Vec<Uuid> = events.iter().map(|event| event.id.0).collect();
    let kinds: Vec<i32> = events.iter().map(|event| i32::from(event.kind.code())).collect();
    let external_ids: Vec<Option<&str>> = events.iter().map(|event| event.external_id.as_deref()).collect();
    let versions: Vec<i64> = events.iter().map(|event| number(event.version)).collect();
    let txns: Vec<&str> = events.iter().map(|event| event.txn.as_str()).collect();
    let times: Vec<i64> = events.iter().map(|event| event.at.0).collect();
    let attributes: serde_json::Result<Vec<String>> = events.iter().map(|event| serde_json::to_string(&event.attributes)).collect();
    let attributes = attributes.map_err(|error| StoreError::because(StoreErrorKind::Unavailable, "stage events", error))?;
    let data: Vec<Option<&str>> = events.iter().map(|event| event.data.as_deref()).collect();
    let query = sqlx::query(STAGE).bind(ids).bind(tenants).bind(kinds).bind(types).bind(subjects).bind(external_ids);
    let query = query.bind(versions).bind(txns).bind(times).bind(attributes).bind(data);
    query.execute(connection).await.map(drop).map_err(failed("stage events"))
}

async fn counted(connection: &mut PgConnection, differences: &Differences, slot: i32) -> Result<()> {
    let counted: Vec<_> = differences.counted.iter().filter(|(_, n)| **n != 0).collect();
    if counted.is_empty() {
        return Ok(());
    }
    let tenants: Vec<i32> = counted.iter().map(|((tenant, _), _)| tenant_number(*tenant)).collect();
    let types: Vec<i32> = counted.iter().map(|((_, kind), _)| i32::from(kind.0)).collect();
    let numbers: Vec<i64> = counted.iter().map(|(_, n)| **n).collect();
    let done = sqlx::query(COUNT).bind(tenants).bind(types).bind(slot).bind(numbers).execute(connection).await;
    done.map(drop).map_err(failed("count resources"))
}
