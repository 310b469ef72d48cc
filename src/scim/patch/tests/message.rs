use super::*;
use crate::base::limits;
use crate::scim::error::ErrorKind;

fn parse(body: &Value) -> Result<Patch> {
    Patch::parse(&kind("User"), body, Quirks::LENIENT)
}

/// 7644-3.5.2-01
#[test]
fn the_message_is_checked() {
    let operation = json!({"op": "add", "path": "title", "value": "x"});
    assert!(parse(&json!({"SCHEMAS": [PATCH_OP.to_uppercase()], "operations": [operation]})).is_ok());
    for body in [
        json!([]),
        json!({"Operations": [operation]}),
        json!({"schemas": [USER], "Operations": [operation]}),
        json!({"schemas": PATCH_OP, "Operations": [operation]}),
        json!({"schemas": [PATCH_OP]}),
        json!({"schemas": [PATCH_OP], "Operations": []}),
        json!({"schemas": [PATCH_OP], "Operations": operation}),
        json!({"schemas": [PATCH_OP], "Operations": ["add"]}),
        json!({"schemas": [PATCH_OP], "Operations": [operation], "operations": [operation]}),
        body(&json!([{"path": "title", "value": "x"}])),
        body(&json!([{"op": 1, "path": "title", "value": "x"}])),
        body(&json!([{"op": "move", "path": "title", "value": "x"}])),
        body(&json!([{"op": "add", "OP": "add", "path": "title", "value": "x"}])),
    ] {
        assert_eq!(parse(&body).map_err(|error| error.kind), Err(ErrorKind::InvalidSyntax), "{body}");
    }
    let unknown = body(&json!([{"op": "test", "path": "title", "value": "x"}]));
    assert_eq!(parse(&unknown), Err(Error::invalid_syntax("'op' must be 'add', 'remove' or 'replace', not 'test'.")));
}

#[test]
fn operations_are_bounded() {
    let of = |count: usize| parse(&body(&vec![json!({"op": "add", "path": "title", "value": "x"}); count].into()));
    assert!(of(limits::PATCH_OPERATIONS).is_ok());
    let expected = Error::new(ErrorKind::TooLarge, "'Operations' holds more than 1000 operations.");
    assert_eq!(of(limits::PATCH_OPERATIONS + 1), Err(expected));
}

/// 7644-3.5.2-01: Entra sends `Add`.
#[test]
fn the_name_of_an_operation_is_in_any_case() {
    for (op, expected) in [("Add", json!({"title": "b"})), ("REPLACE", json!({"title": "b"})), ("Remove", json!({}))] {
        let operation = json!([{"op": op, "Path": "TITLE", "VALUE": "b"}]);
        assert_eq!(after(json!({"title": "a"}), operation), Ok(user(expected)));
    }
}

/// 7644-3.5.2-02
#[test]
fn paths_are_resolved() {
    let of = |path: Value| parse(&body(&json!([{"op": "replace", "path": path, "value": "x"}]))).map(|_| ());
    for path in ["title", "NAME.givenname", "urn:ietf:params:scim:schemas:core:2.0:User:title", "emails[type eq \"work\"].value"] {
        assert_eq!(of(json!(path)), Ok(()), "{path}");
    }
    for (path, detail) in [
        ("nope", "Attribute 'nope' is not defined."),
        ("name.nope", "Attribute 'name.nope' is not defined."),
        ("urn:example:Other:x", "Attribute 'urn:example:Other:x' is not defined."),
        ("nope[type eq \"work\"]", "Attribute 'nope' is not defined."),
        ("emails[type eq \"work\"].nope", "Attribute 'emails.nope' is not defined."),
        ("title[value eq \"x\"]", "'title' does not take a filter."),
        ("name[givenName eq \"x\"]", "'name' does not take a filter."),
        ("", "'' is not an attribute path."),
        ("/title", "'/title' is not an attribute path."),
    ] {
        assert_eq!(of(json!(path)), Err(Error::invalid_path(detail)), "{path}");
    }
    assert_eq!(of(json!(1)), Err(Error::invalid_path("'path' must be a string.")));
    for path in
        ["emails[0]", "emails[", "emails[type eq]", "emails[nope eq \"x\"]", "emails[type zz \"x\"]", "emails[type eq \"x\"]x"]
    {
        let kind = of(json!(path)).map_err(|error| error.kind);
        assert!(matches!(kind, Err(ErrorKind::InvalidPath | ErrorKind::InvalidFilter)), "{path}: {kind:?}");
    }
}

/// 7644-3.5.2.1-01 7644-3.5.2-03 7644-3.5.2.2-01
#[test]
fn a_value_is_there_where_it_must_be() {
    let needs_value = Error::invalid_value("An operation 'add' or 'replace' must have a 'value'.");
    let needs_path = Error::no_target("An operation 'remove' must have a 'path' that names what to remove.");
    let needs_object = Error::invalid_value("The 'value' of an operation without 'path' must be an object of attributes.");
    check_refused([
        (json!({}), json!([{"op": "add", "path": "title"}]), needs_value.clone()),
        (json!({}), json!([{"op": "replace", "path": "title"}]), needs_value),
        (json!({}), json!([{"op": "remove"}]), needs_path.clone()),
        (json!({}), json!([{"op": "remove", "value": {"title": "x"}}]), needs_path.clone()),
        (json!({}), json!([{"op": "remove", "path": USER}]), needs_path),
        (json!({}), json!([{"op": "add", "value": "x"}]), needs_object.clone()),
        (json!({}), json!([{"op": "replace", "value": null}]), needs_object),
    ]);
}
