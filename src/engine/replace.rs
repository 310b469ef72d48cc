//! PUT (RFC 7644 §3.5.1).

use super::plan::{After, contended};
use super::{Answer, Engine};
use crate::auth::Caller;
use crate::base::limits;
use crate::scim::Object;
use crate::scim::error::Result;
use crate::scim::resource::MemberChange;
use crate::scim::schema::ResourceType;
use crate::scim::validate;
use crate::scim::version::Precondition;
use crate::store::Stored;
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
        let key = Self::key(caller, kind, id)?;
        let _lock = self.locks.lock(&key).await;
        let reset = kind.members().is_some();
        let after = |before: &Object| {
            let validated = validate::replace(kind, before, body)?;
            let members = MemberChange { reset, present: validated.members, absent: Vec::new() };
            Ok(After { document: validated.document, members, secrets: validated.secrets, rests_on_members: false, is_put: true })
        };
        for _ in 0..limits::REPLANS {
            let before = self.load(&key, precondition.as_ref(), answer.groups()).await?;
            let planned = self.plan(kind, &before, after(&before.document)?, precondition.clone()).await?;
            if let Some(stored) = self.settle(before.stored, planned).await? {
                return self.answer(stored, answer).await;
            }
        }
        Err(contended())
    }
}
