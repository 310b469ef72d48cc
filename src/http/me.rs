//! `/Me`: the caller's own user, by the handlers of every other resource (RFC 7644 §3.11).
//!
//! Creating through it is not offered (501): what a caller that has no user yet would create is for whoever maps it to say.

use super::Shared;
use super::extract::{Authenticated, BaseUrl, Conditions, ScimJson, Segment};
use super::parameters::Parameters;
use super::preferences::Preferences;
use super::resources::{self, Endpoint};
use super::respond::{self, Answer, Failure};
use crate::auth::Caller;
use crate::base::id::ResourceId;
use crate::scim::error::{Error, ErrorKind};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// The user that the caller's credential is mapped to. Whether there is one is told before anything is said of a body.
pub(super) struct Own {
    caller: Arc<Caller>,
    base: BaseUrl,
    id: ResourceId,
    location: String,
}

impl FromRequestParts<Endpoint> for Own {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, endpoint: &Endpoint) -> Result<Self, Failure> {
        let Authenticated(caller) = Authenticated::from_request_parts(parts, endpoint).await?;
        let base = BaseUrl::from_request_parts(parts, endpoint).await?;
        let (context, kind) = (endpoint.context(), endpoint.kind());
        let id = context.within(context.engine.own_user(&caller, kind)).await?;
        Ok(Self { location: kind.address(&base, &id.to_string()), caller, base, id })
    }
}

impl Own {
    /// What the handler of a user takes from a request, and where the user really is: every answer, a failure included, says so
    /// (7644-3.11-01).
    fn split(self) -> ((Authenticated, Segment, BaseUrl), String) {
        ((Authenticated(self.caller), Segment(self.id.to_string()), self.base), self.location)
    }
}

fn located(answer: Answer, location: String) -> Response {
    let mut response = answer.unwrap_or_else(IntoResponse::into_response);
    respond::set_location(&mut response, location);
    response
}

/// GET
pub(super) async fn read(endpoint: State<Endpoint>, own: Own, conditions: Conditions, parameters: Parameters) -> Response {
    let ((caller, id, base), location) = own.split();
    located(resources::read(endpoint, caller, id, base, conditions, parameters).await, location)
}

/// PUT
pub(super) async fn replace(
    endpoint: State<Endpoint>,
    own: Own,
    conditions: Conditions,
    asked: (Parameters, Preferences),
    body: ScimJson,
) -> Response {
    let ((caller, id, base), location) = own.split();
    located(resources::replace(endpoint, caller, id, base, conditions, asked, body).await, location)
}

/// PATCH
pub(super) async fn modify(
    endpoint: State<Endpoint>,
    own: Own,
    conditions: Conditions,
    asked: (Parameters, Preferences),
    body: ScimJson,
) -> Response {
    let ((caller, id, base), location) = own.split();
    located(resources::modify(endpoint, caller, id, base, conditions, asked, body).await, location)
}

/// DELETE
pub(super) async fn delete(endpoint: State<Endpoint>, own: Own, conditions: Conditions) -> Response {
    let ((caller, id, _), location) = own.split();
    located(resources::delete(endpoint, caller, id, conditions).await, location)
}

/// POST
pub(super) async fn create(_: Authenticated) -> Failure {
    Error::new(ErrorKind::NotImplemented, "A user is not created through /Me: POST it to its own endpoint.").into()
}

/// Any method, where no type of resource is called User.
pub(super) async fn nobody(_: Authenticated) -> Failure {
    Error::new(ErrorKind::NotImplemented, "This server has no users, so that there is no /Me.").into()
}
