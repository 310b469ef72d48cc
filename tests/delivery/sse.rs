//! A feed as Server-Sent Events.

use crate::support::fixture::{user, user_with};
use crate::support::receiver::claims_of;
use crate::support::server::{KEY, Server, Settings};
use crate::support::wait::{PATIENCE, until};
use serde_json::{Value, json};
use std::collections::HashMap;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

const STREAM: &str = "/Events/Feeds/default/Stream";

/// A listener, with what it has not looked at yet.
struct Listener {
    response: reqwest::Response,
    unread: String,
}

impl Listener {
    async fn of(server: &Server, query: &str, last: Option<&str>) -> Self {
        let url = format!("http://{}{STREAM}{query}", server.address);
        carillon::base::crypto::install_crypto();
        let client = reqwest::Client::builder().no_proxy().build().expect("a client");
        let request = client.get(url).header("authorization", format!("Bearer {KEY}")).header("accept", "text/event-stream");
        let request = last.into_iter().fold(request, |request, last| request.header("last-event-id", last));
        let response = request.send().await.expect("an answer");
        Self { response, unread: String::new() }
    }

    /// The fields of the next event; `None` at the end. Comments are passed over.
    async fn next(&mut self) -> Option<HashMap<String, String>> {
        loop {
            if let Some((event, rest)) = self.unread.split_once("\n\n") {
                let fields = event.lines().filter(|line| !line.starts_with(':')).filter_map(|line| line.split_once(": "));
                let fields: HashMap<String, String> = fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
                self.unread = String::from(rest);
                if !fields.is_empty() {
                    return Some(fields);
                }
                continue;
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("in time").ok().flatten()?;
            self.unread.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    }
}

#[tokio::test]
async fn a_listener_hears_each_event_and_goes_on_where_it_was() {
    let mut server = Server::start(&Settings::default());
    let client = server.client();
    for name in ["ann", "bob"] {
        client.post("/Users", &user(name)).await;
    }
    let told = client.feed(None, 10).await;
    let mut listener = Listener::of(&server, "", None).await;
    let kind = listener.response.headers().get("content-type").and_then(|value| value.to_str().ok());
    assert_eq!((listener.response.status().as_u16(), kind), (200, Some("text/event-stream")));
    for claims in &told {
        let heard = listener.next().await.expect("an event");
        assert_eq!(heard["id"], claims["jti"].as_str().expect("a jti"));
        assert_eq!(serde_json::from_str::<Value>(&heard["data"]).expect("claims"), *claims);
        assert_eq!(heard.len(), 2);
    }
    // What happens from now on comes by itself.
    client.post("/Users", &user("cid")).await;
    let third = listener.next().await.expect("an event");
    // `Last-Event-ID` beats `after`, which the URI of a connection that is made again still has.
    let (first, second) = (told[0]["jti"].as_str().expect("a jti"), told[1]["jti"].as_str().expect("a jti"));
    let mut again = Listener::of(&server, &format!("?after={first}&format=jwt"), Some(second)).await;
    let heard = again.next().await.expect("an event");
    assert_eq!((&heard["id"], claims_of(&heard["data"])["jti"].as_str()), (&third["id"], Some(third["id"].as_str())));
    server.terminate();
    assert!(listener.next().await.is_none() && again.next().await.is_none(), "they end with the server");
    assert!(server.ended().await.success(), "{}", server.output());
}

/// One that does not take its events for so long that the log no longer holds them is told where it begins, after what it
/// has got in order, and the connection ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_the_log_has_passed_is_told_the_oldest_event() {
    const KEPT: usize = 3;
    let settings = Settings::default().with("EVENT_MODE", "full").with("SET_POLL_MAX_EVENTS", &KEPT.to_string());
    let server = Server::start(&settings);
    let client = server.client();
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(16 * 1024).expect("a small window");
    let mut listener = socket.connect(server.address).await.expect("a connection");
    let head = format!(
        "GET {STREAM} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {KEY}\r\naccept: text/event-stream\r\nconnection: close\r\n\r\n"
    );
    listener.write_all(head.as_bytes()).await.expect("sent");
    let mut text = vec![0; 12];
    listener.read_exact(&mut text).await.expect("an answer");
    assert_eq!(text, b"HTTP/1.1 200");
    // More than the system holds for a listener that does not read.
    let title = "x".repeat(400_000);
    for number in 0..40 {
        let created = client.post("/Users", &user_with(&format!("u{number}"), json!({"title": title}))).await;
        assert_eq!(created.status, 201, "{}", created.text());
    }
    let first_page = || async { client.get(&format!("{STREAM}?limit={}", KEPT + 1)).await.json()["sets"].clone() };
    let trimmed = || async { Some(first_page().await).filter(|sets| sets.as_array().is_some_and(|sets| sets.len() == KEPT)) };
    until("the log is trimmed", PATIENCE, trimmed).await;
    // The end of the log in memory learns of it with the next event.
    client.post("/Users", &user("last")).await;
    let kept = until("the log is trimmed", PATIENCE, trimmed).await;
    tokio::time::timeout(PATIENCE, listener.read_to_end(&mut text)).await.expect("in time").expect("the end");
    let text = String::from_utf8(text).expect("text");
    let told: Vec<&str> = text.lines().filter(|line| line.starts_with("id: ")).collect();
    assert!(!told.is_empty() && told.len() < 40, "{} of 40 were told", told.len());
    let (_, gone) = text.rsplit_once("event: gone\ndata: ").expect("it is told that events are gone");
    let gone: Value = serde_json::from_str(gone.lines().next().unwrap_or_default()).expect("JSON");
    assert_eq!(gone, json!({"oldest": kept[0]["jti"]}));
    assert_eq!(text.matches("event: gone").count(), 1);
}

#[tokio::test]
async fn a_listener_that_was_nowhere_is_refused() {
    let server = Server::start(&Settings::default());
    let refused = Listener::of(&server, "", Some("nowhere")).await.response;
    assert_eq!(refused.status().as_u16(), 400);
    let body: Value = serde_json::from_slice(&refused.bytes().await.expect("a body")).expect("JSON");
    assert_eq!(body["scimType"], json!("invalidValue"));
    let other = server.client().on("GET", "/Events/Feeds/other/Stream").header("accept", "text/event-stream").send().await;
    other.assert_error(404, None, &["other"]);
}
