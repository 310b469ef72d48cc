//! The unit of commit: what must still hold, what becomes true, and the events that tell of it.

use crate::base::clock::Timestamp;
use crate::base::id::{Key, ResourceId};
use crate::event::template::Template;
use crate::scim::resource::{Member, MemberChange};
use crate::scim::version::Precondition;
use crate::store::index::Entry;
use bytes::Bytes;

/// Everything one request makes true, in one transaction.
///
/// Operations of a bulk request that refer to each other in a circle can only succeed together: they are one unit, whose changes
/// name the [transaction](Change::txn) of each.
#[derive(Clone, Debug)]
pub struct Unit {
    /// When: `meta.lastModified` of what changes, and the time of its events.
    pub at: Timestamp,
    /// The transaction that all its events name (RFC 9967 §2.2 `txn`).
    pub txn: String,
    /// One for each resource it touches; applied in order. Only what a unit creates may be changed by it once more.
    pub changes: Vec<Change>,
}

/// What happens to one resource: the facts it rests on, its effect, and its events.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which resource.
    pub key: Key,
    /// The facts that must hold in the transaction.
    pub guard: Guard,
    /// What becomes of its document.
    pub effect: Effect,
    /// What becomes of its members.
    pub members: MemberChange,
    /// Refuse members that name no resource.
    pub known_members_only: bool,
    /// The events of this change. The store fills in the version and the members that really changed. When it finds that nothing
    /// changed (the effect is [`Effect::Keep`] and the members are so already) it drops them and leaves the version as it is.
    pub events: Vec<Template>,
    /// The transaction that these events name, where it is not the unit's.
    pub txn: Option<String>,
}

/// The facts a change rests on. For anything but [`Effect::Create`] the resource must exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Guard {
    /// The document is still at this revision; otherwise the unit is [stale](crate::store::StoreErrorKind::Stale).
    pub revision: Option<u64>,
    /// The resource, its members included, is still at this version; otherwise the unit is stale.
    pub version: Option<u64>,
    /// What the client demanded in `If-Match`; otherwise [precondition failed](crate::store::StoreErrorKind::PreconditionFailed).
    pub precondition: Option<Precondition>,
}

/// What becomes of a document.
#[derive(Clone, Debug)]
pub enum Effect {
    /// It comes into being at version 1 and revision 1.
    Create(Document),
    /// It is replaced: version and revision go up by one. Guarded by `revision`.
    Replace(Document),
    /// It stays. Members may change, and the version goes up by one if they do.
    Keep,
    /// It ends, with its keys, its secrets and its members. It leaves the groups it is in, which go up by one version in id
    /// order, each with an event of its own ([`crate::event::plan::member_left`]).
    Delete {
        /// The unique keys it held.
        unique: Vec<Entry>,
        /// The index entries it had.
        index: Vec<Entry>,
    },
}

/// A document to be written, with the differences of its keys.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// Compact JSON text.
    pub body: Bytes,
    /// `externalId`, kept beside the document for the subjects of events.
    pub external_id: Option<String>,
    /// `displayName`, kept beside the document for `groups` of the members.
    pub display: Option<String>,
    /// The hashed secrets as compact JSON text; `None` leaves them as they are, an empty text removes them.
    pub secrets: Option<String>,
    /// Unique keys it gains: free, or the unit fails with [uniqueness](crate::store::StoreErrorKind::Uniqueness).
    pub unique_added: Vec<Entry>,
    /// Unique keys it gives up.
    pub unique_removed: Vec<Entry>,
    /// Index entries it gains.
    pub index_added: Vec<Entry>,
    /// Index entries it loses.
    pub index_removed: Vec<Entry>,
    /// When it came into being and changed last, where that was not at the time of the unit: of what is imported. Only
    /// [`Effect::Create`] looks at it.
    pub dates: Option<Dates>,
}

/// The times of a resource that has a history elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dates {
    /// `meta.created`
    pub created: Timestamp,
    /// `meta.lastModified`
    pub modified: Timestamp,
}

impl Document {
    /// The times of the resource that a unit of this time creates.
    pub(crate) fn dates(&self, at: Timestamp) -> Dates {
        self.dates.unwrap_or(Dates { created: at, modified: at })
    }
}

/// What a unit came to. It never names a place in the log: some stores only know it afterwards.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Committed {
    /// One for each change, in their order.
    pub outcomes: Vec<Outcome>,
}

/// What a change came to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The version after the commit.
    pub version: u64,
    /// Whether anything changed.
    pub changed: bool,
    /// The members that joined, with what they really are.
    pub added: Vec<Member>,
    /// The members that left.
    pub removed: Vec<ResourceId>,
    /// How many members there are afterwards.
    pub member_count: u64,
}
