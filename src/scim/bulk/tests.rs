#![allow(clippy::needless_pass_by_value, reason = "a json! literal is given as it is written")]

use super::*;
use crate::scim::error::{Error, ErrorKind};
use crate::scim::message::BULK_REQUEST;
use serde_json::json;

const BASE: &str = "http://example.com/scim/v2";

fn read(body: Value) -> Result<Bulk> {
    Bulk::read(body, &Registry::builtin(), BASE, 3)
}

fn of(operations: Value) -> Result<Bulk> {
    read(json!({"schemas": [BULK_REQUEST], "Operations": operations}))
}

fn one(operation: Value) -> Operation {
    of(json!([operation])).expect("a bulk request").operations.remove(0)
}

fn refused(body: Value) -> (ErrorKind, String) {
    let Error { kind, detail } = read(body).expect_err("this is refused");
    (kind, detail)
}

fn failed(operation: Value) -> (ErrorKind, String) {
    let Error { kind, detail } = one(operation).request.expect_err("this fails");
    (kind, detail)
}

/// 7644-3.7-01
#[test]
fn the_message_is_read_in_any_case() {
    let bulk = read(json!({
        "SCHEMAS": [BULK_REQUEST.to_uppercase()], "failonerrors": 2, "other": 1,
        "operations": [{"Method": "put", "PATH": "/Users/7", "Version": "W/\"3\"", "DATA": {"a": 1}, "location": "x"}],
    }));
    let bulk = bulk.expect("a bulk request");
    assert_eq!(bulk.most_failures.map(NonZeroUsize::get), Some(2));
    let [Operation { method, bulk_id, request, .. }] = &bulk.operations[..] else { panic!("{bulk:?}") };
    assert_eq!((method.as_str(), bulk_id), ("PUT", &None));
    let request = request.as_ref().expect("a request");
    assert_eq!((request.method, request.kind.name.as_str()), (Method::Put, "User"));
    assert_eq!(request.target, Some(Target::Id("7".into())));
    assert_eq!(request.precondition, Some(Precondition::Versions(vec![3])));
    assert_eq!(request.data, json!({"a": 1}));
}

/// 7644-3.7-04 7644-3.7-05 7644-3.7.4-01
#[test]
fn what_is_wrong_with_the_whole_refuses_it() {
    let operation = json!({"method": "DELETE", "path": "/Users/1"});
    let cases = [
        (json!([]), ErrorKind::InvalidSyntax, "The body must be a JSON object."),
        (json!({"Operations": [operation]}), ErrorKind::InvalidSyntax, "'schemas' must be an array that contains"),
        (json!({"schemas": [BULK_REQUEST]}), ErrorKind::InvalidSyntax, "'Operations' must be an array of at least one operation."),
        (json!({"schemas": [BULK_REQUEST], "Operations": []}), ErrorKind::InvalidSyntax, "'Operations' must be an array"),
        (json!({"schemas": [BULK_REQUEST], "Operations": operation}), ErrorKind::InvalidSyntax, "'Operations' must be an array"),
        (
            json!({"schemas": [BULK_REQUEST], "Operations": [operation, 1]}),
            ErrorKind::InvalidSyntax,
            "'Operations[1]' must be an object.",
        ),
        (
            json!({"schemas": [BULK_REQUEST], "Operations": [{"path": "/Users/1"}]}),
            ErrorKind::InvalidSyntax,
            "'Operations[0].method' is required: POST, PUT, PATCH or DELETE.",
        ),
        (
            json!({"schemas": [BULK_REQUEST], "Operations": [{"method": "DELETE", "path": 1}]}),
            ErrorKind::InvalidSyntax,
            "'Operations[0].path' must be a string.",
        ),
        (
            json!({"schemas": [BULK_REQUEST], "Operations": [{"method": "DELETE", "Method": "DELETE"}]}),
            ErrorKind::InvalidSyntax,
            "The name 'Operations[0].method' stands twice",
        ),
        (
            json!({"schemas": [BULK_REQUEST], "Operations": [operation, operation, operation, operation]}),
            ErrorKind::TooLarge,
            "The bulk request has 4 operations, more than maxOperations (3).",
        ),
    ];
    for (body, kind, detail) in cases {
        let found = refused(body);
        assert!(found.0 == kind && found.1.starts_with(detail), "{found:?}");
    }
    for wrong in [json!(0), json!(-1), json!(1.5), json!("1"), json!(true)] {
        let body = json!({"schemas": [BULK_REQUEST], "failOnErrors": wrong, "Operations": [operation]});
        assert_eq!(refused(body), (ErrorKind::InvalidValue, "'failOnErrors' must be an integer of at least 1.".into()));
    }
    assert!(read(json!({"schemas": [BULK_REQUEST], "failOnErrors": null, "Operations": [operation]})).is_ok());
}

/// 7644-3.7-02
#[test]
fn a_bulk_id_stands_once() {
    let operations = json!([
        {"method": "POST", "path": "/Users", "bulkId": "a", "data": {}}, {"method": "PUT", "path": "/Users/1", "bulkId": "a", "data": {}},
    ]);
    let error = of(operations).expect_err("a duplicate");
    assert_eq!(error, Error::invalid_syntax("The bulkId 'a' stands twice in the request."));
}

/// 7644-3.7-02
#[test]
fn what_is_wrong_with_an_operation_fails_it_alone() {
    let syntax = ErrorKind::InvalidSyntax;
    let cases = [
        (json!({"method": "GET", "path": "/Users/1"}), syntax, "'method' must be POST, PUT, PATCH or DELETE, not 'GET'."),
        (json!({"method": "DELETE"}), syntax, "'path' is required."),
        (json!({"method": "DELETE", "path": null}), syntax, "'path' is required."),
        (json!({"method": "DELETE", "path": "/Nope/1"}), ErrorKind::NotFound, "There is no endpoint '/Nope/1'."),
        (json!({"method": "DELETE", "path": "/Users/"}), ErrorKind::NotFound, "There is no endpoint '/Users/'."),
        (json!({"method": "DELETE", "path": "/Users/a/b"}), ErrorKind::NotFound, "There is no endpoint '/Users/a/b'."),
        (json!({"method": "DELETE", "path": "/Me"}), ErrorKind::NotFound, "There is no endpoint '/Me'."),
        (
            json!({"method": "DELETE", "path": "/Users"}),
            ErrorKind::MethodNotAllowed,
            "DELETE is not allowed at '/Users': it takes the path of a resource, such as /Users/{id}.",
        ),
        (
            json!({"method": "POST", "bulkId": "a", "path": "/Users/1", "data": {}}),
            ErrorKind::MethodNotAllowed,
            "POST is not allowed at '/Users/1': it takes the path of a resource type, such as /Users.",
        ),
        (json!({"method": "POST", "path": "/Users", "data": {}}), syntax, "'bulkId' is required when 'method' is POST."),
        (
            json!({"method": "POST", "path": "/Users", "bulkId": "", "data": {}}),
            syntax,
            "'bulkId' is required when 'method' is POST.",
        ),
        (json!({"method": "POST", "path": "/Users", "bulkId": "a"}), syntax, "'data' is required when 'method' is POST."),
        (json!({"method": "PATCH", "path": "/Users/1"}), syntax, "'data' is required when 'method' is PATCH."),
        (
            json!({"method": "DELETE", "path": "/Users/1", "version": "3"}),
            ErrorKind::InvalidValue,
            "'version' must be '*' or a list of entity tags such as \"3\".",
        ),
        (
            json!({"method": "DELETE", "path": "/Users/1", "version": ""}),
            ErrorKind::InvalidValue,
            "'version' must be '*' or a list of entity tags such as \"3\".",
        ),
        (json!({"method": "DELETE", "path": "/Users/%ff"}), syntax, "'path' is not UTF-8 in percent-encoding."),
    ];
    for (operation, kind, detail) in cases {
        assert_eq!(failed(operation), (kind, detail.into()));
    }
}

#[test]
fn a_path_may_begin_with_the_base() {
    for path in ["/Users/a b", "Users/a%20b", "/scim/v2/Users/a%20b", "scim/v2/Users/a b", "http://example.com/scim/v2/Users/a b"] {
        let operation = one(json!({"method": "DELETE", "path": path}));
        assert_eq!(operation.request.expect(path).target, Some(Target::Id("a b".into())), "{path}");
    }
    for path in ["http://example.org/scim/v2/Users/1", "/v2/Users/1", "/scim/v2Users/1", "//Users/1"] {
        assert_eq!(failed(json!({"method": "DELETE", "path": path})).0, ErrorKind::NotFound, "{path}");
    }
}

/// 7644-3.7.2-01
#[test]
fn references_are_found_and_resolved_wherever_they_stand() {
    let mut bulk = of(json!([
        {"method": "POST", "path": "/Users", "bulkId": "q/1 \"x\"", "data": {"userName": "Alice"}},
        {"method": "POST", "path": "/Groups", "bulkId": "g", "data": {
            "members": [{"value": "u"}, {"value": "bulkId:q/1 \"x\"", "$ref": "../Users/bulkId:q/1 \"x\""}],
            "urn:x": {"manager": {"value": "bulkId:q/1 \"x\""}, "note": "see bulkId:nothing and /bulkId:nothing", "self": "bulkId:g"},
        }},
        {"method": "PATCH", "path": "/Groups/bulkId:g", "data": {"Operations": [
            {"op": "remove", "path": "members[value eq \"bulkId:q\\/1 \\\"x\\\"\" or value eq \"bulkId\" or value eq \"bulkId:g\"]"},
            {"op": "add", "path": "members", "value": [{"value": "bulkId:q/1 \"x\""}]},
        ]}},
    ]))
    .expect("a bulk request");
    let needs: Vec<_> = bulk.operations.iter().map(|operation| operation.needs.clone()).collect();
    assert_eq!(needs, [vec![], vec![0, 1], vec![0, 1]]);
    assert!(bulk.is_circle(&[1]) && !bulk.is_circle(&[0]) && !bulk.is_circle(&[2]));
    for operation in 0..3 {
        bulk.resolve(operation, |post| Some(["id0", "id1"][post]));
    }
    let requests: Vec<_> = bulk.operations.into_iter().map(|operation| operation.request.expect("a request")).collect();
    let group = json!({
        "members": [{"value": "u"}, {"value": "id0", "$ref": "../Users/id0"}],
        "urn:x": {"manager": {"value": "id0"}, "note": "see bulkId:nothing and /bulkId:nothing", "self": "id1"},
    });
    let patch = json!({"Operations": [
        {"op": "remove", "path": "members[value eq \"id0\" or value eq \"bulkId\" or value eq \"id1\"]"},
        {"op": "add", "path": "members", "value": [{"value": "id0"}]},
    ]});
    assert_eq!((&requests[1].data, &requests[2].data), (&group, &patch));
    assert_eq!(requests[2].target, Some(Target::Created(1)));
}

/// 7644-3.7.2-01
#[test]
fn an_unknown_reference_is_named_by_its_place() {
    let data = |data: Value| json!({"method": "POST", "path": "/Users", "bulkId": "a", "data": data});
    let patch =
        json!({"method": "PATCH", "path": "/Groups/1", "data": {"Operations": [{"path": "members[value eq \"bulkId:x\"]"}]}});
    for (operation, place) in [
        (data(json!({"members": [{"value": "u"}, {"value": "bulkId:x"}]})), "data.members[1].value"),
        (data(json!({"urn:x": {"list": [["bulkId:x"]]}})), "data.urn:x.list[0][0]"),
        (data(json!({"manager": {"$ref": "/Users/bulkId:x"}})), "data.manager.$ref"),
        (data(json!({"password": "bulkId:"})), "data.password"),
        (patch, "data.Operations[0].path"),
        (json!({"method": "DELETE", "path": "/Users/bulkId:x"}), "path"),
        (json!({"method": "DELETE", "path": "/Users/bulkId%3Ax"}), "path"),
    ] {
        let detail = format!("'{place}' refers to a bulkId that no POST of the request has.");
        assert_eq!(failed(operation), (ErrorKind::InvalidValue, detail));
    }
}

fn ordered(needs: &[&[usize]]) -> Vec<Vec<usize>> {
    let operation = |needs: &&[usize]| Operation {
        method: "POST".into(),
        bulk_id: None,
        path: None,
        needs: needs.to_vec(),
        request: Err(Error::invalid_syntax("")),
    };
    order::order(&needs.iter().map(operation).collect::<Vec<_>>())
}

/// 7644-3.7-07 7644-3.7.1-01
#[test]
fn operations_keep_their_order_but_for_what_they_need() {
    assert_eq!(ordered(&[&[], &[], &[]]), [[0], [1], [2]]);
    assert_eq!(ordered(&[&[2], &[], &[], &[0]]), [vec![2], vec![0], vec![1], vec![3]]);
    assert_eq!(ordered(&[&[1], &[2], &[3], &[]]), [[3], [2], [1], [0]]);
    assert_eq!(ordered(&[&[], &[3], &[], &[1, 2], &[1]]), [vec![0], vec![2], vec![1, 3], vec![4]]);
    assert_eq!(ordered(&[&[1], &[2], &[0]]), [[0, 1, 2]]);
    assert_eq!(ordered(&[&[0], &[0]]), [[0], [1]]);
}

#[test]
fn a_long_chain_takes_no_deep_stack() {
    let last = 200_000;
    let needs: Vec<Vec<usize>> = (0..=last).map(|operation| if operation < last { vec![operation + 1] } else { vec![] }).collect();
    let order = ordered(&needs.iter().map(Vec::as_slice).collect::<Vec<_>>());
    assert_eq!(order.iter().map(|together| together[0]).collect::<Vec<_>>(), (0..=last).rev().collect::<Vec<_>>());
}

#[test]
fn a_path_of_many_references_is_written_once() {
    let count = 300_000;
    let data = json!({"Operations": [{"op": "remove", "path": "\"bulkId:a\"".repeat(count)}]});
    let post = json!({"method": "POST", "path": "/Users", "bulkId": "a", "data": {}});
    let mut bulk = of(json!([post, {"method": "PATCH", "path": "/Groups/1", "data": data}])).expect("a bulk request");
    // Were it written anew for each reference, nobody would live to see the end: the wait is bounded.
    let (done, resolved) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        bulk.resolve(1, |_| Some("0190c7a4-7f2a-7000-8000-000000000001"));
        done.send(bulk)
    });
    let mut bulk = resolved.recv_timeout(std::time::Duration::from_secs(10)).expect("an end in time");
    let request = bulk.operations.remove(1).request.expect("a request");
    let path = request.data["Operations"][0]["path"].as_str().expect("a path").to_owned();
    assert_eq!(path, "\"0190c7a4-7f2a-7000-8000-000000000001\"".repeat(count));
}
