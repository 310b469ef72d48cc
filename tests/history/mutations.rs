//! The ways to break a history.

use crate::sample::{data, event, operation, operations};
use crate::support::history::{History, Kind, Outcome, Rule};
use serde_json::{Value, json};

/// One way to break a history, and the rule that must see it.
pub struct Mutation {
    /// What it is called.
    pub name: &'static str,
    /// What must catch it.
    pub rule: Rule,
    /// What it does.
    pub change: fn(&mut History),
}

fn payload(claims: &mut Value) -> &mut Value {
    claims["events"].as_object_mut().and_then(|events| events.values_mut().next()).expect("an event")
}

fn rename(claims: &mut Value, kind: &str) {
    let payload = payload(claims).clone();
    claims["events"] = json!({ format!("urn:ietf:params:scim:event:prov:{kind}"): payload });
}

const fn way(name: &'static str, rule: Rule, change: fn(&mut History)) -> Mutation {
    Mutation { name, rule, change }
}

/// All of them.
pub fn all() -> Vec<Mutation> {
    let mut ways = of_events();
    ways.extend(of_states());
    ways
}

fn of_events() -> Vec<Mutation> {
    vec![
        way("an event dropped in the middle", Rule::DenseVersions, |history| drop(history.log.remove(3))),
        way("the last event of a resource dropped", Rule::EndsAtPresent, |history| drop(history.log.remove(12))),
        way("an event twice", Rule::UniqueJti, |history| history.log.insert(4, history.log[3].clone())),
        way("two events of a resource swapped", Rule::DenseVersions, |history| history.log.swap(3, 4)),
        way("an event of a resource that never was", Rule::Explained, |history| {
            history.log.push(event(90, "t90", "/Users/x", "create:full", data(1, json!({"userName": "x"}))));
        }),
        way("an event of a change that never was", Rule::Explained, |history| {
            history.log.push(event(90, "t90", "/Users/c", "patch:full", operations(2, json!([]))));
            history.resources.get_mut("/Users/c").expect("c").version = 2;
        }),
        way("an event of a refused write", Rule::Explained, |history| {
            history.log.push(event(90, "t90", "/Users/d", "create:full", data(1, json!({"userName": "dup"}))));
        }),
        way("a version skipped", Rule::DenseVersions, |history| payload(&mut history.log[12])["version"] = "\"5\"".into()),
        way("a version that starts at 2", Rule::DenseVersions, |history| payload(&mut history.log[11])["version"] = "\"2\"".into()),
        way("a version that is no entity tag", Rule::WellFormed, |history| payload(&mut history.log[0])["version"] = "1".into()),
        way("the wrong kind", Rule::Acknowledged, |history| rename(&mut history.log[7], "patch:full")),
        way("a second create", Rule::DenseVersions, |history| rename(&mut history.log[12], "create:full")),
        way("an activation in another transaction", Rule::Activation, |history| history.log[6]["txn"] = "t66".into()),
        way("an activation missing", Rule::Activation, |history| drop(history.log.remove(8))),
        way("an activation for a deactivation", Rule::Activation, |history| rename(&mut history.log[6], "activate")),
        way("an activation that nobody asked for", Rule::Activation, |history| {
            history.log.insert(4, event(90, "t4", "/Groups/g", "activate", json!({})));
        }),
        way("an activation before its change", Rule::Activation, |history| history.log.swap(5, 6)),
        way("two changes in one transaction", Rule::Transactions, |history| history.log[1]["txn"] = "t1".into()),
        way("a transaction in two pieces", Rule::Transactions, |history| history.log.swap(10, 11)),
        way("a cascade in a transaction of its own", Rule::Explained, |history| history.log[10]["txn"] = "t88".into()),
        way("an event after the delete", Rule::NothingAfterDelete, |history| {
            history.log.push(event(90, "t90", "/Users/b", "patch:full", operations(3, json!([]))));
        }),
        way("a delete missing", Rule::EndsAtPresent, |history| drop(history.log.remove(9))),
        way("a delete with a payload", Rule::WellFormed, |history| *payload(&mut history.log[9]) = json!({"version": "\"2\""})),
        way("an event without a transaction", Rule::WellFormed, |history| history.log[0]["txn"] = Value::Null),
        way("data and attributes at once", Rule::WellFormed, |history| {
            payload(&mut history.log[0])["attributes"] = json!(["userName"]);
        }),
        way("a notice with data", Rule::WellFormed, |history| rename(&mut history.log[0], "create:notice")),
    ]
}

fn of_states() -> Vec<Mutation> {
    vec![
        way("an acknowledged write lost with its event", Rule::Acknowledged, |history| {
            let outcome = Outcome::Acknowledged(Some(5));
            history.operations.push(operation(Kind::Patch, "/Users/a", outcome, &["n11"], None));
        }),
        way("an acknowledged create lost", Rule::Acknowledged, |history| {
            let outcome = Outcome::Acknowledged(Some(1));
            history.operations.push(operation(Kind::Create, "/Users/z", outcome, &["zoe"], None));
        }),
        way("an acknowledged delete that was not done", Rule::Acknowledged, |history| {
            history.operations.push(operation(Kind::Delete, "/Users/c", Outcome::Acknowledged(None), &[], None));
        }),
        way("two acknowledged writes with one version", Rule::Acknowledged, |history| {
            history.operations.push(operation(Kind::Patch, "/Groups/g", Outcome::Acknowledged(Some(2)), &["\"a\""], None));
        }),
        way("an acknowledged write that another overwrote unseen", Rule::Acknowledged, |history| {
            history.operations.push(operation(Kind::Patch, "/Groups/g", Outcome::Acknowledged(Some(2)), &["\"q\""], None));
        }),
        way("a write of unknown outcome done twice", Rule::Explained, |history| {
            let again = operations(5, json!([{"op": "replace", "path": "name.givenName", "value": "n10"}]));
            history.log.push(event(90, "t90", "/Users/a", "patch:full", again));
            history.resources.get_mut("/Users/a").expect("a").version = 5;
        }),
        way("a member lost", Rule::Replays, |history| {
            history.resources.get_mut("/Groups/g").expect("g").body["members"] = json!([]);
        }),
        way("a member too many", Rule::Replays, |history| {
            history.resources.get_mut("/Groups/g").expect("g").body["members"] = json!([{"value": "a"}, {"value": "b"}]);
        }),
        way("an attribute that no event tells of", Rule::Replays, |history| {
            history.resources.get_mut("/Users/c").expect("c").body["title"] = "boss".into();
        }),
        way("a change undone without an event", Rule::Replays, |history| {
            history.resources.get_mut("/Users/a").expect("a").body["name"] = Value::Null;
        }),
        way("a version ahead of its events", Rule::EndsAtPresent, |history| {
            history.resources.get_mut("/Users/a").expect("a").version = 9;
        }),
        way("a deleted resource come back", Rule::EndsAtPresent, |history| {
            let back = history.resources["/Users/c"].clone();
            history.resources.insert("/Users/b".into(), back);
        }),
        way("a resource without any event", Rule::EndsAtPresent, |history| {
            let other = history.resources["/Users/c"].clone();
            history.resources.insert("/Users/y".into(), other);
        }),
        way("a resource gone without a delete", Rule::EndsAtPresent, |history| drop(history.resources.remove("/Users/c"))),
    ]
}
