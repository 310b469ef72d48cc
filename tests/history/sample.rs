//! A small good history: every kind of operation and event, with outcomes of every sort.

use crate::support::history::{History, Kind, Operation, Outcome, Resource};
use serde_json::{Value, json};

/// The claims of an event.
pub fn event(number: usize, txn: &str, subject: &str, kind: &str, payload: Value) -> Value {
    let uri = format!("urn:ietf:params:scim:event:prov:{kind}");
    json!({"iss": "http://a", "iat": 1, "jti": format!("j{number}"), "txn": txn, "aud": ["http://a/Events/Feeds/default"],
        "sub_id": {"format": "scim", "uri": subject}, "events": {uri: payload}})
}

/// The payload of a full event.
pub fn data(version: u64, data: Value) -> Value {
    json!({"version": format!("\"{version}\""), "data": data})
}

/// The payload of a full patch event.
pub fn operations(version: u64, operations: Value) -> Value {
    data(version, json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations}))
}

/// An operation.
pub fn operation(kind: Kind, resource: &str, outcome: Outcome, marks: &[&str], activates: Option<bool>) -> Operation {
    let resource = (!resource.is_empty()).then(|| resource.to_owned());
    Operation { kind, resource, outcome, marks: marks.iter().map(|mark| (*mark).to_owned()).collect(), activates }
}

fn acknowledged(version: u64) -> Outcome {
    Outcome::Acknowledged(Some(version))
}

fn log() -> Vec<Value> {
    let join = |id: &str| json!([{"op": "add", "path": "members", "value": [{"value": id, "type": "User"}]}]);
    let leave = |id: &str| json!([{"op": "remove", "path": format!("members[value eq \"{id}\"]")}]);
    let events = [
        ("t1", "/Users/a", "create:full", data(1, json!({"id": "a", "userName": "ann", "active": true}))),
        ("t2", "/Users/b", "create:full", data(1, json!({"id": "b", "userName": "bob"}))),
        ("t3", "/Groups/g", "create:full", data(1, json!({"id": "g", "displayName": "team"}))),
        ("t4", "/Groups/g", "patch:full", operations(2, join("a"))),
        ("t5", "/Groups/g", "patch:full", operations(3, join("b"))),
        ("t6", "/Users/a", "patch:full", operations(2, json!([{"op": "replace", "path": "active", "value": false}]))),
        ("t6", "/Users/a", "deactivate", json!({})),
        ("t7", "/Users/a", "put:full", data(3, json!({"id": "a", "userName": "ann", "nickName": "n7", "active": true}))),
        ("t7", "/Users/a", "activate", json!({})),
        ("t8", "/Users/b", "delete", json!({})),
        ("t8", "/Groups/g", "patch:full", operations(4, leave("b"))),
        ("t9", "/Users/c", "create:full", data(1, json!({"id": "c", "userName": "cid"}))),
        ("t10", "/Users/a", "patch:full", operations(4, json!([{"op": "add", "path": "name.givenName", "value": "n10"}]))),
    ];
    events
        .into_iter()
        .enumerate()
        .map(|(number, (txn, subject, kind, payload))| event(number, txn, subject, kind, payload))
        .collect()
}

/// The history.
pub fn history() -> History {
    let operations = vec![
        operation(Kind::Create, "/Users/a", acknowledged(1), &["ann"], None),
        operation(Kind::Create, "/Users/b", acknowledged(1), &["bob"], None),
        operation(Kind::Create, "/Groups/g", acknowledged(1), &["team"], None),
        operation(Kind::Patch, "/Groups/g", acknowledged(2), &["\"a\""], None),
        operation(Kind::Patch, "/Groups/g", acknowledged(3), &["\"b\""], None),
        operation(Kind::Patch, "/Users/a", acknowledged(2), &["active"], Some(false)),
        operation(Kind::Put, "/Users/a", acknowledged(3), &["n7"], Some(true)),
        operation(Kind::Delete, "/Users/b", Outcome::Acknowledged(None), &[], None),
        operation(Kind::Create, "", Outcome::Unknown, &["cid"], None),
        operation(Kind::Patch, "/Users/a", Outcome::Unknown, &["n10"], None),
        operation(Kind::Patch, "/Users/a", Outcome::Unknown, &["never"], None),
        operation(Kind::Create, "", Outcome::Refused, &["dup"], None),
    ];
    let a = json!({"id": "a", "userName": "ann", "nickName": "n7", "active": true, "name": {"givenName": "n10"}, "groups": [{"value": "g"}]});
    let g = json!({"id": "g", "displayName": "team", "members": [{"value": "a"}]});
    let c = json!({"id": "c", "userName": "cid", "meta": {"version": "\"1\""}});
    let resources = [("/Users/a", 4, a), ("/Groups/g", 4, g), ("/Users/c", 1, c)];
    let resources = resources.map(|(subject, version, body)| (subject.to_owned(), Resource { version, body }));
    History { operations, resources: resources.into(), log: log() }
}
