//! Streams: what a receiver subscribes to, by the names of SSF's stream configuration (SSF §8.1). Their status, their verification,
//! their dead letters, and replay.

use super::Context;
use super::extract::{BaseUrl, ManagesStreams, ScimJson, Segment};
use super::parameters::Parameters;
use super::respond::{self, Answer};
use crate::delivery::stream::Stream;
use crate::scim::message;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};
use std::sync::Arc;

/// The streams of the caller, a page of them.
pub(super) async fn list(
    State(context): State<Arc<Context>>,
    ManagesStreams(caller): ManagesStreams,
    base: BaseUrl,
    parameters: Parameters,
) -> Answer {
    let streams = context.delivery.streams_of(&caller);
    let most = context.surface.limits.page_size;
    let start_index = u64::try_from(parameters.start_index.unwrap_or(1)).unwrap_or(0).max(1);
    let count = parameters.count.map_or(most, |count| u64::try_from(count).unwrap_or(0).min(most));
    let (skipped, taken) = (usize::try_from(start_index - 1).unwrap_or(usize::MAX), usize::try_from(count).unwrap_or(usize::MAX));
    let page = streams.iter().skip(skipped).take(taken);
    let shown: Vec<Vec<u8>> = page.map(|stream| text(&context, stream, &base).into_bytes()).collect();
    let body = message::list_response(streams.len() as u64, start_index, &shown);
    Ok(unstored(respond::json(StatusCode::OK, context.answers.hold(body)?)))
}

/// One of them.
pub(super) async fn read(
    State(context): State<Arc<Context>>,
    ManagesStreams(caller): ManagesStreams,
    Segment(id): Segment,
    base: BaseUrl,
) -> Answer {
    let stream = context.delivery.stream_of(&caller, &id)?;
    Ok(one(StatusCode::OK, &context, &stream, &base))
}

/// A new one (SSF §8.1.1.1).
pub(super) async fn create(
    State(context): State<Arc<Context>>,
    ManagesStreams(caller): ManagesStreams,
    base: BaseUrl,
    ScimJson(body, _room): ScimJson,
) -> Answer {
    let stream = context.within(context.delivery.create_stream(&caller, &body)).await?;
    let mut answer = one(StatusCode::CREATED, &context, &stream, &base);
    respond::set_location(&mut answer, format!("{}/Events/Streams/{}", &*base, stream.id));
    Ok(answer)
}

/// Some members of one (SSF §8.1.1.3).
pub(super) async fn modify(
    State(context): State<Arc<Context>>,
    ManagesStreams(caller): ManagesStreams,
    Segment(id): Segment,
    base: BaseUrl,
    ScimJson(body, _room): ScimJson,
) -> Answer {
    let stream = context.within(context.delivery.patch_stream(&caller, &id, &base, &body)).await?;
    Ok(one(StatusCode::OK, &context, &stream, &base))
}

/// All members of one (SSF §8.1.1.4).
pub(super) async fn replace(
    State(context): State<Arc<Context>>,
    ManagesStreams(caller): ManagesStreams,
    Segment(id): Segment,
    base: BaseUrl,
    ScimJson(body, _room): ScimJson,
) -> Answer {
    let stream = context.within(context.delivery.replace_stream(&caller, &id, &base, &body)).await?;
    Ok(one(StatusCode::OK, &context, &stream, &base))
}

/// The end of one (SSF §8.1.1.5).
pub(super) async fn delete(
    State(context): State<Arc<Context>>,
    ManagesStreams(caller): ManagesStreams,
    Segment(id): Segment,
) -> Answer {
    context.within(context.delivery.delete_stream(&caller, &id)).await?;
    Ok(respond::without_body(StatusCode::NO_CONTENT, None))
}

/// Whether it is delivered (SSF §8.1.2.1).
pub(super) async fn read_status(
    State(context): State<Arc<Context>>,
    ManagesStreams(caller): ManagesStreams,
    Segment(id): Segment,
) -> Answer {
    let stream = context.delivery.stream_of(&caller, &id)?;
    Ok(unstored(respond::json(StatusCode::OK, status(&stream).to_string())))
}

/// Whether it is to be delivered (SSF §8.1.2.2).
pub(super) async fn set_status(
    State(context): State<Arc<Context>>,
    ManagesStreams(caller): ManagesStreams,
    Segment(id): Segment,
    ScimJson(body, _room): ScimJson,
) -> Answer {
    let stream = context.within(context.delivery.set_stream_status(&caller, &id, &body)).await?;
    Ok(unstored(respond::json(StatusCode::OK, status(&stream).to_string())))
}

/// A verification event is to come (SSF §8.1.4.2).
pub(super) async fn verify(
    State(context): State<Arc<Context>>,
    ManagesStreams(caller): ManagesStreams,
    Segment(id): Segment,
    ScimJson(body, _room): ScimJson,
) -> Answer {
    context.within(context.delivery.verify_stream(&caller, &id, &body)).await?;
    Ok(respond::without_body(StatusCode::NO_CONTENT, None))
}

/// What its receiver refused for good.
pub(super) async fn dead_letters(
    State(context): State<Arc<Context>>,
    ManagesStreams(caller): ManagesStreams,
    Segment(id): Segment,
    parameters: Parameters,
) -> Answer {
    let (after, limit) = (parameters.after.as_deref(), parameters.limit);
    let letters = context.within(context.delivery.dead_letters(&caller, &id, after, limit)).await?;
    Ok(unstored(respond::json(StatusCode::OK, letters.to_string())))
}

/// Dead letters once more.
pub(super) async fn retry(
    State(context): State<Arc<Context>>,
    ManagesStreams(caller): ManagesStreams,
    Segment(id): Segment,
    ScimJson(body, _room): ScimJson,
) -> Answer {
    let retried = context.within(context.delivery.retry_dead_letters(&caller, &id, &body)).await?;
    Ok(respond::json(StatusCode::OK, retried.to_string()))
}

/// Dead letters no more.
pub(super) async fn discard(
    State(context): State<Arc<Context>>,
    ManagesStreams(caller): ManagesStreams,
    Segment(id): Segment,
    ScimJson(body, _room): ScimJson,
) -> Answer {
    let discarded = context.within(context.delivery.discard_dead_letters(&caller, &id, &body)).await?;
    Ok(respond::json(StatusCode::OK, discarded.to_string()))
}

/// Its events once more, from one of them or from a time on.
pub(super) async fn replay(
    State(context): State<Arc<Context>>,
    ManagesStreams(caller): ManagesStreams,
    Segment(id): Segment,
    base: BaseUrl,
    ScimJson(body, _room): ScimJson,
) -> Answer {
    let stream = context.within(context.delivery.replay(&caller, &id, &body)).await?;
    Ok(one(StatusCode::OK, &context, &stream, &base))
}

fn text(context: &Context, stream: &Stream, base: &str) -> String {
    Value::Object(context.delivery.represent(stream, base)).to_string()
}

fn one(status: StatusCode, context: &Context, stream: &Stream, base: &str) -> Response {
    unstored(respond::json(status, text(context, stream, base)))
}

fn status(stream: &Stream) -> Value {
    let mut status = json!({"stream_id": stream.id.as_str(), "status": stream.status});
    if let Some(reason) = &stream.reason {
        status["reason"] = reason.as_str().into();
    }
    status
}

/// What it says may be otherwise a moment later (SSF-8.1.1.2-02).
fn unstored(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
