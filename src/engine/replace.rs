//! PUT (RFC 7644 §3.5.1).

use super::plan::{After, Planned};
use super::write::{Action, Write};
use super::{Answer, Engine};
use crate::auth::Caller;
use crate::scim::error::Result;
use crate::scim::quirks;
use crate::scim::resource::MemberChange;
use crate::scim::schema::ResourceType;
use crate::scim::validate;
use crate::scim::version::Precondition;
use crate::store::{Detail, Stored};
use serde_json::Value;
use std::sync::Arc;

impl Engine {
    /// Replaces a resource. What the body leaves out is cleared; PUT never creates (7644-3.2-01).
    pub async fn replace(
        &self,
        caller: &Caller,
        kind: &Arc<ResourceType>,
        id: &str,
        precondition: Option<Precondition>,
        body: &Value,
        answer: Answer,
    ) -> Result<Stored> {
        let write = Write { kind, key: Self::key(caller, kind, id)?, action: Action::Replace(body), precondition };
        let replaced = self.perform(&write, answer.groups(), &self.txn()).await?;
        self.answer(replaced, answer).await
    }

    /// Plans a PUT.
    pub(super) async fn plan_replace(&self, write: &Write<'_>, body: &Value, detail: Detail) -> Result<Planned> {
        let Write { kind, key, precondition, .. } = write;
        let before = self.load(key, precondition.as_ref(), detail).await?;
        let body = quirks::resource(kind, body, self.switches.quirks);
        let validated = validate::replace(kind, &before.document, &body)?;
        let members = MemberChange { reset: kind.members().is_some(), present: validated.members, absent: Vec::new() };
        let secrets = validated.secrets;
        let after = After { document: validated.document, members, secrets, rests_on_members: false, is_put: true };
        self.plan(kind, before, after, precondition.clone()).await
    }
}
