//! The template of `OneLogin` for enterprise users names the manager as SCIM 1.1 did:
//!
//! ```json
//! {"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"manager": {"managerId": "26118915", "displayName": "Jo Ann"}}}
//! ```
//!
//! There is no `managerId` (7643-4.3): it means `{"manager": {"value": "26118915", "displayName": "Jo Ann"}}`.

use crate::scim::Object;
use crate::scim::path::AttributePath;
use serde_json::Value;

/// A manager with `value` for `managerId`.
pub(super) fn value(path: &AttributePath, value: &Value) -> Option<Value> {
    let is_manager = path.attribute.name == "manager" && path.sub_attribute.is_none() && path.attribute.names_resource();
    let object = value.as_object().filter(|_| is_manager)?;
    let count = |name: &str| object.keys().filter(|given| given.eq_ignore_ascii_case(name)).count();
    // Two ids in two spellings are refused as they are.
    if count("managerId") != 1 || count("value") > 0 {
        return None;
    }
    let renamed = |(name, value): (&String, &Value)| {
        let name = if name.eq_ignore_ascii_case("managerId") { "value" } else { name };
        (name.to_owned(), value.clone())
    };
    Some(Value::Object(object.iter().map(renamed).collect::<Object>()))
}
