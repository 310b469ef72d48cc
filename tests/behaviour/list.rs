//! Lists and their pages (RFC 7644 §3.4.2.4).

use crate::gateway::{Gateway, list, user};
use crate::support::client::encode;
use serde_json::{Value, json};

crate::cases!(
    list, Notice: no_match_is_an_empty_list, pages_join_to_the_whole, start_index_below_one_is_one, start_index_beyond_the_end,
    count_zero_gives_the_total, count_below_zero_is_zero, count_over_the_page_size_is_capped, order_is_stable, the_unfiltered_total_follows,
    unknown_parameters_are_ignored, what_is_not_a_number_is_refused,
);

const NAMES: [&str; 5] = ["ann", "bob", "cid", "dan", "eve"];

async fn five_users(gateway: &Gateway) -> Vec<Value> {
    for name in NAMES {
        gateway.create_user(name, json!({"title": "~five"})).await;
    }
    NAMES.iter().map(|name| user(name, 1, json!({"title": "~five"}))).collect()
}

async fn page(gateway: &Gateway, rest: &str) -> Value {
    gateway.get(&format!("/Users?filter={}{rest}", encode(&gateway.fill("title eq \"~five\"")))).await
}

/// 7644-3.4.2-02
async fn no_match_is_an_empty_list(gateway: &Gateway) {
    assert_eq!(gateway.filter("/Users", "userName eq \"~nobody\"").await, list(0, 1, &[]));
    assert_eq!(gateway.filter("/Groups", "displayName eq \"~none\"").await, list(0, 1, &[]));
}

/// 7644-3.4.2-01 7644-3.4.2.4-03
async fn pages_join_to_the_whole(gateway: &Gateway) {
    let users = five_users(gateway).await;
    assert_eq!(page(gateway, "").await, list(5, 1, &users));
    assert_eq!(page(gateway, "&startIndex=1&count=2").await, list(5, 1, &users[..2]));
    assert_eq!(page(gateway, "&startIndex=3&count=2").await, list(5, 3, &users[2..4]));
    assert_eq!(page(gateway, "&startIndex=5&count=2").await, list(5, 5, &users[4..]));
}

/// 7644-3.4.2.4-01
async fn start_index_below_one_is_one(gateway: &Gateway) {
    let users = five_users(gateway).await;
    for start in ["0", "-1", "-99999999999999999999"] {
        assert_eq!(page(gateway, &format!("&startIndex={start}&count=1")).await, list(5, 1, &users[..1]));
    }
}

/// 7644-3.4.2.4-03
async fn start_index_beyond_the_end(gateway: &Gateway) {
    five_users(gateway).await;
    assert_eq!(page(gateway, "&startIndex=6").await, list(5, 6, &[]));
    assert_eq!(page(gateway, "&startIndex=1000000").await, list(5, 1_000_000, &[]));
}

/// 7644-3.4.2.4-02
async fn count_zero_gives_the_total(gateway: &Gateway) {
    five_users(gateway).await;
    assert_eq!(page(gateway, "&count=0").await, list(5, 1, &[]));
}

/// 7644-3.4.2.4-02
async fn count_below_zero_is_zero(gateway: &Gateway) {
    five_users(gateway).await;
    assert_eq!(page(gateway, "&count=-3").await, list(5, 1, &[]));
}

async fn count_over_the_page_size_is_capped(gateway: &Gateway) {
    for number in 0..101 {
        gateway.create_user(&format!("u{number}"), json!({"title": "~five"})).await;
    }
    let capped = page(gateway, "&count=1000000&attributes=id").await["body"].clone();
    assert_eq!((&capped["totalResults"], &capped["itemsPerPage"], &capped["startIndex"]), (&json!(101), &json!(100), &json!(1)));
    assert_eq!(capped["Resources"].as_array().map(Vec::len), Some(100));
    let rest = page(gateway, "&startIndex=101&attributes=id").await["body"].clone();
    assert_eq!(rest["Resources"][0]["id"], "{u100}");
    assert_eq!(rest["itemsPerPage"], 1);
}

/// 7644-3.4.2.4-04
async fn order_is_stable(gateway: &Gateway) {
    let users = five_users(gateway).await;
    gateway.patch("/Users/{bob}", json!([{"op": "add", "path": "nickName", "value": "b"}])).await;
    let changed = page(gateway, "").await["body"]["Resources"].clone();
    let ids = |resources: &[Value]| resources.iter().map(|user| user["id"].clone()).collect::<Vec<_>>();
    assert_eq!(ids(changed.as_array().expect("Resources")), ids(&users));
}

async fn the_unfiltered_total_follows(gateway: &Gateway) {
    // Other cases create and delete meanwhile: a total is only compared with what is certain.
    five_users(gateway).await;
    let first = gateway.get("/Users?count=2").await["body"].clone();
    assert!(first["totalResults"].as_u64() >= Some(5), "{first}");
    assert_eq!((&first["itemsPerPage"], first["Resources"].as_array().map(Vec::len)), (&json!(2), Some(2)));
}

/// 7644-3.4.2-03
async fn unknown_parameters_are_ignored(gateway: &Gateway) {
    let users = five_users(gateway).await;
    assert_eq!(page(gateway, "&colour=red&x&count=1").await, list(5, 1, &users[..1]));
}

/// 7644-3.4.2.4-04
async fn what_is_not_a_number_is_refused(gateway: &Gateway) {
    for (name, value) in [("startIndex", "NaN"), ("count", "ten"), ("count", "1.5"), ("startIndex", ""), ("count", "1e3")] {
        gateway.refused("GET", &format!("/Users?{name}={value}"), None, 400, "invalidValue", &[name]).await;
    }
}
