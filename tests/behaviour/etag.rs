//! Versions, `If-Match` and `If-None-Match` (RFC 7644 §3.14, RFC 9110 §13.1).

use crate::gateway::{Gateway, answer, user};
use crate::support::fixture::{USER, patch_of};
use serde_json::{Value, json};

crate::cases!(
    etag, Notice: each_change_counts_one, if_match_of_the_present_version, if_match_of_another_version, if_match_in_other_forms,
    not_found_comes_before_if_match, if_none_match_on_get, a_304_only_when_groups_are_left_out, one_of_two_writers_wins,
    if_none_match_on_writes, if_none_match_makes_no_resource,
);

fn titled(title: &str) -> Value {
    patch_of(json!([{"op": "replace", "path": "title", "value": title}]))
}

/// 7643-3.1-07
async fn each_change_counts_one(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    for version in 2..=5_u64 {
        let answered = gateway.send("PATCH", "/Users/{ann}", Some(titled(&version.to_string()))).await;
        assert_eq!(answered, answer(200, &user("ann", version, json!({"title": version.to_string()}))));
    }
}

async fn write(gateway: &Gateway, method: &str, tag: &str) -> u16 {
    let body = match method {
        "PUT" => Some(json!({"schemas": [USER], "userName": "~ann", "nickName": format!("by {tag}")})),
        "PATCH" => Some(titled(&format!("by {tag}"))),
        _ => None,
    };
    let answer = gateway.raw(method, "/Users/{ann}", &[("if-match", tag)], body).await;
    if answer.status == 412 {
        answer.assert_error(412, None, &["If-Match"]);
    }
    answer.status
}

/// 7644-3.14-02
async fn if_match_of_the_present_version(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    assert_eq!(write(gateway, "PATCH", "\"1\"").await, 200);
    assert_eq!(write(gateway, "PUT", "\"2\"").await, 200);
    assert_eq!(write(gateway, "DELETE", "\"3\"").await, 204);
}

/// 7644-3.14-02, checklist C4
async fn if_match_of_another_version(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    for tag in ["\"2\"", "\"0\"", "\"01\"", "\"x\"", "W/\"2\"", "\"2\", \"3\""] {
        for method in ["PUT", "PATCH", "DELETE"] {
            assert_eq!(write(gateway, method, tag).await, 412, "{method} {tag}");
        }
    }
    assert_eq!(gateway.get("/Users/{ann}").await, answer(200, &user("ann", 1, json!({}))));
    assert_eq!(gateway.events().await.len(), 1);
}

/// 9110-13.1.1-01
async fn if_match_in_other_forms(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    for tag in ["W/\"1\"", "\"7\", \"2\"", "*"] {
        assert_eq!(write(gateway, "PATCH", tag).await, 200, "{tag}");
    }
}

/// 7644-3.14-02
async fn not_found_comes_before_if_match(gateway: &Gateway) {
    let answer = gateway.raw("DELETE", "/Users/nobody", &[("if-match", "\"1\"")], None).await;
    answer.assert_error(404, None, &["nobody"]);
}

/// 7644-3.14-02 9110-13.1.2-01
async fn if_none_match_on_get(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let path = "/Users/{ann}?excludedAttributes=groups";
    for tag in ["\"1\"", "W/\"1\"", "*", "\"5\",\"1\""] {
        let answered = gateway.raw("GET", path, &[("if-none-match", tag)], None).await;
        assert_eq!((answered.status, answered.body.len(), answered.version()), (304, 0, 1), "{tag}");
    }
    assert_eq!(gateway.raw("GET", path, &[("if-none-match", "\"2\"")], None).await.status, 200);
}

/// 9110-13.2.2-01 9110-13.1.2-01
async fn if_none_match_on_writes(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let send = async |method: &str, headers: &[(&str, &str)]| {
        let body = if method == "PUT" { json!({"schemas": [USER], "userName": "~ann", "title": "x"}) } else { titled("x") };
        gateway.raw(method, "/Users/{ann}", headers, (method != "DELETE").then_some(body)).await
    };
    for tag in ["*", "\"1\"", "W/\"1\"", "\"7\", \"1\""] {
        for method in ["PUT", "PATCH", "DELETE"] {
            send(method, &[("if-none-match", tag)]).await.assert_error(412, None, &["If-None-Match"]);
            send(method, &[("if-match", "*"), ("if-none-match", tag)]).await.assert_error(412, None, &["If-None-Match"]);
        }
    }
    assert_eq!(gateway.get("/Users/{ann}").await, answer(200, &user("ann", 1, json!({}))));
    assert_eq!(send("PATCH", &[("if-none-match", "\"7\"")]).await.status, 200);
    assert_eq!(send("PUT", &[("if-match", "\"2\""), ("if-none-match", "\"1\"")]).await.status, 200);
    assert_eq!(send("DELETE", &[("if-none-match", "\"1\"")]).await.status, 204);
}

/// 7644-3.2-01
async fn if_none_match_makes_no_resource(gateway: &Gateway) {
    let body = json!({"schemas": [USER], "userName": "~ann"});
    let answer = gateway.raw("PUT", "/Users/nobody", &[("if-none-match", "*")], Some(body)).await;
    answer.assert_error(404, None, &["nobody"]);
}

async fn a_304_only_when_groups_are_left_out(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    assert_eq!(gateway.raw("GET", "/Users/{ann}", &[("if-none-match", "\"1\"")], None).await.status, 200);
    gateway.create_group("team", &[]).await;
    assert_eq!(gateway.raw("GET", "/Groups/{team}", &[("if-none-match", "\"1\"")], None).await.status, 304);
}

async fn one_of_two_writers_wins(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let race = (0..8).map(|_| {
        let (gateway, path) = (gateway.through(gateway.client.clone()), "/Users/{ann}");
        tokio::spawn(async move {
            let title = titled(&format!("{:?}", tokio::task::id()));
            gateway.raw("PATCH", path, &[("if-match", "\"1\"")], Some(title)).await.status
        })
    });
    let mut statuses = Vec::new();
    for writer in race.collect::<Vec<_>>() {
        statuses.push(writer.await.expect("a writer"));
    }
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412, 412, 412, 412, 412, 412]);
}
