//! What streams have resolved: read, merged here, and written where it is still as it was read.
//!
//! Reading and writing are a statement each. Where somebody else was faster, the stream is read anew; the others are kept already.

use super::super::Shared;
use super::super::column::{corrupt, count, failed, number};
use super::super::listener::raise;
use crate::base::id::StreamId;
use crate::base::limits;
use crate::store::ledger::{DeadLetter, PlaceSet, Resolution, push_lease};
use crate::store::{Place, Result, StoreError, StoreErrorKind};
use sqlx::postgres::PgRow;
use sqlx::{PgConnection, Row};
use std::collections::{BTreeMap, HashSet};
use uuid::Uuid;

const OPERATION: &str = "keep the places of a stream";

pub(in super::super) async fn resolved(shared: &Shared, stream: &StreamId, epoch: u64) -> Result<Option<PlaceSet>> {
    const SQL: &str = "SELECT places FROM resolved WHERE stream = $1 AND epoch = $2";
    let query = sqlx::query_scalar::<_, String>(SQL).bind(stream.as_str()).bind(number(epoch));
    let places = shared.ask("read the places of a stream", async |connection| query.fetch_optional(connection).await).await?;
    places.as_deref().map(parsed).transpose()
}

fn parsed(places: &str) -> Result<PlaceSet> {
    places.parse().map_err(|_| corrupt("read the places of a stream", "not a set of places"))
}

pub(in super::super) async fn resolved_of(shared: &Shared, lives: &[(StreamId, u64)]) -> Result<Vec<Result<Option<PlaceSet>>>> {
    const SQL: &str = "SELECT asked.number, resolved.places \
        FROM unnest($1::text[], $2::bigint[]) WITH ORDINALITY AS asked (stream, epoch, number) \
        JOIN resolved ON resolved.stream = asked.stream AND resolved.epoch = asked.epoch";
    let mut all: Vec<Result<Option<PlaceSet>>> = lives.iter().map(|_| Ok(None)).collect();
    if lives.is_empty() {
        return Ok(all);
    }
    let (streams, epochs): (Vec<&str>, Vec<i64>) = lives.iter().map(|(stream, epoch)| (stream.as_str(), number(*epoch))).unzip();
    let query = sqlx::query_as::<_, (i64, String)>(SQL).bind(streams).bind(epochs);
    for (number, places) in shared.ask("read the places of streams", async |connection| query.fetch_all(connection).await).await? {
        let index = usize::try_from(count(number).saturating_sub(1)).unwrap_or(usize::MAX);
        if let Some(one) = all.get_mut(index) {
            *one = parsed(&places).map(Some);
        }
    }
    Ok(all)
}

pub(in super::super) async fn resolve(shared: &Shared, resolutions: &[Resolution]) -> Result<Vec<Result<PlaceSet>>> {
    let mut results: Vec<Option<Result<PlaceSet>>> = resolutions.iter().map(|_| None).collect();
    for _ in 0..limits::RESOLVE_TRIES {
        let open: Vec<(usize, &Resolution)> =
            resolutions.iter().enumerate().filter(|(index, _)| results[*index].is_none()).collect();
        if open.is_empty() {
            break;
        }
        let mut drafts = read(shared, &open).await?;
        let mut outcomes = Vec::new();
        for (index, resolution) in open {
            if let Some(draft) = drafts.get_mut(resolution.stream.as_str()) {
                outcomes.push((index, resolution.stream.as_str(), draft.take(resolution)));
            }
        }
        let lost = write(shared, &drafts).await?;
        for (index, stream, outcome) in outcomes {
            if !lost.contains(stream) {
                results[index] = Some(outcome);
            }
        }
    }
    let busy = || StoreError::because(StoreErrorKind::Unavailable, OPERATION, "others are faster every time");
    Ok(results.into_iter().map(|result| result.unwrap_or_else(|| Err(busy()))).collect())
}

/// Takes back what streams are said to have resolved behind the end of the log: it is of another log, from which the database was set back,
/// and the events that get these places are nobody's yet (I5).
pub(in super::super) async fn bring_back(connection: &mut PgConnection) -> Result<()> {
    const READ: &str = "SELECT stream, places, revision, (SELECT last_place FROM log) FROM resolved ORDER BY stream";
    const WRITE: &str =
        "UPDATE resolved SET places = $1, revision = nextval('resolved_revision') WHERE stream = $2 AND revision = $3";
    const OPERATION: &str = "read the places of streams";
    let rows =
        sqlx::query_as::<_, (String, String, i64, i64)>(READ).fetch_all(&mut *connection).await.map_err(failed(OPERATION))?;
    for (stream, places, revision, last_place) in rows {
        // What cannot be read fails where it is asked for.
        let Ok(places) = places.parse::<PlaceSet>() else { continue };
        let kept = places.up_to(Place(count(last_place)));
        if kept != places {
            tracing::warn!(stream, last_place, "the stream had resolved places behind the end of the log: they are taken back");
            let query = sqlx::query(WRITE).bind(kept.to_string()).bind(stream).bind(revision);
            query.execute(&mut *connection).await.map_err(failed(OPERATION))?;
        }
    }
    Ok(())
}

/// What is kept of a stream, and what is to become of it.
#[derive(Debug, Default)]
struct Draft<'a> {
    /// Another one with every change of the row; `None`: there is no row.
    revision: Option<i64>,
    /// The epoch of the lease under which the stream is pushed, if anybody ever had it.
    lease: Option<u64>,
    /// The epoch and the places; `Err` when they cannot be read.
    kept: Option<Result<(u64, PlaceSet), ()>>,
    /// The lease must still be at this epoch when it is written.
    fence: Option<u64>,
    is_changed: bool,
    letters: BTreeMap<Place, Fate<'a>>,
}

/// What becomes of a letter in the end, whatever was said of it before.
#[derive(Clone, Copy, Debug)]
enum Fate<'a> {
    Settled,
    /// It is there, as this one.
    Dead(&'a DeadLetter, IsRetried),
    /// As this one, if it is there.
    Changed(&'a DeadLetter, IsRetried),
    /// To be delivered once more, if it is there.
    Retried,
}

/// Whether it was marked after it was written.
type IsRetried = bool;

impl<'a> Draft<'a> {
    /// Adds what one resolution says, or nothing of it.
    fn take(&mut self, resolution: &'a Resolution) -> Result<PlaceSet> {
        let mut places = resolution.places.clone();
        match &self.kept {
            Some(Err(())) => return Err(corrupt(OPERATION, "not a set of places")),
            Some(Ok((epoch, _))) if *epoch > resolution.epoch => return Err(StoreError::new(StoreErrorKind::Stale, OPERATION)),
            Some(Ok((epoch, before))) if *epoch == resolution.epoch => places.merge(before),
            Some(Ok(_)) | None => {}
        }
        if resolution.fence.is_some() && resolution.fence != self.lease {
            return Err(StoreError::new(StoreErrorKind::Superseded, OPERATION));
        }
        self.fence = self.fence.or(resolution.fence);
        self.take_letters(resolution);
        let is_known = self.kept.as_ref().is_some_and(|kept| *kept == Ok((resolution.epoch, places.clone())));
        self.is_changed |= !is_known || !self.letters.is_empty();
        self.kept = Some(Ok((resolution.epoch, places.clone())));
        Ok(places)
    }

    fn take_letters(&mut self, resolution: &'a Resolution) {
        let Resolution { settled, changed, retried, dead, .. } = resolution;
        self.letters.extend(settled.iter().map(|place| (*place, Fate::Settled)));
        for letter in changed {
            let fate = match self.letters.get(&letter.place) {
                Some(Fate::Settled) => Fate::Settled,
                Some(Fate::Dead(..)) => Fate::Dead(letter, false),
                Some(Fate::Changed(..) | Fate::Retried) | None => Fate::Changed(letter, false),
            };
            self.letters.insert(letter.place, fate);
        }
        for place in retried {
            let fate = match self.letters.get(place) {
                Some(Fate::Settled) => Fate::Settled,
                Some(Fate::Dead(letter, _)) => Fate::Dead(letter, true),
                Some(Fate::Changed(letter, _)) => Fate::Changed(letter, true),
                Some(Fate::Retried) | None => Fate::Retried,
            };
            self.letters.insert(*place, fate);
        }
        self.letters.extend(dead.iter().map(|letter| (letter.place, Fate::Dead(letter, false))));
    }
}

/// Each stream as it is now.
async fn read<'a>(shared: &Shared, open: &[(usize, &'a Resolution)]) -> Result<BTreeMap<&'a str, Draft<'a>>> {
    const SQL: &str = "SELECT asked.number, resolved.epoch, resolved.places, resolved.revision, lease.epoch \
        FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS asked (stream, lease, number) \
        LEFT JOIN resolved ON resolved.stream = asked.stream LEFT JOIN lease ON lease.name = asked.lease";
    let streams: BTreeMap<&str, &StreamId> = open.iter().map(|(_, one)| (one.stream.as_str(), &one.stream)).collect();
    let names: Vec<&'a str> = streams.keys().copied().collect();
    let leases: Vec<String> = streams.values().copied().map(push_lease).collect();
    let failed = failed("read the places of streams");
    let query = sqlx::query(SQL).bind(&names).bind(leases);
    let rows = shared.ask("read the places of streams", async |connection| query.fetch_all(connection).await).await?;
    let mut drafts = BTreeMap::new();
    for row in &rows {
        let name = count(row.try_get(0).map_err(failed)?).checked_sub(1).and_then(|index| names.get(usize::try_from(index).ok()?));
        let name = name.ok_or_else(|| corrupt("read the places of streams", "a stream that was not asked for"))?;
        drafts.insert(*name, draft(row).map_err(failed)?);
    }
    Ok(drafts)
}

fn draft<'a>(row: &PgRow) -> sqlx::Result<Draft<'a>> {
    let epoch: Option<i64> = row.try_get(1)?;
    let places: Option<&str> = row.try_get(2)?;
    let lease: Option<i64> = row.try_get(4)?;
    let kept = epoch.zip(places).map(|(epoch, places)| Ok((count(epoch), places.parse().map_err(drop)?)));
    Ok(Draft { revision: row.try_get(3)?, lease: lease.map(count), kept, ..Draft::default() })
}

/// Writes the streams whose row and lease are as they were read, and tells which. Leases, then rows are locked in the order of names, so
/// that nobody waits for ever; whoever takes a lease waits for what is written under it. Nodes are told, as of a change of records, when
/// there are letters to be delivered once more; what counts these changes is locked last, when the letters are written.
const WRITE: &str = "WITH asked AS MATERIALIZED ( \
        SELECT * FROM unnest($1::text[], $2::bigint[], $3::text[], $4::bigint[], $5::text[], $6::bigint[]) \
            AS asked (stream, epoch, places, revision, lease, fence) \
    ), fence AS MATERIALIZED ( \
        SELECT lease.name, lease.epoch FROM lease WHERE lease.name IN (SELECT lease FROM asked WHERE fence IS NOT NULL) \
        ORDER BY lease.name FOR SHARE \
    ), allowed AS MATERIALIZED ( \
        SELECT asked.* FROM asked LEFT JOIN fence ON fence.name = asked.lease WHERE asked.fence IS NULL OR asked.fence = fence.epoch \
    ), held AS MATERIALIZED ( \
        SELECT resolved.stream, resolved.revision FROM resolved WHERE resolved.stream IN (SELECT stream FROM allowed) \
        ORDER BY resolved.stream FOR UPDATE \
    ), changed AS ( \
        UPDATE resolved SET epoch = allowed.epoch, places = allowed.places, revision = nextval('resolved_revision') FROM held, allowed \
        WHERE held.stream = resolved.stream AND allowed.stream = resolved.stream AND allowed.revision = resolved.revision \
        RETURNING resolved.stream \
    ), made AS ( \
        INSERT INTO resolved (stream, epoch, places, revision) \
        SELECT stream, epoch, places, nextval('resolved_revision') FROM allowed WHERE revision IS NULL ORDER BY stream \
        ON CONFLICT (stream) DO NOTHING RETURNING stream \
    ), kept AS MATERIALIZED (SELECT stream FROM changed UNION ALL SELECT stream FROM made), \
    letter AS MATERIALIZED ( \
        SELECT * FROM unnest($7::text[], $8::bigint[], $9::text[], $10::uuid[], $11::bigint[], $12::bigint[], $13::integer[], \
            $14::bytea[], $15::bytea[], $16::boolean[]) \
            AS letter (stream, place, fate, event_id, at, attempts, status, error, description, retry) \
        WHERE letter.stream IN (SELECT stream FROM kept) \
    ), settled AS ( \
        DELETE FROM dead_letter USING letter \
        WHERE letter.fate = 'settled' AND dead_letter.stream = letter.stream AND dead_letter.place = letter.place \
    ), rewritten AS ( \
        UPDATE dead_letter SET event_id = letter.event_id, at = letter.at, attempts = letter.attempts, status = letter.status, \
            error = letter.error, description = letter.description, retry = letter.retry FROM letter \
        WHERE letter.fate = 'changed' AND dead_letter.stream = letter.stream AND dead_letter.place = letter.place \
        RETURNING dead_letter.retry \
    ), retried AS ( \
        UPDATE dead_letter SET retry = true FROM letter \
        WHERE letter.fate = 'retried' AND dead_letter.stream = letter.stream AND dead_letter.place = letter.place \
        RETURNING dead_letter.retry \
    ), dead AS ( \
        INSERT INTO dead_letter (stream, place, event_id, at, attempts, status, error, description, retry) \
        SELECT stream, place, event_id, at, attempts, status, error, description, retry FROM letter WHERE fate = 'dead' \
        ON CONFLICT (stream, place) DO UPDATE SET event_id = excluded.event_id, at = excluded.at, attempts = excluded.attempts, \
            status = excluded.status, error = excluded.error, description = excluded.description, retry = excluded.retry \
        RETURNING dead_letter.retry \
    ), marked AS ( \
        SELECT retry FROM rewritten UNION ALL SELECT retry FROM retried UNION ALL SELECT retry FROM dead \
    ), told AS ( \
        UPDATE record_changes SET n = n + 1 WHERE (SELECT count(*) FROM marked WHERE retry) > 0 \
        RETURNING n, pg_notify($17, 'records ' || n)::text \
    ) \
    SELECT stream, NULL::bigint FROM kept UNION ALL SELECT NULL, n FROM told";

/// Writes what has changed. Returns the streams of which nothing was written, because somebody else has written in between.
async fn write<'a>(shared: &Shared, drafts: &BTreeMap<&'a str, Draft<'a>>) -> Result<HashSet<&'a str>> {
    let mut columns = Columns::default();
    for (stream, draft) in drafts.iter().filter(|(_, draft)| draft.is_changed) {
        columns.add(stream, draft);
    }
    if columns.streams.is_empty() {
        return Ok(HashSet::new());
    }
    let Columns { streams, epochs, places, revisions, leases, fences, letters } = columns;
    let query = sqlx::query_as::<_, (Option<String>, Option<i64>)>(WRITE).bind(&streams).bind(epochs).bind(places);
    let query = query.bind(revisions).bind(leases).bind(fences);
    let query = query.bind(letters.streams).bind(letters.places).bind(letters.fates).bind(letters.events).bind(letters.times);
    let query = query.bind(letters.attempts).bind(letters.statuses).bind(letters.errors).bind(letters.descriptions);
    let query = query.bind(letters.retries).bind(&shared.channel);
    let rows = shared.ask(OPERATION, async |connection| query.fetch_all(connection).await).await?;
    if let Some(changes) = rows.iter().find_map(|(_, changes)| *changes) {
        raise(&shared.records_changed, count(changes));
    }
    let kept: HashSet<&str> = rows.iter().filter_map(|(stream, _)| stream.as_deref()).collect();
    Ok(streams.into_iter().filter(|stream| !kept.contains(stream)).collect())
}

/// Streams as arrays, one a column of [`WRITE`].
#[derive(Debug, Default)]
struct Columns<'a> {
    streams: Vec<&'a str>,
    epochs: Vec<i64>,
    places: Vec<String>,
    revisions: Vec<Option<i64>>,
    leases: Vec<String>,
    fences: Vec<Option<i64>>,
    letters: Letters<'a>,
}

/// Dead letters in the same way. What is none has a place and a fate alone.
#[derive(Debug, Default)]
struct Letters<'a> {
    streams: Vec<&'a str>,
    places: Vec<i64>,
    fates: Vec<&'static str>,
    events: Vec<Option<Uuid>>,
    times: Vec<Option<i64>>,
    attempts: Vec<Option<i64>>,
    statuses: Vec<Option<i32>>,
    errors: Vec<Option<&'a [u8]>>,
    descriptions: Vec<Option<&'a [u8]>>,
    retries: Vec<Option<bool>>,
}

impl<'a> Columns<'a> {
    fn add(&mut self, stream: &'a str, draft: &Draft<'a>) {
        let Some(Ok((epoch, places))) = &draft.kept else { return };
        self.streams.push(stream);
        self.epochs.push(number(*epoch));
        self.places.push(places.to_string());
        self.revisions.push(draft.revision);
        self.leases.push(StreamId::parse(stream).as_ref().map(push_lease).unwrap_or_default());
        self.fences.push(draft.fence.map(number));
        for (place, fate) in &draft.letters {
            self.letters.add(stream, *place, *fate);
        }
    }
}

impl<'a> Letters<'a> {
    fn add(&mut self, stream: &'a str, place: Place, fate: Fate<'a>) {
        let (fate, letter, is_retried) = match fate {
            Fate::Settled => ("settled", None, false),
            Fate::Dead(letter, is_retried) => ("dead", Some(letter), is_retried),
            Fate::Changed(letter, is_retried) => ("changed", Some(letter), is_retried),
            Fate::Retried => ("retried", None, false),
        };
        self.streams.push(stream);
        self.places.push(number(place.0));
        self.fates.push(fate);
        self.events.push(letter.map(|letter| letter.event.0));
        self.times.push(letter.map(|letter| letter.at.0));
        self.attempts.push(letter.map(|letter| i64::from(letter.attempts)));
        self.statuses.push(letter.and_then(|letter| letter.status).map(i32::from));
        self.errors.push(letter.map(|letter| letter.error.as_bytes()));
        self.descriptions.push(letter.and_then(|letter| letter.description.as_deref()).map(str::as_bytes));
        self.retries.push(letter.map(|letter| letter.retry || is_retried));
    }
}
