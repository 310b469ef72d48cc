//! What tells the values of a multi-valued attribute apart: the same (`type`, `value`) never stands twice (RFC 7643 §2.4).

use super::value::Element;
use crate::base::clock::Timestamp;
use crate::scim::compare::comparable_text;
use crate::scim::schema::{Attribute, Type};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashMap;

/// The identity of a value. Strings count as they compare: without case where the attribute is not case-exact (7643-7-03).
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) enum Identity<'a> {
    /// Of an object with a `value`: that and its `type`.
    Pair(Option<Key<'a>>, Key<'a>),
    /// Of another object: everything in it.
    Whole(Element<'a>),
    /// Of a simple value: itself.
    Simple(Key<'a>),
}

/// A simple value as it compares.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key<'a> {
    Text(Cow<'a, str>),
    Time(i64),
    Other(&'a Value),
}

impl<'a> Key<'a> {
    fn of(attribute: &Attribute, value: &'a Value) -> Self {
        match value {
            Value::String(text) if attribute.kind == Type::DateTime => {
                Timestamp::parse(text).map_or(Self::Other(value), |time| Self::Time(time.0))
            }
            Value::String(text) => Self::Text(comparable_text(attribute, text)),
            value => Self::Other(value),
        }
    }
}

impl<'a> Identity<'a> {
    /// The identity of a value of this attribute.
    pub(crate) fn of(attribute: &Attribute, value: &'a Value) -> Self {
        let Value::Object(object) = value else { return Self::Simple(Key::of(attribute, value)) };
        let key = |name: &str| Some(Key::of(attribute.sub_attribute(name)?, object.get(name)?));
        match key("value") {
            Some(value) => Self::Pair(key("type"), value),
            None => Self::Whole(Element(value)),
        }
    }
}

/// The values with each identity once, at the place of the first of it. What a later one says is written over an earlier one, but
/// what `is_written` (by an operation, at this index) over what is not.
pub(crate) fn merged(attribute: &Attribute, values: Vec<Value>, is_written: impl Fn(usize) -> bool) -> Vec<Value> {
    if values.len() < 2 {
        return values;
    }
    let mut places = HashMap::with_capacity(values.len());
    let first: Vec<usize> =
        values.iter().enumerate().map(|(index, value)| *places.entry(Identity::of(attribute, value)).or_insert(index)).collect();
    drop(places);
    let mut kept: Vec<Option<Value>> = values.into_iter().map(Some).collect();
    for (index, first) in first.into_iter().enumerate().filter(|(index, first)| index != first) {
        if let (Some(mut later), Some(mut earlier)) = (kept[index].take(), kept[first].take()) {
            let merged = if is_written(first) && !is_written(index) {
                merge(&mut later, &earlier);
                later
            } else {
                merge(&mut earlier, &later);
                earlier
            };
            kept[first] = Some(merged);
        }
    }
    kept.into_iter().flatten().collect()
}

/// Writes what a value says over one of the same identity, whose `type` and `value` keep their spelling. Whether that changes it: a
/// `primary` of false says what an absent one does (7643-2.4-02).
pub(crate) fn merge(held: &mut Value, given: &Value) -> bool {
    let (Value::Object(held), Value::Object(given)) = (held, given) else { return false };
    if !held.contains_key("value") {
        return false;
    }
    let mut changed = false;
    for (name, value) in given.iter().filter(|(name, _)| *name != "type" && *name != "value") {
        let says_nothing = name == "primary" && *value == Value::Bool(false) && !held.contains_key(name);
        if !says_nothing && held.get(name) != Some(value) {
            held.insert(name.clone(), value.clone());
            changed = true;
        }
    }
    changed
}
