//! Formats of values (RFC 7643 §4.1) where clients may not be loose about them.

use crate::gateway::{Gateway, answer, user};
use crate::support::fixture::{USER, patch_of};
use serde_json::{Value, json};

crate::cases!(
    formats, Strict: what_has_a_format_has_it, what_lacks_its_format_is_refused, a_patch_is_held_to_formats_too, certificates_are_certificates,
);

/// 7643-4.1.1-08 7643-4.1.1-09 7643-4.1.2-02
async fn what_has_a_format_has_it(gateway: &Gateway) {
    let attributes = json!({"preferredLanguage": "en-US, fr;q=0.5", "locale": "en_US", "timezone": "America/Los_Angeles",
        "addresses": [{"type": "work", "country": "US"}]});
    assert_eq!(gateway.create_user("ann", attributes.clone()).await, answer(201, &user("ann", 1, attributes)));
}

fn without_format() -> [(&'static str, Value, &'static str); 7] {
    [
        ("preferredLanguage", json!("en_US"), "preferredLanguage"),
        ("locale", json!("American English"), "locale"),
        ("timezone", json!("W. Europe Standard Time"), "timezone"),
        ("addresses", json!([{"country": "Germany"}]), "addresses.country"),
        ("addresses", json!([{"country": "DEU"}]), "addresses.country"),
        ("addresses", json!([{"country": "UK"}]), "addresses.country"),
        ("x509Certificates", json!([{"value": "MA=="}]), "x509Certificates.value"),
    ]
}

/// 7643-4.1.1-08 7643-4.1.1-09 7643-4.1.2-02
async fn what_lacks_its_format_is_refused(gateway: &Gateway) {
    for (name, value, path) in without_format() {
        let mut body = json!({"schemas": [USER], "userName": "~ann"});
        body[name] = value;
        gateway.refused("POST", "/Users", Some(body), 400, "invalidValue", &[path]).await;
    }
}

/// 7643-4.1.2-02 7644-3.5.2-09
async fn a_patch_is_held_to_formats_too(gateway: &Gateway) {
    gateway.create_user("ann", json!({"addresses": [{"type": "work", "country": "NL"}]})).await;
    for (name, value, path) in without_format() {
        let operations = json!([{"op": "replace", "path": name, "value": value}]);
        gateway.refused("PATCH", "/Users/{ann}", Some(patch_of(operations)), 400, "invalidValue", &[path]).await;
    }
    let by_filter = json!([{"op": "replace", "path": "addresses[type eq \"work\"].country", "value": "Holland"}]);
    gateway.refused("PATCH", "/Users/{ann}", Some(patch_of(by_filter)), 400, "invalidValue", &["addresses.country"]).await;
    let operations = json!([{"op": "replace", "path": "addresses[type eq \"work\"].country", "value": "de"}]);
    let expected = json!({"addresses": [{"type": "work", "country": "DE"}]});
    assert_eq!(gateway.patch("/Users/{ann}", operations).await, answer(200, &user("ann", 2, expected)));
}

/// 7643-4.1.2-04
async fn certificates_are_certificates(gateway: &Gateway) {
    let one = include_str!("../support/certificate.txt").trim();
    let attributes = json!({"x509Certificates": [{"value": one, "type": "work"}]});
    assert_eq!(gateway.create_user("ann", attributes.clone()).await, answer(201, &user("ann", 1, attributes)));
    let two = include_str!("../support/two_certificates.txt").trim();
    let body = json!({"schemas": [USER], "userName": "~bob", "x509Certificates": [{"value": two}]});
    gateway.refused("POST", "/Users", Some(body), 400, "invalidValue", &["x509Certificates.value", "chain"]).await;
}
