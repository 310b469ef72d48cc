//! A gateway as a case sees it: requests and answers as templates.
//!
//! In what a case sends, `~` stands for the prefix that keeps its names apart from those of other cases, and `{label}` for the id
//! of a resource it made. In what it gets back the same stand for the same, `{base}` for the server's base, and `{time}` for a time
//! of the form that the house uses. So a case compares whole answers.

use crate::support::client::{Answer, Client, encode};
use crate::support::fixture::{GROUP, USER, with};
use crate::support::server::{Server, Settings};
use crate::support::shape::{is_house_time, map_texts};
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

/// How a gateway is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Events name what changed.
    Notice,
    /// Events hold values.
    Full,
    /// What the protocol says, without what it does not define but known clients send.
    Strict,
    /// Resources have the schemas of `tests/fixtures` too.
    Custom,
}

impl Mode {
    fn environment(self) -> Vec<(&'static str, String)> {
        let (events, more) = match self {
            Self::Notice => ("notice", None),
            Self::Full => ("full", None),
            Self::Strict => ("notice", Some(("QUIRKS", "strict".to_owned()))),
            Self::Custom => ("notice", Some(("SCHEMA_PATH", schema_path()))),
        };
        std::iter::once(("EVENT_MODE", events.to_owned())).chain(more).collect()
    }
}

/// A gateway as one case sees it.
#[derive(Debug)]
pub struct Gateway {
    /// Which backend it runs on.
    pub backend: &'static str,
    /// A plain client of it.
    pub client: Client,
    prefix: String,
    ids: Mutex<Vec<(String, String)>>,
}

type Servers = Mutex<HashMap<(&'static str, Mode), Arc<Mutex<Server>>>>;
static SERVERS: LazyLock<Servers> = LazyLock::new(Servers::default);

/// The shared gateway of a backend, for one case.
pub fn of(backend: &'static str, mode: Mode, case: &str) -> Gateway {
    let mut servers = SERVERS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let server = servers.entry((backend, mode)).or_insert_with(|| {
        let settings = Settings::default().store(backend);
        let settings = mode.environment().iter().fold(settings, |settings, (name, value)| settings.with(name, value));
        Arc::new(Mutex::new(Server::start(&settings)))
    });
    let client = server.lock().expect("a server that started").client();
    Gateway::new(backend, client, case)
}

/// Both folders of fixtures.
pub fn schema_path() -> String {
    ["schemas", "agents"].map(|folder| format!("{}/tests/fixtures/{folder}", env!("CARGO_MANIFEST_DIR"))).join(":")
}

/// Stops every shared gateway.
pub fn stop_all() {
    SERVERS.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
}

impl Gateway {
    /// A gateway behind a client, for one case.
    pub fn new(backend: &'static str, client: Client, case: &str) -> Self {
        let prefix = format!("{}-", case.replace("::", "-").replace('_', "-"));
        Self { backend, client, prefix, ids: Mutex::new(Vec::new()) }
    }

    /// The same case on another client.
    pub fn through(&self, client: Client) -> Self {
        Self { backend: self.backend, client, prefix: self.prefix.clone(), ids: Mutex::new(self.labels()) }
    }

    /// Sends a request and shows the answer: `{status, etag, location, body}`, without what is absent.
    pub async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        self.show(&self.raw(method, path, &[], body).await)
    }

    /// Sends a request with headers and gives the answer as it is.
    pub async fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Answer {
        let request = self.client.on(method, &self.fill(path));
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, self.fill(value)));
        match body {
            Some(body) => request.json(&self.fill_value(&body)).send().await,
            None => request.send().await,
        }
    }

    /// GET
    pub async fn get(&self, path: &str) -> Value {
        self.send("GET", path, None).await
    }

    /// PUT
    pub async fn put(&self, path: &str, body: Value) -> Value {
        self.send("PUT", path, Some(body)).await
    }

    /// PATCH with these operations.
    pub async fn patch(&self, path: &str, operations: Value) -> Value {
        self.send("PATCH", path, Some(crate::support::fixture::patch_of(operations))).await
    }

    /// DELETE
    pub async fn delete(&self, path: &str) -> Value {
        self.send("DELETE", path, None).await
    }

    /// A list with a filter.
    pub async fn filter(&self, endpoint: &str, filter: &str) -> Value {
        self.get(&format!("{endpoint}?filter={}", encode(&self.fill(filter)))).await
    }

    /// The labels that a filter finds, in the order of the answer; a `*` before one whose label is not known.
    pub async fn found(&self, endpoint: &str, filter: &str) -> Vec<String> {
        let answer = self.filter(endpoint, filter).await;
        assert_eq!(answer["status"], 200, "{filter}: {answer}");
        let resources = answer["body"]["Resources"].as_array().cloned().unwrap_or_default();
        assert_eq!(answer["body"]["totalResults"], resources.len(), "{filter}: {answer}");
        let label = |resource: &Value| resource["id"].as_str().expect("an id").trim_matches(['{', '}']).to_owned();
        resources.iter().map(label).collect()
    }

    /// Creates the user `~label` with these attributes too.
    pub async fn create_user(&self, label: &str, attributes: Value) -> Value {
        let body = with(json!({"schemas": [USER], "userName": format!("~{label}")}), attributes);
        self.create(label, "/Users", body).await
    }

    /// Creates the group `~label` with these members.
    pub async fn create_group(&self, label: &str, members: &[&str]) -> Value {
        let mut body = json!({"schemas": [GROUP], "displayName": format!("~{label}")});
        if !members.is_empty() {
            body["members"] = members.iter().map(|member| json!({"value": format!("{{{member}}}")})).collect();
        }
        self.create(label, "/Groups", body).await
    }

    /// Creates a resource and keeps its id under a label.
    pub async fn create(&self, label: &str, endpoint: &str, body: Value) -> Value {
        let answer = self.raw("POST", endpoint, &[], Some(body)).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        self.keep(label, &answer.id());
        self.show(&answer)
    }

    /// Keeps an id under a label.
    pub fn keep(&self, label: &str, id: &str) {
        self.ids.lock().expect("the ids").push((label.to_owned(), id.to_owned()));
    }

    /// Sends a request that must be refused with this status, type, and words in the detail.
    pub async fn refused(&self, method: &str, path: &str, body: Option<Value>, status: u16, scim_type: &str, words: &[&str]) {
        let scim_type = (!scim_type.is_empty()).then_some(scim_type);
        self.raw(method, path, &[], body).await.assert_error(status, scim_type, words);
    }

    /// The events about this case's resources, in order, as templates. Transactions are `{txn 1}`, `{txn 2}`, … as they come; the
    /// attributes of a notice are sorted.
    pub async fn events(&self) -> Vec<Value> {
        let labels = self.labels();
        let mine =
            |event: &Value| labels.iter().any(|(_, id)| event["sub_id"]["uri"].as_str().is_some_and(|uri| uri.ends_with(id)));
        let events = self.client.feed(None, 1000).await;
        let mut transactions: Vec<String> = Vec::new();
        events.into_iter().filter(mine).map(|event| self.show_event(event, &mut transactions)).collect()
    }

    fn show_event(&self, mut event: Value, transactions: &mut Vec<String>) -> Value {
        let txn = event["txn"].as_str().expect("txn").to_owned();
        let number = transactions.iter().position(|known| *known == txn).unwrap_or_else(|| {
            transactions.push(txn);
            transactions.len() - 1
        });
        event["txn"] = format!("{{txn {}}}", number + 1).into();
        assert!(event["iat"].is_u64() && event["jti"].is_string(), "{event}");
        event["iat"] = "{iat}".into();
        event["jti"] = "{jti}".into();
        for payload in event["events"].as_object_mut().expect("events").values_mut() {
            if let Some(attributes) = payload.get_mut("attributes").and_then(Value::as_array_mut) {
                attributes.sort_by_key(ToString::to_string);
            }
        }
        self.show_value(&event)
    }

    /// An answer as a template.
    pub fn show(&self, answer: &Answer) -> Value {
        let mut shown = Map::from_iter([("status".to_owned(), json!(answer.status))]);
        for name in ["etag", "location"] {
            if let Some(value) = answer.header(name) {
                shown.insert(name.to_owned(), self.show_text(value).into());
            }
        }
        if !answer.body.is_empty() {
            assert_eq!(answer.header("content-type"), Some("application/scim+json"));
            shown.insert("body".to_owned(), self.show_value(&answer.json()));
        }
        Value::Object(shown)
    }

    /// A text with `~` and labels filled in.
    pub fn fill(&self, template: &str) -> String {
        let filled = template.replace('~', &self.prefix);
        self.labels().iter().fold(filled, |text, (label, id)| text.replace(&format!("{{{label}}}"), id))
    }

    fn fill_value(&self, template: &Value) -> Value {
        map_texts(template, &|text| self.fill(text))
    }

    fn show_value(&self, value: &Value) -> Value {
        map_texts(value, &|text| self.show_text(text))
    }

    fn show_text(&self, text: &str) -> String {
        if is_house_time(text) {
            return "{time}".into();
        }
        let shown = text.replace(&self.client.base, "{base}").replace(&self.prefix, "~");
        self.labels().iter().fold(shown, |text, (label, id)| text.replace(id, &format!("{{{label}}}")))
    }

    fn labels(&self) -> Vec<(String, String)> {
        self.ids.lock().expect("the ids").clone()
    }
}

/// What an answer with a resource must be.
pub fn answer(status: u16, resource: &Value) -> Value {
    let (etag, location) = (&resource["meta"]["version"], &resource["meta"]["location"]);
    json!({"status": status, "etag": etag, "location": location, "body": resource})
}

/// What a user must be: `~label` at a version, with these attributes too.
pub fn user(label: &str, version: u64, attributes: Value) -> Value {
    let core = json!({"schemas": [USER], "id": format!("{{{label}}}"), "userName": format!("~{label}"),
        "meta": meta("User", label, version)});
    with(core, attributes)
}

/// What a group must be: `~label` at a version, with these members, each a user.
pub fn group(label: &str, version: u64, members: &[&str]) -> Value {
    let mut group = json!({"schemas": [GROUP], "id": format!("{{{label}}}"), "displayName": format!("~{label}"),
        "meta": meta("Group", label, version)});
    if !members.is_empty() {
        group["members"] = members.iter().map(|label| member(label, "User")).collect();
    }
    group
}

/// What a member must be.
pub fn member(label: &str, kind: &str) -> Value {
    json!({"value": format!("{{{label}}}"), "$ref": format!("{{base}}/{kind}s/{{{label}}}"), "type": kind})
}

/// What a resource of any type must be.
pub fn resource(kind: &str, schemas: &[&str], label: &str, version: u64, attributes: Value) -> Value {
    with(json!({"schemas": schemas, "id": format!("{{{label}}}"), "meta": meta(kind, label, version)}), attributes)
}

fn meta(kind: &str, label: &str, version: u64) -> Value {
    json!({"resourceType": kind, "created": "{time}", "lastModified": "{time}", "location": format!("{{base}}/{kind}s/{{{label}}}"),
        "version": format!("\"{version}\"")})
}

/// What a list must be.
pub fn list(total: u64, start: u64, resources: &[Value]) -> Value {
    let mut body = json!({"schemas": [crate::support::fixture::LIST], "totalResults": total, "startIndex": start,
        "itemsPerPage": resources.len()});
    body["Resources"] = resources.into();
    json!({"status": 200, "body": body})
}

/// What an event must be: its kind, the label of its subject, its transaction's number, its payload.
pub fn event(kind: &str, endpoint: &str, label: &str, txn: usize, payload: Value) -> Value {
    json!({"iss": "{base}", "iat": "{iat}", "jti": "{jti}", "txn": format!("{{txn {txn}}}"),
        "aud": ["{base}/Events/Feeds/default"],
        "sub_id": {"format": "scim", "uri": format!("{endpoint}/{{{label}}}")},
        "events": {format!("urn:ietf:params:scim:event:prov:{kind}"): payload}})
}

/// The payload of a notice.
pub fn notice(version: u64, attributes: &[&str]) -> Value {
    let mut attributes = attributes.to_vec();
    attributes.sort_by_key(|name| json!(name).to_string());
    json!({"version": format!("\"{version}\""), "attributes": attributes})
}
