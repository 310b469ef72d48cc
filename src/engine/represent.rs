//! From a stored resource to the JSON that an answer holds (RFC 7643 §3, RFC 7644 §3.9).

use super::failure;
use crate::scim::Object;
use crate::scim::error::{Error, Result};
use crate::scim::project::Projection;
use crate::scim::resource::Member;
use crate::scim::schema::{Registry, ResourceType};
use crate::scim::version::etag;
use crate::store::{Membership, StoreError, StoreErrorKind, Stored};
use serde::Serialize;
use serde_json::Value;
use std::io::Write as _;
use std::sync::Arc;

/// How resources of a type are shown in one answer.
#[derive(Clone, Copy, Debug)]
pub struct Representation<'a> {
    registry: &'a Registry,
    kind: &'a ResourceType,
    base: &'a str,
    projection: &'a Projection,
    /// Worked out once for all resources of the answer.
    is_whole: bool,
}

impl<'a> Representation<'a> {
    /// `base` is the base of absolute URIs, without a trailing slash.
    pub fn new(registry: &'a Registry, kind: &'a ResourceType, base: &'a str, projection: &'a Projection) -> Self {
        Self { registry, kind, base, projection, is_whole: projection.is_whole(kind) }
    }

    /// Writes the JSON text of a resource at the end of an answer.
    ///
    /// An answer that holds everything joins the stored text with what the server adds, without reading it. Fails when the stored
    /// text cannot be understood; the log says so.
    pub fn write(&self, stored: &Stored, answer: &mut Vec<u8>) -> Result<()> {
        if self.is_whole {
            return join(self.registry, self.kind, stored, self.base, answer);
        }
        let mut whole = Vec::new();
        join(self.registry, self.kind, stored, self.base, &mut whole)?;
        let mut resource: Object = serde_json::from_slice(&whole).map_err(corrupt)?;
        self.projection.apply(self.kind, &mut resource);
        serde_json::to_writer(answer, &resource).map_err(corrupt)
    }
}

fn corrupt(problem: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    failure(&StoreError::because(StoreErrorKind::Corrupt, "represent a stored document", problem))
}

/// The stored text, and what the server adds to it.
pub(super) fn join(registry: &Registry, kind: &ResourceType, stored: &Stored, base: &str, whole: &mut Vec<u8>) -> Result<()> {
    const USUAL_BYTES: usize = 512;
    whole.reserve(stored.body.len() + USUAL_BYTES);
    // A document always holds `schemas`, so that a comma is due between the two.
    let document = stored.body.strip_suffix(b"}").filter(|document| document.starts_with(b"{"));
    whole.extend_from_slice(document.ok_or_else(|| corrupt("it is no JSON object"))?);
    let id = stored.key.id.to_string();
    add(whole, "id", &id);
    if let Some(members) = stored.members.as_deref().filter(|members| !members.is_empty()) {
        let values: Vec<Value> = members.iter().map(|member| member_value(registry, member, base)).collect();
        add(whole, "members", &values);
    }
    if let Some(groups) = stored.groups.as_deref().filter(|groups| !groups.is_empty()) {
        let values: Vec<Value> = groups.iter().map(|group| group_value(registry, group, base)).collect();
        add(whole, "groups", &values);
    }
    add_meta(whole, kind, stored, &kind.address(base, &id));
    whole.push(b'}');
    Ok(())
}

/// RFC 7643 §3.1. Times and versions are written as they are: nothing in them has to be escaped but the quotes of the version.
fn add_meta(whole: &mut Vec<u8>, kind: &ResourceType, stored: &Stored, location: &str) {
    whole.extend_from_slice(b",\"meta\":{\"resourceType\":");
    // Strings always serialize, and writing to a Vec cannot fail.
    let _ = serde_json::to_writer(&mut *whole, &kind.name);
    let _ = write!(whole, ",\"created\":\"{}\",\"lastModified\":\"{}\"", stored.created, stored.modified);
    add(whole, "location", location);
    add(whole, "version", &etag(stored.version));
    whole.push(b'}');
}

fn add<T: Serialize + ?Sized>(object: &mut Vec<u8>, name: &str, value: &T) {
    object.extend_from_slice(b",\"");
    object.extend_from_slice(name.as_bytes());
    object.extend_from_slice(b"\":");
    // Strings and what is made of them always serialize, and writing to a Vec cannot fail.
    let _ = serde_json::to_writer(object, value);
}

fn member_value(registry: &Registry, member: &Member, base: &str) -> Value {
    let kind = member.kind.as_deref().and_then(|name| registry.by_name(name));
    referring(member.to_value(), kind, base)
}

fn group_value(registry: &Registry, membership: &Membership, base: &str) -> Value {
    referring(membership.to_value(), registry.by_code(membership.group.kind), base)
}

/// A value with the address of what it names, where its type is known.
fn referring(mut value: Value, kind: Option<&Arc<ResourceType>>, base: &str) -> Value {
    if let (Some(kind), Some(id)) = (kind, value["value"].as_str()) {
        value["$ref"] = kind.address(base, id).into();
    }
    value
}
