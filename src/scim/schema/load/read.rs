//! From texts to definitions, each with its place.

use super::fields::{Fields, Place, shown};
use super::{Problem, SchemaFile, attribute};
use crate::base::limits;
use crate::scim::json;
use crate::scim::path::shorten;
use crate::scim::schema::{Attribute, RESOURCE_TYPE, SCHEMA, SERVICE_PROVIDER_CONFIG, Schema};
use serde_json::Value;
use std::sync::Arc;

/// What the folders of a file say of a schema in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing: a `ResourceType` does.
    Free,
    /// It is the base of a resource type, called like the schema, or else like the file.
    Core {
        /// The file's name without its ending.
        stem: String,
    },
    /// It extends this resource type.
    Extension {
        /// The folder's name.
        of: String,
    },
}

/// A schema as a file gives it.
#[derive(Clone, Debug)]
pub(super) struct FoundSchema {
    pub(super) place: Place,
    pub(super) role: Role,
    pub(super) schema: Schema,
}

/// A resource type as a file gives it.
#[derive(Clone, Debug)]
pub(super) struct FoundType {
    pub(super) place: Place,
    pub(super) name: String,
    pub(super) endpoint: String,
    pub(super) description: String,
    pub(super) schema: String,
    /// Each with its place, the URN of its schema, and whether it is required.
    pub(super) extensions: Vec<(Place, String, bool)>,
}

/// Everything that the files define.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    pub(super) schemas: Vec<FoundSchema>,
    pub(super) types: Vec<FoundType>,
}

/// Reads all files.
pub(super) fn definitions(files: &[SchemaFile], problems: &mut Vec<Problem>) -> Found {
    let mut found = Found::default();
    for file in files {
        let place = Place::of_file(&file.name);
        match json::parse(file.text.trim_start_matches('\u{feff}').as_bytes()) {
            Ok(value) => resource(&value, &place, &role(&file.name), true, &mut found, problems),
            Err(error) => {
                let detail = error.detail.replace("The body is not valid JSON: ", "expected JSON: ");
                problems.push(place.problem(detail.trim_end_matches('.')));
            }
        }
    }
    found
}

/// `…/core/Device.json`, `…/extensions/User/voPerson.json`
fn role(name: &str) -> Role {
    let mut parts = name.rsplit(['/', '\\']);
    let (file, folder, above) = (parts.next().unwrap_or_default(), parts.next(), parts.next());
    match (folder, above) {
        (Some(of), Some("extensions")) => Role::Extension { of: of.to_owned() },
        (Some("core"), _) => Role::Core { stem: file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_owned() },
        _ => Role::Free,
    }
}

/// Reads a Schema, a `ResourceType`, or at the outside a list of them. What it is, its members say: not every file has `schemas`.
fn resource(value: &Value, place: &Place, role: &Role, is_outside: bool, found: &mut Found, problems: &mut Vec<Problem>) {
    const EXPECTED: &str =
        "expected a Schema (id, attributes), a ResourceType (name, endpoint, schema), an array or a ListResponse of them";
    let each = |values: &[Value], place: &Place, found: &mut Found, problems: &mut Vec<Problem>| {
        for (index, value) in values.iter().enumerate() {
            resource(value, &place.element(index), role, false, found, problems);
        }
    };
    let object = match value {
        Value::Array(values) if is_outside => return each(values, place, found, problems),
        Value::Object(object) => object,
        other => return problems.push(place.problem(format!("{EXPECTED}, found {}", shown(other)))),
    };
    let fields = Fields { object, place, problems };
    let says = |urn: &str| {
        let urns = fields.get("schemas").and_then(Value::as_array).into_iter().flatten();
        urns.filter_map(Value::as_str).any(|named| named.eq_ignore_ascii_case(urn))
    };
    if let (Some(Value::Array(values)), true) = (fields.get("Resources"), is_outside) {
        each(values, &place.member("Resources"), found, fields.problems);
    } else if says(SCHEMA) || (fields.get("attributes").is_some() && !says(RESOURCE_TYPE)) {
        let described = fields.get("id").and_then(Value::as_str).unwrap_or_default();
        // The server describes its own discovery resources; a dump of all schemas holds these too.
        if ![SCHEMA, RESOURCE_TYPE, SERVICE_PROVIDER_CONFIG].iter().any(|own| own.eq_ignore_ascii_case(described)) {
            found.schemas.push(schema(fields, role));
        }
    } else if says(RESOURCE_TYPE) || fields.get("endpoint").is_some() || fields.get("schema").is_some() {
        found.types.push(resource_type(fields));
    } else {
        problems.push(place.problem(EXPECTED));
    }
}

fn schema(mut fields: Fields<'_>, role: &Role) -> FoundSchema {
    fields.allow_only(&["schemas", "id", "externalId", "name", "description", "attributes", "meta"]);
    let id = urn(&mut fields, "id");
    let (name, description) = (fields.text("name", false), fields.text("description", false));
    let list = fields.list("attributes");
    if list.as_ref().is_none_or(Vec::is_empty) && !matches!(fields.get("attributes"), Some(other) if !other.is_array()) {
        fields.problem("attributes", "expected at least one attribute");
    }
    let attributes = attribute::attributes(&list.unwrap_or_default(), false, fields.problems);
    let count: usize = attributes.iter().map(|attribute| 1 + attribute.sub_attributes.len()).sum();
    if count > limits::SCHEMA_ATTRIBUTES {
        let most = limits::SCHEMA_ATTRIBUTES;
        fields.problem("attributes", format!("expected at most {most} attributes, sub-attributes included, found {count}"));
    }
    check_members(&attributes, &mut fields, role);
    let schema = Schema { id, name, description, attributes };
    FoundSchema { place: fields.place.clone(), role: role.clone(), schema }
}

/// Members are kept as rows, which hold these parts and no others.
fn check_members(attributes: &[Arc<Attribute>], fields: &mut Fields<'_>, role: &Role) {
    let named = |attribute: &&Arc<Attribute>| attribute.name.eq_ignore_ascii_case("members") && attribute.multi_valued;
    let Some(members) = attributes.iter().find(named).filter(|_| !matches!(role, Role::Extension { .. })) else { return };
    if members.sub_attribute("value").is_none() {
        return;
    }
    for part in &members.sub_attributes {
        if !["value", "$ref", "display", "type"].contains(&part.name.as_str()) {
            let what = format!("expected only the parts value, $ref, display and type of 'members', found '{}'", part.name);
            fields.problem("attributes", what);
        }
    }
}

/// A URN, as RFC 7643 §3 asks for: paths tell it from an attribute by its beginning.
fn urn(fields: &mut Fields<'_>, name: &str) -> String {
    let text = fields.text(name, true);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+;=:@/%".contains(&byte);
    let is_urn = text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("urn:"))
        && text.split(':').count() > 2
        && text.split(':').all(|part| !part.is_empty())
        && text.bytes().all(allowed)
        && text.len() <= limits::PATH_BYTES / 2;
    if !text.is_empty() && !is_urn {
        fields.problem(name, format!("expected a URN such as urn:example:scim:schemas:Device, found '{}'", shorten(&text)));
    }
    text
}

fn resource_type(mut fields: Fields<'_>) -> FoundType {
    fields.allow_only(&["schemas", "id", "externalId", "name", "description", "endpoint", "schema", "schemaExtensions", "meta"]);
    let (name, endpoint) = (fields.text("name", true), fields.text("endpoint", true));
    let (description, schema) = (fields.text("description", false), urn(&mut fields, "schema"));
    let mut extensions = Vec::new();
    for (place, value) in fields.list("schemaExtensions").unwrap_or_default() {
        let Value::Object(object) = value else {
            fields.problems.push(place.problem(format!("expected an object with schema and required, found {}", shown(value))));
            continue;
        };
        let mut extension = Fields { object, place: &place, problems: fields.problems };
        extension.allow_only(&["schema", "required"]);
        let (urn, required) = (urn(&mut extension, "schema"), extension.boolean("required").unwrap_or(false));
        extensions.push((place, urn, required));
    }
    FoundType { place: fields.place.clone(), name, endpoint, description, schema, extensions }
}
