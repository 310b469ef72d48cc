//! `attributes` and `excludedAttributes` (RFC 7644 §3.9).

use crate::gateway::{Gateway, answer, group, list, user};
use crate::support::fixture::{ENTERPRISE, USER};
use serde_json::{Value, json};

crate::cases!(
    projection, Notice: named_attributes_only, sub_attributes_and_extensions, without_excluded_attributes, always_returned_stays,
    unknown_names_are_ignored, both_at_once_are_refused, on_lists, on_writes, members_left_out,
);

fn attributes() -> Value {
    json!({"schemas": [USER, ENTERPRISE], "title": "Guide", "name": {"givenName": "Ann", "familyName": "B"},
        "emails": [{"value": "a@b.example", "type": "work"}], ENTERPRISE: {"department": "Tours", "costCenter": "7"}})
}

fn shown(more: Value) -> Value {
    crate::support::fixture::with(json!({"schemas": [USER, ENTERPRISE], "id": "{ann}"}), more)
}

async fn body(gateway: &Gateway, query: &str) -> Value {
    let answer = gateway.get(&format!("/Users/{{ann}}?{query}")).await;
    assert_eq!((&answer["status"], &answer["etag"]), (&json!(200), &json!("\"1\"")), "{answer}");
    answer["body"].clone()
}

/// 7644-3.9-01
async fn named_attributes_only(gateway: &Gateway) {
    gateway.create_user("ann", attributes()).await;
    assert_eq!(body(gateway, "attributes=title,USERNAME").await, shown(json!({"title": "Guide", "userName": "~ann"})));
    assert_eq!(body(gateway, "attributes=meta.version").await, shown(json!({"meta": {"version": "\"1\""}})));
}

/// 7644-3.9-04
async fn sub_attributes_and_extensions(gateway: &Gateway) {
    gateway.create_user("ann", attributes()).await;
    assert_eq!(body(gateway, "attributes=name.givenName").await, shown(json!({"name": {"givenName": "Ann"}})));
    assert_eq!(body(gateway, "attributes=emails.value").await, shown(json!({"emails": [{"value": "a@b.example"}]})));
    let whole = format!("attributes={ENTERPRISE}");
    assert_eq!(body(gateway, &whole).await, shown(json!({ENTERPRISE: {"department": "Tours", "costCenter": "7"}})));
    let part = format!("attributes={ENTERPRISE}:department,{USER}:title");
    assert_eq!(body(gateway, &part).await, shown(json!({ENTERPRISE: {"department": "Tours"}, "title": "Guide"})));
}

/// 7644-3.9-02
async fn without_excluded_attributes(gateway: &Gateway) {
    gateway.create_user("ann", attributes()).await;
    let left = shown(json!({"userName": "~ann", "title": "Guide", "name": {"givenName": "Ann"}, ENTERPRISE: {"costCenter": "7"}}));
    let query = format!("excludedAttributes=meta,emails,name.familyName,{ENTERPRISE}:department");
    assert_eq!(body(gateway, &query).await, left);
}

/// 7644-3.4.2.5-02 7643-7-05
async fn always_returned_stays(gateway: &Gateway) {
    gateway.create_user("ann", attributes()).await;
    let all = body(gateway, "excludedAttributes=id,schemas").await;
    assert_eq!(all, user("ann", 1, attributes()));
    assert_eq!(body(gateway, "attributes=password").await, shown(json!({})));
}

/// 7644-3.9-04
async fn unknown_names_are_ignored(gateway: &Gateway) {
    gateway.create_user("ann", attributes()).await;
    assert_eq!(body(gateway, "attributes=hobby,title").await, shown(json!({"title": "Guide"})));
    assert_eq!(body(gateway, "excludedAttributes=hobby").await, user("ann", 1, attributes()));
}

/// 7644-3.9-03
async fn both_at_once_are_refused(gateway: &Gateway) {
    let path = "/Users?attributes=title&excludedAttributes=emails";
    gateway.refused("GET", path, None, 400, "invalidValue", &["attributes", "excludedAttributes"]).await;
}

/// 7644-3.4.2.5-01
async fn on_lists(gateway: &Gateway) {
    gateway.create_user("ann", attributes()).await;
    let query = format!("/Users?filter={}&attributes=title", crate::support::client::encode(&gateway.fill("userName eq \"~ann\"")));
    assert_eq!(gateway.get(&query).await, list(1, 1, &[shown(json!({"title": "Guide"}))]));
}

/// 7644-3.4.2.5-01 7644-3.5.2-08
async fn on_writes(gateway: &Gateway) {
    gateway.create_user("ann", attributes()).await;
    let patch = json!([{"op": "replace", "path": "title", "value": "Boss"}]);
    let patched = gateway.patch("/Users/{ann}?attributes=title", patch).await;
    assert_eq!(patched["body"], shown(json!({"title": "Boss"})));
    let put = gateway.put("/Users/{ann}?excludedAttributes=meta", json!({"schemas": [USER], "userName": "~ann"})).await;
    assert_eq!(put["body"], json!({"schemas": [USER], "id": "{ann}", "userName": "~ann"}));
    let post = json!({"schemas": [USER], "userName": "~bob"});
    let created = gateway.create("bob", "/Users?attributes=userName", post).await;
    assert_eq!(created["body"], json!({"schemas": [USER], "id": "{bob}", "userName": "~bob"}));
    assert_eq!(created["location"], "{base}/Users/{bob}");
}

async fn members_left_out(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.create_group("team", &["ann"]).await;
    assert_eq!(gateway.get("/Groups/{team}?excludedAttributes=members").await, answer(200, &group("team", 1, &[])));
    let only = gateway.get("/Groups/{team}?attributes=members.value").await["body"].clone();
    assert_eq!(only, json!({"schemas": [crate::support::fixture::GROUP], "id": "{team}", "members": [{"value": "{ann}"}]}));
}
