//! Bodies that are not what they should be.

use crate::support::fixture::{ENTERPRISE, PATCH_OP, USER};
use crate::watched::Watched;
use serde_json::{Value, json};

#[tokio::test]
async fn malformed_json() {
    let mut watched = Watched::start().await;
    for body in [
        "",
        " ",
        "{",
        "}",
        "{\"a\":}",
        "[1,",
        "{'a':1}",
        "nul",
        "{\"a\":1} x",
        "{\"a\":1,}",
        "\u{feff}{}",
        "// x\n{}",
        "{\"a\":01}",
    ] {
        watched.refuses(body, "invalidSyntax", &["not valid JSON"]).await;
    }
}

#[tokio::test]
async fn json_that_is_no_object() {
    let mut watched = Watched::start().await;
    for body in ["[]", "1", "\"x\"", "null", "true"] {
        watched.refuses(body, "invalidSyntax", &["object"]).await;
    }
}

#[tokio::test]
async fn json_of_ten_thousand_levels() {
    let mut watched = Watched::start().await;
    watched.refuses("[".repeat(10_000), "invalidSyntax", &["deeper than 64"]).await;
    watched.refuses("{\"a\":".repeat(10_000), "invalidSyntax", &["deeper than 64"]).await;
    let closed = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    watched.refuses(closed, "invalidSyntax", &["deeper than 64"]).await;
}

#[tokio::test]
async fn invalid_utf_8() {
    let mut watched = Watched::start().await;
    for bytes in [
        &b"\xff\xfe"[..],
        b"{\"userName\":\"\xff\"}",
        b"{\"userName\":\"\xc3\"}",
        b"{\"userName\":\"\xed\xa0\x80\"}",
        b"{\"\xf5\":1}",
    ] {
        watched.refuses(bytes, "invalidSyntax", &["not valid JSON"]).await;
    }
    // An escaped half of a surrogate pair is no character either.
    watched.refuses(r#"{"userName":"\ud800"}"#, "invalidSyntax", &["not valid JSON"]).await;
}

#[tokio::test]
async fn nul_in_strings_and_names() {
    let mut watched = Watched::start().await;
    for body in [r#"{"userName":"a\u0000b"}"#, r#"{"user\u0000Name":"a"}"#, r#"{"emails":[{"value":"\u0000"}]}"#] {
        watched.refuses(body, "invalidSyntax", &["U+0000"]).await;
    }
    watched.refuses(b"{\"userName\":\"a\0b\"}", "invalidSyntax", &["not valid JSON"]).await;
}

#[tokio::test]
async fn duplicate_names() {
    let mut watched = Watched::start().await;
    watched.refuses(r#"{"userName":"a","userName":"b"}"#, "invalidSyntax", &["userName", "twice"]).await;
    watched.refuses(r#"{"name":{"givenName":"a","givenName":"b"}}"#, "invalidSyntax", &["givenName", "twice"]).await;
    let spelled = json!({"schemas": [USER], "userName": "bob", "USERNAME": "cid"}).to_string();
    watched.send("POST", "/Users", spelled.as_bytes()).await.assert_error(400, Some("invalidSyntax"), &["userName", "twice"]);
    watched.assert_unchanged().await;
}

#[tokio::test]
async fn huge_numbers() {
    let mut watched = Watched::start().await;
    for number in ["1e999", "-1e999", "1e99999999999999999999"] {
        watched.refuses(format!("{{\"userName\":{number}}}"), "invalidSyntax", &["number out of range"]).await;
    }
    let long = "9".repeat(100_000);
    for number in ["123456789012345678901234567890", "0.1e-400", &long] {
        for name in ["userName", "active"] {
            let body = format!("{{\"schemas\":[\"{USER}\"],\"{name}\":{number}}}");
            let answer = watched.send("POST", "/Users", body.as_bytes()).await;
            assert_eq!((answer.status, answer.json()["status"].clone()), (400, json!("400")), "{}", answer.text());
        }
    }
    watched.assert_unchanged().await;
}

#[tokio::test]
async fn wrong_types() {
    let mut watched = Watched::start().await;
    let values = [json!(1), json!(true), json!([[]]), json!([1]), json!({"x": 1})];
    for name in ["userName", "schemas", "externalId", "displayName", "name", "emails", "x509Certificates", ENTERPRISE] {
        for value in &values {
            let mut body = json!({"schemas": [USER, ENTERPRISE], "userName": "bob"});
            body[name] = value.clone();
            let answer = watched.send("POST", "/Users", body.to_string().as_bytes()).await;
            answer.assert_error(400, Some("invalidValue"), &[name]);
        }
    }
    for operations in
        [json!(null), json!({}), json!([null]), json!([[]]), json!([{"op": 1}]), json!([{"op": "add", "path": [], "value": 1}])]
    {
        let body = json!({"schemas": [PATCH_OP], "Operations": operations});
        let answer = watched.send("PATCH", &format!("/Users/{}", watched.ann), body.to_string().as_bytes()).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
    }
    watched.assert_unchanged().await;
}

#[tokio::test]
async fn unknown_attributes() {
    let mut watched = Watched::start().await;
    let body = json!({"schemas": [USER], "userName": "bob", "hobby": "x"}).to_string();
    watched.send("POST", "/Users", body.as_bytes()).await.assert_error(400, Some("invalidValue"), &["hobby"]);
    watched.send("PUT", &format!("/Users/{}", watched.ann), body.as_bytes()).await.assert_error(
        400,
        Some("invalidValue"),
        &["hobby"],
    );
    let long = json!({"schemas": [USER], "userName": "bob", "h".repeat(100_000): "x"}).to_string();
    let answer = watched.send("POST", "/Users", long.as_bytes()).await;
    answer.assert_error(400, Some("invalidValue"), &["hhhh"]);
    assert!(answer.body.len() < 1_000, "an error of {} bytes", answer.body.len());
    watched.assert_unchanged().await;
}

#[tokio::test]
async fn paths_and_operations_of_a_patch() {
    let mut watched = Watched::start().await;
    let ann = format!("/Users/{}", watched.ann);
    let deep = format!("emails[{}type pr{}]", "(".repeat(5_000), ")".repeat(5_000));
    let paths: [(Value, &str); 5] = [
        (json!("hobby"), "invalidPath"),
        (json!("x".repeat(100_000)), "invalidPath"),
        (json!(deep), "invalidFilter"),
        (json!("emails[type like \"x\"]"), "invalidFilter"),
        (json!(["a"]), "invalidPath"),
    ];
    for (path, scim_type) in paths {
        let body = json!({"schemas": [PATCH_OP], "Operations": [{"op": "replace", "path": path, "value": "x"}]}).to_string();
        watched.send("PATCH", &ann, body.as_bytes()).await.assert_error(400, Some(scim_type), &[]);
    }
    let many = vec![json!({"op": "add", "path": "title", "value": "x"}); 1_001];
    let body = json!({"schemas": [PATCH_OP], "Operations": many}).to_string();
    watched.send("PATCH", &ann, body.as_bytes()).await.assert_error(413, None, &["Operations", "1000"]);
    watched.assert_unchanged().await;
}

#[tokio::test]
async fn media_types() {
    let mut watched = Watched::start().await;
    let body = json!({"schemas": [USER], "userName": "bob"}).to_string();
    for media_type in ["text/plain", "application/xml", "application/x-www-form-urlencoded", "application/scim+jsonx", ""] {
        let request = watched.client.on("POST", "/Users").header("content-type", media_type);
        request.body(body.clone()).send().await.assert_error(415, None, &["Content-Type"]);
    }
    let compressed = watched.client.on("POST", "/Users").header("content-encoding", "gzip").body(body);
    compressed.send().await.assert_error(415, None, &["Content-Encoding"]);
    watched.assert_unchanged().await;
}

#[tokio::test]
async fn more_members_than_a_request_may_name() {
    let settings = crate::support::server::Settings::default().with("LIMIT_MEMBERS_PER_REQUEST", "10");
    let mut watched = Watched::with(settings).await;
    let members: Vec<Value> = (0..11).map(|number| json!({"value": format!("m{number}")})).collect();
    let body = json!({"schemas": [crate::support::fixture::GROUP], "displayName": "crew", "members": members}).to_string();
    watched.send("POST", "/Groups", body.as_bytes()).await.assert_error(413, None, &["members", "10"]);
    let patch = json!({"schemas": [PATCH_OP], "Operations": [{"op": "add", "path": "members", "value": members}]}).to_string();
    watched.send("PATCH", &format!("/Groups/{}", watched.team), patch.as_bytes()).await.assert_error(413, None, &["members", "10"]);
    watched.assert_unchanged().await;
}
