//! A database that is set back under its nodes: from a backup, or because a standby that was behind took over.

use crate::support::client::Client;
use crate::support::database::Database;
use crate::support::fixture::user;
use crate::support::server::{Server, Settings};
use crate::support::wait::{PATIENCE, until};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Instant;

/// Users of these names.
async fn make(client: &Client, name: &str, count: usize) -> BTreeSet<String> {
    let mut made = BTreeSet::new();
    for number in 0..count {
        let name = format!("{name}-{number}");
        let answer = client.post("/Users", &user(&name)).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        made.insert(answer.id());
    }
    made
}

/// Polls and acknowledges until a poll has brought so many events; the ids of the users that they are about.
async fn poll(client: &Client, path: &str, count: usize) -> BTreeSet<String> {
    let (mut subjects, mut acknowledged) = (BTreeSet::new(), Vec::new());
    let deadline = Instant::now() + PATIENCE;
    loop {
        assert!(Instant::now() < deadline, "{} of {count} events have come", subjects.len());
        let body = json!({"ack": acknowledged, "returnImmediately": true});
        let answer = client.post(path, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let answer = answer.json();
        let sets = answer["sets"].as_object().expect("sets").clone();
        if sets.is_empty() && subjects.len() >= count {
            return subjects;
        }
        acknowledged = sets.keys().cloned().collect();
        subjects.extend(sets.values().map(subject));
    }
}

fn subject(set: &Value) -> String {
    let set: Value = serde_json::from_str(set.as_str().expect("text")).expect("claims");
    let uri = set["sub_id"]["uri"].as_str().unwrap_or_else(|| panic!("no subject in {set}"));
    uri.rsplit('/').next().unwrap_or_default().to_owned()
}

/// Waits until these are the places that are kept of the one stream.
async fn kept(settings: &Settings, places: &str) {
    let kept = || async { settings.ask("SELECT places FROM resolved").filter(|kept| kept == places).map(drop) };
    until("what was acknowledged is kept", PATIENCE, kept).await;
}

async fn ready(client: &Client) {
    let ready = || async { (client.get("/ready").await.status == 200).then_some(()) };
    until("the node is ready", PATIENCE, ready).await;
}

/// I5: what a node has in memory is of a log that is no more. It ends, and the one that is started in its place delivers every event.
#[tokio::test]
async fn a_restored_database_gets_every_event_delivered_that_it_then_takes() {
    let database = Database::start();
    let settings = Settings::default().database(&database.url).with("PUBLIC_URL", "https://carillon.example");
    let mut node = Server::start(&settings);
    let client = node.client();
    let stream = client.post("/Events/Streams", &json!({"format": "json"})).await.json();
    let path = format!("/Events/Streams/{}/Poll", stream["stream_id"].as_str().expect("an id"));
    let before = make(&client, "before", 5).await;
    assert_eq!(poll(&client, &path, 5).await, before);
    kept(&settings, "5").await;
    database.back_up();
    database.start_again();
    ready(&client).await;
    let lost = make(&client, "lost", 10).await;
    assert_eq!(poll(&client, &path, 10).await, lost);
    kept(&settings, "15").await;
    database.restore();
    database.start_again();
    let ended = node.ended().await;
    assert_eq!(ended.code(), Some(1), "{}", node.output());
    let output = node.says("the database was set back").await;
    assert_eq!(output.matches("ERROR").count(), 1, "{output}");
    // As whoever looks after it does.
    let node = Server::start(&settings);
    let client = node.client();
    ready(&client).await;
    assert_eq!(settings.ask("SELECT places FROM resolved").as_deref(), Some("5"));
    let after = make(&client, "after", 20).await;
    assert_eq!(poll(&client, &path, 20).await, after);
}

/// I5: what was kept of a stream behind the end of its log is not held against the events that come there.
#[tokio::test]
async fn a_stream_that_is_ahead_of_its_log_is_brought_back_at_the_start() {
    let settings = Settings::default().store("postgres").with("PUBLIC_URL", "https://carillon.example");
    let mut node = Server::start(&settings);
    let stream = node.client().post("/Events/Streams", &json!({"format": "json"})).await.json();
    let id = stream["stream_id"].as_str().expect("an id").to_owned();
    let path = format!("/Events/Streams/{id}/Poll");
    let before = make(&node.client(), "before", 3).await;
    assert_eq!(poll(&node.client(), &path, 3).await, before);
    kept(&settings, "3").await;
    node.kill();
    settings.ask("UPDATE resolved SET places = '3 7-9'");
    let node = Server::start(&settings);
    let told = node.says("behind the end of the log").await;
    assert!(told.contains("WARN") && told.contains(&id), "{told}");
    let after = make(&node.client(), "after", 8).await;
    assert_eq!(poll(&node.client(), &path, 8).await, after);
}
