//! Messages, addresses and preconditions (RFC 7644 §1.3, §3.1, §3.14).

use crate::gateway::{Gateway, answer, user};
use crate::support::fixture::{ERROR, GROUP, LIST, PATCH_OP, USER, patch_of};
use crate::support::server::{Server, Settings};
use serde_json::{Value, json};
use std::path::Path;

crate::cases!(
    protocol, Strict: every_answer_has_the_media_type, messages_are_no_schemas_of_resources, addresses_have_no_query, what_accept_may_say,
    preconditions_in_their_order, preferences_that_are_not_known, predefined_sub_attributes_mean_what_they_mean, nothing_complex_is_within_what_is_complex,
    a_scan_that_takes_too_long, credentials_are_nowhere_on_disk needs durable,
);

/// 7644-3.1-01
async fn every_answer_has_the_media_type(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.create_group("team", &["ann"]).await;
    let patch = patch_of(json!([{"op": "add", "path": "title", "value": "x"}]));
    for (method, path, body, schema) in [
        ("GET", "/Users?count=1", None, LIST),
        ("GET", "/Users?count=0", None, LIST),
        ("GET", "/Users/nobody", None, ERROR),
        ("POST", "/Users", Some(json!({})), ERROR),
        ("GET", "/Users/{ann}", None, USER),
        ("PATCH", "/Users/{ann}", Some(patch), USER),
        ("GET", "/Groups/{team}", None, GROUP),
        ("GET", "/Schemas", None, LIST),
        ("GET", "/ResourceTypes", None, LIST),
    ] {
        let answered = gateway.raw(method, path, &[], body).await;
        assert_eq!(answered.header("content-type"), Some("application/scim+json"), "{method} {path}");
        assert_eq!(answered.json()["schemas"], json!([schema]), "{method} {path}");
    }
}

/// 7644-3.1-01 7643-7-01
async fn messages_are_no_schemas_of_resources(gateway: &Gateway) {
    for urn in [LIST, ERROR, PATCH_OP] {
        assert!(urn.starts_with("urn:ietf:params:scim:api:"), "{urn}");
        gateway.refused("GET", &format!("/Schemas/{urn}"), None, 404, "", &[]).await;
    }
    let listed = gateway.get("/Schemas").await["body"]["Resources"].clone();
    for schema in listed.as_array().expect("Resources") {
        assert!(!schema["id"].as_str().expect("an id").starts_with("urn:ietf:params:scim:api:"), "{}", schema["id"]);
    }
}

/// 7644-1.3-01 7644-3.3-04
async fn addresses_have_no_query(gateway: &Gateway) {
    let body = json!({"schemas": [USER], "userName": "~ann"});
    let created = gateway.raw("POST", "/Users?attributes=userName&unknown=1", &[], Some(body)).await;
    gateway.keep("ann", &created.id());
    assert_eq!(
        created.header("location").map(str::to_owned),
        Some(gateway.fill(&format!("{}/Users/{{ann}}", gateway.client.base)))
    );
    let read = gateway.get("/Users/{ann}?excludedAttributes=groups&unknown=1").await;
    assert_eq!(read, answer(200, &user("ann", 1, json!({}))));
}

/// 7644-3.8-01
async fn what_accept_may_say(gateway: &Gateway) {
    gateway.create_user("ann", json!({"displayName": "Änn 🔑"})).await;
    let expected = gateway.raw("GET", "/Users/{ann}", &[], None).await;
    assert!(expected.text().contains("Änn 🔑"), "{}", expected.text());
    for accept in ["application/scim+json", "application/json", "*/*", "application/scim+json;q=0.5, application/json"] {
        let answered = gateway.raw("GET", "/Users/{ann}", &[("accept", accept)], None).await;
        assert_eq!((answered.status, answered.body), (200, expected.body.clone()), "{accept}");
    }
    for sent in ["application/scim+json", "application/json", "application/scim+json; charset=utf-8"] {
        let request = gateway.client.on("PUT", &gateway.fill("/Users/{ann}")).header("content-type", sent);
        let body = gateway.fill(&format!("{{\"schemas\":[\"{USER}\"],\"userName\":\"~ann\",\"displayName\":\"Änn 🔑\"}}"));
        assert_eq!(request.body(body).send().await.status, 200, "{sent}");
    }
}

/// 9110-13.2.2-01 9110-13.1.2-01
async fn preconditions_in_their_order(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let path = "/Users/{ann}?excludedAttributes=groups";
    let status = async |if_match: &str, if_none_match: &str| {
        gateway.raw("GET", path, &[("if-match", if_match), ("if-none-match", if_none_match)], None).await.status
    };
    // If-Match first: where it fails, If-None-Match is not asked.
    assert_eq!(status("\"2\"", "\"1\"").await, 412);
    assert_eq!(status("\"1\"", "W/\"1\"").await, 304);
    assert_eq!(status("\"1\"", "\"2\"").await, 200);
    // Before both: who asks, and whether there is anything.
    let wrong = [("if-match", "\"2\"")];
    gateway.raw("GET", "/Users/nobody", &wrong, None).await.assert_error(404, None, &["nobody"]);
    let stranger = gateway.client.with_key(None);
    stranger.on("DELETE", &gateway.fill("/Users/{ann}")).header("if-match", "\"2\"").send().await.assert_error(401, None, &[]);
    // Before the effect: a refused change leaves everything.
    gateway.raw("DELETE", "/Users/{ann}", &wrong, None).await.assert_error(412, None, &["If-Match"]);
    assert_eq!(gateway.get("/Users/{ann}").await, answer(200, &user("ann", 1, json!({}))));
}

/// 7240-2-01 9967-2.5.1.1-11
async fn preferences_that_are_not_known(gateway: &Gateway) {
    for (label, preference) in [
        ("ann", "handling=lenient"),
        ("bob", "Respond-Async, wait=10"),
        ("cid", "depth-noroot; why=\"because, of this\", priority=5;x"),
        ("dan", ";;,=,\"open"),
    ] {
        let body = json!({"schemas": [USER], "userName": format!("~{label}")});
        let created = gateway.raw("POST", "/Users", &[("prefer", preference)], Some(body)).await;
        gateway.keep(label, &created.id());
        assert_eq!(gateway.show(&created), answer(201, &user(label, 1, json!({}))), "{preference}");
        for header in ["preference-applied", "set-txn"] {
            assert_eq!(created.header(header), None, "{preference}");
        }
    }
}

/// Every complex attribute of the served schemas but the one of Schema itself, which describes attributes by attributes.
async fn complex_attributes(gateway: &Gateway) -> Vec<(String, Vec<Value>)> {
    let schemas = gateway.get("/Schemas").await["body"]["Resources"].clone();
    let mut found = Vec::new();
    for schema in schemas.as_array().expect("Resources").iter().filter(|schema| schema["name"] != "Schema") {
        for attribute in schema["attributes"].as_array().expect("attributes") {
            if attribute["type"] == "complex" {
                let parts = attribute["subAttributes"].as_array().expect("subAttributes").clone();
                found.push((format!("{}:{}", schema["id"], attribute["name"]), parts));
            }
        }
    }
    assert!(found.len() > 15, "{found:?}");
    found
}

/// 7643-2.4-01 7643-7-02
async fn predefined_sub_attributes_mean_what_they_mean(gateway: &Gateway) {
    for (place, parts) in complex_attributes(gateway).await {
        for part in parts {
            let expected = match part["name"].as_str().expect("a name") {
                "type" | "display" => "string",
                "primary" => "boolean",
                "$ref" => "reference",
                _ => continue,
            };
            assert_eq!((&part["type"], &part["multiValued"]), (&json!(expected), &json!(false)), "{place}.{}", part["name"]);
        }
    }
    // And as values: the one that is primary, what kind it is, whom it is about and where that is.
    let emails = json!([{"value": "a@b.example", "type": "home", "primary": true, "display": "A"}, {"value": "a@c.example"}]);
    gateway.create_user("ann", json!({"emails": emails})).await;
    assert_eq!(gateway.found("/Users", "userName eq \"~ann\" and emails[primary eq true and type eq \"home\"]").await, ["ann"]);
    gateway.create_group("team", &["ann"]).await;
    let shown = gateway.get("/Users/{ann}?attributes=groups").await["body"]["groups"].clone();
    let expected = json!([{"value": "{team}", "$ref": "{base}/Groups/{team}", "display": "~team", "type": "direct"}]);
    assert_eq!(shown, expected);
}

/// 7643-2.3.8-01 7643-2.3-01
async fn nothing_complex_is_within_what_is_complex(gateway: &Gateway) {
    let simple = ["string", "boolean", "decimal", "integer", "dateTime", "binary", "reference"];
    for (place, parts) in complex_attributes(gateway).await {
        for part in parts {
            let kind = part["type"].as_str().expect("a type");
            assert!(simple.contains(&kind), "{place}.{} is {kind}", part["name"]);
        }
    }
    let body = json!({"schemas": [USER], "userName": "~ann", "name": {"givenName": {"value": "Ann"}}});
    gateway.refused("POST", "/Users", Some(body), 400, "invalidValue", &["name.givenName"]).await;
}

/// 7644-3.4.2.1-02
async fn a_scan_that_takes_too_long(gateway: &Gateway) {
    let settings = Settings::default().store(gateway.backend).with("LIMIT_SCAN_MS", "1");
    let server = Server::start(&settings);
    let own = gateway.through(server.client());
    let title = "long ".repeat(2_000);
    for number in 0..60 {
        own.create_user(&number.to_string(), json!({"title": title})).await;
    }
    let terms = vec!["title co \"not in it\""; 200].join(" or ");
    let answered = own.filter("/Users", &terms).await;
    assert_eq!((&answered["status"], &answered["body"]["scimType"]), (&json!(400), &json!("tooMany")), "{answered}");
    assert_eq!(answered["body"].get("Resources"), None, "{answered}");
    // What needs no scan is answered all the same.
    assert_eq!(own.get("/Users?count=0").await["body"]["totalResults"], 60);
}

/// 7643-9.2-01 7643-4.1.1-05
async fn credentials_are_nowhere_on_disk(gateway: &Gateway) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = Settings::default().store(gateway.backend).folder(folder.path());
    let server = Server::start(&settings);
    let own = gateway.through(server.client());
    let (first, second) = ("Tr0ub4dor-and-3", "Qu1te-an0ther-0ne");
    own.create_user("ann", json!({"password": first, "title": "Guide of the house"})).await;
    own.patch("/Users/{ann}", json!([{"op": "replace", "path": "password", "value": second}])).await;
    let mut read = Vec::new();
    contents(folder.path(), &mut read);
    read.extend_from_slice(settings.contents_of_schema().as_bytes());
    let holds_bytes = |bytes: &[u8]| read.windows(bytes.len()).any(|window| window == bytes);
    // A database shows the bytes it keeps by their digits.
    let digits = |text: &str| text.bytes().fold(String::new(), |digits, byte| format!("{digits}{byte:02x}"));
    let holds = |text: &str| holds_bytes(text.as_bytes()) || holds_bytes(digits(text).as_bytes());
    // What is stored in clear is found, so the search sees the data.
    assert!(holds("Guide of the house"));
    for secret in [first, second, crate::support::server::KEY] {
        assert!(!holds(secret), "'{secret}' is on disk");
    }
}

fn contents(folder: &Path, into: &mut Vec<u8>) {
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            contents(&path, into);
        } else {
            into.extend(std::fs::read(&path).expect("a readable file"));
        }
    }
}
