//! What is kept of the keys, and the steps that change it. Each step is one change of the ledger, all or none, so that whatever
//! stops a rotation leaves a ring that signs.
//!
//! A key is a record. Beside them each algorithm has one record that every step changes too: of two steps that were planned from the
//! same keys only one comes through, whatever it changes.

use super::pair::Fresh;
use crate::base::clock::Timestamp;
use crate::delivery::stream::Algorithm;
use crate::store::ledger::{Record, RecordChange};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The collection of keys; the record's id is the kid.
pub(super) const KEYS: &str = "signing-key";
/// The collection of what every step of an algorithm changes; the record's id is the algorithm's name.
pub(super) const RINGS: &str = "signing-ring";

/// Where a key is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It signs.
    Active,
    /// It does not sign yet. Receivers can know it already.
    Next,
    /// It signs no more. What it signed can still be verified.
    Retired,
}

impl State {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Next => "next",
            Self::Retired => "retired",
        }
    }
}

/// A key, as its record keeps it. Times are milliseconds since the epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Key {
    /// The thumbprint of its public half (RFC 7638); the record's id.
    #[serde(skip)]
    pub(super) kid: String,
    /// The record's revision.
    #[serde(skip)]
    pub(super) revision: u64,
    /// What it signs with.
    #[serde(rename = "alg")]
    pub(super) algorithm: Algorithm,
    /// Where it is in its life.
    pub(super) state: State,
    /// When it was made.
    pub(super) created: i64,
    /// When it is to become active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) activates: Option<i64>,
    /// When it became active.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) activated: Option<i64>,
    /// When it was retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) retired: Option<i64>,
    /// When it is forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) leaves: Option<i64>,
    /// What its public JWK says of it.
    pub(super) public: Map<String, Value>,
    /// PKCS#8, sealed. A retired key has none: it never signs again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) private: Option<String>,
}

/// Everything that is kept, and how often each algorithm's keys have changed.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Book {
    keys: Vec<Key>,
    rings: BTreeMap<&'static str, u64>,
}

/// A new key of an algorithm, its private half sealed.
pub(super) struct Sealed {
    pub(super) algorithm: Algorithm,
    pub(super) kid: String,
    pub(super) public: Map<String, Value>,
    pub(super) private: String,
}

impl Sealed {
    pub(super) fn new(algorithm: Algorithm, fresh: Fresh, private: String) -> Self {
        Self { algorithm, kid: fresh.kid, public: fresh.public, private }
    }
}

/// What a key's record cannot be read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a kept signing key cannot be read")]
pub(super) struct Unread;

impl Book {
    /// Reads what is kept. The records of rings have been read first: if a step comes between, the next step sees it.
    pub(super) fn read(rings: &[Record], keys: Vec<Record>) -> Result<Self, Unread> {
        let named = |record: &Record| {
            let algorithm = Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == record.id)?;
            Some((algorithm.name(), record.revision))
        };
        let rings = rings.iter().filter_map(named).collect();
        let one = |record: Record| {
            let key: Key = serde_json::from_str(&record.body).map_err(|_| Unread)?;
            Ok(Key { kid: record.id, revision: record.revision, ..key })
        };
        let mut keys: Vec<Key> = keys.into_iter().map(one).collect::<Result<_, _>>()?;
        keys.sort_by(|one, other| {
            let rank = |key: &Key| (key.algorithm, key.state, Reverse(key.retired), Reverse(key.created));
            rank(one).cmp(&rank(other)).then_with(|| one.kid.cmp(&other.kid))
        });
        Ok(Self { keys, rings })
    }

    /// Every key: by algorithm; the active one, the next one, retired ones, the latest first.
    pub(super) fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// The key with this kid.
    pub(super) fn key(&self, kid: &str) -> Option<&Key> {
        self.keys.iter().find(|key| key.kid == kid)
    }

    /// The key of an algorithm in a state; there is at most one that is active, and one that is next.
    pub(super) fn of(&self, algorithm: Algorithm, state: State) -> Option<&Key> {
        self.keys.iter().find(|key| key.algorithm == algorithm && key.state == state)
    }

    /// A step: these keys change, or go. Whoever made another one meanwhile has made this one impossible.
    fn step(&self, algorithm: Algorithm, active: &str, keys: Vec<RecordChange>) -> Vec<RecordChange> {
        let expected = self.rings.get(algorithm.name()).copied();
        let body = Some(json!({"active": active}).to_string());
        let ring = RecordChange { collection: RINGS, id: algorithm.name().into(), expected, body };
        keys.into_iter().chain([ring]).collect()
    }

    /// A new key that signs from now on; what signed before is retired.
    pub(super) fn begin(&self, fresh: Sealed, now: Timestamp, kept_ms: i64) -> Vec<RecordChange> {
        let algorithm = fresh.algorithm;
        let before = self.of(algorithm, State::Active).map(|key| key.retire(now, kept_ms));
        let key = Key { activated: Some(now.0), ..Key::new(fresh, State::Active, now) };
        let changes = before.into_iter().chain([key.made()]).collect();
        self.step(algorithm, &key.kid, changes)
    }

    /// A new key that is to sign from some time on.
    pub(super) fn announce(&self, fresh: Sealed, now: Timestamp, activates: Timestamp) -> Vec<RecordChange> {
        let algorithm = fresh.algorithm;
        let key = Key { activates: Some(activates.0), ..Key::new(fresh, State::Next, now) };
        let active = self.of(algorithm, State::Active).map_or("", |key| &key.kid);
        self.step(algorithm, active, vec![key.made()])
    }

    /// The next key signs from now on; what signed before is retired.
    pub(super) fn activate(&self, next: &Key, now: Timestamp, kept_ms: i64) -> Vec<RecordChange> {
        let before = self.of(next.algorithm, State::Active).map(|key| key.retire(now, kept_ms));
        let changes = before.into_iter().chain([next.activate(now)]).collect();
        self.step(next.algorithm, &next.kid, changes)
    }

    /// A key is no more. If it signed, the next one does from now on, or else `fresh`; `None` when that is needed.
    pub(super) fn remove(&self, key: &Key, fresh: Option<Sealed>, now: Timestamp) -> Option<Vec<RecordChange>> {
        let gone = key.gone();
        if key.state != State::Active {
            let active = self.of(key.algorithm, State::Active).map_or("", |key| &key.kid);
            return Some(self.step(key.algorithm, active, vec![gone]));
        }
        if let Some(next) = self.of(key.algorithm, State::Next) {
            return Some(self.step(key.algorithm, &next.kid, vec![gone, next.activate(now)]));
        }
        let key = fresh.map(|fresh| Key { activated: Some(now.0), ..Key::new(fresh, State::Active, now) })?;
        Some(self.step(key.algorithm, &key.kid, vec![gone, key.made()]))
    }

    /// A key's private half is kept in another form.
    pub(super) fn reseal(&self, key: &Key, private: String) -> Vec<RecordChange> {
        let active = self.of(key.algorithm, State::Active).map_or("", |key| &key.kid);
        self.step(key.algorithm, active, vec![key.becomes(&Key { private: Some(private), ..key.clone() })])
    }

    /// What is due: a next key becomes active, retired ones are forgotten. A step an algorithm.
    pub(super) fn due(&self, now: Timestamp, kept_ms: i64) -> Vec<Vec<RecordChange>> {
        let of = |algorithm: Algorithm| {
            let mine = || self.keys.iter().filter(move |key| key.algorithm == algorithm);
            let is_due = |time: Option<i64>| time.is_some_and(|time| time <= now.0);
            let next = mine().find(|key| key.state == State::Next && is_due(key.activates));
            if let Some(next) = next {
                return Some(self.activate(next, now, kept_ms));
            }
            let gone: Vec<RecordChange> =
                mine().filter(|key| key.state == State::Retired && is_due(key.leaves)).map(Key::gone).collect();
            let active = self.of(algorithm, State::Active).map_or("", |key| &key.kid);
            (!gone.is_empty()).then(|| self.step(algorithm, active, gone))
        };
        Algorithm::ALL.into_iter().filter_map(of).collect()
    }
}

impl Key {
    fn new(fresh: Sealed, state: State, now: Timestamp) -> Self {
        Self {
            kid: fresh.kid,
            revision: 0,
            algorithm: fresh.algorithm,
            state,
            created: now.0,
            activates: None,
            activated: None,
            retired: None,
            leaves: None,
            public: fresh.public,
            private: Some(fresh.private),
        }
    }

    fn body(&self) -> String {
        // Texts, numbers and maps of texts: nothing of it fails.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn made(&self) -> RecordChange {
        RecordChange { collection: KEYS, id: self.kid.clone(), expected: None, body: Some(self.body()) }
    }

    fn becomes(&self, key: &Self) -> RecordChange {
        RecordChange { collection: KEYS, id: self.kid.clone(), expected: Some(self.revision), body: Some(key.body()) }
    }

    fn activate(&self, now: Timestamp) -> RecordChange {
        self.becomes(&Self { state: State::Active, activated: Some(now.0), activates: None, ..self.clone() })
    }

    fn retire(&self, now: Timestamp, kept_ms: i64) -> RecordChange {
        let leaves = Some(now.0.saturating_add(kept_ms));
        self.becomes(&Self { state: State::Retired, retired: Some(now.0), leaves, private: None, ..self.clone() })
    }

    fn gone(&self) -> RecordChange {
        RecordChange { collection: KEYS, id: self.kid.clone(), expected: Some(self.revision), body: None }
    }

    /// The public JWK (RFC 7517 §4): nothing but what a receiver needs.
    pub(super) fn jwk(&self) -> Value {
        let named = json!({"kid": self.kid, "use": "sig", "alg": self.algorithm.name()});
        let mut members = self.public.clone();
        members.extend(named.as_object().cloned().unwrap_or_default());
        Value::Object(members)
    }
}
