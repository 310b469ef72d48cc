//! `carillon receive` as a process: what it accepts, refuses, keeps and acknowledges, over real sockets against small transmitters.
#![allow(unreachable_pub, reason = "a test program exports nothing")]

#[path = "../support/mod.rs"]
mod support;

mod faults;
mod follow;
mod keep;
mod poll;
mod push;
mod start;
mod tls;
mod transmitter;
mod world;
