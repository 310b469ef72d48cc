//! Where a body holds values of attributes, so that a quirk need only know a value and the attribute it is of.

use super::{MeantValue, member, replaced};
use crate::scim::Object;
use crate::scim::filter::parse_path;
use crate::scim::path::{AttributePath, Target, resolve_target};
use crate::scim::schema::{Attribute, ResourceType, Schema};
use serde_json::Value;
use std::sync::Arc;

/// The body of a POST or PUT with what its values mean; `None` when they mean what they say.
pub(super) fn in_resource(kind: &ResourceType, body: &Value, meant: MeantValue) -> Option<Value> {
    in_object(body.as_object()?, |name, value| {
        if let Some(attribute) = kind.attribute(name) {
            return meant(&whole(None, attribute), value);
        }
        let schema = &kind.extension(name)?.schema;
        in_container(schema, value, meant)
    })
    .map(Value::Object)
}

/// An operation of a PATCH with what its values mean.
pub(super) fn in_operation(kind: &ResourceType, operation: &Object, target: &Target, meant: MeantValue) -> Option<Object> {
    let (name, value) = member(operation, "value")?;
    let value = match target {
        Target::Attribute(path) => meant(path, value),
        Target::Extension(schema) => in_container(schema, value, meant),
        Target::Core => in_object(value.as_object()?, |name, value| match resolve_target(kind, name).ok()? {
            Target::Attribute(path) => meant(&path, value),
            Target::Extension(schema) => in_container(&schema, value, meant),
            Target::Core => {
                let object = value.as_object()?;
                in_object(object, |name, value| meant(&whole(None, kind.attribute(name)?), value)).map(Value::Object)
            }
        })
        .map(Value::Object),
    };
    Some(replaced(operation, name, value?))
}

/// What an operation writes to. Without a path it is the resource itself; a filter in the path does not count.
pub(super) fn target(kind: &ResourceType, operation: &Object) -> Option<Target> {
    match member(operation, "path").map(|(_, path)| path) {
        None | Some(Value::Null) => Some(Target::Core),
        Some(Value::String(path)) if path.contains('[') => {
            let written = parse_path(path).ok()?;
            let text = written.sub_attribute.map_or(written.path.clone(), |name| format!("{}.{name}", written.path));
            resolve_target(kind, &text).ok()
        }
        Some(Value::String(path)) => resolve_target(kind, path).ok(),
        Some(_) => None,
    }
}

fn in_container(schema: &Arc<Schema>, value: &Value, meant: MeantValue) -> Option<Value> {
    in_object(value.as_object()?, |name, value| meant(&whole(Some(schema), schema.attribute(name)?), value)).map(Value::Object)
}

/// The object with what its members mean.
pub(super) fn in_object(object: &Object, meant: impl Fn(&str, &Value) -> Option<Value>) -> Option<Object> {
    let mut changed: Option<Object> = None;
    for (name, value) in object {
        if let Some(value) = meant(name, value) {
            changed.get_or_insert_with(|| object.clone()).insert(name.clone(), value);
        }
    }
    changed
}

/// The list with what its elements mean.
pub(super) fn in_list(values: &[Value], meant: impl Fn(&Value) -> Option<Value>) -> Option<Value> {
    let mut changed: Option<Vec<Value>> = None;
    for (place, value) in values.iter().enumerate() {
        if let Some(value) = meant(value) {
            changed.get_or_insert_with(|| values.to_vec())[place] = value;
        }
    }
    changed.map(Value::Array)
}

fn whole(extension: Option<&Arc<Schema>>, attribute: &Arc<Attribute>) -> AttributePath {
    AttributePath { extension: extension.cloned(), attribute: Arc::clone(attribute), sub_attribute: None }
}
