//! RFC 8936 as a poller meets it: nothing but an HTTP client.

use crate::support::client::{Answer, Client};
use crate::support::fixture::{patch_of, user};
use crate::support::raw::Raw;
use crate::support::receiver::claims_of;
use crate::support::server::{KEY, Server, Settings};
use crate::support::wait::{PATIENCE, until};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};

const POLL: &str = "/Events/Feeds/default/Stream";

async fn send(client: &Client, body: &Value) -> Answer {
    client.on("POST", POLL).header("content-type", "application/json").body(body.to_string()).send().await
}

/// The SETs of an answer, in order, each with its claims; and whether there are more.
fn taken(answer: &Answer) -> (Vec<(String, Value)>, bool) {
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")), "{}", answer.text());
    let body = answer.json();
    let sets = body["sets"].as_object().expect("sets").iter().map(|(jti, set)| {
        let claims = claims_of(set.as_str().expect("a SET as a text"));
        assert_eq!(claims["jti"], jti.as_str());
        (jti.clone(), claims)
    });
    (sets.collect(), body["moreAvailable"] == Value::Bool(true))
}

async fn poll(client: &Client, body: Value) -> (Vec<(String, Value)>, bool) {
    taken(&send(client, &body).await)
}

fn jtis(sets: &[(String, Value)]) -> Vec<String> {
    sets.iter().map(|(jti, _)| jti.clone()).collect()
}

async fn modify(client: &Client, id: &str, title: &str) {
    let change = patch_of(json!([{"op": "replace", "path": "title", "value": title}]));
    assert_eq!(client.patch(&format!("/Users/{id}"), &change).await.status, 200);
}

/// 8936-2-01 8936-2.2-01 8936-2.3-02
#[tokio::test]
async fn a_loop_gets_everything_in_order_of_each_subject() {
    let server = Server::start(&Settings::default());
    let client = server.client();
    let writers = (0..4).map(|number| {
        let client = client.clone();
        tokio::spawn(async move {
            let id = client.post("/Users", &user(&format!("u{number}"))).await.id();
            for change in 0..12 {
                modify(&client, &id, &format!("t{change}")).await;
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let (mut seen, mut acks) = (Vec::new(), Vec::<String>::new());
    while seen.len() < 4 * 13 {
        let (sets, _) = poll(&client, json!({"ack": acks, "maxEvents": 3})).await;
        assert!(sets.len() <= 3);
        acks = jtis(&sets);
        seen.extend(sets);
    }
    assert_eq!(poll(&client, json!({"ack": acks, "returnImmediately": true})).await, (vec![], false));
    for writer in writers {
        writer.await.expect("a writer");
    }
    let mut by_subject: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for (_, claims) in &seen {
        let (_, event) = claims["events"].as_object().and_then(|events| events.iter().next()).expect("an event");
        let version = event["version"].as_str().expect("a version").trim_matches('"').parse().expect("a number");
        by_subject.entry(claims["sub_id"]["uri"].to_string()).or_default().push(version);
    }
    assert_eq!(by_subject.into_values().collect::<Vec<_>>(), vec![(1..=13).collect::<Vec<u64>>(); 4]);
    // The same events as the feed tells them, each under a jti of this poller's own.
    let told = client.feed(None, 1000).await;
    let own: HashSet<&String> = seen.iter().map(|(jti, _)| jti).collect();
    assert_eq!((told.len(), own.len()), (52, 52));
    assert!(told.iter().all(|claims| claims["jti"].as_str().is_none_or(|jti| !own.contains(&jti.to_owned()))));
}

/// 8936-2.2-02 8936-2.2-05 8936-2.4-02
#[tokio::test]
async fn acknowledgements_outlive_the_server() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = Settings::default().folder(folder.path());
    let mut server = Server::start(&settings);
    let client = server.client();
    for name in ["ann", "bob", "cid"] {
        client.post("/Users", &user(name)).await;
    }
    let (first, more) = poll(&client, json!({})).await;
    assert_eq!((first.len(), more), (3, false));
    let foreign = client.feed(None, 1).await[0]["jti"].as_str().expect("a jti").to_owned();
    let ack = json!({"ack": [first[0].0, first[0].0, foreign, "unknown"], "maxEvents": 0, "returnImmediately": true});
    assert_eq!(poll(&client, ack.clone()).await, (vec![], true));
    assert_eq!(poll(&client, ack).await, (vec![], true));
    server.kill();
    let server = Server::start(&settings);
    let client = server.client();
    let (again, more) = poll(&client, json!({"returnImmediately": true})).await;
    assert_eq!((jtis(&again), more), (jtis(&first[1..]), false));
    let refused = json!({"setErrs": {&first[1].0: {"err": "invalid_request"}}, "ack": [first[2].0], "returnImmediately": true});
    assert_eq!(poll(&client, refused).await, (vec![], false));
}

/// 8936-2-01 8936-2.2-01 8936-2.5.1-01
#[tokio::test]
async fn a_poll_that_is_none_is_refused_and_acknowledges_nothing() {
    let server = Server::start(&Settings::default());
    let client = server.client();
    client.post("/Users", &user("ann")).await;
    let (sets, _) = poll(&client, json!({})).await;
    for (body, scim_type, word) in [
        (json!({"ack": jtis(&sets), "maxEvents": -1}), "invalidValue", "maxEvents"),
        (json!({"ack": jtis(&sets), "returnImmediately": "x"}), "invalidValue", "returnImmediately"),
        (json!({"ack": "x"}), "invalidValue", "'ack'"),
        (json!([1]), "invalidSyntax", "object"),
    ] {
        send(&client, &body).await.assert_error(400, Some(scim_type), &[word]);
    }
    let many = json!({"ack": vec!["x"; 1001]});
    send(&client, &many).await.assert_error(413, None, &["1000"]);
    let large = json!({"x": "x".repeat(1024 * 1024)});
    send(&client, &large).await.assert_error(413, None, &["1048576"]);
    let bare = client.on("POST", POLL).body("{}").send().await;
    bare.assert_error(415, None, &["application/json"]);
    client.on("POST", POLL).header("content-type", "application/json").body("{").send().await.assert_error(
        400,
        Some("invalidSyntax"),
        &[],
    );
    client.get("/Events/Streams/x/Poll").await.assert_error(405, None, &["GET"]);
    client.on("POST", "/Events/Feeds/other/Stream").json(&json!({})).send().await.assert_error(404, None, &["other"]);
    client.on("POST", "/Events/Streams/x/Poll").json(&json!({})).send().await.assert_error(404, None, &["Stream x"]);
    let acknowledged = poll(&client, json!({"maxEvents": 0, "returnImmediately": true})).await;
    assert_eq!(acknowledged, (vec![], true));
}

/// 8936-3-01
#[tokio::test]
async fn a_poll_needs_a_key() {
    let server = Server::start(&Settings::default());
    for path in [POLL, "/Events/Streams/x/Poll"] {
        let refused = server.client().with_key(None).on("POST", path).json(&json!({})).send().await;
        refused.assert_error(401, None, &[]);
        assert!(refused.header("www-authenticate").is_some_and(|value| value.starts_with("Bearer")));
    }
}

/// 8936-2.5-01 8936-2.5-02
#[tokio::test]
async fn a_poll_waits_for_an_event_and_no_longer_than_it_may() {
    let server = Server::start(&Settings::default().with("LIMIT_POLL_WAIT_SECONDS", "1").with("LIMIT_REQUEST_MS", "100"));
    let client = server.client();
    assert_eq!(send(&client, &json!({})).await.text(), r#"{"sets":{}}"#);
    let ann = user("ann");
    let (waited, written) = tokio::join!(poll(&client, json!({})), client.post("/Users", &ann));
    assert_eq!((waited.0.len(), written.status), (1, 201));
}

/// 8936-2-03
#[tokio::test]
async fn each_principal_has_a_stream_of_its_own() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let keys = ["ann", "bob"].map(|name| {
        format!("[[auth.keys]]\nname = \"{name}\"\nkey = \"the-key-of-{name}-0123456789abcdef\"\nscopes = [\"events:read\"]\n")
    });
    std::fs::write(folder.path().join("carillon.toml"), keys.concat()).expect("written");
    let server = Server::start(&Settings::default().folder(folder.path()));
    let client = server.client();
    client.post("/Users", &user("ann")).await;
    let of = |name: &str| client.with_key(Some(&format!("the-key-of-{name}-0123456789abcdef")));
    let (ann, bob) = (poll(&of("ann"), json!({})).await.0, poll(&of("bob"), json!({})).await.0);
    assert!(ann.len() == 1 && bob.len() == 1 && ann[0].0 != bob[0].0);
    let theirs = json!({"ack": jtis(&bob), "maxEvents": 0, "returnImmediately": true});
    assert_eq!(poll(&of("ann"), theirs).await, (vec![], true));
    let own = json!({"ack": jtis(&ann), "maxEvents": 0, "returnImmediately": true});
    assert_eq!(poll(&of("ann"), own).await, (vec![], false));
}

/// 8936-2.5-02: what a client did not stay for goes to the next.
#[tokio::test]
async fn a_client_that_goes_away_takes_nothing_with_it() {
    let server = Server::start(&Settings::default().with("LOGLEVEL", "DEBUG"));
    let client = server.client();
    client.post("/Users", &user("ann")).await;
    let (sets, _) = poll(&client, json!({})).await;
    let body = json!({"ack": jtis(&sets)}).to_string();
    let head = format!(
        "POST {POLL} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let mut raw = Raw::connect(server.address);
    raw.send(format!("{head}{body}")).expect("sent");
    // Its acknowledgement is kept before it waits.
    let kept = || async {
        let (_, more) = poll(&client, json!({"maxEvents": 0, "returnImmediately": true})).await;
        (!more).then_some(())
    };
    until("the acknowledgement is kept", PATIENCE, kept).await;
    drop(raw);
    // It has seen the client go.
    server.says("499").await;
    client.post("/Users", &user("bob")).await;
    assert_eq!(poll(&client, json!({"returnImmediately": true})).await.0.len(), 1);
}

/// 8936-2.5-02
#[tokio::test]
async fn polls_that_wait_do_not_hold_up_the_stop() {
    let mut server = Server::start(&Settings::default());
    let client = server.client();
    client.post("/Users", &user("ann")).await;
    let (sets, _) = poll(&client, json!({})).await;
    let waiting = tokio::spawn({
        let (client, body) = (client.clone(), json!({"ack": jtis(&sets)}));
        async move { send(&client, &body).await.text() }
    });
    let kept = || async {
        let (_, more) = poll(&client, json!({"maxEvents": 0, "returnImmediately": true})).await;
        (!more).then_some(())
    };
    until("the poll has acknowledged", PATIENCE, kept).await;
    server.terminate();
    assert_eq!(waiting.await.expect("an answer"), r#"{"sets":{}}"#);
    assert!(server.ended().await.success(), "{}", server.output());
}

#[tokio::test]
async fn polling_can_be_switched_off() {
    let server = Server::start(&Settings::default().with("SET_POLL_ENABLED", "false"));
    let client = server.client();
    assert_eq!(client.get("/Events/Feeds/default").await.json()["poll"]["supported"], json!(false));
    client.get(POLL).await.assert_error(403, None, &["SET_POLL_ENABLED"]);
    for path in [POLL, "/Events/Streams/x/Poll"] {
        client.on("POST", path).json(&json!({})).send().await.assert_error(403, None, &["SET_POLL_ENABLED"]);
    }
}
