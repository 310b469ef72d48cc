//! Microsoft Entra ID writes the manager as a bare string, and an empty one when there is none any more:
//!
//! ```json
//! {"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", "value": "26118915"}
//! {"op": "Replace", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.value", "value": ""}
//! ```
//!
//! `manager` is complex, and its `value` is the id of a resource, which is never empty. They mean
//!
//! ```json
//! {"op": "Add", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager", "value": {"value": "26118915"}}
//! {"op": "remove", "path": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager"}
//! ```
//!
//! So does `"manager": "26118915"` or `"manager": ""` in a POST, a PUT, or a value without path.

use super::member;
use crate::scim::Object;
use crate::scim::path::{AttributePath, Target, resolve_target};
use crate::scim::schema::ResourceType;
use serde_json::{Value, json};

/// What a manager means as a value: one with this id, or none.
pub(super) fn value(path: &AttributePath, value: &Value) -> Option<Value> {
    match value {
        _ if !names_one(path) || path.sub_attribute.is_some() => None,
        value if is_nobody(value) => Some(Value::Null),
        Value::String(id) => Some(json!({"value": id})),
        _ => None,
    }
}

/// A removal for each manager that is nobody; what else the operation writes is left to [`value`].
pub(super) fn operations(kind: &ResourceType, _id: &str, operation: &Object, target: &Target) -> Option<Vec<Object>> {
    let verb = member(operation, "op")?.1.as_str()?;
    let (name, value) = member(operation, "value").filter(|_| !verb.eq_ignore_ascii_case("remove"))?;
    let container = match target {
        Target::Attribute(path) => {
            let is_id = path.sub_attribute.as_ref().is_none_or(|sub_attribute| sub_attribute.name == "value");
            return (names_one(path) && is_id && is_nobody(value)).then(|| vec![removal(path)]);
        }
        Target::Extension(schema) => Some(schema.id.clone()),
        Target::Core => None,
    };
    let mut removals = Vec::new();
    let kept = without_nobody(kind, container.as_deref(), value.as_object().filter(|object| is_worth_it(object))?, &mut removals);
    if removals.is_empty() {
        return None;
    }
    removals.insert(0, super::replaced(operation, name, Value::Object(kept)));
    Some(removals)
}

/// Whether a value without path may hold a manager that is nobody: most do not, and are not copied.
fn is_worth_it(object: &Object) -> bool {
    object.values().any(|value| is_nobody(value) || value.as_object().is_some_and(|inner| inner.values().any(is_nobody)))
}

/// The object without those attributes that name nobody, whose removals are collected, also from the containers within.
fn without_nobody(kind: &ResourceType, container: Option<&str>, object: &Object, removals: &mut Vec<Object>) -> Object {
    let mut kept = Object::new();
    for (name, value) in object {
        let path = container.map_or(name.clone(), |urn| format!("{urn}:{name}"));
        let value = match (resolve_target(kind, &path), value) {
            (Ok(Target::Attribute(path)), value) if names_one(&path) && path.sub_attribute.is_none() && is_nobody(value) => {
                removals.push(removal(&path));
                continue;
            }
            (Ok(Target::Extension(schema)), Value::Object(inner)) => without_nobody(kind, Some(&schema.id), inner, removals).into(),
            (_, value) => value.clone(),
        };
        kept.insert(name.clone(), value);
    }
    kept
}

fn removal(path: &AttributePath) -> Object {
    Object::from_iter([("op".to_owned(), json!("remove")), ("path".to_owned(), json!(path.parent().to_string()))])
}

/// Whether a path is one of a single attribute that names a resource, such as `manager`.
fn names_one(path: &AttributePath) -> bool {
    path.attribute.names_resource() && !path.attribute.multi_valued
}

/// An empty id, as it is or as `value`.
fn is_nobody(value: &Value) -> bool {
    match value {
        Value::String(id) => id.is_empty(),
        Value::Object(object) => {
            let mut ids = object.iter().filter(|(name, _)| name.eq_ignore_ascii_case("value"));
            ids.next().is_some_and(|(_, id)| id == "") && ids.next().is_none()
        }
        _ => false,
    }
}
