//! Lists, `.search` on a type and at the root, and the root query (RFC 7644 §3.4.2, §3.4.3): one answer, asked for in four ways.

use super::extract::{BaseUrl, ReadsScim, ScimJson};
use super::parameters::Parameters;
use super::resources::{Endpoint, detail};
use super::respond::{self, Answer};
use super::{Context, Shared, docs};
use crate::auth::Caller;
use crate::engine::{Representation, Search, Target};
use crate::scim::error::Result;
use crate::scim::message;
use crate::scim::project::Projection;
use crate::scim::schema::ResourceType;
use crate::scim::search::SearchRequest;
use crate::store::Stored;
use axum::extract::{Request, State};
use axum::handler::Handler;
use axum::http::StatusCode;
use axum::response::Response;
use std::slice;
use std::sync::Arc;

/// What a search covers, as the endpoint and the types there.
#[derive(Clone, Copy)]
struct Scope<'a> {
    context: &'a Context,
    endpoint: &'a str,
    kinds: &'a [Arc<ResourceType>],
}

impl<'a> Scope<'a> {
    fn of_type(endpoint: &'a Endpoint) -> Self {
        let kind = endpoint.kind();
        Self { context: endpoint.context(), endpoint: &kind.endpoint, kinds: slice::from_ref(kind) }
    }

    fn of_all(context: &'a Context) -> Self {
        Self { context, endpoint: "/", kinds: context.engine.registry().types() }
    }

    async fn answer(self, caller: &Caller, base: &str, request: &SearchRequest) -> Answer {
        let Self { context, endpoint, kinds } = self;
        let (attributes, excluded) = (request.attributes.as_deref(), request.excluded_attributes.as_deref());
        let projections =
            kinds.iter().map(|kind| Projection::parse(kind, attributes, excluded)).collect::<Result<Vec<Projection>>>()?;
        let shown: Vec<(&Arc<ResourceType>, &Projection)> = kinds.iter().zip(&projections).collect();
        let targets: Vec<Target<'_>> =
            shown.iter().map(|(kind, projection)| Target { kind, detail: detail(kind, projection) }).collect();
        let search = Search { endpoint, targets: &targets, request };
        let listing = context.within(context.engine.search(caller, search)).await?;
        let bytes = listing.resources.iter().map(Stored::bytes).sum();
        let room = context.answers.take(bytes)?;
        let registry = context.engine.registry();
        let represented = kinds.iter().zip(&projections);
        let represented: Vec<_> =
            represented.map(|(kind, projection)| (kind.code, Representation::new(registry, kind, base, projection))).collect();
        let page =
            message::page_response(listing.total, &listing.paging, bytes + bytes / 2, &listing.resources, |stored, body| {
                // What is found is of one of the types that were searched.
                let representation = represented.iter().find(|(code, _)| *code == stored.key.kind);
                representation.map_or(Ok(()), |(_, representation)| representation.write(stored, body))
            })?;
        Ok(respond::json(StatusCode::OK, room.hold(page)?))
    }
}

/// GET of a list (RFC 7644 §3.4.2).
pub(super) async fn list(
    State(endpoint): State<Endpoint>,
    ReadsScim(caller): ReadsScim,
    base: BaseUrl,
    parameters: Parameters,
) -> Answer {
    Scope::of_type(&endpoint).answer(&caller, &base, &parameters.into()).await
}

/// POST to `.search` of a type (RFC 7644 §3.4.3).
pub(super) async fn search(
    State(endpoint): State<Endpoint>,
    ReadsScim(caller): ReadsScim,
    base: BaseUrl,
    ScimJson(body, _room): ScimJson,
) -> Answer {
    Scope::of_type(&endpoint).answer(&caller, &base, &SearchRequest::parse(&body)?).await
}

/// POST to `.search` at the root: every type.
pub(super) async fn search_all(
    State(context): State<Arc<Context>>,
    ReadsScim(caller): ReadsScim,
    base: BaseUrl,
    ScimJson(body, _room): ScimJson,
) -> Answer {
    Scope::of_all(&context).answer(&caller, &base, &SearchRequest::parse(&body)?).await
}

/// GET of the root: every type (RFC 7644 §3.4.2.1).
pub(super) async fn root(
    State(context): State<Arc<Context>>,
    ReadsScim(caller): ReadsScim,
    base: BaseUrl,
    parameters: Parameters,
) -> Answer {
    Scope::of_all(&context).answer(&caller, &base, &parameters.into()).await
}

/// GET of `/` where it is also the place of the page for people: the root query when the request filters or asks for SCIM.
pub(super) async fn root_or_page(State(context): State<Arc<Context>>, request: Request) -> Response {
    if docs::wants_page(&context, request.headers(), request.uri()) {
        return docs::page.call(request, context).await;
    }
    root.call(request, context).await
}
