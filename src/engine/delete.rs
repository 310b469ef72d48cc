//! DELETE (RFC 7644 §3.6).

use super::plan::{Before, contended};
use super::{Engine, failure_of};
use crate::auth::Caller;
use crate::base::limits;
use crate::event::plan::{self, Subject};
use crate::scim::error::Result;
use crate::scim::resource::MemberChange;
use crate::scim::schema::ResourceType;
use crate::scim::version::Precondition;
use crate::store::{Change, Detail, Effect, Guard, StoreErrorKind};
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
        let key = Self::key(caller, kind, id)?;
        let _lock = self.locks.lock(&key).await;
        for _ in 0..limits::REPLANS {
            let Before { stored: before, document } = self.load(&key, precondition.as_ref(), Detail::default()).await?;
            let entries = self.entries(kind, &document);
            let subject = Subject { kind, key: &key, created: before.created };
            let change = Change {
                key: key.clone(),
                guard: Guard { revision: Some(before.revision), version: None, precondition: precondition.clone() },
                effect: Effect::Delete {
                    unique: entries.unique.into_iter().collect(),
                    index: entries.lookup.into_iter().collect(),
                },
                members: MemberChange::default(),
                known_members_only: false,
                events: plan::deleted(subject, &document),
            };
            match self.commit(self.clock.now(), change).await {
                Ok(_) => return Ok(()),
                Err(error) if error.kind == StoreErrorKind::Stale => {}
                Err(error) => return Err(failure_of(&error, &key.id)),
            }
        }
        Err(contended())
    }
}
