//! Attribute paths (RFC 7644 §3.10): `userName`, `name.givenName`, `urn:…:User:manager.value`, resolved once against the schema.

use super::schema::{Attribute, ResourceType, Schema};
use crate::base::limits;
use std::fmt;
use std::sync::Arc;

/// A path that names an attribute of a resource type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributePath {
    /// The extension that defines the attribute; `None` for the base schema and the common attributes.
    pub extension: Option<Arc<Schema>>,
    /// The attribute.
    pub attribute: Arc<Attribute>,
    /// The sub-attribute, when the path names one.
    pub sub_attribute: Option<Arc<Attribute>>,
}

impl AttributePath {
    /// The attribute whose values are compared or written: the sub-attribute when there is one.
    pub fn leaf(&self) -> &Arc<Attribute> {
        self.sub_attribute.as_ref().unwrap_or(&self.attribute)
    }

    /// The same path without its sub-attribute.
    #[must_use]
    pub fn parent(&self) -> Self {
        Self { extension: self.extension.clone(), attribute: Arc::clone(&self.attribute), sub_attribute: None }
    }

    /// The same path with this sub-attribute.
    #[must_use]
    pub fn with_sub_attribute(&self, sub_attribute: Arc<Attribute>) -> Self {
        Self { sub_attribute: Some(sub_attribute), ..self.parent() }
    }

    /// Whether this is the common or core attribute of this name.
    pub fn is_core(&self, name: &str) -> bool {
        self.extension.is_none() && self.attribute.name == name
    }
}

impl fmt::Display for AttributePath {
    /// The canonical spelling: extension attributes with their URN, core ones without.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(schema) = &self.extension {
            write!(formatter, "{}:", schema.id)?;
        }
        formatter.write_str(&self.attribute.name)?;
        match &self.sub_attribute {
            Some(sub_attribute) => write!(formatter, ".{}", sub_attribute.name),
            None => Ok(()),
        }
    }
}

/// What a path without a filter can name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// An attribute or sub-attribute.
    Attribute(AttributePath),
    /// A whole extension, named by its URN.
    Extension(Arc<Schema>),
    /// The resource itself, named by the URN of its base schema.
    Core,
}

/// Why a path names nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathError {
    /// Not of the form of RFC 7644 Figure 7.
    Malformed(String),
    /// Well formed, but no such attribute is defined.
    Unknown(String),
}

impl fmt::Display for PathError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(path) => write!(formatter, "'{path}' is not an attribute path"),
            Self::Unknown(path) => write!(formatter, "attribute '{path}' is not defined"),
        }
    }
}

/// Resolves a path that must name an attribute.
pub fn resolve(kind: &ResourceType, text: &str) -> Result<AttributePath, PathError> {
    match resolve_target(kind, text)? {
        Target::Attribute(path) => Ok(path),
        Target::Extension(_) | Target::Core => Err(PathError::Unknown(shorten(text))),
    }
}

/// Resolves a path that may also name a whole schema.
///
/// The URN ends at the longest prefix that is a schema of the type; what follows is separated by a colon, or (as users of the
/// reference write it) a dot. URNs and names are matched without regard to case (7644-3.10-01).
pub fn resolve_target(kind: &ResourceType, text: &str) -> Result<Target, PathError> {
    if text.is_empty() || text.len() > limits::PATH_BYTES {
        return Err(PathError::Malformed(shorten(text)));
    }
    if !text.as_bytes().get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"urn:")) {
        return names(text).and_then(|(name, sub)| within_core(kind, name, sub, text)).map(Target::Attribute);
    }
    let extensions = kind.extensions.iter().map(|extension| &extension.schema);
    let urn = extensions
        .chain([&kind.schema])
        .filter(|schema| starts_with_urn(text, &schema.id))
        .max_by_key(|schema| schema.id.len())
        .ok_or_else(|| PathError::Unknown(shorten(text)))?;
    let is_core = Arc::ptr_eq(urn, &kind.schema);
    let rest = &text[urn.id.len()..];
    if rest.is_empty() {
        return Ok(if is_core { Target::Core } else { Target::Extension(Arc::clone(urn)) });
    }
    let (name, sub) = names(&rest[1..]).map_err(|_| PathError::Malformed(shorten(text)))?;
    if is_core {
        return within_core(kind, name, sub, text).map(Target::Attribute);
    }
    let attribute = urn.attribute(name).ok_or_else(|| PathError::Unknown(shorten(text)))?;
    finish(Some(Arc::clone(urn)), attribute, sub, text).map(Target::Attribute)
}

fn starts_with_urn(text: &str, urn: &str) -> bool {
    let (Some(start), rest) = (text.get(..urn.len()), text.get(urn.len()..).unwrap_or_default()) else { return false };
    start.eq_ignore_ascii_case(urn) && (rest.is_empty() || rest.starts_with([':', '.']))
}

fn within_core(kind: &ResourceType, name: &str, sub: Option<&str>, text: &str) -> Result<AttributePath, PathError> {
    let attribute = kind.attribute(name).ok_or_else(|| PathError::Unknown(shorten(text)))?;
    finish(None, attribute, sub, text)
}

fn finish(
    extension: Option<Arc<Schema>>,
    attribute: &Arc<Attribute>,
    sub: Option<&str>,
    text: &str,
) -> Result<AttributePath, PathError> {
    let sub_attribute = match sub {
        None => None,
        Some(name) => Some(attribute.sub_attribute(name).ok_or_else(|| PathError::Unknown(shorten(text)))?),
    };
    Ok(AttributePath { extension, attribute: Arc::clone(attribute), sub_attribute: sub_attribute.cloned() })
}

/// Splits `name` or `name.sub` and checks both against ATTRNAME.
fn names(text: &str) -> Result<(&str, Option<&str>), PathError> {
    let (name, sub) = match text.split_once('.') {
        Some((name, sub)) => (name, Some(sub)),
        None => (text, None),
    };
    if is_attribute_name(name) && sub.is_none_or(is_attribute_name) {
        Ok((name, sub))
    } else {
        Err(PathError::Malformed(shorten(text)))
    }
}

/// `ALPHA *("$" / "-" / "_" / DIGIT / ALPHA)`, and `$ref` (7643-2.1-01).
pub fn is_attribute_name(name: &str) -> bool {
    let name = name.strip_prefix('$').unwrap_or(name).as_bytes();
    name.first().is_some_and(u8::is_ascii_alphabetic)
        && name.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'$' | b'-' | b'_'))
}

/// A path as an error shows it: not longer than an attribute path usually is.
pub fn shorten(text: &str) -> String {
    const SHOWN_CHARACTERS: usize = 100;
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::schema::{ENTERPRISE_USER, Registry};

    fn printed(text: &str) -> Result<String, PathError> {
        let registry = Registry::builtin();
        resolve(registry.by_name("User").expect("User"), text).map(|path| path.to_string())
    }

    /// 7643-2.1-01 7644-3.10-01
    #[test]
    fn every_facet_is_matched_without_regard_to_case() {
        assert_eq!(printed("USERNAME").as_deref(), Ok("userName"));
        assert_eq!(printed("Name.GivenName").as_deref(), Ok("name.givenName"));
        assert_eq!(printed("URN:ietf:params:scim:schemas:CORE:2.0:User:username").as_deref(), Ok("userName"));
        let manager = format!("{ENTERPRISE_USER}:manager.value");
        assert_eq!(printed(&manager.to_uppercase()).as_deref(), Ok(manager.as_str()));
        assert_eq!(printed(&format!("{ENTERPRISE_USER}.department")), Ok(format!("{ENTERPRISE_USER}:department")));
        assert_eq!(printed("groups.$ref").as_deref(), Ok("groups.$ref"));
    }

    #[test]
    fn what_is_not_defined_is_told_from_what_is_malformed() {
        for path in ["nope", "name.nope", "urn:example:other:User:userName", "userName.x", ENTERPRISE_USER] {
            assert_eq!(printed(path), Err(PathError::Unknown(path.into())), "{path}");
        }
        for path in ["", "1a", "name..x", "na me", "name.given.x", "emails[0]"] {
            assert_eq!(printed(path), Err(PathError::Malformed(path.into())), "{path}");
        }
        assert!(matches!(printed(&"a".repeat(5000)), Err(PathError::Malformed(_))));
    }

    #[test]
    fn a_schema_urn_alone_names_the_schema() {
        let registry = Registry::builtin();
        let user = registry.by_name("User").expect("User");
        assert_eq!(resolve_target(user, &user.schema.id), Ok(Target::Core));
        assert!(matches!(resolve_target(user, ENTERPRISE_USER), Ok(Target::Extension(schema)) if schema.id == ENTERPRISE_USER));
    }
}
