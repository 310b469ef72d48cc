//! HTTP/2 towards a receiver: requests share a connection, and one that says goodbye loses nothing (RFC 9113 §6.8).

use super::tls::configured;
use crate::support::authority::Authority;
use crate::support::fixture::user;
use crate::support::receiver::claims_of;
use crate::support::server::Server;
use crate::support::wait::{PATIENCE, until};
use axum::http::{Request, Response, StatusCode, Version};
use h2::RecvStream;
use h2::server::{Connection, SendResponse};
use std::collections::{BTreeMap, HashSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::server::TlsStream;

/// The requests that the second connection leaves without an answer.
const UNANSWERED: usize = 4;

/// A receiver of HTTP/2 alone, which keeps each event once, in a file.
struct Receiver {
    port: u16,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    file: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Clone, Default)]
struct Seen {
    /// Each request, with the number of its connection.
    requests: Vec<(usize, String)>,
    kept: HashSet<String>,
    connections: usize,
    ended: usize,
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("what was seen")
    }

    /// On disk before anything is answered.
    fn keep(&self, connection: usize, set: String) {
        let mut seen = self.seen();
        let jti = jti_of(&set);
        if seen.kept.insert(jti.clone()) {
            let mut file = std::fs::File::options().create(true).append(true).open(&self.file).expect("a file");
            writeln!(file, "{jti}").expect("written");
            file.sync_all().expect("on disk");
        }
        seen.requests.push((connection, set));
    }
}

fn jti_of(set: &str) -> String {
    claims_of(set)["jti"].as_str().expect("a jti").to_owned()
}

impl Receiver {
    async fn start(config: ServerConfig, folder: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("its address").port();
        let shared = Arc::new(Shared { file: folder.join("received"), ..Shared::default() });
        let (acceptor, all) = (TlsAcceptor::from(Arc::new(config)), Arc::clone(&shared));
        let serving = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(stream) = acceptor.accept(stream).await else { continue };
                let number = all.seen().connections;
                all.seen().connections += 1;
                let shared = Arc::clone(&all);
                connections.spawn(async move {
                    // What breaks is the client's to mend.
                    let _ = serve(stream, number, &shared).await;
                    shared.seen().ended += 1;
                });
            }
        });
        Self { port, shared, serving }
    }

    fn url(&self) -> String {
        format!("https://localhost:{}/events", self.port)
    }

    async fn has_seen(&self, what: &str, is_so: impl Fn(&Seen) -> bool) -> Seen {
        until(what, PATIENCE, || async { Some(self.shared.seen().clone()).filter(|seen| is_so(seen)) }).await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

/// The first connection ends in order after its first answer; the second breaks off when so many requests wait on it; others go on.
async fn serve(stream: TlsStream<TcpStream>, number: usize, shared: &Shared) -> Result<(), h2::Error> {
    let mut connection: Connection<_, bytes::Bytes> = h2::server::handshake(stream).await?;
    let mut waiting = Vec::new();
    let mut bodies = futures_util::stream::FuturesUnordered::new();
    loop {
        use futures_util::StreamExt as _;
        tokio::select! {
            accepted = connection.accept() => {
                let Some(accepted) = accepted else { return Ok(()) };
                let (request, respond) = accepted?;
                bodies.push(read(request, respond));
            }
            Some(read) = bodies.next() => {
                let (set, mut respond): (String, SendResponse<bytes::Bytes>) = read?;
                let is_first = shared.seen().requests.iter().all(|(connection, _)| *connection != number);
                shared.keep(number, set);
                if number == 1 && !is_first {
                    waiting.push(respond);
                    if waiting.len() == UNANSWERED {
                        connection.abrupt_shutdown(h2::Reason::NO_ERROR);
                    }
                    continue;
                }
                let accepted = Response::builder().status(StatusCode::ACCEPTED).body(()).expect("an answer");
                respond.send_response(accepted, true)?;
                if number == 0 {
                    connection.graceful_shutdown();
                }
            }
        }
    }
}

async fn read(
    request: Request<RecvStream>,
    respond: SendResponse<bytes::Bytes>,
) -> Result<(String, SendResponse<bytes::Bytes>), h2::Error> {
    assert_eq!((request.method().as_str(), request.version()), ("POST", Version::HTTP_2));
    let mut body = request.into_body();
    let mut set = Vec::new();
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        set.extend_from_slice(&piece);
    }
    Ok((String::from_utf8(set).expect("text"), respond))
}

/// 8935-2-01
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_says_goodbye_costs_no_event_and_none_is_another() {
    let (authority, kept) = (Authority::default(), tempfile::tempdir().expect("a folder"));
    let mut config = ServerConfig::clone(&authority.server(&["localhost"]));
    config.alpn_protocols = vec![b"h2".to_vec()];
    let receiver = Receiver::start(config, kept.path()).await;
    let (_folder, settings) = configured(&[receiver.url()], &authority);
    let server = Server::start(&settings);
    let client = server.client();
    let create = async |name: &str| assert_eq!(client.post("/Users", &user(name)).await.status, 201);
    // It says that it goes after the first: the next comes on another connection.
    create("a").await;
    receiver.has_seen("the first connection ends", |seen| seen.ended == 1).await;
    create("b").await;
    let seen = receiver.has_seen("the second event comes", |seen| seen.requests.len() == 2).await;
    assert_eq!(seen.requests.iter().map(|(connection, _)| *connection).collect::<Vec<_>>(), [0, 1]);
    // Several at a time on one connection, which goes when they are kept and not answered.
    for name in ["c", "d", "e", "f"] {
        create(name).await;
    }
    let all = 2 + 2 * UNANSWERED;
    receiver.has_seen("they come again", |seen| seen.requests.len() >= all).await;
    let resolved = || async {
        let metrics = client.get("/metrics").await.text();
        metrics.lines().any(|line| line == "carillon_stream_lag_events{stream=\"a\"} 0").then_some(())
    };
    until("everything is delivered", PATIENCE, resolved).await;
    let seen = receiver.shared.seen().clone();
    let on_second = seen.requests.iter().filter(|(connection, _)| *connection == 1).count();
    assert_eq!((on_second, seen.requests.len()), (1 + UNANSWERED, all));
    let mut times: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for (_, set) in &seen.requests {
        times.entry(jti_of(set)).or_default().push(set);
    }
    let mut counts: Vec<usize> = times.values().map(Vec::len).collect();
    counts.sort_unstable();
    assert_eq!(counts, [1, 1, 2, 2, 2, 2]);
    assert!(times.values().all(|sets| claims_of(sets[0]) == claims_of(sets[sets.len() - 1])), "the same event each time");
    // Each is on disk once, whatever came how often.
    let file = std::fs::read_to_string(kept.path().join("received")).expect("the file");
    let (lines, own): (Vec<&str>, HashSet<&str>) = (file.lines().collect(), file.lines().collect());
    assert_eq!((lines.len(), own.len()), (6, 6));
    let events: HashSet<String> = client.feed(None, 10).await.iter().map(|event| event["jti"].to_string()).collect();
    assert_eq!(events.len(), 6);
    let letters = client.get("/Events/Streams/a/DeadLetters").await.json();
    assert_eq!(letters["total"], 0);
}
