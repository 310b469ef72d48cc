//! Routes: each needs a key unless it says otherwise; what is not there is told in SCIM's words.

use crate::support::fixture::{patch_of, user};
use crate::watched::{Watched, assert_scim_error};
use serde_json::{Value, json};

/// Every route that needs a key: method, path, body. `{ann}` and `{team}` are ids.
fn guarded() -> Vec<(&'static str, &'static str, Option<Value>)> {
    let patch = patch_of(json!([{"op": "add", "path": "title", "value": "x"}]));
    let mut routes = vec![
        ("GET", "/Users", None),
        ("GET", "/Users?filter=password%20pr", None),
        ("POST", "/Users", Some(user("bob"))),
        ("GET", "/Users/{ann}", None),
        ("PUT", "/Users/{ann}", Some(user("ann"))),
        ("PATCH", "/Users/{ann}", Some(patch.clone())),
        ("DELETE", "/Users/{ann}", None),
        ("GET", "/Users/nobody", None),
        ("GET", "/Groups", None),
        ("POST", "/Groups", Some(json!({}))),
        ("GET", "/Groups/{team}", None),
        ("PUT", "/Groups/{team}", Some(json!({}))),
        ("PATCH", "/Groups/{team}", Some(patch)),
        ("DELETE", "/Groups/{team}", None),
        ("GET", "/Events/Feeds", None),
        ("GET", "/Events/Feeds/default", None),
        ("GET", "/Events/Feeds/default/Stream", None),
        ("GET", "/Events/Feeds/nothing/Stream", None),
    ];
    routes.push(("POST", "/Bulk", Some(json!({}))));
    // Not built yet, and guarded all the same.
    routes.extend(["/.search", "/Users/.search", "/Groups/.search"].map(|path| ("POST", path, Some(json!({})))));
    routes.push(("GET", "/Me", None));
    routes
}

/// 7644-2-01
#[tokio::test]
async fn every_guarded_route_needs_a_key() {
    let mut watched = Watched::start().await;
    let keys = [
        None,
        Some(""),
        Some("wrong"),
        Some("a-key-for-the-suites-0123456789abcde"),
        Some("a-key-for-the-suites-0123456789abcdefg"),
    ];
    for key in keys {
        let client = watched.client.with_key(key);
        for (method, path, body) in guarded() {
            let path = path.replace("{ann}", &watched.ann).replace("{team}", &watched.team);
            let request = client.on(method, &path);
            let answer = match &body {
                Some(body) => request.json(body).send().await,
                None => request.send().await,
            };
            assert_eq!(answer.status, 401, "{method} {path} with {key:?}: {}", answer.text());
            answer.assert_error(401, None, &["credential"]);
            let scheme = answer.header("www-authenticate").expect("WWW-Authenticate");
            assert!(scheme.starts_with("Bearer"), "{scheme}");
        }
    }
    watched.assert_unchanged().await;
}

#[tokio::test]
async fn other_schemes_are_no_key() {
    let mut watched = Watched::start().await;
    let bare = watched.client.with_key(None);
    let key = crate::support::server::KEY;
    for value in [
        format!("Basic {key}"),
        key.to_owned(),
        format!("Bearer{key}"),
        format!("Token {key}"),
        "Bearer".to_owned(),
        "\u{1f511}".to_owned(),
    ] {
        bare.on("GET", "/Users").header("authorization", &value).send().await.assert_error(401, None, &["credential"]);
    }
    watched.assert_unchanged().await;
}

#[tokio::test]
async fn a_refused_key_is_told_before_anything_else() {
    // A caller without a key learns nothing of bodies, ids and preconditions.
    let mut watched = Watched::start().await;
    let bare = watched.client.with_key(None);
    let path = format!("/Users/{}", watched.ann);
    bare.on("POST", "/Users").header("content-type", "text/plain").body("{").send().await.assert_error(401, None, &[]);
    bare.on("PUT", &path).header("if-match", "garbage").body("{").send().await.assert_error(401, None, &[]);
    bare.on("GET", "/Users?count=x").send().await.assert_error(401, None, &[]);
    watched.assert_unchanged().await;
}

/// 7643-5-03 7644-4-03
#[tokio::test]
async fn what_is_open_needs_no_key() {
    let watched = Watched::start().await;
    let bare = watched.client.with_key(None);
    for path in ["/health", "/ready", "/ServiceProviderConfig", "/Schemas", "/ResourceTypes", "/ResourceTypes/User"] {
        assert_eq!(bare.get(path).await.status, 200, "{path}");
    }
}

/// 7644-3.12-01
#[tokio::test]
async fn unknown_routes() {
    let mut watched = Watched::start().await;
    for path in
        ["/nothing", "/users", "/Users/a/b", "/Schemas/urn:nothing", "/ResourceTypes/Nothing", "//Users", "/Users//", "/%55sers%2f"]
    {
        for method in ["GET", "DELETE"] {
            let mut raw = watched.connect();
            raw.send(watched.head(&format!("{method} {path}"), "")).expect("sent");
            let answer = raw.answer().expect("an answer");
            let status = if answer.status == 405 { 405 } else { 404 };
            assert_scim_error(&answer, status, None);
        }
    }
    watched.assert_unchanged().await;
}

/// 7644-4-03
#[tokio::test]
async fn unknown_methods() {
    let mut watched = Watched::start().await;
    let user = format!("/Users/{}", watched.ann);
    for (method, path) in [
        ("PUT", "/Users"),
        ("PATCH", "/Users"),
        ("DELETE", "/Users"),
        ("POST", user.as_str()),
        ("PURGE", user.as_str()),
        ("TRACE", user.as_str()),
        ("POST", "/ServiceProviderConfig"),
        ("DELETE", "/Schemas"),
        ("POST", "/Events/Feeds/default"),
    ] {
        let answer = watched.client.on(method, path).send().await;
        answer.assert_error(405, None, &[method]);
        assert!(answer.header("allow").is_some(), "{method} {path}");
    }
    watched.assert_unchanged().await;
}
