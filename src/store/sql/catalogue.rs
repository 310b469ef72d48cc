//! What an open store knows of its resource types: their indexed paths and the codes of those.

use crate::base::id::TypeCode;
use crate::scim::path::AttributePath;
use crate::scim::schema::{Registry, ResourceType};
use crate::store::index::Indexes;
use std::collections::HashMap;
use std::sync::Arc;

/// Which form the keys in the indexes have. To be raised when [`compare::fold`](crate::scim::compare::fold),
/// [`Comparable::of`](crate::scim::compare::Comparable::of) or [`indexed_value`](crate::store::index::indexed_value) gives another
/// key for a value than before: an index that is already there is then built anew.
pub const KEY_FORM: u32 = 1;

/// One resource type.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The type.
    pub kind: Arc<ResourceType>,
    /// Its indexes.
    pub indexes: Indexes,
}

/// The tables that hold index entries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// At most one resource for each value.
    Unique,
    /// Any number of resources for each value.
    Lookup,
}

/// All resource types, and the codes of indexed paths.
#[derive(Clone, Debug)]
pub struct Catalogue {
    entries: HashMap<TypeCode, Entry>,
    codes: HashMap<Arc<str>, i64>,
}

impl Catalogue {
    /// The catalogue of a registry; `code` gives each indexed path its code.
    pub fn new<E>(registry: &Registry, mut code: impl FnMut(&str) -> Result<i64, E>) -> Result<Self, E> {
        let mut entries = HashMap::new();
        let mut codes = HashMap::new();
        for kind in registry.types() {
            let indexes = Indexes::of(kind);
            for name in indexes.names() {
                codes.insert(Arc::clone(name), code(name)?);
            }
            entries.insert(kind.code, Entry { kind: Arc::clone(kind), indexes });
        }
        Ok(Self { entries, codes })
    }

    /// A resource type.
    pub fn entry(&self, kind: TypeCode) -> Option<&Entry> {
        self.entries.get(&kind)
    }

    /// The code of a path in its canonical spelling.
    pub fn code(&self, path: &str) -> Option<i64> {
        self.codes.get(path).copied()
    }

    /// Where the values of a path are indexed, and under which code.
    pub fn index_of(&self, entry: &Entry, path: &AttributePath) -> Option<(Table, i64)> {
        let table = if entry.indexes.is_unique(path) {
            Table::Unique
        } else if entry.indexes.is_lookup(path) {
            Table::Lookup
        } else {
            return None;
        };
        self.code(&path.to_string()).map(|code| (table, code))
    }

    /// What is indexed, and how its keys are computed, as a text that changes when they do.
    pub fn fingerprint(&self) -> String {
        let mut lines: Vec<String> = Vec::new();
        for (kind, entry) in &self.entries {
            for (name, path, is_unique) in entry.indexes.paths() {
                let leaf = path.leaf();
                let case = if leaf.is_case_exact() { "exact" } else { "folded" };
                let table = if is_unique { "unique" } else { "lookup" };
                lines.push(format!("{KEY_FORM} {} {name} {:?} {case} {table}", kind.0, leaf.kind));
            }
        }
        lines.sort_unstable();
        lines.join("\n")
    }

    /// The codes of all types as an SQL list, to find an id whose type is not known with one seek for each.
    pub fn types(&self) -> String {
        let mut codes: Vec<u16> = self.entries.keys().map(|code| code.0).collect();
        codes.sort_unstable();
        codes.iter().map(u16::to_string).collect::<Vec<_>>().join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn the_fingerprint_tells_how_keys_are_computed() {
        let of = |registry: &Registry| {
            Catalogue::new(registry, |_| Ok::<_, Infallible>(1)).map(|catalogue| catalogue.fingerprint()).unwrap_or_default()
        };
        let user = |fingerprint: &str| -> Vec<String> {
            fingerprint.lines().filter(|line| line.starts_with("1 1 ")).map(str::to_owned).collect()
        };
        let builtin = of(&Registry::builtin());
        let expected =
            ["1 1 emails.value String folded lookup", "1 1 externalId String exact lookup", "1 1 userName String folded unique"];
        assert_eq!(user(&builtin), expected);
        assert_ne!(builtin, of(&Registry::builtin().with_unique("Group", "displayName")));
        assert_ne!(builtin, of(&Registry::builtin().with_indexed("User", "title")));
    }
}
