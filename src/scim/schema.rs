//! Schemas and resource types as data (RFC 7643 §§6, 7). Everything that validates, filters, patches or projects is driven by
//! these; there is no typed User or Group.

use crate::base::id::TypeCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// URN of the core User schema.
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// URN of the core Group schema.
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// URN of the enterprise extension of User.
pub const ENTERPRISE_USER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// URN of the schema of schemas.
pub const SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Schema";
/// URN of the schema of resource types.
pub const RESOURCE_TYPE: &str = "urn:ietf:params:scim:schemas:core:2.0:ResourceType";
/// URN of the schema of the service provider's configuration.
pub const SERVICE_PROVIDER_CONFIG: &str = "urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig";

/// The data types of RFC 7643 §2.3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Type {
    /// §2.3.1
    #[default]
    String,
    /// §2.3.2
    Boolean,
    /// §2.3.3
    Decimal,
    /// §2.3.4
    Integer,
    /// §2.3.5
    DateTime,
    /// §2.3.6
    Binary,
    /// §2.3.7
    Reference,
    /// §2.3.8
    Complex,
}

/// When a value may be written (RFC 7643 §7 `mutability`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Mutability {
    /// Never by a client.
    ReadOnly,
    /// At any time.
    #[default]
    ReadWrite,
    /// While it has no value.
    Immutable,
    /// At any time, and never read.
    WriteOnly,
}

/// When a value is returned (RFC 7643 §7 `returned`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Returned {
    /// In every answer.
    Always,
    /// In none.
    Never,
    /// Unless the client says otherwise.
    #[default]
    Default,
    /// If the client asks, or has just written it.
    Request,
}

/// Whether two resources may share a value (RFC 7643 §7 `uniqueness`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Uniqueness {
    /// They may.
    #[default]
    None,
    /// Not within the endpoint.
    Server,
    /// Not anywhere.
    Global,
}

/// The definition of an attribute, with the defaults of RFC 7643 §2.2 for what a definition leaves out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attribute {
    /// Its name; matched without regard to case (§2.1).
    pub name: String,
    /// Its data type.
    #[serde(rename = "type", default)]
    pub kind: Type,
    /// Whether it holds a list.
    #[serde(default)]
    pub multi_valued: bool,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Whether a resource must have it.
    #[serde(default)]
    pub required: bool,
    /// The values it is meant to hold; empty means any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub canonical_values: Vec<String>,
    /// Whether case matters in comparisons. Absent where it has no meaning (boolean, complex).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case_exact: Option<bool>,
    /// When it may be written.
    #[serde(default)]
    pub mutability: Mutability,
    /// When it is returned.
    #[serde(default)]
    pub returned: Returned,
    /// Whether its values are unique. Absent on complex attributes (erratum 6004).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uniqueness: Option<Uniqueness>,
    /// What a reference points to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reference_types: Vec<String>,
    /// The parts of a complex attribute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sub_attributes: Vec<Arc<Attribute>>,
}

impl Attribute {
    /// Whether comparisons respect case: false for strings unless the definition says so; references and binary always do.
    pub fn is_case_exact(&self) -> bool {
        self.case_exact.unwrap_or(matches!(self.kind, Type::Reference | Type::Binary))
    }

    /// The sub-attribute of this name, in any case.
    pub fn sub_attribute(&self, name: &str) -> Option<&Arc<Attribute>> {
        self.sub_attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }

    /// Whether two resources may not share a value.
    pub fn is_unique(&self) -> bool {
        matches!(self.uniqueness, Some(Uniqueness::Server | Uniqueness::Global))
    }
}

/// A schema: a named set of attributes (RFC 7643 §7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Schema {
    /// Its URN.
    pub id: String,
    /// For people.
    #[serde(default)]
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// What it defines.
    pub attributes: Vec<Arc<Attribute>>,
}

impl Schema {
    /// The attribute of this name, in any case.
    pub fn attribute(&self, name: &str) -> Option<&Arc<Attribute>> {
        self.attributes.iter().find(|attribute| attribute.name.eq_ignore_ascii_case(name))
    }
}

/// An extension of a resource type (RFC 7643 §6 `schemaExtensions`).
#[derive(Clone, Debug)]
pub struct Extension {
    /// What it adds.
    pub schema: Arc<Schema>,
    /// Whether a resource must have it.
    pub required: bool,
}

/// A resource type (RFC 7643 §6), with the common attributes of §3.1 beside those of its schema.
#[derive(Clone, Debug)]
pub struct ResourceType {
    /// How the stores name it.
    pub code: TypeCode,
    /// `meta.resourceType` of its resources.
    pub name: String,
    /// Where it is served, with a leading slash.
    pub endpoint: String,
    /// For people.
    pub description: String,
    /// Its base schema.
    pub schema: Arc<Schema>,
    /// What extends it.
    pub extensions: Vec<Extension>,
    /// Paths, beside the unique attributes, whose values the stores index: `externalId`, `emails.value`.
    pub indexed: Vec<String>,
    /// `id`, `externalId`, `meta` and `schemas`.
    common: Arc<Schema>,
}

impl ResourceType {
    /// The attribute of the base schema or the common attribute of this name, in any case.
    pub fn attribute(&self, name: &str) -> Option<&Arc<Attribute>> {
        self.schema.attribute(name).or_else(|| self.common.attribute(name))
    }

    /// The extension of this URN, in any case (a URN's case has no meaning, RFC 8141 §3.1 for its first parts; clients err in the rest).
    pub fn extension(&self, urn: &str) -> Option<&Extension> {
        self.extensions.iter().find(|extension| extension.schema.id.eq_ignore_ascii_case(urn))
    }

    /// The multi-valued complex attribute whose values are held as rows of their own, `members`, if this type has it.
    ///
    /// A type has members when its schema defines a writable multi-valued complex `members` with a `value`.
    pub fn members(&self) -> Option<&Arc<Attribute>> {
        self.schema.attribute("members").filter(|attribute| {
            attribute.multi_valued
                && attribute.kind == Type::Complex
                && attribute.mutability != Mutability::ReadOnly
                && attribute.sub_attribute("value").is_some()
        })
    }

    /// The read-only `groups`, computed from membership, if this type has it (RFC 7643 §4.1.2).
    pub fn groups(&self) -> Option<&Arc<Attribute>> {
        self.schema.attribute("groups").filter(|attribute| {
            attribute.multi_valued && attribute.kind == Type::Complex && attribute.mutability == Mutability::ReadOnly
        })
    }

    /// Every attribute that a resource may have, with the URN of the extension that defines it.
    pub fn all_attributes(&self) -> impl Iterator<Item = (Option<&Arc<Schema>>, &Arc<Attribute>)> {
        let core = self.common.attributes.iter().chain(&self.schema.attributes).map(|attribute| (None, attribute));
        let extended = self
            .extensions
            .iter()
            .flat_map(|extension| extension.schema.attributes.iter().map(move |attribute| (Some(&extension.schema), attribute)));
        core.chain(extended)
    }
}

/// The schemas and resource types that a gateway serves.
#[derive(Clone, Debug)]
pub struct Registry {
    schemas: Vec<Arc<Schema>>,
    types: Vec<Arc<ResourceType>>,
}

impl Registry {
    /// User with the enterprise extension, and Group: the definitions of RFC 7643 §8.7 with their errata applied.
    pub fn builtin() -> Self {
        let user = embedded(include_str!("schemas/user.json"));
        let group = embedded(include_str!("schemas/group.json"));
        let enterprise = embedded(include_str!("schemas/enterprise_user.json"));
        let common = Arc::new(common_attributes());
        let user_type = ResourceType {
            code: TypeCode(1),
            name: "User".into(),
            endpoint: "/Users".into(),
            description: "User Account".into(),
            schema: Arc::clone(&user),
            extensions: vec![Extension { schema: Arc::clone(&enterprise), required: false }],
            indexed: vec!["externalId".into(), "emails.value".into()],
            common: Arc::clone(&common),
        };
        let group_type = ResourceType {
            code: TypeCode(2),
            name: "Group".into(),
            endpoint: "/Groups".into(),
            description: "Group".into(),
            schema: Arc::clone(&group),
            extensions: Vec::new(),
            indexed: vec!["externalId".into(), "displayName".into()],
            common,
        };
        let described = [
            include_str!("schemas/service_provider_config.json"),
            include_str!("schemas/resource_type.json"),
            include_str!("schemas/schema.json"),
        ];
        let mut schemas = vec![user, group, enterprise];
        schemas.extend(described.map(embedded));
        Self { schemas, types: vec![Arc::new(user_type), Arc::new(group_type)] }
    }

    /// The same registry, in which this attribute of a type's base schema is unique, as some clients expect of a group's
    /// `displayName`. The published schema says so.
    #[must_use]
    pub fn with_unique(mut self, type_name: &str, attribute: &str) -> Self {
        let Some(kind) = self.types.iter_mut().find(|kind| kind.name == type_name) else { return self };
        let mut schema = Schema::clone(&kind.schema);
        for definition in schema.attributes.iter_mut().filter(|definition| definition.name == attribute) {
            Arc::make_mut(definition).uniqueness = Some(Uniqueness::Server);
        }
        let schema = Arc::new(schema);
        for published in self.schemas.iter_mut().filter(|published| published.id == schema.id) {
            *published = Arc::clone(&schema);
        }
        Arc::make_mut(kind).schema = schema;
        self
    }

    /// The same registry, in which the values of this path of a type are indexed.
    #[must_use]
    pub fn with_indexed(mut self, type_name: &str, path: &str) -> Self {
        for kind in &mut self.types {
            if kind.name == type_name {
                Arc::make_mut(kind).indexed.push(path.to_owned());
            }
        }
        self
    }

    /// Every schema, those of the discovery resources included (RFC 7643 §7).
    pub fn schemas(&self) -> &[Arc<Schema>] {
        &self.schemas
    }

    /// The schema of this URN.
    pub fn schema(&self, urn: &str) -> Option<&Arc<Schema>> {
        self.schemas.iter().find(|schema| schema.id.eq_ignore_ascii_case(urn))
    }

    /// Every resource type.
    pub fn types(&self) -> &[Arc<ResourceType>] {
        &self.types
    }

    /// The resource type of this name.
    pub fn by_name(&self, name: &str) -> Option<&Arc<ResourceType>> {
        self.types.iter().find(|kind| kind.name.eq_ignore_ascii_case(name))
    }

    /// The resource type of this code.
    pub fn by_code(&self, code: TypeCode) -> Option<&Arc<ResourceType>> {
        self.types.iter().find(|kind| kind.code == code)
    }
}

#[expect(clippy::expect_used, reason = "the embedded definitions are checked by a test")]
fn embedded(definition: &str) -> Arc<Schema> {
    serde_json::from_str(definition).expect("an embedded schema is well formed")
}

/// The common attributes (RFC 7643 §3.1) and `schemas` (§3).
#[expect(clippy::expect_used, reason = "a constant, checked by a test")]
fn common_attributes() -> Schema {
    let read_only = |name: &str, kind: &str, exact: bool| -> Value {
        json!({"name": name, "type": kind, "mutability": "readOnly", "caseExact": exact, "uniqueness": "none"})
    };
    let definition = json!({"id": "", "attributes": [
        {"name": "schemas", "type": "reference", "multiValued": true, "required": true, "caseExact": true, "returned": "always",
         "uniqueness": "none", "referenceTypes": ["uri"], "description": "The URIs of the schemas of this resource."},
        {"name": "id", "type": "string", "required": true, "caseExact": true, "mutability": "readOnly", "returned": "always",
         "uniqueness": "server", "description": "The identifier that the service provider gave."},
        {"name": "externalId", "type": "string", "caseExact": true, "uniqueness": "none",
         "description": "The identifier that the provisioning client gave."},
        {"name": "meta", "type": "complex", "mutability": "readOnly", "description": "What the service provider knows of the resource.",
         "subAttributes": [
            read_only("resourceType", "string", true), read_only("created", "dateTime", false),
            read_only("lastModified", "dateTime", false), read_only("location", "reference", true),
            read_only("version", "string", true)]},
    ]});
    serde_json::from_value(definition).expect("the common attributes are well formed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_of_an_attribute_are_those_of_rfc_7643_section_2_2() {
        // 7643-2.2-01
        let attribute: Attribute = serde_json::from_value(json!({"name": "nick"})).expect("a definition");
        assert_eq!(attribute.kind, Type::String);
        assert!(!attribute.required && !attribute.multi_valued && !attribute.is_case_exact() && !attribute.is_unique());
        assert_eq!(attribute.mutability, Mutability::ReadWrite);
        assert_eq!(attribute.returned, Returned::Default);
        assert!(attribute.canonical_values.is_empty());
    }

    #[test]
    fn the_errata_are_applied() {
        let registry = Registry::builtin();
        // 7643-4.2-01
        assert!(registry.schema(GROUP).and_then(|schema| schema.attribute("displayName")).expect("displayName").required);
        // 7643-4.3-01
        let manager = registry.schema(ENTERPRISE_USER).and_then(|schema| schema.attribute("manager")).expect("manager").clone();
        assert!(manager.sub_attribute("value").expect("value").is_case_exact());
        assert_eq!(manager.sub_attribute("displayName").expect("displayName").mutability, Mutability::ReadOnly);
        // 7643-7-02
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
}
