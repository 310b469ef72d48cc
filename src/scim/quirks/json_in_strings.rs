//! Microsoft Entra ID sends the roles of a user (`AppRoleAssignmentsComplex`) as text that is JSON, in a list or within `value`:
//!
//! ```json
//! {"op": "Add", "path": "roles", "value": [{"value": "{\"id\":\"827f\",\"value\":\"Admin\",\"displayName\":\"The admins\"}"}]}
//! {"op": "Add", "path": "roles", "value": ["{\"id\":\"827f\",\"value\":\"Admin\",\"displayName\":\"The admins\"}"]}
//! ```
//!
//! Both mean `{"op": "Add", "path": "roles", "value": [{"value": "Admin", "display": "The admins"}]}`. The first one is legal as it
//! is written: it is the one legal request that this house reads otherwise, and only where the text is an object with a `value`,
//! in a multi-valued attribute. Whoever keeps such texts on purpose turns the quirk off.

use super::values::in_list;
use crate::scim::Object;
use crate::scim::json;
use crate::scim::path::AttributePath;
use crate::scim::schema::{Attribute, Type};
use serde_json::Value;

/// A value of a complex attribute with objects for the texts that hold them.
pub(super) fn value(path: &AttributePath, value: &Value) -> Option<Value> {
    if path.attribute.kind != Type::Complex || path.sub_attribute.is_some() {
        return None;
    }
    match value {
        Value::Array(values) => in_list(values, |value| one(&path.attribute, value)),
        value => one(&path.attribute, value),
    }
}

fn one(attribute: &Attribute, value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => match read(text)? {
            Value::Object(record) => Some(Value::Object(element(attribute, record))),
            Value::Array(values) if values.iter().all(Value::is_object) => Some(Value::Array(values)),
            _ => None,
        },
        Value::Object(object) if attribute.multi_valued => {
            let (name, Value::String(text)) = object.iter().find(|(name, _)| name.eq_ignore_ascii_case("value"))? else {
                return None;
            };
            let Value::Object(record) = read(text)? else { return None };
            if !record.get("value").is_some_and(Value::is_string) {
                return None;
            }
            let mut meant = object.clone();
            meant.shift_remove(name);
            meant.extend(element(attribute, record));
            Some(Value::Object(meant))
        }
        _ => None,
    }
}

/// Most strings are no JSON, and are not read twice.
fn read(text: &str) -> Option<Value> {
    if text.starts_with(['{', '[']) { json::parse(text.as_bytes()).ok() } else { None }
}

/// The record of a role in the words of the schema: its `id` is Microsoft's own, and its `displayName` is `display`.
fn element(attribute: &Attribute, mut record: Object) -> Object {
    if attribute.sub_attribute("id").is_none() {
        record.shift_remove("id");
    }
    let is_renamed = attribute.sub_attribute("displayName").is_none() && attribute.sub_attribute("display").is_some();
    if let Some(name) = record.get("displayName").cloned().filter(|_| is_renamed) {
        record.shift_remove("displayName");
        record.entry("display").or_insert(name);
    }
    record
}
