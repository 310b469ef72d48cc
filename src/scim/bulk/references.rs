//! References to what the same request creates (RFC 7644 §3.7.2): `"bulkId:qwerty"` wherever a value can be.

use super::Method;
use super::path::REFERENCE;
use serde_json::Value;

/// A reference to a `bulkId` that no POST of the request has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unknown;

/// Gives the id of a `bulkId`, or nothing when the reference is to stay for now.
type Change<'a> = dyn FnMut(&str) -> Result<Option<String>, Unknown> + 'a;

/// Goes through every reference in a value, and puts in its place what `change` gives. Fails with the place of one that is unknown;
/// the place and not the value, which may be a secret.
///
/// A reference is a string that is `bulkId:…` as a whole, a URI that ends so (a `$ref`), and in a PATCH a string of a path's filter,
/// `members[value eq "bulkId:…"]`.
pub(super) fn each(value: &mut Value, name: &str, method: Method, change: &mut Change<'_>) -> Result<(), String> {
    match value {
        Value::String(string) if string.contains(REFERENCE) => in_text(string, name, method, change).map_err(|Unknown| name.into()),
        Value::Array(values) => values.iter_mut().enumerate().try_for_each(|(index, value)| {
            each(value, name, method, change)
                .map_err(|place| format!("{name}[{index}]{}", place.strip_prefix(name).unwrap_or_default()))
        }),
        Value::Object(members) => members
            .iter_mut()
            .try_for_each(|(member, value)| each(value, member, method, change).map_err(|place| format!("{name}.{place}"))),
        _ => Ok(()),
    }
}

fn in_text(text: &mut String, name: &str, method: Method, change: &mut Change<'_>) -> Result<(), Unknown> {
    if let Some(bulk_id) = text.strip_prefix(REFERENCE) {
        if let Some(id) = change(bulk_id)? {
            *text = id;
        }
        return Ok(());
    }
    if method == Method::Patch && name.eq_ignore_ascii_case("path") {
        return in_path(text, change);
    }
    let Some(start) = text.rfind(REFERENCE).filter(|start| text[..*start].ends_with('/')) else { return Ok(()) };
    match change(&text[start + REFERENCE.len()..]) {
        Ok(Some(id)) => text.replace_range(start.., &id),
        Err(Unknown) if name.eq_ignore_ascii_case("$ref") => return Err(Unknown),
        // What is unknown elsewhere is a text that happens to look so.
        Ok(None) | Err(Unknown) => {}
    }
    Ok(())
}

/// The string literals of a filter are JSON strings (RFC 7644 §3.4.2.2). A path may be as long as the body: it is written anew once.
fn in_path(text: &mut String, change: &mut Change<'_>) -> Result<(), Unknown> {
    let (mut written, mut copied, mut from) = (String::new(), 0, 0);
    while let Some(start) = text[from..].find('"').map(|at| from + at) {
        let mut literals = serde_json::Deserializer::from_str(&text[start..]).into_iter::<String>();
        let Some(Ok(literal)) = literals.next() else { break };
        let end = start + literals.byte_offset();
        if let Some(id) = literal.strip_prefix(REFERENCE).map(&mut *change).transpose()?.flatten() {
            written.push_str(&text[copied..start]);
            written.push_str(&Value::String(id).to_string());
            copied = end;
        }
        from = end;
    }
    if copied > 0 {
        written.push_str(&text[copied..]);
        *text = written;
    }
    Ok(())
}
