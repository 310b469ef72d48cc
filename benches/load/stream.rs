//! Streams of the server: how they are configured and made, and a client that polls one.

use crate::Result;
use crate::client::Connection;
use crate::receiver::Tally;
use crate::server::{KEY, Server};
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// The poll endpoint of the feed of every resource. Its implicit stream begins where the log does.
pub(crate) const FEED: &str = "/Events/Feeds/default/Stream";

/// Where a push stream of the configuration begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// At what happens from now on.
    Now,
    /// At the beginning of the log.
    Beginning,
}

/// The settings of a push stream.
pub(crate) fn push(out: &mut String, name: &str, endpoint: SocketAddr, lanes: u8, start: Start) {
    let start = match start {
        Start::Now => "now",
        Start::Beginning => "1970-01-01T00:00:00Z",
    };
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "[[events.streams]]\nname = \"{name}\"\npush = \"http://{endpoint}/{name}\"\nlanes = {lanes}\nstart = \"{start}\"\n\n"
    );
}

/// Makes a poll stream by request; gives the path of its poll endpoint.
pub(crate) async fn make_poll(connection: &mut Connection) -> Result<String> {
    let mut request = Vec::new();
    post(&mut request, "/Events/Streams", r#"{"delivery":{"method":"urn:ietf:rfc:8936"}}"#);
    connection.succeed(&request).await?;
    let stream: serde_json::Value = serde_json::from_slice(connection.body())?;
    let id = stream["stream_id"].as_str().ok_or("a stream without stream_id")?;
    Ok(format!("/Events/Streams/{id}/Poll"))
}

/// Writes a POST of JSON with authentication.
pub(crate) fn post(out: &mut Vec<u8>, target: &str, body: &str) {
    let head = format!(
        "POST {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(body.as_bytes());
}

/// A request that acknowledges these, and waits unless it is told not to.
pub(crate) fn poll(out: &mut Vec<u8>, target: &str, acknowledged: &[String], at_once: bool) {
    let body = format!(r#"{{"ack":["{}"],"returnImmediately":{at_once}}}"#, acknowledged.join(r#"",""#));
    post(out, target, &body.replace(r#"[""]"#, "[]"));
}

/// The `jti`s and SETs of an answer to a poll, as they stand there: neither holds anything that JSON would escape.
pub(crate) fn sets(body: &[u8]) -> Result<Vec<(&str, &str)>> {
    let body = std::str::from_utf8(body)?;
    let start = body.find(r#""sets":{"#).ok_or("an answer to a poll without sets")?;
    let inside = &body[start + r#""sets":{"#.len()..];
    let inside = &inside[..inside.find('}').ok_or("sets without an end")?];
    let mut texts = inside.split('"').skip(1).step_by(2);
    let mut sets = Vec::new();
    while let (Some(jti), Some(set)) = (texts.next(), texts.next()) {
        sets.push((jti, set));
    }
    Ok(sets)
}

/// A client that polls a stream all the time, acknowledging with each request what the last answer held.
#[derive(Debug)]
pub(crate) struct Poller {
    /// What it got.
    pub(crate) tally: Arc<Tally>,
    polling: JoinHandle<Result<()>>,
}

impl Poller {
    /// Polls until it is dropped.
    pub(crate) async fn start(server: &Server, target: String) -> Result<Self> {
        let tally = Arc::new(Tally::default());
        let connection = Connection::open(server.address).await?;
        let polling = tokio::spawn(poll_on(connection, target, Arc::clone(&tally)));
        Ok(Self { tally, polling })
    }

    /// Ends it; an error that ended it before is told.
    pub(crate) async fn stop(mut self) -> Result<()> {
        if self.polling.is_finished() {
            return (&mut self.polling).await?;
        }
        Ok(())
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.polling.abort();
    }
}

async fn poll_on(mut connection: Connection, target: String, tally: Arc<Tally>) -> Result<()> {
    let (mut request, mut acknowledged) = (Vec::new(), Vec::new());
    loop {
        request.clear();
        poll(&mut request, &target, &acknowledged, false);
        connection.succeed(&request).await?;
        acknowledged = sets(connection.body())?.into_iter().map(|(jti, _)| jti.to_owned()).collect();
        if !acknowledged.is_empty() {
            tally.add(acknowledged.len() as u64);
        }
    }
}
