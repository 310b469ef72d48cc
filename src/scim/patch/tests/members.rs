use super::*;
use crate::base::id::ResourceId;
use crate::base::limits;
use crate::scim::error::ErrorKind;
use crate::scim::schema::GROUP;

fn group() -> Object {
    object(json!({"schemas": [GROUP], "displayName": "g"}))
}

fn member(id: &str) -> Member {
    Member { id: ResourceId::parse(id), kind: None, display: None }
}

fn change(reset: bool, present: &[&str], absent: &[&str]) -> MemberChange {
    let present = present.iter().map(|id| member(id)).collect();
    MemberChange { reset, present, absent: absent.iter().map(|id| ResourceId::parse(id)).collect() }
}

/// What becomes of the members, given these where they are known.
fn members(operations: &Value, current: Option<&[&str]>) -> Result<Option<MemberChange>> {
    let current: Option<Vec<Member>> = current.map(|ids| ids.iter().map(|id| member(id)).collect());
    match patched(&kind("Group"), &group(), operations, current.as_deref())? {
        Patched::NeedsMembers => Ok(None),
        Patched::Done { document, members, secrets } => {
            assert_eq!((document, secrets), (group(), vec![]));
            Ok(Some(members))
        }
    }
}

/// 7643-4.2-02 7644-3.5.2.2-04 7644-3.5.2-05
#[test]
fn members_are_folded_without_knowing_them() {
    let add = |ids: &[&str]| {
        let values: Vec<Value> = ids.iter().map(|id| json!({"value": id})).collect();
        json!({"op": "add", "path": "members", "value": values})
    };
    let leave = |id: &str| json!({"op": "remove", "path": format!("members[value eq \"{id}\"]")});
    for (operations, expected) in [
        (json!([add(&["1", "2", "1"])]), change(false, &["1", "2"], &[])),
        (json!([{"op": "add", "path": "members", "value": {"value": "1"}}]), change(false, &["1"], &[])),
        (json!([{"op": "add", "value": {"Members": [{"value": "1"}]}}]), change(false, &["1"], &[])),
        (json!([{"op": "add", "path": "members", "value": []}]), change(false, &[], &[])),
        (json!([leave("1")]), change(false, &[], &["1"])),
        (json!([{"op": "remove", "path": "members[value eq \"1\" or VALUE EQ \"2\"]"}]), change(false, &[], &["1", "2"])),
        (json!([{"op": "remove", "path": "members"}]), change(true, &[], &[])),
        (json!([{"op": "replace", "path": "members", "value": [{"value": "1"}]}]), change(true, &["1"], &[])),
        (json!([{"op": "replace", "value": {"members": [{"value": "1"}]}}]), change(true, &["1"], &[])),
        (json!([{"op": "replace", "path": "members", "value": []}]), change(true, &[], &[])),
        (json!([{"op": "replace", "path": "members", "value": null}]), change(true, &[], &[])),
        (json!([add(&["1"]), leave("1")]), change(false, &[], &["1"])),
        (json!([leave("1"), add(&["1"])]), change(false, &["1"], &[])),
        (json!([add(&["1"]), {"op": "remove", "path": "members"}, add(&["2"])]), change(true, &["2"], &[])),
        (json!([{"op": "remove", "path": "members"}, add(&["1", "2"]), leave("1")]), change(true, &["2"], &[])),
    ] {
        assert_eq!(members(&operations, None), Ok(Some(expected)), "{operations}");
    }
}

/// 7644-3.5.2.2-04: Entra and JumpCloud. Read literally, it would empty the group.
#[test]
fn listed_members_are_removed_alone() {
    let remove = |value: Value| json!([{"op": "Remove", "path": "members", "value": value}]);
    assert_eq!(members(&remove(json!([{"value": "1"}, {"Value": "2"}])), None), Ok(Some(change(false, &[], &["1", "2"]))));
    assert_eq!(members(&remove(json!({"value": "1", "$ref": null})), None), Ok(Some(change(false, &[], &["1"]))));
    assert_eq!(members(&remove(json!([])), None), Ok(Some(change(false, &[], &[]))));
    assert_eq!(members(&remove(Value::Null), None), Ok(Some(change(true, &[], &[]))));
    for value in [json!(["1"]), json!([{}]), json!([{"value": ""}]), json!("1")] {
        assert_eq!(members(&remove(value), None).map_err(|error| error.kind), Err(ErrorKind::InvalidValue));
    }
}

#[test]
fn other_filters_look_at_the_members() {
    let remove = json!([{"op": "remove", "path": "members[value sw \"a\"]"}]);
    assert_eq!(members(&remove, None), Ok(None));
    assert_eq!(members(&remove, Some(&["a1", "b1", "a2"])), Ok(Some(change(false, &[], &["a1", "a2"]))));
    // What the operations before it made is what it looks at.
    let later = json!([{"op": "remove", "path": "members[value eq \"a1\"]"},
        {"op": "add", "path": "members", "value": [{"value": "a3"}]}, {"op": "remove", "path": "members[value sw \"a\"]"}]);
    assert_eq!(members(&later, Some(&["a1", "b1", "a2"])), Ok(Some(change(false, &[], &["a1", "a3", "a2"]))));
    let replace = json!([{"op": "replace", "path": "members[value eq \"a1\"]", "value": {"value": "c1"}}]);
    assert_eq!(members(&replace, None), Ok(None));
    assert_eq!(members(&replace, Some(&["a1", "b1"])), Ok(Some(change(false, &["c1"], &["a1"]))));
    let none = Error::no_target("The filter of 'members' selects no member to replace.");
    assert_eq!(members(&replace, Some(&["b1"])), Err(none));
    let many = vec![json!({"op": "remove", "path": "members[type pr]"}); limits::MEMBER_FILTERS_PER_PATCH + 1];
    assert_eq!(members(&many.into(), None).map_err(|error| error.kind), Err(ErrorKind::TooMany));
}

/// 7643-4.2-02
#[test]
fn members_come_and_go_whole() {
    for operations in [
        json!([{"op": "replace", "path": "members[value eq \"1\"].display", "value": "x"}]),
        json!([{"op": "remove", "path": "members[value eq \"1\"].value"}]),
        json!([{"op": "add", "path": "members.value", "value": "1"}]),
        json!([{"op": "remove", "path": "members.display"}]),
        json!([{"op": "add", "path": "members[value eq \"1\"]", "value": {"display": "x"}}]),
    ] {
        let expected = Error::mutability("The values of 'members' are immutable: add or remove whole ones.");
        assert_eq!(members(&operations, None), Err(expected), "{operations}");
    }
    let unknown = json!([{"op": "add", "path": "members", "value": [{"value": "1", "nope": 1}]}]);
    assert_eq!(members(&unknown, None), Err(Error::invalid_value("Attribute 'members.nope' is not defined.")));
}

#[test]
fn cost_is_that_of_what_is_named() {
    // A quadratic fold of this request would take minutes.
    let ids: Vec<Value> = (0..100_000).map(|n| json!({"value": format!("0190c7a4-7f2a-7000-8000-{n:012x}")})).collect();
    let operations = json!([{"op": "add", "path": "members", "value": ids}, {"op": "Remove", "path": "members", "value": ids}]);
    let folded = members(&operations, None).expect("valid").expect("no members are needed");
    assert_eq!((folded.present.len(), folded.absent.len(), folded.reset), (0, 100_000, false));
}
