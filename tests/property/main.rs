//! Property tests of the pure floors, and of every filter compiler against the in-memory evaluator.

mod bulk;
mod filter;
mod generate;
mod patch;
mod quirks;
mod sql;
