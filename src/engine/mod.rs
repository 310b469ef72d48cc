//! F4: the use cases. Each plans purely, as a whole, and commits once.

mod bulk;
mod create;
mod cursor;
mod delete;
mod export;
mod gather;
pub mod import;
mod locks;
mod me;
mod modify;
mod plan;
mod query;
mod replace;
mod represent;
mod secrets;
#[cfg(test)]
mod tests;
mod write;

use crate::auth::Caller;
use crate::base::clock::Clock;
use crate::base::id::{Ids, Key, ResourceId, TypeCode};
use crate::base::limits::{self, Limits};
use crate::base::secret::Entropy;
use crate::event::Mode;
use crate::scim::error::{Error, Result};
use crate::scim::quirks::Quirks;
use crate::scim::schema::{Registry, ResourceType};
use crate::store::index::Indexes;
use crate::store::{Backend, Detail, Ledger, Store, StoreError, StoreErrorKind};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::OnceCell;

pub use bulk::{Performed, Processed};
pub use export::{Extent, SECRETS};
pub use modify::Modified;
pub use query::{Listing, Search, Target};
pub use represent::Representation;

/// What an engine is made of.
#[derive(Debug)]
pub struct Parts {
    /// What holds resources and events, and says which schemas and resource types are served.
    pub backend: Backend,
    /// The source of time.
    pub clock: Arc<dyn Clock>,
    /// The source of identifiers.
    pub ids: Arc<dyn Ids>,
    /// The source of salts and keys.
    pub entropy: Arc<dyn Entropy>,
    /// The limits in force.
    pub limits: Limits,
    /// What the operator decided.
    pub switches: Switches,
}

/// What the operator decided where the RFCs leave it open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// Refuse members that name no resource.
    pub known_members_only: bool,
    /// What is read beside the protocol's own requests.
    pub quirks: Quirks,
    /// Whether events hold data.
    pub event_mode: Mode,
    /// `iss` of events; the public base URL when it is not set.
    pub issuer: Option<String>,
    /// `aud` of events; the feed's URI when it is not set.
    pub audience: Option<String>,
}

/// The use cases over one store.
#[derive(Debug)]
pub struct Engine {
    store: Arc<dyn Store>,
    ledger: Arc<dyn Ledger>,
    registry: Arc<Registry>,
    indexes: HashMap<TypeCode, Indexes>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    entropy: Arc<dyn Entropy>,
    limits: Limits,
    switches: Switches,
    locks: locks::Locks,
    hasher: secrets::Hasher,
    cursor_key: OnceCell<[u8; 32]>,
}

/// What an answer to a write shows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Answer {
    /// What to load for it.
    pub detail: Detail,
    /// Whether the client asked for attributes: then even a large group is answered.
    pub asked: bool,
}

impl Answer {
    /// What of an answer can be read before the write: a write moves no resource between groups but those that it names as members.
    fn groups(self) -> Detail {
        Detail { groups: self.detail.groups, ..Detail::default() }
    }
}

impl Engine {
    /// An engine over a store.
    pub fn new(parts: Parts) -> Self {
        let registry = parts.backend.registry;
        let indexes = registry.types().iter().map(|kind| (kind.code, Indexes::of(kind))).collect();
        Self {
            store: parts.backend.store,
            ledger: parts.backend.ledger,
            registry,
            indexes,
            clock: parts.clock,
            ids: parts.ids,
            hasher: secrets::Hasher::new(Arc::clone(&parts.entropy)),
            entropy: parts.entropy,
            limits: parts.limits,
            switches: parts.switches,
            locks: locks::Locks::default(),
            cursor_key: OnceCell::new(),
        }
    }

    /// The schemas and resource types that are served.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The source of identifiers.
    pub fn ids(&self) -> &dyn Ids {
        &*self.ids
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What the operator decided.
    pub fn switches(&self) -> &Switches {
        &self.switches
    }

    /// Whether what is acknowledged survives the process.
    pub fn is_durable(&self) -> bool {
        self.store.capabilities().durable
    }

    /// Whether the store answers now.
    pub async fn ready(&self) -> Result<()> {
        self.store.ready().await.map_err(|error| failure(&error))
    }

    /// The key of an id in a request. One that is too long names nothing.
    fn key(caller: &Caller, kind: &ResourceType, id: &str) -> Result<Key> {
        if id.len() > limits::RESOURCE_ID_BYTES {
            return Err(Error::resource_not_found(crate::scim::path::shorten(id)));
        }
        Ok(Key { tenant: caller.tenant, kind: kind.code, id: ResourceId::parse(id) })
    }

    /// A key of the installation, by its name: made once, and the same after a restart.
    async fn kept_key<'a>(&self, name: &'static str, known: &'a OnceCell<[u8; 32]>) -> Result<&'a [u8; 32]> {
        let kept = known.get_or_try_init(|| {
            let mut fresh = [0; 32];
            self.entropy.fill(&mut fresh);
            self.ledger.secret(name, fresh)
        });
        kept.await.map_err(|error| failure(&error))
    }

    /// The transaction name of a request's events.
    fn txn(&self) -> String {
        self.ids.next().to_string()
    }
}

/// What a client is told of a store's failure.
fn failure(error: &StoreError) -> Error {
    error.answer()
}

/// Like [`failure`], naming the resource when it is not there.
fn failure_of(error: &StoreError, id: &ResourceId) -> Error {
    match error.kind {
        StoreErrorKind::NotFound => Error::resource_not_found(id),
        _ => failure(error),
    }
}
