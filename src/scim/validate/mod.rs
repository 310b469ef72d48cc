//! Typed validation of what POST and PUT bring (RFC 7643 §2, §7; RFC 7644 §3.3, §3.5.1).

pub mod format;
pub(crate) mod identity;
pub(crate) mod immutable;
pub(crate) mod members;
pub(crate) mod required;
pub(crate) mod secret;
#[cfg(test)]
mod tests;
pub(crate) mod value;

use super::Object;
use super::error::{Error, Result};
use super::path::{AttributePath, shorten};
use super::resource::{Member, SecretChange};
use super::schema::{Attribute, Extension, Mutability, ResourceType, Schema};
use serde_json::Value;
use std::sync::Arc;

/// A body that has been validated.
#[derive(Clone, Debug, PartialEq)]
pub struct Validated {
    /// The document (see [`super::resource`]).
    pub document: Object,
    /// The members the body lists, each once, for a type with members; empty when it lists none.
    pub members: Vec<Member>,
    /// The values with `returned: never` that the body brings.
    pub secrets: Vec<SecretChange>,
}

/// Validates the body of a POST. What is not defined or of the wrong type is `invalidValue`, a body that is not a resource of this
/// type `invalidSyntax`; what a client may not write is left out (7644-3.3-01).
pub fn create(kind: &ResourceType, body: &Value) -> Result<Validated> {
    create_with(kind, body, &[])
}

/// The same of a resource that is taken over: the secrets at these paths are hashed already, and not in the body.
pub fn create_with(kind: &ResourceType, body: &Value, hashed: &[String]) -> Result<Validated> {
    let mut reader = Reader::new(kind);
    reader.read(body)?;
    reader.secrets.retain(|secret| secret.value.is_some());
    reader.secrets_are_complete(hashed)?;
    reader.finish()
}

/// Validates the body of a PUT against the document it replaces: what it leaves out is cleared, immutable attributes must match.
/// A secret that it leaves out stays, one that it gives as `null` is removed.
pub fn replace(kind: &ResourceType, before: &Object, body: &Value) -> Result<Validated> {
    let mut reader = Reader::new(kind);
    reader.read(body)?;
    immutable::unchanged(kind, before, &reader.document)?;
    reader.finish()
}

/// Whether this is `schemas`, which follows from the rest of a document.
pub(crate) fn is_schemas(extension: Option<&Arc<Schema>>, attribute: &Attribute) -> bool {
    extension.is_none() && attribute.name == "schemas"
}

/// Whether this is the attribute whose values are rows of their own.
pub(crate) fn is_members(kind: &ResourceType, attribute: &Arc<Attribute>) -> bool {
    kind.members().is_some_and(|members| Arc::ptr_eq(members, attribute))
}

/// Sets `schemas` to the base schema and those extensions that are present (7643-3-02).
pub(crate) fn set_schemas(kind: &ResourceType, document: &mut Object) {
    let present = kind.extensions.iter().map(|extension| &extension.schema.id).filter(|id| document.contains_key(*id));
    let urns: Vec<Value> = std::iter::once(&kind.schema.id).chain(present).map(|id| id.as_str().into()).collect();
    document.insert("schemas".into(), Value::Array(urns));
}

/// Checks the `schemas` of a body: unique URNs of this type, the base schema among them (7643-3-01).
pub(crate) fn check_schemas(kind: &ResourceType, value: &Value) -> Result<()> {
    let wrong = || Error::invalid_value("Attribute 'schemas' must be an array of strings.");
    let mut seen: Vec<&str> = Vec::new();
    for urn in value.as_array().ok_or_else(wrong)? {
        let urn = urn.as_str().ok_or_else(wrong)?;
        let known = match kind.extension(urn) {
            Some(extension) => &extension.schema.id,
            None if kind.schema.id.eq_ignore_ascii_case(urn) => &kind.schema.id,
            None => return Err(unknown_schema(kind, urn)),
        };
        if seen.contains(&known.as_str()) {
            return Err(Error::invalid_value(format!("Attribute 'schemas' names '{known}' twice.")));
        }
        seen.push(known);
    }
    if seen.contains(&kind.schema.id.as_str()) {
        Ok(())
    } else {
        Err(Error::invalid_value(format!("Attribute 'schemas' must contain '{}'.", kind.schema.id)))
    }
}

fn unknown_schema(kind: &ResourceType, urn: &str) -> Error {
    Error::invalid_syntax(format!("Schema '{}' is not one of the resource type {}.", shorten(urn), kind.name))
}

/// Remembers a name of an object; one that stands twice, in two spellings, is refused (7643-2.1-01).
///
/// `seen` holds only names that are defined, so that it stays short whatever the client sends.
pub(crate) fn once<'a>(seen: &mut Vec<&'a str>, name: &'a str) -> Result<()> {
    if seen.contains(&name) {
        return Err(Error::invalid_syntax(format!("The name '{name}' stands twice in one object, in two spellings.")));
    }
    seen.push(name);
    Ok(())
}

struct Reader<'a> {
    kind: &'a ResourceType,
    document: Object,
    members: Vec<Member>,
    secrets: Vec<SecretChange>,
}

impl<'a> Reader<'a> {
    fn new(kind: &'a ResourceType) -> Self {
        let mut document = Object::new();
        // It is the first name of a document; its value is known at the end.
        document.insert("schemas".into(), Value::Null);
        Self { kind, document, members: Vec::new(), secrets: Vec::new() }
    }

    fn read(&mut self, body: &Value) -> Result<()> {
        let body = body.as_object().ok_or_else(|| Error::invalid_syntax("The body must be a JSON object."))?;
        let kind = self.kind;
        let mut seen = Vec::new();
        for (name, value) in body {
            if let Some(attribute) = kind.attribute(name) {
                once(&mut seen, &attribute.name)?;
                if let Some(value) = self.attribute(None, attribute, value)? {
                    self.document.insert(attribute.name.clone(), value);
                }
            } else if let Some(extension) = kind.extension(name) {
                once(&mut seen, &extension.schema.id)?;
                self.extension(extension, value)?;
            } else if name.contains(':') {
                return Err(unknown_schema(kind, name));
            } else {
                return Err(Error::invalid_value(format!("Attribute '{}' is not defined.", shorten(name))));
            }
        }
        let is_given = |value: &Value| !value.is_null() && value.as_array().is_none_or(|values| !values.is_empty());
        let schemas = body.iter().find(|(name, _)| name.eq_ignore_ascii_case("schemas")).map(|(_, value)| value);
        match schemas.filter(|value| is_given(value)) {
            Some(value) => check_schemas(kind, value),
            None => Err(required::missing("schemas")),
        }
    }

    fn extension(&mut self, extension: &'a Extension, value: &Value) -> Result<()> {
        let schema = &extension.schema;
        let given = match value {
            Value::Null => return Ok(()),
            Value::Object(given) => given,
            _ => return Err(Error::invalid_value(format!("Extension '{}' must be an object.", schema.id))),
        };
        let mut container = Object::new();
        let mut seen = Vec::new();
        for (name, value) in given {
            let undefined = || Error::invalid_value(format!("Attribute '{}:{}' is not defined.", schema.id, shorten(name)));
            let attribute = schema.attribute(name).ok_or_else(undefined)?;
            once(&mut seen, &attribute.name)?;
            if let Some(value) = self.attribute(Some(schema), attribute, value)? {
                container.insert(attribute.name.clone(), value);
            }
        }
        if !container.is_empty() {
            self.document.insert(schema.id.clone(), Value::Object(container));
        }
        Ok(())
    }

    /// The stored value of an attribute, unless it is absent or kept elsewhere.
    fn attribute(&mut self, extension: Option<&Arc<Schema>>, attribute: &Arc<Attribute>, value: &Value) -> Result<Option<Value>> {
        if attribute.mutability == Mutability::ReadOnly || is_schemas(extension, attribute) {
            return Ok(None);
        }
        let path = AttributePath { extension: extension.cloned(), attribute: Arc::clone(attribute), sub_attribute: None };
        if secret::is_secret(attribute) {
            self.secrets.push(secret::read(&path, value)?);
            return Ok(None);
        }
        if extension.is_none() && is_members(self.kind, attribute) {
            self.members = members::read(attribute, value)?;
            return Ok(None);
        }
        value::attribute(&path, value)
    }

    fn secrets_are_complete(&self, hashed: &[String]) -> Result<()> {
        let needed = |attribute: &Attribute| attribute.required && secret::is_secret(attribute);
        for (extension, attribute) in self.kind.all_attributes().filter(|(_, attribute)| needed(attribute)) {
            let path = AttributePath { extension: extension.cloned(), attribute: Arc::clone(attribute), sub_attribute: None };
            let path = path.to_string();
            if !self.secrets.iter().any(|secret| secret.path == path) && !hashed.contains(&path) {
                return Err(required::missing(&path));
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Validated> {
        required::complete(self.kind, &self.document)?;
        if let Some(attribute) = self.kind.members().filter(|attribute| attribute.required && self.members.is_empty()) {
            return Err(required::missing(&attribute.name));
        }
        set_schemas(self.kind, &mut self.document);
        Ok(Validated { document: self.document, members: self.members, secrets: self.secrets })
    }
}
