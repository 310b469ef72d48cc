//! Events of bulk requests, and bulk requests that meet others.

use crate::bulk::{assert_failed, patch, post_user, send};
use crate::gateway::{Gateway, event, notice};
use crate::support::fixture::{GROUP, bulk_of, user as body_of};
use crate::support::server::{Server, Settings};
use serde_json::{Value, json};
use std::collections::BTreeSet;

crate::cases!(
    bulk_events, Notice: every_operation_has_a_transaction_of_its_own, an_operation_that_fails_has_none, bulks_at_once_lose_no_member,
    bulks_that_lock_the_same_in_turn_all_end, what_does_not_fit_in_the_time_is_told,
);

/// Each event's transaction without the part that all have, and what it is about.
async fn suffixes(gateway: &Gateway) -> Vec<(String, String)> {
    let labels = gateway.events().await;
    let all = gateway.client.feed(None, 1000).await;
    let mine: Vec<&Value> = all
        .iter()
        .filter(|event| {
            labels.iter().any(|mine| gateway.fill(mine["sub_id"]["uri"].as_str().expect("a URI")) == event["sub_id"]["uri"])
        })
        .collect();
    let base =
        mine.first().and_then(|event| event["txn"].as_str()?.split_once(':')).map(|(base, _)| base.to_owned()).expect("a bulk's");
    let suffix = |event: &&Value| {
        let txn = event["txn"].as_str().expect("txn");
        let suffix = txn.strip_prefix(&base).unwrap_or_else(|| panic!("{txn} is not of {base}"));
        (suffix.to_owned(), event["events"].as_object().and_then(|events| events.keys().next().cloned()).expect("an event"))
    };
    mine.iter().map(suffix).map(|(suffix, uri)| (suffix, uri.replace("urn:ietf:params:scim:event:prov:", ""))).collect()
}

async fn every_operation_has_a_transaction_of_its_own(gateway: &Gateway) {
    let circle = |label: &str, other: &str| {
        let data =
            json!({"schemas": [GROUP], "displayName": format!("~{label}"), "members": [{"value": format!("bulkId:{other}")}]});
        json!({"method": "POST", "path": "/Groups", "bulkId": label, "data": data})
    };
    let operations = json!([
        patch("/Users/bulkId:ann", json!([{"op": "add", "path": "active", "value": false}])), post_user("ann", "~ann"),
        circle("g", "h"), circle("h", "g"), patch("/Groups/bulkId:g", json!([{"op": "add", "path": "members", "value": [{"value": "bulkId:ann"}]}])),
        {"method": "PUT", "path": "/Users/bulkId:ann", "data": body_of("~anna")}, {"method": "DELETE", "path": "/Users/bulkId:ann"},
    ]);
    send(gateway, bulk_of(operations)).await;
    let expected = [
        event("create:notice", "/Users", "ann", 1, notice(1, &["id", "userName"])),
        event("patch:notice", "/Users", "ann", 2, notice(2, &["active"])),
        event("deactivate", "/Users", "ann", 2, json!({})),
        event("create:notice", "/Groups", "g", 3, notice(1, &["id", "displayName"])),
        event("create:notice", "/Groups", "h", 4, notice(1, &["id", "displayName", "members"])),
        event("patch:notice", "/Groups", "g", 3, notice(2, &["members"])),
        event("patch:notice", "/Groups", "g", 5, notice(3, &["members"])),
        event("put:notice", "/Users", "ann", 6, notice(3, &["userName", "active"])),
        event("activate", "/Users", "ann", 6, json!({})),
        event("delete", "/Users", "ann", 7, json!({})),
        event("patch:notice", "/Groups", "g", 7, notice(4, &["members"])),
    ];
    assert_eq!(gateway.events().await, expected);
    let suffixes = suffixes(gateway).await;
    let suffixes: Vec<_> = suffixes.iter().map(|(suffix, _)| suffix.as_str()).collect();
    assert_eq!(suffixes, [":1", ":0", ":0", ":2", ":3", ":2", ":4", ":5", ":5", ":6", ":6"]);
}

async fn an_operation_that_fails_has_none(gateway: &Gateway) {
    let operations =
        json!([post_user("a", "~a"), post_user("b", "~A"), {"method": "DELETE", "path": "/Users/nobody"}, post_user("c", "~c")]);
    send(gateway, bulk_of(operations)).await;
    let expected = [(":0".to_owned(), "create:notice".to_owned()), (":3".to_owned(), "create:notice".to_owned())];
    assert_eq!(suffixes(gateway).await, expected);
}

async fn bulks_at_once_lose_no_member(gateway: &Gateway) {
    const CLIENTS: usize = 8;
    const EACH: usize = 30;
    gateway.create_group("team", &[]).await;
    let bulk = |client: usize| {
        let add = |number: usize| {
            let id = format!("m-{client}-{number}");
            patch("/Groups/{team}", json!([{"op": "add", "path": "members", "value": [{"value": id}]}]))
        };
        bulk_of((0..EACH).map(add).collect())
    };
    let sending: Vec<_> = (0..CLIENTS)
        .map(|client| {
            let (gateway, body) = (gateway.through(gateway.client.clone()), bulk(client));
            tokio::spawn(async move { send(&gateway, body).await })
        })
        .collect();
    let mut versions = BTreeSet::new();
    for client in sending {
        for result in client.await.expect("a client") {
            assert_eq!(result["status"], "200", "{result}");
            versions.insert(result["version"].to_string());
        }
    }
    assert_eq!(versions.len(), CLIENTS * EACH);
    let team = gateway.get("/Groups/{team}").await;
    assert_eq!(team["body"]["members"].as_array().map(Vec::len), Some(CLIENTS * EACH));
    assert_eq!(team["etag"], format!("\"{}\"", CLIENTS * EACH + 1));
}

async fn bulks_that_lock_the_same_in_turn_all_end(gateway: &Gateway) {
    const USERS: usize = 20;
    for number in 0..USERS {
        gateway.create_user(&format!("u{number}-"), json!({})).await;
    }
    let rename = |number: usize, client: usize| {
        patch(&format!("/Users/{{u{number}-}}"), json!([{"op": "replace", "path": "title", "value": format!("of {client}")}]))
    };
    let sending: Vec<_> = (0..4)
        .map(|client| {
            let gateway = gateway.through(gateway.client.clone());
            // Half of them go the other way round.
            let place = |number: usize| if client % 2 == 0 { number } else { USERS - 1 - number };
            let body = bulk_of((0..USERS * 3).map(|number| rename(place(number % USERS), client)).collect());
            tokio::spawn(async move { send(&gateway, body).await })
        })
        .collect();
    for client in sending {
        assert!(client.await.expect("a client").iter().all(|result| result["status"] == "200"));
    }
    let mut titles = BTreeSet::new();
    for number in 0..USERS {
        titles.insert(gateway.get(&format!("/Users/{{u{number}-}}")).await["body"]["title"].to_string());
    }
    assert!(titles.iter().all(|title| title.starts_with("\"of ")), "{titles:?}");
}

async fn what_does_not_fit_in_the_time_is_told(gateway: &Gateway) {
    let server = Server::start(&Settings::default().store(gateway.backend).with("LIMIT_REQUEST_MS", "1000"));
    let hasty = gateway.through(server.client());
    let with_password = |number: usize| {
        let mut operation = post_user(&format!("u{number}-"), &format!("~u{number}"));
        operation["data"]["password"] = "t1meMa$heen".into();
        operation
    };
    let results = send(&hasty, bulk_of((0..1_000).map(with_password).collect())).await;
    let performed = results.iter().take_while(|result| result["status"] == "201").count();
    assert!(results.len() == 1_000 && (1..1_000).contains(&performed), "{performed} of {}", results.len());
    for result in &results[performed..] {
        assert_failed(result, "503", "", None, &["1000 milliseconds", "not performed"]);
    }
    assert_eq!(hasty.get("/Users?count=0").await["body"]["totalResults"], performed);
}
