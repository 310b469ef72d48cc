//! A stream: one receiver's subscription to feeds, as it is kept.

use crate::base::clock::Timestamp;
use crate::base::id::{EventId, StreamId, Tenant};
use crate::event::policy::AttributePolicy;
use crate::event::{Kind, Mode};
use crate::store::Place;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A stream, as its record keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Its identity; the record's id.
    #[serde(skip, default = "nameless")]
    pub id: StreamId,
    /// The record's revision.
    #[serde(skip)]
    pub revision: u64,
    /// Whose events.
    pub tenant: u32,
    /// The principal whose stream it is: it alone, and administrators, see it.
    pub owner: String,
    /// Who decides what it is.
    pub origin: Origin,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The feeds whose events it holds, at least one.
    pub feeds: Vec<String>,
    /// The event URIs that the receiver asked for; `None` is every one. A kind of which either form is named, `:notice` or `:full`, is
    /// delivered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_requested: Option<Vec<String>>,
    /// The names of the resource types whose events it holds; `None` is every one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_types: Option<Vec<String>>,
    /// Whether events hold data; `None` is as the installation says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The attributes that its events name and hold.
    #[serde(default)]
    pub attributes: AttributePolicy,
    /// `aud`; empty is the installation's, or the URI of the first feed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub audience: Vec<String>,
    /// Signed or not; `None` is as the installation says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// How it is signed; `None` is as the installation says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub algorithm: Option<Algorithm>,
    /// How it is delivered.
    pub method: Method,
    /// Whether it is delivered.
    pub status: Status,
    /// Why not, or what an operator noted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Where it begins: events up to this place are not its own. A replay sets it back.
    pub start: u64,
    /// Which of its lives this is: a replay begins a new one.
    #[serde(default)]
    pub epoch: u64,
    /// What the `jti`s depend on beside stream and event: a replay may ask for fresh ones.
    #[serde(default)]
    pub generation: u32,
    /// A verification event that the receiver has yet to acknowledge (SSF §8.1.4).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification: Option<Verification>,
    /// What it has lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
    /// When it was made.
    pub created: i64,
}

fn nameless() -> StreamId {
    uuid::Uuid::nil().into()
}

/// Who decides what a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The configuration: nobody changes it by request.
    Configuration,
    /// Who made it by request.
    Request,
    /// The implicit stream of one caller and one feed.
    Feed,
}

/// How a stream is delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "snake_case")]
pub enum Method {
    /// RFC 8935: each SET is sent to the receiver.
    Push(Push),
    /// RFC 8936: the receiver fetches them.
    Poll,
}

/// Where SETs are pushed to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Push {
    /// The receiver's URL.
    pub endpoint: String,
    /// The `Authorization` header of every request, sealed (see [`super::seal`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<String>,
    /// How many requests may be under way at a time. Events of one subject never are.
    pub lanes: u8,
}

/// Neither the header nor what a receiver may have hidden in its URL.
impl fmt::Debug for Push {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let endpoint = self.endpoint.split(['?', '#']).next().unwrap_or_default();
        let is_authorized = self.authorization.is_some();
        formatter
            .debug_struct("Push")
            .field("endpoint", &endpoint)
            .field("is_authorized", &is_authorized)
            .field("lanes", &self.lanes)
            .finish()
    }
}

/// SETs, or their claims unsigned for the development of a receiver.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A signed SET in compact serialization (RFC 7515 §3.1).
    #[default]
    Jwt,
    /// The claims as JSON.
    Json,
}

/// How SETs are signed (RFC 7518 §3.1, RFC 8037 §3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Algorithm {
    /// ECDSA with P-256 and SHA-256.
    #[default]
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519.
    #[serde(rename = "EdDSA")]
    EdDsa,
    /// RSA with SHA-256, 2048 bits or more.
    #[serde(rename = "RS256")]
    Rs256,
    /// HMAC with SHA-256 and the configured secret.
    #[serde(rename = "HS256")]
    Hs256,
}

impl Algorithm {
    /// Every algorithm.
    pub const ALL: [Self; 4] = [Self::Es256, Self::EdDsa, Self::Rs256, Self::Hs256];

    /// The name in a JOSE header.
    pub fn name(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
            Self::Rs256 => "RS256",
            Self::Hs256 => "HS256",
        }
    }
}

/// Whether a stream is delivered (SSF §8.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is.
    Enabled,
    /// It is not, and what happens meanwhile is delivered later.
    Paused,
    /// It is not, and nothing is kept for it longer than the log keeps it anyway.
    Disabled,
}

/// A verification event (SSF §8.1.4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// Its event id, from which its `jti` is made.
    pub event: String,
    /// When it was asked for, in milliseconds since the epoch.
    pub at: i64,
    /// What the asker wants to see again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Whether other events wait until it is acknowledged: the endpoint is new.
    #[serde(default)]
    pub holds_others: bool,
}

/// Events that a stream has lost: the log no longer kept them when their turn came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// How many places of the log may have held events of the stream.
    pub places: u64,
    /// When it was found, in milliseconds since the epoch.
    pub at: i64,
}

impl Verification {
    /// Its event id. Records are ours: one that holds no UUID was meddled with, and its event is nobody's.
    pub fn event_id(&self) -> EventId {
        EventId(uuid::Uuid::try_parse(&self.event).unwrap_or_default())
    }
}

impl Stream {
    /// Whose events.
    pub fn tenant(&self) -> Tenant {
        Tenant(self.tenant)
    }

    /// Where it begins.
    pub fn start(&self) -> Place {
        Place(self.start)
    }

    /// When it was made.
    pub fn created(&self) -> Timestamp {
        Timestamp(self.created)
    }

    /// In which form it holds events of this kind; `None` when it does not. In full mode a kind of which only the notice was asked
    /// for is a notice (SSF §8.1.1 `events_delivered`).
    pub fn form(&self, kind: Kind, default: Mode) -> Option<Mode> {
        let mode = self.mode.unwrap_or(default);
        let Some(requested) = &self.events_requested else { return Some(mode) };
        let forms = if mode == Mode::Full && kind.has_modes() { &[Mode::Full, Mode::Notice][..] } else { &[mode] };
        forms.iter().copied().find(|form| requested.iter().any(|uri| uri == kind.uri(*form)))
    }

    /// How it is pushed; `None` when it is polled.
    pub fn push(&self) -> Option<&Push> {
        match &self.method {
            Method::Push(push) => Some(push),
            Method::Poll => None,
        }
    }
}
