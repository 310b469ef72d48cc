//! A feed as Server-Sent Events (WHATWG HTML §9.2): one event after another, for as long as the client listens.

use super::Context;
use crate::auth::Caller;
use crate::base::limits;
use crate::delivery::{FeedRequest, Follower, Told};
use crate::scim::error::{Error, Result};
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

const MEDIA_TYPE: &str = "text/event-stream";
const LAST_EVENT_ID: &str = "last-event-id";

/// Whether a client asks for events as they come. A range of media types is no such question.
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    let ranges = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
    ranges.map(|range| range.split(';').map(str::trim)).any(|mut range| {
        let is_named = range.next().is_some_and(|name| name.eq_ignore_ascii_case(MEDIA_TYPE));
        is_named
            && !range.any(|parameter| matches!(parameter.to_ascii_lowercase().as_str(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000"))
    })
}

/// Where a client was that connects again; it beats `after`, which its URI still has.
pub(super) fn last_event_id(headers: &HeaderMap) -> Result<Option<&str>> {
    let Some(value) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else { return Ok(None) };
    value.to_str().map(Some).map_err(|_| Error::invalid_value("Last-Event-ID must be the jti of an event of this feed."))
}

/// Follows a feed. Events are read as the client takes them: one that is slow is not waited for with events in memory, and one that
/// takes nothing for the time that any answer may be left unread loses its connection.
pub(super) async fn follow(context: &Context, caller: &Arc<Caller>, request: FeedRequest<'_>) -> Result<Response> {
    let follower = context.delivery.follow_feed(caller, request).await?;
    let events = stream::unfold(follower, |mut follower: Follower| async move {
        let told = follower.next().await?;
        Some((Ok::<_, Infallible>(event(told)), follower))
    });
    let alive = KeepAlive::new().interval(Duration::from_millis(limits::FEED_HEARTBEAT_MS));
    Ok(Sse::new(events).keep_alive(alive).into_response())
}

fn event(told: Told) -> Event {
    match told {
        Told::Set { jti, set: Value::String(set) } => Event::default().id(jti).data(set),
        Told::Set { jti, set } => Event::default().id(jti).data(set.to_string()),
        Told::Gone { oldest } => Event::default().event("gone").data(json!({"oldest": oldest}).to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn events_are_asked_for_by_name() {
        for (accept, expected) in [
            ("text/event-stream", true),
            ("application/json, Text/Event-Stream;q=0.5", true),
            ("text/event-stream;q=0", false),
            ("*/*", false),
            ("text/*", false),
            ("application/scim+json", false),
        ] {
            let headers: HeaderMap = [(ACCEPT, HeaderValue::from_static(accept))].into_iter().collect();
            assert_eq!(is_asked_for(&headers), expected, "{accept}");
        }
        assert!(!is_asked_for(&HeaderMap::new()));
    }
}
