//! F2: the ports to what holds resources and events, the unit of commit, and the backends behind them.

mod apply;
pub mod backends;
pub mod error;
mod in_order;
pub mod index;
pub mod ledger;
mod ranking;
mod residual;
pub mod sql;
#[cfg(test)]
pub(crate) mod tests;
pub mod unit;

use crate::base::clock::Timestamp;
use crate::base::id::{Key, ResourceId, Tenant, TypeCode};
use crate::scim::compare::Comparable;
use crate::scim::filter::Filter;
use crate::scim::resource::Member;
use crate::scim::schema::Registry;
use crate::scim::sort::Sort;
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

pub use error::{StoreError, StoreErrorKind};
use in_order::Tried;
pub use ledger::{Ledger, Logged, Place, Reading};
pub use unit::{Change, Committed, Dates, Document, Effect, Guard, Outcome, Unit};

/// The result of every port.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// A resource as a store returns it.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Its key.
    pub key: Key,
    /// Counts every change, those of membership included. Its `ETag` is `"<version>"`.
    pub version: u64,
    /// Counts the changes of the document alone: what a document write is checked against.
    pub revision: u64,
    /// `meta.created`
    pub created: Timestamp,
    /// `meta.lastModified`
    pub modified: Timestamp,
    /// The document as compact JSON text (see [`crate::scim::resource`]): safe to send, it holds no secret.
    pub body: Bytes,
    /// How many members it has; 0 for types without members.
    pub member_count: u64,
    /// Its members in id order, if [`Detail::members`] asked for them.
    pub members: Option<Vec<Member>>,
    /// The groups it is in, if [`Detail::groups`] asked for them.
    pub groups: Option<Vec<Membership>>,
    /// The hashed secrets as compact JSON text, path → hash, if [`Detail::secrets`] asked for them and there are any.
    pub secrets: Option<String>,
}

/// What a value of `members` or `groups` comes to in an answer, about.
const VALUE_BYTES: usize = 160;

impl Stored {
    /// Its size in an answer, about, in bytes.
    pub fn bytes(&self) -> usize {
        let values = self.members.as_ref().map_or(0, Vec::len) + self.groups.as_ref().map_or(0, Vec::len);
        self.body.len() + values * VALUE_BYTES
    }
}

/// A group that a resource belongs to (RFC 7643 §4.1.2 `groups`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The group.
    pub group: Key,
    /// Its `displayName`.
    pub display: Option<String>,
    /// Whether the resource is itself a member, rather than through another group.
    pub direct: bool,
}

impl Membership {
    /// The group as a value of `groups`, without `$ref`, which depends on who reads.
    pub fn to_value(&self) -> Value {
        let mut value = json!({"value": self.group.id.to_string()});
        if let Some(display) = &self.display {
            value["display"] = display.as_str().into();
        }
        value["type"] = if self.direct { "direct" } else { "indirect" }.into();
        value
    }
}

/// What to load beside the document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Detail {
    /// The members.
    pub members: bool,
    /// The groups it is in, direct and nested, cycle-safe.
    pub groups: bool,
    /// The hashed secrets.
    pub secrets: bool,
}

/// A search over one resource type.
#[derive(Clone, Debug)]
pub struct Query {
    /// Whose resources.
    pub tenant: Tenant,
    /// Of which type.
    pub kind: TypeCode,
    /// Which of them; `None` is all.
    pub filter: Option<Filter>,
    /// In which order; `None` is that of ids.
    pub sort: Option<Sort>,
    /// From where on.
    pub start: Start,
    /// How many matches to return.
    pub limit: u64,
    /// What to load beside each document.
    pub detail: Detail,
}

impl Query {
    /// Whether the matches are wanted in the order of ids.
    pub fn is_in_id_order(&self) -> bool {
        self.sort.as_ref().is_none_or(|sort| sort.path.is_none() && !sort.descending)
    }
}

/// Where the page of a search begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Start {
    /// So many matches are passed over, and all of them are counted.
    Offset(u64),
    /// After a place, or from the first match on. Nothing is counted, so that the search may end when the page is full.
    After(Option<Position>),
}

/// A place in the order of a search: after the resource that had this key and this id, whether it is there still or not.
#[derive(Clone, Debug, PartialEq)]
pub struct Position {
    /// The sort key of the resource: its value as [`index::indexed_value`] shortens it. `None` when it has none, and always where the
    /// order is that of ids.
    pub key: Option<Comparable>,
    /// Its id.
    pub id: ResourceId,
}

impl Position {
    /// The order of places: by key, no key last, and by id among equals. Descending is the exact reverse.
    pub fn compare(&self, other: &Self, sort: Option<&Sort>) -> Ordering {
        let by_key = match (&self.key, &other.key) {
            (Some(left), Some(right)) => left.cmp(right),
            (left, right) => left.is_none().cmp(&right.is_none()),
        };
        let ascending = by_key.then_with(|| self.id.cmp(&other.id));
        if sort.is_some_and(|sort| sort.descending) { ascending.reverse() } else { ascending }
    }
}

/// What a search found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// All matches, whatever the page; `None` when they are not counted (see [`Start::After`]).
    pub total: Option<u64>,
    /// Those of the page. Fewer than asked for when they come to [`limits::PAGE_BYTES`](crate::base::limits::PAGE_BYTES) before.
    pub resources: Vec<Stored>,
    /// The sort key of each of them; `None` for all without a sort.
    pub keys: Vec<Option<Comparable>>,
    /// Where the page ended, if there are more matches. `None` too when nothing was asked for.
    pub next: Option<Position>,
    /// How many documents were read to answer: what an index spares.
    pub visited: u64,
}

/// What a store can do. The engine and the behaviour suite choose by these, never by the store's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an independent yes or no that a snapshot pins")]
pub struct Capabilities {
    /// What is acknowledged survives the process.
    pub durable: bool,
    /// A change, its cascade and its events are one transaction.
    pub atomic: bool,
    /// Groups hold members as rows: adding one does not read the others.
    pub member_rows: bool,
    /// Equality on an indexed attribute does not visit other resources.
    pub index_seeks: bool,
    /// Only one process can have it open; a second one is refused.
    pub one_owner: bool,
}

/// What holds resources: all or nothing. The engine sees only this.
///
/// Native stores implement it over one database and one transaction, together with [`Ledger`].
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// What this store can do.
    fn capabilities(&self) -> Capabilities;

    /// One resource; `None` when there is none of this key, another tenant's and another type's included.
    async fn get(&self, key: &Key, detail: Detail) -> Result<Option<Stored>>;

    /// A search. Fails with [`StoreErrorKind::TooMany`] when a scan takes longer than its limit, or a sort that no index gives has to
    /// keep more than [`limits::SORTED_PLACES`](crate::base::limits::SORTED_PLACES) places in mind.
    async fn query(&self, query: &Query) -> Result<Page>;

    /// Makes a unit true together with its events, or nothing of it (I1). It is on disk when this returns (I2).
    ///
    /// Fails with [`StoreErrorKind::Stale`] when a document has changed since the unit was planned: plan again.
    async fn commit(&self, unit: Unit) -> Result<Committed>;

    /// Commits units one after another, each all or nothing by itself. What one makes true the next one finds.
    ///
    /// It ends early, after a unit that is [stale](StoreErrorKind::Stale) or finds the store
    /// [unavailable](StoreErrorKind::Unavailable), and after so many failures. There is a result for each unit that was tried,
    /// in order; of those without one nothing is applied. Everything with a result `Ok` is on disk when this returns (I2).
    ///
    /// A store whose commits cost a sync overrides this to make one of all of them.
    async fn commit_in_order(&self, units: Vec<Unit>, most_failures: Option<usize>) -> Vec<Result<Committed>> {
        let mut tried = Tried::new(most_failures);
        for unit in units {
            if tried.push(self.commit(unit).await).is_break() {
                break;
            }
        }
        tried.into_results()
    }

    /// Whether the store answers now.
    async fn ready(&self) -> Result<()>;
}

/// A store with its ledger, as the composition root hands them on.
#[derive(Clone, Debug)]
pub struct Backend {
    /// What holds resources.
    pub store: Arc<dyn Store>,
    /// What holds events.
    pub ledger: Arc<dyn Ledger>,
    /// The types that were asked for, under the codes by which this store keeps them, and those it kept before.
    pub registry: Arc<Registry>,
}
