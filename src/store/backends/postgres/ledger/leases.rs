//! Leases, by the clock of the database: nodes whose clocks differ agree on what has run out.

use super::super::Shared;
use super::super::column::count;
use crate::store::Result;
use crate::store::ledger::{Lease, Survey};
use std::time::Duration;

/// Takes what is free or has run out and holds on to what is the owner's; all else it passes by without a lock. Rows are taken in the
/// order of names, so that of two nodes one waits and none forever. Nodes are told of what has got another owner.
const CLAIM: &str = "WITH known AS MATERIALIZED (SELECT name FROM lease WHERE owner = $1 AND name = ANY ($2)), \
    claimed AS ( \
        INSERT INTO lease (name, owner, epoch, until) \
        SELECT asked.name, $1, nextval('lease_epoch'), clock_timestamp() + $3 * interval '1 millisecond' FROM ( \
            SELECT DISTINCT name FROM unnest($2::text[]) AS given (name) WHERE NOT EXISTS ( \
                SELECT FROM lease AS held WHERE held.name = given.name AND held.owner <> $1 AND held.until > clock_timestamp() \
            ) ORDER BY name \
        ) AS asked \
        ON CONFLICT (name) DO UPDATE SET owner = excluded.owner, until = excluded.until, \
            epoch = CASE WHEN lease.owner = excluded.owner THEN lease.epoch ELSE excluded.epoch END \
            WHERE lease.owner = excluded.owner OR lease.until <= clock_timestamp() \
        RETURNING name, epoch \
    ) \
    SELECT name, epoch FROM claimed UNION ALL \
    SELECT nullif(pg_notify($4, 'leases')::text, ''), NULL FROM (SELECT FROM claimed WHERE name NOT IN (SELECT name FROM known) LIMIT 1) \
        AS news";

pub(in super::super) async fn claim(shared: &Shared, owner: &str, names: &[String], length: Duration) -> Result<Vec<Lease>> {
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let length_ms = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
    let query = sqlx::query_as::<_, (Option<String>, Option<i64>)>(CLAIM).bind(owner).bind(names).bind(length_ms);
    let query = query.bind(&shared.channel);
    let rows = shared.ask("claim leases", async |connection| query.fetch_all(connection).await).await?;
    let leases = rows.into_iter().filter_map(|(name, epoch)| Some(Lease { name: name?, epoch: count(epoch?) }));
    Ok(leases.collect())
}

/// One row that counts the other nodes, and one for each name that is the owner's or nobody's. A node that is there no more leaves
/// nothing: its name is never used again.
const SURVEY: &str = "WITH gone AS (DELETE FROM lease WHERE ctid = ANY (ARRAY( \
        SELECT ctid FROM lease WHERE name LIKE 'node/%' AND until <= clock_timestamp() FOR UPDATE SKIP LOCKED \
    ))) \
    SELECT NULL, false, count(*) FROM lease WHERE name LIKE 'node/%' AND owner <> $1 AND until > clock_timestamp() UNION ALL \
    SELECT given.name, lease.owner IS NOT NULL, 0 FROM (SELECT DISTINCT name FROM unnest($2::text[]) AS asked (name)) AS given \
        LEFT JOIN lease ON lease.name = given.name AND lease.until > clock_timestamp() \
        WHERE lease.owner IS NULL OR lease.owner = $1";

pub(in super::super) async fn survey(shared: &Shared, owner: &str, names: &[String]) -> Result<Survey> {
    let query = sqlx::query_as::<_, (Option<String>, bool, i64)>(SURVEY).bind(owner).bind(names);
    let mut survey = Survey::default();
    for (name, is_own, nodes) in shared.ask("look at leases", async |connection| query.fetch_all(connection).await).await? {
        match name {
            None => survey.others = usize::try_from(count(nodes)).unwrap_or(usize::MAX),
            Some(name) if is_own => survey.own.push(name),
            Some(name) => survey.free.push(name),
        }
    }
    survey.free.sort_unstable();
    Ok(survey)
}

/// The row stays, and with it the epoch: what the owner has still under way is good until somebody else takes over. Nodes are told, so
/// that they claim at once.
const RELEASE: &str = "WITH held AS MATERIALIZED ( \
        SELECT name FROM lease WHERE owner = $1 AND name = ANY ($2) ORDER BY name FOR UPDATE \
    ), freed AS ( \
        UPDATE lease SET until = '-infinity' FROM held WHERE lease.name = held.name AND lease.owner = $1 RETURNING lease.name \
    ) \
    SELECT pg_notify($3, 'leases') FROM (SELECT FROM freed LIMIT 1) AS news";

pub(in super::super) async fn release(shared: &Shared, owner: &str, names: &[String]) -> Result<()> {
    if names.is_empty() {
        return Ok(());
    }
    let query = sqlx::query(RELEASE).bind(owner).bind(names).bind(&shared.channel);
    shared.ask("release leases", async |connection| query.execute(connection).await.map(drop)).await
}
