//! The protocol's messages as JSON (RFC 7644 §3.4.2, §3.12, §8).

use super::error::{Error, Result};
use serde_json::{Value, json};
use std::convert::Infallible;

/// URN of a list response (§3.4.2).
pub const LIST_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";
/// URN of a search request (§3.4.3).
pub const SEARCH_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
/// URN of a PATCH request (§3.5.2).
pub const PATCH_OP: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// URN of a bulk request (§3.7).
pub const BULK_REQUEST: &str = "urn:ietf:params:scim:api:messages:2.0:BulkRequest";
/// URN of a bulk response (§3.7).
pub const BULK_RESPONSE: &str = "urn:ietf:params:scim:api:messages:2.0:BulkResponse";
/// URN of an error (§3.12).
pub const ERROR: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// Refuses a request whose `schemas` do not name its message, with the URN in any case (§3.1).
pub(super) fn check_urn(schemas: Option<&Value>, urn: &str) -> Result<()> {
    let is_named = |given: &Value| given.as_str().is_some_and(|given| given.eq_ignore_ascii_case(urn));
    if schemas.and_then(Value::as_array).is_some_and(|schemas| schemas.iter().any(is_named)) {
        return Ok(());
    }
    Err(Error::invalid_syntax(format!("'schemas' must be an array that contains '{urn}'.")))
}

/// The body of an error (§3.12): the HTTP status as a string, the `scimType` where one is defined, and the detail.
pub fn error_body(status: u16, scim_type: Option<&str>, detail: &str) -> Value {
    let mut body = json!({"schemas": [ERROR], "status": status.to_string()});
    if let Some(scim_type) = scim_type {
        body["scimType"] = scim_type.into();
    }
    body["detail"] = detail.into();
    body
}

/// Where a page is among all results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Paging {
    /// It begins with the result of this index, from 1 (§3.4.2.4).
    Index(u64),
    /// It is a page of a walk, and this is the cursor of the next one; `None` on the last (RFC 9865 §2). It has no index.
    Cursor(Option<String>),
}

/// A list response whose page begins with this index.
pub fn list_response(total: u64, start_index: u64, resources: &[Vec<u8>]) -> Vec<u8> {
    let bytes = resources.iter().map(|resource| resource.len() + 1).sum();
    let copied = page_response(total, &Paging::Index(start_index), bytes, resources, |resource, body| {
        body.extend_from_slice(resource);
        Ok::<_, Infallible>(())
    });
    copied.unwrap_or_else(|never| match never {})
}

/// A list response (§3.4.2) of so many resources, each of which `write` adds as JSON. `bytes` is about how long they are together.
/// `Resources` is there even when it is empty: some clients fail without it.
pub fn page_response<'a, T, E>(
    total: u64,
    paging: &Paging,
    bytes: usize,
    resources: &'a [T],
    mut write: impl FnMut(&'a T, &mut Vec<u8>) -> Result<(), E>,
) -> Result<Vec<u8>, E> {
    let count = resources.len();
    let place = match paging {
        Paging::Index(start_index) => format!(r#""startIndex":{start_index},"#),
        // A cursor is made of unreserved characters.
        Paging::Cursor(Some(cursor)) => format!(r#""nextCursor":"{cursor}","#),
        Paging::Cursor(None) => String::new(),
    };
    let head = format!(r#"{{"schemas":["{LIST_RESPONSE}"],"totalResults":{total},"itemsPerPage":{count},{place}"Resources":["#);
    let mut body = Vec::with_capacity(head.len() + bytes + 2);
    body.extend_from_slice(head.as_bytes());
    for (index, resource) in resources.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        write(resource, &mut body)?;
    }
    body.extend_from_slice(b"]}");
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 7644-3.2-02
    #[test]
    fn an_error_has_its_status_as_a_string() {
        let body = error_body(400, Some("invalidValue"), "Attribute 'userName' is required.");
        let expected = json!({"schemas": [ERROR], "status": "400", "scimType": "invalidValue",
            "detail": "Attribute 'userName' is required."});
        assert_eq!(body, expected);
        assert_eq!(error_body(404, None, "x"), json!({"schemas": [ERROR], "status": "404", "detail": "x"}));
    }

    /// 7644-3.4.2-01 7644-3.4.2-02
    #[test]
    fn a_list_joins_what_is_rendered_already() {
        let body: Value = serde_json::from_slice(&list_response(7, 3, &[b"{\"a\":1}".to_vec(), b"{}".to_vec()])).expect("JSON");
        let expected = json!({"schemas": [LIST_RESPONSE], "totalResults": 7, "itemsPerPage": 2, "startIndex": 3,
            "Resources": [{"a": 1}, {}]});
        assert_eq!(body, expected);
        let body: Value = serde_json::from_slice(&list_response(0, 1, &[])).expect("JSON");
        let expected = json!({"schemas": [LIST_RESPONSE], "totalResults": 0, "itemsPerPage": 0, "startIndex": 1, "Resources": []});
        assert_eq!(body, expected);
    }

    /// 9865-2-03 9865-2-06
    #[test]
    fn a_page_of_a_walk_has_a_cursor_and_no_index() {
        let page = |cursor: Option<&str>| -> Value {
            let paging = Paging::Cursor(cursor.map(str::to_owned));
            let write = |resource: &&[u8], body: &mut Vec<u8>| {
                body.extend_from_slice(resource);
                Ok::<_, Infallible>(())
            };
            let body = page_response(7, &paging, 2, &[&b"{}"[..]], write).expect("infallible");
            serde_json::from_slice(&body).expect("JSON")
        };
        let mut expected = json!({"schemas": [LIST_RESPONSE], "totalResults": 7, "itemsPerPage": 1, "Resources": [{}]});
        assert_eq!(page(None), expected);
        expected["nextCursor"] = "a-_".into();
        assert_eq!(page(Some("a-_")), expected);
    }
}
