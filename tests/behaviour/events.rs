//! Events as notices (RFC 9967 §2): each kind, in order, with version and transaction.

use crate::gateway::{Gateway, event, notice};
use crate::support::fixture::{ENTERPRISE, USER, patch_of};
use serde_json::json;

crate::cases!(
    events, Notice: of_a_whole_life, activate_and_deactivate, created_inactive, a_refused_write_has_none, of_a_group, the_external_id_is_named,
    what_changed_is_named, every_answered_version_has_its_event,
);

/// 9967-2.4.4-01 9967-2.2-01 9967-2.2-02
async fn of_a_whole_life(gateway: &Gateway) {
    gateway.create_user("ann", json!({"title": "Guide"})).await;
    gateway.patch("/Users/{ann}", json!([{"op": "replace", "path": "title", "value": "Boss"}])).await;
    gateway.put("/Users/{ann}", json!({"schemas": [USER], "userName": "~ann", "nickName": "A"})).await;
    gateway.delete("/Users/{ann}").await;
    let expected = [
        event("create:notice", "/Users", "ann", 1, notice(1, &["id", "userName", "title"])),
        event("patch:notice", "/Users", "ann", 2, notice(2, &["title"])),
        event("put:notice", "/Users", "ann", 3, notice(3, &["title", "nickName"])),
        event("delete", "/Users", "ann", 4, json!({})),
    ];
    assert_eq!(gateway.events().await, expected);
}

/// 9967-2.4.5-01 7643-4.1.1-07
async fn activate_and_deactivate(gateway: &Gateway) {
    gateway.create_user("ann", json!({"active": true})).await;
    gateway.patch("/Users/{ann}", json!([{"op": "replace", "value": {"active": false}}])).await;
    gateway.put("/Users/{ann}", json!({"schemas": [USER], "userName": "~ann", "active": true})).await;
    gateway.put("/Users/{ann}", json!({"schemas": [USER], "userName": "~ann", "active": true})).await;
    let expected = [
        event("create:notice", "/Users", "ann", 1, notice(1, &["id", "userName", "active"])),
        event("patch:notice", "/Users", "ann", 2, notice(2, &["active"])),
        event("deactivate", "/Users", "ann", 2, json!({})),
        event("put:notice", "/Users", "ann", 3, notice(3, &["active"])),
        event("activate", "/Users", "ann", 3, json!({})),
    ];
    assert_eq!(gateway.events().await, expected);
}

/// 9967-2.4.5-01
async fn created_inactive(gateway: &Gateway) {
    gateway.create_user("ann", json!({"active": false})).await;
    gateway.patch("/Users/{ann}", json!([{"op": "add", "path": "active", "value": true}])).await;
    let expected = [
        event("create:notice", "/Users", "ann", 1, notice(1, &["id", "userName", "active"])),
        event("patch:notice", "/Users", "ann", 2, notice(2, &["active"])),
        event("activate", "/Users", "ann", 2, json!({})),
    ];
    assert_eq!(gateway.events().await, expected);
}

async fn a_refused_write_has_none(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.raw("POST", "/Users", &[], Some(json!({"schemas": [USER], "userName": "~ann"}))).await;
    gateway.raw("PUT", "/Users/{ann}", &[("if-match", "\"7\"")], Some(json!({"schemas": [USER], "userName": "~x"}))).await;
    gateway.patch("/Users/{ann}", json!([{"op": "replace", "path": "active", "value": "x"}])).await;
    assert_eq!(gateway.events().await, [event("create:notice", "/Users", "ann", 1, notice(1, &["id", "userName"]))]);
}

async fn of_a_group(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.create_group("team", &["ann"]).await;
    gateway.patch("/Groups/{team}", json!([{"op": "remove", "path": "members[value eq \"{ann}\"]"}])).await;
    let both = json!([
        {"op": "replace", "path": "displayName", "value": "~crew"}, {"op": "add", "path": "members", "value": [{"value": "{ann}"}]},
    ]);
    gateway.patch("/Groups/{team}", both).await;
    let expected = [
        event("create:notice", "/Groups", "team", 2, notice(1, &["id", "displayName", "members"])),
        event("patch:notice", "/Groups", "team", 3, notice(2, &["members"])),
        event("patch:notice", "/Groups", "team", 4, notice(3, &["displayName", "members"])),
    ];
    assert_eq!(gateway.events().await[1..], expected);
}

/// 9967-2.1-03
async fn the_external_id_is_named(gateway: &Gateway) {
    gateway.create_user("ann", json!({"externalId": "~e"})).await;
    gateway.delete("/Users/{ann}").await;
    let subjects: Vec<_> = gateway.events().await.iter().map(|event| event["sub_id"].clone()).collect();
    let subject = json!({"format": "scim", "uri": "/Users/{ann}", "externalId": "~e"});
    assert_eq!(subjects, [subject.clone(), subject]);
}

/// 9967-2.2-04
async fn what_changed_is_named(gateway: &Gateway) {
    gateway.create_user("ann", json!({"name": {"givenName": "Ann", "familyName": "B"}})).await;
    let operations = json!([
        {"op": "replace", "path": "name.familyName", "value": "C"},
        {"op": "add", "path": "emails", "value": [{"value": "a@b.example"}]},
        {"op": "add", "path": format!("{ENTERPRISE}:department"), "value": "Tours"},
    ]);
    gateway.patch("/Users/{ann}", operations).await;
    let department = format!("{ENTERPRISE}:department");
    let expected = event("patch:notice", "/Users", "ann", 2, notice(2, &["name.familyName", "emails", &department]));
    assert_eq!(gateway.events().await[1..], [expected]);
}

async fn every_answered_version_has_its_event(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let path = gateway.fill("/Users/{ann}");
    let writers: Vec<_> = (0..10)
        .map(|number| {
            let (client, path) = (gateway.client.clone(), path.clone());
            let title = json!([{"op": "add", "path": "title", "value": format!("t{number}")}]);
            tokio::spawn(async move { client.patch(&path, &patch_of(title)).await.version() })
        })
        .collect();
    let mut versions = Vec::new();
    for writer in writers {
        versions.push(writer.await.expect("a writer"));
    }
    versions.sort_unstable();
    assert_eq!(versions, (2..=11).collect::<Vec<u64>>());
    let expected: Vec<_> = (2..=11).map(|version| notice(version, &["title"])).collect();
    let events = gateway.events().await;
    let told: Vec<_> =
        events[1..].iter().map(|event| event["events"]["urn:ietf:params:scim:event:prov:patch:notice"].clone()).collect();
    assert_eq!(told, expected);
}
