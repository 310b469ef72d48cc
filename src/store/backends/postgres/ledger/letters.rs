//! Dead letters: counted and read at one moment, and taken away when they are old.

use super::super::Shared;
use super::super::column::{corrupt, count, failed, number};
use crate::base::clock::Timestamp;
use crate::base::id::{EventId, StreamId};
use crate::store::ledger::{DeadLetter, DeadLetters, Trim};
use crate::store::{Place, Result, StoreError};
use sqlx::Row;
use sqlx::postgres::PgRow;

/// How many there are, and those of the page beside it; one row when there is none.
const READ: &str = "SELECT counted.total, letter.place, letter.event_id, letter.at, letter.attempts, letter.status, letter.error, \
        letter.description, letter.retry \
    FROM (SELECT count(*) AS total FROM dead_letter WHERE stream = $1 AND (retry OR NOT $4)) AS counted LEFT JOIN ( \
        SELECT * FROM dead_letter WHERE stream = $1 AND place > $2 AND (retry OR NOT $4) ORDER BY place LIMIT $3 \
    ) AS letter ON true ORDER BY letter.place";

pub(in super::super) async fn dead_letters(
    shared: &Shared,
    stream: &StreamId,
    after: Place,
    limit: usize,
    retry_only: bool,
) -> Result<DeadLetters> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let query = sqlx::query(READ).bind(stream.as_str()).bind(number(after.0)).bind(limit).bind(retry_only);
    let failed = failed("read dead letters");
    let rows = shared.ask("read dead letters", async |connection| query.fetch_all(connection).await).await?;
    let mut found = DeadLetters::default();
    for row in &rows {
        found.total = count(row.try_get(0).map_err(failed)?);
        if let Some(place) = row.try_get::<Option<i64>, _>(1).map_err(failed)? {
            found.letters.push(letter(row, Place(count(place)))?);
        }
    }
    Ok(found)
}

/// Removes those of old events, and then those that are old themselves. One that somebody is just changing is left to the next time: who
/// trims waits for nobody.
const TRIM: &str = "WITH passed AS MATERIALIZED ( \
        SELECT ctid FROM dead_letter WHERE place <= $1 ORDER BY place, stream LIMIT $3 FOR UPDATE SKIP LOCKED \
    ), aged AS MATERIALIZED ( \
        SELECT ctid FROM dead_letter WHERE at < $2 AND place > $1 ORDER BY at, stream, place \
        LIMIT $3 - (SELECT count(*) FROM passed) FOR UPDATE SKIP LOCKED \
    ) \
    DELETE FROM dead_letter WHERE ctid = ANY (ARRAY(SELECT ctid FROM passed UNION ALL SELECT ctid FROM aged))";

pub(in super::super) async fn trim_letters(shared: &Shared, trim: Trim) -> Result<usize> {
    let most = i64::try_from(trim.limit).unwrap_or(i64::MAX);
    let query = sqlx::query(TRIM).bind(number(trim.through.0)).bind(trim.before.0).bind(most);
    let gone = shared.ask("remove old dead letters", async |connection| query.execute(connection).await).await?;
    Ok(usize::try_from(gone.rows_affected()).unwrap_or(usize::MAX))
}

/// A letter from a row of [`READ`].
fn letter(row: &PgRow, place: Place) -> Result<DeadLetter> {
    let failed = failed("read dead letters");
    let attempts: i64 = row.try_get(4).map_err(failed)?;
    let status: Option<i32> = row.try_get(5).map_err(failed)?;
    let description: Option<Vec<u8>> = row.try_get(7).map_err(failed)?;
    Ok(DeadLetter {
        place,
        event: EventId(row.try_get(2).map_err(failed)?),
        at: Timestamp(row.try_get(3).map_err(failed)?),
        attempts: u32::try_from(attempts).map_err(|_| wrong())?,
        status: status.map(u16::try_from).transpose().map_err(|_| wrong())?,
        error: text(row.try_get(6).map_err(failed)?)?,
        description: description.map(text).transpose()?,
        retry: row.try_get(8).map_err(failed)?,
    })
}

fn wrong() -> StoreError {
    corrupt("read dead letters", "not a dead letter")
}

fn text(bytes: Vec<u8>) -> Result<String> {
    String::from_utf8(bytes).map_err(|_| wrong())
}
