//! Lists of `name=value` pairs: what `Prefer` (RFC 7240 §2) and `Forwarded` (RFC 7239 §4) are made of.

use std::borrow::Cow;

/// The pairs of one element, names as written, values without their quotes; a name alone has the empty value (RFC 7240 §2).
pub(super) type Pairs<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// The elements of one line, separated by commas; `None` for one that is malformed.
pub(super) fn elements(line: &str) -> impl Iterator<Item = Option<Pairs<'_>>> {
    split(line, ',').filter(|element| !element.trim().is_empty()).map(pairs)
}

fn pairs(element: &str) -> Option<Pairs<'_>> {
    split(element, ';').map(str::trim).filter(|pair| !pair.is_empty()).map(pair).collect()
}

fn pair(text: &str) -> Option<(&str, Cow<'_, str>)> {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    let name = name.trim_end();
    let is_token = !name.is_empty() && name.bytes().all(is_token_byte);
    is_token.then_some(name).zip(unquoted(value.trim_start()))
}

/// RFC 9110 §5.6.2
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A bare value may hold more than a token may: proxies send ports and IPv6 addresses without the quotes they need.
fn unquoted(value: &str) -> Option<Cow<'_, str>> {
    let Some(inside) = value.strip_prefix('"') else {
        let is_bare = value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"');
        return is_bare.then_some(Cow::Borrowed(value));
    };
    let inside = inside.strip_suffix('"')?;
    if !inside.contains(['\\', '"']) {
        return Some(Cow::Borrowed(inside));
    }
    let mut plain = String::with_capacity(inside.len());
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.push(characters.next()?),
            '"' => return None,
            other => plain.push(other),
        }
    }
    Some(Cow::Owned(plain))
}

/// Splits at a separator that stands in no quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    text.split(move |character| {
        if is_escaped {
            is_escaped = false;
        } else if is_quoted && character == '\\' {
            is_escaped = true;
        } else if character == '"' {
            is_quoted = !is_quoted;
        } else {
            return !is_quoted && character == separator;
        }
        false
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Vec<Option<Vec<(String, String)>>> {
        let owned = |pairs: Pairs<'_>| pairs.into_iter().map(|(name, value)| (name.to_owned(), value.into_owned())).collect();
        elements(line).map(|element| element.map(owned)).collect()
    }

    fn element(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn elements_pairs_and_quotes_are_read() {
        assert_eq!(read("a"), [Some(element(&[("a", "")]))]);
        assert_eq!(
            read("a = b ; c=\"d, e;\" , ,f=\"g\\\"h\""),
            [Some(element(&[("a", "b"), ("c", "d, e;")])), Some(element(&[("f", "g\"h")]))]
        );
        assert_eq!(read("for=\"[2001:db8::1]:80\";host=h:1"), [Some(element(&[("for", "[2001:db8::1]:80"), ("host", "h:1")]))]);
        assert_eq!(read(""), []);
    }

    #[test]
    fn what_is_malformed_is_told() {
        for line in ["a b", "=b", "a=\"b", "a=\"b\\\"", "a=\"b\"c", "a=b\"", "ü", "a=b c", "a=\""] {
            assert_eq!(read(line), [None], "{line}");
        }
        assert_eq!(read("a b, c"), [None, Some(element(&[("c", "")]))]);
    }
}
