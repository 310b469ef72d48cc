//! How one operation is described: its parameters, its body, and every answer that can come.

use super::message::reference;
use crate::http::SCIM_JSON;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// An operation on its way into the document.
#[derive(Debug)]
pub(super) struct Operation {
    described: Map<String, Value>,
    parameters: Vec<Value>,
    /// By status.
    responses: BTreeMap<u16, Value>,
}

/// The failures of every operation.
const OF_ALL: &[u16] = &[400, 500, 503];
/// And of those that read a body.
const OF_BODIES: &[u16] = &[408, 413, 415];

impl Operation {
    /// An operation that needs a credential.
    pub(super) fn new(tag: &str, id: &str, summary: &str) -> Self {
        let named = [("tags", json!([tag])), ("operationId", id.into()), ("summary", summary.into())];
        let described = named.map(|(name, value)| (name.to_owned(), value)).into_iter().collect();
        Self { described, parameters: Vec::new(), responses: BTreeMap::new() }.failures(OF_ALL).failures(&[401, 403])
    }

    /// An operation that needs no credential.
    pub(super) fn public(tag: &str, id: &str, summary: &str) -> Self {
        let mut operation = Self::new(tag, id, summary);
        operation.described.insert("security".into(), json!([]));
        operation.responses.remove(&401);
        operation.responses.remove(&403);
        operation
    }

    /// An operation outside the protocol: no credential, and none of the usual failures.
    pub(super) fn outside(tag: &str, id: &str, summary: &str) -> Self {
        let mut operation = Self::public(tag, id, summary);
        operation.responses.clear();
        operation
    }

    /// An operation that can be tried without a credential too.
    pub(super) fn open_to_all(mut self) -> Self {
        self.described.insert("security".into(), json!([{"bearer": []}, {"apiKey": []}, {}]));
        self
    }

    /// What people should know beside the summary.
    pub(super) fn about(mut self, text: &str) -> Self {
        self.described.insert("description".into(), text.into());
        self
    }

    /// Parameters that `components` names.
    pub(super) fn takes(mut self, names: &[&str]) -> Self {
        self.parameters.extend(names.iter().map(|name| json!({"$ref": format!("#/components/parameters/{name}")})));
        self
    }

    /// A parameter of its own.
    pub(super) fn parameter(mut self, parameter: Value) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// A body of this schema, with examples by name.
    pub(super) fn body(mut self, schema: &Value, examples: &[(&str, Value)]) -> Self {
        let shown: Map<String, Value> =
            examples.iter().map(|(name, value)| ((*name).to_owned(), json!({"summary": name, "value": value}))).collect();
        let of_type = json!({"schema": schema, "examples": shown});
        let body = json!({"required": true, "content": {SCIM_JSON: of_type, "application/json": of_type}});
        self.described.insert("requestBody".into(), body);
        self.failures(OF_BODIES)
    }

    /// An answer with a SCIM message of this schema, and these headers.
    pub(super) fn answers(self, status: u16, text: &str, schema: &Value, headers: &[&str]) -> Self {
        self.answers_in(SCIM_JSON, status, text, schema, headers)
    }

    /// An answer of another media type. Several types of one status stand side by side.
    pub(super) fn answers_in(mut self, media_type: &str, status: u16, text: &str, schema: &Value, headers: &[&str]) -> Self {
        let answer = self.responses.entry(status).or_insert_with(|| json!({}));
        answer["description"] = text.into();
        answer["headers"] = headers_of(headers);
        answer["content"][media_type] = json!({"schema": schema});
        self
    }

    /// An answer without a body.
    pub(super) fn answers_empty(mut self, status: u16, text: &str, headers: &[&str]) -> Self {
        self.responses.insert(status, json!({"description": text, "headers": headers_of(headers)}));
        self
    }

    /// Failures as `components` describes them.
    pub(super) fn failures(mut self, statuses: &[u16]) -> Self {
        self.responses.extend(statuses.iter().map(|status| (*status, json!({"$ref": format!("#/components/responses/{status}")}))));
        self
    }

    /// What a client can do with the id in this answer.
    pub(super) fn links(self, status: u16, operations: &[String]) -> Self {
        self.links_at(status, "/id", operations)
    }

    /// What a client can do with the id at a place in this answer.
    pub(super) fn links_at(mut self, status: u16, place: &str, operations: &[String]) -> Self {
        let links: Map<String, Value> = operations
            .iter()
            .map(|id| (id.clone(), json!({"operationId": id, "parameters": {"id": format!("$response.body#{place}")}})))
            .collect();
        if let Some(answer) = self.responses.get_mut(&status) {
            answer["links"] = links.into();
        }
        self
    }

    /// The whole description.
    pub(super) fn finish(mut self) -> Value {
        let responses = self.responses.into_iter().map(|(status, answer)| (status.to_string(), answer));
        self.described.insert("parameters".into(), self.parameters.into());
        self.described.insert("responses".into(), Value::Object(responses.collect()));
        self.described.into()
    }
}

/// The headers of an answer, each by its name under `components`. Every answer names its request.
pub(super) fn headers_of(names: &[&str]) -> Value {
    let all = names.iter().chain(&["X-Request-Id"]);
    let described: Map<String, Value> =
        all.map(|name| ((*name).to_owned(), json!({"$ref": format!("#/components/headers/{name}")}))).collect();
    described.into()
}

/// The failures, with what each means here.
pub(super) fn failures() -> Value {
    let failures: [(u16, &str, &[&str]); 16] = [
        (400, "The request is malformed, or asks for what cannot be; `scimType` says in which way.", &[]),
        (401, "No credential, or one that is not known.", &["WWW-Authenticate"]),
        (
            403,
            "The credential does not have the scope that this needs, or the parameter is not allowed here.",
            &["WWW-Authenticate"],
        ),
        (404, "There is no such resource or endpoint.", &[]),
        (405, "The endpoint does not take this method.", &["Allow"]),
        (408, "The body did not arrive in time.", &[]),
        (409, "Another resource has this value of a unique attribute, or what there is does not allow it.", &[]),
        (410, "It is no longer kept.", &[]),
        (412, "The resource is at another version than If-Match names.", &[]),
        (413, "The request is larger than a limit, which the detail names.", &[]),
        (415, "The body is neither application/scim+json nor application/json.", &[]),
        (429, "Too many requests.", &["Retry-After"]),
        (431, "The head of the request is too large.", &[]),
        (500, "The server failed.", &[]),
        (501, "The server does not do this.", &[]),
        (503, "The server cannot do this now; trying again can help.", &["Retry-After"]),
    ];
    let described: Map<String, Value> = failures
        .into_iter()
        .map(|(status, text, headers)| {
            let content = json!({SCIM_JSON: {"schema": reference("Error")}});
            (status.to_string(), json!({"description": text, "headers": headers_of(headers), "content": content}))
        })
        .collect();
    described.into()
}
