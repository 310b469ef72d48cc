//! `Prefer` (RFC 7240), and what a PATCH is answered with (RFC 7644 §3.5.2).

use crate::gateway::{Gateway, answer, user};
use crate::support::client::Answer;
use crate::support::fixture::{GROUP, USER, patch_of};
use serde_json::{Value, json};

crate::cases!(
    prefer, Notice: a_minimal_create, a_minimal_put_and_patch, attributes_win_over_minimal, a_representation_of_a_large_group,
    what_is_not_honoured_is_ignored, a_preference_does_not_hide_a_failure, reading_knows_no_preference,
);

const MINIMAL: (&str, &str) = ("prefer", "return=minimal");

fn titled(title: &str) -> Value {
    patch_of(json!([{"op": "replace", "path": "title", "value": title}]))
}

/// Status, body's length, version and `Preference-Applied`.
fn bare(answer: &Answer) -> (u16, usize, u64, Option<&str>) {
    (answer.status, answer.body.len(), answer.version(), answer.header("preference-applied"))
}

/// 7240-3-01
async fn a_minimal_create(gateway: &Gateway) {
    for (label, endpoint, body) in [
        ("ann", "/Users", json!({"schemas": [USER], "userName": "~ann"})),
        ("team", "/Groups", json!({"schemas": [GROUP], "displayName": "~team", "members": [{"value": "{ann}"}]})),
    ] {
        let created = gateway.raw("POST", endpoint, &[MINIMAL], Some(body)).await;
        assert_eq!(bare(&created), (201, 0, 1, Some("return=minimal")));
        let location = created.header("location").expect("Location").to_owned();
        let (collection, id) = location.rsplit_once('/').expect("a path");
        assert_eq!(collection, format!("{}{endpoint}", gateway.client.base));
        gateway.keep(label, id);
    }
    assert_eq!(gateway.get("/Users/{ann}?excludedAttributes=groups").await, answer(200, &user("ann", 1, json!({}))));
    assert_eq!(gateway.get("/Groups/{team}").await["body"]["members"][0]["value"], "{ann}");
}

/// 7240-3-01 7644-3.5.2-08
async fn a_minimal_put_and_patch(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let body = json!({"schemas": [USER], "userName": "~ann", "title": "a"});
    let put = gateway.raw("PUT", "/Users/{ann}", &[MINIMAL], Some(body)).await;
    assert_eq!(bare(&put), (204, 0, 2, Some("return=minimal")));
    let patched = gateway.raw("PATCH", "/Users/{ann}", &[("prefer", "Return=\"minimal\";x=y")], Some(titled("b"))).await;
    assert_eq!(bare(&patched), (204, 0, 3, Some("return=minimal")));
    let unchanged = gateway.raw("PATCH", "/Users/{ann}", &[MINIMAL], Some(titled("b"))).await;
    assert_eq!(bare(&unchanged), (204, 0, 3, Some("return=minimal")));
    assert_eq!(gateway.get("/Users/{ann}").await, answer(200, &user("ann", 3, json!({"title": "b"}))));
}

/// 7644-3.5.2-08
async fn attributes_win_over_minimal(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let patched = gateway.raw("PATCH", "/Users/{ann}?attributes=title", &[MINIMAL], Some(titled("b"))).await;
    assert_eq!((patched.status, patched.header("preference-applied")), (200, None));
    assert_eq!(gateway.show(&patched)["body"], json!({"schemas": [USER], "id": "{ann}", "title": "b"}));
    // What is left out is no wish to see the rest.
    let patched = gateway.raw("PATCH", "/Users/{ann}?excludedAttributes=title", &[MINIMAL], Some(titled("c"))).await;
    assert_eq!(bare(&patched), (204, 0, 3, Some("return=minimal")));
}

/// 7240-3-01 7644-3.5.2-08
async fn a_representation_of_a_large_group(gateway: &Gateway) {
    let members: Vec<Value> = (0..1_001).map(|number| json!({"value": format!("m{number:04}")})).collect();
    let body = json!({"schemas": [GROUP], "displayName": "~team", "members": members});
    let created = gateway.raw("POST", "/Groups", &[MINIMAL], Some(body)).await;
    let id = created.header("location").and_then(|location| location.rsplit('/').next()).expect("an id");
    gateway.keep("team", id);
    let add = patch_of(json!([{"op": "add", "path": "members", "value": [{"value": "one-more"}]}]));
    let whole = gateway.raw("PATCH", "/Groups/{team}", &[("prefer", "return=representation")], Some(add)).await;
    assert_eq!((whole.status, whole.header("preference-applied")), (200, Some("return=representation")));
    assert_eq!(whole.json()["members"].as_array().map(Vec::len), Some(1_002));
}

/// 7240-2-01 9967-2.5.1.1-11
async fn what_is_not_honoured_is_ignored(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    for (number, preference) in (2..).zip([
        "respond-async, wait=10",
        "handling=strict",
        "return=all, return=minimal",
        "return=\"minimal",
        ";;=\"",
        "\u{fc}",
    ]) {
        let patched = gateway.raw("PATCH", "/Users/{ann}", &[("prefer", preference)], Some(titled(preference))).await;
        assert_eq!((patched.status, patched.version()), (200, number), "{preference}");
        assert_eq!((patched.header("preference-applied"), patched.header("set-txn")), (None, None), "{preference}");
    }
}

async fn a_preference_does_not_hide_a_failure(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let body = json!({"schemas": [USER], "userName": "~ann"});
    gateway.raw("POST", "/Users", &[MINIMAL], Some(body)).await.assert_error(409, Some("uniqueness"), &["userName"]);
}

/// 7240-2-01 7240-2-02
async fn reading_knows_no_preference(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let read = gateway.raw("GET", "/Users/{ann}", &[MINIMAL], None).await;
    assert_eq!((read.status, read.header("preference-applied"), read.header("vary")), (200, None, None));
    assert_eq!(gateway.show(&read), answer(200, &user("ann", 1, json!({}))));
}
