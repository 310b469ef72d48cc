//! PATCH (RFC 7644 §3.5.2).

use super::plan::{After, Before, contended};
use super::{Answer, Engine};
use crate::auth::Caller;
use crate::base::id::Key;
use crate::base::limits;
use crate::scim::error::Result;
use crate::scim::patch::{Patch, Patched};
use crate::scim::schema::ResourceType;
use crate::scim::version::Precondition;
use crate::store::{Detail, Stored};
use serde_json::Value;
use std::sync::Arc;

/// What a PATCH came to.
#[derive(Clone, Debug)]
pub struct Modified {
    /// The version afterwards.
    pub version: u64,
    /// The resource afterwards; `None` for a large group whose attributes the client did not ask for (answered 204, 7644-3.5.2-08).
    pub stored: Option<Stored>,
}

impl Engine {
    /// Changes a resource: all operations or none (7644-3.5.2-05).
    ///
    /// Operations on members alone take no lock and read no member: clients that add members to one group do not wait for each
    /// other's plans.
    pub async fn modify(
        &self,
        caller: &Caller,
        kind: &Arc<ResourceType>,
        id: &str,
        precondition: Option<Precondition>,
        body: &Value,
        answer: Answer,
    ) -> Result<Modified> {
        let key = Self::key(caller, kind, id)?;
        let patch = Patch::parse(kind, body)?;
        patch.check_id(id)?;
        let _lock = if patch.is_on_members_only() { None } else { Some(self.locks.lock(&key).await) };
        for _ in 0..limits::REPLANS {
            let (before, after) = self.apply(kind, &key, &patch, precondition.as_ref(), answer.groups()).await?;
            let planned = self.plan(kind, &before, after, precondition.clone()).await?;
            if let Some(stored) = self.settle(before.stored, planned).await? {
                let version = stored.version;
                if stored.member_count > self.limits.members_in_patch_answer && !answer.asked {
                    return Ok(Modified { version, stored: None });
                }
                return Ok(Modified { version, stored: Some(self.answer(stored, answer).await?) });
            }
        }
        Err(contended())
    }

    /// Applies a patch to the resource as it is, with its members only if an operation selects them by more than their ids.
    async fn apply(
        &self,
        kind: &ResourceType,
        key: &Key,
        patch: &Patch,
        precondition: Option<&Precondition>,
        detail: Detail,
    ) -> Result<(Before, After)> {
        let mut before = self.load(key, precondition, detail).await?;
        let mut patched = patch.apply(kind, &before.document, None)?;
        let rests_on_members = patched == Patched::NeedsMembers;
        if rests_on_members {
            before = self.load(key, precondition, Detail { members: true, ..detail }).await?;
            let members = before.stored.members.take().unwrap_or_default();
            patched = patch.apply(kind, &before.document, Some(&members))?;
        }
        match patched {
            Patched::Done { document, members, secrets } => {
                Ok((before, After { document, members, secrets, rests_on_members, is_put: false }))
            }
            // With the members at hand a patch needs nothing more; were it to ask again, planning anew would not help.
            Patched::NeedsMembers => Err(contended()),
        }
    }
}
