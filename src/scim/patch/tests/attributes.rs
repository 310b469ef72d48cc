use super::*;
use crate::base::limits;
use crate::base::secret::Secret;
use crate::scim::schema::{ENTERPRISE_USER, GROUP};

/// 7644-3.5.2.1-03 7644-3.5.2.3-02 7644-3.5.2.3-06
#[test]
fn add_and_replace_write_single_values() {
    check([
        (json!({}), json!([{"op": "add", "path": "title", "value": "a"}]), json!({"title": "a"})),
        (json!({"title": "a"}), json!([{"op": "add", "path": "title", "value": "b"}]), json!({"title": "b"})),
        (json!({}), json!([{"op": "replace", "path": "title", "value": "a"}]), json!({"title": "a"})),
        (
            json!({"title": "a", "active": true}),
            json!([{"op": "replace", "path": "title", "value": "b"}]),
            json!({"title": "b", "active": true}),
        ),
        (json!({"title": "a"}), json!([{"op": "replace", "path": "title", "value": "a"}]), json!({"title": "a"})),
        (json!({"title": "a"}), json!([{"op": "replace", "path": "title", "value": null}]), json!({})),
        (json!({"title": "a"}), json!([{"op": "add", "path": "title", "value": null}]), json!({"title": "a"})),
    ]);
}

/// 7644-3.5.2.1-03 7644-3.5.2.3-03
#[test]
fn complex_values_are_merged() {
    let before = json!({"name": {"givenName": "Ann", "familyName": "A"}});
    let merged = json!({"name": {"givenName": "Bea", "familyName": "A", "middleName": "M"}});
    let value = json!({"GivenName": "Bea", "middleName": "M"});
    check([
        (before.clone(), json!([{"op": "add", "path": "name", "value": value}]), merged.clone()),
        (before.clone(), json!([{"op": "replace", "path": "name", "value": value}]), merged.clone()),
        // SailPoint
        (
            before.clone(),
            json!([{"op": "replace", "value": {"name": {"givenName": "Bea"}}},
            {"op": "replace", "value": {"name": {"middleName": "M"}}}]),
            merged,
        ),
        (
            before.clone(),
            json!([{"op": "replace", "path": "name.givenName", "value": "Bea"}]),
            json!({"name": {"givenName": "Bea", "familyName": "A"}}),
        ),
        (json!({}), json!([{"op": "replace", "path": "name.givenName", "value": "Bea"}]), json!({"name": {"givenName": "Bea"}})),
        (
            before.clone(),
            json!([{"op": "replace", "path": "name", "value": {"givenName": null}}]),
            json!({"name": {"familyName": "A"}}),
        ),
        (before.clone(), json!([{"op": "add", "path": "name", "value": {}}]), before.clone()),
        (
            before.clone(),
            json!([{"op": "remove", "path": "name.givenName"}, {"op": "remove", "path": "name.familyName"}]),
            json!({}),
        ),
        (before.clone(), json!([{"op": "replace", "path": "name", "value": null}]), json!({})),
        (before, json!([{"op": "remove", "path": "name"}]), json!({})),
    ]);
}

/// 7644-3.5.2.1-02 7644-3.5.2.3-01 7644-3.5.2-07
#[test]
fn without_a_path_each_attribute_of_the_value_is_a_target() {
    let value = json!({"TITLE": "t", "name": {"givenName": "Ann"}, format!("{USER}:nickName"): "n",
        format!("{ENTERPRISE_USER}:department"): "d", ENTERPRISE_USER: {"division": "v", "manager": {"value": "7"}},
        USER: {"locale": "de"}});
    let expected = json!({"schemas": [USER, ENTERPRISE_USER], "title": "t", "name": {"givenName": "Ann"}, "nickName": "n",
        ENTERPRISE_USER: {"department": "d", "division": "v", "manager": {"value": "7"}}, "locale": "de"});
    check([
        (json!({}), json!([{"op": "add", "value": value}]), expected.clone()),
        (json!({}), json!([{"op": "replace", "value": value}]), expected.clone()),
        (json!({}), json!([{"op": "replace", "path": USER, "value": value}]), expected),
        // Okta
        (
            json!({"active": true, "title": "t"}),
            json!([{"op": "replace", "value": {"active": false}}]),
            json!({"active": false, "title": "t"}),
        ),
        (json!({"title": "t"}), json!([{"op": "replace", "value": {"title": null, "emails": []}}]), json!({})),
    ]);
    check_refused([
        (json!({}), json!([{"op": "add", "value": {"nope": 1}}]), Error::invalid_value("Attribute 'nope' is not defined.")),
        (
            json!({}),
            json!([{"op": "add", "value": {USER: 1}}]),
            Error::invalid_value(format!("Schema '{USER}' must be an object.")),
        ),
        (
            json!({}),
            json!([{"op": "add", "value": {ENTERPRISE_USER: 1}}]),
            Error::invalid_value(format!("Extension '{ENTERPRISE_USER}' must be an object.")),
        ),
        (
            json!({}),
            json!([{"op": "add", "value": {ENTERPRISE_USER: {"nope": 1}}}]),
            Error::invalid_value(format!("Attribute '{ENTERPRISE_USER}:nope' is not defined.")),
        ),
        (
            json!({}),
            json!([{"op": "add", "value": {"title": "a", "Title": "b"}}]),
            Error::invalid_syntax("The name 'Title' stands twice in one object, in two spellings."),
        ),
        (
            json!({}),
            json!([{"op": "add", "value": {"name.givenName": "Ann"}}]),
            Error::invalid_value("'name.givenName' is a path, and stands here for the name of an attribute."),
        ),
    ]);
}

/// 7644-3.5.2-07
#[test]
fn an_extension_comes_and_goes_with_its_attributes() {
    let both = json!([USER, ENTERPRISE_USER]);
    let with = |attributes: Value| json!({"schemas": both, ENTERPRISE_USER: attributes});
    let path = format!("{ENTERPRISE_USER}:department");
    let two = json!({"department": "d", "division": "v"});
    check([
        (json!({}), json!([{"op": "add", "path": path, "value": "d"}]), with(json!({"department": "d"}))),
        (with(json!({"department": "d"})), json!([{"op": "remove", "path": path}]), json!({})),
        (with(two.clone()), json!([{"op": "remove", "path": path.to_uppercase()}]), with(json!({"division": "v"}))),
        (with(two.clone()), json!([{"op": "remove", "path": ENTERPRISE_USER}]), json!({})),
        (with(two.clone()), json!([{"op": "replace", "value": {ENTERPRISE_USER: null}}]), json!({})),
        (json!({}), json!([{"op": "remove", "path": ENTERPRISE_USER}]), json!({})),
        (json!({}), json!([{"op": "remove", "path": path}]), json!({})),
        (
            with(json!({"department": "d"})),
            json!([{"op": "replace", "path": ENTERPRISE_USER, "value": {"division": "v"}}]),
            with(two),
        ),
        (
            json!({}),
            json!([{"op": "add", "path": ENTERPRISE_USER, "value": {"manager": {"value": "7", "displayName": "x"}}}]),
            with(json!({"manager": {"value": "7"}})),
        ),
    ]);
    let mut kind = ResourceType::clone(&kind("User"));
    kind.extensions[0].required = true;
    let detail = format!("Extension '{ENTERPRISE_USER}' is required and cannot be removed.");
    let removed = after_of(&kind, with(json!({"department": "d"})), &json!([{"op": "remove", "path": ENTERPRISE_USER}]));
    assert_eq!(removed, Err(Error::mutability(detail)));
    let emptied = after_of(&kind, with(json!({"department": "d"})), &json!([{"op": "remove", "path": path}]));
    assert_eq!(emptied, Err(Error::invalid_value(format!("Extension '{ENTERPRISE_USER}' is required."))));
}

/// 7644-3.5.2-07
#[test]
fn schemas_follow_from_the_rest() {
    let same = |operation: Value| (json!({}), json!([operation]), json!({}));
    check([
        same(json!({"op": "add", "path": "schemas", "value": [ENTERPRISE_USER]})),
        same(json!({"op": "replace", "path": "schemas", "value": [USER, ENTERPRISE_USER]})),
        same(json!({"op": "replace", "value": {"schemas": [USER]}})),
    ]);
    check_refused([
        (json!({}), json!([{"op": "replace", "value": {"meta": null}}]), Error::mutability("Attribute 'meta' is read-only.")),
        (json!({}), json!([{"op": "replace", "value": {"id": "7"}}]), Error::mutability("Attribute 'id' is read-only.")),
    ]);
    let required = Error::mutability("Attribute 'schemas' is required and cannot be removed.");
    check_refused([
        (json!({}), json!([{"op": "remove", "path": "schemas"}]), required.clone()),
        (json!({}), json!([{"op": "replace", "path": "schemas", "value": []}]), required),
        (
            json!({}),
            json!([{"op": "add", "path": "schemas", "value": [GROUP]}]),
            Error::invalid_syntax(format!("Schema '{GROUP}' is not one of the resource type User.")),
        ),
    ]);
}

/// 7644-3.5.2-09
#[test]
fn values_are_checked_as_in_a_create() {
    let of = |path: &str, value: Value| (json!({}), json!([{"op": "replace", "path": path, "value": value}]));
    let row = |(before, operations): (Value, Value), detail: &str| (before, operations, Error::invalid_value(detail));
    check_refused([
        row(of("active", json!("True")), "Attribute 'active' must be true or false."),
        row(of("title", json!(["x"])), "Attribute 'title' must be a string."),
        row(of("name", json!("x")), "Attribute 'name' must be an object."),
        row(of("name.givenName", json!(1)), "Attribute 'name.givenName' must be a string."),
        row(of("name", json!({"nope": 1})), "Attribute 'name.nope' is not defined."),
        row(of("emails", json!([{"type": 1}])), "Attribute 'emails.type' must be a string."),
        row(of("userName", json!("")), "Attribute 'userName' is required and must not be empty."),
    ]);
}

/// 7644-3.5.2-04
#[test]
fn what_is_read_only_is_no_target() {
    for op in ["add", "replace", "remove"] {
        let displayed = format!("{ENTERPRISE_USER}:manager.displayName");
        for path in ["id", "meta", "meta.created", "groups", "groups.value", displayed.as_str()] {
            let operation = json!([{"op": op, "path": path, "value": "x"}]);
            let expected = Error::mutability(format!("Attribute '{path}' is read-only."));
            assert_eq!(after(json!({}), operation), Err(expected));
        }
    }
    let operation = json!([{"op": "replace", "value": {"groups": [], "title": "x"}}]);
    assert_eq!(after(json!({}), operation), Err(Error::mutability("Attribute 'groups' is read-only.")));
}

/// 7644-3.5.2.2-03
#[test]
fn what_is_required_stays() {
    let lost = || Error::mutability("Attribute 'userName' is required and cannot be removed.");
    check_refused([
        (json!({}), json!([{"op": "remove", "path": "userName"}]), lost()),
        (json!({}), json!([{"op": "replace", "path": "userName", "value": null}]), lost()),
        (json!({}), json!([{"op": "replace", "value": {"userName": []}}]), lost()),
        (json!({}), json!([{"op": "remove", "path": "userName"}, {"op": "add", "path": "userName", "value": "x"}]), lost()),
    ]);
    let kind = user_with(json!({"name": "extra", "type": "complex", "multiValued": true, "required": true,
        "subAttributes": [{"name": "value", "required": true}, {"name": "note"}]}));
    let before = json!({"extra": [{"value": "a"}]});
    let part = Error::mutability("Attribute 'extra.value' is required and cannot be removed.");
    let whole = Error::mutability("Attribute 'extra' is required and cannot be removed.");
    for (operation, expected) in [
        (json!([{"op": "remove", "path": "extra"}]), whole.clone()),
        (json!([{"op": "remove", "path": "extra[value eq \"a\"]"}]), whole),
        (json!([{"op": "remove", "path": "extra[value eq \"a\"].value"}]), part),
        (
            json!([{"op": "add", "path": "extra", "value": {"note": "x"}}]),
            Error::invalid_value("Attribute 'extra.value' is required."),
        ),
    ] {
        assert_eq!(after_of(&kind, before.clone(), &operation), Err(expected));
    }
    assert!(after_of(&kind, before, &json!([{"op": "remove", "path": "extra[value eq \"b\"]"}])).is_ok());
}

/// 7644-3.5.2-04 7643-7-04
#[test]
fn what_is_immutable_is_set_once() {
    let kind = user_with(json!({"name": "badge", "type": "complex", "subAttributes": [
        {"name": "number", "mutability": "immutable"}, {"name": "color"}]}));
    let of = |before: Value, operation: Value| after_of(&kind, before, &json!([operation]));
    let held = || json!({"badge": {"number": "7"}});
    let refused = Err(Error::mutability("Attribute 'badge.number' is immutable and has another value."));
    let number = |op: &str, value: &str| json!({"op": op, "path": "badge.number", "value": value});
    assert_eq!(of(json!({}), number("add", "7")), Ok(user(held())));
    assert_eq!(of(held(), number("replace", "7")), Ok(user(held())));
    assert_eq!(of(held(), number("add", "8")), refused);
    assert_eq!(of(held(), number("remove", "")), refused);
    assert_eq!(of(held(), json!({"op": "remove", "path": "badge"})), refused);
    let colored = of(held(), json!({"op": "replace", "path": "badge", "value": {"color": "red"}}));
    assert_eq!(colored, Ok(user(json!({"badge": {"number": "7", "color": "red"}}))));
}

/// 7643-4.1.1-04
#[test]
fn a_password_never_enters_the_document() {
    let secrets = |operations: Value| match patched(&kind("User"), &user(json!({})), &operations, None) {
        Ok(Patched::Done { document, secrets, .. }) => {
            assert_eq!(document, user(json!({})));
            Ok(secrets)
        }
        other => Err(format!("{other:?}")),
    };
    let change = |value: Option<&str>| SecretChange { path: "password".into(), value: value.map(Secret::new) };
    let set = json!({"op": "replace", "path": "password", "value": "one"});
    assert_eq!(secrets(json!([set])), Ok(vec![change(Some("one"))]));
    assert_eq!(secrets(json!([set, {"op": "add", "value": {"Password": "two"}}])), Ok(vec![change(Some("two"))]));
    assert_eq!(secrets(json!([set, {"op": "remove", "path": "password"}])), Ok(vec![change(None)]));
    assert_eq!(secrets(json!([{"op": "add", "path": "password", "value": null}])), Ok(vec![]));
    let long = "x".repeat(limits::PASSWORD_BYTES + 1);
    check_refused([(
        json!({}),
        json!([{"op": "add", "path": "password", "value": long}]),
        Error::invalid_value("Attribute 'password' is longer than 1024 bytes."),
    )]);
}

/// 7644-3.5.2-05
#[test]
fn a_failure_leaves_nothing_of_the_request() {
    let before = user(json!({"title": "a"}));
    let operations = json!([{"op": "replace", "path": "title", "value": "b"},
        {"op": "replace", "path": "emails[type pr].value", "value": "x"}]);
    let expected = Error::no_target("The filter of 'emails' selects no value.");
    assert_eq!(patched(&kind("User"), &before, &operations, None), Err(expected));
    assert_eq!(before, user(json!({"title": "a"})));
}
