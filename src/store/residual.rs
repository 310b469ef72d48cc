//! What a backend cannot do itself: the whole resource for a filter that no index answers, paging, and the groups above a resource.

use super::{Detail, Membership, Page, Query, Result, Stored};
use crate::base::id::{ResourceId, Tenant};
use crate::base::limits;
use crate::scim::Object;
use crate::scim::filter::Filter;
use crate::scim::resource::Member;
use crate::scim::schema::ResourceType;
use crate::scim::version::etag;
use crate::store::{StoreError, StoreErrorKind};
use serde_json::json;
use std::collections::BTreeMap;

/// A resource as filters see it: its document with `id`, `meta`, and the members and groups that have been loaded. `meta.location`
/// and `$ref` depend on where a request came in and are not there.
pub(crate) fn whole(kind: &ResourceType, stored: &Stored) -> Result<Object> {
    let mut resource: Object = serde_json::from_slice(&stored.body)
        .map_err(|error| StoreError::because(StoreErrorKind::Corrupt, "read a stored document", error))?;
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
    }
    if let Some(groups) = stored.groups.as_deref().filter(|groups| !groups.is_empty()) {
        resource.insert("groups".into(), groups.iter().map(Membership::to_value).collect());
    }
    Ok(resource)
}

/// What must be loaded to evaluate a filter.
pub(crate) fn detail_for(filter: &Filter) -> Detail {
    Detail { members: filter.mentions("members"), groups: filter.mentions("groups"), secrets: false }
}

/// What must be loaded for an answer when some of it has been loaded to evaluate a filter.
pub(crate) fn missing(asked: Detail, loaded: Detail) -> Detail {
    Detail { members: asked.members && !loaded.members, groups: asked.groups && !loaded.groups, secrets: false }
}

/// What a value of `members` or `groups` comes to in an answer, about.
const VALUE_BYTES: usize = 160;

/// Counts matches and keeps those of the page.
#[derive(Debug)]
pub(crate) struct Window {
    offset: u64,
    limit: u64,
    detail: Detail,
    bytes: usize,
    page: Page,
}

impl Window {
    /// The window that a query asks for.
    pub(crate) fn new(query: &Query) -> Self {
        let page = Page { total: 0, resources: Vec::new(), visited: 0 };
        Self { offset: query.offset, limit: query.limit, detail: query.detail, bytes: 0, page }
    }

    /// Counts a match, and says whether the page holds it.
    pub(crate) fn admit(&mut self) -> bool {
        let number = self.page.total;
        self.page.total += 1;
        number >= self.offset && number - self.offset < self.limit && !self.is_full()
    }

    /// Whether what is on the page is as large as a page may be. It then ends early, and the client asks for the next one
    /// (RFC 7644 §3.4.2.4 allows fewer results than asked for).
    pub(crate) fn is_full(&self) -> bool {
        self.bytes >= limits::PAGE_BYTES
    }

    /// Says how many matches there are in all, where that is known without counting.
    pub(crate) fn set_total(&mut self, total: u64) {
        self.page.total = total;
    }

    /// Counts a document that was read.
    pub(crate) fn visit(&mut self) {
        self.page.visited += 1;
    }

    /// Puts a match on the page, without what was only loaded to evaluate it.
    pub(crate) fn push(&mut self, mut stored: Stored) {
        if !self.detail.members {
            stored.members = None;
        }
        if !self.detail.groups {
            stored.groups = None;
        }
        let values = stored.members.as_ref().map_or(0, Vec::len) + stored.groups.as_ref().map_or(0, Vec::len);
        self.bytes += stored.body.len() + values * VALUE_BYTES;
        self.page.resources.push(stored);
    }

    /// The page.
    pub(crate) fn finish(self) -> Page {
        self.page
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
