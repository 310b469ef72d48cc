//! The examples of the RFCs as they are printed: the representations of RFC 7643 §8, with erratum 5990 on countries, and the requests
//! of RFC 7644 §3.4.3 and §3.5.2. The user names alone are those of the case.

use crate::gateway::{Gateway, answer, list, member, resource};
use crate::support::fixture::{ENTERPRISE, GROUP, LIST, USER};
use serde_json::{Value, json};

crate::cases!(
    examples, Strict: a_full_user, an_enterprise_user, a_group, a_search_over_all_types, additions, removals, replacements,
    members_are_replaced,
);

/// A printed example, with a name of the case's own.
fn printed(text: &str, name: &str) -> Value {
    let mut example: Value = serde_json::from_str(text).expect("JSON");
    example[name] = format!("~{}", example[name].as_str().expect("a name")).into();
    example
}

fn full_user() -> Value {
    printed(include_str!("../fixtures/rfc7643/user.json"), "userName")
}

/// What comes back of an example: all but what only the server says, and the password.
fn kept(example: &Value) -> Value {
    let mut kept = example.clone();
    let names = kept.as_object_mut().expect("an object");
    for name in ["id", "meta", "groups", "password", "schemas"] {
        names.remove(name);
    }
    kept
}

async fn comes_back(gateway: &Gateway, example: Value, schemas: &[&str], kept: Value) {
    let of = |status| answer(status, &resource("User", schemas, "ann", 1, kept.clone()));
    assert_eq!(gateway.create("ann", "/Users", example.clone()).await, of(201));
    assert_eq!(gateway.get("/Users/{ann}").await, of(200));
    // Neither the same request nor the answer itself is a change.
    assert_eq!(gateway.put("/Users/{ann}", example).await, of(200));
    let shown = gateway.get("/Users/{ann}").await["body"].clone();
    assert_eq!(gateway.put("/Users/{ann}", shown).await, of(200));
    assert_eq!(gateway.events().await.len(), 1);
}

/// 7643-3.1-01 7643-3.1-04 7643-4.1.1-04
async fn a_full_user(gateway: &Gateway) {
    let example = full_user();
    let kept = kept(&example);
    comes_back(gateway, example, &[USER], kept).await;
}

/// 7643-3-02 7643-4.3-01
async fn an_enterprise_user(gateway: &Gateway) {
    let example = printed(include_str!("../fixtures/rfc7643/enterprise_user.json"), "userName");
    let mut kept = kept(&example);
    let names: Vec<&String> = example[ENTERPRISE].as_object().expect("the extension").keys().collect();
    assert_eq!(names, ["employeeNumber", "costCenter", "organization", "division", "department", "manager"]);
    // The name of the manager is read-only, and the manager is not there.
    kept[ENTERPRISE]["manager"].as_object_mut().expect("a manager").remove("displayName");
    comes_back(gateway, example, &[USER, ENTERPRISE], kept).await;
}

/// 7643-4.2-02 7643-3.1-01
async fn a_group(gateway: &Gateway) {
    let example = printed(include_str!("../fixtures/rfc7643/group.json"), "displayName");
    let mut kept = kept(&example);
    for member in kept["members"].as_array_mut().expect("members") {
        // Nobody of that id is there to be referred to.
        member.as_object_mut().expect("a member").remove("$ref");
    }
    let expected = answer(201, &resource("Group", &[GROUP], "guides", 1, kept));
    assert_eq!(gateway.create("guides", "/Groups", example).await, expected);
}

/// 7644-3.4.3-01 7644-3.4.2.1-01 7644-3.9-01
async fn a_search_over_all_types(gateway: &Gateway) {
    gateway.create_user("jim", json!({"displayName": "~Smith, James", "title": "Guide"})).await;
    gateway.create("berries", "/Groups", json!({"schemas": [GROUP], "displayName": "~Smith Berries"})).await;
    gateway.create_user("ann", json!({"displayName": "Ann ~Smith"})).await;
    let search = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"], "attributes": ["displayName", "userName"],
        "filter": "displayName sw \"~smith\"", "startIndex": 1, "count": 10});
    let jim = json!({"schemas": [USER], "id": "{jim}", "userName": "~jim", "displayName": "~Smith, James"});
    let berries = json!({"schemas": [GROUP], "id": "{berries}", "displayName": "~Smith Berries"});
    let answered = gateway.send("POST", "/.search", Some(search)).await;
    assert_eq!(answered["body"]["schemas"], json!([LIST]));
    assert_eq!(answered, list(2, 1, &[jim, berries]));
}

/// What becomes of these attributes of the full user by these operations.
async fn patched(gateway: &Gateway, operations: Value, attributes: Value) {
    let mut expected = kept(&full_user());
    gateway.create("ann", "/Users", full_user()).await;
    for (name, value) in attributes.as_object().expect("attributes") {
        expected[name] = value.clone();
    }
    let expected = answer(200, &resource("User", &[USER], "ann", 2, expected));
    assert_eq!(gateway.patch("/Users/{ann}", operations).await, expected);
}

/// 7644-3.5.2.1-02 7644-3.5.2.1-03
async fn additions(gateway: &Gateway) {
    let mut emails = full_user()["emails"].clone();
    emails.as_array_mut().expect("emails").push(json!({"value": "babs@example.org", "type": "home"}));
    let added = json!({"emails": [{"value": "babs@example.org", "type": "home"}], "nickname": "Babette"});
    patched(gateway, json!([{"op": "add", "value": added}]), json!({"emails": emails, "nickName": "Babette"})).await;
    gateway.create_group("guides", &[]).await;
    let members = json!([{"display": "Babs Jensen", "$ref": "https://example.com/v2/Users/2819c223", "value": "{ann}"}]);
    let joined = gateway.patch("/Groups/{guides}", json!([{"op": "add", "path": "members", "value": members}])).await;
    let mut babs = member("ann", "User");
    babs["display"] = "Babs Jensen".into();
    assert_eq!(joined["body"]["members"], json!([babs]));
    let again = gateway.patch("/Groups/{guides}", json!([{"op": "add", "path": "members", "value": members}])).await;
    assert_eq!(again, joined);
}

/// 7644-3.5.2.2-02
async fn removals(gateway: &Gateway) {
    let emails = full_user()["emails"].clone();
    let path = "emails[type eq \"work\" and value ew \"example.com\"]";
    patched(gateway, json!([{"op": "remove", "path": path}]), json!({"emails": [emails[1]]})).await;
    for label in ["jim", "eve"] {
        gateway.create_user(label, json!({})).await;
    }
    gateway.create_group("guides", &["ann", "jim"]).await;
    let one = gateway.patch("/Groups/{guides}", json!([{"op": "remove", "path": "members[value eq \"{ann}\"]"}])).await;
    assert_eq!(one["body"]["members"], json!([member("jim", "User")]));
    let replaced = json!([
        {"op": "remove", "path": "members[value eq \"{jim}\"]"},
        {"op": "add", "path": "members", "value": [{"value": "{eve}"}]},
    ]);
    assert_eq!(gateway.patch("/Groups/{guides}", replaced).await["body"]["members"], json!([member("eve", "User")]));
    let none = gateway.patch("/Groups/{guides}", json!([{"op": "remove", "path": "members"}])).await;
    assert_eq!(none["body"].get("members"), None);
}

/// 7644-3.5.2.3-01 7644-3.5.2.3-04
async fn replacements(gateway: &Gateway) {
    let home = full_user()["addresses"][1].clone();
    let work = json!({"type": "work", "streetAddress": "911 Universal City Plaza", "locality": "Hollywood", "region": "CA",
        "postalCode": "91608", "country": "US", "formatted": "911 Universal City Plaza\nHollywood, CA 91608 US", "primary": true});
    let whole = json!([{"op": "replace", "path": "addresses[type eq \"work\"]", "value": work}]);
    patched(gateway, whole, json!({"addresses": [work, home]})).await;
    let street = json!([{"op": "replace", "path": "addresses[type eq \"work\"].streetAddress", "value": "1010 Broadway Ave"}]);
    let mut moved = work.clone();
    moved["streetAddress"] = "1010 Broadway Ave".into();
    assert_eq!(gateway.patch("/Users/{ann}", street).await["body"]["addresses"], json!([moved, home]));
    let emails =
        json!([{"value": "bjensen@example.com", "type": "work", "primary": true}, {"value": "babs@jensen.org", "type": "home"}]);
    let without_path = json!([{"op": "replace", "value": {"emails": emails, "nickname": "Babette"}}]);
    let answered = gateway.patch("/Users/{ann}", without_path).await["body"].clone();
    assert_eq!((&answered["emails"], &answered["nickName"]), (&emails, &json!("Babette")));
    assert_eq!(answered["title"], full_user()["title"]);
}

/// 7644-3.5.2.3-02
async fn members_are_replaced(gateway: &Gateway) {
    for label in ["ann", "jim", "eve"] {
        gateway.create_user(label, json!({})).await;
    }
    gateway.create_group("guides", &["ann"]).await;
    let others = json!([{"display": "James Smith", "value": "{jim}"}, {"value": "{eve}"}]);
    let replaced = gateway.patch("/Groups/{guides}", json!([{"op": "replace", "path": "members", "value": others}])).await;
    let mut jim = member("jim", "User");
    jim["display"] = "James Smith".into();
    assert_eq!((&replaced["status"], &replaced["body"]["members"]), (&json!(200), &json!([jim, member("eve", "User")])));
}
