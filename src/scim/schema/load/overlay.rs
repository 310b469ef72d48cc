//! A built-in schema that a file gives again. The rule: what is built in stays, and the file adds to it or makes it stricter.
//!
//! - Attributes and sub-attributes that the file leaves out stay; those it adds are there. `members` and `groups` stay as they are.
//! - `type` and `multiValued` must be the same.
//! - `mutability` may become immutable where it was readWrite; one that is looser has no effect; any other is a problem.
//! - `returned` may be any of always, default and request, but never stays never, and nothing else becomes it.
//! - `required` and `uniqueness` hold if either says so; `caseExact` and `canonicalValues` are the file's where it has them.

use super::Problem;
use super::fields::Place;
use crate::scim::schema::{Attribute, Mutability, Returned, Schema, Type, Uniqueness};
use std::sync::Arc;

/// The built-in schema with what the file says of it.
pub(super) fn overlay(built_in: &Schema, given: &Schema, place: &Place, problems: &mut Vec<Problem>) -> Schema {
    let text = |given: &String, built_in: &String| if given.is_empty() { built_in.clone() } else { given.clone() };
    Schema {
        id: built_in.id.clone(),
        name: text(&given.name, &built_in.name),
        description: text(&given.description, &built_in.description),
        attributes: merged(&built_in.attributes, &given.attributes, &place.member("attributes"), problems),
    }
}

fn merged(
    built_in: &[Arc<Attribute>],
    given: &[Arc<Attribute>],
    place: &Place,
    problems: &mut Vec<Problem>,
) -> Vec<Arc<Attribute>> {
    let mut all = built_in.to_vec();
    for (index, attribute) in given.iter().enumerate() {
        match all.iter_mut().find(|known| known.name.eq_ignore_ascii_case(&attribute.name)) {
            Some(known) => merge(Arc::make_mut(known), attribute, &place.element(index), problems),
            None => all.push(Arc::clone(attribute)),
        }
    }
    all
}

fn merge(known: &mut Attribute, given: &Attribute, place: &Place, problems: &mut Vec<Problem>) {
    let mut refuse = |member: &str, expected: &str| {
        let what = format!("expected {expected}, as in the built-in definition of '{}'", known.name);
        problems.push(place.member(member).problem(what));
    };
    if known.kind != given.kind {
        refuse("type", &format!("{:?}", known.kind).to_ascii_lowercase());
    }
    if known.multi_valued != given.multi_valued {
        refuse("multiValued", if known.multi_valued { "true" } else { "false" });
    }
    if known.kind == Type::Complex && known.multi_valued && ["members", "groups"].contains(&known.name.as_str()) {
        known.required |= given.required;
        return;
    }
    match (known.mutability, given.mutability) {
        (Mutability::ReadWrite, Mutability::Immutable) => known.mutability = Mutability::Immutable,
        (Mutability::Immutable | Mutability::ReadOnly, Mutability::ReadWrite | Mutability::Immutable) => {}
        (known, given) if known == given => {}
        (Mutability::WriteOnly, _) => refuse("mutability", "writeOnly"),
        _ => refuse("mutability", "readWrite or immutable"),
    }
    match (known.returned, given.returned) {
        (Returned::Never, Returned::Never) => {}
        (Returned::Never, _) => refuse("returned", "never"),
        (_, Returned::Never) => refuse("returned", "always, default or request"),
        (_, given) => known.returned = given,
    }
    known.required |= given.required;
    if given.is_unique() {
        known.uniqueness = Some(given.uniqueness.unwrap_or(Uniqueness::Server));
    }
    if known.kind == Type::String && given.case_exact == Some(true) {
        known.case_exact = Some(true);
    }
    if !given.canonical_values.is_empty() {
        known.canonical_values.clone_from(&given.canonical_values);
    }
    known.sub_attributes = merged(&known.sub_attributes, &given.sub_attributes, &place.member("subAttributes"), problems);
}
