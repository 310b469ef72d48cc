//! Bad input and the surface, over real sockets against SQLite: a precise answer, nothing changed, no panic, memory flat (I7).
#![allow(unreachable_pub, reason = "a test program exports nothing")]

#[path = "../support/mod.rs"]
mod support;

mod body;
mod framing;
mod idle;
mod query;
mod routes;
mod stop;
mod surface;
mod watched;
