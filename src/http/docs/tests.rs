use super::document::{Source, document};
use crate::base::limits;
use crate::delivery::stream::Algorithm;
use crate::http::{Page, Surface, router, router::table, tests::context};
use crate::scim::schema::Registry;
use crate::scim::schema::load::{SchemaFile, load};
use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use tower::ServiceExt;

fn described(base_path: &str) -> Value {
    let surface = Surface { base_path: base_path.into(), ..Surface::default() };
    document(&Source { registry: &Registry::builtin(), surface: &surface, algorithms: Algorithm::ALL.into() })
}

async fn send(surface: &Surface, method: &str, uri: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(uri).header("host", "scim.example.com").header("x-api-key", "key");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).expect("a request");
    router(&context(surface.clone())).oneshot(request).await.expect("an answer")
}

fn header<'a>(response: &'a Response<Body>, name: &str) -> &'a str {
    response.headers().get(name).map_or("", |value| value.to_str().expect("text"))
}

/// What a path takes, by the document: HEAD goes with GET.
fn methods(operations: &Value) -> BTreeSet<String> {
    let named = operations.as_object().into_iter().flatten().map(|(method, _)| method.to_uppercase());
    let mut methods: BTreeSet<String> = named.collect();
    if methods.contains("GET") {
        methods.insert("HEAD".into());
    }
    methods
}

#[tokio::test]
async fn the_document_and_the_router_have_the_same_paths_and_methods() {
    for base_path in ["", "/scim/v2"] {
        let surface = Surface { base_path: base_path.into(), ..Surface::default() };
        let document = described(base_path);
        let paths = document["paths"].as_object().expect("paths");
        let mut expected: BTreeSet<String> = paths.keys().cloned().collect();
        // The files of the page are no part of the interface.
        expected.insert("/docs/{file}".into());
        if !base_path.is_empty() {
            // The same as with a slash at its end.
            expected.insert(base_path.into());
        }
        let routes: BTreeSet<String> = table(&context(surface.clone())).paths.into_iter().collect();
        assert_eq!(routes, expected, "{base_path}");
        for (path, operations) in paths {
            let response = send(&surface, "TRACE", &path.replace("{id}", "1"), &[]).await;
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
            let allowed: BTreeSet<String> = header(&response, "allow").split(',').map(|method| method.trim().to_owned()).collect();
            assert_eq!(allowed, methods(operations), "{path}");
        }
    }
}

#[test]
fn every_path_is_described() {
    let document = described("");
    let lines: BTreeMap<String, Vec<String>> = document["paths"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(path, operations)| {
            (path.clone(), operations.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect())
        })
        .collect();
    let lines: Vec<String> = lines.into_iter().map(|(path, methods)| format!("{path} {}", methods.join(" "))).collect();
    insta::assert_snapshot!(lines.join("\n"), @r"
    / get
    /.search post
    /.well-known/jwks.json get
    /Bulk post
    /Events/Feeds get
    /Events/Feeds/{id} get
    /Events/Feeds/{id}/Stream get post
    /Events/Keys get
    /Events/Keys/Rotate post
    /Events/Keys/{id}/Retire post
    /Events/Streams get post
    /Events/Streams/{id} get put patch delete
    /Events/Streams/{id}/DeadLetters get
    /Events/Streams/{id}/DeadLetters/Discard post
    /Events/Streams/{id}/DeadLetters/Retry post
    /Events/Streams/{id}/Poll post
    /Events/Streams/{id}/Replay post
    /Events/Streams/{id}/Status get post
    /Events/Streams/{id}/Verify post
    /Groups get post
    /Groups/.search post
    /Groups/{id} get put patch delete
    /Me get post put patch delete
    /ResourceTypes get
    /ResourceTypes/{id} get
    /Schemas get
    /Schemas/{id} get
    /ServiceProviderConfig get
    /Users get post
    /Users/.search post
    /Users/{id} get put patch delete
    /health get
    /metrics get
    /openapi.json get
    /ready get
    ");
}

#[test]
fn every_reference_and_every_link_leads_somewhere() {
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(object) => {
                found.extend(object.get("$ref").and_then(Value::as_str));
                object.values().for_each(|value| references(value, found));
            }
            Value::Array(values) => values.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = described("/scim/v2");
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100, "{}", found.len());
    for reference in found {
        assert!(document.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
    }
    let operations =
        || document["paths"].as_object().into_iter().flatten().flat_map(|(_, path)| path.as_object().into_iter().flatten());
    let ids: Vec<&str> = operations().filter_map(|(_, operation)| operation["operationId"].as_str()).collect();
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "each operation has its own name");
    for (_, operation) in operations() {
        let answers = operation["responses"].as_object().into_iter().flatten();
        for (linked, _) in answers.flat_map(|(_, answer)| answer["links"].as_object().into_iter().flatten()) {
            assert!(ids.contains(&linked.as_str()), "{linked}");
        }
    }
}

#[test]
fn a_type_from_a_file_is_described_by_its_schema() {
    let schema = json!({"id": "urn:example:Badge", "name": "Badge", "attributes": [
        {"name": "colour", "required": true},
        {"name": "floors", "type": "integer", "multiValued": true},
    ]});
    let kind = json!({"name": "Error", "endpoint": "/Badges", "schema": "urn:example:Badge"});
    let files = [("schema.json", schema), ("type.json", kind)]
        .map(|(name, value)| SchemaFile { name: name.into(), text: value.to_string() });
    let Ok(loaded) = load(&files) else { panic!("the files are read") };
    let source = Source { registry: &loaded.registry, surface: &Surface::default(), algorithms: Vec::new() };
    let document = document(&source);
    let code = loaded.registry.by_name("Error").expect("the type").code.0;
    // The name is one of the protocol's messages too.
    let sent = &document["components"]["schemas"][format!("Error-{code}Request")];
    assert_eq!(sent["required"], json!(["schemas", "colour"]));
    assert_eq!(sent["properties"]["floors"]["items"], json!({"type": "integer", "format": "int64"}));
    assert_eq!(document["components"]["schemas"]["Error"]["title"], "Error");
    let created = &document["paths"]["/Badges"]["post"];
    let body = &created["requestBody"]["content"]["application/scim+json"];
    assert_eq!(body["schema"]["$ref"], format!("#/components/schemas/Error-{code}Request"));
    assert_eq!(body["examples"]["Example"]["value"], json!({"schemas": ["urn:example:Badge"], "colour": "example"}));
    assert_eq!(created["operationId"], format!("createError-{code}"));
}

#[test]
fn what_a_stream_takes_is_described_as_it_is_here() {
    let registry = Registry::builtin();
    let surface = Surface::default();
    let source = Source { registry: &registry, surface: &surface, algorithms: vec![Algorithm::EdDsa] };
    let schemas = &document(&source)["components"]["schemas"];
    for name in ["StreamCreateRequest", "StreamReplaceRequest"] {
        let [push, poll] = [0, 1].map(|way| &schemas[name]["anyOf"][way]);
        assert_eq!((&push["required"], &poll["required"]), (&json!(["delivery"]), &json!([])), "{name}");
        assert_eq!(push["properties"]["delivery"]["required"], json!(["method", "endpoint_url"]), "{name}");
        assert_eq!(poll["properties"]["lanes"], json!({"type": "null"}), "{name}");
        for way in [push, poll] {
            assert_eq!(way["additionalProperties"], json!(false), "{name}");
            let one = |member: &str| &way["properties"][member]["anyOf"][0];
            assert_eq!(one("alg")["enum"], json!(["EdDSA"]), "{name}");
            assert_eq!(one("resource_types")["items"]["enum"], json!(["User", "Group"]), "{name}");
            assert_eq!(one("description")["maxLength"], limits::STREAM_DESCRIPTION_CHARACTERS, "{name}");
        }
    }
    // What the server says may be repeated; what is said once only may not.
    let members = |name: &str| schemas[name]["anyOf"][0]["properties"].as_object().expect("members").clone();
    let (created, replaced) = (members("StreamCreateRequest"), members("StreamReplaceRequest"));
    assert!(["start", "owner", "aud"].iter().all(|name| created.contains_key(*name) && created[*name]["readOnly"].is_null()));
    let repeated: Vec<&str> =
        replaced.iter().filter(|(_, member)| member["readOnly"] == true).map(|(name, _)| name.as_str()).collect();
    let ours = schemas["Stream"]["properties"].as_object().expect("members").keys().map(String::as_str);
    let ours: Vec<&str> = ours.filter(|name| !created.contains_key(*name) || ["owner", "aud"].contains(name)).collect();
    assert_eq!(repeated, ours);
}

#[test]
fn metrics_need_a_credential_unless_anybody_may_see_them() {
    let security = |metrics_public| {
        let surface = Surface { metrics_public, ..Surface::default() };
        let source = Source { registry: &Registry::builtin(), surface: &surface, algorithms: Vec::new() };
        document(&source)["paths"]["/metrics"]["get"].clone()
    };
    assert!(security(false)["security"].is_null() && security(false)["responses"]["401"].is_object());
    assert_eq!((&security(true)["security"], &security(true)["responses"]["401"]), (&json!([]), &Value::Null));
}

#[tokio::test]
async fn the_document_is_served_with_a_tag() {
    let surface = Surface { base_path: "/scim/v2".into(), ..Surface::default() };
    let response = send(&surface, "GET", "/openapi.json", &[]).await;
    assert_eq!((response.status(), header(&response, "content-type")), (StatusCode::OK, "application/json"));
    let tag = header(&response, "etag").to_owned();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    let read: Value = serde_json::from_slice(&body).expect("JSON");
    let paths = read["paths"].as_object().expect("paths");
    assert!(paths.contains_key("/scim/v2/Users/{id}") && paths.contains_key("/health"));
    assert_eq!(read["servers"], json!([{"url": "./"}]));
    for known in [tag.clone(), format!("\"x\", W/{tag}"), "*".into()] {
        let again = send(&surface, "GET", "/openapi.json", &[("if-none-match", &known)]).await;
        assert_eq!((again.status(), header(&again, "etag")), (StatusCode::NOT_MODIFIED, tag.as_str()), "{known}");
    }
    assert_eq!(send(&surface, "GET", "/openapi.json", &[("if-none-match", "\"x\"")]).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_page_and_its_files_come_from_here_alone() {
    let surface = Surface::default();
    let page = send(&surface, "GET", "/", &[("accept", "text/html,*/*;q=0.8")]).await;
    assert_eq!((page.status(), header(&page, "content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "no-referrer"),
        ("cache-control", "no-cache"),
    ] {
        assert_eq!(header(&page, name), value);
    }
    assert!(!header(&page, "content-security-policy").contains("http"));
    let html = page.into_body().collect().await.expect("a body").to_bytes();
    let html = String::from_utf8(html.to_vec()).expect("text");
    assert!(!html.contains("//"), "no other origin");
    let named: Vec<&str> = html.split('"').filter(|part| part.starts_with("docs/")).collect();
    assert_eq!(named.len(), 5);
    for name in named {
        let file = send(&surface, "GET", &format!("/{name}"), &[]).await;
        assert_eq!(file.status(), StatusCode::OK, "{name}");
        let tag = header(&file, "etag").to_owned();
        assert_eq!(send(&surface, "GET", &format!("/{name}"), &[("if-none-match", &tag)]).await.status(), StatusCode::NOT_MODIFIED);
        assert!(!file.into_body().collect().await.expect("a body").to_bytes().is_empty(), "{name}");
    }
    let head = send(&surface, "HEAD", "/", &[]).await;
    assert_eq!((head.status(), header(&head, "content-length")), (StatusCode::OK, html.len().to_string().as_str()));
    assert_eq!(send(&surface, "GET", "/docs/index.html", &[]).await.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_request_for_resources_does_not_get_the_page() {
    let kind = async |surface: &Surface, uri: &str, accept: &str| {
        let response = send(surface, "GET", uri, &[("accept", accept)]).await;
        header(&response, "content-type").split(';').next().unwrap_or_default().to_owned()
    };
    let surface = Surface::default();
    for (uri, accept, expected) in [
        ("/", "*/*", "text/html"),
        ("/?x=filter", "text/html", "text/html"),
        ("/?filter=id+pr", "text/html", "application/scim+json"),
        ("/", "text/plain, Application/SCIM+json;q=0.5", "application/scim+json"),
    ] {
        assert_eq!(kind(&surface, uri, accept).await, expected, "{uri} {accept}");
    }
    let based = Surface { base_path: "/scim/v2".into(), ..Surface::default() };
    assert_eq!(kind(&based, "/?filter=id+pr", "*/*").await, "text/html");
    let off = Surface { page: Page::Off, ..based };
    for uri in ["/", "/docs/page.js"] {
        assert_eq!(send(&off, "GET", uri, &[]).await.status(), StatusCode::NOT_FOUND, "{uri}");
    }
    assert_eq!(send(&off, "GET", "/openapi.json", &[]).await.status(), StatusCode::OK);
}
