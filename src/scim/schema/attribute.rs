//! Attributes and schemas (RFC 7643 §7).

use crate::scim::validate::format::Format;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The data types of RFC 7643 §2.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Type {
    /// §2.3.1
    #[default]
    String,
    /// §2.3.2
    Boolean,
    /// §2.3.3
    Decimal,
    /// §2.3.4
    Integer,
    /// §2.3.5
    DateTime,
    /// §2.3.6
    Binary,
    /// §2.3.7
    Reference,
    /// §2.3.8
    Complex,
}

/// When a value may be written (RFC 7643 §7 `mutability`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mutability {
    /// Never by a client.
    ReadOnly,
    /// At any time.
    #[default]
    ReadWrite,
    /// While it has no value.
    Immutable,
    /// At any time, and never read.
    WriteOnly,
}

/// When a value is returned (RFC 7643 §7 `returned`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Returned {
    /// In every answer.
    Always,
    /// In none.
    Never,
    /// Unless the client says otherwise.
    #[default]
    Default,
    /// If the client asks, or has just written it.
    Request,
}

/// Whether two resources may share a value (RFC 7643 §7 `uniqueness`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Uniqueness {
    /// They may.
    #[default]
    None,
    /// Not within the endpoint.
    Server,
    /// Not anywhere.
    Global,
}

/// The definition of an attribute, with the defaults of RFC 7643 §2.2 for what a definition leaves out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attribute {
    /// Its name; matched without regard to case (§2.1).
    pub name: String,
    /// Its data type.
    #[serde(rename = "type", default)]
    pub kind: Type,
    /// Whether it holds a list.
    #[serde(default)]
    pub multi_valued: bool,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Whether a resource must have it.
    #[serde(default)]
    pub required: bool,
    /// The values it is meant to hold, as suggestions: others may be held too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canonical_values: Vec<String>,
    /// Whether case matters in comparisons. Absent where it has no meaning (boolean, complex).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case_exact: Option<bool>,
    /// When it may be written.
    #[serde(default)]
    pub mutability: Mutability,
    /// When it is returned.
    #[serde(default)]
    pub returned: Returned,
    /// Whether its values are unique. Absent on complex attributes (erratum 6004).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uniqueness: Option<Uniqueness>,
    /// The format of its values, where the type does not say all; never published.
    #[serde(default, skip_serializing)]
    pub format: Option<Format>,
    /// What a reference points to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reference_types: Vec<String>,
    /// The parts of a complex attribute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sub_attributes: Vec<Arc<Attribute>>,
}

impl Attribute {
    /// Whether comparisons respect case: false for strings unless the definition says so; references and binary always do.
    pub fn is_case_exact(&self) -> bool {
        self.case_exact.unwrap_or(matches!(self.kind, Type::Reference | Type::Binary))
    }

    /// The sub-attribute of this name, in any case.
    pub fn sub_attribute(&self, name: &str) -> Option<&Arc<Attribute>> {
        self.sub_attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }

    /// Whether a value names a SCIM resource: its `$ref` points to one, and its `value` is the `id` of it.
    pub fn names_resource(&self) -> bool {
        let is_resource = |kind: &String| kind != "external" && kind != "uri";
        self.kind == Type::Complex
            && self.sub_attribute("value").is_some()
            && self.sub_attribute("$ref").is_some_and(|reference| reference.reference_types.iter().any(is_resource))
    }

    /// Whether two resources may not share a value.
    pub fn is_unique(&self) -> bool {
        matches!(self.uniqueness, Some(Uniqueness::Server | Uniqueness::Global))
    }
}

/// A schema: a named set of attributes (RFC 7643 §7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Schema {
    /// Its URN.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// What it defines.
    pub attributes: Vec<Arc<Attribute>>,
}

impl Schema {
    /// The attribute of this name, in any case.
    pub fn attribute(&self, name: &str) -> Option<&Arc<Attribute>> {
        self.attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }
}
