//! An HTTP client of SCIM: a request in one line, an answer that can be compared.

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::time::Duration;

const ANSWER_WITHIN: Duration = Duration::from_mins(1);

/// A client with a pool of connections.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    /// The base of every path, without a slash at its end.
    pub base: String,
    key: Option<String>,
}

/// A request that is being built.
#[derive(Debug)]
pub struct Request {
    builder: reqwest::RequestBuilder,
}

/// An answer, read to its end.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// No connection was made: the request was never sent.
    NeverSent,
    /// The connection broke: nobody knows whether the request was done.
    Unknown,
}

impl Client {
    /// A client of the server at this base. Without a key it sends no credential.
    pub fn new(base: &str, key: Option<&str>) -> Self {
        carillon::base::crypto::install_crypto();
        let http = reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).build().expect("a client");
        Self { http, base: base.trim_end_matches('/').to_owned(), key: key.map(str::to_owned) }
    }

    /// The same client with another key or none.
    pub fn with_key(&self, key: Option<&str>) -> Self {
        Self { key: key.map(str::to_owned), ..self.clone() }
    }

    /// The same client with another base path.
    pub fn under(&self, path: &str) -> Self {
        Self { base: format!("{}{path}", self.base), ..self.clone() }
    }

    /// A request that can be given headers and a body.
    pub fn on(&self, method: &str, path: &str) -> Request {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let builder = self.http.request(method, format!("{}{path}", self.base));
        Request { builder: self.key.iter().fold(builder, |builder, key| builder.header("authorization", format!("Bearer {key}"))) }
    }

    /// GET
    pub async fn get(&self, path: &str) -> Answer {
        self.on("GET", path).send().await
    }

    /// POST
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.on("POST", path).json(body).send().await
    }

    /// PUT
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.on("PUT", path).json(body).send().await
    }

    /// PATCH
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.on("PATCH", path).json(body).send().await
    }

    /// DELETE
    pub async fn delete(&self, path: &str) -> Answer {
        self.on("DELETE", path).send().await
    }

    /// Every event of the default feed after one, read in pages of at most `limit`.
    pub async fn feed(&self, after: Option<&str>, limit: usize) -> Vec<Value> {
        let mut events: Vec<Value> = Vec::new();
        loop {
            let last = events.last().map_or(after, |event| event["jti"].as_str()).map(str::to_owned);
            let cursor = last.map_or_else(String::new, |jti| format!("&after={}", encode(&jti)));
            let answer = self.get(&format!("/Events/Feeds/default/Stream?limit={limit}{cursor}")).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            let mut page = answer.json();
            let sets = page["sets"].as_array_mut().expect("sets");
            assert!(sets.len() <= limit, "a page of {} events, more than {limit}", sets.len());
            events.append(sets);
            if page["moreAvailable"] == Value::Bool(false) {
                return events;
            }
        }
    }
}

impl Request {
    /// A header.
    pub fn header(self, name: &str, value: impl AsRef<[u8]>) -> Self {
        Self { builder: self.builder.header(name, value.as_ref()) }
    }

    /// A JSON body of the protocol's media type.
    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/scim+json").body(body.to_string())
    }

    /// Any body.
    pub fn body(self, body: impl Into<reqwest::Body>) -> Self {
        Self { builder: self.builder.body(body) }
    }

    /// Sends it and reads the answer.
    pub async fn send(self) -> Answer {
        match self.builder.send().await {
            Ok(response) => read(response).await.expect("the answer's body"),
            Err(error) => panic!("no answer: {error:?}"),
        }
    }

    /// Sends it to a server that may die meanwhile.
    pub async fn try_send(self) -> Result<Answer, NoAnswer> {
        let response = self.builder.send().await.map_err(|error| kind_of(&error))?;
        read(response).await.map_err(|_| NoAnswer::Unknown)
    }
}

fn kind_of(error: &reqwest::Error) -> NoAnswer {
    if error.is_connect() { NoAnswer::NeverSent } else { NoAnswer::Unknown }
}

async fn read(response: reqwest::Response) -> reqwest::Result<Answer> {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Ok(Answer { status, headers, body: response.bytes().await?.to_vec() })
}

impl Answer {
    /// The body as JSON; `null` when it is empty.
    pub fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The version that the `ETag` header names.
    pub fn version(&self) -> u64 {
        let tag = self.header("etag").unwrap_or_else(|| panic!("no ETag in {} {}", self.status, self.text()));
        tag.trim_matches('"').parse().expect("a version")
    }

    /// The `id` of the resource in the body.
    pub fn id(&self) -> String {
        let body = self.json();
        body["id"].as_str().unwrap_or_else(|| panic!("no id in {} {body}", self.status)).to_owned()
    }

    /// Asserts that this is an error as RFC 7644 §3.12 wants it, with a detail that has each of these words.
    pub fn assert_error(&self, status: u16, scim_type: Option<&str>, words: &[&str]) {
        let body = self.json();
        let detail = body["detail"].as_str().unwrap_or_default().to_owned();
        let mut expected = serde_json::json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": status.to_string(), "detail": detail,
        });
        if let Some(scim_type) = scim_type {
            expected["scimType"] = scim_type.into();
        }
        assert_eq!((self.status, &body), (status, &expected));
        assert_eq!(self.header("content-type"), Some("application/scim+json"));
        for word in words {
            assert!(detail.to_lowercase().contains(&word.to_lowercase()), "'{word}' is not in the detail '{detail}'");
        }
    }
}

/// Percent-encodes a value of a query parameter.
pub fn encode(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20")
}
