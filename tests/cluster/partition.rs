//! A database that answers no more, and does not say so: no byte comes, and no connection ends.

use crate::support::client::Client;
use crate::support::database::Database;
use crate::support::fixture::user;
use crate::support::receiver::Receiver;
use crate::support::server::{Server, Settings};
use crate::support::wait::{PATIENCE, until};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Requests are given this time (`LIMIT_REQUEST_MS`), in milliseconds; some more for a busy machine.
const REQUEST_MS: &str = "4000";
const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// A lease lives for 30 seconds, and its holder gives it up 10 seconds before.
const LEASE_ENDS_WITHIN: Duration = Duration::from_secs(40);

/// Between a node and its database.
struct Way {
    port: u16,
    is_open: watch::Sender<bool>,
}

impl Way {
    async fn to(database: &Database) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let target = database.url.split_once('@').and_then(|(_, rest)| rest.split_once('/')).expect("an address").0.to_owned();
        let is_open = watch::Sender::new(true);
        let gate = is_open.subscribe();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let far = TcpStream::connect(&target).await.expect("the database");
                let ((from_near, to_near), (from_far, to_far)) = (near.into_split(), far.into_split());
                tokio::spawn(carry(from_near, to_far, gate.clone()));
                tokio::spawn(carry(from_far, to_near, gate.clone()));
            }
        });
        Self { port, is_open }
    }

    fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

/// Carries bytes while the way is open. What has come by then waits.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut is_open: watch::Receiver<bool>) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if is_open.wait_for(|is_open| *is_open).await.is_err() || to.write_all(&bytes[..count]).await.is_err() {
            return;
        }
    }
}

/// It is refused in time, and may be sent again.
async fn is_refused(client: &Client, method: &str, path: &str, body: Option<&serde_json::Value>) {
    let began = Instant::now();
    let request = client.on(method, path);
    let answer = match body {
        Some(body) => request.json(body).send().await,
        None => request.send().await,
    };
    answer.assert_error(503, None, &[]);
    assert!(answer.header("retry-after").is_some(), "{method} {path}: {}", answer.text());
    assert!(began.elapsed() < ANSWERED_WITHIN, "{method} {path}: {:?}", began.elapsed());
}

/// I4: nobody waits for ever, the lease ends in time at the node that cannot renew it, and everything goes on by itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_cut_off_from_its_database_answers_in_time_and_recovers() {
    let (database, receiver) = (Database::start(), Receiver::start().await);
    let way = Way::to(&database).await;
    let url = receiver.url();
    let shared = |settings: Settings| settings.with("SET_PUSH_URL", &url).with("SET_ISSUER", "https://carillon.example");
    let node = Server::start(
        &shared(Settings::default().database(&way.url())).with("LIMIT_REQUEST_MS", REQUEST_MS).with("LIMIT_SCAN_MS", "200"),
    );
    let direct = shared(Settings::default().database(&database.url));
    let client = node.client();
    let id = client.post("/Users", &user("before")).await.id();
    receiver.at_least_accepted(1).await;
    let owner = direct.ask("SELECT owner FROM lease WHERE name = 'push/push'").expect("an owner");

    way.is_open.send_replace(false);
    let cut = Instant::now();
    is_refused(&client, "POST", "/Users", Some(&user("meanwhile"))).await;
    is_refused(&client, "GET", &format!("/Users/{id}"), None).await;
    is_refused(&client, "GET", "/Users?filter=userName%20eq%20%22before%22", None).await;
    // Not that it would be too much.
    is_refused(&client, "GET", "/Users?filter=nickName%20eq%20%22before%22", None).await;
    let unready = || async { (client.get("/ready").await.status == 503).then_some(()) };
    until("it is not ready", ANSWERED_WITHIN, unready).await;
    assert_eq!(client.get("/health").await.status, 200);

    // Another node, which reaches the database, gets the lease and delivers.
    let other = Server::start(&direct);
    assert_eq!(other.client().post("/Users", &user("at the other")).await.status, 201);
    let moved = || async { (direct.ask("SELECT owner FROM lease WHERE name = 'push/push'") != Some(owner.clone())).then_some(()) };
    until("the lease moves", LEASE_ENDS_WITHIN, moved).await;
    receiver.at_least_accepted(2).await;
    assert!(cut.elapsed() < LEASE_ENDS_WITHIN + ANSWERED_WITHIN);

    way.is_open.send_replace(true);
    let ready = || async { (client.get("/ready").await.status == 200).then_some(()) };
    until("it is ready again", PATIENCE, ready).await;
    let answers = || async { (client.get(&format!("/Users/{id}")).await.status == 200).then_some(()) };
    until("it reads", PATIENCE, answers).await;
    let writes = || async { (client.post("/Users", &user("after")).await.status == 201).then_some(()) };
    until("it writes", PATIENCE, writes).await;
    receiver.at_least_accepted(3).await;
    assert_eq!(node.output().matches("panicked").count(), 0);
}
