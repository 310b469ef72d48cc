//! A bulk request comes to what its operations come to one by one.

use crate::postgres::Schema;
use carillon::auth::{Caller, Scopes};
use carillon::base::clock::SystemClock;
use carillon::base::id::{Ids, Tenant, TimeOrderedIds};
use carillon::base::limits::Limits;
use carillon::base::secret::{Secret, SystemEntropy};
use carillon::engine::{Answer, Engine, Parts, Search, Switches, Target};
use carillon::scim::error::{Error, ErrorKind};
use carillon::scim::schema::{Registry, ResourceType};
use carillon::scim::search::SearchRequest;
use carillon::scim::version::Precondition;
use carillon::store::backends::{Opening, Purpose, open};
use carillon::store::{Detail, Stored};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use uuid::Uuid;

const BACKENDS: &[&str] = if cfg!(feature = "servers") { &["memory", "sqlite", "postgres"] } else { &["memory", "sqlite"] };
const USERS: usize = 3;
const GROUPS: usize = 2;

/// The same ids in the same order for every gateway.
#[derive(Debug, Default)]
struct Counted(AtomicU64);

impl Ids for Counted {
    fn next(&self) -> Uuid {
        Uuid::from_u64_pair(0x0190_c7a4_7f2a_7000, 0x8000_0000_0000_0000 | self.0.fetch_add(1, Ordering::Relaxed))
    }
}

/// An engine over a store, with some users and groups.
struct House {
    engine: Engine,
    caller: Caller,
    ids: Vec<String>,
    _folder: tempfile::TempDir,
    _schema: Option<Schema>,
}

/// An operation by the number of its resource: users first, then groups.
#[derive(Clone, Debug)]
enum Operation {
    PostUser(&'static str),
    PostGroup(&'static str, Option<usize>),
    Put(usize, &'static str, Option<u64>),
    Patch(usize, Value, Option<u64>),
    Delete(usize, Option<u64>),
    Broken,
}

/// What an operation comes to: its version, or the kind of its failure.
type Outcome = Result<Option<u64>, ErrorKind>;
/// Resources by name: version, document, members.
type State = BTreeMap<String, (u64, Value, Vec<String>)>;

impl House {
    async fn new(backend: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let registry = Arc::new(Registry::builtin().with_unique("Group", "displayName"));
        let schema = (backend == "postgres").then(Schema::new);
        let opening = Opening {
            purpose: Purpose::Serve,
            data_path: folder.path().join("data"),
            database_url: schema.as_ref().map(|schema| Secret::new(&*schema.url)),
            views: ["Users".into(), "Groups".into()],
            registry: Arc::clone(&registry),
            ids: Arc::new(TimeOrderedIds),
            limits: Limits::default(),
        };
        let engine = Engine::new(Parts {
            backend: open(backend, opening).await.expect("a store"),
            clock: Arc::new(SystemClock),
            ids: Arc::new(Counted::default()),
            entropy: Arc::new(SystemEntropy),
            limits: Limits::default(),
            switches: Switches::default(),
        });
        let caller = Caller { principal: "test".into(), tenant: Tenant(0), user_name: None, scopes: Scopes::default() };
        let mut house = Self { engine, caller, ids: Vec::new(), _folder: folder, _schema: schema };
        for number in 0..USERS + GROUPS {
            let body =
                if number < USERS { user(["a", "b", "c"][number]) } else { group(["g", "h"][number - USERS], Some(&house.ids[0])) };
            let created =
                house.engine.create(&house.caller, house.kind_of(number), &body, Answer::default()).await.expect("created");
            house.ids.push(created.key.id.to_string());
        }
        house
    }

    fn kind_of(&self, number: usize) -> &Arc<ResourceType> {
        self.engine.registry().by_name(if number < USERS { "User" } else { "Group" }).expect("a type")
    }

    fn path(&self, number: usize) -> String {
        format!("{}/{}", self.kind_of(number).endpoint, self.ids[number])
    }

    fn body(&self, number: usize, name: &str) -> Value {
        if number < USERS { user(name) } else { group(name, Some(&self.ids[1])) }
    }

    /// Operations on members name users by number.
    fn patch(&self, operations: &Value) -> Value {
        let mut text = operations.to_string();
        for (number, id) in self.ids.iter().enumerate() {
            text = text.replace(&format!("{{{number}}}"), id);
        }
        let operations: Value = serde_json::from_str(&text).expect("JSON");
        json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations})
    }

    async fn alone(&self, operation: &Operation) -> Outcome {
        let (engine, caller, answer) = (&self.engine, &self.caller, Answer::default());
        let condition = |version: &Option<u64>| version.map(|version| Precondition::Versions(vec![version]));
        let version = |stored: Result<Stored, Error>| stored.map(|stored| Some(stored.version)).map_err(|error| error.kind);
        match operation {
            Operation::PostUser(name) => version(engine.create(caller, self.kind_of(0), &user(name), answer).await),
            Operation::PostGroup(name, member) => {
                let body = group(name, member.map(|number| self.ids[number].as_str()));
                version(engine.create(caller, self.kind_of(USERS), &body, answer).await)
            }
            Operation::Put(number, name, expected) => {
                let (kind, body) = (self.kind_of(*number), self.body(*number, name));
                version(engine.replace(caller, kind, &self.ids[*number], condition(expected), &body, answer).await)
            }
            Operation::Patch(number, operations, expected) => {
                let (kind, body) = (self.kind_of(*number), self.patch(operations));
                let modified = engine.modify(caller, kind, &self.ids[*number], condition(expected), &body, answer).await;
                modified.map(|modified| Some(modified.version)).map_err(|error| error.kind)
            }
            Operation::Delete(number, expected) => {
                let deleted = engine.delete(caller, self.kind_of(*number), &self.ids[*number], condition(expected)).await;
                deleted.map(|()| None).map_err(|error| error.kind)
            }
            Operation::Broken => Err(ErrorKind::NotFound),
        }
    }

    fn in_bulk(&self, place: usize, operation: &Operation) -> Value {
        let mut written = match operation {
            Operation::PostUser(name) => json!({"method": "POST", "path": "/Users", "data": user(name)}),
            Operation::PostGroup(name, member) => {
                json!({"method": "POST", "path": "/Groups", "data": group(name, member.map(|number| self.ids[number].as_str()))})
            }
            Operation::Put(number, name, _) => {
                json!({"method": "PUT", "path": self.path(*number), "data": self.body(*number, name)})
            }
            Operation::Patch(number, operations, _) => {
                json!({"method": "PATCH", "path": self.path(*number), "data": self.patch(operations)})
            }
            Operation::Delete(number, _) => json!({"method": "DELETE", "path": self.path(*number)}),
            Operation::Broken => json!({"method": "DELETE", "path": "/Nowhere/1"}),
        };
        let (Operation::Put(.., version) | Operation::Patch(.., version) | Operation::Delete(_, version)) = operation else {
            written["bulkId"] = place.to_string().into();
            return written;
        };
        written["version"] = version.map(|version| format!("\"{version}\"")).into();
        written
    }

    async fn all_alone(&self, operations: &[Operation], most_failures: usize) -> Vec<Outcome> {
        let (mut outcomes, mut failures) = (Vec::new(), 0);
        for operation in operations {
            let outcome = self.alone(operation).await;
            failures += usize::from(outcome.is_err());
            outcomes.push(outcome);
            if failures == most_failures {
                break;
            }
        }
        outcomes
    }

    async fn all_in_bulk(&self, operations: &[Operation], most_failures: usize) -> Vec<Outcome> {
        let operations: Vec<Value> =
            operations.iter().enumerate().map(|(place, operation)| self.in_bulk(place, operation)).collect();
        let mut body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations});
        if most_failures < usize::MAX {
            body["failOnErrors"] = most_failures.into();
        }
        let processed = self.engine.bulk(&self.caller, body, "http://example.com").await.expect("a bulk request");
        let outcome = |outcome: Result<carillon::engine::Performed, Error>| match outcome {
            Ok(performed) => Ok(performed.version),
            Err(error) => Err(error.kind),
        };
        processed.into_iter().map(|processed| outcome(processed.outcome)).collect()
    }

    async fn state(&self) -> State {
        let mut state = State::new();
        for (kind, name) in [(self.kind_of(0), "userName"), (self.kind_of(USERS), "displayName")] {
            let detail = Detail { members: true, ..Detail::default() };
            let request = SearchRequest::default();
            let search = Search { endpoint: &kind.endpoint, targets: &[Target { kind, detail }], request: &request };
            for stored in self.engine.search(&self.caller, search).await.expect("a list").resources {
                let document: Value = serde_json::from_slice(&stored.body).expect("JSON");
                let members = stored.members.unwrap_or_default().iter().map(|member| member.id.to_string()).collect();
                state.insert(format!("{} {}", kind.name, document[name]), (stored.version, document, members));
            }
        }
        state
    }
}

fn user(name: &str) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name})
}

fn group(name: &str, member: Option<&str>) -> Value {
    let members: Vec<Value> = member.iter().map(|id| json!({"value": id})).collect();
    json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": name, "members": members})
}

fn operation() -> impl Strategy<Value = Operation> {
    let user_name = || select(&["a", "B", "c", "d", "e"][..]);
    let group_name = || select(&["g", "H", "i"][..]);
    let version = || prop_oneof![4 => Just(None), 1 => (1..4_u64).prop_map(Some)];
    let on_user = prop_oneof![
        user_name().prop_map(|name| json!([{"op": "replace", "path": "userName", "value": name}])),
        select(&["x", "y"][..]).prop_map(|title| json!([{"op": "add", "path": "title", "value": title}])),
        Just(json!([{"op": "replace", "path": "emails[type eq \"work\"].nope", "value": "x"}])),
    ];
    let on_group = prop_oneof![
        4 => (0..USERS).prop_map(|member| json!([{"op": "add", "path": "members", "value": [{"value": format!("{{{member}}}")}]}])),
        2 => (0..USERS).prop_map(|member| json!([{"op": "remove", "path": format!("members[value eq \"{{{member}}}\"]")}])),
        1 => Just(json!([{"op": "remove", "path": "members[type eq \"User\"]"}])),
        1 => (0..USERS).prop_map(|member| {
            json!([{"op": "replace", "path": "members[type eq \"User\"]", "value": {"value": format!("{{{member}}}")}}])
        }),
        1 => group_name().prop_map(|name| json!([{"op": "replace", "path": "displayName", "value": name}])),
    ];
    prop_oneof![
        2 => user_name().prop_map(Operation::PostUser),
        1 => (group_name(), proptest::option::of(0..USERS)).prop_map(|(name, member)| Operation::PostGroup(name, member)),
        1 => (0..USERS, user_name(), version()).prop_map(|(number, name, version)| Operation::Put(number, name, version)),
        1 => (USERS..USERS + GROUPS, group_name(), version()).prop_map(|(number, name, version)| Operation::Put(number, name, version)),
        3 => (0..USERS, on_user, version()).prop_map(|(number, patch, version)| Operation::Patch(number, patch, version)),
        4 => (USERS..USERS + GROUPS, on_group, version()).prop_map(|(number, patch, version)| Operation::Patch(number, patch, version)),
        1 => (0..USERS + GROUPS, version()).prop_map(|(number, version)| Operation::Delete(number, version)),
        1 => Just(Operation::Broken),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// 7644-3.7-05 7644-3.7-07
    #[test]
    fn a_bulk_is_its_operations_one_by_one(
        operations in prop::collection::vec(operation(), 1..24),
        most_failures in prop_oneof![Just(usize::MAX), 1..4_usize],
        backend in select(BACKENDS),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (alone, in_bulk) = runtime.block_on(async {
            let (one, other) = (House::new("memory").await, House::new(backend).await);
            let alone = (one.all_alone(&operations, most_failures).await, one.state().await);
            let in_bulk = (other.all_in_bulk(&operations, most_failures).await, other.state().await);
            (alone, in_bulk)
        });
        prop_assert_eq!(in_bulk, alone);
    }
}
