//! Filters (RFC 7644 §3.4.2.2): text → [`Expression`] → [`Filter`], resolved once against the schema and then interpreted,
//! here in memory and elsewhere as SQL.

mod among;
mod evaluate;
mod parse;
mod print;
mod resolve;
#[cfg(test)]
mod tests;

use super::compare::Comparable;
use super::path::AttributePath;
use serde_json::Value;

pub use among::resolve_among;
pub use parse::{PathExpression, parse, parse_path};
pub(crate) use resolve::hidden;
pub use resolve::{resolve, resolve_within};

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// Identical.
    Eq,
    /// Not identical.
    Ne,
    /// Contains.
    Co,
    /// Starts with.
    Sw,
    /// Ends with.
    Ew,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
}

/// A filter as it is written: paths are text, literals are JSON.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// Every one holds. At least two.
    And(Vec<Expression>),
    /// One of them holds. At least two.
    Or(Vec<Expression>),
    /// It does not hold.
    Not(Box<Expression>),
    /// `path pr`
    Present(String),
    /// `path op value`
    Compare {
        /// The attribute path.
        path: String,
        /// The operator.
        operator: Operator,
        /// `false`, `null`, `true`, a number or a string.
        value: Value,
    },
    /// `path[filter]`
    ValuePath {
        /// The attribute path.
        path: String,
        /// What one value must satisfy.
        filter: Box<Expression>,
    },
}

/// A filter whose paths name attributes of one resource type.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Every one holds.
    And(Vec<Filter>),
    /// One of them holds.
    Or(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// A value is present (non-empty).
    Present(AttributePath),
    /// One value compares so.
    Compare(Comparison),
    /// One value of a complex attribute satisfies a filter. The paths of the inner filter name sub-attributes of the same attribute.
    Element {
        /// The attribute, without a sub-attribute.
        path: AttributePath,
        /// What one of its values must satisfy.
        filter: Box<Filter>,
    },
}

/// `path op value`, with the value in the form in which it is compared.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The attribute; a complex one is resolved to its `value` (7644-3.4.2.2-13).
    pub path: AttributePath,
    /// The operator.
    pub operator: Operator,
    /// The value to compare with. `None` is `null`, and the operator then `eq` or `ne`: `ne null` is the same as `pr`, and `eq null`
    /// is its complement.
    pub value: Option<Comparable>,
}
