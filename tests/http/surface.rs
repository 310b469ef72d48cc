//! Where the endpoints are and how the addresses in answers begin.

use crate::support::fixture::{LIST, user};
use crate::support::server::{Server, Settings};
use crate::support::wait::{PATIENCE, until};
use serde_json::json;

#[tokio::test]
async fn a_base_path() {
    let server = Server::start(&Settings::default().with("BASE_PATH", "/scim/v2"));
    let (client, outside) = (server.client().under("/scim/v2"), server.client());
    let created = client.post("/Users", &user("ann")).await;
    let location = format!("{}/Users/{}", client.base, created.id());
    assert_eq!((created.status, created.header("location")), (201, Some(location.as_str())));
    assert_eq!(created.json()["meta"]["location"], location.as_str());
    assert_eq!(client.get(&format!("/Users/{}", created.id())).await.status, 200);
    outside.get("/Users").await.assert_error(404, None, &[]);
    assert_eq!((outside.get("/health").await.status, outside.get("/ready").await.status), (200, 200));
    let event = client.feed(None, 10).await.remove(0);
    assert_eq!(event["sub_id"]["uri"], format!("/Users/{}", created.id()));
    assert_eq!(event["aud"], json!([format!("{}/Events/Feeds/default", client.base)]));
}

#[tokio::test]
async fn a_public_url() {
    let server = Server::start(&Settings::default().with("PUBLIC_URL", "https://id.example.com/"));
    let client = server.client();
    let created = client.post("/Users", &user("ann")).await;
    let location = format!("https://id.example.com/Users/{}", created.id());
    assert_eq!((created.header("location"), &created.json()["meta"]["location"]), (Some(location.as_str()), &json!(location)));
    let event = client.feed(None, 10).await.remove(0);
    assert_eq!(event["aud"], json!(["https://id.example.com/Events/Feeds/default"]));
    assert!(event["iss"].as_str().is_some_and(|issuer| issuer.trim_end_matches('/') == "https://id.example.com"), "{event}");
}

#[tokio::test]
async fn a_public_url_and_a_base_path() {
    let settings = Settings::default().with("PUBLIC_URL", "https://id.example.com").with("BASE_PATH", "/scim/v2");
    let server = Server::start(&settings);
    let created = server.client().under("/scim/v2").post("/Users", &user("ann")).await;
    assert_eq!(created.json()["meta"]["location"], format!("https://id.example.com/scim/v2/Users/{}", created.id()));
}

#[tokio::test]
async fn a_page_size() {
    let server = Server::start(&Settings::default().with("PAGE_SIZE", "2"));
    let client = server.client();
    for name in ["ann", "bob", "cid"] {
        client.post("/Users", &user(name)).await;
    }
    let page = client.get("/Users?count=50").await.json();
    assert_eq!((&page["totalResults"], &page["itemsPerPage"]), (&json!(3), &json!(2)));
    assert_eq!(client.get("/ServiceProviderConfig").await.json()["filter"]["maxResults"], 2);
}

#[tokio::test]
async fn settings_that_are_wrong_are_all_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings =
        Settings::default().folder(folder.path()).with("PAGE_SIZE", "many").with("EVENT_MODE", "loud").with("BASE_PATH", "a b");
    let refused = settings.run_to_its_end();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success());
    for name in ["PAGE_SIZE", "EVENT_MODE", "BASE_PATH"] {
        assert!(said.contains(name), "{said}");
    }
}

#[tokio::test]
async fn a_setting_that_is_not_built_yet_stops_the_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, value) in [("STORE", "ldap"), ("MONGO_DB", "mongodb://x"), ("SET_FEEDS", "a,b"), ("AMQP", "amqp://x")] {
        let refused = Settings::default().folder(folder.path()).with(name, value).run_to_its_end();
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && said.contains(name), "{name}: {said}");
    }
}

#[tokio::test]
async fn the_key_is_not_in_what_is_printed() {
    let server = Server::start(&Settings::default().with("LOGLEVEL", "TRACE"));
    let client = server.client();
    client.post("/Users", &crate::support::fixture::user_with("ann", json!({"password": "open sesame 77"}))).await;
    client.with_key(Some("not-the-key-4711")).get("/Users").await;
    let output = server.output();
    for secret in [crate::support::server::KEY, "open sesame 77", "not-the-key-4711"] {
        assert!(!output.contains(secret), "'{secret}' is in what is printed");
    }
}

#[tokio::test]
async fn a_generated_key_is_kept_and_printed_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = Settings::default().folder(folder.path()).with("API_KEY", "");
    let mut first = Server::start(&settings);
    let files: Vec<_> =
        std::fs::read_dir(folder.path()).expect("the folder").map(|entry| entry.expect("an entry").path()).collect();
    let kept = files.iter().filter_map(|path| std::fs::read_to_string(path).ok()).map(|text| text.trim().to_owned());
    let kept: Vec<String> = kept.filter(|text| !text.is_empty()).collect();
    let printed = || async { kept.iter().find(|text| first.output().contains(text.as_str())) };
    let key = until("the key is kept and printed", PATIENCE, printed).await;
    assert_eq!(first.client().with_key(Some(key)).get("/Users").await.status, 200);
    first.kill();
    let second = Server::start(&settings);
    assert_eq!(second.client().with_key(Some(key)).get("/Users").await.status, 200);
    assert!(!second.output().contains(key));
    assert_eq!(second.client().get("/Users").await.status, 401);
}

/// 7644-3.4.2.1-01
#[tokio::test]
async fn the_root_query_is_at_the_base_path() {
    let server = Server::start(&Settings::default().with("BASE_PATH", "/scim/v2"));
    let (client, outside) = (server.client().under("/scim/v2"), server.client());
    let ann = client.post("/Users", &user("ann")).await.json();
    let list = json!({"schemas": [LIST], "totalResults": 1, "itemsPerPage": 1, "startIndex": 1, "Resources": [ann]});
    for path in ["", "/", "?filter=id%20pr", "/?filter=id%20pr"] {
        assert_eq!(client.get(path).await.json(), list, "{path}");
        client.with_key(None).get(path).await.assert_error(401, None, &["credential"]);
    }
    // Below no base path the root belongs to people.
    let page = outside.on("GET", "/?filter=id%20pr").header("accept", "application/scim+json").send().await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
}
