//! POST (RFC 7644 §3.3).

use crate::gateway::{Gateway, answer, group, user};
use crate::support::fixture::{ENTERPRISE, GROUP, USER};
use serde_json::{Value, json};

crate::cases!(
    create, Notice: a_small_user, a_whole_user, a_group, read_only_attributes_are_ignored, unassigned_values_are_absent, names_in_any_case,
    unknown_attributes_are_refused, values_of_the_wrong_type_are_refused, required_attributes_are_required, schemas_are_checked,
    two_primaries_are_refused, a_refused_create_leaves_nothing,
);

/// 7644-3.3-03 7644-3.3-04 7643-3.1-07
async fn a_small_user(gateway: &Gateway) {
    assert_eq!(gateway.create_user("ann", json!({})).await, answer(201, &user("ann", 1, json!({}))));
    assert_eq!(gateway.get("/Users/{ann}").await, answer(200, &user("ann", 1, json!({}))));
}

/// 7643-3-02 7643-2.3.6-01
async fn a_whole_user(gateway: &Gateway) {
    let attributes = json!({
        "schemas": [USER, ENTERPRISE], "externalId": "ext-1", "displayName": "Ann B", "nickName": "Annie", "active": true,
        "name": {"formatted": "Ms. Ann B", "familyName": "B", "givenName": "Ann"},
        "profileUrl": "https://login.example.com/ann", "title": "Guide", "preferredLanguage": "en-US", "timezone": "Europe/Berlin",
        "emails": [{"value": "ann@example.com", "type": "work", "primary": true}, {"value": "ann@home.example", "type": "home"}],
        "addresses": [{"type": "work", "streetAddress": "1 Way", "locality": "Town", "country": "NL"}],
        "x509Certificates": [{"value": "MIIDQzCCAqygAwIBAgICEAAwDQYJKoZIhvcNAQEFBQAw"}],
        ENTERPRISE: {"employeeNumber": "701984", "department": "Tours", "manager": {"value": "m-1"}},
    });
    let expected = answer(201, &user("ann", 1, attributes.clone()));
    assert_eq!(gateway.create_user("ann", attributes).await, expected);
}

async fn a_group(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    assert_eq!(gateway.create_group("team", &["ann"]).await, answer(201, &group("team", 1, &["ann"])));
    assert_eq!(gateway.create_group("none", &[]).await, answer(201, &group("none", 1, &[])));
}

/// 7644-3.3-01 7643-3.1-01 7643-3.1-04
async fn read_only_attributes_are_ignored(gateway: &Gateway) {
    let body = json!({"id": "chosen", "meta": {"version": "\"9\"", "resourceType": "Group"}, "groups": [{"value": "g"}]});
    assert_eq!(gateway.create_user("ann", body).await, answer(201, &user("ann", 1, json!({}))));
    gateway.refused("GET", "/Users/chosen", None, 404, "", &["chosen"]).await;
}

/// 7643-2.5-01
async fn unassigned_values_are_absent(gateway: &Gateway) {
    let body = json!({"nickName": null, "emails": [], "name": null, "externalId": null, ENTERPRISE: {"department": null}});
    assert_eq!(gateway.create_user("ann", body).await, answer(201, &user("ann", 1, json!({}))));
}

/// 7643-2.1-01
async fn names_in_any_case(gateway: &Gateway) {
    let body = json!({"SCHEMAS": [USER], "USERNAME": "~ann", "Name": {"GIVENNAME": "Ann"}, "EMAILS": [{"VALUE": "a@b.example"}]});
    let expected = json!({"name": {"givenName": "Ann"}, "emails": [{"value": "a@b.example"}]});
    assert_eq!(gateway.create("ann", "/Users", body).await, answer(201, &user("ann", 1, expected)));
}

async fn refused(gateway: &Gateway, body: Value, scim_type: &str, words: &[&str]) {
    gateway.refused("POST", "/Users", Some(body), 400, scim_type, words).await;
}

async fn unknown_attributes_are_refused(gateway: &Gateway) {
    for (name, value) in [("hobby", json!("x")), ("user-name", json!("x")), ("members", json!([]))] {
        refused(gateway, json!({"schemas": [USER], "userName": "~ann", name: value}), "invalidValue", &[name]).await;
    }
    refused(gateway, json!({"schemas": [USER], "userName": "~ann", "name": {"first": "A"}}), "invalidValue", &["name.first"]).await;
    let extension = json!({"schemas": [USER, ENTERPRISE], "userName": "~ann", ENTERPRISE: {"shoe": "42"}});
    refused(gateway, extension, "invalidValue", &[ENTERPRISE, "shoe"]).await;
}

/// 7644-3.3-08 7643-2.3.2-01
async fn values_of_the_wrong_type_are_refused(gateway: &Gateway) {
    for (name, value) in [
        ("userName", json!(7)),
        ("userName", json!(["a"])),
        ("displayName", json!({"a": 1})),
        ("active", json!("perhaps")),
        ("active", json!(1)),
        ("name", json!("Ann")),
        ("name", json!([{"givenName": "Ann"}])),
        ("emails", json!("ann@example.com")),
        ("emails", json!([["a"]])),
        ("emails", json!([{"value": true}])),
        ("profileUrl", json!(1)),
        ("x509Certificates", json!([{"value": "not base64 !"}])),
        (ENTERPRISE, json!("x")),
    ] {
        let mut body = json!({"schemas": [USER, ENTERPRISE], "userName": "~ann"});
        body[name] = value;
        refused(gateway, body, "invalidValue", &[name]).await;
    }
}

/// 7643-4.1.1-01 7643-4.2-01
async fn required_attributes_are_required(gateway: &Gateway) {
    for value in [json!({}), json!({"userName": null}), json!({"userName": ""})] {
        refused(gateway, crate::support::fixture::with(json!({"schemas": [USER]}), value), "invalidValue", &["userName"]).await;
    }
    let body = json!({"schemas": [GROUP]});
    gateway.refused("POST", "/Groups", Some(body), 400, "invalidValue", &["displayName"]).await;
}

/// 7643-2.1-02 7643-3-01
async fn schemas_are_checked(gateway: &Gateway) {
    refused(gateway, json!({"userName": "~ann"}), "invalidValue", &["schemas"]).await;
    refused(gateway, json!({"userName": "~ann", "schemas": []}), "invalidValue", &["schemas"]).await;
    refused(gateway, json!({"userName": "~ann", "schemas": "x"}), "invalidValue", &["schemas"]).await;
    refused(gateway, json!({"userName": "~ann", "schemas": [ENTERPRISE]}), "invalidValue", &["schemas", USER]).await;
    refused(gateway, json!({"userName": "~ann", "schemas": [USER, USER]}), "invalidValue", &["schemas", "twice"]).await;
    refused(gateway, json!({"userName": "~ann", "schemas": [USER, "urn:example:other"]}), "invalidSyntax", &["urn:example:other"])
        .await;
    refused(gateway, json!([1, 2]), "invalidSyntax", &["object"]).await;
}

/// 7643-2.4-02
async fn two_primaries_are_refused(gateway: &Gateway) {
    let emails = json!([{"value": "a@b.example", "primary": true}, {"value": "c@d.example", "primary": true}]);
    refused(gateway, json!({"schemas": [USER], "userName": "~ann", "emails": emails}), "invalidValue", &["emails", "primary"])
        .await;
}

async fn a_refused_create_leaves_nothing(gateway: &Gateway) {
    refused(gateway, json!({"schemas": [USER], "userName": "~ann", "active": 3}), "invalidValue", &["active"]).await;
    assert_eq!(gateway.found("/Users", "userName eq \"~ann\"").await, Vec::<String>::new());
    assert_eq!(gateway.create_user("ann", json!({})).await["status"], 201);
}
