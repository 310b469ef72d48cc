//! Printing an [`Expression`] so that it reads as the same one.

use super::{Expression, Operator};
use std::fmt;

const OPERATORS: [(&str, Operator); 9] = [
    ("eq", Operator::Eq),
    ("ne", Operator::Ne),
    ("co", Operator::Co),
    ("sw", Operator::Sw),
    ("ew", Operator::Ew),
    ("gt", Operator::Gt),
    ("ge", Operator::Ge),
    ("lt", Operator::Lt),
    ("le", Operator::Le),
];

impl Operator {
    /// The operator of this name, in any case (7644-3.4.2.2-04).
    pub fn named(word: &str) -> Option<Self> {
        OPERATORS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, operator)| *operator)
    }

    /// Its name in a filter.
    pub fn name(self) -> &'static str {
        OPERATORS.iter().find(|(_, operator)| *operator == self).map_or("", |(name, _)| name)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl fmt::Display for Expression {
    /// The filter as text, with the fewest parentheses that keep its shape.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::And(operands) => {
                join(formatter, operands, " and ", |operand| matches!(operand, Expression::And(_) | Expression::Or(_)))
            }
            Self::Or(operands) => join(formatter, operands, " or ", |operand| matches!(operand, Expression::Or(_))),
            Self::Not(operand) => write!(formatter, "not ({operand})"),
            Self::Present(path) => write!(formatter, "{path} pr"),
            Self::Compare { path, operator, value } => write!(formatter, "{path} {operator} {value}"),
            Self::ValuePath { path, filter } => write!(formatter, "{path}[{filter}]"),
        }
    }
}

fn join(
    formatter: &mut fmt::Formatter<'_>,
    operands: &[Expression],
    separator: &str,
    needs_parentheses: fn(&Expression) -> bool,
) -> fmt::Result {
    for (place, operand) in operands.iter().enumerate() {
        if place > 0 {
            formatter.write_str(separator)?;
        }
        if needs_parentheses(operand) {
            write!(formatter, "({operand})")?;
        } else {
            write!(formatter, "{operand}")?;
        }
    }
    Ok(())
}
