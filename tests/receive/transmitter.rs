//! A small HTTP server whose answers a test writes.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response};
use axum::serve::Listener;
use serde_json::{Value, json};
use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Seen {
    pub line: String,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

type Script = Arc<dyn Fn(usize, &Seen) -> Option<Response<Body>> + Send + Sync>;

#[derive(Clone)]
struct Shared {
    script: Script,
    seen: Arc<Mutex<Vec<Seen>>>,
}

/// A server. It ends with the test.
pub struct Transmitter {
    pub address: SocketAddr,
    scheme: &'static str,
    shared: Shared,
}

impl Transmitter {
    /// A server that answers what the script says to the number of a request, from 0, and the request; `None` is no answer ever.
    pub async fn start(script: impl Fn(usize, &Seen) -> Option<Response<Body>> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (shared, router) = scripted(script);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, scheme: "http", shared }
    }

    /// The same over TLS.
    pub async fn start_tls(
        config: Arc<ServerConfig>,
        script: impl Fn(usize, &Seen) -> Option<Response<Body>> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (shared, router) = scripted(script);
        let listener = TlsListener { listener, acceptor: TlsAcceptor::from(config) };
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, scheme: "https", shared }
    }

    pub fn url(&self, path: &str) -> String {
        self.url_at("127.0.0.1", path)
    }

    /// The URL of a path by a name, which must lead to loopback.
    pub fn url_at(&self, name: &str, path: &str) -> String {
        format!("{}://{name}:{}{path}", self.scheme, self.address.port())
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().expect("the requests").clone()
    }
}

fn scripted(script: impl Fn(usize, &Seen) -> Option<Response<Body>> + Send + Sync + 'static) -> (Shared, Router) {
    let shared = Shared { script: Arc::new(script), seen: Arc::default() };
    (shared.clone(), Router::new().fallback(answer).with_state(shared))
}

/// Takes connections over TLS. One whose client does not like the certificate is none.
struct TlsListener {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for TlsListener {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, address)) = self.listener.accept().await else { continue };
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

async fn answer(State(shared): State<Shared>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a body");
    let body = serde_json::from_slice(&body).unwrap_or_default();
    let seen = Seen { line: format!("{} {}", head.method, head.uri), headers: head.headers, body };
    let number = {
        let mut all = shared.seen.lock().expect("the requests");
        all.push(seen.clone());
        all.len() - 1
    };
    match (shared.script)(number, &seen) {
        Some(answer) => answer,
        None => pending().await,
    }
}

/// An answer with a status and a JSON body.
pub fn json_answer(status: u16, body: &Value) -> Response<Body> {
    let answer = Response::builder().status(status).header("content-type", "application/json");
    answer.body(Body::from(body.to_string())).expect("an answer")
}

/// An answer of RFC 8936 §2.3.
pub fn delivery(sets: &[(&str, String)], has_more: bool) -> Response<Body> {
    let sets: serde_json::Map<String, Value> = sets.iter().map(|(jti, set)| ((*jti).to_owned(), set.as_str().into())).collect();
    json_answer(200, &json!({"sets": sets, "moreAvailable": has_more}))
}

/// An event stream that brings a text and ends, or stays open.
pub fn event_stream(text: String, stays: bool) -> Response<Body> {
    use futures_util::StreamExt as _;
    let text = futures_util::stream::iter([Ok::<_, std::io::Error>(text)]);
    let body = if stays { Body::from_stream(text.chain(futures_util::stream::pending())) } else { Body::from_stream(text) };
    Response::builder().header("content-type", "text/event-stream").body(body).expect("an answer")
}
