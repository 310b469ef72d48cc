//! Microsoft Entra ID writes parts of a value that is not there yet, and means it to be made (7644-3.5.2.1-05):
//!
//! ```json
//! {"op": "Add", "path": "emails[type eq \"work\"].value", "value": "ann@example.com"}
//! {"op": "Replace", "path": "emails[type eq \"work\"].primary", "value": true}
//! ```
//!
//! Read literally, both are `noTarget` for a user without a work address. They mean one new value
//! `{"type": "work", "value": "ann@example.com", "primary": true}`: the first makes it, and the second finds it by its filter.

use crate::scim::Object;
use crate::scim::filter::{Expression, Operator};
use crate::scim::path::AttributePath;
use crate::scim::schema::Mutability;
use crate::scim::validate::value;

/// The value that a filter describes: one for which every comparison of a conjunction of `eq` holds. `None` when the filter says
/// more than that, when the client could not have written such a value, and when the operation does not write a part of the value
/// that the filter leaves open: then the value would not be the one that the filter means.
pub(in crate::scim) fn described_element(path: &AttributePath, filter: &Expression) -> Option<Object> {
    let written = path.sub_attribute.as_ref()?;
    let terms = match filter {
        Expression::And(terms) => terms.as_slice(),
        term => std::slice::from_ref(term),
    };
    let mut element = Object::new();
    for term in terms {
        let Expression::Compare { path: name, operator: Operator::Eq, value: literal } = term else { return None };
        let sub_attribute = path.attribute.sub_attribute(name)?;
        let value = value::sub_value(path, sub_attribute, literal).ok()??;
        let is_new = element.insert(sub_attribute.name.clone(), value).is_none();
        if !is_new || sub_attribute.mutability == Mutability::ReadOnly || sub_attribute.name == written.name {
            return None;
        }
    }
    Some(element)
}
