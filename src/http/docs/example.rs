//! Examples that can be sent as they stand.

use crate::scim::message::{BULK_REQUEST, PATCH_OP, SEARCH_REQUEST};
use crate::scim::schema::{Attribute, ENTERPRISE_USER, GROUP, Mutability, ResourceType, Type, USER};
use serde_json::{Map, Value, json};

/// A resource of this type: for User and Group one that people know, for others the least that the schema requires.
pub(super) fn resource(kind: &ResourceType) -> Value {
    match kind.schema.id.as_str() {
        USER => user(kind),
        GROUP => json!({"schemas": [GROUP], "displayName": "Tour guides"}),
        _ => least(kind),
    }
}

fn user(kind: &ResourceType) -> Value {
    let mut user = json!({
        "schemas": [USER],
        "userName": "alice@example.com",
        "name": {"givenName": "Alice", "familyName": "Jones"},
        "displayName": "Alice Jones",
        "emails": [{"value": "alice@example.com", "type": "work", "primary": true}],
        "active": true,
    });
    if kind.extension(ENTERPRISE_USER).is_some() {
        user["schemas"] = json!([USER, ENTERPRISE_USER]);
        user[ENTERPRISE_USER] = json!({"employeeNumber": "701984", "department": "Tour Operations"});
    }
    add_required_extensions(kind, &mut user);
    user
}

fn least(kind: &ResourceType) -> Value {
    let mut resource = json!({"schemas": [kind.schema.id]});
    for attribute in kind.schema.attributes.iter().filter(|attribute| is_sent(attribute)) {
        resource[&attribute.name] = value(attribute);
    }
    add_required_extensions(kind, &mut resource);
    resource
}

fn add_required_extensions(kind: &ResourceType, resource: &mut Value) {
    for extension in kind.extensions.iter().filter(|extension| extension.required) {
        let urn = &extension.schema.id;
        if resource.get(urn).is_some() {
            continue;
        }
        // An extension without any value counts as absent: one attribute stands for it where none is required.
        let attributes = &extension.schema.attributes;
        let required: Vec<_> = attributes.iter().filter(|attribute| is_sent(attribute)).collect();
        let writable = attributes.iter().find(|attribute| attribute.mutability != Mutability::ReadOnly);
        let given = if required.is_empty() { writable.into_iter().collect() } else { required };
        let values: Map<String, Value> = given.into_iter().map(|attribute| (attribute.name.clone(), value(attribute))).collect();
        resource[urn] = values.into();
        if let Value::Array(schemas) = &mut resource["schemas"] {
            schemas.push(urn.as_str().into());
        }
    }
}

fn is_sent(attribute: &Attribute) -> bool {
    attribute.required && attribute.mutability != Mutability::ReadOnly
}

fn value(attribute: &Attribute) -> Value {
    let one = match attribute.kind {
        Type::String => attribute.canonical_values.first().map_or("example", String::as_str).into(),
        Type::Boolean => true.into(),
        Type::Decimal => json!(1.5),
        Type::Integer => 1.into(),
        Type::DateTime => "2026-01-31T12:00:00Z".into(),
        Type::Binary => "ZXhhbXBsZQ==".into(),
        Type::Reference => "https://example.com/example".into(),
        Type::Complex => {
            let parts = &attribute.sub_attributes;
            let required: Vec<_> = parts.iter().filter(|part| is_sent(part)).collect();
            let writable = parts.iter().find(|part| part.mutability != Mutability::ReadOnly);
            let given = if required.is_empty() { writable.into_iter().collect() } else { required };
            let parts: Map<String, Value> = given.into_iter().map(|part| (part.name.clone(), value(part))).collect();
            parts.into()
        }
    };
    if attribute.multi_valued { json!([one]) } else { one }
}

/// A filter of resources of this type that finds the example.
pub(super) fn filter(kind: &ResourceType) -> String {
    let name = match kind.schema.id.as_str() {
        USER => "userName",
        GROUP => "displayName",
        _ => return "id pr".into(),
    };
    match resource(kind)[name].as_str() {
        Some(value) => format!("{name} eq \"{value}\""),
        None => format!("{name} pr"),
    }
}

/// Changes of a resource of this type, each with what it shows.
pub(super) fn patches(kind: &ResourceType) -> Vec<(&'static str, Value)> {
    let patch = |operations: Value| json!({"schemas": [PATCH_OP], "Operations": operations});
    match kind.schema.id.as_str() {
        USER => vec![
            ("Deactivate", patch(json!([{"op": "replace", "path": "active", "value": false}]))),
            (
                "Several changes at once",
                patch(json!([
                    {"op": "replace", "value": {"displayName": "Alice Smith", "name": {"familyName": "Smith"}}},
                    {"op": "add", "path": "emails", "value": [{"value": "alice@home.example.com", "type": "home"}]},
                    {"op": "remove", "path": "nickName"},
                ])),
            ),
        ],
        GROUP => vec![
            ("Rename", patch(json!([{"op": "replace", "path": "displayName", "value": "Guides"}]))),
            ("Remove every member", patch(json!([{"op": "remove", "path": "members"}]))),
        ],
        _ => vec![("Name it", patch(json!([{"op": "replace", "path": "externalId", "value": "example"}])))],
    }
}

/// A search for resources of this type; over all types without one.
pub(super) fn search(filter: &str) -> Value {
    json!({"schemas": [SEARCH_REQUEST], "filter": filter, "startIndex": 1, "count": 10})
}

/// A user and a group with that user as a member, in one request.
pub(super) fn bulk() -> Value {
    json!({"schemas": [BULK_REQUEST], "failOnErrors": 1, "Operations": [
        {"method": "POST", "path": "/Users", "bulkId": "bob", "data": {"schemas": [USER], "userName": "bob@example.com"}},
        {"method": "POST", "path": "/Groups", "bulkId": "climbers", "data": {
            "schemas": [GROUP], "displayName": "Climbers", "members": [{"value": "bulkId:bob"}],
        }},
    ]})
}
