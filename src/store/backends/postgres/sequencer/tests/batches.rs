//! How much is moved at once, and what it costs.

use super::{moved, stage};
use crate::base::clock::Timestamp;
use crate::base::id::Tenant;
use crate::base::limits;
use crate::store::Place;
use crate::store::backends::postgres::column::count;
use crate::store::backends::postgres::ledger;
use crate::store::backends::postgres::sequencer::Session;
use crate::store::backends::postgres::server::{self, Schema};
use crate::store::backends::postgres::session::Lock;
use crate::store::ledger::Trim;
use sqlx::PgConnection;

/// Stages an event of this number, with so many bytes of data.
async fn stage_sized(connection: &mut PgConnection, number: i64, ordinal: i64, bytes: usize) {
    const SQL: &str = "INSERT INTO staged (number, ordinal, event_id, tenant, kind, type, id, version, txn, at, attributes, data) \
        VALUES ($1, $2, gen_random_uuid(), 0, 1, 1, '\\x0001', $1 * 10 + $2, 'txn', 1, '[]', repeat('x', $3))";
    let query = sqlx::query(SQL).bind(number).bind(ordinal).bind(i32::try_from(bytes).expect("a size"));
    query.execute(connection).await.expect("staged");
}

#[tokio::test]
async fn a_batch_is_bounded_by_its_bytes_and_takes_a_number_whole() {
    const LARGE: usize = limits::SEQUENCER_BYTES / 2 - 3;
    let schema = Schema::new().await;
    let shared = schema.shared().await;
    let (mut session, mut connection) = (None, schema.connect().await);
    let staged =
        [(1, 1, LARGE), (2, 1, LARGE), (3, 1, LARGE), (4, 1, 1), (5, 1, LARGE), (5, 2, LARGE), (5, 3, LARGE), (6, 1, 1), (6, 2, 1)];
    for (number, ordinal, bytes) in staged {
        stage_sized(&mut connection, number, ordinal, bytes).await;
    }
    // The number that passes the bytes is the last: here the third, then the fifth, all of it.
    assert_eq!(moved(&shared, &mut session, 100).await, (3, true));
    assert_eq!(moved(&shared, &mut session, 100).await, (4, true));
    // And of the rows.
    assert_eq!(moved(&shared, &mut session, 1).await, (2, true));
    assert_eq!(moved(&shared, &mut session, 1).await, (0, false));
    let order: Vec<i64> =
        sqlx::query_scalar("SELECT version FROM event ORDER BY place").fetch_all(&mut connection).await.expect("the log");
    assert_eq!(order, [11, 21, 31, 41, 51, 52, 53, 61, 62]);
    drop((session, connection));
    schema.drop().await;
}

/// However many it is that the database cannot move at once.
#[tokio::test]
async fn a_batch_that_fails_is_tried_with_fewer_events() {
    let schema = Schema::new().await;
    let mut connection = schema.connect().await;
    let refuse = "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
            IF (SELECT count(*) FROM fresh) > 3 THEN RAISE query_canceled; END IF; RETURN NULL; \
        END $$; \
        CREATE TRIGGER refuse AFTER INSERT ON event REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION refuse(); \
        BEGIN";
    server::run(&mut connection, refuse.into()).await;
    for version in 1..=10 {
        stage(&mut connection, 0, 1, &[0, 1], version).await;
    }
    server::run(&mut connection, "COMMIT".into()).await;
    let node = schema.node().await;
    server::reached(&mut node.shared.wake.subscribe(), 10).await;
    drop((node, connection));
    schema.drop().await;
}

/// Where nothing is kept of the log, it goes on behind what was.
#[tokio::test]
async fn a_log_that_is_trimmed_whole_does_not_begin_anew() {
    let schema = Schema::new().await;
    let shared = schema.shared().await;
    let (mut session, mut connection) = (None, schema.connect().await);
    for place in [3, 6] {
        for version in 1..=3 {
            stage(&mut connection, 0, 1, &[0, 1], place + version).await;
        }
        assert_eq!(moved(&shared, &mut session, 100).await, (3, false));
        assert_eq!(*shared.wake.borrow(), u64::try_from(place).expect("a place"));
        let trim = Trim { through: Place(u64::MAX), before: Timestamp(0), limit: 100 };
        assert_eq!(ledger::trim(&shared, Place(u64::try_from(place - 3).expect("a place")), trim).await.expect("trimmed"), 3);
        let reading = ledger::read(&shared, Tenant(0), Place(0), 10).await.expect("the log");
        assert_eq!((reading.floor.0, reading.through.0, reading.events.len()), (*shared.wake.borrow(), *shared.wake.borrow(), 0));
    }
    drop((session, connection));
    schema.drop().await;
}

/// How many blocks a statement touches.
async fn blocks(connection: &mut PgConnection, sql: &str) -> u64 {
    let sql = sqlx::AssertSqlSafe(format!("EXPLAIN (ANALYZE, BUFFERS) {sql}"));
    let plan: Vec<String> = sqlx::query_scalar(sql).fetch_all(connection).await.expect("a plan");
    let buffers = plan.iter().find(|line| line.contains("Buffers")).expect("buffers");
    buffers.split(['=', ' ']).filter_map(|word| word.parse::<u64>().ok()).sum()
}

/// A backup keeps every version of every row in the way.
#[tokio::test]
async fn an_old_snapshot_makes_no_batch_dearer() {
    const BATCHES: u64 = 600;
    let schema = Schema::new().await;
    let shared = schema.shared().await;
    let (mut old, mut connection, mut session) = (schema.connect().await, schema.connect().await, None);
    server::run(&mut old, "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT last_place FROM log".into()).await;
    server::run(&mut connection, "SET synchronous_commit = off".into()).await;
    let mut seen = Vec::new();
    for batch in 1..=BATCHES {
        stage(&mut connection, 0, 1, &[0, 1], i64::try_from(batch).expect("a version")).await;
        if batch % (BATCHES / 2) == 0 {
            let Session { connection, settled, mark, mark_transaction, .. } = session.as_mut().expect("a session");
            let number = |number: &Option<i64>| number.map_or_else(|| "NULL".to_owned(), |number| number.to_string());
            let (settled, mark, transaction) = (number(settled), number(mark), number(mark_transaction));
            let key = Lock::Sequencer.key(shared.schema);
            let give = format!("SELECT give_places(100, 1000000, 'nobody', {key}, true, {settled}, {mark}, {transaction})");
            seen.push((blocks(connection, &give).await, blocks(connection, "SELECT last_place FROM log").await));
        } else {
            assert_eq!(moved(&shared, &mut session, 100).await, (1, false));
        }
    }
    assert!(seen[1].0 < seen[0].0 + 10 && seen[1].1 < seen[0].1 + 4, "{seen:?}");
    let reached: i64 = sqlx::query_scalar("SELECT last_place FROM log").fetch_one(&mut connection).await.expect("the log");
    assert_eq!(count(reached), BATCHES);
    drop((old, session, connection));
    schema.drop().await;
}
