//! Members of a group as a body lists them (7643-4.2-02): they become rows, not a part of the document.

use super::once;
use super::value::{is_absent, simple, wrong};
use crate::base::id::ResourceId;
use crate::base::limits;
use crate::scim::error::{Error, Result};
use crate::scim::path::shorten;
use crate::scim::resource::Member;
use crate::scim::schema::Attribute;
use serde_json::Value;
use std::collections::HashSet;

/// Reads the list of members, each id once.
pub(crate) fn read(attribute: &Attribute, value: &Value) -> Result<Vec<Member>> {
    let values = match value {
        _ if is_absent(value) => return Ok(Vec::new()),
        Value::Array(values) => values,
        _ => return Err(wrong(&attribute.name, "an array")),
    };
    let mut seen = HashSet::with_capacity(values.len());
    let mut members = Vec::with_capacity(values.len());
    for value in values {
        let member = one(attribute, value)?;
        if seen.insert(member.id.clone()) {
            members.push(member);
        }
    }
    Ok(members)
}

/// Reads one member. `$ref` follows from the id and is dropped.
pub(crate) fn one(attribute: &Attribute, value: &Value) -> Result<Member> {
    let object = value.as_object().ok_or_else(|| wrong(&attribute.name, "objects with a 'value'"))?;
    let mut seen = Vec::new();
    let (mut id, mut kind, mut display) = (None, None, None);
    for (name, value) in object {
        let sub_attribute = attribute
            .sub_attribute(name)
            .ok_or_else(|| Error::invalid_value(format!("Attribute '{}.{}' is not defined.", attribute.name, shorten(name))))?;
        once(&mut seen, &sub_attribute.name)?;
        if value.is_null() {
            continue;
        }
        if sub_attribute.name == "value" {
            id = Some(identifier(attribute, value)?);
            continue;
        }
        let checked = simple(sub_attribute, &format_args!("{}.{}", attribute.name, sub_attribute.name), value)?;
        match (sub_attribute.name.as_str(), checked) {
            ("type", Value::String(text)) => kind = Some(text),
            ("display", Value::String(text)) => display = Some(text),
            _ => {}
        }
    }
    let id = id.ok_or_else(|| super::required::missing(&format_args!("{}.value", attribute.name)))?;
    Ok(Member { id, kind, display })
}

/// Reads the id of a member.
pub(crate) fn identifier(attribute: &Attribute, value: &Value) -> Result<ResourceId> {
    match value.as_str() {
        Some(text) if text.len() > limits::RESOURCE_ID_BYTES => {
            let most = limits::RESOURCE_ID_BYTES;
            Err(Error::invalid_value(format!("Attribute '{}.value' is longer than {most} bytes.", attribute.name)))
        }
        Some(text) if !text.is_empty() => Ok(ResourceId::parse(text)),
        _ => Err(wrong(&format_args!("{}.value", attribute.name), "the id of a resource, as a string that is not empty")),
    }
}
