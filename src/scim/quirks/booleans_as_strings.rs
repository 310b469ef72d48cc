//! Microsoft Entra ID (without its `aadOptscim062020` flag) and the templates of `OneLogin` write booleans as strings, in values and in
//! filters:
//!
//! ```json
//! {"op": "Replace", "path": "active", "value": "False"}
//! {"op": "Replace", "path": "roles[primary EQ \"True\"].value", "value": "admin"}
//! ```
//!
//! A boolean is `true` or `false` (7643-2.3.2-01): they mean
//!
//! ```json
//! {"op": "Replace", "path": "active", "value": false}
//! {"op": "Replace", "path": "roles[primary EQ true].value", "value": "admin"}
//! ```

use super::values::{in_list, in_object};
use crate::scim::path::AttributePath;
use crate::scim::schema::{Attribute, Type};
use serde_json::Value;

/// A value with booleans for those strings of boolean attributes that name one.
pub(super) fn value(path: &AttributePath, value: &Value) -> Option<Value> {
    meant(path.leaf(), value)
}

fn meant(attribute: &Attribute, value: &Value) -> Option<Value> {
    match (attribute.kind, value) {
        (Type::Boolean, Value::String(text)) => named(text).map(Value::Bool),
        (Type::Boolean, Value::Array(values)) => in_list(values, |value| meant(attribute, value)),
        (Type::Complex, value) if attribute.sub_attributes.iter().any(|sub| sub.kind == Type::Boolean) => match value {
            Value::Array(values) => in_list(values, |value| meant(attribute, value)),
            Value::Object(object) => {
                in_object(object, |name, value| meant(attribute.sub_attribute(name)?, value)).map(Value::Object)
            }
            _ => None,
        },
        _ => None,
    }
}

/// A literal that is compared with a boolean, without its quotes.
pub(super) fn literal(literal: &str) -> Option<(&'static [Type], String)> {
    let value = named(literal.strip_prefix('"')?.strip_suffix('"')?)?;
    Some((&[Type::Boolean], value.to_string()))
}

fn named(text: &str) -> Option<bool> {
    [("true", true), ("false", false)].into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, value)| value)
}
