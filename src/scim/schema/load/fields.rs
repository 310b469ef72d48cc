//! The members of a JSON object as a definition has them, with the place of each.

use super::Problem;
use crate::scim::Object;
use crate::scim::path::shorten;
use serde_json::Value;

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: String,
    path: String,
}

impl Place {
    /// The whole file.
    pub(super) fn of_file(name: &str) -> Self {
        Self { file: name.to_owned(), path: String::new() }
    }

    /// A member of the object that is here.
    pub(super) fn member(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { file: self.file.clone(), path }
    }

    /// An element of the array that is here.
    pub(super) fn element(&self, index: usize) -> Self {
        Self { file: self.file.clone(), path: format!("{}[{index}]", self.path) }
    }

    /// A problem at this place.
    pub(super) fn problem(&self, what: impl Into<String>) -> Problem {
        Problem { file: self.file.clone(), place: self.path.clone(), what: what.into() }
    }
}

/// How a value is shown in a problem: short, and a kind where it is not simple.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("'{}'", shorten(text)),
        Value::Array(_) => "an array".into(),
        Value::Object(_) => "an object".into(),
        simple => simple.to_string(),
    }
}

/// An object that is read, and where its problems go.
pub(super) struct Fields<'a> {
    pub(super) object: &'a Object,
    pub(super) place: &'a Place,
    pub(super) problems: &'a mut Vec<Problem>,
}

impl<'a> Fields<'a> {
    /// The member of this name, in any case (RFC 7643 §2.1); `null` counts as absent (§2.5).
    pub(super) fn get(&self, name: &str) -> Option<&'a Value> {
        let found = self.object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value).filter(|value| !value.is_null())
    }

    /// Notes a problem with a member.
    pub(super) fn problem(&mut self, name: &str, what: impl Into<String>) {
        self.problems.push(self.place.member(name).problem(what));
    }

    /// Notes a problem with every member of another name, and with one that stands twice in two spellings. A misspelt
    /// characteristic would otherwise become its default in silence.
    pub(super) fn allow_only(&mut self, known: &[&str]) {
        let mut seen: Vec<&str> = Vec::new();
        for name in self.object.keys() {
            match known.iter().find(|known| known.eq_ignore_ascii_case(name)) {
                None => self.problem(&shorten(name), format!("expected one of the members {}", known.join(", "))),
                Some(known) if seen.contains(known) => self.problem(&shorten(name), "stands twice in one object, in two spellings"),
                Some(known) => seen.push(known),
            }
        }
    }

    /// A text; empty when it is absent, which is a problem when it must be there.
    pub(super) fn text(&mut self, name: &str, is_required: bool) -> String {
        match self.get(name) {
            Some(Value::String(text)) if !text.is_empty() || !is_required => text.clone(),
            Some(other) => {
                self.problem(name, format!("expected a text, found {}", shown(other)));
                String::new()
            }
            None => {
                if is_required {
                    self.problem(name, "expected a text, found nothing");
                }
                String::new()
            }
        }
    }

    /// `true` or `false`, if it is there.
    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        match self.get(name)? {
            Value::Bool(value) => Some(*value),
            other => {
                self.problem(name, format!("expected true or false, found {}", shown(other)));
                None
            }
        }
    }

    /// A list of texts.
    pub(super) fn texts(&mut self, name: &str) -> Vec<String> {
        let Some(value) = self.get(name) else { return Vec::new() };
        let texts = value.as_array().map(|values| values.iter().map(|value| value.as_str().map(str::to_owned)));
        if let Some(texts) = texts.and_then(Iterator::collect::<Option<Vec<String>>>) {
            texts
        } else {
            self.problem(name, format!("expected an array of texts, found {}", shown(value)));
            Vec::new()
        }
    }

    /// A list, each element with its place.
    pub(super) fn list(&mut self, name: &str) -> Option<Vec<(Place, &'a Value)>> {
        match self.get(name)? {
            Value::Array(values) => {
                let place = self.place.member(name);
                Some(values.iter().enumerate().map(|(index, value)| (place.element(index), value)).collect())
            }
            other => {
                self.problem(name, format!("expected an array, found {}", shown(other)));
                None
            }
        }
    }

    /// A word of a table, in any case; `Ok(None)` when it is absent, an error when it is none of them.
    pub(super) fn word<T: Copy>(&mut self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, ()> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let known = |text: &str| words.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
        if let Some((_, word)) = value.as_str().and_then(known) {
            return Ok(Some(*word));
        }
        let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        self.problem(name, format!("expected one of {}, found {}", names.join(", "), shown(value)));
        Err(())
    }
}
