//! What the suites share: the real program as a process, a client for it, raw sockets, waiting with a bound, resources to send,
//! and the checker of histories.
#![allow(dead_code, unreachable_pub, reason = "each suite uses the part it needs")]
#![allow(clippy::panic, reason = "a suite fails by panicking")]
#![allow(clippy::needless_pass_by_value, reason = "a json! literal is given as it is written")]

pub mod authority;
pub mod client;
pub mod database;
pub mod fixture;
pub mod history;
pub mod postgres;
pub mod raw;
pub mod receiver;
pub mod reply;
pub mod server;
pub mod shape;
pub mod wait;
