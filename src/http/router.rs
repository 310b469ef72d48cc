//! The whole route table.

use super::log::Log;
use super::resources::Endpoint;
use super::respond;
use super::survive::Survive;
use super::table::Table;
use super::{Context, bulk, discovery, docs, feeds, health, me, resources, search};
use axum::Router;
use axum::routing::{get, post};
use std::sync::Arc;

/// Every route. HEAD is answered wherever GET is; what no route has is answered 404 and 405 in SCIM's words.
pub fn router(context: &Arc<Context>) -> Router {
    let Table { router, .. } = table(context);
    let answered = router.fallback(respond::not_found).method_not_allowed_fallback(respond::method_not_allowed);
    // Both as one: the router puts what each call of `layer` makes into boxes of its own.
    answered.layer((Log::new(context), Survive))
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
        .route(&at("/Events/Feeds/{id}/Stream"), get(feeds::stream))
        .route("/openapi.json", get(docs::openapi))
        .route("/docs/{file}", get(docs::asset))
        .route(&at("/.search"), post(search::search_all))
        .merge(root(&context.surface.base_path))
        .route(&at("/Bulk"), post(bulk::bulk))
        .route("/health", get(health::live))
        .route("/ready", get(health::ready))
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
        let methods = get(me::nobody).post(me::nobody).put(me::nobody).patch(me::nobody).delete(me::nobody);
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
