//! What known clients send that the protocol does not define: a file for each, with the request that needs it.

pub mod create_from_filter;
pub mod remove_listed_members;
