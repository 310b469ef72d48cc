//! Members of groups (RFC 7643 §4.2), also many and at once.

use crate::gateway::{Gateway, answer, group};
use crate::support::client::Answer;
use crate::support::fixture::{add_member, patch_of, remove_member};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Barrier;

crate::cases!(
    members, Notice: join_and_leave, several_in_one_patch, a_member_twice_is_one, who_is_there_is_not_added_again, who_is_not_there_leaves_quietly,
    replace_the_members, remove_all_members, the_list_that_entra_sends, an_unknown_member_is_kept, members_are_immutable,
    of_fifty_clients_none_is_lost,
    of_fifty_clients_each_has_its_version, coming_and_going_at_once, a_large_group_is_answered_204,
);

async fn three(gateway: &Gateway) {
    for label in ["ann", "bob", "cid"] {
        gateway.create_user(label, json!({})).await;
    }
}

async fn becomes(gateway: &Gateway, operations: Value, version: u64, members: &[&str]) {
    let expected = answer(200, &group("team", version, members));
    assert_eq!(gateway.patch("/Groups/{team}", operations).await, expected);
    assert_eq!(gateway.get("/Groups/{team}").await, expected);
}

async fn join_and_leave(gateway: &Gateway) {
    three(gateway).await;
    gateway.create_group("team", &[]).await;
    becomes(gateway, json!([{"op": "add", "path": "members", "value": [{"value": "{ann}"}]}]), 2, &["ann"]).await;
    becomes(gateway, json!([{"op": "add", "path": "members", "value": {"value": "{bob}"}}]), 3, &["ann", "bob"]).await;
    becomes(gateway, json!([{"op": "remove", "path": "members[value eq \"{ann}\"]"}]), 4, &["bob"]).await;
}

async fn several_in_one_patch(gateway: &Gateway) {
    three(gateway).await;
    gateway.create_group("team", &["ann"]).await;
    let operations = json!([
        {"op": "add", "value": {"members": [{"value": "{bob}"}, {"value": "{cid}"}]}},
        {"op": "remove", "path": "members[value eq \"{ann}\" or value eq \"{cid}\"]"},
    ]);
    becomes(gateway, operations, 2, &["bob"]).await;
}

async fn a_member_twice_is_one(gateway: &Gateway) {
    three(gateway).await;
    assert_eq!(gateway.create_group("team", &["ann", "ann"]).await, answer(201, &group("team", 1, &["ann"])));
    let operations =
        json!([{"op": "add", "path": "members", "value": [{"value": "{bob}"}, {"value": "{bob}"}, {"value": "{ann}"}]}]);
    becomes(gateway, operations, 2, &["ann", "bob"]).await;
}

async fn who_is_there_is_not_added_again(gateway: &Gateway) {
    three(gateway).await;
    gateway.create_group("team", &["ann"]).await;
    becomes(gateway, json!([{"op": "add", "path": "members", "value": [{"value": "{ann}"}]}]), 1, &["ann"]).await;
    let there_and_back = json!([
        {"op": "add", "path": "members", "value": [{"value": "{bob}"}]}, {"op": "remove", "path": "members[value eq \"{bob}\"]"},
    ]);
    becomes(gateway, there_and_back, 1, &["ann"]).await;
    assert_eq!(gateway.events().await.len(), 4);
}

/// 7644-3.5.2.2-04
async fn who_is_not_there_leaves_quietly(gateway: &Gateway) {
    // Checklist C2
    three(gateway).await;
    gateway.create_group("team", &["ann"]).await;
    becomes(gateway, json!([{"op": "remove", "path": "members[value eq \"{bob}\"]"}]), 1, &["ann"]).await;
}

/// 7644-3.5.2.3-02
async fn replace_the_members(gateway: &Gateway) {
    three(gateway).await;
    gateway.create_group("team", &["ann", "bob"]).await;
    becomes(
        gateway,
        json!([{"op": "replace", "path": "members", "value": [{"value": "{cid}"}, {"value": "{bob}"}]}]),
        2,
        &["bob", "cid"],
    )
    .await;
    becomes(
        gateway,
        json!([{"op": "replace", "path": "members", "value": [{"value": "{bob}"}, {"value": "{cid}"}]}]),
        2,
        &["bob", "cid"],
    )
    .await;
    becomes(gateway, json!([{"op": "replace", "path": "members", "value": []}]), 3, &[]).await;
}

async fn remove_all_members(gateway: &Gateway) {
    three(gateway).await;
    gateway.create_group("team", &["ann", "bob"]).await;
    becomes(gateway, json!([{"op": "remove", "path": "members"}]), 2, &[]).await;
}

/// 7644-3.5.2.2-04: read literally it would empty the group.
async fn the_list_that_entra_sends(gateway: &Gateway) {
    three(gateway).await;
    gateway.create_group("team", &["ann", "bob", "cid"]).await;
    let operations = json!([{"op": "Remove", "path": "members", "value": [{"value": "{ann}"}, {"value": "{cid}"}]}]);
    becomes(gateway, operations, 2, &["bob"]).await;
}

/// 7643-2.3.7-03
async fn an_unknown_member_is_kept(gateway: &Gateway) {
    gateway.create_group("team", &[]).await;
    let patched =
        gateway.patch("/Groups/{team}", json!([{"op": "add", "path": "members", "value": [{"value": "not-here"}]}])).await;
    assert_eq!((&patched["status"], &patched["etag"]), (&json!(200), &json!("\"2\"")));
    assert_eq!(patched["body"]["members"][0]["value"], "not-here");
}

/// 7643-4.2-02
async fn members_are_immutable(gateway: &Gateway) {
    three(gateway).await;
    gateway.create_group("team", &["ann"]).await;
    let body = patch_of(json!([{"op": "replace", "path": "members[value eq \"{ann}\"].value", "value": "{bob}"}]));
    gateway.refused("PATCH", "/Groups/{team}", Some(body), 400, "mutability", &["members"]).await;
}

/// The ids of a group's members and its version.
async fn state(gateway: &Gateway) -> (BTreeSet<String>, u64) {
    let answer = gateway.raw("GET", "/Groups/{team}", &[], None).await;
    let members = answer.json()["members"].as_array().cloned().unwrap_or_default();
    (members.iter().filter_map(|member| member["value"].as_str()).map(str::to_owned).collect(), answer.version())
}

/// Fifty users, and what each client was answered when all of them add their own to one group at once.
async fn fifty_join(gateway: &Gateway, query: &str) -> (BTreeSet<String>, Vec<Answer>) {
    const CLIENTS: usize = 50;
    gateway.create_group("team", &[]).await;
    let mut users = Vec::new();
    for number in 0..CLIENTS {
        gateway.create_user(&format!("u{number}"), json!({})).await;
        users.push(gateway.fill(&format!("{{u{number}}}")));
    }
    let start = Arc::new(Barrier::new(CLIENTS));
    let path = format!("{}{query}", gateway.fill("/Groups/{team}"));
    let joining = users.iter().map(|id| {
        let (client, path, id, start) = (gateway.client.clone(), path.clone(), id.clone(), Arc::clone(&start));
        tokio::spawn(async move {
            start.wait().await;
            client.patch(&path, &add_member(&id)).await
        })
    });
    let mut answers = Vec::new();
    for client in joining.collect::<Vec<_>>() {
        answers.push(client.await.expect("a client"));
    }
    (users.into_iter().collect(), answers)
}

async fn of_fifty_clients_none_is_lost(gateway: &Gateway) {
    let (users, answers) = fifty_join(gateway, "").await;
    assert_eq!(answers.iter().map(|answer| answer.status).collect::<Vec<_>>(), [200; 50]);
    assert_eq!(state(gateway).await, (users, 51));
    let events = gateway.events().await;
    let of_group = events.iter().filter(|event| event["sub_id"]["uri"] == "/Groups/{team}").collect::<Vec<_>>();
    let versions =
        of_group[1..].iter().map(|event| event["events"]["urn:ietf:params:scim:event:prov:patch:notice"]["version"].clone());
    assert_eq!(versions.collect::<Vec<_>>(), (2..=51).map(|version| json!(format!("\"{version}\""))).collect::<Vec<_>>());
}

async fn of_fifty_clients_each_has_its_version(gateway: &Gateway) {
    // An answer with members shows the group as it is by then; one without shows the client's own change.
    let (users, answers) = fifty_join(gateway, "?excludedAttributes=members").await;
    let versions: BTreeSet<u64> = answers.iter().map(Answer::version).collect();
    assert_eq!((versions, state(gateway).await), ((2..=51).collect(), (users, 51)));
}

async fn coming_and_going_at_once(gateway: &Gateway) {
    const CLIENTS: usize = 8;
    gateway.create_group("team", &[]).await;
    let path = gateway.fill("/Groups/{team}");
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        gateway.create_user(&format!("u{number}"), json!({})).await;
        let (client, path, id) = (gateway.client.clone(), path.clone(), gateway.fill(&format!("{{u{number}}}")));
        clients.push(tokio::spawn(async move {
            for _ in 0..5 {
                assert_eq!(client.patch(&path, &add_member(&id)).await.status, 200);
                assert_eq!(client.patch(&path, &remove_member(&id)).await.status, 200);
            }
            assert_eq!(client.patch(&path, &add_member(&id)).await.status, 200);
            id
        }));
    }
    let mut expected = BTreeSet::new();
    for client in clients {
        expected.insert(client.await.expect("a client"));
    }
    assert_eq!(state(gateway).await, (expected, 1 + 8 * 11));
}

/// 7644-3.5.2-08
async fn a_large_group_is_answered_204(gateway: &Gateway) {
    let members: Vec<Value> = (0..1_001).map(|number| json!({"value": format!("m{number:04}")})).collect();
    let body = json!({"schemas": [crate::support::fixture::GROUP], "displayName": "~team", "members": members});
    gateway.create("team", "/Groups?excludedAttributes=members", body).await;
    let add = json!([{"op": "add", "path": "members", "value": [{"value": "one-more"}]}]);
    assert_eq!(gateway.patch("/Groups/{team}", add).await, json!({"status": 204, "etag": "\"2\""}));
    assert_eq!(state(gateway).await.0.len(), 1_002);
    let remove = json!([{"op": "remove", "path": "members[value eq \"one-more\"]"}]);
    let asked = gateway.patch("/Groups/{team}?attributes=displayName", remove).await;
    assert_eq!((&asked["status"], &asked["body"]["displayName"]), (&json!(200), &json!("~team")));
    assert_eq!(state(gateway).await, ((0..1_001).map(|number| format!("m{number:04}")).collect(), 3));
}
