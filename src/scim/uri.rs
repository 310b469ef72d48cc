//! URI references (RFC 3986): what is one, and the form in which two are compared (RFC 7643 §2.3.7, §2.4 `$ref`).

use std::borrow::Cow;
use url::Url;

/// Whether a text is an absolute or relative URI: nothing but the characters of RFC 3986 §2, a host and a port that can be, and
/// not empty. An IRI is none: its other characters must be percent-encoded.
pub fn is_reference(text: &str) -> bool {
    !text.is_empty() && has_uri_characters(text) && is_parsed(text)
}

fn is_parsed(text: &str) -> bool {
    match Url::parse(text) {
        Ok(_) => true,
        Err(url::ParseError::RelativeUrlWithoutBase) => {
            // What a relative one is resolved against is known where it is read; here any base will do. A first segment with a
            // colon would be a scheme (§4.2), and this one is not well formed.
            let first = text.split(['/', '?', '#']).next().unwrap_or_default();
            let base = Url::parse("https://base.invalid/scim/v2/");
            !first.contains(':') && base.is_ok_and(|base| base.join(text).is_ok())
        }
        Err(_) => false,
    }
}

/// RFC 3986 §2 and Appendix A: allowed characters, whole percent-encodings, one fragment, brackets around an address only.
fn has_uri_characters(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_hex = |index: usize| bytes.get(index).is_some_and(u8::is_ascii_hexdigit);
    let authority = authority_of(text);
    let (mut fragments, mut index) = (0, 0);
    while let Some(byte) = bytes.get(index) {
        let is_allowed = match byte {
            b'%' => is_hex(index + 1) && is_hex(index + 2),
            b'[' | b']' => authority.contains(&index),
            b'#' => {
                fragments += 1;
                fragments == 1
            }
            byte => byte.is_ascii_alphanumeric() || b"-._~:/?@!$&'()*+,;=".contains(byte),
        };
        if !is_allowed {
            return false;
        }
        index += 1;
    }
    true
}

/// Where the authority stands: behind `//`, at the start or behind a scheme.
fn authority_of(text: &str) -> std::ops::Range<usize> {
    let start = match text.find("//") {
        Some(0) => 2,
        Some(at) if is_scheme(&text[..at]) => at + 2,
        _ => return 0..0,
    };
    let length = text[start..].find(['/', '?', '#']).unwrap_or(text.len() - start);
    start..start + length
}

fn is_scheme(text: &str) -> bool {
    let Some(name) = text.strip_suffix(':') else { return false };
    name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.chars().all(|character| character.is_ascii_alphanumeric() || matches!(character, '+' | '-' | '.'))
}

/// The form in which a reference is compared: scheme and host in lower case (RFC 3986 §6.2.2.1). Of a reference to a SCIM resource
/// also without the version of the API: `https://example.com/v2/Users/1` names what `https://example.com/Users/1` names
/// (7643-2.4-05). Both keep beginnings and endings, so that `sw` and `ew` still find what they name.
pub fn comparable(text: &str, is_resource: bool) -> Cow<'_, str> {
    let authority = authority_of(text).end;
    let lower = if text[..authority].bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(format!("{}{}", text[..authority].to_ascii_lowercase(), &text[authority..]))
    } else {
        Cow::Borrowed(text)
    };
    if is_resource && has_version(&lower) { Cow::Owned(without_version(&lower)) } else { lower }
}

fn has_version(text: &str) -> bool {
    text.rsplit('/').skip(1).any(is_version)
}

/// Without the segments that name a version; the last one is an id, whatever it looks like.
fn without_version(text: &str) -> String {
    let last = text.rfind('/').map_or(0, |slash| slash + 1);
    let mut kept: Vec<&str> = text[..last].split('/').filter(|segment| !is_version(segment)).collect();
    kept.pop();
    let mut shorter = kept.join("/");
    if !kept.is_empty() {
        shorter.push('/');
    }
    shorter + &text[last..]
}

/// `v2`
fn is_version(segment: &str) -> bool {
    segment
        .strip_prefix(['v', 'V'])
        .is_some_and(|number| !number.is_empty() && number.len() <= 3 && number.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 7643-2.3.7-01
    #[test]
    fn absolute_and_relative_uris_are_references_and_nothing_else_is() {
        for text in [
            "https://example.com/v2/Users/2819c223-7f76-453a-919d-413861904646",
            "Users/2819c223",
            "/Users/1?a=b#c",
            "../Groups/1",
            "?x",
            "#x",
            "//example.com/x",
            "urn:ietf:params:scim:schemas:core:2.0:User",
            "mailto:ann@example.com",
            "https://[2001:db8::1]:8443/x",
            "https://example.com/a%20b",
            "data:image/png;base64,iVBORw0KGgo=",
        ] {
            assert!(is_reference(text), "{text}");
        }
        for text in [
            "",
            " ",
            "a b",
            "https://example.com/a b",
            "https://example.com/\u{7}",
            "https://example.com/\n",
            "https://example.com/é",
            "https://",
            "https://example.com:port/",
            "https://example.com/%zz",
            "https://example.com/%4",
            "C:\\pictures\\ann.png",
            "<https://example.com>",
            "https://example.com/[1]",
            "https://[::1/x",
            "a#b#c",
            "1:x",
        ] {
            assert!(!is_reference(text), "{text}");
        }
    }

    /// 7643-2.4-05
    #[test]
    fn references_to_resources_compare_without_the_version_of_the_api() {
        let same = |left: &str, right: &str| comparable(left, true) == comparable(right, true);
        assert!(same("https://example.com/v2/Users/12345", "https://example.com/Users/12345"));
        assert!(same("https://example.com/scim/v1/Users/12345", "HTTPS://EXAMPLE.com/scim/v2/Users/12345"));
        assert!(same("/v2/Users/1", "/Users/1") && same("v2/Users/1", "Users/1"));
        assert!(!same("https://example.com/v2/Users/1", "https://example.com/v2/Users/2"));
        assert!(!same("https://example.com/v2/Users/1", "https://example.com/v2/Groups/1"));
        assert!(!same("https://example.com/Users/v1", "https://example.com/Users/v2"));
        assert!(!same("https://example.com/vx/Users/1", "https://example.com/Users/1"));
        assert!(!same("https://example.com/Users/A", "https://example.com/Users/a"));
        assert_eq!(comparable("https://example.com/v2/photo.png", false), "https://example.com/v2/photo.png");
        assert_eq!(comparable("HTTP://Example.COM/Ann", false), "http://example.com/Ann");
        assert_eq!(comparable("Users/A", true), "Users/A");
    }
}
