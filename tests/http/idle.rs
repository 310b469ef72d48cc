//! Connections that do nothing.

use crate::watched::Watched;
use std::net::TcpStream;
use std::process::Command;

const CONNECTIONS: usize = 1_000;
/// Memory that a connection may cost the server, in kilobytes: its buffers are made when something comes.
const CONNECTION_KB: u64 = 16;
/// Files that this process and the server must be able to open.
const FILES: u64 = 4_096;

/// Lets this process, and the server that it starts, open enough files.
fn raise_the_limit_of_files() {
    let limits = std::fs::read_to_string("/proc/self/limits").expect("the limits of this process");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files")).expect("a limit of open files");
    let soft = line.split_whitespace().next().expect("a soft limit");
    if soft == "unlimited" || soft.parse::<u64>().expect("a number") >= FILES {
        return;
    }
    let this = std::process::id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &this, &format!("--nofile={FILES}:")]).status();
    assert!(raised.is_ok_and(|status| status.success()), "raise the limit of open files: ulimit -n {FILES}");
}

#[tokio::test]
async fn a_thousand_idle_connections() {
    raise_the_limit_of_files();
    let mut watched = Watched::start().await;
    let before = watched.server.anonymous_memory_kb();
    let half = watched.head("GET /Users", "");
    let idle: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|number| {
            let mut stream = TcpStream::connect(watched.server.address).expect("a connection");
            // Every other one begins a request and goes no further.
            if number % 2 == 1 {
                std::io::Write::write_all(&mut stream, &half.as_bytes()[..half.len() / 2]).expect("sent");
            }
            stream
        })
        .collect();
    for _ in 0..20 {
        assert_eq!(watched.client.get("/Users").await.status, 200);
    }
    let grown = watched.server.anonymous_memory_kb().saturating_sub(before);
    assert!(grown < CONNECTION_KB * CONNECTIONS as u64, "memory grew by {grown} kB");
    watched.assert_unchanged().await;
    drop(idle);
    watched.assert_unchanged().await;
}
