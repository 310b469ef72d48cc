//! Property tests of the pure floors, and of every filter compiler against the in-memory evaluator.

mod filter;
mod generate;
mod patch;
mod sql;
