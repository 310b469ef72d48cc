//! References within a bulk request (RFC 7644 §3.7.1, §3.7.2).

use crate::bulk::{assert_failed, done, patch, post_user, send};
use crate::gateway::{Gateway, answer, group, member};
use crate::support::fixture::{ENTERPRISE, GROUP, USER, bulk_of, patch_of, user as body_of};
use crate::support::server::{Server, Settings};
use serde_json::{Value, json};

crate::cases!(
    bulk_references, Notice: two_groups_that_contain_each_other, a_user_in_a_group, a_manager, forward, a_chain, in_paths_and_filters,
    in_the_uri_of_a_reference, unknown, a_post_that_failed, a_circle_that_failed, a_circle_of_three_with_a_dependent, managers_in_a_circle,
    a_group_in_itself, only_known_members,
);

/// An operation that creates a group.
fn post_group(bulk_id: &str, name: &str, members: &[&str]) -> Value {
    let members: Vec<Value> = members.iter().map(|value| json!({"value": value})).collect();
    let data = json!({"schemas": [GROUP], "displayName": name, "members": members});
    json!({"method": "POST", "path": "/Groups", "bulkId": bulk_id, "data": data})
}

fn managed(mut operation: Value, manager: &str) -> Value {
    operation["data"]["schemas"] = json!([USER, ENTERPRISE]);
    operation["data"][ENTERPRISE] = json!({"manager": {"value": manager}});
    operation
}

async fn manager_of(gateway: &Gateway, label: &str) -> Value {
    let user = gateway.get(&format!("/Users/{{{label}}}")).await;
    user["body"][ENTERPRISE]["manager"]["value"].clone()
}

/// Nothing anywhere holds the literal.
async fn assert_nothing_literal(gateway: &Gateway) {
    for endpoint in ["/Users", "/Groups"] {
        let all = gateway.client.get(endpoint).await.text();
        assert!(!all.contains("bulkId:"), "{all}");
    }
    let events = gateway.events().await;
    assert!(!json!(events).to_string().contains("bulkId:"));
}

/// 7644-3.7.1-01
async fn two_groups_that_contain_each_other(gateway: &Gateway) {
    let typed = |mut operation: Value| {
        operation["data"]["members"][0]["type"] = "Group".into();
        operation
    };
    let operations = json!([
        typed(post_group("qwerty", "~qwerty", &["bulkId:ytrewq"])),
        typed(post_group("ytrewq", "~ytrewq", &["bulkId:qwerty"])),
    ]);
    let results = send(gateway, bulk_of(operations)).await;
    assert_eq!(results, [done("POST", "/Groups", "qwerty", 2), done("POST", "/Groups", "ytrewq", 1)]);
    for (label, other, version) in [("qwerty", "ytrewq", 2), ("ytrewq", "qwerty", 1)] {
        let mut expected = group(label, version, &[]);
        expected["members"] = json!([member(other, "Group")]);
        assert_eq!(gateway.get(&format!("/Groups/{{{label}}}")).await, answer(200, &expected));
    }
    assert_nothing_literal(gateway).await;
}

/// 7644-3.7.2-01 7644-3.7-06
async fn a_user_in_a_group(gateway: &Gateway) {
    let operations = json!([post_user("qwerty", "~qwerty"), post_group("ytrewq", "~ytrewq", &["bulkId:qwerty"])]);
    let results = send(gateway, bulk_of(operations)).await;
    assert_eq!(results, [done("POST", "/Users", "qwerty", 1), done("POST", "/Groups", "ytrewq", 1)]);
    assert_eq!(gateway.get("/Groups/{ytrewq}").await, answer(200, &group("ytrewq", 1, &["qwerty"])));
}

/// 7644-3.7.2-01
async fn a_manager(gateway: &Gateway) {
    let operations = json!([post_user("qwerty", "~qwerty"), managed(post_user("ytrewq", "~ytrewq"), "bulkId:qwerty")]);
    let results = send(gateway, bulk_of(operations)).await;
    assert_eq!(results, [done("POST", "/Users", "qwerty", 1), done("POST", "/Users", "ytrewq", 1)]);
    assert_eq!(manager_of(gateway, "ytrewq").await, "{qwerty}");
}

/// 7644-3.7.2-01 7644-3.7-07
async fn forward(gateway: &Gateway) {
    gateway.create_group("old", &[]).await;
    let add = patch("/Groups/{old}", json!([{"op": "add", "path": "members", "value": [{"value": "bulkId:b"}]}]));
    let operations = json!([post_group("g", "~g", &["bulkId:a", "bulkId:b"]), add, post_user("a", "~a"), post_user("b", "~b")]);
    let expected = [
        done("POST", "/Groups", "g", 1),
        done("PATCH", "/Groups", "old", 2),
        done("POST", "/Users", "a", 1),
        done("POST", "/Users", "b", 1),
    ];
    assert_eq!(send(gateway, bulk_of(operations)).await, expected);
    let g = gateway.get("/Groups/{g}").await;
    let mut members: Vec<_> = g["body"]["members"].as_array().expect("members").clone();
    members.sort_by_key(|member| member["value"].to_string());
    assert_eq!(members, [member("a", "User"), member("b", "User")]);
    assert_eq!(gateway.get("/Groups/{old}").await, answer(200, &group("old", 2, &["b"])));
}

/// 7644-3.7.2-01
async fn a_chain(gateway: &Gateway) {
    const LENGTH: usize = 200;
    let link = |number: usize| {
        let operation = post_user(&format!("u{number}-"), &format!("~u{number}-"));
        if number + 1 < LENGTH { managed(operation, &format!("bulkId:u{}-", number + 1)) } else { operation }
    };
    let results = send(gateway, bulk_of((0..LENGTH).map(link).collect())).await;
    let expected: Vec<_> = (0..LENGTH).map(|number| done("POST", "/Users", &format!("u{number}-"), 1)).collect();
    assert_eq!(results, expected);
    for number in [0, 99, LENGTH - 2] {
        assert_eq!(manager_of(gateway, &format!("u{number}-")).await, format!("{{u{}-}}", number + 1));
    }
}

/// 7644-3.7.2-01
async fn in_paths_and_filters(gateway: &Gateway) {
    let remove = json!([{"op": "remove", "path": "members[value eq \"bulkId:a\"]"}]);
    let title = json!([{"op": "add", "path": "title", "value": "Guide"}]);
    let operations = json!([
        patch("/Users/bulkId:b", title), patch("/Groups/bulkId:g", remove), post_group("g", "~g", &["bulkId:a", "bulkId:b"]),
        post_user("a", "~a"), post_user("b", "~b"), {"method": "PUT", "path": "/Users/bulkId:a", "data": body_of("~a2")},
        {"method": "DELETE", "path": "/Users/bulkId%3Aa"},
    ]);
    let expected = [
        done("PATCH", "/Users", "b", 2),
        done("PATCH", "/Groups", "g", 2),
        done("POST", "/Groups", "g", 1),
        done("POST", "/Users", "a", 1),
        done("POST", "/Users", "b", 1),
        done("PUT", "/Users", "a", 2),
        done("DELETE", "/Users", "a", 0),
    ];
    assert_eq!(send(gateway, bulk_of(operations)).await, expected);
    assert_eq!(gateway.get("/Groups/{g}").await, answer(200, &group("g", 2, &["b"])));
    assert_eq!(gateway.get("/Users/{b}?attributes=title").await["body"]["title"], "Guide");
    assert_nothing_literal(gateway).await;
}

/// 7644-3.7.2-01
async fn in_the_uri_of_a_reference(gateway: &Gateway) {
    let mut boss = managed(post_user("b", "~b"), "bulkId:a");
    boss["data"][ENTERPRISE]["manager"]["$ref"] = "../Users/bulkId:a".into();
    let results = send(gateway, bulk_of(json!([boss, post_user("a", "~a")]))).await;
    assert_eq!(results, [done("POST", "/Users", "b", 1), done("POST", "/Users", "a", 1)]);
    let shown = gateway.get("/Users/{b}").await;
    let reference = shown["body"][ENTERPRISE]["manager"]["$ref"].as_str().expect("a $ref");
    assert!(reference.ends_with("/Users/{a}"), "{reference}");
}

/// 7644-3.7.2-01
async fn unknown(gateway: &Gateway) {
    gateway.create_group("old", &[]).await;
    let remove = json!([{"op": "remove", "path": "members[value eq \"bulkId:nobody\"]"}]);
    let put = json!({"method": "PUT", "path": "/Groups/{old}", "bulkId": "put", "data": {"schemas": [GROUP], "displayName": "~o"}});
    let results = send(
        gateway,
        bulk_of(json!([
            post_group("g", "~g", &["bulkId:nobody"]), managed(post_user("u", "~u"), "bulkId:nobody"), patch("/Groups/{old}", remove),
            {"method": "DELETE", "path": "/Users/bulkId:nobody"}, put, post_group("h", "~h", &["bulkId:put"]),
        ])),
    )
    .await;
    assert_failed(&results[0], "400", "invalidValue", None, &["'data.members[0].value'", "bulkId"]);
    assert_failed(&results[1], "400", "invalidValue", None, &["manager.value'", "bulkId"]);
    assert_failed(&results[2], "400", "invalidValue", Some("{base}/Groups/{old}"), &["'data.Operations[0].path'", "bulkId"]);
    assert_failed(&results[3], "400", "invalidValue", Some("{base}/Users/bulkId:nobody"), &["'path'", "bulkId"]);
    assert_eq!(results[4]["status"], "200");
    assert_failed(&results[5], "400", "invalidValue", None, &["'data.members[0].value'", "bulkId"]);
    assert_nothing_literal(gateway).await;
}

/// 7644-3.7.2-02
async fn a_post_that_failed(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.create_group("old", &[]).await;
    let add = json!([{"op": "add", "path": "members", "value": [{"value": "bulkId:a"}]}]);
    let results = send(
        gateway,
        bulk_of(json!([
            post_user("a", "~ann"),
            post_group("g", "~g", &["{ann}", "bulkId:a"]),
            patch("/Groups/{old}", add),
            patch("/Users/bulkId:a", json!([{"op": "add", "path": "title", "value": "x"}])),
            post_group("h", "~h", &["bulkId:g"]),
            post_user("b", "~b"),
        ])),
    )
    .await;
    assert_failed(&results[0], "409", "uniqueness", None, &["userName"]);
    assert_failed(&results[1], "409", "", None, &["bulkId 'a'", "not created"]);
    assert_failed(&results[2], "409", "", Some("{base}/Groups/{old}"), &["bulkId 'a'", "not created"]);
    assert_failed(&results[3], "409", "", Some("{base}/Users/bulkId:a"), &["bulkId 'a'", "not created"]);
    assert_failed(&results[4], "409", "", None, &["bulkId 'g'", "not created"]);
    assert_eq!(results[5], done("POST", "/Users", "b", 1));
    assert_eq!(gateway.get("/Groups/{old}").await, answer(200, &group("old", 1, &[])));
    assert_nothing_literal(gateway).await;
}

/// 7644-3.7.1-01 7644-3.7.2-02
async fn a_circle_that_failed(gateway: &Gateway) {
    gateway.create_group("taken", &[]).await;
    let results = send(
        gateway,
        bulk_of(json!([
            post_group("a", "~a", &["bulkId:b"]), post_group("b", "~taken", &["bulkId:a"]), post_group("c", "~c", &["bulkId:a"]),
            {"method": "POST", "path": "/Groups", "bulkId": "d", "data": {"schemas": [GROUP], "members": [{"value": "bulkId:e"}]}},
            post_group("e", "~e", &["bulkId:d"]),
        ])),
    )
    .await;
    assert_failed(&results[0], "409", "", None, &["bulkId 'b'", "not created"]);
    assert_failed(&results[1], "409", "uniqueness", None, &["displayName"]);
    assert_failed(&results[2], "409", "", None, &["bulkId 'a'", "not created"]);
    assert_failed(&results[3], "400", "invalidValue", None, &["displayName"]);
    assert_failed(&results[4], "409", "", None, &["bulkId 'd'", "not created"]);
    // Neither is half of a circle there, nor was it for a moment.
    assert_eq!(gateway.found("/Groups", "displayName sw \"~\"").await, ["taken"]);
    assert_eq!(gateway.events().await.len(), 1);
}

/// 7644-3.7.1-01
async fn a_circle_of_three_with_a_dependent(gateway: &Gateway) {
    let operations = json!([
        post_group("d", "~d", &["bulkId:b"]),
        post_group("a", "~a", &["bulkId:b", "bulkId:u"]),
        post_group("b", "~b", &["bulkId:c"]),
        post_group("c", "~c", &["bulkId:a", "bulkId:b"]),
        post_user("u", "~u"),
    ]);
    let expected = [
        done("POST", "/Groups", "d", 1),
        done("POST", "/Groups", "a", 2),
        done("POST", "/Groups", "b", 2),
        done("POST", "/Groups", "c", 1),
        done("POST", "/Users", "u", 1),
    ];
    assert_eq!(send(gateway, bulk_of(operations)).await, expected);
    for (label, members) in [("a", &["b", "u"][..]), ("b", &["c"]), ("c", &["a", "b"]), ("d", &["b"])] {
        let found = gateway.get(&format!("/Groups/{{{label}}}")).await;
        let mut found: Vec<_> = found["body"]["members"].as_array().expect("members").clone();
        found.sort_by_key(|member| member["value"].to_string());
        let kind = |label: &&str| if *label == "u" { "User" } else { "Group" };
        assert_eq!(found, members.iter().map(|label| member(label, kind(label))).collect::<Vec<_>>());
    }
}

/// 7644-3.7.1-01
async fn managers_in_a_circle(gateway: &Gateway) {
    let operations = json!([
        managed(post_user("a", "~a"), "bulkId:b"),
        managed(post_user("b", "~b"), "bulkId:a"),
        managed(post_user("c", "~c"), "bulkId:c"),
    ]);
    let expected = ["a", "b", "c"].map(|label| done("POST", "/Users", label, 1));
    assert_eq!(send(gateway, bulk_of(operations)).await, expected);
    for (label, manager) in [("a", "{b}"), ("b", "{a}"), ("c", "{c}")] {
        assert_eq!(manager_of(gateway, label).await, manager);
    }
}

/// 7644-3.7.1-01
async fn a_group_in_itself(gateway: &Gateway) {
    assert_eq!(send(gateway, bulk_of(json!([post_group("a", "~a", &["bulkId:a"])]))).await, [done("POST", "/Groups", "a", 1)]);
    let mut expected = group("a", 1, &[]);
    expected["members"] = json!([member("a", "Group")]);
    assert_eq!(gateway.get("/Groups/{a}").await, answer(200, &expected));
}

/// 7644-3.7.1-01
async fn only_known_members(gateway: &Gateway) {
    let server = Server::start(&Settings::default().store(gateway.backend).with("UNKNOWN_MEMBERS", "reject"));
    let strict = gateway.through(server.client());
    let add = patch_of(json!([{"op": "add", "path": "members", "value": [{"value": "nobody"}]}]));
    let results = send(
        &strict,
        bulk_of(json!([
            post_group("a", "~a", &["bulkId:b"]), post_group("b", "~b", &["bulkId:a"]), post_group("s", "~s", &["bulkId:s"]),
            post_group("c", "~c", &["bulkId:d"]), post_group("d", "~d", &["bulkId:c", "nobody"]),
            {"method": "PATCH", "path": "/Groups/bulkId:a", "data": add},
        ])),
    )
    .await;
    assert_eq!(results[..3], [done("POST", "/Groups", "a", 2), done("POST", "/Groups", "b", 1), done("POST", "/Groups", "s", 1)]);
    assert_failed(&results[3], "409", "", None, &["bulkId 'd'", "not created"]);
    assert_failed(&results[4], "400", "invalidValue", None, &["members", "nobody"]);
    assert_failed(&results[5], "400", "invalidValue", Some("{base}/Groups/{a}"), &["members", "nobody"]);
}
