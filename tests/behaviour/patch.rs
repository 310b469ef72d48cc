//! PATCH (RFC 7644 §3.5.2): its operations on single values, and what it refuses.

use crate::gateway::{Gateway, answer, user};
use crate::support::fixture::{ENTERPRISE, PATCH_OP, USER};
use serde_json::{Value, json};

crate::cases!(
    patch, Notice: add_replace_and_remove, operations_without_a_path, sub_attributes_of_a_complex_one, an_extension_comes_and_goes,
    operations_in_any_case, operations_apply_in_order, all_or_nothing, no_change_bumps_nothing, the_message_is_checked,
    unknown_paths_are_refused, read_only_paths_are_refused, required_attributes_stay, wrong_types_are_refused, remove_needs_a_path,
    an_unknown_resource,
);

async fn patched(gateway: &Gateway, operations: Value, version: u64, attributes: Value) {
    let expected = answer(200, &user("ann", version, attributes));
    assert_eq!(gateway.patch("/Users/{ann}", operations).await, expected);
    assert_eq!(gateway.get("/Users/{ann}").await, expected);
}

async fn refused(gateway: &Gateway, operations: Value, scim_type: &str, words: &[&str]) {
    let body = crate::support::fixture::patch_of(operations);
    gateway.refused("PATCH", "/Users/{ann}", Some(body), 400, scim_type, words).await;
}

/// 7644-3.5.2.1-03 7644-3.5.2.2-02 7644-3.5.2.3-02
async fn add_replace_and_remove(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    patched(gateway, json!([{"op": "add", "path": "title", "value": "Guide"}]), 2, json!({"title": "Guide"})).await;
    patched(gateway, json!([{"op": "replace", "path": "title", "value": "Boss"}]), 3, json!({"title": "Boss"})).await;
    let both = json!({"title": "Boss", "nickName": "A"});
    patched(gateway, json!([{"op": "replace", "path": "nickName", "value": "A"}]), 4, both).await;
    patched(gateway, json!([{"op": "remove", "path": "title"}]), 5, json!({"nickName": "A"})).await;
    patched(gateway, json!([{"op": "replace", "path": "nickName", "value": null}]), 6, json!({})).await;
}

/// 7644-3.5.2.1-02 7644-3.5.2.3-01
async fn operations_without_a_path(gateway: &Gateway) {
    gateway.create_user("ann", json!({"title": "Guide"})).await;
    let operations = json!([{"op": "replace", "value": {"active": false, "name": {"givenName": "Ann"}}}, {"op": "add", "value": {"nickName": "A"}}]);
    let expected = json!({"title": "Guide", "active": false, "name": {"givenName": "Ann"}, "nickName": "A"});
    patched(gateway, operations, 2, expected).await;
}

/// 7644-3.5.2.3-03 7644-3.5.2.1-03
async fn sub_attributes_of_a_complex_one(gateway: &Gateway) {
    gateway.create_user("ann", json!({"name": {"givenName": "Ann", "familyName": "B"}})).await;
    let merged = json!({"name": {"givenName": "Ann", "familyName": "C", "middleName": "M"}});
    patched(gateway, json!([{"op": "replace", "path": "name", "value": {"familyName": "C", "middleName": "M"}}]), 2, merged).await;
    let left = json!({"name": {"givenName": "Ann", "familyName": "C"}});
    patched(gateway, json!([{"op": "remove", "path": "name.middleName"}]), 3, left).await;
    let operations = json!([{"op": "remove", "path": "name.givenName"}, {"op": "remove", "path": "name.familyName"}]);
    patched(gateway, operations, 4, json!({})).await;
}

/// 7644-3.5.2-07
async fn an_extension_comes_and_goes(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let with = json!({"schemas": [USER, ENTERPRISE], ENTERPRISE: {"department": "Tours"}});
    let path = format!("{ENTERPRISE}:department");
    patched(gateway, json!([{"op": "add", "path": path, "value": "Tours"}]), 2, with).await;
    patched(gateway, json!([{"op": "remove", "path": path}]), 3, json!({})).await;
    let keyed = json!([{"op": "add", "value": {ENTERPRISE: {"manager": {"value": "m"}}}}]);
    let with = json!({"schemas": [USER, ENTERPRISE], ENTERPRISE: {"manager": {"value": "m"}}});
    patched(gateway, keyed, 4, with).await;
    patched(gateway, json!([{"op": "remove", "path": ENTERPRISE}]), 5, json!({})).await;
}

/// 7644-3.5.2-01
async fn operations_in_any_case(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    patched(gateway, json!([{"OP": "Add", "Path": "TITLE", "VALUE": "Guide"}]), 2, json!({"title": "Guide"})).await;
    patched(gateway, json!([{"op": "REPLACE", "path": "Title", "value": "Boss"}]), 3, json!({"title": "Boss"})).await;
}

/// 7644-3.5.2-05
async fn operations_apply_in_order(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let operations = json!([
        {"op": "add", "path": "title", "value": "one"}, {"op": "remove", "path": "title"}, {"op": "add", "path": "title", "value": "two"},
        {"op": "replace", "path": "title", "value": "three"},
    ]);
    patched(gateway, operations, 2, json!({"title": "three"})).await;
}

/// 7644-3.5.2-05
async fn all_or_nothing(gateway: &Gateway) {
    gateway.create_user("ann", json!({"title": "Guide"})).await;
    let operations = json!([{"op": "replace", "path": "title", "value": "Boss"}, {"op": "replace", "path": "hobby", "value": "x"}]);
    refused(gateway, operations, "invalidPath", &["hobby"]).await;
    assert_eq!(gateway.get("/Users/{ann}").await, answer(200, &user("ann", 1, json!({"title": "Guide"}))));
    assert_eq!(gateway.events().await.len(), 1);
}

/// 7644-3.5.2.1-04 7644-3.5.2.3-06
async fn no_change_bumps_nothing(gateway: &Gateway) {
    gateway.create_user("ann", json!({"title": "Guide", "emails": [{"value": "a@b.example", "type": "work"}]})).await;
    let before = gateway.raw("GET", "/Users/{ann}", &[], None).await.json();
    for operations in [
        json!([{"op": "replace", "path": "title", "value": "Guide"}]),
        json!([{"op": "add", "path": "emails", "value": [{"type": "work", "value": "a@b.example"}]}]),
        json!([{"op": "remove", "path": "nickName"}]),
        json!([{"op": "remove", "path": "emails[type eq \"home\"]"}]),
        json!([{"op": "add", "path": "nickName", "value": "A"}, {"op": "remove", "path": "nickName"}]),
        json!([{"op": "replace", "value": {"userName": "~ann"}}]),
    ] {
        let body = crate::support::fixture::patch_of(operations.clone());
        let again = gateway.raw("PATCH", "/Users/{ann}", &[], Some(body)).await;
        assert_eq!((again.status, again.json()), (200, before.clone()), "{operations}");
    }
    assert_eq!(gateway.events().await.len(), 1);
}

/// 7644-3.5.2-01
async fn the_message_is_checked(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let add = json!({"op": "add", "path": "title", "value": "x"});
    for (body, words) in [
        (json!({"Operations": [add]}), "schemas"),
        (json!({"schemas": [USER], "Operations": [add]}), "schemas"),
        (json!({"schemas": [PATCH_OP]}), "Operations"),
        (json!({"schemas": [PATCH_OP], "Operations": []}), "Operations"),
        (json!({"schemas": [PATCH_OP], "Operations": add}), "Operations"),
        (json!({"schemas": [PATCH_OP], "Operations": [7]}), "Operations"),
        (json!({"schemas": [PATCH_OP], "Operations": [{"path": "title", "value": "x"}]}), "op"),
        (json!({"schemas": [PATCH_OP], "Operations": [{"op": "move", "path": "title", "value": "x"}]}), "move"),
        (json!("x"), "object"),
    ] {
        gateway.refused("PATCH", "/Users/{ann}", Some(body), 400, "invalidSyntax", &[words]).await;
    }
    refused(gateway, json!([{"op": "add", "path": "title"}]), "invalidValue", &["value"]).await;
    refused(gateway, json!([{"op": "add", "value": "x"}]), "invalidValue", &["value"]).await;
}

/// 7644-3.5.2-02
async fn unknown_paths_are_refused(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    for path in ["hobby", "name.first", "emails[0]", "1", "a b", "urn:example:x:y", "emails[type eq \"work\"].colour", ""] {
        refused(gateway, json!([{"op": "replace", "path": path, "value": "x"}]), "invalidPath", &[]).await;
    }
    refused(gateway, json!([{"op": "replace", "path": 7, "value": "x"}]), "invalidPath", &["path"]).await;
    refused(gateway, json!([{"op": "replace", "path": "emails[type is \"x\"]", "value": {"value": "x"}}]), "invalidFilter", &[])
        .await;
    refused(gateway, json!([{"op": "replace", "value": {"hobby": "x"}}]), "invalidValue", &["hobby"]).await;
}

/// 7644-3.5.2-04
async fn read_only_paths_are_refused(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    for path in ["id", "meta", "meta.version", "groups"] {
        refused(gateway, json!([{"op": "replace", "path": path, "value": "other"}]), "mutability", &[path]).await;
    }
}

/// 7644-3.5.2.2-03
async fn required_attributes_stay(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    refused(gateway, json!([{"op": "remove", "path": "userName"}]), "mutability", &["userName"]).await;
    refused(gateway, json!([{"op": "remove", "path": "schemas"}]), "mutability", &["schemas"]).await;
    assert_eq!(gateway.get("/Users/{ann}").await, answer(200, &user("ann", 1, json!({}))));
}

/// 7644-3.5.2-09
async fn wrong_types_are_refused(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    for (path, value) in
        [("active", json!("x")), ("title", json!(1)), ("name", json!("x")), ("emails", json!(7)), ("name.givenName", json!({}))]
    {
        refused(gateway, json!([{"op": "replace", "path": path, "value": value}]), "invalidValue", &[path]).await;
    }
}

/// 7644-3.5.2.2-01
async fn remove_needs_a_path(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    refused(gateway, json!([{"op": "remove"}]), "noTarget", &["path"]).await;
}

async fn an_unknown_resource(gateway: &Gateway) {
    let body = crate::support::fixture::patch_of(json!([{"op": "add", "path": "title", "value": "x"}]));
    gateway.refused("PATCH", "/Users/nobody", Some(body), 404, "", &["nobody"]).await;
}
