//! Running a cycle.
//!
//! In what a step sends, `{label}` stands for the id of a resource that an earlier step made. In what it gets back, the same
//! stands for the same, `{base}` for the server's base, `{time}` for a time, and `"meta": "{meta User ann 2}"` for the whole
//! `meta` of that user at version 2. So a step compares whole answers.

use crate::support::client::{Answer, Client};
use crate::support::server::{Server, Settings};
use crate::support::shape::{is_house_time, map_texts};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What one identity provider sends, from the first connection to the last request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Cycle {
    /// Which client, and how it is set up.
    who: String,
    /// The documents, by the names under which steps cite them.
    sources: BTreeMap<String, String>,
    steps: Vec<Step>,
    /// The events afterwards, as `kind label`, in order.
    events: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Step {
    name: String,
    /// Where it is documented.
    source: String,
    request: Request,
    expect: Expected,
    /// The label under which the id of the answer is kept.
    keep: Option<String>,
    /// For a request that needs a quirk: how it is refused strictly.
    strict: Option<Strict>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    method: String,
    path: String,
    body: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Expected {
    status: u16,
    body: Option<Value>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Strict {
    status: u16,
    scim_type: String,
    /// The request that it means, which is answered as expected.
    meant: Request,
}

/// Runs a cycle on a server of its own with these quirks.
pub async fn run(text: &str, quirks: &str) {
    let cycle: Cycle = serde_json::from_str(text).expect("a cycle");
    let server = Server::start(&Settings::default().with("QUIRKS", quirks));
    let mut run = Run { client: server.client(), ids: Vec::new() };
    let mut cited = BTreeSet::new();
    for step in &cycle.steps {
        assert!(cycle.sources.contains_key(&step.source), "{}: {} cites nothing known", cycle.who, step.name);
        cited.insert(&step.source);
        let strict = step.strict.as_ref().filter(|_| quirks == "strict");
        let request = match strict {
            None => &step.request,
            Some(strict) => {
                run.is_refused(step, strict).await;
                &strict.meant
            }
        };
        run.is_answered(&cycle.who, step, request).await;
    }
    assert_eq!(run.events().await, cycle.events, "{}", cycle.who);
    assert!(cycle.sources.keys().all(|source| cited.contains(source)), "{}: a source that no step cites", cycle.who);
}

struct Run {
    client: Client,
    ids: Vec<(String, String)>,
}

impl Run {
    async fn send(&self, request: &Request) -> Answer {
        let sent = self.client.on(&request.method, &self.fill(&request.path));
        match &request.body {
            Some(body) => sent.json(&map_texts(body, &|text| self.fill(text))).send().await,
            None => sent.send().await,
        }
    }

    async fn is_answered(&mut self, who: &str, step: &Step, request: &Request) {
        let answer = self.send(request).await;
        let at = format!("{who}: {}: {}", step.name, answer.text());
        if let Some(label) = &step.keep {
            assert_eq!(answer.status, 201, "{at}");
            self.ids.push((label.clone(), answer.id()));
        }
        assert_eq!(answer.status, step.expect.status, "{at}");
        let body = answer.json();
        if let Some(version) = body["meta"]["version"].as_str() {
            assert_eq!(answer.header("etag"), Some(version), "{at}");
        }
        let shown = map_texts(&body, &|text| self.show(text));
        assert_eq!(shown, step.expect.body.as_ref().map_or(Value::Null, map_meta), "{at}");
    }

    /// Sends a request that needs a quirk to a strict server: it is refused, and nothing is other than before.
    async fn is_refused(&self, step: &Step, strict: &Strict) {
        let before = self.state().await;
        self.send(&step.request).await.assert_error(strict.status, Some(&strict.scim_type), &[]);
        assert_eq!(self.state().await, before, "{}", step.name);
    }

    /// Everything that a client sees.
    async fn state(&self) -> (Value, Value, Vec<Value>) {
        let (users, groups) = (self.client.get("/Users").await, self.client.get("/Groups").await);
        (users.json(), groups.json(), self.client.feed(None, 1000).await)
    }

    async fn events(&self) -> Vec<String> {
        let events = self.client.feed(None, 1000).await;
        let shown = events.iter().map(|event| {
            let kinds = event["events"].as_object().expect("events").keys().map(|urn| {
                let kind = urn.strip_prefix("urn:ietf:params:scim:event:").unwrap_or(urn);
                kind.trim_start_matches("prov:").trim_end_matches(":notice").to_owned()
            });
            let subject = event["sub_id"]["uri"].as_str().expect("a subject");
            let label = self.ids.iter().find(|(_, id)| subject.ends_with(id.as_str())).map_or(subject, |(label, _)| label);
            format!("{} {label}", kinds.collect::<Vec<_>>().join("+"))
        });
        shown.collect()
    }

    fn fill(&self, text: &str) -> String {
        self.ids.iter().fold(text.to_owned(), |text, (label, id)| text.replace(&format!("{{{label}}}"), id))
    }

    fn show(&self, text: &str) -> String {
        if is_house_time(text) {
            return "{time}".into();
        }
        let shown = text.replace(&self.client.base, "{base}");
        self.ids.iter().fold(shown, |text, (label, id)| text.replace(id, &format!("{{{label}}}")))
    }
}

/// An expected body with every `{meta …}` written out.
fn map_meta(value: &Value) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix("{meta ").and_then(|rest| rest.strip_suffix('}')) {
            None => value.clone(),
            Some(words) => {
                let [kind, label, version] = words.split(' ').collect::<Vec<_>>()[..] else {
                    panic!("{text} is not {{meta kind label version}}")
                };
                json!({"resourceType": kind, "created": "{time}", "lastModified": "{time}",
                    "location": format!("{{base}}/{kind}s/{{{label}}}"), "version": format!("\"{version}\"")})
            }
        },
        Value::Array(values) => values.iter().map(map_meta).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), map_meta(value))).collect(),
        other => other.clone(),
    }
}
