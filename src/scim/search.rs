//! What a list, a search and the root query ask for (RFC 7644 §3.4.2, §3.4.3; RFC 9865 §2).

use super::error::{Error, Result};
use super::message::{SEARCH_REQUEST, check_urn};
use super::path::shorten;
use serde_json::Value;

/// The parameters of a query, or the members of a `SearchRequest`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SearchRequest {
    /// The filter as written.
    pub filter: Option<String>,
    /// The attributes that alone are returned, separated by commas.
    pub attributes: Option<String>,
    /// The attributes that are not returned, separated by commas.
    pub excluded_attributes: Option<String>,
    /// The attribute that decides the order.
    pub sort_by: Option<String>,
    /// `ascending` or `descending`.
    pub sort_order: Option<String>,
    /// 1-based index of the first result; less than 1 is 1.
    pub start_index: Option<i64>,
    /// Most results; less than 0 is 0.
    pub count: Option<i64>,
    /// A cursor; an empty one asks for the first page of a walk.
    pub cursor: Option<String>,
}

impl SearchRequest {
    /// Reads the body of a POST to `.search`. Names have no case, `null` is not given, and other members are ignored. A missing or
    /// wrong message URN is `invalidSyntax` (7644-3.4.3-02), a member of another type `invalidValue`, and the detail names it.
    pub fn parse(message: &Value) -> Result<Self> {
        let malformed = || Error::invalid_syntax("The body must be a JSON object: a SearchRequest.");
        let mut request = Self::default();
        let (mut schemas, mut seen) = (None, Vec::new());
        for (name, value) in message.as_object().ok_or_else(malformed)?.iter().filter(|(_, value)| !value.is_null()) {
            let lower = name.to_ascii_lowercase();
            match lower.as_str() {
                "schemas" => schemas = Some(value),
                "filter" => request.filter = Some(text(name, value)?),
                "attributes" => request.attributes = Some(names(name, value)?),
                "excludedattributes" => request.excluded_attributes = Some(names(name, value)?),
                "sortby" => request.sort_by = Some(text(name, value)?),
                "sortorder" => request.sort_order = Some(text(name, value)?),
                "startindex" => request.start_index = Some(integer(name, value)?),
                "count" => request.count = Some(integer(name, value)?),
                "cursor" => request.cursor = Some(text(name, value)?),
                _ => continue,
            }
            if seen.contains(&lower) {
                return Err(Error::invalid_syntax(format!("'{}' stands twice in the SearchRequest.", shorten(name))));
            }
            seen.push(lower);
        }
        check_urn(schemas, SEARCH_REQUEST)?;
        Ok(request)
    }
}

fn text(name: &str, value: &Value) -> Result<String> {
    value.as_str().map(str::to_owned).ok_or_else(|| Error::invalid_value(format!("'{name}' must be a string.")))
}

/// The names of an array (7644-3.4.3-01), as the query of a URI would list them.
fn names(name: &str, value: &Value) -> Result<String> {
    let malformed = || Error::invalid_value(format!("'{name}' must be an array of attribute names."));
    let names = value.as_array().ok_or_else(malformed)?.iter().map(Value::as_str);
    Ok(names.collect::<Option<Vec<_>>>().ok_or_else(malformed)?.join(","))
}

/// An integer of any length; one that no number of ours can hold is as good as the largest.
fn integer(name: &str, value: &Value) -> Result<i64> {
    /// 2⁶³: from here on a number is read as a float, which is whole.
    const HUGE: f64 = 9_223_372_036_854_775_808.0;
    let huge = || value.as_f64().filter(|number| number.abs() >= HUGE);
    let saturated = || huge().map(|number| if number > 0.0 { i64::MAX } else { i64::MIN });
    value.as_i64().or_else(saturated).ok_or_else(|| Error::invalid_value(format!("'{name}' must be an integer.")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// 7644-3.4.3-01 9865-3-01
    #[test]
    fn members_are_read_in_any_case_and_others_ignored() {
        let message = json!({"Schemas": [SEARCH_REQUEST], "FILTER": "title pr", "attributes": ["userName", "name.givenName"],
            "sortBy": "userName", "sortOrder": "descending", "startIndex": 3, "count": 18_446_744_073_709_551_615_u64,
            "cursor": "", "excludedAttributes": null, "colour": {"red": 1}});
        let expected = SearchRequest {
            filter: Some("title pr".into()),
            attributes: Some("userName,name.givenName".into()),
            sort_by: Some("userName".into()),
            sort_order: Some("descending".into()),
            start_index: Some(3),
            count: Some(i64::MAX),
            cursor: Some(String::new()),
            excluded_attributes: None,
        };
        assert_eq!(SearchRequest::parse(&message), Ok(expected));
    }

    /// 7644-3.4.3-02
    #[test]
    fn a_body_that_is_no_search_request_is_refused() {
        let syntax = [
            json!([]),
            json!({}),
            json!({"filter": "title pr"}),
            json!({"schemas": SEARCH_REQUEST}),
            json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"]}),
            json!({"schemas": [SEARCH_REQUEST], "count": 1, "COUNT": 2}),
        ];
        for message in syntax {
            let error = SearchRequest::parse(&message).expect_err("refused");
            assert_eq!(error.kind, crate::scim::error::ErrorKind::InvalidSyntax, "{message}");
        }
    }

    #[test]
    fn integers_of_any_length_saturate() {
        let huge = r#"{"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
            "startIndex": -42833311078812591299638104147724599296, "count": 3302687674766575766863872}"#;
        let request = SearchRequest::parse(&serde_json::from_str(huge).expect("JSON")).expect("a request");
        assert_eq!((request.start_index, request.count), (Some(i64::MIN), Some(i64::MAX)));
    }

    /// 7644-3.4.3-01 7644-3.4.2.4-04
    #[test]
    fn a_member_of_another_type_is_refused_by_name() {
        for (name, value, detail) in [
            ("attributes", json!("userName,emails"), "'attributes' must be an array of attribute names."),
            ("excludedAttributes", json!([1]), "'excludedAttributes' must be an array of attribute names."),
            ("count", json!("10"), "'count' must be an integer."),
            ("startIndex", json!(1.5), "'startIndex' must be an integer."),
            ("filter", json!(true), "'filter' must be a string."),
            ("cursor", json!(1), "'cursor' must be a string."),
            ("sortBy", json!(["userName"]), "'sortBy' must be a string."),
        ] {
            let message = json!({"schemas": [SEARCH_REQUEST], name: value});
            assert_eq!(SearchRequest::parse(&message), Err(Error::invalid_value(detail)));
        }
    }
}
