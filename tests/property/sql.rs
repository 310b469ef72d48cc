//! The SQL compiler against the evaluator: a store with indexes finds what the evaluator says of each resource, no more, no less.

use crate::generate::{self, Identity};
use crate::postgres::Schema;
use carillon::base::id::{Key, ResourceId, Tenant, TimeOrderedIds, TypeCode};
use carillon::base::limits::Limits;
use carillon::base::secret::Secret;
use carillon::scim::compare::Comparable;
use carillon::scim::filter::{Expression, Filter, resolve};
use carillon::scim::resource::{Member, MemberChange};
use carillon::scim::schema::{Registry, ResourceType};
use carillon::scim::sort::{self, Sort};
use carillon::scim::{Object, schema};
use carillon::store::backends::{BACKENDS, Opening, Purpose};
use carillon::store::index::{Indexes, indexed_value};
use carillon::store::{Backend, Change, Detail, Document, Effect, Guard, Position, Query, Start, StoreErrorKind, Unit};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use std::cell::Cell;
use std::sync::{Arc, LazyLock};
use tempfile::TempDir;

/// With an index for every kind of value, and one that is asked for in vain: a document does not hold its groups.
static REGISTRY: LazyLock<Arc<Registry>> = LazyLock::new(|| {
    let paths =
        ["nickName", "active", "name.familyName", "emails.primary", "emails.type", "x509Certificates.value", "groups.value"];
    let department = format!("{}:department", schema::ENTERPRISE_USER);
    let paths = paths.into_iter().chain([department.as_str()]);
    Arc::new(paths.fold(Registry::builtin(), |registry, path| registry.with_indexed("User", path)))
});
/// Filters look for the first three ids: one of them is a group's.
const GROUPS: [usize; 2] = [2, 1_000];
const TENANT: Tenant = Tenant(0);

fn user() -> &'static ResourceType {
    REGISTRY.by_name("User").expect("User")
}

fn key(kind: TypeCode, id: ResourceId) -> Key {
    Key { tenant: TENANT, kind, id }
}

struct World {
    backends: Vec<Backend>,
    runtime: tokio::runtime::Runtime,
    users: Vec<(Identity, Object, Vec<Value>)>,
    _folder: TempDir,
    _schema: Option<Schema>,
}

impl World {
    /// Stores with these users, less those whose name is taken, each in the groups that its number says.
    fn new(documents: Vec<(Object, u8)>) -> Self {
        let folder = TempDir::new().expect("a folder");
        let schema = cfg!(feature = "servers").then(Schema::new);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let open = |row: &carillon::store::backends::Descriptor| {
            let opening = Opening {
                purpose: Purpose::Serve,
                data_path: folder.path().join(row.name),
                database_url: schema.as_ref().map(|schema| Secret::new(&*schema.url)),
                views: ["Users".into(), "Groups".into()],
                registry: Arc::clone(&REGISTRY),
                ids: Arc::new(TimeOrderedIds),
                limits: Limits::default(),
            };
            runtime.block_on((row.open)(opening)).expect(row.name)
        };
        let is_here = |row: &&carillon::store::backends::Descriptor| row.name != "postgres" || schema.is_some();
        let backends = BACKENDS.iter().filter(is_here).map(open).collect();
        let mut world = Self { backends, runtime, users: Vec::new(), _folder: folder, _schema: schema };
        let numbers = (0..).filter(|number| !GROUPS.contains(number));
        for (number, (document, memberships)) in numbers.zip(documents) {
            let identity = generate::identity(number);
            if world.create(&identity, user(), &document, &[]) {
                let groups = GROUPS.iter().enumerate().filter(|(place, _)| memberships & (1 << place) != 0);
                let groups = groups.map(|(_, group)| membership(*group)).collect();
                world.users.push((identity, document, groups));
            }
        }
        for group in GROUPS {
            let value = membership(group);
            let members = world.users.iter().filter(|(_, _, groups)| groups.contains(&value));
            let members: Vec<Member> =
                members.map(|(identity, ..)| Member { id: identity.id.clone(), kind: None, display: None }).collect();
            let document = json!({"displayName": value["display"]}).as_object().expect("an object").clone();
            assert!(world.create(&generate::identity(group), REGISTRY.by_name("Group").expect("Group"), &document, &members));
        }
        world
    }

    fn create(&self, identity: &Identity, kind: &ResourceType, document: &Object, members: &[Member]) -> bool {
        let entries = Indexes::of(kind).entries(document);
        let written = Document {
            body: serde_json::to_vec(document).expect("JSON").into(),
            display: document.get("displayName").and_then(Value::as_str).map(str::to_owned),
            unique_added: entries.unique.into_iter().collect(),
            index_added: entries.lookup.into_iter().collect(),
            ..Document::default()
        };
        let change = Change {
            key: key(kind.code, identity.id.clone()),
            guard: Guard::default(),
            effect: Effect::Create(written),
            members: MemberChange { reset: false, present: members.to_vec(), absent: Vec::new() },
            known_members_only: true,
            events: Vec::new(),
            txn: None,
        };
        let unit = Unit { at: identity.at, txn: "t".into(), changes: vec![change] };
        let commits = self.backends.iter().map(|backend| self.runtime.block_on(backend.store.commit(unit.clone())));
        let created: Vec<bool> = commits
            .map(|outcome| match outcome {
                Ok(_) => true,
                Err(error) => {
                    assert!(matches!(error.kind, StoreErrorKind::Uniqueness { .. }), "{error}");
                    false
                }
            })
            .collect();
        assert!(created.iter().all(|made| *made == created[0]), "the stores agree on what is taken");
        created[0]
    }

    /// What each store finds: the total, the ids of a page, and how many documents it read.
    fn search(&self, filter: &Filter, offset: u64, limit: u64) -> Vec<(u64, Vec<ResourceId>, u64)> {
        let kind = user().code;
        let start = Start::Offset(offset);
        let query =
            Query { tenant: TENANT, kind, filter: Some(filter.clone()), sort: None, start, limit, detail: Detail::default() };
        let pages = self.backends.iter().map(|backend| self.runtime.block_on(backend.store.query(&query)).expect("a page"));
        pages
            .map(|page| {
                (page.total.expect("a count"), page.resources.into_iter().map(|stored| stored.key.id).collect(), page.visited)
            })
            .collect()
    }

    fn expected(&self, filter: &Filter) -> Vec<ResourceId> {
        let matching =
            self.users.iter().filter(|(identity, document, groups)| filter.matches(&generate::whole(document, identity, groups)));
        matching.map(|(identity, ..)| identity.id.clone()).collect()
    }
}

fn membership(group: usize) -> Value {
    json!({"value": generate::identity(group).id.to_string(), "display": format!("Group {group}"), "type": "direct"})
}

#[test]
fn every_store_finds_what_the_evaluator_finds() {
    const CASES: u32 = 24;
    let (matches, misses, spared) = (Cell::new(0_usize), Cell::new(0_usize), Cell::new(0_usize));
    let worlds = vec((generate::user_document(), any::<u8>()), 1..16);
    let expressions = vec(generate::expression(), 60);
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&(worlds, expressions), |(documents, expressions): (_, Vec<Expression>)| {
        let world = World::new(documents);
        for expression in &expressions {
            let filter = resolve(user(), expression).expect("the attributes are User's");
            let expected = world.expected(&filter);
            matches.set(matches.get() + expected.len());
            misses.set(misses.get() + world.users.len() - expected.len());
            for (total, found, visited) in world.search(&filter, 0, 100) {
                prop_assert_eq!((total, &found), (expected.len() as u64, &expected), "{}", expression);
                spared.set(spared.get() + usize::from(visited < world.users.len() as u64));
            }
            let second: Vec<ResourceId> = expected.iter().skip(1).take(1).cloned().collect();
            for (total, found, _) in world.search(&filter, 1, 1) {
                prop_assert_eq!((total, &found), (expected.len() as u64, &second), "{}", expression);
            }
        }
        Ok(())
    });
    outcome.expect("the stores agree with the evaluator");
    let all = matches.get() + misses.get();
    assert!(matches.get() * 10 > all && misses.get() * 10 > all, "{} of {all} match", matches.get());
    assert!(spared.get() > 100, "the indexes answered {} searches", spared.get());
}

/// Attributes to sort by, of every type; some of them are indexed.
fn order() -> impl Strategy<Value = (&'static str, bool)> {
    let names = [
        "userName",
        "externalId",
        "displayName",
        "nickName",
        "active",
        "name.familyName",
        "emails",
        "emails.type",
        "emails.primary",
        "phoneNumbers.display",
        "x509Certificates",
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department",
        "groups.display",
        "schemas",
        "meta.created",
        "meta.lastModified",
        "id",
    ];
    (proptest::sample::select(names.to_vec()), any::<bool>())
}

impl World {
    /// The places of the users that match, in order.
    fn places(&self, filter: Option<&Filter>, sort: &Sort) -> Vec<Position> {
        let wholes = self.users.iter().map(|(identity, document, groups)| (identity, generate::whole(document, identity, groups)));
        let matching = wholes.filter(|(_, whole)| filter.is_none_or(|filter| filter.matches(whole)));
        let mut places: Vec<Position> = matching
            .map(|(identity, whole)| {
                let key =
                    sort.path.as_ref().and_then(|path| Comparable::of(path.leaf(), sort::value(&whole, path)?).map(indexed_value));
                Position { key, id: identity.id.clone() }
            })
            .collect();
        places.sort_by(|left, right| left.compare(right, Some(sort)));
        places
    }

    /// The ids of a walk on each store, and of the page in the middle by its offset.
    fn walk(&self, query: &Query) -> Vec<(Vec<ResourceId>, u64)> {
        let ids = |page: &carillon::store::Page| page.resources.iter().map(|stored| stored.key.id.clone()).collect::<Vec<_>>();
        let walk = |backend: &Backend| {
            let mut page = self.runtime.block_on(backend.store.query(query)).expect("a page");
            let (mut seen, total) = (ids(&page), page.total.expect("a count"));
            while let Some(position) = page.next {
                let next = Query { start: Start::After(Some(position)), ..query.clone() };
                page = self.runtime.block_on(backend.store.query(&next)).expect("a page");
                assert!(!page.resources.is_empty() && page.total.is_none());
                seen.extend(ids(&page));
            }
            (seen, total)
        };
        self.backends.iter().map(walk).collect()
    }
}

#[test]
fn every_store_orders_and_walks_as_the_evaluator_would() {
    const CASES: u32 = 24;
    let (several, keyless, all) = (Cell::new(0_usize), Cell::new(0_usize), Cell::new(0_usize));
    let worlds = vec((generate::user_document(), any::<u8>()), 1..16);
    let asked = vec((proptest::option::of(generate::expression()), order(), 1..6_u64), 40);
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&(worlds, asked), |(documents, asked)| {
        let world = World::new(documents);
        for (expression, (name, descending), limit) in &asked {
            let filter = expression.as_ref().map(|expression| resolve(user(), expression).expect("the attributes are User's"));
            let sort = Sort { path: sort::resolve(user(), name).expect(name), descending: *descending };
            let places = world.places(filter.as_ref(), &sort);
            let expected: Vec<ResourceId> = places.iter().map(|place| place.id.clone()).collect();
            several.set(several.get() + usize::from(places.len() as u64 > *limit));
            keyless.set(keyless.get() + usize::from(places.iter().any(|place| place.key.is_none())));
            all.set(all.get() + 1);
            let query = Query {
                tenant: TENANT,
                kind: user().code,
                filter,
                sort: Some(sort),
                start: Start::Offset(0),
                limit: *limit,
                detail: Detail::default(),
            };
            for (seen, total) in world.walk(&query) {
                prop_assert_eq!((&seen, total), (&expected, expected.len() as u64), "{:?} by {} {}", expression, name, descending);
            }
            let rest: Vec<ResourceId> = expected.iter().skip(usize::try_from(*limit).expect("small")).cloned().collect();
            for (seen, _) in world.walk(&Query { start: Start::Offset(*limit), ..query }) {
                prop_assert_eq!(&seen, &rest, "{:?} by {} {} from {}", expression, name, descending, limit);
            }
        }
        Ok(())
    });
    outcome.expect("the stores agree with the evaluator");
    let least = all.get() / 10;
    assert!(several.get() > least && keyless.get() > least, "{several:?} and {keyless:?} of {all:?}");
}
