//! Event templates: events as planned, before the store knows the version and which members really changed.

use super::{Event, Kind};
use crate::base::clock::Timestamp;
use crate::base::id::{EventId, Key, ResourceId};
use crate::base::limits;
use crate::scim::resource::Member;
use serde_json::{Value, json};

/// An event as planned.
#[derive(Clone, Debug, PartialEq)]
pub struct Template {
    /// What will have happened.
    pub kind: Kind,
    /// To which resource.
    pub subject: Key,
    /// Its `externalId`, if known.
    pub external_id: Option<String>,
    /// The changed attribute paths that the plan knows; the store's findings on members come on top.
    pub attributes: Vec<String>,
    /// The payload that the plan knows.
    pub data: Data,
}

/// The payload that a plan knows.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    /// None: the kind has no payload, or a full event would be too large.
    Nothing,
    /// The final representation, as JSON text, without the members: those are added when the store knows them.
    Representation(String),
    /// The normalized operations on the document; those on members are added when the store knows them.
    Operations(Vec<Value>),
}

/// What the store found when it applied a change.
#[derive(Clone, Copy, Debug)]
pub struct Findings<'a> {
    /// The version after the change.
    pub version: u64,
    /// The members that joined.
    pub added: &'a [Member],
    /// The members that left.
    pub removed: &'a [ResourceId],
    /// The members there are afterwards, for a representation; `None` when there are too many for an event.
    pub members: Option<&'a [Member]>,
}

impl Template {
    /// Whether filling it takes the members there are afterwards.
    pub fn needs_members(&self) -> bool {
        matches!(self.data, Data::Representation(_))
    }

    /// Turns a template into the event to be logged.
    pub fn fill(&self, id: EventId, txn: &str, at: Timestamp, findings: Findings<'_>) -> Event {
        let members = findings.added.len() + findings.removed.len();
        let mut attributes = self.attributes.clone();
        if members > 0 && self.kind.has_modes() && !attributes.iter().any(|path| path == "members") {
            attributes.push("members".into());
        }
        let data = match &self.data {
            Data::Nothing => None,
            Data::Representation(text) => findings.members.map(|members| with_members(text, members)),
            Data::Operations(_) if members > limits::MEMBERS_IN_FULL_EVENT => None,
            Data::Operations(operations) => {
                let all: Vec<Value> = operations.iter().cloned().chain(member_operations(findings)).collect();
                (!all.is_empty()).then(|| Value::Array(all).to_string())
            }
        };
        Event {
            id,
            kind: self.kind,
            subject: self.subject.clone(),
            external_id: self.external_id.clone(),
            version: findings.version,
            txn: txn.to_owned(),
            at,
            attributes,
            data,
        }
    }
}

/// The text of an object that is never empty, with its members.
fn with_members(text: &str, members: &[Member]) -> String {
    if members.is_empty() {
        return text.to_owned();
    }
    let values: Value = members.iter().map(Member::to_value).collect();
    format!("{},\"members\":{values}}}", text.strip_suffix('}').unwrap_or(text))
}

/// The operations that make the same members join and leave (RFC 7644 §3.5.2).
fn member_operations(findings: Findings<'_>) -> impl Iterator<Item = Value> {
    let added = (!findings.added.is_empty()).then(|| {
        let values: Vec<Value> = findings.added.iter().map(Member::to_value).collect();
        json!({"op": "add", "path": "members", "value": values})
    });
    let removed = findings.removed.iter().map(|id| {
        // A JSON string is the filter's string literal, so that quotes in an id cannot end it.
        json!({"op": "remove", "path": format!("members[value eq {}]", Value::String(id.to_string()))})
    });
    removed.chain(added)
}
