//! What an open store knows of its resource types: their indexed paths and the codes of those.

use crate::base::id::TypeCode;
use crate::scim::compare::TextForm;
use crate::scim::path::AttributePath;
use crate::scim::schema::{Registry, ResourceType};
use crate::store::index::{Indexes, has_one_place};
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

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

/// One index as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The resource type.
    pub kind: TypeCode,
    /// The code of the path.
    pub code: i64,
    /// The path in its canonical spelling.
    pub path: Arc<str>,
    /// Where its entries are.
    pub table: Table,
    /// How its keys are computed, as a text that changes when they do.
    pub text: String,
}

/// All resource types, and the codes of indexed paths.
#[derive(Debug)]
pub struct Catalogue {
    entries: HashMap<TypeCode, Entry>,
    codes: HashMap<Arc<str>, i64>,
    /// The indexed paths with at most one value in a resource.
    places: HashMap<TypeCode, Vec<i64>>,
    /// The types that are served no longer.
    retired: Vec<TypeCode>,
    /// Indexes that do not hold every resource yet.
    unfinished: RwLock<BTreeSet<(TypeCode, i64)>>,
    /// How often these have become others.
    changes: AtomicU64,
}

impl Catalogue {
    /// The catalogue of a registry; `code` gives each indexed path its code.
    pub fn new<E>(registry: &Registry, mut code: impl FnMut(&str) -> Result<i64, E>) -> Result<Self, E> {
        let mut entries = HashMap::new();
        let mut codes = HashMap::new();
        let mut places = HashMap::new();
        for kind in registry.types() {
            let indexes = Indexes::of(kind);
            for name in indexes.names() {
                codes.insert(Arc::clone(name), code(name)?);
            }
            let single = indexes.paths().filter(|(_, path, _)| has_one_place(path));
            places.insert(kind.code, single.filter_map(|(name, ..)| codes.get(name).copied()).collect());
            entries.insert(kind.code, Entry { kind: Arc::clone(kind), indexes });
        }
        let retired = registry.all_retired().iter().map(|record| record.code).collect();
        Ok(Self { entries, codes, places, retired, unfinished: RwLock::default(), changes: AtomicU64::new(0) })
    }

    /// A resource type.
    pub fn entry(&self, kind: TypeCode) -> Option<&Entry> {
        self.entries.get(&kind)
    }

    /// The code of a path in its canonical spelling.
    pub fn code(&self, path: &str) -> Option<i64> {
        self.codes.get(path).copied()
    }

    /// The codes of a type's indexed paths that have at most one value in a resource: of those it is kept who has none.
    pub fn places(&self, kind: TypeCode) -> &[i64] {
        self.places.get(&kind).map_or(&[], Vec::as_slice)
    }

    /// Where the values of a path are indexed, and under which code. An index that is still being built answers nothing.
    pub fn index_of(&self, entry: &Entry, path: &AttributePath) -> Option<(Table, i64)> {
        let table = if entry.indexes.is_unique(path) {
            Table::Unique
        } else if entry.indexes.is_lookup(path) {
            Table::Lookup
        } else {
            return None;
        };
        let code = self.code(&path.to_string())?;
        self.is_whole(entry.kind.code, code).then_some((table, code))
    }

    /// What is indexed, and how its keys are computed, in the order of types and paths.
    pub fn definitions(&self) -> Vec<Definition> {
        let mut definitions = Vec::new();
        for (kind, entry) in &self.entries {
            for (name, path, is_unique) in entry.indexes.paths() {
                let Some(code) = self.code(name) else { continue };
                let leaf = path.leaf();
                let (table, word) = if is_unique { (Table::Unique, "unique") } else { (Table::Lookup, "lookup") };
                let single = if has_one_place(path) { " single" } else { "" };
                let text = format!("{KEY_FORM} {:?} {:?} {word}{single}", leaf.kind, TextForm::of(leaf));
                definitions.push(Definition { kind: *kind, code, path: Arc::clone(name), table, text });
            }
        }
        definitions.sort_unstable_by_key(|definition| (definition.kind, definition.code));
        definitions
    }

    /// Says which indexes are still being built.
    pub fn set_unfinished(&self, unfinished: BTreeSet<(TypeCode, i64)>) {
        let mut held = self.unfinished.write().unwrap_or_else(PoisonError::into_inner);
        if *held != unfinished {
            *held = unfinished;
            self.changes.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// How often it has been said that other indexes are unfinished than before.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// Whether an index is still being built, or the entries of one removed.
    pub fn is_unfinished(&self) -> bool {
        !self.unfinished.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Whether a search may use any index.
    pub fn has_indexes(&self) -> bool {
        self.definitions().iter().any(|definition| self.is_whole(definition.kind, definition.code))
    }

    /// Whether a search may use this index.
    pub fn is_whole(&self, kind: TypeCode, code: i64) -> bool {
        !self.unfinished.read().unwrap_or_else(PoisonError::into_inner).contains(&(kind, code))
    }

    /// The codes of the types that are served and have members, to find a group of which only the id is known with one seek for each.
    pub fn group_types(&self) -> Vec<TypeCode> {
        let groups = self.entries.iter().filter(|(_, entry)| entry.kind.members().is_some());
        let mut codes: Vec<TypeCode> = groups.map(|(code, _)| *code).collect();
        codes.sort_unstable();
        codes
    }

    /// The codes of all types as an SQL list, those that are served no longer among them: their resources keep their ids and their members.
    pub fn all_types(&self) -> String {
        listed(self.all_codes())
    }

    /// The codes of all types, those that are served no longer among them.
    pub fn all_codes(&self) -> impl Iterator<Item = &TypeCode> {
        self.entries.keys().chain(&self.retired)
    }
}

/// Codes as an SQL list, the least one first.
pub fn listed<'a>(codes: impl Iterator<Item = &'a TypeCode>) -> String {
    let mut codes: Vec<u16> = codes.map(|code| code.0).collect();
    codes.sort_unstable();
    codes.iter().map(u16::to_string).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scim::compare::Comparable;
    use crate::store::index::indexed_value;
    use serde_json::json;
    use std::convert::Infallible;

    fn text(key: &str) -> Comparable {
        Comparable::Text(key.into())
    }

    #[test]
    fn a_definition_tells_how_keys_are_computed() {
        let of = |registry: &Registry| -> Vec<String> {
            let mut code = 0;
            let next = |_: &str| {
                code += 1;
                Ok::<_, Infallible>(code)
            };
            let catalogue = Catalogue::new(registry, next).unwrap_or_else(|never| match never {});
            let described = catalogue.definitions().into_iter();
            described.map(|definition| format!("{} {} {}", definition.kind.0, definition.path, definition.text)).collect()
        };
        let builtin = of(&Registry::builtin());
        let expected = [
            "1 userName 1 String Folded unique single",
            "1 externalId 1 String Exact lookup single",
            "1 emails.value 1 String Folded lookup",
            "2 displayName 1 String Folded lookup single",
        ];
        assert!(expected.iter().all(|line| builtin.iter().any(|held| held == line)), "{builtin:?}");
        assert_ne!(builtin, of(&Registry::builtin().with_unique("Group", "displayName")));
        assert_ne!(builtin, of(&Registry::builtin().with_indexed("User", "title")));
    }

    /// Who changes a line of this table raises [`KEY_FORM`], and then its number here: the indexes on disk hold the keys of before.
    #[test]
    fn keys_have_the_form_of_this_number() {
        const MANAGER: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager.$ref";
        let registry = Registry::builtin();
        let user = registry.by_name("User").expect("User");
        let long = "X".repeat(600);
        let short = format!("{}5130b33e6b87fbf5316ed9049e98924eb110800bcbaaad8050f642fba6df37c9", "x".repeat(448));
        let table = [
            ("userName", json!("BJensen@Example.com"), text("bjensen@example.com")),
            ("userName", json!("Straße ẞ"), text("straße ß")),
            ("userName", json!("İI"), text("i\u{307}i")),
            ("userName", json!("ΣΊΣΥΦΟς"), text("σίσυφοσ")),
            ("userName", json!("ＡＤＡ\u{ff71}"), text("adaア")),
            ("userName", json!("Zoe\u{308}"), text("zo\u{eb}")),
            ("userName", json!("\u{212b}"), text("\u{e5}")),
            ("userName", json!(long), text(&short)),
            ("externalId", json!("A\u{308}ς"), text("A\u{308}ς")),
            ("profileUrl", json!("HTTPS://Example.COM:443/v2/%7ea?B"), text("https://example.com:443/v2/%7ea?B")),
            (MANAGER, json!("https://Example.com/scim/v2/Users/26118915"), text("https://example.com/scim/Users/26118915")),
            (MANAGER, json!("../Users/26118915"), text("../Users/26118915")),
            ("x509Certificates.value", json!("YWI="), text("YWI")),
            ("x509Certificates.value", json!("YWI"), text("YWI")),
            ("meta.created", json!("2008-01-23T04:56:22.5+02:00"), Comparable::Integer(1_201_056_982_500)),
            ("active", json!(true), Comparable::Boolean(true)),
        ];
        let found = table.each_ref().map(|(path, value, _)| {
            let path = crate::scim::path::resolve(user, path).expect("a path");
            indexed_value(Comparable::of(path.leaf(), value).expect("a key"))
        });
        assert_eq!((KEY_FORM, found), (1, table.map(|(.., key)| key)));
    }

    #[test]
    fn an_index_that_is_not_whole_answers_nothing() {
        let registry = Registry::builtin();
        let catalogue = Catalogue::new(&registry, |_| Ok::<_, Infallible>(7)).unwrap_or_else(|never| match never {});
        let entry = catalogue.entry(TypeCode(1)).expect("User");
        let path = crate::scim::path::resolve(&entry.kind, "emails.value").expect("a path");
        assert_eq!(catalogue.index_of(entry, &path), Some((Table::Lookup, 7)));
        catalogue.set_unfinished(BTreeSet::from([(TypeCode(1), 7)]));
        assert_eq!(catalogue.index_of(entry, &path), None);
    }
}
