//! Clients that take nothing of their answers, or send nothing of their bodies, and a server that says goodbye before it closes.

use crate::support::fixture::user_with;
use crate::support::raw::Raw;
use crate::support::server::{Server, Settings};
use crate::support::wait::{PATIENCE, until};
use crate::watched::Watched;
use serde_json::json;
use std::io::ErrorKind;

#[tokio::test]
async fn a_client_that_never_reads_loses_its_connection() {
    let watched = Watched::with(Settings::default().with("LIMIT_WRITE_MS", "200")).await;
    let large = watched.client.post("/Users", &user_with("large", json!({"title": "x".repeat(1_000_000)}))).await.id();
    let mut raw = Raw::connect(watched.server.address);
    let head = watched.head(&format!("GET /Users/{large}"), "");
    // The server stops to read when its answers do not leave, and ends the connection some time after: then sending fails.
    let failed = tokio::task::spawn_blocking(move || {
        loop {
            if let Err(error) = raw.send(head.repeat(100)) {
                return error;
            }
        }
    });
    let error = failed.await.expect("the client");
    assert!(matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{error}");
    assert_eq!(watched.client.get("/health").await.status, 200);
}

#[tokio::test]
async fn a_client_that_reads_slowly_gets_its_answer() {
    let watched = Watched::with(Settings::default().with("LIMIT_WRITE_MS", "2000")).await;
    let large = watched.client.post("/Users", &user_with("large", json!({"title": "x".repeat(4_000_000)}))).await.id();
    let mut raw = Raw::connect(watched.server.address);
    raw.send(watched.head(&format!("GET /Users/{large}"), "")).expect("sent");
    assert!(raw.answer().expect("an answer").body.len() > 4_000_000);
}

#[tokio::test]
async fn it_says_that_it_stops_before_it_refuses() {
    let mut server = Server::start(&Settings::default().with("SHUTDOWN_DELAY_MS", "1500"));
    let (client, address) = (server.client(), server.address);
    server.terminate();
    let stopping = || async { (client.get("/ready").await.status == 503).then_some(()) };
    until("it is not ready", PATIENCE, stopping).await;
    assert_eq!(client.get("/Users").await.status, 200);
    assert!(std::net::TcpStream::connect(address).is_ok(), "new connections are taken meanwhile");
    assert!(server.ended().await.success(), "{}", server.output());
}

#[tokio::test]
async fn clients_that_send_nothing_of_their_bodies_keep_nobody_out() {
    let watched = Watched::start().await;
    // So many of the largest bodies that no further one would be taken.
    let headers = ["Transfer-Encoding: chunked\r\n", "Content-Length: 16777216\r\n"];
    let slow: Vec<_> = headers
        .iter()
        .cycle()
        .take(20)
        .map(|length| {
            let mut raw = watched.connect();
            raw.send(watched.head("POST /Users", &format!("{length}Expect: 100-continue\r\n"))).expect("sent");
            assert_eq!(raw.answer().expect("an answer").status, 100, "its body is waited for");
            raw
        })
        .collect();
    assert_eq!(watched.client.post("/Users", &user_with("quick", json!({}))).await.status, 201);
    drop(slow);
}
