//! The typed checks of single values (RFC 7643 §2.3), shared by POST, PUT and PATCH. Each gives the form in which a value is stored.

use super::{identity, once, secret};
use crate::base::clock::Timestamp;
use crate::base::limits;
use crate::scim::Object;
use crate::scim::error::{Error, ErrorKind, Result};
use crate::scim::path::{AttributePath, shorten};
use crate::scim::schema::{Attribute, Mutability, Type};
use crate::scim::uri;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use std::fmt::Display;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// RFC 4648 §4, where padding may be left out (7643-2.3.6-01).
pub(super) const BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent));

/// What an object says of one sub-attribute.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    /// The sub-attribute.
    pub(crate) sub_attribute: Arc<Attribute>,
    /// Its value; `None` un-assigns it.
    pub(crate) value: Option<Value>,
}

/// Whether a value un-assigns what it is given to (7643-2.5-01).
pub(crate) fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.is_empty(),
        _ => false,
    }
}

/// The value of a whole attribute; `None` when it is absent.
pub(crate) fn attribute(path: &AttributePath, value: &Value) -> Result<Option<Value>> {
    match value {
        _ if is_absent(value) => Ok(None),
        Value::Array(values) if path.attribute.multi_valued => {
            Ok(Some(elements(path, values)?).filter(|values| !values.is_empty()).map(Value::Array))
        }
        _ if path.attribute.multi_valued => Err(wrong(path, "an array")),
        _ => one(path, value),
    }
}

/// The values of a multi-valued attribute: each (`type`, `value`) once (7643-2.4-04), at most one of them primary (7643-2.4-02).
pub(crate) fn elements(path: &AttributePath, values: &[Value]) -> Result<Vec<Value>> {
    check_count(path, values.len())?;
    let mut checked = Vec::with_capacity(values.len());
    for value in values {
        checked.extend(one(path, value)?);
    }
    let checked = identity::merged(&path.attribute, checked, |_| false);
    if checked.iter().filter(|value| is_primary(value)).count() > 1 {
        return Err(two_primaries(path));
    }
    Ok(checked)
}

/// Refuses more values of an attribute than are held.
pub(crate) fn check_count(path: &AttributePath, count: usize) -> Result<()> {
    if count > limits::VALUES_PER_ATTRIBUTE {
        let most = limits::VALUES_PER_ATTRIBUTE;
        return Err(Error::new(ErrorKind::TooLarge, format!("Attribute '{path}' has more than {most} values.")));
    }
    Ok(())
}

/// The failure of an attribute that would have two primary values.
pub(crate) fn two_primaries(path: &AttributePath) -> Error {
    Error::invalid_value(format!("Attribute '{}' has more than one value with 'primary' true.", path.parent()))
}

/// Whether an element is the primary one.
pub(crate) fn is_primary(value: &Value) -> bool {
    value.get("primary").and_then(Value::as_bool).unwrap_or(false)
}

/// A value of a multi-valued attribute as a whole. Two are the same when they are wholly equal, an absent `primary` being false
/// (7643-2.4-02) and the order of names being nothing (7643-2.3.8-02).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Element<'a>(pub(crate) &'a Value);

/// What an element says, without `"primary": false`.
fn said(object: &Object) -> impl Iterator<Item = (&String, &Value)> {
    object.iter().filter(|(name, value)| *name != "primary" || **value != Value::Bool(false))
}

impl PartialEq for Element<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self.0, other.0) {
            (Value::Object(left), Value::Object(right)) => {
                said(left).all(|(name, value)| right.get(name) == Some(value)) && said(left).count() == said(right).count()
            }
            (left, right) => left == right,
        }
    }
}

impl Eq for Element<'_> {}

impl Hash for Element<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match self.0 {
            Value::Object(object) => {
                let mut said: Vec<(&String, &Value)> = said(object).collect();
                said.sort_unstable_by_key(|(name, _)| *name);
                said.hash(state);
            }
            value => value.hash(state),
        }
    }
}

/// One value of an attribute: the single value, or one element. `None` when it is complex and nothing is left of it.
pub(crate) fn one(path: &AttributePath, value: &Value) -> Result<Option<Value>> {
    if path.attribute.kind != Type::Complex {
        return simple(&path.attribute, path, value).map(Some);
    }
    let object: Object = parts(path, value)?
        .into_iter()
        .filter_map(|part| part.value.map(|value| (part.sub_attribute.name.clone(), value)))
        .collect();
    Ok((!object.is_empty()).then_some(Value::Object(object)))
}

/// What an object says of each sub-attribute of a complex attribute. Those that a client may not write are left out.
pub(crate) fn parts(path: &AttributePath, value: &Value) -> Result<Vec<Part>> {
    let object = value.as_object().ok_or_else(|| wrong(&path.parent(), "an object"))?;
    let mut seen = Vec::new();
    let mut parts = Vec::with_capacity(object.len());
    for (name, value) in object {
        let undefined = || Error::invalid_value(format!("Attribute '{}.{}' is not defined.", path.parent(), shorten(name)));
        let sub_attribute = path.attribute.sub_attribute(name).ok_or_else(undefined)?;
        once(&mut seen, &sub_attribute.name)?;
        if sub_attribute.mutability != Mutability::ReadOnly {
            parts.push(Part { sub_attribute: Arc::clone(sub_attribute), value: sub_value(path, sub_attribute, value)? });
        }
    }
    Ok(parts)
}

/// The value of a sub-attribute; `None` when it is absent. A multi-valued one holds simple values (7643-2.3.8-01).
pub(crate) fn sub_value(path: &AttributePath, sub_attribute: &Attribute, value: &Value) -> Result<Option<Value>> {
    if is_absent(value) {
        return Ok(None);
    }
    let at = format_args!("{}.{}", path.parent(), sub_attribute.name).to_string();
    if secret::is_secret(sub_attribute) {
        // Secrets are kept by the path of a whole attribute; a part of one would be stored in clear.
        return Err(Error::invalid_value(format!("Attribute '{at}' cannot be kept: only whole attributes may be secret.")));
    }
    if sub_attribute.name == "value" && value == "" && path.attribute.names_resource() {
        return Err(wrong(&at, "the id of a resource, as a string that is not empty"));
    }
    match value {
        Value::Array(values) if sub_attribute.multi_valued => several_simple(path, sub_attribute, values).map(|values| {
            // Not empty: an empty array is absent.
            Some(Value::Array(values))
        }),
        _ if sub_attribute.multi_valued => Err(wrong(&at, "an array")),
        _ => simple(sub_attribute, &at, value).map(Some),
    }
}

/// The values of a multi-valued sub-attribute.
pub(crate) fn several_simple(path: &AttributePath, sub_attribute: &Attribute, values: &[Value]) -> Result<Vec<Value>> {
    check_count(path, values.len())?;
    let at = format_args!("{}.{}", path.parent(), sub_attribute.name).to_string();
    values
        .iter()
        .map(|value| simple(sub_attribute, &at, value))
        .collect::<Result<Vec<Value>>>()
        .map(|values| distinct(sub_attribute, values))
}

/// Simple values without repetitions, in their order.
pub(crate) fn distinct(attribute: &Attribute, values: Vec<Value>) -> Vec<Value> {
    identity::merged(attribute, values, |_| false)
}

/// A value that is not complex, in the form of its type and its format, with canonical values in the schema's spelling.
pub(crate) fn simple(attribute: &Attribute, at: &dyn Display, value: &Value) -> Result<Value> {
    let fits = match (attribute.kind, value) {
        (Type::String, Value::String(text)) if attribute.format.is_none() => return Ok(canonical(attribute, text)),
        (Type::String, Value::String(_)) | (Type::Boolean, Value::Bool(_)) | (Type::Decimal, Value::Number(_)) => true,
        (Type::Integer, Value::Number(number)) => number.as_i64().is_some(),
        (Type::DateTime, Value::String(text)) => Timestamp::parse(text).is_some(),
        (Type::Binary, Value::String(text)) => BASE64.decode(text).is_ok(),
        (Type::Reference, Value::String(text)) => uri::is_reference(text),
        _ => false,
    };
    match (fits, attribute.format, value) {
        (false, ..) => Err(wrong(at, expected(attribute.kind))),
        (true, Some(format), Value::String(text)) => format.stored(at, text),
        (true, ..) => Ok(value.clone()),
    }
}

/// Canonical values are suggestions: any other one is taken too. One of them is stored as the schema spells it, unless case tells
/// the attribute's values apart (7643-2.3.1-01, 7643-2.4-04).
fn canonical(attribute: &Attribute, text: &str) -> Value {
    let is_it = |value: &&String| !attribute.is_case_exact() && value.eq_ignore_ascii_case(text);
    attribute.canonical_values.iter().find(is_it).map_or(text, String::as_str).into()
}

fn expected(kind: Type) -> &'static str {
    match kind {
        Type::String => "a string",
        Type::Boolean => "true or false",
        Type::Decimal => "a number",
        Type::Integer => "a whole number of 64 bits, without fraction or exponent",
        Type::DateTime => "a date and time such as \"2011-05-13T04:42:34Z\"",
        Type::Binary => "a string in base64",
        Type::Reference => "an absolute or relative URI (RFC 3986)",
        Type::Complex => "an object",
    }
}

/// 400 `invalidValue`. The value itself is not shown: it may be personal.
pub(crate) fn wrong<D: Display + ?Sized>(at: &D, expected: &str) -> Error {
    Error::invalid_value(format!("Attribute '{at}' must be {expected}."))
}
