//! Filters over several resource types at once (RFC 7644 §3.4.2.1), and what of a filter a type decides alone.
//!
//! `And` of nothing is what always holds, `Or` of nothing what never does.

use super::{Comparison, Expression, Filter, Operator, resolve};
use crate::scim::Object;
use crate::scim::error::Result;
use crate::scim::path::{self, AttributePath};
use crate::scim::schema::ResourceType;
use serde_json::json;
use std::sync::Arc;

/// Resolves a filter against each of these types. An attribute that a type does not define has no value there (7644-3.4.2.1-03); one
/// that none of them defines, and what goes with it in none of them, is `invalidFilter`.
pub fn resolve_among(kinds: &[&Arc<ResourceType>], expression: &Expression) -> Result<Vec<Filter>> {
    let joined = |operands: &[Expression], join: fn(Vec<Filter>) -> Filter| -> Result<Vec<Filter>> {
        let mut each = vec![Vec::with_capacity(operands.len()); kinds.len()];
        for operand in operands {
            for (of_kind, filter) in each.iter_mut().zip(resolve_among(kinds, operand)?) {
                of_kind.push(filter);
            }
        }
        Ok(each.into_iter().map(join).collect())
    };
    match expression {
        Expression::And(operands) => joined(operands, Filter::And),
        Expression::Or(operands) => joined(operands, Filter::Or),
        Expression::Not(operand) => {
            Ok(resolve_among(kinds, operand)?.into_iter().map(|filter| Filter::Not(Box::new(filter))).collect())
        }
        Expression::Present(path) | Expression::Compare { path, .. } | Expression::ValuePath { path, .. } => {
            term(kinds, path, expression)
        }
    }
}

fn term(kinds: &[&Arc<ResourceType>], path: &str, expression: &Expression) -> Result<Vec<Filter>> {
    let resolved: Vec<Result<Filter>> = kinds.iter().map(|kind| resolve(kind, expression)).collect();
    if resolved.iter().any(Result::is_ok) {
        return Ok(resolved.into_iter().map(|filter| filter.unwrap_or_else(|_| without_value(expression))).collect());
    }
    // What is wrong in a type that has the attribute says more than that another one has it not.
    let mut refusals = kinds.iter().zip(resolved);
    let known = refusals.clone().find(|(kind, _)| path::resolve_target(kind, path).is_ok());
    known.or_else(|| refusals.next()).map_or_else(|| Ok(Vec::new()), |(_, refusal)| refusal.map(|_| Vec::new()))
}

/// What a term comes to where the attribute has no value.
fn without_value(expression: &Expression) -> Filter {
    let holds = match expression {
        Expression::Compare { operator, value, .. } => match operator {
            Operator::Ne => !value.is_null(),
            Operator::Eq => value.is_null(),
            _ => false,
        },
        _ => false,
    };
    constant(holds)
}

fn constant(holds: bool) -> Filter {
    if holds { Filter::And(Vec::new()) } else { Filter::Or(Vec::new()) }
}

impl Filter {
    /// Whether every resource satisfies it. Only said of what [`Filter::within`] gives.
    pub fn always_holds(&self) -> bool {
        matches!(self, Self::And(operands) if operands.is_empty())
    }

    /// Whether no resource satisfies it. Only said of what [`Filter::within`] gives.
    pub fn never_holds(&self) -> bool {
        matches!(self, Self::Or(operands) if operands.is_empty())
    }

    /// The same filter over resources of this type alone, without what `meta.resourceType` decides: every resource of a type has the
    /// same one. So that a filter which narrows a search to one type spares the others (7644-3.4.2.1-01).
    #[must_use]
    pub fn within(self, kind: &ResourceType) -> Self {
        match self {
            Self::And(operands) => joined(operands, kind, true),
            Self::Or(operands) => joined(operands, kind, false),
            Self::Not(operand) => {
                let operand = operand.within(kind);
                match operand {
                    _ if operand.always_holds() => constant(false),
                    _ if operand.never_holds() => constant(true),
                    operand => Self::Not(Box::new(operand)),
                }
            }
            term if term.is_about_the_type() => constant(term.matches(&named(kind))),
            term => term,
        }
    }

    fn is_about_the_type(&self) -> bool {
        let is_type = |path: &AttributePath| {
            path.is_core("meta") && path.sub_attribute.as_ref().is_some_and(|part| part.name == "resourceType")
        };
        match self {
            Self::And(operands) | Self::Or(operands) => operands.iter().all(Self::is_about_the_type),
            Self::Not(operand) => operand.is_about_the_type(),
            Self::Present(path) | Self::Compare(Comparison { path, .. }) => is_type(path),
            Self::Element { path, filter } => path.is_core("meta") && filter.is_about_the_type(),
        }
    }
}

/// A resource of a type, of which no more is known.
fn named(kind: &ResourceType) -> Object {
    Object::from_iter([("meta".to_owned(), json!({"resourceType": kind.name}))])
}

/// `And` if it `holds` when it is empty, else `Or`.
fn joined(operands: Vec<Filter>, kind: &ResourceType, holds: bool) -> Filter {
    let mut kept: Vec<Filter> = Vec::with_capacity(operands.len());
    for operand in operands {
        let operand = operand.within(kind);
        let decides = if holds { operand.never_holds() } else { operand.always_holds() };
        if decides {
            return operand;
        }
        let says_nothing = if holds { operand.always_holds() } else { operand.never_holds() };
        if !says_nothing {
            kept.push(operand);
        }
    }
    match (kept.len(), kept.pop()) {
        (1, Some(only)) => only,
        (_, Some(last)) => {
            kept.push(last);
            if holds { Filter::And(kept) } else { Filter::Or(kept) }
        }
        (_, None) => constant(holds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::error::Error;
    use crate::scim::filter::parse;
    use crate::scim::schema::Registry;

    /// What a filter comes to for User and for Group.
    fn among(text: &str) -> Result<Vec<String>> {
        let registry = Registry::builtin();
        let kinds: Vec<&Arc<ResourceType>> = registry.types().iter().collect();
        let filters = resolve_among(&kinds, &parse(text)?)?;
        let shown = |(filter, kind): (Filter, &&Arc<ResourceType>)| match filter.within(kind) {
            filter if filter.always_holds() => "all".to_owned(),
            filter if filter.never_holds() => "none".to_owned(),
            _ => "some".to_owned(),
        };
        Ok(filters.into_iter().zip(&kinds).map(shown).collect())
    }

    /// 7644-3.4.2.1-01 7644-3.4.2.1-03
    #[test]
    fn a_type_decides_what_it_does_not_define_and_what_it_is() {
        for (text, user, group) in [
            (r#"userName eq "a""#, "some", "none"),
            ("userName pr", "some", "none"),
            (r#"userName ne "a""#, "some", "all"),
            ("userName eq null", "some", "all"),
            ("userName ne null", "some", "none"),
            (r#"not (userName eq "a")"#, "some", "all"),
            (r#"emails[type eq "work"] or members pr"#, "some", "some"),
            (r#"displayName eq "a""#, "some", "some"),
            (r#"meta.resourceType eq "User""#, "all", "none"),
            (r#"meta.resourceType eq "user""#, "none", "none"),
            (r#"meta.resourceType ne "User" and displayName pr"#, "none", "some"),
            (r#"not (meta.resourceType eq "User") or displayName pr"#, "some", "all"),
            (r#"meta[resourceType sw "Us" or resourceType eq "x"]"#, "all", "none"),
            (r#"meta.resourceType pr and (meta.resourceType eq "Group" or userName pr)"#, "some", "all"),
        ] {
            assert_eq!(among(text), Ok(vec![user.to_owned(), group.to_owned()]), "{text}");
        }
    }

    #[test]
    fn what_every_type_decides_alike_leaves_the_rest_as_it_was() {
        let registry = Registry::builtin();
        let user = registry.by_name("User").expect("User");
        let of = |text: &str| resolve(user, &parse(text).expect(text)).expect(text);
        let whole = of(r#"meta.resourceType eq "User" and title pr and not (nickName pr or meta.resourceType eq "Group")"#);
        assert_eq!(whole.within(user), of("title pr and not (nickName pr)"));
        let kept = of(r#"meta.created gt "2011-05-13T04:42:34Z" or active eq true"#);
        assert_eq!(kept.clone().within(user), kept);
    }

    /// 7644-3.4.2.2-14 7644-3.4.2.2-17
    #[test]
    fn what_goes_with_no_type_is_refused() {
        for (text, detail) in [
            ("nope pr", "attribute 'nope' is not defined."),
            ("title pr and nope pr", "attribute 'nope' is not defined."),
            ("members pr and password pr", "attribute 'password' is never returned, so it can not be filtered by."),
            ("active gt true", "attribute 'active' can not be compared with 'gt'."),
            ("members[nope pr]", "attribute 'members.nope' is not defined."),
        ] {
            assert_eq!(among(text), Err(Error::invalid_filter(detail)), "{text}");
        }
    }
}
