//! Units applied in memory to what a database says they rest on, for stores that write what comes of many units at once.
//!
//! What units will look at is known before they are applied ([`Needs`]): the database locks and reads it in a few statements. The rules
//! of [`crate::store::apply`] then run over a [`Draft`] of it, which remembers what changed, and can undo a unit that fails.

mod needs;

use super::catalogue::Catalogue;
use crate::base::clock::Timestamp;
use crate::base::id::{Key, ResourceId, Tenant, TypeCode};
use crate::event::Event;
use crate::scim::compare::Comparable;
use crate::scim::resource::Member;
use crate::store::apply::{Facts, Left, Rows};
use crate::store::index::Entry;
use crate::store::{Document, Result};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

pub(crate) use needs::Needs;
use needs::index_key;

/// A resource by its id alone.
pub(crate) type Named = (Tenant, ResourceId);
/// A tenant, a group, a member.
pub(crate) type Membership = (Tenant, ResourceId, ResourceId);
/// An entry of an index: tenant, type, path, value.
pub(crate) type IndexKey = (Tenant, TypeCode, i64, Comparable);

/// A resource as it is in a draft.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// Its type.
    pub(crate) kind: TypeCode,
    /// Its counters.
    pub(crate) facts: Facts,
    /// `externalId`
    pub(crate) external_id: Option<String>,
    /// The rest of it, once it is written anew.
    pub(crate) written: Option<Written>,
    /// When it changed last in this draft.
    pub(crate) modified: Option<Timestamp>,
}

impl Row {
    /// Whether it came into being in this draft.
    fn is_new(&self) -> bool {
        self.written.as_ref().is_some_and(|written| written.created.is_some())
    }
}

/// What a document write puts down.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Written {
    /// Set when the resource came into being in this draft.
    pub(crate) created: Option<Timestamp>,
    /// `displayName`
    pub(crate) display: Option<String>,
    /// `None` leaves the secrets as they are, an empty text removes them.
    pub(crate) secrets: Option<String>,
    /// The document.
    pub(crate) body: Bytes,
}

/// A map that knows what each change replaced.
#[derive(Debug)]
struct Journalled<K, V> {
    now: BTreeMap<K, V>,
    journal: Vec<(K, Option<V>)>,
}

impl<K, V> Default for Journalled<K, V> {
    fn default() -> Self {
        Self { now: BTreeMap::new(), journal: Vec::new() }
    }
}

impl<K: Ord + Clone, V> Journalled<K, V> {
    fn set(&mut self, key: K, value: V) {
        let before = self.now.insert(key.clone(), value);
        self.journal.push((key, before));
    }

    fn keep(&mut self) {
        self.journal.clear();
    }

    fn undo(&mut self) {
        while let Some((key, before)) = self.journal.pop() {
            match before {
                Some(value) => self.now.insert(key, value),
                None => self.now.remove(&key),
            };
        }
    }
}

/// What the database says, as far as it was needed.
#[derive(Debug, Default)]
pub(crate) struct Read {
    /// The resources that there are.
    pub(crate) resources: Vec<(Named, Row)>,
    /// The groups that ending resources are in: tenant, group, member.
    pub(crate) parents: Vec<Membership>,
    /// Who holds keys that are to be taken or given up.
    pub(crate) claims: Vec<(IndexKey, ResourceId)>,
    /// Members, of whole groups or one by one.
    pub(crate) members: Vec<(Named, Member)>,
}

/// What the database says, and what units have made of it.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    catalogue: &'a Catalogue,
    known: BTreeMap<Named, Row>,
    held: BTreeMap<IndexKey, ResourceId>,
    joined: BTreeMap<Membership, Member>,
    rows: Journalled<Named, Option<Row>>,
    claims: Journalled<IndexKey, Option<ResourceId>>,
    lookups: Journalled<(IndexKey, ResourceId), bool>,
    members: Journalled<Membership, Option<Member>>,
    disbanded: Vec<Named>,
    /// By how much it has changed whether a resource is without a value at a path.
    bared: Vec<(Key, i64, i8)>,
    events: Vec<Event>,
    kept: Kept,
}

/// How long the lists of a draft were when the last unit was kept.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    disbanded: usize,
    bared: usize,
    events: usize,
}

/// What a draft comes to: the differences to be written.
#[derive(Debug, Default)]
pub(crate) struct Differences {
    /// Resources that are new or have changed.
    pub(crate) resources: Vec<(Key, Row)>,
    /// Resources that are no more.
    pub(crate) ended: Vec<Key>,
    /// Unique keys that are given up, and by whom.
    pub(crate) released: Vec<(IndexKey, ResourceId)>,
    /// Unique keys that are taken, and by whom.
    pub(crate) claimed: Vec<(IndexKey, ResourceId)>,
    /// Index entries that are there afterwards.
    pub(crate) indexed: Vec<(IndexKey, ResourceId)>,
    /// Index entries that are not.
    pub(crate) unindexed: Vec<(IndexKey, ResourceId)>,
    /// Groups that lose all members.
    pub(crate) disbanded: Vec<Named>,
    /// Members that are there afterwards: tenant, group, member.
    pub(crate) joined: Vec<(Named, Member)>,
    /// Members that are not.
    pub(crate) left: Vec<Membership>,
    /// Who is without a value at a path afterwards.
    pub(crate) bare: Vec<(Key, i64)>,
    /// Who has one.
    pub(crate) clothed: Vec<(Key, i64)>,
    /// By how much the number of resources changes.
    pub(crate) counted: BTreeMap<(Tenant, TypeCode), i64>,
    /// The events, in order.
    pub(crate) events: Vec<Event>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(catalogue: &'a Catalogue, read: Read) -> Self {
        let mut joined: BTreeMap<Membership, Member> = BTreeMap::new();
        for ((tenant, group), member) in read.members {
            joined.insert((tenant, group, member.id.clone()), member);
        }
        for (tenant, group, member) in read.parents {
            let unnamed = Member { id: member.clone(), kind: None, display: None };
            joined.entry((tenant, group, member)).or_insert(unnamed);
        }
        Self {
            catalogue,
            known: read.resources.into_iter().collect(),
            held: read.claims.into_iter().collect(),
            joined,
            rows: Journalled::default(),
            claims: Journalled::default(),
            lookups: Journalled::default(),
            members: Journalled::default(),
            disbanded: Vec::new(),
            bared: Vec::new(),
            events: Vec::new(),
            kept: Kept::default(),
        }
    }

    /// The unit that was applied last stays.
    pub(crate) fn keep(&mut self) {
        self.rows.keep();
        self.claims.keep();
        self.lookups.keep();
        self.members.keep();
        self.kept = Kept { disbanded: self.disbanded.len(), bared: self.bared.len(), events: self.events.len() };
    }

    /// The unit that was applied last has failed: nothing of it stays.
    pub(crate) fn undo(&mut self) {
        self.rows.undo();
        self.claims.undo();
        self.lookups.undo();
        self.members.undo();
        self.disbanded.truncate(self.kept.disbanded);
        self.bared.truncate(self.kept.bared);
        self.events.truncate(self.kept.events);
    }

    /// What all units that stay have changed.
    pub(crate) fn into_differences(self) -> Differences {
        let mut differences = Differences { disbanded: self.disbanded, events: self.events, ..Differences::default() };
        for ((tenant, id), row) in self.rows.now {
            let before = self.known.get(&(tenant, id.clone()));
            let key = |kind| Key { tenant, kind, id: id.clone() };
            // One that came into being here is another one than the one of its id that was there before, and may be of another type.
            if let Some(before) = before.filter(|_| row.as_ref().is_none_or(Row::is_new)) {
                *differences.counted.entry((tenant, before.kind)).or_default() -= 1;
                differences.ended.push(key(before.kind));
            }
            if let Some(row) = row {
                *differences.counted.entry((tenant, row.kind)).or_default() += i64::from(row.is_new());
                differences.resources.push((key(row.kind), row));
            }
        }
        for (key, holder) in self.claims.now {
            let before = self.held.get(&key);
            if before == holder.as_ref() {
                continue;
            }
            if let Some(before) = before {
                differences.released.push((key.clone(), before.clone()));
            }
            if let Some(holder) = holder {
                differences.claimed.push((key, holder));
            }
        }
        for ((key, id), is_there) in self.lookups.now {
            if is_there { differences.indexed.push((key, id)) } else { differences.unindexed.push((key, id)) }
        }
        let disbanded: BTreeSet<&Named> = differences.disbanded.iter().collect();
        for (place, member) in self.members.now {
            let was_one = self.joined.contains_key(&place);
            let (tenant, group, id) = place;
            let group = (tenant, group);
            // All rows of a disbanded group go, before those are written that its successor has.
            let is_disbanded = disbanded.contains(&group);
            // Who has left and come back may be called something else than before.
            if was_one && !is_disbanded {
                differences.left.push((tenant, group.1.clone(), id));
            }
            if let Some(member) = member {
                differences.joined.push((group, member));
            }
        }
        let mut bared: BTreeMap<(Key, i64), i8> = BTreeMap::new();
        for (key, code, step) in self.bared {
            *bared.entry((key, code)).or_default() += step;
        }
        for (place, step) in bared {
            match step {
                1.. => differences.bare.push(place),
                ..=-1 => differences.clothed.push(place),
                0 => {}
            }
        }
        differences
    }

    fn row(&self, tenant: Tenant, id: &ResourceId) -> Option<&Row> {
        let name = (tenant, id.clone());
        match self.rows.now.get(&name) {
            Some(row) => row.as_ref(),
            None => self.known.get(&name),
        }
    }

    fn row_of(&self, key: &Key) -> Option<&Row> {
        self.row(key.tenant, &key.id).filter(|row| row.kind == key.kind)
    }

    fn set(&mut self, key: &Key, row: Option<Row>) {
        self.rows.set((key.tenant, key.id.clone()), row);
    }

    fn holder(&self, index: &IndexKey) -> Option<&ResourceId> {
        self.claims.now.get(index).map_or_else(|| self.held.get(index), Option::as_ref)
    }

    fn has_member(&self, place: &Membership) -> bool {
        self.members.now.get(place).map_or_else(|| self.joined.contains_key(place), Option::is_some)
    }

    fn bares(&mut self, key: &Key, code: i64, step: i8) {
        if self.catalogue.places(key.kind).contains(&code) {
            self.bared.push((key.clone(), code, step));
        }
    }

    fn looked_up(&mut self, key: &Key, entry: &Entry, is_there: bool) -> Result<()> {
        let index = index_key(self.catalogue, key, entry)?;
        self.bares(key, index.2, if is_there { -1 } else { 1 });
        self.lookups.set((index, key.id.clone()), is_there);
        Ok(())
    }
}

fn smallest() -> ResourceId {
    ResourceId::Text("".into())
}

/// The part of a map that is about one group.
fn of_group<'m, V>(
    map: &'m BTreeMap<Membership, V>,
    tenant: Tenant,
    group: &'m ResourceId,
) -> impl Iterator<Item = (&'m Membership, &'m V)> {
    let first = Bound::Included((tenant, group.clone(), smallest()));
    map.range((first, Bound::Unbounded)).take_while(move |((owner, of, _), _)| *owner == tenant && of == group)
}

impl Rows for Draft<'_> {
    fn kind_of(&mut self, tenant: Tenant, id: &ResourceId) -> Result<Option<TypeCode>> {
        Ok(self.row(tenant, id).map(|row| row.kind))
    }

    fn find(&mut self, key: &Key) -> Result<Option<Facts>> {
        Ok(self.row_of(key).map(|row| row.facts))
    }

    fn insert(&mut self, key: &Key, document: &Document, at: Timestamp) -> Result<()> {
        let dates = document.dates(at);
        let row = Row {
            kind: key.kind,
            facts: Facts { version: 1, revision: 1, member_count: 0 },
            external_id: document.external_id.clone(),
            written: Some(Written {
                created: Some(dates.created),
                display: document.display.clone(),
                secrets: document.secrets.clone(),
                body: document.body.clone(),
            }),
            modified: Some(dates.modified),
        };
        self.set(key, Some(row));
        let codes = self.catalogue.places(key.kind).iter();
        self.bared.extend(codes.map(|code| (key.clone(), *code, 1)));
        Ok(())
    }

    fn replace(&mut self, key: &Key, document: &Document, at: Timestamp) -> Result<Option<Facts>> {
        let Some(before) = self.row_of(key).cloned() else { return Ok(None) };
        let (created, secrets) = before.written.map_or((None, None), |written| (written.created, written.secrets));
        let Facts { version, revision, member_count } = before.facts;
        let row = Row {
            kind: key.kind,
            facts: Facts { version: version + 1, revision: revision + 1, member_count },
            external_id: document.external_id.clone(),
            written: Some(Written {
                created,
                display: document.display.clone(),
                secrets: document.secrets.clone().or(secrets),
                body: document.body.clone(),
            }),
            modified: Some(at),
        };
        self.set(key, Some(row));
        Ok(Some(before.facts))
    }

    fn delete(&mut self, key: &Key) -> Result<Option<Facts>> {
        let Some(before) = self.row_of(key).map(|row| row.facts) else { return Ok(None) };
        self.set(key, None);
        let codes = self.catalogue.places(key.kind).iter();
        self.bared.extend(codes.map(|code| (key.clone(), *code, -1)));
        Ok(Some(before))
    }

    fn claim(&mut self, key: &Key, entry: &Entry) -> Result<bool> {
        let index = index_key(self.catalogue, key, entry)?;
        if self.holder(&index).is_some() {
            return Ok(false);
        }
        self.bares(key, index.2, -1);
        self.claims.set(index, Some(key.id.clone()));
        Ok(true)
    }

    fn release(&mut self, key: &Key, entry: &Entry) -> Result<()> {
        let index = index_key(self.catalogue, key, entry)?;
        self.bares(key, index.2, 1);
        if self.holder(&index) == Some(&key.id) {
            self.claims.set(index, None);
        }
        Ok(())
    }

    fn index(&mut self, key: &Key, entry: &Entry) -> Result<()> {
        self.looked_up(key, entry, true)
    }

    fn unindex(&mut self, key: &Key, entry: &Entry) -> Result<()> {
        self.looked_up(key, entry, false)
    }

    fn join(&mut self, group: &Key, member: &Member) -> Result<bool> {
        let place = (group.tenant, group.id.clone(), member.id.clone());
        if self.has_member(&place) {
            return Ok(false);
        }
        self.members.set(place, Some(member.clone()));
        Ok(true)
    }

    fn leave(&mut self, group: &Key, member: &ResourceId) -> Result<bool> {
        let place = (group.tenant, group.id.clone(), member.clone());
        let was_one = self.has_member(&place);
        if was_one {
            self.members.set(place, None);
        }
        Ok(was_one)
    }

    fn members(&mut self, group: &Key) -> Result<Vec<Member>> {
        let mut members: BTreeMap<&ResourceId, &Member> =
            of_group(&self.joined, group.tenant, &group.id).map(|((.., id), member)| (id, member)).collect();
        for ((.., id), member) in of_group(&self.members.now, group.tenant, &group.id) {
            match member {
                Some(member) => members.insert(id, member),
                None => members.remove(id),
            };
        }
        Ok(members.into_values().cloned().collect())
    }

    fn disband(&mut self, group: &Key) -> Result<()> {
        // Each that is known loses its place, lest it be found in a group that comes to have this id.
        let known = of_group(&self.joined, group.tenant, &group.id).map(|(place, _)| place);
        let moved = of_group(&self.members.now, group.tenant, &group.id).map(|(place, _)| place);
        let places: BTreeSet<Membership> = known.chain(moved).cloned().collect();
        for place in places {
            self.members.set(place, None);
        }
        self.disbanded.push((group.tenant, group.id.clone()));
        Ok(())
    }

    fn recount(&mut self, group: &Key, member_count: u64, modified: Option<Timestamp>) -> Result<()> {
        let Some(before) = self.row_of(group).cloned() else { return Ok(()) };
        let version = before.facts.version + u64::from(modified.is_some());
        let row = Row { facts: Facts { version, member_count, ..before.facts }, modified: modified.or(before.modified), ..before };
        self.set(group, Some(row));
        Ok(())
    }

    fn groups_of(&mut self, tenant: Tenant, member: &ResourceId) -> Result<Vec<ResourceId>> {
        let is_of = |(owner, _, id): &&Membership| *owner == tenant && id == member;
        let mut groups: BTreeSet<&ResourceId> = self.joined.keys().filter(is_of).map(|(_, group, _)| group).collect();
        for (place, joined) in self.members.now.iter().filter(|(place, _)| is_of(place)) {
            if joined.is_some() {
                groups.insert(&place.1)
            } else {
                groups.remove(&place.1)
            };
        }
        Ok(groups.into_iter().cloned().collect())
    }

    fn part(&mut self, tenant: Tenant, group: &ResourceId, member: &ResourceId, at: Timestamp) -> Result<Option<Left>> {
        self.members.set((tenant, group.clone(), member.clone()), None);
        let Some(before) = self.row(tenant, group).cloned() else { return Ok(None) };
        let Facts { version, revision, member_count } = before.facts;
        let facts = Facts { version: version + 1, revision, member_count: member_count.saturating_sub(1) };
        let key = Key { tenant, kind: before.kind, id: group.clone() };
        let external_id = before.external_id.clone();
        self.set(&key, Some(Row { facts, modified: Some(at), ..before }));
        Ok(Some(Left { group: key, external_id, version: facts.version }))
    }

    fn log(&mut self, event: Event) -> Result<()> {
        self.events.push(event);
        Ok(())
    }
}
