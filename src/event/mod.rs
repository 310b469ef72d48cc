//! F1: events as pure functions (RFC 9967): their kinds, how a change becomes events, and how an event becomes claims.

pub mod claims;
pub mod plan;
pub mod policy;
pub mod template;

use crate::base::clock::Timestamp;
use crate::base::id::{EventId, Key};
use serde::{Deserialize, Serialize};

/// The kinds of event that are recorded (RFC 9967 §2.3, §2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// §2.4.1
    Create,
    /// §2.4.3
    Put,
    /// §2.4.2
    Patch,
    /// §2.4.4
    Delete,
    /// §2.4.5
    Activate,
    /// §2.4.5
    Deactivate,
}

/// Whether payloads hold data or only name what changed (RFC 9967 §2.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// `attributes`: the names of what changed.
    #[default]
    Notice,
    /// `data`: the values.
    Full,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 6] = [Self::Create, Self::Put, Self::Patch, Self::Delete, Self::Activate, Self::Deactivate];

    /// The stable number by which stores keep a kind.
    pub fn code(self) -> u8 {
        match self {
            Self::Create => 1,
            Self::Put => 2,
            Self::Patch => 3,
            Self::Delete => 4,
            Self::Activate => 5,
            Self::Deactivate => 6,
        }
    }

    /// The kind of a number.
    pub fn of_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// Whether a step of a resource's version has exactly one of this kind (I1).
    pub fn is_state(self) -> bool {
        !matches!(self, Self::Activate | Self::Deactivate)
    }

    /// Whether its payload holds `data` or `attributes`, and its URI ends in `:full` or `:notice` (9967-2.2-03).
    pub fn has_modes(self) -> bool {
        matches!(self, Self::Create | Self::Put | Self::Patch)
    }

    /// The event URI (RFC 9967 §7.3).
    pub fn uri(self, mode: Mode) -> &'static str {
        match (self, mode) {
            (Self::Create, Mode::Notice) => "urn:ietf:params:scim:event:prov:create:notice",
            (Self::Create, Mode::Full) => "urn:ietf:params:scim:event:prov:create:full",
            (Self::Put, Mode::Notice) => "urn:ietf:params:scim:event:prov:put:notice",
            (Self::Put, Mode::Full) => "urn:ietf:params:scim:event:prov:put:full",
            (Self::Patch, Mode::Notice) => "urn:ietf:params:scim:event:prov:patch:notice",
            (Self::Patch, Mode::Full) => "urn:ietf:params:scim:event:prov:patch:full",
            (Self::Delete, _) => "urn:ietf:params:scim:event:prov:delete",
            (Self::Activate, _) => "urn:ietf:params:scim:event:prov:activate",
            (Self::Deactivate, _) => "urn:ietf:params:scim:event:prov:deactivate",
        }
    }
}

/// The recorded fact of a change: immutable, one row of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its identity, the same for every receiver.
    pub id: EventId,
    /// What happened.
    pub kind: Kind,
    /// To which resource.
    pub subject: Key,
    /// The subject's `externalId`, if known.
    pub external_id: Option<String>,
    /// The version that the change led to. For a delete the version that the resource would have had.
    pub version: u64,
    /// The transaction that caused it.
    pub txn: String,
    /// When.
    pub at: Timestamp,
    /// The attribute paths that were added, revised or removed (RFC 9967 §2.2 `attributes`).
    pub attributes: Vec<String>,
    /// JSON text: of a create and a put the final representation without `meta.version` and `meta.location`, of a patch the array
    /// of normalized operations. `None` for other kinds, and where a full event would be too large.
    pub data: Option<String>,
}

impl Event {
    /// What it takes, in bytes, about.
    pub fn bytes(&self) -> usize {
        const FIXED_BYTES: usize = 256;
        let attributes: usize = self.attributes.iter().map(String::len).sum();
        FIXED_BYTES + attributes + self.data.as_ref().map_or(0, String::len)
    }
}
