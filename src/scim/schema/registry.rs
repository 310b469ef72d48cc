//! The schemas and resource types that a gateway serves, and those of which only the past is left.

use super::resource_type::address;
use super::{Attribute, ResourceType, Schema, Uniqueness, builtin};
use crate::base::id::TypeCode;
use crate::scim::validate::format::Format;
use std::sync::Arc;

/// The schemas and resource types that a gateway serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    schemas: Vec<Arc<Schema>>,
    types: Vec<Arc<ResourceType>>,
    retired: Vec<TypeRecord>,
}

/// What stays of a resource type when it is served no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TypeRecord {
    /// How the stores name it.
    pub code: TypeCode,
    /// `meta.resourceType` of its resources.
    pub name: String,
    /// Where it is or was served, with a leading slash.
    pub endpoint: String,
}

impl Registry {
    /// User with the enterprise extension, and Group: the definitions of RFC 7643 §8.7 with their errata applied.
    pub fn builtin() -> Self {
        let (schemas, types) = builtin::definitions();
        Self::new(schemas, types)
    }

    /// A registry of these, which the loader has checked.
    pub(super) fn new(schemas: Vec<Arc<Schema>>, types: Vec<Arc<ResourceType>>) -> Self {
        Self { schemas, types, retired: Vec::new() }
    }

    /// What a store that has kept these records keeps from now on: one for each type that is served, under the code it has had, or
    /// a new one that no type has had; and those of the types that are served no longer. `None` when there are no codes left.
    pub fn records(&self, kept: &[TypeRecord]) -> Option<Vec<TypeRecord>> {
        let mut records = kept.to_vec();
        for kind in &self.types {
            if let Some(record) = records.iter_mut().find(|record| record.name.eq_ignore_ascii_case(&kind.name)) {
                record.endpoint.clone_from(&kind.endpoint);
            } else {
                let last = records.iter().map(|record| record.code.0).max().unwrap_or_default();
                let code = TypeCode(last.checked_add(1)?);
                records.push(TypeRecord { code, name: kind.name.clone(), endpoint: kind.endpoint.clone() });
            }
        }
        Some(records)
    }

    /// The same registry with the codes of these [records](Self::records). Those that name no type of it are its
    /// [retired](Self::retired) ones.
    #[must_use]
    pub fn with_records(mut self, records: &[TypeRecord]) -> Self {
        self.retired.clear();
        for record in records {
            match self.types.iter_mut().find(|kind| kind.name.eq_ignore_ascii_case(&record.name)) {
                Some(kind) => Arc::make_mut(kind).code = record.code,
                None => self.retired.push(record.clone()),
            }
        }
        self
    }

    /// The same [with these records](Self::with_records), and without the types that have none.
    #[must_use]
    pub fn of_records(mut self, records: &[TypeRecord]) -> Self {
        self.types.retain(|kind| records.iter().any(|record| record.name.eq_ignore_ascii_case(&kind.name)));
        self.with_records(records)
    }

    /// The type of this code, if it is no longer served and its events are still in the log.
    pub fn retired(&self, code: TypeCode) -> Option<&TypeRecord> {
        self.retired.iter().find(|record| record.code == code)
    }

    /// Every type that is no longer served.
    pub fn all_retired(&self) -> &[TypeRecord] {
        &self.retired
    }

    /// What resources of this code are called, or were when their type was served last.
    pub fn name_of(&self, code: TypeCode) -> Option<&str> {
        let served = self.by_code(code).map(|kind| kind.name.as_str());
        served.or_else(|| self.retired(code).map(|record| record.name.as_str()))
    }

    /// Where the resource of this code and id is, as [`ResourceType::address`] has it, or was when its type was served last.
    pub fn address(&self, base: &str, code: TypeCode, id: &str) -> Option<String> {
        let served = self.by_code(code).map(|kind| kind.endpoint.as_str());
        let endpoint = served.or_else(|| self.retired(code).map(|record| record.endpoint.as_str()));
        endpoint.map(|endpoint| address(base, endpoint, id))
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

    /// The same registry, in which clients may be loose about the formats of values: see [`Quirk::LooseFormats`](crate::scim::quirks::Quirk::LooseFormats).
    #[must_use]
    pub fn with_loose_formats(mut self) -> Self {
        for schema in &mut self.schemas {
            let loose = Arc::new(loosened(schema));
            for kind in &mut self.types {
                let kind = Arc::make_mut(kind);
                let extensions = kind.extensions.iter_mut().map(|extension| &mut extension.schema);
                for used in std::iter::once(&mut kind.schema).chain(extensions).filter(|used| used.id == schema.id) {
                    *used = Arc::clone(&loose);
                }
            }
            *schema = loose;
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

fn loosened(schema: &Schema) -> Schema {
    let mut schema = schema.clone();
    for attribute in &mut schema.attributes {
        let has_format = |attribute: &Arc<Attribute>| attribute.format.is_some();
        if has_format(attribute) || attribute.sub_attributes.iter().any(has_format) {
            let attribute = Arc::make_mut(attribute);
            attribute.format = attribute.format.and_then(Format::loose);
            for part in attribute.sub_attributes.iter_mut().filter(|part| has_format(part)) {
                let part = Arc::make_mut(part);
                part.format = part.format.and_then(Format::loose);
            }
        }
    }
    schema
}
