//! What must be nowhere, and what is said of the protocol itself.

use crate::support::client::encode;
use crate::support::fixture::{patch_of, user_with};
use crate::support::server::{KEY, Server, Settings};
use serde_json::{Value, json};
use std::path::Path;

const PASSWORD: &str = "correct horse battery staple";

/// Every file below a folder, with its bytes.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let read = |path: &Path| (path.display().to_string(), std::fs::read(path).expect("a file"));
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![read(&path)] }).collect()
}

/// 7643-9.2-01 7643-4.1.1-05 7643-4.1.1-04
#[tokio::test]
async fn no_credential_is_on_disk_or_in_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings::default().folder(folder.path()).with("LOGLEVEL", "TRACE").with("EVENT_MODE", "full");
    let mut server = Server::start(&settings);
    let client = server.client();
    let id = client.post("/Users", &user_with("ann", json!({"password": PASSWORD}))).await.id();
    let other = format!("{PASSWORD}!");
    client.patch(&format!("/Users/{id}"), &patch_of(json!([{"op": "replace", "path": "password", "value": other}]))).await;
    let refused = client.post("/Users", &user_with("ann", json!({"password": PASSWORD}))).await;
    assert_eq!(refused.status, 409, "{}", refused.text());
    let unread = client.post("/Users", &json!({"password": [PASSWORD]})).await;
    assert_eq!(unread.status, 400, "{}", unread.text());
    let events = json!(client.feed(None, 1000).await).to_string();
    let list = client.get("/Users").await.text();
    server.terminate();
    assert!(server.ended().await.success());
    let mut places = files(folder.path());
    places.push(("server".to_owned(), settings.contents_of_schema().into_bytes()));
    assert!(places.iter().any(|(_, bytes)| String::from_utf8_lossy(bytes).contains("$argon2id$")), "the hash is kept");
    places.extend(
        [("log", server.output()), ("events", events), ("list", list), ("answer", refused.text()), ("answer", unread.text())]
            .map(|(name, text)| (name.to_owned(), text.into_bytes())),
    );
    for (name, bytes) in places {
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains(PASSWORD), "the password is in {name}");
        assert!(!text.contains(KEY), "the key is in {name}");
    }
}

/// 7644-3.4.2.1-02
#[tokio::test]
async fn a_query_that_would_take_too_long_is_refused() {
    let server = Server::start(&Settings::default().with("LIMIT_SCAN_MS", "1"));
    let client = server.client();
    let roles: Vec<Value> =
        (0..2_000).map(|n| json!({"value": format!("role-{n}"), "type": "many", "display": "One of many"})).collect();
    for n in 0..60 {
        let created = client.post("/Users", &user_with(&format!("user-{n}"), json!({"roles": roles}))).await;
        assert_eq!(created.status, 201, "{}", created.text());
    }
    let refused = client.get(&format!("/Users?filter={}", encode("title co \"nobody\""))).await;
    refused.assert_error(400, Some("tooMany"), &["more work"]);
    assert_eq!(client.get(&format!("/Users?filter={}", encode("userName eq \"user-7\""))).await.json()["totalResults"], 1);
}

/// 7644-3.1-01
#[tokio::test]
async fn messages_have_their_own_type_and_are_no_schemas() {
    let server = Server::start(&Settings::default().store("memory"));
    let client = server.client();
    let schemas = client.get("/Schemas").await;
    let ids: Vec<String> =
        schemas.json()["Resources"].as_array().expect("schemas").iter().map(|schema| schema["id"].to_string()).collect();
    assert!(!ids.is_empty() && ids.iter().all(|id| !id.contains(":api:")), "{ids:?}");
    let created = client.post("/Users", &user_with("ann", json!({}))).await;
    let missed = client.get("/Users/nobody").await;
    for answer in [&created, &missed, &client.get("/Users").await, &schemas] {
        assert_eq!(answer.header("content-type"), Some("application/scim+json"));
    }
    for message in [&missed, &schemas, &client.get("/Users").await] {
        let urn = message.json()["schemas"][0].as_str().expect("a schema").to_owned();
        assert!(urn.starts_with("urn:ietf:params:scim:api:messages:2.0:"), "{urn}");
    }
}

/// 7644-1.3-01
#[tokio::test]
async fn a_base_with_a_query_stops_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = |url: &str| Settings::default().folder(folder.path()).with("PUBLIC_URL", url);
    let stopped = settings("https://id.example.com/scim?tenant=1").run_to_its_end();
    assert!(!stopped.status.success());
    assert!(String::from_utf8_lossy(&stopped.stderr).contains("PUBLIC_URL"));
    let server = Server::start(&settings("https://id.example.com/scim/v2"));
    let created = server.client().post("/Users", &user_with("ann", json!({}))).await;
    let location = created.json()["meta"]["location"].as_str().expect("a location").to_owned();
    assert_eq!(location, format!("https://id.example.com/scim/v2/Users/{}", created.id()));
}
