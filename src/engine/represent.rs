//! From a stored resource to the JSON that an answer holds (RFC 7643 §3, RFC 7644 §3.9).

use crate::scim::Object;
use crate::scim::project::Projection;
use crate::scim::resource::Member;
use crate::scim::schema::{Registry, ResourceType};
use crate::scim::version::etag;
use crate::store::{Membership, Stored};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;

/// The JSON text of a resource. `base` is the base of absolute URIs, without a trailing slash.
///
/// An answer that holds everything joins the stored text with what the server adds, without reading it.
pub fn represent(registry: &Registry, kind: &ResourceType, stored: &Stored, base: &str, projection: &Projection) -> Vec<u8> {
    let whole = join(registry, kind, stored, base);
    if projection.is_whole(kind) {
        return whole;
    }
    let mut resource: Object = serde_json::from_slice(&whole).unwrap_or_default();
    projection.apply(kind, &mut resource);
    text(&resource)
}

/// The stored text, and what the server adds to it.
fn join(registry: &Registry, kind: &ResourceType, stored: &Stored, base: &str) -> Vec<u8> {
    const USUAL_BYTES: usize = 512;
    let mut whole = Vec::with_capacity(stored.body.len() + USUAL_BYTES);
    // A document always holds `schemas`, so that a comma is due between the two.
    whole.extend_from_slice(stored.body.strip_suffix(b"}").unwrap_or(&stored.body));
    let id = stored.key.id.to_string();
    add(&mut whole, "id", &id);
    if let Some(members) = stored.members.as_deref().filter(|members| !members.is_empty()) {
        let values: Vec<Value> = members.iter().map(|member| member_value(registry, member, base)).collect();
        add(&mut whole, "members", &values);
    }
    if let Some(groups) = stored.groups.as_deref().filter(|groups| !groups.is_empty()) {
        let values: Vec<Value> = groups.iter().map(|group| group_value(registry, group, base)).collect();
        add(&mut whole, "groups", &values);
    }
    let meta = Meta {
        resource_type: &kind.name,
        created: stored.created.to_string(),
        last_modified: stored.modified.to_string(),
        location: format!("{base}{}/{id}", kind.endpoint),
        version: etag(stored.version),
    };
    add(&mut whole, "meta", &meta);
    whole.push(b'}');
    whole
}

/// RFC 7643 §3.1
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Meta<'a> {
    resource_type: &'a str,
    created: String,
    last_modified: String,
    location: String,
    version: String,
}

fn add<T: Serialize + ?Sized>(object: &mut Vec<u8>, name: &str, value: &T) {
    object.extend_from_slice(b",\"");
    object.extend_from_slice(name.as_bytes());
    object.extend_from_slice(b"\":");
    // Strings and what is made of them always serialize, and writing to a Vec cannot fail.
    let _ = serde_json::to_writer(object, value);
}

fn text(resource: &Object) -> Vec<u8> {
    serde_json::to_vec(resource).unwrap_or_default()
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
        value["$ref"] = format!("{base}{}/{id}", kind.endpoint).into();
    }
    value
}
