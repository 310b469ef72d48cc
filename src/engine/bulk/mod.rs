//! Bulk requests (RFC 7644 §3.7): many writes, each of them a transaction of its own with events of its own.
//!
//! Operations are planned and committed in runs: as many as stand one after another, change different resources and refer to nothing
//! that the same run creates. A run is planned without locks, from the state before it, and committed by
//! [`Store::commit_in_order`](crate::store::Store::commit_in_order), so that a sync to disk is paid once for all of it. What shows there
//! to rest on a state that is gone is planned again by itself, as a single request, under the one lock of its resource: a bulk never
//! holds two locks, so that neither bulks nor single requests can wait for each other in a circle.
//!
//! When the time of a request is up, what is committed stays and is told, and every other operation is answered 503.

mod circle;
mod job;
mod run;
#[cfg(test)]
mod tests;

use super::Engine;
use crate::auth::Caller;
use crate::scim::bulk::{Bulk, Method};
use crate::scim::error::Result;
use job::Job;
use serde_json::Value;

/// What became of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processed {
    /// Its method.
    pub method: String,
    /// Its `bulkId`.
    pub bulk_id: Option<String>,
    /// Where its resource is, relative to the base of absolute URIs; `None` for a POST that failed, which has none (7644-3.7.3-01).
    pub address: Option<String>,
    /// What it came to.
    pub outcome: Result<Performed>,
}

/// What an operation came to that was performed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Performed {
    /// What was done.
    pub method: Method,
    /// The version afterwards; `None` for what is deleted.
    pub version: Option<u64>,
}

impl Engine {
    /// Performs the operations of a bulk request, and tells what became of each that was processed, in the order of the request.
    /// `base` is the base of absolute URIs.
    ///
    /// Fails only for what is wrong with the request as a whole ([`Bulk::read`]); then nothing is done. All events name one
    /// transaction, with the place of their operation from 0 after a colon.
    pub async fn bulk(&self, caller: &Caller, body: Value, base: &str) -> Result<Vec<Processed>> {
        let bulk = Bulk::read(body, &self.registry, base, self.limits.bulk_operations)?;
        let mut job = Job::new(self, caller, bulk);
        job.work().await;
        Ok(job.into_processed())
    }
}
