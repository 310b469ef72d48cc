//! What a value is (RFC 7643 §§2.3, 2.4, 4.1): formats, references, identity, case.

use crate::gateway::{Gateway, answer, event, group, user};
use crate::support::fixture::{ENTERPRISE, GROUP, USER};
use serde_json::{Value, json};

crate::cases!(
    values, Notice: the_answer_says_what_was_understood, countries_are_codes, chains_of_certificates_are_refused, links_are_uris,
    the_same_type_and_value_stand_once, adding_what_is_there_is_no_change, the_name_of_a_member_stays, references_lead_to_resources,
    references_compare_without_a_version, case_is_kept_and_tells_apart_where_it_counts, what_was_returned_is_what_is_compared,
    the_endpoint_makes_the_type, active_is_a_boolean_that_switches, a_location_is_said_once, put_and_patch_are_there, a_password_is_no_criterion,
);

/// 7644-3.1-02 7643-2.3.1-01
async fn the_answer_says_what_was_understood(gateway: &Gateway) {
    let sent = json!({"emails": [{"value": "a@b.example", "type": "WORK", "primary": true}, {"value": "c@d.example", "type": "club"}],
        "nickName": null, "roles": []});
    let understood = json!({"emails": [{"value": "a@b.example", "type": "work", "primary": true},
        {"value": "c@d.example", "type": "club"}]});
    assert_eq!(gateway.create_user("ann", sent).await, answer(201, &user("ann", 1, understood)));
}

/// 7643-4.1.2-02
async fn countries_are_codes(gateway: &Gateway) {
    let sent = json!({"addresses": [{"type": "work", "country": "Germany"}, {"type": "home", "country": "nl"}]});
    let kept = json!({"addresses": [{"type": "work", "country": "DE"}, {"type": "home", "country": "NL"}]});
    assert_eq!(gateway.create_user("ann", sent).await, answer(201, &user("ann", 1, kept.clone())));
    let again = json!([{"op": "Replace", "path": "addresses[type eq \"work\"].country", "value": "GERMANY"}]);
    assert_eq!(gateway.patch("/Users/{ann}", again).await, answer(200, &user("ann", 1, kept)));
    assert_eq!(gateway.found("/Users", "userName eq \"~ann\" and addresses.country eq \"de\"").await, ["ann"]);
}

/// 7643-4.1.2-04
async fn chains_of_certificates_are_refused(gateway: &Gateway) {
    let one = include_str!("../support/certificate.txt").trim();
    let two = include_str!("../support/two_certificates.txt").trim();
    let certificates = json!({"x509Certificates": [{"value": one}]});
    assert_eq!(gateway.create_user("ann", certificates.clone()).await, answer(201, &user("ann", 1, certificates)));
    let body = json!({"schemas": [USER], "userName": "~bob", "x509Certificates": [{"value": two}]});
    gateway.refused("POST", "/Users", Some(body), 400, "invalidValue", &["x509Certificates.value", "chain"]).await;
}

/// 7643-4.1.1-03 7643-2.3.7-01
async fn links_are_uris(gateway: &Gateway) {
    let links =
        json!({"profileUrl": "https://Login.example.com/ann?x=1#me", "photos": [{"value": "photos/ann.png", "type": "photo"}]});
    assert_eq!(gateway.create_user("ann", links.clone()).await, answer(201, &user("ann", 1, links)));
    assert_eq!(gateway.found("/Users", "userName eq \"~ann\" and profileUrl sw \"HTTPS://login.EXAMPLE.com/ann\"").await, ["ann"]);
    for (name, value) in [
        ("profileUrl", json!("no link")),
        ("photos", json!([{"value": "C:\\ann.png"}])),
        (ENTERPRISE, json!({"manager": {"value": "m", "$ref": "a\nb"}})),
    ] {
        let mut body = json!({"schemas": [USER, ENTERPRISE], "userName": "~bob"});
        body[name] = value;
        gateway.refused("POST", "/Users", Some(body), 400, "invalidValue", &[name, "URI"]).await;
    }
}

/// 7643-2.4-04
async fn the_same_type_and_value_stand_once(gateway: &Gateway) {
    let sent = json!({"emails": [{"value": "A@b.example", "type": "work"}, {"value": "a@B.example", "type": "Work", "display": "A"},
        {"value": "a@b.example", "type": "home"}]});
    let kept =
        json!({"emails": [{"value": "A@b.example", "type": "work", "display": "A"}, {"value": "a@b.example", "type": "home"}]});
    assert_eq!(gateway.create_user("ann", sent.clone()).await, answer(201, &user("ann", 1, kept.clone())));
    let mut body = json!({"schemas": [USER], "userName": "~ann"});
    body["emails"] = sent["emails"].clone();
    assert_eq!(gateway.put("/Users/{ann}", body).await, answer(200, &user("ann", 1, kept)));
}

/// 7644-3.5.2.1-04 7643-2.4-04
async fn adding_what_is_there_is_no_change(gateway: &Gateway) {
    let held = json!({"value": "a@b.example", "type": "work", "primary": true});
    gateway.create_user("ann", json!({"emails": [held]})).await;
    let before = gateway.raw("GET", "/Users/{ann}", &[], None).await.json();
    let again = json!([{"op": "add", "path": "emails", "value": [{"value": "A@B.example", "type": "WORK"}]}]);
    gateway.patch("/Users/{ann}", again).await;
    assert_eq!(gateway.raw("GET", "/Users/{ann}", &[], None).await.json(), before);
    let named = json!([{"op": "add", "path": "emails", "value": {"value": "a@b.example", "type": "work", "display": "Ann"}}]);
    let expected = json!({"emails": [{"value": "a@b.example", "type": "work", "primary": true, "display": "Ann"}]});
    assert_eq!(gateway.patch("/Users/{ann}", named).await, answer(200, &user("ann", 2, expected)));
    assert_eq!(gateway.events().await.len(), 2);
}

/// 7643-2.4-03
async fn the_name_of_a_member_stays(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let body = json!({"schemas": [GROUP], "displayName": "~team", "members": [{"value": "{ann}", "display": "Ann"}]});
    gateway.create("team", "/Groups", body).await;
    let mut expected = group("team", 1, &["ann"]);
    expected["members"][0]["display"] = "Ann".into();
    let renamed = json!({"value": "{ann}", "display": "Another"});
    let added = json!([{"op": "add", "path": "members", "value": [renamed]}]);
    assert_eq!(gateway.patch("/Groups/{team}", added).await, answer(200, &expected));
    let put = json!({"schemas": [GROUP], "displayName": "~team", "members": [renamed]});
    assert_eq!(gateway.put("/Groups/{team}", put).await, answer(200, &expected));
    let body = crate::support::fixture::patch_of(
        json!([{"op": "replace", "path": "members[value eq \"{ann}\"].display", "value": "Another"}]),
    );
    gateway.refused("PATCH", "/Groups/{team}", Some(body), 400, "mutability", &["members"]).await;
    let groups = gateway.get("/Users/{ann}").await["body"]["groups"].clone();
    let expected = json!([{"value": "{team}", "display": "~team", "type": "direct", "$ref": "{base}/Groups/{team}"}]);
    assert_eq!(groups, expected);
}

/// 7643-2.3.7-02 7643-3.1-06
async fn references_lead_to_resources(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.create_group("team", &["ann"]).await;
    let followed = async |address: &Value| {
        let address = address.as_str().expect("an address").to_owned();
        let path = address.strip_prefix(gateway.client.base.as_str()).expect("below the base").to_owned();
        gateway.raw("GET", &path, &[], None).await
    };
    let team = gateway.raw("GET", "/Groups/{team}", &[], None).await.json();
    let ann = gateway.raw("GET", "/Users/{ann}", &[], None).await.json();
    assert_eq!(followed(&team["members"][0]["$ref"]).await.json(), ann);
    assert_eq!(followed(&ann["groups"][0]["$ref"]).await.json(), team);
    assert_eq!(followed(&ann["meta"]["location"]).await.json(), ann);
    gateway.delete("/Users/{ann}").await;
    assert_eq!(followed(&team["members"][0]["$ref"]).await.status, 404);
}

/// 7643-2.4-05
async fn references_compare_without_a_version(gateway: &Gateway) {
    let manager = json!({"value": "m-1", "$ref": "https://id.example.com/v2/Users/m-1"});
    let attributes = json!({"schemas": [USER, ENTERPRISE], ENTERPRISE: {"manager": manager}});
    assert_eq!(gateway.create_user("ann", attributes.clone()).await, answer(201, &user("ann", 1, attributes)));
    for address in
        ["https://id.example.com/v2/Users/m-1", "https://id.example.com/Users/m-1", "https://ID.example.com/v1/Users/m-1"]
    {
        let filter = format!("userName eq \"~ann\" and {ENTERPRISE}:manager.$ref eq \"{address}\"");
        assert_eq!(gateway.found("/Users", &filter).await, ["ann"], "{address}");
    }
    let other = format!("userName eq \"~ann\" and {ENTERPRISE}:manager.$ref eq \"https://id.example.com/v2/Users/m-2\"");
    assert_eq!(gateway.found("/Users", &other).await, Vec::<String>::new());
}

/// 7643-7-03
async fn case_is_kept_and_tells_apart_where_it_counts(gateway: &Gateway) {
    let sent = json!({"userName": "~Ann", "externalId": "~Ext", "title": "Tour Guide"});
    assert_eq!(gateway.create_user("ann", sent.clone()).await, answer(201, &user("ann", 1, sent)));
    let found = async |filter: &str| gateway.found("/Users", filter).await.len();
    assert_eq!(found("externalId eq \"~Ext\"").await, 1);
    assert_eq!(found("externalId eq \"~ext\"").await, 0);
    assert_eq!(found("userName eq \"~ANN\" and title eq \"TOUR guide\"").await, 1);
    let body = json!({"schemas": [USER], "userName": "~aNN"});
    gateway.refused("POST", "/Users", Some(body), 409, "uniqueness", &["userName"]).await;
    let body = json!({"schemas": [USER], "userName": "~bob", "externalId": "~ext"});
    assert_eq!(gateway.create("bob", "/Users", body).await["status"], 201);
}

/// 7644-3.4.2.2-15
async fn what_was_returned_is_what_is_compared(gateway: &Gateway) {
    let sent = json!({"emails": [{"value": "a@b.example", "type": "WORK"}], "addresses": [{"country": "deu"}]});
    gateway.create_user("ann", sent).await;
    for (filter, is_found) in [
        ("emails.type eq \"work\"", true),
        ("addresses.country eq \"DE\"", true),
        ("addresses.country eq \"deu\"", false),
        // No value is made up for what a client leaves out, and none is compared.
        ("active pr", false),
        ("active eq true", false),
        ("emails[primary eq false]", true),
    ] {
        let found = gateway.found("/Users", &format!("userName eq \"~ann\" and {filter}")).await;
        assert_eq!(!found.is_empty(), is_found, "{filter}");
    }
}

/// 7644-3.3.1-01 7643-3.1-05
async fn the_endpoint_makes_the_type(gateway: &Gateway) {
    let meta = json!({"resourceType": "Group", "location": "https://elsewhere.example/x"});
    assert_eq!(gateway.create_user("ann", json!({"meta": meta})).await, answer(201, &user("ann", 1, json!({}))));
    let body = json!({"schemas": [GROUP], "displayName": "~team", "meta": {"resourceType": "User"}});
    assert_eq!(gateway.create("team", "/Groups", body).await, answer(201, &group("team", 1, &[])));
}

/// 7643-4.1.1-07
async fn active_is_a_boolean_that_switches(gateway: &Gateway) {
    gateway.create_user("ann", json!({"active": true})).await;
    let switched = json!([{"op": "replace", "path": "active", "value": false}]);
    assert_eq!(gateway.patch("/Users/{ann}", switched).await, answer(200, &user("ann", 2, json!({"active": false}))));
    let back = json!({"schemas": [USER], "userName": "~ann", "active": true});
    assert_eq!(gateway.put("/Users/{ann}", back).await, answer(200, &user("ann", 3, json!({"active": true}))));
    let events = gateway.events().await;
    for (kind, txn) in [("deactivate", 2), ("activate", 3)] {
        assert!(events.contains(&event(kind, "/Users", "ann", txn, json!({}))), "{kind}: {events:?}");
    }
    let body = json!({"schemas": [USER], "userName": "~bob", "active": 1});
    gateway.refused("POST", "/Users", Some(body), 400, "invalidValue", &["active"]).await;
}

/// 7643-3.1-06
async fn a_location_is_said_once(gateway: &Gateway) {
    let created = gateway.raw("POST", "/Users", &[], Some(json!({"schemas": [USER], "userName": "~ann"}))).await;
    gateway.keep("ann", &created.id());
    for answer in [created, gateway.raw("GET", "/Users/{ann}", &[], None).await] {
        let location = answer.json()["meta"]["location"].as_str().expect("a location").to_owned();
        assert_eq!(location, gateway.fill(&format!("{}/Users/{{ann}}", gateway.client.base)));
        assert_eq!(answer.header("location"), Some(location.as_str()));
        assert!(answer.header("content-location").is_none_or(|said| said == location));
    }
}

/// 7644-3.5-01
async fn put_and_patch_are_there(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let put = json!({"schemas": [USER], "userName": "~ann", "title": "a"});
    assert_eq!(gateway.put("/Users/{ann}", put).await, answer(200, &user("ann", 2, json!({"title": "a"}))));
    let patch = json!([{"op": "replace", "path": "title", "value": "b"}]);
    assert_eq!(gateway.patch("/Users/{ann}", patch).await, answer(200, &user("ann", 3, json!({"title": "b"}))));
    gateway.create_group("team", &[]).await;
    let put = json!({"schemas": [GROUP], "displayName": "~team", "members": [{"value": "{ann}"}]});
    assert_eq!(gateway.put("/Groups/{team}", put).await, answer(200, &group("team", 2, &["ann"])));
    let patch = json!([{"op": "remove", "path": "members"}]);
    assert_eq!(gateway.patch("/Groups/{team}", patch).await, answer(200, &group("team", 3, &[])));
}

/// 7644-3.4.2.2-17 7643-4.1.1-06
async fn a_password_is_no_criterion(gateway: &Gateway) {
    gateway.create_user("ann", json!({"password": "correct horse"})).await;
    for filter in [
        "password eq \"correct horse\"",
        "PASSWORD pr",
        "not (password pr)",
        "userName eq \"x\" or password sw \"c\"",
        "urn:ietf:params:scim:schemas:core:2.0:User:password pr",
    ] {
        let refused = gateway.raw("GET", &format!("/Users?filter={}", crate::support::client::encode(filter)), &[], None).await;
        refused.assert_error(400, Some("invalidFilter"), &["password", "never returned"]);
        assert!(!refused.text().contains("correct horse"));
    }
}
