//! The recipient of RFC 8936: asks, keeps what comes, and acknowledges it with the next request.

use super::arguments::Endpoint;
use super::fetch::{self, Broken};
use super::inbox::{Failure, Inbox, Order};
use super::keeper::Kept;
use super::progress::Reporter;
use super::stop::{Backoff, Ending, Stop};
use crate::base::limits;
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_LANGUAGE, CONTENT_TYPE};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Polls one transmitter.
#[derive(Debug)]
pub(super) struct Poller {
    endpoint: Endpoint,
    client: Client,
    inbox: Arc<Inbox>,
    reporter: Arc<Reporter>,
    stop: Stop,
    most_events: u64,
    count: Option<u64>,
    /// Whether the transmitter ever answered as it should.
    was_answered: bool,
    acknowledged: Vec<String>,
    refused: Map<String, Value>,
}

/// An answer of RFC 8936 §2.3.
#[derive(Debug, Deserialize)]
struct Delivery {
    sets: Map<String, Value>,
    #[serde(default, rename = "moreAvailable")]
    more_available: bool,
}

/// What else may come of a request.
#[derive(Debug)]
enum Trouble {
    /// It may work later, not before this time.
    Passing(String, Option<Duration>),
    /// It will not work.
    Lasting(String),
    /// Fewer events would have been read.
    TooLarge,
}

impl Poller {
    /// A poller that has asked nothing yet. With a count it asks for no more events than are still wanted.
    pub(super) fn new(endpoint: Endpoint, client: Client, inbox: Arc<Inbox>, stop: Stop, count: Option<u64>) -> Self {
        Self {
            most_events: endpoint.most_events,
            reporter: Arc::clone(&inbox.reporter),
            endpoint,
            client,
            inbox,
            stop,
            count,
            was_answered: false,
            acknowledged: Vec::new(),
            refused: Map::new(),
        }
    }

    /// Polls until the receiver ends; what was kept is acknowledged before it does.
    pub(super) async fn run(mut self) {
        let (mut failing, mut empty) = (Backoff::new(), Backoff::between_polls());
        let stop = self.stop.clone();
        while stop.ending().is_none() {
            let begun = Instant::now();
            let Some(answer) = stop.unless(self.ask()).await else { break };
            match answer {
                Ok(delivery) => {
                    self.was_answered = true;
                    self.acknowledged.clear();
                    self.refused.clear();
                    let is_empty = delivery.sets.is_empty();
                    let was_held = begun.elapsed() >= Duration::from_millis(limits::RECEIVE_LONGEST_EMPTY_POLL_MS);
                    if self.take(delivery.sets).await {
                        failing.reset();
                    } else {
                        stop.wait(failing.next()).await;
                    }
                    if is_empty && !was_held && !delivery.more_available {
                        stop.wait(empty.next()).await;
                    } else {
                        empty.reset();
                    }
                }
                Err(Trouble::TooLarge) if self.most_events > 1 => self.most_events /= 2,
                Err(Trouble::TooLarge) => stop.end(Ending::Failed("one event is larger than this receiver takes".into())),
                Err(Trouble::Lasting(error)) => stop.end(Ending::Failed(error)),
                Err(Trouble::Passing(error, at_least)) => {
                    let wait = failing.next().max(at_least.unwrap_or_default());
                    self.reporter.note(&format!("{error}; asking again in {:.1} s", wait.as_secs_f64()));
                    stop.wait(wait).await;
                }
            }
        }
        self.say_goodbye().await;
    }

    /// Keeps what came. Whether everything was kept or refused.
    async fn take(&mut self, sets: Map<String, Value>) -> bool {
        let is_unverified = self.inbox.is_unverified;
        let text = |set: Value| match set {
            Value::String(set) => set,
            // Where nothing is signed, an event may stand there itself.
            claims @ Value::Object(_) if is_unverified => claims.to_string(),
            _ => String::new(),
        };
        let sets: Vec<(String, String)> = sets.into_iter().map(|(jti, set)| (jti, text(set))).collect();
        let results = self.inbox.take_all(sets.iter().map(|(jti, set)| (Some(jti.as_str()), set.as_str())), Order::Free).await;
        let mut is_whole = true;
        for ((jti, _), result) in sets.into_iter().zip(results) {
            match result {
                Ok(kept) => {
                    if kept == Kept::New {
                        self.count = self.count.map(|count| count.saturating_sub(1));
                    }
                    self.acknowledged.push(jti);
                }
                Err(Failure::Refused(refusal)) => {
                    let error = json!({"err": refusal.code.name(), "description": refusal.description});
                    self.refused.insert(jti, error);
                }
                Err(Failure::NotKept) => is_whole = false,
            }
        }
        is_whole
    }

    async fn ask(&self) -> Result<Delivery, Trouble> {
        let most_events = self.count.map_or(self.most_events, |count| count.clamp(1, self.most_events));
        let body = json!({"maxEvents": most_events, "returnImmediately": false});
        let request = self.request(body).timeout(Duration::from_millis(limits::RECEIVE_SILENCE_MS));
        let response = request.send().await.map_err(|error| Trouble::Passing(fetch::explain(error), None))?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(self.judge(status, response).await);
        }
        let body = fetch::body(response, limits::RECEIVE_POLL_BYTES).await.map_err(|error| match error {
            Broken::TooLong => Trouble::TooLarge,
            Broken::Ended(error) => Trouble::Passing(error, None),
        })?;
        serde_json::from_slice(&body).map_err(|error| Trouble::Passing(format!("the answer is not one of RFC 8936: {error}"), None))
    }

    /// What a status means. One that names a mistake of this receiver lasts, unless polling has worked before: then something at the
    /// transmitter is being changed.
    async fn judge(&self, status: StatusCode, response: reqwest::Response) -> Trouble {
        let at_least = fetch::retry_after(response.headers());
        let is_mistake = status.is_client_error() && !matches!(status.as_u16(), 408 | 425 | 429) || status.is_redirection();
        let error = format!("the transmitter answered {}", fetch::reason(response).await);
        if status == StatusCode::GONE || is_mistake && !self.was_answered {
            Trouble::Lasting(error)
        } else {
            Trouble::Passing(error, at_least)
        }
    }

    /// A request with all that waits to be acknowledged (RFC 8936 §2.4.3).
    fn request(&self, mut body: Value) -> RequestBuilder {
        let mut request = self.client.post(self.endpoint.url.clone());
        if !self.acknowledged.is_empty() {
            body["ack"] = json!(self.acknowledged);
        }
        if !self.refused.is_empty() {
            body["setErrs"] = Value::Object(self.refused.clone());
            // RFC 8936 §2.6
            request = request.header(CONTENT_LANGUAGE, "en");
        }
        if let Some(key) = &self.endpoint.authorization {
            request = request.header(AUTHORIZATION, key.clone());
        }
        request.header(CONTENT_TYPE, "application/json").header(ACCEPT, "application/json").body(body.to_string())
    }

    /// Acknowledges what was kept last (RFC 8936 §2.4.2). When it fails, that comes again and is known.
    async fn say_goodbye(&self) {
        if self.acknowledged.is_empty() && self.refused.is_empty() {
            return;
        }
        let request = self.request(json!({"maxEvents": 0, "returnImmediately": true}));
        match request.timeout(Duration::from_millis(limits::RECEIVE_FAREWELL_MS)).send().await {
            Ok(response) if response.status().is_success() => {}
            Ok(response) => self.reporter.note(&format!("the last events are not acknowledged: {}", response.status())),
            Err(error) => self.reporter.note(&format!("the last events are not acknowledged: {}", fetch::explain(error))),
        }
    }
}
