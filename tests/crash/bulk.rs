//! A client's bulk requests: several writes in one, each with an event of its own.

use crate::support::client::{Answer, Client, NoAnswer};
use crate::support::fixture::{bulk_of, patch_of, user};
use crate::support::history::{Kind, Operation, Outcome};
use crate::worker::{OwnUser, USERS, Worker};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

/// Most users that one bulk request makes.
const CREATED: usize = 2;
/// Most users that one bulk request changes.
const CHANGED: usize = 3;

/// An operation, and what the clients write down of it.
struct Asked {
    operation: Value,
    kind: Kind,
    mark: String,
    /// Which of the client's users it is about; `None` makes one.
    about: Option<usize>,
}

impl Worker {
    /// Sends a bulk request and writes down what came of each operation. `None` when the server is gone.
    pub async fn bulk(&mut self, client: &Client) -> Option<()> {
        let asked = self.operations();
        let body = bulk_of(asked.iter().map(|asked| asked.operation.clone()).collect());
        self.shared.in_flight.fetch_add(1, Ordering::SeqCst);
        let answer = client.on("POST", "/Bulk").json(&body).try_send().await;
        self.shared.in_flight.fetch_sub(1, Ordering::SeqCst);
        match answer {
            Ok(answer) => {
                self.take(&asked, &answer);
                Some(())
            }
            Err(no_answer) => {
                let is_unknown = no_answer == NoAnswer::Unknown;
                self.shared.cut.fetch_add(usize::from(is_unknown), Ordering::SeqCst);
                for asked in &asked {
                    let outcome = if is_unknown { Outcome::Unknown } else { Outcome::Refused };
                    if let Some(about) = asked.about {
                        self.users[about].unsure |= is_unknown;
                    }
                    self.note(asked, asked.about.map(|about| self.users[about].path()), outcome);
                }
                None
            }
        }
    }

    fn operations(&mut self) -> Vec<Asked> {
        let mut asked = Vec::new();
        for number in 0..CREATED.min(USERS.saturating_sub(self.users.len())) {
            let name = self.token();
            let mut body = user(&name);
            body["active"] = true.into();
            let operation = json!({"method": "POST", "path": "/Users", "bulkId": number.to_string(), "data": body});
            asked.push(Asked { operation, kind: Kind::Create, mark: name, about: None });
        }
        let first = self.rng.usize(..self.users.len());
        for about in (first..self.users.len()).take(CHANGED) {
            let token = self.token();
            let data = patch_of(json!([{"op": "replace", "path": "name.familyName", "value": token}]));
            let operation = json!({"method": "PATCH", "path": self.users[about].path(), "data": data});
            asked.push(Asked { operation, kind: Kind::Patch, mark: token, about: Some(about) });
        }
        self.rng.shuffle(&mut asked);
        asked
    }

    fn take(&mut self, asked: &[Asked], answer: &Answer) {
        let results = match answer.status {
            200 => answer.json()["Operations"].as_array().cloned().expect("Operations"),
            503 => vec![json!({"status": "503"}); asked.len()],
            status => panic!("a bulk request came to {status}: {}", answer.text()),
        };
        assert_eq!(results.len(), asked.len(), "{}", answer.text());
        for (asked, result) in asked.iter().zip(&results) {
            let location = result["location"].as_str().and_then(|location| location.rsplit('/').next()).map(str::to_owned);
            let (outcome, resource) = match result["status"].as_str() {
                Some("200" | "201") => {
                    self.shared.acknowledged.fetch_add(1, Ordering::SeqCst);
                    let version = result["version"].as_str().and_then(|tag| tag.trim_matches('"').parse().ok());
                    let id = location.expect("a location");
                    let resource = format!("/Users/{id}");
                    if asked.about.is_none() {
                        let (name, groups) = (asked.mark.clone(), BTreeSet::new());
                        self.users.push(OwnUser { id, name, active: true, groups, unsure: false });
                    }
                    (Outcome::Acknowledged(Some(version.expect("a version"))), Some(resource))
                }
                Some("503") => {
                    let outcome = self.shared.refused();
                    if let Some(about) = asked.about {
                        self.users[about].unsure |= outcome == Outcome::Unknown;
                    }
                    (outcome, asked.about.map(|about| self.users[about].path()))
                }
                _ => panic!("an operation came to {result}"),
            };
            self.note(asked, resource, outcome);
        }
    }

    fn note(&self, asked: &Asked, resource: Option<String>, outcome: Outcome) {
        let operation = Operation { kind: asked.kind, resource, outcome, marks: vec![asked.mark.clone()], activates: None };
        self.shared.operations.lock().expect("the operations").push(operation);
    }
}
