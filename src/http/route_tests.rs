//! Every route × every method: what is allowed, and what needs a credential with which scope. A route without a case fails.

use super::SCIM_JSON;
use super::Surface;
use super::router::{router, table};
use super::tests::context;
use crate::auth::Scope;
use axum::body::Body;
use axum::http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tower::ServiceExt;

/// A route: its path, what it allows, and what it needs.
struct Case(&'static str, &'static str, Needs);

/// What a route needs.
#[derive(Clone, Copy, Debug)]
enum Needs {
    /// No credential.
    Nothing,
    /// A credential with this scope.
    One(Scope),
    /// A credential with `scim:read` to read, and with `scim:write` for everything else.
    Scim,
}

impl Needs {
    fn scope(self, method: &str) -> Option<Scope> {
        match self {
            Self::Nothing => None,
            Self::One(scope) => Some(scope),
            Self::Scim if ["GET", "HEAD"].contains(&method) => Some(Scope::ScimRead),
            Self::Scim => Some(Scope::ScimWrite),
        }
    }
}

/// Every route. What needs no credential is what a client has to know before it has one, and what watches the server.
const CASES: &[Case] = &[
    // The root query when it is asked for; otherwise the page's place.
    Case("/", "GET HEAD", Needs::Nothing),
    Case("/ServiceProviderConfig", "GET HEAD", Needs::Nothing),
    Case("/Schemas", "GET HEAD", Needs::Nothing),
    Case("/Schemas/{id}", "GET HEAD", Needs::Nothing),
    Case("/ResourceTypes", "GET HEAD", Needs::Nothing),
    Case("/ResourceTypes/{id}", "GET HEAD", Needs::Nothing),
    Case("/health", "GET HEAD", Needs::Nothing),
    Case("/openapi.json", "GET HEAD", Needs::Nothing),
    Case("/docs/{file}", "GET HEAD", Needs::Nothing),
    Case("/ready", "GET HEAD", Needs::Nothing),
    Case("/metrics", "GET HEAD", Needs::One(Scope::Admin)),
    Case("/Events/Feeds", "GET HEAD", Needs::One(Scope::EventsRead)),
    Case("/Events/Feeds/{id}", "GET HEAD", Needs::One(Scope::EventsRead)),
    Case("/Events/Feeds/{id}/Stream", "GET HEAD POST", Needs::One(Scope::EventsRead)),
    Case("/Events/Streams", "GET HEAD POST", Needs::One(Scope::StreamsManage)),
    Case("/Events/Streams/{id}", "DELETE GET HEAD PATCH PUT", Needs::One(Scope::StreamsManage)),
    Case("/Events/Streams/{id}/Status", "GET HEAD POST", Needs::One(Scope::StreamsManage)),
    Case("/Events/Streams/{id}/Verify", "POST", Needs::One(Scope::StreamsManage)),
    Case("/Events/Streams/{id}/Replay", "POST", Needs::One(Scope::StreamsManage)),
    Case("/Events/Streams/{id}/DeadLetters", "GET HEAD", Needs::One(Scope::StreamsManage)),
    Case("/Events/Streams/{id}/DeadLetters/Retry", "POST", Needs::One(Scope::StreamsManage)),
    Case("/Events/Streams/{id}/DeadLetters/Discard", "POST", Needs::One(Scope::StreamsManage)),
    Case("/Events/Streams/{id}/Poll", "POST", Needs::One(Scope::EventsRead)),
    Case("/Events/Keys", "GET HEAD", Needs::One(Scope::Admin)),
    Case("/Events/Keys/Rotate", "POST", Needs::One(Scope::Admin)),
    Case("/Events/Keys/{id}/Retire", "POST", Needs::One(Scope::Admin)),
    Case("/.well-known/jwks.json", "GET HEAD", Needs::Nothing),
    Case("/Bulk", "POST", Needs::Scim),
    Case("/.search", "POST", Needs::One(Scope::ScimRead)),
    Case("/Me", "DELETE GET HEAD PATCH POST PUT", Needs::Scim),
    Case("/Users", "GET HEAD POST", Needs::Scim),
    Case("/Users/.search", "POST", Needs::One(Scope::ScimRead)),
    Case("/Users/{id}", "DELETE GET HEAD PATCH PUT", Needs::Scim),
    Case("/Groups", "GET HEAD POST", Needs::Scim),
    Case("/Groups/.search", "POST", Needs::One(Scope::ScimRead)),
];
const ONE_GROUP: Case = Case("/Groups/{id}", "DELETE GET HEAD PATCH PUT", Needs::Scim);

fn cases() -> impl Iterator<Item = &'static Case> {
    CASES.iter().chain([&ONE_GROUP])
}

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PURGE"];

async fn send(method: &str, path: &str, key: Option<&str>) -> Response<Body> {
    let request = Request::builder().method(method).uri(path.replace("{id}", "default")).header("host", "h");
    let request = key.into_iter().fold(request, |request, key| request.header("x-api-key", key));
    let answer = router(&context(Surface::default())).oneshot(request.body(Body::from("{}")).expect("a request"));
    answer.await.expect("an answer")
}

fn allowed(response: &Response<Body>) -> BTreeSet<&str> {
    response.headers().get("allow").map(|value| value.to_str().expect("text").split(',').collect()).unwrap_or_default()
}

#[test]
fn every_route_has_its_case() {
    let routes: BTreeSet<String> = table(&context(Surface::default())).paths.into_iter().collect();
    let cases: BTreeSet<String> = cases().map(|Case(path, ..)| (*path).to_owned()).collect();
    assert_eq!(routes, cases);
}

/// 7644-4-03 7644-2-01
#[tokio::test]
async fn every_method_of_every_route_is_answered_as_it_should() {
    for Case(path, methods, needs) in cases() {
        let expected: BTreeSet<&str> = methods.split(' ').collect();
        for method in METHODS {
            let at = format!("{method} {path}");
            let (bare, wrong) = (send(method, path, None).await, send(method, path, Some("wrong")).await);
            if method == "OPTIONS" {
                assert_eq!((bare.status().as_u16(), allowed(&bare)), (204, expected.clone()), "{at}");
            } else if !expected.contains(method) {
                assert_eq!((bare.status().as_u16(), allowed(&bare)), (405, expected.clone()), "{at}");
            } else if needs.scope(method).is_some() {
                for answer in [bare, wrong] {
                    let scheme = answer.headers().get("www-authenticate").map(|value| value.to_str().expect("text"));
                    assert_eq!((answer.status().as_u16(), scheme), (401, Some("Bearer realm=\"carillon\"")), "{at}");
                }
                let known = send(method, path, Some("key")).await.status().as_u16();
                assert!(![401, 403, 405].contains(&known), "{at}: {known}");
            } else {
                assert!(![401, 403, 405].contains(&bare.status().as_u16()), "{at}: {}", bare.status());
                assert_eq!(bare.status(), wrong.status(), "{at}");
            }
        }
    }
}

/// 7644-2-02
#[tokio::test]
async fn every_guarded_method_needs_its_scope_and_no_other() {
    for Case(path, methods, needs) in cases() {
        for (method, scope) in methods.split(' ').filter_map(|method| Some((method, needs.scope(method)?))) {
            let at = format!("{method} {path}");
            let with = send(method, path, Some(scope.name())).await.status().as_u16();
            assert!(![401, 403].contains(&with), "{at}: {with}");
            let without = send(method, path, Some(&format!("not {scope}"))).await;
            let header = |name: &str| without.headers().get(name).map(|value| value.to_str().expect("text").to_owned());
            let challenge = format!("Bearer realm=\"carillon\", error=\"insufficient_scope\", scope=\"{scope}\"");
            let told = (without.status().as_u16(), header("www-authenticate"), header("content-type"));
            assert_eq!(told, (403, Some(challenge), Some(SCIM_JSON.into())), "{at}");
            if method != "HEAD" {
                let body = without.into_body().collect().await.expect("a body").to_bytes();
                let error = json!({
                    "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"],
                    "status": "403",
                    "detail": format!("The credential does not have the scope '{scope}'."),
                });
                assert_eq!(serde_json::from_slice::<Value>(&body).expect("JSON"), error, "{at}");
            }
        }
    }
}

/// The root query shares its place with the page, which needs nothing.
#[tokio::test]
async fn the_root_query_needs_the_scope_of_reading() {
    let path = "/?filter=userName%20pr";
    assert_eq!(send("GET", path, Some("not scim:read")).await.status().as_u16(), 403);
    assert!(![401, 403].contains(&send("GET", path, Some("scim:read")).await.status().as_u16()));
    assert_eq!(send("GET", path, None).await.status().as_u16(), 401);
}

#[tokio::test]
async fn every_answer_has_a_request_id() {
    for (method, path) in [("GET", "/Schemas"), ("GET", "/nowhere"), ("PURGE", "/Users"), ("GET", "/Users"), ("DELETE", "/Users/1")]
    {
        let answer = send(method, path, (method == "DELETE").then_some("key")).await;
        assert!(answer.headers().get("x-request-id").is_some_and(|id| id.len() > 16), "{method} {path}");
    }
}
