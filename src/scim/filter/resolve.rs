//! Resolution of a written filter against a resource type.

use super::{Comparison, Expression, Filter, Operator};
use crate::scim::compare::Comparable;
use crate::scim::error::{Error, Result};
use crate::scim::path::{self, AttributePath, Target};
use crate::scim::schema::{Attribute, ResourceType, Type};
use crate::scim::validate::secret::is_secret;
use serde_json::Value;
use std::sync::Arc;

/// Resolves a filter over resources of a type. An unknown attribute, one with `returned: never`, and an operator that does not go
/// with the attribute's type or the literal are `invalidFilter`, and the detail names the attribute.
///
/// The URIs that depend on where the gateway is reached (`meta.location`, and `$ref` of `members` and `groups`) are in no store,
/// and are refused too.
pub fn resolve(kind: &ResourceType, expression: &Expression) -> Result<Filter> {
    Scope::Resource(kind).resolve(expression)
}

/// Resolves the filter in the brackets of a value path, over one value of this complex attribute.
///
/// ```
/// use carillon::scim::{filter, path, schema::Registry};
/// let registry = Registry::builtin();
/// let emails = path::resolve(registry.by_name("User").expect("User"), "emails").expect("emails");
/// let expression = filter::parse(r#"type eq "work""#).expect("a filter");
/// let filter = filter::resolve_within(&emails, &expression).expect("type is a sub-attribute");
/// assert!(filter.matches_element(&serde_json::json!({"type": "Work"})));
/// ```
pub fn resolve_within(path: &AttributePath, expression: &Expression) -> Result<Filter> {
    if path.sub_attribute.is_some() || path.attribute.kind != Type::Complex {
        return Err(refused(path, "has no sub-attributes, so it takes no filter in brackets"));
    }
    refuse_hidden(path)?;
    Scope::Element(path).resolve(expression)
}

/// What the paths of a filter name.
#[derive(Clone, Copy)]
enum Scope<'a> {
    /// Attributes of a resource.
    Resource(&'a ResourceType),
    /// Sub-attributes of a complex attribute.
    Element(&'a AttributePath),
}

impl Scope<'_> {
    fn resolve(self, expression: &Expression) -> Result<Filter> {
        Ok(match expression {
            Expression::And(operands) => Filter::And(self.resolve_all(operands)?),
            Expression::Or(operands) => Filter::Or(self.resolve_all(operands)?),
            Expression::Not(operand) => Filter::Not(Box::new(self.resolve(operand)?)),
            Expression::Present(text) => Filter::Present(self.path(text)?),
            Expression::Compare { path, operator, value } => {
                Filter::Compare(compare(compared(self.path(path)?)?, *operator, value)?)
            }
            Expression::ValuePath { path: text, filter } => {
                if let Scope::Element(_) = self {
                    return Err(Error::invalid_filter("A value path may not stand within another one."));
                }
                let path = self.path(text)?;
                let filter = Box::new(resolve_within(&path, filter)?);
                Filter::Element { path, filter }
            }
        })
    }

    fn resolve_all(self, operands: &[Expression]) -> Result<Vec<Filter>> {
        operands.iter().map(|operand| self.resolve(operand)).collect()
    }

    fn path(self, text: &str) -> Result<AttributePath> {
        let path = match self {
            Scope::Resource(kind) => match path::resolve_target(kind, text) {
                Ok(Target::Attribute(path)) => path,
                Ok(Target::Extension(_) | Target::Core) => {
                    let detail = format!("'{}' is a schema, not an attribute.", path::shorten(text));
                    return Err(Error::invalid_filter(detail));
                }
                Err(error) => return Err(Error::invalid_filter(format!("{error}."))),
            },
            Scope::Element(parent) => {
                let sub_attribute = parent.attribute.sub_attribute(text);
                let sub_attribute = sub_attribute.ok_or_else(|| {
                    Error::invalid_filter(format!("attribute '{parent}.{}' is not defined.", path::shorten(text)))
                })?;
                parent.with_sub_attribute(Arc::clone(sub_attribute))
            }
        };
        refuse_hidden(&path)?;
        Ok(path)
    }
}

fn refused(path: &AttributePath, why: &str) -> Error {
    Error::invalid_filter(format!("attribute '{path}' {why}."))
}

/// Refuses what no answer shows (7644-3.4.2.2-17), and what only an answer knows.
fn refuse_hidden(path: &AttributePath) -> Result<()> {
    match hidden(path) {
        Some(why) => Err(refused(path, &format!("{why}, so it can not be filtered by"))),
        None => Ok(()),
    }
}

/// Why a store cannot look at an attribute, if it cannot.
pub(crate) fn hidden(path: &AttributePath) -> Option<&'static str> {
    if is_secret(&path.attribute) || is_secret(path.leaf()) {
        return Some("is never returned");
    }
    let is_address = path.sub_attribute.as_ref().is_some_and(|sub_attribute| match sub_attribute.name.as_str() {
        "location" => path.is_core("meta"),
        "$ref" => path.is_core("members") || path.is_core("groups"),
        _ => false,
    });
    is_address.then_some("depends on the address of the server")
}

/// The attribute whose values are compared: of a complex one, its `value` (7644-3.4.2.2-13).
fn compared(path: AttributePath) -> Result<AttributePath> {
    if path.leaf().kind != Type::Complex {
        return Ok(path);
    }
    match path.attribute.sub_attribute("value") {
        Some(value) => {
            let path = path.with_sub_attribute(Arc::clone(value));
            refuse_hidden(&path)?;
            Ok(path)
        }
        None => Err(refused(&path, "is complex: name one of its sub-attributes")),
    }
}

fn compare(path: AttributePath, operator: Operator, value: &Value) -> Result<Comparison> {
    let leaf = path.leaf();
    if !goes_with(operator, leaf.kind) {
        return Err(refused(&path, &format!("can not be compared with '{operator}'")));
    }
    let value = match value {
        Value::Null if matches!(operator, Operator::Eq | Operator::Ne) => None,
        Value::Null => return Err(refused(&path, &format!("can not be compared with '{operator}' to null"))),
        value => Some(Comparable::of(leaf, value).ok_or_else(|| refused(&path, &format!("is compared to {}", literal_of(leaf))))?),
    };
    Ok(Comparison { path, operator, value })
}

/// Which operators have a meaning for a type (7644-3.4.2.2-08, -09).
fn goes_with(operator: Operator, kind: Type) -> bool {
    match operator {
        Operator::Eq | Operator::Ne => true,
        Operator::Co | Operator::Sw | Operator::Ew => matches!(kind, Type::String | Type::Reference | Type::Binary),
        Operator::Gt | Operator::Ge | Operator::Lt | Operator::Le => !matches!(kind, Type::Boolean | Type::Binary),
    }
}

fn literal_of(attribute: &Attribute) -> &'static str {
    match attribute.kind {
        Type::Boolean => "true or false",
        Type::Integer => "a whole number of at most 64 bits",
        Type::Decimal => "a number",
        Type::DateTime => "a time such as \"2011-05-13T04:42:34Z\"",
        Type::String | Type::Reference | Type::Binary | Type::Complex => "a string in double quotes",
    }
}
