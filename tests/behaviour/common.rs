//! What all resources have in common (RFC 7643 §2, §3, §7).

use crate::gateway::{Gateway, answer, group, member, user};
use crate::support::fixture::{ENTERPRISE, GROUP, USER, with};
use serde_json::{Value, json};

crate::cases!(
    common, Strict: every_type_has_the_common_attributes, an_address_leads_to_its_resource, case_is_kept_and_compared_where_it_counts,
    case_is_kept_and_not_compared_where_it_does_not, the_endpoint_decides_the_type, an_answer_is_no_echo, a_create_answers_with_its_version,
    a_default_is_compared_as_it_is_shown, the_order_of_members_of_an_object_is_nothing, names_in_any_case_are_the_same_name,
    several_resources_may_share_an_external_id, null_and_an_empty_list_are_no_value,
);

/// 7643-3.1-08 7643-3.1-01 7643-3.1-05
async fn every_type_has_the_common_attributes(gateway: &Gateway) {
    let given = json!({"externalId": "~ext", "id": "mine", "meta": {"resourceType": "Robot", "created": "2000-01-01T00:00:00Z"}});
    let expected = json!({"externalId": "~ext"});
    let created = gateway.create_user("ann", given.clone()).await;
    assert_eq!(created, answer(201, &user("ann", 1, expected.clone())));
    let body = with(json!({"schemas": [GROUP], "displayName": "~team"}), given);
    assert_eq!(gateway.create("team", "/Groups", body).await, answer(201, &with(group("team", 1, &[]), expected)));
}

/// 7643-3.1-06 7643-2.3.7-02
async fn an_address_leads_to_its_resource(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.create_group("team", &["ann"]).await;
    let team = gateway.raw("GET", "/Groups/{team}", &[], None).await.json();
    let ann = gateway.raw("GET", "/Users/{ann}", &[], None).await.json();
    for (address, id) in [
        (&team["meta"]["location"], &team["id"]),
        (&team["members"][0]["$ref"], &ann["id"]),
        (&ann["meta"]["location"], &ann["id"]),
        (&ann["groups"][0]["$ref"], &team["id"]),
    ] {
        let path =
            address.as_str().and_then(|address| address.strip_prefix(&gateway.client.base)).expect("an address of the server");
        let found = gateway.client.get(path).await;
        assert_eq!((found.status, &found.json()["id"]), (200, id), "{address}");
        assert_eq!(found.header("location"), found.json()["meta"]["location"].as_str());
    }
    gateway.delete("/Users/{ann}").await;
    gateway.refused("GET", "/Users/{ann}", None, 404, "", &["not found"]).await;
}

/// 7643-7-03 7644-3.4.2.2-16
async fn case_is_kept_and_compared_where_it_counts(gateway: &Gateway) {
    gateway.create_user("ann", json!({"externalId": "~Ext"})).await;
    gateway.create_user("bob", json!({"externalId": "~ext"})).await;
    assert_eq!(gateway.found("/Users", "externalId eq \"~Ext\"").await, ["ann"]);
    assert_eq!(gateway.found("/Users", "externalId eq \"~ext\"").await, ["bob"]);
    let upper = gateway.fill("{ann}").to_uppercase();
    assert_eq!(gateway.found("/Users", &format!("id eq \"{upper}\"")).await, Vec::<String>::new());
}

/// 7643-7-03 7644-3.4.2.2-10 7643-4.1.1-01
async fn case_is_kept_and_not_compared_where_it_does_not(gateway: &Gateway) {
    let given = json!({"userName": "~Ann", "nickName": "AnnIe"});
    assert_eq!(gateway.create_user("ann", given.clone()).await, answer(201, &user("ann", 1, given)));
    assert_eq!(gateway.found("/Users", "userName eq \"~ANN\" and nickName eq \"aNNiE\"").await, ["ann"]);
    let taken = json!({"schemas": [USER], "userName": "~aNN"});
    gateway.refused("POST", "/Users", Some(taken), 409, "uniqueness", &["userName"]).await;
}

/// 7644-3.3.1-01 7643-3.1-04
async fn the_endpoint_decides_the_type(gateway: &Gateway) {
    let lie = json!({"meta": {"resourceType": "Group", "location": "https://elsewhere.example/Groups/1", "version": "\"9\""}});
    assert_eq!(gateway.create_user("ann", lie).await, answer(201, &user("ann", 1, json!({}))));
    let body = json!({"schemas": [GROUP], "displayName": "~team"});
    gateway.refused("POST", "/Users", Some(body), 400, "invalidSyntax", &[GROUP, "User"]).await;
}

/// 7644-3.1-02 7643-2.4-04 7644-3.3-05
async fn an_answer_is_no_echo(gateway: &Gateway) {
    let given = json!({
        "Title": "Guide", "nickName": null, "ims": [], "password": "correct horse", "groups": [{"value": "x"}],
        "emails": [{"Value": "a@b.example", "TYPE": "WORK"}, {"value": "a@b.example", "type": "work"}],
        ENTERPRISE: {"manager": {"value": "m-1", "displayName": "Nobody"}},
    });
    let kept = json!({
        "schemas": [USER, ENTERPRISE], "title": "Guide", "emails": [{"value": "a@b.example", "type": "work"}],
        ENTERPRISE: {"manager": {"value": "m-1"}},
    });
    assert_eq!(gateway.create_user("ann", given).await, answer(201, &user("ann", 1, kept.clone())));
    assert_eq!(gateway.get("/Users/{ann}").await, answer(200, &user("ann", 1, kept)));
}

/// 7644-3.3-06 7644-3.14-01 7643-3.1-07
async fn a_create_answers_with_its_version(gateway: &Gateway) {
    let body = json!({"schemas": [USER], "userName": "~ann"});
    let created = gateway.raw("POST", "/Users", &[], Some(body.clone())).await;
    gateway.keep("ann", &created.id());
    let same = gateway.raw("GET", "/Users/{ann}", &[], None).await;
    let other = gateway.raw("PUT", "/Users/{ann}", &[], Some(with(body, json!({"title": "x"})))).await;
    for (answered, status, version) in [(&created, 201, "\"1\""), (&same, 200, "\"1\""), (&other, 200, "\"2\"")] {
        assert_eq!((answered.status, answered.header("etag")), (status, Some(version)));
        assert_eq!(answered.json()["meta"]["version"], version);
    }
}

/// 7644-3.4.2.2-15 7643-4.2-02
async fn a_default_is_compared_as_it_is_shown(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.create_group("team", &["ann"]).await;
    // The client said nothing of the member's type; the server shows it.
    assert_eq!(gateway.get("/Groups/{team}").await["body"]["members"], json!([member("ann", "User")]));
    let of = |kind: &str| format!("displayName eq \"~team\" and members[type eq \"{kind}\"]");
    assert_eq!(gateway.found("/Groups", &of("User")).await, ["team"]);
    assert_eq!(gateway.found("/Groups", &of("Group")).await, Vec::<String>::new());
}

/// 7643-2.3.8-02
async fn the_order_of_members_of_an_object_is_nothing(gateway: &Gateway) {
    let text = |name: &str| format!("{{\"name\":{{{name}}},\"userName\":\"~ann\",\"schemas\":[\"{USER}\"]}}");
    let forward = text("\"givenName\":\"Ann\",\"familyName\":\"B\"");
    let backward = text("\"familyName\":\"B\",\"givenName\":\"Ann\"");
    let parsed = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
    gateway.create("ann", "/Users", parsed(&forward)).await;
    let expected = user("ann", 1, json!({"name": {"givenName": "Ann", "familyName": "B"}}));
    assert_eq!(gateway.put("/Users/{ann}", parsed(&backward)).await, answer(200, &expected));
    assert_eq!(gateway.events().await.len(), 1);
}

/// 7643-2.1-01
async fn names_in_any_case_are_the_same_name(gateway: &Gateway) {
    gateway.create_user("ann", json!({"NICKNAME": "Annie", "Name": {"GIVENNAME": "Ann"}})).await;
    let expected = json!({"nickName": "Annie", "name": {"givenName": "Ann"}});
    let answered = gateway.get("/Users/{ann}?attributes=USERNAME,nickname,name.GivenName,META").await;
    assert_eq!(answered, answer(200, &user("ann", 1, expected)));
    let found = gateway.found("/Users", "USERNAME eq \"~ann\" and Name.givenname eq \"ann\"").await;
    assert_eq!(found, ["ann"]);
    let twice = json!({"schemas": [USER], "userName": "~bob", "username": "~bob"});
    gateway.refused("POST", "/Users", Some(twice), 400, "invalidSyntax", &["userName"]).await;
}

/// 7643-3.1-03
async fn several_resources_may_share_an_external_id(gateway: &Gateway) {
    gateway.create_user("ann", json!({"externalId": "~ext"})).await;
    gateway.create_user("bob", json!({"externalId": "~ext"})).await;
    assert_eq!(gateway.found("/Users", "externalId eq \"~ext\"").await, ["ann", "bob"]);
    gateway.create_user("cid", json!({})).await;
    assert_eq!(gateway.get("/Users/{cid}").await["body"].get("externalId"), None);
}

/// 7643-2.5-01 7644-3.3-02
async fn null_and_an_empty_list_are_no_value(gateway: &Gateway) {
    gateway.create_user("ann", json!({"title": null, "emails": [], "name": {"givenName": null}, "nickName": "A"})).await;
    assert_eq!(gateway.get("/Users/{ann}").await, answer(200, &user("ann", 1, json!({"nickName": "A"}))));
    let cleared = gateway.patch("/Users/{ann}", json!([{"op": "replace", "path": "nickName", "value": null}])).await;
    assert_eq!(cleared, answer(200, &user("ann", 2, json!({}))));
    let absent = "userName eq \"~ann\" and not (nickName pr or emails pr or title pr or name pr)";
    assert_eq!(gateway.found("/Users", absent).await, ["ann"]);
}
