//! The in-memory evaluator: what every filter compiler is held to.
//!
//! What a comparison means for the values that a resource has at the path:
//!
//! - A multi-valued attribute matches when any of its values does, `ne` included (7644-3.4.2.2-11).
//! - `ne` also holds when there is no value at all, for single and multi-valued attributes alike: what is absent is not identical
//!   to anything. Every other operator fails then. So `ne` is the complement of `eq` for single values only.
//! - `pr` holds when a value is not `null`, not `""`, not `[]`, and if complex has such a part (7644-3.4.2.2-07). `eq null` is the
//!   complement of `pr`, and `ne null` is `pr`. For every other comparison `""` is a value.

use super::{Comparison, Filter, Operator};
use crate::scim::Object;
use crate::scim::compare::Comparable;
use crate::scim::path::AttributePath;
use crate::scim::resource;
use serde_json::Value;
use std::slice;

impl Filter {
    /// Whether a whole resource (with `id`, `meta`, `members`, `groups`) satisfies the filter.
    pub fn matches(&self, resource: &Object) -> bool {
        self.holds(Subject::Resource(resource))
    }

    /// Whether one value of a complex attribute satisfies this filter, which is an [element](Filter::Element)'s inner one or comes
    /// from [`super::resolve_within`].
    pub fn matches_element(&self, value: &Value) -> bool {
        self.holds(Subject::Element(value))
    }

    /// Whether the filter looks at this core attribute.
    pub fn mentions(&self, attribute: &str) -> bool {
        self.any_path(&|path| path.is_core(attribute))
    }

    /// Whether the filter looks at an attribute that is so.
    pub fn any_path(&self, is_so: &impl Fn(&AttributePath) -> bool) -> bool {
        match self {
            Self::And(operands) | Self::Or(operands) => operands.iter().any(|operand| operand.any_path(is_so)),
            Self::Not(operand) => operand.any_path(is_so),
            Self::Present(path) | Self::Compare(Comparison { path, .. }) | Self::Element { path, .. } => is_so(path),
        }
    }

    /// Whether deciding the filter takes the values of this core attribute. That there are any is enough for `pr`, and for a
    /// comparison with `null`.
    pub fn looks_into(&self, attribute: &str) -> bool {
        match self {
            Self::And(operands) | Self::Or(operands) => operands.iter().any(|operand| operand.looks_into(attribute)),
            Self::Not(operand) => operand.looks_into(attribute),
            Self::Present(path) | Self::Compare(Comparison { path, value: None, .. }) => {
                path.is_core(attribute) && path.sub_attribute.as_ref().is_some_and(|part| part.name != "value")
            }
            Self::Compare(Comparison { path, .. }) | Self::Element { path, .. } => path.is_core(attribute),
        }
    }

    /// How many comparisons deciding it for one value takes at most.
    pub fn terms(&self) -> usize {
        match self {
            Self::And(operands) | Self::Or(operands) => operands.iter().map(Self::terms).sum(),
            Self::Not(operand) => operand.terms(),
            Self::Element { filter, .. } => filter.terms(),
            Self::Present(_) | Self::Compare(_) => 1,
        }
    }

    fn holds(&self, subject: Subject<'_>) -> bool {
        match self {
            Self::And(operands) => operands.iter().all(|operand| operand.holds(subject)),
            Self::Or(operands) => operands.iter().any(|operand| operand.holds(subject)),
            Self::Not(operand) => !operand.holds(subject),
            Self::Present(path) => subject.leaves(path).any(is_present),
            Self::Compare(comparison) => comparison.holds(subject),
            Self::Element { path, filter } => subject.values(path).iter().any(|value| filter.matches_element(value)),
        }
    }
}

/// What a filter is held against.
#[derive(Clone, Copy)]
enum Subject<'a> {
    Resource(&'a Object),
    /// One value of the attribute that every path of the filter names.
    Element(&'a Value),
}

impl<'a> Subject<'a> {
    fn values(self, path: &AttributePath) -> &'a [Value] {
        match self {
            Self::Resource(resource) => resource::values(resource, path),
            Self::Element(value) => slice::from_ref(value),
        }
    }

    fn leaves(self, path: &AttributePath) -> impl Iterator<Item = &'a Value> {
        self.values(path).iter().flat_map(move |value| resource::within(value, path))
    }
}

impl Comparison {
    fn holds(&self, subject: Subject<'_>) -> bool {
        let Some(wanted) = &self.value else {
            return subject.leaves(&self.path).any(is_present) == (self.operator == Operator::Ne);
        };
        let mut is_absent = true;
        let mut values = subject.leaves(&self.path).filter_map(|value| Comparable::of(self.path.leaf(), value));
        let matches = values.any(|value| {
            is_absent = false;
            self.operator.holds(&value, wanted)
        });
        matches || (is_absent && self.operator == Operator::Ne)
    }
}

impl Operator {
    fn holds(self, value: &Comparable, wanted: &Comparable) -> bool {
        match self {
            Self::Eq => value == wanted,
            Self::Ne => value != wanted,
            Self::Gt => value > wanted,
            Self::Ge => value >= wanted,
            Self::Lt => value < wanted,
            Self::Le => value <= wanted,
            Self::Co | Self::Sw | Self::Ew => {
                let (Comparable::Text(value), Comparable::Text(wanted)) = (value, wanted) else { return false };
                match self {
                    Self::Sw => value.starts_with(wanted.as_str()),
                    Self::Ew => value.ends_with(wanted.as_str()),
                    _ => value.contains(wanted.as_str()),
                }
            }
        }
    }
}

/// 7644-3.4.2.2-07
fn is_present(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => values.iter().any(is_present),
        Value::Object(members) => members.values().any(is_present),
        Value::Bool(_) | Value::Number(_) => true,
    }
}
