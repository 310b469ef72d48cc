//! `.search` on a type and at the root (RFC 7644 §3.4.3), and the root query (§3.4.2.1).

use crate::gateway::{Gateway, group, list, user};
use crate::support::client::encode;
use crate::support::fixture::LIST;
use serde_json::{Value, json};

crate::cases!(
    search, Strict: a_search_is_a_list, every_member_counts, a_walk_by_post, what_is_no_search_request, of_another_type,
    the_root_covers_all_types, the_root_narrows_to_a_type, what_a_type_does_not_define_has_no_value, what_no_type_defines,
    the_root_in_order, the_root_in_pages, the_root_by_cursor, projection_by_type, the_root_wants_to_be_asked, post_at_the_root,
);

const URN: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";

async fn post(gateway: &Gateway, path: &str, members: Value) -> Value {
    gateway.send("POST", path, Some(crate::support::fixture::with(json!({"schemas": [URN]}), members))).await
}

async fn root(gateway: &Gateway, filter: &str, rest: &str) -> Value {
    gateway.get(&format!("/?filter={}{rest}", encode(&gateway.fill(filter)))).await
}

fn labels(answer: &Value) -> Vec<&str> {
    assert_eq!(answer["status"], 200, "{answer}");
    let resources = answer["body"]["Resources"].as_array().expect("Resources");
    resources.iter().map(|resource| resource["id"].as_str().expect("an id").trim_matches(['{', '}'])).collect()
}

/// Three users and two groups, in whose display names letters alternate.
async fn mixed(gateway: &Gateway) -> [Value; 5] {
    gateway.create_user("ann", json!({"displayName": "~d"})).await;
    gateway.create_group("b", &[]).await;
    gateway.create_user("cid", json!({"displayName": "~A"})).await;
    gateway.create_group("e", &[]).await;
    gateway.create_user("eve", json!({"displayName": "~c"})).await;
    let person = |name, display| user(name, 1, json!({"displayName": display}));
    [person("ann", "~d"), person("cid", "~A"), person("eve", "~c"), group("b", 1, &[]), group("e", 1, &[])]
}

/// 7644-3.4.3-01 7644-3.4.3-02
async fn a_search_is_a_list(gateway: &Gateway) {
    let [ann, cid, eve, b, e] = mixed(gateway).await;
    let everyone = json!({"filter": "displayName sw \"~\""});
    assert_eq!(post(gateway, "/Users/.search", everyone.clone()).await, list(3, 1, &[ann, cid, eve]));
    assert_eq!(post(gateway, "/Groups/.search", everyone).await, list(2, 1, &[b, e]));
    let nobody = json!({"filter": "userName eq \"~nobody\""});
    assert_eq!(post(gateway, "/Users/.search", nobody).await, list(0, 1, &[]));
    let all = post(gateway, "/Users/.search", json!({})).await;
    assert!(all["status"] == 200 && all["body"]["totalResults"].as_u64() >= Some(3), "{all}");
}

/// 7644-3.4.3-01 7644-3.4.2.5-01
async fn every_member_counts(gateway: &Gateway) {
    mixed(gateway).await;
    let asked = json!({"FILTER": "displayName sw \"~\"", "sortBy": "displayName", "sortOrder": "descending", "startIndex": 2,
        "count": 1, "attributes": ["userName", "displayName"], "excludedAttributes": null, "colour": "red"});
    let eve = json!({"schemas": [crate::support::fixture::USER], "id": "{eve}", "userName": "~eve", "displayName": "~c"});
    assert_eq!(post(gateway, "/Users/.search", asked).await, list(3, 2, &[eve]));
    let asked = json!({"filter": "userName eq \"~eve\"", "excludedAttributes": ["displayName", "meta", "id"]});
    let eve = json!({"schemas": [crate::support::fixture::USER], "id": "{eve}", "userName": "~eve"});
    assert_eq!(post(gateway, "/Users/.search", asked).await, list(1, 1, &[eve]));
    let asked = json!({"filter": "displayName sw \"~\"", "count": -1, "startIndex": -5});
    assert_eq!(post(gateway, "/Users/.search", asked).await, list(3, 1, &[]));
}

/// 9865-3-01
async fn a_walk_by_post(gateway: &Gateway) {
    let [ann, cid, eve, ..] = mixed(gateway).await;
    let asked = |cursor: &Value| json!({"filter": "displayName sw \"~\"", "count": 2, "cursor": cursor});
    let mut first = post(gateway, "/Users/.search", asked(&json!(""))).await;
    let cursor = first["body"].as_object_mut().expect("a body").remove("nextCursor").expect("a cursor");
    let page = |resources: &[Value]| {
        let body = json!({"schemas": [LIST], "totalResults": 3, "itemsPerPage": resources.len(), "Resources": resources});
        json!({"status": 200, "body": body})
    };
    assert_eq!(first, page(&[ann, cid]));
    assert_eq!(post(gateway, "/Users/.search", asked(&cursor)).await, page(std::slice::from_ref(&eve)));
    // It is the same query by GET.
    let filter = encode(&gateway.fill("displayName sw \"~\""));
    let path = format!("/Users?filter={filter}&count=2&cursor={}", cursor.as_str().expect("a text"));
    assert_eq!(gateway.get(&path).await, page(&[eve]));
    let both = json!({"schemas": [URN], "cursor": "", "startIndex": 1});
    gateway.refused("POST", "/Users/.search", Some(both), 400, "invalidValue", &["cursor", "startIndex"]).await;
    let forged = json!({"schemas": [URN], "cursor": "x"});
    gateway.refused("POST", "/Users/.search", Some(forged), 400, "invalidCursor", &["cursor"]).await;
}

/// 7644-3.4.3-02
async fn what_is_no_search_request(gateway: &Gateway) {
    let bodies = [
        json!({"filter": "title pr"}),
        json!({"schemas": [], "filter": "title pr"}),
        json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}),
        json!({"schemas": URN}),
        json!([]),
        json!("x"),
    ];
    for path in ["/Users/.search", "/Groups/.search", "/.search"] {
        for body in &bodies {
            gateway.refused("POST", path, Some(body.clone()), 400, "invalidSyntax", &[]).await;
        }
    }
    gateway.refused("GET", "/.search", None, 405, "", &[]).await;
}

/// 7644-3.4.3-01 7644-3.4.2.4-04
async fn of_another_type(gateway: &Gateway) {
    for (name, value, scim_type) in [
        ("attributes", json!("userName"), "invalidValue"),
        ("excludedAttributes", json!([1]), "invalidValue"),
        ("count", json!("ten"), "invalidValue"),
        ("startIndex", json!(1.5), "invalidValue"),
        ("sortBy", json!(1), "invalidValue"),
        ("sortOrder", json!("up"), "invalidValue"),
        ("filter", json!("hobby pr"), "invalidFilter"),
        ("filter", json!(""), "invalidFilter"),
        ("sortBy", json!("hobby"), "invalidValue"),
    ] {
        for path in ["/Users/.search", "/.search"] {
            gateway.refused("POST", path, Some(json!({"schemas": [URN], name: value})), 400, scim_type, &[]).await;
        }
    }
}

/// 7644-3.4.2.1-01
async fn the_root_covers_all_types(gateway: &Gateway) {
    let all = mixed(gateway).await;
    assert_eq!(root(gateway, "displayName sw \"~\"", "").await, list(5, 1, &all));
    assert_eq!(root(gateway, "displayName sw \"~\"", "&count=0").await, list(5, 1, &[]));
    assert_eq!(root(gateway, "displayName eq \"~nobody\"", "").await, list(0, 1, &[]));
    let filter = gateway.fill("displayName sw \"~\"");
    assert_eq!(post(gateway, "/.search", json!({"filter": filter})).await, list(5, 1, &all));
}

/// 7644-3.4.2.1-01
async fn the_root_narrows_to_a_type(gateway: &Gateway) {
    let [ann, cid, eve, b, e] = mixed(gateway).await;
    let of = |kind: &str| format!("meta.resourceType eq \"{kind}\" and displayName sw \"~\"");
    assert_eq!(root(gateway, &of("User"), "").await, list(3, 1, &[ann, cid.clone(), eve]));
    assert_eq!(root(gateway, &of("Group"), "").await, list(2, 1, &[b.clone(), e]));
    assert_eq!(root(gateway, &of("Robot"), "").await, list(0, 1, &[]));
    let either =
        "(meta.resourceType eq \"User\" and userName eq \"~cid\") or (meta.resourceType eq \"Group\" and displayName eq \"~b\")";
    assert_eq!(root(gateway, either, "").await, list(2, 1, &[cid, b]));
}

/// 7644-3.4.2.1-03
async fn what_a_type_does_not_define_has_no_value(gateway: &Gateway) {
    mixed(gateway).await;
    for (filter, expected) in [
        ("userName sw \"~\"", &["ann", "cid", "eve"][..]),
        ("displayName sw \"~\" and userName pr", &["ann", "cid", "eve"]),
        ("displayName sw \"~\" and not (userName pr)", &["b", "e"]),
        ("displayName sw \"~\" and userName ne \"~ann\"", &["cid", "eve", "b", "e"]),
        ("displayName sw \"~\" and (userName eq \"~ann\" or members pr)", &["ann"]),
        ("displayName sw \"~\" and emails[type eq \"work\"]", &[]),
    ] {
        assert_eq!(labels(&root(gateway, filter, "").await), expected, "{filter}");
    }
}

/// 7644-3.4.2.2-14 7644-3.4.2.2-17
async fn what_no_type_defines(gateway: &Gateway) {
    for (filter, word) in [
        ("hobby pr", "hobby"),
        ("displayName pr and hobby eq \"x\"", "hobby"),
        ("password pr", "password"),
        ("active gt true", "active"),
    ] {
        gateway.refused("GET", &format!("/?filter={}", encode(filter)), None, 400, "invalidFilter", &[word]).await;
    }
    let path = format!("/?filter={}&sortBy=hobby", encode("displayName pr"));
    gateway.refused("GET", &path, None, 400, "invalidValue", &["hobby"]).await;
    gateway.refused("GET", &path.replace("hobby", "password"), None, 400, "invalidValue", &["password", "returned"]).await;
}

/// 7644-3.4.2.3-02 7644-3.4.2.3-03
async fn the_root_in_order(gateway: &Gateway) {
    mixed(gateway).await;
    for (order, expected) in [
        ("displayName", ["cid", "b", "eve", "ann", "e"]),
        ("userName", ["ann", "cid", "eve", "b", "e"]),
        ("meta.created", ["ann", "b", "cid", "e", "eve"]),
        ("id", ["ann", "b", "cid", "e", "eve"]),
        ("meta.resourceType", ["b", "e", "ann", "cid", "eve"]),
        ("members.value", ["ann", "b", "cid", "e", "eve"]),
    ] {
        let answer = root(gateway, "displayName sw \"~\"", &format!("&sortBy={order}")).await;
        assert_eq!(labels(&answer), expected, "{order}");
        let answer = root(gateway, "displayName sw \"~\"", &format!("&sortBy={order}&sortOrder=descending")).await;
        assert_eq!(labels(&answer), expected.into_iter().rev().collect::<Vec<_>>(), "{order}, descending");
    }
}

/// 7644-3.4.2.4-03
async fn the_root_in_pages(gateway: &Gateway) {
    mixed(gateway).await;
    let unsorted = ["ann", "cid", "eve", "b", "e"];
    let sorted = ["cid", "b", "eve", "ann", "e"];
    for (sort, order) in [("", unsorted), ("&sortBy=displayName", sorted)] {
        for count in 1..=5 {
            for start in 1..=6 {
                let answer = root(gateway, "displayName sw \"~\"", &format!("{sort}&startIndex={start}&count={count}")).await;
                assert_eq!(labels(&answer), order[(start - 1).min(5)..(start - 1 + count).min(5)], "{sort} {start} {count}");
                assert_eq!((&answer["body"]["totalResults"], &answer["body"]["startIndex"]), (&json!(5), &json!(start)));
            }
        }
    }
}

/// 9865-2-03 9865-2.2-01
async fn the_root_by_cursor(gateway: &Gateway) {
    mixed(gateway).await;
    let unsorted = ["ann", "cid", "eve", "b", "e"];
    for (sort, order) in [("", unsorted), ("&sortBy=displayName", ["cid", "b", "eve", "ann", "e"]), ("&sortBy=userName", unsorted)]
    {
        for count in 1..=6 {
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let answer = root(gateway, "displayName sw \"~\"", &format!("{sort}&count={count}&cursor={cursor}")).await;
                seen.extend(labels(&answer).into_iter().map(str::to_owned));
                assert_eq!(answer["body"]["totalResults"], 5);
                assert!(answer["body"].get("startIndex").is_none());
                let Some(next) = answer["body"]["nextCursor"].as_str() else { break };
                next.clone_into(&mut cursor);
                assert_eq!(seen.len() % count, 0);
                assert!(seen.len() < 5);
            }
            assert_eq!(seen, order, "{sort} {count}");
        }
    }
}

/// 7644-3.9-04
async fn projection_by_type(gateway: &Gateway) {
    mixed(gateway).await;
    let answer = root(gateway, "displayName sw \"~\"", "&attributes=userName,members,displayName&count=4&startIndex=3").await;
    let user = json!({"schemas": [crate::support::fixture::USER], "id": "{eve}", "userName": "~eve", "displayName": "~c"});
    let group = |label| json!({"schemas": [crate::support::fixture::GROUP], "id": format!("{{{label}}}"), "displayName": format!("~{label}")});
    assert_eq!(answer, list(5, 3, &[user, group("b"), group("e")]));
}

/// 7644-3.4.2.1-01
async fn the_root_wants_to_be_asked(gateway: &Gateway) {
    mixed(gateway).await;
    for accept in ["application/scim+json", "text/html, Application/SCIM+JSON;q=0.9"] {
        let answer = gateway.raw("GET", "/?count=1", &[("accept", accept)], None).await;
        assert_eq!((answer.status, &answer.json()["itemsPerPage"]), (200, &json!(1)));
    }
    let bare = gateway.client.with_key(None);
    bare.get("/?filter=id%20pr").await.assert_error(401, None, &[]);
    bare.on("GET", "/").header("accept", "application/scim+json").send().await.assert_error(401, None, &[]);
}

/// 7644-3.4.3-01
async fn post_at_the_root(gateway: &Gateway) {
    mixed(gateway).await;
    let asked =
        json!({"filter": "displayName sw \"~\"", "sortBy": "displayName", "count": 2, "startIndex": 2, "attributes": ["id"]});
    assert_eq!(labels(&post(gateway, "/.search", asked).await), ["b", "eve"]);
}
