//! JSON Schemas of the protocol's messages (RFC 7644 §3.4.2, §3.4.3, §3.5.2, §3.7, §3.12).

use crate::base::limits::{self, Limits};
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
        ("JwkSet", jwk_set()),
        ("SigningKeyList", list(&signing_key())),
        ("KeyRotation", key_rotation()),
        ("Health", health()),
    ];
    named.map(|(name, schema)| (name.to_owned(), schema)).into()
}

/// `schemas` of a message: exactly this URN.
pub(super) fn exactly(urn: &str) -> Value {
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

fn jwk_set() -> Value {
    json!({
        "title": "JwkSet", "type": "object", "description": "The keys that events are verified with (RFC 7517).",
        "properties": {"keys": {"type": "array", "items": {
            "type": "object",
            "properties": {
                "kty": {"enum": ["EC", "OKP", "RSA"]}, "kid": {"type": "string"}, "use": {"const": "sig"},
                "alg": {"enum": ["ES256", "EdDSA", "RS256"]},
            },
            "required": ["kty", "kid", "use", "alg"],
        }}},
        "required": ["keys"], "additionalProperties": false,
    })
}

fn signing_key() -> Value {
    let time = json!({"type": "string", "format": "date-time"});
    json!({
        "title": "SigningKey", "type": "object",
        "properties": {
            "kid": {"type": "string"}, "alg": {"enum": ["ES256", "EdDSA", "RS256"]}, "state": {"enum": ["active", "next", "retired"]},
            "created": time, "activates": time, "activated": time, "retired": time, "leaves": time,
        },
        "required": ["kid", "alg", "state", "created"], "additionalProperties": false,
    })
}

fn key_rotation() -> Value {
    json!({
        "title": "KeyRotation", "type": "object",
        "properties": {
            "alg": {"enum": ["ES256", "EdDSA", "RS256", null]},
            "now": {"type": ["boolean", "null"], "description": "Sign with the new key at once, before receivers can know it."},
        },
        "additionalProperties": false,
    })
}

fn health() -> Value {
    json!({"title": "Health", "type": "object", "properties": {"status": {"type": "string"}}, "required": ["status"]})
}
