//! One set of handlers for every resource type (RFC 7644 §3.3 to §3.6).

use super::extract::{BaseUrl, Conditions, ReadsScim, ScimJson, Segment, WritesScim};
use super::parameters::Parameters;
use super::preferences::{Preferences, Return};
use super::respond::{self, Answer};
use super::{Context, Shared};
use crate::engine::{self, Representation};
use crate::scim::error::{Error, ErrorKind, Result};
use crate::scim::path::shorten;
use crate::scim::project::Projection;
use crate::scim::schema::ResourceType;
use crate::store::{Detail, Stored};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;
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

    /// The resource type.
    pub(super) fn kind(&self) -> &Arc<ResourceType> {
        &self.0.kind
    }

    /// What the answer shows, and what has to be loaded for it.
    fn view(&self, parameters: &Parameters) -> Result<View<'_>> {
        let Served { kind, usual, .. } = &*self.0;
        let (attributes, excluded) = (parameters.attributes.as_deref(), parameters.excluded_attributes.as_deref());
        let projection = Projection::parse(kind, attributes, excluded)?;
        let detail = if projection == Projection::Default { *usual } else { detail(kind, &projection) };
        Ok(View { kind, projection, answer: engine::Answer { detail, asked: true }, shown: Shown::Resource, applied: None })
    }

    /// What the answer to a write shows. `attributes` says more than a preference does, and RFC 7644 §3.5.2 insists on the body then;
    /// a preference says more than `usual` (7644-3.5.2-08).
    fn view_of_write(&self, (parameters, preferences): &(Parameters, Preferences), usual: Shown, body: &Value) -> Result<View<'_>> {
        let view = self.view(parameters)?.of_write(body);
        let is_named = matches!(view.projection, Projection::Only(_));
        let (shown, applied) = match preferences.returns {
            Some(Return::Representation) => (Shown::Resource, Some(Return::Representation)),
            _ if is_named => (Shown::Resource, None),
            Some(Return::Minimal) => (Shown::Nothing, Some(Return::Minimal)),
            None => (usual, None),
        };
        // Members and groups are read for nobody who does not see them.
        let detail = if shown == Shown::Nothing { Detail::default() } else { view.answer.detail };
        let answer = engine::Answer { detail, asked: shown != Shown::UnlessLarge };
        Ok(View { answer, shown, applied, ..view })
    }
}

/// What a PATCH is answered with, where neither `attributes` nor a preference decides (RFC 7644 §3.5.2 allows both).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PatchAnswer {
    /// 200 with the resource; 204 for a group of more than
    /// [`members_in_patch_answer`](crate::base::limits::Limits::members_in_patch_answer) members.
    #[default]
    Auto,
    /// 200 with the resource, however large.
    Resource,
    /// 204.
    NoContent,
}

/// What the answer to a write shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Resource,
    UnlessLarge,
    Nothing,
}

impl From<PatchAnswer> for Shown {
    fn from(answer: PatchAnswer) -> Self {
        match answer {
            PatchAnswer::Auto => Self::UnlessLarge,
            PatchAnswer::Resource => Self::Resource,
            PatchAnswer::NoContent => Self::Nothing,
        }
    }
}

/// What has to be loaded beside the document for an answer.
pub(super) fn detail(kind: &ResourceType, projection: &Projection) -> Detail {
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
    shown: Shown,
    /// The preference that decided.
    applied: Option<Return>,
}

impl View<'_> {
    /// The view of the answer to a write with this body.
    fn of_write(mut self, body: &Value) -> Self {
        self.projection = self.projection.of_write(self.kind, body);
        if matches!(self.projection, Projection::Written { .. }) {
            self.answer.detail = detail(self.kind, &self.projection);
        }
        self
    }

    /// The resource.
    fn resource(&self, context: &Context, status: StatusCode, base: &str, stored: &Stored) -> Result<Response> {
        let room = context.answers.take(stored.bytes())?;
        let mut body = Vec::new();
        Representation::new(context.engine.registry(), self.kind, base, &self.projection).write(stored, &mut body)?;
        let body = room.hold(body)?;
        Ok(respond::resource(status, stored.version, self.location(base, stored), body))
    }

    /// The answer to a write. One that there is no room for is left out, as for a client that does not want to see it: the write was
    /// performed, and nothing may say that it was not.
    fn written(&self, context: &Context, status: StatusCode, base: &str, stored: &Stored) -> Answer {
        let (mut response, applied) = match self.shown {
            Shown::Nothing => (self.nothing(status, base, stored), self.applied),
            Shown::Resource | Shown::UnlessLarge => match self.resource(context, status, base, stored) {
                Ok(response) => (response, self.applied),
                Err(busy) if busy.kind == ErrorKind::Unavailable => (self.nothing(status, base, stored), None),
                Err(error) => return Err(error.into()),
            },
        };
        if let Some(applied) = applied {
            respond::set_applied(&mut response, applied);
        }
        Ok(response)
    }

    fn nothing(&self, status: StatusCode, base: &str, stored: &Stored) -> Response {
        match status {
            StatusCode::CREATED => respond::created(stored.version, self.location(base, stored)),
            _ => respond::without_body(StatusCode::NO_CONTENT, Some(stored.version)),
        }
    }

    fn location(&self, base: &str, stored: &Stored) -> String {
        self.kind.address(base, &stored.key.id.to_string())
    }
}

/// POST (RFC 7644 §3.3).
pub(super) async fn create(
    State(endpoint): State<Endpoint>,
    WritesScim(caller): WritesScim,
    base: BaseUrl,
    asked: (Parameters, Preferences),
    ScimJson(body, _room): ScimJson,
) -> Answer {
    let (context, view) = (endpoint.context(), endpoint.view_of_write(&asked, Shown::Resource, &body)?);
    let stored = context.within(context.engine.create(&caller, view.kind, &body, view.answer)).await?;
    view.written(context, StatusCode::CREATED, &base, &stored)
}

/// GET of one resource (RFC 7644 §3.4.1).
///
/// 304 only when `groups` is not in the answer: a change of membership does not move the version of the member.
pub(super) async fn read(
    State(endpoint): State<Endpoint>,
    ReadsScim(caller): ReadsScim,
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
    Ok(view.resource(context, StatusCode::OK, &base, &stored)?)
}

/// PUT (RFC 7644 §3.5.1).
pub(super) async fn replace(
    State(endpoint): State<Endpoint>,
    WritesScim(caller): WritesScim,
    Segment(id): Segment,
    base: BaseUrl,
    conditions: Conditions,
    asked: (Parameters, Preferences),
    ScimJson(body, _room): ScimJson,
) -> Answer {
    let (context, view) = (endpoint.context(), endpoint.view_of_write(&asked, Shown::Resource, &body)?);
    let replacing = context.engine.replace(&caller, view.kind, &id, conditions.of_write(), &body, view.answer);
    let stored = context.within(replacing).await?;
    view.written(context, StatusCode::OK, &base, &stored)
}

/// PATCH (RFC 7644 §3.5.2): 200 with the resource, or 204 (7644-3.5.2-08).
pub(super) async fn modify(
    State(endpoint): State<Endpoint>,
    WritesScim(caller): WritesScim,
    Segment(id): Segment,
    base: BaseUrl,
    conditions: Conditions,
    asked: (Parameters, Preferences),
    ScimJson(body, _room): ScimJson,
) -> Answer {
    let context = endpoint.context();
    let view = endpoint.view_of_write(&asked, context.surface.patch_answer.into(), &body)?;
    let modifying = context.engine.modify(&caller, view.kind, &id, conditions.of_write(), &body, view.answer);
    let modified = context.within(modifying).await?;
    match &modified.stored {
        Some(stored) => view.written(context, StatusCode::OK, &base, stored),
        None => Ok(respond::without_body(StatusCode::NO_CONTENT, Some(modified.version))),
    }
}

/// DELETE (RFC 7644 §3.6).
pub(super) async fn delete(
    State(endpoint): State<Endpoint>,
    WritesScim(caller): WritesScim,
    Segment(id): Segment,
    conditions: Conditions,
) -> Answer {
    let context = endpoint.context();
    let precondition = conditions.of_write();
    context.within(context.engine.delete(&caller, &endpoint.0.kind, &id, precondition)).await?;
    Ok(respond::without_body(StatusCode::NO_CONTENT, None))
}
