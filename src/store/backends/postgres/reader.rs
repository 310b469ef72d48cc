//! Reads by key, and documents with what is asked for beside them, each in one statement.

use super::Shared;
use super::column::{corrupt, count, failed, id_bytes, id_of, tenant_number, type_number};
use super::session::{Loan, connect};
use crate::base::clock::Timestamp;
use crate::base::id::{Key, Tenant, TypeCode};
use crate::base::limits;
use crate::scim::resource::Member;
use crate::store::sql::catalogue::listed;
use crate::store::{Detail, Membership, Result, StoreError, StoreErrorKind, Stored};
use bytes::Bytes;
use sqlx::postgres::PgRow;
use sqlx::{AssertSqlSafe, PgConnection, Row, ValueRef};
use std::sync::Arc;
use std::time::Duration;

/// Joins the resource `x` of each row of `place`, by the key and in no other way, whatever the database believes of the tables.
pub(super) const EACH: &str =
    "CROSS JOIN LATERAL (SELECT * FROM resource WHERE tenant = $1 AND type = $2 AND id = place.id LIMIT 1) AS x";

/// The columns of a resource that every statement here reads, in this order.
pub(super) const COLUMNS: &str = "id, version, revision, created, modified, member_count, body, secrets";
/// The same where the rows are those of `place` and `x`. The id is that of the place, in whose order they are.
pub(super) const COLUMNS_OF_EACH: &str =
    "place.id, x.version, x.revision, x.created, x.modified, x.member_count, x.body, x.secrets";
const COLUMN_COUNT: usize = 8;
const PING: &str = "ask the database";
const MEMBER_COLUMNS: usize = 3;

/// The members of `r`, in id order.
const MEMBERS: &str = " LEFT JOIN LATERAL (SELECT array_agg(member_id) AS ids, array_agg(kind) AS kinds, array_agg(display) AS displays \
    FROM (SELECT member_id, kind, display FROM member WHERE r.member_count > 0 AND tenant = $1 AND group_id = r.id \
    ORDER BY member_id) AS listed) AS m ON true";

/// How far the groups that a resource is in are followed, where they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// Those that it is in directly, and whether one of them is in a group itself: half the work of the whole, and mostly all there is.
    Near,
    /// All of them.
    Whole,
}

/// The text of the statements that read documents.
#[derive(Debug)]
pub(super) struct Statements {
    /// By [`place`].
    near: [Arc<str>; 8],
    /// By [`place`].
    whole: [Arc<str>; 8],
    groups_near: String,
    groups: String,
}

/// Where the statement for a detail is.
fn place(detail: Detail) -> usize {
    usize::from(detail.members) | usize::from(detail.groups) << 1 | usize::from(detail.secrets) << 2
}

impl Statements {
    /// For types of these codes.
    pub(super) fn new(types: &[TypeCode]) -> Self {
        let most = limits::GROUPS_PER_RESOURCE;
        // The same as `residual::groups_above`: by the least number of steps, each group once. That a group is met again at every depth
        // of a cycle is bounded by the depth; which of the farthest ones go where there are too many is the only thing it may decide
        // in another way.
        let groups = format!(
            " LEFT JOIN LATERAL (WITH RECURSIVE above (id, depth) AS (\
             SELECT group_id, 1 FROM member WHERE tenant = $1 AND member_id = r.id AND group_id <> r.id UNION \
             SELECT e.group_id, above.depth + 1 FROM above CROSS JOIN LATERAL \
             (SELECT group_id FROM member WHERE tenant = $1 AND member_id = above.id OFFSET 0) AS e \
             WHERE above.depth < {depth} AND e.group_id <> r.id), \
             nearest AS (SELECT id, min(depth) AS depth FROM above GROUP BY id ORDER BY 2, 1 LIMIT {most}) \
             SELECT array_agg(id) AS ids, array_agg(type) AS types, array_agg(display) AS displays, array_agg(direct) AS directs \
             FROM (SELECT nearest.id, o.type, o.display, nearest.depth = 1 AS direct FROM nearest CROSS JOIN LATERAL {described} AS o \
             ORDER BY nearest.id) AS listed) AS g ON true",
            depth = limits::GROUP_DEPTH,
            described = described(types, "nearest.id"),
        );
        let groups_near = format!(
            " LEFT JOIN LATERAL (SELECT array_agg(id) AS ids, array_agg(type) AS types, array_agg(display) AS displays, \
             array_agg(true) AS directs, bool_or(is_member) AS are_members \
             FROM (SELECT d.id, o.type, o.display, EXISTS (SELECT FROM member WHERE tenant = $1 AND member_id = d.id) AS is_member \
             FROM (SELECT group_id AS id FROM member WHERE tenant = $1 AND member_id = r.id AND group_id <> r.id \
             ORDER BY group_id LIMIT {most}) AS d CROSS JOIN LATERAL {described} AS o ORDER BY d.id) AS listed) AS g ON true",
            described = described(types, "d.id"),
        );
        let mut statements = Self { near: Default::default(), whole: Default::default(), groups_near, groups };
        let from = format!("(SELECT {COLUMNS} FROM resource WHERE tenant = $1 AND type = $2 AND id = $3)");
        for number in 0..statements.whole.len() {
            let detail = Detail { members: number & 1 > 0, groups: number & 2 > 0, secrets: number & 4 > 0 };
            statements.near[place(detail)] = statements.documents(detail, Reach::Near, "", &from, "").into();
            statements.whole[place(detail)] = statements.documents(detail, Reach::Whole, "", &from, "").into();
        }
        statements
    }

    /// The statements that read one resource.
    #[cfg(all(test, feature = "servers"))]
    pub(super) fn sql_of_get(&self, detail: Detail) -> [String; 2] {
        [&self.near, &self.whole].map(|statements| statements[place(detail)].to_string())
    }

    /// A statement that reads documents from `from`, a table expression with at least [`COLUMNS`] and those of `lead`, which come first.
    pub(super) fn documents(&self, detail: Detail, reach: Reach, lead: &str, from: &str, order: &str) -> String {
        let secrets = if detail.secrets { "r.secrets" } else { "NULL::text" };
        let (columns, joins) = self.beside(detail, reach);
        format!(
            "SELECT {lead}r.id, r.version, r.revision, r.created, r.modified, r.member_count, r.body, {secrets}{columns} \
             FROM {from} AS r{joins}{order}"
        )
    }

    /// A statement that reads only what is asked for beside the documents of `from`, in its order.
    pub(super) fn details(&self, detail: Detail, from: &str, order: &str) -> String {
        let (columns, joins) = self.beside(detail, Reach::Whole);
        format!("SELECT r.id{columns} FROM {from} AS r{joins}{order}")
    }

    fn beside(&self, detail: Detail, reach: Reach) -> (String, String) {
        let (mut columns, mut joins) = (String::new(), String::new());
        if detail.members {
            columns.push_str(", m.ids, m.kinds, m.displays");
            joins.push_str(MEMBERS);
        }
        if detail.groups {
            columns.push_str(", g.ids, g.types, g.displays, g.directs");
            joins.push_str(if reach == Reach::Near { &self.groups_near } else { &self.groups });
        }
        if detail.groups && reach == Reach::Near {
            columns.push_str(", g.are_members");
        }
        (columns, joins)
    }
}

/// A table of the type and the name of the resource of this id, of whichever type it is.
fn described(types: &[TypeCode], id: &str) -> String {
    let codes = listed(types.iter());
    match types {
        [_] => format!("(SELECT type, display FROM resource WHERE tenant = $1 AND type = {codes} AND id = {id} LIMIT 1)"),
        // Each by the whole key: over `type = ANY (...)` an index may be read by its first column alone.
        _ => format!(
            "(SELECT found.type, found.display FROM unnest(ARRAY[{codes}]::int[]) AS known (code) CROSS JOIN LATERAL \
             (SELECT type, display FROM resource WHERE tenant = $1 AND type = known.code AND id = {id} LIMIT 1) AS found LIMIT 1)"
        ),
    }
}

/// One resource.
pub(super) async fn get(shared: &Shared, key: &Key, detail: Detail) -> Result<Option<Stored>> {
    const OPERATION: &str = "read a resource";
    let statements = &shared.statements;
    let mut loan = Loan::take(&shared.readers, OPERATION).await?;
    let mut read = async |sql: &Arc<str>| {
        let query = sqlx::query(AssertSqlSafe(Arc::clone(sql)));
        let query = query.bind(tenant_number(key.tenant)).bind(type_number(key.kind)).bind(id_bytes(&key.id));
        query.fetch_optional(&mut *loan).await.map_err(failed(OPERATION))
    };
    let mut row = read(&statements.near[place(detail)]).await?;
    if detail.groups && row.as_ref().map(has_farther).transpose()?.unwrap_or_default() {
        row = read(&statements.whole[place(detail)]).await?;
    }
    loan.done(OPERATION).await?;
    row.map(|row| stored(&row, 0, (key.tenant, key.kind), detail)).transpose()
}

/// Whether groups of a resource that were read [nearby](Reach::Near) are in groups themselves.
pub(super) fn has_farther(row: &PgRow) -> Result<bool> {
    row.try_get::<Option<bool>, _>("are_members").map(Option::unwrap_or_default).map_err(failed("read a row"))
}

/// Whether the database answers, and this node may write to it.
pub(super) async fn ping(shared: &Shared) -> Result<()> {
    let asked = async {
        let mut loan = Loan::take(&shared.readers, PING).await?;
        super::epoch::check(&mut loan, shared.epoch).await?;
        if takes_writes(&mut loan).await? {
            return loan.done(PING).await;
        }
        // A session keeps what it began with, for as long as it lasts. Whether that still holds, a new one knows; the old one is dropped.
        drop(loan);
        if takes_writes(&mut connect(shared, PING).await?).await? {
            return Ok(());
        }
        Err(StoreError::because(StoreErrorKind::Unavailable, PING, "the database takes no writes"))
    };
    let late = |_| StoreError::because(StoreErrorKind::Unavailable, PING, "the database does not answer");
    tokio::time::timeout(Duration::from_millis(limits::DATABASE_ACQUIRE_MS), asked).await.map_err(late)?
}

async fn takes_writes(connection: &mut PgConnection) -> Result<bool> {
    const SQL: &str = "SELECT NOT (pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean)";
    sqlx::query_scalar(SQL).fetch_one(connection).await.map_err(failed(PING))
}

/// A resource from its row, whose columns begin at a place.
pub(super) fn stored(row: &PgRow, first: usize, (tenant, kind): (Tenant, TypeCode), detail: Detail) -> Result<Stored> {
    let failed = failed("read a row");
    let number = |column: usize| row.try_get::<i64, _>(first + column).map_err(failed);
    let (members, groups) = beside(row, first + COLUMN_COUNT, tenant, detail)?;
    Ok(Stored {
        key: Key { tenant, kind, id: id_of(bytes(row, first)?)? },
        version: count(number(1)?),
        revision: count(number(2)?),
        created: Timestamp(number(3)?),
        modified: Timestamp(number(4)?),
        member_count: count(number(5)?),
        body: Bytes::copy_from_slice(bytes(row, first + 6)?),
        members,
        groups,
        secrets: if detail.secrets { row.try_get(first + 7).map_err(failed)? } else { None },
    })
}

/// What a column holds, which is not null.
pub(super) fn bytes(row: &PgRow, column: usize) -> Result<&[u8]> {
    let value = row.try_get_raw(column).map_err(failed("read a row"))?;
    if value.is_null() {
        return Err(corrupt("read a row", "nothing where a value must be"));
    }
    value.as_bytes().map_err(|error| StoreError::because(StoreErrorKind::Corrupt, "read a row", error))
}

type Beside = (Option<Vec<Member>>, Option<Vec<Membership>>);

/// What was asked for beside a document, from columns that begin at a place.
pub(super) fn beside(row: &PgRow, first: usize, tenant: Tenant, detail: Detail) -> Result<Beside> {
    let members = if detail.members { Some(members(row, first)?) } else { None };
    let first = if detail.members { first + MEMBER_COLUMNS } else { first };
    let groups = if detail.groups { Some(groups(row, first, tenant)?) } else { None };
    Ok((members, groups))
}

fn list<'r, T>(row: &'r PgRow, column: usize) -> Result<Vec<T>>
where
    Vec<T>: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    // Of no rows an array is null.
    row.try_get::<Option<Vec<T>>, _>(column).map(Option::unwrap_or_default).map_err(failed("read a row"))
}

fn members(row: &PgRow, first: usize) -> Result<Vec<Member>> {
    let (ids, kinds, displays) =
        (list::<Vec<u8>>(row, first)?, list::<Option<String>>(row, first + 1)?, list::<Option<String>>(row, first + 2)?);
    let members = ids.iter().zip(kinds).zip(displays);
    members.map(|((id, kind), display)| Ok(Member { id: id_of(id)?, kind, display })).collect()
}

fn groups(row: &PgRow, first: usize, tenant: Tenant) -> Result<Vec<Membership>> {
    let (ids, types) = (list::<Vec<u8>>(row, first)?, list::<i32>(row, first + 1)?);
    let (displays, directs) = (list::<Option<String>>(row, first + 2)?, list::<bool>(row, first + 3)?);
    let groups = ids.iter().zip(types).zip(displays).zip(directs);
    groups
        .map(|(((id, kind), display), direct)| {
            let kind = TypeCode(u16::try_from(kind).map_err(|_| corrupt("read a row", "not a resource type"))?);
            Ok(Membership { group: Key { tenant, kind, id: id_of(id)? }, display, direct })
        })
        .collect()
}
