//! What a backend cannot do itself: the whole resource for a filter that no index answers, paging, and the groups above a resource.

use super::index::indexed_value;
use super::{Detail, Membership, Page, Position, Query, Result, Start, Stored};
use crate::base::id::{ResourceId, Tenant};
use crate::base::limits;
use crate::scim::Object;
use crate::scim::compare::Comparable;
use crate::scim::filter::Filter;
use crate::scim::path::AttributePath;
use crate::scim::resource::Member;
use crate::scim::schema::ResourceType;
use crate::scim::sort;
use crate::scim::version::etag;
use crate::store::{StoreError, StoreErrorKind};
use serde_json::json;
use std::collections::BTreeMap;

/// A resource as filters see it: its document with `id`, `meta`, and the members and groups that have been loaded. `meta.location`
/// and `$ref` depend on where a request came in and are not there.
fn whole(kind: &ResourceType, stored: &Stored) -> Result<Object> {
    let document = serde_json::from_slice(&stored.body)
        .map_err(|error| StoreError::because(StoreErrorKind::Corrupt, "read a stored document", error))?;
    Ok(described(kind, stored, document))
}

/// A document with what the store keeps beside it.
fn described(kind: &ResourceType, stored: &Stored, mut resource: Object) -> Object {
    resource.insert("id".into(), stored.key.id.to_string().into());
    let meta = json!({
        "resourceType": kind.name,
        "created": stored.created.to_string(),
        "lastModified": stored.modified.to_string(),
        "version": etag(stored.version),
    });
    resource.insert("meta".into(), meta);
    if let Some(members) = stored.members.as_deref().filter(|members| !members.is_empty()) {
        resource.insert("members".into(), members.iter().map(Member::to_value).collect());
    } else if stored.members.is_none() && stored.member_count > 0 {
        // That there are members is all that is looked at when they were not loaded.
        resource.insert("members".into(), json!([{"value": "?"}]));
    }
    if let Some(groups) = stored.groups.as_deref().filter(|groups| !groups.is_empty()) {
        resource.insert("groups".into(), groups.iter().map(Membership::to_value).collect());
    }
    resource
}

/// What must be loaded to decide whether a resource matches, and where it stands.
pub(crate) fn detail_for(query: &Query) -> Detail {
    let filter = query.filter.as_ref();
    let sorts_by = |name| query.sort.as_ref().and_then(|sort| sort.path.as_ref()).is_some_and(|path| path.is_core(name));
    Detail {
        members: sorts_by("members") || filter.is_some_and(|filter| filter.looks_into("members")),
        groups: sorts_by("groups") || filter.is_some_and(|filter| filter.mentions("groups")),
        secrets: false,
    }
}

/// What must be loaded for an answer when some of it has been loaded to evaluate a filter.
pub(crate) fn missing(asked: Detail, loaded: Detail) -> Detail {
    Detail { members: asked.members && !loaded.members, groups: asked.groups && !loaded.groups, secrets: false }
}

/// What decides whether a resource matches, and where it stands.
#[derive(Debug)]
pub(crate) struct Judge<'a> {
    kind: &'a ResourceType,
    filter: Option<&'a Filter>,
    /// Those of the terms that must all hold which can be decided without reading the document.
    cheap: Vec<&'a Filter>,
    path: Option<&'a AttributePath>,
    needs_document: bool,
}

impl<'a> Judge<'a> {
    /// For a query over this type. With `is_matching` every resource that it is shown matches.
    pub(crate) fn new(kind: &'a ResourceType, query: &'a Query, is_matching: bool) -> Self {
        let is_of_document = |path: &AttributePath| !path.is_core("meta") && !path.is_core("id");
        let filter = query.filter.as_ref().filter(|_| !is_matching);
        let path = query.sort.as_ref().and_then(|sort| sort.path.as_ref());
        let needs_document = filter.is_some_and(|filter| filter.any_path(&is_of_document)) || path.is_some_and(is_of_document);
        let cheap = match filter {
            Some(Filter::And(operands)) if needs_document => {
                operands.iter().filter(|operand| !operand.any_path(&is_of_document)).collect()
            }
            _ => Vec::new(),
        };
        Self { kind, filter, cheap, path, needs_document }
    }

    /// The sort key of a resource, if it matches.
    pub(crate) fn key(&self, stored: &Stored) -> Result<Option<SortKey>> {
        if self.filter.is_none() && self.path.is_none() {
            return Ok(Some(SortKey(None)));
        }
        // What is asked of every resource of a type is often no more than when it was changed last.
        let described = || described(self.kind, stored, Object::new());
        if !self.cheap.is_empty() {
            let resource = described();
            if !self.cheap.iter().all(|operand| operand.matches(&resource)) {
                return Ok(None);
            }
        }
        let resource = if self.needs_document { whole(self.kind, stored)? } else { described() };
        if self.filter.is_some_and(|filter| !filter.matches(&resource)) {
            return Ok(None);
        }
        let key = self.path.and_then(|path| Comparable::of(path.leaf(), sort::value(&resource, path)?).map(indexed_value));
        Ok(Some(SortKey(key)))
    }
}

/// The sort key of a match.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SortKey(pub(crate) Option<Comparable>);

/// What becomes of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It is on the page.
    Taken,
    /// It only counts.
    Passed,
    /// The page is full, there is more, and nothing is to be counted: the search ends.
    Ends,
}

/// Counts matches, which come in order, and keeps those of the page.
#[derive(Debug)]
pub(crate) struct Window {
    offset: u64,
    limit: u64,
    is_counted: bool,
    detail: Detail,
    bytes: usize,
    matched: u64,
    taken: u64,
    has_more: bool,
    page: Page,
}

impl Window {
    /// The window that a query asks for.
    pub(crate) fn new(query: &Query) -> Self {
        let offset = match query.start {
            Start::Offset(offset) => Some(offset),
            Start::After(_) => None,
        };
        Self {
            offset: offset.unwrap_or(0),
            limit: query.limit,
            is_counted: offset.is_some(),
            detail: query.detail,
            bytes: 0,
            matched: 0,
            taken: 0,
            has_more: false,
            page: Page::default(),
        }
    }

    /// The window over the places of a page, where those before it have been passed over.
    pub(crate) fn of_places(query: &Query) -> Self {
        Self { offset: 0, ..Self::new(query) }
    }

    /// How many more matches are passed over before the page.
    pub(crate) fn passes(&self) -> u64 {
        self.offset.saturating_sub(self.matched)
    }

    /// How many more matches the page may hold.
    pub(crate) fn room(&self) -> u64 {
        if self.is_full() { 0 } else { self.limit - self.taken }
    }

    /// Counts a match, and says whether the page holds it.
    pub(crate) fn admit(&mut self) -> Admission {
        self.matched += 1;
        if self.matched <= self.offset {
            return Admission::Passed;
        }
        if self.taken < self.limit && !self.is_full() {
            self.taken += 1;
            return Admission::Taken;
        }
        self.has_more = true;
        if self.is_counted { Admission::Passed } else { Admission::Ends }
    }

    /// Whether what is on the page is as large as a page may be. It then ends early, and the client asks for the next one
    /// (RFC 7644 §3.4.2.4 allows fewer results than asked for).
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= limits::PAGE_BYTES
    }

    /// Counts a document that was read.
    pub(crate) fn visit(&mut self) {
        self.page.visited += 1;
    }

    /// Puts a match on the page, without what was only loaded to evaluate it.
    pub(crate) fn push(&mut self, mut stored: Stored, key: Option<Comparable>) {
        if !self.detail.members {
            stored.members = None;
        }
        if !self.detail.groups {
            stored.groups = None;
        }
        self.bytes += stored.bytes();
        self.page.resources.push(stored);
        self.page.keys.push(key);
    }

    /// The page, when every match has been admitted that there is, or the search has ended.
    pub(crate) fn finish(self) -> Page {
        let total = self.matched;
        self.finish_with(total)
    }

    /// The page, where the total is known without counting.
    pub(crate) fn finish_with(self, total: u64) -> Page {
        let mut page = self.page;
        page.total = self.is_counted.then_some(total);
        let last = page.resources.last().zip(page.keys.last()).filter(|_| self.has_more);
        page.next = last.map(|(stored, key)| Position { key: key.clone(), id: stored.key.id.clone() });
        page
    }
}

/// The groups above a resource, in id order: level by level, each once, so that a cycle ends. Costs one call of `parents` for a
/// resource that is in no group, and one more for each group found; a recursive statement could bound neither the levels nor
/// the work in a cycle so exactly.
pub(crate) fn groups_above(
    tenant: Tenant,
    id: &ResourceId,
    mut parents: impl FnMut(Tenant, &ResourceId) -> Result<Vec<ResourceId>>,
    mut describe: impl FnMut(Tenant, &ResourceId, bool) -> Result<Option<Membership>>,
) -> Result<Vec<Membership>> {
    let mut level = parents(tenant, id)?;
    let mut found: BTreeMap<ResourceId, bool> = BTreeMap::new();
    let mut depth = 1;
    while !level.is_empty() {
        let mut fresh = Vec::new();
        for group in level {
            if found.len() >= limits::GROUPS_PER_RESOURCE {
                break;
            }
            if group != *id && !found.contains_key(&group) {
                found.insert(group.clone(), depth == 1);
                fresh.push(group);
            }
        }
        depth += 1;
        level = Vec::new();
        if depth <= limits::GROUP_DEPTH && found.len() < limits::GROUPS_PER_RESOURCE {
            for group in &fresh {
                level.extend(parents(tenant, group)?);
            }
        }
    }
    let described = found.into_iter().filter_map(|(group, direct)| describe(tenant, &group, direct).transpose());
    described.collect()
}
