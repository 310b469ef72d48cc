//! The paths of streams, and the messages there.

use super::document::Source;
use super::message::{list, reference};
use super::operation::Operation;
use super::paths::{EVENTS, add};
use crate::base::limits;
use crate::event::{Kind, Mode};
use serde_json::{Map, Value, json};

/// Those of the messages here that do not end like something derived.
pub(super) const NAMES: [&str; 5] = ["Stream", "StreamStatus", "DeadLetters", "DeadLettersRetried", "DeadLettersDiscarded"];

const UNSTORED: &[&str] = &["Cache-Control"];

/// Every path of streams.
pub(super) fn paths(source: &Source<'_>, paths: &mut Map<String, Value>) {
    let at = |path: &str| source.at(&format!("/Events/Streams{path}"));
    let linked = ["readOneStream", "modifyStream", "replaceStream", "deleteStream", "readStreamStatus"].map(str::to_owned);
    let created = Operation::new(EVENTS, "createStream", "Make a stream")
        .body(&reference("StreamCreateRequest"), &[("Push", pushed()), ("Poll", polled())])
        .answers(201, "The stream.", &reference("Stream"), &["Location", "Cache-Control"])
        .links_at(201, "/stream_id", &linked)
        .failures(&[409, 410]);
    let listed = Operation::new(EVENTS, "listStreams", "List your streams").takes(&["startIndex", "count"]).answers(
        200,
        "A page of them.",
        &reference("StreamList"),
        UNSTORED,
    );
    add(paths, at(""), [("get", listed), ("post", created)]);
    add(
        paths,
        at("/{id}"),
        [
            ("get", stream("readOneStream", "Read a stream").answers(200, "The stream.", &reference("Stream"), UNSTORED)),
            ("put", changes("replaceStream", "Replace what a stream is", "What is missing gets its default (SSF §8.1.1.4).")),
            ("patch", changes("modifyStream", "Change members of a stream", "A JSON merge (SSF §8.1.1.3, RFC 7386).")),
            ("delete", stream("deleteStream", "Remove a stream").answers_empty(204, "It is gone.", &[]).failures(&[409])),
        ],
    );
    let status = |operation: Operation| operation.answers(200, "Its status.", &reference("StreamStatus"), UNSTORED);
    let set = stream("setStreamStatus", "Enable, pause or disable a stream")
        .body(&reference("StreamStatusRequest"), &[("Pause", json!({"status": "paused", "reason": "maintenance"}))]);
    let read = stream("readStreamStatus", "Read the status of a stream");
    add(paths, at("/{id}/Status"), [("get", status(read)), ("post", status(set))]);
    let verify = stream("verifyStream", "Have a verification event sent")
        .body(&reference("StreamVerifyRequest"), &[("With a state", json!({"state": "VGhpcyBpcyBhbiBleGFtcGxl"}))])
        .answers_empty(204, "It will be.", &[])
        .failures(&[409]);
    add(paths, at("/{id}/Verify"), [("post", verify)]);
    let replay = stream("replayStream", "Have events delivered once more")
        .body(&reference("StreamReplayRequest"), &[("Since a time", json!({"since": "2026-01-01T00:00:00Z"}))])
        .answers(200, "The stream.", &reference("Stream"), UNSTORED)
        .failures(&[410]);
    add(paths, at("/{id}/Replay"), [("post", replay)]);
    of_letters(source, paths);
}

fn of_letters(source: &Source<'_>, paths: &mut Map<String, Value>) {
    let at = |path: &str| source.at(&format!("/Events/Streams/{{id}}/DeadLetters{path}"));
    let query = |name: &str, schema: Value, text: &str| json!({"name": name, "in": "query", "required": false, "schema": schema, "description": text});
    let limit = format!("Most of them; {} by default, at most {}.", limits::DEAD_LETTERS_DEFAULT, limits::DEAD_LETTERS);
    let listed = stream("listDeadLetters", "List what the receiver refused for good")
        .parameter(query("after", json!({"type": "string", "pattern": "^[0-9]{1,19}$"}), "The `next` of the page before."))
        .parameter(query("limit", json!({"type": "integer", "minimum": 0}), &limit))
        .answers(200, "A page of them.", &reference("DeadLetters"), UNSTORED);
    add(paths, at(""), [("get", listed)]);
    let retry = stream("retryDeadLetters", "Send dead letters once more")
        .body(&reference("DeadLettersRetryRequest"), &[("All", json!({}))])
        .answers(200, "How many, and of how many the event is no longer kept.", &reference("DeadLettersRetried"), &[]);
    add(paths, at("/Retry"), [("post", retry)]);
    let discard = stream("discardDeadLetters", "Give dead letters up")
        .body(
            &reference("DeadLettersDiscardRequest"),
            &[("One", json!({"jtis": ["0190c7a47f2a70008000000000000001.0123456789abcdef"], "reason": "seen to"}))],
        )
        .answers(200, "How many.", &reference("DeadLettersDiscarded"), &[]);
    add(paths, at("/Discard"), [("post", discard)]);
}

/// An operation on one stream.
fn stream(id: &str, summary: &str) -> Operation {
    let schema = json!({"type": "string", "minLength": 1});
    let parameter =
        json!({"name": "id", "in": "path", "required": true, "schema": schema, "description": "The stream's `stream_id`."});
    Operation::new(EVENTS, id, summary).parameter(parameter).failures(&[404])
}

fn changes(id: &str, summary: &str, about: &str) -> Operation {
    stream(id, summary)
        .about(about)
        .body(&reference("StreamUpdateRequest"), &[("A description", json!({"description": "the payroll's"}))])
        .answers(200, "The stream as it is now.", &reference("Stream"), UNSTORED)
        .failures(&[409])
}

fn pushed() -> Value {
    json!({
        "delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": "https://receiver.example.com/events", "authorization_header": "Bearer …"},
        "description": "the payroll's", "resource_types": ["User"], "mode": "notice", "start": "now",
    })
}

fn polled() -> Value {
    json!({"delivery": {"method": "urn:ietf:rfc:8936"}, "attributes": {"deny": ["name"]}})
}

/// Every message, with its name under `components`.
pub(super) fn messages() -> Vec<(String, Value)> {
    let named = [
        ("Stream", represented()),
        ("StreamList", list(&reference("Stream"))),
        ("StreamCreateRequest", sent(true)),
        ("StreamUpdateRequest", sent(false)),
        ("StreamStatus", status(&["stream_id", "status"])),
        ("StreamStatusRequest", status(&["status"])),
        ("StreamVerifyRequest", object(&json!({"stream_id": text(), "state": nullable(&limited())}), &[])),
        ("StreamReplayRequest", replay()),
        ("DeadLetters", dead_letters()),
        ("DeadLettersRetryRequest", object(&json!({"jtis": nullable(&jtis())}), &[])),
        ("DeadLettersRetried", object(&json!({"retried": count(), "gone": count()}), &["retried", "gone"])),
        ("DeadLettersDiscardRequest", object(&json!({"jtis": jtis(), "reason": discarded()}), &["jtis", "reason"])),
        ("DeadLettersDiscarded", object(&json!({"discarded": count()}), &["discarded"])),
    ];
    named.map(|(name, schema)| (name.to_owned(), schema)).into()
}

fn object(properties: &Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

fn text() -> Value {
    json!({"type": "string"})
}

fn limited() -> Value {
    json!({"type": "string", "maxLength": limits::STREAM_TEXT_BYTES / 4})
}

fn discarded() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": limits::STREAM_TEXT_BYTES / 4})
}

fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn texts() -> Value {
    json!({"type": "array", "items": {"type": "string"}})
}

fn jtis() -> Value {
    json!({"type": "array", "items": {"type": "string", "format": "event-jti"}, "minItems": 1, "maxItems": limits::DEAD_LETTERS})
}

fn nullable(schema: &Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

fn methods() -> Value {
    json!({"type": "string", "enum": ["urn:ietf:rfc:8935", "urn:ietf:rfc:8936"], "description": "Push (RFC 8935) or poll (RFC 8936)."})
}

/// The members that a receiver says, each of which may be left out.
fn supplied() -> Map<String, Value> {
    let list =
        |most: usize| json!({"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 256}, "maxItems": most});
    let paths = list(limits::STREAM_ATTRIBUTES);
    let members = json!({
        "description": {"type": "string", "maxLength": limits::STREAM_DESCRIPTION_BYTES / 4},
        "events_requested": list(limits::STREAM_EVENTS),
        "feeds": {"type": "array", "items": {"const": "default"}, "minItems": 1, "maxItems": limits::STREAM_FEEDS},
        "resource_types": {"type": "array", "items": {"type": "string"}, "minItems": 1},
        "mode": {"type": "string", "enum": ["notice", "full"]},
        "attributes": object(&json!({"allow": paths, "deny": paths}), &[]),
        "format": {"type": "string", "enum": ["jwt", "json"]},
        "alg": {"type": "string", "enum": ["ES256", "EdDSA", "RS256", "HS256"]},
        "lanes": {"type": "integer", "minimum": 1, "maximum": limits::STREAM_LANES},
    });
    members.as_object().cloned().unwrap_or_default()
}

fn sent(is_new: bool) -> Value {
    let mut properties: Map<String, Value> = supplied().into_iter().map(|(name, schema)| (name, nullable(&schema))).collect();
    let header = json!({"type": ["string", "null"], "writeOnly": true, "description": "The `Authorization` header of every push."});
    let mut delivery =
        json!({"method": methods(), "endpoint_url": {"type": "string", "format": "uri"}, "authorization_header": header});
    if is_new {
        let start = json!({"anyOf": [
            {"const": "now"},
            object(&json!({"after": {"type": "string", "format": "event-jti"}}), &["after"]),
            object(&json!({"since": {"type": "string", "format": "date-time"}}), &["since"]),
            {"type": "null"},
        ], "writeOnly": true});
        properties.insert("start".into(), start);
        properties.insert("aud".into(), json!({"anyOf": [text(), texts(), {"type": "null"}]}));
        properties.insert("owner".into(), json!({"type": ["string", "null"]}));
    } else {
        delivery["authorization_header_set"] = json!({"type": "boolean"});
        for name in ["stream_id", "iss", "status", "reason", "owner", "origin"] {
            properties.insert(name.into(), text());
        }
    }
    let required: &[&str] = if is_new { &["method"] } else { &[] };
    properties.insert("delivery".into(), nullable(&object(&delivery, required)));
    let mut schema = object(&Value::Object(properties), &[]);
    schema["title"] = "Stream".into();
    schema
}

fn represented() -> Value {
    let mut properties = supplied();
    let delivery = json!({
        "method": methods(),
        "endpoint_url": {"type": "string", "format": "uri"},
        "authorization_header_set": {"type": "boolean", "description": "Whether pushes have an `Authorization` header."},
    });
    let uris: Vec<&str> = [Mode::Notice, Mode::Full].iter().flat_map(|mode| Kind::ALL.map(|kind| kind.uri(*mode))).collect();
    let known = json!({"type": "array", "items": {"type": "string", "enum": uris}});
    let ours = json!({
        "stream_id": text(), "iss": text(), "aud": texts(),
        "events_supported": known, "events_delivered": known,
        "delivery": object(&delivery, &["method", "endpoint_url"]),
        "status": {"type": "string", "enum": ["enabled", "paused", "disabled"]},
        "reason": text(), "owner": text(),
        "gap": object(&json!({"places": count(), "at": {"type": "string", "format": "date-time"}}), &["places", "at"]),
        "origin": {"type": "string", "enum": ["configuration", "request", "feed"]},
        "verified": {"type": "boolean", "description": "Whether no verification event is outstanding."},
    });
    properties.extend(ours.as_object().cloned().unwrap_or_default());
    let required = [
        "stream_id",
        "iss",
        "aud",
        "events_supported",
        "events_delivered",
        "delivery",
        "feeds",
        "mode",
        "format",
        "alg",
        "status",
        "owner",
        "origin",
        "verified",
    ];
    let mut schema = object(&Value::Object(properties), &required);
    schema["title"] = "Stream".into();
    schema["description"] = "SSF 1.0 §8.1.1, and what is this server's own.".into();
    schema
}

fn status(required: &[&str]) -> Value {
    let statuses = json!({"type": "string", "enum": ["enabled", "paused", "disabled"]});
    let mut properties = json!({"status": statuses, "reason": nullable(&limited())});
    if required.contains(&"stream_id") {
        properties["stream_id"] = text();
        properties["reason"] = text();
    }
    object(&properties, required)
}

fn replay() -> Value {
    let fresh = json!({"type": ["boolean", "null"], "description": "Whether the events get new `jti`s."});
    json!({"title": "Replay", "anyOf": [
        object(&json!({"after": {"type": "string", "format": "event-jti"}, "fresh": fresh}), &["after"]),
        object(&json!({"since": {"type": "string", "format": "date-time"}, "fresh": fresh}), &["since"]),
    ]})
}

fn dead_letters() -> Value {
    let letter = object(
        &json!({
            "jti": text(), "at": {"type": "string", "format": "date-time"}, "attempts": count(), "err": text(), "retry": {"type": "boolean"},
            "status": {"type": "integer", "minimum": 100, "maximum": 599}, "description": text(),
        }),
        &["jti", "at", "attempts", "err", "retry"],
    );
    object(
        &json!({"total": count(), "letters": {"type": "array", "items": letter}, "next": {"type": "string", "description": "`after` of the next page."}}),
        &["total", "letters"],
    )
}
