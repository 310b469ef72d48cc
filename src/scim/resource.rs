//! Documents: the stored form of a resource, and how its values are reached by path.
//!
//! A document is a JSON object with every name in the schema's spelling, without `id` and `meta` (the store keeps those), without
//! `members` (rows of their own), without `groups` (computed) and without secrets. Absent, `null` and `[]` are one state
//! (7643-2.5-01), and a document never holds the latter two.

use super::Object;
use super::path::AttributePath;
use super::schema::{Attribute, Schema, Type};
use crate::base::id::ResourceId;
use serde_json::{Value, json};
use std::sync::Arc;

/// A member of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The `id` of the resource that is a member.
    pub id: ResourceId,
    /// `User` or `Group`, as the client says. The store replaces it by what the member really is, where it knows.
    pub kind: Option<String>,
    /// How the client calls it.
    pub display: Option<String>,
}

impl Member {
    /// The member as a value of `members`, without `$ref`, which depends on who reads.
    pub fn to_value(&self) -> Value {
        let mut value = json!({"value": self.id.to_string()});
        if let Some(kind) = &self.kind {
            value["type"] = kind.as_str().into();
        }
        if let Some(display) = &self.display {
            value["display"] = display.as_str().into();
        }
        value
    }
}

/// What a request does to the members of a group, folded to one set: which are present and which are absent afterwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemberChange {
    /// Every member not in `present` leaves.
    pub reset: bool,
    /// These are members afterwards, in this order of adding. No id stands twice.
    pub present: Vec<Member>,
    /// These are not. Disjoint from `present`; empty when `reset`.
    pub absent: Vec<ResourceId>,
}

impl MemberChange {
    /// Whether it leaves every group as it is.
    pub fn is_empty(&self) -> bool {
        !self.reset && self.present.is_empty() && self.absent.is_empty()
    }
}

/// A value with `returned: never`, on its way to being hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretChange {
    /// The canonical path of the attribute: `password`.
    pub path: String,
    /// The clear value; `None` removes it.
    pub value: Option<crate::base::secret::Secret>,
}

/// The object that holds the attributes of a schema: the resource itself, or the extension's container.
pub fn container<'a>(resource: &'a Object, extension: Option<&Arc<Schema>>) -> Option<&'a Object> {
    match extension {
        None => Some(resource),
        Some(schema) => resource.get(&schema.id).and_then(Value::as_object),
    }
}

/// The values of the attribute a path names, without its sub-attribute: the elements of a multi-valued one, or the single value.
pub fn values<'a>(resource: &'a Object, path: &AttributePath) -> &'a [Value] {
    match container(resource, path.extension.as_ref()).and_then(|object| object.get(&path.attribute.name)) {
        Some(Value::Array(values)) => values,
        Some(value) => std::slice::from_ref(value),
        None => &[],
    }
}

/// The values of the leaf a path names: every value of the sub-attribute over every element.
pub fn leaves<'a>(resource: &'a Object, path: &'a AttributePath) -> impl Iterator<Item = &'a Value> {
    values(resource, path).iter().flat_map(move |value| within(value, path))
}

/// The values of a path's leaf within one value of its attribute. A value of a multi-valued attribute that does not say whether it
/// is `primary` is not (7643-2.4-02).
pub fn within<'a>(value: &'a Value, path: &AttributePath) -> &'a [Value] {
    static NOT_PRIMARY: Value = Value::Bool(false);
    let leaf = match &path.sub_attribute {
        None => Some(value),
        Some(part) => value.get(&part.name).or_else(|| is_primary(&path.attribute, part).then_some(&NOT_PRIMARY)),
    };
    match leaf {
        Some(Value::Array(values)) => values,
        Some(value) => std::slice::from_ref(value),
        None => &[],
    }
}

fn is_primary(attribute: &Attribute, part: &Attribute) -> bool {
    attribute.multi_valued && part.kind == Type::Boolean && part.name == "primary"
}
