//! F2: the ports to what holds resources and events, the unit of commit, and the backends behind them.

mod apply;
pub mod backends;
pub mod error;
pub mod index;
pub mod ledger;
mod residual;
pub mod sql;
#[cfg(test)]
pub(crate) mod tests;
pub mod unit;

use crate::base::clock::Timestamp;
use crate::base::id::{Key, Tenant, TypeCode};
use crate::scim::filter::Filter;
use crate::scim::resource::Member;
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;

pub use error::{StoreError, StoreErrorKind};
pub use ledger::{Ledger, Logged, Place};
pub use unit::{Change, Committed, Document, Effect, Guard, Outcome, Unit};

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

/// A search over one resource type, in id order.
#[derive(Clone, Debug)]
pub struct Query {
    /// Whose resources.
    pub tenant: Tenant,
    /// Of which type.
    pub kind: TypeCode,
    /// Which of them; `None` is all.
    pub filter: Option<Filter>,
    /// How many matches to pass over.
    pub offset: u64,
    /// How many matches to return.
    pub limit: u64,
    /// What to load beside each document.
    pub detail: Detail,
}

/// What a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// All matches, whatever the page.
    pub total: u64,
    /// Those of the page.
    pub resources: Vec<Stored>,
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

    /// A search. Fails with [`StoreErrorKind::TooMany`] when a scan takes longer than its limit.
    async fn query(&self, query: &Query) -> Result<Page>;

    /// Makes a unit true together with its events, or nothing of it (I1). It is on disk when this returns (I2).
    ///
    /// Fails with [`StoreErrorKind::Stale`] when a document has changed since the unit was planned: plan again.
    async fn commit(&self, unit: Unit) -> Result<Committed>;

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
}
