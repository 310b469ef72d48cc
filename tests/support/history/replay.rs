//! Replaying the events of one resource: they must make what is there.

use super::record::{EventKind, Record};
use super::{Findings, Rule};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// A resource as far as its events tell.
#[derive(Debug, Default, PartialEq)]
struct Replica {
    attributes: Map<String, Value>,
    members: BTreeSet<String>,
}

impl Replica {
    fn of(representation: &Value) -> Self {
        let mut replica = Self::default();
        for (name, value) in representation.as_object().into_iter().flatten() {
            match name.as_str() {
                "members" => replica.join(value),
                "id" | "meta" | "schemas" | "groups" => {}
                _ => {
                    replica.attributes.insert(name.clone(), value.clone());
                }
            }
        }
        replica
    }

    fn join(&mut self, members: &Value) {
        let one = std::slice::from_ref(members);
        let all = members.as_array().map_or(one, Vec::as_slice);
        self.members.extend(all.iter().filter_map(|member| member["value"].as_str()).map(str::to_owned));
    }

    fn apply(&mut self, operation: &Value) {
        let path = operation["path"].as_str().unwrap_or_default();
        let removes = operation["op"] == "remove";
        if let Some(filter) = path.strip_prefix("members[value eq ") {
            let id: Option<String> = filter.strip_suffix(']').and_then(|literal| serde_json::from_str(literal).ok());
            id.map(|id| self.members.remove(&id));
        } else if path == "members" {
            if operation["op"] != "add" {
                self.members.clear();
            }
            self.join(&operation["value"]);
        } else {
            let (name, sub) = if path.starts_with("urn:") { (path, None) } else { split(path) };
            match (sub, removes) {
                (None, true) => drop(self.attributes.remove(name)),
                (None, false) => drop(self.attributes.insert(name.to_owned(), operation["value"].clone())),
                (Some(sub), true) => drop(self.attributes.get_mut(name).and_then(|value| value.as_object_mut()?.remove(sub))),
                (Some(sub), false) => {
                    let complex = self.attributes.entry(name).or_insert_with(|| Value::Object(Map::new()));
                    complex[sub] = operation["value"].clone();
                }
            }
        }
    }
}

fn split(path: &str) -> (&str, Option<&str>) {
    path.split_once('.').map_or((path, None), |(name, sub)| (name, Some(sub)))
}

/// Applies the state events of a resource in their order and compares with what is there. A notice says too little: then
/// nothing can be said.
pub fn check(subject: &str, events: &[&Record], present: &Value, found: &mut Findings) {
    let mut replica = Replica::default();
    for event in events {
        let Some(data) = event.payload.get("data") else { return };
        match event.kind {
            EventKind::Create | EventKind::Put => replica = Replica::of(data),
            EventKind::Patch => data["Operations"].as_array().into_iter().flatten().for_each(|operation| replica.apply(operation)),
            _ => {}
        }
    }
    let present = Replica::of(present);
    if replica != present {
        let lost: Vec<_> = replica.members.symmetric_difference(&present.members).collect();
        let (told, there) = (Value::Object(replica.attributes.clone()), Value::Object(present.attributes.clone()));
        found.add(Rule::Replays, format!("{subject}: the events make {told}, there is {there}; members that differ: {lost:?}"));
    }
}
