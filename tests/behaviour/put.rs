//! PUT (RFC 7644 §3.5.1).

use crate::gateway::{Gateway, answer, group, user};
use crate::support::fixture::{ENTERPRISE, GROUP, USER};
use serde_json::json;

crate::cases!(
    put, Notice: replaces_the_whole, the_same_again_changes_nothing, never_creates, read_only_attributes_are_ignored, missing_required_is_refused,
    members_are_replaced, members_left_out_are_cleared, a_refused_put_changes_nothing,
);

/// 7644-3.5-01 7644-3.5.1-01 7644-3.5.1-05
async fn replaces_the_whole(gateway: &Gateway) {
    let before = json!({"title": "Guide", "emails": [{"value": "a@b.example"}], ENTERPRISE: {"department": "Tours"}});
    gateway.create_user("ann", before).await;
    let body = json!({"schemas": [USER], "userName": "~ann", "nickName": "Annie", "title": null});
    assert_eq!(gateway.put("/Users/{ann}", body).await, answer(200, &user("ann", 2, json!({"nickName": "Annie"}))));
    assert_eq!(gateway.get("/Users/{ann}").await, answer(200, &user("ann", 2, json!({"nickName": "Annie"}))));
}

async fn the_same_again_changes_nothing(gateway: &Gateway) {
    let body =
        json!({"schemas": [USER], "userName": "~ann", "title": "Guide", "emails": [{"value": "a@b.example", "type": "work"}]});
    gateway.create("ann", "/Users", body.clone()).await;
    let before = gateway.raw("GET", "/Users/{ann}", &[], None).await;
    let again = gateway.raw("PUT", "/Users/{ann}", &[], Some(body)).await;
    assert_eq!((again.status, again.json()), (200, before.json()));
    assert_eq!(gateway.events().await.len(), 1);
}

/// 7644-3.2-01
async fn never_creates(gateway: &Gateway) {
    let body = json!({"schemas": [USER], "userName": "~ann"});
    gateway.refused("PUT", "/Users/nobody", Some(body), 404, "", &["nobody"]).await;
    assert_eq!(gateway.found("/Users", "userName eq \"~ann\"").await, Vec::<String>::new());
}

/// 7644-3.5.1-03
async fn read_only_attributes_are_ignored(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let body = json!({"schemas": [USER], "userName": "~ann", "id": "other", "meta": {"version": "x"}, "groups": [{"value": "g"}]});
    assert_eq!(gateway.put("/Users/{ann}", body).await, answer(200, &user("ann", 1, json!({}))));
}

/// 7644-3.5.1-04
async fn missing_required_is_refused(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let body = json!({"schemas": [USER], "title": "x"});
    gateway.refused("PUT", "/Users/{ann}", Some(body), 400, "invalidValue", &["userName"]).await;
}

async fn members_are_replaced(gateway: &Gateway) {
    for label in ["ann", "bob", "cid"] {
        gateway.create_user(label, json!({})).await;
    }
    gateway.create_group("team", &["ann", "bob"]).await;
    let body = json!({"schemas": [GROUP], "displayName": "~team", "members": [{"value": "{cid}"}, {"value": "{bob}"}]});
    assert_eq!(gateway.put("/Groups/{team}", body.clone()).await, answer(200, &group("team", 2, &["bob", "cid"])));
    assert_eq!(gateway.put("/Groups/{team}", body).await, answer(200, &group("team", 2, &["bob", "cid"])));
}

async fn members_left_out_are_cleared(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.create_group("team", &["ann"]).await;
    let body = json!({"schemas": [GROUP], "displayName": "~team"});
    assert_eq!(gateway.put("/Groups/{team}", body).await, answer(200, &group("team", 2, &[])));
}

async fn a_refused_put_changes_nothing(gateway: &Gateway) {
    gateway.create_user("ann", json!({"title": "Guide"})).await;
    let body = json!({"schemas": [USER], "userName": "~ann", "title": "x", "active": []});
    let wrong = json!({"schemas": [USER], "userName": "~ann", "title": "x", "active": "x"});
    gateway.refused("PUT", "/Users/{ann}", Some(wrong), 400, "invalidValue", &["active"]).await;
    assert_eq!(gateway.get("/Users/{ann}").await, answer(200, &user("ann", 1, json!({"title": "Guide"}))));
    assert_eq!(gateway.put("/Users/{ann}", body).await, answer(200, &user("ann", 2, json!({"title": "x"}))));
}
