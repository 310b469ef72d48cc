//! One attempt: a SET is rendered, signed and sent, and the answer judged.

use super::Pushing;
use super::answer::{Answer, Class, judge};
use super::breaker::{Breaker, Probe};
use super::client::Request;
use super::endpoint::Endpoint;
use crate::base::secret::Secret;
use crate::delivery::stream::{Format, Stream, Verification};
use crate::delivery::window::Taken;
use crate::event::claims::Tag;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Where a stream's SETs go, and what they are made with.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) stream: Arc<Stream>,
    pub(super) endpoint: Endpoint,
    pub(super) authorization: Option<Secret>,
    pub(super) tag: Tag,
    pub(super) breaker: Arc<Breaker>,
    pub(super) format: Format,
}

/// What is sent.
#[derive(Clone, Debug)]
pub(super) enum Parcel {
    Event(Taken),
    /// And the stream as it asks for it.
    Verification(Verification, Arc<Stream>),
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Attempted {
    pub(super) parcel: Parcel,
    /// `None` when there is nothing of the event that the receiver may see.
    pub(super) answer: Option<Answer>,
    pub(super) jti: String,
    /// The round of the stream's pace in which it began.
    pub(super) round: u64,
    pub(super) probe: Option<Probe>,
    /// From the beginning of the request to its end.
    pub(super) elapsed: Duration,
}

/// An attempt that is to be made.
#[derive(Debug)]
pub(super) struct Attempt {
    pub(super) parcel: Parcel,
    pub(super) round: u64,
    pub(super) probe: Option<Probe>,
    /// Whether the receiver is one of those that answer late.
    pub(super) is_late: bool,
}

enum Rendered {
    NotTheStreams,
    Unsendable(&'static str),
    Set(String),
}

/// Counts a request for as long as it is under way.
struct InFlight;

impl InFlight {
    fn begin() -> Self {
        metrics::gauge!("carillon_push_in_flight").increment(1.0);
        Self
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        metrics::gauge!("carillon_push_in_flight").decrement(1.0);
    }
}

impl Attempt {
    /// Makes it. The SET is signed once its turn has come, by the key that then is active.
    pub(super) async fn make(self, pushing: Arc<Pushing>, route: Arc<Route>) -> Attempted {
        let Self { parcel, round, probe, is_late } = self;
        let permit = pushing.permits.acquire(is_late).await;
        let (jti, rendered) = render(&pushing, &route, &parcel).await;
        let started = Instant::now();
        let answer = match rendered {
            Rendered::NotTheStreams => None,
            Rendered::Unsendable(error) => {
                Some(Answer { class: Class::Unsendable, status: None, error: error.into(), description: None, wait: None })
            }
            Rendered::Set(body) => {
                let _in_flight = InFlight::begin();
                let content_type = match route.format {
                    Format::Jwt => "application/secevent+jwt",
                    Format::Json => "application/json",
                };
                let authorization = route.authorization.as_ref();
                let reply = pushing.courier.send(Request { endpoint: &route.endpoint, authorization, content_type, body }).await;
                Some(judge(&reply, authorization, pushing.clock.now()))
            }
        };
        drop(permit);
        Attempted { parcel, answer, jti, round, probe, elapsed: started.elapsed() }
    }
}

async fn render(pushing: &Pushing, route: &Route, parcel: &Parcel) -> (String, Rendered) {
    let (renderer, stream) = (&pushing.renderer, &route.stream);
    let taken = match parcel {
        Parcel::Event(taken) => taken,
        Parcel::Verification(_, stream) => {
            return match renderer.verification(stream).await {
                Ok(Some((jti, set))) => (jti, Rendered::Set(set)),
                Ok(None) => (String::new(), Rendered::NotTheStreams),
                Err(error) => (String::new(), unsendable(&error)),
            };
        }
    };
    let jti = route.tag.jti(taken.logged.event.id);
    let Some(claims) = renderer.claims(stream, &route.tag, &taken.logged.event) else { return (jti, Rendered::NotTheStreams) };
    match renderer.encode(stream, &claims) {
        Ok(set) => (jti, Rendered::Set(set)),
        Err(error) => (jti, unsendable(&error)),
    }
}

fn unsendable(error: &crate::scim::error::Error) -> Rendered {
    tracing::warn!(%error, "an event cannot be signed");
    Rendered::Unsendable("signing")
}

impl Attempted {
    /// The line of the log and the numbers of one attempt; `next` is when there is another.
    pub(super) fn record(&self, answer: &Answer, stream: &Stream, next: Option<Duration>) {
        let class = answer.class.name();
        metrics::counter!("carillon_delivery_attempts_total", "method" => "push", "class" => class).increment(1);
        let (place, txn, attempt, replay) = match &self.parcel {
            Parcel::Event(taken) => {
                let event = &taken.logged.event;
                (Some(taken.logged.place.0), event.txn.as_str(), Some(taken.attempts), taken.is_replay)
            }
            Parcel::Verification(verification, _) => (None, verification.event.as_str(), None, false),
        };
        if attempt.is_some_and(|attempt| attempt > 1) || replay {
            metrics::counter!("carillon_redeliveries_total").increment(1);
        }
        tracing::info!(
            target: "carillon::delivery",
            stream = stream.id.as_str(),
            place,
            jti = self.jti,
            txn,
            class,
            status = answer.status,
            error = if answer.class == Class::Accepted { None } else { Some(answer.error.as_str()) },
            ms = millis(self.elapsed),
            attempt,
            replay,
            next_attempt_ms = next.map(millis),
            "pushed"
        );
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
