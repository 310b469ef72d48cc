//! The parameters and headers that operations share.

use crate::base::limits::{self, Limits};
use serde_json::{Value, json};

/// Those that a list or a search in a URI takes, beside `filter` (RFC 7644 §3.4.2, RFC 9865 §2).
pub(super) const OF_LISTS: &[&str] = &["attributes", "excludedAttributes", "sortBy", "sortOrder", "startIndex", "count", "cursor"];
/// Those that shape the answer with one resource (RFC 7644 §3.9).
pub(super) const OF_ANSWERS: &[&str] = &["attributes", "excludedAttributes"];

/// Every shared parameter, by its name under `components`.
pub(super) fn all(limits: &Limits) -> Value {
    json!({
        "id": {
            "name": "id", "in": "path", "required": true, "schema": {"type": "string", "minLength": 1},
            "description": "The `id` that the server gave the resource.",
        },
        "attributes": query("attributes", &json!({"type": "string"}),
            "Return these attributes only, and those always returned: paths, separated by commas. Not with excludedAttributes."),
        "excludedAttributes": query("excludedAttributes", &json!({"type": "string"}),
            "Leave these attributes out: paths, separated by commas."),
        "sortBy": query("sortBy", &json!({"type": "string", "format": "scim-attribute"}),
            "Sort by this attribute; without it, in the order of creation."),
        "sortOrder": query("sortOrder", &json!({"type": "string", "enum": ["ascending", "descending"]}), "Ascending by default."),
        "startIndex": query("startIndex", &json!({"type": "integer"}),
            "1-based index of the first result; less than 1 is 1. Not with cursor."),
        "count": query("count", &json!({"type": "integer"}),
            &format!("Most results on a page; less than 0 is 0. At most {} come.", limits.page_size)),
        "cursor": query("cursor", &json!({"type": "string", "format": "scim-cursor"}),
            "Empty for the first page by cursor, then the `nextCursor` of the page before (RFC 9865)."),
        "If-Match": header("If-Match", "Act only if the resource is at one of these versions, or `*`."),
        "If-None-Match": header("If-None-Match", "Answer 304 if the resource is still at this version."),
        "Prefer": {
            "name": "Prefer", "in": "header", "required": false, "schema": {"type": "string"},
            "description": "`return=minimal` or `return=representation` (RFC 7240). What is not understood is ignored.",
        },
        "after": query("after", &json!({"type": "string", "format": "event-jti"}),
            "The `jti` of the last event that the reader has; without it, from the oldest."),
        "limit": query("limit", &json!({"type": "integer", "minimum": 0}),
            &format!("Most events; {} by default, at most {}.", limits::FEED_PAGE_DEFAULT_EVENTS, limits::FEED_PAGE_EVENTS)),
        "format": query("format", &json!({"type": "string", "enum": ["json", "jwt"]}), "Claims, or signed tokens."),
        "wait": query("wait", &json!({"type": "integer", "minimum": 0}),
            &format!("Seconds to wait for an event where there is none; at most {}.", limits.poll_wait_seconds)),
    })
}

/// `filter`, which may come filled in: of one type a client may want to see everything.
pub(super) fn filter(example: &str, filled_in: Option<&str>) -> Value {
    let mut described = query(
        "filter",
        &json!({"type": "string", "format": "scim-filter"}),
        &format!("Only resources that match, such as `{example}` (RFC 7644 §3.4.2.2)."),
    );
    if let Some(filter) = filled_in {
        described["example"] = filter.into();
    }
    described
}

fn query(name: &str, schema: &Value, text: &str) -> Value {
    json!({"name": name, "in": "query", "required": false, "schema": schema, "description": text})
}

/// `*`, or a list of entity tags (RFC 9110 §8.8.3).
fn header(name: &str, text: &str) -> Value {
    let schema = json!({"type": "string", "pattern": r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#});
    json!({"name": name, "in": "header", "required": false, "schema": schema, "description": text})
}

/// Headers of answers, by name.
pub(super) fn headers() -> Value {
    let header = |text: &str| json!({"description": text, "schema": {"type": "string"}});
    json!({
        "ETag": header("The version of the resource, as If-Match takes it."),
        "Location": {"description": "The address of the resource.", "schema": {"type": "string", "format": "uri"}},
        "WWW-Authenticate": header("How to authenticate (RFC 9110 §11.6.1)."),
        "Retry-After": {"description": "Seconds to wait before trying again.", "schema": {"type": "integer", "minimum": 0}},
        "Allow": header("The methods of this endpoint."),
        "X-Request-Id": header("What the log calls this request."),
        "Preference-Applied": header("The preferences that were honoured (RFC 7240 §3)."),
        "Cache-Control": header("How long the answer may be kept."),
    })
}
