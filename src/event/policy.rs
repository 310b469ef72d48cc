//! Which attributes a receiver may learn of (RFC 8417 §6, RFC 9967 §6): lists of those allowed and denied.

use crate::scim::Object;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;

/// The attributes that a stream's events name and hold. A path covers its sub-attributes (`name` covers `name.familyName`), a schema's
/// URN everything of the extension; case does not matter, and the URN of a core schema before a path says nothing.
///
/// `id`, `schemas` and `meta` are not its matter: without them a receiver knows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttributePolicy {
    /// Only these; `None` is all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Vec<String>>,
    /// Not these, whatever is allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deny: Vec<String>,
}

/// How much of an attribute a receiver may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// All of it.
    Whole,
    /// Some of its sub-attributes.
    Part,
    /// Nothing, not even its name.
    Nothing,
}

/// What every receiver sees of a representation.
const ALWAYS: [&str; 3] = ["id", "schemas", "meta"];
const CORE: &str = "urn:ietf:params:scim:schemas:core:2.0:";

impl AttributePolicy {
    /// Whether every attribute may be seen.
    pub fn is_open(&self) -> bool {
        self.allow.is_none() && self.deny.is_empty()
    }

    /// How much of a path may be seen. What selects values in it, in brackets, is not looked at.
    pub fn view(&self, path: &str) -> View {
        if self.is_open() || ALWAYS.iter().any(|always| covers(always, &plain(path))) {
            return View::Whole;
        }
        let path = plain(path);
        // A reference holds the identifier that it refers to.
        let value = path.strip_suffix(".$ref").map(|attribute| format!("{attribute}.value"));
        let is_denied = |denied: &String| {
            let denied = plain(denied);
            covers(&denied, &path) || value.as_ref().is_some_and(|value| covers(&denied, value))
        };
        if self.deny.iter().any(is_denied) {
            return View::Nothing;
        }
        let is_cut = self.deny.iter().any(|denied| covers(&path, &plain(denied)));
        match &self.allow {
            Some(allowed) if !allowed.iter().any(|allowed| covers(&plain(allowed), &path)) => {
                if self.allowed_within(&path).next().is_some() { View::Part } else { View::Nothing }
            }
            _ if is_cut => View::Part,
            _ => View::Whole,
        }
    }

    /// The allowed paths below one that is not allowed as a whole, without those that are denied.
    fn allowed_within(&self, path: &str) -> impl Iterator<Item = &String> {
        let allowed = self.allow.iter().flatten().filter(move |allowed| covers(path, &plain(allowed)));
        allowed.filter(|allowed| !self.deny.iter().any(|denied| covers(&plain(denied), &plain(allowed))))
    }

    /// The names by which a receiver may know that something of a path has changed: the path itself, or those below it that it may see.
    pub fn names<'a>(&'a self, path: &'a str) -> Vec<&'a str> {
        match self.view(path) {
            View::Nothing => Vec::new(),
            View::Whole => vec![path],
            View::Part => {
                let plain_path = plain(path);
                let is_allowed = |allowed: &Vec<String>| allowed.iter().any(|allowed| covers(&plain(allowed), &plain_path));
                if self.allow.as_ref().is_none_or(is_allowed) {
                    return vec![path];
                }
                self.allowed_within(&plain_path).map(String::as_str).collect()
            }
        }
    }

    /// The paths of a notice as a receiver may see them, each once.
    pub fn visible(&self, paths: &[String]) -> Vec<String> {
        let mut names: Vec<&str> = Vec::new();
        for name in paths.iter().flat_map(|path| self.names(path)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.into_iter().map(str::to_owned).collect()
    }

    /// Takes from a representation what may not be seen. Of `schemas` goes the URN of an extension of which nothing is left. Returns
    /// whether anything is left beside what every receiver sees.
    pub fn cut_representation(&self, representation: &mut Object) -> bool {
        if !self.is_open() {
            let mut gone: Vec<String> = Vec::new();
            let names: Vec<String> = representation.keys().cloned().collect();
            for name in names {
                let Some(value) = representation.get_mut(&name) else { continue };
                let separator = if name.contains(':') { ':' } else { '.' };
                if !self.cut(&name, separator, value) {
                    representation.remove(&name);
                    gone.push(name);
                }
            }
            if let Some(Value::Array(schemas)) = representation.get_mut("schemas") {
                schemas.retain(|schema| !schema.as_str().is_some_and(|urn| gone.iter().any(|name| name.eq_ignore_ascii_case(urn))));
            }
        }
        representation.keys().any(|name| !ALWAYS.contains(&name.as_str()))
    }

    /// Takes from normalized operations what may not be seen. `is_schema` tells the URN of a whole extension from the path of an
    /// attribute.
    pub fn cut_operations(&self, operations: Vec<Value>, is_schema: impl Fn(&str) -> bool) -> Vec<Value> {
        if self.is_open() {
            return operations;
        }
        operations.into_iter().flat_map(|operation| self.cut_operation(operation, &is_schema)).collect()
    }

    fn cut_operation(&self, mut operation: Value, is_schema: &impl Fn(&str) -> bool) -> Vec<Value> {
        let path = operation["path"].as_str().unwrap_or_default().to_owned();
        let view = self.view(&path);
        // A filter names and holds what may be hidden.
        let selects = path.split_once('[').is_some_and(|(attribute, _)| self.view(attribute) != View::Whole);
        if view == View::Nothing || selects {
            return Vec::new();
        }
        if view == View::Whole {
            return vec![operation];
        }
        if let Some(value) = operation.get_mut("value") {
            let separator = if is_schema(&path) { ':' } else { '.' };
            return if self.cut(&path, separator, value) { vec![operation] } else { Vec::new() };
        }
        let removed = self.names(&path);
        removed.into_iter().map(|name| serde_json::json!({"op": operation["op"], "path": name})).collect()
    }

    /// Takes from the value of a path what may not be seen; whether anything is left.
    fn cut(&self, path: &str, separator: char, value: &mut Value) -> bool {
        match (self.view(path), value) {
            (View::Whole, _) => true,
            (View::Part, Value::Object(parts)) => {
                parts.retain(|name, part| self.cut(&format!("{path}{separator}{name}"), '.', part));
                !parts.is_empty()
            }
            (View::Part, Value::Array(values)) => {
                values.retain_mut(|value| self.cut(path, separator, value));
                !values.is_empty()
            }
            (View::Nothing | View::Part, _) => false,
        }
    }
}

/// A path for comparison: without what selects values, without the URN of a core schema, in lower case.
fn plain(path: &str) -> Cow<'_, str> {
    let mut plain = Cow::Borrowed(path);
    if let Some((start, end)) = path.find('[').zip(path.rfind(']')) {
        plain = Cow::Owned(format!("{}{}", &path[..start], path.get(end + 1..).unwrap_or_default()));
    }
    if plain.get(..CORE.len()).is_some_and(|start| start.eq_ignore_ascii_case(CORE))
        && let Some((_, attribute)) = plain[CORE.len()..].split_once(':')
    {
        plain = Cow::Owned(attribute.to_owned());
    }
    if plain.bytes().any(|byte| byte.is_ascii_uppercase()) { Cow::Owned(plain.to_ascii_lowercase()) } else { plain }
}

/// Whether one plain path is the other, or above it.
fn covers(above: &str, path: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', ':']))
}

#[cfg(test)]
mod tests;
