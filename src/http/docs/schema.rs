//! From the schemas that are served to JSON Schema (draft 2020-12, which OpenAPI 3.1 takes).

use super::message::reference;
use crate::scim::schema::{Attribute, Mutability, ResourceType, Returned, Schema, Type, Uniqueness};
use crate::scim::validate::format::Format;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Whose document a schema describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// What a client may send. Names that are not defined are refused; `null` un-assigns (RFC 7643 §2.5); what is read-only may
    /// be anything, because it is ignored (RFC 7644 §3.3).
    Request,
    /// What the server answers. Only `schemas` and `id` are always there: the client can leave out the rest (RFC 7644 §3.9).
    Response,
}

/// The document of a resource type.
pub(super) fn resource(kind: &ResourceType, direction: Direction) -> Value {
    let mut properties = Map::new();
    let core = kind.all_attributes().filter(|(extension, _)| extension.is_none()).map(|(_, attribute)| attribute);
    for attribute in core.filter(|attribute| is_shown(attribute, direction)) {
        let described = if attribute.name == "schemas" {
            schemas(kind, direction)
        } else {
            let is_members = kind.members().is_some_and(|members| Arc::ptr_eq(members, attribute));
            with_member_value(is_members, describe(attribute, direction))
        };
        properties.insert(attribute.name.clone(), described);
    }
    for extension in &kind.extensions {
        let mut described = object(&extension.schema.attributes, direction);
        if direction == Direction::Request && !extension.required {
            described["type"] = json!(["object", "null"]);
        }
        described["title"] = extension.schema.name.as_str().into();
        described["description"] = extension.schema.description.as_str().into();
        properties.insert(extension.schema.id.clone(), described);
    }
    let required: Vec<Value> = match direction {
        Direction::Response => vec!["schemas".into(), "id".into()],
        Direction::Request => {
            let core = kind.all_attributes().filter(|(extension, attribute)| extension.is_none() && must_send(attribute));
            let extensions = kind.extensions.iter().filter(|extension| extension.required);
            core.map(|(_, attribute)| attribute.name.as_str().into())
                .chain(extensions.map(|extension| extension.schema.id.as_str().into()))
                .collect()
        }
    };
    json!({
        "title": kind.name, "description": kind.description, "type": "object",
        "properties": properties, "required": required, "additionalProperties": false,
    })
}

/// The document of one of the discovery endpoints, by its published schema (RFC 7643 §8.7.2), with the common attributes.
pub(super) fn discovered(schema: &Schema) -> Value {
    let mut described = object(&schema.attributes, Direction::Response);
    described["title"] = schema.name.as_str().into();
    described["description"] = schema.description.as_str().into();
    if let Some(Value::Object(properties)) = described.get_mut("properties") {
        properties.insert("schemas".into(), json!({"type": "array", "items": {"const": schema.id}, "minItems": 1}));
        properties.entry("id").or_insert_with(|| json!({"type": "string"}));
        properties.insert(
            "meta".into(),
            json!({"type": "object", "properties": {
                "resourceType": {"type": "string"},
                "location": {"type": "string", "format": "uri"},
            }, "required": ["resourceType", "location"]}),
        );
    }
    described["required"] = json!(["schemas", "meta"]);
    described
}

/// The definition of an attribute, as the schema of schemas has it. What it says of sub-attributes is less than they are: its own
/// have sub-attributes.
pub(super) fn definition(schema: &Schema) -> Value {
    let mut described =
        schema.attribute("attributes").map_or(Value::Null, |attribute| object(&attribute.sub_attributes, Direction::Response));
    described["title"] = "SchemaAttribute".into();
    described["properties"]["subAttributes"] = json!({"type": "array", "items": reference("SchemaAttribute")});
    described
}

/// `schemas` of a resource type: its base schema, and any of its extensions (RFC 7643 §3).
fn schemas(kind: &ResourceType, direction: Direction) -> Value {
    let all: Vec<&str> = std::iter::once(&kind.schema)
        .chain(kind.extensions.iter().map(|extension| &extension.schema))
        .map(|schema| schema.id.as_str())
        .collect();
    let mut described = json!({
        "type": "array", "items": {"type": "string", "enum": all}, "minItems": 1, "uniqueItems": true,
        "description": "The URIs of the schemas of this resource.",
    });
    if direction == Direction::Request {
        described["contains"] = json!({"const": kind.schema.id});
    }
    described
}

/// A member of a group is named by its `value`, whatever the schema says of it.
fn with_member_value(is_members: bool, mut described: Value) -> Value {
    if is_members && let Some(element) = described.get_mut("items") {
        element["required"] = json!(["value"]);
        element["properties"]["value"]["type"] = "string".into();
        element["properties"]["value"]["minLength"] = 1.into();
    }
    described
}

fn is_shown(attribute: &Attribute, direction: Direction) -> bool {
    direction == Direction::Request || (attribute.returned != Returned::Never && attribute.mutability != Mutability::WriteOnly)
}

fn must_send(attribute: &Attribute) -> bool {
    attribute.required && attribute.mutability != Mutability::ReadOnly
}

fn object(attributes: &[Arc<Attribute>], direction: Direction) -> Value {
    let shown = attributes.iter().filter(|attribute| is_shown(attribute, direction));
    let properties: Map<String, Value> = shown.map(|attribute| (attribute.name.clone(), describe(attribute, direction))).collect();
    let mut described = json!({"type": "object", "properties": properties, "additionalProperties": false});
    let required: Vec<&str> = match direction {
        Direction::Request => {
            attributes.iter().filter(|attribute| must_send(attribute)).map(|attribute| &*attribute.name).collect()
        }
        Direction::Response => Vec::new(),
    };
    if !required.is_empty() {
        described["required"] = json!(required);
    }
    described
}

/// An attribute with all it says of itself.
fn describe(attribute: &Attribute, direction: Direction) -> Value {
    let is_read_only = attribute.mutability == Mutability::ReadOnly;
    if is_read_only && direction == Direction::Request {
        return json!({"description": format!("{} Read-only: ignored in a request.", attribute.description).trim()});
    }
    let is_nullable = direction == Direction::Request && !attribute.required;
    let mut described = if attribute.multi_valued {
        let mut several = json!({"type": "array", "items": one(attribute, direction, false)});
        if attribute.sub_attribute("primary").is_some() {
            // RFC 7643 §2.4: at most one value is the primary one.
            several["contains"] = json!({"type": "object", "properties": {"primary": {"const": true}}, "required": ["primary"]});
            several["minContains"] = 0.into();
            several["maxContains"] = 1.into();
        }
        if attribute.required && direction == Direction::Request {
            several["minItems"] = 1.into();
        }
        several
    } else {
        one(attribute, direction, is_nullable)
    };
    if is_nullable && attribute.multi_valued {
        described["type"] = json!(["array", "null"]);
    }
    let text = description(attribute);
    if !text.is_empty() {
        described["description"] = text.into();
    }
    if is_read_only {
        described["readOnly"] = true.into();
    }
    if attribute.mutability == Mutability::WriteOnly {
        described["writeOnly"] = true.into();
    }
    described
}

/// What people read: the schema's own words, and the characteristics that JSON Schema has no words for.
fn description(attribute: &Attribute) -> String {
    let mut parts = vec![attribute.description.trim().to_owned()];
    match attribute.uniqueness {
        Some(Uniqueness::Server) => parts.push("Unique among the resources of this type.".into()),
        Some(Uniqueness::Global) => parts.push("Unique everywhere.".into()),
        Some(Uniqueness::None) | None => {}
    }
    if !attribute.canonical_values.is_empty() {
        parts.push(format!("Typically one of: {}.", attribute.canonical_values.join(", ")));
    }
    if attribute.mutability == Mutability::Immutable {
        parts.push("Cannot be changed once it has a value.".into());
    }
    if attribute.returned == Returned::Request {
        parts.push("Returned only when asked for.".into());
    }
    if !attribute.reference_types.is_empty() {
        parts.push(format!("Refers to: {}.", attribute.reference_types.join(", ")));
    }
    parts.retain(|part| !part.is_empty());
    parts.join(" ")
}

/// One value of an attribute.
fn one(attribute: &Attribute, direction: Direction, is_nullable: bool) -> Value {
    let mut described = match attribute.kind {
        Type::String => json!({"type": "string"}),
        Type::Boolean => json!({"type": "boolean"}),
        Type::Decimal => json!({"type": "number"}),
        Type::Integer => json!({"type": "integer", "format": "int64"}),
        Type::DateTime => json!({"type": "string", "format": "date-time"}),
        Type::Binary => json!({"type": "string", "contentEncoding": "base64", "format": "byte"}),
        Type::Reference => json!({"type": "string", "format": "uri-reference", "minLength": 1}),
        Type::Complex => {
            let mut described = object(&attribute.sub_attributes, direction);
            if direction == Direction::Request && attribute.names_resource() {
                // The id of a resource, which is never empty.
                described["properties"]["value"]["minLength"] = 1.into();
            }
            described
        }
    };
    if let Some(format) = attribute.format.and_then(Format::name) {
        described["format"] = format.into();
    }
    if attribute.kind == Type::String && attribute.required && direction == Direction::Request {
        described["minLength"] = 1.into();
    }
    if attribute.mutability == Mutability::WriteOnly && attribute.kind == Type::String {
        described["format"] = "password".into();
        described["minLength"] = 1.into();
    }
    if !attribute.canonical_values.is_empty() {
        // They are suggestions: others are taken too (RFC 7643 §7), so that they are no `enum`.
        described["examples"] = json!(attribute.canonical_values);
    }
    if is_nullable {
        described["type"] = json!([described["type"], "null"]);
    }
    described
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::schema::{ENTERPRISE_USER, Registry, USER};

    fn user(direction: Direction) -> Value {
        resource(Registry::builtin().by_name("User").expect("User"), direction)
    }

    #[test]
    fn a_request_may_un_assign_and_not_invent() {
        let user = user(Direction::Request);
        assert_eq!(user["required"], json!(["schemas", "userName"]));
        assert_eq!(user["additionalProperties"], false);
        assert_eq!(user["properties"]["userName"]["type"], "string");
        assert_eq!(user["properties"]["userName"]["minLength"], 1);
        assert_eq!(user["properties"]["nickName"]["type"], json!(["string", "null"]));
        assert_eq!(user["properties"]["active"]["type"], json!(["boolean", "null"]));
        assert_eq!(user["properties"]["password"]["writeOnly"], true);
        // What is read-only may be sent, and may be anything: it is ignored.
        let id = user["properties"]["id"].as_object().expect("id");
        assert_eq!(id.keys().collect::<Vec<_>>(), ["description"]);
        let schemas = &user["properties"]["schemas"];
        assert_eq!((&schemas["items"]["enum"], &schemas["contains"]), (&json!([USER, ENTERPRISE_USER]), &json!({"const": USER})));
        let emails = &user["properties"]["emails"];
        assert_eq!((&emails["type"], &emails["maxContains"]), (&json!(["array", "null"]), &json!(1)));
        assert_eq!(emails["items"]["additionalProperties"], false);
        assert_eq!(user["properties"][ENTERPRISE_USER]["type"], json!(["object", "null"]));
        assert_eq!(user["properties"]["x509Certificates"]["items"]["properties"]["value"]["contentEncoding"], "base64");
    }

    #[test]
    fn an_answer_holds_what_is_read_only_and_no_secret() {
        let user = user(Direction::Response);
        assert_eq!(user["required"], json!(["schemas", "id"]));
        assert_eq!(user["properties"].get("password"), None);
        assert_eq!(user["properties"]["id"]["readOnly"], true);
        assert_eq!(user["properties"]["meta"]["properties"]["created"]["format"], "date-time");
        assert_eq!(user["properties"]["groups"]["items"]["properties"]["$ref"]["format"], "uri-reference");
        assert_eq!(user["properties"]["nickName"]["type"], "string");
    }

    #[test]
    fn a_member_is_named_by_its_value() {
        let registry = Registry::builtin();
        let group = resource(registry.by_name("Group").expect("Group"), Direction::Request);
        assert_eq!(group["properties"]["members"]["items"]["required"], json!(["value"]));
        assert_eq!(group["properties"]["members"]["items"]["properties"]["value"]["type"], "string");
    }

    #[test]
    fn every_type_and_format_has_its_schema() {
        let attribute = |definition: Value| {
            let attribute: Attribute = serde_json::from_value(definition).expect("a definition");
            let mut described = describe(&attribute, Direction::Request);
            if let Some(described) = described.as_object_mut() {
                described.remove("description");
            }
            described
        };
        for (definition, expected) in [
            (json!({"name": "a", "type": "integer"}), json!({"type": ["integer", "null"], "format": "int64"})),
            (json!({"name": "a", "type": "decimal", "required": true}), json!({"type": "number"})),
            (json!({"name": "a", "type": "dateTime"}), json!({"type": ["string", "null"], "format": "date-time"})),
            (
                json!({"name": "a", "type": "reference", "referenceTypes": ["external"]}),
                json!({"type": ["string", "null"], "format": "uri-reference", "minLength": 1}),
            ),
            (json!({"name": "a", "canonicalValues": ["x", "y"]}), json!({"type": ["string", "null"], "examples": ["x", "y"]})),
            (
                json!({"name": "a", "multiValued": true, "required": true}),
                json!({"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}),
            ),
        ] {
            assert_eq!(attribute(definition.clone()), expected, "{definition}");
        }
    }
}
