//! Values with `returned: never`: they leave the document before anything is stored (I6).

use super::value::{is_absent, wrong};
use crate::base::limits;
use crate::base::secret::Secret;
use crate::scim::error::{Error, Result};
use crate::scim::path::AttributePath;
use crate::scim::resource::SecretChange;
use crate::scim::schema::{Attribute, Mutability, Returned};
use serde_json::Value;

/// Whether an attribute's values are never shown (7643-7-04, 7643-7-05).
pub(crate) fn is_secret(attribute: &Attribute) -> bool {
    attribute.returned == Returned::Never || attribute.mutability == Mutability::WriteOnly
}

/// Reads what a body gives a secret attribute.
pub(crate) fn read(path: &AttributePath, value: &Value) -> Result<SecretChange> {
    let value = match value {
        _ if is_absent(value) => None,
        Value::String(text) if text.is_empty() => {
            return Err(Error::invalid_value(format!("Attribute '{path}' must not be empty.")));
        }
        Value::String(text) if text.len() > limits::PASSWORD_BYTES => {
            let most = limits::PASSWORD_BYTES;
            return Err(Error::invalid_value(format!("Attribute '{path}' is longer than {most} bytes.")));
        }
        Value::String(text) => Some(Secret::new(text)),
        _ => return Err(wrong(path, "a string")),
    };
    Ok(SecretChange { path: path.to_string(), value })
}
