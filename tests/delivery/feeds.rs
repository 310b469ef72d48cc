//! A feed described, read and waited for.

use crate::support::client::encode;
use crate::support::fixture::{group, user};
use crate::support::receiver::claims_of;
use crate::support::server::{Server, Settings};
use serde_json::{Value, json};

const STREAM: &str = "/Events/Feeds/default/Stream";

#[tokio::test]
async fn a_feed_is_described_with_its_members_by_pages() {
    let server = Server::start(&Settings::default());
    let client = server.client();
    let users = [client.post("/Users", &user("ann")).await.id(), client.post("/Users", &user("bob")).await.id()];
    let group = client.post("/Groups", &group("team")).await.id();
    let members = [format!("/Users/{}", users[0]), format!("/Users/{}", users[1]), format!("/Groups/{group}")];
    let uri = format!("{}/Events/Feeds/default", client.base);
    let described = |start: u64, members: &[String]| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Feed"], "id": "default", "displayName": "Every event", "uri": uri,
            "poll": {"supported": true, "stream": format!("{uri}/Stream")},
            "totalResults": 3, "itemsPerPage": members.len(), "startIndex": start, "members": members,
        })
    };
    assert_eq!(client.get("/Events/Feeds/default").await.json(), described(1, &members));
    assert_eq!(client.get("/Events/Feeds/default?startIndex=2&count=1").await.json(), described(2, &members[1..2]));
    let first = client.get("/Events/Feeds/default?cursor&count=2").await.json();
    assert_eq!(first["members"], json!(members[..2]));
    let cursor = encode(first["nextCursor"].as_str().expect("a cursor"));
    let last = client.get(&format!("/Events/Feeds/default?cursor={cursor}&count=2")).await.json();
    assert_eq!((&last["members"], last.get("nextCursor")), (&json!(members[2..]), None));
}

#[tokio::test]
async fn events_come_as_claims_or_signed() {
    let server = Server::start(&Settings::default());
    let client = server.client();
    client.post("/Users", &user("ann")).await;
    let plain = client.get(STREAM).await.json();
    let signed = client.get(&format!("{STREAM}?format=jwt")).await.json();
    let set = signed["sets"][0].as_str().expect("a SET");
    assert_eq!(set.split('.').count(), 3);
    assert_eq!(claims_of(set), plain["sets"][0]);
    assert_eq!((&plain["sets"].as_array().map(Vec::len), &plain["moreAvailable"]), (&Some(1), &Value::Bool(false)));
    client.get(&format!("{STREAM}?format=xml")).await.assert_error(400, Some("invalidValue"), &["format"]);
    client.get(&format!("{STREAM}?wait=-1")).await.assert_error(400, Some("invalidValue"), &["wait"]);
}

#[tokio::test]
async fn a_reader_may_wait_for_the_next_event() {
    let server = Server::start(&Settings::default().with("LIMIT_POLL_WAIT_SECONDS", "2").with("LIMIT_REQUEST_MS", "100"));
    let client = server.client();
    client.post("/Users", &user("ann")).await;
    let first = client.get(&format!("{STREAM}?wait=999")).await.json();
    let after = encode(first["sets"][0]["jti"].as_str().expect("a jti"));
    let path = format!("{STREAM}?wait=999&after={after}");
    let bob = user("bob");
    let (next, _) = tokio::join!(client.get(&path), client.post("/Users", &bob));
    assert_eq!(next.json()["sets"].as_array().map(Vec::len), Some(1));
    let last = encode(next.json()["sets"][0]["jti"].as_str().expect("a jti"));
    let none = client.get(&format!("{STREAM}?wait=1&after={last}")).await.json();
    assert_eq!((&none["sets"], &none["moreAvailable"]), (&json!([]), &Value::Bool(false)));
}
