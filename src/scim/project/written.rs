//! Which attributes with `returned` request a write names (RFC 7643 §7 `returned`).

use crate::scim::Object;
use crate::scim::path::{AttributePath, Target, resolve_target};
use crate::scim::schema::{ResourceType, Returned};
use serde_json::Value;
use std::sync::Arc;

/// The attributes and sub-attributes with `returned` request that the body of a POST, PUT or PATCH names, each once. What it names
/// wrongly is left out: the write itself says so.
pub(super) fn requested(kind: &ResourceType, body: &Value) -> Vec<Target> {
    let mut found = Written { kind, targets: Vec::new() };
    let is_any = kind.all_attributes().any(|(_, attribute)| {
        attribute.returned == Returned::Request || attribute.sub_attributes.iter().any(|sub| sub.returned == Returned::Request)
    });
    let Some(body) = body.as_object().filter(|_| is_any) else { return Vec::new() };
    match member(body, "Operations").and_then(Value::as_array) {
        Some(operations) => operations.iter().filter_map(Value::as_object).for_each(|operation| found.operation(operation)),
        None => found.object(body),
    }
    found.targets
}

fn member<'a>(object: &'a Object, name: &str) -> Option<&'a Value> {
    object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

struct Written<'a> {
    kind: &'a ResourceType,
    targets: Vec<Target>,
}

impl Written<'_> {
    fn operation(&mut self, operation: &Object) {
        let value = member(operation, "value").unwrap_or(&Value::Null);
        match member(operation, "path").and_then(Value::as_str) {
            Some(path) => self.named(&without_filter(path), value),
            None => value.as_object().into_iter().for_each(|object| self.object(object)),
        }
    }

    fn object(&mut self, object: &Object) {
        for (name, value) in object {
            self.named(&without_filter(name), value);
        }
    }

    fn named(&mut self, name: &str, value: &Value) {
        match resolve_target(self.kind, name) {
            Ok(Target::Attribute(path)) => self.attribute(&path, value),
            Ok(Target::Extension(schema)) => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    self.named(&format!("{}:{name}", schema.id), value);
                }
            }
            Ok(Target::Core) => value.as_object().into_iter().for_each(|object| self.object(object)),
            Err(_) => {}
        }
    }

    fn attribute(&mut self, path: &AttributePath, value: &Value) {
        if path.attribute.returned == Returned::Request {
            self.add(path.parent());
        }
        if path.sub_attribute.is_some() {
            return self.part(path);
        }
        let elements = match value {
            Value::Array(elements) => elements.as_slice(),
            value => std::slice::from_ref(value),
        };
        for name in elements.iter().filter_map(Value::as_object).flat_map(Object::keys) {
            if let Some(part) = path.attribute.sub_attribute(name) {
                self.part(&path.with_sub_attribute(Arc::clone(part)));
            }
        }
    }

    fn part(&mut self, path: &AttributePath) {
        if path.leaf().returned == Returned::Request {
            self.add(path.clone());
        }
    }

    fn add(&mut self, path: AttributePath) {
        let target = Target::Attribute(path);
        if !self.targets.contains(&target) {
            self.targets.push(target);
        }
    }
}

/// `emails[type eq "work"].value` → `emails.value`
fn without_filter(path: &str) -> String {
    match (path.find('['), path.rfind(']')) {
        (Some(start), Some(end)) if start < end => format!("{}{}", &path[..start], &path[end + 1..]),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::schema::{ENTERPRISE_USER, Registry, Schema, USER};
    use serde_json::json;

    /// User, in which `title`, `emails.type` and the enterprise `department` are returned on request.
    fn kind() -> ResourceType {
        let mut kind = ResourceType::clone(Registry::builtin().by_name("User").expect("User"));
        let request = |schema: &mut Arc<Schema>, name: &str, part: Option<&str>| {
            for attribute in &mut Arc::make_mut(schema).attributes {
                let attribute = Arc::make_mut(attribute);
                match part {
                    _ if attribute.name != name => {}
                    None => attribute.returned = Returned::Request,
                    Some(part) => {
                        for sub in attribute.sub_attributes.iter_mut().filter(|sub| sub.name == part) {
                            Arc::make_mut(sub).returned = Returned::Request;
                        }
                    }
                }
            }
        };
        request(&mut kind.schema, "title", None);
        request(&mut kind.schema, "emails", Some("type"));
        request(&mut kind.extensions[0].schema, "department", None);
        kind
    }

    fn names(body: &Value) -> Vec<String> {
        let name = |target: &Target| match target {
            Target::Attribute(path) => path.to_string(),
            other => format!("{other:?}"),
        };
        requested(&kind(), body).iter().map(name).collect()
    }

    /// 7643-7-05
    #[test]
    fn bodies_and_patches_name_what_they_write() {
        let department = format!("{ENTERPRISE_USER}:department");
        let whole = json!({"userName": "a", "TITLE": "t", "emails": [{"value": "x"}, {"Type": "work"}, 7],
            ENTERPRISE_USER: {"Department": "d", "nothing": 1}, "nothing": {}});
        assert_eq!(names(&whole), ["title", "emails.type", &department]);
        let patch = |operations: Value| names(&json!({"operations": operations}));
        assert_eq!(patch(json!([{"op": "add", "path": "emails[type eq \"work\"].type", "value": "home"}])), ["emails.type"]);
        assert_eq!(patch(json!([{"op": "remove", "path": "title"}, {"op": "add", "path": "Title", "value": "t"}])), ["title"]);
        assert_eq!(
            patch(json!([{"op": "add", "value": {format!("{USER}:title"): "t", &department: "d"}}])),
            ["title", &department]
        );
        assert_eq!(patch(json!([{"op": "add", "value": {USER: {"title": "t"}}}, {"op": "add", "path": 7}, 1])), ["title"]);
        assert_eq!(patch(json!([{"op": "replace", "path": "userName", "value": "title"}])), Vec::<String>::new());
        assert_eq!(names(&json!([])), Vec::<String>::new());
    }
}
