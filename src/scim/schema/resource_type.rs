//! Resource types and their extensions (RFC 7643 §6).

use super::{Attribute, Mutability, Schema, Type};
use crate::base::id::{TypeCode, segment};
use std::sync::Arc;

/// An extension of a resource type (RFC 7643 §6 `schemaExtensions`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension {
    /// What it adds.
    pub schema: Arc<Schema>,
    /// Whether a resource must have it.
    pub required: bool,
}

/// A resource type (RFC 7643 §6), with the common attributes of §3.1 beside those of its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    pub(super) common: Arc<Schema>,
}

/// Where a resource of an endpoint is.
pub(super) fn address(base: &str, endpoint: &str, id: &str) -> String {
    format!("{base}{endpoint}/{}", segment(id))
}

impl ResourceType {
    /// Where the resource of an id is, below this base of absolute URIs, which has no slash at its end. Below an empty one the address
    /// is relative: `/Users/42`. What may not stand in a path is percent-encoded.
    pub fn address(&self, base: &str, id: &str) -> String {
        address(base, &self.endpoint, id)
    }

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
            attribute.multi_valued
                && attribute.kind == Type::Complex
                && attribute.mutability == Mutability::ReadOnly
                && attribute.sub_attribute("value").is_some()
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
