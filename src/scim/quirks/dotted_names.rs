//! Microsoft Entra ID (with its `aadOptscim062020` flag) writes paths as the names of a value without path:
//!
//! ```json
//! {"op": "replace", "value": {"displayName": "Ann", "name.givenName": "Ann", "emails[type eq \"work\"].value": "ann@example.com"}}
//! ```
//!
//! Such a value is an object of attributes (7644-3.5.2.1-02), and none is called `name.givenName`. It means
//!
//! ```json
//! {"op": "replace", "value": {"displayName": "Ann"}}
//! {"op": "replace", "path": "name.givenName", "value": "Ann"}
//! {"op": "replace", "path": "emails[type eq \"work\"].value", "value": "ann@example.com"}
//! ```
//!
//! The URN before an attribute's name, as in `urn:…:User:employeeNumber`, is legal there (7644-3.5.2-07).

use crate::base::limits;
use crate::scim::Object;
use crate::scim::path::{Target, resolve_target};
use crate::scim::schema::ResourceType;
use serde_json::Value;
use std::collections::HashSet;

/// What an operation with a value can do.
const VERBS: [&str; 2] = ["add", "replace"];

/// The operations that an operation without path means: one for each name that is a path, after the rest. Of more paths than a PATCH
/// may have operations some are left out, because it is refused whatever they say.
pub(super) fn operations(kind: &ResourceType, _id: &str, operation: &Object, target: &Target) -> Option<Vec<Object>> {
    let container = match target {
        Target::Core => None,
        Target::Extension(schema) => Some(schema.id.clone()),
        Target::Attribute(_) => return None,
    };
    let (value_name, value) = only(operation, "value")?;
    let verb = only(operation, "op")?.1.as_str().filter(|verb| VERBS.iter().any(|known| known.eq_ignore_ascii_case(verb)))?;
    if operation.keys().filter(|name| name.eq_ignore_ascii_case("path")).count() > 1 {
        return None;
    }
    let mut paths = Vec::new();
    let kept = without_paths(kind, container.as_deref(), value.as_object()?, &mut paths)?;
    if paths.is_empty() {
        return None;
    }
    let mut meant = Vec::with_capacity(paths.len() + 1);
    if !kept.is_empty() {
        meant.push(super::replaced(operation, value_name, Value::Object(kept)));
    }
    // No more of the operation than what it does: the rest of it may be as large as the body, and stand here once for each path.
    for (path, value) in paths {
        let single = [("op", verb.into()), ("path", path.into()), (value_name.as_str(), value)];
        meant.push(single.map(|(name, value)| (name.to_owned(), value)).into_iter().collect());
    }
    Some(meant)
}

/// The member of an operation by its name; `None` also when it stands twice: that is refused as it is.
fn only<'a>(operation: &'a Object, name: &str) -> Option<(&'a String, &'a Value)> {
    let mut found = operation.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name));
    found.next().filter(|_| found.next().is_none())
}

/// The object without those names that are paths, which are collected, also from the containers within. `None` when a name stands
/// twice: that is refused as it is.
fn without_paths(
    kind: &ResourceType,
    container: Option<&str>,
    object: &Object,
    paths: &mut Vec<(String, Value)>,
) -> Option<Object> {
    let mut seen = HashSet::new();
    let mut kept = Object::new();
    for (name, value) in object {
        if !seen.insert(name.to_ascii_lowercase()) {
            return None;
        }
        let path = container.map_or(name.clone(), |urn| format!("{urn}:{name}"));
        let is_path = path.contains('[')
            || matches!(resolve_target(kind, &path), Ok(Target::Attribute(path)) if path.sub_attribute.is_some());
        if is_path {
            if paths.len() <= limits::PATCH_OPERATIONS {
                paths.push((path, value.clone()));
            }
            continue;
        }
        let inner = match (resolve_target(kind, &path), value, container) {
            (Ok(Target::Extension(schema)), Value::Object(inner), None) => Some((schema.id.clone(), inner)),
            (Ok(Target::Core), Value::Object(inner), None) => Some((kind.schema.id.clone(), inner)),
            _ => None,
        };
        match inner {
            None => {
                kept.insert(name.clone(), value.clone());
            }
            Some((urn, inner)) => {
                let rest = without_paths(kind, Some(&urn), inner, paths)?;
                if !rest.is_empty() || inner.is_empty() {
                    kept.insert(name.clone(), Value::Object(rest));
                }
            }
        }
    }
    Some(kept)
}
