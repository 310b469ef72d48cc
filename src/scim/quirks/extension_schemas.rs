//! Clients that build the object of an extension like a resource of its schema, as the Python library `scim2-client` does, send its
//! `schemas` there:
//!
//! ```json
//! {"op": "add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
//!   "value": {"schemas": ["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"], "division": "Tours"}}
//! ```
//!
//! `schemas` belongs to resources (7643-3-01), and no extension defines it. It means `{"division": "Tours"}`. A `schemas` that says
//! anything else stays an error.

use super::{member, replaced};
use crate::scim::Object;
use crate::scim::path::Target;
use crate::scim::schema::{ResourceType, Schema};
use serde_json::Value;

/// The operation with no such `schemas` in its value.
pub(super) fn operations(kind: &ResourceType, _id: &str, operation: &Object, target: &Target) -> Option<Vec<Object>> {
    let (name, value) = member(operation, "value")?;
    let meant = match target {
        Target::Core => body(kind, value),
        Target::Extension(schema) => without(schema, value),
        Target::Attribute(_) => None,
    };
    meant.map(|meant| vec![replaced(operation, name, meant)])
}

/// The resource, or the part of one, with no such `schemas` in its extensions.
pub(super) fn body(kind: &ResourceType, body: &Value) -> Option<Value> {
    let mut meant: Option<Object> = None;
    let given = body.as_object()?;
    for (name, value) in given {
        let container = kind.extension(name).and_then(|extension| without(&extension.schema, value));
        if let Some(container) = container {
            meant.get_or_insert_with(|| given.clone()).insert(name.clone(), container);
        }
    }
    meant.map(Value::Object)
}

/// The object of an extension without a `schemas` that says no more than whose object it is.
fn without(schema: &Schema, value: &Value) -> Option<Value> {
    let (name, Value::Array(urns)) = member(value.as_object()?, "schemas")? else { return None };
    let is_own = |urn: &Value| urn.as_str().is_some_and(|urn| schema.id.eq_ignore_ascii_case(urn));
    if schema.attribute("schemas").is_some() || urns.len() != 1 || !urns.iter().all(is_own) {
        return None;
    }
    let mut kept = value.as_object()?.clone();
    kept.shift_remove(name);
    Some(Value::Object(kept))
}
