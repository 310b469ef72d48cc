//! Each bad request becomes the one it means, which the strict reader accepts; the bad one it refuses.

use super::*;
use crate::scim::error::{Error, ErrorKind};
use crate::scim::filter;
use crate::scim::message::PATCH_OP;
use crate::scim::patch::Patch;
use crate::scim::schema::{ENTERPRISE_USER, GROUP, Registry, USER};
use crate::scim::validate;
use serde_json::json;
use std::sync::Arc;

fn kind(name: &str) -> Arc<ResourceType> {
    Arc::clone(Registry::builtin().by_name(name).expect("a built-in type"))
}

/// Only this quirk.
fn only(quirk: Quirk) -> Quirks {
    Quirks::STRICT.with(quirk)
}

fn message(operations: &Value) -> Value {
    json!({"schemas": [PATCH_OP], "Operations": operations})
}

/// Asserts that these operations mean those others, and that strictly they are refused so.
fn operations_mean(quirk: Quirk, operations: &Value, expected: &Value, refused: ErrorKind) {
    let user = kind("User");
    let body = message(operations);
    assert_eq!(*patch(&user, "7", &body, only(quirk)), message(expected));
    assert_eq!(*patch(&user, "7", &body, Quirks::LENIENT), message(expected));
    assert!(matches!(patch(&user, "7", &body, Quirks::STRICT), Cow::Borrowed(_)));
    assert!(matches!(patch(&user, "7", &body, Quirks::LENIENT.without(quirk)), Cow::Borrowed(_)), "{operations}");
    assert_eq!(Patch::parse(&user, &body, Quirks::STRICT).map_err(|error| error.kind), Err(refused), "{operations}");
    assert!(Patch::parse(&user, &message(expected), Quirks::STRICT).is_ok(), "{expected}");
}

/// Asserts that a body with these attributes means one with those, and that strictly it is refused so.
fn body_means(quirk: Quirk, attributes: &Value, expected: &Value, refused: ErrorKind) {
    let user = kind("User");
    let of = |attributes: &Value| {
        let mut body = json!({"schemas": [USER], "userName": "ann"});
        body.as_object_mut().expect("an object").extend(attributes.as_object().expect("an object").clone());
        body
    };
    assert_eq!(*resource(&user, &of(attributes), only(quirk)), of(expected));
    assert!(matches!(resource(&user, &of(attributes), Quirks::LENIENT.without(quirk)), Cow::Borrowed(_)));
    assert_eq!(validate::create(&user, &of(attributes)).map_err(|error| error.kind), Err(refused), "{attributes}");
    assert!(validate::create(&user, &of(expected)).is_ok(), "{expected}");
}

/// 7643-2.3.2-01
#[test]
fn a_boolean_as_a_string_is_the_boolean() {
    let written = json!({"active": "True", "emails": [{"value": "a", "primary": "false"}, {"value": "b", "primary": true}]});
    let expected = json!({"active": true, "emails": [{"value": "a", "primary": false}, {"value": "b", "primary": true}]});
    body_means(Quirk::BooleansAsStrings, &written, &expected, ErrorKind::InvalidValue);
    let of = |value: Value| json!([{"op": "Replace", "path": "active", "value": value}]);
    operations_mean(Quirk::BooleansAsStrings, &of(json!("False")), &of(json!(false)), ErrorKind::InvalidValue);
    let of = |value: Value| json!([{"op": "Replace", "value": {"ACTIVE": value, "title": "True"}}]);
    operations_mean(Quirk::BooleansAsStrings, &of(json!("TRUE")), &of(json!(true)), ErrorKind::InvalidValue);
    let of = |value: Value| json!([{"op": "Add", "path": "emails", "value": {"value": "a", "primary": value}}]);
    operations_mean(Quirk::BooleansAsStrings, &of(json!("true")), &of(json!(true)), ErrorKind::InvalidValue);
    let of = |value: Value| json!([{"op": "Add", "path": "emails[type eq \"work\"].primary", "value": value}]);
    operations_mean(Quirk::BooleansAsStrings, &of(json!("true")), &of(json!(true)), ErrorKind::InvalidValue);
    let of = |literal: &str| json!([{"op": "Replace", "path": format!("roles[primary EQ {literal}].value"), "value": "x"}]);
    operations_mean(Quirk::BooleansAsStrings, &of("\"True\""), &of("true"), ErrorKind::InvalidFilter);
}

/// What a filter of users means, and how it is refused where the quirk is not allowed.
fn filter_means(quirk: Quirk, text: &str, expected: &str) {
    let user = kind("User");
    let read =
        |text: &str| filter::parse(text).and_then(|expression| filter::resolve(&user, &expression)).map_err(|error| error.kind);
    assert_eq!(super::filter(&user, text, only(quirk)), expected);
    assert!(matches!(super::filter(&user, text, Quirks::STRICT), Cow::Borrowed(_)));
    assert_eq!(read(text), Err(ErrorKind::InvalidFilter), "{text}");
    assert!(read(expected).is_ok(), "{expected}");
}

#[test]
fn a_filter_may_compare_with_a_boolean_as_a_string() {
    filter_means(Quirk::BooleansAsStrings, "active eq \"True\"", "active eq true");
    filter_means(Quirk::BooleansAsStrings, "title eq \"true\" and active ne \"FALSE\"", "title eq \"true\" and active ne false");
    let text = "not (emails[primary eq \"true\" and type eq \"work\"]) or emails.primary eq \"False\"";
    let expected = "not (emails[primary eq true and type eq \"work\"]) or emails.primary eq false";
    filter_means(Quirk::BooleansAsStrings, text, expected);
}

/// 7644-3.4.2.2-03
#[test]
fn a_filter_may_hold_bare_words_where_the_operator_wants_it() {
    assert!(!Quirks::default().allows(Quirk::BareWordsInFilters));
    filter_means(Quirk::BareWordsInFilters, "externalId eq jyoung", "externalId eq \"jyoung\"");
    filter_means(Quirk::BareWordsInFilters, "externalId eq 0a21f0f2-8d2a", "externalId eq \"0a21f0f2-8d2a\"");
    filter_means(Quirk::BareWordsInFilters, "externalId eq 701984", "externalId eq \"701984\"");
    let text = "(emails[type eq work and value co \"x y\"]) and not(active eq true and userName sw a)";
    let expected = "(emails[type eq \"work\" and value co \"x y\"]) and not(active eq true and userName sw \"a\")";
    filter_means(Quirk::BareWordsInFilters, text, expected);
    let user = kind("User");
    for legal in
        ["title eq null", "title pr", "active eq true", "meta.created gt \"2011-05-13T04:42:34Z\"", "groups[type eq \"direct\"]"]
    {
        assert_eq!(super::filter(&user, legal, only(Quirk::BareWordsInFilters)), legal);
    }
    for malformed in ["", "(", "title", "title eq", "title eq \"a", "x eq y", "title eq a b", "]", "é eq é"] {
        assert!(filter::parse(&super::filter(&user, malformed, Quirks::STRICT)).is_err() || malformed == "x eq y");
    }
}

#[test]
fn a_comparison_after_a_bracket_belongs_within() {
    let quirk = Quirk::ValuePathComparisons;
    filter_means(quirk, "emails[type eq \"work\"].value eq \"a]b\"", "emails[(type eq \"work\") and value eq \"a]b\"]");
    let text = "active eq true and (emails[type eq \"work\" or type eq \"home\"].value pr or addresses[type pr].region SW \"x\")";
    let expected = "active eq true and (emails[(type eq \"work\" or type eq \"home\") and value pr] or addresses[(type pr) and region SW \"x\"])";
    filter_means(quirk, text, expected);
    let user = kind("User");
    for kept in
        ["emails[type eq \"work\"]", "emails[type eq \"work\"].value", "emails[type eq \"].value eq \"]", "].value eq 1", "x[.a eq"]
    {
        assert_eq!(super::filter(&user, kept, only(quirk)), kept);
    }
}

/// 7644-3.5.2.1-02 7644-3.5.2-07
#[test]
fn names_that_are_paths_are_operations_of_their_own() {
    let written = json!([{"op": "replace", "value": {"displayName": "Ann", "name.givenName": "A",
        "emails[type eq \"work\"].value": "a@b.example", format!("{ENTERPRISE_USER}:employeeNumber"): "1",
        ENTERPRISE_USER: {"division": "d", "manager.value": "7"}, USER: {"name.familyName": "B"}}}]);
    let path = |path: &str, value: &str| json!({"op": "replace", "path": path, "value": value});
    let expected = json!([
        {"op": "replace", "value": {"displayName": "Ann", format!("{ENTERPRISE_USER}:employeeNumber"): "1",
            ENTERPRISE_USER: {"division": "d"}}},
        path("name.givenName", "A"), path("emails[type eq \"work\"].value", "a@b.example"),
        path(&format!("{ENTERPRISE_USER}:manager.value"), "7"), path(&format!("{USER}:name.familyName"), "B"),
    ]);
    operations_mean(Quirk::DottedNames, &written, &expected, ErrorKind::InvalidValue);
    let within = json!([{"op": "add", "path": ENTERPRISE_USER, "value": {"manager.value": "7"}}]);
    let expected = json!([{"op": "add", "path": format!("{ENTERPRISE_USER}:manager.value"), "value": "7"}]);
    operations_mean(Quirk::DottedNames, &within, &expected, ErrorKind::InvalidValue);
    let twice = message(&json!([{"op": "add", "value": {"name.givenName": "a", "NAME.givenname": "b"}}]));
    assert_eq!(*patch(&kind("User"), "7", &twice, Quirks::LENIENT), twice);
}

#[test]
fn paths_in_a_value_make_no_more_of_a_request_than_a_patch_may_hold() {
    let user = kind("User");
    let value: Value =
        (0..3 * limits::PATCH_OPERATIONS).map(|place| (format!("emails[value eq \"{place}\"].type"), json!("x"))).collect();
    let many = json!({"op": "add", "value": value, "note": "x".repeat(1_000)});
    let body = message(&json!([many, many, many]));
    let meant = patch(&user, "7", &body, Quirks::LENIENT);
    let operations = meant["Operations"].as_array().expect("operations");
    assert_eq!(operations.len(), limits::PATCH_OPERATIONS + 3);
    assert_eq!(operations[..2].iter().map(|operation| operation.get("note")).collect::<Vec<_>>(), [None, None]);
    assert_eq!(Patch::parse(&user, &meant, Quirks::LENIENT).map_err(|error| error.kind), Err(ErrorKind::TooLarge));
}

/// 7644-3.5.2-04
#[test]
fn the_resources_own_id_is_passed_over() {
    let of = |value: Value| json!([{"op": "replace", "value": value}]);
    let bad = of(json!({"Id": "7", "displayName": "Team"}));
    operations_mean(Quirk::OwnId, &bad, &of(json!({"displayName": "Team"})), ErrorKind::Mutability);
    for other in [json!({"id": "8"}), json!({"id": 7}), json!({"id": "7", "ID": "7"})] {
        let body = message(&of(other));
        assert_eq!(*patch(&kind("User"), "7", &body, Quirks::LENIENT), body);
        assert!(Patch::parse(&kind("User"), &body, Quirks::LENIENT).is_err());
    }
    let on_path = message(&json!([{"op": "replace", "path": "id", "value": "7"}]));
    let read_only = Error::mutability("Attribute 'id' is read-only.");
    assert_eq!(Patch::parse(&kind("User"), &patch(&kind("User"), "7", &on_path, Quirks::LENIENT), Quirks::LENIENT), Err(read_only));
}

/// 7643-3-01
#[test]
fn an_extension_may_say_whose_it_is() {
    let given = |urns: Value| json!({"schemas": urns, "division": "d"});
    let (own, meant) = (given(json!([ENTERPRISE_USER.to_lowercase()])), json!({"division": "d"}));
    let on_path = |value: &Value| json!([{"op": "add", "path": ENTERPRISE_USER, "value": value}]);
    operations_mean(Quirk::ExtensionSchemas, &on_path(&own), &on_path(&meant), ErrorKind::InvalidValue);
    let pathless = |value: &Value| json!([{"op": "replace", "value": {"title": "t", ENTERPRISE_USER: value}}]);
    operations_mean(Quirk::ExtensionSchemas, &pathless(&own), &pathless(&meant), ErrorKind::InvalidValue);
    let of = |value: &Value| json!({ENTERPRISE_USER: value});
    body_means(Quirk::ExtensionSchemas, &of(&own), &of(&meant), ErrorKind::InvalidValue);
    for other in [json!([USER]), json!([ENTERPRISE_USER, USER]), json!([]), json!(ENTERPRISE_USER)] {
        let body = message(&on_path(&given(other)));
        assert_eq!(*patch(&kind("User"), "7", &body, Quirks::LENIENT), body);
        assert!(Patch::parse(&kind("User"), &body, Quirks::LENIENT).is_err());
    }
}

#[test]
fn a_manager_as_a_string_is_one_with_this_id() {
    let path = format!("{ENTERPRISE_USER}:manager");
    let of = |value: Value| json!([{"op": "Add", "path": path, "value": value}]);
    operations_mean(Quirk::ManagerAsString, &of(json!("271")), &of(json!({"value": "271"})), ErrorKind::InvalidValue);
    let of = |value: Value| json!([{"op": "Add", "value": {ENTERPRISE_USER: {"manager": value}, path.clone(): value}}]);
    operations_mean(Quirk::ManagerAsString, &of(json!("271")), &of(json!({"value": "271"})), ErrorKind::InvalidValue);
    let of = |value: Value| json!({ENTERPRISE_USER: {"manager": value, "division": "d"}});
    body_means(Quirk::ManagerAsString, &of(json!("271")), &of(json!({"value": "271"})), ErrorKind::InvalidValue);
    body_means(Quirk::ManagerAsString, &of(json!("")), &of(json!(null)), ErrorKind::InvalidValue);
    body_means(Quirk::ManagerAsString, &of(json!({"value": ""})), &of(json!(null)), ErrorKind::InvalidValue);
}

#[test]
fn an_empty_manager_is_removed() {
    let path = format!("{ENTERPRISE_USER}:manager");
    let removal = json!({"op": "remove", "path": path});
    for op in ["Add", "Replace"] {
        for bad in [
            json!({"op": op, "path": path, "value": ""}),
            json!({"op": op, "path": path, "value": {"value": ""}}),
            json!({"op": op, "path": format!("{path}.value"), "value": ""}),
        ] {
            operations_mean(Quirk::ManagerAsString, &json!([bad]), &json!([removal]), ErrorKind::InvalidValue);
        }
        let within =
            json!([{"op": op, "value": {"title": "t", path.clone(): "", ENTERPRISE_USER: {"division": "d", "manager": ""}}}]);
        let expected = json!([{"op": op, "value": {"title": "t", ENTERPRISE_USER: {"division": "d"}}}, removal, removal]);
        operations_mean(Quirk::ManagerAsString, &within, &expected, ErrorKind::InvalidValue);
    }
    let other = message(&json!([{"op": "replace", "path": format!("{ENTERPRISE_USER}:division"), "value": ""}]));
    assert_eq!(*patch(&kind("User"), "7", &other, Quirks::LENIENT), other);
}

#[test]
fn a_manager_may_have_the_name_of_version_one() {
    let of = |name: &str| json!({ENTERPRISE_USER: {"manager": {name: "7", "displayName": "Jo"}}});
    body_means(Quirk::ManagerId, &of("managerId"), &of("value"), ErrorKind::InvalidValue);
    let of = |name: &str| json!([{"op": "replace", "path": format!("{ENTERPRISE_USER}:manager"), "value": {name: "7"}}]);
    operations_mean(Quirk::ManagerId, &of("managerId"), &of("value"), ErrorKind::InvalidValue);
    let twice = message(
        &json!([{"op": "add", "path": format!("{ENTERPRISE_USER}:manager"), "value": {"managerId": "7", "managerID": "8"}}]),
    );
    assert_eq!(*patch(&kind("User"), "7", &twice, Quirks::LENIENT), twice);
}

#[test]
fn json_in_a_string_is_what_the_string_holds() {
    let text = json!({"id": "827f", "value": "Admin", "displayName": "The admins"}).to_string();
    let of = |value: Value| json!([{"op": "Add", "path": "roles", "value": value}]);
    let expected = of(json!([{"value": "Admin", "display": "The admins"}]));
    operations_mean(Quirk::JsonInStrings, &of(json!([text])), &expected, ErrorKind::InvalidValue);
    let of_name = |value: Value| json!([{"op": "add", "path": "name", "value": value}]);
    let name = json!({"givenName": "Ann"});
    operations_mean(Quirk::JsonInStrings, &of_name(name.to_string().into()), &of_name(name), ErrorKind::InvalidValue);
    let body = json!({"schemas": [USER], "userName": "{\"value\":1}", "roles": [{"value": text, "primary": true}]});
    let meant = json!({"schemas": [USER], "userName": "{\"value\":1}", "roles": [{"primary": true, "value": "Admin", "display": "The admins"}]});
    assert_eq!(*resource(&kind("User"), &body, only(Quirk::JsonInStrings)), meant);
    for kept in [json!([{"value": "{\"a\":1}"}]), json!([{"value": "{x"}]), json!([{"value": "[1]"}]), json!(["x"])] {
        let body = message(&of(kept));
        assert_eq!(*patch(&kind("User"), "7", &body, Quirks::LENIENT), body);
    }
}

/// 7643-3-01
#[test]
fn a_schema_of_microsoft_is_passed_over() {
    let group = kind("Group");
    let microsoft = "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group";
    let of = |schemas: &[&str]| json!({"schemas": schemas, "displayName": "Team"});
    let body = of(&[GROUP, microsoft]);
    assert_eq!(*resource(&group, &body, only(Quirk::MicrosoftSchemas)), of(&[GROUP]));
    assert_eq!(validate::create(&group, &body).map_err(|error| error.kind), Err(ErrorKind::InvalidSyntax));
    let other = of(&[GROUP, "urn:example:other"]);
    assert_eq!(*resource(&group, &other, Quirks::LENIENT), other);
}

/// 7644-3.5.2.1-05 7644-3.5.2.2-04
#[test]
fn what_the_reader_of_patch_asks_for_by_name_is_refused_without_it() {
    let parse = |kind: &ResourceType, operation: Value, quirks| Patch::parse(kind, &message(&json!([operation])), quirks);
    let listed = json!({"op": "Remove", "path": "members", "value": [{"value": "1"}]});
    let detail = "An operation 'remove' of 'members' takes no 'value': a filter in the path selects what is removed.";
    assert_eq!(parse(&kind("Group"), listed.clone(), Quirks::STRICT), Err(Error::invalid_value(detail)));
    let selected = json!({"op": "remove", "path": "members[value eq \"1\"]"});
    let lenient = parse(&kind("Group"), listed, only(Quirk::RemoveListedMembers));
    assert_eq!(lenient, parse(&kind("Group"), selected, Quirks::STRICT));
    let created = json!({"op": "Add", "path": "emails[type eq \"work\"].value", "value": "a"});
    let before = json!({"userName": "ann"}).as_object().expect("an object").clone();
    let strict = parse(&kind("User"), created, Quirks::STRICT).expect("a patch").apply(&kind("User"), &before, None);
    assert_eq!(strict, Err(Error::no_target("The filter of 'emails' selects no value.")));
}

#[test]
fn the_setting_is_read_and_written() {
    assert_eq!(Quirks::parse("lenient"), Some(Quirks::default()));
    assert_eq!(Quirks::parse("strict"), Some(Quirks::STRICT));
    let quirks = Quirks::parse("lenient, -own_id, +bare_words_in_filters").expect("a set");
    assert_eq!(quirks, Quirks::LENIENT.without(Quirk::OwnId).with(Quirk::BareWordsInFilters));
    assert_eq!(quirks.to_string(), "lenient,-own_id,+bare_words_in_filters");
    for row in &TABLE {
        assert!(Quirks::STRICT.with(row.quirk).to_string() == format!("strict,+{}", row.name));
        for quirks in [Quirks::STRICT.with(row.quirk), Quirks::LENIENT.without(row.quirk), Quirks::LENIENT] {
            assert_eq!(Quirks::parse(&quirks.to_string()), Some(quirks));
        }
    }
    for wrong in ["", "Strict", "strict,own_id", "strict,+nope", "+own_id", "strict,,+own_id", "strict,-"] {
        assert_eq!(Quirks::parse(wrong), None, "{wrong}");
    }
}

#[test]
fn a_message_that_is_none_is_left_to_its_reader() {
    for body in [json!(null), json!([]), json!({"Operations": 1}), json!({"Operations": [1, {"op": 2, "value": "x", "path": 3}]})] {
        assert_eq!(*patch(&kind("User"), "7", &body, Quirks::LENIENT), body);
        assert_eq!(*resource(&kind("User"), &body, Quirks::LENIENT), body);
    }
}
