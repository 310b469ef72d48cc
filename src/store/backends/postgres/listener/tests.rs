use super::*;
use crate::base::id::Tenant;
use crate::store::backends::postgres::server::{self, PATIENCE, Schema, reached, stage};
use crate::store::ledger::RecordChange;
use crate::store::{Ledger, Place};
use sqlx::PgConnection;

fn change(expected: Option<u64>, body: Option<&str>) -> RecordChange {
    RecordChange { collection: "stream", id: "a".into(), expected, body: body.map(str::to_owned) }
}

/// Gives staged events their places and tells nobody.
async fn place_silently(connection: &mut PgConnection) {
    let sql = "SELECT give_places(100, 1000000, 'nobody', 0, false, NULL, NULL, NULL)";
    sqlx::query(sql).execute(connection).await.expect("places");
}

/// Changes records and tells nobody.
async fn change_silently(connection: &mut PgConnection, revision: Option<i64>, body: Option<&str>) {
    let query = sqlx::query("SELECT change_records('{stream}', '{a}', $1, $2, 'nobody')").bind(vec![revision]);
    query.bind(vec![body.map(str::to_owned)]).execute(connection).await.expect("changed");
}

/// A node that only listens.
async fn ear(schema: &Schema) -> (Arc<Shared>, tokio::task::JoinSet<()>) {
    let shared = schema.shared().await;
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(run(Arc::clone(&shared)));
    (shared, tasks)
}

#[tokio::test]
async fn what_nobody_tells_is_seen_all_the_same() {
    let schema = Schema::new().await;
    let (shared, tasks) = ear(&schema).await;
    let (mut wake, mut signal) = (shared.wake.subscribe(), shared.records_changed.subscribe());
    let mut connection = schema.connect().await;
    for place in 1..=2 {
        stage(&mut connection, 0, 1, &[0, 1], 1).await;
        place_silently(&mut connection).await;
        reached(&mut wake, place).await;
    }
    // A change that leaves nothing behind is one too.
    let changes = [(None, Some("1")), (Some(1), Some("2")), (Some(2), None)];
    for (number, (revision, body)) in (1..).zip(changes) {
        change_silently(&mut connection, revision, body).await;
        reached(&mut signal, number).await;
    }
    drop((tasks, shared, connection));
    schema.drop().await;
}

#[tokio::test]
async fn a_listener_whose_session_ends_listens_again() {
    let schema = Schema::new().await;
    let (shared, tasks) = ear(&schema).await;
    let mut wake = shared.wake.subscribe();
    let mut connection = schema.connect().await;
    for place in 1..=3 {
        stage(&mut connection, 0, 1, &[0, 1], 1).await;
        place_silently(&mut connection).await;
        reached(&mut wake, place).await;
        assert!(schema.kill_sessions(&mut connection).await > 0);
    }
    // It listens, and not only looks: of leases it is only told.
    let mut leases = shared.leases_changed.subscribe();
    let telling = async {
        let mut turn = tokio::time::interval(Duration::from_millis(20));
        loop {
            turn.tick().await;
            sqlx::query("SELECT pg_notify($1, 'leases')").bind(&shared.channel).execute(&mut connection).await.expect("told");
        }
    };
    tokio::select! {
        () = reached(&mut leases, 1) => {}
        () = telling => {}
    }
    drop((tasks, shared, connection));
    schema.drop().await;
}

#[tokio::test]
async fn nodes_hear_of_each_other() {
    let schema = Schema::new().await;
    let (one, other) = (schema.node().await, schema.node().await);
    let (mut wake, mut changed) = (other.wake(), other.records_changed());
    stage(&mut schema.connect().await, 0, 1, b"\0a", 1).await;
    one.shared.staged.add();
    reached(&mut wake, 1).await;
    assert_eq!(other.read(Tenant(0), Place(0), 10).await.expect("the log").events.len(), 1);
    one.write_records(vec![change(None, Some("1"))]).await.expect("written");
    reached(&mut changed, 1).await;
    assert_eq!(other.records("stream").await.expect("records").len(), 1);
    one.write_records(vec![change(Some(1), None)]).await.expect("removed");
    reached(&mut changed, 2).await;
    assert_eq!(other.records("stream").await.expect("records"), []);
    drop((one, other));
    schema.drop().await;
}

/// I5: anybody who can connect to the database can say anything, and retention goes by how far the log is.
#[tokio::test]
async fn what_is_said_is_looked_up_and_not_believed() {
    let schema = Schema::new().await;
    let (shared, tasks) = ear(&schema).await;
    let (mut wake, mut signal) = (shared.wake.subscribe(), shared.records_changed.subscribe());
    let mut connection = schema.connect().await;
    for said in ["log 99999999999999", "log x", "log", "records 99", "something 9", ""] {
        server::run(&mut connection, format!("NOTIFY {}, '{said}'", shared.channel)).await;
    }
    stage(&mut connection, 0, 1, &[0, 1], 1).await;
    place_silently(&mut connection).await;
    change_silently(&mut connection, None, Some("1")).await;
    reached(&mut wake, 1).await;
    reached(&mut signal, 1).await;
    assert_eq!((*wake.borrow(), *signal.borrow()), (1, 1));
    let known = ["log 1", "log 0", "records 1", "leases", "log x"].map(|said| hear(&shared, said));
    assert_eq!(known, [News::Nothing; 5]);
    assert_eq!((hear(&shared, "log 2"), hear(&shared, "records 2")), (News::Log(2), News::Records));
    drop((tasks, shared, connection));
    schema.drop().await;
}

/// The database goes away and comes back: nothing is to be done for it.
#[tokio::test]
async fn a_listener_that_finds_no_database_waits_for_it() {
    let schema = Schema::new().await;
    let mut connection = schema.connect().await;
    let shared = schema.shared().await;
    // It fails after a while, so that it can be seen.
    let away = "ALTER VIEW log RENAME TO away; CREATE VIEW log AS \
        SELECT coalesce(nullif(length(pg_sleep(0.2)::text), 0), 1 / (random() * 0)::int)::bigint AS last_place";
    server::run(&mut connection, away.into()).await;
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(run(Arc::clone(&shared)));
    let mut wake = shared.wake.subscribe();
    let looks = "SELECT count(*) FROM pg_stat_activity WHERE application_name = current_setting('application_name') \
        AND pid <> pg_backend_pid() AND query LIKE 'SELECT (SELECT last_place%'";
    let failed = async {
        let mut turn = tokio::time::interval(Duration::from_millis(20));
        while sqlx::query_scalar::<_, i64>(looks).fetch_one(&mut connection).await.expect("a count") == 0 {
            turn.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, failed).await.expect("in time");
    server::run(&mut connection, "DROP VIEW log; ALTER VIEW away RENAME TO log; UPDATE log_floor SET place = 4".into()).await;
    reached(&mut wake, 4).await;
    drop((tasks, shared, connection));
    schema.drop().await;
}
