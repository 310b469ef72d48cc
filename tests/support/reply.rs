//! What a scripted receiver answers.

use serde_json::json;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// An answer to one request.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    gate: Option<Gate>,
    takes: Option<Duration>,
    /// Whether the body never ends.
    pub is_endless: bool,
    /// Whether the connection is reset after what was sent.
    pub resets: bool,
    /// Whether the connection is closed after it.
    pub closes: bool,
    /// How much of it is sent; all when it is not said.
    sends: Option<Sends>,
}

#[derive(Clone, Copy, Debug)]
enum Sends {
    Nothing,
    HalfOfTheBody,
}

/// Something that holds answers back until it is opened. It stays open.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }
}

impl Gate {
    /// Lets everybody through from now on.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    /// Waits until it is open.
    pub async fn opened(&self) {
        let _ = self.0.subscribe().wait_for(|is_open| *is_open).await;
    }
}

impl Reply {
    /// 202 with an empty body: what RFC 8935 §2.2 wants.
    pub fn accepted() -> Self {
        Self::status(202)
    }

    /// This status with an empty body.
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
            gate: None,
            takes: None,
            is_endless: false,
            resets: false,
            closes: false,
            sends: None,
        }
    }

    /// 400 with an error of RFC 8935 §2.3.
    pub fn refused(err: &str) -> Self {
        let body = json!({"err": err, "description": "as the script says"}).to_string();
        Self::status(400).header("content-type", "application/json").header("content-language", "en").body(body)
    }

    /// A redirect.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).header("location", location)
    }

    /// Breaks the connection instead of an answer.
    pub fn reset() -> Self {
        Self { resets: true, sends: Some(Sends::Nothing), ..Self::status(0) }
    }

    /// Breaks the connection in the middle of the body.
    pub fn reset_in_body(status: u16) -> Self {
        Self { resets: true, sends: Some(Sends::HalfOfTheBody), ..Self::status(status).body("x".repeat(1_000)) }
    }

    /// A body that says to be of a gigabyte, and goes on for as long as somebody reads.
    pub fn endless(status: u16) -> Self {
        Self { is_endless: true, ..Self::status(status).header("content-length", "1000000000") }
    }

    /// Never answers, for as long as the client waits.
    pub fn never() -> Self {
        Self::accepted().held_by(&Gate::default())
    }

    /// Answers only once the gate is open.
    pub fn held_by(self, gate: &Gate) -> Self {
        Self { gate: Some(gate.clone()), ..self }
    }

    /// Takes so long before it answers.
    pub fn taking(self, time: Duration) -> Self {
        Self { takes: Some(time), ..self }
    }

    /// A header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A body.
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Closes the connection after the answer.
    pub fn closing(self) -> Self {
        Self { closes: true, ..self.header("connection", "close") }
    }

    /// Waits until it may be sent.
    pub async fn is_due(&self) {
        if let Some(gate) = &self.gate {
            gate.opened().await;
        }
        if let Some(time) = self.takes {
            // What a slow receiver is: nothing else can be waited for.
            let _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
        }
    }

    /// What goes over the wire, in pieces.
    pub fn bytes(&self) -> Vec<Vec<u8>> {
        if matches!(self.sends, Some(Sends::Nothing)) {
            return Vec::new();
        }
        let mut head = format!("HTTP/1.1 {} As Scripted\r\n", self.status);
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if !self.headers.iter().any(|(name, _)| name == "content-length") && self.status != 204 {
            let _ = write!(head, "content-length: {}\r\n", self.body.len());
        }
        head.push_str("\r\n");
        let part = if matches!(self.sends, Some(Sends::HalfOfTheBody)) { self.body.len() / 2 } else { self.body.len() };
        vec![head.into_bytes(), self.body[..part].to_vec()]
    }
}
