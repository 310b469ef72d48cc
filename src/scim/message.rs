//! The protocol's messages as JSON (RFC 7644 §3.4.2, §3.12, §8).

use serde_json::{Value, json};

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

/// The body of an error (§3.12): the HTTP status as a string, the `scimType` where one is defined, and the detail.
pub fn error_body(status: u16, scim_type: Option<&str>, detail: &str) -> Value {
    let mut body = json!({"schemas": [ERROR], "status": status.to_string()});
    if let Some(scim_type) = scim_type {
        body["scimType"] = scim_type.into();
    }
    body["detail"] = detail.into();
    body
}

/// A list response (§3.4.2) around resources that are JSON already. `Resources` is there even when it is empty: some clients
/// fail without it.
pub fn list_response(total: u64, start_index: u64, resources: &[Vec<u8>]) -> Vec<u8> {
    let count = resources.len();
    let head = format!(
        r#"{{"schemas":["{LIST_RESPONSE}"],"totalResults":{total},"itemsPerPage":{count},"startIndex":{start_index},"Resources":["#
    );
    let bytes: usize = resources.iter().map(|resource| resource.len() + 1).sum();
    let mut body = Vec::with_capacity(head.len() + bytes + 2);
    body.extend_from_slice(head.as_bytes());
    for (index, resource) in resources.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        body.extend_from_slice(resource);
    }
    body.extend_from_slice(b"]}");
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_its_status_as_a_string() {
        // 7644-3.2-02
        let body = error_body(400, Some("invalidValue"), "Attribute 'userName' is required.");
        let expected = json!({"schemas": [ERROR], "status": "400", "scimType": "invalidValue",
            "detail": "Attribute 'userName' is required."});
        assert_eq!(body, expected);
        assert_eq!(error_body(404, None, "x"), json!({"schemas": [ERROR], "status": "404", "detail": "x"}));
    }

    #[test]
    fn a_list_joins_what_is_rendered_already() {
        // 7644-3.4.2-01 7644-3.4.2-02
        let body: Value = serde_json::from_slice(&list_response(7, 3, &[b"{\"a\":1}".to_vec(), b"{}".to_vec()])).expect("JSON");
        let expected = json!({"schemas": [LIST_RESPONSE], "totalResults": 7, "itemsPerPage": 2, "startIndex": 3,
            "Resources": [{"a": 1}, {}]});
        assert_eq!(body, expected);
        let body: Value = serde_json::from_slice(&list_response(0, 1, &[])).expect("JSON");
        let expected = json!({"schemas": [LIST_RESPONSE], "totalResults": 0, "itemsPerPage": 0, "startIndex": 1, "Resources": []});
        assert_eq!(body, expected);
    }
}
