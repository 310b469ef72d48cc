//! The difference of two documents, as normalized operations (RFC 7644 §3.5.2) for events and as changed paths for notices.

use super::Object;
use super::path::AttributePath;
use super::resource::container;
use super::schema::{Attribute, ResourceType, Schema, Type};
use super::validate::{is_schemas, required};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::sync::Arc;

/// One difference of two documents.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// The canonical path: `name.familyName`, `emails`, `urn:…:User:department`.
    pub path: String,
    /// The value afterwards; `None` when it is gone.
    pub value: Option<Value>,
    /// Whether there was a value before.
    pub existed: bool,
}

impl Difference {
    /// The operation that makes this difference: `add`, `replace` or `remove`.
    pub fn operation(&self) -> Value {
        match &self.value {
            None => json!({"op": "remove", "path": self.path}),
            Some(value) if self.existed => json!({"op": "replace", "path": self.path, "value": value}),
            Some(value) => json!({"op": "add", "path": self.path, "value": value}),
        }
    }
}

/// The differences between two documents of a type, in the order of the schema. A single-valued complex attribute differs by its
/// sub-attributes, or as a whole when it is gone; a multi-valued one as a whole, and the order of its values is no difference.
/// `schemas` follows from the rest and is left out. Empty when the two are equal.
///
/// An extension that is gone is one difference, its URN, when it has a required attribute: a PATCH could not remove that alone.
pub fn diff(kind: &ResourceType, before: &Object, after: &Object) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (extension, attribute) in kind.all_attributes() {
        let (was, is) = (container(before, extension), container(after, extension));
        if is_schemas(extension, attribute) || extension.is_some_and(|schema| is.is_none() && needs_whole_removal(schema)) {
            continue;
        }
        let values = (was.and_then(|was| was.get(&attribute.name)), is.and_then(|is| is.get(&attribute.name)));
        compare(extension, attribute, values, &mut differences);
    }
    for schema in kind.extensions.iter().map(|extension| &extension.schema).filter(|schema| needs_whole_removal(schema)) {
        if before.contains_key(&schema.id) && !after.contains_key(&schema.id) {
            differences.push(Difference { path: schema.id.clone(), value: None, existed: true });
        }
    }
    differences
}

fn needs_whole_removal(schema: &Schema) -> bool {
    schema.attributes.iter().any(|attribute| required::is_required(attribute))
}

fn compare(
    extension: Option<&Arc<Schema>>,
    attribute: &Arc<Attribute>,
    values: (Option<&Value>, Option<&Value>),
    differences: &mut Vec<Difference>,
) {
    let path = || AttributePath { extension: extension.cloned(), attribute: Arc::clone(attribute), sub_attribute: None };
    match values {
        (None, None) => {}
        (Some(was), Some(is)) if same(was, is) => {}
        (was, Some(is)) if attribute.kind == Type::Complex && !attribute.multi_valued => {
            for sub_attribute in &attribute.sub_attributes {
                let (old, new) = (was.and_then(|was| was.get(&sub_attribute.name)), is.get(&sub_attribute.name));
                let is_same = match (old, new) {
                    (Some(old), Some(new)) => same(old, new),
                    (old, new) => old.is_none() && new.is_none(),
                };
                if !is_same {
                    let path = path().with_sub_attribute(Arc::clone(sub_attribute)).to_string();
                    differences.push(Difference { path, existed: old.is_some(), value: new.cloned() });
                }
            }
        }
        (was, is) => differences.push(Difference { path: path().to_string(), existed: was.is_some(), value: is.cloned() }),
    }
}

/// Whether two stored values are one: arrays as sets, for the order of values means nothing (RFC 7643 §2.4).
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Array(left), Value::Array(right)) => same_set(left, right),
        _ => left == right,
    }
}

/// Whether two lists without repetitions hold the same values.
pub(crate) fn same_set(left: &[Value], right: &[Value]) -> bool {
    if left == right || left.len() != right.len() {
        return left == right;
    }
    let left: HashSet<&Value> = left.iter().collect();
    right.iter().all(|value| left.contains(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::schema::{ENTERPRISE_USER, Registry};

    fn operations(before: &Value, after: &Value) -> Vec<Value> {
        let registry = Registry::builtin();
        let user = registry.by_name("User").expect("User");
        let object = |value: &Value| value.as_object().expect("an object").clone();
        diff(user, &object(before), &object(after)).iter().map(Difference::operation).collect()
    }

    #[test]
    fn each_difference_is_one_operation_in_the_order_of_the_schema() {
        let before = json!({"schemas": ["x"], "title": "a", "userName": "ann", "name": {"givenName": "Ann", "familyName": "A"},
            ENTERPRISE_USER: {"department": "x", "manager": {"value": "1"}}});
        let after = json!({"schemas": ["y"], "nickName": "n", "userName": "bob", "name": {"givenName": "Bob", "middleName": "M"},
            "emails": [{"value": "a"}], ENTERPRISE_USER: {"division": "d"}});
        let expected = [
            json!({"op": "replace", "path": "userName", "value": "bob"}),
            json!({"op": "remove", "path": "name.familyName"}),
            json!({"op": "replace", "path": "name.givenName", "value": "Bob"}),
            json!({"op": "add", "path": "name.middleName", "value": "M"}),
            json!({"op": "add", "path": "nickName", "value": "n"}),
            json!({"op": "remove", "path": "title"}),
            json!({"op": "add", "path": "emails", "value": [{"value": "a"}]}),
            json!({"op": "add", "path": format!("{ENTERPRISE_USER}:division"), "value": "d"}),
            json!({"op": "remove", "path": format!("{ENTERPRISE_USER}:department")}),
            json!({"op": "remove", "path": format!("{ENTERPRISE_USER}:manager")}),
        ];
        assert_eq!(operations(&before, &after), expected);
        assert_eq!(operations(&after, &after), Vec::<Value>::new());
    }

    /// 7643-2.3.8-02
    #[test]
    fn the_order_of_names_and_of_values_is_no_difference() {
        let before = json!({"userName": "a", "emails": [{"value": "1", "type": "work"}, {"value": "2"}]});
        let after = json!({"emails": [{"value": "2"}, {"type": "work", "value": "1"}], "userName": "a"});
        assert_eq!(operations(&before, &after), Vec::<Value>::new());
        let after = json!({"emails": [{"value": "2"}, {"value": "1"}], "userName": "a"});
        let expected = json!({"op": "replace", "path": "emails", "value": [{"value": "2"}, {"value": "1"}]});
        assert_eq!(operations(&before, &after), [expected]);
    }
}
