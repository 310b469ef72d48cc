//! The paths of feeds and of polls, and the messages there.

use super::document::Source;
use super::message::{exactly, list, reference};
use super::operation::Operation;
use super::paths::{EVENTS, add};
use crate::base::limits;
use crate::delivery::DEFAULT_FEED;
use crate::http::feeds::{FEED, FEED_STREAM};
use serde_json::{Map, Value, json};

/// Those of the messages here that do not end like something derived.
pub(super) const NAMES: [&str; 4] = ["Feed", "FeedEntry", "FeedStream", "PollAnswer"];

/// Every path of feeds, and the polls of streams.
pub(super) fn paths(source: &Source<'_>, paths: &mut Map<String, Value>) {
    let listed = Operation::new(EVENTS, "listFeeds", "List feeds").answers(200, "Every feed.", &reference("FeedList"), &[]);
    add(paths, source.at("/Events/Feeds"), [("get", listed)]);
    let read = feed_of("readFeed", "Read a feed")
        .takes(&["startIndex", "count", "cursor"])
        .answers(200, "The feed, with a page of its resources.", &reference("Feed"), &[])
        .failures(&[404]);
    add(paths, source.at("/Events/Feeds/{id}"), [("get", read)]);
    let last = json!({
        "name": "Last-Event-ID", "in": "header", "required": false, "schema": {"type": "string"},
        "description": "Where a client was that connects again for Server-Sent Events; nothing elsewhere.",
    });
    let streamed = feed_of("readStream", "Read events after one of them")
        .about("With `Accept: text/event-stream` each event comes as it happens: `id` is its `jti`, and `Last-Event-ID` goes before `after`.")
        .takes(&["after", "limit", "format", "wait"])
        .parameter(last)
        .answers(200, "Events, oldest first.", &reference("FeedStream"), &[])
        .answers_in("text/event-stream", 200, "Events, oldest first.", &json!({"type": "string"}), &[])
        .failures(&[404, 410]);
    let polled = poll(feed_of("pollFeed", "Poll a feed (RFC 8936)"))
        .about("Each caller has a stream of its own of each feed, which its first poll makes.");
    add(paths, source.at("/Events/Feeds/{id}/Stream"), [("get", streamed), ("post", polled)]);
    let polled = poll(super::streams::stream("pollStream", "Poll a stream (RFC 8936)"));
    add(paths, source.at("/Events/Streams/{id}/Poll"), [("post", polled)]);
}

/// An operation on one feed.
fn feed_of(id: &str, summary: &str) -> Operation {
    let schema = json!({"type": "string", "enum": [DEFAULT_FEED]});
    let parameter = json!({"name": "id", "in": "path", "required": true, "schema": schema, "description": "The feed."});
    Operation::new(EVENTS, id, summary).parameter(parameter)
}

fn poll(operation: Operation) -> Operation {
    let examples = [("What there is", json!({"returnImmediately": true})), ("Wait", json!({}))];
    operation
        .body(&reference("PollRequest"), &examples)
        .answers_in("application/json", 200, "SETs to be acknowledged, by jti.", &reference("PollAnswer"), &["Cache-Control"])
        .failures(&[404, 409, 410])
}

/// Every message, with its name under `components`.
pub(super) fn messages() -> Vec<(String, Value)> {
    let named = [
        ("Feed", feed()),
        ("FeedEntry", feed_entry()),
        ("FeedList", list(&reference("FeedEntry"))),
        ("FeedStream", feed_stream()),
        ("PollRequest", poll_request()),
        ("PollAnswer", poll_answer()),
    ];
    named.map(|(name, schema)| (name.to_owned(), schema)).into()
}

/// RFC 8936 §2.2.
fn poll_request() -> Value {
    let error = json!({
        "type": "object", "required": ["err"],
        "properties": {"err": {"type": "string", "minLength": 1}, "description": {"type": ["string", "null"]}},
    });
    let jtis = limits::POLL_ACKNOWLEDGEMENTS;
    json!({
        "title": "PollRequest", "type": "object",
        "properties": {
            "ack": {"type": ["array", "null"], "items": {"type": "string"}, "maxItems": jtis},
            "setErrs": {"type": ["object", "null"], "additionalProperties": error, "maxProperties": jtis},
            "maxEvents": {"type": ["integer", "null"], "minimum": 0},
            "returnImmediately": {"type": ["boolean", "null"]},
        },
    })
}

/// RFC 8936 §2.3.
fn poll_answer() -> Value {
    json!({
        "title": "PollAnswer", "type": "object",
        "properties": {
            "sets": {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": limits::POLL_EVENTS},
            "moreAvailable": {"type": "boolean"},
        },
        "required": ["sets"], "additionalProperties": false,
    })
}

fn feed_entry() -> Value {
    json!({
        "title": "FeedEntry", "type": "object",
        "properties": {
            "id": {"type": "string"}, "displayName": {"type": "string"},
            "uri": {"type": "string", "format": "uri"}, "relativeUri": {"type": "string"},
        },
        "required": ["id", "displayName", "uri", "relativeUri"],
    })
}

fn feed() -> Value {
    json!({
        "title": "Feed", "type": "object", "description": "A set of resources whose events belong together (RFC 9967 §3).",
        "properties": {
            "schemas": exactly(FEED), "id": {"type": "string"}, "displayName": {"type": "string"},
            "uri": {"type": "string", "format": "uri"},
            "totalResults": {"type": "integer", "minimum": 0}, "itemsPerPage": {"type": "integer", "minimum": 0},
            "startIndex": {"type": "integer", "minimum": 1}, "nextCursor": {"type": "string"},
            "members": {"type": "array", "items": {"type": "string"}, "description": "The relative URIs of a page of its resources."},
            "poll": {"type": "object", "properties": {
                "supported": {"type": "boolean"}, "stream": {"type": "string", "format": "uri"},
            }},
        },
        "required": ["schemas", "id", "displayName", "uri"],
    })
}

fn feed_stream() -> Value {
    json!({
        "title": "FeedStream", "type": "object", "description": "Events of a feed, oldest first.",
        "properties": {
            "schemas": exactly(FEED_STREAM), "feed": {"type": "string"},
            "sets": {"type": "array", "items": {
                "type": ["object", "string"], "description": "The claims of a Security Event Token (RFC 8417, RFC 9967), or with `format=jwt` the token.",
                "properties": {
                    "iss": {"type": "string"}, "iat": {"type": "integer"}, "jti": {"type": "string"}, "txn": {"type": "string"},
                    "aud": {"type": "array", "items": {"type": "string"}},
                    "sub_id": {"type": "object"}, "events": {"type": "object", "minProperties": 1, "maxProperties": 1},
                },
                "required": ["iss", "iat", "jti", "aud", "events"],
            }},
            "moreAvailable": {"type": "boolean"},
        },
        "required": ["schemas", "feed", "sets", "moreAvailable"], "additionalProperties": false,
    })
}
