//! One client: it makes users of its own, changes them, moves them in and out of the groups that all share, and deletes them.

use crate::support::client::{Client, NoAnswer};
use crate::support::fixture::{add_member, patch_of, remove_member, user};
use crate::support::history::{Kind, Operation, Outcome};
use fastrand::Rng;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Most users that a client keeps.
pub const USERS: usize = 6;

/// What all clients write down.
#[derive(Debug, Default)]
pub struct Shared {
    /// What they did.
    pub operations: Mutex<Vec<Operation>>,
    /// Requests that are sent and not answered.
    pub in_flight: AtomicUsize,
    /// Requests that were answered with success.
    pub acknowledged: AtomicUsize,
    /// Requests that the end of the process cut off.
    pub cut: AtomicUsize,
    /// Requests that were refused because the server was busy.
    pub busy: AtomicUsize,
    /// The database goes away now and then.
    pub has_outages: AtomicBool,
    /// Whoever is still at it ends after the request under way.
    pub rests: AtomicBool,
}

impl Shared {
    /// What a 503 says: nobody knows what became of a commit whose database went away.
    pub fn refused(&self) -> Outcome {
        self.busy.fetch_add(1, Ordering::SeqCst);
        if self.has_outages.load(Ordering::SeqCst) { Outcome::Unknown } else { Outcome::Refused }
    }
}

/// A user that a client has made.
#[derive(Debug)]
pub struct OwnUser {
    /// Its id.
    pub id: String,
    /// Its `userName`.
    pub name: String,
    /// Whether it is active.
    pub active: bool,
    /// Which of the shared groups it is in.
    pub groups: BTreeSet<usize>,
    /// A request about it was cut off: its state must be looked up before it is used.
    pub unsure: bool,
}

impl OwnUser {
    /// Where it is.
    pub fn path(&self) -> String {
        format!("/Users/{}", self.id)
    }
}

/// One client.
#[derive(Debug)]
pub struct Worker {
    number: usize,
    /// Its choices.
    pub rng: Rng,
    /// Its users.
    pub users: Vec<OwnUser>,
    groups: Arc<[String]>,
    /// What all clients write down.
    pub shared: Arc<Shared>,
    serial: usize,
}

struct Request {
    kind: Kind,
    path: String,
    body: Option<Value>,
    marks: Vec<String>,
    activates: Option<bool>,
}

impl Worker {
    /// A client with choices of its own.
    pub fn new(number: usize, rng: Rng, groups: Arc<[String]>, shared: Arc<Shared>) -> Self {
        Self { number, rng, users: Vec::new(), groups, shared, serial: 0 }
    }

    /// Writes until the server dies, or everybody rests.
    pub async fn run(mut self, client: Client) -> Self {
        if self.look_up(&client).await.is_some() {
            while !self.shared.rests.load(Ordering::SeqCst) && self.step(&client).await.is_some() {
                if self.users.iter().any(|own| own.unsure) && self.look_up(&client).await.is_none() {
                    break;
                }
            }
        }
        self
    }

    /// Learns what became of users whose last request was cut off.
    async fn look_up(&mut self, client: &Client) -> Option<()> {
        for own in self.users.iter_mut().filter(|own| own.unsure) {
            let answer = client.on("GET", &own.path()).try_send().await.ok()?;
            if answer.status == 503 {
                continue;
            }
            own.unsure = answer.status == 404;
            let body = answer.json();
            own.active = body["active"].as_bool().unwrap_or(true);
            let of = |group: &Value| self.groups.iter().position(|path| path.ends_with(group["value"].as_str().unwrap_or("?")));
            own.groups = body["groups"].as_array().into_iter().flatten().filter_map(of).collect();
        }
        self.users.retain(|own| !own.unsure);
        Some(())
    }

    /// A text that no other request holds.
    pub fn token(&mut self) -> String {
        self.serial += 1;
        format!("t{}x{}e", self.number, self.serial)
    }

    async fn step(&mut self, client: &Client) -> Option<()> {
        if self.users.len() < 2 {
            return self.create(client).await;
        }
        let which = self.rng.usize(..self.users.len());
        match self.rng.u8(..22) {
            0..4 => self.create(client).await,
            4..7 => self.put(client, which).await,
            7..11 => self.toggle(client, which).await,
            11..13 => self.rename(client, which).await,
            13..18 => self.join_or_leave(client, which).await,
            20.. => self.bulk(client).await,
            _ => self.delete(client, which).await,
        }
    }

    async fn create(&mut self, client: &Client) -> Option<()> {
        if self.users.len() >= USERS {
            let which = self.rng.usize(..self.users.len());
            return self.delete(client, which).await;
        }
        let name = self.token();
        let active = self.rng.bool();
        let mut body = user(&name);
        body["active"] = active.into();
        let request =
            Request { kind: Kind::Create, path: "/Users".into(), body: Some(body), marks: vec![name.clone()], activates: None };
        let answer = self.send(client, request, None).await?;
        if let Some(id) = answer {
            self.users.push(OwnUser { id, name, active, groups: BTreeSet::new(), unsure: false });
        }
        Some(())
    }

    async fn put(&mut self, client: &Client, which: usize) -> Option<()> {
        let token = self.token();
        let own = &self.users[which];
        let active = self.rng.bool();
        let mut body = user(&own.name);
        body["nickName"] = token.clone().into();
        body["active"] = active.into();
        let activates = (active != own.active).then_some(active);
        let request = Request { kind: Kind::Put, path: own.path(), body: Some(body), marks: vec![token], activates };
        if self.send(client, request, Some(which)).await?.is_some() {
            self.users[which].active = active;
        }
        Some(())
    }

    async fn toggle(&mut self, client: &Client, which: usize) -> Option<()> {
        let own = &self.users[which];
        let active = !own.active;
        let body = patch_of(json!([{"op": "replace", "value": {"active": active}}]));
        let marks = vec!["\"active\"".into()];
        let request = Request { kind: Kind::Patch, path: own.path(), body: Some(body), marks, activates: Some(active) };
        if self.send(client, request, Some(which)).await?.is_some() {
            self.users[which].active = active;
        }
        Some(())
    }

    async fn rename(&mut self, client: &Client, which: usize) -> Option<()> {
        let token = self.token();
        let body = patch_of(json!([{"op": "replace", "path": "name.familyName", "value": token}]));
        let path = self.users[which].path();
        let request = Request { kind: Kind::Patch, path, body: Some(body), marks: vec![token], activates: None };
        self.send(client, request, Some(which)).await.map(drop)
    }

    async fn join_or_leave(&mut self, client: &Client, which: usize) -> Option<()> {
        let group = self.rng.usize(..self.groups.len());
        let own = &self.users[which];
        let leaves = own.groups.contains(&group);
        let body = if leaves { remove_member(&own.id) } else { add_member(&own.id) };
        // Without members the answer has the version of this very change.
        let path = format!("{}?excludedAttributes=members", self.groups[group]);
        let request = Request { kind: Kind::Patch, path, body: Some(body), marks: vec![own.id.clone()], activates: None };
        if self.send(client, request, Some(which)).await?.is_some() {
            let groups = &mut self.users[which].groups;
            let _ = if leaves { groups.remove(&group) } else { groups.insert(group) };
        }
        Some(())
    }

    async fn delete(&mut self, client: &Client, which: usize) -> Option<()> {
        let path = self.users[which].path();
        let request = Request { kind: Kind::Delete, path, body: None, marks: Vec::new(), activates: None };
        if self.send(client, request, Some(which)).await?.is_some() {
            self.users.swap_remove(which);
        }
        Some(())
    }

    /// Sends a request and writes down what came of it. `None` when the server is gone; the inner one when it was busy; otherwise
    /// the id of what was created, or nothing of interest.
    async fn send(&mut self, client: &Client, request: Request, about: Option<usize>) -> Option<Option<String>> {
        let Request { kind, path, body, marks, activates } = request;
        let method = match kind {
            Kind::Create => "POST",
            Kind::Put => "PUT",
            Kind::Patch => "PATCH",
            Kind::Delete => "DELETE",
        };
        let built = client.on(method, &path);
        let built = body.iter().fold(built, crate::support::client::Request::json);
        self.shared.in_flight.fetch_add(1, Ordering::SeqCst);
        let answer = built.try_send().await;
        self.shared.in_flight.fetch_sub(1, Ordering::SeqCst);
        let mut resource = (kind != Kind::Create).then(|| path.split('?').next().unwrap_or_default().to_owned());
        let (outcome, told) = match &answer {
            Ok(answer) if answer.status < 300 => {
                self.shared.acknowledged.fetch_add(1, Ordering::SeqCst);
                let id = if kind == Kind::Create { answer.id() } else { String::new() };
                resource.get_or_insert_with(|| format!("/Users/{id}"));
                (Outcome::Acknowledged((kind != Kind::Delete).then(|| answer.version())), Some(Some(id)))
            }
            Ok(answer) => {
                assert_eq!(answer.status, 503, "{method} {path} {body:?}: {}", answer.text());
                let outcome = self.shared.refused();
                if let Some(which) = about {
                    self.users[which].unsure |= outcome == Outcome::Unknown;
                }
                (outcome, Some(None))
            }
            Err(NoAnswer::NeverSent) => (Outcome::Refused, None),
            Err(NoAnswer::Unknown) => {
                self.shared.cut.fetch_add(1, Ordering::SeqCst);
                if let Some(which) = about {
                    self.users[which].unsure = true;
                }
                (Outcome::Unknown, None)
            }
        };
        self.shared.operations.lock().expect("the operations").push(Operation { kind, resource, outcome, marks, activates });
        told
    }
}
