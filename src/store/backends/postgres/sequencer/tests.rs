//! Which events get which places, and that it goes on.

mod batches;

use super::*;
use crate::base::id::Tenant;
use crate::store::backends::postgres::ledger;
use crate::store::backends::postgres::server::{self, PATIENCE, Schema, stage};
use crate::store::{Logged, Place};
use metrics_exporter_prometheus::PrometheusBuilder;
use sqlx::Connection;
use std::collections::{BTreeMap, HashSet};
use tokio::sync::watch;
use tokio::task::JoinSet;
use uuid::Uuid;

/// An event as its writer staged it, and as a reader saw it.
#[derive(Clone, Debug, PartialEq)]
struct Seen {
    event: Uuid,
    resource: Vec<u8>,
    version: i64,
}

/// What is wrong with what a reader saw, when this is what was committed.
fn faults(seen: &[Seen], committed: &[Seen]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut versions: BTreeMap<&[u8], i64> = BTreeMap::new();
    for one in seen {
        if !committed.contains(one) {
            faults.push(format!("was never committed: {one:?}"));
        }
        let last = versions.entry(&one.resource).or_default();
        if one.version <= *last {
            faults.push(format!("comes after version {last}: {one:?}"));
        }
        *last = one.version;
    }
    let known: HashSet<Uuid> = seen.iter().map(|one| one.event).collect();
    faults.extend(committed.iter().filter(|one| !known.contains(&one.event)).map(|one| format!("was missed: {one:?}")));
    faults
}

/// The next version of a resource, staged while its lock is held.
async fn change(connection: &mut PgConnection, resource: &[u8]) -> Seen {
    const SQL: &str = "UPDATE resource SET version = version + 1 WHERE tenant = 0 AND type = 1 AND id = $1 RETURNING version";
    let version: i64 = sqlx::query_scalar(SQL).bind(resource).fetch_one(&mut *connection).await.expect("a resource");
    Seen { event: stage(connection, 0, version, resource, version).await, resource: resource.to_vec(), version }
}

/// A writer takes its time.
async fn dawdle(connection: &mut PgConnection) {
    let seconds = f64::from(fastrand::u8(0..6)) / 1_000.0;
    sqlx::query("SELECT pg_sleep($1)").bind(seconds).execute(connection).await.expect("a wait");
}

async fn resources(schema: &Schema, ids: impl Iterator<Item = u8>) {
    const SQL: &str = "INSERT INTO resource (tenant, type, id, version, revision, created, modified, member_count, body) \
        VALUES (0, 1, $1, 0, 1, 0, 0, 0, '{}')";
    let mut connection = schema.connect().await;
    for id in ids {
        sqlx::query(SQL).bind(vec![0, id]).execute(&mut connection).await.expect("a resource");
    }
}

/// The log from a place on, as every reader reads it.
async fn log_after(shared: &Shared, after: &mut Place) -> Vec<(Place, Seen)> {
    let reading = ledger::read(shared, Tenant(0), *after, 7).await.expect("the log");
    *after = reading.through;
    let seen = |Logged { place, event }: Logged| {
        let resource = crate::store::backends::postgres::column::id_bytes(&event.subject.id);
        (place, Seen { event: event.id.0, resource, version: i64::try_from(event.version).expect("a version") })
    };
    reading.events.into_iter().map(seen).collect()
}

const WRITERS: u8 = 8;
const CHANGES: usize = 60;
const RESOURCES: u8 = 5;

/// Changes, of which every fourth or so is rolled back. Returns those that were committed.
async fn write(schema: Schema, shared: Arc<Shared>) -> Vec<Seen> {
    let mut connection = schema.connect().await;
    let mut committed = Vec::new();
    for _ in 0..CHANGES {
        let mut transaction = connection.begin().await.expect("a transaction");
        let mut changed = Vec::new();
        // In order, as every writer locks them.
        let first = fastrand::u8(0..RESOURCES);
        let second = fastrand::u8(first..RESOURCES);
        for id in first..=second.min(first + 1) {
            dawdle(&mut transaction).await;
            changed.push(change(&mut transaction, &[0, id]).await);
        }
        dawdle(&mut transaction).await;
        if fastrand::u8(0..4) == 0 {
            transaction.rollback().await.expect("rolled back");
            continue;
        }
        transaction.commit().await.expect("committed");
        committed.append(&mut changed);
        shared.staged.add();
    }
    committed
}

/// Begins sequencers and ends them in the middle of their work, over and over.
async fn kill(shared: Arc<Shared>) {
    let mut wake = shared.wake.subscribe();
    loop {
        let victim = tokio::spawn(run(Arc::clone(&shared)));
        let least = *wake.borrow() + u64::from(fastrand::u8(1..20));
        let _ = wake.wait_for(|place| *place >= least).await;
        for _ in 0..fastrand::u8(0..20) {
            tokio::task::yield_now().await;
        }
        victim.abort();
    }
}

/// Follows the log until it is over: its last place comes when the writers are done.
async fn follow(shared: Arc<Shared>, mut last: watch::Receiver<Option<u64>>) -> Vec<(Place, Seen)> {
    let (mut after, mut seen, mut wake) = (Place(0), Vec::new(), shared.wake.subscribe());
    loop {
        seen.append(&mut log_after(&shared, &mut after).await);
        if last.borrow_and_update().is_some_and(|last| after.0 >= last) {
            return seen;
        }
        if after.0 >= *wake.borrow() {
            tokio::select! {
                _ = wake.changed() => {}
                _ = last.changed() => {}
            }
        }
    }
}

/// I1 I5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_of_many_writers_is_dense_complete_and_in_order() {
    let schema = Schema::new().await;
    resources(&schema, 0..RESOURCES).await;
    let nodes = [schema.node().await, schema.node().await];
    let killer = tokio::spawn(kill(Arc::clone(&nodes[1].shared)));
    let end = watch::Sender::new(None);
    let readers = nodes.each_ref().map(|node| tokio::spawn(follow(Arc::clone(&node.shared), end.subscribe())));
    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        writers.spawn(write(schema.clone(), Arc::clone(&nodes[usize::from(number % 2)].shared)));
    }
    let committed = writers.join_all().await.concat();
    let last = u64::try_from(committed.len()).expect("a number");
    end.send_replace(Some(last));
    for reader in readers {
        let log = tokio::time::timeout(PATIENCE, reader).await.expect("in time").expect("a reader");
        let places: Vec<u64> = log.iter().map(|(place, _)| place.0).collect();
        assert_eq!(places, (1..=last).collect::<Vec<_>>());
        let seen: Vec<Seen> = log.into_iter().map(|(_, seen)| seen).collect();
        assert_eq!(faults(&seen, &committed), Vec::<String>::new());
    }
    killer.abort();
    let left: i64 = nodes[0]
        .shared
        .ask("count", async |it| sqlx::query_scalar("SELECT count(*) FROM staged").fetch_one(it).await)
        .await
        .expect("a count");
    assert_eq!(left, 0);
    drop(nodes);
    schema.drop().await;
}

/// Ways to read what writers have staged.
enum Reader {
    /// Ours.
    Sequenced { shared: Arc<Shared>, session: Option<Session>, after: Place },
    /// Everything behind the last number.
    Naive { last: i64 },
    /// Everything behind the last transaction that no running one is before.
    Fenced { last: (i64, i64) },
}

impl Reader {
    async fn look(&mut self, connection: &mut PgConnection) -> Vec<Seen> {
        const NAIVE: &str =
            "SELECT event_id, id, version, 0::bigint, number FROM staged WHERE number > $2 AND $1 = 0 ORDER BY number";
        const FENCED: &str = "SELECT event_id, id, version, xmin::text::bigint, number FROM staged \
            WHERE (xmin::text::bigint, number) > ($1, $2) AND xmin::text::bigint < pg_snapshot_xmin(pg_current_snapshot())::text::bigint \
            ORDER BY xmin::text::bigint, number";
        let (sql, last) = match self {
            Self::Sequenced { shared, session, after } => {
                assert!(matches!(look(shared, session, 100).await, Ok(Look::Moved { .. })));
                return log_after(shared, after).await.into_iter().map(|(_, seen)| seen).collect();
            }
            Self::Naive { last } => (NAIVE, (0, *last)),
            Self::Fenced { last } => (FENCED, *last),
        };
        let rows: Vec<(Uuid, Vec<u8>, i64, i64, i64)> =
            sqlx::query_as(sql).bind(last.0).bind(last.1).fetch_all(connection).await.expect("staged events");
        if let Some((.., transaction, number)) = rows.last() {
            match self {
                Self::Naive { last } => *last = *number,
                Self::Fenced { last } => *last = (*transaction, *number),
                Self::Sequenced { .. } => {}
            }
        }
        rows.into_iter().map(|(event, resource, version, ..)| Seen { event, resource, version }).collect()
    }
}

/// Which of two writers does what when.
#[derive(Clone, Copy)]
enum Play {
    /// The one that stages first commits last.
    LateCommit,
    /// The one that begins first comes second to the resource.
    EarlyBegin,
}

/// Lets a reader watch a play. Returns what is wrong with what it saw, in short.
async fn watch(play: Play, reader: impl AsyncFnOnce(&Schema) -> Reader) -> Vec<String> {
    let schema = Schema::new().await;
    resources(&schema, 0..2).await;
    let mut reader = reader(&schema).await;
    let (mut one, mut other, mut mine) = (schema.connect().await, schema.connect().await, schema.connect().await);
    let (mut seen, mut committed) = (Vec::new(), Vec::new());
    let mut first = one.begin().await.expect("a transaction");
    let mut second = other.begin().await.expect("a transaction");
    match play {
        Play::LateCommit => {
            committed.push(change(&mut first, &[0, 0]).await);
            committed.push(change(&mut second, &[0, 1]).await);
            second.commit().await.expect("committed");
            seen.append(&mut reader.look(&mut mine).await);
        }
        Play::EarlyBegin => {
            sqlx::query("SELECT pg_current_xact_id()").execute(&mut *first).await.expect("an id");
            committed.push(change(&mut second, &[0, 0]).await);
            second.commit().await.expect("committed");
            seen.append(&mut reader.look(&mut mine).await);
            committed.push(change(&mut first, &[0, 0]).await);
        }
    }
    first.commit().await.expect("committed");
    // Transactions of others on the server hold up the fenced reader. What this one sees is whole when two looks show the same.
    let mut turn = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..500 {
        seen.append(&mut reader.look(&mut mine).await);
        if seen.len() == committed.len() || matches!(reader, Reader::Naive { .. }) {
            break;
        }
        turn.tick().await;
    }
    drop(reader);
    drop((one, other, mine));
    schema.drop().await;
    faults(&seen, &committed).iter().map(|fault| fault.split(':').next().unwrap_or_default().to_owned()).collect()
}

async fn sequenced(schema: &Schema) -> Reader {
    Reader::Sequenced { shared: schema.shared().await, session: None, after: Place(0) }
}

async fn naive(_: &Schema) -> Reader {
    Reader::Naive { last: 0 }
}

async fn fenced(_: &Schema) -> Reader {
    Reader::Fenced { last: (0, 0) }
}

/// I5
#[tokio::test]
async fn a_late_commit_is_missed_by_who_reads_on_by_number() {
    assert_eq!(watch(Play::LateCommit, naive).await, ["was missed"]);
    assert_eq!(watch(Play::LateCommit, fenced).await, [""; 0]);
    assert_eq!(watch(Play::LateCommit, sequenced).await, [""; 0]);
}

/// I4
#[tokio::test]
async fn an_early_begin_is_misplaced_by_who_reads_on_by_transaction() {
    assert_eq!(watch(Play::EarlyBegin, fenced).await, ["comes after version 2"]);
    assert_eq!(watch(Play::EarlyBegin, naive).await, [""; 0]);
    assert_eq!(watch(Play::EarlyBegin, sequenced).await, [""; 0]);
}

/// How many events one look moves, and whether there may be more.
async fn moved(shared: &Shared, session: &mut Option<Session>, most: u64) -> (u64, bool) {
    let Ok(Look::Moved { events, is_full }) = look(shared, session, most).await else {
        unreachable!("nobody else gives places, and nothing fails");
    };
    (events, is_full)
}

#[tokio::test]
async fn one_gives_places_at_a_time_and_nobody_waits_for_it() {
    let schema = Schema::new().await;
    let shared = schema.shared().await;
    let (mut session, mut other) = (None, schema.connect().await);
    for version in 1..=3 {
        stage(&mut other, 0, 1, &[0, 1], version).await;
    }
    let mut held = other.begin().await.expect("a transaction");
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(Lock::Sequencer.key(shared.schema));
    lock.execute(&mut *held).await.expect("the lock");
    assert_eq!(look(&shared, &mut session, 2).await.expect("an answer"), Look::Busy);
    held.commit().await.expect("given back");
    for (events, is_full, reached) in [(2, true, 2), (1, false, 3), (0, false, 3)] {
        assert_eq!(moved(&shared, &mut session, 2).await, (events, is_full));
        assert_eq!(*shared.wake.borrow(), reached);
    }
    drop((session, other));
    schema.drop().await;
}

/// A number of a transaction that is open still is waited for, however long; behind it nothing is read twice.
#[tokio::test]
async fn what_has_gone_is_passed_over_and_nothing_else() {
    let schema = Schema::new().await;
    let shared = schema.shared().await;
    let (mut session, mut one, mut other) = (None, schema.connect().await, schema.connect().await);
    let settled = |session: &Option<Session>| session.as_ref().and_then(|session| session.settled).expect("a number");
    for version in 1..=4 {
        stage(&mut one, 0, 1, &[0, 1], version).await;
    }
    let mut open = other.begin().await.expect("a transaction");
    stage(&mut open, 0, 1, &[0, 2], 1).await;
    for version in 5..=9 {
        stage(&mut one, 0, 1, &[0, 1], version).await;
        moved(&shared, &mut session, if version == 5 { 5 } else { 100 }).await;
    }
    assert!(settled(&session) < 5);
    open.commit().await.expect("committed");
    assert_eq!(moved(&shared, &mut session, 100).await, (1, false));
    // Others on the server may have older transactions.
    let mut turn = tokio::time::interval(Duration::from_millis(20));
    let mut version = 10;
    while settled(&session) < 10 {
        stage(&mut one, 0, 1, &[0, 1], version).await;
        assert_eq!(moved(&shared, &mut session, 100).await, (1, false));
        version += 1;
        assert!(version < 1_000, "nothing is ever settled");
        turn.tick().await;
    }
    // It is noted now and then, for whoever comes next.
    let noted = async || {
        shared
            .ask("look", async |it| sqlx::query_scalar::<_, i64>("SELECT number FROM staged_floor").fetch_one(it).await)
            .await
            .expect("a number")
    };
    assert_eq!(noted().await, 0);
    let kept = Instant::now().checked_sub(Duration::from_millis(limits::SEQUENCER_KEEP_MS)).expect("a time before");
    session.as_mut().expect("a session").kept = kept;
    stage(&mut one, 0, 1, &[0, 1], version).await;
    moved(&shared, &mut session, 100).await;
    assert_eq!(noted().await, settled(&session));
    let mut next = None;
    assert_eq!(moved(&shared, &mut next, 100).await, (0, false));
    assert_eq!(settled(&next), settled(&session));
    drop((session, next, one, other));
    schema.drop().await;
}

#[tokio::test]
async fn a_batch_and_its_wait_are_measured() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let rendered = recorder.handle();
    let schema = Schema::new().await;
    let shared = schema.shared().await;
    let mut connection = schema.connect().await;
    for version in 1..=3 {
        stage(&mut connection, 0, 1, &[0, 1], version).await;
    }
    server::run(&mut connection, "UPDATE staged SET staged_at = staged_at - interval '1 minute' WHERE number = 2".into()).await;
    let mut session = Some(Session::of(connection));
    let measured = metrics::set_default_local_recorder(&recorder);
    look(&shared, &mut session, 10).await.expect("moved");
    look(&shared, &mut session, 10).await.expect("nothing to move");
    drop(measured);
    let text = rendered.render();
    assert!(text.contains("carillon_sequencer_batch_events_sum 3\n"), "{text}");
    assert!(text.contains("carillon_sequencer_batch_events_count 1\n"), "{text}");
    assert!(text.contains("carillon_sequencer_lag_seconds_count 3\n"), "{text}");
    assert!(text.contains("carillon_sequencer_lag_seconds_sum 18"), "{text}");
    drop(session);
    schema.drop().await;
}

#[tokio::test]
async fn a_sequencer_whose_session_ends_goes_on() {
    let schema = Schema::new().await;
    let node = schema.node().await;
    let mut wake = node.shared.wake.subscribe();
    let mut connection = schema.connect().await;
    for round in 1..=3 {
        stage(&mut connection, 0, 1, &[0, 1], round).await;
        // Even when nobody tells it that there is something.
        server::reached(&mut wake, u64::try_from(round).expect("a place")).await;
        assert!(schema.kill_sessions(&mut connection).await > 0);
    }
    drop((node, connection));
    schema.drop().await;
}
