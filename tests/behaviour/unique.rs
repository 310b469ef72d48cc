//! Uniqueness (RFC 7643 §7, RFC 7644 §3.3).

use crate::gateway::{Gateway, answer, user};
use crate::support::fixture::{GROUP, USER, patch_of, user as body_of};
use serde_json::json;

crate::cases!(
    unique, Notice: a_taken_user_name_on_post, in_another_case, on_put_and_patch, a_name_given_up_is_free, one_may_change_its_own_case,
    external_ids_may_repeat, group_names_are_unique, of_many_at_once_one_is_created,
);

async fn taken(gateway: &Gateway, name: &str) {
    let body = json!({"schemas": [USER], "userName": name});
    gateway.refused("POST", "/Users", Some(body), 409, "uniqueness", &["userName"]).await;
}

/// 7644-3.3-07
async fn a_taken_user_name_on_post(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    taken(gateway, "~ann").await;
    assert_eq!(gateway.events().await.len(), 1);
}

/// 7643-4.1.1-01 7644-5-01
async fn in_another_case(gateway: &Gateway) {
    gateway.create_user("ann-ü", json!({})).await;
    taken(gateway, "~ANN-Ü").await;
    taken(gateway, "~ann-u\u{308}").await;
}

/// 7643-7-06 7644-3.5.1-05
async fn on_put_and_patch(gateway: &Gateway) {
    // Checklist C5
    gateway.create_user("ann", json!({})).await;
    gateway.create_user("bob", json!({})).await;
    gateway.refused("PUT", "/Users/{bob}", Some(body_of("~Ann")), 409, "uniqueness", &["userName"]).await;
    let patch = patch_of(json!([{"op": "replace", "path": "userName", "value": "~ann"}]));
    gateway.refused("PATCH", "/Users/{bob}", Some(patch), 409, "uniqueness", &["userName"]).await;
    assert_eq!(gateway.get("/Users/{bob}").await, answer(200, &user("bob", 1, json!({}))));
}

async fn a_name_given_up_is_free(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.patch("/Users/{ann}", json!([{"op": "replace", "path": "userName", "value": "~anna"}])).await;
    taken(gateway, "~anna").await;
    assert_eq!(gateway.create("other", "/Users", body_of("~ann")).await["status"], 201);
    assert_eq!(gateway.found("/Users", "userName eq \"~ann\"").await, ["other"]);
    assert_eq!(gateway.found("/Users", "userName eq \"~anna\"").await, ["ann"]);
}

async fn one_may_change_its_own_case(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let patch = json!([{"op": "replace", "path": "userName", "value": "~ANN"}]);
    assert_eq!(gateway.patch("/Users/{ann}", patch).await, answer(200, &user("ann", 2, json!({"userName": "~ANN"}))));
    taken(gateway, "~ann").await;
}

/// 7643-3.1-03
async fn external_ids_may_repeat(gateway: &Gateway) {
    gateway.create_user("ann", json!({"externalId": "~same"})).await;
    assert_eq!(gateway.create_user("bob", json!({"externalId": "~same"})).await["status"], 201);
    assert_eq!(gateway.found("/Users", "externalId eq \"~same\"").await, ["ann", "bob"]);
}

async fn group_names_are_unique(gateway: &Gateway) {
    // A switch, on by default: Entra ID takes displayName for unique.
    gateway.create_group("team", &[]).await;
    let body = json!({"schemas": [GROUP], "displayName": "~TEAM"});
    gateway.refused("POST", "/Groups", Some(body), 409, "uniqueness", &["displayName"]).await;
}

async fn of_many_at_once_one_is_created(gateway: &Gateway) {
    let race: Vec<_> = (0..16)
        .map(|_| {
            let gateway = gateway.through(gateway.client.clone());
            tokio::spawn(async move { gateway.raw("POST", "/Users", &[], Some(body_of("~ann"))).await })
        })
        .collect();
    let mut statuses = Vec::new();
    for writer in race {
        statuses.push(writer.await.expect("a writer").status);
    }
    statuses.sort_unstable();
    assert_eq!((statuses[0], &statuses[1..]), (201, &[409; 15][..]));
    assert_eq!(gateway.found("/Users", "userName eq \"~ann\"").await.len(), 1);
}
