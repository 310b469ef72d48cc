//! Several nodes on one PostgreSQL database, as real processes.
#![allow(clippy::panic, reason = "a suite fails by panicking")]
#![allow(unreachable_pub, reason = "a test program exports nothing")]

#[path = "../support/mod.rs"]
mod support;

mod held;
mod leases;
mod outage;
mod partition;
mod rolling;
mod set_back;
mod share;
mod shared;
mod tls;

use support::server::{Server, Settings};

/// Two nodes on a schema of their own, with these settings.
fn two_nodes(settings: impl Fn(Settings) -> Settings) -> (Settings, [Server; 2]) {
    let settings = settings(Settings::default().store("postgres").with("PUBLIC_URL", "https://carillon.example"));
    let nodes = [Server::start(&settings), Server::start(&settings)];
    (settings, nodes)
}
