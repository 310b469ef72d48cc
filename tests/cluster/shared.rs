//! What nodes share: groups, streams, keys, the log.

use crate::support::client::Client;
use crate::support::fixture::{add_member, group, user};
use crate::support::server::Server;
use crate::support::wait::{PATIENCE, until};
use crate::two_nodes;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const CLIENTS: usize = 50;
const MEMBERS: usize = 5_000;

/// The status of a request and what it took, of one client after another: each adds members of its own to one group.
async fn add(client: Client, path: String, members: Vec<String>) -> Vec<u16> {
    let mut statuses = Vec::new();
    for member in members {
        statuses.push(client.patch(&path, &add_member(&member)).await.status);
    }
    statuses
}

/// I1: nobody who was added is lost, and nobody has to ask twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_clients_over_two_nodes_add_members_to_one_group_and_lose_none() {
    let (_settings, nodes) = two_nodes(|settings| settings.with("PATCH_ANSWER", "resource"));
    let path = format!("/Groups/{}", nodes[0].client().post("/Groups", &group("everybody")).await.id());
    let members: Vec<String> = (0..MEMBERS).map(|number| format!("member-{number}")).collect();
    let adding = members.chunks(MEMBERS / CLIENTS).zip(nodes.iter().cycle()).map(|(members, node)| {
        let path = format!("{path}?excludedAttributes=members");
        tokio::spawn(add(node.client(), path, members.to_vec()))
    });
    let mut statuses = BTreeSet::new();
    for adding in adding.collect::<Vec<_>>() {
        statuses.extend(adding.await.expect("a client"));
    }
    assert_eq!(statuses, BTreeSet::from([200]));
    for node in &nodes {
        let found = node.client().get(&path).await;
        assert_eq!(found.version(), 1 + MEMBERS as u64);
        let found = found.json();
        let ids: BTreeSet<&str> =
            found["members"].as_array().expect("members").iter().filter_map(|member| member["value"].as_str()).collect();
        assert_eq!(ids, members.iter().map(String::as_str).collect());
    }
}

async fn last_of_feed(client: &Client) -> Vec<Value> {
    client.feed(None, 100).await
}

/// Makes a stream at one node; waits until the other one knows it. Where it is polled.
async fn stream_of_both(one: &Client, other: &Client) -> String {
    let stream = one.post("/Events/Streams", &json!({"format": "json"})).await.json();
    let path = format!("/Events/Streams/{}", stream["stream_id"].as_str().expect("an id"));
    let known = || async { (other.get(&path).await.status == 200).then_some(()) };
    until("the other node knows the stream", PATIENCE, known).await;
    format!("{path}/Poll")
}

/// I5: what is committed by one node is told by the other, soon and to whoever waits there.
#[tokio::test]
async fn a_poll_that_waits_at_one_node_is_woken_by_a_write_at_the_other() {
    let (_settings, nodes) = two_nodes(|settings| settings.with("LIMIT_POLL_WAIT_SECONDS", "20"));
    let (one, other) = (nodes[0].client(), nodes[1].client());
    let path = stream_of_both(&other, &one).await;
    let waiting = {
        let (one, path) = (one.clone(), path.clone());
        tokio::spawn(async move { one.on("POST", &path).json(&json!({})).send().await.json() })
    };
    let waits = || async { one.get("/metrics").await.text().contains("carillon_poll_waiters 1\n").then_some(()) };
    until("the poll waits", PATIENCE, waits).await;
    let id = other.post("/Users", &user("ada")).await.id();
    let answer = tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("it is woken").expect("an answer");
    let (jti, set) = answer["sets"].as_object().expect("sets").iter().next().expect("one");
    let set: Value = serde_json::from_str(set.as_str().expect("text")).expect("claims");
    assert_eq!(set["sub_id"]["uri"], json!(format!("/Users/{id}")), "{set}");
    // What is acknowledged at one node does not come again at the other.
    let acknowledged = other.on("POST", &path).json(&json!({"ack": [jti], "returnImmediately": true})).send().await.json();
    assert_eq!(acknowledged["sets"], json!({}));
    let again = one.on("POST", &path).json(&json!({"returnImmediately": true})).send().await.json();
    assert_eq!(again["sets"], json!({}));
    assert_eq!(last_of_feed(&one).await, last_of_feed(&other).await);
}

/// 8936-2.2-03, over two nodes: what is acknowledged at one lets the next event of its subject go at the other, where a poll waits and the
/// log says nothing new. What is out there comes again only after a minute.
#[tokio::test]
async fn a_poll_that_waits_at_one_node_gets_what_an_acknowledgement_at_the_other_lets_go() {
    let (_settings, nodes) = two_nodes(|settings| settings.with("LIMIT_POLL_WAIT_SECONDS", "30"));
    let (one, other) = (nodes[0].client(), nodes[1].client());
    let path = stream_of_both(&one, &other).await;
    let id = one.post("/Users", &user("ada")).await.id();
    let titled = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "title", "value": "Countess"}]});
    assert_eq!(one.patch(&format!("/Users/{id}"), &titled).await.status, 200);
    let first = one.post(&path, &json!({"returnImmediately": true})).await.json();
    let first: Vec<String> = first["sets"].as_object().expect("sets").keys().cloned().collect();
    assert_eq!(first.len(), 1);
    let waiting = {
        let (one, path) = (one.clone(), path.clone());
        tokio::spawn(async move { one.post(&path, &json!({})).await.json() })
    };
    let waits = || async { one.get("/metrics").await.text().contains("carillon_poll_waiters 1\n").then_some(()) };
    until("the poll waits", PATIENCE, waits).await;
    let acknowledged = other.post(&path, &json!({"ack": first, "maxEvents": 0, "returnImmediately": true})).await.json();
    assert_eq!(acknowledged["sets"], json!({}));
    let answer = tokio::time::timeout(PATIENCE, waiting).await.expect("it does not wait for more").expect("an answer");
    let sets = answer["sets"].as_object().expect("sets");
    assert_eq!((sets.len(), sets.contains_key(&first[0])), (1, false), "{answer}");
}

async fn keys(node: &Server) -> Value {
    let origin = Client::new(&format!("http://{}", node.address), None);
    origin.get("/.well-known/jwks.json").await.json()
}

#[tokio::test]
async fn both_nodes_sign_with_the_same_keys_and_learn_of_new_ones() {
    let (_settings, nodes) = two_nodes(|settings| settings);
    nodes[0].client().post("/Users", &user("ada")).await;
    // The first SET that is signed makes the first key.
    assert_eq!(nodes[0].client().get("/Events/Feeds/default/Stream").await.status, 200);
    assert_eq!(keys(&nodes[0]).await["keys"].as_array().map(Vec::len), Some(1));
    let rotated = nodes[1].client().post("/Events/Keys/Rotate", &json!({"now": true})).await;
    assert_eq!(rotated.status, 200, "{}", rotated.text());
    let same = || async { (keys(&nodes[0]).await == keys(&nodes[1]).await).then_some(()) };
    until("both publish the same keys", PATIENCE, same).await;
    assert_eq!(keys(&nodes[0]).await["keys"].as_array().map(Vec::len), Some(2), "{}", rotated.text());
}

/// One node after another is replaced, while clients write to those that say they are ready.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_request() {
    let delay = |settings: crate::support::server::Settings| settings.with("SHUTDOWN_DELAY_MS", "500");
    let (settings, nodes) = two_nodes(delay);
    let nodes = std::sync::Arc::new(std::sync::Mutex::new(nodes.map(Some)));
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let done = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (nodes, stop, done) = (nodes.clone(), stop.clone(), done.clone());
            tokio::spawn(async move {
                let mut number = 0;
                while !stop.load(std::sync::atomic::Ordering::SeqCst) {
                    number += 1;
                    // As a balancer does: a request goes to a node that says it is ready.
                    let ready = ready_node(&nodes, number).await;
                    let answer = ready.on("POST", "/Users").json(&user(&format!("w{writer}n{number}"))).try_send().await;
                    assert_eq!(answer.expect("an answer").status, 201);
                    done.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                }
            })
        })
        .collect();
    for which in [0, 1] {
        let before = done.load(std::sync::atomic::Ordering::SeqCst);
        let progress = |more: usize| {
            let done = done.clone();
            move || {
                let is_enough = done.load(std::sync::atomic::Ordering::SeqCst) >= before + more;
                async move { is_enough.then_some(()) }
            }
        };
        until("clients write", PATIENCE, progress(50)).await;
        nodes.lock().expect("the nodes")[which].as_ref().expect("a node").terminate();
        let mut old = {
            let ended = || {
                let lives = nodes.lock().expect("the nodes")[which].as_mut().is_some_and(Server::lives);
                async move { (!lives).then_some(()) }
            };
            until("the node ends", PATIENCE, ended).await;
            nodes.lock().expect("the nodes")[which].take().expect("a node")
        };
        assert!(old.ended().await.success(), "{}", old.output());
        let new = Server::start(&settings);
        nodes.lock().expect("the nodes")[which] = Some(new);
        until("clients go on", PATIENCE, progress(200)).await;
    }
    stop.store(true, std::sync::atomic::Ordering::SeqCst);
    for writer in writers {
        writer.await.expect("no request failed");
    }
}

type Nodes = std::sync::Arc<std::sync::Mutex<[Option<Server>; 2]>>;

/// A client of a node that says it is ready.
async fn ready_node(nodes: &Nodes, number: usize) -> Client {
    for turn in number..number + 1_000 {
        let client = nodes.lock().expect("the nodes")[turn % 2].as_ref().map(Server::client);
        if let Some(client) = client
            && client.on("GET", "/ready").try_send().await.is_ok_and(|answer| answer.status == 200)
        {
            return client;
        }
    }
    panic!("no node is ready");
}
