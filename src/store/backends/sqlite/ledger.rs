//! What delivery keeps: records, resolved places, dead letters; and the beginning of the log.

use super::column::{Count, failed, number};
use super::reader::Reader;
use crate::base::clock::Timestamp;
use crate::base::id::{EventId, StreamId};
use crate::store::ledger::{DeadLetter, DeadLetters, Life, PlaceSet, Record, RecordChange, Resolution, Trim};
use crate::store::{Place, Result, StoreError, StoreErrorKind};
use rusqlite::{Connection, OptionalExtension, Row, Statement, params};
use uuid::Uuid;

const KEEP: &str = "INSERT INTO resolved (stream, epoch, places) VALUES (?1, ?2, ?3) \
    ON CONFLICT (stream) DO UPDATE SET epoch = excluded.epoch, places = excluded.places";

/// Where the note is up to which place events are no longer kept.
pub(super) const FLOOR: &str = "SELECT value FROM meta WHERE name = 'log_floor'";

impl Reader {
    pub(super) fn records(&self, collection: &str) -> Result<Vec<Record>> {
        const SQL: &str = "SELECT id, revision, body FROM record WHERE collection = ?1 ORDER BY id";
        let failed = failed("read records");
        let mut statement = self.prepare("read records", SQL)?;
        let record = |row: &Row<'_>| Ok(Record { id: row.get(0)?, revision: row.get::<_, Count>(1)?.0, body: row.get(2)? });
        statement.query_map([collection], record).and_then(Iterator::collect).map_err(failed)
    }

    pub(super) fn resolved(&self, stream: &StreamId, epoch: u64) -> Result<Option<PlaceSet>> {
        let kept = kept(&self.connection, stream)?;
        Ok(kept.filter(|(of, _)| *of == epoch).map(|(_, places)| places))
    }

    pub(super) fn dead_letters(&self, stream: &StreamId, after: Place, limit: usize, retry_only: bool) -> Result<DeadLetters> {
        const COUNT: &str = "SELECT count(*) FROM dead_letter WHERE stream = ?1 AND retry >= ?2";
        const SQL: &str = "SELECT place, event_id, at, attempts, status, error, description, retry FROM dead_letter \
            WHERE stream = ?1 AND place > ?2 AND retry >= ?3 ORDER BY place LIMIT ?4";
        let failed = failed("read dead letters");
        let total = self
            .prepare("count dead letters", COUNT)?
            .query_row(params![stream.as_str(), retry_only], |row| row.get::<_, Count>(0))
            .map_err(failed)?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.prepare("read dead letters", SQL)?;
        let letters = statement
            .query_map(params![stream.as_str(), number(after.0), retry_only, limit], dead_letter)
            .and_then(Iterator::collect)
            .map_err(failed)?;
        Ok(DeadLetters { total: total.0, letters })
    }
}

fn dead_letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    Ok(DeadLetter {
        place: Place(row.get::<_, Count>(0)?.0),
        event: EventId(Uuid::from_bytes(row.get(1)?)),
        at: Timestamp(row.get(2)?),
        attempts: row.get(3)?,
        status: row.get(4)?,
        error: row.get(5)?,
        description: row.get(6)?,
        retry: row.get(7)?,
    })
}

/// What is kept of a stream: its epoch and its places.
fn kept(connection: &Connection, stream: &StreamId) -> Result<Option<(u64, PlaceSet)>> {
    const SQL: &str = "SELECT epoch, places FROM resolved WHERE stream = ?1";
    let failed = failed("read the places of a stream");
    let mut statement = connection.prepare_cached(SQL).map_err(failed)?;
    let row = statement.query_row([stream.as_str()], |row| Ok((row.get::<_, Count>(0)?.0, row.get::<_, String>(1)?)));
    let Some((epoch, places)) = row.optional().map_err(failed)? else { return Ok(None) };
    let corrupt = |error| StoreError::because(StoreErrorKind::Corrupt, "read the places of a stream", error);
    Ok(Some((epoch, places.parse().map_err(corrupt)?)))
}

pub(super) fn secret(connection: &Connection, name: &str, fresh: [u8; 32]) -> Result<[u8; 32]> {
    let made = connection.execute("INSERT OR IGNORE INTO secret (name, value) VALUES (?1, ?2)", params![name, fresh]);
    let read = |_| connection.query_row("SELECT value FROM secret WHERE name = ?1", [name], |row| row.get(0));
    made.and_then(read).map_err(failed("make a secret"))
}

pub(super) fn write_records(connection: &Connection, changes: &[RecordChange]) -> Result<()> {
    const COUNT: &str = "UPDATE meta SET value = value + 1 WHERE name = 'record_changes' RETURNING value";
    const INSERT: &str =
        "INSERT INTO record (collection, id, revision, body) VALUES (?1, ?2, ?4, ?3) ON CONFLICT (collection, id) DO NOTHING";
    const UPDATE: &str = "UPDATE record SET body = ?3, revision = revision + 1 WHERE collection = ?1 AND id = ?2 AND revision = ?4";
    const DELETE: &str = "DELETE FROM record WHERE collection = ?1 AND id = ?2 AND revision = ?3";
    const ABSENT: &str = "SELECT NOT EXISTS (SELECT 1 FROM record WHERE collection = ?1 AND id = ?2)";
    let failed = failed("write a record");
    for RecordChange { collection, id, expected, body } in changes {
        let counted = connection.prepare_cached(COUNT).and_then(|mut sql| sql.query_row([], |row| row.get::<_, i64>(0)));
        let count = counted.map_err(failed)?;
        let written = match (expected, body) {
            (None, Some(body)) => {
                connection.prepare_cached(INSERT).and_then(|mut sql| sql.execute(params![collection, id, body, count]))
            }
            (Some(revision), Some(body)) => {
                connection.prepare_cached(UPDATE).and_then(|mut sql| sql.execute(params![collection, id, body, number(*revision)]))
            }
            (Some(revision), None) => {
                connection.prepare_cached(DELETE).and_then(|mut sql| sql.execute(params![collection, id, number(*revision)]))
            }
            (None, None) => {
                let absent = |row: &Row<'_>| row.get::<_, bool>(0).map(usize::from);
                connection.prepare_cached(ABSENT).and_then(|mut sql| sql.query_row(params![collection, id], absent))
            }
        };
        if written.map_err(failed)? == 0 {
            return Err(StoreError::new(StoreErrorKind::Stale, "write a record"));
        }
    }
    Ok(())
}

/// Keeps what one stream has resolved. The inner failure is of this stream alone, and has written nothing.
pub(super) fn resolve(connection: &Connection, resolution: &Resolution) -> Result<Result<PlaceSet>> {
    const DEAD: &str = "INSERT OR REPLACE INTO dead_letter \
        (stream, place, event_id, at, attempts, status, error, description, retry) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    const CHANGED: &str = "UPDATE dead_letter SET event_id = ?3, at = ?4, attempts = ?5, status = ?6, error = ?7, description = ?8, \
        retry = ?9 WHERE stream = ?1 AND place = ?2";
    const SETTLED: &str = "DELETE FROM dead_letter WHERE stream = ?1 AND place = ?2";
    const RETRIED: &str = "UPDATE dead_letter SET retry = 1 WHERE stream = ?1 AND place = ?2";
    let failed = failed("keep the places of a stream");
    let (stream, mut places) = (resolution.stream.as_str(), resolution.places.clone());
    match kept(connection, &resolution.stream) {
        Err(error) if error.kind == StoreErrorKind::Corrupt => return Ok(Err(error)),
        Err(error) => return Err(error),
        Ok(Some((epoch, _))) if epoch > resolution.epoch => {
            return Ok(Err(StoreError::new(StoreErrorKind::Stale, "keep the places of a stream")));
        }
        Ok(Some((epoch, before))) if epoch == resolution.epoch => places.merge(&before),
        Ok(_) => {}
    }
    let keep = |sql: &'static str| connection.prepare_cached(sql).map_err(failed);
    keep(KEEP)?.execute(params![stream, number(resolution.epoch), places.to_string()]).map_err(failed)?;
    for place in &resolution.settled {
        keep(SETTLED)?.execute(params![stream, number(place.0)]).map_err(failed)?;
    }
    for letter in &resolution.changed {
        write_letter(&mut *keep(CHANGED)?, stream, letter).map_err(failed)?;
    }
    for place in &resolution.retried {
        keep(RETRIED)?.execute(params![stream, number(place.0)]).map_err(failed)?;
    }
    for letter in &resolution.dead {
        write_letter(&mut *keep(DEAD)?, stream, letter).map_err(failed)?;
    }
    Ok(Ok(places))
}

fn write_letter(statement: &mut Statement<'_>, stream: &str, letter: &DeadLetter) -> rusqlite::Result<usize> {
    statement.execute(params![
        stream,
        number(letter.place.0),
        letter.event.0.as_bytes(),
        letter.at.0,
        letter.attempts,
        letter.status,
        letter.error,
        letter.description,
        letter.retry,
    ])
}

/// Changes records; with them a stream begins or is no more.
pub(super) fn renew(connection: &Connection, changes: &[RecordChange], stream: &StreamId, life: Option<&Life>) -> Result<()> {
    let failed = failed("begin or end a stream");
    write_records(connection, changes)?;
    for sql in ["DELETE FROM resolved WHERE stream = ?1", "DELETE FROM dead_letter WHERE stream = ?1"] {
        connection.execute(sql, [stream.as_str()]).map_err(failed)?;
    }
    let Some(Life { epoch, places }) = life else { return Ok(()) };
    connection.execute(KEEP, params![stream.as_str(), number(*epoch), places.to_string()]).map(drop).map_err(failed)
}

/// Removes the dead letters of old events, and those that are old themselves.
pub(super) fn trim_letters(connection: &Connection, trim: Trim) -> Result<usize> {
    const BY_PLACE: &str = "DELETE FROM dead_letter WHERE (stream, place) IN \
        (SELECT stream, place FROM dead_letter WHERE place <= ?1 ORDER BY place, stream LIMIT ?2)";
    const BY_AGE: &str = "DELETE FROM dead_letter WHERE (stream, place) IN \
        (SELECT stream, place FROM dead_letter WHERE at < ?1 ORDER BY at, stream, place LIMIT ?2)";
    let mut left = trim.limit;
    for (sql, bound) in [(BY_PLACE, number(trim.through.0)), (BY_AGE, trim.before.0)] {
        let limit = i64::try_from(left).unwrap_or(i64::MAX);
        let gone = connection.prepare_cached(sql).and_then(|mut delete| delete.execute(params![bound, limit]));
        left = left.saturating_sub(gone.map_err(failed("remove old dead letters"))?);
    }
    Ok(trim.limit - left)
}

/// Takes events from the beginning of the log, and notes the place up to which they are gone.
pub(super) fn trim(connection: &Connection, floor: Place, trim: Trim) -> Result<usize> {
    const FIRST: &str = "SELECT place, at FROM event ORDER BY place LIMIT ?1";
    const DELETE: &str = "DELETE FROM event WHERE place <= ?1";
    const NOTE: &str = "INSERT INTO meta (name, value) VALUES ('log_floor', ?1) ON CONFLICT DO UPDATE SET value = excluded.value";
    let failed = failed("trim the log");
    let noted = connection.prepare_cached(FLOOR).and_then(|mut sql| sql.query_row([], |row| row.get::<_, Count>(0)).optional());
    if floor.0 != noted.map_err(failed)?.map_or(0, |noted| noted.0) {
        return Ok(0);
    }
    let mut statement = connection.prepare_cached(FIRST).map_err(failed)?;
    let first = statement
        .query_map([i64::try_from(trim.limit).unwrap_or(i64::MAX)], |row| Ok((row.get::<_, Count>(0)?.0, row.get::<_, i64>(1)?)))
        .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>)
        .map_err(failed)?;
    let goes = |(place, at): &&(u64, i64)| *place <= trim.through.0 || *at < trim.before.0;
    let Some((last, _)) = first.iter().take_while(goes).last() else { return Ok(0) };
    connection.prepare_cached(NOTE).and_then(|mut sql| sql.execute([number(*last)])).map_err(failed)?;
    connection.prepare_cached(DELETE).and_then(|mut sql| sql.execute([number(*last)])).map_err(failed)
}
