//! Full events (RFC 9967 §2.2): what they hold.

use crate::gateway::{Gateway, event, group, user};
use crate::support::fixture::{PATCH_OP, USER, with};
use serde_json::{Value, json};

crate::cases!(
    events_full, Full: create_and_put_hold_the_representation, a_patch_holds_its_effective_operations, members_join_and_leave,
    a_large_change_is_a_notice, secrets_are_not_in_them, delete_and_deactivate_are_empty,
);

fn data(version: u64, data: Value) -> Value {
    json!({"version": format!("\"{version}\""), "data": data})
}

fn operations(version: u64, operations: Value) -> Value {
    data(version, json!({"schemas": [PATCH_OP], "Operations": operations}))
}

/// 9967-2.4-01 9967-2.4.1-01 9967-2.4.3-01
async fn create_and_put_hold_the_representation(gateway: &Gateway) {
    gateway.create_user("ann", json!({"title": "Guide"})).await;
    gateway.put("/Users/{ann}", json!({"schemas": [USER], "userName": "~ann", "nickName": "A"})).await;
    let expected = [
        event("create:full", "/Users", "ann", 1, data(1, user("ann", 1, json!({"title": "Guide"})))),
        event("put:full", "/Users", "ann", 2, data(2, user("ann", 2, json!({"nickName": "A"})))),
    ];
    assert_eq!(gateway.events().await, expected);
}

/// 9967-2.4.2-01, checklist C6
async fn a_patch_holds_its_effective_operations(gateway: &Gateway) {
    gateway.create_user("ann", json!({"title": "Guide", "nickName": "A"})).await;
    let asked = json!([
        {"op": "replace", "path": "title", "value": "x"}, {"op": "replace", "path": "title", "value": "Boss"},
        {"op": "Add", "value": {"displayName": "Ann"}}, {"op": "remove", "path": "nickName"}, {"op": "remove", "path": "locale"},
    ]);
    gateway.patch("/Users/{ann}", asked).await;
    let mut events = gateway.events().await;
    let told = &mut events[1]["events"]["urn:ietf:params:scim:event:prov:patch:full"]["data"]["Operations"];
    told.as_array_mut().expect("operations").sort_by_key(|operation| operation["path"].to_string());
    let effective = json!([
        {"op": "add", "path": "displayName", "value": "Ann"}, {"op": "remove", "path": "nickName"},
        {"op": "replace", "path": "title", "value": "Boss"},
    ]);
    assert_eq!(events[1], event("patch:full", "/Users", "ann", 2, operations(2, effective)));
}

async fn members_join_and_leave(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.create_user("bob", json!({})).await;
    gateway.create_group("team", &["ann"]).await;
    let swap = json!([
        {"op": "add", "path": "members", "value": [{"value": "{bob}"}, {"value": "{ann}"}]}, {"op": "remove", "path": "members[value eq \"{ann}\"]"},
    ]);
    gateway.patch("/Groups/{team}", swap).await;
    gateway.delete("/Users/{bob}").await;
    let member =
        |label: &str| json!({"value": format!("{{{label}}}"), "type": "User", "$ref": format!("{{base}}/Users/{{{label}}}")});
    let created = with(group("team", 1, &[]), json!({"members": [member("ann")]}));
    let events = gateway.events().await.split_off(2);
    let expected = [
        event("create:full", "/Groups", "team", 3, data(1, created)),
        event(
            "patch:full",
            "/Groups",
            "team",
            4,
            operations(
                2,
                json!([
                    {"op": "remove", "path": "members[value eq \"{ann}\"]"}, {"op": "add", "path": "members", "value": [member("bob")]},
                ]),
            ),
        ),
        event("delete", "/Users", "bob", 5, json!({})),
        event("patch:full", "/Groups", "team", 5, operations(3, json!([{"op": "remove", "path": "members[value eq \"{bob}\"]"}]))),
    ];
    assert_eq!(events, expected);
}

/// 9967-5-05
async fn a_large_change_is_a_notice(gateway: &Gateway) {
    let members: Vec<Value> = (0..1_001).map(|number| json!({"value": format!("m{number}")})).collect();
    gateway.create_group("team", &[]).await;
    let add = json!([{"op": "add", "path": "members", "value": members}]);
    assert_eq!(gateway.patch("/Groups/{team}", add).await["status"], 204);
    let payload = json!({"version": "\"2\"", "attributes": ["members"]});
    assert_eq!(gateway.events().await[1..], [event("patch:notice", "/Groups", "team", 2, payload)]);
}

/// 7643-4.1.1-04: when nothing is left to tell, the event is a notice.
async fn secrets_are_not_in_them(gateway: &Gateway) {
    gateway.create_user("ann", json!({"password": "open sesame 1"})).await;
    gateway.patch("/Users/{ann}", json!([{"op": "replace", "path": "password", "value": "open sesame 2"}])).await;
    let payload = json!({"version": "\"2\"", "attributes": ["password"]});
    let expected = [
        event("create:full", "/Users", "ann", 1, data(1, user("ann", 1, json!({})))),
        event("patch:notice", "/Users", "ann", 2, payload),
    ];
    assert_eq!(gateway.events().await, expected);
}

/// 9967-2.4.4-01 9967-2.4.5-01
async fn delete_and_deactivate_are_empty(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.patch("/Users/{ann}", json!([{"op": "add", "path": "active", "value": false}])).await;
    gateway.delete("/Users/{ann}").await;
    let expected = [
        event("patch:full", "/Users", "ann", 2, operations(2, json!([{"op": "add", "path": "active", "value": false}]))),
        event("deactivate", "/Users", "ann", 2, json!({})),
        event("delete", "/Users", "ann", 3, json!({})),
    ];
    assert_eq!(gateway.events().await[1..], expected);
}
