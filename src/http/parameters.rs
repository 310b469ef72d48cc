//! The query of a URI, read once (RFC 7644 §3.4.2, §3.9).
//!
//! It is `application/x-www-form-urlencoded`: a `+` is a space. A literal `+`, as in an e-mail address, is sent as `%2B`.

use super::respond::Failure;
use crate::scim::error::{Error, Result};
use crate::scim::path::shorten;
use crate::scim::search::SearchRequest;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::borrow::Cow;

/// The parameters that are known; others are ignored (7644-3.4.2-03).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) filter: Option<String>,
    pub(super) attributes: Option<String>,
    pub(super) excluded_attributes: Option<String>,
    pub(super) start_index: Option<i64>,
    pub(super) count: Option<i64>,
    pub(super) cursor: Option<String>,
    pub(super) sort_by: Option<String>,
    pub(super) sort_order: Option<String>,
    pub(super) after: Option<String>,
    pub(super) limit: Option<i64>,
    pub(super) format: Option<String>,
    pub(super) wait: Option<i64>,
}

impl Parameters {
    /// Reads a query. A known name that stands twice, a number that is none, and text that is not UTF-8 in percent-encoding are
    /// refused (7644-3.4.2.4-04).
    pub(super) fn parse(query: &str) -> Result<Self> {
        let mut parameters = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            parameters.take(&decode(name)?, decode(value)?)?;
        }
        Ok(parameters)
    }

    fn take(&mut self, name: &str, value: Cow<'_, str>) -> Result<()> {
        match name {
            "filter" => once(name, &mut self.filter, value.into_owned()),
            "attributes" => once(name, &mut self.attributes, value.into_owned()),
            "excludedAttributes" => once(name, &mut self.excluded_attributes, value.into_owned()),
            "startIndex" => once(name, &mut self.start_index, integer(name, &value)?),
            "count" => once(name, &mut self.count, integer(name, &value)?),
            "cursor" => once(name, &mut self.cursor, value.into_owned()),
            "sortBy" => once(name, &mut self.sort_by, value.into_owned()),
            "sortOrder" => once(name, &mut self.sort_order, value.into_owned()),
            "after" => once(name, &mut self.after, value.into_owned()),
            "limit" => once(name, &mut self.limit, integer(name, &value)?),
            "format" => once(name, &mut self.format, value.into_owned()),
            "wait" => once(name, &mut self.wait, integer(name, &value)?),
            _ => Ok(()),
        }
    }
}

impl From<Parameters> for SearchRequest {
    fn from(parameters: Parameters) -> Self {
        Self {
            filter: parameters.filter,
            attributes: parameters.attributes,
            excluded_attributes: parameters.excluded_attributes,
            sort_by: parameters.sort_by,
            sort_order: parameters.sort_order,
            start_index: parameters.start_index,
            count: parameters.count,
            cursor: parameters.cursor,
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Failure> {
        Ok(Self::parse(parts.uri.query().unwrap_or_default())?)
    }
}

/// Whether a query has a filter. Nothing else in it is looked at.
pub(super) fn has_filter(query: &str) -> bool {
    let mut names = query.split('&').filter_map(|pair| decode(pair.split('=').next()?).ok());
    names.any(|name| name == "filter")
}

fn once<T>(name: &str, slot: &mut Option<T>, value: T) -> Result<()> {
    match slot.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::invalid_value(format!("The parameter {name} stands twice in the query."))),
    }
}

/// An integer of any length; one that no number of ours can hold is as good as the largest.
fn integer(name: &str, value: &str) -> Result<i64> {
    let digits = value.strip_prefix('-').unwrap_or(value);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Error::invalid_value(format!("{name} must be an integer, not '{}'.", shorten(value))));
    }
    Ok(value.parse().unwrap_or(if value.starts_with('-') { i64::MIN } else { i64::MAX }))
}

fn decode(text: &str) -> Result<Cow<'_, str>> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Ok(Cow::Borrowed(text));
    }
    let malformed = || Error::invalid_syntax(format!("The query's '{}' is not UTF-8 in percent-encoding.", shorten(text)));
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16)).ok_or_else(malformed);
                let value = digit()? * 16 + digit()?;
                u8::try_from(value).map_err(|_| malformed())?
            }
            other => other,
        });
    }
    String::from_utf8(decoded).map(Cow::Owned).map_err(|_| malformed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::error::ErrorKind;

    /// 7644-3.4.2-03
    #[test]
    fn known_parameters_are_read_and_others_ignored() {
        let read = Parameters::parse("filter=userName+eq+%22a%2Bb%40%C3%BC%22&count=5&x=1&x=2&&attributes=");
        let expected = Parameters {
            filter: Some("userName eq \"a+b@ü\"".into()),
            count: Some(5),
            attributes: Some(String::new()),
            ..Parameters::default()
        };
        assert_eq!(read, Ok(expected));
    }

    /// 7644-3.4.2.4-01 7644-3.4.2.4-02
    #[test]
    fn huge_integers_saturate() {
        let read = Parameters::parse("startIndex=99999999999999999999999&count=-99999999999999999999999").expect("integers");
        assert_eq!((read.start_index, read.count), (Some(i64::MAX), Some(i64::MIN)));
    }

    /// 7644-3.4.2.4-04
    #[test]
    fn what_is_refused_names_the_parameter() {
        for (query, detail) in [
            ("count=ten", "count must be an integer, not 'ten'."),
            ("startIndex=NaN", "startIndex must be an integer, not 'NaN'."),
            ("startIndex=", "startIndex must be an integer, not ''."),
            ("startIndex=1.5", "startIndex must be an integer, not '1.5'."),
            ("count=-", "count must be an integer, not '-'."),
            ("count=1&count=1", "The parameter count stands twice in the query."),
            ("filter=a&filter=b", "The parameter filter stands twice in the query."),
        ] {
            assert_eq!(Parameters::parse(query), Err(Error::invalid_value(detail)), "{query}");
        }
        for query in ["filter=%", "filter=%4", "filter=%zz", "filter=%ff%fe", "%=1", "x=%+1"] {
            assert_eq!(Parameters::parse(query).expect_err(query).kind, ErrorKind::InvalidSyntax, "{query}");
        }
    }
}
