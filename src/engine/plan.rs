//! What the write use cases share: from two documents to the effect of a unit, and from a commit to the answer.

use super::{Answer, Engine, failure, failure_of};
use crate::base::clock::Timestamp;
use crate::base::id::Key;
use crate::event::plan::{self as events, Subject};
use crate::scim::Object;
use crate::scim::diff::diff;
use crate::scim::error::{Error, ErrorKind, Result};
use crate::scim::resource::{MemberChange, SecretChange};
use crate::scim::schema::ResourceType;
use crate::scim::version::Precondition;
use crate::store::index::Entries;
use crate::store::{Change, Committed, Detail, Document, Effect, Guard, Outcome, StoreError, StoreErrorKind, Stored, Unit};
use bytes::Bytes;
use serde_json::Value;

/// A resource that a write starts from.
pub(super) struct Before {
    pub stored: Stored,
    pub document: Object,
}

/// A write as it will be committed if the facts hold.
pub(super) struct Planned {
    /// When it will have happened.
    pub at: Timestamp,
    /// The change to commit.
    pub change: Change,
    /// The resource afterwards, but for what the store finds: its version, and how many members it has.
    pub after: Stored,
}

impl Planned {
    /// Whether there is nothing to commit, as long as the resource stays as it was read.
    pub(super) fn changes_nothing(&self) -> bool {
        matches!(self.change.effect, Effect::Keep) && self.change.members.is_empty()
    }
}

/// What a write makes of a document.
pub(super) struct After {
    pub document: Object,
    pub members: MemberChange,
    pub secrets: Vec<SecretChange>,
    /// Whether the members were read to plan it.
    pub rests_on_members: bool,
    pub is_put: bool,
}

impl Engine {
    /// The resource that a write starts from, with its secrets and with what else is asked for.
    pub(super) async fn load(&self, key: &Key, precondition: Option<&Precondition>, detail: Detail) -> Result<Before> {
        let detail = Detail { secrets: true, ..detail };
        let found = self.store.get(key, detail).await.map_err(|error| failure_of(&error, &key.id))?;
        let stored = found.ok_or_else(|| Error::resource_not_found(&key.id))?;
        if precondition.is_some_and(|condition| !condition.admits(stored.version)) {
            return Err(failure_of(&StoreError::new(StoreErrorKind::PreconditionFailed, "compare versions"), &key.id));
        }
        Ok(Before { document: document_of(&stored)?, stored })
    }

    /// Plans a write from two documents.
    pub(super) async fn plan(
        &self,
        kind: &ResourceType,
        before: Before,
        after: After,
        precondition: Option<Precondition>,
    ) -> Result<Planned> {
        let Before { stored, document: before } = before;
        self.check_members(&after.members)?;
        let hashed = self.hasher.apply(stored.secrets.as_deref(), after.secrets).await?;
        let differences = diff(kind, &before, &after.document);
        let subject = Subject { kind, key: &stored.key, created: stored.created };
        let at = self.clock.now();
        let events = if after.is_put {
            events::replaced(subject, &before, &after.document, &differences, &hashed.paths, at)
        } else {
            events::patched(subject, &before, &after.document, &differences, &hashed.paths)
        };
        let is_changed = !differences.is_empty() || hashed.stored.is_some();
        let mut planned = Planned {
            at,
            change: Change {
                key: stored.key.clone(),
                guard: Guard {
                    revision: Some(stored.revision),
                    version: after.rests_on_members.then_some(stored.version),
                    precondition,
                },
                effect: Effect::Keep,
                members: after.members,
                known_members_only: self.switches.known_members_only,
                events,
                txn: None,
            },
            after: Stored { secrets: None, ..stored },
        };
        if is_changed {
            let document = self.document(kind, Some(&before), &after.document, hashed.stored);
            planned.after.body = document.body.clone();
            planned.after.revision += 1;
            planned.change.effect = Effect::Replace(document);
        }
        Ok(planned)
    }

    /// Commits a planned write, and returns the resource as it leaves it. `None` means that the facts no longer hold: plan again.
    /// A write that changes nothing is not committed at all.
    pub(super) async fn settle(&self, planned: Planned, txn: &str) -> Result<Option<Stored>> {
        if planned.changes_nothing() {
            return Ok(Some(planned.after));
        }
        let Planned { at, change, after } = planned;
        let outcome = match self.commit(at, txn, change).await {
            Ok(outcome) => outcome,
            Err(error) if error.kind == StoreErrorKind::Stale => return Ok(None),
            Err(error) => return Err(failure_of(&error, &after.key.id)),
        };
        Ok(Some(Stored {
            version: outcome.version,
            modified: if outcome.changed { at } else { after.modified },
            member_count: outcome.member_count,
            ..after
        }))
    }

    /// The document to be written, with what its keys gain and lose.
    pub(super) fn document(
        &self,
        kind: &ResourceType,
        before: Option<&Object>,
        after: &Object,
        secrets: Option<String>,
    ) -> Document {
        let had = before.map_or_else(Entries::default, |document| self.entries(kind, document));
        let has = self.entries(kind, after);
        let text = |name: &str| after.get(name).and_then(Value::as_str).map(str::to_owned);
        Document {
            body: body(after),
            external_id: text("externalId"),
            display: text("displayName"),
            secrets,
            unique_added: has.unique.difference(&had.unique).cloned().collect(),
            unique_removed: had.unique.difference(&has.unique).cloned().collect(),
            index_added: has.lookup.difference(&had.lookup).cloned().collect(),
            index_removed: had.lookup.difference(&has.lookup).cloned().collect(),
            dates: None,
        }
    }

    /// The index entries of a document.
    pub(super) fn entries(&self, kind: &ResourceType, document: &Object) -> Entries {
        self.indexes.get(&kind.code).map(|indexes| indexes.entries(document)).unwrap_or_default()
    }

    /// Refuses a request that names more members than the limit.
    pub(super) fn check_members(&self, change: &MemberChange) -> Result<()> {
        self.check_member_count(change.present.len() + change.absent.len())
    }

    /// The same of several changes that are one unit.
    pub(super) fn check_member_count(&self, named: usize) -> Result<()> {
        if named > self.limits.members_per_request {
            let most = self.limits.members_per_request;
            return Err(Error::new(ErrorKind::TooLarge, format!("The request names {named} members; at most {most} are allowed.")));
        }
        Ok(())
    }

    /// Commits a unit of one change.
    pub(super) async fn commit(&self, at: Timestamp, txn: &str, change: Change) -> Result<Outcome, StoreError> {
        let Committed { mut outcomes } = self.store.commit(Unit { at, txn: txn.to_owned(), changes: vec![change] }).await?;
        Ok(outcomes.pop().unwrap_or_default())
    }

    /// The resource as an answer shows it: what was written, and, if the answer asks for members, the group read again, so that
    /// members and version belong together.
    pub(super) async fn answer(&self, written: Stored, answer: Answer) -> Result<Stored> {
        if !answer.detail.members || written.member_count == 0 {
            return Ok(written);
        }
        let detail = Detail { secrets: false, ..answer.detail };
        let found = self.store.get(&written.key, detail).await.map_err(|error| {
            tracing::warn!(operation = error.operation, %error, "a written resource cannot be read again");
            Error::new(ErrorKind::Unavailable, "The write took effect, but the resource cannot be shown now: read it.")
        })?;
        // One that has been deleted since is answered as it was written.
        Ok(found.unwrap_or(written))
    }
}

/// The stored text of a document.
pub(super) fn body(document: &Object) -> Bytes {
    // A JSON object of strings, numbers and the like always serializes.
    Bytes::from(serde_json::to_vec(document).unwrap_or_default())
}

/// The document of a stored resource.
pub(super) fn document_of(stored: &Stored) -> Result<Object> {
    let corrupt = |error| failure(&StoreError::because(StoreErrorKind::Corrupt, "read a stored document", error));
    serde_json::from_slice(&stored.body).map_err(corrupt)
}

/// Others changed the resource each time a write was planned.
pub(super) fn contended() -> Error {
    Error::new(ErrorKind::Unavailable, "The resource is changed by others at the same time; try again.")
}
