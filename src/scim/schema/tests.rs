//! The built-in definitions, and what follows from them.

use super::*;
use crate::base::id::TypeCode;
use serde_json::json;

/// 7643-2.2-01
#[test]
fn defaults_of_an_attribute_are_those_of_rfc_7643_section_2_2() {
    let attribute: Attribute = serde_json::from_value(json!({"name": "nick"})).expect("a definition");
    assert_eq!(attribute.kind, Type::String);
    assert!(!attribute.required && !attribute.multi_valued && !attribute.is_case_exact() && !attribute.is_unique());
    assert_eq!(attribute.mutability, Mutability::ReadWrite);
    assert_eq!(attribute.returned, Returned::Default);
    assert!(attribute.canonical_values.is_empty());
}

/// 7643-4.2-01 7643-4.3-01 7643-7-02
#[test]
fn the_errata_are_applied() {
    let registry = Registry::builtin();
    assert!(registry.schema(GROUP).and_then(|schema| schema.attribute("displayName")).expect("displayName").required);
    let enterprise = registry.schema(ENTERPRISE_USER).expect("the extension");
    let names: Vec<&str> = enterprise.attributes.iter().map(|attribute| attribute.name.as_str()).collect();
    assert_eq!(names, ["employeeNumber", "costCenter", "organization", "division", "department", "manager"]);
    let manager = registry.schema(ENTERPRISE_USER).and_then(|schema| schema.attribute("manager")).expect("manager").clone();
    assert!(manager.sub_attribute("value").expect("value").is_case_exact());
    assert_eq!(manager.sub_attribute("displayName").expect("displayName").mutability, Mutability::ReadOnly);
    let groups = registry.schema(USER).and_then(|schema| schema.attribute("groups")).expect("groups").clone();
    assert_eq!(groups.sub_attribute("$ref").expect("$ref").reference_types, ["Group"]);
    assert_eq!(groups.uniqueness, None);
}

#[test]
fn members_are_rows_and_groups_are_computed() {
    let registry = Registry::builtin();
    let group = registry.by_name("group").expect("Group");
    let user = registry.by_name("User").expect("User");
    assert!(group.members().is_some() && group.groups().is_none());
    assert!(user.members().is_none() && user.groups().is_some());
}

#[test]
fn a_type_keeps_its_code_and_a_new_one_gets_one_that_none_has_had() {
    let record =
        |code, name: &str, endpoint: &str| TypeRecord { code: TypeCode(code), name: name.into(), endpoint: endpoint.into() };
    let kept = [record(1, "User", "/People"), record(2, "Group", "/Groups"), record(7, "Agent", "/Agents")];
    let registry = Registry::builtin();
    let records = registry.records(&kept).expect("codes are left");
    assert_eq!(records, [record(1, "User", "/Users"), record(2, "Group", "/Groups"), record(7, "Agent", "/Agents")]);
    let registry = registry.with_records(&records);
    assert_eq!((registry.retired(TypeCode(7)), registry.retired(TypeCode(1))), (Some(&record(7, "Agent", "/Agents")), None));
    assert_eq!(registry.address("", TypeCode(7), "a b"), Some("/Agents/a%20b".into()));
    assert_eq!(registry.address("https://b", TypeCode(1), "42"), Some("https://b/Users/42".into()));
    assert_eq!(registry.address("", TypeCode(8), "42"), None);
    let swapped = [record(8, "group", "/Groups"), record(u16::MAX, "Robot", "/Robots")];
    assert_eq!(Registry::builtin().with_records(&swapped).by_name("Group").expect("Group").code, TypeCode(8));
    assert_eq!(Registry::builtin().records(&swapped), None);
}
