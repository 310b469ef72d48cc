//! What receivers have persisted, held against the log: at least once, nothing else, each subject's in order (I1, I4, I5).

use super::{Findings, Rule, Violation};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// What one receiver has persisted.
#[derive(Clone, Debug, Default)]
pub struct Receipts {
    /// Its name, for people.
    pub receiver: String,
    /// The claims of every SET, in the order in which they came, with those that came again.
    pub sets: Vec<Value>,
}

/// Everything that is wrong with what receivers have persisted; nothing when it is right. Everything in the log was theirs.
pub fn check_receipts(log: &[Value], all: &[Receipts]) -> Vec<Violation> {
    let mut found = Findings::default();
    let places: HashMap<&str, usize> = log.iter().enumerate().map(|(place, claims)| (event_of(claims), place)).collect();
    for receipts in all {
        check_one(log, &places, receipts, &mut found);
    }
    found.violations
}

/// The event of a SET: the part of its `jti` that is the same for every receiver.
pub fn event_of(claims: &Value) -> &str {
    let jti = claims["jti"].as_str().unwrap_or_default();
    jti.split_once('.').map_or(jti, |(event, _)| event)
}

/// The claims without those that differ between receivers.
fn told(claims: &Value) -> Value {
    let mut told = claims.clone();
    if let Some(claims) = told.as_object_mut() {
        claims.shift_remove("jti");
        claims.shift_remove("aud");
    }
    told
}

fn check_one(log: &[Value], places: &HashMap<&str, usize>, receipts: &Receipts, found: &mut Findings) {
    let receiver = &receipts.receiver;
    let mut first: HashMap<usize, &Value> = HashMap::new();
    let mut newest: HashMap<&str, usize> = HashMap::new();
    for claims in &receipts.sets {
        let Some(&place) = places.get(event_of(claims)) else {
            found.add(Rule::ReceivedFromTheLog, format!("{receiver} was sent {claims}, which is not in the log"));
            continue;
        };
        if let Some(before) = first.get(&place) {
            if *before != claims {
                found.add(Rule::ReceivedAlike, format!("{receiver} was sent {before} and then {claims}"));
            }
            continue;
        }
        first.insert(place, claims);
        if told(claims) != told(&log[place]) {
            found.add(Rule::ReceivedFromTheLog, format!("{receiver} was sent {claims}, the log says {}", log[place]));
        }
        let subject = claims["sub_id"]["uri"].as_str().unwrap_or_default();
        let before = newest.insert(subject, place);
        if let Some(before) = before.filter(|before| *before > place) {
            let late = format!("{receiver} was sent the event at {place} of {subject} after that at {before}");
            found.add(Rule::ReceivedInOrder, late);
        }
    }
    let missing: BTreeSet<usize> = (0..log.len()).filter(|place| !first.contains_key(place)).collect();
    for place in missing {
        found.add(Rule::ReceivedAll, format!("{receiver} was never sent the event at {place}: {}", log[place]));
    }
}
