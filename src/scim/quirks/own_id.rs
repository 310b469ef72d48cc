//! Okta repeats a group's own `id` whenever its name or its members change:
//!
//! ```json
//! {"op": "replace", "value": {"id": "abf4dd94-a4c0-4f67-89c9-76b03340cb9b", "displayName": "Team"}}
//! ```
//!
//! `id` is read-only, and an operation on it is an error of `mutability` (7644-3.5.2-04), also where nothing would change. This
//! means `{"op": "replace", "value": {"displayName": "Team"}}`. Any other `id` stays an error.

use super::member;
use crate::scim::Object;
use crate::scim::path::Target;
use crate::scim::schema::ResourceType;
use serde_json::Value;

/// The operation without the resource's own id.
pub(super) fn operations(_kind: &ResourceType, id: &str, operation: &Object, target: &Target) -> Option<Vec<Object>> {
    let Target::Core = target else { return None };
    let (name, value) = member(operation, "value")?;
    let given = value.as_object()?;
    let mut ids = given.iter().filter(|(name, _)| name.eq_ignore_ascii_case("id"));
    let (Some((spelling, Value::String(own))), None) = (ids.next(), ids.next()) else { return None };
    if own != id {
        return None;
    }
    let mut kept = given.clone();
    kept.shift_remove(spelling);
    Some(vec![super::replaced(operation, name, Value::Object(kept))])
}
