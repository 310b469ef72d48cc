//! `groups` of a user, and groups in groups (RFC 7643 §4.1.2, §4.2).

use crate::gateway::{Gateway, answer, group, member, user};
use crate::support::fixture::with;
use serde_json::{Value, json};

crate::cases!(
    groups, Notice: a_user_names_its_groups, only_when_shown, groups_in_groups, a_cycle_of_groups, a_group_in_itself, a_new_name_shows,
    membership_does_not_bump_the_user, a_long_chain,
);

fn of(label: &str, kind: &str) -> Value {
    json!({"value": format!("{{{label}}}"), "$ref": format!("{{base}}/Groups/{{{label}}}"), "display": format!("~{label}"), "type": kind})
}

async fn groups_of(gateway: &Gateway, label: &str) -> Vec<Value> {
    let answer = gateway.get(&format!("/Users/{{{label}}}")).await;
    let listed = gateway.filter("/Users", &format!("userName eq \"~{label}\"")).await;
    assert_eq!(listed["body"]["Resources"][0]["groups"], answer["body"]["groups"]);
    let mut groups = answer["body"]["groups"].as_array().cloned().unwrap_or_default();
    groups.sort_by_key(|group| group["value"].to_string());
    groups
}

/// 7643-4.1.2-03
async fn a_user_names_its_groups(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.create_group("a", &["ann"]).await;
    assert_eq!(gateway.get("/Users/{ann}").await, answer(200, &user("ann", 1, json!({"groups": [of("a", "direct")]}))));
    gateway.create_group("b", &["ann"]).await;
    assert_eq!(groups_of(gateway, "ann").await, [of("a", "direct"), of("b", "direct")]);
}

async fn only_when_shown(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.create_group("a", &["ann"]).await;
    assert_eq!(gateway.get("/Users/{ann}?excludedAttributes=groups").await, answer(200, &user("ann", 1, json!({}))));
    let only = gateway.get("/Users/{ann}?attributes=groups.display").await["body"]["groups"].clone();
    assert_eq!(only, json!([{"display": "~a"}]));
}

/// 7643-4.1.2-03
async fn groups_in_groups(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.create_group("a", &["ann"]).await;
    let outer = gateway.create_group("b", &["a"]).await;
    let expected = with(group("b", 1, &[]), json!({"members": [member("a", "Group")]}));
    assert_eq!(outer, answer(201, &expected));
    gateway.create_group("c", &["b"]).await;
    assert_eq!(groups_of(gateway, "ann").await, [of("a", "direct"), of("b", "indirect"), of("c", "indirect")]);
    gateway.patch("/Groups/{b}", json!([{"op": "remove", "path": "members[value eq \"{a}\"]"}])).await;
    assert_eq!(groups_of(gateway, "ann").await, [of("a", "direct")]);
}

async fn a_cycle_of_groups(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.create_group("a", &["ann"]).await;
    gateway.create_group("b", &["a"]).await;
    let closing = gateway.patch("/Groups/{a}", json!([{"op": "add", "path": "members", "value": [{"value": "{b}"}]}])).await;
    assert_eq!(closing["status"], 200);
    assert_eq!(groups_of(gateway, "ann").await, [of("a", "direct"), of("b", "indirect")]);
}

async fn a_group_in_itself(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.create_group("a", &["ann"]).await;
    gateway.patch("/Groups/{a}", json!([{"op": "add", "path": "members", "value": [{"value": "{a}"}]}])).await;
    assert_eq!(groups_of(gateway, "ann").await, [of("a", "direct")]);
    assert_eq!(gateway.delete("/Groups/{a}").await, json!({"status": 204}));
    assert_eq!(groups_of(gateway, "ann").await, Vec::<Value>::new());
}

async fn a_new_name_shows(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.create_group("a", &["ann"]).await;
    gateway.patch("/Groups/{a}", json!([{"op": "replace", "path": "displayName", "value": "~renamed"}])).await;
    assert_eq!(groups_of(gateway, "ann").await, [with(of("a", "direct"), json!({"display": "~renamed"}))]);
}

async fn membership_does_not_bump_the_user(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.create_group("a", &["ann"]).await;
    gateway.delete("/Groups/{a}").await;
    assert_eq!(gateway.get("/Users/{ann}").await, answer(200, &user("ann", 1, json!({}))));
}

async fn a_long_chain(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let mut inner = "ann".to_owned();
    for number in 10..26 {
        let outer = format!("g{number}");
        gateway.create_group(&outer, &[&inner]).await;
        inner = outer;
    }
    let kinds: Vec<Value> = groups_of(gateway, "ann").await.iter().map(|group| group["type"].clone()).collect();
    assert_eq!((kinds.len(), &kinds[0]), (16, &json!("direct")));
    assert!(kinds[1..].iter().all(|kind| kind == "indirect"), "{kinds:?}");
}
