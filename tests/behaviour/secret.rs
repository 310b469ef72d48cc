//! Secrets never leave (RFC 7643 §4.1.1 `password`).

use crate::gateway::{Gateway, answer, event, notice, user};
use crate::support::fixture::{USER, patch_of};
use serde_json::{Value, json};

crate::cases!(
    secret, Notice: a_password_is_never_returned, a_new_password_is_a_change_without_its_value, the_same_password_is_no_change,
    errors_do_not_repeat_it,
);

const PASSWORD: &str = "correct horse battery staple";

async fn nowhere(gateway: &Gateway) {
    for path in ["/Users/{ann}", "/Users/{ann}?attributes=password", "/Users?attributes=password,userName"] {
        let text = gateway.raw("GET", path, &[], None).await.text();
        assert!(!text.contains("\"password\"") && !text.contains(PASSWORD) && !text.contains("argon2"), "{path}: {text}");
    }
    let events = json!(gateway.events().await).to_string();
    assert!(!events.contains(PASSWORD) && !events.contains("argon2"), "{events}");
}

/// 7643-4.1.1-04 7643-7-05
async fn a_password_is_never_returned(gateway: &Gateway) {
    assert_eq!(gateway.create_user("ann", json!({"password": PASSWORD})).await, answer(201, &user("ann", 1, json!({}))));
    nowhere(gateway).await;
    let events = gateway.events().await;
    assert_eq!(events, [event("create:notice", "/Users", "ann", 1, notice(1, &["id", "userName", "password"]))]);
}

async fn a_new_password_is_a_change_without_its_value(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let patched = gateway.patch("/Users/{ann}", json!([{"op": "replace", "path": "password", "value": PASSWORD}])).await;
    assert_eq!(patched, answer(200, &user("ann", 2, json!({}))));
    nowhere(gateway).await;
    let events = gateway.events().await;
    assert_eq!(events[1..], [event("patch:notice", "/Users", "ann", 2, notice(2, &["password"]))]);
}

async fn the_same_password_is_no_change(gateway: &Gateway) {
    gateway.create_user("ann", json!({"password": PASSWORD})).await;
    let body = json!({"schemas": [USER], "userName": "~ann", "password": PASSWORD});
    assert_eq!(gateway.put("/Users/{ann}", body.clone()).await, answer(200, &user("ann", 1, json!({}))));
    let other = crate::support::fixture::with(body, json!({"password": "another one"}));
    assert_eq!(gateway.put("/Users/{ann}", other).await, answer(200, &user("ann", 2, json!({}))));
    assert_eq!(gateway.events().await.len(), 2);
}

/// 7643-4.1.1-04
async fn errors_do_not_repeat_it(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let wrong = |value: Value| json!({"schemas": [USER], "userName": "~bob", "password": value});
    for body in [wrong(json!([PASSWORD])), wrong(json!({"x": PASSWORD})), wrong(json!("")), wrong(json!(PASSWORD.repeat(200)))] {
        let refused = gateway.raw("POST", "/Users", &[], Some(body)).await;
        refused.assert_error(400, Some("invalidValue"), &["password"]);
        assert!(!refused.text().contains(PASSWORD), "{}", refused.text());
    }
    let patch = patch_of(json!([{"op": "replace", "path": "password", "value": [PASSWORD]}]));
    let refused = gateway.raw("PATCH", "/Users/{ann}", &[], Some(patch)).await;
    refused.assert_error(400, Some("invalidValue"), &["password"]);
    assert!(!refused.text().contains(PASSWORD), "{}", refused.text());
}
