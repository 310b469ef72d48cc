//! One event of the log, read from its claims.

use super::{Kind, Operation};
use serde_json::Value;

/// The kinds of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A resource came into being.
    Create,
    /// It was replaced.
    Put,
    /// It was changed.
    Patch,
    /// It ended.
    Delete,
    /// It became active.
    Activate,
    /// It became inactive.
    Deactivate,
}

impl EventKind {
    fn of_uri(uri: &str) -> Option<Self> {
        Some(match uri.strip_prefix("urn:ietf:params:scim:event:prov:")? {
            "create:full" | "create:notice" => Self::Create,
            "put:full" | "put:notice" => Self::Put,
            "patch:full" | "patch:notice" => Self::Patch,
            "delete" => Self::Delete,
            "activate" => Self::Activate,
            "deactivate" => Self::Deactivate,
            _ => return None,
        })
    }

    /// Whether it is a step of the resource's version.
    pub fn is_state(self) -> bool {
        self.activates().is_none()
    }

    /// Whether an activate or deactivate can come with it.
    pub fn can_activate(self) -> bool {
        matches!(self, Self::Put | Self::Patch)
    }

    /// Whether it says that the resource became active, or inactive.
    pub fn activates(self) -> Option<bool> {
        match self {
            Self::Activate => Some(true),
            Self::Deactivate => Some(false),
            _ => None,
        }
    }
}

/// One event.
#[derive(Clone, Debug)]
pub struct Record {
    /// Where it stands in the log, from 0.
    pub place: usize,
    /// Its identity.
    pub jti: String,
    /// Its transaction.
    pub txn: String,
    /// `/Users/<id>`
    pub subject: String,
    /// Its kind.
    pub kind: EventKind,
    /// The version it led to; `None` for a delete, and for activate and deactivate.
    pub version: Option<u64>,
    /// Its payload.
    pub payload: Value,
    text: String,
}

impl Record {
    /// Reads the claims of a SET.
    pub fn read(place: usize, claims: &Value) -> Result<Self, &'static str> {
        let text = |name: &'static str| claims[name].as_str().map(str::to_owned).ok_or(name);
        let events = claims["events"].as_object().filter(|events| events.len() == 1).ok_or("not one event")?;
        let (uri, payload) = events.iter().next().ok_or("not one event")?;
        let kind = EventKind::of_uri(uri).ok_or("an event of an unknown kind")?;
        if claims["sub_id"]["format"] != "scim"
            || !claims["iat"].is_u64()
            || !claims["aud"].is_array()
            || !claims["iss"].is_string()
        {
            return Err("a claim is missing");
        }
        let has_payload = matches!(kind, EventKind::Create | EventKind::Put | EventKind::Patch);
        let version = payload["version"].as_str().and_then(|tag| tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok());
        if has_payload && (version.is_none() || payload.get("data").is_some() == payload.get("attributes").is_some()) {
            return Err("a payload without a version, or not with one of data and attributes");
        }
        if has_payload && (payload.get("data").is_some() != uri.ends_with(":full")) {
            return Err("the payload is not of the event's mode");
        }
        if !has_payload && *payload != Value::Object(serde_json::Map::new()) {
            return Err("a payload that is not empty");
        }
        Ok(Self {
            place,
            jti: text("jti")?,
            txn: text("txn")?,
            subject: claims["sub_id"]["uri"].as_str().ok_or("no subject")?.to_owned(),
            kind,
            version,
            text: payload.to_string(),
            payload: payload.clone(),
        })
    }

    /// Whether its payload holds a text.
    pub fn holds(&self, text: &str) -> bool {
        self.text.contains(text)
    }

    /// Whether it is what an operation would have given.
    pub fn tells(&self, operation: &Operation) -> bool {
        let kind = match operation.kind {
            Kind::Create => EventKind::Create,
            Kind::Put => EventKind::Put,
            Kind::Patch => EventKind::Patch,
            Kind::Delete => EventKind::Delete,
        };
        self.kind == kind && operation.marks.iter().all(|mark| self.holds(mark))
    }
}
