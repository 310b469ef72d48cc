use super::*;
use crate::base::id::StreamId;
use crate::store::backends::postgres::Postgres;
use crate::store::backends::postgres::server::{self, PATIENCE, Schema, reached, run, stage};
use crate::store::backends::postgres::session::Lock;
use crate::store::ledger::{DeadLetter, Lease, Life, PlaceSet, RecordChange, Resolution, Survey, push_lease};
use crate::store::{Ledger, StoreErrorKind};
use sqlx::{Connection, PgConnection};
use std::time::Duration;

const HOUR: Duration = Duration::from_hours(1);

fn stream(name: &str) -> StreamId {
    StreamId::parse(name).expect("a stream's id")
}

fn resolution(name: &str, places: &str, fence: Option<u64>) -> Resolution {
    let places = places.parse().expect("places");
    Resolution { fence, ..Resolution::of(stream(name), 0, places) }
}

async fn resolve(node: &Postgres, resolutions: Vec<Resolution>) -> Vec<Result<String, StoreErrorKind>> {
    let results = node.resolve(resolutions).await.expect("answers");
    results.into_iter().map(|result| result.map(|places| places.to_string()).map_err(|error| error.kind)).collect()
}

async fn kept(node: &Postgres, name: &str) -> Option<String> {
    node.resolved(&stream(name), 0).await.expect("places").map(|places| places.to_string())
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The names that are held then, in order, and the epochs.
async fn claim(node: &Postgres, owner: &str, asked: &[&str]) -> (Vec<String>, Vec<u64>) {
    let mut held = node.claim(owner, &names(asked), HOUR).await.expect("an answer");
    held.sort_by(|left, right| left.name.cmp(&right.name));
    held.into_iter().map(|Lease { name, epoch }| (name, epoch)).unzip()
}

/// Time passes for a lease.
async fn run_out(connection: &mut PgConnection, name: &str) {
    run(connection, format!("UPDATE lease SET until = clock_timestamp() - interval '1 ms' WHERE name = '{name}'")).await;
}

#[tokio::test]
async fn a_lease_has_one_owner_at_a_time() {
    let schema = Schema::new().await;
    let (one, other, mut connection) = (schema.node().await, schema.node().await, schema.connect().await);
    let (held, first) = claim(&one, "one", &["y", "x", "y"]).await;
    assert_eq!(held, ["x", "y"]);
    assert_eq!(claim(&other, "other", &["x", "y"]).await, (vec![], vec![]));
    assert_eq!(claim(&other, "other", &[]).await, (vec![], vec![]));
    // Who holds it holds on to it, by any node, in the same epoch; and though it had run out.
    assert_eq!(claim(&other, "one", &["x", "y"]).await, (held.clone(), first.clone()));
    run_out(&mut connection, "x").await;
    assert_eq!(claim(&one, "one", &["x", "y"]).await, (held, first.clone()));
    // What is given back or has run out is free; what is somebody else's cannot be given back.
    one.release("one", &names(&["x", "nothing"])).await.expect("given back");
    other.release("other", &names(&["y"])).await.expect("nothing to give back");
    let (held, second) = claim(&other, "other", &["x", "y", "z"]).await;
    assert_eq!(held, ["x", "z"]);
    run_out(&mut connection, "y").await;
    let (held, third) = claim(&other, "other", &["y"]).await;
    assert_eq!(held, ["y"]);
    assert!(second[0] > first[0] && third[0] > first[1], "{first:?} {second:?} {third:?}");
    assert_eq!(claim(&one, "one", &["x", "y", "z"]).await, (vec![], vec![]));
    drop((one, other, connection));
    schema.drop().await;
}

#[tokio::test]
async fn a_survey_tells_what_is_free_and_who_else_is_there() {
    let schema = Schema::new().await;
    let (one, other, mut connection) = (schema.node().await, schema.node().await, schema.connect().await);
    let survey = async |owner: &str, asked: &[&str]| {
        let Survey { others, mut own, free } = one.survey(owner, &names(asked)).await.expect("a survey");
        own.sort();
        (others, own, free)
    };
    assert_eq!(survey("one", &["y", "x"]).await, (0, vec![], names(&["x", "y"])));
    claim(&one, "one", &["node/one", "w", "x"]).await;
    claim(&one, "other", &["node/other", "y"]).await;
    let asked = ["x", "y", "w", "z", "x"];
    assert_eq!(survey("one", &asked).await, (1, names(&["w", "x"]), names(&["z"])));
    assert_eq!(survey("other", &asked).await, (1, names(&["y"]), names(&["z"])));
    assert_eq!(survey("third", &asked).await, (2, vec![], names(&["z"])));
    // What has run out is nobody's, and a node that has gone leaves nothing.
    for name in ["node/other", "y", "w"] {
        run_out(&mut connection, name).await;
    }
    assert_eq!(survey("one", &asked).await, (0, names(&["x"]), names(&["w", "y", "z"])));
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM lease WHERE name = 'node/other'")
        .fetch_one(&mut connection)
        .await
        .expect("a count");
    assert_eq!(left, 0);
    // Whoever gives something back or takes it tells the others; who holds on to it tells nobody.
    let mut news = other.leases_changed().expect("there may be others");
    let mut hears = async || tokio::time::timeout(PATIENCE, news.changed()).await.expect("in time").expect("an open store");
    one.release("one", &names(&["x"])).await.expect("given back");
    hears().await;
    claim(&one, "third", &["x"]).await;
    hears().await;
    claim(&one, "third", &["x"]).await;
    one.release("one", &names(&["x", "nothing"])).await.expect("nothing to give back");
    claim(&one, "third", &["z"]).await;
    hears().await;
    assert!(!news.has_changed().expect("an open store"));
    drop((one, other, connection));
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_claim_the_same_leases_each_goes_to_one() {
    const OWNERS: usize = 6;
    let schema = Schema::new().await;
    let nodes = [schema.node().await, schema.node().await];
    let all: Vec<String> = (0..40).map(|number| format!("push/s{number:02}")).collect();
    for round in 0..5 {
        run(&mut schema.connect().await, "UPDATE lease SET until = '-infinity'".into()).await;
        let owners: Vec<String> = (0..OWNERS).map(|number| format!("{round}-{number}")).collect();
        let claims = owners.iter().enumerate().map(|(number, owner)| {
            let mut asked = all.clone();
            fastrand::shuffle(&mut asked);
            let node = &nodes[number % 2];
            async move { node.claim(owner, &asked, HOUR).await }
        });
        let held = futures_util::future::join_all(claims).await;
        let mut held: Vec<Lease> = held.into_iter().flat_map(|held| held.expect("an answer")).collect();
        held.sort_by(|left, right| left.name.cmp(&right.name));
        assert_eq!(held.iter().map(|lease| &lease.name).collect::<Vec<_>>(), all.iter().collect::<Vec<_>>());
    }
    drop(nodes);
    schema.drop().await;
}

/// I5
#[tokio::test]
async fn what_is_done_under_a_lease_of_before_is_refused() {
    let schema = Schema::new().await;
    let (one, other, mut connection) = (schema.node().await, schema.node().await, schema.connect().await);
    let lease = push_lease(&stream("s"));
    let first = claim(&one, "one", &[&lease]).await.1[0];
    assert_eq!(resolve(&one, vec![resolution("s", "3", Some(first))]).await, [Ok("3".into())]);
    // Until somebody else takes it, nobody has taken anything from its owner.
    run_out(&mut connection, &lease).await;
    assert_eq!(resolve(&one, vec![resolution("s", "3 5", Some(first))]).await, [Ok("3 5".into())]);
    let second = claim(&other, "other", &[&lease]).await.1[0];
    assert_eq!(resolve(&other, vec![resolution("s", "4", Some(second))]).await, [Ok("5".into())]);
    let late = vec![resolution("t", "1", None), resolution("s", "9", Some(first)), resolution("s", "0 7", None)];
    assert_eq!(resolve(&one, late).await, [Ok("1".into()), Err(StoreErrorKind::Superseded), Ok("5 7".into())]);
    // Even one that would change nothing tells its owner that the lease is lost.
    assert_eq!(resolve(&one, vec![resolution("s", "2", Some(first))]).await, [Err(StoreErrorKind::Superseded)]);
    assert_eq!(kept(&one, "s").await.as_deref(), Some("5 7"));
    // A stream of the same name is another one.
    other.renew(vec![], &stream("s"), None).await.expect("forgotten");
    assert_eq!(resolve(&other, vec![resolution("s", "8", Some(second))]).await, [Err(StoreErrorKind::Superseded)]);
    let third = claim(&one, "one", &[&lease]).await.1[0];
    assert!(third > second && second > first);
    assert_eq!((kept(&one, "s").await, kept(&one, "t").await), (None, Some("1".into())));
    drop((one, other, connection));
    schema.drop().await;
}

/// A node that has read what is kept of a life writes it after the next one has begun.
#[tokio::test]
async fn what_was_read_of_a_life_before_is_not_written_over_the_next_one() {
    let schema = Schema::new().await;
    let (node, mut connection) = (schema.node().await, schema.connect().await);
    let revisions = async || {
        let mut connection = schema.connect().await;
        let revision = sqlx::query_scalar::<_, i64>("SELECT revision FROM resolved WHERE stream = 's'");
        revision.fetch_one(&mut connection).await.expect("a revision")
    };
    let mut seen = Vec::new();
    for epoch in [3, 5, 7] {
        let life = Life { epoch, places: "0".parse().expect("places") };
        node.renew(vec![], &stream("s"), Some(life)).await.expect("a life");
        seen.push(revisions().await);
        node.renew(vec![], &stream("s"), None).await.expect("its end");
        assert_eq!(resolve(&node, vec![resolution("s", "1", None)]).await, [Ok("1".into())]);
        seen.push(revisions().await);
        run(&mut connection, "DELETE FROM resolved".into()).await;
    }
    assert!(seen.is_sorted_by(|earlier, later| earlier < later), "{seen:?}");
    drop((node, connection));
    schema.drop().await;
}

/// Another node delivers the stream.
#[tokio::test]
async fn letters_to_be_delivered_once_more_are_told_to_every_node() {
    let schema = Schema::new().await;
    let (one, other) = (schema.node().await, schema.node().await);
    let letter = |place: u64, retry| DeadLetter {
        place: Place(place),
        event: EventId(uuid::Uuid::from_u128(1)),
        at: Timestamp(1),
        attempts: 1,
        status: None,
        error: "dropped".into(),
        description: None,
        retry,
    };
    let (mut here, mut there) = (one.records_changed(), other.records_changed());
    let none = Resolution { dead: vec![letter(1, false)], retried: vec![Place(9)], ..resolution("s", "1", None) };
    let marked = [
        Resolution { retried: vec![Place(1)], ..resolution("s", "1", None) },
        Resolution { changed: vec![letter(1, true)], ..resolution("s", "1", None) },
        Resolution { dead: vec![letter(2, true)], ..resolution("s", "2", None) },
    ];
    assert!(one.resolve(vec![none]).await.expect("an answer")[0].is_ok());
    for (number, marked) in (1..).zip(marked) {
        assert!(one.resolve(vec![marked]).await.expect("an answer")[0].is_ok());
        assert_eq!(*here.borrow_and_update(), number);
        reached(&mut there, number).await;
    }
    drop((one, other));
    schema.drop().await;
}

/// The lease changes hands when the places are read already and not yet written.
#[tokio::test]
async fn a_lease_that_is_lost_in_between_is_seen() {
    let schema = Schema::new().await;
    let (one, mut connection) = (schema.node().await, schema.connect().await);
    let lease = push_lease(&stream("s"));
    let epoch = claim(&one, "one", &[&lease]).await.1[0];
    let mut takeover = connection.begin().await.expect("a transaction");
    run(&mut takeover, format!("UPDATE lease SET owner = 'other', epoch = nextval('lease_epoch') WHERE name = '{lease}'")).await;
    let waiting = async {
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = current_setting('application_name') \
            AND wait_event_type = 'Lock'";
        let (mut turn, mut watching) = (tokio::time::interval(Duration::from_millis(20)), schema.connect().await);
        while sqlx::query_scalar::<_, i64>(waits).fetch_one(&mut watching).await.expect("a count") == 0 {
            turn.tick().await;
        }
        takeover.commit().await.expect("taken over");
    };
    let resolving = resolve(&one, vec![resolution("s", "3", Some(epoch)), resolution("t", "3", None)]);
    let (results, ()) = tokio::time::timeout(PATIENCE, async { tokio::join!(resolving, waiting) }).await.expect("in time");
    assert_eq!(results, [Err(StoreErrorKind::Superseded), Ok("3".into())]);
    assert_eq!((kept(&one, "s").await, kept(&one, "t").await), (None, Some("3".into())));
    drop((one, connection));
    schema.drop().await;
}

/// I5
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_of_two_nodes_at_once_are_merged() {
    const STREAMS: u64 = 5;
    const CALLS: u64 = 12;
    let schema = Schema::new().await;
    let nodes = [schema.node().await, schema.node().await];
    let mut calls = Vec::new();
    for call in 0..CALLS {
        let mut resolutions: Vec<Resolution> = (0..STREAMS)
            .map(|number| {
                let mut places = PlaceSet::default();
                places.insert(crate::store::Place(call + 1));
                Resolution { places, ..resolution(&format!("s{number}"), "0", None) }
            })
            .collect();
        fastrand::shuffle(&mut resolutions);
        calls.push(nodes[usize::try_from(call % 2).expect("a node")].resolve(resolutions));
    }
    for results in futures_util::future::join_all(calls).await {
        assert!(results.expect("answers").into_iter().all(|result| result.is_ok()));
    }
    for number in 0..STREAMS {
        assert_eq!(kept(&nodes[0], &format!("s{number}")).await, Some(CALLS.to_string()));
    }
    drop(nodes);
    schema.drop().await;
}

#[tokio::test]
async fn places_that_cannot_be_read_concern_their_stream_alone() {
    let schema = Schema::new().await;
    let node = schema.node().await;
    run(&mut schema.connect().await, "INSERT INTO resolved VALUES ('b', 0, 'nonsense', 1)".into()).await;
    let all = vec![resolution("a", "1", None), resolution("b", "2", None), resolution("c", "3", None)];
    assert_eq!(resolve(&node, all).await, [Ok("1".into()), Err(StoreErrorKind::Corrupt), Ok("3".into())]);
    assert_eq!(node.resolved(&stream("b"), 0).await.map_err(|error| error.kind), Err(StoreErrorKind::Corrupt));
    drop(node);
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_the_same_on_every_node() {
    let schema = Schema::new().await;
    let nodes = [schema.node().await, schema.node().await];
    let asked = (0..8_u8).map(|number| nodes[usize::from(number % 2)].secret("any", [number; 32]));
    let secrets = futures_util::future::join_all(asked).await;
    let first = nodes[0].secret("any", [99; 32]).await.expect("a secret");
    assert!(secrets.into_iter().all(|secret| secret.expect("a secret") == first) && first != [99; 32]);
    assert_eq!(nodes[1].secret("other", [7; 32]).await.expect("a secret"), [7; 32]);
    drop(nodes);
    schema.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_nodes_that_change_one_record_one_is_late() {
    let schema = Schema::new().await;
    let nodes = [schema.node().await, schema.node().await];
    let change = |id: &str, expected, body: &str| RecordChange {
        collection: "stream",
        id: id.into(),
        expected,
        body: Some(body.to_owned()),
    };
    nodes[0].write_records(vec![change("a", None, "1")]).await.expect("a record");
    for revision in 1..=5 {
        // Each makes a record too, which the one that is late takes back.
        let contenders = ["x", "y", "z"].iter().enumerate().map(|(number, body)| {
            let made = change(&format!("{revision}-{body}"), None, body);
            nodes[number % 2].write_records(vec![made, change("a", Some(revision), body)])
        });
        let results = futures_util::future::join_all(contenders).await;
        let late = results.iter().filter(|result| result.as_ref().is_err_and(|error| error.kind == StoreErrorKind::Stale)).count();
        assert_eq!(late, 2);
    }
    assert_eq!(nodes[0].records("stream").await.expect("records").len(), 6);
    drop(nodes);
    schema.drop().await;
}

/// Many events at once, of two tenants, at times that go to and fro. Returns the times of the first tenant by place.
async fn many(schema: &Schema, node: &Postgres, size: &str) -> Vec<(u64, i64)> {
    let mut connection = schema.connect().await;
    let staged = format!(
        "INSERT INTO staged (event_id, tenant, kind, type, id, version, txn, at, attributes, data) \
         SELECT gen_random_uuid(), CASE WHEN n % 50 = 0 THEN 1 ELSE 0 END, 1, 1, '\\x00', 1, 'txn', n * 10 + (n * 7919) % 300, \
         '[]', repeat('x', {size}) FROM generate_series(1, 20000) AS n"
    );
    run(&mut connection, staged).await;
    node.shared.staged.add();
    reached(&mut node.wake(), 20_000).await;
    let events: Vec<(i64, i64)> = sqlx::query_as("SELECT place, at FROM event WHERE tenant = 0 ORDER BY place")
        .fetch_all(&mut connection)
        .await
        .expect("events");
    events.into_iter().map(|(place, at)| (count(place), at)).collect()
}

#[tokio::test]
async fn a_time_is_found_in_a_long_log_without_reading_it() {
    let schema = Schema::new().await;
    let node = schema.node().await;
    let times = many(&schema, &node, "200").await;
    for trimmed in [0, 3_000] {
        let gone =
            node.trim(Place(0), Trim { through: Place(trimmed), before: Timestamp(0), limit: 5_000 }).await.expect("trimmed");
        assert_eq!(gone as u64, trimmed);
        for at in (-100..205_000).step_by(9_973) {
            let first = times.iter().find(|(place, time)| *place > trimmed && *time >= at);
            let expected = first.map_or(20_000, |(place, _)| place - 1);
            assert_eq!(node.place_before(Tenant(0), Timestamp(at)).await.expect("a place"), Place(expected), "{at}");
        }
    }
    // Of the hundreds of pages of the log it reads the few on the way.
    let explained = sqlx::AssertSqlSafe(format!("EXPLAIN (ANALYZE, BUFFERS) {PLACE_BEFORE}"));
    let plan: Vec<String> = node
        .shared
        .ask("explain", async |it| sqlx::query_scalar(explained).bind(150_000_i64).bind(0).fetch_all(it).await)
        .await
        .expect("a plan");
    let buffers = plan.iter().find(|line| line.contains("Buffers")).expect("buffers");
    let pages: u64 = buffers.split(['=', ' ']).filter_map(|word| word.parse::<u64>().ok()).sum();
    assert!(pages < 200, "{plan:#?}");
    drop(node);
    schema.drop().await;
}

#[tokio::test]
async fn a_reading_is_bounded_where_it_is_made() {
    let schema = Schema::new().await;
    let node = schema.node().await;
    let mut connection = schema.connect().await;
    // In one transaction: nothing of it gets a place before it is as it is to be.
    run(&mut connection, "BEGIN".into()).await;
    for version in 1..=4 {
        stage(&mut connection, 0, 1, &[0, 1], version).await;
    }
    let large = limits::LOG_PAGE_BYTES / 3;
    for (column, value) in [("attributes", format!("'[\"' || repeat('x', {large}) || '\"]'")), ("data", "NULL".into())] {
        run(&mut connection, format!("UPDATE staged SET {column} = {value}")).await;
    }
    run(&mut connection, "COMMIT".into()).await;
    node.shared.staged.add();
    reached(&mut node.wake(), 4).await;
    for (after, limit, through, more) in [(0, 10, 3, true), (0, 3, 3, true), (1, 10, 4, false), (3, 10, 4, false), (0, 1, 1, true)]
    {
        let reading = node.read(Tenant(0), Place(after), limit).await.expect("the log");
        assert_eq!((reading.through, reading.more), (Place(through), more), "{after} {limit}");
        assert_eq!(reading.events.len() as u64, through - after);
    }
    // What nobody asks for does not leave the database: the fourth is the one behind the page, the fifth is not sent.
    let data = format!("UPDATE event SET data = repeat('y', {}); UPDATE event SET attributes = '[]'", limits::LOG_PAGE_BYTES);
    run(&mut connection, data).await;
    let bound = i64::try_from(limits::LOG_PAGE_BYTES).expect("a size");
    let rows = node
        .shared
        .ask("read", async |it| sqlx::query(READ).bind(0_i64).bind(0).bind(100_i64).bind(bound).fetch_all(it).await)
        .await
        .expect("rows");
    assert_eq!(rows.len(), 2);
    let reading = node.read(Tenant(0), Place(0), 10).await.expect("the log");
    assert_eq!((reading.through, reading.more, reading.events.len()), (Place(1), true, 1));
    drop((node, connection));
    schema.drop().await;
}

#[tokio::test]
async fn who_trims_waits_for_nobody_and_holds_up_nobody() {
    let schema = Schema::new().await;
    let (one, other, mut connection) = (schema.node().await, schema.node().await, schema.connect().await);
    many(&schema, &one, "1").await;
    let mut held = connection.begin().await.expect("a transaction");
    let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(Lock::Sequencer.key(one.shared.schema));
    lock.execute(&mut *held).await.expect("the lock of who gives places");
    let trim = |node: &'_ Postgres, floor| {
        let trim = Trim { through: Place(2_000), before: Timestamp(i64::MIN), limit: 500 };
        let pool = node.shared.clone();
        async move { super::trim(&pool, Place(floor), trim).await.expect("trimmed") }
    };
    let work = async {
        let mut gone = Vec::new();
        for floor in [0, 500, 1_000, 1_500, 2_000] {
            let (left, right) = tokio::join!(trim(&one, floor), trim(&other, floor));
            gone.push((left.max(right), left.min(right)));
        }
        gone
    };
    // Of two who begin at the same place one takes what is behind it, and the other nothing.
    let taken = [(500, 0), (500, 0), (500, 0), (500, 0), (0, 0)];
    assert_eq!(tokio::time::timeout(PATIENCE, Box::pin(work)).await.expect("in time"), taken);
    held.rollback().await.expect("given back");
    let reading = one.read(Tenant(0), Place(0), 1).await.expect("the log");
    assert_eq!((reading.floor, reading.events[0].place), (Place(2_000), Place(2_001)));
    server::stage(&mut connection, 0, 1, &[0, 1], 1).await;
    reached(&mut other.wake(), 20_001).await;
    drop((one, other, connection));
    schema.drop().await;
}
