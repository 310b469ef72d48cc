//! The path of an operation (RFC 7644 §3.7): a resource type's endpoint, or a resource below it.

use crate::scim::schema::{Registry, ResourceType};
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use std::sync::Arc;

/// What stands before a `bulkId` that is referred to.
pub(super) const REFERENCE: &str = "bulkId:";

/// The type that a path names, and what follows its endpoint, still percent-encoded.
///
/// A path is relative to the base. What is unambiguous is taken too: without the first slash, with the base before it, and with the
/// base's own path before it.
pub(super) fn locate<'a>(registry: &Registry, base: &str, path: &'a str) -> Option<(Arc<ResourceType>, Option<&'a str>)> {
    let base_path = base.split_once("://").map_or(base, |(_, rest)| rest).split_once('/').map(|(_, path)| path);
    let below = |base: &str| path.strip_prefix(base).filter(|rest| rest.starts_with('/'));
    let below_path = base_path.and_then(|base| path.strip_prefix('/').unwrap_or(path).strip_prefix(base));
    let candidates = [Some(path), below(base), below_path.filter(|rest| rest.starts_with('/'))];
    candidates.into_iter().flatten().find_map(|path| at_endpoint(registry, path))
}

fn at_endpoint<'a>(registry: &Registry, path: &'a str) -> Option<(Arc<ResourceType>, Option<&'a str>)> {
    let path = path.strip_prefix('/').unwrap_or(path);
    registry.types().iter().find_map(|kind| {
        let rest = path.strip_prefix(kind.endpoint.strip_prefix('/').unwrap_or(&kind.endpoint))?;
        if rest.is_empty() {
            return Some((Arc::clone(kind), None));
        }
        let segment = rest.strip_prefix('/')?;
        let is_one = !segment.is_empty() && (segment.starts_with(REFERENCE) || !segment.contains(['/', '?', '#']));
        is_one.then(|| (Arc::clone(kind), Some(segment)))
    })
}

/// A segment without its percent-encoding; `None` when it is not UTF-8.
pub(super) fn decode(segment: &str) -> Option<Cow<'_, str>> {
    percent_decode_str(segment).decode_utf8().ok()
}
