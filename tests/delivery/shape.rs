//! What every SET has, whatever it tells of (RFC 8417 §2, RFC 9967 §2), and what the server says of its events.

use crate::support::client::Client;
use crate::support::fixture::{USER, group_of, patch_of, user_with};
use crate::support::server::{Server, Settings};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Every kind of event that there is, in both of its forms.
async fn write_everything(client: &Client) {
    let ann = client.post("/Users", &user_with("ann", json!({"active": true}))).await.id();
    let path = format!("/Users/{ann}");
    client.post("/Groups", &group_of("team", &[&ann])).await;
    let off = json!([{"op": "replace", "path": "active", "value": false}, {"op": "add", "path": "title", "value": "Guide"}]);
    assert_eq!(client.patch(&path, &patch_of(off)).await.status, 200);
    let put = client.put(&path, &json!({"schemas": [USER], "userName": "ann", "active": true})).await;
    assert_eq!((put.status, client.delete(&path).await.status), (200, 204));
}

async fn events(settings: Settings) -> (Server, Vec<Value>) {
    let server = Server::start(&settings);
    let client = server.client();
    write_everything(&client).await;
    let events = client.feed(None, 100).await;
    (server, events)
}

/// The one event URI of a SET and its payload.
fn event_of(claims: &Value) -> (&str, &Value) {
    let events = claims["events"].as_object().expect("an object of events");
    let (uri, payload) = events.iter().next().expect("an event");
    assert_eq!(events.len(), 1, "{claims}");
    (uri, payload)
}

/// 8417-2-01 8417-2-02 9967-2.1-04: one event each, an object under its URI; what else the same change means is a SET of its own, with
/// the same subject and transaction.
#[tokio::test]
async fn a_set_tells_of_one_event_and_other_aspects_of_a_change_share_its_transaction() {
    for mode in ["notice", "full"] {
        let (_server, sets) = events(Settings::default().with("EVENT_MODE", mode)).await;
        let mut transactions: BTreeMap<&str, Vec<(&str, &Value)>> = BTreeMap::new();
        for claims in &sets {
            let (uri, payload) = event_of(claims);
            assert!(url::Url::parse(uri).is_ok_and(|uri| uri.scheme() == "urn") && payload.is_object(), "{claims}");
            assert_eq!(payload.as_object().map(serde_json::Map::is_empty), Some(!uri.ends_with(mode)), "{claims}");
            let txn = claims["txn"].as_str().expect("a txn");
            transactions.entry(txn).or_default().push((uri.rsplit("prov:").next().unwrap_or_default(), &claims["sub_id"]));
        }
        let together: Vec<Vec<&str>> = transactions.values().map(|events| events.iter().map(|(uri, _)| *uri).collect()).collect();
        let of = |name: &str| format!("{name}:{mode}");
        let (create, patch, put) = (of("create"), of("patch"), of("put"));
        // Deleting the user takes it out of its group: that is another subject, in the same transaction.
        let expected: [&[&str]; 5] = [&[&create], &[&create], &[&patch, "deactivate"], &[&put, "activate"], &["delete", &patch]];
        assert_eq!(together.iter().map(Vec::len).sum::<usize>(), sets.len());
        for events in expected {
            assert!(together.iter().any(|found| found == events), "{events:?} in {together:?}");
        }
        for events in transactions.values().filter(|events| events[0].0 != "delete") {
            assert!(events.iter().all(|(_, subject)| *subject == events[0].1), "{events:?}");
        }
        let jtis: BTreeSet<&str> = sets.iter().filter_map(|claims| claims["jti"].as_str()).collect();
        assert_eq!(jtis.len(), sets.len());
    }
}

/// 8417-2.2-01 8417-2.2-02: who issues, and when the change was, in whole seconds.
#[tokio::test]
async fn a_set_names_its_issuer_and_its_time() {
    for issuer in [None, Some("https://issuer.example/tenant")] {
        let settings = issuer.map_or_else(Settings::default, |issuer| Settings::default().with("SET_ISSUER", issuer));
        let (server, sets) = events(settings).await;
        let origin = format!("http://{}", server.address);
        let groups = server.client().get("/Groups").await.json();
        let created: jiff::Timestamp = groups["Resources"][0]["meta"]["created"].as_str().expect("a time").parse().expect("a time");
        for claims in &sets {
            assert_eq!(claims["iss"], issuer.unwrap_or(&origin));
            assert!(claims["iat"].is_i64() || claims["iat"].is_u64(), "{claims}");
        }
        let of_group = sets.iter().find(|claims| claims["sub_id"]["uri"].as_str().is_some_and(|uri| uri.starts_with("/Groups/")));
        assert_eq!(of_group.expect("the group's event")["iat"], created.as_second());
    }
}

/// 9967-7.3-01: class, name, and the form where there are two.
#[tokio::test]
async fn event_uris_have_the_registered_shape() {
    for mode in ["notice", "full"] {
        let (server, sets) = events(Settings::default().with("EVENT_MODE", mode)).await;
        let configuration = server.client().get("/ServiceProviderConfig").await.json();
        let announced = configuration["securityEvents"]["eventUris"].as_array().expect("event URIs").clone();
        let emitted: BTreeSet<&str> = sets.iter().map(|claims| event_of(claims).0).collect();
        assert_eq!(emitted.len(), 6);
        for uri in announced.iter().filter_map(Value::as_str).chain(emitted.iter().copied()) {
            let parts: Vec<&str> = uri.split(':').collect();
            let (prefix, rest) = parts.split_at(5);
            assert_eq!(prefix, ["urn", "ietf", "params", "scim", "event"], "{uri}");
            let known: [&[&str]; 2] = [&["create", "put", "patch"], &["delete", "activate", "deactivate"]];
            match rest {
                ["prov", name, form] => assert!(known[0].contains(name) && ["notice", "full"].contains(form), "{uri}"),
                ["prov", name] => assert!(known[1].contains(name), "{uri}"),
                _ => panic!("{uri}"),
            }
        }
        assert!(emitted.iter().all(|uri| announced.iter().any(|one| one == uri)), "{emitted:?} of {announced:?}");
    }
}

/// 9967-4-02
#[tokio::test]
async fn asynchronous_requests_are_said_to_be_none_long_or_request() {
    let server = Server::start(&Settings::default());
    let configuration = server.client().get("/ServiceProviderConfig").await.json();
    let said = configuration["securityEvents"]["asyncRequest"].as_str().expect("a word").to_lowercase();
    assert!(["none", "long", "request"].contains(&said.as_str()), "{said}");
}
