//! Bulk requests (RFC 7644 §3.7): the message, its results, failures, versions, limits.

use crate::gateway::{Gateway, answer, group, user};
use crate::support::fixture::{ERROR, USER, bulk_of, patch_of, user as body_of};
use crate::support::server::{Server, Settings};
use serde_json::{Value, json};

crate::cases!(
    bulk, Notice: a_user_is_added_updated_and_removed, it_ends_at_the_first_error_if_it_is_told_so, every_operation_may_fail,
    it_goes_on_after_errors, it_ends_after_so_many_errors, what_is_wrong_with_the_whole_changes_nothing, a_version_is_a_condition,
    what_cannot_be_asked_for_fails_alone, a_name_is_given_up_and_taken, a_name_is_taken_once, one_resource_is_changed_many_times,
    a_change_of_nothing_is_no_version, a_delete_moves_the_groups_that_follow, the_limits_are_published, a_thousand_operations,
    more_operations_than_allowed, a_larger_body_than_allowed, passwords_are_hashed,
);

/// Sends a bulk request, keeps what it created under its bulkIds, and gives the results.
pub async fn send(gateway: &Gateway, body: Value) -> Vec<Value> {
    let answer = gateway.raw("POST", "/Bulk", &[], Some(body)).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let results = answer.json()["Operations"].as_array().cloned().expect("Operations");
    for result in results.iter().filter(|result| result["method"] == "POST") {
        if let (Some(bulk_id), Some(location)) = (result["bulkId"].as_str(), result["location"].as_str()) {
            gateway.keep(bulk_id, location.rsplit('/').next().expect("an id"));
        }
    }
    let shown = gateway.show(&answer);
    let results = shown["body"]["Operations"].clone();
    // No failOnErrors, nothing else.
    let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkResponse"], "Operations": results});
    assert_eq!(shown, json!({"status": 200, "body": body}));
    results.as_array().cloned().expect("Operations")
}

/// A result that tells of a success.
pub fn done(method: &str, endpoint: &str, label: &str, version: u64) -> Value {
    let mut result = json!({"method": method});
    if method == "POST" {
        result["bulkId"] = label.into();
    }
    result["location"] = format!("{{base}}{endpoint}/{{{label}}}").into();
    if method != "DELETE" {
        result["version"] = format!("\"{version}\"").into();
    }
    let status = match method {
        "POST" => "201",
        "DELETE" => "204",
        _ => "200",
    };
    result["status"] = status.into();
    result
}

/// Asserts that a result tells of this failure, with these words in its detail; `location` is that of the operation's resource.
pub fn assert_failed(result: &Value, status: &str, scim_type: &str, location: Option<&str>, words: &[&str]) {
    let detail = result["response"]["detail"].as_str().unwrap_or_default();
    let mut response = json!({"schemas": [ERROR], "status": status});
    if !scim_type.is_empty() {
        response["scimType"] = scim_type.into();
    }
    response["detail"] = detail.into();
    let mut expected = json!({"method": result["method"], "status": status, "response": response});
    if let Some(bulk_id) = result.get("bulkId") {
        expected["bulkId"] = bulk_id.clone();
    }
    if let Some(location) = location {
        expected["location"] = location.into();
    }
    assert_eq!(*result, expected);
    assert!(words.iter().all(|word| detail.contains(word)), "{words:?} in '{detail}'");
}

/// An operation that creates a user.
pub fn post_user(bulk_id: &str, name: &str) -> Value {
    json!({"method": "POST", "path": "/Users", "bulkId": bulk_id, "data": {"schemas": [USER], "userName": name}})
}

/// An operation that changes a resource.
pub fn patch(path: &str, operations: Value) -> Value {
    json!({"method": "PATCH", "path": path, "data": patch_of(operations)})
}

fn title(text: &str) -> Value {
    json!([{"op": "replace", "path": "title", "value": text}])
}

async fn three_users(gateway: &Gateway) {
    gateway.create_user("put", json!({"title": "Guide"})).await;
    gateway.create_user("patch", json!({"nickName": "Davy"})).await;
    gateway.create_user("delete", json!({})).await;
}

/// The request of RFC 7644 §3.7.3, with versions of ours.
fn of_the_rfc(version: u64) -> Value {
    let etag = format!("W/\"{version}\"");
    let operations = json!([{"op": "remove", "path": "nickName"}, {"op": "add", "path": "userName", "value": "~Dave"}]);
    let mut body = bulk_of(json!([
        post_user("qwerty", "~Alice"),
        {"method": "PUT", "path": "/Users/{put}", "version": etag,
            "data": {"schemas": [USER], "id": "{put}", "userName": "~Bob"}},
        {"method": "PATCH", "path": "/Users/{patch}", "version": etag, "data": patch_of(operations)},
        {"method": "DELETE", "path": "/Users/{delete}", "version": etag},
    ]));
    body["failOnErrors"] = 1.into();
    body
}

/// 7644-3.7-01 7644-3.7-06 7644-3.7.3-01
async fn a_user_is_added_updated_and_removed(gateway: &Gateway) {
    three_users(gateway).await;
    let expected = [
        done("POST", "/Users", "qwerty", 1),
        done("PUT", "/Users", "put", 2),
        done("PATCH", "/Users", "patch", 2),
        done("DELETE", "/Users", "delete", 0),
    ];
    assert_eq!(send(gateway, of_the_rfc(1)).await, expected);
    assert_eq!(gateway.get("/Users/{qwerty}").await, answer(200, &user("qwerty", 1, json!({"userName": "~Alice"}))));
    assert_eq!(gateway.get("/Users/{put}").await, answer(200, &user("put", 2, json!({"userName": "~Bob"}))));
    assert_eq!(gateway.get("/Users/{patch}").await, answer(200, &user("patch", 2, json!({"userName": "~Dave"}))));
    assert_eq!(gateway.get("/Users/{delete}").await["status"], 404);
}

/// 7644-3.7-05 7644-3.7.3-02
async fn it_ends_at_the_first_error_if_it_is_told_so(gateway: &Gateway) {
    three_users(gateway).await;
    let mut body = of_the_rfc(1);
    body["Operations"][0]["data"]["schemas"] = json!(["urn:ietf:params:scim:api:messages:2.0:User"]);
    let results = send(gateway, body).await;
    assert_eq!(results.len(), 1);
    assert_failed(&results[0], "400", "invalidSyntax", None, &["urn:ietf:params:scim:api:messages:2.0:User"]);
    assert_eq!(gateway.events().await.len(), 3);
}

/// 7644-3.7-04 7644-3.7.3-01 7644-3.7.3-02
async fn every_operation_may_fail(gateway: &Gateway) {
    three_users(gateway).await;
    let mut body = of_the_rfc(7);
    body["Operations"][0]["data"] = json!({"schemas": [USER]});
    body["Operations"][3]["path"] = "/Users/e9025315".into();
    body.as_object_mut().expect("a message").remove("failOnErrors");
    let results = send(gateway, body).await;
    assert_eq!(results.len(), 4);
    assert_failed(&results[0], "400", "invalidValue", None, &["userName"]);
    assert_failed(&results[1], "412", "", Some("{base}/Users/{put}"), &["'version'"]);
    assert_failed(&results[2], "412", "", Some("{base}/Users/{patch}"), &["'version'"]);
    assert_failed(&results[3], "404", "", Some("{base}/Users/e9025315"), &["e9025315"]);
    assert_eq!(gateway.events().await.len(), 3);
}

/// 7644-3.7-05
async fn it_goes_on_after_errors(gateway: &Gateway) {
    let results = send(
        gateway,
        bulk_of(json!([
            post_user("a", "~a"), post_user("b", "~A"), {"method": "DELETE", "path": "/Users/nobody"}, post_user("c", "~c"),
            {"method": "POST", "path": "/Users", "bulkId": "d", "data": {}}, post_user("e", "~e"),
        ])),
    )
    .await;
    assert_eq!([&results[0], &results[3], &results[5]], ["a", "c", "e"].map(|label| done("POST", "/Users", label, 1)).each_ref());
    assert_failed(&results[1], "409", "uniqueness", None, &["userName"]);
    assert_failed(&results[2], "404", "", Some("{base}/Users/nobody"), &["nobody"]);
    assert_failed(&results[4], "400", "invalidValue", None, &["schemas"]);
}

/// 7644-3.7-05
async fn it_ends_after_so_many_errors(gateway: &Gateway) {
    let operations = json!([
        post_user("a", "~a"), post_user("b", "~A"), post_user("c", "~c"), {"method": "DELETE", "path": "/Nope/1"},
        post_user("d", "~d"), {"method": "DELETE", "path": "/Users/nobody"}, post_user("e", "~e"),
    ]);
    for (most, processed, created) in [(1, 2, 1), (2, 4, 2), (3, 6, 3), (4, 7, 4)] {
        let mut body = bulk_of(operations.clone());
        body["failOnErrors"] = most.into();
        let text = body.to_string().replace('~', &format!("~{most}"));
        let results = send(gateway, serde_json::from_str(&text).expect("JSON")).await;
        let statuses: Vec<_> = results.iter().map(|result| result["status"].as_str().expect("a status").to_owned()).collect();
        assert_eq!(statuses, ["201", "409", "201", "404", "201", "404", "201"][..processed]);
        assert_eq!(gateway.found("/Users", &format!("userName sw \"~{most}\"")).await.len(), created);
    }
}

/// 7644-3.7-02 7644-3.7-04
async fn what_is_wrong_with_the_whole_changes_nothing(gateway: &Gateway) {
    let good = post_user("a", "~a");
    let syntax = "invalidSyntax";
    for (body, scim_type, words) in [
        (json!({"schemas": [USER], "Operations": [good]}), syntax, &["schemas", "BulkRequest"][..]),
        (bulk_of(json!([])), syntax, &["Operations"]),
        (bulk_of(json!([good, "x"])), syntax, &["Operations[1]"]),
        (bulk_of(json!([good, {"path": "/Users"}])), syntax, &["Operations[1].method"]),
        (bulk_of(json!([good, {"method": "DELETE", "path": 7}])), syntax, &["Operations[1].path"]),
        (bulk_of(json!([good, post_user("a", "~b")])), syntax, &["bulkId 'a'", "twice"]),
        (
            json!({"schemas": bulk_of(json!([]))["schemas"], "failOnErrors": 0, "Operations": [good]}),
            "invalidValue",
            &["failOnErrors"],
        ),
    ] {
        gateway.refused("POST", "/Bulk", Some(body), 400, scim_type, words).await;
    }
    assert!(gateway.found("/Users", "userName sw \"~\"").await.is_empty());
}

/// 7644-3.7-03
async fn a_version_is_a_condition(gateway: &Gateway) {
    three_users(gateway).await;
    let mut put = json!({"method": "PUT", "path": "/Users/{put}", "data": body_of("~put")});
    let mut delete = json!({"method": "DELETE", "path": "/Users/{delete}"});
    let mut first = patch("/Users/{patch}", title("one"));
    let mut second = patch("/Users/{patch}", title("two"));
    put["version"] = "\"2\"".into();
    delete["version"] = "W/\"1\"".into();
    first["version"] = "\"1\"".into();
    second["version"] = "\"2\"".into();
    let results = send(
        gateway,
        bulk_of(json!([put, delete, first, second, first, {"method": "DELETE", "path": "/Users/{put}", "version": "1"}])),
    )
    .await;
    assert_failed(&results[0], "412", "", Some("{base}/Users/{put}"), &["'version'"]);
    assert_eq!(results[1], done("DELETE", "/Users", "delete", 0));
    assert_eq!(results[2..4], [done("PATCH", "/Users", "patch", 2), done("PATCH", "/Users", "patch", 3)]);
    assert_failed(&results[4], "412", "", Some("{base}/Users/{patch}"), &["'version'"]);
    assert_failed(&results[5], "400", "invalidValue", Some("{base}/Users/{put}"), &["'version'"]);
}

/// 7644-3.7-02 7644-3.7.3-01
async fn what_cannot_be_asked_for_fails_alone(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let results = send(
        gateway,
        bulk_of(json!([
            {"method": "GET", "path": "/Users/{ann}"},
            {"method": "put", "path": "/Users", "data": body_of("~x")},
            {"method": "POST", "path": "/Users/{ann}", "bulkId": "x", "data": body_of("~x")},
            {"method": "DELETE", "path": "/Nope/1"},
            {"method": "DELETE"},
            {"method": "PATCH", "path": "/Users/{ann}"},
            {"method": "POST", "path": "/Users", "data": body_of("~x")},
            {"method": "Patch", "path": "users/{ann}", "data": patch_of(title("x"))},
            {"method": "Patch", "path": "Users/{ann}", "data": patch_of(title("x"))},
        ])),
    )
    .await;
    assert_failed(&results[0], "400", "invalidSyntax", Some("{base}/Users/{ann}"), &["method", "GET"]);
    assert_failed(&results[1], "405", "", Some("{base}/Users"), &["PUT", "/Users"]);
    assert_failed(&results[2], "405", "", None, &["POST", "/Users/"]);
    assert_failed(&results[3], "404", "", Some("{base}/Nope/1"), &["/Nope/1"]);
    assert_failed(&results[4], "400", "invalidSyntax", None, &["path"]);
    assert_failed(&results[5], "400", "invalidSyntax", Some("{base}/Users/{ann}"), &["data"]);
    assert_failed(&results[6], "400", "invalidSyntax", None, &["bulkId"]);
    assert_failed(&results[7], "404", "", Some("{base}/users/{ann}"), &["users/"]);
    assert_eq!(results[8], done("PATCH", "/Users", "ann", 2));
}

/// 7644-3.7-07
async fn a_name_is_given_up_and_taken(gateway: &Gateway) {
    gateway.create_user("bob", json!({})).await;
    gateway.create_user("ann", json!({})).await;
    let rename = json!([{"op": "replace", "path": "userName", "value": "~anna"}]);
    let operations = json!([
        {"method": "DELETE", "path": "/Users/{bob}"}, post_user("bob2", "~bob"), patch("/Users/{ann}", rename), post_user("ann2", "~ann"),
    ]);
    let expected = [
        done("DELETE", "/Users", "bob", 0),
        done("POST", "/Users", "bob2", 1),
        done("PATCH", "/Users", "ann", 2),
        done("POST", "/Users", "ann2", 1),
    ];
    assert_eq!(send(gateway, bulk_of(operations)).await, expected);
}

async fn a_name_is_taken_once(gateway: &Gateway) {
    let results = send(gateway, bulk_of(json!([post_user("a", "~bob"), post_user("b", "~BOB")]))).await;
    assert_eq!(results[0], done("POST", "/Users", "a", 1));
    assert_failed(&results[1], "409", "uniqueness", None, &["userName"]);
    assert_eq!(gateway.found("/Users", "userName eq \"~bob\"").await, ["a"]);
}

async fn one_resource_is_changed_many_times(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.create_group("team", &[]).await;
    let mut operations: Vec<Value> = Vec::new();
    for number in 0..40 {
        operations.push(patch("/Users/{ann}", title(&number.to_string())));
        operations.push(patch(
            "/Groups/{team}",
            json!([{"op": "add", "path": "members", "value": [{"value": format!("m{number:02}")}]}]),
        ));
    }
    operations.push(json!({"method": "DELETE", "path": "/Users/{ann}"}));
    operations.push(patch("/Users/{ann}", title("gone")));
    let results = send(gateway, bulk_of(operations.into())).await;
    for number in 0..40 {
        let version = number as u64 + 2;
        let expected = [done("PATCH", "/Users", "ann", version), done("PATCH", "/Groups", "team", version)];
        assert_eq!(results[2 * number..2 * number + 2], expected);
    }
    assert_eq!(results[80], done("DELETE", "/Users", "ann", 0));
    assert_failed(&results[81], "404", "", Some("{base}/Users/{ann}"), &["not found"]);
    let team = gateway.get("/Groups/{team}").await;
    assert_eq!((&team["etag"], team["body"]["members"].as_array().map(Vec::len)), (&json!("\"41\""), Some(40)));
    assert_eq!(gateway.events().await.len(), 2 + 80 + 1);
}

async fn a_change_of_nothing_is_no_version(gateway: &Gateway) {
    gateway.create_user("ann", json!({"title": "x"})).await;
    gateway.create_user("bob", json!({"title": "x"})).await;
    let operations =
        json!([patch("/Users/{ann}", title("x")), patch("/Users/{bob}", title("y")), patch("/Users/{bob}", title("y"))]);
    let expected = [done("PATCH", "/Users", "ann", 1), done("PATCH", "/Users", "bob", 2), done("PATCH", "/Users", "bob", 2)];
    assert_eq!(send(gateway, bulk_of(operations)).await, expected);
    assert_eq!(gateway.events().await.len(), 3);
}

/// 7644-3.7-03 7644-3.7-07
async fn a_delete_moves_the_groups_that_follow(gateway: &Gateway) {
    for label in ["ann", "bob", "cid"] {
        gateway.create_user(label, json!({})).await;
    }
    gateway.create_group("one", &["ann", "bob"]).await;
    gateway.create_group("two", &["ann", "cid"]).await;
    let mut conditional = patch("/Groups/{one}", json!([{"op": "replace", "path": "displayName", "value": "~uno"}]));
    conditional["version"] = "\"2\"".into();
    let selecting = patch("/Groups/{two}", json!([{"op": "remove", "path": "members[type eq \"User\"]"}]));
    let operations = json!([post_user("x", "~x"), {"method": "DELETE", "path": "/Users/{ann}"}, conditional, selecting]);
    let expected = [
        done("POST", "/Users", "x", 1),
        done("DELETE", "/Users", "ann", 0),
        done("PATCH", "/Groups", "one", 3),
        done("PATCH", "/Groups", "two", 3),
    ];
    assert_eq!(send(gateway, bulk_of(operations)).await, expected);
    let mut one = group("one", 3, &["bob"]);
    one["displayName"] = "~uno".into();
    assert_eq!(gateway.get("/Groups/{one}").await, answer(200, &one));
    assert_eq!(gateway.get("/Groups/{two}").await, answer(200, &group("two", 3, &[])));
}

/// 7644-3.7.4-01
async fn the_limits_are_published(gateway: &Gateway) {
    let config = gateway.get("/ServiceProviderConfig").await;
    assert_eq!(config["body"]["bulk"], json!({"supported": true, "maxOperations": 1000, "maxPayloadSize": 16 * 1024 * 1024}));
}

async fn a_thousand_operations(gateway: &Gateway) {
    let operations: Vec<Value> = (0..1_000).map(|number| post_user(&format!("b{number}"), &format!("~u{number:03}"))).collect();
    let answer = gateway.raw("POST", "/Bulk", &[], Some(bulk_of(operations.into()))).await;
    let results = answer.json()["Operations"].as_array().cloned().expect("Operations");
    let told: Vec<_> = results.iter().map(|result| (result["bulkId"].clone(), result["status"].clone())).collect();
    assert_eq!(told, (0..1_000).map(|number| (json!(format!("b{number}")), json!("201"))).collect::<Vec<_>>());
    let found = gateway.filter("/Users", "userName sw \"~u\"").await;
    assert_eq!(found["body"]["totalResults"], 1_000);
}

/// 7644-3.7.4-01
async fn more_operations_than_allowed(gateway: &Gateway) {
    let operations: Vec<Value> = (0..1_001).map(|number| post_user(&format!("b{number}"), &format!("~u{number}"))).collect();
    gateway.refused("POST", "/Bulk", Some(bulk_of(operations.into())), 413, "", &["1001", "maxOperations (1000)"]).await;
    assert!(gateway.found("/Users", "userName sw \"~\"").await.is_empty());
    let few = Server::start(&Settings::default().store(gateway.backend).with("LIMIT_BULK_OPERATIONS", "1"));
    let few = gateway.through(few.client());
    few.refused("POST", "/Bulk", Some(bulk_of(json!([post_user("a", "~a"), post_user("b", "~b")]))), 413, "", &["(1)"]).await;
}

/// 7644-3.7.4-01
async fn a_larger_body_than_allowed(gateway: &Gateway) {
    let server = Server::start(&Settings::default().store(gateway.backend).with("LIMIT_BODY_BYTES", "2000"));
    let small = gateway.through(server.client());
    let config = small.get("/ServiceProviderConfig").await;
    assert_eq!(config["body"]["bulk"]["maxPayloadSize"], 2000);
    let body = |bytes: usize| {
        let mut operation = post_user("a", "~a");
        operation["data"]["title"] = "x".repeat(bytes).into();
        bulk_of(json!([operation]))
    };
    small.refused("POST", "/Bulk", Some(body(2_000)), 413, "", &["maxPayloadSize (2000 bytes)"]).await;
    assert_eq!(send(&small, body(1_000)).await, [done("POST", "/Users", "a", 1)]);
}

async fn passwords_are_hashed(gateway: &Gateway) {
    let mut operations = vec![];
    for number in 0..4 {
        let mut operation = post_user(&format!("p{number}"), &format!("~p{number}"));
        operation["data"]["password"] = "t1meMa$heen".into();
        operations.push(operation);
    }
    operations[2]["data"]["password"] = "bulkId:secret".into();
    let results = send(gateway, bulk_of(operations.into())).await;
    assert_failed(&results[2], "400", "invalidValue", None, &["data.password"]);
    assert!(!results[2].to_string().contains("secret"));
    for number in [0, 1, 3] {
        assert_eq!(results[number], done("POST", "/Users", &format!("p{number}"), 1));
    }
    assert_eq!(gateway.get("/Users/{p3}").await, answer(200, &user("p3", 1, json!({}))));
}
