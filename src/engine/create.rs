//! POST (RFC 7644 §3.3).

use super::{Answer, Engine, failure};
use crate::auth::Caller;
use crate::base::id::Key;
use crate::event::plan::{self, Subject};
use crate::scim::error::Result;
use crate::scim::resource::MemberChange;
use crate::scim::schema::ResourceType;
use crate::scim::validate;
use crate::store::{Change, Effect, Guard, Stored};
use serde_json::Value;
use std::sync::Arc;

impl Engine {
    /// Creates a resource. Its id is ours, whatever the body says (7643-3.1-01).
    pub async fn create(&self, caller: &Caller, kind: &Arc<ResourceType>, body: &Value, answer: Answer) -> Result<Stored> {
        let validated = validate::create(kind, body)?;
        let members = MemberChange { reset: false, present: validated.members, absent: Vec::new() };
        self.check_members(&members)?;
        let hashed = self.hasher.apply(None, validated.secrets).await?;
        let key = Key { tenant: caller.tenant, kind: kind.code, id: self.ids.next().into() };
        let at = self.clock.now();
        let subject = Subject { kind, key: &key, created: at };
        let events = plan::created(subject, &validated.document, &hashed.paths);
        let document = self.document(kind, None, &validated.document, hashed.stored);
        let body = document.body.clone();
        let change = Change {
            key: key.clone(),
            guard: Guard::default(),
            effect: Effect::Create(document),
            members,
            known_members_only: self.switches.known_members_only,
            events,
        };
        let outcome = self.commit(at, change).await.map_err(|error| failure(&error))?;
        let created = Stored {
            key,
            version: outcome.version,
            revision: 1,
            created: at,
            modified: at,
            body,
            member_count: outcome.member_count,
            members: None,
            // What is new is in no group yet.
            groups: None,
            secrets: None,
        };
        self.answer(created, answer).await
    }
}
