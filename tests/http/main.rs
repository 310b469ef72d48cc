//! Bad input and the surface, over real sockets against SQLite: a precise answer, nothing changed, no panic, memory flat (I7).
#![allow(unreachable_pub, reason = "a test program exports nothing")]

#[path = "../support/mod.rs"]
mod support;

mod body;
mod check;
mod framing;
mod head;
mod idle;
mod indexed;
mod keys;
mod log;
mod me;
mod proxy;
mod query;
mod routes;
mod schemas;
mod slow;
mod stop;
mod surface;
mod transfer;
mod values;
mod waiting;
mod walk;
mod watched;
