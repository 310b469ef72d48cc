//! Index entries: the comparison keys of a document's unique and indexed attributes. The engine computes them and hands the
//! stores differences, so that a store never reads a document to keep its index.

use crate::base::limits;
use crate::scim::Object;
use crate::scim::compare::Comparable;
use crate::scim::path::{self, AttributePath};
use crate::scim::resource;
use crate::scim::schema::{Attribute, ResourceType, Type};
use crate::scim::validate::secret::is_secret;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

/// One value of an indexed attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The canonical path of the attribute.
    pub path: Arc<str>,
    /// The comparison key, not longer than [`limits::INDEXED_VALUE_BYTES`] (see [`indexed_value`]).
    pub value: Comparable,
}

/// The entries of one document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Entries {
    /// Of attributes whose uniqueness is server or global.
    pub unique: BTreeSet<Entry>,
    /// Of the other indexed attributes.
    pub lookup: BTreeSet<Entry>,
}

/// A resource type's indexed paths, resolved once.
#[derive(Clone, Debug)]
pub struct Indexes {
    unique: Vec<(Arc<str>, AttributePath)>,
    lookup: Vec<(Arc<str>, AttributePath)>,
}

impl Indexes {
    /// The indexes of a type: its unique attributes (but `id`, which is the key) and [`ResourceType::indexed`]; those that a document
    /// does not hold are left out.
    pub fn of(kind: &ResourceType) -> Self {
        let named = |path: AttributePath| (Arc::from(path.to_string()), path);
        let mut unique = Vec::new();
        for (extension, attribute) in kind.all_attributes().filter(|(_, attribute)| attribute.name != "id") {
            let whole = AttributePath { extension: extension.cloned(), attribute: Arc::clone(attribute), sub_attribute: None };
            let parts = attribute.sub_attributes.iter().map(|part| whole.with_sub_attribute(Arc::clone(part)));
            let paths = std::iter::once(whole.clone()).chain(parts);
            unique.extend(paths.filter(|path| path.leaf().is_unique() && is_in_document(kind, path)).map(named));
        }
        let resolve = |text: &String| path::resolve(kind, text).ok().filter(|path| is_in_document(kind, path)).map(named);
        let resolved = kind.indexed.iter().filter_map(resolve);
        let lookup = resolved.filter(|(name, _)| unique.iter().all(|(taken, _)| taken != name)).collect();
        Self { unique, lookup }
    }

    /// The canonical path of an attribute that can be indexed; a complex one stands for its `value`, as in filters. Otherwise what is
    /// in the way, for the operator.
    pub fn indexable(kind: &ResourceType, text: &str) -> Result<String, String> {
        let path = path::resolve(kind, text).map_err(|error| error.to_string())?;
        let path = match path.leaf().sub_attribute("value").cloned() {
            Some(value) if path.sub_attribute.is_none() => path.with_sub_attribute(value),
            _ => path,
        };
        if path.leaf().kind == Type::Complex {
            return Err(format!("attribute '{path}' is complex: name one of its parts"));
        }
        if is_in_document(kind, &path) { Ok(path.to_string()) } else { Err(format!("attribute '{path}' cannot be indexed")) }
    }

    /// Whether a path has a unique index.
    pub fn is_unique(&self, path: &AttributePath) -> bool {
        self.unique.iter().any(|(_, indexed)| indexed == path)
    }

    /// Whether a path has an index that is not unique.
    pub fn is_lookup(&self, path: &AttributePath) -> bool {
        self.lookup.iter().any(|(_, indexed)| indexed == path)
    }

    /// Every indexed path, in its canonical spelling.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.unique.iter().chain(&self.lookup).map(|(name, _)| name)
    }

    /// Every indexed path with its canonical spelling, and whether its index is unique.
    pub fn paths(&self) -> impl Iterator<Item = (&Arc<str>, &AttributePath, bool)> {
        let unique = self.unique.iter().map(|(name, path)| (name, path, true));
        unique.chain(self.lookup.iter().map(|(name, path)| (name, path, false)))
    }

    /// The entries of a document.
    pub fn entries(&self, document: &Object) -> Entries {
        Entries { unique: collect(&self.unique, document), lookup: collect(&self.lookup, document) }
    }
}

/// Whether a resource has at most one value at a path, so that an index of them gives each resource one place.
pub fn has_one_place(path: &AttributePath) -> bool {
    !path.attribute.multi_valued && !path.leaf().multi_valued
}

/// Whether a document holds the values, so that an index of them is whole. Members are rows, `groups` and `meta` are computed.
fn is_in_document(kind: &ResourceType, path: &AttributePath) -> bool {
    let is = |attribute: Option<&Arc<Attribute>>| attribute.is_some_and(|attribute| Arc::ptr_eq(attribute, &path.attribute));
    let is_elsewhere = is(kind.members()) || is(kind.groups()) || path.is_core("id") || path.is_core("meta");
    !is_elsewhere && !is_secret(&path.attribute) && !is_secret(path.leaf())
}

fn collect(paths: &[(Arc<str>, AttributePath)], document: &Object) -> BTreeSet<Entry> {
    let entries = paths.iter().flat_map(|(name, path)| {
        resource::leaves(document, path).filter_map(move |value| {
            let value = indexed_value(Comparable::of(path.leaf(), value)?);
            Some(Entry { path: Arc::clone(name), value })
        })
    });
    entries.collect()
}

/// The part of a comparison key that is indexed. A text over [`limits::INDEXED_VALUE_BYTES`] keeps its start, which keeps
/// prefixes findable, and a digest of the whole, which keeps equality exact.
pub fn indexed_value(value: Comparable) -> Comparable {
    const DIGEST_CHARACTERS: usize = 64;
    match value {
        // Every value this long ends in a digest: none is spelled like the short form of another one.
        Comparable::Text(text) if text.len() > limits::INDEXED_VALUE_BYTES - DIGEST_CHARACTERS => {
            let start = text.floor_char_boundary(limits::INDEXED_VALUE_BYTES - DIGEST_CHARACTERS);
            let mut short = text[..start].to_owned();
            for byte in Sha256::digest(text.as_bytes()) {
                // Writing to a String cannot fail.
                let _ = write!(short, "{byte:02x}");
            }
            Comparable::Text(short)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::schema::{Mutability, Registry, Schema};
    use serde_json::json;

    fn text(path: &str, value: &str) -> Entry {
        Entry { path: path.into(), value: Comparable::Text(value.into()) }
    }

    #[test]
    fn the_entries_of_a_user_are_folded_and_distinct() {
        let registry = Registry::builtin();
        let indexes = Indexes::of(registry.by_name("User").expect("User"));
        let user = json!({"userName": "BJensen", "externalId": "A1", "emails": [{"value": "B@Example.com"}, {"value": "b@example.com", "type": "work"}]});
        let entries = indexes.entries(user.as_object().expect("an object"));
        assert_eq!(entries.unique, BTreeSet::from([text("userName", "bjensen")]));
        assert_eq!(entries.lookup, BTreeSet::from([text("externalId", "A1"), text("emails.value", "b@example.com")]));
    }

    #[test]
    fn a_path_that_the_operator_made_unique_is_no_longer_a_plain_index() {
        let registry = Registry::builtin().with_unique("Group", "displayName");
        let indexes = Indexes::of(registry.by_name("Group").expect("Group"));
        let entries = indexes.entries(json!({"displayName": "Tour Guides"}).as_object().expect("an object"));
        assert_eq!(entries.unique, BTreeSet::from([text("displayName", "tour guides")]));
        assert!(entries.lookup.is_empty());
    }

    #[test]
    fn what_a_document_does_not_hold_is_not_indexed() {
        let paths = ["groups.value", "meta.created", "id", "password", "nope", "title"];
        let registry = paths.into_iter().fold(Registry::builtin(), |registry, path| registry.with_indexed("User", path));
        let indexes = Indexes::of(registry.by_name("User").expect("User"));
        let names: Vec<&str> = indexes.names().map(|name| &**name).collect();
        assert_eq!(names, ["userName", "externalId", "emails.value", "title"]);
    }

    /// 7643-7-04 7643-7-05
    #[test]
    fn what_is_never_shown_or_only_written_is_not_indexed() {
        let registry = ["password", "groups"].into_iter().fold(Registry::builtin(), |all, name| all.with_unique("User", name));
        let mut kind = ResourceType::clone(registry.by_name("User").expect("User"));
        let mut schema = Schema::clone(&kind.schema);
        for attribute in schema.attributes.iter_mut().filter(|attribute| attribute.name == "title") {
            Arc::make_mut(attribute).mutability = Mutability::WriteOnly;
        }
        kind.schema = Arc::new(schema);
        kind.indexed.push("title".into());
        let indexes = Indexes::of(&kind);
        let names: Vec<&str> = indexes.names().map(|name| &**name).collect();
        assert_eq!(names, ["userName", "externalId", "emails.value"]);
    }

    #[test]
    fn a_long_value_keeps_its_start_and_stays_distinct() {
        let long = |end: &str| indexed_value(Comparable::Text(format!("{}{end}", "ü".repeat(400))));
        let (Comparable::Text(a), Comparable::Text(b)) = (long("a"), long("b")) else { unreachable!() };
        assert!(a != b && a.len() <= limits::INDEXED_VALUE_BYTES && a.starts_with("üüü"));
    }
}
