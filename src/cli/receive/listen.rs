//! The receiver of RFC 8935: one SET a request, acknowledged with 202 once it is kept.
//!
//! It speaks HTTP/1.1 without TLS: where SETs come over a network, a proxy with TLS belongs in front of it (RFC 8935 §5.3).

use super::arguments::Listening;
use super::faults::{self, Fault};
use super::inbox::{Failure, Inbox};
use super::stop::Stop;
use super::verify::{Code, Refusal};
use crate::base::limits;
use crate::base::secret::TokenDigest;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{ALLOW, AUTHORIZATION, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum_server::Handle;
use hyper_util::rt::TokioTimer;
use serde_json::json;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

#[derive(Clone, Debug)]
struct Context {
    inbox: Arc<Inbox>,
    listening: Arc<Listening>,
    stop: Stop,
}

/// Listens until the receiver ends, and lets requests in flight be answered. Fails when the listener cannot be used.
pub(super) async fn run(listener: TcpListener, listening: Listening, inbox: Arc<Inbox>, stop: Stop) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let handle: Handle<SocketAddr> = Handle::new();
    let context = Context { inbox, listening: Arc::new(listening), stop: stop.clone() };
    let router = Router::new().fallback(receive).with_state(context);
    let mut server = axum_server::from_tcp(listener)?.handle(handle.clone()).http1_only();
    let http = server.http_builder();
    let patience = Duration::from_millis(limits::HEADER_READ_MS);
    http.http1().timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(limits::HEADER_BYTES);
    let stopping = tokio::spawn(async move {
        stop.ended().await;
        handle.graceful_shutdown(Some(Duration::from_millis(limits::SHUTDOWN_MS)));
    });
    let result = server.serve(router.into_make_service_with_connect_info::<SocketAddr>()).await;
    stopping.abort();
    result
}

async fn receive(State(context): State<Context>, ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    if head.method != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "POST")]).into_response();
    }
    if let Err(refusal) = admit(&context.listening, peer, &head.headers) {
        return refused(StatusCode::BAD_REQUEST, &refusal);
    }
    if !is_set(&head.headers, context.inbox.is_unverified) {
        let refusal = Refusal::new(Code::InvalidRequest, "The Content-Type is not application/secevent+jwt.");
        return refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, &refusal);
    }
    let body = match read(&head.headers, body).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let faults = faults::next(&context.listening.faults);
    for fault in &faults {
        match fault {
            Fault::Status(status) => return StatusCode::from_u16(*status).unwrap_or_default().into_response(),
            Fault::Refuse(code) => return refused_with(StatusCode::BAD_REQUEST, code, "As --fault asked for."),
            Fault::Delay(_) | Fault::Drop | Fault::Reset => {}
        }
    }
    let answer = take(&context.inbox, &body).await;
    for fault in faults {
        match fault {
            Fault::Delay(time) => context.stop.wait(*time).await,
            Fault::Drop => context.stop.hang().await,
            Fault::Reset => return broken_off(),
            Fault::Status(_) | Fault::Refuse(_) => {}
        }
    }
    answer
}

/// Reads a body of a size and within a time.
async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Response> {
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok()).unwrap_or(0);
    let refusal = Refusal::new(Code::InvalidRequest, "The body is too large, or did not arrive whole.");
    let refuse = || refused(StatusCode::PAYLOAD_TOO_LARGE, &refusal);
    if length > limits::RECEIVE_SET_BYTES {
        return Err(refuse());
    }
    let reading = to_bytes(body, limits::RECEIVE_SET_BYTES);
    match tokio::time::timeout(Duration::from_millis(limits::HEADER_READ_MS), reading).await {
        Ok(read) => read.map_err(|_| refuse()),
        Err(_) => Err(StatusCode::REQUEST_TIMEOUT.into_response()),
    }
}

async fn take(inbox: &Inbox, body: &Bytes) -> Response {
    let text = std::str::from_utf8(body).map(str::trim);
    let taken = match text {
        Ok(set) => inbox.take(set, None).await,
        Err(_) => Err(Failure::Refused(Refusal::new(Code::InvalidRequest, "The body is not text."))),
    };
    match taken {
        // RFC 8935 §2.2: 202, and an empty body. What came before is acknowledged again.
        Ok(_) => StatusCode::ACCEPTED.into_response(),
        Err(Failure::Refused(refusal)) => refused(StatusCode::BAD_REQUEST, &refusal),
        Err(Failure::NotKept) => (StatusCode::SERVICE_UNAVAILABLE, [(RETRY_AFTER, "1")]).into_response(),
    }
}

/// Whether the transmitter may send here, and showed who it is (RFC 8935 §2).
fn admit(listening: &Listening, peer: SocketAddr, headers: &HeaderMap) -> Result<(), Refusal> {
    let address = peer.ip().to_canonical();
    if !listening.allowed.is_empty() && !listening.allowed.iter().any(|network| network.contains(&address)) {
        return Err(Refusal::new(Code::AccessDenied, "This receiver takes no SETs from your address."));
    }
    let Some(wanted) = &listening.authorization else { return Ok(()) };
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let given = values.next().and_then(|value| value.to_str().ok()).map(TokenDigest::of);
    if given == Some(*wanted) && values.next().is_none() {
        return Ok(());
    }
    Err(Refusal::new(Code::AuthenticationFailed, "The Authorization header is not the one that was agreed on."))
}

fn is_set(headers: &HeaderMap, is_unverified: bool) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    let matches = |name: &str| media_type.eq_ignore_ascii_case(name);
    matches("application/secevent+jwt") || is_unverified && matches("application/json")
}

/// RFC 8935 §2.3
fn refused(status: StatusCode, refusal: &Refusal) -> Response {
    refused_with(status, refusal.code.name(), &refusal.description)
}

fn refused_with(status: StatusCode, code: &str, description: &str) -> Response {
    let body = json!({"err": code, "description": description}).to_string();
    (status, [(CONTENT_TYPE, "application/json"), (CONTENT_LANGUAGE, "en")], body).into_response()
}

/// An answer that promises more than it brings: the connection is closed in its midst.
fn broken_off() -> Response {
    let pieces = [Ok(Bytes::from_static(b"{")), Err(io::Error::other("as --fault asked for"))];
    let body = Body::from_stream(futures_util::stream::iter(pieces));
    (StatusCode::ACCEPTED, [(CONTENT_LENGTH, "100")], body).into_response()
}
