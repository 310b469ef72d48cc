//! An attribute that the configuration asks to index: built while the server serves, over users that were there before.

use crate::support::client::encode;
use crate::support::fixture::user_with;
use crate::support::server::{Server, Settings};
use crate::support::wait::{PATIENCE, until};
use serde_json::{Value, json};

const USERS: usize = 60;

#[tokio::test]
async fn an_index_can_be_asked_for_later() {
    let folder = tempfile::tempdir().expect("a folder");
    // So little time that only an index answers in it: each user is large.
    let settings = Settings::default().folder(folder.path()).with("LIMIT_SCAN_MS", "1");
    let search = format!("/Users?filter={}&attributes=userName", encode("name.familyName eq \"Jones\""));
    let mut server = Server::start(&settings);
    let client = server.client();
    let roles: Vec<Value> = (0..2_000).map(|n| json!({"value": format!("role-{n}"), "display": "One of many"})).collect();
    for n in 0..USERS {
        let family = if n == 7 { "JONES" } else { "Smith" };
        let user = user_with(&format!("user-{n}"), json!({"roles": roles, "name": {"familyName": family}}));
        assert_eq!(client.post("/Users", &user).await.status, 201);
    }
    client.get(&search).await.assert_error(400, Some("tooMany"), &["indexed attribute"]);
    server.terminate();
    assert!(server.ended().await.success());
    let server = Server::start(&settings.with("INDEXED_ATTRIBUTES", "User:name.familyName"));
    let client = server.client();
    let found = until("the index is built", PATIENCE, async || {
        let answer = client.get(&search).await;
        (answer.status == 200).then(|| answer.json())
    });
    let found = found.await;
    assert_eq!((&found["totalResults"], &found["Resources"][0]["userName"]), (&json!(1), &json!("user-7")));
}
