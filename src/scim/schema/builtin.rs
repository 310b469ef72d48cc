//! The definitions of RFC 7643 §8.7 with their errata applied, embedded.

use super::{Extension, ResourceType, Schema};
use crate::base::id::TypeCode;
use serde_json::{Value, json};
use std::sync::Arc;

/// User with the enterprise extension, and Group; and every schema, those of the discovery resources included.
pub(super) fn definitions() -> (Vec<Arc<Schema>>, Vec<Arc<ResourceType>>) {
    let user = embedded(include_str!("../schemas/user.json"));
    let group = embedded(include_str!("../schemas/group.json"));
    let enterprise = embedded(include_str!("../schemas/enterprise_user.json"));
    let common = common();
    let user_type = ResourceType {
        code: TypeCode(1),
        name: "User".into(),
        endpoint: "/Users".into(),
        description: "User Account".into(),
        schema: Arc::clone(&user),
        extensions: vec![Extension { schema: Arc::clone(&enterprise), required: false }],
        indexed: vec!["externalId".into(), "emails.value".into()],
        common: Arc::clone(&common),
    };
    let group_type = ResourceType {
        code: TypeCode(2),
        name: "Group".into(),
        endpoint: "/Groups".into(),
        description: "Group".into(),
        schema: Arc::clone(&group),
        extensions: Vec::new(),
        indexed: vec!["externalId".into(), "displayName".into()],
        common,
    };
    let described = [
        include_str!("../schemas/service_provider_config.json"),
        include_str!("../schemas/resource_type.json"),
        include_str!("../schemas/schema.json"),
    ];
    let mut schemas = vec![user, group, enterprise];
    schemas.extend(described.map(embedded));
    (schemas, vec![Arc::new(user_type), Arc::new(group_type)])
}

/// The common attributes, as every resource type has them.
pub(super) fn common() -> Arc<Schema> {
    Arc::new(common_attributes())
}

#[expect(clippy::expect_used, reason = "the embedded definitions are checked by a test")]
fn embedded(definition: &str) -> Arc<Schema> {
    serde_json::from_str(definition).expect("an embedded schema is well formed")
}

/// The common attributes (RFC 7643 §3.1) and `schemas` (§3).
#[expect(clippy::expect_used, reason = "a constant, checked by a test")]
fn common_attributes() -> Schema {
    let read_only = |name: &str, kind: &str, exact: bool| -> Value {
        json!({"name": name, "type": kind, "mutability": "readOnly", "caseExact": exact, "uniqueness": "none"})
    };
    let definition = json!({"id": "", "attributes": [
        {"name": "schemas", "type": "reference", "multiValued": true, "required": true, "caseExact": true, "returned": "always",
         "uniqueness": "none", "referenceTypes": ["uri"], "description": "The URIs of the schemas of this resource."},
        {"name": "id", "type": "string", "required": true, "caseExact": true, "mutability": "readOnly", "returned": "always",
         "uniqueness": "server", "description": "The identifier that the service provider gave."},
        {"name": "externalId", "type": "string", "caseExact": true, "uniqueness": "none",
         "description": "The identifier that the provisioning client gave."},
        {"name": "meta", "type": "complex", "mutability": "readOnly", "description": "What the service provider knows of the resource.",
         "subAttributes": [
            read_only("resourceType", "string", true), read_only("created", "dateTime", false),
            read_only("lastModified", "dateTime", false), read_only("location", "reference", true),
            read_only("version", "string", true)]},
    ]});
    serde_json::from_value(definition).expect("the common attributes are well formed")
}
