//! Reading the body of a PATCH: the message, its operations, their paths and values.

use super::document::lost;
use super::members::named_ids;
use super::step::{Edit, MemberStep, Selection, Step, Write};
use crate::base::limits;
use crate::scim::Object;
use crate::scim::error::{Error, ErrorKind, Result};
use crate::scim::filter::{Expression, Filter, parse_path, resolve_within};
use crate::scim::message::{PATCH_OP, check_urn};
use crate::scim::path::{AttributePath, PathError, Target, resolve, resolve_target, shorten};
use crate::scim::quirks::{Quirk, Quirks, create_from_filter, remove_listed_members};
use crate::scim::resource::Member;
use crate::scim::schema::{Attribute, Mutability, ResourceType, Schema, Type};
use crate::scim::validate::value::{self, is_absent};
use crate::scim::validate::{check_schemas, is_members, is_schemas, members, required, secret};
use serde_json::Value;
use std::collections::HashSet;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Add,
    Remove,
    Replace,
}

/// The steps of a request (7644-3.5.2-01).
pub(super) fn steps(kind: &ResourceType, body: &Value, quirks: Quirks) -> Result<Vec<Step>> {
    let message = body.as_object().ok_or_else(|| Error::invalid_syntax("The body must be a JSON object."))?;
    check_urn(member(message, "schemas")?, PATCH_OP)?;
    let operations = member(message, "Operations")?.and_then(Value::as_array).filter(|operations| !operations.is_empty());
    let operations = operations.ok_or_else(|| Error::invalid_syntax("'Operations' must be an array of at least one operation."))?;
    if operations.len() > limits::PATCH_OPERATIONS {
        let most = limits::PATCH_OPERATIONS;
        return Err(Error::new(ErrorKind::TooLarge, format!("'Operations' holds more than {most} operations.")));
    }
    let mut reader = Reader { kind, quirks, steps: Vec::with_capacity(operations.len()) };
    for operation in operations {
        let operation = operation.as_object().ok_or_else(|| Error::invalid_syntax("Each of 'Operations' must be an object."))?;
        reader.operation(operation)?;
    }
    Ok(reader.steps)
}

/// The member of a message by its name, in any case; two spellings of one name are refused.
fn member<'a>(message: &'a Object, name: &str) -> Result<Option<&'a Value>> {
    let mut found = message.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    match (found.next(), found.next()) {
        (_, Some(_)) => Err(Error::invalid_syntax(format!("The name '{name}' stands twice in one object, in two spellings."))),
        (value, None) => Ok(value),
    }
}

fn verb(operation: &Object) -> Result<Verb> {
    let text = member(operation, "op")?.and_then(Value::as_str);
    let text = text.ok_or_else(|| Error::invalid_syntax("Each operation must have an 'op': 'add', 'remove' or 'replace'."))?;
    [("add", Verb::Add), ("remove", Verb::Remove), ("replace", Verb::Replace)]
        .into_iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text))
        .map(|(_, verb)| verb)
        .ok_or_else(|| Error::invalid_syntax(format!("'op' must be 'add', 'remove' or 'replace', not '{}'.", shorten(text))))
}

struct Reader<'a> {
    kind: &'a ResourceType,
    quirks: Quirks,
    steps: Vec<Step>,
}

impl Reader<'_> {
    fn operation(&mut self, operation: &Object) -> Result<()> {
        let verb = verb(operation)?;
        let value = member(operation, "value")?;
        if value.is_none() && verb != Verb::Remove {
            // 7644-3.5.2.1-01
            return Err(Error::invalid_value("An operation 'add' or 'replace' must have a 'value'."));
        }
        match member(operation, "path")? {
            None | Some(Value::Null) => self.resource(verb, value),
            Some(Value::String(path)) if path.contains('[') => self.value_path(verb, path, value),
            Some(Value::String(path)) => match resolve_target(self.kind, path).map_err(|error| invalid_path(&error))? {
                Target::Attribute(path) => self.attribute(verb, &path, value),
                Target::Extension(schema) => self.extension(verb, &schema, value),
                Target::Core => self.resource(verb, value),
            },
            Some(_) => Err(Error::invalid_path("'path' must be a string.")),
        }
    }

    /// An operation on the resource itself: each attribute of the value is a target of its own (7644-3.5.2.1-02, 7644-3.5.2.3-01).
    fn resource(&mut self, verb: Verb, value: Option<&Value>) -> Result<()> {
        let Some(value) = value.filter(|_| verb != Verb::Remove) else {
            // 7644-3.5.2.2-01
            return Err(Error::no_target("An operation 'remove' must have a 'path' that names what to remove."));
        };
        let object = value
            .as_object()
            .ok_or_else(|| Error::invalid_value("The 'value' of an operation without 'path' must be an object of attributes."))?;
        let mut seen = HashSet::new();
        for (name, value) in object {
            once(&mut seen, name)?;
            match resolve_target(self.kind, name).map_err(|error| undefined(&error))? {
                Target::Attribute(path) => self.named(verb, &path, value)?,
                Target::Extension(schema) => self.extension(verb, &schema, Some(value))?,
                Target::Core => self.core(verb, value)?,
            }
        }
        Ok(())
    }

    /// The attributes of the base schema in a container of its URN. It does not nest.
    fn core(&mut self, verb: Verb, value: &Value) -> Result<()> {
        let wrong = || Error::invalid_value(format!("Schema '{}' must be an object.", self.kind.schema.id));
        let mut seen = HashSet::new();
        for (name, value) in value.as_object().ok_or_else(wrong)? {
            once(&mut seen, name)?;
            let path = resolve(self.kind, name).map_err(|error| undefined(&error))?;
            self.named(verb, &path, value)?;
        }
        Ok(())
    }

    /// An attribute of a value without path. It names no part of one: the parts stand within the attribute's object.
    fn named(&mut self, verb: Verb, path: &AttributePath, value: &Value) -> Result<()> {
        if path.sub_attribute.is_some() {
            return Err(Error::invalid_value(format!("'{path}' is a path, and stands here for the name of an attribute.")));
        }
        self.attribute(verb, path, Some(value))
    }

    /// An operation on a whole extension.
    fn extension(&mut self, verb: Verb, schema: &Arc<Schema>, value: Option<&Value>) -> Result<()> {
        match (verb, value) {
            (Verb::Add, None | Some(Value::Null)) => Ok(()),
            (Verb::Remove, _) | (Verb::Replace, None | Some(Value::Null)) => {
                if self.kind.extension(&schema.id).is_some_and(|extension| extension.required) {
                    return Err(Error::mutability(format!("Extension '{}' is required and cannot be removed.", schema.id)));
                }
                self.steps.push(Step::RemoveExtension(Arc::clone(schema)));
                Ok(())
            }
            (_, Some(Value::Object(object))) => {
                let mut seen = HashSet::new();
                for (name, value) in object {
                    once(&mut seen, name)?;
                    let path = resolve(self.kind, &format!("{}:{name}", schema.id));
                    self.named(verb, &path.map_err(|error| undefined(&error))?, value)?;
                }
                Ok(())
            }
            (_, Some(_)) => Err(Error::invalid_value(format!("Extension '{}' must be an object.", schema.id))),
        }
    }

    /// An operation on the elements that a filter selects.
    fn value_path(&mut self, verb: Verb, text: &str, value: Option<&Value>) -> Result<()> {
        let written = parse_path(text)?;
        let path = match resolve_target(self.kind, &written.path).map_err(|error| invalid_path(&error))? {
            Target::Attribute(path) if takes_filter(&path) => path,
            _ => return Err(Error::invalid_path(format!("'{}' does not take a filter.", shorten(&written.path)))),
        };
        let Some(expression) = &written.filter else {
            return Err(Error::invalid_path(format!("'{}' is not an attribute path.", shorten(text))));
        };
        let filter = resolve_within(&path, expression)?;
        let path = match &written.sub_attribute {
            None => path,
            Some(name) => {
                let sub_attribute = path.attribute.sub_attribute(name);
                let undefined = || Error::invalid_path(format!("Attribute '{path}.{}' is not defined.", shorten(name)));
                path.with_sub_attribute(Arc::clone(sub_attribute.ok_or_else(undefined)?))
            }
        };
        writable(&path)?;
        if path.extension.is_none() && is_members(self.kind, &path.attribute) {
            return self.selected_members(verb, &path, expression, filter, value);
        }
        let creates = self.quirks.allows(Quirk::CreateFromFilter);
        let otherwise = creates.then(|| create_from_filter::described_element(&path, expression)).flatten();
        self.edit(verb, path, Some(Selection { filter, otherwise }), value)
    }

    /// An operation on an attribute or sub-attribute without a filter.
    fn attribute(&mut self, verb: Verb, path: &AttributePath, value: Option<&Value>) -> Result<()> {
        if is_schemas(path.extension.as_ref(), &path.attribute) {
            return self.schemas(verb, value);
        }
        writable(path)?;
        if secret::is_secret(&path.attribute) {
            return self.secret(verb, path, value);
        }
        if path.extension.is_none() && is_members(self.kind, &path.attribute) {
            return self.members(verb, path, value);
        }
        self.edit(verb, path.clone(), None, value)
    }

    /// `schemas` follows from the rest: naming what there is changes nothing, and it cannot go.
    fn schemas(&self, verb: Verb, value: Option<&Value>) -> Result<()> {
        let base = Value::from(self.kind.schema.id.as_str());
        let mut urns = match value {
            Some(Value::Array(urns)) => urns.clone(),
            Some(urn @ Value::String(_)) => vec![urn.clone()],
            _ => Vec::new(),
        };
        if verb == Verb::Remove || urns.is_empty() {
            return Err(Error::mutability("Attribute 'schemas' is required and cannot be removed."));
        }
        if verb == Verb::Add && !urns.contains(&base) {
            urns.push(base);
        }
        check_schemas(self.kind, &Value::Array(urns))
    }

    fn secret(&mut self, verb: Verb, path: &AttributePath, value: Option<&Value>) -> Result<()> {
        let change = secret::read(path, value.filter(|_| verb != Verb::Remove).unwrap_or(&Value::Null))?;
        if change.value.is_none() && verb == Verb::Add {
            return Ok(());
        }
        if change.value.is_none() && path.attribute.required {
            return Err(lost(path));
        }
        self.steps.push(Step::Secret(change));
        Ok(())
    }

    /// `members` as a whole. What a removal lists in its value is removed alone: see [`remove_listed_members`].
    fn members(&mut self, verb: Verb, path: &AttributePath, value: Option<&Value>) -> Result<()> {
        if path.sub_attribute.is_some() {
            return Err(whole_members(path));
        }
        let attribute = &path.attribute;
        let step = match verb {
            Verb::Remove if value.is_some_and(|value| !value.is_null()) && !self.quirks.allows(Quirk::RemoveListedMembers) => {
                // Read literally it would empty the group, which nobody means who lists values (RFC 7644 Table 9 `invalidValue`).
                let detail =
                    format!("An operation 'remove' of '{path}' takes no 'value': a filter in the path selects what is removed.");
                return Err(Error::invalid_value(detail));
            }
            Verb::Remove => match remove_listed_members::listed_ids(attribute, value)? {
                Some(ids) => MemberStep::Remove(ids),
                None => MemberStep::Replace(Vec::new()),
            },
            Verb::Add => MemberStep::Add(given_members(attribute, value)?),
            Verb::Replace => MemberStep::Replace(given_members(attribute, value)?),
        };
        if attribute.required && step == MemberStep::Replace(Vec::new()) {
            return Err(lost(path));
        }
        self.steps.push(Step::Members(step));
        Ok(())
    }

    /// The members that a filter selects. They are values that come and go whole (7643-4.2-02).
    fn selected_members(
        &mut self,
        verb: Verb,
        path: &AttributePath,
        expression: &Expression,
        filter: Filter,
        value: Option<&Value>,
    ) -> Result<()> {
        if path.sub_attribute.is_some() || verb == Verb::Add {
            return Err(whole_members(path));
        }
        let value = value.filter(|value| verb == Verb::Replace && !value.is_null());
        let step = match (value, named_ids(expression)) {
            (Some(value), _) => MemberStep::ReplaceWhere(filter, members::one(&path.attribute, value)?),
            (None, Some(ids)) => MemberStep::Remove(ids),
            (None, None) => MemberStep::RemoveWhere(filter),
        };
        self.steps.push(Step::Members(step));
        Ok(())
    }

    fn edit(&mut self, verb: Verb, path: AttributePath, selection: Option<Selection>, value: Option<&Value>) -> Result<()> {
        if let Some(write) = write(verb, &path, selection.is_some(), value)? {
            let clears = |part: &value::Part| part.value.is_none() && required::is_required(&part.sub_attribute);
            let is_lost = match &write {
                Write::Clear => required::is_required(path.leaf()) && (selection.is_none() || path.sub_attribute.is_some()),
                Write::Merge(parts) => parts.iter().any(clears),
                Write::Set(_) | Write::Append(_) => false,
            };
            if is_lost {
                return Err(lost(&path));
            }
            self.steps.push(Step::Edit(Edit { path, selection, write }));
        }
        Ok(())
    }
}

/// What an operation writes; `None` when it adds nothing.
fn write(verb: Verb, path: &AttributePath, is_selected: bool, value: Option<&Value>) -> Result<Option<Write>> {
    let Some(value) = value.filter(|value| verb != Verb::Remove && !is_absent(value)) else {
        return Ok((verb != Verb::Add).then_some(Write::Clear));
    };
    let as_list = match value {
        Value::Array(values) => values.as_slice(),
        value => std::slice::from_ref(value),
    };
    let of_list = |values: Vec<Value>| match verb {
        _ if values.is_empty() => (verb == Verb::Replace).then_some(Write::Clear),
        Verb::Add => Some(Write::Append(values)),
        Verb::Remove | Verb::Replace => Some(Write::Set(Value::Array(values))),
    };
    let is_complex = path.attribute.kind == Type::Complex;
    match &path.sub_attribute {
        Some(sub) if sub.multi_valued => value::several_simple(path, sub, as_list).map(of_list),
        Some(sub) => Ok(value::sub_value(path, sub, value)?.map(Write::Set)),
        None if path.attribute.multi_valued && !is_selected => value::elements(path, as_list).map(of_list),
        None if is_complex && (verb == Verb::Add || !is_selected) => {
            let parts = value::parts(path, value)?;
            Ok((!parts.is_empty()).then_some(Write::Merge(parts)))
        }
        None => Ok(Some(value::one(path, value)?.map_or(Write::Clear, Write::Set))),
    }
}

fn given_members(attribute: &Attribute, value: Option<&Value>) -> Result<Vec<Member>> {
    match value {
        Some(value @ Value::Object(_)) => members::one(attribute, value).map(|member| vec![member]),
        value => members::read(attribute, value.unwrap_or(&Value::Null)),
    }
}

fn whole_members(path: &AttributePath) -> Error {
    Error::mutability(format!("The values of '{}' are immutable: add or remove whole ones.", path.parent()))
}

fn takes_filter(path: &AttributePath) -> bool {
    path.sub_attribute.is_none() && path.attribute.multi_valued && path.attribute.kind == Type::Complex
}

/// 7644-3.5.2-04
fn writable(path: &AttributePath) -> Result<()> {
    if path.attribute.mutability == Mutability::ReadOnly || path.leaf().mutability == Mutability::ReadOnly {
        return Err(Error::mutability(format!("Attribute '{path}' is read-only.")));
    }
    Ok(())
}

fn once(seen: &mut HashSet<String>, name: &str) -> Result<()> {
    if seen.insert(name.to_ascii_lowercase()) {
        return Ok(());
    }
    Err(Error::invalid_syntax(format!("The name '{}' stands twice in one object, in two spellings.", shorten(name))))
}

/// 7644-3.5.2-02
fn invalid_path(error: &PathError) -> Error {
    Error::invalid_path(described(error))
}

/// 7644-3.5.2-09
fn undefined(error: &PathError) -> Error {
    Error::invalid_value(described(error))
}

fn described(error: &PathError) -> String {
    match error {
        PathError::Malformed(path) => format!("'{path}' is not an attribute path."),
        PathError::Unknown(path) => format!("Attribute '{path}' is not defined."),
    }
}
