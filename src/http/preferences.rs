//! What a client would like (RFC 7240): a wish, never a condition.

use super::directives::elements;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use std::convert::Infallible;

const PREFER: HeaderName = HeaderName::from_static("prefer");

/// The preferences that are honoured. Any other is passed over in silence, `respond-async` included: nothing is done later yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Preferences {
    /// `return`: how much the answer to a write holds.
    pub(super) returns: Option<Return>,
}

/// RFC 7240 §4.2
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Return {
    /// Only what the client cannot know.
    Minimal,
    /// The resource.
    Representation,
}

impl Return {
    /// What `Preference-Applied` says of it.
    pub(super) fn applied(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Minimal => "return=minimal",
            Self::Representation => "return=representation",
        })
    }
}

impl Preferences {
    /// Several lines are one list, the first of a name counts, whatever its case, and what is malformed does not (7240-2-01).
    fn read(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(PREFER).iter().filter_map(|line| line.to_str().ok());
        let first = lines.flat_map(elements).flatten().find_map(|pairs| {
            let (name, value) = pairs.into_iter().next()?;
            name.eq_ignore_ascii_case("return").then_some(value)
        });
        let returns = match first.as_deref() {
            Some("minimal") => Some(Return::Minimal),
            Some("representation") => Some(Return::Representation),
            _ => None,
        };
        Self { returns }
    }
}

impl<S: Sync> FromRequestParts<S> for Preferences {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self::read(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn returns(lines: &[&str]) -> Option<Return> {
        let line = |line: &&str| (PREFER, HeaderValue::from_bytes(line.as_bytes()).expect("a header"));
        Preferences::read(&lines.iter().map(line).collect()).returns
    }

    /// 7240-2-01
    #[test]
    fn the_first_of_a_name_counts_over_all_lines() {
        use Return::{Minimal, Representation};
        for (lines, expected) in [
            (&["return=minimal"][..], Some(Minimal)),
            (&["RETURN = \"minimal\"; because=\"of, size\""], Some(Minimal)),
            (&["respond-async, wait=10", "handling=strict,return=representation"], Some(Representation)),
            (&["return=minimal, return=representation", "return=representation"], Some(Minimal)),
            (&["return=representation", "return=minimal"], Some(Representation)),
            (&["return=else, return=minimal"], None),
        ] {
            assert_eq!(returns(lines), expected, "{lines:?}");
        }
    }

    /// 7240-2-01
    #[test]
    fn what_is_unknown_or_malformed_is_ignored() {
        for line in
            ["", ",", "return", "return=", "return=MINIMAL", "return=\"minimal", "x; return=minimal", "retürn=minimal", "a b"]
        {
            assert_eq!(returns(&[line]), None, "{line}");
        }
        assert_eq!(returns(&["a b, =, return=minimal"]), Some(Return::Minimal));
    }
}
