//! A fresh store and short ways to say what is committed.

use crate::base::clock::Timestamp;
use crate::base::id::{Key, ResourceId, Tenant, TimeOrderedIds, TypeCode};
use crate::base::limits::Limits;
use crate::event::Kind;
use crate::event::template::{Data, Template};
use crate::scim::filter::{self, Filter};
use crate::scim::resource::{Member, MemberChange};
use crate::scim::schema::Registry;
use crate::scim::sort::{self, Sort};
#[cfg(feature = "servers")]
use crate::store::backends::server::Schema;
use crate::store::backends::{Opening, Purpose, open_at_once as open};
use crate::store::index::Indexes;
use crate::store::{
    Backend, Change, Committed, Detail, Document, Effect, Guard, Logged, Page, Place, Query, Result, Start, Stored, Unit,
};
use serde_json::{Value, json};
use std::sync::Arc;
use tempfile::TempDir;

pub(crate) const USER: TypeCode = TypeCode(1);
pub(crate) const GROUP: TypeCode = TypeCode(2);
pub(crate) const EVERYTHING: Detail = Detail { members: true, groups: true, secrets: true };

pub(crate) struct Fixture {
    pub(crate) backend: Backend,
    pub(crate) registry: Arc<Registry>,
    pub(crate) folder: TempDir,
    /// Where it is, when it is on a server.
    #[cfg(feature = "servers")]
    pub(crate) schema: Option<Schema>,
}

/// A key of the first tenant.
pub(crate) fn key(kind: TypeCode, id: &str) -> Key {
    Key { tenant: Tenant(0), kind, id: ResourceId::parse(id) }
}

/// A user with a title, which no index holds unless it is asked for ([`with_titles`]).
pub(crate) fn titled(number: usize, title: &str) -> Value {
    let mut document = user(&format!("u{number}"));
    document["title"] = title.into();
    document
}

/// The types that there are, with an index of titles.
pub(crate) fn with_titles() -> Arc<Registry> {
    Arc::new(Registry::builtin().with_indexed("User", "title"))
}

/// A user's document.
pub(crate) fn user(name: &str) -> Value {
    json!({"schemas": [crate::scim::schema::USER], "userName": name})
}

/// A group's document.
pub(crate) fn group(name: &str) -> Value {
    json!({"schemas": [crate::scim::schema::GROUP], "displayName": name})
}

/// A member as a client names one.
pub(crate) fn member(id: &str) -> Member {
    Member { id: ResourceId::parse(id), kind: None, display: None }
}

/// A unit of these changes.
pub(crate) fn unit(at: i64, changes: Vec<Change>) -> Unit {
    Unit { at: Timestamp(at), txn: format!("txn-{at}"), changes }
}

pub(crate) fn opening(folder: &TempDir, registry: &Arc<Registry>) -> Opening {
    Opening {
        purpose: Purpose::Serve,
        data_path: folder.path().join("data"),
        database_url: None,
        views: ["Users".into(), "Groups".into()],
        registry: Arc::clone(registry),
        ids: Arc::new(TimeOrderedIds),
        limits: Limits::default(),
    }
}

impl Fixture {
    /// A store of this machine.
    pub(crate) fn of(backend: Backend, registry: Arc<Registry>, folder: TempDir) -> Self {
        Self {
            backend,
            registry,
            folder,
            #[cfg(feature = "servers")]
            schema: None,
        }
    }

    pub(crate) fn new(backend: &str) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let registry = Arc::new(Registry::builtin());
        let backend = open(backend, opening(&folder, &registry)).expect("the store opens");
        Self::of(backend, registry, folder)
    }

    /// A store in a schema of its own on a server. Whoever made it drops the schema.
    #[cfg(feature = "servers")]
    pub(crate) async fn on_a_server() -> (Self, Schema) {
        let schema = Schema::new().await;
        (Self::in_schema(&schema).await, schema)
    }

    /// A store of what is in a schema.
    #[cfg(feature = "servers")]
    pub(crate) async fn in_schema(schema: &Schema) -> Self {
        let backend = schema.backend().await;
        let registry = Arc::clone(&backend.registry);
        let folder = TempDir::new().expect("a temporary folder");
        Self { backend, registry, folder, schema: Some(schema.clone()) }
    }

    /// The same database, opened again after it was closed.
    pub(crate) fn reopened(self) -> Self {
        let registry = Registry::clone(&self.registry);
        self.reopened_with(registry)
    }

    /// The same database, opened again for other types.
    pub(crate) fn reopened_with(self, registry: Registry) -> Self {
        let Self { backend, folder, .. } = self;
        drop(backend);
        let registry = Arc::new(registry);
        let backend = open("sqlite", opening(&folder, &registry)).expect("the store opens again");
        Self::of(backend, registry, folder)
    }

    fn change(key: Key, kind: Kind, effect: Effect) -> Change {
        let template =
            Template { kind, subject: key.clone(), external_id: None, attributes: Vec::new(), data: Data::Operations(Vec::new()) };
        Change {
            key,
            guard: Guard::default(),
            effect,
            members: MemberChange::default(),
            known_members_only: false,
            events: vec![template],
            txn: None,
        }
    }

    /// The document that a change from one state to another writes.
    fn document(&self, kind: TypeCode, before: Option<&Value>, after: &Value) -> Document {
        let indexes = Indexes::of(self.registry.by_code(kind).expect("a type"));
        let entries =
            |value: Option<&Value>| value.and_then(Value::as_object).map(|document| indexes.entries(document)).unwrap_or_default();
        let (before, now) = (entries(before), entries(Some(after)));
        let text = |name: &str| after.get(name).and_then(Value::as_str).map(str::to_owned);
        Document {
            body: after.to_string().into(),
            external_id: text("externalId"),
            display: text("displayName"),
            secrets: None,
            unique_added: now.unique.difference(&before.unique).cloned().collect(),
            unique_removed: before.unique.difference(&now.unique).cloned().collect(),
            index_added: now.lookup.difference(&before.lookup).cloned().collect(),
            index_removed: before.lookup.difference(&now.lookup).cloned().collect(),
            dates: None,
        }
    }

    pub(crate) fn create(&self, key: Key, document: &Value) -> Change {
        let effect = Effect::Create(self.document(key.kind, None, document));
        Self::change(key, Kind::Create, effect)
    }

    pub(crate) fn replace(&self, key: Key, before: &Value, after: &Value) -> Change {
        let effect = Effect::Replace(self.document(key.kind, Some(before), after));
        Self::change(key, Kind::Put, effect)
    }

    pub(crate) fn delete(&self, key: Key, before: &Value) -> Change {
        let Document { unique_added: unique, index_added: index, .. } = self.document(key.kind, None, before);
        Self::change(key, Kind::Delete, Effect::Delete { unique, index })
    }

    /// Members that join and members that leave.
    pub(crate) fn move_members(group: &str, present: &[&str], absent: &[&str]) -> Change {
        let members = MemberChange {
            reset: false,
            present: present.iter().map(|id| member(id)).collect(),
            absent: absent.iter().map(|id| ResourceId::parse(id)).collect(),
        };
        Change { members, ..Self::change(key(GROUP, group), Kind::Patch, Effect::Keep) }
    }

    /// An event at a time, of a tenant: somebody new.
    pub(crate) async fn happens(&self, tenant: u32, at: i64, id: &str) {
        let key = Key { tenant: Tenant(tenant), ..key(USER, id) };
        self.backend.store.commit(unit(at, vec![self.create(key, &user(id))])).await.expect("an event");
        self.settled().await;
    }

    /// Waits until everything that is committed has its place in the log.
    pub(crate) async fn settled(&self) {
        #[cfg(feature = "servers")]
        if let Some(schema) = &self.schema {
            schema.settled(&mut self.backend.ledger.wake()).await;
        }
    }

    pub(crate) async fn commit(&self, changes: Vec<Change>) -> Result<Committed> {
        self.backend.store.commit(unit(1_000, changes)).await
    }

    /// Users and groups that exist before a test begins: a user's id is its name, a group's too.
    pub(crate) async fn given(&self, users: &[&str], groups: &[&str]) {
        let users = users.iter().map(|id| self.create(key(USER, id), &user(id)));
        let groups = groups.iter().map(|id| self.create(key(GROUP, id), &group(id)));
        self.commit(users.chain(groups).collect()).await.expect("the given resources");
    }

    pub(crate) async fn get(&self, key: &Key) -> Option<Stored> {
        self.backend.store.get(key, EVERYTHING).await.expect("a read")
    }

    pub(crate) async fn log(&self) -> Vec<Logged> {
        self.settled().await;
        self.backend.ledger.read(Tenant(0), Place(0), 1_000).await.expect("the log").events
    }

    /// The log in short: kind, subject and version, from a place on.
    pub(crate) async fn log_after(&self, after: u64) -> Vec<(Kind, String, u64)> {
        self.settled().await;
        let log = self.backend.ledger.read(Tenant(0), Place(after), 1_000).await.expect("the log").events;
        log.into_iter().map(|Logged { event, .. }| (event.kind, event.subject.id.to_string(), event.version)).collect()
    }

    pub(crate) fn filter(&self, kind: TypeCode, text: &str) -> Filter {
        let kind = self.registry.by_code(kind).expect("a type");
        filter::resolve(kind, &filter::parse(text).expect(text)).expect(text)
    }

    /// A page by offset.
    pub(crate) async fn search(&self, kind: TypeCode, filter: Option<&str>, offset: u64, limit: u64) -> Found {
        let page = self.page(self.query(kind, filter, None, Start::Offset(offset), limit)).await;
        Found { total: page.total.expect("a count"), resources: page.resources, visited: page.visited }
    }

    /// A query in the order of an attribute; one that begins with `-` is descending.
    pub(crate) fn query(&self, kind: TypeCode, filter: Option<&str>, sort: Option<&str>, start: Start, limit: u64) -> Query {
        let sort = sort.map(|text| {
            let (descending, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
            let kind = self.registry.by_code(kind).expect("a type");
            Sort { path: sort::resolve(kind, name).expect(name), descending }
        });
        let filter = filter.map(|text| self.filter(kind, text));
        Query { tenant: Tenant(0), kind, filter, sort, start, limit, detail: Detail::default() }
    }

    pub(crate) async fn page(&self, query: Query) -> Page {
        self.backend.store.query(&query).await.expect("a search")
    }
}

/// What a search with a count found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) total: u64,
    pub(crate) resources: Vec<Stored>,
    pub(crate) visited: u64,
}

/// The ids of what was found.
pub(crate) fn ids(found: &Found) -> Vec<String> {
    ids_of(&found.resources)
}

/// The ids of resources.
pub(crate) fn ids_of(resources: &[Stored]) -> Vec<String> {
    resources.iter().map(|stored| stored.key.id.to_string()).collect()
}
