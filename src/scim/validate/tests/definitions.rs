//! The built-in definitions against RFC 7643 §8.7 and its errata.

use crate::scim::path;
use crate::scim::schema::{
    Attribute, ENTERPRISE_USER, GROUP, Mutability, RESOURCE_TYPE, Registry, Returned, SCHEMA, SERVICE_PROVIDER_CONFIG, Type, USER,
    Uniqueness,
};
use std::sync::Arc;

fn definition(urn: &str, dotted: &str) -> Arc<Attribute> {
    let registry = Registry::builtin();
    let schema = registry.schema(urn).expect("a schema");
    let mut names = dotted.split('.');
    let whole = names.next().and_then(|name| schema.attribute(name)).expect(dotted);
    let found = names.next().map_or(Some(whole), |name| whole.sub_attribute(name));
    Arc::clone(found.expect(dotted))
}

fn every_attribute() -> Vec<(String, Arc<Attribute>)> {
    let mut found = Vec::new();
    for schema in Registry::builtin().schemas() {
        for attribute in &schema.attributes {
            let whole = format!("{}:{}", schema.id, attribute.name);
            found.extend(attribute.sub_attributes.iter().map(|part| (format!("{whole}.{}", part.name), Arc::clone(part))));
            found.push((whole, Arc::clone(attribute)));
        }
    }
    found
}

/// 7643-7-02 7643-5-02
#[test]
fn what_the_errata_change_is_changed() {
    // 5368
    assert!(definition(GROUP, "displayName").required);
    // 6011
    assert_eq!(definition(GROUP, "members.display").mutability, Mutability::Immutable);
    // 8471, 8472
    assert_eq!(definition(USER, "groups.$ref").reference_types, ["Group"]);
    assert!(definition(ENTERPRISE_USER, "manager.value").is_case_exact());
    // 5606, 8435
    for dotted in ["attributes.type", "attributes.subAttributes"] {
        let holder = definition(SCHEMA, dotted);
        let types = holder.sub_attribute("type").unwrap_or(&holder).clone();
        assert!(types.canonical_values.iter().any(|value| value == "binary"), "{dotted}");
        // 8415: a sub-attribute is never complex.
        assert_eq!(types.canonical_values.iter().any(|value| value == "complex"), dotted == "attributes.type");
    }
    // 7522
    assert!(definition(RESOURCE_TYPE, "schemaExtensions").multi_valued);
    // 8011
    assert_eq!(definition(SERVICE_PROVIDER_CONFIG, "etag.supported").kind, Type::Boolean);
    assert!(definition(SERVICE_PROVIDER_CONFIG, "authenticationSchemes.type").required);
    let schemes = ["oauth", "oauth2", "oauthbearertoken", "httpbasic", "httpdigest"];
    assert_eq!(definition(SERVICE_PROVIDER_CONFIG, "authenticationSchemes.type").canonical_values, schemes);
    assert_eq!(definition(SERVICE_PROVIDER_CONFIG, "authenticationSchemes.primary").kind, Type::Boolean);
}

/// 7643-7-02 7643-2.3.8-01
#[test]
fn every_definition_is_of_a_legal_shape() {
    for (path, attribute) in every_attribute() {
        // 6004: what has parts has neither case nor uniqueness.
        if attribute.kind == Type::Complex {
            assert_eq!((attribute.uniqueness, attribute.case_exact), (None, None), "{path}");
            assert!(!attribute.sub_attributes.is_empty(), "{path}");
        } else {
            assert!(attribute.sub_attributes.is_empty() && attribute.uniqueness.is_some(), "{path}");
        }
        let has_case = matches!(attribute.kind, Type::String | Type::Reference | Type::Binary);
        assert_eq!(attribute.case_exact.is_some(), has_case, "{path}");
        assert!(!matches!(attribute.kind, Type::Reference | Type::Binary) || attribute.is_case_exact(), "{path}");
        assert_eq!(attribute.kind == Type::Reference, !attribute.reference_types.is_empty(), "{path}");
        assert!(!attribute.description.is_empty(), "{path}");
    }
}

/// 7643-2.4-01
#[test]
fn the_names_that_every_list_knows_keep_their_meaning() {
    for (path, attribute) in
        every_attribute().into_iter().filter(|(path, attribute)| attribute.multi_valued && !path.contains(".value"))
    {
        let kinds = [("type", Type::String), ("display", Type::String), ("primary", Type::Boolean), ("$ref", Type::Reference)];
        for (name, kind) in kinds {
            let part = attribute.sub_attribute(name);
            assert!(part.is_none_or(|part| part.kind == kind && !part.multi_valued), "{path}.{name}");
        }
        let is_simple = |part: &Arc<Attribute>| part.kind != Type::Complex && !part.multi_valued;
        assert!(attribute.sub_attribute("value").is_none_or(is_simple), "{path}.value");
    }
}

/// 7643-3.1-08
#[test]
fn every_resource_type_has_the_common_attributes() {
    for kind in Registry::builtin().types() {
        let common = |name: &str| path::resolve(kind, name).expect(name).attribute;
        let (id, external_id, meta) = (common("id"), common("externalId"), common("meta"));
        assert_eq!((id.mutability, id.returned, id.uniqueness), (Mutability::ReadOnly, Returned::Always, Some(Uniqueness::Server)));
        assert!(id.is_case_exact() && external_id.is_case_exact() && !external_id.is_unique());
        let parts: Vec<&str> = meta.sub_attributes.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(parts, ["resourceType", "created", "lastModified", "location", "version"]);
        assert_eq!(meta.mutability, Mutability::ReadOnly);
    }
}
