//! What this server says of itself: the OpenAPI document at `/openapi.json`, and the interactive page at `/`.
//!
//! Neither needs a credential: both hold what the discovery endpoints tell anyone. The page is Swagger UI, served by this program,
//! which asks no other host for anything.

mod document;
mod example;
mod feeds;
mod message;
mod operation;
mod page;
mod parameter;
mod paths;
mod schema;
mod streams;
#[cfg(test)]
mod tests;

use super::Context;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::Response;
use document::{Source, document};
use page::Asset;
use std::sync::{Arc, OnceLock};

pub(super) use page::{asset, page, wants_page};

/// The OpenAPI document of a server: made when it is first asked for, and then kept.
#[derive(Debug, Default)]
pub(super) struct OpenApi(OnceLock<Asset>);

/// `/openapi.json`.
pub(super) async fn openapi(State(context): State<Arc<Context>>, headers: HeaderMap) -> Response {
    let made = || {
        let algorithms = context.delivery.algorithms();
        let source = Source { registry: context.engine.registry(), surface: &context.surface, algorithms };
        Asset::new(document(&source).to_string().into(), "application/json")
    };
    context.openapi.0.get_or_init(made).answer(headers.get(header::IF_NONE_MATCH))
}
