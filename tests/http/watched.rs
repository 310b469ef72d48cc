//! A server whose state is watched: bad input must leave it as it was.

use crate::support::client::{Answer, Client};
use crate::support::fixture;
use crate::support::raw::{Raw, RawAnswer};
use crate::support::server::{KEY, Server, Settings};
use serde_json::{Value, json};

/// A server with a user and a group, and what it held before the bad input.
#[derive(Debug)]
pub struct Watched {
    /// The server.
    pub server: Server,
    /// A client of it.
    pub client: Client,
    /// The id of the user `ann`.
    pub ann: String,
    /// The id of the group `team`.
    pub team: String,
    before: Value,
}

impl Watched {
    /// A server with the usual settings.
    pub async fn start() -> Self {
        Self::with(Settings::default()).await
    }

    /// A server with these settings.
    pub async fn with(settings: Settings) -> Self {
        let server = Server::start(&settings);
        let client = server.client();
        let ann = client.post("/Users", &fixture::user_with("ann", json!({"title": "Guide"}))).await.id();
        let team = client.post("/Groups", &fixture::group_of("team", &[&ann])).await.id();
        let before = state(&client).await;
        Self { server, client, ann, team, before }
    }

    /// Asserts that counters, resources and feed are as before, that the process lives and that nothing in it panicked.
    pub async fn assert_unchanged(&mut self) {
        assert!(self.server.lives(), "the program died:\n{}", self.server.output());
        assert_eq!(state(&self.client).await, self.before);
        let output = self.server.output();
        assert!(!output.contains("panicked"), "{output}");
    }

    /// Sends a body that must be refused on every way in, with this type and these words in the detail.
    pub async fn refuses(&mut self, body: impl AsRef<[u8]>, scim_type: &str, words: &[&str]) {
        for (method, path) in self.writes() {
            let answer = self.send(method, &path, body.as_ref()).await;
            answer.assert_error(400, Some(scim_type), words);
        }
        self.assert_unchanged().await;
    }

    /// Sends a body of any bytes.
    pub async fn send(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        self.client.on(method, path).header("content-type", "application/scim+json").body(body.to_vec()).send().await
    }

    /// Every endpoint that takes a body.
    pub fn writes(&self) -> [(&'static str, String); 6] {
        let (user, group) = (format!("/Users/{}", self.ann), format!("/Groups/{}", self.team));
        [
            ("POST", "/Users".into()),
            ("POST", "/Groups".into()),
            ("PUT", user.clone()),
            ("PUT", group.clone()),
            ("PATCH", user),
            ("PATCH", group),
        ]
    }

    /// A raw connection.
    pub fn connect(&self) -> Raw {
        Raw::connect(self.server.address)
    }

    /// The head of a request with the key, with these header lines too.
    pub fn head(&self, request: &str, headers: &str) -> String {
        format!("{request} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {KEY}\r\n{headers}\r\n", self.server.address)
    }
}

/// Counters, resources and feed.
async fn state(client: &Client) -> Value {
    let users = client.get("/Users").await.json();
    let groups = client.get("/Groups").await.json();
    json!({"users": users, "groups": groups, "feed": client.feed(None, 1000).await})
}

/// Asserts that an answer is a SCIM error of this status and type.
pub fn assert_scim_error(answer: &RawAnswer, status: u16, scim_type: Option<&str>) {
    let body = answer.json();
    assert_eq!((answer.status, &body["status"], &body["schemas"]), (status, &json!(status.to_string()), &json!([fixture::ERROR])));
    assert_eq!(body["scimType"].as_str(), scim_type, "{body}");
    assert_eq!(answer.header("content-type"), Some("application/scim+json"));
}
