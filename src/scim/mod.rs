//! F1: the SCIM protocol as pure functions (RFC 7643, RFC 7644). No I/O, no async, no HTTP types.

pub mod bulk;
pub mod compare;
pub mod diff;
pub mod error;
pub mod filter;
pub mod json;
pub mod message;
pub mod patch;
pub mod path;
pub mod project;
pub mod quirks;
pub mod resource;
pub mod schema;
pub mod search;
pub mod sort;
pub mod uri;
pub mod validate;
pub mod version;

/// A JSON object whose members keep the order in which they were written.
pub type Object = serde_json::Map<String, serde_json::Value>;
