//! A write: a plan, made anew while others overtake it, and one commit. Single requests and the operations of a bulk request are
//! both this.

use super::Engine;
use super::plan::{Planned, contended};
use crate::base::clock::Timestamp;
use crate::base::id::Key;
use crate::base::limits;
use crate::scim::error::Result;
use crate::scim::patch::Patch;
use crate::scim::schema::ResourceType;
use crate::scim::version::Precondition;
use crate::store::{Detail, Stored};
use serde_json::Value;
use std::sync::Arc;

/// What is to be done to one resource.
pub(super) struct Write<'a> {
    /// Its type.
    pub kind: &'a Arc<ResourceType>,
    /// Which one; of what is created, which it will be.
    pub key: Key,
    /// What is done.
    pub action: Action<'a>,
    /// What the client demands of its version.
    pub precondition: Option<Precondition>,
}

/// What a write does.
pub(super) enum Action<'a> {
    /// POST of this body, at this time if others are created with it.
    Create(&'a Value, Option<Timestamp>),
    /// PUT of this body.
    Replace(&'a Value),
    /// PATCH.
    Modify(Patch),
    /// DELETE.
    Delete,
}

impl Write<'_> {
    /// Whether it is a POST.
    pub(super) fn is_create(&self) -> bool {
        matches!(self.action, Action::Create(..))
    }

    /// Whether it changes nothing but members, by their ids: it neither waits for others nor makes them wait.
    pub(super) fn is_on_member_ids_only(&self) -> bool {
        matches!(&self.action, Action::Modify(patch) if patch.is_on_member_ids_only())
    }
}

impl Engine {
    /// Plans a write from the resource as it is, and changes nothing. `detail` is what to load of it for the answer.
    pub(super) async fn plan_write(&self, write: &Write<'_>, detail: Detail) -> Result<Planned> {
        match &write.action {
            Action::Create(body, at) => self.plan_create(write, body, *at).await,
            Action::Replace(body) => self.plan_replace(write, body, detail).await,
            Action::Modify(patch) => self.plan_modify(write, patch, detail).await,
            Action::Delete => self.plan_delete(write).await,
        }
    }

    /// Plans and commits a write by itself, and returns the resource as it leaves it.
    ///
    /// It holds at most this one lock, so that no two requests can wait for each other. Operations on members by their ids take none
    /// and read no member: clients that add members to one group do not wait for each other's plans.
    pub(super) async fn perform(&self, write: &Write<'_>, detail: Detail, txn: &str) -> Result<Stored> {
        let is_locked = !write.is_create() && !write.is_on_member_ids_only();
        let _lock = if is_locked { Some(self.locks.lock(&write.key).await) } else { None };
        for _ in 0..limits::REPLANS {
            let planned = self.plan_write(write, detail).await?;
            if let Some(stored) = self.settle(planned, txn).await? {
                return Ok(stored);
            }
        }
        Err(contended())
    }
}
