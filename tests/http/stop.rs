//! SIGTERM: what is in flight ends, and then the process.

use crate::support::client::Client;
use crate::support::fixture::user;
use crate::support::server::{KEY, Server, Settings};
use crate::support::wait::{PATIENCE, until};
use crate::watched::Watched;

#[tokio::test]
async fn a_request_in_flight_ends() {
    let mut watched = Watched::start().await;
    let body = user("bob").to_string();
    let (start, end) = body.split_at(body.len() / 2);
    let mut raw = watched.connect();
    // The server is reading this body when it is told to stop: 100 says that it has taken the request up.
    let headers = format!("Content-Length: {}\r\nExpect: 100-continue\r\n", body.len());
    raw.send(watched.head("POST /Users", &headers)).expect("sent");
    assert_eq!(raw.answer().expect("an interim answer").status, 100);
    raw.send(start).expect("sent");
    watched.server.terminate();
    let address = watched.server.address;
    let refuses = || async { std::net::TcpStream::connect(address).is_err().then_some(()) };
    until("new connections are refused", PATIENCE, refuses).await;
    raw.send(end).expect("sent");
    let answer = raw.answer().expect("an answer");
    assert_eq!(answer.status, 201);
    drop(raw);
    assert!(watched.server.ended().await.success(), "{}", watched.server.output());
}

#[tokio::test]
async fn what_was_acknowledged_before_the_stop_is_there_after_it() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = Settings::default().folder(folder.path());
    let mut server = Server::start(&settings);
    let base = format!("http://{}", server.address);
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let client = Client::new(&base, Some(KEY));
            tokio::spawn(async move {
                let mut acknowledged = Vec::new();
                for number in 0_u32.. {
                    let name = format!("u{writer}-{number}");
                    match client.on("POST", "/Users").json(&user(&name)).try_send().await {
                        Ok(answer) if answer.status == 201 => acknowledged.push(answer.id()),
                        _ => break,
                    }
                }
                acknowledged
            })
        })
        .collect();
    let client = server.client();
    let enough = || async { client.get("/Users?count=0").await.json()["totalResults"].as_u64().filter(|total| *total > 50) };
    until("fifty users", PATIENCE, enough).await;
    server.terminate();
    assert!(server.ended().await.success(), "{}", server.output());
    let again = Server::start(&settings);
    let client = again.client();
    let mut total = 0;
    for writer in writers {
        for id in writer.await.expect("a writer") {
            assert_eq!(client.get(&format!("/Users/{id}")).await.status, 200);
            total += 1;
        }
    }
    assert!(total > 50);
    assert_eq!(
        client.feed(None, 1000).await.len() as u64,
        client.get("/Users?count=0").await.json()["totalResults"].as_u64().expect("a total")
    );
}

#[tokio::test]
async fn idle_connections_do_not_hold_it_up() {
    let mut watched = Watched::start().await;
    let mut kept = watched.connect();
    kept.send(watched.head("GET /Users", "")).expect("sent");
    assert_eq!(kept.answer().expect("an answer").status, 200);
    let silent = watched.connect();
    watched.server.terminate();
    assert!(watched.server.ended().await.success(), "{}", watched.server.output());
    drop(silent);
}
