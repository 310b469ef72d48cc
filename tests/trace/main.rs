//! A trace of system calls shows that what is acknowledged was synced to disk before its answer was sent (I2).
#![allow(unreachable_pub, reason = "a test program exports nothing")]

#[path = "../support/mod.rs"]
mod support;

mod calls;

use calls::Call;
use std::path::Path;
use std::process::Command;
use support::client::Client;
use support::fixture::user;
use support::server::{KEY, Server, Settings};
use support::wait::{PATIENCE, until};

const TRACED: &str = "trace=fsync,fdatasync,read,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,pwritev";
const CLIENTS: usize = 16;
const WRITES: usize = 4;

/// The traced program; the tracer stands beside it, so that it is the program that is stopped.
fn traced(trace: &Path) -> Server {
    let tracer = Command::new("strace").arg("-V").output();
    assert!(tracer.is_ok_and(|output| output.status.success()), "strace is missing: apt-get install strace");
    let file = trace.to_str().expect("a path");
    Server::start(&Settings::default().store("sqlite").under(&["strace", "-D", "-f", "-yy", "-s", "64", "-e", TRACED, "-o", file]))
}

/// Stops the program and reads what the tracer wrote.
async fn calls_of(mut server: Server, trace: &Path) -> Vec<Call> {
    let ended = format!("{} +++ ", server.id());
    server.terminate();
    server.ended().await;
    let whole = || async {
        let text = std::fs::read_to_string(trace).unwrap_or_default();
        let is_whole = text.lines().any(|line| line.split_whitespace().collect::<Vec<_>>().join(" ").starts_with(&ended));
        is_whole.then_some(text)
    };
    calls::read(&until("the trace is whole", PATIENCE, whole).await)
}

#[tokio::test]
async fn a_write_is_synced_before_its_answer() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let trace = folder.path().join("trace");
    let server = traced(&trace);
    assert_eq!(server.client().post("/Users", &user("ann")).await.status, 201);
    let calls = calls_of(server, &trace).await;
    let received = calls.iter().position(Call::receives_a_write).expect("the request in the trace");
    let answered = calls.iter().position(Call::answers_a_write).expect("the answer in the trace");
    let between = &calls[received..answered];
    let logged = between.iter().rposition(Call::writes_the_log).expect("the write-ahead log is written between the two");
    let synced = between.iter().rposition(Call::syncs_the_log).expect("a sync of the write-ahead log between the two");
    assert!(synced > logged, "the log is written after the last sync: {between:#?}");
}

#[tokio::test]
async fn every_write_of_a_batch_is_synced_before_its_answer() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let trace = folder.path().join("trace");
    let server = traced(&trace);
    let base = format!("http://{}", server.address);
    let writers: Vec<_> = (0..CLIENTS)
        .map(|writer| {
            let client = Client::new(&base, Some(KEY));
            tokio::spawn(async move {
                for number in 0..WRITES {
                    assert_eq!(client.post("/Users", &user(&format!("u{writer}-{number}"))).await.status, 201);
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.expect("a writer");
    }
    let calls = calls_of(server, &trace).await;
    let answers: Vec<&Call> = calls.iter().filter(|call| call.answers_a_write()).collect();
    assert_eq!(answers.len(), CLIENTS * WRITES);
    for answer in answers {
        let asks = |call: &&Call| call.receives_a_write() && call.connection() == answer.connection() && call.end < answer.start;
        let request = calls.iter().filter(asks).max_by_key(|call| call.end).expect("the request of an answer");
        let covers = |call: &Call| call.syncs_the_log() && call.start > request.start && call.end < answer.start;
        assert!(calls.iter().any(covers), "no sync between {request:?} and {answer:?}");
    }
}
