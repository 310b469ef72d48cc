//! Membership storms: a `PATCH` of one member from each of many clients to one group at once. None is lost, each is
//! one event (fleet #50724, scimmy #79, Infisical #6471).

use crate::support::client::Client;
use crate::support::fixture::{group, patch_of, user};
use crate::support::server::{Server, Settings};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::Barrier;

const CLIENTS: usize = 24;

/// How a client lets a member join and leave.
#[derive(Clone, Copy)]
struct Form {
    joins: fn(&str) -> Value,
    leaves: fn(&str) -> Value,
    /// Whether it is legal, so that a strict server takes it.
    is_legal: bool,
}

const ENTRA: Form = Form {
    joins: |id| json!([{"op": "Add", "path": "members", "value": [{"$ref": null, "value": id}]}]),
    leaves: |id| json!([{"op": "Remove", "path": "members", "value": [{"$ref": null, "value": id}]}]),
    is_legal: false,
};
const ENTRA_COMPLIANT: Form = Form {
    joins: |id| json!([{"op": "add", "path": "members", "value": [{"value": id}]}]),
    leaves: |id| json!([{"op": "remove", "path": format!("members[value eq \"{id}\"]")}]),
    is_legal: true,
};
const OKTA: Form = Form {
    joins: |id| json!([{"op": "add", "path": "members", "value": [{"value": id, "display": "test.user@okta.local"}]}]),
    leaves: |id| json!([{"op": "remove", "path": format!("members[value eq \"{id}\"]")}]),
    is_legal: true,
};

#[tokio::test(flavor = "multi_thread")]
async fn entra() {
    storm(ENTRA).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn entra_compliant() {
    storm(ENTRA_COMPLIANT).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn okta() {
    storm(OKTA).await;
}

async fn storm(form: Form) {
    for quirks in ["lenient", "strict"].into_iter().filter(|quirks| form.is_legal || *quirks == "lenient") {
        let server = Server::start(&Settings::default().with("QUIRKS", quirks));
        let client = server.client();
        let team = client.post("/Groups", &group("team")).await.id();
        let mut users = Vec::new();
        for number in 0..CLIENTS {
            users.push(client.post("/Users", &user(&format!("u{number}"))).await.id());
        }
        let path = format!("/Groups/{team}");
        at_once(&client, &path, users.iter().map(|id| (form.joins)(id)).collect()).await;
        assert_eq!(members(&client, &path).await, users.iter().cloned().collect());
        // Half of them leave, while those who stay join again, which changes nothing.
        let (leaving, staying) = users.split_at(CLIENTS / 2);
        let moves = leaving.iter().map(|id| (form.leaves)(id)).chain(staying.iter().map(|id| (form.joins)(id)));
        at_once(&client, &path, moves.collect()).await;
        assert_eq!(members(&client, &path).await, staying.iter().cloned().collect());
        let events = client.feed(None, 1000).await;
        let of_team = events.iter().filter(|event| event["sub_id"]["uri"].as_str().is_some_and(|uri| uri.ends_with(&team)));
        assert_eq!(of_team.count(), 1 + CLIENTS + CLIENTS / 2, "{quirks}");
    }
}

/// Sends each as a PATCH of its own, all at the same moment.
async fn at_once(client: &Client, path: &str, all: Vec<Value>) {
    let start = Arc::new(Barrier::new(all.len()));
    let sent = all.into_iter().map(|operations| {
        let (client, path, start) = (client.clone(), path.to_owned(), Arc::clone(&start));
        tokio::spawn(async move {
            start.wait().await;
            client.patch(&path, &patch_of(operations)).await
        })
    });
    for sent in sent.collect::<Vec<_>>() {
        let answer = sent.await.expect("a client");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
}

async fn members(client: &Client, path: &str) -> BTreeSet<String> {
    let body = client.get(path).await.json();
    let members = body["members"].as_array().cloned().unwrap_or_default();
    members.iter().filter_map(|member| member["value"].as_str()).map(str::to_owned).collect()
}
