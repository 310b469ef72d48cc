//! Every route × every method: what is allowed, and what needs a credential. A route without a case fails.

use super::Surface;
use super::router::{router, table};
use super::tests::context;
use axum::body::Body;
use axum::http::{Request, Response};
use std::collections::BTreeSet;
use tower::ServiceExt;

/// A route: its path, what it allows, and whether it needs a credential.
struct Case(&'static str, &'static str, bool);

/// Every route. What needs no credential is what a client has to know before it has one, and what watches the server.
const CASES: [Case; 21] = [
    // The root query when it is asked for; otherwise the page's place.
    Case("/", "GET HEAD", false),
    Case("/ServiceProviderConfig", "GET HEAD", false),
    Case("/Schemas", "GET HEAD", false),
    Case("/Schemas/{id}", "GET HEAD", false),
    Case("/ResourceTypes", "GET HEAD", false),
    Case("/ResourceTypes/{id}", "GET HEAD", false),
    Case("/health", "GET HEAD", false),
    Case("/openapi.json", "GET HEAD", false),
    Case("/docs/{file}", "GET HEAD", false),
    Case("/ready", "GET HEAD", false),
    Case("/Events/Feeds", "GET HEAD", true),
    Case("/Events/Feeds/{id}", "GET HEAD", true),
    Case("/Events/Feeds/{id}/Stream", "GET HEAD", true),
    Case("/Bulk", "POST", true),
    Case("/.search", "POST", true),
    Case("/Me", "DELETE GET HEAD PATCH POST PUT", true),
    Case("/Users", "GET HEAD POST", true),
    Case("/Users/.search", "POST", true),
    Case("/Users/{id}", "DELETE GET HEAD PATCH PUT", true),
    Case("/Groups", "GET HEAD POST", true),
    Case("/Groups/.search", "POST", true),
];
const ONE_GROUP: Case = Case("/Groups/{id}", "DELETE GET HEAD PATCH PUT", true);

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
    for Case(path, methods, is_guarded) in cases() {
        let expected: BTreeSet<&str> = methods.split(' ').collect();
        for method in METHODS {
            let at = format!("{method} {path}");
            let (bare, wrong) = (send(method, path, None).await, send(method, path, Some("wrong")).await);
            if method == "OPTIONS" {
                assert_eq!((bare.status().as_u16(), allowed(&bare)), (204, expected.clone()), "{at}");
            } else if !expected.contains(method) {
                assert_eq!((bare.status().as_u16(), allowed(&bare)), (405, expected.clone()), "{at}");
            } else if *is_guarded {
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

#[tokio::test]
async fn every_answer_has_a_request_id() {
    for (method, path) in [("GET", "/Schemas"), ("GET", "/nowhere"), ("PURGE", "/Users"), ("GET", "/Users"), ("DELETE", "/Users/1")]
    {
        let answer = send(method, path, (method == "DELETE").then_some("key")).await;
        assert!(answer.headers().get("x-request-id").is_some_and(|id| id.len() > 16), "{method} {path}");
    }
}
