//! Whether the process lives, and whether it can serve.

use super::{Context, Shared};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// 200 as long as the process answers.
pub(super) async fn live() -> Response {
    status(StatusCode::OK, r#"{"status":"ok"}"#)
}

/// 200 while the store answers and the server is not shutting down, else 503.
pub(super) async fn ready(State(context): State<Arc<Context>>) -> Response {
    let context = context.context();
    if context.is_stopping() {
        return status(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"stopping"}"#);
    }
    match context.within(context.engine.ready()).await {
        Ok(()) => status(StatusCode::OK, r#"{"status":"ready"}"#),
        Err(_) => status(StatusCode::SERVICE_UNAVAILABLE, r#"{"status":"the store does not answer"}"#),
    }
}

fn status(status: StatusCode, body: &'static str) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-store")], body).into_response()
}
