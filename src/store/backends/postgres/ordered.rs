//! Pages of places that indexes give in one statement: in id order, in the order of an index, or among the candidates of a filter.

use super::column::{id_bytes, key_bytes, number, tenant_number, type_number};
use super::reader::{COLUMNS, COLUMNS_OF_EACH, EACH, Reach, Statements};
use crate::store::sql::catalogue::Table;
use crate::store::sql::filter::{Bound, Candidates};
use crate::store::sql::plan::Index;
use crate::store::{Position, Query, Start};
use sqlx::postgres::PgArguments;
use sqlx::query::Query as Prepared;
use sqlx::{AssertSqlSafe, Postgres};

/// A value of a statement.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(i64),
    Bytes(Vec<u8>),
    Ids(Vec<Vec<u8>>),
}

impl From<&Bound> for Value {
    fn from(bound: &Bound) -> Self {
        match bound {
            Bound::Code(code) => Self::Number(*code),
            Bound::Value(value) => Self::Bytes(key_bytes(value)),
            Bound::Id(id) => Self::Bytes(id_bytes(id)),
        }
    }
}

/// A statement about the resources of a type: `$1` is the tenant, `$2` the type.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) sql: String,
    /// The values of `$3` and on.
    pub(super) values: Vec<Value>,
}

impl Statement {
    /// One without values as yet.
    pub(super) fn new(sql: String) -> Self {
        Self { sql, values: Vec::new() }
    }

    /// Takes a value; gives back how the statement names it.
    pub(super) fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len() + 2)
    }

    /// The statement as it is sent.
    pub(super) fn prepare(self, query: &Query) -> Prepared<'static, Postgres, PgArguments> {
        let prepared = sqlx::query(AssertSqlSafe(self.sql)).bind(tenant_number(query.tenant)).bind(type_number(query.kind));
        self.values.into_iter().fold(prepared, |prepared, value| match value {
            Value::Number(number) => prepared.bind(number),
            Value::Bytes(bytes) => prepared.bind(bytes),
            Value::Ids(ids) => prepared.bind(ids),
        })
    }
}

/// All resources of the type, counted.
pub(super) const COUNT: &str = "SELECT coalesce(sum(n), 0)::bigint AS total FROM counter WHERE tenant = $1 AND type = $2";
/// What stands for a count where nothing is counted.
const UNCOUNTED: &str = "SELECT NULL::bigint AS total";

/// The columns before those of the document: the total, which the first row has even where there is no document, and the key.
pub(super) const LEAD: &str = "r.total, r.value, ";

/// Where a page begins, how much it holds at most, and whether its matches are counted: from `LIMIT` on, of a list of places.
fn window(statement: &mut Statement, query: &Query) -> String {
    // One more, to know whether it is the last page.
    let limit = statement.bind(Value::Number(number(query.limit.saturating_add(1))));
    match query.start {
        Start::After(_) | Start::Offset(0) => format!("LIMIT {limit}"),
        // Nothing is passed over where there is nothing behind it.
        Start::Offset(offset) => {
            let offset = statement.bind(Value::Number(number(offset)));
            format!("LIMIT CASE WHEN {offset} < (SELECT total FROM counted) THEN {limit} ELSE 0 END OFFSET {offset}")
        }
    }
}

fn counted<'a>(query: &Query, count: &'a str) -> &'a str {
    if matches!(query.start, Start::Offset(_)) { count } else { UNCOUNTED }
}

/// What documents are read by.
#[derive(Clone, Copy, Debug)]
pub(super) struct How<'a> {
    pub(super) statements: &'a Statements,
    pub(super) reach: Reach,
}

/// The documents of places. `with` names `counted` and `place`, whose rows have a stretch `s`, a key `value` and an `id`, and are in the
/// order of these columns.
fn documents(mut statement: Statement, how: How<'_>, query: &Query, with: &str, order: &[&str]) -> Statement {
    let order_of = |table: &str| order.iter().map(|column| format!("{table}{column}")).collect::<Vec<_>>().join(", ");
    // What is asked for beside a document is read when its turn has come.
    let from = format!(
        "(SELECT counted.total, place.s, place.value, {COLUMNS_OF_EACH} FROM counted LEFT JOIN (place {EACH}) ON true \
         ORDER BY {order})",
        order = order_of("").replace("id", "place.id"),
    );
    let order = format!(" ORDER BY {}", order_of("r."));
    statement.sql = format!("WITH {with} {}", how.statements.documents(query.detail, how.reach, LEAD, &from, &order));
    statement
}

/// A page in id order.
pub(super) fn page(how: How<'_>, query: &Query) -> Statement {
    let mut statement = Statement::new(String::new());
    let is_down = query.sort.as_ref().is_some_and(|sort| sort.descending);
    let (order, sign) = if is_down { ("id DESC", "<") } else { ("id", ">") };
    let bound = match &query.start {
        Start::After(Some(position)) => format!("AND id {sign} {}", statement.bind(Value::Bytes(id_bytes(&position.id)))),
        _ => String::new(),
    };
    let window = window(&mut statement, query);
    let rows = format!("FROM resource WHERE tenant = $1 AND type = $2 {bound} ORDER BY {order} {window}");
    let counted = counted(query, COUNT);
    if matches!(query.start, Start::Offset(1..)) {
        // Of those that are passed over only the index is read.
        let with = format!("counted AS ({counted}), place AS (SELECT 0 AS s, NULL::bytea AS value, id {rows})");
        return documents(statement, how, query, &with, &[order]);
    }
    let from = format!(
        "(SELECT counted.total, NULL::bytea AS value, x.* FROM ({counted}) AS counted LEFT JOIN (SELECT {COLUMNS} {rows}) AS x ON true \
         ORDER BY x.{order})"
    );
    statement.sql = how.statements.documents(query.detail, how.reach, LEAD, &from, &format!(" ORDER BY r.{order}"));
    statement
}

/// A page in id order of candidates that all match.
pub(super) fn candidates(how: How<'_>, query: &Query, candidates: &Candidates) -> Statement {
    let mut statement = Statement { sql: String::new(), values: candidates.values.iter().map(Value::from).collect() };
    let window = window(&mut statement, query);
    let with = format!(
        "found AS ({}), counted AS ({}), place AS (SELECT 0 AS s, NULL::bytea AS value, id FROM found ORDER BY id {window})",
        candidates.sql,
        counted(query, "SELECT count(*) AS total FROM found")
    );
    documents(statement, how, query, &with, &["id"])
}

/// How many candidates there are.
pub(super) fn count(candidates: &Candidates) -> Statement {
    let sql = format!("SELECT count(*) AS total FROM ({}) AS found", candidates.sql);
    Statement { sql, values: candidates.values.iter().map(Value::from).collect() }
}

/// The two stretches of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stretch {
    /// The resources that have a value, in its order.
    Valued,
    /// Those without one, in id order.
    Bare,
}

impl Stretch {
    fn table(self, index: Index) -> &'static str {
        if self == Self::Valued { index.table() } else { "bare" }
    }

    /// The rows of it.
    fn rows(self, index: Index, code: &str) -> String {
        format!("FROM {} WHERE tenant = $1 AND type = $2 AND path = {code}", self.table(index))
    }

    /// Its places, in order, those that a bound leaves out aside.
    fn places(self, index: Index, number: usize, code: &str, bound: &str) -> String {
        let rows = self.rows(index, code);
        let direction = if index.is_down { "DESC" } else { "ASC" };
        match (self, index.table) {
            (Self::Bare, _) => format!("SELECT {number} AS s, NULL::bytea AS value, id {rows} {bound} ORDER BY id {direction}"),
            (Self::Valued, Table::Unique) => {
                format!("SELECT {number} AS s, value, id {rows} {bound} ORDER BY value {direction}")
            }
            (Self::Valued, Table::Lookup) => {
                format!("SELECT {number} AS s, value, id {rows} {bound} ORDER BY value {direction}, id {direction}")
            }
        }
    }
}

/// A page in the order of an index.
pub(super) fn ordered(how: How<'_>, query: &Query, index: Index) -> Statement {
    let mut statement = Statement::new(String::new());
    let code = statement.bind(Value::Number(index.code));
    let mut stretches = [Stretch::Valued, Stretch::Bare];
    if index.is_down {
        stretches.reverse();
    }
    let [first, second] = stretches;
    let after = match &query.start {
        Start::After(Some(position)) => Some(position),
        _ => None,
    };
    let bound = after.map_or_else(String::new, |position| bound(&mut statement, index, position));
    let limit = statement.bind(Value::Number(number(query.limit.saturating_add(1))));
    let at = after.map(|position| if position.key.is_some() { Stretch::Valued } else { Stretch::Bare });
    let places = if at == Some(second) {
        // The first stretch lies behind.
        vec![second.places(index, 1, &code, &bound)]
    } else {
        vec![first.places(index, 0, &code, &bound), second.places(index, 1, &code, "")]
    };
    let place = match (&places[..], &query.start) {
        ([first_places, second_places], Start::Offset(offset)) if *offset > 0 => {
            let offset = statement.bind(Value::Number(number(*offset)));
            let limit = format!("CASE WHEN {offset} < (SELECT total FROM counted) THEN {limit} ELSE 0 END");
            // The size of the first stretch is asked for only where it is passed over as a whole.
            format!(
                "first AS MATERIALIZED ({first_places} LIMIT {limit} OFFSET {offset}), place AS (SELECT s, value, id FROM first UNION ALL \
                 (SELECT s, value, id FROM ({second_places}) AS second LIMIT {limit} - (SELECT count(*) FROM first) \
                 OFFSET CASE WHEN EXISTS (SELECT FROM first) THEN 0 ELSE greatest(0, {offset} - (SELECT count(*) {rows})) END))",
                rows = first.rows(index, &code),
            )
        }
        ([first_places, second_places], _) => format!(
            "first AS MATERIALIZED ({first_places} LIMIT {limit}), place AS (SELECT s, value, id FROM first UNION ALL \
             (SELECT s, value, id FROM ({second_places}) AS second LIMIT {limit} - (SELECT count(*) FROM first)))"
        ),
        (places, _) => format!("place AS ({} LIMIT {limit})", places.join("")),
    };
    let with = format!("counted AS ({}), {place}", counted(query, COUNT));
    let order = if index.is_down { ["s", "value DESC", "id DESC"] } else { ["s", "value", "id"] };
    documents(statement, how, query, &with, &order)
}

/// What comes after a place, within its stretch.
fn bound(statement: &mut Statement, index: Index, Position { key, id }: &Position) -> String {
    let sign = if index.is_down { "<" } else { ">" };
    let key = key.as_ref().map(|key| statement.bind(Value::Bytes(key_bytes(key))));
    let id = statement.bind(Value::Bytes(id_bytes(id)));
    match key {
        Some(key) => format!("AND (value, id) {sign} ({key}, {id})"),
        None => format!("AND id {sign} {id}"),
    }
}
