//! Writes that meet: what others commit between a plan and its commit.

mod walks;

use super::*;
use crate::auth::Scopes;
use crate::base::clock::SystemClock;
use crate::base::id::{Tenant, TimeOrderedIds};
use crate::base::secret::SystemEntropy;
use crate::scim::error::ErrorKind;
use crate::scim::version::Precondition;
use crate::store::backends::{self, Opening, Purpose};
use crate::store::{Capabilities, Committed, Page, Query, Stored, Unit};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::Mutex;

/// What happens at the next commit.
#[derive(Debug)]
pub(super) enum Meddling {
    /// Nothing out of the ordinary.
    None,
    /// Another unit is committed just before it.
    Overtake(Unit),
    /// It is kept instead of committed.
    Capture,
    /// It has been kept.
    Captured(Unit),
    /// It is never answered.
    Hang,
}

/// A store whose next commit is meddled with.
#[derive(Debug)]
pub(super) struct Meddled {
    pub(super) store: Arc<dyn Store>,
    pub(super) next: Mutex<Meddling>,
}

#[async_trait]
impl Store for Meddled {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn get(&self, key: &Key, detail: Detail) -> crate::store::Result<Option<Stored>> {
        self.store.get(key, detail).await
    }

    async fn query(&self, query: &Query) -> crate::store::Result<Page> {
        self.store.query(query).await
    }

    async fn commit(&self, unit: Unit) -> crate::store::Result<Committed> {
        let next = std::mem::replace(&mut *self.next.lock().expect("not poisoned"), Meddling::None);
        match next {
            Meddling::None | Meddling::Captured(_) => {}
            Meddling::Hang => std::future::pending().await,
            Meddling::Overtake(other) => drop(self.store.commit(other).await?),
            Meddling::Capture => {
                *self.next.lock().expect("not poisoned") = Meddling::Captured(unit);
                return Err(StoreError::new(StoreErrorKind::Unavailable, "capture a unit"));
            }
        }
        self.store.commit(unit).await
    }

    async fn ready(&self) -> crate::store::Result<()> {
        self.store.ready().await
    }
}

pub(super) struct House {
    pub(super) backend: Backend,
    pub(super) caller: Caller,
    group: Arc<ResourceType>,
}

impl House {
    pub(super) fn new() -> Self {
        let registry = Arc::new(Registry::builtin());
        let opening = Opening {
            purpose: Purpose::Serve,
            data_path: std::path::PathBuf::new(),
            database_url: None,
            views: ["Users".into(), "Groups".into()],
            registry: Arc::clone(&registry),
            ids: Arc::new(TimeOrderedIds),
            limits: Limits::default(),
        };
        let backend = backends::open_at_once("memory", opening).expect("the memory store opens");
        let group = Arc::clone(registry.by_name("Group").expect("Group"));
        let caller = Caller { principal: "test".into(), tenant: Tenant(0), user_name: None, scopes: Scopes::default() };
        Self { backend, caller, group }
    }

    pub(super) fn engine(&self, store: Arc<dyn Store>) -> Engine {
        self.engine_within(store, Limits::default())
    }

    pub(super) fn engine_within(&self, store: Arc<dyn Store>, limits: Limits) -> Engine {
        Engine::new(Parts {
            backend: Backend { store, ..self.backend.clone() },
            clock: Arc::new(SystemClock),
            ids: Arc::new(TimeOrderedIds),
            entropy: Arc::new(SystemEntropy),
            limits,
            switches: Switches::default(),
        })
    }

    pub(super) async fn create(&self) -> String {
        let body = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "old",
            "members": [{"value": "m1", "display": "one"}]});
        let engine = self.engine(Arc::clone(&self.backend.store));
        let created = engine.create(&self.caller, &self.group, &body, Answer::default()).await;
        created.expect("created").key.id.to_string()
    }

    /// The unit that this PATCH would commit now.
    pub(super) async fn planned(&self, id: &str, operations: Value) -> Unit {
        let store = Arc::new(Meddled { store: Arc::clone(&self.backend.store), next: Mutex::new(Meddling::Capture) });
        let engine = self.engine(Arc::clone(&store) as Arc<dyn Store>);
        engine.modify(&self.caller, &self.group, id, None, &patch(&operations), Answer::default()).await.expect_err("captured");
        let next = std::mem::replace(&mut *store.next.lock().expect("not poisoned"), Meddling::None);
        let Meddling::Captured(unit) = next else { panic!("no unit was committed") };
        unit
    }

    /// PATCH, while `other` is committed between its plan and its commit.
    async fn overtaken(&self, id: &str, condition: Option<Precondition>, operations: Value, other: Unit) -> Result<Modified> {
        let store = Meddled { store: Arc::clone(&self.backend.store), next: Mutex::new(Meddling::Overtake(other)) };
        let engine = self.engine(Arc::new(store));
        engine.modify(&self.caller, &self.group, id, condition, &patch(&operations), Answer::default()).await
    }
}

fn patch(operations: &Value) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations})
}

fn add(id: &str) -> Value {
    json!([{"op": "add", "path": "members", "value": [{"value": id}]}])
}

#[tokio::test]
async fn a_member_write_answers_with_the_document_at_its_version() {
    let house = House::new();
    let id = house.create().await;
    let rename = house.planned(&id, json!([{"op": "replace", "path": "displayName", "value": "new"}])).await;
    let stored = house.overtaken(&id, None, add("m2"), rename).await.expect("added").stored.expect("shown");
    let document: Value = serde_json::from_slice(&stored.body).expect("JSON");
    assert_eq!((stored.version, stored.revision, &document["displayName"]), (3, 2, &json!("new")));
}

/// 9110-13.1.1-01
#[tokio::test]
async fn a_condition_that_still_holds_does_not_fail_because_others_write() {
    let house = House::new();
    let id = house.create().await;
    let other = house.planned(&id, add("m2")).await;
    let remove = json!([{"op": "remove", "path": "members[display eq \"one\"]"}]);
    let modified = house.overtaken(&id, Some(Precondition::Any), remove, other).await.expect("removed");
    assert_eq!(modified.version, 3);
    let other = house.planned(&id, add("m3")).await;
    let condition = Some(Precondition::Versions(vec![3]));
    let refused = house.overtaken(&id, condition, add("m4"), other).await.expect_err("another version");
    assert_eq!(refused.kind, ErrorKind::PreconditionFailed);
}
