//! Bulk requests (RFC 7644 §3.7): the message, its operations, what they refer to and the order in which they run.
//!
//! What makes the message no bulk request refuses the whole of it, before anything is done: a wrong URN, operations that are no
//! objects, a value of the wrong JSON type, a `bulkId` that stands twice. What is wrong with one operation alone, such as a path that
//! names nothing or data that is missing, fails that operation and no other (7644-3.7-05).

mod order;
mod path;
mod read;
mod references;
#[cfg(test)]
mod tests;

use super::error::Result;
use super::schema::{Registry, ResourceType};
use super::version::Precondition;
use serde_json::Value;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

/// A bulk request that has been read.
#[derive(Clone, Debug)]
pub struct Bulk {
    /// What to do, in the order of the request.
    pub operations: Vec<Operation>,
    /// After how many failures to stop; `None` is never (`failOnErrors`).
    pub most_failures: Option<NonZeroUsize>,
    /// The POST of each `bulkId`.
    created: HashMap<String, usize>,
}

/// One operation.
#[derive(Clone, Debug)]
pub struct Operation {
    /// Its method as the response repeats it: in capitals where it is one of the four.
    pub method: String,
    /// Its `bulkId`, which the response repeats.
    pub bulk_id: Option<String>,
    /// Its path as the client wrote it.
    pub path: Option<String>,
    /// The operations, POSTs, whose resources it refers to: each once, in the order of the request.
    pub needs: Vec<usize>,
    /// What it asks for, or why it cannot be asked for.
    pub request: Result<Request>,
}

/// What an operation asks for.
#[derive(Clone, Debug)]
pub struct Request {
    /// What to do.
    pub method: Method,
    /// With resources of which type.
    pub kind: Arc<ResourceType>,
    /// With which of them; `None` for POST.
    pub target: Option<Target>,
    /// `version`, which acts as `If-Match` (7644-3.7-03); never for POST.
    pub precondition: Option<Precondition>,
    /// The body; `null` for DELETE.
    pub data: Value,
}

/// The methods that an operation can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// RFC 7644 §3.3
    Post,
    /// RFC 7644 §3.5.1
    Put,
    /// RFC 7644 §3.5.2
    Patch,
    /// RFC 7644 §3.6
    Delete,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 4] = [Self::Post, Self::Put, Self::Patch, Self::Delete];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }
}

/// The resource that a path names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// By its id.
    Id(String),
    /// By the `bulkId` of this operation, a POST (7644-3.7.2-01).
    Created(usize),
}

impl Bulk {
    /// Reads a request of at most so many operations. `base` is the base of absolute URIs, which paths may begin with.
    ///
    /// Fails with `invalidSyntax` where the body is not this message, with `invalidValue` where `failOnErrors` is no positive integer,
    /// and is too large over the limit (7644-3.7.4-01).
    pub fn read(body: Value, registry: &Registry, base: &str, most_operations: usize) -> Result<Self> {
        read::bulk(body, registry, base, most_operations)
    }

    /// The operations in the order in which they run: each by itself, and those that refer to each other in a circle together, in the
    /// order of the request.
    ///
    /// It is the order of the request, but that a POST goes before what refers to it (7644-3.7-07). Nothing but a reference can tell
    /// that it was moved: what a POST makes is not there before, so that no other operation can touch it.
    pub fn order(&self) -> Vec<Vec<usize>> {
        order::order(&self.operations)
    }

    /// Whether an operation is part of a circle: only then does it refer to itself or run together with others.
    pub fn is_circle(&self, operations: &[usize]) -> bool {
        operations.len() > 1 || operations.iter().any(|operation| self.operations[*operation].needs.contains(operation))
    }

    /// Puts ids in the place of what an operation's data refers to (7644-3.7.2-01). Every operation that it needs must have one.
    pub fn resolve<'a>(&mut self, operation: usize, id_of: impl Fn(usize) -> Option<&'a str>) {
        let Self { operations, created, .. } = self;
        let operation = &mut operations[operation];
        if operation.needs.is_empty() {
            return;
        }
        if let Ok(request) = &mut operation.request {
            let mut change = |bulk_id: &str| {
                let id = created.get(bulk_id).and_then(|post| id_of(*post));
                id.map(|id| Some(id.to_owned())).ok_or(references::Unknown)
            };
            // Nothing is unknown any more: that was found when it was read.
            let _ = references::each(&mut request.data, "data", request.method, &mut change);
        }
    }
}
