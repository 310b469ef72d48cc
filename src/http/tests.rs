//! What needs no resource: routes, credentials, bodies, addresses, discovery.

use super::{Context, Surface, router};
use crate::auth::{Authenticator, Credential, Scope};
use crate::base::clock::SystemClock;
use crate::base::id::{Key, TimeOrderedIds};
use crate::base::limits::Limits;
use crate::base::secret::{Secret, SystemEntropy};
use crate::delivery::{self, Delivery};
use crate::engine::{Engine, Parts, Switches};
use crate::event::Mode;
use crate::scim::schema::Registry;
use crate::store::backends::{self, Opening, Purpose};
use crate::store::{Backend, Capabilities, Committed, Detail, Page, Query, Result, Store, Stored, Unit};
use async_trait::async_trait;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use tower::ServiceExt;

/// A store that nobody should ask: it panics.
#[derive(Debug)]
struct Untouched;

#[async_trait]
impl Store for Untouched {
    fn capabilities(&self) -> Capabilities {
        Capabilities { durable: false, atomic: true, member_rows: true, index_seeks: true, one_owner: false }
    }

    async fn get(&self, _: &Key, _: Detail) -> Result<Option<Stored>> {
        panic!("asked")
    }

    async fn query(&self, _: &Query) -> Result<Page> {
        panic!("asked")
    }

    async fn commit(&self, _: Unit) -> Result<Committed> {
        panic!("asked")
    }

    async fn ready(&self) -> Result<()> {
        panic!("asked")
    }
}

pub(super) fn context(surface: Surface) -> Arc<Context> {
    let opening = Opening {
        purpose: Purpose::Serve,
        data_path: PathBuf::new(),
        database_url: None,
        views: ["Users".into(), "Groups".into()],
        registry: Arc::new(Registry::builtin()),
        ids: Arc::new(TimeOrderedIds),
        limits: surface.limits.clone(),
    };
    let memory = backends::open_at_once("memory", opening).expect("a store");
    let delivery = Delivery::new(delivery::Parts {
        ledger: Arc::clone(&memory.ledger),
        registry: Arc::clone(&memory.registry),
        clock: Arc::new(SystemClock),
        ids: Arc::new(TimeOrderedIds),
        entropy: Arc::new(SystemEntropy),
        settings: delivery::Settings::default(),
    });
    let parts = Parts {
        backend: Backend { store: Arc::new(Untouched), ..memory },
        clock: Arc::new(SystemClock),
        ids: Arc::new(TimeOrderedIds),
        entropy: Arc::new(SystemEntropy),
        limits: surface.limits.clone(),
        switches: Switches::default(),
    };
    let authenticator = Authenticator::new(credentials());
    Arc::new(Context::new(Engine::new(parts), Arc::new(delivery), authenticator, surface))
}

/// `key`, which allows everything, and of each scope a key that has no other, called as the scope, and one that has every other.
fn credentials() -> impl Iterator<Item = Credential> {
    let of = |key: String, scopes: &mut dyn Iterator<Item = Scope>| {
        let mut credential = Credential::of_api_key(Secret::new(key));
        credential.scopes = scopes.collect();
        credential
    };
    let of_scope = move |scope: Scope| {
        let others = &mut Scope::ALL.into_iter().filter(|other| ![scope, Scope::Admin].contains(other));
        [of(scope.name().into(), &mut [scope].into_iter()), of(format!("not {scope}"), others)]
    };
    Scope::ALL.into_iter().flat_map(of_scope).chain([Credential::of_api_key(Secret::new("key"))])
}

fn small() -> Surface {
    Surface { limits: Limits { body_bytes: 64, body_read_ms: 50, ..Limits::default() }, ..Surface::default() }
}

struct Answered {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Answered {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().expect("text")).unwrap_or_default()
    }
}

async fn answered(response: Response) -> Answered {
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.expect("a body").to_bytes();
    let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("JSON") };
    Answered { status: parts.status.as_u16(), headers: parts.headers, body }
}

async fn send(surface: Surface, request: Request<Body>) -> Answered {
    answered(router(&context(surface)).oneshot(request).await.expect("an answer")).await
}

fn request(method: &str, uri: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Request<Body> {
    let mut builder = Request::builder().method(method).uri(uri).header("host", "scim.example.com:8000");
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(body.into()).expect("a request")
}

const KEY: (&str, &str) = ("authorization", "Bearer key");

async fn get(uri: &str) -> Answered {
    send(Surface::default(), request("GET", uri, &[], Body::empty())).await
}

fn error(status: u16, scim_type: Option<&str>, detail: &str) -> Value {
    crate::scim::message::error_body(status, scim_type, detail)
}

/// 7644-3.12-01 7644-3.11-01 7644-4-03
#[tokio::test]
async fn every_failure_is_a_scim_error() {
    let cases = [
        ("GET", "/nowhere", 404, "There is no such endpoint."),
        ("GET", "/Users/a/b", 404, "There is no such endpoint."),
        ("DELETE", "/Users", 405, "DELETE is not allowed at /Users."),
        ("POST", "/Schemas", 405, "POST is not allowed at /Schemas."),
        ("PATCH", "/Me", 501, "The credential is not mapped to a user, so that it has no /Me."),
        ("POST", "/Me", 501, "A user is not created through /Me: POST it to its own endpoint."),
        ("GET", "/Events/Feeds/other", 404, "Feed other not found."),
    ];
    for (method, uri, status, detail) in cases {
        let answer = send(Surface::default(), request(method, uri, &[KEY], Body::empty())).await;
        assert_eq!((answer.status, answer.body.clone()), (status, error(status, None, detail)), "{method} {uri}");
        assert_eq!(answer.header("content-type"), "application/scim+json", "{method} {uri}");
    }
}

/// 7644-3.13-01
#[tokio::test]
async fn another_version_of_the_protocol_is_refused() {
    for uri in ["/v1/Users", "/scim/V3/Groups/1"] {
        let answer = send(Surface::default(), request("GET", uri, &[KEY], Body::empty())).await;
        let version = uri.split('/').find(|segment| segment.starts_with(['v', 'V'])).unwrap_or_default();
        let detail = format!("Version '{version}' of the protocol is not served; v2 is.");
        assert_eq!((answer.status, answer.body), (400, error(400, Some("invalidVers"), &detail)));
    }
    assert_eq!(get("/v2/Users").await.status, 404);
}

#[tokio::test]
async fn a_method_that_is_not_allowed_names_those_that_are() {
    let answer = send(Surface::default(), request("POST", "/Users/1", &[KEY], Body::empty())).await;
    let mut allowed: Vec<&str> = answer.header("allow").split(',').collect();
    allowed.sort_unstable();
    assert_eq!(allowed, ["DELETE", "GET", "HEAD", "PATCH", "PUT"]);
}

/// 7644-2-01
#[tokio::test]
async fn without_a_known_credential_the_answer_is_401() {
    let cases: [(&[(&str, &str)], &str); 6] = [
        (&[], "A credential is needed: an API key as bearer token, or in X-API-Key."),
        (&[("authorization", "Basic a2V5")], "A credential is needed: an API key as bearer token, or in X-API-Key."),
        (&[("authorization", "Bearer")], "A credential is needed: an API key as bearer token, or in X-API-Key."),
        (&[("authorization", "Bearer kez")], "The credential is not known."),
        (&[("authorization", "Bearer kez"), ("x-api-key", "key")], "The credential is not known."),
        (&[("x-api-key", "kez")], "The credential is not known."),
    ];
    for uri in ["/Users", "/Users/1", "/Groups", "/Me", "/Events/Feeds", "/Events/Feeds/default", "/Events/Feeds/default/Stream"] {
        for (headers, detail) in &cases {
            let answer = send(Surface::default(), request("GET", uri, headers, Body::empty())).await;
            assert_eq!((answer.status, answer.body.clone()), (401, error(401, None, detail)), "{uri} {headers:?}");
            assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"carillon\"");
        }
    }
    for header in [("authorization", "bEARER  key"), ("x-api-key", "key")] {
        assert_eq!(send(Surface::default(), request("GET", "/Events/Feeds", &[header], Body::empty())).await.status, 200);
    }
}

/// 7644-3.7.4-01 7644-3.8-01
#[tokio::test]
async fn bodies_are_bounded_in_type_size_and_time() {
    let post = |headers: &[(&str, &str)], body: Body| {
        let headers = [&[KEY], headers].concat();
        send(small(), request("POST", "/Users", &headers, body))
    };
    let too_large = error(413, None, "The body is over the limit of 64 bytes.");
    let announced = post(&[("content-length", "65")], Body::from(" ".repeat(65))).await;
    assert_eq!((announced.status, announced.body), (413, too_large.clone()));
    assert_eq!(post(&[], Body::from(" ".repeat(65))).await.body, too_large);
    // The sending half stays open, and nothing ever comes through it.
    let (_sender, channel) = http_body_util::channel::Channel::<bytes::Bytes>::new(1);
    let late = post(&[], Body::new(channel)).await;
    assert_eq!((late.status, late.body), (408, error(408, None, "The body did not arrive within 50 milliseconds.")));
    for kind in ["text/plain", "application/xml", "application/scim+jsonx", ""] {
        assert_eq!(post(&[("content-type", kind)], Body::from("{}")).await.status, 415, "{kind}");
    }
    assert_eq!(post(&[("content-encoding", "gzip")], Body::from("{}")).await.status, 415);
    for kind in ["application/scim+json", "Application/JSON; charset=utf-8"] {
        let answer = post(&[("content-type", kind)], Body::from("{")).await;
        assert_eq!((answer.status, &answer.body["scimType"]), (400, &json!("invalidSyntax")), "{kind}");
    }
    assert_eq!(post(&[], Body::empty()).await.body["scimType"], "invalidSyntax");
}

/// 7644-3.4.2.4-04 9110-13.1.1-01
#[tokio::test]
async fn garbage_in_path_query_and_preconditions_is_400() {
    for (method, uri, headers) in [
        ("GET", "/Users/%ff", &[][..]),
        ("GET", "/Users?filter=%ff", &[]),
        ("GET", "/Users?count=many", &[]),
        ("GET", "/Users/1", &[("if-none-match", "3")]),
        ("DELETE", "/Users/1", &[("if-match", "garbage")]),
        ("DELETE", "/Users/1", &[("if-match", "\"1\""), ("if-match", "2")]),
        ("PUT", "/Users/1", &[("if-none-match", "3")]),
        ("GET", "/Events/Feeds/default/Stream?limit=-1", &[]),
    ] {
        let headers = [&[KEY], headers].concat();
        let answer = send(Surface::default(), request(method, uri, &headers, Body::empty())).await;
        assert_eq!((answer.status, answer.body["status"].clone()), (400, json!("400")), "{method} {uri}");
    }
}

#[tokio::test]
async fn a_panic_is_a_500_that_says_nothing_of_it() {
    let deleted = send(Surface::default(), request("DELETE", "/Users/1", &[KEY], Body::empty())).await;
    assert_eq!((deleted.status, deleted.body), (500, error(500, None, "The server failed.")));
}

/// 7644-3.3-04
#[tokio::test]
async fn addresses_are_built_from_host_or_the_public_url() {
    let location = |answer: &Answered| answer.body["meta"]["location"].clone();
    assert_eq!(location(&get("/ServiceProviderConfig").await), "http://scim.example.com:8000/ServiceProviderConfig");
    let surface = Surface { base_path: "/scim/v2".into(), ..Surface::default() };
    let based = send(surface.clone(), request("GET", "/scim/v2/ResourceTypes/user", &[], Body::empty())).await;
    assert_eq!(location(&based), "http://scim.example.com:8000/scim/v2/ResourceTypes/User");
    let outside = send(surface.clone(), request("GET", "/ResourceTypes", &[], Body::empty())).await;
    assert_eq!(outside.status, 404);
    let surface = Surface { public_url: Some("https://id.example.org".into()), ..surface };
    let public = send(surface, request("GET", "/scim/v2/Schemas/urn:ietf:params:scim:schemas:core:2.0:USER", &[], Body::empty()));
    assert_eq!(location(&public.await), "https://id.example.org/scim/v2/Schemas/urn:ietf:params:scim:schemas:core:2.0:User");
    for host in ["", "a b", "evil.example/x", "user@host", "a\"b", "ü", "a:b:c", "]", "a:", "a:0", "a:99999", "::1", "[::1"] {
        let mut asked = request("GET", "/ServiceProviderConfig", &[], Body::empty());
        asked.headers_mut().insert("host", host.parse().expect("a header"));
        let answer = send(Surface::default(), asked).await;
        assert_eq!((answer.status, &answer.body["scimType"]), (400, &json!("invalidSyntax")), "{host}");
    }
    for host in ["[::1]", "[2001:db8::1]:8443", "192.0.2.1:80", "a_b-c.example."] {
        let mut asked = request("GET", "/ServiceProviderConfig", &[], Body::empty());
        asked.headers_mut().insert("host", host.parse().expect("a header"));
        assert_eq!(location(&send(Surface::default(), asked).await), format!("http://{host}/ServiceProviderConfig"));
    }
    let twice = request("GET", "/ServiceProviderConfig", &[("host", "other.example.com")], Body::empty());
    assert_eq!(send(Surface::default(), twice).await.status, 400);
}

/// 7643-5-01 7643-5-02 9967-4-03
#[tokio::test]
async fn the_configuration_says_what_is_built() {
    let answer = get("/ServiceProviderConfig").await;
    assert_eq!(answer.status, 200);
    insta::assert_snapshot!(serde_json::to_string_pretty(&answer.body).expect("JSON"), @r#"
        {
          "schemas": [
            "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"
          ],
          "patch": {
            "supported": true
          },
          "bulk": {
            "supported": true,
            "maxOperations": 1000,
            "maxPayloadSize": 16777216
          },
          "filter": {
            "supported": true,
            "maxResults": 100
          },
          "changePassword": {
            "supported": true
          },
          "sort": {
            "supported": true
          },
          "etag": {
            "supported": true
          },
          "authenticationSchemes": [
            {
              "type": "oauthbearertoken",
              "name": "API key",
              "description": "An API key as bearer token, or in the header X-API-Key.",
              "specUri": "https://www.rfc-editor.org/info/rfc6750",
              "primary": true
            }
          ],
          "pagination": {
            "cursor": true,
            "index": true,
            "defaultPaginationMethod": "index",
            "defaultPageSize": 100,
            "maxPageSize": 100,
            "cursorTimeout": 86400
          },
          "securityEvents": {
            "asyncRequest": "none",
            "eventUris": [
              "urn:ietf:params:scim:event:prov:create:notice",
              "urn:ietf:params:scim:event:prov:put:notice",
              "urn:ietf:params:scim:event:prov:patch:notice",
              "urn:ietf:params:scim:event:prov:delete",
              "urn:ietf:params:scim:event:prov:activate",
              "urn:ietf:params:scim:event:prov:deactivate"
            ]
          },
          "meta": {
            "resourceType": "ServiceProviderConfig",
            "location": "http://scim.example.com:8000/ServiceProviderConfig"
          }
        }
        "#);
}

/// 9967-4-03
#[tokio::test]
async fn the_configuration_names_full_events_where_there_are_any() {
    let surface = Surface { event_mode: Mode::Full, ..Surface::default() };
    let full = send(surface, request("GET", "/ServiceProviderConfig", &[], Body::empty())).await;
    let uris: Vec<&str> =
        full.body["securityEvents"]["eventUris"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(uris.len(), 9);
    assert!(
        uris.contains(&"urn:ietf:params:scim:event:prov:patch:full")
            && uris.contains(&"urn:ietf:params:scim:event:prov:patch:notice")
    );
}

/// 7644-4-01 7643-6-01 7643-7-01
#[tokio::test]
async fn schemas_and_types_are_lists_and_single_resources() {
    let schemas = get("/Schemas?count=1&startIndex=9&sortBy=id").await;
    assert_eq!(schemas.body["totalResults"], 6);
    assert!(!schemas.body.to_string().contains("null"));
    for schema in schemas.body["Resources"].as_array().expect("resources") {
        let uri = format!("/Schemas/{}", schema["id"].as_str().expect("an id"));
        assert_eq!(&get(&uri).await.body, schema);
        assert_eq!(schema["meta"], json!({"resourceType": "Schema", "location": format!("http://scim.example.com:8000{uri}")}));
    }
    let types = get("/ResourceTypes").await;
    let user = json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
        "id": "User", "name": "User", "endpoint": "/Users", "description": "User Account",
        "schema": "urn:ietf:params:scim:schemas:core:2.0:User",
        "schemaExtensions": [{"schema": "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", "required": false}],
        "meta": {"resourceType": "ResourceType", "location": "http://scim.example.com:8000/ResourceTypes/User"},
    });
    assert_eq!(types.body["totalResults"], 2);
    assert_eq!(types.body["Resources"][0], user);
    assert_eq!(get("/ResourceTypes/USER").await.body, user);
    assert_eq!(get("/ResourceTypes/Robot").await.body, error(404, None, "ResourceType Robot not found."));
    assert_eq!(get("/Schemas/urn:x").await.body, error(404, None, "Schema urn:x not found."));
}

/// 7644-4-02
#[tokio::test]
async fn discovery_refuses_a_filter() {
    for uri in [
        "/Schemas?filter=id+pr",
        "/ResourceTypes?filter=id+pr",
        "/ServiceProviderConfig?filter=x",
        "/Schemas/urn:x?count=a&%66ilter",
    ] {
        let refused = error(403, None, "filter is not allowed at the discovery endpoints.");
        assert_eq!(get(uri).await.body, refused, "{uri}");
    }
}

/// 7644-4-02
#[tokio::test]
async fn discovery_passes_over_what_sorts_and_pages() {
    for path in ["/Schemas", "/ResourceTypes", "/ServiceProviderConfig", "/ResourceTypes/User"] {
        let plain = get(path).await;
        for query in
            ["startIndex=2&count=0&sortBy=id&sortOrder=descending", "startIndex=a&count=b&count=c&cursor=%", "sortOrder=down"]
        {
            let asked = get(&format!("{path}?{query}")).await;
            assert_eq!((asked.status, asked.body), (200, plain.body.clone()), "{path}?{query}");
        }
    }
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let head = send(Surface::default(), request("HEAD", "/ResourceTypes", &[], Body::empty())).await;
    let length = get("/ResourceTypes").await.body.to_string().len().to_string();
    assert_eq!((head.status, head.body.clone(), head.header("content-length")), (200, Value::Null, length.as_str()));
}

#[tokio::test]
async fn the_default_feed_is_listed() {
    let ask = |uri| send(Surface::default(), request("GET", uri, &[KEY], Body::empty()));
    let uri = "http://scim.example.com:8000/Events/Feeds/default";
    let listed = ask("/Events/Feeds").await;
    let entry = json!({"id": "default", "displayName": "Every event", "uri": uri, "relativeUri": "/Events/Feeds/default"});
    assert_eq!((listed.body["totalResults"].clone(), listed.body["Resources"].clone()), (json!(1), json!([entry])));
}

#[tokio::test]
async fn a_stopping_server_lives_and_is_not_ready() {
    let context = context(Surface::default());
    context.stop();
    for (uri, status, said) in [("/health", StatusCode::OK, "ok"), ("/ready", StatusCode::SERVICE_UNAVAILABLE, "stopping")] {
        let asked = router(&context).oneshot(request("GET", uri, &[], Body::empty()));
        let answer = answered(asked.await.expect("an answer")).await;
        assert_eq!((answer.status, answer.body), (status.as_u16(), json!({"status": said})), "{uri}");
    }
}
