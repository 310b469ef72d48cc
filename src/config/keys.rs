//! The static keys: those without a name, and the tables `[[auth.keys]]` of the file.

use super::reader::Reader;
use super::table::in_file;
use crate::auth::{API_KEY_PRINCIPAL, Credential, Scope, Scopes, is_principal};
use crate::base::limits;
use crate::base::secret::Secret;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Flags first, else the variable, else the file it names.
pub(super) fn api_keys(reader: &mut Reader, flags: &[Secret]) -> Vec<Secret> {
    let written = reader.list("API_KEY");
    let (source, keys) = match place(reader, "API_KEY", !written.is_empty()) {
        _ if !flags.is_empty() => ("--bearer-token", flags.to_vec()),
        Some((file, path)) => (file, read_file(reader, file, &path).into_iter().collect()),
        None => ("API_KEY", written.into_iter().map(Secret::new).collect()),
    };
    for key in &keys {
        check(reader, source, key);
    }
    keys
}

/// The value of a secret setting, or what is in the file that its twin names.
pub(super) fn secret(reader: &mut Reader, variable: &'static str) -> Option<Secret> {
    let written = reader.parsed(variable, "a text", |text| Some(Secret::new(text)));
    match place(reader, variable, written.is_some()) {
        Some((file, path)) => read_file(reader, file, &path),
        None => written,
    }
}

/// The setting that names the file of a secret, and what it says, where it counts. That both are set is a problem.
fn place(reader: &mut Reader, variable: &str, is_written: bool) -> Option<(&'static str, String)> {
    let file = in_file(variable)?;
    let path = reader.parsed(file, "a path", |text| Some(text.to_owned()))?;
    if is_written {
        reader.problem(format!("{variable} and {file} are both set: expected one of them"));
        return None;
    }
    Some((file, path))
}

/// The tables `[[auth.keys]]`: `name`, one of `key` and `key_file`, `user_name` if it has a `/Me`, and `scopes` if it may not do
/// everything. Two tables of one name are one principal with two keys.
pub(super) fn named_keys(reader: &mut Reader) -> Vec<Credential> {
    let tables = match reader.value("auth.keys") {
        None => return Vec::new(),
        Some(Value::Array(tables)) => tables,
        Some(_) => {
            reader.problem("auth.keys: expected tables, [[auth.keys]]".into());
            return Vec::new();
        }
    };
    let mut credentials: Vec<Credential> = Vec::new();
    for (number, table) in (1..).zip(tables) {
        let at = format!("auth.keys ({number})");
        match table {
            Value::Object(table) => credentials.extend(named_key(reader, &at, &table)),
            _ => reader.problem(format!("{at}: expected a table")),
        }
    }
    check_together(reader, &credentials);
    credentials
}

fn named_key(reader: &mut Reader, at: &str, table: &Map<String, Value>) -> Option<Credential> {
    let known = ["name", "key", "key_file", "user_name"];
    for unknown in table.keys().filter(|name| !known.contains(&name.as_str()) && *name != "scopes") {
        reader.problem(format!("{at}: {} is not a setting", crate::scim::path::shorten(unknown)));
    }
    let mut texts = BTreeMap::new();
    for name in known {
        match table.get(name) {
            Some(Value::String(text)) if !text.is_empty() => {
                texts.insert(name, text.as_str());
            }
            Some(_) => reader.problem(format!("{at}: {name}: expected a text")),
            None => {}
        }
    }
    let scopes = scopes(reader, at, table.get("scopes"));
    let principal = texts.get("name").filter(|name| is_principal(name) && **name != API_KEY_PRINCIPAL);
    if principal.is_none() {
        let most = limits::PRINCIPAL_BYTES;
        let expected = format!("letters, digits, '.', '_' and '-', at most {most} of them, and not '{API_KEY_PRINCIPAL}'");
        reader.problem(format!("{at}: name: expected {expected}"));
    }
    let key = match (texts.get("key"), texts.get("key_file")) {
        (Some(key), None) => Some(Secret::new(*key)),
        (None, Some(path)) => read_file(reader, &format!("{at}: key_file"), path),
        _ => {
            reader.problem(format!("{at}: expected one of key and key_file"));
            None
        }
    };
    let key = key.inspect(|key| check(reader, at, key))?;
    let user_name = texts.get("user_name").map(|name| Secret::new(*name));
    Some(Credential { principal: (*principal?).to_owned(), key, user_name, scopes: scopes? })
}

/// What a key allows: everything when nothing is said.
fn scopes(reader: &mut Reader, at: &str, value: Option<&Value>) -> Option<Scopes> {
    let expected = || Scope::ALL.map(Scope::name).join(", ");
    let Some(value) = value else { return Some(Scopes::default()) };
    let named = value.as_array().filter(|named| !named.is_empty() && named.iter().all(Value::is_string));
    let Some(named) = named else {
        reader.problem(format!("{at}: scopes: expected a list of texts, at least one of {}", expected()));
        return None;
    };
    let listed: Vec<&str> = named.iter().filter_map(Value::as_str).collect();
    for unknown in listed.iter().filter(|name| Scope::of(name).is_none()) {
        reader.problem(format!("{at}: scopes: expected {}, found '{}'", expected(), crate::scim::path::shorten(unknown)));
    }
    listed.into_iter().map(Scope::of).collect()
}

/// A key stands for one principal, and a principal for one user.
fn check_together(reader: &mut Reader, credentials: &[Credential]) {
    let (mut keys, mut users) = (BTreeSet::new(), BTreeMap::new());
    for Credential { principal, key, user_name, .. } in credentials {
        if !keys.insert(key.expose()) {
            reader.problem(format!("auth.keys: {principal} has a key that stands there twice"));
        }
        if users.insert(principal, user_name).is_some_and(|other| other != user_name) {
            reader.problem(format!("auth.keys: the keys of {principal} differ in user_name"));
        }
    }
}

/// What a file holds, without white space around it.
pub(super) fn read_file(reader: &mut Reader, source: &str, path: &str) -> Option<Secret> {
    match std::fs::read_to_string(path) {
        Ok(text) if text.trim().is_empty() => {
            reader.problem(format!("{source}: expected a file that is not empty"));
            None
        }
        Ok(text) => Some(Secret::new(text.trim())),
        Err(error) => {
            reader.problem(format!("{source}: expected a file that can be read: {error}"));
            None
        }
    }
}

/// What a header can hold.
fn check(reader: &mut Reader, source: &str, key: &Secret) {
    let is_header_safe = !key.expose().is_empty() && key.expose().bytes().all(|byte| byte.is_ascii_graphic());
    if !is_header_safe {
        reader.problem(format!("{source}: expected a key of printable ASCII characters without spaces"));
    }
}
