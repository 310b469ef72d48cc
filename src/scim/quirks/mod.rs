//! What known clients send that the protocol does not define: a file for each, with the bad request and the request it means.
//!
//! The rest of the house reads the protocol strictly. A quirk rewrites a bad request into the one it means before it is read; what
//! is legal stays as it is, save for what [`json_in_strings`] says of itself. Two quirks depend on what is stored
//! ([`create_from_filter`]) or on no limit of the protocol's own form ([`remove_listed_members`]), and the reader of PATCH asks for
//! them by name. One is in the schemas that are served: [`loose_formats`].
//!
//! That operations are called `Add`, `Replace` and `Remove` (Entra ID) is no quirk: names are matched in any case.

mod bare_words_in_filters;
mod booleans_as_strings;
pub(in crate::scim) mod create_from_filter;
mod dotted_names;
mod extension_schemas;
mod json_in_strings;
mod literals;
pub(in crate::scim) mod loose_formats;
mod manager_as_string;
mod manager_id;
mod microsoft_schemas;
mod own_id;
pub(in crate::scim) mod remove_listed_members;
#[cfg(test)]
mod tests;
mod value_path_comparisons;
mod values;

use super::Object;
use super::path::{AttributePath, Target};
use super::schema::{ResourceType, Type};
use crate::base::limits;
use serde_json::Value;
use std::borrow::Cow;
use std::fmt;

/// A habit of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// `"value": [{"value": "{\"value\": \"admin\"}"}]`
    JsonInStrings,
    /// `"value": {"name.givenName": "Ann"}`
    DottedNames,
    /// `"value": {"id": "<its own>", "displayName": "Team"}`
    OwnId,
    /// `"manager": {"managerId": "26118915"}`
    ManagerId,
    /// `"manager": "26118915"`, `"manager": ""`
    ManagerAsString,
    /// `"active": "False"`
    BooleansAsStrings,
    /// `"schemas": ["…:Group", "http://schemas.microsoft.com/…/Group"]`
    MicrosoftSchemas,
    /// `"urn:…:2.0:User": {"schemas": ["urn:…:2.0:User"], "division": "Tours"}`
    ExtensionSchemas,
    /// `emails[type eq "work"].value eq "ann@example.com"`
    ValuePathComparisons,
    /// `externalId eq jyoung`
    BareWordsInFilters,
    /// `"op": "add", "path": "emails[type eq \"work\"].value"` where there is none
    CreateFromFilter,
    /// `"op": "remove", "path": "members", "value": [{"value": "26118915"}]`
    RemoveListedMembers,
    /// `"country": "Germany"`, `"timezone": "W. Europe Standard Time"`: see [`Registry::with_loose_formats`](super::schema::Registry::with_loose_formats)
    LooseFormats,
}

/// What a value of an attribute means, when that is not what it says.
type MeantValue = fn(&AttributePath, &Value) -> Option<Value>;
/// The operations that an operation means, on the resource of this id; the target is what the operation writes to.
type MeantOperations = fn(&ResourceType, &str, &Object, &Target) -> Option<Vec<Object>>;
/// What the body of a POST or PUT means.
type MeantBody = fn(&ResourceType, &Value) -> Option<Value>;
/// What a filter means.
type MeantFilter = fn(&str) -> Option<String>;
/// What a literal of a filter means, and beside attributes of which types.
type MeantLiteral = fn(&str) -> Option<(&'static [Type], String)>;

/// Where a quirk has something to rewrite.
#[derive(Clone, Copy)]
struct Rewrites {
    values: Option<MeantValue>,
    operations: Option<MeantOperations>,
    body: Option<MeantBody>,
    filter: Option<MeantFilter>,
    literals: Option<MeantLiteral>,
}

const NOTHING: Rewrites = Rewrites { values: None, operations: None, body: None, filter: None, literals: None };

/// A row of the table.
struct Row {
    quirk: Quirk,
    /// Its name in the setting `QUIRKS`.
    name: &'static str,
    /// Whether it is allowed unless the setting says otherwise.
    is_usual: bool,
    rewrites: Rewrites,
}

/// Every quirk, in the order in which they rewrite: a later one sees what an earlier one made.
const TABLE: [Row; 13] = [
    row(Quirk::JsonInStrings, "json_in_strings", true, Rewrites { values: Some(json_in_strings::value), ..NOTHING }),
    row(Quirk::DottedNames, "dotted_names", true, Rewrites { operations: Some(dotted_names::operations), ..NOTHING }),
    row(Quirk::OwnId, "own_id", true, Rewrites { operations: Some(own_id::operations), ..NOTHING }),
    row(Quirk::ManagerId, "manager_id", true, Rewrites { values: Some(manager_id::value), ..NOTHING }),
    row(
        Quirk::ManagerAsString,
        "manager_as_string",
        true,
        Rewrites { values: Some(manager_as_string::value), operations: Some(manager_as_string::operations), ..NOTHING },
    ),
    row(
        Quirk::BooleansAsStrings,
        "booleans_as_strings",
        true,
        Rewrites { values: Some(booleans_as_strings::value), literals: Some(booleans_as_strings::literal), ..NOTHING },
    ),
    row(Quirk::MicrosoftSchemas, "microsoft_schemas", true, Rewrites { body: Some(microsoft_schemas::body), ..NOTHING }),
    row(
        Quirk::ExtensionSchemas,
        "extension_schemas",
        true,
        Rewrites { operations: Some(extension_schemas::operations), body: Some(extension_schemas::body), ..NOTHING },
    ),
    row(
        Quirk::ValuePathComparisons,
        "value_path_comparisons",
        true,
        Rewrites { filter: Some(value_path_comparisons::filter), ..NOTHING },
    ),
    row(
        Quirk::BareWordsInFilters,
        "bare_words_in_filters",
        false,
        Rewrites { literals: Some(bare_words_in_filters::literal), ..NOTHING },
    ),
    row(Quirk::CreateFromFilter, "create_from_filter", true, NOTHING),
    row(Quirk::RemoveListedMembers, "remove_listed_members", true, NOTHING),
    row(Quirk::LooseFormats, "loose_formats", true, NOTHING),
];

const fn row(quirk: Quirk, name: &'static str, is_usual: bool, rewrites: Rewrites) -> Row {
    Row { quirk, name, is_usual, rewrites }
}

/// Which quirks are allowed. The default is all that known clients need unasked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quirks(u16);

impl Quirks {
    /// None: a request means what the protocol says.
    pub const STRICT: Self = Self(0);
    /// Those that known clients need unasked.
    pub const LENIENT: Self = Self(usual());

    /// Whether this one is allowed.
    pub const fn allows(self, quirk: Quirk) -> bool {
        self.0 & bit(quirk) != 0
    }

    /// The same set with this one too.
    #[must_use]
    pub const fn with(self, quirk: Quirk) -> Self {
        Self(self.0 | bit(quirk))
    }

    /// The same set without this one.
    #[must_use]
    pub const fn without(self, quirk: Quirk) -> Self {
        Self(self.0 & !bit(quirk))
    }

    /// Reads `lenient` or `strict`, followed by any number of `,+name` and `,-name`. `None` when it is not of this form, or names
    /// no quirk.
    ///
    /// ```
    /// use carillon::scim::quirks::{Quirk, Quirks};
    /// let quirks = Quirks::parse("strict,+booleans_as_strings").expect("a set");
    /// assert!(quirks.allows(Quirk::BooleansAsStrings) && !quirks.allows(Quirk::OwnId));
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(',').map(str::trim);
        let start = match words.next()? {
            "lenient" => Self::LENIENT,
            "strict" => Self::STRICT,
            _ => return None,
        };
        words.try_fold(start, |quirks, word| {
            let (is_added, name) =
                word.strip_prefix('+').map(|name| (true, name)).or(word.strip_prefix('-').map(|name| (false, name)))?;
            let quirk = TABLE.iter().find(|row| row.name == name)?.quirk;
            Some(if is_added { quirks.with(quirk) } else { quirks.without(quirk) })
        })
    }

    /// The names of all quirks, for people.
    pub fn names() -> String {
        TABLE.map(|row| row.name).join(", ")
    }

    fn rewrites(self) -> impl Iterator<Item = Rewrites> {
        TABLE.iter().filter(move |row| self.allows(row.quirk)).map(|row| row.rewrites)
    }
}

const fn bit(quirk: Quirk) -> u16 {
    1 << quirk as u16
}

const fn usual() -> u16 {
    let (mut place, mut set) = (0, 0);
    while place < TABLE.len() {
        if TABLE[place].is_usual {
            set |= bit(TABLE[place].quirk);
        }
        place += 1;
    }
    set
}

impl Default for Quirks {
    fn default() -> Self {
        Self::LENIENT
    }
}

impl fmt::Display for Quirks {
    /// As [`Quirks::parse`] reads it, in the shortest form.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let allowed = TABLE.iter().filter(|row| self.allows(row.quirk)).count();
        let (start, name) = if allowed * 2 > TABLE.len() { (Self::LENIENT, "lenient") } else { (Self::STRICT, "strict") };
        formatter.write_str(name)?;
        for row in TABLE.iter().filter(|row| self.allows(row.quirk) != start.allows(row.quirk)) {
            write!(formatter, ",{}{}", if self.allows(row.quirk) { '+' } else { '-' }, row.name)?;
        }
        Ok(())
    }
}

/// What the body of a POST or PUT means.
pub fn resource<'a>(kind: &ResourceType, body: &'a Value, quirks: Quirks) -> Cow<'a, Value> {
    let mut body = Cow::Borrowed(body);
    for rewrites in quirks.rewrites() {
        if let Some(meant) = rewrites.values.and_then(|meant| values::in_resource(kind, &body, meant)) {
            body = Cow::Owned(meant);
        }
        if let Some(meant) = rewrites.body.and_then(|meant| meant(kind, &body)) {
            body = Cow::Owned(meant);
        }
    }
    body
}

/// What the body of a PATCH means, of the resource with this id.
pub fn patch<'a>(kind: &ResourceType, id: &str, body: &'a Value, quirks: Quirks) -> Cow<'a, Value> {
    if quirks == Quirks::STRICT {
        return Cow::Borrowed(body);
    }
    let is_operations = |(name, _): &(&String, &Value)| name.eq_ignore_ascii_case("Operations");
    let Some((name, Value::Array(written))) = body.as_object().and_then(|message| message.iter().find(is_operations)) else {
        return Cow::Borrowed(body);
    };
    // Too many are refused, whatever they mean.
    let most = limits::PATCH_OPERATIONS;
    if written.len() > most {
        return Cow::Borrowed(body);
    }
    let mut count = 0;
    let meant = written.iter().map(|operation| {
        // Once they mean too many, the rest is left as it is.
        let meant = if count > most { None } else { meant_operations(kind, id, operation, quirks) };
        count += meant.as_ref().map_or(1, Vec::len);
        meant
    });
    let meant: Vec<Option<Vec<Object>>> = meant.collect();
    if meant.iter().all(Option::is_none) {
        return Cow::Borrowed(body);
    }
    let pairs = written.iter().zip(meant);
    let operations = pairs.flat_map(|(written, meant)| match meant {
        Some(meant) => meant.into_iter().map(Value::Object).collect(),
        None => vec![written.clone()],
    });
    let operations = Value::Array(operations.collect());
    let mut message = body.as_object().cloned().unwrap_or_default();
    message.insert(name.clone(), operations);
    Cow::Owned(Value::Object(message))
}

/// An operation, and what it writes to.
struct Operation<'a> {
    written: Cow<'a, Object>,
    /// `None` where its path says nothing that is known.
    target: Option<Target>,
}

impl<'a> Operation<'a> {
    fn new(kind: &ResourceType, written: Cow<'a, Object>) -> Self {
        Self { target: values::target(kind, &written), written }
    }
}

/// What one operation means, when that is not what it says.
fn meant_operations(kind: &ResourceType, id: &str, operation: &Value, quirks: Quirks) -> Option<Vec<Object>> {
    let first = Operation::new(kind, Cow::Borrowed(operation.as_object()?));
    // Most operations mean what they say, and no list is made of them.
    let mut rewrites = quirks.rewrites();
    let mut meant = rewrites.by_ref().find_map(|rewrites| rewritten(kind, id, &first, rewrites))?;
    for rewrites in rewrites {
        let next: Vec<_> = meant.iter().map(|operation| rewritten(kind, id, operation, rewrites)).collect();
        meant = meant.into_iter().zip(next).flat_map(|(now, next)| next.unwrap_or_else(|| vec![now])).collect();
    }
    Some(meant.into_iter().map(|operation| operation.written.into_owned()).collect())
}

fn rewritten(kind: &ResourceType, id: &str, operation: &Operation<'_>, rewrites: Rewrites) -> Option<Vec<Operation<'static>>> {
    let (written, target) = (&*operation.written, operation.target.as_ref());
    if let Some(meant) = target.zip(rewrites.operations).and_then(|(target, meant)| meant(kind, id, written, target)) {
        return Some(meant.into_iter().map(|operation| Operation::new(kind, Cow::Owned(operation))).collect());
    }
    let valued = target.zip(rewrites.values).and_then(|(target, meant)| values::in_operation(kind, written, target, meant));
    let filtered = rewrites.literals.and_then(|meant| literals::in_operation(kind, valued.as_ref().unwrap_or(written), meant));
    // Another path is read anew: before, it may have been none.
    let filtered = filtered.map(|operation| Operation::new(kind, Cow::Owned(operation)));
    let valued = valued.map(|operation| Operation { written: Cow::Owned(operation), target: target.cloned() });
    filtered.or(valued).map(|operation| vec![operation])
}

/// What a filter means.
pub fn filter<'a>(kind: &ResourceType, text: &'a str, quirks: Quirks) -> Cow<'a, str> {
    let mut text = Cow::Borrowed(text);
    for rewrites in quirks.rewrites() {
        if let Some(meant) = rewrites.filter.and_then(|meant| meant(&text)) {
            text = Cow::Owned(meant);
        }
        if let Some(meant) = rewrites.literals.and_then(|meant| literals::in_filter(kind, &text, meant)) {
            text = Cow::Owned(meant);
        }
    }
    text
}

/// The member of an operation by its name, in any case, with the spelling.
fn member<'a>(operation: &'a Object, name: &str) -> Option<(&'a String, &'a Value)> {
    operation.iter().find(|(given, _)| given.eq_ignore_ascii_case(name))
}

/// The same object with another value of a member.
fn replaced(object: &Object, name: &str, value: Value) -> Object {
    let mut object = object.clone();
    object.insert(name.to_owned(), value);
    object
}
