//! Microsoft Entra ID creates groups with the URI of a schema of its own, which says nothing:
//!
//! ```json
//! {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group",
//!   "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"], "displayName": "Team"}
//! ```
//!
//! `schemas` names only what the resource type declares (7643-3-01). It means
//! `{"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": "Team"}`. Any other unknown URI stays an error.

use crate::scim::schema::ResourceType;
use serde_json::Value;

/// How the URIs of these schemas start.
const MICROSOFT: &str = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/";

/// The body without those URIs, unless the resource type knows them.
pub(super) fn body(kind: &ResourceType, body: &Value) -> Option<Value> {
    let is_ignored = |urn: &Value| {
        urn.as_str().is_some_and(|urn| {
            urn.get(..MICROSOFT.len()).is_some_and(|start| start.eq_ignore_ascii_case(MICROSOFT)) && kind.extension(urn).is_none()
        })
    };
    let object = body.as_object()?;
    let (name, Value::Array(urns)) = object.iter().find(|(name, _)| name.eq_ignore_ascii_case("schemas"))? else { return None };
    if !urns.iter().any(is_ignored) {
        return None;
    }
    let kept = urns.iter().filter(|urn| !is_ignored(urn)).cloned().collect();
    Some(Value::Object(super::replaced(object, name, Value::Array(kept))))
}
