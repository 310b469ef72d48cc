//! The OpenAPI 3.1 document, made of the registry, the base path and the limits.

use super::message::{self, reference};
use super::operation;
use super::schema::{self, Direction};
use super::{parameter, paths};
use crate::delivery::stream::Algorithm;
use crate::http::Surface;
use crate::scim::schema::{RESOURCE_TYPE, Registry, ResourceType, SCHEMA, SERVICE_PROVIDER_CONFIG};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// What the document is made of.
#[derive(Debug)]
pub(super) struct Source<'a> {
    pub(super) registry: &'a Registry,
    pub(super) surface: &'a Surface,
    /// Those that a stream's events can be signed with.
    pub(super) algorithms: Vec<Algorithm>,
}

impl Source<'_> {
    /// A path under the base path.
    pub(super) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.surface.base_path)
    }
}

/// The discovery endpoints' documents, by the names that `components` gives them.
const DISCOVERED: [(&str, &str); 3] =
    [("ServiceProviderConfig", SERVICE_PROVIDER_CONFIG), ("ResourceType", RESOURCE_TYPE), ("Schema", SCHEMA)];

/// The whole document.
///
/// The server's address is relative: it is the folder that the document was read from, also where a proxy serves it under a prefix.
pub(super) fn document(source: &Source<'_>) -> Value {
    let kinds = source.registry.types().iter();
    let tags = kinds.map(|kind| json!({"name": kind.name, "description": kind.description})).chain([
        json!({"name": paths::SEVERAL, "description": "Requests over every resource type."}),
        json!({"name": paths::EVENTS, "description": "Every committed change, in order (RFC 9967)."}),
        json!({"name": paths::DISCOVERY, "description": "What this server is and can do. Needs no key."}),
        json!({"name": paths::SERVER, "description": "Health, metrics, and this document."}),
    ]);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Carillon",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "SCIM 2.0, with an event for every committed change",
            "description": "Users, groups and other resources by RFC 7643 and RFC 7644; events by RFC 9967. Choose **Authorize** and \
                enter an API key: it is sent with every request of this page.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "./"}],
        "security": [{"bearer": []}, {"apiKey": []}],
        "tags": tags.collect::<Vec<Value>>(),
        "paths": paths::all(source),
        "components": {
            "schemas": schemas(source),
            "parameters": parameter::all(&source.surface.limits),
            "headers": parameter::headers(),
            "responses": operation::failures(),
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, as `Authorization: Bearer …`."},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key, in this header."},
            },
        },
    })
}

fn schemas(source: &Source<'_>) -> Map<String, Value> {
    let mut schemas = Map::new();
    for kind in source.registry.types() {
        let name = component(kind);
        schemas.insert(name.clone(), schema::resource(kind, Direction::Response));
        schemas.insert(request(kind), schema::resource(kind, Direction::Request));
        schemas.insert(list(kind), message::list(&reference(&name)));
    }
    // A search over several types answers what any of them is.
    let any: Vec<Value> = source.registry.types().iter().map(|kind| reference(&component(kind))).collect();
    schemas.insert("AnyList".into(), message::list(&json!({"anyOf": any})));
    for (name, urn) in DISCOVERED {
        let described = source.registry.schema(urn).map_or_else(|| json!({"type": "object"}), |schema| schema::discovered(schema));
        schemas.insert(name.into(), described);
        schemas.insert(format!("{name}List"), message::list(&reference(name)));
    }
    if let Some(schema) = source.registry.schema(SCHEMA) {
        schemas.insert("SchemaAttribute".into(), schema::definition(schema));
        schemas["Schema"]["properties"]["attributes"]["items"] = reference("SchemaAttribute");
    }
    schemas.extend(message::all(&source.surface.limits));
    schemas.extend(super::streams::messages(source));
    schemas.extend(super::feeds::messages());
    schemas
}

/// What `components` calls a resource type. A name that cannot stand there, or could be one of a message, gets the type's number.
pub(super) fn component(kind: &Arc<ResourceType>) -> String {
    let is_plain = kind.name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_ours = DISCOVERED.iter().any(|(name, _)| *name == kind.name)
        || NAMES_OF_MESSAGES.iter().chain(&super::streams::NAMES).chain(&super::feeds::NAMES).any(|name| *name == kind.name);
    let is_derived = ["Request", "List"].iter().any(|end| kind.name.ends_with(end));
    if is_plain && !is_ours && !is_derived {
        return kind.name.clone();
    }
    let plain: String = kind.name.chars().filter(char::is_ascii_alphanumeric).collect();
    format!("{plain}-{}", kind.code.0)
}

/// Those of [`message::all`] that do not end like something derived.
const NAMES_OF_MESSAGES: [&str; 6] = ["Error", "ListResponse", "PatchOp", "BulkResponse", "Health", "SchemaAttribute"];

/// What `components` calls the document that a client sends of a type.
pub(super) fn request(kind: &Arc<ResourceType>) -> String {
    format!("{}Request", component(kind))
}

/// What `components` calls a list of a type's resources.
pub(super) fn list(kind: &Arc<ResourceType>) -> String {
    format!("{}List", component(kind))
}
