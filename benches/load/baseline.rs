//! Bare axum: what any handler costs, with the same body and headers as the server's.

use crate::Result;
use crate::server::{LISTENS, STATIC_BODY};
use axum::Router;
use axum::http::header;
use axum::routing::get;
use axum::serve::ListenerExt;
use bytes::Bytes;
use tokio::net::TcpListener;

/// Serves until the process is ended.
pub(crate) async fn serve() -> Result<()> {
    let body = Bytes::from(std::env::var(STATIC_BODY)?);
    let answer = move || async move {
        let headers = [
            (header::CONTENT_TYPE, "application/scim+json"),
            (header::ETAG, "\"1\""),
            (header::LOCATION, "http://127.0.0.1:8000/Users/0190c7a4-7f2a-7000-8000-000000000001"),
        ];
        (headers, body)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("static {LISTENS}{}/", listener.local_addr()?);
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    Ok(axum::serve(listener, Router::new().route("/static", get(answer))).await?)
}
