//! A feed as Server-Sent Events.

use crate::support::fixture::user;
use crate::support::receiver::claims_of;
use crate::support::server::{KEY, Server, Settings};
use crate::support::wait::PATIENCE;
use serde_json::{Value, json};
use std::collections::HashMap;

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
