//! Where a filter holds literals, so that a quirk need only know a literal and the types it concerns.

use super::{MeantLiteral, member, replaced};
use crate::base::limits;
use crate::scim::Object;
use crate::scim::path::{AttributePath, Target, resolve_target};
use crate::scim::schema::{Attribute, ResourceType, Type};
use std::sync::Arc;

/// An operation with what the filter in its path means.
pub(super) fn in_operation(kind: &ResourceType, operation: &Object, meant: MeantLiteral) -> Option<Object> {
    let (name, path) = member(operation, "path")?;
    let path = path.as_str().filter(|path| path.contains('['))?;
    Some(replaced(operation, name, in_filter(kind, path, meant)?.into()))
}

/// A filter, or a path with one, with what its literals mean; `None` when they mean what they say. What is not of the grammar is
/// copied: whoever reads it says what is wrong.
pub(super) fn in_filter(kind: &ResourceType, text: &str, meant: MeantLiteral) -> Option<String> {
    if text.len() > limits::FILTER_BYTES {
        return None;
    }
    let mut scanner = Scanner { kind, meant, expects: Expects::Path, compared: None, within: None };
    let mut written: Option<String> = None;
    let mut rest = text;
    while let Some(token) = next_token(rest) {
        let before = &text[..text.len() - rest.len()];
        rest = &rest[token.len()..];
        match scanner.token(token, rest) {
            Some(meant) => written.get_or_insert_with(|| before.to_owned()).push_str(&meant),
            None => written.iter_mut().for_each(|written| written.push_str(token)),
        }
    }
    written
}

/// White space, one bracket, a quoted string, or what stands before the next of these.
pub(super) fn next_token(text: &str) -> Option<&str> {
    let first = text.chars().next()?;
    let is_space = |character: char| matches!(character, ' ' | '\t' | '\r' | '\n');
    let end = match first {
        '(' | ')' | '[' | ']' => 1,
        '"' => {
            let mut escaped = false;
            let closing = text.bytes().skip(1).position(|byte| {
                let closes = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                closes
            });
            closing.map_or(text.len(), |place| place + 2)
        }
        space if is_space(space) => text.find(|character| !is_space(character)).unwrap_or(text.len()),
        _ => text.find(|character| is_space(character) || "()[]\"".contains(character)).unwrap_or(text.len()),
    };
    Some(&text[..end])
}

enum Expects {
    Path,
    Operator,
    Literal,
    Connective,
}

struct Scanner<'a> {
    kind: &'a ResourceType,
    meant: MeantLiteral,
    expects: Expects,
    /// The path before an operator.
    compared: Option<&'a str>,
    /// The path before a bracket.
    within: Option<&'a str>,
}

impl<'a> Scanner<'a> {
    /// Reads a token. Returns what it means, when that is not what it says.
    fn token(&mut self, token: &'a str, rest: &str) -> Option<String> {
        let mut meant = None;
        match (token, &self.expects) {
            (space, _) if space.trim().is_empty() => {}
            ("[", _) => {
                self.within = self.within.take().or(self.compared.take());
                self.expects = Expects::Path;
            }
            ("(", _) => self.expects = Expects::Path,
            ("]", _) => {
                self.within = None;
                self.expects = Expects::Connective;
            }
            (")", _) => self.expects = Expects::Connective,
            (word, Expects::Path) if word.eq_ignore_ascii_case("not") && rest.trim_start().starts_with('(') => {}
            (word, Expects::Path) => {
                self.compared = Some(word);
                self.expects = Expects::Operator;
            }
            (word, Expects::Operator) if word.eq_ignore_ascii_case("pr") => self.expects = Expects::Connective,
            (_, Expects::Operator) => self.expects = Expects::Literal,
            (literal, Expects::Literal) => {
                // Most literals mean what they say: what they are compared with is not looked up.
                let compared = self.compared.take();
                let is_of = |kinds: &[Type]| {
                    compared.and_then(|word| self.path(word)).is_some_and(|path| kinds.contains(&leaf(&path).kind))
                };
                meant = (self.meant)(literal).filter(|(kinds, _)| is_of(kinds)).map(|(_, text)| text);
                self.expects = Expects::Connective;
            }
            (_, Expects::Connective) => self.expects = Expects::Path,
        }
        meant
    }

    fn path(&self, word: &str) -> Option<AttributePath> {
        if let Some(parent) = self.within {
            let Target::Attribute(parent) = resolve_target(self.kind, parent).ok()? else { return None };
            return parent.attribute.sub_attribute(word).map(|sub_attribute| parent.with_sub_attribute(Arc::clone(sub_attribute)));
        }
        match resolve_target(self.kind, word).ok()? {
            Target::Attribute(path) => Some(path),
            Target::Extension(_) | Target::Core => None,
        }
    }
}

/// What is compared: of a complex attribute, its `value` (7644-3.4.2.2-13).
fn leaf(path: &AttributePath) -> &Attribute {
    let leaf = path.leaf();
    match leaf.kind {
        Type::Complex => leaf.sub_attribute("value").unwrap_or(leaf),
        _ => leaf,
    }
}
