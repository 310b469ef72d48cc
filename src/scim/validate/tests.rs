//! What POST and PUT accept, refuse and store.

mod definitions;
mod formats;

use super::*;
use crate::base::limits;
use crate::base::secret::Secret;
use crate::scim::error::ErrorKind;
use crate::scim::schema::{ENTERPRISE_USER, GROUP, Registry, USER};
use serde_json::json;

fn kind(name: &str) -> Arc<ResourceType> {
    Arc::clone(Registry::builtin().by_name(name).expect("a built-in type"))
}

/// A user with these attributes beside those that every user has.
fn user(attributes: Value) -> Value {
    let mut body = json!({"schemas": [USER], "userName": "ann"});
    if let Value::Object(attributes) = attributes {
        body.as_object_mut().expect("an object").extend(attributes);
    }
    body
}

fn created(attributes: Value) -> Value {
    Value::Object(create(&kind("User"), &user(attributes)).expect("this is valid").document)
}

fn refused(attributes: Value) -> Error {
    create(&kind("User"), &user(attributes)).expect_err("this is not valid")
}

fn invalid_value(detail: &str) -> Error {
    Error::invalid_value(detail)
}

/// The built-in users with another attribute of this definition.
fn user_with(definition: Value) -> ResourceType {
    let mut kind = ResourceType::clone(&kind("User"));
    let mut schema = Schema::clone(&kind.schema);
    schema.attributes.push(Arc::new(serde_json::from_value(definition).expect("a definition")));
    kind.schema = Arc::new(schema);
    kind
}

/// 7643-2.1-01 7643-3-02
#[test]
fn names_are_rewritten_to_the_schemas_spelling() {
    let body = json!({"USERNAME": "ann", "Name": {"GIVENNAME": "Ann"}, "SCHEMAS": [USER.to_uppercase()],
        ENTERPRISE_USER.to_uppercase(): {"Department": "Sales"}});
    let document = create(&kind("User"), &body).expect("valid").document;
    let expected = json!({"schemas": [USER, ENTERPRISE_USER], "userName": "ann", "name": {"givenName": "Ann"},
        ENTERPRISE_USER: {"department": "Sales"}});
    assert_eq!(Value::Object(document.clone()).to_string(), expected.to_string());
}

/// 7643-2.1-01
#[test]
fn a_name_in_two_spellings_is_refused() {
    for (attributes, name) in [
        (json!({"UserName": "bob"}), "userName"),
        (json!({"name": {"givenName": "a", "GivenName": null}}), "givenName"),
        (json!({ENTERPRISE_USER: {}, ENTERPRISE_USER.to_uppercase(): {}}), ENTERPRISE_USER),
        (json!({"meta": {}, "META": {}}), "meta"),
    ] {
        let detail = format!("The name '{name}' stands twice in one object, in two spellings.");
        assert_eq!(refused(attributes), Error::invalid_syntax(detail));
    }
}

/// 7644-3.3-08
#[test]
fn what_is_not_defined_is_named() {
    let undefined = |name: &str| invalid_value(&format!("Attribute '{name}' is not defined."));
    assert_eq!(refused(json!({"nope": 1})), undefined("nope"));
    assert_eq!(refused(json!({"nope": null})), undefined("nope"));
    assert_eq!(refused(json!({"name": {"nope": 1}})), undefined("name.nope"));
    assert_eq!(refused(json!({"emails": [{"nope": 1}]})), undefined("emails.nope"));
    assert_eq!(refused(json!({ENTERPRISE_USER: {"nope": 1}})), undefined(&format!("{ENTERPRISE_USER}:nope")));
    let urn = "urn:example:Other";
    let unknown = Error::invalid_syntax(format!("Schema '{urn}' is not one of the resource type User."));
    assert_eq!(refused(json!({urn: {}})), unknown);
    assert_eq!(refused(json!({"schemas": [USER, urn]})), unknown);
    assert_eq!(refused(json!({"schemas": [USER, GROUP]})).kind, ErrorKind::InvalidSyntax);
}

/// 7643-2.1-02 7643-3-01
#[test]
fn schemas_names_the_base_schema_once() {
    let of = |schemas: Value| refused(json!({"schemas": schemas}));
    let required = invalid_value("Attribute 'schemas' is required.");
    assert_eq!([of(Value::Null), of(json!([]))], [required.clone(), required.clone()]);
    assert_eq!(create(&kind("User"), &json!({"userName": "ann"})), Err(required));
    let wrong = invalid_value("Attribute 'schemas' must be an array of strings.");
    assert_eq!([of(json!(USER)), of(json!([1])), of(json!([null]))], [wrong.clone(), wrong.clone(), wrong]);
    assert_eq!(of(json!([ENTERPRISE_USER])), invalid_value(&format!("Attribute 'schemas' must contain '{USER}'.")));
    assert_eq!(of(json!([USER, USER.to_lowercase()])), invalid_value(&format!("Attribute 'schemas' names '{USER}' twice.")));
    assert_eq!(create(&kind("User"), &json!([])), Err(Error::invalid_syntax("The body must be a JSON object.")));
}

/// 7643-3-02
#[test]
fn schemas_of_the_document_follows_from_what_is_present() {
    let both = json!([ENTERPRISE_USER, USER]);
    assert_eq!(created(json!({"schemas": both}))["schemas"], json!([USER]));
    assert_eq!(created(json!({ENTERPRISE_USER: {"manager": {}}})), user(json!({})));
    assert_eq!(created(json!({ENTERPRISE_USER: null})), user(json!({})));
    assert_eq!(created(json!({ENTERPRISE_USER: {"division": "d"}}))["schemas"], json!([USER, ENTERPRISE_USER]));
    assert_eq!(refused(json!({ENTERPRISE_USER: 1})), invalid_value(&format!("Extension '{ENTERPRISE_USER}' must be an object.")));
}

/// 7643-2.5-01 7644-3.3-02
#[test]
fn absent_null_and_an_empty_array_are_one_state() {
    let nothing = json!({"title": null, "nickName": [], "name": null, "emails": [], "roles": null, "name": {"givenName": null},
        "addresses": [{}, {"type": null}], "password": null});
    assert_eq!(created(nothing), user(json!({})));
}

/// 7643-2.3.2-01 7643-2.3.6-01 7644-3.3-08
#[test]
fn types_are_strict() {
    let wrong = |at: &str, expected: &str| invalid_value(&format!("Attribute '{at}' must be {expected}."));
    assert_eq!(refused(json!({"active": "True"})), wrong("active", "true or false"));
    assert_eq!(refused(json!({"title": 1})), wrong("title", "a string"));
    assert_eq!(refused(json!({"title": ["x"]})), wrong("title", "a string"));
    assert_eq!(refused(json!({"name": "Ann"})), wrong("name", "an object"));
    assert_eq!(refused(json!({"name": [{"givenName": "Ann"}]})), wrong("name", "an object"));
    assert_eq!(refused(json!({"name": {"givenName": {"x": 1}}})), wrong("name.givenName", "a string"));
    assert_eq!(refused(json!({"emails": {"value": "x"}})), wrong("emails", "an array"));
    assert_eq!(refused(json!({"emails": [null]})), wrong("emails", "an object"));
    assert_eq!(refused(json!({"emails": ["x"]})), wrong("emails", "an object"));
    assert_eq!(refused(json!({"emails": [{"primary": "true"}]})), wrong("emails.primary", "true or false"));
    assert_eq!(refused(json!({"profileUrl": ""})), wrong("profileUrl", "an absolute or relative URI (RFC 3986)"));
    assert_eq!(refused(json!({"x509Certificates": [{"value": "*"}]})), wrong("x509Certificates.value", "a string in base64"));
    let kind = user_with(json!({"name": "extra", "type": "binary"}));
    for value in ["MA==", "MA", ""] {
        assert_eq!(create(&kind, &user(json!({"extra": value}))).expect("valid").document["extra"], value);
    }
}

/// 7643-2.3.3-01 7643-2.3.4-01 7643-2.3.5-01
#[test]
fn numbers_and_times_are_strict() {
    let accepts = |definition: &str, text: &str| {
        let mut kind_of = json!({"name": "extra"});
        kind_of["type"] = definition.into();
        let value: Value = serde_json::from_str(text).expect("JSON");
        create(&user_with(kind_of), &user(json!({"extra": value}))).is_ok()
    };
    for (text, is_integer) in [("1", true), ("-9223372036854775808", true), ("9223372036854775807", true), ("1.0", false)] {
        assert_eq!((accepts("integer", text), accepts("decimal", text)), (is_integer, true), "{text}");
    }
    for text in ["9223372036854775808", "1e2", "1.5", "\"1\"", "true"] {
        assert!(!accepts("integer", text), "{text}");
    }
    for text in ["\"1.5\"", "true", "{}"] {
        assert!(!accepts("decimal", text), "{text}");
    }
    // No digits on one side of the point: not even JSON.
    for text in ["1.", ".5"] {
        let body = format!(r#"{{"schemas": ["{USER}"], "userName": "ann", "extra": {text}}}"#);
        assert!(crate::scim::json::parse(body.as_bytes()).is_err(), "{text}");
    }
    assert!(accepts("dateTime", "\"2011-05-13T04:42:34Z\"") && accepts("dateTime", "\"2011-05-13T04:42:34+02:00\""));
    for text in ["\"2011-05-13\"", "\"\"", "1305261754", "\"2011-13-13T04:42:34Z\""] {
        assert!(!accepts("dateTime", text), "{text}");
    }
}

/// 7643-2.3.1-01 7643-2.4-04
#[test]
fn canonical_values_are_matched_in_any_case_and_rewritten() {
    assert_eq!(created(json!({"emails": [{"type": "WORK"}]}))["emails"], json!([{"type": "work"}]));
    assert_eq!(created(json!({"emails": [{"type": "holiday"}]}))["emails"], json!([{"type": "holiday"}]));
}

/// 7643-2.4-02 7643-2.4-04
#[test]
fn values_are_held_once_and_one_is_primary() {
    let emails = json!([{"value": "a", "type": "work"}, {"type": "work", "value": "a"}, {"value": "a", "type": "home"},
        {"type": "work", "value": "a", "primary": false}]);
    let expected = json!([{"value": "a", "type": "work"}, {"value": "a", "type": "home"}]);
    assert_eq!(created(json!({"emails": emails}))["emails"], expected);
    let emails = json!([{"value": "a", "primary": true}, {"value": "b", "primary": true}]);
    let detail = "Attribute 'emails' has more than one value with 'primary' true.";
    assert_eq!(refused(json!({"emails": emails})), invalid_value(detail));
    let many: Vec<Value> = (0..=limits::VALUES_PER_ATTRIBUTE).map(|n| json!({"value": n.to_string()})).collect();
    assert_eq!(refused(json!({"emails": many})).kind, ErrorKind::TooLarge);
}

/// 7643-4.1.1-01 7643-4.2-01 7644-3.5.1-04
#[test]
fn required_attributes_are_there_and_not_empty() {
    let body = |attributes: Value| user(attributes);
    assert_eq!(refused(json!({"userName": null})), invalid_value("Attribute 'userName' is required."));
    assert_eq!(refused(json!({"userName": ""})), invalid_value("Attribute 'userName' is required and must not be empty."));
    let missing = invalid_value("Attribute 'displayName' is required.");
    assert_eq!(create(&kind("Group"), &json!({"schemas": [GROUP]})), Err(missing));
    let extra = json!({"name": "extra", "type": "complex", "multiValued": true,
        "subAttributes": [{"name": "value", "required": true}, {"name": "note"}]});
    let missing = invalid_value("Attribute 'extra.value' is required.");
    let kind = user_with(extra);
    assert_eq!(create(&kind, &body(json!({"extra": [{"value": "x"}, {"note": "x"}]}))), Err(missing));
    assert!(create(&kind, &body(json!({"extra": [{}]}))).is_ok());
}

/// 7643-6-01
#[test]
fn a_required_extension_is_there() {
    let mut kind = ResourceType::clone(&kind("User"));
    kind.extensions[0].required = true;
    let missing = invalid_value(&format!("Extension '{ENTERPRISE_USER}' is required."));
    assert_eq!(create(&kind, &user(json!({ENTERPRISE_USER: {}}))), Err(missing));
    assert!(create(&kind, &user(json!({ENTERPRISE_USER: {"division": "d"}}))).is_ok());
}

/// 7644-3.3-01 7643-4.1.2-03 7644-3.5.1-03
#[test]
fn what_only_the_service_provider_writes_is_ignored() {
    let body = user(json!({"id": 7, "meta": "x", "groups": {"value": true}, ENTERPRISE_USER: {"manager": {"displayName": 1}}}));
    let plain = user(json!({}));
    assert_eq!(created(body.clone()), plain);
    let before = plain.as_object().expect("an object").clone();
    assert_eq!(replace(&kind("User"), &before, &body).expect("valid").document, before);
}

/// 7643-4.1.1-04
#[test]
fn a_password_leaves_the_document() {
    let secret = |value: Option<&str>| vec![SecretChange { path: "password".into(), value: value.map(Secret::new) }];
    let before = user(json!({})).as_object().expect("an object").clone();
    let of = |body: Value| {
        let created = create(&kind("User"), &user(body.clone())).expect("valid");
        let replaced = replace(&kind("User"), &before, &user(body)).expect("valid");
        assert_eq!([&created.document, &replaced.document], [&before, &before]);
        (created.secrets, replaced.secrets)
    };
    assert_eq!(of(json!({"Password": "s3cret"})), (secret(Some("s3cret")), secret(Some("s3cret"))));
    assert_eq!(of(json!({"password": null})), (vec![], secret(None)));
    assert_eq!(of(json!({})), (vec![], vec![]));
    let long = "x".repeat(limits::PASSWORD_BYTES + 1);
    assert_eq!(refused(json!({"password": long})), invalid_value("Attribute 'password' is longer than 1024 bytes."));
    assert_eq!(refused(json!({"password": 12345})), invalid_value("Attribute 'password' must be a string."));
    assert_eq!(refused(json!({"password": ""})), invalid_value("Attribute 'password' must not be empty."));
}

/// 7643-4.2-02
#[test]
fn members_become_rows() {
    let group = |members: Value| create(&kind("Group"), &json!({"schemas": [GROUP], "displayName": "g", "members": members}));
    let member = |id: &str, kind: Option<&str>, display: Option<&str>| Member {
        id: crate::base::id::ResourceId::parse(id),
        kind: kind.map(Into::into),
        display: display.map(Into::into),
    };
    let members = json!([{"value": "1", "TYPE": "user", "$ref": "/Users/1", "display": "One"}, {"value": "2"}, {"value": "1"}]);
    let validated = group(members).expect("valid");
    assert_eq!(validated.members, [member("1", Some("User"), Some("One")), member("2", None, None)]);
    assert_eq!(Value::Object(validated.document), json!({"schemas": [GROUP], "displayName": "g"}));
    assert_eq!(group(Value::Null).expect("valid").members, []);
    for (members, detail) in [
        (json!([{}]), "Attribute 'members.value' is required."),
        (json!([{"value": ""}]), "Attribute 'members.value' must be the id of a resource, as a string that is not empty."),
        (json!([{"value": 1}]), "Attribute 'members.value' must be the id of a resource, as a string that is not empty."),
        (json!([{"value": "x".repeat(257)}]), "Attribute 'members.value' is longer than 256 bytes."),
        (json!([{"value": "1", "$ref": 1}]), "Attribute 'members.$ref' must be an absolute or relative URI (RFC 3986)."),
        (json!([{"value": "1", "nope": 1}]), "Attribute 'members.nope' is not defined."),
        (json!(["1"]), "Attribute 'members' must be objects with a 'value'."),
        (json!({"value": "1"}), "Attribute 'members' must be an array."),
    ] {
        assert_eq!(group(members), Err(invalid_value(detail)));
    }
}

/// 7644-3.5.1-01 7644-3.5.1-02 7643-7-04
#[test]
fn put_clears_what_it_leaves_out_and_keeps_what_is_immutable() {
    let kind = user_with(json!({"name": "badge", "mutability": "immutable"}));
    let before = user(json!({"title": "x", "badge": "7"})).as_object().expect("an object").clone();
    let put = |attributes: Value| replace(&kind, &before, &user(attributes)).map(|validated| Value::Object(validated.document));
    let changed = Error::mutability("Attribute 'badge' is immutable and has another value.");
    assert_eq!(put(json!({"badge": "7"})), Ok(user(json!({"badge": "7"}))));
    assert_eq!(put(json!({"badge": "8"})), Err(changed.clone()));
    assert_eq!(put(json!({})), Err(changed));
    let unset = user(json!({})).as_object().expect("an object").clone();
    assert!(replace(&kind, &unset, &user(json!({"badge": "8"}))).is_ok());
}
