//! POST (RFC 7644 §3.3).

use super::plan::Planned;
use super::write::{Action, Write};
use super::{Answer, Engine};
use crate::auth::Caller;
use crate::base::clock::Timestamp;
use crate::base::id::Key;
use crate::event::plan::{self, Subject};
use crate::scim::error::Result;
use crate::scim::quirks;
use crate::scim::resource::MemberChange;
use crate::scim::schema::ResourceType;
use crate::scim::validate;
use crate::store::{Change, Detail, Effect, Guard, Stored};
use serde_json::Value;
use std::sync::Arc;

impl Engine {
    /// Creates a resource. Its id is ours, whatever the body says (7643-3.1-01).
    pub async fn create(&self, caller: &Caller, kind: &Arc<ResourceType>, body: &Value, answer: Answer) -> Result<Stored> {
        let write = Write { kind, key: self.fresh_key(caller, kind), action: Action::Create(body, None), precondition: None };
        let created = self.perform(&write, Detail::default(), &self.txn()).await?;
        self.answer(created, answer).await
    }

    /// The key of a resource to be created.
    pub(super) fn fresh_key(&self, caller: &Caller, kind: &ResourceType) -> Key {
        Key { tenant: caller.tenant, kind: kind.code, id: self.ids.next().into() }
    }

    /// Plans a POST. Nothing that is stored decides it.
    pub(super) async fn plan_create(&self, write: &Write<'_>, body: &Value, at: Option<Timestamp>) -> Result<Planned> {
        let Write { kind, key, .. } = write;
        let validated = validate::create(kind, &quirks::resource(kind, body, self.switches.quirks))?;
        let members = MemberChange { reset: false, present: validated.members, absent: Vec::new() };
        self.check_members(&members)?;
        let hashed = self.hasher.apply(None, validated.secrets).await?;
        let at = at.unwrap_or_else(|| self.clock.now());
        let subject = Subject { kind, key, created: at };
        let events = plan::created(subject, &validated.document, &hashed.paths);
        let document = self.document(kind, None, &validated.document, hashed.stored);
        let after = Stored {
            key: key.clone(),
            version: 1,
            revision: 1,
            created: at,
            modified: at,
            body: document.body.clone(),
            member_count: 0,
            members: None,
            // What is new is in no group yet.
            groups: None,
            secrets: None,
        };
        let change = Change {
            key: key.clone(),
            guard: Guard::default(),
            effect: Effect::Create(document),
            members,
            known_members_only: self.switches.known_members_only,
            events,
            txn: None,
        };
        Ok(Planned { at, change, after })
    }
}
