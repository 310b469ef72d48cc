//! `/Bulk` (RFC 7644 §3.7).

use super::Context;
use super::extract::{BaseUrl, ScimJson, WritesScim};
use super::respond::{self, Answer, Failure};
use super::room::hold_in;
use crate::engine::{Performed, Processed};
use crate::scim::bulk::Method;
use crate::scim::error::{Error, ErrorKind};
use crate::scim::message::BULK_RESPONSE;
use crate::scim::version::etag;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;

/// POST: 200 with the result of each operation that was processed, however many of them failed (7644-3.7-04).
///
/// It bounds its time itself: what was committed when the time is up is told.
pub(super) async fn bulk(
    State(context): State<Arc<Context>>,
    WritesScim(caller): WritesScim,
    base: BaseUrl,
    body: Result<ScimJson, Failure>,
) -> Answer {
    let ScimJson(body, room) = body.map_err(|failure| name_limit(&context, failure))?;
    let processed = context.engine.bulk(&caller, body, &base).await?;
    let operations: Vec<Value> = processed.iter().map(|processed| result(processed, &base)).collect();
    // No failOnErrors here (7644-3.7-05).
    let answer = json!({"schemas": [BULK_RESPONSE], "Operations": operations}).to_string();
    Ok(respond::json(StatusCode::OK, hold_in(room, answer.into_bytes())))
}

/// The limit of a body by the name under which clients are told of it (7644-3.7.4-01).
fn name_limit(context: &Context, failure: Failure) -> Failure {
    if failure.kind() != ErrorKind::TooLarge {
        return failure;
    }
    let most = context.surface.limits.body_bytes;
    Error::new(ErrorKind::TooLarge, format!("The size of the bulk request exceeds maxPayloadSize ({most} bytes).")).into()
}

/// The result of an operation (7644-3.7.3-01): `response` only where it failed (7644-3.7.3-02).
fn result(processed: &Processed, base: &str) -> Value {
    let mut result = json!({"method": processed.method});
    if let Some(bulk_id) = &processed.bulk_id {
        result["bulkId"] = bulk_id.as_str().into();
    }
    if let Some(address) = &processed.address {
        result["location"] = location(base, address).into();
    }
    match &processed.outcome {
        Ok(Performed { method, version }) => {
            if let Some(version) = version {
                result["version"] = etag(*version).into();
            }
            result["status"] = status_of(*method).as_str().into();
        }
        Err(error) => {
            let (status, mut body) = respond::error_of(error);
            if error.kind == ErrorKind::PreconditionFailed {
                // An operation has no If-Match: this is its member `version` (7644-3.7-03).
                body["detail"] = "The resource is not at the version that 'version' names.".into();
            }
            result["status"] = status.as_str().into();
            result["response"] = body;
        }
    }
    result
}

/// What a single request would be answered. A PATCH is 200 also where its single request would be 204 for the size of its answer.
fn status_of(method: Method) -> StatusCode {
    match method {
        Method::Post => StatusCode::CREATED,
        Method::Put | Method::Patch => StatusCode::OK,
        Method::Delete => StatusCode::NO_CONTENT,
    }
}

/// The address of a resource, or what the client gave in its place.
fn location(base: &str, address: &str) -> String {
    match address.strip_prefix('/') {
        Some(path) => format!("{base}/{path}"),
        None if address.contains("://") => address.to_owned(),
        None => format!("{base}/{address}"),
    }
}
