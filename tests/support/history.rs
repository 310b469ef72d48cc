//! The checker of histories: what clients did, what is there at the end, and what the log says must tell one story (I1, I2).
//!
//! It wants the log of a gateway with `EVENT_MODE=full`, so that an event shows what it did.

pub mod receipts;
pub mod record;
pub mod replay;

use record::{EventKind, Record};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt;

/// What a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// POST
    Create,
    /// PUT
    Put,
    /// PATCH
    Patch,
    /// DELETE
    Delete,
}

/// What the client knows of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was answered with success, and with this version unless it was a DELETE.
    Acknowledged(Option<u64>),
    /// The connection broke: it was done, or not.
    Unknown,
    /// It was answered with an error, or never sent: it was not done.
    Refused,
}

/// One request of a client. Every one, if it is done, changes something.
#[derive(Clone, Debug)]
pub struct Operation {
    /// What was asked for.
    pub kind: Kind,
    /// Of which resource, as `/Users/<id>`; `None` for a POST that was not answered.
    pub resource: Option<String>,
    /// What is known of it.
    pub outcome: Outcome,
    /// Texts that the payload of its event holds.
    pub marks: Vec<String>,
    /// Whether it activates (true), deactivates (false), or neither.
    pub activates: Option<bool>,
}

/// A resource at the end.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its version.
    pub version: u64,
    /// Its representation, with its members.
    pub body: Value,
}

/// A whole history.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// What the clients did, in no order.
    pub operations: Vec<Operation>,
    /// What is there at the end, by `/Users/<id>`.
    pub resources: BTreeMap<String, Resource>,
    /// The claims of every event, in the order of the log.
    pub log: Vec<Value>,
}

/// The rules that a history keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Every event has the claims and the payload of its kind.
    WellFormed,
    /// No two events have one `jti`.
    UniqueJti,
    /// The state events of a resource are a create, then changes, with the versions 1, 2, 3, … in this order.
    DenseVersions,
    /// A delete is the end.
    NothingAfterDelete,
    /// The last state event leads to what is there.
    EndsAtPresent,
    /// An acknowledged write has its one event, of its kind, with its marks.
    Acknowledged,
    /// Activate and deactivate are there when `active` changed, and only then, with the transaction of the change.
    Activation,
    /// A transaction is one run of the log: one change, or a delete with those who lose the member.
    Transactions,
    /// Every event is explained by a write that was not refused.
    Explained,
    /// The events, applied one after the other, make what is there.
    Replays,
    /// The log is the same, however it is walked.
    SameWalk,
    /// Every event of the log was received at least once: no cursor has passed over one.
    ReceivedAll,
    /// What was received is in the log, as it stands there.
    ReceivedFromTheLog,
    /// The events of a subject were first received in the order of the log.
    ReceivedInOrder,
    /// What was received again was the same, under the same `jti`.
    ReceivedAlike,
}

/// A rule that was broken, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which rule.
    pub rule: Rule,
    /// Where, for people.
    pub place: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.rule, self.place)
    }
}

/// Everything that is wrong with a history; nothing when it is right.
pub fn check(history: &History) -> Vec<Violation> {
    let mut found = Findings::default();
    let records = read_log(history, &mut found);
    let subjects = by_subject(&records);
    for (subject, events) in &subjects {
        check_subject(subject, events, history.resources.get(*subject), &mut found);
    }
    for subject in history.resources.keys().filter(|subject| !subjects.contains_key(subject.as_str())) {
        found.add(Rule::EndsAtPresent, format!("{subject} is there without any event"));
    }
    check_transactions(&records, &mut found);
    check_operations(history, &records, &mut found);
    found.violations
}

/// Two walks of one log, with pages of different sizes, must agree.
pub fn check_walks(one: &[Value], other: &[Value]) -> Vec<Violation> {
    let mut found = Findings::default();
    let differs = one.iter().zip(other).position(|(one, other)| one != other);
    if let Some(place) = differs.or((one.len() != other.len()).then_some(one.len().min(other.len()))) {
        found.add(Rule::SameWalk, format!("the walks of {} and {} events differ at {place}", one.len(), other.len()));
    }
    found.violations
}

/// What was found.
#[derive(Debug, Default)]
pub struct Findings {
    violations: Vec<Violation>,
}

impl Findings {
    /// A rule was broken.
    pub fn add(&mut self, rule: Rule, place: String) {
        self.violations.push(Violation { rule, place });
    }
}

fn read_log(history: &History, found: &mut Findings) -> Vec<Record> {
    let mut seen = HashSet::new();
    let mut records = Vec::new();
    for (place, claims) in history.log.iter().enumerate() {
        match Record::read(place, claims) {
            Ok(record) => {
                if !seen.insert(record.jti.clone()) {
                    found.add(Rule::UniqueJti, format!("event {place} repeats {}", record.jti));
                }
                records.push(record);
            }
            Err(what) => found.add(Rule::WellFormed, format!("event {place}: {what} in {claims}")),
        }
    }
    records
}

fn by_subject(records: &[Record]) -> BTreeMap<&str, Vec<&Record>> {
    let mut subjects: BTreeMap<&str, Vec<&Record>> = BTreeMap::new();
    for record in records {
        subjects.entry(&record.subject).or_default().push(record);
    }
    subjects
}

fn check_subject(subject: &str, events: &[&Record], present: Option<&Resource>, found: &mut Findings) {
    let state: Vec<&Record> = events.iter().copied().filter(|event| event.kind.is_state()).collect();
    for (index, event) in state.iter().enumerate() {
        let expected = index as u64 + 1;
        let is_first = index == 0;
        if is_first != (event.kind == EventKind::Create) || event.version.is_some_and(|version| version != expected) {
            found.add(
                Rule::DenseVersions,
                format!("{subject} at {}: {:?} of version {:?}, expected {expected}", event.place, event.kind, event.version),
            );
        }
    }
    let deleted = events.iter().position(|event| event.kind == EventKind::Delete);
    if deleted.is_some_and(|at| at + 1 < events.len()) {
        found.add(Rule::NothingAfterDelete, format!("{subject} has events after its delete"));
    }
    let last = state.last().and_then(|event| event.version);
    match (deleted.is_some(), present) {
        (true, Some(_)) => found.add(Rule::EndsAtPresent, format!("{subject} is there although it was deleted")),
        (false, None) => found.add(Rule::EndsAtPresent, format!("{subject} is gone without a delete")),
        (false, Some(present)) if last != Some(present.version) => {
            found.add(Rule::EndsAtPresent, format!("{subject} is at version {}, its last event at {last:?}", present.version));
        }
        (false, Some(present)) => replay::check(subject, &state, &present.body, found),
        (true, None) => {}
    }
}

fn check_transactions(records: &[Record], found: &mut Findings) {
    let mut ended: HashSet<&str> = HashSet::new();
    for run in records.chunk_by(|one, next| one.txn == next.txn) {
        let (txn, place) = (&run[0].txn, run[0].place);
        if !ended.insert(txn) {
            found.add(Rule::Transactions, format!("transaction {txn} comes back at {place}"));
        }
        let state: Vec<&Record> = run.iter().filter(|event| event.kind.is_state()).collect();
        let subjects: BTreeSet<&str> = state.iter().map(|event| event.subject.as_str()).collect();
        if subjects.len() != state.len() {
            found.add(Rule::Transactions, format!("transaction {txn} at {place} changes a resource twice"));
        }
        let lone = state.iter().filter(|event| !is_cascade(event, run)).count();
        if lone != 1 {
            found.add(Rule::Transactions, format!("transaction {txn} at {place} is {lone} changes of their own"));
        }
        for event in run.iter().filter(|event| !event.kind.is_state()) {
            let changes = |other: &Record| other.subject == event.subject && other.place < event.place && other.kind.can_activate();
            let twins = run.iter().filter(|other| !other.kind.is_state() && other.subject == event.subject).count();
            if !state.iter().copied().any(changes) || twins != 1 {
                found.add(Rule::Activation, format!("{:?} at {} without its change", event.kind, event.place));
            }
        }
    }
}

/// Whether a change is another resource's loss of a member that the same transaction deletes.
fn is_cascade(event: &Record, run: &[Record]) -> bool {
    let deletes = |other: &&Record| other.kind == EventKind::Delete && other.subject != event.subject;
    let mentioned = |other: &Record| other.subject.rsplit('/').next().is_some_and(|id| event.holds(id));
    event.kind == EventKind::Patch && run.iter().filter(deletes).any(mentioned)
}

fn check_operations(history: &History, records: &[Record], found: &mut Findings) {
    let mut explained: HashSet<usize> = HashSet::new();
    let places: HashMap<(&str, Option<u64>), &Record> = records
        .iter()
        .filter(|event| event.kind.is_state())
        .map(|event| ((event.subject.as_str(), event.version), event))
        .collect();
    let activations: HashMap<(&str, &str), bool> =
        records.iter().filter_map(|event| Some(((event.txn.as_str(), event.subject.as_str()), event.kind.activates()?))).collect();
    for operation in &history.operations {
        let Outcome::Acknowledged(version) = operation.outcome else { continue };
        let resource = operation.resource.as_deref().unwrap_or_default();
        let Some(event) = places.get(&(resource, version)) else {
            found.add(Rule::Acknowledged, format!("{:?} of {resource} to version {version:?} has no event", operation.kind));
            continue;
        };
        if !event.tells(operation) {
            found.add(Rule::Acknowledged, format!("{operation:?} met {:?} {}", event.kind, event.payload));
        }
        if !explained.insert(event.place) {
            found.add(Rule::Acknowledged, format!("the event at {} stands for two writes of {resource}", event.place));
        }
        let activates = activations.get(&(event.txn.as_str(), resource)).copied();
        if activates != operation.activates {
            found.add(Rule::Activation, format!("{operation:?} came to {activates:?} at {}", event.place));
        }
    }
    for run in records.chunk_by(|one, next| one.txn == next.txn) {
        explained.extend(run.iter().filter(|event| is_cascade(event, run)).map(|event| event.place));
    }
    explain_by_unknown(history, records, &mut explained);
    for event in records.iter().filter(|event| event.kind.is_state() && !explained.contains(&event.place)) {
        let (place, subject) = (event.place, &event.subject);
        found.add(Rule::Explained, format!("nobody asked for {:?} of {subject} at {place}: {}", event.kind, event.payload));
    }
}

/// Lets each write of unknown outcome explain at most one of the remaining events. Those with the most marks choose first.
fn explain_by_unknown(history: &History, records: &[Record], explained: &mut HashSet<usize>) {
    let mut unknown: Vec<&Operation> =
        history.operations.iter().filter(|operation| operation.outcome == Outcome::Unknown).collect();
    unknown.sort_by_key(|operation| std::cmp::Reverse(operation.marks.len()));
    let left: Vec<&Record> = records.iter().filter(|event| event.kind.is_state() && !explained.contains(&event.place)).collect();
    for operation in unknown {
        let about = |event: &&&Record| operation.resource.as_ref().is_none_or(|resource| *resource == event.subject);
        let event = left.iter().filter(about).find(|event| event.tells(operation) && !explained.contains(&event.place));
        explained.extend(event.map(|event| event.place));
    }
}
