//! Required attributes (RFC 7643 §7 `required`).

use super::{is_members, is_schemas, secret};
use crate::scim::Object;
use crate::scim::error::{Error, Result};
use crate::scim::path::AttributePath;
use crate::scim::resource;
use crate::scim::schema::{Attribute, Mutability, ResourceType, Schema};
use serde_json::Value;
use std::fmt::Display;
use std::sync::Arc;

/// The failure of a missing attribute.
pub(crate) fn missing<D: Display + ?Sized>(at: &D) -> Error {
    Error::invalid_value(format!("Attribute '{at}' is required."))
}

/// Whether the document itself must hold the attribute.
pub(crate) fn is_required(attribute: &Attribute) -> bool {
    attribute.required && attribute.mutability != Mutability::ReadOnly && !secret::is_secret(attribute)
}

/// Checks that a document holds what it must: required attributes, required parts of what is there, required extensions. An
/// extension's attributes are required where the extension is present.
pub(crate) fn complete(kind: &ResourceType, document: &Object) -> Result<()> {
    for extension in kind.extensions.iter().filter(|extension| extension.required) {
        if !document.contains_key(&extension.schema.id) {
            return Err(Error::invalid_value(format!("Extension '{}' is required.", extension.schema.id)));
        }
    }
    for (extension, attribute) in kind.all_attributes() {
        if is_schemas(extension, attribute) || is_members(kind, attribute) {
            continue;
        }
        if let Some(container) = resource::container(document, extension) {
            held(extension, attribute, container)?;
        }
    }
    Ok(())
}

fn held(extension: Option<&Arc<Schema>>, attribute: &Arc<Attribute>, container: &Object) -> Result<()> {
    let path = || AttributePath { extension: extension.cloned(), attribute: Arc::clone(attribute), sub_attribute: None };
    let value = container.get(&attribute.name);
    if is_required(attribute) {
        not_empty(&path, value)?;
    }
    let elements = match value {
        Some(Value::Array(elements)) => elements.as_slice(),
        Some(value) => std::slice::from_ref(value),
        None => return Ok(()),
    };
    for sub_attribute in attribute.sub_attributes.iter().filter(|sub| is_required(sub)) {
        for element in elements {
            not_empty(&|| path().with_sub_attribute(Arc::clone(sub_attribute)), element.get(&sub_attribute.name))?;
        }
    }
    Ok(())
}

fn not_empty(path: &dyn Fn() -> AttributePath, value: Option<&Value>) -> Result<()> {
    match value {
        None => Err(missing(&path())),
        // 7643-4.1.1-01
        Some(Value::String(text)) if text.is_empty() => {
            Err(Error::invalid_value(format!("Attribute '{}' is required and must not be empty.", path())))
        }
        Some(_) => Ok(()),
    }
}
