//! The samples of Microsoft's tutorial filter by a word without quotes:
//!
//! ```text
//! GET /Users?filter=externalId eq jyoung
//! ```
//!
//! A string stands in double quotes (7644-3.4.2.2-02): it means `externalId eq "jyoung"`. No client in the wild is known to need
//! it, and a filter that lost its quotes on the way is better refused, so this is allowed only where the operator asks for it.

use crate::scim::schema::Type;
use serde_json::Value;

/// A word that is compared with an attribute whose values are strings, in quotes. `null` is a literal of its own.
pub(super) fn literal(literal: &str) -> Option<(&'static [Type], String)> {
    const TEXTS: &[Type] = &[Type::String, Type::Reference, Type::Binary, Type::DateTime];
    let is_bare = !literal.starts_with('"') && !literal.eq_ignore_ascii_case("null");
    is_bare.then(|| (TEXTS, Value::from(literal).to_string()))
}
