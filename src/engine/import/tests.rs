//! What is taken over, what is told of it, and that it can be begun again.

use super::*;
use crate::base::clock::{Clock, SystemClock};
use crate::base::id::{Tenant, TimeOrderedIds, TypeCode};
use crate::base::limits::{self, Limits};
use crate::base::secret::SystemEntropy;
use crate::engine::{Engine, Extent, Parts, Switches};
use crate::scim::error::ErrorKind;
use crate::store::tests::fixture::Fixture;
use crate::store::{Backend, Detail, Logged, Place};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tokio::sync::mpsc;

const OLD: &str = "2019-03-01T10:00:00.000Z";
const LATER: &str = "2020-04-02T11:00:00.123Z";

/// Who keeps what it is told.
#[derive(Default)]
struct Notes {
    refused: Vec<(u64, ErrorKind, String)>,
}

impl Witness for Notes {
    fn refused(&mut self, origin: &Origin, error: &Error) {
        self.refused.push((origin.number, error.kind, error.detail.clone()));
    }

    fn came_to(&mut self, _: &Tally) {}
}

fn engine(backend: &Backend, known_members_only: bool) -> Arc<Engine> {
    Arc::new(Engine::new(Parts {
        backend: backend.clone(),
        clock: Arc::new(SystemClock),
        ids: Arc::new(TimeOrderedIds),
        entropy: Arc::new(SystemEntropy),
        limits: Limits { members_per_request: usize::MAX, ..Limits::default() },
        switches: Switches { known_members_only, ..Switches::default() },
    }))
}

/// Imports these as lines, so many in a batch.
async fn import(engine: &Arc<Engine>, lines: &[String], batch: usize, terms: Terms) -> (Imported, Vec<(u64, ErrorKind, String)>) {
    let (feed, batches) = mpsc::channel(limits::IMPORT_BATCHES_WAITING);
    let records: Vec<Record> = (1..)
        .zip(lines)
        .map(|(number, line)| Record {
            origin: Origin { table: None, number, id: None },
            known: None,
            text: Ok(line.clone().into_bytes()),
        })
        .collect();
    let feeding = tokio::spawn(async move {
        let mut records = records.into_iter();
        loop {
            let next: Vec<Record> = records.by_ref().take(batch).collect();
            if next.is_empty() || feed.send(Ok(next)).await.is_err() {
                return;
            }
        }
    });
    let mut notes = Notes::default();
    let imported = engine.import(Tenant(0), batches, terms, &mut notes).await.expect("the store works");
    feeding.await.expect("it is fed");
    (imported, notes.refused)
}

async fn export(engine: &Engine, secrets: bool) -> Vec<String> {
    let mut lines = Vec::new();
    let kinds = engine.registry().types().to_vec();
    let each = |line: &[u8]| {
        lines.push(String::from_utf8(line.to_vec()).expect("text"));
        Ok(())
    };
    engine.export(Tenant(0), &kinds, Extent { groups: false, secrets }, "", each).await.expect("exported");
    lines
}

async fn events(backend: &Backend) -> Vec<Logged> {
    backend.ledger.settled().await;
    backend.ledger.read(Tenant(0), Place(0), usize::MAX >> 1).await.expect("the log").events
}

fn user(id: &str, name: &str) -> Value {
    json!({"schemas": [crate::scim::schema::USER], "id": id, "userName": name,
        "meta": {"resourceType": "User", "created": OLD, "lastModified": LATER}})
}

fn group(id: &str, name: &str, members: &[&str]) -> Value {
    let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
    json!({"schemas": [crate::scim::schema::GROUP], "id": id, "displayName": name, "members": members})
}

fn texts(values: &[Value]) -> Vec<String> {
    values.iter().map(ToString::to_string).collect()
}

fn tally(created: u64, present: u64, refused: u64) -> Tally {
    Tally { created, present, refused, ..Tally::default() }
}

/// What must be the same on both sides: everything but the version, which begins anew.
fn comparable(lines: &[String]) -> BTreeMap<String, Value> {
    let parsed = lines.iter().map(|line| {
        let mut value: Value = serde_json::from_str(line).expect("JSON");
        value["meta"].as_object_mut().expect("meta").remove("version");
        (value["id"].as_str().expect("an id").to_owned(), value)
    });
    parsed.collect()
}

#[tokio::test]
async fn ids_and_times_stay_and_history_begins_without_an_event() {
    let fixture = Fixture::new("memory");
    let engine = engine(&fixture.backend, false);
    let (imported, refused) = import(&engine, &texts(&[user("7", "ann")]), 10, Terms::default()).await;
    assert_eq!((imported, refused), (Imported { tally: tally(1, 0, 0), is_stopped: false }, vec![]));
    let line: Value = serde_json::from_str(&export(&engine, true).await[0]).expect("JSON");
    assert_eq!(
        line,
        json!({"schemas": [crate::scim::schema::USER], "userName": "ann", "id": "7", "meta": {"resourceType": "User", "created": OLD,
            "lastModified": LATER, "location": "/Users/7", "version": "\"1\""}})
    );
    assert_eq!(events(&fixture.backend).await, []);
}

#[tokio::test]
async fn an_announced_resource_has_exactly_one_create_event_of_now() {
    let fixture = Fixture::new("sqlite");
    let engine = engine(&fixture.backend, false);
    let lines = texts(&[group("g", "all", &["7"]), user("7", "ann")]);
    let terms = Terms { announce: true, ..Terms::default() };
    let before = SystemClock.now();
    assert_eq!(import(&engine, &lines, 10, terms.clone()).await.0.tally, tally(2, 0, 0));
    assert_eq!(import(&engine, &lines, 10, terms).await.0.tally, tally(0, 2, 0));
    let events = events(&fixture.backend).await;
    let told: Vec<_> = events.iter().map(|logged| (logged.event.subject.id.to_string(), logged.event.version)).collect();
    assert_eq!(told, [("7".to_owned(), 1), ("g".to_owned(), 1)]);
    assert!(events.iter().all(|logged| logged.event.at >= before && logged.event.kind == crate::event::Kind::Create));
    let data: Value = serde_json::from_str(events[0].event.data.as_deref().expect("data")).expect("JSON");
    assert_eq!((&data["meta"]["created"], &data["meta"]["lastModified"]), (&json!(OLD), &json!(LATER)));
    // It came before its member, and knows nevertheless what that is.
    assert!(events[1].event.data.as_deref().expect("data").contains(r#""type":"User""#));
}

#[tokio::test]
async fn each_bad_line_is_refused_by_its_number_and_the_others_stay() {
    let fixture = Fixture::new("memory");
    let engine = engine(&fixture.backend, false);
    let mut lines = texts(&[user("1", "ann"), user("1", "bob"), user("2", "ANN"), user("1", "ann")]);
    lines.extend([r#"{"a":"#, "[]", r#"{"schemas":["urn:x"],"id":"3"}"#].map(str::to_owned));
    let mut without_id = user("", "cid");
    without_id.as_object_mut().expect("an object").remove("id");
    let mut bad_time = user("4", "dan");
    bad_time["meta"]["created"] = "yesterday".into();
    lines.extend(texts(&[without_id.clone(), bad_time, user("bulkid", "eve"), user("5", "nul\0")]));
    let (imported, refused) = import(&engine, &lines, 2, Terms::default()).await;
    assert_eq!(imported.tally, tally(1, 1, 9));
    let mut kinds: Vec<_> = refused.iter().map(|(number, kind, _)| (*number, *kind)).collect();
    kinds.sort_by_key(|(number, _)| *number);
    let (taken, value, syntax) = (ErrorKind::Uniqueness, ErrorKind::InvalidValue, ErrorKind::InvalidSyntax);
    let expected =
        [(2, taken), (3, taken), (5, syntax), (6, syntax), (7, value), (8, value), (9, value), (10, value), (11, syntax)];
    assert_eq!(kinds, expected);
    let detail = |line| refused.iter().find(|(number, ..)| *number == line).map(|(.., detail)| detail.as_str());
    assert_eq!(detail(2), Some("The resource of this 'id' is another one here: it differs in userName."));
    assert_eq!(detail(8), Some("Attribute 'id' is required."));
    let terms = Terms { new_ids: true, ..Terms::default() };
    assert_eq!(import(&engine, &texts(&[without_id]), 2, terms).await.0.tally, tally(1, 0, 0));
    let terms = Terms { most_refusals: Some(1), ..Terms::default() };
    let (stopped, _) = import(&engine, &texts(&[user("2", "ann"), user("6", "fay")]), 1, terms).await;
    assert_eq!((stopped.is_stopped, stopped.tally.refused), (true, 1));
}

#[tokio::test]
async fn what_is_there_with_other_content_is_skipped_or_replaced_with_its_event() {
    let fixture = Fixture::new("sqlite");
    let engine = engine(&fixture.backend, false);
    import(&engine, &texts(&[user("1", "ann"), group("g", "all", &["1"])]), 10, Terms::default()).await;
    let changed = texts(&[user("1", "bea"), group("g", "all", &["2"])]);
    let skip = Terms { on_conflict: OnConflict::Skip, ..Terms::default() };
    assert_eq!(import(&engine, &changed, 10, skip).await.0.tally, Tally { skipped: 2, ..Tally::default() });
    let replace = Terms { on_conflict: OnConflict::Replace, ..Terms::default() };
    let rehearsed = import(&engine, &changed, 10, Terms { rehearse: true, ..replace.clone() }).await.0;
    assert_eq!((rehearsed.tally, events(&fixture.backend).await.len()), (Tally { replaced: 2, ..Tally::default() }, 0));
    assert_eq!(import(&engine, &changed, 10, replace.clone()).await.0.tally, Tally { replaced: 2, ..Tally::default() });
    assert_eq!(import(&engine, &changed, 10, replace).await.0.tally, tally(0, 2, 0));
    let events = events(&fixture.backend).await;
    let told: Vec<_> = events.iter().map(|logged| (logged.event.kind, logged.event.version)).collect();
    assert_eq!(told, [(crate::event::Kind::Put, 2), (crate::event::Kind::Put, 2)]);
}

/// However the lines fall into batches, and though groups wait for their members.
#[tokio::test]
async fn of_one_id_what_comes_first_is_met_by_what_comes_later() {
    let mut secret = user("s", "sue");
    secret["password"] = "t1meMachine".into();
    let mut secret_later = secret.clone();
    secret_later["title"] = "Dr".into();
    let (first, last) = (group("g", "first", &["u"]), group("g", "last", &["u"]));
    let users = ["a", "b", "c", "d"].map(|name| user("1", name));
    let lines = [&users[..], &[secret.clone(), secret, secret_later, first, last, user("u", "uma")]].concat();
    let lines = texts(&lines);
    for (on_conflict, counted, expected) in [
        (OnConflict::Replace, Tally { replaced: 5, ..tally(4, 1, 0) }, ["d", "Dr", "last"]),
        (OnConflict::Skip, Tally { skipped: 5, ..tally(4, 1, 0) }, ["a", "", "first"]),
        (OnConflict::Refuse, tally(4, 1, 5), ["a", "", "first"]),
    ] {
        for (backend, batch, known_members_only) in
            [("memory", 1, true), ("memory", 3, false), ("memory", 20, true), ("sqlite", 20, false), ("sqlite", 4, true)]
        {
            let fixture = Fixture::new(backend);
            let engine = engine(&fixture.backend, known_members_only);
            let terms = Terms { on_conflict, ..Terms::default() };
            let rehearsed = import(&engine, &lines, batch, Terms { rehearse: true, ..terms.clone() }).await.0.tally;
            let imported = import(&engine, &lines, batch, terms).await.0.tally;
            assert_eq!((rehearsed, imported), (counted, counted), "{on_conflict:?} {backend} {batch}");
            let all = comparable(&export(&engine, false).await);
            let shown = [&all["1"]["userName"], &all["s"]["title"], &all["g"]["displayName"]];
            assert_eq!(shown.map(|value| value.as_str().unwrap_or_default()), expected, "{on_conflict:?} {backend} {batch}");
        }
    }
}

#[tokio::test]
async fn a_group_that_is_replaced_may_come_before_its_new_members_too() {
    for known_members_only in [false, true] {
        let fixture = Fixture::new("memory");
        let engine = engine(&fixture.backend, known_members_only);
        import(&engine, &texts(&[user("1", "ann"), group("g", "all", &["1"])]), 10, Terms::default()).await;
        let lines = texts(&[group("g", "all", &["1", "2"]), user("2", "bob"), group("h", "none", &["9"])]);
        let replace = Terms { on_conflict: OnConflict::Replace, ..Terms::default() };
        let is_refused = u64::from(known_members_only);
        let expected = Tally { replaced: 1, ..tally(2 - is_refused, 0, is_refused) };
        assert_eq!(import(&engine, &lines, 1, replace.clone()).await.0.tally, expected, "{known_members_only}");
        let all = comparable(&export(&engine, false).await);
        assert_eq!(all["g"]["members"][1], json!({"value": "2", "type": "User", "$ref": "/Users/2"}));
        let lines = texts(&[group("g", "all", &["1", "8"])]);
        let expected = if known_members_only { tally(0, 0, 1) } else { Tally { replaced: 1, ..Tally::default() } };
        assert_eq!(import(&engine, &lines, 10, replace).await.0.tally, expected, "{known_members_only}");
    }
}

/// 7643-3.1-04 7644-3.4.3-01
#[tokio::test]
async fn ids_that_no_request_could_name_are_refused() {
    let fixture = Fixture::new("memory");
    let long = "x".repeat(limits::RESOURCE_ID_BYTES + 1);
    let ids = ["", ".", "..", ".search", "bulkId", "BULKID", "a\u{7}", &long];
    let lines = texts(&ids.map(|id| user(id, "ann")));
    let (imported, refused) = import(&engine(&fixture.backend, false), &lines, 10, Terms::default()).await;
    assert_eq!((imported.tally, refused.len()), (tally(0, 0, ids.len() as u64), ids.len()));
    for (_, kind, detail) in refused {
        assert!(kind == ErrorKind::InvalidValue && detail.starts_with("Attribute 'id' must "), "{detail}");
    }
}

#[tokio::test]
async fn secrets_in_clear_are_hashed_and_hashes_come_and_go_as_they_are() {
    let fixture = Fixture::new("memory");
    let first = engine(&fixture.backend, false);
    let mut ann = user("1", "ann");
    ann["password"] = "t1meMachine".into();
    let lines = texts(&[ann.clone()]);
    assert_eq!(import(&first, &lines, 10, Terms::default()).await.0.tally, tally(1, 0, 0));
    // It is not hashed again to see that it is the same.
    assert_eq!(import(&first, &lines, 10, Terms::default()).await.0.tally, tally(0, 1, 0));
    assert!(!export(&first, false).await[0].contains("argon2"));
    let exported = export(&first, true).await;
    assert!(exported[0].contains(r#"Secrets":{"password":"$argon2id$"#) && !exported[0].contains("t1me"), "{exported:?}");
    let other = Fixture::new("sqlite");
    let second = engine(&other.backend, false);
    assert_eq!(import(&second, &exported, 10, Terms::default()).await.0.tally, tally(1, 0, 0));
    assert_eq!(export(&second, true).await, exported);
    // The same user with another hash is another one.
    ann.as_object_mut().expect("an object").remove("password");
    import(&engine(&fixture.backend, false), &texts(&[user("2", "bob")]), 10, Terms::default()).await;
    let hashed: Value = serde_json::from_str(&exported[0]).expect("JSON");
    let mut bob = user("2", "bob");
    bob[super::super::SECRETS] = hashed[super::super::SECRETS].clone();
    let replace = Terms { on_conflict: OnConflict::Replace, ..Terms::default() };
    assert_eq!(import(&first, &texts(&[bob.clone()]), 10, replace).await.0.tally.replaced, 1);
    assert_eq!(import(&first, &texts(&[bob.clone()]), 10, Terms::default()).await.0.tally, tally(0, 1, 0));
    let events = events(&fixture.backend).await;
    assert_eq!(events.iter().map(|logged| logged.event.attributes.clone()).collect::<Vec<_>>(), [["password"]]);
    bob[super::super::SECRETS] = json!({"password": "clear"});
    assert_eq!(import(&second, &texts(&[bob]), 10, Terms::default()).await.1[0].1, ErrorKind::InvalidValue);
}

#[tokio::test]
async fn with_known_members_alone_the_order_of_lines_does_not_matter() {
    let fixture = Fixture::new("sqlite");
    let engine = engine(&fixture.backend, true);
    let lines = texts(&[
        group("a", "a", &["b", "1"]),
        group("b", "b", &["c"]),
        group("c", "c", &["a"]),
        group("d", "d", &["e"]),
        group("e", "e", &["nobody"]),
        group("f", "f", &["1"]),
        user("1", "ann"),
    ]);
    let (imported, refused) = import(&engine, &lines, 2, Terms::default()).await;
    assert_eq!(imported.tally, tally(5, 0, 2));
    let mut refused: Vec<_> = refused.into_iter().map(|(number, _, detail)| (number, detail)).collect();
    refused.sort();
    let said = |id: &str| format!("These values of 'members' name no resource: {id}.");
    assert_eq!(refused, [(4, said("e")), (5, said("nobody"))]);
    let key = crate::store::tests::fixture::key(TypeCode(2), "f");
    let found =
        engine.store.get(&key, Detail { members: true, ..Detail::default() }).await.expect("it reads").expect("it is there");
    assert_eq!(found.members.expect("members")[0].kind.as_deref(), Some("User"));
}

#[tokio::test]
async fn a_rehearsal_tells_what_would_be_and_writes_nothing() {
    let fixture = Fixture::new("sqlite");
    let engine = engine(&fixture.backend, false);
    import(&engine, &texts(&[user("1", "ann")]), 10, Terms::default()).await;
    let lines =
        texts(&[user("1", "ann"), user("2", "Ann"), user("3", "bob"), user("3", "cid"), user("4", "BOB"), group("g", "g", &["9"])]);
    let (imported, refused) = import(&engine, &lines, 2, Terms { rehearse: true, ..Terms::default() }).await;
    assert_eq!(imported.tally, tally(2, 1, 3));
    assert_eq!(refused.iter().map(|(number, ..)| *number).collect::<Vec<_>>(), [2, 4, 5]);
    // What is refused for what comes before it has taken nothing, as in the import itself.
    let lines = texts(&[user("5", "dan"), user("6", "DAN"), user("6", "eve")]);
    for rehearse in [true, false] {
        let (imported, refused) = import(&engine, &lines, 3, Terms { rehearse, ..Terms::default() }).await;
        assert_eq!((imported.tally, refused.len(), refused[0].0), (tally(2, 0, 1), 1, 2), "{rehearse}");
    }
    // What stands twice.
    let lines =
        texts(&[user("7", "fay"), user("7", "fay"), user("7", "gil"), group("h", "h", &["1", "3"]), group("h", "h", &["3", "1"])]);
    for (on_conflict, third) in [
        (OnConflict::Refuse, Tally { refused: 1, ..Tally::default() }),
        (OnConflict::Skip, Tally { skipped: 1, ..Tally::default() }),
        (OnConflict::Replace, Tally { replaced: 1, ..Tally::default() }),
    ] {
        let expected = Tally { created: 2, present: 2, ..third };
        let rehearsed = import(&engine, &lines, 5, Terms { rehearse: true, on_conflict, ..Terms::default() }).await.0;
        let other = Fixture::new("memory");
        let terms = Terms { on_conflict, ..Terms::default() };
        let imported = import(&self::engine(&other.backend, false), &lines, 5, terms).await.0;
        assert_eq!((rehearsed.tally, imported.tally), (expected, expected), "{on_conflict:?}");
    }
    assert_eq!(export(&engine, false).await.len(), 3);
}

#[derive(Clone, Debug)]
struct Directory {
    users: Vec<(String, Option<String>, bool)>,
    groups: Vec<Vec<prop::sample::Index>>,
}

fn directory() -> impl Strategy<Value = Directory> {
    let user = ("[a-zA-Zäß€]{1,8}", prop::option::of("[ -~]{1,12}"), any::<bool>());
    let group = prop::collection::vec(any::<prop::sample::Index>(), 0..6);
    (prop::collection::vec(user, 1..30), prop::collection::vec(group, 0..6)).prop_map(|(users, groups)| Directory { users, groups })
}

impl Directory {
    fn lines(&self) -> Vec<String> {
        let id = |n: usize| if n.is_multiple_of(2) { format!("u-{n}/ü") } else { uuid::Uuid::from_u128(n as u128).to_string() };
        let users = self.users.iter().enumerate().map(|(n, (name, title, active))| {
            let mut value = user(&id(n), &format!("{name}{n}"));
            value["active"] = (*active).into();
            value["emails"] = json!([{"value": format!("{n}@example.com"), "type": "work", "primary": true}]);
            if let Some(title) = title {
                value["title"] = title.as_str().into();
            }
            value
        });
        let groups = self.groups.iter().enumerate().map(|(n, members)| {
            let members: std::collections::BTreeSet<String> =
                members.iter().map(|index| id(index.index(self.users.len()))).collect();
            group(&format!("g-{n}"), &format!("group {n}"), &members.iter().map(String::as_str).collect::<Vec<_>>())
        });
        let all: Vec<Value> = groups.chain(users).collect();
        texts(&all)
    }
}

async fn round_trip(directory: Directory, first: Backend, second: Backend) {
    let lines = directory.lines();
    let (first, second) = (engine(&first, false), engine(&second, true));
    let all = lines.len() as u64;
    assert_eq!(import(&first, &lines, 7, Terms::default()).await.0.tally, tally(all, 0, 0));
    let exported = export(&first, true).await;
    assert_eq!(
        import(&second, &exported, 5, Terms::default()).await,
        (Imported { tally: tally(all, 0, 0), is_stopped: false }, vec![])
    );
    assert_eq!(comparable(&export(&second, true).await), comparable(&exported));
    assert_eq!(import(&first, &exported, 3, Terms::default()).await.0.tally, tally(0, all, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn what_is_exported_and_imported_is_the_same(directory in directory()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (first, second) = (Fixture::new("memory"), Fixture::new("sqlite"));
        runtime.block_on(round_trip(directory, first.backend.clone(), second.backend.clone()));
    }
}

#[cfg(feature = "servers")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_exported_and_imported_is_the_same_on_a_server() {
    let (fixture, schema) = Fixture::on_a_server().await;
    let users = (0..1_200).map(|n| (format!("user{n}"), None, true)).collect();
    let other = Fixture::new("memory");
    let directory = Directory { users, groups: vec![] };
    round_trip(directory, other.backend.clone(), fixture.backend.clone()).await;
    let announced = engine(&fixture.backend, true);
    let terms = Terms { announce: true, ..Terms::default() };
    let lines = texts(&[user("ann", "ann"), group("g", "g", &["ann"])]);
    assert_eq!(import(&announced, &lines, 1, terms.clone()).await.0.tally, tally(2, 0, 0));
    assert_eq!(import(&announced, &lines, 1, terms).await.0.tally, tally(0, 2, 0));
    let mut wake = fixture.backend.ledger.wake();
    schema.settled(&mut wake).await;
    let told: Vec<u64> = events(&fixture.backend).await.iter().map(|logged| logged.event.version).collect();
    assert_eq!(told, [1, 1]);
    let created = crate::base::clock::Timestamp::parse(OLD);
    let found = fixture.backend.store.get(&crate::store::tests::fixture::key(TypeCode(1), "ann"), Detail::default()).await;
    assert_eq!(found.expect("it reads").map(|stored| stored.created), created);
    drop((announced, fixture));
    schema.drop().await;
}
