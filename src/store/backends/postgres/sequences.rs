//! The sequences, of which the tables hold numbers. A copy of a database may come without them: logical replication leaves them behind.

use super::column::failed;
use super::open::alone;
use crate::store::Result;
use sqlx::{AssertSqlSafe, PgConnection};

/// Each sequence, and the last number of it that is in use.
const SEQUENCES: [(&str, &str); 4] = [
    ("staged_number_seq", "greatest((SELECT number FROM staged_floor), (SELECT max(number) FROM staged))"),
    ("lease_epoch", "(SELECT max(epoch) FROM lease)"),
    ("resolved_revision", "(SELECT max(revision) FROM resolved)"),
    ("path_code_seq", "(SELECT max(code) FROM path)"),
];

/// Sets forward what is behind: events with numbers that are said to be settled would never get their places, and numbers that rise with
/// each owner of a lease would not rise.
pub(super) async fn bring_forward(connection: &mut PgConnection, schema: u32) -> Result<()> {
    const OPERATION: &str = "look at the sequences";
    let failed = failed(OPERATION);
    let mut transaction = alone(connection, schema, OPERATION).await?;
    for (sequence, used) in SEQUENCES {
        let sql = format!(
            "SELECT setval('{sequence}', used) FROM (SELECT {used} AS used) AS u WHERE used > (SELECT last_value FROM {sequence})"
        );
        let set: Option<i64> = sqlx::query_scalar(AssertSqlSafe(sql)).fetch_optional(&mut *transaction).await.map_err(failed)?;
        if let Some(number) = set {
            tracing::warn!(sequence, number, "a sequence was behind the numbers in use: was the database copied without it?");
        }
    }
    transaction.commit().await.map_err(failed)
}
