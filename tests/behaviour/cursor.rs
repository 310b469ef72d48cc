//! Walks by cursor (RFC 9865).

use crate::gateway::{Gateway, user};
use crate::support::client::encode;
use crate::support::fixture::LIST;
use crate::support::server::{Server, Settings};
use serde_json::{Value, json};

crate::cases!(
    cursor, Strict: pages_join_to_the_whole, every_page_but_the_last_has_a_cursor, an_order_is_kept, the_default_is_the_index,
    count_zero_gives_the_total, a_count_that_is_too_large, another_count, a_cursor_of_another_query, a_cursor_that_is_none,
    a_cursor_and_an_index, what_comes_and_goes, the_configuration_says_so, a_walk_goes_on_after_a_restart needs durable,
);

const NAMES: [&str; 5] = ["ann", "bob", "cid", "dan", "eve"];
const MINE: &str = "title eq \"~five\"";

async fn five_users(gateway: &Gateway) -> Vec<Value> {
    for name in NAMES {
        gateway.create_user(name, json!({"title": "~five"})).await;
    }
    NAMES.iter().map(|name| user(name, 1, json!({"title": "~five"}))).collect()
}

/// A page of this case's users, and the cursor of the next one.
async fn page(gateway: &Gateway, rest: &str) -> (Value, Option<String>) {
    let mut answer = gateway.get(&format!("/Users?filter={}&{rest}", encode(&gateway.fill(MINE)))).await;
    assert_eq!(answer["status"], 200, "{rest}: {answer}");
    let next = answer["body"].as_object_mut().expect("a body").remove("nextCursor");
    (answer["body"].clone(), next.map(|cursor| cursor.as_str().expect("a text").to_owned()))
}

async fn next(gateway: &Gateway, rest: &str, cursor: Option<&str>) -> (Value, Option<String>) {
    page(gateway, &format!("{rest}&cursor={}", cursor.expect("a cursor"))).await
}

/// What a page of a walk must be, without its cursor: it has no index.
fn walked(total: u64, resources: &[Value]) -> Value {
    json!({"schemas": [LIST], "totalResults": total, "itemsPerPage": resources.len(), "Resources": resources})
}

async fn refused(gateway: &Gateway, rest: &str, scim_type: &str, words: &[&str]) {
    let path = format!("/Users?filter={}&{rest}", encode(&gateway.fill(MINE)));
    gateway.refused("GET", &path, None, 400, scim_type, words).await;
}

/// 9865-2-01 9865-2-03 9865-2-06
async fn pages_join_to_the_whole(gateway: &Gateway) {
    let users = five_users(gateway).await;
    for begin in ["cursor&count=2", "cursor=&count=2", "count=2&cursor"] {
        let (first, cursor) = page(gateway, begin).await;
        assert_eq!(first, walked(5, &users[..2]));
        let (second, cursor) = next(gateway, "count=2", cursor.as_deref()).await;
        assert_eq!(second, walked(5, &users[2..4]));
        let (last, cursor) = next(gateway, "count=2", cursor.as_deref()).await;
        assert_eq!((last, cursor), (walked(5, &users[4..]), None));
    }
}

/// 9865-2-01 9865-2-03
async fn every_page_but_the_last_has_a_cursor(gateway: &Gateway) {
    let users = five_users(gateway).await;
    for count in 1..=6 {
        let (mut body, mut cursor) = page(gateway, &format!("cursor&count={count}")).await;
        let mut seen = Vec::new();
        loop {
            let resources = body["Resources"].as_array().expect("Resources").clone();
            assert!(!resources.is_empty() && resources.len() <= count && body["totalResults"] == 5);
            seen.extend(resources);
            assert_eq!(cursor.is_none(), seen.len() == 5, "{count}");
            let Some(text) = cursor else { break };
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)), "{text}");
            (body, cursor) = next(gateway, &format!("count={count}"), Some(&text)).await;
        }
        assert_eq!(seen, users);
    }
    assert_eq!(page(gateway, "cursor").await, (walked(5, &users), None));
}

/// 9865-2.2-01
async fn an_order_is_kept(gateway: &Gateway) {
    let users = five_users(gateway).await;
    for (order, resources) in
        [("sortBy=userName&sortOrder=descending", users.iter().rev().cloned().collect::<Vec<_>>()), ("sortBy=meta.created", users)]
    {
        let query = format!("{order}&count=3");
        let (first, cursor) = page(gateway, &format!("{query}&cursor")).await;
        assert_eq!(first, walked(5, &resources[..3]));
        assert_eq!(next(gateway, &query, cursor.as_deref()).await, (walked(5, &resources[3..]), None));
    }
}

/// 9865-2.4-01 7644-3.4.2.4-01
async fn the_default_is_the_index(gateway: &Gateway) {
    five_users(gateway).await;
    let (first, cursor) = page(gateway, "count=2").await;
    assert_eq!((&first["startIndex"], &first["itemsPerPage"], cursor), (&json!(1), &json!(2), None));
}

/// 9865-2-02
async fn count_zero_gives_the_total(gateway: &Gateway) {
    five_users(gateway).await;
    for count in ["0", "-1", "-99999999999999999999"] {
        assert_eq!(page(gateway, &format!("cursor&count={count}")).await, (walked(5, &[]), None));
    }
}

/// 9865-2.1-01
async fn a_count_that_is_too_large(gateway: &Gateway) {
    five_users(gateway).await;
    for count in ["101", "99999999999999999999"] {
        refused(gateway, &format!("cursor&count={count}"), "invalidCount", &["count", "100"]).await;
    }
    assert_eq!(page(gateway, "cursor&count=100").await.1, None);
}

/// 9865-2.1-01 9865-2-05
async fn another_count(gateway: &Gateway) {
    five_users(gateway).await;
    let cursor = page(gateway, "cursor&count=2").await.1.expect("a cursor");
    for rest in ["&count=3", "&count=0", ""] {
        refused(gateway, &format!("cursor={cursor}{rest}"), "invalidCount", &["count", "2"]).await;
    }
    assert_eq!(page(gateway, &format!("cursor={cursor}&count=2")).await.0["itemsPerPage"], 2);
}

/// 9865-2-05 9865-5.2-02 9865-5.2-01
async fn a_cursor_of_another_query(gateway: &Gateway) {
    five_users(gateway).await;
    let cursor = page(gateway, "cursor&count=2").await.1.expect("a cursor");
    for rest in ["&sortBy=userName", "&sortOrder=descending", "&attributes=userName", "&excludedAttributes=title"] {
        refused(gateway, &format!("cursor={cursor}&count=2{rest}"), "invalidCursor", &["cursor"]).await;
    }
    let filter = encode(&gateway.fill(MINE));
    let mut details = Vec::new();
    for path in [
        format!("/Groups?filter={}", encode("displayName pr")),
        format!("/?filter={filter}"),
        "/Users?x".into(),
        format!("/Users?filter={}", encode("title pr")),
    ] {
        let answer = gateway.raw("GET", &format!("{path}&count=2&cursor={cursor}"), &[], None).await;
        answer.assert_error(400, Some("invalidCursor"), &["cursor"]);
        details.push(answer.json());
    }
    let forged = gateway.raw("GET", &format!("/Users?filter={filter}&count=2&cursor=forged"), &[], None).await.json();
    assert!(details.iter().all(|detail| *detail == forged));
    assert_eq!(page(gateway, &format!("unknown=1&cursor={cursor}&count=2")).await.0["itemsPerPage"], 2);
}

/// 9865-2.1-01 9865-5.2-02
async fn a_cursor_that_is_none(gateway: &Gateway) {
    five_users(gateway).await;
    let cursor = page(gateway, "cursor&count=2").await.1.expect("a cursor");
    let changed = format!("{}{}", if cursor.starts_with('A') { "B" } else { "A" }, &cursor[1..]);
    let long = "A".repeat(10_000);
    for forged in [&changed, "null", "0", "1", "%00", "%25", "a b", &cursor[..cursor.len() - 1], &cursor.repeat(2), &long] {
        refused(gateway, &format!("count=2&cursor={forged}"), "invalidCursor", &["cursor"]).await;
    }
}

/// 9865-2-06
async fn a_cursor_and_an_index(gateway: &Gateway) {
    refused(gateway, "cursor&startIndex=1", "invalidValue", &["cursor", "startIndex"]).await;
    refused(gateway, "cursor&cursor", "invalidValue", &["cursor", "twice"]).await;
}

/// 9865-2-05
async fn what_comes_and_goes(gateway: &Gateway) {
    five_users(gateway).await;
    let (_, cursor) = page(gateway, "cursor&count=2").await;
    gateway.delete("/Users/{ann}").await;
    gateway.delete("/Users/{bob}").await;
    gateway.delete("/Users/{dan}").await;
    gateway.create_user("new", json!({"title": "~five"})).await;
    let (body, cursor) = next(gateway, "count=2", cursor.as_deref()).await;
    let ids =
        |body: &Value| body["Resources"].as_array().expect("Resources").iter().map(|user| user["id"].clone()).collect::<Vec<_>>();
    assert_eq!((ids(&body), &body["totalResults"]), (vec![json!("{cid}"), json!("{eve}")], &json!(5)));
    let (body, cursor) = next(gateway, "count=2", cursor.as_deref()).await;
    assert_eq!((ids(&body), cursor), (vec![json!("{new}")], None));
}

/// 9865-4-01
async fn the_configuration_says_so(gateway: &Gateway) {
    let config = gateway.get("/ServiceProviderConfig").await["body"].clone();
    let pagination = json!({"cursor": true, "index": true, "defaultPaginationMethod": "index", "defaultPageSize": 100,
        "maxPageSize": 100, "cursorTimeout": 86400});
    assert_eq!((&config["pagination"], &config["sort"]), (&pagination, &json!({"supported": true})));
}

/// 9865-2-05
async fn a_walk_goes_on_after_a_restart(gateway: &Gateway) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = Settings::default().store(gateway.backend).folder(folder.path());
    let mut server = Server::start(&settings);
    let before = gateway.through(server.client());
    let users = five_users(&before).await;
    let (_, cursor) = page(&before, "cursor&count=4").await;
    server.kill();
    let server = Server::start(&settings);
    let after = before.through(server.client());
    assert_eq!(next(&after, "count=4", cursor.as_deref()).await, (walked(5, &users[4..]), None));
}
