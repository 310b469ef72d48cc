//! The whole route table.

use super::extract::{ReadsScim, WritesScim};
use super::log::Log;
use super::resources::Endpoint;
use super::respond;
use super::survive::Survive;
use super::table::Table;
use super::unread::Unread;
use super::{Context, bulk, discovery, docs, feeds, health, keys, me, metrics, poll, resources, search, streams};
use axum::Router;
use axum::routing::{get, post};
use std::sync::Arc;

/// Every route. HEAD is answered wherever GET is; what no route has is answered 404 and 405 in SCIM's words.
pub fn router(context: &Arc<Context>) -> Router {
    let Table { router, .. } = table(context);
    let answered = router.fallback(respond::not_found).method_not_allowed_fallback(respond::method_not_allowed);
    let unread = Unread { most: context.surface.limits.body_bytes };
    // All as one: the router puts what each call of `layer` makes into boxes of its own.
    answered.layer((unread, Log::new(context), Survive))
}

/// The whole route table.
pub(super) fn table(context: &Arc<Context>) -> Table {
    let at = |path: &str| format!("{}{path}", context.surface.base_path);
    let fixed = Table::new()
        .route(&at("/ServiceProviderConfig"), get(discovery::service_provider_config))
        .route(&at("/Schemas"), get(discovery::schemas))
        .route(&at("/Schemas/{id}"), get(discovery::schema))
        .route(&at("/ResourceTypes"), get(discovery::resource_types))
        .route(&at("/ResourceTypes/{id}"), get(discovery::resource_type))
        .route(&at("/Events/Feeds"), get(feeds::list))
        .route(&at("/Events/Feeds/{id}"), get(feeds::read))
        .route(&at("/Events/Feeds/{id}/Stream"), get(feeds::stream).post(poll::feed))
        .route(&at("/Events/Streams"), get(streams::list).post(streams::create))
        .route(&at("/Events/Streams/{id}"), get(streams::read).put(streams::replace).patch(streams::modify).delete(streams::delete))
        .route(&at("/Events/Streams/{id}/Status"), get(streams::read_status).post(streams::set_status))
        .route(&at("/Events/Streams/{id}/Verify"), post(streams::verify))
        .route(&at("/Events/Streams/{id}/Replay"), post(streams::replay))
        .route(&at("/Events/Streams/{id}/DeadLetters"), get(streams::dead_letters))
        .route(&at("/Events/Streams/{id}/DeadLetters/Retry"), post(streams::retry))
        .route(&at("/Events/Streams/{id}/DeadLetters/Discard"), post(streams::discard))
        .route(&at("/Events/Streams/{id}/Poll"), post(poll::stream))
        .route(&at("/Events/Keys"), get(keys::list))
        .route(&at("/Events/Keys/Rotate"), post(keys::rotate))
        .route(&at("/Events/Keys/{id}/Retire"), post(keys::retire))
        .route("/.well-known/jwks.json", get(keys::published))
        .route("/openapi.json", get(docs::openapi))
        .route("/docs/{file}", get(docs::asset))
        .route(&at("/.search"), post(search::search_all))
        .merge(root(&context.surface.base_path))
        .route(&at("/Bulk"), post(bulk::bulk))
        .route("/health", get(health::live))
        .route("/ready", get(health::ready))
        .route("/metrics", get(metrics::metrics))
        .with_state(Arc::clone(context));
    let fixed = fixed.merge(own(context, &at("/Me")));
    context.engine.registry().types().iter().fold(fixed, |routes, kind| {
        let (all, one) = (at(&kind.endpoint), at(&format!("{}/{{id}}", kind.endpoint)));
        let searched = at(&format!("{}/.search", kind.endpoint));
        let endpoint = Endpoint::new(Arc::clone(context), Arc::clone(kind));
        let of_type = Table::new()
            .route(&all, get(search::list).post(resources::create))
            .route(&searched, post(search::search))
            .route(&one, get(resources::read).put(resources::replace).patch(resources::modify).delete(resources::delete))
            .with_state(endpoint);
        routes.merge(of_type)
    })
}

/// The caller's own user.
fn own(context: &Arc<Context>, path: &str) -> Table {
    let Some(kind) = context.engine.registry().by_name("User") else {
        let methods = get(me::nobody::<ReadsScim>)
            .post(me::nobody::<WritesScim>)
            .put(me::nobody::<WritesScim>)
            .patch(me::nobody::<WritesScim>)
            .delete(me::nobody::<WritesScim>);
        return Table::new().route(path, methods).with_state(Arc::clone(context));
    };
    let methods = get(me::read).post(me::create).put(me::replace).patch(me::modify).delete(me::delete);
    Table::new().route(path, methods).with_state(Endpoint::new(Arc::clone(context), Arc::clone(kind)))
}

/// The root query, with and without a slash at its end; at `/` it shares its place with the page.
fn root(base_path: &str) -> Table<Arc<Context>> {
    match base_path {
        "" => Table::new().route("/", get(search::root_or_page)),
        base_path => Table::new()
            .route("/", get(docs::page))
            .route(base_path, get(search::root))
            .route(&format!("{base_path}/"), get(search::root)),
    }
}
