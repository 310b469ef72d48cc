//! The users of the load, and the requests about them.

use crate::Result;
use crate::client::Traffic;
use crate::random::Random;
use crate::server::KEY;
use std::io::Write;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use uuid::Uuid;

/// A user of the load. Its names are made of a random token, so that neighbours in an index were not made together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Person {
    /// The `id` that the server, or the loader, gave.
    pub(crate) id: Uuid,
    /// What its names are made of.
    pub(crate) token: u64,
}

/// Writes a request with authentication.
pub(crate) fn request(out: &mut Vec<u8>, method: &str, target: std::fmt::Arguments<'_>, body: &str) {
    // Writing to a Vec cannot fail.
    let _ = write!(out, "{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {KEY}\r\n");
    if !body.is_empty() {
        let _ = write!(out, "Content-Type: application/scim+json\r\nContent-Length: {}\r\n", body.len());
    }
    let _ = write!(out, "\r\n{body}");
}

/// The body that creates a user: about as large as a directory's.
pub(crate) fn new_user(token: u64) -> String {
    format!(
        concat!(
            r#"{{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],"#,
            r#""userName":"u{t:016x}@example.com","externalId":"{t:016x}","#,
            r#""name":{{"formatted":"Given Family {t:016x}","familyName":"Family {t:016x}","givenName":"Given"}},"#,
            r#""displayName":"Given Family {t:016x}","title":"Engineer","preferredLanguage":"en-US","active":true,"#,
            r#""emails":[{{"value":"u{t:016x}@example.com","type":"work","primary":true}}],"#,
            r#""phoneNumbers":[{{"value":"tel:+1-201-555-0123","type":"work"}}],"#,
            r#""addresses":[{{"type":"work","streetAddress":"100 Universal City Plaza","locality":"Hollywood","region":"CA","#,
            r#""postalCode":"91608","country":"US"}}],"#,
            r#""urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{{"employeeNumber":"{t:016x}","#,
            r#""costCenter":"4130","organization":"Universal Studios","division":"Theme Park","department":"Tour Operations"}}}}"#
        ),
        t = token
    )
}

/// The body that switches a user on or off.
pub(crate) fn set_active(active: bool) -> String {
    format!(
        r#"{{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{{"op":"replace","path":"active","value":{active}}}]}}"#
    )
}

/// Reads who an answer is about.
pub(crate) fn read_person(body: &[u8]) -> Result<Person> {
    let user: serde_json::Value = serde_json::from_slice(body)?;
    let text = |name: &str| user.get(name).and_then(serde_json::Value::as_str).ok_or("an answer without id or externalId");
    Ok(Person { id: text("id")?.parse()?, token: u64::from_str_radix(text("externalId")?, 16)? })
}

/// GET of the same bytes over and over.
#[derive(Debug)]
pub(crate) struct Static;

impl Traffic for Static {
    fn request(&self, _client: usize, _random: &mut Random, out: &mut Vec<u8>) {
        request(out, "GET", format_args!("/static"), "");
    }
}

/// GET of one target over and over.
#[derive(Debug)]
pub(crate) struct Get(pub(crate) String);

impl Traffic for Get {
    fn request(&self, _client: usize, _random: &mut Random, out: &mut Vec<u8>) {
        request(out, "GET", format_args!("{}", self.0), "");
    }
}

/// GET by id, uniformly random.
#[derive(Debug)]
pub(crate) struct Reads(pub(crate) Arc<Vec<Person>>);

impl Traffic for Reads {
    fn request(&self, _client: usize, random: &mut Random, out: &mut Vec<u8>) {
        let person = &self.0[random.below(self.0.len())];
        request(out, "GET", format_args!("/Users/{}", person.id), "");
    }
}

/// GET of every user once.
#[derive(Debug)]
pub(crate) struct EachOnce {
    people: Arc<Vec<Person>>,
    at: AtomicUsize,
}

impl EachOnce {
    /// Of these users.
    pub(crate) fn new(people: Arc<Vec<Person>>) -> Self {
        Self { people, at: AtomicUsize::new(0) }
    }
}

impl Traffic for EachOnce {
    fn request(&self, _client: usize, _random: &mut Random, out: &mut Vec<u8>) {
        let at = self.at.fetch_add(1, Ordering::Relaxed) % self.people.len();
        request(out, "GET", format_args!("/Users/{}", self.people[at].id), "");
    }
}

/// `userName eq`, uniformly random.
#[derive(Debug)]
pub(crate) struct Searches(pub(crate) Arc<Vec<Person>>);

impl Traffic for Searches {
    fn request(&self, _client: usize, random: &mut Random, out: &mut Vec<u8>) {
        let token = self.0[random.below(self.0.len())].token;
        request(out, "GET", format_args!("/Users?filter=userName%20eq%20%22u{token:016x}%40example.com%22"), "");
    }
}

/// POST of ever new users, collected when `keep` says so.
#[derive(Debug, Default)]
pub(crate) struct Creates {
    /// Whether to remember who was made.
    pub(crate) keep: bool,
    /// Who was made.
    pub(crate) made: Mutex<Vec<Person>>,
}

impl Traffic for Creates {
    fn request(&self, _client: usize, random: &mut Random, out: &mut Vec<u8>) {
        request(out, "POST", format_args!("/Users"), &new_user(random.next()));
    }

    fn answered(&self, body: &[u8]) {
        if self.keep
            && let Ok(person) = read_person(body)
        {
            self.made.lock().unwrap_or_else(PoisonError::into_inner).push(person);
        }
    }
}

/// Bulk requests that create ever new users.
#[derive(Debug)]
pub(crate) struct Bulks {
    /// How many users each creates.
    pub(crate) users: u32,
    /// How many were not created.
    pub(crate) failed: AtomicUsize,
}

impl Traffic for Bulks {
    fn request(&self, _client: usize, random: &mut Random, out: &mut Vec<u8>) {
        let operation =
            |number| format!(r#"{{"method":"POST","path":"/Users","bulkId":"{number}","data":{}}}"#, new_user(random.next()));
        let operations: Vec<String> = (0..self.users).map(operation).collect();
        let body = format!(
            r#"{{"schemas":["urn:ietf:params:scim:api:messages:2.0:BulkRequest"],"Operations":[{}]}}"#,
            operations.join(",")
        );
        request(out, "POST", format_args!("/Bulk"), &body);
    }

    fn answered(&self, body: &[u8]) {
        let created = body.windows(14).filter(|part| part == br#""status":"201""#).count();
        self.failed.fetch_add((self.users as usize).saturating_sub(created), Ordering::Relaxed);
    }
}

/// PATCH of `active`. Each client has users of its own, so that every request changes something and none waits for another.
#[derive(Debug)]
pub(crate) struct Patches {
    people: Arc<Vec<Person>>,
    active: Vec<AtomicBool>,
    clients: usize,
}

impl Patches {
    /// Of these users, all active, by so many clients.
    pub(crate) fn new(people: Arc<Vec<Person>>, clients: usize) -> Self {
        let active = people.iter().map(|_| AtomicBool::new(true)).collect();
        Self { people, active, clients }
    }
}

impl Traffic for Patches {
    fn request(&self, client: usize, random: &mut Random, out: &mut Vec<u8>) {
        let index = random.below(self.people.len() / self.clients) * self.clients + client;
        let active = !self.active[index].fetch_xor(true, Ordering::Relaxed);
        request(out, "PATCH", format_args!("/Users/{}", self.people[index].id), &set_active(active));
    }
}

/// PATCH of `active` and GET by id, in turn at random.
#[derive(Debug)]
pub(crate) struct Mixed {
    patches: Patches,
    reads: Reads,
}

impl Mixed {
    /// Of these users, all active, by so many clients.
    pub(crate) fn new(people: &Arc<Vec<Person>>, clients: usize) -> Self {
        Self { patches: Patches::new(Arc::clone(people), clients), reads: Reads(Arc::clone(people)) }
    }
}

impl Traffic for Mixed {
    fn request(&self, client: usize, random: &mut Random, out: &mut Vec<u8>) {
        if random.next() & 1 == 0 {
            self.patches.request(client, random, out);
        } else {
            self.reads.request(client, random, out);
        }
    }
}
