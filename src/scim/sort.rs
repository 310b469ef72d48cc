//! The order of a list (RFC 7644 §3.4.2.3).

use super::Object;
use super::error::{Error, Result};
use super::filter::hidden;
use super::path::{self, AttributePath, Target};
use super::resource;
use super::schema::{ResourceType, Type};
use serde_json::Value;
use std::sync::Arc;

/// An order: by the value of an attribute, and by `id` among those that share it. A resource without a value comes last; descending
/// is the exact reverse of ascending (7644-3.4.2.3-03).
#[derive(Clone, Debug, PartialEq)]
pub struct Sort {
    /// The attribute. `None` is the order of ids alone: no resource has a value.
    pub path: Option<AttributePath>,
    /// From the last to the first.
    pub descending: bool,
}

/// Reads `sortOrder`; ascending when it is not given (7644-3.4.2.3-01).
pub fn is_descending(order: Option<&str>) -> Result<bool> {
    match order {
        None => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("ascending") => Ok(false),
        Some(text) if text.eq_ignore_ascii_case("descending") => Ok(true),
        Some(text) => {
            let shown = path::shorten(text);
            Err(Error::invalid_value(format!("sortOrder is 'ascending' or 'descending', not '{shown}'.")))
        }
    }
}

/// The attribute that `sortBy` names; `None` for `id`, whose order the store keeps. Of a complex attribute it is the `value`, as in
/// filters (7644-3.4.2.2-13). What is unknown, never returned or without an order is `invalidValue`.
pub fn resolve(kind: &ResourceType, text: &str) -> Result<Option<AttributePath>> {
    let refused = |why: &str| Error::invalid_value(format!("sortBy: attribute '{}' {why}.", path::shorten(text)));
    let path = match path::resolve_target(kind, text) {
        Ok(Target::Attribute(path)) => path,
        Ok(Target::Extension(_) | Target::Core) => return Err(refused("is a schema, not an attribute")),
        Err(error) => return Err(Error::invalid_value(format!("sortBy: {error}."))),
    };
    let path = match (path.leaf().kind, path.attribute.sub_attribute("value")) {
        (Type::Complex, Some(value)) => path.with_sub_attribute(Arc::clone(value)),
        (Type::Complex, None) => return Err(refused("is complex: name one of its sub-attributes")),
        _ => path,
    };
    match hidden(&path) {
        Some(why) => Err(refused(&format!("{why}, so it can not be sorted by"))),
        None if path.is_core("id") => Ok(None),
        None => Ok(Some(path)),
    }
}

/// The value of a whole resource that decides its place: of a multi-valued attribute the primary one, else the first
/// (7644-3.4.2.3-03).
pub fn value<'a>(resource: &'a Object, path: &AttributePath) -> Option<&'a Value> {
    let values = resource::values(resource, path);
    let is_primary = |value: &&Value| value.get("primary") == Some(&Value::Bool(true));
    let element = values.iter().find(is_primary).or_else(|| values.first())?;
    resource::within(element, path).first()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::schema::{ENTERPRISE_USER, Registry};
    use serde_json::json;

    fn resolved(text: &str) -> Result<Option<String>> {
        let registry = Registry::builtin();
        let path = resolve(registry.by_name("User").expect("User"), text)?;
        Ok(path.map(|path| path.to_string()))
    }

    /// 7644-3.4.2.3-03 7644-3.10-01
    #[test]
    fn an_attribute_is_named_in_any_case_and_a_complex_one_by_its_value() {
        let of = |text: &str| resolved(text).expect(text);
        assert_eq!(of("USERNAME").as_deref(), Some("userName"));
        assert_eq!(of("name.familyName").as_deref(), Some("name.familyName"));
        assert_eq!(of("emails").as_deref(), Some("emails.value"));
        assert_eq!(of("meta.lastModified").as_deref(), Some("meta.lastModified"));
        assert_eq!(of(&format!("{ENTERPRISE_USER}:manager")), Some(format!("{ENTERPRISE_USER}:manager.value")));
        assert_eq!(of("id"), None);
    }

    /// 7644-3.4.2.3-03
    #[test]
    fn what_has_no_order_is_refused_by_name() {
        for (text, why) in [
            ("nope", "sortBy: attribute 'nope' is not defined."),
            ("", "sortBy: '' is not an attribute path."),
            ("a b", "sortBy: 'a b' is not an attribute path."),
            ("name", "sortBy: attribute 'name' is complex: name one of its sub-attributes."),
            ("password", "sortBy: attribute 'password' is never returned, so it can not be sorted by."),
            (
                "meta.location",
                "sortBy: attribute 'meta.location' depends on the address of the server, so it can not be sorted by.",
            ),
        ] {
            assert_eq!(resolved(text), Err(Error::invalid_value(why)), "{text}");
        }
    }

    /// 7644-3.4.2.3-03
    #[test]
    fn the_primary_value_decides_or_else_the_first() {
        let registry = Registry::builtin();
        let emails = resolve(registry.by_name("User").expect("User"), "emails").expect("a path").expect("emails");
        let of = |emails_of: Value| {
            let user = json!({"emails": emails_of});
            value(user.as_object().expect("an object"), &emails).cloned()
        };
        assert_eq!(of(json!([{"value": "b"}, {"value": "a"}])), Some(json!("b")));
        assert_eq!(of(json!([{"value": "b"}, {"value": "a", "primary": true}])), Some(json!("a")));
        assert_eq!(of(json!([{"value": "b"}, {"type": "work", "primary": true}])), None);
        assert_eq!(of(json!([])), None);
    }

    /// 7644-3.4.2.3-01
    #[test]
    fn the_order_is_ascending_unless_it_is_said_to_be_descending() {
        assert_eq!(is_descending(None), Ok(false));
        assert_eq!(is_descending(Some("Ascending")), Ok(false));
        assert_eq!(is_descending(Some("DESCENDING")), Ok(true));
        let refused = Error::invalid_value("sortOrder is 'ascending' or 'descending', not 'down'.");
        assert_eq!(is_descending(Some("down")), Err(refused));
    }
}
