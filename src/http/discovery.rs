//! What this server can do (RFC 7644 §4). Readable without a credential, so that a client can learn which one it needs
//! (7643-5-03).

use super::Context;
use super::extract::{BaseUrl, Segment};
use super::parameters;
use super::respond::{self, Answer, Failure};
use crate::event::{Kind, Mode};
use crate::scim::error::{Error, ErrorKind, Result};
use crate::scim::message;
use crate::scim::path::shorten;
use crate::scim::schema::{RESOURCE_TYPE, ResourceType, SCHEMA, SERVICE_PROVIDER_CONFIG, Schema};
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use serde_json::{Value, json};
use std::sync::Arc;

/// `/ServiceProviderConfig` (RFC 7643 §5). Every member is there, also of what is not supported (7643-5-01).
pub(super) async fn service_provider_config(State(context): State<Arc<Context>>, base: BaseUrl, _: Unfiltered) -> Answer {
    let surface = &context.surface;
    let configuration = json!({
        "schemas": [SERVICE_PROVIDER_CONFIG],
        "patch": {"supported": true},
        "bulk": {
            "supported": true, "maxOperations": surface.limits.bulk_operations, "maxPayloadSize": surface.limits.body_bytes,
        },
        "filter": {"supported": true, "maxResults": surface.limits.page_size},
        "changePassword": {"supported": true},
        "sort": {"supported": true},
        "etag": {"supported": true},
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "API key",
            "description": "An API key as bearer token, or in the header X-API-Key.",
            "specUri": "https://www.rfc-editor.org/info/rfc6750",
            "primary": true,
        }],
        "pagination": {
            "cursor": true, "index": true, "defaultPaginationMethod": "index",
            "defaultPageSize": surface.limits.page_size, "maxPageSize": surface.limits.page_size,
            "cursorTimeout": surface.limits.cursor_seconds,
        },
        "securityEvents": {"asyncRequest": "none", "eventUris": event_uris(surface.event_mode)},
        "meta": meta("ServiceProviderConfig", &format!("{}/ServiceProviderConfig", &*base)),
    });
    one(&context, &configuration)
}

/// The events that can come (9967-4-03). In full mode a change of very many members is still a notice.
fn event_uris(mode: Mode) -> Vec<&'static str> {
    let modes: &[Mode] = if mode == Mode::Full { &[Mode::Notice, Mode::Full] } else { &[Mode::Notice] };
    let of_kind = |kind: Kind| {
        let modes = if kind.has_modes() { modes } else { &modes[..1] };
        modes.iter().map(move |mode| kind.uri(*mode))
    };
    Kind::ALL.into_iter().flat_map(of_kind).collect()
}

/// `/Schemas` (RFC 7643 §7).
pub(super) async fn schemas(State(context): State<Arc<Context>>, base: BaseUrl, _: Unfiltered) -> Answer {
    let all = context.engine.registry().schemas().iter().map(|schema| describe_schema(schema, &base));
    list(&context, &all.collect::<Result<Vec<Value>>>()?)
}

/// `/Schemas/{id}`, the URN in any case.
pub(super) async fn schema(State(context): State<Arc<Context>>, Segment(id): Segment, base: BaseUrl, _: Unfiltered) -> Answer {
    let schema = context.engine.registry().schema(&id).ok_or_else(|| unknown("Schema", &id))?;
    one(&context, &describe_schema(schema, &base)?)
}

/// `/ResourceTypes` (RFC 7643 §6).
pub(super) async fn resource_types(State(context): State<Arc<Context>>, base: BaseUrl, _: Unfiltered) -> Answer {
    let all: Vec<Value> = context.engine.registry().types().iter().map(|kind| describe_type(kind, &base)).collect();
    list(&context, &all)
}

/// `/ResourceTypes/{id}`, the name in any case.
pub(super) async fn resource_type(
    State(context): State<Arc<Context>>,
    Segment(id): Segment,
    base: BaseUrl,
    _: Unfiltered,
) -> Answer {
    let kind = context.engine.registry().by_name(&id).ok_or_else(|| unknown("ResourceType", &id))?;
    one(&context, &describe_type(kind, &base))
}

/// The query of a request here. Sorting and paging are passed over unread, whatever they say; a filter is refused, because a client
/// that filters would take the answer for filtered (7644-4-02).
pub(super) struct Unfiltered;

impl<S: Sync> FromRequestParts<S> for Unfiltered {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        if parameters::has_filter(parts.uri.query().unwrap_or_default()) {
            return Err(Error::new(ErrorKind::Forbidden, "filter is not allowed at the discovery endpoints.").into());
        }
        Ok(Self)
    }
}

fn unknown(what: &str, id: &str) -> Error {
    Error::new(ErrorKind::NotFound, format!("{what} {} not found.", shorten(id)))
}

fn describe_schema(schema: &Schema, base: &str) -> Result<Value> {
    let internal = |_| Error::new(ErrorKind::Internal, "The schema cannot be shown.");
    let mut described = json!({"schemas": [SCHEMA]});
    if let (Value::Object(described), Value::Object(members)) = (&mut described, serde_json::to_value(schema).map_err(internal)?) {
        described.extend(members);
    }
    described["meta"] = meta("Schema", &format!("{base}/Schemas/{}", schema.id));
    Ok(described)
}

fn describe_type(kind: &ResourceType, base: &str) -> Value {
    let extensions = kind.extensions.iter();
    let extensions: Vec<Value> =
        extensions.map(|extension| json!({"schema": extension.schema.id, "required": extension.required})).collect();
    json!({
        "schemas": [RESOURCE_TYPE],
        "id": kind.name,
        "name": kind.name,
        "endpoint": kind.endpoint,
        "description": kind.description,
        "schema": kind.schema.id,
        "schemaExtensions": extensions,
        "meta": meta("ResourceType", &format!("{base}/ResourceTypes/{}", kind.name)),
    })
}

fn meta(resource_type: &str, location: &str) -> Value {
    json!({"resourceType": resource_type, "location": location})
}

fn one(context: &Context, resource: &Value) -> Answer {
    Ok(respond::json(StatusCode::OK, context.answers.hold(resource.to_string().into_bytes())?))
}

fn list(context: &Context, resources: &[Value]) -> Answer {
    let texts: Vec<Vec<u8>> = resources.iter().map(|resource| resource.to_string().into_bytes()).collect();
    let list = message::list_response(texts.len() as u64, 1, &texts);
    Ok(respond::json(StatusCode::OK, context.answers.hold(list)?))
}
