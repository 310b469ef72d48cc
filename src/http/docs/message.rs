//! JSON Schemas of the protocol's messages (RFC 7644 §3.4.2, §3.4.3, §3.5.2, §3.7, §3.12) and of feeds.

use crate::base::limits::{self, Limits};
use crate::http::feeds::{FEED, FEED_STREAM};
use crate::scim::message::{BULK_REQUEST, BULK_RESPONSE, ERROR, LIST_RESPONSE, PATCH_OP, SEARCH_REQUEST};
use serde_json::{Value, json};

/// The `scimType`s (RFC 7644 Table 9, RFC 9865 §2.1).
const SCIM_TYPES: [&str; 13] = [
    "invalidFilter",
    "tooMany",
    "uniqueness",
    "mutability",
    "invalidSyntax",
    "invalidPath",
    "noTarget",
    "invalidValue",
    "invalidVers",
    "sensitive",
    "invalidCursor",
    "expiredCursor",
    "invalidCount",
];

/// A reference to a schema under `components`.
pub(super) fn reference(name: &str) -> Value {
    json!({"$ref": format!("#/components/schemas/{name}")})
}

/// Every message, with its name under `components`.
pub(super) fn all(limits: &Limits) -> Vec<(String, Value)> {
    let named = [
        ("Error", error()),
        ("ListResponse", list(&json!({"type": "object"}))),
        ("SearchRequest", search_request()),
        ("PatchOp", patch_op()),
        ("BulkRequest", bulk_request(limits)),
        ("BulkResponse", bulk_response()),
        ("Feed", feed()),
        ("FeedEntry", feed_entry()),
        ("FeedList", list(&reference("FeedEntry"))),
        ("FeedStream", feed_stream()),
        ("Health", health()),
    ];
    named.map(|(name, schema)| (name.to_owned(), schema)).into()
}

/// `schemas` of a message: exactly this URN.
fn exactly(urn: &str) -> Value {
    json!({"type": "array", "items": {"const": urn}, "minItems": 1, "maxItems": 1})
}

/// `schemas` of a request: this URN is among them.
fn among(urn: &str) -> Value {
    json!({"type": "array", "items": {"type": "string"}, "contains": {"const": urn}, "minItems": 1, "examples": [[urn]]})
}

fn error() -> Value {
    json!({
        "title": "Error", "type": "object", "description": "RFC 7644 §3.12",
        "properties": {
            "schemas": exactly(ERROR),
            "status": {"type": "string", "pattern": "^[45][0-9][0-9]$", "description": "The HTTP status, as a string."},
            "scimType": {"type": "string", "enum": SCIM_TYPES},
            "detail": {"type": "string", "description": "For people: names the attribute, the parameter or the limit."},
        },
        "required": ["schemas", "status", "detail"], "additionalProperties": false,
    })
}

/// A list of these.
pub(super) fn list(resource: &Value) -> Value {
    json!({
        "title": "ListResponse", "type": "object", "description": "RFC 7644 §3.4.2",
        "properties": {
            "schemas": exactly(LIST_RESPONSE),
            "totalResults": {"type": "integer", "minimum": 0, "description": "All matches, on every page together."},
            "itemsPerPage": {"type": "integer", "minimum": 0},
            "startIndex": {"type": "integer", "minimum": 1, "description": "1-based index of the first result of this page."},
            "nextCursor": {"type": "string", "description": "`cursor` of the next page; absent on the last (RFC 9865)."},
            "previousCursor": {"type": "string", "description": "`cursor` of the page before (RFC 9865)."},
            "Resources": {"type": "array", "items": resource},
        },
        "required": ["schemas", "totalResults", "Resources"], "additionalProperties": false,
    })
}

fn search_request() -> Value {
    json!({
        "title": "SearchRequest", "type": "object",
        "description": "RFC 7644 §3.4.3: what GET takes as parameters, where no address and no log shows it.",
        "properties": {
            "schemas": among(SEARCH_REQUEST),
            "attributes": {"type": ["array", "null"], "items": {"type": "string"}},
            "excludedAttributes": {"type": ["array", "null"], "items": {"type": "string"}},
            "filter": {"type": ["string", "null"], "format": "scim-filter"},
            "sortBy": {"type": ["string", "null"], "format": "scim-attribute"},
            "sortOrder": {"type": ["string", "null"], "enum": ["ascending", "descending", null], "default": "ascending"},
            "startIndex": {"type": ["integer", "null"], "default": 1},
            "count": {"type": ["integer", "null"]},
            "cursor": {"type": ["string", "null"], "format": "scim-cursor"},
        },
        "required": ["schemas"],
    })
}

fn patch_op() -> Value {
    let write = json!({"type": "string", "enum": ["add", "replace"]});
    let path = json!({"type": "string", "format": "scim-path", "description": "RFC 7644 §3.5.2, Figure 7"});
    json!({
        "title": "PatchOp", "type": "object", "description": "RFC 7644 §3.5.2. All operations take effect, or none.",
        "properties": {
            "schemas": among(PATCH_OP),
            "Operations": {
                "type": "array", "minItems": 1, "maxItems": limits::PATCH_OPERATIONS,
                "items": {"anyOf": [
                    {"title": "Write one attribute", "type": "object", "required": ["op", "path", "value"],
                     "properties": {"op": write, "path": path, "value": {"description": "A value as the attribute takes it."}}},
                    {"title": "Write several attributes", "type": "object", "required": ["op", "value"],
                     "properties": {"op": write, "value": {"type": "object", "description": "Attributes with their values."}}},
                    {"title": "Remove an attribute or a value", "type": "object", "required": ["op", "path"],
                     "properties": {"op": {"const": "remove"}, "path": path}},
                ]},
            },
        },
        "required": ["schemas", "Operations"],
    })
}

fn bulk_request(limits: &Limits) -> Value {
    json!({
        "title": "BulkRequest", "type": "object",
        "description": format!("RFC 7644 §3.7. Each operation takes effect by itself. At most {} operations and {} bytes.",
            limits.bulk_operations, limits.body_bytes),
        "properties": {
            "schemas": among(BULK_REQUEST),
            "failOnErrors": {"type": "integer", "format": "int64", "minimum": 1, "description": "Stop after so many failures; without it, never."},
            "Operations": {
                "type": "array", "minItems": 1,
                "items": {"type": "object", "required": ["method", "path"], "properties": {
                    "method": {"type": "string", "enum": ["POST", "PUT", "PATCH", "DELETE"]},
                    "bulkId": {"type": "string", "minLength": 1,
                        "description": "A name for what a POST makes; `bulkId:name` stands for its id in the rest of the request."},
                    "version": {"type": "string", "description": "The ETag that the resource must have, as If-Match has it."},
                    "path": {"type": "string", "format": "scim-bulk-path",
                        "description": "The endpoint of a POST; of other methods the resource, relative to the base."},
                    "data": {"type": ["object", "null"], "description": "The body of the operation."},
                }},
            },
        },
        "required": ["schemas", "Operations"],
    })
}

fn bulk_response() -> Value {
    json!({
        "title": "BulkResponse", "type": "object", "description": "RFC 7644 §3.7: an entry for each operation that was tried.",
        "properties": {
            "schemas": exactly(BULK_RESPONSE),
            "Operations": {
                "type": "array",
                "items": {"type": "object", "required": ["method", "status"], "properties": {
                    "method": {"type": "string"},
                    "bulkId": {"type": "string"},
                    "version": {"type": "string"},
                    "location": {"type": "string", "format": "uri"},
                    "status": {"type": "string", "pattern": "^[2345][0-9][0-9]$"},
                    "response": {"type": "object", "description": "The error of an operation that failed, or the resource."},
                }},
            },
        },
        "required": ["schemas", "Operations"],
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
                "type": "object", "description": "The claims of a Security Event Token (RFC 8417, RFC 9967).",
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

fn health() -> Value {
    json!({"title": "Health", "type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]})
}
