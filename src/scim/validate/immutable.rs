//! Immutable attributes: settable while they have no value (RFC 7643 §7 `mutability`, 7644-3.5.1-02, 7644-3.5.2-04).

use crate::scim::Object;
use crate::scim::compare::Comparable;
use crate::scim::diff::same;
use crate::scim::error::{Error, Result};
use crate::scim::path::AttributePath;
use crate::scim::resource;
use crate::scim::schema::{Attribute, Mutability, ResourceType};
use serde_json::Value;
use std::fmt::Display;
use std::sync::Arc;

/// Whether [`check`] has something to look at.
pub(crate) fn concerns(attribute: &Attribute) -> bool {
    attribute.mutability == Mutability::Immutable
        || (!attribute.multi_valued && attribute.sub_attributes.iter().any(|sub| sub.mutability == Mutability::Immutable))
}

/// Refuses a document that changes an immutable value of the one before.
pub(crate) fn unchanged(kind: &ResourceType, before: &Object, after: &Object) -> Result<()> {
    for (extension, attribute) in kind.all_attributes().filter(|(_, attribute)| concerns(attribute)) {
        let value = |document| resource::container(document, extension).and_then(|object: &Object| object.get(&attribute.name));
        let path = AttributePath { extension: extension.cloned(), attribute: Arc::clone(attribute), sub_attribute: None };
        check(&path, value(before), value(after))?;
    }
    Ok(())
}

/// Refuses another value of an immutable attribute, or of an immutable part of a single complex value. The parts of elements are
/// [checked](check_parts) where an element is changed in place; to remove or replace a whole element is allowed (7643-4.2-02).
pub(crate) fn check(path: &AttributePath, before: Option<&Value>, after: Option<&Value>) -> Result<()> {
    let Some(before) = before else { return Ok(()) };
    if path.attribute.mutability == Mutability::Immutable && !after.is_some_and(|after| is_same(&path.attribute, before, after)) {
        return Err(refused(&path.parent()));
    }
    if path.attribute.multi_valued { Ok(()) } else { check_parts(path, before, after) }
}

/// Refuses another value of an immutable part of one complex value.
pub(crate) fn check_parts(path: &AttributePath, before: &Value, after: Option<&Value>) -> Result<()> {
    let immutable = |sub: &&Arc<Attribute>| sub.mutability == Mutability::Immutable;
    for sub_attribute in path.attribute.sub_attributes.iter().filter(immutable) {
        let Some(old) = before.get(&sub_attribute.name) else { continue };
        let new = after.and_then(|after| after.get(&sub_attribute.name));
        if !new.is_some_and(|new| is_same(sub_attribute, old, new)) {
            return Err(refused(&format_args!("{}.{}", path.parent(), sub_attribute.name)));
        }
    }
    Ok(())
}

/// Whether two values are one, as they compare: a reference with another version of the API names the same (7643-2.4-05).
fn is_same(attribute: &Attribute, before: &Value, after: &Value) -> bool {
    same(before, after)
        || matches!((Comparable::of(attribute, before), Comparable::of(attribute, after)), (Some(old), Some(new)) if old == new)
}

fn refused(at: &dyn Display) -> Error {
    Error::mutability(format!("Attribute '{at}' is immutable and has another value."))
}
