//! GET of one resource and of lists (RFC 7644 §3.4.1, §3.4.2).

use super::{Engine, failure, failure_of};
use crate::auth::Caller;
use crate::scim::error::{Error, Result};
use crate::scim::filter;
use crate::scim::schema::ResourceType;
use crate::store::{Detail, Query, Stored};
use std::sync::Arc;

/// What a list or a search asks for.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// The filter as written.
    pub filter: Option<String>,
    /// 1-based index of the first result (RFC 7644 §3.4.2.4); less than 1 is 1.
    pub start_index: Option<i64>,
    /// Most results; less than 0 is 0, over the page size is the page size.
    pub count: Option<i64>,
    /// What to load beside each document.
    pub detail: Detail,
}

/// What a list or a search found.
#[derive(Clone, Debug)]
pub struct Listing {
    /// All matches.
    pub total: u64,
    /// 1-based index of the first result.
    pub start_index: u64,
    /// The results of the page.
    pub resources: Vec<Stored>,
}

impl Engine {
    /// One resource.
    pub async fn get(&self, caller: &Caller, kind: &Arc<ResourceType>, id: &str, detail: Detail) -> Result<Stored> {
        let key = Self::key(caller, kind, id)?;
        let found = self.store.get(&key, detail).await.map_err(|error| failure_of(&error, &key.id))?;
        found.ok_or_else(|| Error::resource_not_found(&key.id))
    }

    /// A list, in id order.
    pub async fn query(&self, caller: &Caller, kind: &Arc<ResourceType>, search: &Search) -> Result<Listing> {
        let filter = match &search.filter {
            None => None,
            Some(text) => Some(filter::resolve(kind, &filter::parse(text)?)?),
        };
        let start_index = u64::try_from(search.start_index.unwrap_or(1)).unwrap_or(0).max(1);
        let count = search.count.map_or(self.limits.page_size, |count| u64::try_from(count).unwrap_or(0));
        let query = Query {
            tenant: caller.tenant,
            kind: kind.code,
            filter,
            offset: start_index - 1,
            limit: count.min(self.limits.page_size),
            detail: search.detail,
        };
        let page = self.store.query(&query).await.map_err(|error| failure(&error))?;
        Ok(Listing { total: page.total, start_index, resources: page.resources })
    }
}
