//! Follows a feed by Server-Sent Events. There is no acknowledgement: the place to go on from is the last event that was kept.

use super::arguments::Endpoint;
use super::fetch;
use super::inbox::{Failure, Inbox, Order};
use super::progress::Reporter;
use super::sse::{Message, Reader};
use super::stop::{Backoff, Ending, Stop};
use crate::base::limits;
use reqwest::header::{ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE};
use reqwest::{Client, Response, StatusCode};
use std::sync::Arc;
use std::time::Duration;

/// Follows one feed.
#[derive(Debug)]
pub(super) struct Follower {
    endpoint: Endpoint,
    client: Client,
    inbox: Arc<Inbox>,
    reporter: Arc<Reporter>,
    stop: Stop,
    last: Option<String>,
    was_answered: bool,
    backoff: Backoff,
}

impl Follower {
    /// A follower that goes on after the event of this `jti`.
    pub(super) fn new(endpoint: Endpoint, client: Client, inbox: Arc<Inbox>, stop: Stop, last: Option<String>) -> Self {
        let reporter = Arc::clone(&inbox.reporter);
        Self { endpoint, client, inbox, reporter, stop, last, was_answered: false, backoff: Backoff::new() }
    }

    /// Follows until the receiver ends.
    pub(super) async fn run(mut self) {
        let stop = self.stop.clone();
        while stop.ending().is_none() {
            let Some(connected) = stop.unless(self.connect()).await else { break };
            let (error, at_least) = match connected {
                Ok(response) => (self.read(response).await, None),
                Err((error, at_least)) => (error, at_least),
            };
            if stop.ending().is_none() {
                let wait = self.backoff.next().max(at_least.unwrap_or_default());
                self.reporter.note(&format!("{error}; connecting again in {:.1} s", wait.as_secs_f64()));
                stop.wait(wait).await;
            }
        }
    }

    async fn connect(&mut self) -> Result<Response, (String, Option<Duration>)> {
        let mut request = self.client.get(self.endpoint.url.clone());
        // The time is one of silence: a stream that is followed has no end.
        request = request.header(ACCEPT, "text/event-stream").header(CACHE_CONTROL, "no-cache");
        if let Some(last) = &self.last {
            request = request.header("Last-Event-ID", last);
        }
        if let Some(key) = &self.endpoint.authorization {
            request = request.header(AUTHORIZATION, key.clone());
        }
        let silence = Duration::from_millis(limits::RECEIVE_SILENCE_MS);
        let response = match tokio::time::timeout(silence, request.send()).await {
            Ok(sent) => sent.map_err(|error| (fetch::explain(error), None))?,
            Err(_) => return Err(("the transmitter does not answer".into(), None)),
        };
        let status = response.status();
        let media_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if status == StatusCode::OK && media_type.to_ascii_lowercase().starts_with("text/event-stream") {
            self.was_answered = true;
            return Ok(response);
        }
        if status == StatusCode::OK {
            self.stop.end(Ending::Failed("the transmitter answers with something else than text/event-stream".into()));
            return Err((String::new(), None));
        }
        let at_least = fetch::retry_after(response.headers());
        let is_mistake = status.is_client_error() && !matches!(status.as_u16(), 408 | 425 | 429) || status.is_redirection();
        let reason = fetch::reason(response).await;
        if status == StatusCode::GONE {
            self.stop.end(gone(&reason));
        } else if status == StatusCode::NO_CONTENT || is_mistake && (!self.was_answered || status == StatusCode::BAD_REQUEST) {
            // 204 is how a server ends this for good (HTML §9.2.3).
            self.stop.end(Ending::Failed(format!("the transmitter answered {reason}")));
        }
        Err((format!("the transmitter answered {reason}"), at_least))
    }

    /// Reads a stream to its end; says why it ended.
    async fn read(&mut self, mut response: Response) -> String {
        let stop = self.stop.clone();
        let mut reader = Reader::new(limits::RECEIVE_SET_BYTES);
        loop {
            let chunk = tokio::time::timeout(Duration::from_millis(limits::RECEIVE_SILENCE_MS), response.chunk());
            let Some(chunk) = stop.unless(chunk).await else { return String::new() };
            let bytes = match chunk {
                Ok(Ok(Some(bytes))) => bytes,
                Ok(Ok(None)) => return "the stream ended".into(),
                Ok(Err(error)) => return fetch::explain(error),
                Err(_) => return "the stream is silent".into(),
            };
            let read = reader.read(&bytes);
            if let Some(retry) = reader.retry() {
                self.backoff.set_first(retry);
            }
            let Ok(messages) = read else {
                stop.end(Ending::Failed("one event is larger than this receiver takes".into()));
                return String::new();
            };
            if !self.take(messages).await {
                return "an event was not kept".into();
            }
        }
    }

    /// Keeps what came. Whether everything was kept or refused: if not, it has to come again, and all after it.
    async fn take(&mut self, messages: Vec<Message>) -> bool {
        let (sets, others): (Vec<Message>, Vec<Message>) =
            messages.into_iter().partition(|message| matches!(message.kind.as_str(), "" | "message" | "set"));
        let (ends, others): (Vec<Message>, Vec<Message>) = others.into_iter().partition(|message| message.kind == "gone");
        for other in others {
            let kind: String = other.kind.chars().filter(|c| !c.is_control()).take(40).collect();
            self.reporter.note(&format!("the transmitter sent an event '{kind}', which is passed over"));
        }
        let key = |message: &Message| (!message.id.is_empty()).then(|| message.id.clone());
        let keys: Vec<Option<String>> = sets.iter().map(key).collect();
        let all = sets.iter().zip(&keys).map(|(message, key)| (key.as_deref(), message.data.as_str()));
        let results = self.inbox.take_all(all, Order::Strict).await;
        for (key, result) in keys.into_iter().zip(results) {
            match result {
                // A refused event is passed by: here nobody can be told of it.
                Ok(_) | Err(Failure::Refused(_)) => {
                    self.backoff.reset();
                    self.last = key.or(self.last.take());
                }
                Err(Failure::NotKept) => return false,
            }
        }
        if !ends.is_empty() {
            self.stop.end(gone("it says so within the stream"));
        }
        true
    }
}

/// Retention has passed the place of this receiver: whether that is bad is for people to say.
fn gone(reason: &str) -> Ending {
    Ending::Failed(format!(
        "events after the last one that was kept are gone at the transmitter ({reason}); begin anew with another --output or --state, \
         and take what is missing from elsewhere"
    ))
}
