//! DELETE (RFC 7644 §3.6).

use super::Engine;
use super::plan::{Before, Planned};
use super::write::{Action, Write};
use crate::auth::Caller;
use crate::event::plan::{self, Subject};
use crate::scim::error::Result;
use crate::scim::resource::MemberChange;
use crate::scim::schema::ResourceType;
use crate::scim::version::Precondition;
use crate::store::{Change, Detail, Effect, Guard, Stored};
use std::sync::Arc;

impl Engine {
    /// Deletes a resource. It leaves the groups it is in, in the same commit.
    pub async fn delete(
        &self,
        caller: &Caller,
        kind: &Arc<ResourceType>,
        id: &str,
        precondition: Option<Precondition>,
    ) -> Result<()> {
        let write = Write { kind, key: Self::key(caller, kind, id)?, action: Action::Delete, precondition };
        self.perform(&write, Detail::default(), &self.txn()).await.map(drop)
    }

    /// Plans a DELETE.
    pub(super) async fn plan_delete(&self, write: &Write<'_>) -> Result<Planned> {
        let Write { kind, key, precondition, .. } = write;
        let Before { stored: before, document } = self.load(key, precondition.as_ref(), Detail::default()).await?;
        let entries = self.entries(kind, &document);
        let subject = Subject { kind, key, created: before.created };
        let change = Change {
            key: key.clone(),
            guard: Guard { revision: Some(before.revision), version: None, precondition: precondition.clone() },
            effect: Effect::Delete { unique: entries.unique.into_iter().collect(), index: entries.lookup.into_iter().collect() },
            members: MemberChange::default(),
            known_members_only: false,
            events: plan::deleted(subject, &document),
            txn: None,
        };
        Ok(Planned { at: self.clock.now(), change, after: Stored { secrets: None, ..before } })
    }
}
