//! PATCH (RFC 7644 §3.5.2).

use super::plan::{After, Before, Planned, contended};
use super::write::{Action, Write};
use super::{Answer, Engine};
use crate::auth::Caller;
use crate::base::id::Key;
use crate::scim::error::Result;
use crate::scim::patch::{Patch, Patched};
use crate::scim::quirks;
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
        let write = Write { kind, key, action: Action::Modify(self.read_patch(kind, id, body)?), precondition };
        let stored = self.perform(&write, answer.groups(), &self.txn()).await?;
        let version = stored.version;
        if stored.member_count > self.limits.members_in_patch_answer && !answer.asked {
            return Ok(Modified { version, stored: None });
        }
        Ok(Modified { version, stored: Some(self.answer(stored, answer).await?) })
    }

    /// Reads the body of a PATCH of this resource.
    pub(super) fn read_patch(&self, kind: &ResourceType, id: &str, body: &Value) -> Result<Patch> {
        let quirks = self.switches.quirks;
        Patch::parse(kind, &quirks::patch(kind, id, body, quirks), quirks)
    }

    /// Plans a PATCH.
    pub(super) async fn plan_modify(&self, write: &Write<'_>, patch: &Patch, detail: Detail) -> Result<Planned> {
        let Write { kind, key, precondition, .. } = write;
        let (before, after) = self.apply(kind, key, patch, precondition.as_ref(), detail).await?;
        self.plan(kind, before, after, precondition.clone()).await
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
