//! The definition of one attribute (RFC 7643 §7), and what can be wrong with it by itself.

use super::Problem;
use super::fields::{Fields, Place, shown};
use crate::scim::path::{is_attribute_name, shorten};
use crate::scim::schema::{Attribute, Mutability, Returned, Type, Uniqueness};
use serde_json::Value;
use std::sync::Arc;

const MEMBERS: [&str; 12] = [
    "name",
    "type",
    "subAttributes",
    "multiValued",
    "description",
    "required",
    "canonicalValues",
    "caseExact",
    "mutability",
    "returned",
    "uniqueness",
    "referenceTypes",
];
const TYPES: [(&str, Type); 8] = [
    ("string", Type::String),
    ("boolean", Type::Boolean),
    ("decimal", Type::Decimal),
    ("integer", Type::Integer),
    ("dateTime", Type::DateTime),
    ("binary", Type::Binary),
    ("reference", Type::Reference),
    ("complex", Type::Complex),
];
const MUTABILITIES: [(&str, Mutability); 4] = [
    ("readOnly", Mutability::ReadOnly),
    ("readWrite", Mutability::ReadWrite),
    ("immutable", Mutability::Immutable),
    ("writeOnly", Mutability::WriteOnly),
];
const RETURNED: [(&str, Returned); 4] =
    [("always", Returned::Always), ("never", Returned::Never), ("default", Returned::Default), ("request", Returned::Request)];
const UNIQUENESS: [(&str, Uniqueness); 3] =
    [("none", Uniqueness::None), ("server", Uniqueness::Server), ("global", Uniqueness::Global)];

/// A list of attributes: each as well as it can be read, so that places stay what they are in the file.
pub(super) fn attributes(list: &[(Place, &Value)], is_sub: bool, problems: &mut Vec<Problem>) -> Vec<Arc<Attribute>> {
    let mut read: Vec<Arc<Attribute>> = Vec::with_capacity(list.len());
    for (place, value) in list {
        let attribute = attribute(value, place, is_sub, problems);
        if !attribute.name.is_empty() && read.iter().any(|other| other.name.eq_ignore_ascii_case(&attribute.name)) {
            let what =
                format!("expected a name that no other attribute here has in any case, found '{}'", shorten(&attribute.name));
            problems.push(place.member("name").problem(what));
        }
        read.push(Arc::new(attribute));
    }
    read
}

fn attribute(value: &Value, place: &Place, is_sub: bool, problems: &mut Vec<Problem>) -> Attribute {
    let Value::Object(object) = value else {
        problems.push(place.problem(format!("expected the definition of an attribute, found {}", shown(value))));
        return blank();
    };
    let mut fields = Fields { object, place, problems };
    fields.allow_only(&MEMBERS);
    let kind = fields.word("type", &TYPES);
    let mut attribute = Attribute {
        name: name(&mut fields, is_sub),
        kind: kind.ok().flatten().unwrap_or_default(),
        multi_valued: fields.boolean("multiValued").unwrap_or(false),
        description: fields.text("description", false),
        required: fields.boolean("required").unwrap_or(false),
        canonical_values: fields.texts("canonicalValues"),
        case_exact: fields.boolean("caseExact"),
        mutability: fields.word("mutability", &MUTABILITIES).unwrap_or_default().unwrap_or_default(),
        returned: fields.word("returned", &RETURNED).unwrap_or_default().unwrap_or_default(),
        uniqueness: fields.word("uniqueness", &UNIQUENESS).unwrap_or_default(),
        format: None,
        reference_types: fields.texts("referenceTypes"),
        sub_attributes: Vec::new(),
    };
    if kind.is_ok() {
        parts(&mut attribute, &mut fields, is_sub);
        unique(&mut attribute, &mut fields);
        secret(&attribute, &mut fields, is_sub);
    }
    settle(&mut attribute);
    attribute
}

fn blank() -> Attribute {
    Attribute {
        name: String::new(),
        kind: Type::default(),
        multi_valued: false,
        description: String::new(),
        required: false,
        canonical_values: Vec::new(),
        case_exact: None,
        mutability: Mutability::default(),
        returned: Returned::default(),
        uniqueness: None,
        format: None,
        reference_types: Vec::new(),
        sub_attributes: Vec::new(),
    }
}

/// 7643-2.1-01: a letter first; `$ref` is the one exception, as a sub-attribute.
fn name(fields: &mut Fields<'_>, is_sub: bool) -> String {
    let name = fields.text("name", true);
    let is_name = is_attribute_name(&name) && (!name.starts_with('$') || (is_sub && name == "$ref"));
    if !name.is_empty() && !is_name {
        fields.problem("name", format!("expected a letter, then letters, digits, '-', '_' or '$', found '{}'", shorten(&name)));
    }
    name
}

fn parts(attribute: &mut Attribute, fields: &mut Fields<'_>, is_sub: bool) {
    let list = fields.list("subAttributes").unwrap_or_default();
    match attribute.kind {
        Type::Complex if is_sub => {
            // 7643-2.3.8-01
            fields.problem("type", "a complex attribute cannot hold a complex one (RFC 7643 §2.3.8): expected another type");
        }
        Type::Complex if list.is_empty() => {
            fields.problem("subAttributes", "expected at least one sub-attribute, since the type is complex");
        }
        Type::Complex => attribute.sub_attributes = attributes(&list, true, fields.problems),
        _ if !list.is_empty() => {
            fields.problem("subAttributes", "expected none, since the type is not complex");
        }
        _ => {}
    }
}

/// Booleans, times, binary and complex values have no uniqueness (RFC 7643 §2.3). Where a complex attribute is said to be unique, its
/// `value` is meant: voPerson's definition says it so.
fn unique(attribute: &mut Attribute, fields: &mut Fields<'_>) {
    if !attribute.is_unique() {
        return;
    }
    match attribute.kind {
        Type::Boolean | Type::DateTime | Type::Binary => {
            fields.problem("uniqueness", "expected none: this type has no uniqueness (RFC 7643 §2.3)");
        }
        Type::Complex => {
            let value = attribute.sub_attributes.iter_mut().find(|sub| sub.name == "value");
            match value {
                Some(value) if !matches!(value.kind, Type::Boolean | Type::DateTime | Type::Binary) => {
                    Arc::make_mut(value).uniqueness = attribute.uniqueness;
                }
                _ => fields.problem("uniqueness", "expected none: a complex attribute has no uniqueness, and this one no 'value'"),
            }
        }
        _ => {}
    }
}

/// A value that is never shown is kept as a hash, under the path of its attribute (I6).
fn secret(attribute: &Attribute, fields: &mut Fields<'_>, is_sub: bool) {
    let is_never = attribute.returned == Returned::Never;
    if attribute.mutability == Mutability::WriteOnly && !is_never {
        // 7643-7-04
        fields.problem("returned", "expected never, since the mutability is writeOnly");
        return;
    }
    if !is_never {
        return;
    }
    if is_sub {
        fields.problem("returned", "expected not never: only whole attributes can be secret, not a part of a complex one");
    } else if attribute.kind != Type::String || attribute.multi_valued {
        fields.problem("returned", "expected not never: only a single string can be secret");
    } else if attribute.is_unique() {
        fields.problem("uniqueness", "expected none: a secret is kept as a hash, which cannot be compared");
    }
}

/// Leaves out what has no meaning for the type, so that the published schema says what holds (RFC 7643 §2.3).
fn settle(attribute: &mut Attribute) {
    attribute.case_exact = match attribute.kind {
        Type::String => Some(attribute.case_exact.unwrap_or(false)),
        Type::Reference | Type::Binary => Some(true),
        Type::Boolean | Type::Decimal | Type::Integer | Type::DateTime | Type::Complex => None,
    };
    attribute.uniqueness = match attribute.kind {
        Type::Complex => None,
        _ => Some(attribute.uniqueness.unwrap_or_default()),
    };
    if attribute.kind != Type::Reference {
        attribute.reference_types.clear();
    }
}
