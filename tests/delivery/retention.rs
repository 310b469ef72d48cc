//! The log within its bounds, as a reader of a feed meets it: what has gone is told, never passed over in silence.

use crate::support::client::{Answer, Client, encode};
use crate::support::fixture::{group, user};
use crate::support::server::{Server, Settings};
use crate::support::wait::{PATIENCE, until};
use serde_json::{Value, json};
use std::time::Duration;

/// A lease lives for 30 seconds, and is looked for every 10.
const LEASE_ENDS_WITHIN: Duration = Duration::from_secs(45);

async fn create(client: &Client, names: &[&str]) {
    for name in names {
        let created = client.post("/Users", &user(name)).await;
        assert_eq!(created.status, 201, "{}", created.text());
    }
}

fn jti(event: &Value) -> String {
    event["jti"].as_str().expect("a jti").to_owned()
}

async fn kept(client: &Client) -> Vec<String> {
    client.feed(None, 1_000).await.iter().map(jti).collect()
}

/// Waits until so many events are kept.
async fn at_last(client: &Client, count: usize) -> Vec<String> {
    at_last_within(PATIENCE, client, count).await
}

async fn at_last_within(patience: Duration, client: &Client, count: usize) -> Vec<String> {
    let trimmed = || async { Some(kept(client).await).filter(|kept| kept.len() == count) };
    until(&format!("{count} events are left"), patience, trimmed).await
}

async fn after(client: &Client, jti: &str) -> Answer {
    client.get(&format!("/Events/Feeds/default/Stream?after={}", encode(jti))).await
}

/// 8936-2-02 9967-5-06
#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_behind_the_log_is_told_the_oldest_event() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings =
        Settings::default().folder(folder.path()).with("SET_POLL_MAX_EVENTS", "3").with("PUBLIC_URL", "https://a.example");
    let mut server = Server::start(&settings);
    let client = server.client();
    create(&client, &["a", "b", "c"]).await;
    // As many as are kept: they stay for as long as no other comes.
    let first = kept(&client).await;
    assert_eq!(first.len(), 3);
    create(&client, &["d", "e"]).await;
    let left = at_last(&client, 3).await;
    assert_eq!(left[0], first[2]);
    let check = async |client: &Client| {
        for gone in &first[..2] {
            after(client, gone).await.assert_error(410, None, &["no longer kept", &left[0]]);
        }
        let answer = after(client, &left[0]).await;
        let sets: Vec<String> = answer.json()["sets"].as_array().expect("sets").iter().map(jti).collect();
        assert_eq!((answer.status, &sets[..]), (200, &left[1..]));
        // What was never there is no cursor at all.
        after(client, &format!("0{}", first[0])).await.assert_error(400, Some("invalidValue"), &["after"]);
    };
    check(&client).await;
    server.kill();
    let server = Server::start(&settings);
    check(&server.client()).await;
}

/// 9967-5-06
#[tokio::test(flavor = "multi_thread")]
async fn events_go_when_they_are_old() {
    let server = Server::start(&Settings::default().with("EVENT_RETENTION", "4s"));
    let client = server.client();
    create(&client, &["a", "b"]).await;
    let last = client.feed(None, 10).await.last().map(jti);
    let Some(last) = last else { panic!("events of this moment are kept") };
    at_last(&client, 0).await;
    after(&client, &last).await.assert_error(410, None, &["no longer kept", "empty"]);
    // The resources are all there, and the log goes on.
    assert_eq!(client.get("/Users").await.json()["totalResults"], 2);
    create(&client, &["c"]).await;
    assert_eq!(kept(&client).await.len(), 1);
}

/// What a poll of a stream is answered.
async fn poll(client: &Client, stream: &str) -> Answer {
    let request = client.on("POST", &format!("/Events/Streams/{stream}/Poll")).header("content-type", "application/json");
    request.body(json!({"returnImmediately": true}).to_string()).send().await
}

async fn polled(client: &Client, stream: &str) -> usize {
    let answer = poll(client, stream).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["sets"].as_object().expect("sets").len()
}

/// 8936-2-02
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_loses_events_is_disabled_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings::default().folder(folder.path()).with("SET_POLL_MAX_EVENTS", "3");
    let mut server = Server::start(&settings);
    let client = server.client();
    let make = async |more: Value| {
        let mut body = json!({"delivery": {"method": "urn:ietf:rfc:8936"}});
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        let made = client.post("/Events/Streams", &body).await;
        assert_eq!(made.status, 201, "{}", made.text());
        made.json()["stream_id"].as_str().expect("an id").to_owned()
    };
    let (users, groups) = (make(json!({})).await, make(json!({"resource_types": ["Group"]})).await);
    create(&client, &["a", "b", "c", "d", "e"]).await;
    at_last(&client, 3).await;
    let path = format!("/Events/Streams/{users}");
    let disabled = || async { Some(client.get(&path).await.json()).filter(|stream| stream["status"] == "disabled") };
    let stream = until("the stream is disabled", PATIENCE, disabled).await;
    assert_eq!(stream["gap"], json!({"places": 2, "at": stream["gap"]["at"]}));
    assert!(stream["reason"].as_str().is_some_and(|reason| reason.contains("removed")), "{stream}");
    server.says("a stream has lost events").await;
    let counted = || async { client.get("/metrics").await.text().contains("carillon_lost_places_total 2\n").then_some(()) };
    until("it is counted", PATIENCE, counted).await;
    poll(&client, &users).await.assert_error(410, None, &["disabled", &kept_by(&client).await]);
    // Whom the users do not concern has lost nothing.
    assert_eq!(client.get(&format!("/Events/Streams/{groups}")).await.json()["status"], "enabled");
    client.post("/Groups", &group("g")).await;
    assert_eq!(polled(&client, &groups).await, 1);
    server.kill();
    let server = Server::start(&settings);
    let client = server.client();
    // The group's event pushes one more out; a stream that is enabled before that loses it too. On a server the work of the node that was
    // killed is taken up once its lease has run out.
    at_last_within(LEASE_ENDS_WITHIN, &client, 3).await;
    assert_eq!(client.get(&path).await.json()["status"], "disabled");
    let enabled = client.post(&format!("{path}/Status"), &json!({"status": "enabled"})).await;
    assert_eq!((enabled.status, enabled.json().get("gap")), (200, None), "{}", enabled.text());
    assert_eq!(polled(&client, &users).await, 3);
}

/// The oldest event that is kept, without what tells receivers apart.
async fn kept_by(client: &Client) -> String {
    kept(client).await[0].split_once('.').expect("a jti").0.to_owned()
}

#[test]
fn bounds_that_keep_nothing_are_refused_at_the_start() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings::default().folder(folder.path()).with("SET_POLL_MAX_EVENTS", "0").with("EVENT_RETENTION", "0h");
    let ended = settings.run_to_its_end();
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success() && told.contains("SET_POLL_MAX_EVENTS") && told.contains("EVENT_RETENTION"), "{told}");
}
