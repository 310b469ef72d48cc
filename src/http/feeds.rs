//! Feeds of events, and their streams (RFC 9967 §3). There is one feed so far, `default`, with every event.

use super::Context;
use super::extract::{Authenticated, BaseUrl, Segment};
use super::parameters::Parameters;
use super::respond::{self, Answer};
use crate::engine::{DEFAULT_FEED, FeedRequest};
use crate::scim::error::{Error, ErrorKind, Result};
use crate::scim::message;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

/// URN of a feed's description.
pub(super) const FEED: &str = "urn:ietf:params:scim:schemas:core:2.0:Feed";
/// URN of an answer of a stream.
pub(super) const FEED_STREAM: &str = "urn:ietf:params:scim:api:messages:2.0:FeedStream";

/// Every feed.
pub(super) async fn list(_: Authenticated, base: BaseUrl) -> Answer {
    let relative = format!("/Events/Feeds/{DEFAULT_FEED}");
    let feed = json!({
        "id": DEFAULT_FEED, "displayName": "Every event", "uri": format!("{}{relative}", &*base), "relativeUri": relative,
    });
    Ok(respond::json(StatusCode::OK, message::list_response(1, 1, &[feed.to_string().into_bytes()])))
}

/// One feed.
pub(super) async fn read(_: Authenticated, Segment(id): Segment, base: BaseUrl) -> Answer {
    known(&id)?;
    let uri = format!("{}/Events/Feeds/{id}", &*base);
    let feed = json!({
        "schemas": [FEED], "id": id, "displayName": "Every event", "uri": uri,
        "poll": {"supported": false, "stream": format!("{uri}/Stream")},
    });
    Ok(respond::json(StatusCode::OK, feed.to_string()))
}

/// The events of a feed after one of them.
pub(super) async fn stream(
    State(context): State<Arc<Context>>,
    Authenticated(caller): Authenticated,
    Segment(id): Segment,
    base: BaseUrl,
    parameters: Parameters,
) -> Answer {
    known(&id)?;
    refuse_unbuilt(&parameters)?;
    let origin = base.strip_suffix(context.surface.base_path.as_str()).unwrap_or(&base);
    let request = FeedRequest { feed: &id, after: parameters.after.as_deref(), limit: limit(&parameters)?, base: &base, origin };
    let page = context.within(context.engine.read_feed(&caller, request)).await?;
    let answer: Value = json!({"schemas": [FEED_STREAM], "feed": id, "sets": page.sets, "moreAvailable": page.more_available});
    Ok(respond::json(StatusCode::OK, context.answers.hold(answer.to_string().into_bytes())?))
}

fn known(id: &str) -> Result<()> {
    if id == DEFAULT_FEED {
        return Ok(());
    }
    Err(Error::new(ErrorKind::NotFound, format!("Feed {} not found.", crate::scim::path::shorten(id))))
}

fn limit(parameters: &Parameters) -> Result<Option<usize>> {
    let whole = |limit: i64| usize::try_from(limit).map_err(|_| Error::invalid_value("limit must not be negative."));
    parameters.limit.map(whole).transpose()
}

fn refuse_unbuilt(parameters: &Parameters) -> Result<()> {
    let unbuilt = |detail| Err(Error::new(ErrorKind::NotImplemented, detail));
    match (parameters.format.as_deref(), parameters.wait) {
        (None | Some("json"), None | Some(0)) => Ok(()),
        (None | Some("json"), Some(_)) => unbuilt("wait is not built yet: ask again without it."),
        (Some("jwt"), _) => unbuilt("format is 'json': others are not built yet."),
        (Some(_), _) => Err(Error::invalid_value("format is 'json' or 'jwt'.")),
    }
}
