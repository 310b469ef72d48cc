//! DELETE (RFC 7644 §3.6).

use crate::gateway::{Gateway, answer, event, group, notice};
use serde_json::json;

crate::cases!(
    delete, Notice: ends_the_resource, twice_is_not_found, the_name_is_free_again, a_user_leaves_its_groups needs atomic, a_group_leaves_its_groups,
    a_group_leaves_its_members_alone,
);

/// 7644-3.6-01 7644-3.6-02
async fn ends_the_resource(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    assert_eq!(gateway.delete("/Users/{ann}").await, json!({"status": 204}));
    gateway.refused("GET", "/Users/{ann}", None, 404, "", &["not found"]).await;
    assert_eq!(gateway.found("/Users", "userName eq \"~ann\"").await, Vec::<String>::new());
    let body = json!({"schemas": [crate::support::fixture::USER], "userName": "~ann"});
    gateway.refused("PUT", "/Users/{ann}", Some(body), 404, "", &["not found"]).await;
    let patch = crate::support::fixture::patch_of(json!([{"op": "remove", "path": "title"}]));
    gateway.refused("PATCH", "/Users/{ann}", Some(patch), 404, "", &["not found"]).await;
}

/// 7644-3.6-02
async fn twice_is_not_found(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    assert_eq!(gateway.delete("/Users/{ann}").await["status"], 204);
    gateway.refused("DELETE", "/Users/{ann}", None, 404, "", &["not found"]).await;
    assert_eq!(gateway.events().await.len(), 2);
}

/// 7644-3.6-03
async fn the_name_is_free_again(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    assert_eq!(gateway.delete("/Users/{ann}").await["status"], 204);
    let again = gateway.create("again", "/Users", json!({"schemas": [crate::support::fixture::USER], "userName": "~ann"})).await;
    assert_eq!((&again["etag"], &again["body"]["id"]), (&json!("\"1\""), &json!("{again}")));
}

async fn a_user_leaves_its_groups(gateway: &Gateway) {
    // Each group loses the member, bumps and emits, in the commit of the delete.
    gateway.create_user("ann", json!({})).await;
    gateway.create_user("bob", json!({})).await;
    gateway.create_group("one", &["ann", "bob"]).await;
    gateway.create_group("two", &["ann"]).await;
    gateway.create_group("three", &["bob"]).await;
    assert_eq!(gateway.delete("/Users/{ann}").await, json!({"status": 204}));
    assert_eq!(gateway.get("/Groups/{one}").await, answer(200, &group("one", 2, &["bob"])));
    assert_eq!(gateway.get("/Groups/{two}").await, answer(200, &group("two", 2, &[])));
    assert_eq!(gateway.get("/Groups/{three}").await, answer(200, &group("three", 1, &["bob"])));
    let events = gateway.events().await;
    let expected = [
        event("delete", "/Users", "ann", 6, json!({})),
        event("patch:notice", "/Groups", "one", 6, notice(2, &["members"])),
        event("patch:notice", "/Groups", "two", 6, notice(2, &["members"])),
    ];
    assert_eq!(events[5..], expected);
}

async fn a_group_leaves_its_groups(gateway: &Gateway) {
    gateway.create_group("inner", &[]).await;
    gateway.create_group("outer", &["inner"]).await;
    assert_eq!(gateway.delete("/Groups/{inner}").await, json!({"status": 204}));
    assert_eq!(gateway.get("/Groups/{outer}").await, answer(200, &group("outer", 2, &[])));
}

async fn a_group_leaves_its_members_alone(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.create_group("team", &["ann"]).await;
    assert_eq!(gateway.delete("/Groups/{team}").await, json!({"status": 204}));
    let expected = answer(200, &crate::gateway::user("ann", 1, json!({})));
    assert_eq!(gateway.get("/Users/{ann}").await, expected);
}
