//! Every path with its operations, as `http::router` serves them; a test holds the two together.

use super::document::{Source, component, list, request};
use super::message::reference;
use super::operation::Operation;
use super::parameter::{self, OF_ANSWERS, OF_LISTS};
use super::{document, example};
use crate::http::Page;
use crate::scim::schema::ResourceType;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The tag of what reaches over the types.
pub(super) const SEVERAL: &str = "Several types";
/// The tag of feeds.
pub(super) const EVENTS: &str = "Events";
/// The tag of the discovery endpoints.
pub(super) const DISCOVERY: &str = "Discovery";
/// The tag of what is outside the protocol.
pub(super) const SERVER: &str = "Server";

/// Every path.
pub(super) fn all(source: &Source<'_>) -> Map<String, Value> {
    let mut paths = Map::new();
    for kind in source.registry.types() {
        of_type(source, kind, &mut paths);
    }
    of_several_types(source, &mut paths);
    super::feeds::paths(source, &mut paths);
    super::streams::paths(source, &mut paths);
    of_keys(source, &mut paths);
    of_discovery(source, &mut paths);
    of_server(source, &mut paths);
    paths
}

/// Adds operations to a path, which may have some.
pub(super) fn add<const N: usize>(paths: &mut Map<String, Value>, path: String, operations: [(&str, Operation); N]) {
    let item = paths.entry(path).or_insert_with(|| json!({}));
    for (method, operation) in operations {
        item[method] = operation.finish();
    }
}

fn of_type(source: &Source<'_>, kind: &Arc<ResourceType>, paths: &mut Map<String, Value>) {
    let (tag, name) = (kind.name.as_str(), component(kind));
    let id = |verb: &str| format!("{verb}{name}");
    let (one, several, sent) = (reference(&name), reference(&list(kind)), reference(&request(kind)));
    let examples = [("Example", example::resource(kind))];
    let (patches, filter) = (example::patches(kind), example::filter(kind));
    let linked = ["read", "replace", "modify", "delete"].map(id);
    add(
        paths,
        source.at(&kind.endpoint),
        [
            (
                "get",
                Operation::new(tag, &id("list"), "List, filter, sort and page")
                    .parameter(parameter::filter(&filter, None))
                    .takes(OF_LISTS)
                    .answers(200, "A page of matches.", &several, &[]),
            ),
            (
                "post",
                Operation::new(tag, &id("create"), "Create")
                    .takes(OF_ANSWERS)
                    .takes(&["Prefer"])
                    .body(&sent, &examples)
                    .answers(201, "The resource as it was created.", &one, &["ETag", "Location", "Preference-Applied"])
                    .links(201, &linked)
                    .failures(&[409]),
            ),
        ],
    );
    add(
        paths,
        source.at(&format!("{}/.search", kind.endpoint)),
        [(
            "post",
            Operation::new(tag, &id("search"), "Search, with the filter in the body")
                .body(&reference("SearchRequest"), &[("Search", example::search(&filter))])
                .answers(200, "A page of matches.", &several, &[]),
        )],
    );
    add(
        paths,
        source.at(&format!("{}/{{id}}", kind.endpoint)),
        [
            ("get", read(Operation::new(tag, &id("read"), "Read").takes(&["id"]), &one)),
            ("put", replace(Operation::new(tag, &id("replace"), "Replace").takes(&["id"]), &one).body(&sent, &examples)),
            (
                "patch",
                modify(Operation::new(tag, &id("modify"), "Modify").takes(&["id"]), &one).body(&reference("PatchOp"), &patches),
            ),
            ("delete", delete(Operation::new(tag, &id("delete"), "Delete").takes(&["id"]))),
        ],
    );
}

fn read(operation: Operation, one: &Value) -> Operation {
    operation
        .takes(OF_ANSWERS)
        .takes(&["If-Match", "If-None-Match"])
        .answers(200, "The resource.", one, &["ETag", "Location"])
        .answers_empty(304, "The client has this version. Not answered when `groups` is asked for.", &["ETag"])
        .failures(&[404, 412])
}

fn replace(operation: Operation, one: &Value) -> Operation {
    operation
        .about("What the body leaves out is cleared, save secrets and what is read-only (RFC 7644 §3.5.1).")
        .takes(OF_ANSWERS)
        .takes(&["If-Match", "Prefer"])
        .answers(200, "The resource as it is now.", one, &["ETag", "Location", "Preference-Applied"])
        .answers_empty(204, "Done; the client prefers no more.", &["ETag", "Preference-Applied"])
        .failures(&[404, 409, 412])
}

fn modify(operation: Operation, one: &Value) -> Operation {
    operation
        .takes(OF_ANSWERS)
        .takes(&["If-Match", "Prefer"])
        .answers(200, "The resource as it is now.", one, &["ETag", "Location", "Preference-Applied"])
        .answers_empty(204, "Done: a large group, or the client prefers no more.", &["ETag", "Preference-Applied"])
        .failures(&[404, 409, 412])
}

fn delete(operation: Operation) -> Operation {
    operation.takes(&["If-Match"]).answers_empty(204, "It is gone.", &[]).failures(&[404, 412])
}

fn of_several_types(source: &Source<'_>, paths: &mut Map<String, Value>) {
    let any = reference("AnyList");
    let filter = "meta.created ge \"2026-01-01T00:00:00Z\"";
    let is_page = source.surface.base_path.is_empty() && source.surface.page == Page::Served;
    let mut root = Operation::new(SEVERAL, "listAll", "List resources of every type")
        .parameter(parameter::filter(filter, Some(filter)))
        .takes(OF_LISTS)
        .answers(200, "A page of matches.", &any, &[]);
    if is_page {
        root = root
            .about("Without a filter, and unless application/scim+json is asked for, a browser gets the interactive page.")
            .open_to_all()
            .answers_in("text/html", 200, "A page of matches, or the interactive page.", &json!({"type": "string"}), &[]);
    }
    add(paths, source.at("/"), [("get", root)]);
    add(
        paths,
        source.at("/.search"),
        [(
            "post",
            Operation::new(SEVERAL, "searchAll", "Search resources of every type, with the filter in the body")
                .body(&reference("SearchRequest"), &[("Search", example::search(filter))])
                .answers(200, "A page of matches.", &any, &[]),
        )],
    );
    add(
        paths,
        source.at("/Bulk"),
        [(
            "post",
            Operation::new(SEVERAL, "bulk", "Many operations in one request")
                .body(&reference("BulkRequest"), &[("A user in a group", example::bulk())])
                .answers(200, "What became of each operation.", &reference("BulkResponse"), &[])
                .failures(&[409]),
        )],
    );
    of_me(source, paths);
}

/// `/Me` stands for the user that the key is mapped to (RFC 7644 §3.11).
fn of_me(source: &Source<'_>, paths: &mut Map<String, Value>) {
    let Some(kind) = source.registry.by_name("User") else { return };
    let (one, sent) = (reference(&component(kind)), reference(&document::request(kind)));
    let new = |verb: &str, summary: &str| Operation::new(SEVERAL, &format!("{verb}Me"), summary).failures(&[501]);
    let examples = [("Example", example::resource(kind))];
    add(
        paths,
        source.at("/Me"),
        [
            ("get", read(new("read", "Read the user of this key"), &one)),
            ("post", new("create", "Refused: a user is created at its own endpoint")),
            ("put", replace(new("replace", "Replace the user of this key"), &one).body(&sent, &examples)),
            (
                "patch",
                modify(new("modify", "Modify the user of this key"), &one).body(&reference("PatchOp"), &example::patches(kind)),
            ),
            ("delete", delete(new("delete", "Delete the user of this key"))),
        ],
    );
}

/// The keys that events are signed with.
fn of_keys(source: &Source<'_>, paths: &mut Map<String, Value>) {
    let (keys, all) = (reference("SigningKeyList"), "Every key, without what is secret.");
    let published = Operation::outside(EVENTS, "readJwkSet", "The public keys that verify events")
        .answers_in(
            "application/jwk-set+json",
            200,
            "Every key that signs, will sign or has signed.",
            &reference("JwkSet"),
            &["Cache-Control"],
        )
        .failures(&[400, 500, 503]);
    add(paths, "/.well-known/jwks.json".into(), [("get", published)]);
    let listed = Operation::new(EVENTS, "listKeys", "List signing keys").answers(200, all, &keys, &[]).failures(&[403]);
    add(paths, source.at("/Events/Keys"), [("get", listed)]);
    let examples = [("When receivers can know it", json!({})), ("At once", json!({"alg": "ES256", "now": true}))];
    let rotated = Operation::new(EVENTS, "rotateKeys", "Rotate signing keys")
        .about("A new key is published at once. It signs half an hour later, when every copy of the JWK Set has it; with `now`, at once.")
        .body(&reference("KeyRotation"), &examples)
        .answers(200, all, &keys, &[])
        .links_at(200, "/Resources/0/kid", &["retireKey".to_owned()])
        .failures(&[403, 409]);
    add(paths, source.at("/Events/Keys/Rotate"), [("post", rotated)]);
    let kid = json!({
        "name": "id", "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}, "description": "The `kid`.",
    });
    let retired = Operation::new(EVENTS, "retireKey", "Take a signing key out of use at once")
        .about("What it signed can no longer be verified. If it was the one that signs, another one does from now on.")
        .parameter(kid)
        .answers(200, all, &keys, &[])
        .failures(&[403, 404]);
    add(paths, source.at("/Events/Keys/{id}/Retire"), [("post", retired)]);
}

fn of_discovery(source: &Source<'_>, paths: &mut Map<String, Value>) {
    let get = |path: &str, id: &str, summary: &str, schema: &str| {
        let operation = Operation::public(DISCOVERY, id, summary)
            .answers(200, "What is served.", &reference(schema), &[])
            // 7644-4-02
            .failures(&[403]);
        (source.at(path), operation)
    };
    let named = |operation: Operation, example: &str| {
        let schema = json!({"type": "string", "minLength": 1});
        operation
            .failures(&[404])
            .parameter(json!({"name": "id", "in": "path", "required": true, "schema": schema, "example": example}))
    };
    let (path, operation) =
        get("/ServiceProviderConfig", "readServiceProviderConfig", "What is supported", "ServiceProviderConfig");
    add(paths, path, [("get", operation)]);
    let (path, operation) = get("/ResourceTypes", "listResourceTypes", "List resource types", "ResourceTypeList");
    add(paths, path, [("get", operation)]);
    let (path, operation) = get("/ResourceTypes/{id}", "readResourceType", "Read a resource type", "ResourceType");
    let kind = source.registry.types().first().map_or("User", |kind| kind.name.as_str());
    add(paths, path, [("get", named(operation, kind))]);
    let (path, operation) = get("/Schemas", "listSchemas", "List schemas", "SchemaList");
    add(paths, path, [("get", operation)]);
    let (path, operation) = get("/Schemas/{id}", "readSchema", "Read a schema", "Schema");
    let schema = source.registry.schemas().first().map_or("", |schema| schema.id.as_str());
    add(paths, path, [("get", named(operation, schema))]);
}

/// Outside the base path.
fn of_server(source: &Source<'_>, paths: &mut Map<String, Value>) {
    let begun = if source.surface.metrics_public { Operation::public } else { Operation::new };
    let watched = begun(SERVER, "metrics", "What happens, counted")
        .about("Prometheus' text format 0.0.4. It needs the scope `admin`, unless the server is configured to tell anybody.")
        .answers_in("text/plain", 200, "Every metric.", &json!({"type": "string"}), &["Cache-Control"]);
    add(paths, "/metrics".into(), [("get", watched)]);
    let health = reference("Health");
    let json = "application/json";
    add(
        paths,
        "/health".into(),
        [(
            "get",
            Operation::outside(SERVER, "health", "Whether the server lives").answers_in(
                json,
                200,
                "It does.",
                &health,
                &["Cache-Control"],
            ),
        )],
    );
    add(
        paths,
        "/ready".into(),
        [(
            "get",
            Operation::outside(SERVER, "ready", "Whether the server can serve")
                .answers_in(json, 200, "It can.", &health, &["Cache-Control"])
                .answers_in(json, 503, "It is stopping, or its store does not answer.", &health, &["Cache-Control"]),
        )],
    );
    add(
        paths,
        "/openapi.json".into(),
        [(
            "get",
            Operation::outside(SERVER, "openapi", "This document")
                .answers_in(json, 200, "An OpenAPI 3.1 document.", &json!({"type": "object"}), &["ETag", "Cache-Control"])
                .answers_empty(304, "The client has this version.", &["ETag", "Cache-Control"]),
        )],
    );
    let page = paths.get("/").is_none().then(|| {
        Operation::outside(SERVER, "page", "The interactive page")
            .answers_in("text/html", 200, "The page.", &json!({"type": "string"}), &["ETag", "Cache-Control"])
            .answers_empty(304, "The client has this version.", &["ETag", "Cache-Control"])
    });
    if let Some(page) = page {
        add(paths, "/".into(), [("get", page)]);
    }
}
