//! Property tests of the pure floors, and of every filter compiler against the in-memory evaluator.

mod bulk;
mod filter;
mod generate;
mod patch;
#[path = "../support/postgres.rs"]
#[allow(dead_code, unreachable_pub, reason = "each suite uses the part it needs")]
mod postgres;
mod quirks;
mod sql;
