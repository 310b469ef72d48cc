//! `/Me`: the caller's own user, by the handlers of every other resource (RFC 7644 §3.11).
//!
//! Creating through it is not offered (501): what a caller that has no user yet would create is for whoever maps it to say.

use super::Shared;
use super::extract::{Allowed, BaseUrl, Conditions, ReadsScim, ScimJson, Segment, WritesScim};
use super::parameters::Parameters;
use super::preferences::Preferences;
use super::resources::{self, Endpoint};
use super::respond::{self, Answer, Failure};
use crate::base::id::ResourceId;
use crate::scim::error::{Error, ErrorKind};
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

/// The user that the caller's credential is mapped to. Whether there is one is told before anything is said of a body.
pub(super) struct Own<A> {
    caller: A,
    base: BaseUrl,
    id: ResourceId,
    location: String,
}

impl<A: Allowed + FromRequestParts<Endpoint, Rejection = Failure> + Send + Sync> FromRequestParts<Endpoint> for Own<A> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, endpoint: &Endpoint) -> Result<Self, Failure> {
        let caller = A::from_request_parts(parts, endpoint).await?;
        let base = BaseUrl::from_request_parts(parts, endpoint).await?;
        let (context, kind) = (endpoint.context(), endpoint.kind());
        let id = context.within(context.engine.own_user(caller.caller(), kind)).await?;
        Ok(Self { location: kind.address(&base, &id.to_string()), caller, base, id })
    }
}

impl<A> Own<A> {
    /// What the handler of a user takes from a request, and where the user really is: every answer, a failure included, says so
    /// (7644-3.11-01).
    fn split(self) -> ((A, Segment, BaseUrl), String) {
        ((self.caller, Segment(self.id.to_string()), self.base), self.location)
    }
}

fn located(answer: Answer, location: String) -> Response {
    let mut response = answer.unwrap_or_else(IntoResponse::into_response);
    respond::set_location(&mut response, location);
    response
}

/// GET
pub(super) async fn read(
    endpoint: State<Endpoint>,
    own: Own<ReadsScim>,
    conditions: Conditions,
    parameters: Parameters,
) -> Response {
    let ((caller, id, base), location) = own.split();
    located(resources::read(endpoint, caller, id, base, conditions, parameters).await, location)
}

/// PUT
pub(super) async fn replace(
    endpoint: State<Endpoint>,
    own: Own<WritesScim>,
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
    own: Own<WritesScim>,
    conditions: Conditions,
    asked: (Parameters, Preferences),
    body: ScimJson,
) -> Response {
    let ((caller, id, base), location) = own.split();
    located(resources::modify(endpoint, caller, id, base, conditions, asked, body).await, location)
}

/// DELETE
pub(super) async fn delete(endpoint: State<Endpoint>, own: Own<WritesScim>, conditions: Conditions) -> Response {
    let ((caller, id, _), location) = own.split();
    located(resources::delete(endpoint, caller, id, conditions).await, location)
}

/// POST
pub(super) async fn create(_: WritesScim) -> Failure {
    Error::new(ErrorKind::NotImplemented, "A user is not created through /Me: POST it to its own endpoint.").into()
}

/// Any method, where no type of resource is called User.
pub(super) async fn nobody<A: Allowed>(_: A) -> Failure {
    Error::new(ErrorKind::NotImplemented, "This server has no users, so that there is no /Me.").into()
}
