//! PATCH (RFC 7644 §3.5.2) on the values of multi-valued attributes.

use crate::gateway::{Gateway, answer, user};
use serde_json::{Value, json};

crate::cases!(
    patch_values, Notice: add_appends, add_takes_one_value_or_several, a_value_that_is_there_is_not_added, replace_takes_the_whole_set,
    replace_by_filter, replace_a_part_by_filter, remove_by_filter, remove_a_part_by_filter, remove_all, replace_without_a_match,
    primary_moves, a_missing_value_is_made_from_its_filter,
);

fn work() -> Value {
    json!({"value": "w@b.example", "type": "work"})
}

fn home() -> Value {
    json!({"value": "h@b.example", "type": "home"})
}

fn other() -> Value {
    json!({"value": "o@b.example", "type": "other"})
}

async fn with_two(gateway: &Gateway) {
    gateway.create_user("ann", json!({"emails": [work(), home()]})).await;
}

async fn patched(gateway: &Gateway, operations: Value, version: u64, emails: Value) {
    let attributes = if emails.is_null() { json!({}) } else { json!({"emails": emails}) };
    let expected = answer(200, &user("ann", version, attributes));
    assert_eq!(gateway.patch("/Users/{ann}", operations).await, expected);
}

/// 7644-3.5.2.1-03
async fn add_appends(gateway: &Gateway) {
    with_two(gateway).await;
    patched(gateway, json!([{"op": "add", "path": "emails", "value": [other()]}]), 2, json!([work(), home(), other()])).await;
}

async fn add_takes_one_value_or_several(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    patched(gateway, json!([{"op": "add", "path": "emails", "value": work()}]), 2, json!([work()])).await;
    patched(gateway, json!([{"op": "add", "value": {"emails": [home(), other()]}}]), 3, json!([work(), home(), other()])).await;
}

/// 7644-3.5.2.1-04 7643-2.4-04
async fn a_value_that_is_there_is_not_added(gateway: &Gateway) {
    with_two(gateway).await;
    patched(gateway, json!([{"op": "add", "path": "emails", "value": [home(), other()]}]), 2, json!([work(), home(), other()]))
        .await;
}

/// 7644-3.5.2.3-02
async fn replace_takes_the_whole_set(gateway: &Gateway) {
    with_two(gateway).await;
    patched(gateway, json!([{"op": "replace", "path": "emails", "value": [other()]}]), 2, json!([other()])).await;
    patched(gateway, json!([{"op": "replace", "path": "emails", "value": []}]), 3, Value::Null).await;
}

/// 7644-3.5.2.3-04
async fn replace_by_filter(gateway: &Gateway) {
    with_two(gateway).await;
    let new = json!({"value": "new@b.example", "type": "work"});
    patched(gateway, json!([{"op": "replace", "path": "emails[type eq \"work\"]", "value": new}]), 2, json!([new, home()])).await;
}

/// 7644-3.5.2.3-04
async fn replace_a_part_by_filter(gateway: &Gateway) {
    with_two(gateway).await;
    let operations =
        json!([{"op": "replace", "path": "emails[type eq \"home\" or value co \"zzz\"].value", "value": "n@b.example"}]);
    patched(gateway, operations, 2, json!([work(), {"value": "n@b.example", "type": "home"}])).await;
    let all = json!([{"op": "replace", "path": "emails[value pr].display", "value": "D"}]);
    let shown =
        json!([{"value": "w@b.example", "type": "work", "display": "D"}, {"value": "n@b.example", "type": "home", "display": "D"}]);
    patched(gateway, all, 3, shown).await;
}

/// 7644-3.5.2.2-02
async fn remove_by_filter(gateway: &Gateway) {
    with_two(gateway).await;
    patched(gateway, json!([{"op": "remove", "path": "emails[type eq \"WORK\"]"}]), 2, json!([home()])).await;
    patched(gateway, json!([{"op": "remove", "path": "emails[value ew \".example\"]"}]), 3, Value::Null).await;
}

/// 7644-3.5.2.2-02
async fn remove_a_part_by_filter(gateway: &Gateway) {
    with_two(gateway).await;
    let operations = json!([{"op": "remove", "path": "emails[type eq \"work\"].type"}]);
    patched(gateway, operations, 2, json!([{"value": "w@b.example"}, home()])).await;
}

/// 7644-3.5.2.2-02
async fn remove_all(gateway: &Gateway) {
    with_two(gateway).await;
    patched(gateway, json!([{"op": "remove", "path": "emails"}]), 2, Value::Null).await;
}

/// 7644-3.5.2.3-05
async fn replace_without_a_match(gateway: &Gateway) {
    with_two(gateway).await;
    let body = crate::support::fixture::patch_of(json!([{"op": "replace", "path": "emails[value co \"zzz\"]", "value": other()}]));
    gateway.refused("PATCH", "/Users/{ann}", Some(body), 400, "noTarget", &["emails"]).await;
}

/// 7644-3.5.2-06
async fn primary_moves(gateway: &Gateway) {
    gateway.create_user("ann", json!({"emails": [{"value": "w@b.example", "type": "work", "primary": true}, home()]})).await;
    let operations = json!([{"op": "replace", "path": "emails[type eq \"home\"].primary", "value": true}]);
    let answer = gateway.patch("/Users/{ann}", operations).await;
    let emails = answer["body"]["emails"].as_array().expect("emails").clone();
    let primary: Vec<&Value> = emails.iter().filter(|email| email["primary"] == true).map(|email| &email["type"]).collect();
    assert_eq!((primary, emails.len(), &answer["etag"]), (vec![&json!("home")], 2, &json!("\"2\"")));
}

/// 7644-3.5.2.1-05, and what Entra ID sends: several operations land on the one new value.
async fn a_missing_value_is_made_from_its_filter(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let operations = json!([
        {"op": "Add", "path": "emails[type eq \"work\"].value", "value": "w@b.example"},
        {"op": "Add", "path": "emails[type eq \"work\"].primary", "value": true},
    ]);
    let answer = gateway.patch("/Users/{ann}", operations).await;
    assert_eq!(answer["body"]["emails"], json!([{"type": "work", "value": "w@b.example", "primary": true}]));
}
