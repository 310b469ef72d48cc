//! The maps, and the transaction over them: every change is journalled, and undone unless it is kept.

use crate::base::clock::Timestamp;
use crate::base::id::{EventId, Key, ResourceId, Tenant, TypeCode};
use crate::event::Event;
use crate::scim::resource::Member;
use crate::store::apply::{Facts, Left, Rows};
use crate::store::index::Entry;
use crate::store::ledger::{Trim, reading};
use crate::store::residual::groups_above;
use crate::store::{Detail, Document, Logged, Membership, Place, Reading, Result, Stored};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::convert::Infallible;
use std::ops::Bound;

/// A resource without what other maps hold.
#[derive(Clone, Debug)]
pub(super) struct Row {
    facts: Facts,
    created: Timestamp,
    modified: Timestamp,
    body: Bytes,
    external_id: Option<String>,
    display: Option<String>,
    secrets: Option<String>,
}

type UniqueKey = (Tenant, TypeCode, Entry);
/// Tenant, group, member.
type MemberKey = (Tenant, ResourceId, ResourceId);

#[derive(Debug, Default)]
pub(super) struct State {
    rows: BTreeMap<Key, Row>,
    kinds: HashMap<(Tenant, ResourceId), TypeCode>,
    unique: BTreeMap<UniqueKey, ResourceId>,
    members: BTreeMap<MemberKey, Member>,
    /// Tenant, member, group.
    memberships: BTreeSet<MemberKey>,
    /// Those after the floor.
    events: VecDeque<Logged>,
    floor: u64,
    places: HashMap<EventId, Place>,
}

fn smallest() -> ResourceId {
    ResourceId::Text("".into())
}

impl State {
    pub(super) fn row(&self, key: &Key) -> Option<&Row> {
        self.rows.get(key)
    }

    /// In id order, after this id.
    pub(super) fn of_type(&self, tenant: Tenant, kind: TypeCode, after: Option<&ResourceId>) -> impl Iterator<Item = (&Key, &Row)> {
        let first = match after {
            Some(id) => Bound::Excluded(Key { tenant, kind, id: id.clone() }),
            None => Bound::Included(Key { tenant, kind, id: smallest() }),
        };
        self.rows.range((first, Bound::Unbounded)).take_while(move |(key, _)| key.tenant == tenant && key.kind == kind)
    }

    /// The resource that has a unique value.
    pub(super) fn holder(&self, tenant: Tenant, kind: TypeCode, entry: Entry) -> Option<(&Key, &Row)> {
        let id = self.unique.get(&(tenant, kind, entry))?.clone();
        self.rows.get_key_value(&Key { tenant, kind, id })
    }

    pub(super) fn stored(&self, key: &Key, row: &Row, detail: Detail) -> Result<Stored> {
        let groups = detail.groups.then(|| self.groups_above(key)).transpose()?;
        Ok(Stored {
            key: key.clone(),
            version: row.facts.version,
            revision: row.facts.revision,
            created: row.created,
            modified: row.modified,
            body: row.body.clone(),
            member_count: row.facts.member_count,
            members: detail.members.then(|| self.members_of(key).cloned().collect()),
            groups,
            secrets: row.secrets.clone().filter(|_| detail.secrets),
        })
    }

    fn members_of(&self, group: &Key) -> impl Iterator<Item = &Member> {
        let (tenant, id) = (group.tenant, &group.id);
        let first = (tenant, id.clone(), smallest());
        self.members
            .range(first..)
            .take_while(move |((owner, group, _), _)| *owner == tenant && group == id)
            .map(|(_, member)| member)
    }

    fn parents(&self, tenant: Tenant, id: &ResourceId) -> Vec<ResourceId> {
        let first = (tenant, id.clone(), smallest());
        let of_this = self.memberships.range(first..).take_while(|(owner, member, _)| *owner == tenant && member == id);
        of_this.map(|(_, _, group)| group.clone()).collect()
    }

    fn groups_above(&self, key: &Key) -> Result<Vec<Membership>> {
        let describe = |tenant, id: &ResourceId, direct| {
            Ok(self.key_of(tenant, id).and_then(|group| {
                let display = self.rows.get(&group)?.display.clone();
                Some(Membership { group, display, direct })
            }))
        };
        groups_above(key.tenant, &key.id, |tenant, id| Ok(self.parents(tenant, id)), describe)
    }

    fn key_of(&self, tenant: Tenant, id: &ResourceId) -> Option<Key> {
        let kind = *self.kinds.get(&(tenant, id.clone()))?;
        Some(Key { tenant, kind, id: id.clone() })
    }

    pub(super) fn last_place(&self) -> Place {
        Place(self.floor + self.events.len() as u64)
    }

    pub(super) fn events(&self, tenant: Tenant, after: Place, limit: usize) -> Reading {
        let start = usize::try_from(after.0.saturating_sub(self.floor)).unwrap_or(usize::MAX).min(self.events.len());
        let events = self.events.range(start..).filter(|logged| logged.event.subject.tenant == tenant).cloned();
        let infallible = events.map(Ok::<_, Infallible>);
        match reading(Place(self.floor), self.last_place(), after, limit, infallible) {
            Ok(reading) => reading,
            Err(never) => match never {},
        }
    }

    pub(super) fn trim(&mut self, floor: Place, trim: Trim) -> usize {
        if floor.0 != self.floor {
            return 0;
        }
        let goes = |logged: &&Logged| logged.place <= trim.through || logged.event.at < trim.before;
        let count = self.events.iter().take(trim.limit).take_while(goes).count();
        for logged in self.events.drain(..count) {
            self.floor = logged.place.0;
            self.places.remove(&logged.event.id);
        }
        count
    }

    pub(super) fn place_of(&self, tenant: Tenant, event: EventId) -> Option<Place> {
        let place = *self.places.get(&event)?;
        let logged = self.events.get(usize::try_from(place.0.checked_sub(self.floor + 1)?).ok()?)?;
        (logged.event.subject.tenant == tenant).then_some(place)
    }

    fn put_row(&mut self, key: &Key, row: Option<Row>) -> Option<Row> {
        if let Some(row) = row {
            self.kinds.insert((key.tenant, key.id.clone()), key.kind);
            self.rows.insert(key.clone(), row)
        } else {
            self.kinds.remove(&(key.tenant, key.id.clone()));
            self.rows.remove(key)
        }
    }

    fn put_unique(&mut self, key: UniqueKey, id: Option<ResourceId>) -> Option<ResourceId> {
        match id {
            Some(id) => self.unique.insert(key, id),
            None => self.unique.remove(&key),
        }
    }

    fn put_member(&mut self, key: MemberKey, member: Option<Member>) -> Option<Member> {
        let reversed = (key.0, key.2.clone(), key.1.clone());
        if let Some(member) = member {
            self.memberships.insert(reversed);
            self.members.insert(key, member)
        } else {
            self.memberships.remove(&reversed);
            self.members.remove(&key)
        }
    }
}

/// What was there before a change.
enum Undo {
    Row(Key, Option<Row>),
    Unique(UniqueKey, Option<ResourceId>),
    Member(MemberKey, Option<Member>),
    Event,
}

/// Changes that are undone in reverse order when this is dropped, unless they are kept.
pub(super) struct Transaction<'a> {
    state: &'a mut State,
    journal: Vec<Undo>,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(state: &'a mut State) -> Self {
        Self { state, journal: Vec::new() }
    }

    pub(super) fn keep(mut self) {
        self.journal.clear();
    }

    fn put_row(&mut self, key: &Key, row: Option<Row>) {
        let before = self.state.put_row(key, row);
        self.journal.push(Undo::Row(key.clone(), before));
    }

    fn put_unique(&mut self, key: UniqueKey, id: Option<ResourceId>) {
        let before = self.state.put_unique(key.clone(), id);
        self.journal.push(Undo::Unique(key, before));
    }

    fn put_member(&mut self, key: MemberKey, member: Option<Member>) {
        let before = self.state.put_member(key.clone(), member);
        self.journal.push(Undo::Member(key, before));
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        while let Some(undo) = self.journal.pop() {
            match undo {
                Undo::Row(key, before) => drop(self.state.put_row(&key, before)),
                Undo::Unique(key, before) => drop(self.state.put_unique(key, before)),
                Undo::Member(key, before) => drop(self.state.put_member(key, before)),
                Undo::Event => {
                    if let Some(logged) = self.state.events.pop_back() {
                        self.state.places.remove(&logged.event.id);
                    }
                }
            }
        }
    }
}

impl Rows for Transaction<'_> {
    fn kind_of(&mut self, tenant: Tenant, id: &ResourceId) -> Result<Option<TypeCode>> {
        Ok(self.state.kinds.get(&(tenant, id.clone())).copied())
    }

    fn find(&mut self, key: &Key) -> Result<Option<Facts>> {
        Ok(self.state.rows.get(key).map(|row| row.facts))
    }

    fn insert(&mut self, key: &Key, document: &Document, at: Timestamp) -> Result<()> {
        let dates = document.dates(at);
        let row = Row {
            facts: Facts { version: 1, revision: 1, member_count: 0 },
            created: dates.created,
            modified: dates.modified,
            body: document.body.clone(),
            external_id: document.external_id.clone(),
            display: document.display.clone(),
            secrets: document.secrets.clone().filter(|secrets| !secrets.is_empty()),
        };
        self.put_row(key, Some(row));
        Ok(())
    }

    fn replace(&mut self, key: &Key, document: &Document, at: Timestamp) -> Result<Option<Facts>> {
        let Some(before) = self.state.rows.get(key) else { return Ok(None) };
        let facts = before.facts;
        let row = Row {
            facts: Facts { version: facts.version + 1, revision: facts.revision + 1, ..facts },
            created: before.created,
            modified: at,
            body: document.body.clone(),
            external_id: document.external_id.clone(),
            display: document.display.clone(),
            secrets: document.secrets.clone().or_else(|| before.secrets.clone()).filter(|secrets| !secrets.is_empty()),
        };
        self.put_row(key, Some(row));
        Ok(Some(facts))
    }

    fn delete(&mut self, key: &Key) -> Result<Option<Facts>> {
        let facts = self.state.rows.get(key).map(|row| row.facts);
        if facts.is_some() {
            self.put_row(key, None);
        }
        Ok(facts)
    }

    fn claim(&mut self, key: &Key, entry: &Entry) -> Result<bool> {
        let unique = (key.tenant, key.kind, entry.clone());
        let is_free = !self.state.unique.contains_key(&unique);
        if is_free {
            self.put_unique(unique, Some(key.id.clone()));
        }
        Ok(is_free)
    }

    fn release(&mut self, key: &Key, entry: &Entry) -> Result<()> {
        let unique = (key.tenant, key.kind, entry.clone());
        if self.state.unique.get(&unique) == Some(&key.id) {
            self.put_unique(unique, None);
        }
        Ok(())
    }

    fn index(&mut self, _: &Key, _: &Entry) -> Result<()> {
        Ok(())
    }

    fn unindex(&mut self, _: &Key, _: &Entry) -> Result<()> {
        Ok(())
    }

    fn join(&mut self, group: &Key, member: &Member) -> Result<bool> {
        let key = (group.tenant, group.id.clone(), member.id.clone());
        let is_new = !self.state.members.contains_key(&key);
        if is_new {
            self.put_member(key, Some(member.clone()));
        }
        Ok(is_new)
    }

    fn leave(&mut self, group: &Key, member: &ResourceId) -> Result<bool> {
        let key = (group.tenant, group.id.clone(), member.clone());
        let was_member = self.state.members.contains_key(&key);
        if was_member {
            self.put_member(key, None);
        }
        Ok(was_member)
    }

    fn members(&mut self, group: &Key) -> Result<Vec<Member>> {
        Ok(self.state.members_of(group).cloned().collect())
    }

    fn disband(&mut self, group: &Key) -> Result<()> {
        for member in self.members(group)? {
            self.put_member((group.tenant, group.id.clone(), member.id), None);
        }
        Ok(())
    }

    fn recount(&mut self, group: &Key, member_count: u64, modified: Option<Timestamp>) -> Result<()> {
        if let Some(mut row) = self.state.rows.get(group).cloned() {
            row.facts.member_count = member_count;
            if let Some(modified) = modified {
                row.facts.version += 1;
                row.modified = modified;
            }
            self.put_row(group, Some(row));
        }
        Ok(())
    }

    fn groups_of(&mut self, tenant: Tenant, member: &ResourceId) -> Result<Vec<ResourceId>> {
        Ok(self.state.parents(tenant, member))
    }

    fn part(&mut self, tenant: Tenant, group: &ResourceId, member: &ResourceId, at: Timestamp) -> Result<Option<Left>> {
        self.put_member((tenant, group.clone(), member.clone()), None);
        let Some(key) = self.state.key_of(tenant, group) else { return Ok(None) };
        let Some(mut row) = self.state.rows.get(&key).cloned() else { return Ok(None) };
        row.facts.version += 1;
        row.facts.member_count = row.facts.member_count.saturating_sub(1);
        row.modified = at;
        let left = Left { group: key.clone(), external_id: row.external_id.clone(), version: row.facts.version };
        self.put_row(&key, Some(row));
        Ok(Some(left))
    }

    fn log(&mut self, event: Event) -> Result<()> {
        let place = Place(self.state.last_place().0 + 1);
        self.state.places.insert(event.id, place);
        self.state.events.push_back(Logged { place, event });
        self.journal.push(Undo::Event);
        Ok(())
    }
}
