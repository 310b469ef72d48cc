//! The log as readers see it, and what delivery keeps.
//!
//! Every change is one statement, or one call of a function in the database: no row stays locked while a node thinks, or stands still.

mod leases;
mod letters;
mod records;
mod resolutions;

use super::Shared;
use super::column::{corrupt, count, failed, id_of, number, tenant_number};
use crate::base::clock::Timestamp;
use crate::base::id::{EventId, Key, Tenant, TypeCode};
use crate::base::limits;
use crate::event::{Event, Kind};
use crate::store::ledger::{Trim, reading};
use crate::store::{Logged, Place, Reading, Result};
use sqlx::Row;
use sqlx::postgres::PgRow;

pub(super) use leases::{claim, release, survey};
pub(super) use letters::{dead_letters, trim_letters};
pub(super) use records::{records, renew, secret, write_records};
pub(super) use resolutions::{bring_back, resolve, resolved, resolved_of};

// Tables of one row are read by a query for one value: how many rows they have the planner does not know, and plans for thousands.

/// The part of the log behind a place, with its end and its floor: one statement, one snapshot. The database sends what [`reading`] may
/// take and the event behind it: it counts no more bytes of an event than [`Event::bytes`], whose paths take up to nine times as many
/// in JSON.
const READ: &str = "SELECT ends.floor, ends.last_place, event.place, event.event_id, event.kind, event.type, event.id, \
        event.external_id, event.version, event.txn, event.at, event.attributes, event.data \
    FROM (SELECT (SELECT place FROM log_floor) AS floor, (SELECT last_place FROM log) AS last_place) AS ends LEFT JOIN ( \
        SELECT sized.*, sum(bytes) OVER (ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING) AS bytes_before FROM ( \
            SELECT *, 256 + octet_length(attributes) / 9 + coalesce(octet_length(data), 0) AS bytes FROM event \
            WHERE place > $1 AND tenant = $2 ORDER BY place LIMIT $3 \
        ) AS sized \
    ) AS event ON coalesce(event.bytes_before, 0) < $4 ORDER BY event.place";

pub(super) async fn read(shared: &Shared, tenant: Tenant, after: Place, limit: usize) -> Result<Reading> {
    // One more than are asked for tells whether there are more.
    let most = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let most_bytes = i64::try_from(limits::LOG_PAGE_BYTES).unwrap_or(i64::MAX);
    let query = sqlx::query(READ).bind(number(after.0)).bind(tenant_number(tenant)).bind(most).bind(most_bytes);
    let rows = shared.ask("read the log", async |connection| query.fetch_all(connection).await).await?;
    let Some(first) = rows.first() else { return Err(corrupt("read the log", "it has no end")) };
    let place = |column: usize| first.try_get(column).map(|place| Place(count(place))).map_err(failed("read the log"));
    let (floor, head) = (place(0)?, place(1)?);
    // Whatever anybody here has seen of the log counts as known.
    shared.past.reach(head.0);
    // Without an event there is a row all the same.
    let events = rows.iter().filter(|row| !matches!(row.try_get::<Option<i64>, _>(2), Ok(None)));
    reading(floor, head, after, limit, events.map(|row| logged(row, tenant)))
}

/// An event from a row of [`READ`].
fn logged(row: &PgRow, tenant: Tenant) -> Result<Logged> {
    let failed = failed("read the log");
    let wrong = |problem| move || corrupt("read the log", problem);
    let kind: i32 = row.try_get(4).map_err(failed)?;
    let subject_kind: i32 = row.try_get(5).map_err(failed)?;
    let attributes: &str = row.try_get(11).map_err(failed)?;
    let event = Event {
        id: EventId(row.try_get(3).map_err(failed)?),
        kind: u8::try_from(kind).ok().and_then(Kind::of_code).ok_or_else(wrong("an unknown kind of event"))?,
        subject: Key {
            tenant,
            kind: TypeCode(u16::try_from(subject_kind).map_err(|_| wrong("not a type's code")())?),
            id: id_of(row.try_get(6).map_err(failed)?)?,
        },
        external_id: row.try_get(7).map_err(failed)?,
        version: count(row.try_get(8).map_err(failed)?),
        txn: row.try_get(9).map_err(failed)?,
        at: Timestamp(row.try_get(10).map_err(failed)?),
        attributes: serde_json::from_str(attributes).map_err(|_| wrong("not a list of attributes")())?,
        data: row.try_get(12).map_err(failed)?,
    };
    Ok(Logged { place: Place(count(row.try_get(2).map_err(failed)?)), event })
}

pub(super) async fn place_of(shared: &Shared, tenant: Tenant, event: EventId) -> Result<Option<Place>> {
    const SQL: &str = "SELECT place FROM event WHERE event_id = $1 AND tenant = $2";
    let query = sqlx::query_scalar::<_, i64>(SQL).bind(event.0).bind(tenant_number(tenant));
    let place = shared.ask("find an event", async |connection| query.fetch_optional(connection).await).await?;
    Ok(place.map(|place| Place(count(place))))
}

/// Halves the log, whose places are dense, until it has found the first event from where on the latest time is not before the one asked
/// for. The event that raised it is that event, so that the walk behind it is over at once; it is longer only where it goes past events
/// of other tenants, or where those that raised it are trimmed.
const PLACE_BEFORE: &str = "WITH RECURSIVE part (first, past) AS ( \
        SELECT (SELECT place + 1 FROM log_floor), (SELECT last_place + 1 FROM log) \
        UNION ALL \
        SELECT CASE WHEN middle.latest < $1 THEN middle.place + 1 ELSE part.first END, \
            CASE WHEN middle.latest < $1 THEN part.past ELSE middle.place END \
        FROM part CROSS JOIN LATERAL (SELECT place, latest FROM event WHERE place = (part.first + part.past) / 2 LIMIT 1) AS middle \
        WHERE part.first < part.past \
    ) \
    SELECT coalesce((SELECT place - 1 FROM event WHERE place >= (SELECT max(first) FROM part) AND at >= $1 AND tenant = $2 \
        ORDER BY place LIMIT 1), (SELECT last_place FROM log))";

pub(super) async fn place_before(shared: &Shared, tenant: Tenant, time: Timestamp) -> Result<Place> {
    let query = sqlx::query_scalar::<_, i64>(PLACE_BEFORE).bind(time.0).bind(tenant_number(tenant));
    let place = shared.ask("find a time", async |connection| query.fetch_one(connection).await).await?;
    Ok(Place(count(place)))
}

/// Takes the first events that may go, and notes up to where. It starts behind the ones that went before, whose rows may be there still,
/// and touches no row that writers or the sequencer need. Of two nodes that trim at once one waits for the note of the other, and then
/// takes nothing: the log does not begin any more where it was told.
const TRIM: &str = "WITH first AS MATERIALIZED ( \
        SELECT place, at FROM event WHERE place > $4 AND $4 = (SELECT place FROM log_floor) ORDER BY place LIMIT $3 \
    ), stays AS (SELECT min(place) AS place FROM first WHERE place > $1 AND at >= $2), \
    last AS MATERIALIZED (SELECT max(first.place) AS place FROM first, stays WHERE stays.place IS NULL OR first.place < stays.place), \
    noted AS (UPDATE log_floor SET place = last.place FROM last WHERE log_floor.place = $4 AND last.place > $4 RETURNING last.place), \
    gone AS (DELETE FROM event WHERE place > $4 AND place <= (SELECT place FROM noted) RETURNING 1) \
    SELECT count(*) FROM gone";

pub(super) async fn trim(shared: &Shared, floor: Place, trim: Trim) -> Result<usize> {
    let most = i64::try_from(trim.limit).unwrap_or(i64::MAX);
    let query =
        sqlx::query_scalar::<_, i64>(TRIM).bind(number(trim.through.0)).bind(trim.before.0).bind(most).bind(number(floor.0));
    let gone = shared.ask("trim the log", async |connection| query.fetch_one(connection).await).await?;
    Ok(usize::try_from(gone).unwrap_or(0))
}

#[cfg(all(test, feature = "servers"))]
mod tests;
