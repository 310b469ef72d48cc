//! From a resolved filter to the SQL that selects its candidates: the ids of resources that can match, read from indexes alone.
//!
//! Candidates are a superset of the matches. Where they are not [exact](Candidates::exact), the evaluator has the last word.

use super::Cell;
use super::catalogue::{Catalogue, Entry, Table};
use crate::base::id::ResourceId;
use crate::base::limits;
use crate::scim::compare::Comparable;
use crate::scim::filter::{Comparison, Filter, Operator};
use crate::scim::path::AttributePath;
use crate::scim::schema::{Attribute, Type};
use crate::store::index::indexed_value;
use std::fmt::Write as _;
use std::sync::Arc;

/// How many candidates there can be. An intersection reads the narrow ones only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Breadth {
    /// At most one.
    One,
    /// Those that share a value.
    Few,
    /// Any number.
    Many,
}

/// A statement that selects the `id`s of candidates, each once and in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidates {
    /// The statement. `$1` is the tenant, `$2` the type, and every `$n` first stands after all smaller ones.
    pub sql: String,
    /// The values of `$3` and on.
    pub values: Vec<Bound>,
    /// Whether every candidate matches.
    pub exact: bool,
    /// How many there can be.
    pub breadth: Breadth,
}

/// A value that a statement compares with.
#[derive(Clone, Debug, PartialEq)]
pub enum Bound {
    /// A path's code.
    Code(i64),
    /// A comparison key.
    Value(Comparable),
    /// A resource.
    Id(ResourceId),
}

impl<'a> From<&'a Bound> for Cell<'a> {
    fn from(bound: &'a Bound) -> Self {
        match bound {
            Bound::Code(code) => Self::Integer(*code),
            Bound::Value(value) => value.into(),
            Bound::Id(id) => id.into(),
        }
    }
}

/// Up to this length, in bytes, a text compares with the indexed form of any value as it does with the value itself: the form of a
/// long one keeps at least so much of its start.
const FAITHFUL_BYTES: usize = limits::INDEXED_VALUE_BYTES - 64 - (char::MAX.len_utf8() - 1);
/// Deepest nesting of sets in one statement; below it a filter constrains nothing.
const SET_DEPTH: usize = 8;
/// From here on whole numbers and fractions are no longer one exact order.
const EXACT_DECIMAL: f64 = 9_007_199_254_740_992.0;

/// The candidates of a filter over a type, or those of them whose ids are after this one; `None` when no index narrows it.
pub fn candidates(catalogue: &Catalogue, entry: &Entry, filter: &Filter, after: Option<&ResourceId>) -> Option<Candidates> {
    let part = Compiler { catalogue, entry }.part(filter, false, 0)?;
    let mut statement = Statement { sql: String::with_capacity(128), values: Vec::new(), after };
    statement.print(&part.set);
    let Statement { mut sql, values, .. } = statement;
    sql.push_str(" ORDER BY id");
    Some(Candidates { sql, values, exact: part.exact, breadth: part.breadth })
}

struct Compiler<'a> {
    catalogue: &'a Catalogue,
    entry: &'a Entry,
}

struct Part {
    set: Set,
    exact: bool,
    breadth: Breadth,
}

enum Set {
    Id(ResourceId),
    GroupsOf(ResourceId),
    MembersOf(ResourceId),
    Entries { table: Table, path: i64, bounds: Vec<(&'static str, Comparable)> },
    Union(Vec<Set>),
    Intersection(Vec<Set>),
}

impl Compiler<'_> {
    fn part(&self, filter: &Filter, within_element: bool, depth: usize) -> Option<Part> {
        if depth > SET_DEPTH {
            return None;
        }
        match filter {
            Filter::And(operands) => {
                let parts: Vec<Part> =
                    operands.iter().filter_map(|operand| self.part(operand, within_element, depth + 1)).collect();
                // Within an element one value has to satisfy all of them, which an index of values cannot tell.
                let complete = parts.len() == operands.len() && !within_element;
                intersection(parts, complete)
            }
            Filter::Or(operands) => {
                let parts: Option<Vec<Part>> =
                    operands.iter().map(|operand| self.part(operand, within_element, depth + 1)).collect();
                union(parts?)
            }
            Filter::Not(_) => None,
            Filter::Present(path) => self.present(path),
            Filter::Compare(comparison) => self.comparison(comparison),
            Filter::Element { filter, .. } => self.part(filter, true, depth),
        }
    }

    fn present(&self, path: &AttributePath) -> Option<Part> {
        // An index holds "" too, which is not present (7644-3.4.2.2-07), and may lack numbers that have no key.
        let is_text = matches!(path.leaf().kind, Type::String | Type::Reference | Type::Binary);
        let (table, code) = self.catalogue.index_of(self.entry, path).filter(|_| is_text)?;
        let set = Set::Entries { table, path: code, bounds: vec![(">", Comparable::Text(String::new()))] };
        Some(Part { set, exact: true, breadth: Breadth::Many })
    }

    fn comparison(&self, comparison: &Comparison) -> Option<Part> {
        let Comparison { path, operator, value } = comparison;
        let value = value.as_ref()?;
        if let (Operator::Eq, Comparable::Text(text)) = (operator, value) {
            if path.is_core("id") {
                return Some(Part { set: Set::Id(ResourceId::parse(text)), exact: true, breadth: Breadth::One });
            }
            if is_id_of(path, "members", self.entry.kind.members()) {
                let set = Set::GroupsOf(ResourceId::parse(text));
                return Some(Part { set, exact: true, breadth: Breadth::Few });
            }
            if is_id_of(path, "groups", self.entry.kind.groups()) {
                // How deep nested groups are followed is for the evaluator to say.
                let set = Set::MembersOf(ResourceId::parse(text));
                return Some(Part { set, exact: false, breadth: Breadth::Few });
            }
        }
        let (table, code) = self.catalogue.index_of(self.entry, path)?;
        let (bounds, exact) = bounds(path.leaf().kind, *operator, value)?;
        let breadth = match (operator, table, value) {
            (Operator::Eq, _, Comparable::Boolean(_)) => Breadth::Many,
            (Operator::Eq, Table::Unique, _) => Breadth::One,
            (Operator::Eq, Table::Lookup, _) => Breadth::Few,
            _ => Breadth::Many,
        };
        Some(Part { set: Set::Entries { table, path: code, bounds }, exact, breadth })
    }
}

/// Whether a path names the id of a member or of a group. Members are rows by id; an id that is compared without regard to case
/// cannot be sought.
fn is_id_of(path: &AttributePath, name: &str, attribute: Option<&Arc<Attribute>>) -> bool {
    let Some(value) = path.sub_attribute.as_ref().filter(|_| path.is_core(name)) else { return false };
    attribute.is_some() && value.name == "value" && value.is_case_exact()
}

/// The narrowest parts alone: reading a wide set to thin out a narrow one costs more than to evaluate the narrow one.
fn intersection(mut parts: Vec<Part>, complete: bool) -> Option<Part> {
    let breadth = parts.iter().map(|part| part.breadth).min()?;
    let all = parts.len();
    parts.retain(|part| part.breadth == breadth);
    if breadth == Breadth::One {
        parts.truncate(1);
    }
    let exact = complete && parts.len() == all && parts.iter().all(|part| part.exact);
    Some(Part { set: combined(parts, Set::Intersection)?, exact, breadth })
}

fn union(parts: Vec<Part>) -> Option<Part> {
    let breadth = parts.iter().map(|part| part.breadth).max()?;
    // Two single candidates are no longer one.
    let breadth = if parts.len() > 1 { breadth.max(Breadth::Few) } else { breadth };
    let exact = parts.iter().all(|part| part.exact);
    Some(Part { set: combined(parts, Set::Union)?, exact, breadth })
}

fn combined(parts: Vec<Part>, join: impl FnOnce(Vec<Set>) -> Set) -> Option<Set> {
    let mut sets: Vec<Set> = parts.into_iter().map(|part| part.set).collect();
    if sets.len() > 1 { Some(join(sets)) } else { sets.pop() }
}

type Bounds = (Vec<(&'static str, Comparable)>, bool);

/// The range of indexed values that a comparison selects, and whether it selects nothing else.
fn bounds(kind: Type, operator: Operator, value: &Comparable) -> Option<Bounds> {
    match value {
        Comparable::Text(text) => text_bounds(operator, text),
        Comparable::Boolean(_) if operator != Operator::Eq => None,
        Comparable::Boolean(_) => Some((vec![("=", value.clone())], true)),
        Comparable::Integer(_) | Comparable::Decimal(_) => number_bounds(kind, operator, value),
    }
}

#[expect(clippy::cast_precision_loss, reason = "only its magnitude is asked for")]
fn number_bounds(kind: Type, operator: Operator, value: &Comparable) -> Option<Bounds> {
    let magnitude = match value {
        Comparable::Integer(number) => (*number as f64).abs(),
        Comparable::Decimal(number) => number.abs(),
        _ => return None,
    };
    // The evaluator tells -0.0 from 0, a database does not.
    let is_zero = kind == Type::Decimal && magnitude == 0.0;
    if kind == Type::Decimal && magnitude >= EXACT_DECIMAL {
        return None;
    }
    let sign = match operator {
        Operator::Eq => "=",
        Operator::Gt if is_zero => ">=",
        Operator::Gt => ">",
        Operator::Ge => ">=",
        Operator::Lt if is_zero => "<=",
        Operator::Lt => "<",
        Operator::Le => "<=",
        Operator::Ne | Operator::Co | Operator::Sw | Operator::Ew => return None,
    };
    Some((vec![(sign, value.clone())], !is_zero))
}

fn text_bounds(operator: Operator, text: &str) -> Option<Bounds> {
    let start = &text[..text.floor_char_boundary(FAITHFUL_BYTES)];
    let exact = start.len() == text.len();
    let low = |sign: &'static str| (sign, Comparable::Text(start.to_owned()));
    let below_successor = || successor(start).map(|end| ("<", Comparable::Text(end)));
    let bounds = match operator {
        // A long operand may be spelled like the indexed form of another value.
        Operator::Eq => vec![("=", indexed_value(Comparable::Text(text.to_owned())))],
        Operator::Sw => std::iter::once(low(">=")).chain(below_successor()).collect(),
        Operator::Gt if exact => vec![low(">")],
        Operator::Gt | Operator::Ge => vec![low(">=")],
        Operator::Lt if exact => vec![low("<")],
        Operator::Le if exact => vec![low("<=")],
        Operator::Lt | Operator::Le => vec![below_successor()?],
        Operator::Ne | Operator::Co | Operator::Ew => return None,
    };
    Some((bounds, exact))
}

/// The smallest text above every text that starts so; `None` when there is none. UTF-8 sorts bytewise as its characters do.
fn successor(prefix: &str) -> Option<String> {
    let mut prefix = prefix.to_owned();
    while let Some(last) = prefix.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            prefix.push(next);
            return Some(prefix);
        }
    }
    None
}

struct Statement<'a> {
    sql: String,
    values: Vec<Bound>,
    after: Option<&'a ResourceId>,
}

impl Statement<'_> {
    fn print(&mut self, set: &Set) {
        match set {
            Set::Id(id) => {
                self.sql.push_str("SELECT id FROM resource WHERE tenant = $1 AND type = $2 AND id = ");
                self.bind(Bound::Id(id.clone()));
                self.bound();
            }
            Set::GroupsOf(member) => {
                self.sql.push_str(
                    "SELECT id FROM resource WHERE tenant = $1 AND type = $2 \
                     AND id IN (SELECT group_id FROM member WHERE tenant = $1 AND member_id = ",
                );
                self.bind(Bound::Id(member.clone()));
                self.sql.push(')');
                self.bound();
            }
            Set::MembersOf(group) => {
                self.sql.push_str(
                    "SELECT id FROM resource WHERE tenant = $1 AND type = $2 AND id IN (WITH RECURSIVE inside(id) AS \
                     (SELECT member_id FROM member WHERE tenant = $1 AND group_id = ",
                );
                self.bind(Bound::Id(group.clone()));
                self.sql.push_str(
                    " UNION SELECT member_id FROM inside JOIN member ON tenant = $1 AND group_id = inside.id) SELECT id FROM inside)",
                );
                self.bound();
            }
            Set::Entries { table, path, bounds } => {
                // Several values of one resource can lie in a range.
                let distinct = if bounds.iter().any(|(sign, _)| *sign != "=") { "DISTINCT " } else { "" };
                let table = if *table == Table::Unique { "unique_key" } else { "lookup" };
                // Writing to a String cannot fail.
                let _ = write!(self.sql, "SELECT {distinct}id FROM {table} WHERE tenant = $1 AND type = $2 AND path = ");
                self.bind(Bound::Code(*path));
                for (sign, value) in bounds {
                    let _ = write!(self.sql, " AND value {sign} ");
                    self.bind(Bound::Value(value.clone()));
                }
                self.bound();
            }
            Set::Union(sets) => self.join(sets, " UNION "),
            Set::Intersection(sets) => self.join(sets, " INTERSECT "),
        }
    }

    fn bind(&mut self, value: Bound) {
        self.values.push(value);
        let _ = write!(self.sql, "${}", self.values.len() + 2);
    }

    /// The place after which candidates are wanted: within each set, where equal values are in id order and it can be sought.
    fn bound(&mut self) {
        if let Some(after) = self.after {
            self.sql.push_str(" AND id > ");
            self.bind(Bound::Id(after.clone()));
        }
    }

    fn join(&mut self, sets: &[Set], operator: &str) {
        for (number, set) in sets.iter().enumerate() {
            if number > 0 {
                self.sql.push_str(operator);
            }
            if matches!(set, Set::Union(_) | Set::Intersection(_)) {
                self.sql.push_str("SELECT id FROM (");
                self.print(set);
                self.sql.push_str(") AS nested");
            } else {
                self.print(set);
            }
        }
    }
}

#[cfg(test)]
mod tests;
