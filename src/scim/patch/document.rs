//! Applying edits to a document (RFC 7644 §3.5.2.1 to §3.5.2.3).

use super::step::{Edit, Selection, Write};
use crate::scim::Object;
use crate::scim::diff::same_set;
use crate::scim::error::{Error, Result};
use crate::scim::path::AttributePath;
use crate::scim::resource::values;
use crate::scim::schema::{Attribute, Mutability, Schema};
use crate::scim::validate::identity::{Identity, merge, merged};
use crate::scim::validate::value::{Part, check_count, distinct, is_primary, two_primaries};
use crate::scim::validate::{immutable, required};
use serde_json::Value;
use std::collections::HashMap;

/// Applies one edit. A failure leaves the document in between: the caller has the one before.
pub(super) fn edit(document: &mut Object, edit: &Edit) -> Result<()> {
    let Some(schema) = &edit.path.extension else { return edit_within(document, edit) };
    let slot = document.entry(schema.id.as_str()).or_insert_with(|| Value::Object(Object::new()));
    if let Value::Object(container) = slot {
        edit_within(container, edit)?;
        if container.is_empty() {
            // 7644-3.5.2-07: the URN goes with the last attribute.
            document.shift_remove(&schema.id);
        }
    }
    Ok(())
}

/// Removes a whole extension.
pub(super) fn remove_extension(document: &mut Object, schema: &Schema) -> Result<()> {
    let Some(Value::Object(container)) = document.shift_remove(&schema.id) else { return Ok(()) };
    for attribute in &schema.attributes {
        if container.contains_key(&attribute.name)
            && (attribute.mutability == Mutability::ReadOnly || immutable::concerns(attribute))
        {
            return Err(Error::mutability(format!("Attribute '{}:{}' cannot be removed.", schema.id, attribute.name)));
        }
    }
    Ok(())
}

fn edit_within(container: &mut Object, edit: &Edit) -> Result<()> {
    let attribute = &edit.path.attribute;
    // The value is taken out and put back at its place, so that a large one is not copied.
    let before = container.get_mut(&attribute.name).map(std::mem::take);
    let kept = if immutable::concerns(attribute) { before.clone() } else { None };
    let was_empty = before.is_none();
    let after = edited(edit, before)?;
    immutable::check(&edit.path, kept.as_ref(), after.as_ref())?;
    match after {
        Some(value) => {
            container.insert(attribute.name.clone(), value);
        }
        None if !was_empty && required::is_required(attribute) => return Err(lost(&edit.path.parent())),
        None => {
            container.shift_remove(&attribute.name);
        }
    }
    Ok(())
}

/// 7644-3.5.2.2-03
pub(super) fn lost(path: &AttributePath) -> Error {
    Error::mutability(format!("Attribute '{path}' is required and cannot be removed."))
}

/// How many comparisons an edit takes at most.
pub(super) fn comparisons(document: &Object, edit: &Edit) -> usize {
    let terms = edit.selection.as_ref().map_or(0, |selection| selection.filter.terms());
    values(document, &edit.path).len().saturating_mul(terms)
}

/// The value of the attribute after an edit; `None` when nothing is left.
fn edited(edit: &Edit, before: Option<Value>) -> Result<Option<Value>> {
    if edit.path.attribute.multi_valued {
        let elements = match before {
            Some(Value::Array(elements)) => elements,
            Some(value) => vec![value],
            None => Vec::new(),
        };
        let elements = edited_elements(edit, elements)?;
        return Ok((!elements.is_empty()).then_some(Value::Array(elements)));
    }
    match (&edit.path.sub_attribute, &edit.write) {
        (None, Write::Set(value)) => Ok(Some(value.clone())),
        (None, Write::Merge(_)) | (Some(_), _) => {
            let mut object = match before {
                Some(Value::Object(object)) => object,
                _ => Object::new(),
            };
            write_parts(&mut object, &edit.path, &edit.write);
            Ok((!object.is_empty()).then_some(Value::Object(object)))
        }
        (None, Write::Clear | Write::Append(_)) => Ok(None),
    }
}

/// Writes one part, or merges several, into a complex value.
fn write_parts(object: &mut Object, path: &AttributePath, write: &Write) {
    match (&path.sub_attribute, write) {
        (Some(sub_attribute), Write::Clear) => {
            object.shift_remove(&sub_attribute.name);
        }
        (Some(sub_attribute), Write::Set(value)) => {
            object.insert(sub_attribute.name.clone(), value.clone());
        }
        (Some(sub_attribute), Write::Append(values)) => {
            let slot = object.entry(sub_attribute.name.as_str()).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(held) = slot {
                held.extend(values.iter().cloned());
                *held = distinct(sub_attribute, std::mem::take(held));
            }
        }
        (_, Write::Merge(parts)) => parts.iter().for_each(|part| write_part(object, part)),
        (None, Write::Clear | Write::Set(_) | Write::Append(_)) => {}
    }
}

fn write_part(object: &mut Object, part: &Part) {
    match &part.value {
        Some(value) => {
            object.insert(part.sub_attribute.name.clone(), value.clone());
        }
        None => {
            object.shift_remove(&part.sub_attribute.name);
        }
    }
}

fn edited_elements(edit: &Edit, mut elements: Vec<Value>) -> Result<Vec<Value>> {
    let path = &edit.path;
    match (&edit.selection, &path.sub_attribute, &edit.write) {
        (None, None, Write::Append(new)) => append(path, elements, new),
        // The same set in another order is no change (7644-3.5.2.3-06).
        (None, None, Write::Set(Value::Array(new))) if same_set(&elements, new) => Ok(elements),
        (None, None, Write::Set(Value::Array(new))) => Ok(new.clone()),
        (None, None, _) => Ok(Vec::new()),
        (Some(Selection { filter, .. }), None, Write::Clear) => {
            elements.retain(|element| !filter.matches_element(element));
            Ok(elements)
        }
        (selection, _, write) => {
            let mut touched: Vec<usize> = (0..elements.len())
                .filter(|index| selection.as_ref().is_none_or(|selection| selection.filter.matches_element(&elements[*index])))
                .collect();
            if touched.is_empty() && *write != Write::Clear {
                touched.push(elements.len());
                elements.push(Value::Object(new_element(path, selection.as_ref())?));
            }
            for index in &touched {
                write_element(&mut elements[*index], path, write)?;
            }
            let primaries = touched.iter().copied().filter(|index| is_primary(&elements[*index])).collect::<Vec<usize>>();
            settle(path, elements, &touched, &primaries)
        }
    }
}

/// What a write that selects nothing starts from.
fn new_element(path: &AttributePath, selection: Option<&Selection>) -> Result<Object> {
    match selection {
        // A sub-attribute of no element: an absent target is added (7644-3.5.2.3-02).
        None => Ok(Object::new()),
        // 7644-3.5.2.1-05 7644-3.5.2.3-05
        Some(selection) => selection
            .otherwise
            .clone()
            .ok_or_else(|| Error::no_target(format!("The filter of '{}' selects no value.", path.parent()))),
    }
}

fn write_element(element: &mut Value, path: &AttributePath, write: &Write) -> Result<()> {
    if let (None, Write::Set(value)) = (&path.sub_attribute, write) {
        // 7644-3.5.2.3-04: a whole value is replaced.
        *element = value.clone();
        return Ok(());
    }
    let is_fixed = path.attribute.sub_attributes.iter().any(|sub| sub.mutability == Mutability::Immutable);
    let before = if is_fixed { Some(element.clone()) } else { None };
    if let Value::Object(object) = element {
        write_parts(object, path, write);
    }
    before.map_or(Ok(()), |before| immutable::check_parts(path, &before, Some(element)))
}

/// Appends values that are not held yet. Of one that is, what it says besides is written over the held one (7644-3.5.2.1-04).
fn append(path: &AttributePath, mut elements: Vec<Value>, new: &[Value]) -> Result<Vec<Value>> {
    let places = places(&path.attribute, &elements, new);
    let (mut touched, mut primaries) = (Vec::new(), Vec::new());
    for (value, place) in new.iter().zip(places) {
        let place = place.unwrap_or(elements.len());
        if let Some(held) = elements.get_mut(place) {
            let before = held.clone();
            if !merge(held, value) {
                continue;
            }
            immutable::check_parts(path, &before, Some(held))?;
        } else {
            elements.push(value.clone());
        }
        touched.push(place);
        if is_primary(value) {
            primaries.push(place);
        }
    }
    if touched.is_empty() { Ok(elements) } else { settle(path, elements, &touched, &primaries) }
}

/// Where each of some values, which differ from each other, is held.
fn places(attribute: &Attribute, elements: &[Value], new: &[Value]) -> Vec<Option<usize>> {
    let identity = |value| Identity::of(attribute, value);
    if new.len() <= FEW {
        let place = |value: &Value| {
            let wanted = Identity::of(attribute, value);
            elements.iter().position(|held| Identity::of(attribute, held) == wanted)
        };
        return new.iter().map(place).collect();
    }
    let held: HashMap<Identity<'_>, usize> = elements.iter().enumerate().map(|(index, value)| (identity(value), index)).collect();
    new.iter().map(|value| held.get(&Identity::of(attribute, value)).copied()).collect()
}

/// Makes a list valid after some elements were written: one primary (7644-3.5.2-06), each (`type`, `value`) once, nothing empty.
/// `primaries` are those that became the primary one.
fn settle(path: &AttributePath, mut elements: Vec<Value>, touched: &[usize], primaries: &[usize]) -> Result<Vec<Value>> {
    check_count(path, elements.len())?;
    if let [primary, others @ ..] = primaries {
        if !others.is_empty() {
            return Err(two_primaries(path));
        }
        for (_, element) in elements.iter_mut().enumerate().filter(|(index, element)| index != primary && is_primary(element)) {
            element["primary"] = false.into();
        }
    }
    if repeats(&path.attribute, &elements, touched) {
        elements = merged(&path.attribute, elements, |index| touched.contains(&index));
    }
    Ok(elements.into_iter().filter(|element| element.as_object().is_none_or(|object| !object.is_empty())).collect())
}

/// Up to so many values, comparing them with all others costs less than hashing all.
const FEW: usize = 4;

/// Whether one of the changed elements may now be the same as another one. The others differ from each other.
fn repeats(attribute: &Attribute, elements: &[Value], changed: &[usize]) -> bool {
    changed.len() > FEW
        || changed.iter().any(|index| {
            let identity = Identity::of(attribute, &elements[*index]);
            let is_other = |(other, element): (usize, &Value)| other != *index && Identity::of(attribute, element) == identity;
            elements.iter().enumerate().any(is_other)
        })
}
