//! Polls (RFC 8936): of a stream by its name, and of the caller's own stream of a feed.

use super::Context;
use super::extract::{PollJson, ReadsEvents, Segment};
use super::respond::{self, Answer};
use crate::base::limits;
use crate::delivery::{Offer, PollAnswer, PollRequest};
use crate::scim::error::{Error, ErrorKind, Result};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// A poll of a stream.
pub(super) async fn stream(
    State(context): State<Arc<Context>>,
    ReadsEvents(caller): ReadsEvents,
    Segment(id): Segment,
    PollJson(body): PollJson,
) -> Answer {
    let request = PollRequest::parse(&body)?;
    respond(&context, context.delivery.poll_stream(&caller, &id, request, patience(&context)).await?)
}

/// A poll of the caller's own stream of a feed.
pub(super) async fn feed(
    State(context): State<Arc<Context>>,
    ReadsEvents(caller): ReadsEvents,
    Segment(id): Segment,
    PollJson(body): PollJson,
) -> Answer {
    let request = PollRequest::parse(&body)?;
    respond(&context, context.delivery.poll_feed(&caller, &id, request, patience(&context)).await?)
}

/// How long a request may wait for events.
pub(super) fn patience(context: &Context) -> Duration {
    Duration::from_secs(context.surface.limits.poll_wait_seconds)
}

/// RFC 8936 §2.3. What of the answer has not been taken by its connection when that ends goes back to the stream at once.
fn respond(context: &Context, answer: PollAnswer) -> Answer {
    let PollAnswer { sets, more_available, offer } = answer;
    let bytes = context.answers.hold(body(&sets, more_available)?)?;
    let length = bytes.len();
    let mut response: Response = respond::json(StatusCode::OK, in_pieces(bytes, offer));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn body(sets: &[(String, String)], more_available: bool) -> Result<Vec<u8>> {
    let mut body = Vec::with_capacity(64 + sets.iter().map(|(jti, set)| jti.len() + set.len() + 8).sum::<usize>());
    body.extend_from_slice(br#"{"sets":{"#);
    for (index, (jti, set)) in sets.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        text(jti, &mut body)?;
        body.push(b':');
        text(set, &mut body)?;
    }
    body.extend_from_slice(if more_available { br#"},"moreAvailable":true}"# } else { b"}}" });
    Ok(body)
}

fn text(text: &str, body: &mut Vec<u8>) -> Result<()> {
    serde_json::to_writer(body, text).map_err(|_| Error::new(ErrorKind::Internal, "The server failed."))
}

/// A body whose last piece, once its connection has taken it, makes the SETs the receiver's.
fn in_pieces(bytes: Bytes, offer: Offer) -> Body {
    Body::from_stream(stream::unfold((bytes, Some(offer)), |(mut rest, mut offer)| async move {
        if rest.is_empty() {
            return None;
        }
        let piece = rest.split_to(rest.len().min(limits::POLL_PIECE_BYTES));
        if rest.is_empty() {
            offer.take().into_iter().for_each(Offer::handed_over);
        }
        Some((Ok::<_, Infallible>(piece), (rest, offer)))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 8936-2.3-01 8936-2.3-02
    #[test]
    fn an_answer_has_its_shape() {
        let sets = [("1.a".to_owned(), "h.p.s".to_owned()), ("2.b".to_owned(), r#"{"iss":"x"}"#.to_owned())];
        let shown = |sets: &[(String, String)], more| String::from_utf8(body(sets, more).expect("a body")).expect("text");
        assert_eq!(shown(&[], false), r#"{"sets":{}}"#);
        assert_eq!(shown(&[], true), r#"{"sets":{},"moreAvailable":true}"#);
        assert_eq!(shown(&sets, true), r#"{"sets":{"1.a":"h.p.s","2.b":"{\"iss\":\"x\"}"},"moreAvailable":true}"#);
    }
}
