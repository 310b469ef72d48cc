//! Feeds of events, and their streams (RFC 9967 §3). There is one feed so far, `default`, with every event.

use super::Context;
use super::extract::{BaseUrl, ReadsEvents, Segment};
use super::parameters::Parameters;
use super::respond::{self, Answer};
use super::{feeds_live, poll};
use crate::delivery::stream::Format;
use crate::delivery::{DEFAULT_FEED, FeedRequest};
use crate::engine::{Search, Target};
use crate::scim::error::{Error, ErrorKind, Result};
use crate::scim::message::{self, Paging};
use crate::scim::search::SearchRequest;
use crate::store::Detail;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// URN of a feed's description.
pub(super) const FEED: &str = "urn:ietf:params:scim:schemas:core:2.0:Feed";
/// URN of an answer of a stream.
pub(super) const FEED_STREAM: &str = "urn:ietf:params:scim:api:messages:2.0:FeedStream";

/// Every feed.
pub(super) async fn list(_: ReadsEvents, base: BaseUrl) -> Answer {
    let relative = format!("/Events/Feeds/{DEFAULT_FEED}");
    let feed = json!({
        "id": DEFAULT_FEED, "displayName": "Every event", "uri": format!("{}{relative}", &*base), "relativeUri": relative,
    });
    Ok(respond::json(StatusCode::OK, message::list_response(1, 1, &[feed.to_string().into_bytes()])))
}

/// One feed, with a page of the resources whose events it holds: every one.
pub(super) async fn read(
    State(context): State<Arc<Context>>,
    ReadsEvents(caller): ReadsEvents,
    Segment(id): Segment,
    base: BaseUrl,
    parameters: Parameters,
) -> Answer {
    known(&context, &id)?;
    let uri = format!("{}/Events/Feeds/{id}", &*base);
    let Parameters { start_index, count, cursor, .. } = parameters;
    let request = SearchRequest { start_index, count, cursor, ..SearchRequest::default() };
    let registry = context.engine.registry();
    let targets: Vec<Target<'_>> = registry.types().iter().map(|kind| Target { kind, detail: Detail::default() }).collect();
    let search = Search { endpoint: "/Events/Feeds", targets: &targets, request: &request };
    let listing = context.within(context.engine.search(&caller, search)).await?;
    let address = |key: &crate::base::id::Key| registry.address("", key.kind, &key.id.to_string());
    let members: Vec<String> = listing.resources.iter().filter_map(|stored| address(&stored.key)).collect();
    let mut feed = json!({
        "schemas": [FEED], "id": id, "displayName": "Every event", "uri": uri,
        "poll": {"supported": context.delivery.polls(), "stream": format!("{uri}/Stream")},
        "totalResults": listing.total, "itemsPerPage": members.len(),
    });
    match listing.paging {
        Paging::Index(index) => feed["startIndex"] = index.into(),
        Paging::Cursor(Some(cursor)) => feed["nextCursor"] = cursor.into(),
        Paging::Cursor(None) => {}
    }
    feed["members"] = members.into();
    Ok(respond::json(StatusCode::OK, feed.to_string()))
}

/// The events of a feed after one of them: a page, at once or as soon as there is one; or each as it comes.
pub(super) async fn stream(
    State(context): State<Arc<Context>>,
    ReadsEvents(caller): ReadsEvents,
    Segment(id): Segment,
    parameters: Parameters,
    headers: HeaderMap,
) -> Answer {
    known(&context, &id)?;
    if !context.delivery.polls() {
        return Err(Error::new(ErrorKind::Forbidden, "Polling is switched off here (SET_POLL_ENABLED).").into());
    }
    let (format, wait) = (format(&parameters)?, wait(&context, &parameters)?);
    let request = FeedRequest { feed: &id, after: parameters.after.as_deref(), limit: limit(&parameters)?, format, wait };
    if feeds_live::is_asked_for(&headers) {
        let after = feeds_live::last_event_id(&headers)?.or(request.after);
        return Ok(feeds_live::follow(&context, &caller, FeedRequest { after, ..request }).await?);
    }
    // It bounds its waiting by itself.
    let page = context.delivery.read_feed(&caller, request).await?;
    let answer: Value = json!({"schemas": [FEED_STREAM], "feed": id, "sets": page.sets, "moreAvailable": page.more_available});
    Ok(respond::json(StatusCode::OK, context.answers.hold(answer.to_string().into_bytes())?))
}

fn known(context: &Context, id: &str) -> Result<()> {
    if context.delivery.feed_exists(id) {
        return Ok(());
    }
    Err(Error::new(ErrorKind::NotFound, format!("Feed {} not found.", crate::scim::path::shorten(id))))
}

fn limit(parameters: &Parameters) -> Result<Option<usize>> {
    let whole = |limit: i64| usize::try_from(limit).map_err(|_| Error::invalid_value("limit must not be negative."));
    parameters.limit.map(whole).transpose()
}

fn format(parameters: &Parameters) -> Result<Format> {
    match parameters.format.as_deref() {
        None | Some("json") => Ok(Format::Json),
        Some("jwt") => Ok(Format::Jwt),
        Some(_) => Err(Error::invalid_value("format is 'json' or 'jwt'.")),
    }
}

/// Seconds; a longer wait than any may be is as long as one may be.
fn wait(context: &Context, parameters: &Parameters) -> Result<Duration> {
    let seconds = parameters.wait.unwrap_or(0);
    let seconds = u64::try_from(seconds).map_err(|_| Error::invalid_value("wait must not be negative."))?;
    Ok(Duration::from_secs(seconds).min(poll::patience(context)))
}
