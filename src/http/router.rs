//! The whole route table.

use super::extract::Authenticated;
use super::resources::Endpoint;
use super::respond::{self, Failure};
use super::survive::Survive;
use super::{Context, discovery, feeds, health, resources};
use crate::scim::error::{Error, ErrorKind};
use axum::Router;
use axum::routing::{any, get, post};
use std::sync::Arc;

/// Every route. HEAD is answered wherever GET is; what no route has is answered 404 and 405 in SCIM's words.
pub fn router(context: &Arc<Context>) -> Router {
    let at = |path: &str| format!("{}{path}", context.surface.base_path);
    let fixed = Router::new()
        .route(&at("/ServiceProviderConfig"), get(discovery::service_provider_config))
        .route(&at("/Schemas"), get(discovery::schemas))
        .route(&at("/Schemas/{id}"), get(discovery::schema))
        .route(&at("/ResourceTypes"), get(discovery::resource_types))
        .route(&at("/ResourceTypes/{id}"), get(discovery::resource_type))
        .route(&at("/Events/Feeds"), get(feeds::list))
        .route(&at("/Events/Feeds/{id}"), get(feeds::read))
        .route(&at("/Events/Feeds/{id}/Stream"), get(feeds::stream))
        .route(&at("/Bulk"), post(not_built))
        .route(&at("/.search"), post(not_built))
        .route(&at("/Me"), any(not_built))
        .route("/health", get(health::live))
        .route("/ready", get(health::ready))
        .with_state(Arc::clone(context));
    let routes = context.engine.registry().types().iter().fold(fixed, |routes, kind| {
        let (all, one) = (at(&kind.endpoint), at(&format!("{}/{{id}}", kind.endpoint)));
        let search = at(&format!("{}/.search", kind.endpoint));
        let endpoint = Endpoint::new(Arc::clone(context), Arc::clone(kind));
        let of_type = Router::new()
            .route(&all, get(resources::list).post(resources::create))
            .route(&search, post(not_built))
            .route(&one, get(resources::read).put(resources::replace).patch(resources::modify).delete(resources::delete))
            .with_state(endpoint);
        routes.merge(of_type)
    });
    routes.fallback(respond::not_found).method_not_allowed_fallback(respond::method_not_allowed).layer(Survive)
}

/// An endpoint of RFC 7644 that is not built (7644-3.11-01).
async fn not_built(_: Authenticated) -> Failure {
    Error::new(ErrorKind::NotImplemented, "This endpoint is not built yet.").into()
}
