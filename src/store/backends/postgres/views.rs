//! Views of users and groups for who reads the database itself, in the shape that an earlier system's tables have: `id`, and `details` with
//! the whole document. Secrets are in a column of their own, which no view shows.

use super::column::failed;
use super::open::alone;
use crate::store::{Result, StoreError, StoreErrorKind};
use sqlx::{AssertSqlSafe, PgConnection};

const OPERATION: &str = "make the views";
/// Marks a view as made here, and tells its form: to be raised with each change of it.
const MARK: &str = "Made by Carillon, form 1";

/// The tables of this program.
const TABLES: &[&str] = &[
    "bare",
    "configuration",
    "counter",
    "dead_letter",
    "event",
    "index_progress",
    "indexed",
    "lease",
    "log",
    "log_floor",
    "lookup",
    "member",
    "meta",
    "path",
    "record",
    "record_changes",
    "resolved",
    "resource",
    "secret",
    "staged",
    "staged_floor",
    "type",
    "unique_key",
];

/// Makes the views, unless they are there. Each is found by its name as it is written, and as SQL reads it without quotes.
pub(super) async fn show(connection: &mut PgConnection, schema: u32, names: &[String; 2]) -> Result<()> {
    let failed = failed(OPERATION);
    let mut transaction = alone(connection, schema, OPERATION).await?;
    for (name, (setting, kind, resource_type)) in
        names.iter().zip([("USER_MODEL_NAME", 1, "User"), ("GROUP_MODEL_NAME", 2, "Group")])
    {
        let folded = name.to_ascii_lowercase();
        let spellings = std::iter::once(name).chain(Some(&folded).filter(|folded| *folded != name));
        for spelling in spellings {
            if is_to_be_made(&mut transaction, schema, spelling, setting).await? {
                let made = view(spelling, kind, resource_type);
                sqlx::raw_sql(AssertSqlSafe(made)).execute(&mut *transaction).await.map_err(failed)?;
            }
        }
    }
    transaction.commit().await.map_err(failed)
}

/// Whether there is no such view yet, or one of another form. Fails when the name is taken.
async fn is_to_be_made(connection: &mut PgConnection, schema: u32, name: &str, setting: &str) -> Result<bool> {
    const SQL: &str =
        "SELECT relkind::text, obj_description(oid, 'pg_class') FROM pg_class WHERE relname = $1 AND relnamespace::bigint = $2";
    let found: Option<(String, Option<String>)> =
        sqlx::query_as(SQL).bind(name).bind(i64::from(schema)).fetch_optional(connection).await.map_err(failed(OPERATION))?;
    let refused = |problem: String| Err(StoreError::because(StoreErrorKind::Unavailable, OPERATION, problem));
    match found {
        None => Ok(true),
        Some((kind, mark)) if kind == "v" => match mark {
            Some(mark) if mark.starts_with("Made by Carillon") => Ok(mark != MARK),
            _ => refused(format!("there is a view {name} that Carillon has not made: set {setting} to another name")),
        },
        Some(_) if TABLES.contains(&name) => {
            refused(format!("{name} is the name of a table that Carillon needs itself: set {setting} to another name"))
        }
        Some(_) => refused(format!(
            "there is a table {name} already: rename it and take its resources over with `carillon import`, or set {setting} to another name"
        )),
    }
}

/// Names are letters, digits and `_`: quotes are only needed for words that SQL knows.
fn view(name: &str, kind: i32, resource_type: &str) -> String {
    let id = |column: &str| {
        format!(
            "CASE get_byte({column}, 0) WHEN 0 THEN convert_from(substring({column} from 2), 'UTF8') \
             ELSE encode(substring({column} from 2), 'hex')::uuid::text END"
        )
    };
    let time =
        |column: &str| format!("to_char(to_timestamp({column} / 1000.0) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"')");
    format!(
        "DROP VIEW IF EXISTS \"{name}\" RESTRICT; CREATE VIEW \"{name}\" AS SELECT {id} AS id, (r.body::jsonb || jsonb_build_object('id', {id}, \
         'meta', jsonb_build_object('resourceType', '{resource_type}', 'created', {created}, 'lastModified', {modified}, \
         'version', '\"' || r.version || '\"')) || CASE WHEN r.member_count > 0 THEN jsonb_build_object('members', \
         (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('value', {member}, 'type', m.kind, 'display', m.display)) ORDER BY m.member_id) \
         FROM member AS m WHERE m.tenant = r.tenant AND m.group_id = r.id)) ELSE '{{}}'::jsonb END)::json AS details \
         FROM resource AS r WHERE r.tenant = 0 AND r.type = {kind}; COMMENT ON VIEW \"{name}\" IS '{MARK}'",
        id = id("r.id"),
        created = time("r.created"),
        modified = time("r.modified"),
        member = id("m.member_id"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_is_known_as_one() {
        let sql = super::super::open::MIGRATIONS.concat();
        let made = ["CREATE TABLE ", "CREATE VIEW "]
            .into_iter()
            .flat_map(|make| sql.split(make).skip(1))
            .filter_map(|rest| rest.split_whitespace().next());
        let made: std::collections::BTreeSet<&str> = made.chain(["meta"]).collect();
        assert_eq!(made, TABLES.iter().copied().collect());
    }
}
