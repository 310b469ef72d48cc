//! A receiver of pushed SETs (RFC 8935) that does as a script says: HTTP/1.1 by hand, so that it can also do what no server would.

use super::reply::Reply;
use super::wait::{PATIENCE, until};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

/// A receiver that listens on loopback. It stops when this is dropped, and its connections break.
#[derive(Debug)]
pub struct Receiver {
    /// Where it listens.
    pub address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

/// A request that came whole, and what became of it.
#[derive(Clone, Debug)]
pub struct Received {
    /// Such as `POST`.
    pub method: String,
    /// The path with its query.
    pub target: String,
    /// Names in lower case, in the order in which they came.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The number of the connection it came on, from 0.
    pub connection: usize,
    /// The version of TLS, such as `TLSv1_3`.
    pub tls: Option<String>,
    /// When it was there whole.
    pub arrived: Instant,
    /// The status that was sent, once all of the answer was.
    pub answered: Option<u16>,
}

/// Decides each answer when the script is over.
type Decide = Box<dyn Fn(&Received) -> Reply + Send + Sync>;

struct Shared {
    received: Mutex<Vec<Received>>,
    script: Mutex<VecDeque<Reply>>,
    otherwise: Mutex<Decide>,
    connections: Mutex<Connections>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Shared").field("received", &self.received).finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, Default)]
struct Connections {
    made: usize,
    open: usize,
    in_flight: usize,
    most_in_flight: usize,
}

impl Receiver {
    /// One that answers 202 until it is told otherwise, on a free port.
    pub async fn start() -> Self {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0)), None).await
    }

    /// The same at an address where another was stopped.
    pub async fn start_at(address: SocketAddr) -> Self {
        Self::listen(address, None).await
    }

    /// The same over TLS.
    pub async fn start_tls(config: Arc<ServerConfig>) -> Self {
        Self::listen(SocketAddr::from(([127, 0, 0, 1], 0)), Some(config)).await
    }

    async fn listen(address: SocketAddr, tls: Option<Arc<ServerConfig>>) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port to listen on");
        let address = listener.local_addr().expect("its address");
        let shared = Arc::new(Shared {
            received: Mutex::default(),
            script: Mutex::default(),
            otherwise: Mutex::new(Box::new(|_| Reply::accepted())),
            connections: Mutex::default(),
        });
        let scheme = if tls.is_some() { "https" } else { "http" };
        let serving = tokio::spawn(accept(listener, tls.map(TlsAcceptor::from), Arc::clone(&shared)));
        Self { address, scheme, shared, serving }
    }

    /// An address at which nobody listens.
    pub async fn nobody() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        listener.local_addr().expect("its address")
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("{}://{}/events", self.scheme, self.address)
    }

    /// Its URL by a name, which must lead to loopback.
    pub fn url_at(&self, name: &str) -> String {
        format!("{}://{name}:{}/events", self.scheme, self.address.port())
    }

    /// What the next requests get, one after the other, in the order in which they are there whole.
    pub fn script(&self, replies: impl IntoIterator<Item = Reply>) {
        lock(&self.shared.script).extend(replies);
    }

    /// What each request gets when the script is over.
    pub fn otherwise(&self, decide: impl Fn(&Received) -> Reply + Send + Sync + 'static) {
        *lock(&self.shared.otherwise) = Box::new(decide);
    }

    /// Every request so far, in the order in which they were there whole.
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// How many requests there were so far.
    pub fn count(&self) -> usize {
        lock(&self.shared.received).len()
    }

    /// The SETs that were answered with 202, in the order in which they came, with those that came again.
    pub fn accepted(&self) -> Vec<String> {
        let received = lock(&self.shared.received);
        received.iter().filter(|request| request.answered == Some(202)).map(Received::set).collect()
    }

    /// Waits until there were at least so many requests, with a bound, and gives all there are.
    pub async fn at_least(&self, count: usize) -> Vec<Received> {
        let enough = || async { Some(self.received()).filter(|received| received.len() >= count) };
        until(&format!("{count} requests arrive"), PATIENCE, enough).await
    }

    /// Waits until so many were answered with 202, with a bound, and gives their SETs.
    pub async fn at_least_accepted(&self, count: usize) -> Vec<String> {
        let enough = || async { Some(self.accepted()).filter(|accepted| accepted.len() >= count) };
        until(&format!("{count} SETs are accepted"), PATIENCE, enough).await
    }

    /// How many connections were made.
    pub fn connections(&self) -> usize {
        lock(&self.shared.connections).made
    }

    /// How many are open now.
    pub fn open_connections(&self) -> usize {
        lock(&self.shared.connections).open
    }

    /// How many requests were under way together at most.
    pub fn most_in_flight(&self) -> usize {
        lock(&self.shared.connections).most_in_flight
    }

    /// Stops: nobody listens any more, and open connections break.
    pub async fn stop(mut self) {
        self.serving.abort();
        let _ = (&mut self.serving).await;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Received {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    pub fn set(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a body of text")
    }

    /// The claims of the body: of a compact SET, whose signature is not looked at, or of unsigned JSON.
    pub fn claims(&self) -> Value {
        claims_of(&self.set())
    }

    /// The `jti` of the body.
    pub fn jti(&self) -> String {
        self.claims()["jti"].as_str().expect("a jti").to_owned()
    }
}

/// The claims of a SET, whose signature is not looked at; also of unsigned JSON.
pub fn claims_of(set: &str) -> Value {
    if set.starts_with('{') {
        return serde_json::from_str(set).expect("claims");
    }
    part_of(set, 1)
}

/// The JOSE header of a compact SET.
pub fn header_of(set: &str) -> Value {
    part_of(set, 0)
}

fn part_of(set: &str, number: usize) -> Value {
    let parts: Vec<&str> = set.split('.').collect();
    assert_eq!(parts.len(), 3, "not a compact serialization: {set}");
    let bytes = URL_SAFE_NO_PAD.decode(parts[number]).expect("base64url without padding");
    serde_json::from_slice(&bytes).expect("JSON")
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A connection that can be reset.
trait Socket: AsyncRead + AsyncWrite + Unpin + Send {
    /// Its TCP.
    fn tcp(&self) -> &TcpStream;
    /// Its TLS version.
    fn tls(&self) -> Option<String>;
}

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }

    fn tls(&self) -> Option<String> {
        None
    }
}

impl Socket for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }

    fn tls(&self) -> Option<String> {
        self.get_ref().1.protocol_version().map(|version| format!("{version:?}"))
    }
}

async fn accept(listener: TcpListener, tls: Option<TlsAcceptor>, shared: Arc<Shared>) {
    // Dropped with this task, and its tasks with it.
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else { continue };
        let number = {
            let mut connections = lock(&shared.connections);
            connections.made += 1;
            connections.made - 1
        };
        let open = Open::new(&shared);
        let (shared, tls) = (Arc::clone(&shared), tls.clone());
        connections.spawn(async move {
            let _open = open;
            let _ = stream.set_nodelay(true);
            // A client that goes away, or does not like the certificate, ends its connection and nothing else.
            let _ = match tls {
                None => serve(stream, number, &shared).await,
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => serve(stream, number, &shared).await,
                    Err(error) => Err(error),
                },
            };
        });
    }
}

/// Counts an open connection for as long as it lives.
struct Open(Arc<Shared>);

impl Open {
    fn new(shared: &Arc<Shared>) -> Self {
        lock(&shared.connections).open += 1;
        Self(Arc::clone(shared))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        lock(&self.0.connections).open -= 1;
    }
}

/// Counts a request that is not answered yet.
struct InFlight<'a>(&'a Shared);

impl<'a> InFlight<'a> {
    fn new(shared: &'a Shared) -> Self {
        let mut connections = lock(&shared.connections);
        connections.in_flight += 1;
        connections.most_in_flight = connections.most_in_flight.max(connections.in_flight);
        drop(connections);
        Self(shared)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        lock(&self.0.connections).in_flight -= 1;
    }
}

async fn serve(mut socket: impl Socket, number: usize, shared: &Shared) -> io::Result<()> {
    let mut unread = Vec::new();
    while let Some(mut request) = read_request(&mut socket, &mut unread).await? {
        request.connection = number;
        request.tls = socket.tls();
        let in_flight = InFlight::new(shared);
        let index = {
            let mut received = lock(&shared.received);
            received.push(request.clone());
            received.len() - 1
        };
        let scripted = lock(&shared.script).pop_front();
        let reply = scripted.unwrap_or_else(|| lock(&shared.otherwise)(&request));
        tokio::select! {
            () = reply.is_due() => {}
            () = gone(&mut socket, &mut unread) => return Ok(()),
        }
        for bytes in &reply.bytes() {
            socket.write_all(bytes).await?;
        }
        socket.flush().await?;
        drop(in_flight);
        if reply.is_endless {
            loop {
                socket.write_all(&[b'x'; 16 * 1024]).await?;
            }
        }
        if reply.resets {
            socket.tcp().set_zero_linger()?;
            return Ok(());
        }
        lock(&shared.received)[index].answered = Some(reply.status);
        if reply.closes {
            return socket.shutdown().await;
        }
    }
    Ok(())
}

/// Ends when the client has gone. What it sends meanwhile is kept.
async fn gone(socket: &mut impl Socket, unread: &mut Vec<u8>) {
    while let Ok(1..) = socket.read_buf(unread).await {}
}

/// The next request; `None` when the client has closed between two.
async fn read_request(socket: &mut impl Socket, unread: &mut Vec<u8>) -> io::Result<Option<Received>> {
    let head_end = loop {
        if let Some(at) = unread.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if socket.read_buf(unread).await? == 0 {
            return if unread.is_empty() { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
        }
    };
    let head = String::from_utf8_lossy(&unread[..head_end]).into_owned();
    let mut lines = head.lines();
    let mut words = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok()).unwrap_or(0);
    while unread.len() < head_end + length {
        if socket.read_buf(unread).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let body = unread[head_end..head_end + length].to_vec();
    unread.drain(..head_end + length);
    let arrived = Instant::now();
    Ok(Some(Received { method, target, headers, body, connection: 0, tls: None, arrived, answered: None }))
}
