//! Microsoft Entra ID (without its `aadOptscim062020` flag), JumpCloud and authentik remove single members so:
//!
//! ```json
//! {"op": "Remove", "path": "members", "value": [{"value": "0190c7a4-7f2a-7000-8000-000000000001"}]}
//! ```
//!
//! A removal takes no `value` (RFC 7644 §3.5.2.2): strictly it is refused, and read literally it empties the group. It means
//! `{"op": "remove", "path": "members[value eq \"0190c7a4-7f2a-7000-8000-000000000001\"]"}`: only the listed members leave.

use crate::base::id::ResourceId;
use crate::scim::error::Result;
use crate::scim::schema::Attribute;
use crate::scim::validate::{members, value};
use serde_json::Value;

/// The ids that a removal lists in its `value`. `None` when there is no value, so that the removal is of all.
///
/// An empty list names nobody: a client that lists whom to remove never means everyone.
pub(in crate::scim) fn listed_ids(attribute: &Attribute, listed: Option<&Value>) -> Result<Option<Vec<ResourceId>>> {
    let values = match listed {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Array(values)) => values.as_slice(),
        Some(value) => std::slice::from_ref(value),
    };
    let id = |member: &Value| match member {
        Value::Object(object) => {
            let value = object.iter().find(|(name, _)| name.eq_ignore_ascii_case("value")).map(|(_, value)| value);
            members::identifier(attribute, value.unwrap_or(&Value::Null))
        }
        _ => Err(value::wrong(&attribute.name, "objects with a 'value'")),
    };
    values.iter().map(id).collect::<Result<Vec<ResourceId>>>().map(Some)
}
