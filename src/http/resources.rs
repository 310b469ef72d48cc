//! One set of handlers for every resource type (RFC 7644 §3.3 to §3.6).

use super::extract::{Authenticated, BaseUrl, Conditions, ScimJson, Segment};
use super::parameters::Parameters;
use super::respond::{self, Answer};
use super::{Context, Shared};
use crate::engine::{self, Search, represent};
use crate::scim::error::{Error, ErrorKind, Result};
use crate::scim::message;
use crate::scim::path::shorten;
use crate::scim::project::Projection;
use crate::scim::schema::ResourceType;
use crate::store::{Detail, Stored};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use std::sync::Arc;

/// A resource type as it is served.
#[derive(Clone, Debug)]
pub(super) struct Endpoint(Arc<Served>);

#[derive(Debug)]
struct Served {
    context: Arc<Context>,
    kind: Arc<ResourceType>,
    /// What is loaded for an answer that the client has not shaped: worked out once.
    usual: Detail,
}

impl Shared for Endpoint {
    fn context(&self) -> &Context {
        &self.0.context
    }
}

impl Endpoint {
    /// A resource type with what its handlers share.
    pub(super) fn new(context: Arc<Context>, kind: Arc<ResourceType>) -> Self {
        let usual = detail(&kind, &Projection::Default);
        Self(Arc::new(Served { context, kind, usual }))
    }

    /// What the answer shows, and what has to be loaded for it.
    fn view(&self, parameters: &Parameters) -> Result<View<'_>> {
        let Served { kind, usual, .. } = &*self.0;
        let (attributes, excluded) = (parameters.attributes.as_deref(), parameters.excluded_attributes.as_deref());
        let projection = Projection::parse(kind, attributes, excluded)?;
        let detail = if projection == Projection::Default { *usual } else { detail(kind, &projection) };
        let asked = matches!(projection, Projection::Only(_));
        Ok(View { kind, projection, answer: engine::Answer { detail, asked } })
    }
}

/// What has to be loaded beside the document for an answer.
fn detail(kind: &ResourceType, projection: &Projection) -> Detail {
    Detail {
        members: kind.members().is_some() && projection.includes(kind, "members"),
        groups: kind.groups().is_some() && projection.includes(kind, "groups"),
        secrets: false,
    }
}

struct View<'a> {
    kind: &'a Arc<ResourceType>,
    projection: Projection,
    answer: engine::Answer,
}

impl View<'_> {
    fn respond(&self, context: &Context, status: StatusCode, base: &str, stored: &Stored) -> Response {
        let location = format!("{base}{}/{}", self.kind.endpoint, stored.key.id);
        respond::resource(
            status,
            stored.version,
            location,
            represent(context.engine.registry(), self.kind, stored, base, &self.projection),
        )
    }
}

/// POST (RFC 7644 §3.3).
pub(super) async fn create(
    State(endpoint): State<Endpoint>,
    Authenticated(caller): Authenticated,
    base: BaseUrl,
    parameters: Parameters,
    ScimJson(body, _room): ScimJson,
) -> Answer {
    let (context, view) = (endpoint.context(), endpoint.view(&parameters)?);
    let stored = context.within(context.engine.create(&caller, view.kind, &body, view.answer)).await?;
    Ok(view.respond(context, StatusCode::CREATED, &base, &stored))
}

/// GET of one resource (RFC 7644 §3.4.1).
///
/// 304 only when `groups` is not in the answer: a change of membership does not move the version of the member.
pub(super) async fn read(
    State(endpoint): State<Endpoint>,
    Authenticated(caller): Authenticated,
    Segment(id): Segment,
    base: BaseUrl,
    conditions: Conditions,
    parameters: Parameters,
) -> Answer {
    let (context, view) = (endpoint.context(), endpoint.view(&parameters)?);
    let stored = context.within(context.engine.get(&caller, view.kind, &id, view.answer.detail)).await?;
    // 9110-13.2.2-01
    if conditions.if_match.is_some_and(|wanted| !wanted.admits(stored.version)) {
        let detail = format!("Resource {} is at another version than If-Match names.", shorten(&id));
        return Err(Error::new(ErrorKind::PreconditionFailed, detail).into());
    }
    let known = conditions.if_none_match.is_some_and(|known| known.admits(stored.version));
    if known && !view.answer.detail.groups {
        return Ok(respond::without_body(StatusCode::NOT_MODIFIED, Some(stored.version)));
    }
    Ok(view.respond(context, StatusCode::OK, &base, &stored))
}

/// GET of a list (RFC 7644 §3.4.2).
pub(super) async fn list(
    State(endpoint): State<Endpoint>,
    Authenticated(caller): Authenticated,
    base: BaseUrl,
    parameters: Parameters,
) -> Answer {
    let (context, view) = (endpoint.context(), endpoint.view(&parameters)?);
    let search = Search {
        filter: parameters.filter,
        start_index: parameters.start_index,
        count: parameters.count,
        detail: view.answer.detail,
    };
    let listing = context.within(context.engine.query(&caller, view.kind, &search)).await?;
    let shown = |stored| represent(context.engine.registry(), view.kind, stored, &base, &view.projection);
    let resources: Vec<Vec<u8>> = listing.resources.iter().map(shown).collect();
    Ok(respond::json(StatusCode::OK, message::list_response(listing.total, listing.start_index, &resources)))
}

/// PUT (RFC 7644 §3.5.1).
pub(super) async fn replace(
    State(endpoint): State<Endpoint>,
    Authenticated(caller): Authenticated,
    Segment(id): Segment,
    base: BaseUrl,
    conditions: Conditions,
    parameters: Parameters,
    ScimJson(body, _room): ScimJson,
) -> Answer {
    let (context, view) = (endpoint.context(), endpoint.view(&parameters)?);
    let replacing = context.engine.replace(&caller, view.kind, &id, conditions.of_write()?, &body, view.answer);
    let stored = context.within(replacing).await?;
    Ok(view.respond(context, StatusCode::OK, &base, &stored))
}

/// PATCH (RFC 7644 §3.5.2): 200 with the resource, or 204 for a large group (7644-3.5.2-08).
pub(super) async fn modify(
    State(endpoint): State<Endpoint>,
    Authenticated(caller): Authenticated,
    Segment(id): Segment,
    base: BaseUrl,
    conditions: Conditions,
    parameters: Parameters,
    ScimJson(body, _room): ScimJson,
) -> Answer {
    let (context, view) = (endpoint.context(), endpoint.view(&parameters)?);
    let modifying = context.engine.modify(&caller, view.kind, &id, conditions.of_write()?, &body, view.answer);
    let modified = context.within(modifying).await?;
    match &modified.stored {
        Some(stored) => Ok(view.respond(context, StatusCode::OK, &base, stored)),
        None => Ok(respond::without_body(StatusCode::NO_CONTENT, Some(modified.version))),
    }
}

/// DELETE (RFC 7644 §3.6).
pub(super) async fn delete(
    State(endpoint): State<Endpoint>,
    Authenticated(caller): Authenticated,
    Segment(id): Segment,
    conditions: Conditions,
) -> Answer {
    let context = endpoint.context();
    let precondition = conditions.of_write()?;
    context.within(context.engine.delete(&caller, &endpoint.0.kind, &id, precondition)).await?;
    Ok(respond::without_body(StatusCode::NO_CONTENT, None))
}
