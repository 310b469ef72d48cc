//! How a unit becomes true, for stores that can undo it: the one order of checks and writes, over primitive operations.

use super::{Change, Committed, Document, Effect, Guard, Outcome, Result, StoreError, StoreErrorKind, Unit};
use crate::base::clock::Timestamp;
use crate::base::id::{EventId, Ids, Key, ResourceId, Tenant, TypeCode};
use crate::base::limits;
use crate::event::Event;
use crate::event::plan::member_left;
use crate::event::template::{Findings, Template};
use crate::scim::resource::Member;
use crate::scim::schema::Registry;
use crate::store::index::Entry;
use std::collections::HashSet;

/// What a resource was before a change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) version: u64,
    pub(crate) revision: u64,
    pub(crate) member_count: u64,
}

/// A group that a deleted resource has left.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    pub(crate) group: Key,
    pub(crate) external_id: Option<String>,
    pub(crate) version: u64,
}

/// The primitive operations of a transaction. What fails is undone by the caller as a whole, so that an operation can change first
/// and tell afterwards what was there.
pub(crate) trait Rows {
    /// The type of the resource of this id.
    fn kind_of(&mut self, tenant: Tenant, id: &ResourceId) -> Result<Option<TypeCode>>;
    /// What a resource is.
    fn find(&mut self, key: &Key) -> Result<Option<Facts>>;
    /// Writes a new resource at version 1 and revision 1.
    fn insert(&mut self, key: &Key, document: &Document, at: Timestamp) -> Result<()>;
    /// Writes a document anew, with version and revision one higher. Returns what was before.
    fn replace(&mut self, key: &Key, document: &Document, at: Timestamp) -> Result<Option<Facts>>;
    /// Removes a resource's row. Returns what was before.
    fn delete(&mut self, key: &Key) -> Result<Option<Facts>>;
    /// Takes a unique key; false when it is taken.
    fn claim(&mut self, key: &Key, entry: &Entry) -> Result<bool>;
    /// Gives a unique key up.
    fn release(&mut self, key: &Key, entry: &Entry) -> Result<()>;
    /// Adds an index entry.
    fn index(&mut self, key: &Key, entry: &Entry) -> Result<()>;
    /// Removes an index entry.
    fn unindex(&mut self, key: &Key, entry: &Entry) -> Result<()>;
    /// Adds a member; false when it is one.
    fn join(&mut self, group: &Key, member: &Member) -> Result<bool>;
    /// Removes a member; false when it is none.
    fn leave(&mut self, group: &Key, member: &ResourceId) -> Result<bool>;
    /// The members of a group.
    fn members(&mut self, group: &Key) -> Result<Vec<Member>>;
    /// Removes all members of a group that ends.
    fn disband(&mut self, group: &Key) -> Result<()>;
    /// Sets how many members a group has; with a time its version goes up by one as well.
    fn recount(&mut self, group: &Key, member_count: u64, modified: Option<Timestamp>) -> Result<()>;
    /// The groups that a resource is directly in, in id order.
    fn groups_of(&mut self, tenant: Tenant, member: &ResourceId) -> Result<Vec<ResourceId>>;
    /// Takes a member from a group and raises the group's version. `None` when the group has no resource.
    fn part(&mut self, tenant: Tenant, group: &ResourceId, member: &ResourceId, at: Timestamp) -> Result<Option<Left>>;
    /// Appends to the log.
    fn log(&mut self, event: Event) -> Result<()>;
}

/// What applying needs beside the rows.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) registry: &'a Registry,
    pub(crate) ids: &'a dyn Ids,
}

/// Applies a unit. After an error the caller undoes what has been done.
pub(crate) fn apply<R: Rows>(rows: &mut R, unit: &Unit, context: Context<'_>) -> Result<Committed> {
    let mut outcomes = Vec::with_capacity(unit.changes.len());
    for (index, change) in unit.changes.iter().enumerate() {
        let applied = apply_change(rows, unit, change, context);
        outcomes.push(applied.map_err(|error| StoreError { change: Some(index), ..error })?);
    }
    Ok(Committed { outcomes })
}

fn apply_change<R: Rows>(rows: &mut R, unit: &Unit, change: &Change, context: Context<'_>) -> Result<Outcome> {
    let outcome = effect(rows, unit, change, context)?;
    let txn = change.txn.as_deref().unwrap_or(&unit.txn);
    if outcome.changed {
        let members = represented_members(rows, change, &outcome)?;
        let Outcome { version, added, removed, .. } = &outcome;
        let findings = Findings { version: *version, added, removed, members: members.as_deref() };
        for template in &change.events {
            rows.log(template.fill(EventId(context.ids.next()), txn, unit.at, findings))?;
        }
    }
    if matches!(change.effect, Effect::Delete { .. }) {
        leave_groups(rows, &change.key, txn, unit.at, context)?;
    }
    Ok(outcome)
}

/// The members that an event shows in a representation; none when no event does, nothing when they are too many for an event.
fn represented_members<R: Rows>(rows: &mut R, change: &Change, outcome: &Outcome) -> Result<Option<Vec<Member>>> {
    if outcome.member_count == 0 || !change.events.iter().any(Template::needs_members) {
        return Ok(Some(Vec::new()));
    }
    let is_small = outcome.member_count <= limits::MEMBERS_IN_FULL_EVENT as u64;
    if is_small { rows.members(&change.key).map(Some) } else { Ok(None) }
}

fn effect<R: Rows>(rows: &mut R, unit: &Unit, change: &Change, context: Context<'_>) -> Result<Outcome> {
    let key = &change.key;
    match &change.effect {
        Effect::Create(document) => {
            // An id names one resource, whatever its type (7643-3.1-02).
            if rows.kind_of(key.tenant, &key.id)?.is_some() {
                let kind = StoreErrorKind::Uniqueness { path: "id".into() };
                return Err(StoreError::new(kind, "create a resource"));
            }
            keys(rows, key, document)?;
            rows.insert(key, document, unit.at)?;
            let before = Facts { version: 0, revision: 0, member_count: 0 };
            written(rows, change, before, context)
        }
        Effect::Replace(document) => {
            let before = found(rows.replace(key, document, unit.at)?)?;
            check(&change.guard, before)?;
            keys(rows, key, document)?;
            written(rows, change, before, context)
        }
        Effect::Keep => {
            let before = found(rows.find(key)?)?;
            check(&change.guard, before)?;
            let (added, removed) = members(rows, change, context)?;
            let member_count = counted(before, &added, &removed);
            let changed = !(added.is_empty() && removed.is_empty());
            if changed {
                rows.recount(key, member_count, Some(unit.at))?;
            }
            Ok(Outcome { version: before.version + u64::from(changed), changed, added, removed, member_count })
        }
        Effect::Delete { unique, index } => {
            let before = found(rows.delete(key)?)?;
            check(&change.guard, before)?;
            unique.iter().try_for_each(|entry| rows.release(key, entry))?;
            index.iter().try_for_each(|entry| rows.unindex(key, entry))?;
            if before.member_count > 0 {
                rows.disband(key)?;
            }
            Ok(Outcome { version: before.version + 1, changed: true, ..Outcome::default() })
        }
    }
}

fn found(facts: Option<Facts>) -> Result<Facts> {
    facts.ok_or_else(|| StoreError::new(StoreErrorKind::NotFound, "find the resource to change"))
}

/// The client's own condition goes first: a plan that is stale as well would only be made again to fail on it.
fn check(guard: &Guard, before: Facts) -> Result<()> {
    if guard.precondition.as_ref().is_some_and(|precondition| !precondition.admits(before.version)) {
        return Err(StoreError::new(StoreErrorKind::PreconditionFailed, "check If-Match"));
    }
    let is_stale = guard.revision.is_some_and(|revision| revision != before.revision)
        || guard.version.is_some_and(|version| version != before.version);
    if is_stale {
        return Err(StoreError::new(StoreErrorKind::Stale, "check that the plan still holds"));
    }
    Ok(())
}

fn keys<R: Rows>(rows: &mut R, key: &Key, document: &Document) -> Result<()> {
    document.unique_removed.iter().try_for_each(|entry| rows.release(key, entry))?;
    for entry in &document.unique_added {
        if !rows.claim(key, entry)? {
            let kind = StoreErrorKind::Uniqueness { path: entry.path.to_string() };
            return Err(StoreError::new(kind, "claim a unique key"));
        }
    }
    document.index_removed.iter().try_for_each(|entry| rows.unindex(key, entry))?;
    document.index_added.iter().try_for_each(|entry| rows.index(key, entry))
}

/// The outcome of a written document, whose version has gone up already.
fn written<R: Rows>(rows: &mut R, change: &Change, before: Facts, context: Context<'_>) -> Result<Outcome> {
    let (added, removed) = members(rows, change, context)?;
    let member_count = counted(before, &added, &removed);
    if !(added.is_empty() && removed.is_empty()) {
        rows.recount(&change.key, member_count, None)?;
    }
    Ok(Outcome { version: before.version + 1, changed: true, added, removed, member_count })
}

fn counted(before: Facts, added: &[Member], removed: &[ResourceId]) -> u64 {
    (before.member_count + added.len() as u64).saturating_sub(removed.len() as u64)
}

/// Makes the members so, and returns who really joined and who really left.
fn members<R: Rows>(rows: &mut R, change: &Change, context: Context<'_>) -> Result<(Vec<Member>, Vec<ResourceId>)> {
    let (group, wanted) = (&change.key, &change.members);
    if wanted.is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let present = known(rows, change, context)?;
    let mut removed = Vec::new();
    if wanted.reset {
        let stay: HashSet<&ResourceId> = wanted.present.iter().map(|member| &member.id).collect();
        for Member { id, .. } in rows.members(group)?.into_iter().filter(|member| !stay.contains(&member.id)) {
            if rows.leave(group, &id)? {
                removed.push(id);
            }
        }
    } else {
        for id in &wanted.absent {
            if rows.leave(group, id)? {
                removed.push(id.clone());
            }
        }
    }
    let mut added = Vec::new();
    for member in present {
        if rows.join(group, &member)? {
            added.push(member);
        }
    }
    Ok((added, removed))
}

/// The members to be, each with what it really is where its id names a resource, and else with what the client calls it.
fn known<R: Rows>(rows: &mut R, change: &Change, context: Context<'_>) -> Result<Vec<Member>> {
    let mut unknown = Vec::new();
    let mut present = Vec::with_capacity(change.members.present.len());
    for member in &change.members.present {
        let code = rows.kind_of(change.key.tenant, &member.id)?;
        if code.is_none() && change.known_members_only {
            unknown.push(member.id.to_string());
        }
        let kind = code.and_then(|code| context.registry.name_of(code)).map(str::to_owned);
        present.push(Member { kind: kind.or_else(|| member.kind.clone()), ..member.clone() });
    }
    if unknown.is_empty() { Ok(present) } else { Err(StoreError::new(StoreErrorKind::UnknownMembers(unknown), "find the members")) }
}

/// The cascade of a delete: the groups it was in lose it, in id order, each with an event of its own.
fn leave_groups<R: Rows>(rows: &mut R, key: &Key, txn: &str, at: Timestamp, context: Context<'_>) -> Result<()> {
    for group in rows.groups_of(key.tenant, &key.id)? {
        if let Some(left) = rows.part(key.tenant, &group, &key.id, at)? {
            let findings = Findings { version: left.version, added: &[], removed: std::slice::from_ref(&key.id), members: None };
            let template = member_left(left.group, left.external_id);
            rows.log(template.fill(EventId(context.ids.next()), txn, at, findings))?;
        }
    }
    Ok(())
}
