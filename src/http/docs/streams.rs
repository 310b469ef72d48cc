//! The paths of streams, and the messages there.

use super::document::Source;
use super::message::{list, reference};
use super::operation::Operation;
use super::paths::{EVENTS, add};
use crate::base::limits;
use crate::delivery::DEFAULT_FEED;
use crate::delivery::stream::Algorithm;
use crate::event::{Kind, Mode};
use serde_json::{Map, Value, json};

/// Those of the messages here that do not end like something derived.
pub(super) const NAMES: [&str; 5] = ["Stream", "StreamStatus", "DeadLetters", "DeadLettersRetried", "DeadLettersDiscarded"];

const UNSTORED: &[&str] = &["Cache-Control"];
const PUSH: &str = "urn:ietf:rfc:8935";
const POLL: &str = "urn:ietf:rfc:8936";

/// What can be done with a stream.
const OF_STREAM: [&str; 12] = [
    "readOneStream",
    "replaceStream",
    "modifyStream",
    "deleteStream",
    "readStreamStatus",
    "setStreamStatus",
    "verifyStream",
    "replayStream",
    "listDeadLetters",
    "retryDeadLetters",
    "discardDeadLetters",
    "pollStream",
];

/// Every path of streams.
pub(super) fn paths(source: &Source<'_>, paths: &mut Map<String, Value>) {
    let at = |path: &str| source.at(&format!("/Events/Streams{path}"));
    let created = Operation::new(EVENTS, "createStream", "Make a stream")
        .body(&reference("StreamCreateRequest"), &[("Push", pushed()), ("Poll", polled())])
        .answers(201, "The stream.", &reference("Stream"), &["Location", "Cache-Control"])
        .links_at(201, "/stream_id", &OF_STREAM.map(str::to_owned))
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
            (
                "put",
                changes("replaceStream", "Replace what a stream is", "StreamReplaceRequest")
                    .about("What is missing gets its default (SSF §8.1.1.4)."),
            ),
            (
                "patch",
                changes("modifyStream", "Change members of a stream", "StreamModifyRequest")
                    .about("A JSON merge (SSF §8.1.1.3, RFC 7386): what comes of it must be a stream as a whole."),
            ),
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
        .parameter(query("after", json!({"type": "string", "pattern": "^[0-9]+$"}), "The `next` of the page before."))
        .parameter(query("limit", json!({"type": "integer", "minimum": 0}), &limit))
        .answers(200, "A page of them.", &reference("DeadLetters"), UNSTORED);
    add(paths, at(""), [("get", listed)]);
    let retry = stream("retryDeadLetters", "Send dead letters once more")
        .body(&reference("DeadLettersRetryRequest"), &[("All", json!({}))])
        .about("Those that are named, or all. One that is named whose event is no longer kept is 410, and none is sent.")
        .answers(200, "How many, and of how many the event is no longer kept.", &reference("DeadLettersRetried"), &[])
        .failures(&[410]);
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
pub(super) fn stream(id: &str, summary: &str) -> Operation {
    let schema = json!({"type": "string", "minLength": 1});
    let parameter =
        json!({"name": "id", "in": "path", "required": true, "schema": schema, "description": "The stream's `stream_id`."});
    Operation::new(EVENTS, id, summary).parameter(parameter).failures(&[404])
}

fn changes(id: &str, summary: &str, body: &str) -> Operation {
    stream(id, summary)
        .body(&reference(body), &[("A description", json!({"description": "the payroll's"}))])
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
    json!({"delivery": {"method": "urn:ietf:rfc:8936"}, "attributes": {"deny": ["displayName"]}})
}

/// Every message, with its name under `components`.
pub(super) fn messages(source: &Source<'_>) -> Vec<(String, Value)> {
    let own = json!({"type": "string", "readOnly": true, "description": "That of this stream, if it is said."});
    let named = [
        ("Stream", represented()),
        ("StreamList", list(&reference("Stream"))),
        ("StreamCreateRequest", created(source)),
        ("StreamReplaceRequest", replaced(source)),
        ("StreamModifyRequest", modified(source)),
        ("StreamStatus", object(&json!({"stream_id": text(), "status": statuses(), "reason": text()}), &["stream_id", "status"])),
        (
            "StreamStatusRequest",
            object(&json!({"stream_id": own, "status": statuses(), "reason": nullable(&limited(0))}), &["status"]),
        ),
        ("StreamVerifyRequest", object(&json!({"stream_id": own, "state": nullable(&limited(0))}), &[])),
        ("StreamReplayRequest", replay()),
        ("DeadLetters", dead_letters()),
        ("DeadLettersRetryRequest", object(&json!({"jtis": nullable(&jtis())}), &[])),
        ("DeadLettersRetried", object(&json!({"retried": count(), "gone": count()}), &["retried", "gone"])),
        ("DeadLettersDiscardRequest", object(&json!({"jtis": jtis(), "reason": limited(1)}), &["jtis", "reason"])),
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

/// What somebody may say, from so many characters on.
fn limited(least: usize) -> Value {
    json!({"type": "string", "minLength": least, "maxLength": limits::STREAM_TEXT_CHARACTERS})
}

/// A time with an offset (RFC 3339), which is at most 14 hours.
fn since() -> Value {
    json!({"type": "string", "format": "date-time", "pattern": "(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)$"})
}

fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

fn texts() -> Value {
    json!({"type": "array", "items": {"type": "string"}})
}

fn jtis() -> Value {
    let jti = json!({"type": "string", "format": "dead-letter-jti"});
    json!({"type": "array", "items": jti, "minItems": 1, "maxItems": limits::DEAD_LETTERS})
}

fn nullable(schema: &Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

fn methods() -> Value {
    json!({"type": "string", "enum": [PUSH, POLL], "description": "Push (RFC 8935) or poll (RFC 8936)."})
}

fn statuses() -> Value {
    json!({"type": "string", "enum": ["enabled", "paused", "disabled"]})
}

fn lanes() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": limits::STREAM_LANES, "description": "Most pushes at a time."})
}

/// The members that a receiver says however its stream is delivered.
fn supplied() -> Map<String, Value> {
    let event = json!({"type": "string", "minLength": 1, "maxLength": limits::STREAM_EVENT_CHARACTERS});
    let path = json!({"type": "string", "format": "event-attribute"});
    let paths = nullable(&json!({"type": "array", "items": path, "maxItems": limits::STREAM_ATTRIBUTES}));
    let members = json!({
        "description": {"type": "string", "maxLength": limits::STREAM_DESCRIPTION_CHARACTERS},
        "events_requested": {"type": "array", "items": event, "maxItems": limits::STREAM_EVENTS},
        "feeds": {"type": "array", "items": {"const": DEFAULT_FEED}, "minItems": 1, "maxItems": limits::STREAM_FEEDS},
        "resource_types": {"type": "array", "items": text(), "minItems": 1, "maxItems": limits::RESOURCE_TYPES},
        "mode": {"type": "string", "enum": ["notice", "full"]},
        "attributes": object(&json!({"allow": paths, "deny": paths}), &[]),
        "format": {"type": "string", "enum": ["jwt", "json"]},
        "alg": {"type": "string", "enum": Algorithm::ALL.map(Algorithm::name)},
    });
    members.as_object().cloned().unwrap_or_default()
}

/// The same as a request has them: null is as good as nothing, and what is not served here is refused.
fn said(source: &Source<'_>) -> Map<String, Value> {
    let mut members = supplied();
    let types: Vec<&str> = source.registry.types().iter().map(|kind| kind.name.as_str()).collect();
    members["resource_types"]["items"] = json!({"type": "string", "enum": types});
    let algorithms: Vec<&str> = source.algorithms.iter().map(|algorithm| algorithm.name()).collect();
    members["alg"]["enum"] = algorithms.into();
    members.into_iter().map(|(name, schema)| (name, nullable(&schema))).collect()
}

/// What the server says, and a request may repeat (SSF-8.1.1.3-02).
fn repeated() -> Map<String, Value> {
    let ours = ours().into_iter().map(|(name, mut schema)| {
        schema["readOnly"] = true.into();
        (name, schema)
    });
    ours.collect()
}

fn endpoint() -> Value {
    json!({
        "type": "string", "format": "receiver-url", "maxLength": limits::ENDPOINT_BYTES,
        "description": "The receiver's `https` URL, without a user name and a fragment, at an address that this server sends to.",
    })
}

fn authorization() -> Value {
    json!({
        "type": ["string", "null"], "minLength": 1, "maxLength": limits::AUTHORIZATION_BYTES, "pattern": "^[!-~]([ -~]*[!-~])?$",
        "writeOnly": true, "description": "The `Authorization` header of every push.",
    })
}

/// `delivery` of a push stream, and of a poll stream.
fn deliveries() -> [Map<String, Value>; 2] {
    let none = json!({"type": "null"});
    let pushed = json!({"method": {"const": PUSH}, "endpoint_url": endpoint(), "authorization_header": authorization()});
    let polled = json!({"method": {"const": POLL}, "endpoint_url": none, "authorization_header": none});
    [pushed, polled].map(|members| members.as_object().cloned().unwrap_or_default())
}

/// What a stream is to be as a whole: one that is pushed, or one that is polled.
fn whole(title: &str, members: &Map<String, Value>, [push, poll]: [Map<String, Value>; 2]) -> Value {
    let of = |title: &str, delivery: Value, lanes: Value, required: &[&str]| {
        let mut members = members.clone();
        members.extend([("delivery".to_owned(), delivery), ("lanes".to_owned(), lanes)]);
        let mut schema = object(&members.into(), required);
        schema["title"] = title.into();
        schema
    };
    let push = object(&push.into(), &["method", "endpoint_url"]);
    let poll = nullable(&object(&poll.into(), &["method"]));
    json!({"title": title, "anyOf": [
        of("Push", push, nullable(&lanes()), &["delivery"]),
        of("Poll", poll, json!({"type": "null"}), &[]),
    ]})
}

fn created(source: &Source<'_>) -> Value {
    let start = json!({"anyOf": [
        {"const": "now"},
        object(&json!({"after": {"type": "string", "format": "event-jti"}}), &["after"]),
        object(&json!({"since": since()}), &["since"]),
        {"type": "null"},
    ], "writeOnly": true});
    let audience = json!({
        "type": "string", "minLength": 1, "maxLength": limits::AUDIENCE_CHARACTERS,
        "anyOf": [{"title": "A name", "pattern": "^[^:]*$"}, {"title": "A URI", "format": "uri"}],
    });
    let audiences = json!({"type": "array", "items": audience, "minItems": 1, "maxItems": limits::AUDIENCES});
    let owner = json!({
        "type": ["string", "null"], "minLength": 1, "maxLength": limits::PRINCIPAL_BYTES, "pattern": "^[A-Za-z0-9._-]*$",
        "description": "Whose stream it is: the caller's, unless somebody says otherwise who may do everything.",
    });
    let mut members = said(source);
    members.extend([
        ("start".to_owned(), start),
        ("aud".to_owned(), json!({"anyOf": [audience, audiences, {"type": "null"}]})),
        ("owner".to_owned(), owner),
    ]);
    whole("StreamCreateRequest", &members, deliveries())
}

fn replaced(source: &Source<'_>) -> Value {
    let [mut push, mut poll] = deliveries();
    push.insert("authorization_header_set".into(), header_set());
    poll.insert("endpoint_url".into(), json!({"type": ["string", "null"], "format": "uri", "readOnly": true}));
    let mut members = said(source);
    members.extend(repeated());
    whole("StreamReplaceRequest", &members, [push, poll])
}

/// Any members: whether they go together depends on what the stream is.
fn modified(source: &Source<'_>) -> Value {
    let mut delivery = json!({"method": methods(), "endpoint_url": endpoint(), "authorization_header": authorization()});
    delivery["authorization_header_set"] = header_set();
    let mut members = said(source);
    members.extend(repeated());
    members.extend([("delivery".to_owned(), nullable(&object(&delivery, &[]))), ("lanes".to_owned(), nullable(&lanes()))]);
    let mut schema = object(&members.into(), &[]);
    schema["title"] = "StreamModifyRequest".into();
    schema
}

fn header_set() -> Value {
    json!({"type": "boolean", "readOnly": true, "description": "Whether pushes have an `Authorization` header."})
}

/// The members that the server says.
fn ours() -> Map<String, Value> {
    let uris: Vec<&str> = [Mode::Notice, Mode::Full].iter().flat_map(|mode| Kind::ALL.map(|kind| kind.uri(*mode))).collect();
    let known = json!({"type": "array", "items": {"type": "string", "enum": uris}});
    let members = json!({
        "stream_id": text(), "iss": text(), "aud": texts(),
        "events_supported": known, "events_delivered": known,
        "status": statuses(),
        "reason": text(), "owner": text(),
        "gap": object(&json!({"places": count(), "at": {"type": "string", "format": "date-time"}}), &["places", "at"]),
        "origin": {"type": "string", "enum": ["configuration", "request", "feed"]},
        "verified": {"type": "boolean", "description": "Whether no verification event is outstanding."},
    });
    members.as_object().cloned().unwrap_or_default()
}

fn represented() -> Value {
    let delivery =
        json!({"method": methods(), "endpoint_url": {"type": "string", "format": "uri"}, "authorization_header_set": header_set()});
    let mut properties = supplied();
    properties.extend(ours());
    properties.extend([("delivery".to_owned(), object(&delivery, &["method", "endpoint_url"])), ("lanes".to_owned(), lanes())]);
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

fn replay() -> Value {
    let fresh = json!({"type": ["boolean", "null"], "description": "Whether the events get new `jti`s."});
    let jti = json!({"type": "string", "format": "event-jti"});
    let none = json!({"type": "null"});
    json!({"title": "Replay", "anyOf": [
        object(&json!({"after": jti, "since": none, "fresh": fresh}), &["after"]),
        object(&json!({"since": since(), "after": none, "fresh": fresh}), &["since"]),
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
