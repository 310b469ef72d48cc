//! Push streams as their receivers meet them: the real sender over the memory store, real sockets, waits that are short.

mod changes;
mod client;
mod fairness;
mod faults;
mod handed;
mod letters;
mod limits;
mod lives;
mod support;
mod world;
