//! The feed of every event, and its cursor.

use crate::gateway::Gateway;
use crate::support::client::encode;
use crate::support::fixture::FEED_STREAM;
use serde_json::{Value, json};
use std::collections::HashSet;

crate::cases!(
    feed, Notice: a_page_has_its_shape, small_pages_join_to_the_whole, after_the_last_there_is_nothing, an_unknown_cursor_is_refused,
    limits_are_checked, an_unknown_feed, it_needs_a_key,
);

const STREAM: &str = "/Events/Feeds/default/Stream";

async fn three(gateway: &Gateway) {
    for label in ["ann", "bob", "cid"] {
        gateway.create_user(label, json!({})).await;
    }
}

async fn a_page_has_its_shape(gateway: &Gateway) {
    three(gateway).await;
    let page = gateway.client.get(&format!("{STREAM}?limit=2")).await.json();
    let expected = json!({"schemas": [FEED_STREAM], "feed": "default", "sets": page["sets"], "moreAvailable": true});
    assert_eq!((&page, page["sets"].as_array().map(Vec::len)), (&expected, Some(2)));
}

/// 8417-2.2-03: the jti of an event stays, and no two share one.
async fn small_pages_join_to_the_whole(gateway: &Gateway) {
    three(gateway).await;
    let whole = gateway.client.feed(None, 1000).await;
    let mine = gateway.fill("{ann}");
    let at = whole.iter().position(|event| event["sub_id"]["uri"].as_str().is_some_and(|uri| uri.ends_with(&mine))).expect("ann");
    let from = at.saturating_sub(1);
    let cursor = whole[from]["jti"].as_str();
    let known = &whole[from + 1..];
    for limit in [1, 2, 7] {
        let mut walk = gateway.client.feed(cursor, limit).await;
        walk.truncate(known.len());
        assert_eq!(walk, known, "pages of {limit}");
    }
    let distinct: HashSet<_> = whole.iter().map(|event| event["jti"].to_string()).collect();
    assert_eq!(distinct.len(), whole.len());
}

async fn after_the_last_there_is_nothing(gateway: &Gateway) {
    three(gateway).await;
    let mut last = gateway.client.feed(None, 1000).await.pop().expect("an event")["jti"].as_str().map(str::to_owned);
    // Others write meanwhile: what comes after must be new to us.
    for label in ["dan", "eve"] {
        let before = gateway.client.feed(last.as_deref(), 1000).await;
        gateway.create_user(label, json!({})).await;
        let after = gateway.client.feed(last.as_deref(), 1000).await;
        assert_eq!(after[..before.len()], before);
        assert!(after.len() > before.len());
        last = after.last().and_then(|event| event["jti"].as_str()).map(str::to_owned);
    }
}

async fn an_unknown_cursor_is_refused(gateway: &Gateway) {
    three(gateway).await;
    let jti = gateway.client.feed(None, 1000).await[0]["jti"].as_str().expect("a jti").to_owned();
    let (id, tag) = jti.split_once('.').expect("an id and a tag");
    for forged in [
        "x".to_owned(),
        id.to_owned(),
        format!("{id}."),
        format!("{id}.0{tag}"),
        format!("{}.{tag}", "0".repeat(32)),
        "'; --".into(),
    ] {
        let path = format!("{STREAM}?after={}", encode(&forged));
        gateway.refused("GET", &path, None, 400, "invalidValue", &["after"]).await;
    }
}

async fn limits_are_checked(gateway: &Gateway) {
    three(gateway).await;
    gateway.refused("GET", &format!("{STREAM}?limit=-1"), None, 400, "invalidValue", &["limit"]).await;
    gateway.refused("GET", &format!("{STREAM}?limit=x"), None, 400, "invalidValue", &["limit"]).await;
    let none = gateway.client.get(&format!("{STREAM}?limit=0")).await.json();
    assert_eq!((&none["sets"], &none["moreAvailable"]), (&json!([]), &Value::Bool(true)));
    let many = gateway.client.get(&format!("{STREAM}?limit=999999999999")).await.json();
    assert!(many["sets"].as_array().is_some_and(|sets| sets.len() <= 1_000));
}

async fn an_unknown_feed(gateway: &Gateway) {
    gateway.refused("GET", "/Events/Feeds/nothing/Stream", None, 404, "", &["nothing"]).await;
}

/// 9967-5-03
async fn it_needs_a_key(gateway: &Gateway) {
    let refused = gateway.client.with_key(None).get(STREAM).await;
    refused.assert_error(401, None, &[]);
    assert!(refused.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
}
