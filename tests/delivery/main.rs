//! Delivery as receivers meet it, by the real program and real sockets.
#![allow(unreachable_pub, reason = "a test program exports nothing")]

#[path = "../support/mod.rs"]
mod support;

mod fairness;
mod feeds;
mod goaway;
mod metrics;
mod poll;
mod retention;
mod scripted;
mod shape;
mod sse;
mod streams;
mod tls;
