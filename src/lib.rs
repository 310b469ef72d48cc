//! Carillon: a SCIM 2.0 server that writes an event for every committed change, as Security Event Tokens tell of it (RFC 9967).
//!
//! # The promises
//!
//! Comments and tests cite them by number. Ids such as `7644-3.5.2-05` name one requirement of a section of an RFC.
//!
//! - I1: No change without its event, no event without its change. Every step of a resource's version has exactly one state event
//!   (create, put, patch, delete). A write that changes nothing makes neither.
//! - I2: An acknowledged write is on disk.
//! - I3: An accepted asynchronous request takes effect exactly once (not built yet).
//! - I4: Delivery is at least once, in order for each subject; a slow receiver delays nobody else.
//! - I5: A cursor never passes an event that its reader has not had.
//! - I6: Secrets never leave: not in an answer, an event, a log line or a metric.
//! - I7: Bad input gets a precise SCIM error and changes nothing.
//! - I8: Cost does not grow with what a request does not touch.
//!
//! # The map of the house
//!
//! A module imports only from floors below it; `tests/tidy.rs` checks that.
//!
//! | floor | module | what lives there |
//! |---|---|---|
//! | F6 | `cli`, [`app`], [`config`] | commands, the composition root, settings |
//! | F5 | [`http`] | thin: extract, call the engine, respond |
//! | F4 | [`engine`] | the use cases: create, replace, modify, delete, query; plan, then commit once |
//! | F4 | [`delivery`] | from the log to the receivers: streams, push, poll, signing keys, retention |
//! | F3 | [`auth`] | credential → caller |
//! | F2 | [`store`] | the ports, the unit of commit, the backends |
//! | F1 | [`scim`], [`event`] | the protocol and the events as pure functions |
//! | F0 | [`base`] | clock, ids, limits, secrets |

pub mod app;
pub mod auth;
pub mod base;
pub mod cli;
pub mod config;
pub mod delivery;
pub mod engine;
pub mod event;
pub mod http;
pub mod scim;
pub mod store;
