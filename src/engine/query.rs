//! GET of one resource, and searches: lists, `.search` and the root query (RFC 7644 §3.4.1 to §3.4.3, RFC 9865).

use super::cursor::{Binding, Sealer, Walk};
use super::gather::{Found, From, Gathering, Part};
use super::{Engine, failure, failure_of};
use crate::auth::Caller;
use crate::base::id::TypeCode;
use crate::scim::error::{Error, ErrorKind, Result};
use crate::scim::filter::{self, Filter};
use crate::scim::message::Paging;
use crate::scim::path;
use crate::scim::quirks::{self, Quirks};
use crate::scim::schema::ResourceType;
use crate::scim::search::SearchRequest;
use crate::scim::sort::{self, Sort};
use crate::store::{Detail, StoreError, StoreErrorKind, Stored};
use std::borrow::Cow;
use std::sync::Arc;

/// A resource type that is searched, and what to load beside each document.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The type.
    pub kind: &'a Arc<ResourceType>,
    /// What to load.
    pub detail: Detail,
}

/// Where and what a client searches.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// The endpoint, below the base: a cursor is good for no other.
    pub endpoint: &'a str,
    /// The types that it covers, in their order.
    pub targets: &'a [Target<'a>],
    /// What is asked for.
    pub request: &'a SearchRequest,
}

/// What a search found.
#[derive(Clone, Debug)]
pub struct Listing {
    /// All matches.
    pub total: u64,
    /// Where the page is among them.
    pub paging: Paging,
    /// The results of the page.
    pub resources: Vec<Stored>,
}

/// How far a walk has come.
enum Progress {
    First,
    Later(Walk),
}

impl Engine {
    /// One resource.
    pub async fn get(&self, caller: &Caller, kind: &Arc<ResourceType>, id: &str, detail: Detail) -> Result<Stored> {
        let key = Self::key(caller, kind, id)?;
        let found = self.store.get(&key, detail).await.map_err(|error| failure_of(&error, &key.id))?;
        found.ok_or_else(|| Error::resource_not_found(&key.id))
    }

    /// A search. Without `sortBy` the results are in the order of types, and of ids within each.
    ///
    /// An attribute that only some of several types define has no value in the others (7644-3.4.2.1-03).
    pub async fn search(&self, caller: &Caller, search: Search<'_>) -> Result<Listing> {
        let parts = parts(search, self.switches.quirks)?;
        match &search.request.cursor {
            None => self.indexed(caller, search.request, &parts).await,
            Some(_) if search.request.start_index.is_some() => {
                Err(Error::invalid_value("cursor and startIndex exclude each other."))
            }
            Some(cursor) => self.walked(caller, search, &parts, cursor).await,
        }
    }

    /// A page by its index (RFC 7644 §3.4.2.4).
    async fn indexed(&self, caller: &Caller, request: &SearchRequest, parts: &[Part]) -> Result<Listing> {
        let start_index = u64::try_from(request.start_index.unwrap_or(1)).unwrap_or(0).max(1);
        let limit = self.count(request).min(self.limits.page_size);
        let found = self.gather(caller, parts, From::Offset(start_index - 1), limit).await?;
        Ok(Listing { total: found.total, paging: Paging::Index(start_index), resources: found.resources })
    }

    /// A page of a walk (RFC 9865 §2). Nothing is known of a walk but what its cursor says.
    async fn walked(&self, caller: &Caller, search: Search<'_>, parts: &[Part], cursor: &str) -> Result<Listing> {
        let (sealer, count) = (self.sealer().await?, self.count(search.request));
        if count > self.limits.page_size {
            let detail = format!("count must be from 0 to {} in a walk by cursor.", self.limits.page_size);
            return Err(Error::new(ErrorKind::InvalidCount, detail));
        }
        let kinds: Vec<TypeCode> = search.targets.iter().map(|target| target.kind.code).collect();
        let binding = Binding::new(caller, search.endpoint, &kinds, search.request);
        let progress = self.progress(&sealer, &binding, cursor, count)?;
        let (from, known) = match progress {
            Progress::First => (From::Offset(0), None),
            Progress::Later(walk) => (From::After(walk.kind, walk.position), Some(walk.total)),
        };
        let Found { total, resources, next } = self.gather(caller, parts, from, count).await?;
        let total = known.unwrap_or(total);
        let seal = |(kind, position)| {
            let walk = Walk { total, count, at: self.clock.now(), kind, position };
            sealer.seal(walk, &binding, self.entropy.as_ref())
        };
        Ok(Listing { total, paging: Paging::Cursor(next.map(seal).transpose()?), resources })
    }

    fn progress(&self, sealer: &Sealer, binding: &Binding, cursor: &str, count: u64) -> Result<Progress> {
        if cursor.is_empty() {
            return Ok(Progress::First);
        }
        let walk = sealer.open(cursor, binding)?;
        self.check_walk(&walk, count)?;
        Ok(Progress::Later(walk))
    }

    /// How many results are asked for; less than 0 is 0 (7644-3.4.2.4-02, 9865-2-02).
    fn count(&self, request: &SearchRequest) -> u64 {
        request.count.map_or(self.limits.page_size, |count| u64::try_from(count).unwrap_or(0))
    }

    /// Over several types a search takes no longer than a scan of one may (7644-3.4.2.1-02).
    async fn gather(&self, caller: &Caller, parts: &[Part], from: From, limit: u64) -> Result<Found> {
        let gathering = Gathering { store: self.store.as_ref(), tenant: caller.tenant, parts, from, limit };
        let found = if parts.len() > 1 {
            let too_many = |_| StoreError::new(StoreErrorKind::TooMany, "search several types");
            tokio::time::timeout(self.limits.scan_time(), gathering.run()).await.map_err(too_many).flatten()
        } else {
            gathering.run().await
        };
        found.map_err(|error| failure(&error))
    }
}

/// What is asked of each type; a type in which nothing can match is left out.
fn parts(search: Search<'_>, quirks: Quirks) -> Result<Vec<Part>> {
    let kinds: Vec<&Arc<ResourceType>> = search.targets.iter().map(|target| target.kind).collect();
    let filters = match &search.request.filter {
        None => vec![None; kinds.len()],
        Some(text) => {
            // A type rewrites what it knows and leaves the rest to the others.
            let meant = kinds.iter().fold(Cow::Borrowed(text.as_str()), |text, kind| match quirks::filter(kind, &text, quirks) {
                Cow::Owned(meant) => Cow::Owned(meant),
                Cow::Borrowed(_) => text,
            });
            filter::resolve_among(&kinds, &filter::parse(&meant)?)?.into_iter().map(Some).collect()
        }
    };
    let sorts = sorts(&kinds, search.request)?;
    let part = |((target, filter), sort): ((&Target<'_>, Option<Filter>), Option<Sort>)| {
        let filter = filter.map(|filter| filter.within(target.kind)).filter(|filter| !filter.always_holds());
        let is_empty = filter.as_ref().is_some_and(Filter::never_holds);
        (!is_empty).then_some(Part { kind: target.kind.code, filter, sort, detail: target.detail })
    };
    Ok(search.targets.iter().zip(filters).zip(sorts).filter_map(part).collect())
}

/// The order within each type. One that lacks the attribute has no value of it; if all do the name is wrong.
fn sorts(kinds: &[&Arc<ResourceType>], request: &SearchRequest) -> Result<Vec<Option<Sort>>> {
    let descending = sort::is_descending(request.sort_order.as_deref())?;
    let Some(text) = request.sort_by.as_deref() else { return Ok(vec![None; kinds.len()]) };
    let resolved: Vec<Result<_>> = kinds.iter().map(|kind| sort::resolve(kind, text)).collect();
    if resolved.iter().all(Result::is_err) {
        // What is wrong in a type that has the attribute says more than that another one has it not.
        let has = |(kind, _): &(&&Arc<ResourceType>, _)| path::resolve_target(kind, text).is_ok();
        let known = kinds.iter().zip(resolved.clone()).find(has).map(|(_, refusal)| refusal);
        if let Some(refusal) = known.or_else(|| resolved.first().cloned()) {
            refusal?;
        }
    }
    Ok(resolved.into_iter().map(|path| Some(Sort { path: path.ok().flatten(), descending })).collect())
}
