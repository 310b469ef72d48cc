//! How a search is answered: by a page of ids, by the order of an index, by candidates from the indexes, or by a scan.

use super::catalogue::{Catalogue, Entry, Table};
use super::filter::{Breadth, Candidates, candidates};
use crate::scim::compare::Comparable;
use crate::scim::path::AttributePath;
use crate::scim::schema::Type;
use crate::store::index::has_one_place;
use crate::store::{Position, Query, Start};

/// How a search is answered.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    /// No filter: a page in id order.
    Page,
    /// No filter: a page in the order of an index.
    Ordered(Index),
    /// The indexes narrow it to these.
    Candidates(Candidates),
    /// Every resource of the type is read.
    Scan,
}

impl Plan {
    pub(crate) fn new(catalogue: &Catalogue, query: &Query) -> Self {
        let Some(entry) = catalogue.entry(query.kind) else { return Self::Page };
        let after = match &query.start {
            Start::After(Some(position)) if query.is_in_id_order() => Some(&position.id),
            _ => None,
        };
        match (&query.filter, query.sort.as_ref().and_then(|sort| sort.path.as_ref())) {
            (Some(filter), _) => candidates(catalogue, entry, filter, after).map_or(Self::Scan, Self::Candidates),
            // How many there are is known without any order.
            (None, Some(path)) if query.limit > 0 => Index::of(catalogue, entry, path, query).map_or(Self::Scan, Self::Ordered),
            (None, _) => Self::Page,
        }
    }

    /// Whether it reads no more than an index and a page.
    pub(crate) fn is_seek(&self) -> bool {
        match self {
            Self::Page | Self::Ordered(_) => true,
            Self::Candidates(candidates) => candidates.breadth < Breadth::Many,
            Self::Scan => false,
        }
    }
}

/// An index in whose order a page can be read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Index {
    /// Where its entries are.
    pub(crate) table: Table,
    /// The code of its path.
    pub(crate) code: i64,
    /// The type of its values.
    pub(crate) kind: Type,
    /// Whether the order is descending.
    pub(crate) is_down: bool,
}

impl Index {
    /// The index that gives the order of a query, if there is one.
    ///
    /// Of several values only one decides the place of a resource, which an index of all of them does not tell; and a database tells
    /// fractions apart in another way.
    pub(crate) fn of(catalogue: &Catalogue, entry: &Entry, path: &AttributePath, query: &Query) -> Option<Self> {
        let leaf = path.leaf();
        if !has_one_place(path) || leaf.kind == Type::Decimal {
            return None;
        }
        let is_of_the_kind = match &query.start {
            Start::After(Some(Position { key: Some(key), .. })) => goes_with(leaf.kind, key),
            _ => true,
        };
        let (table, code) = catalogue.index_of(entry, path).filter(|_| is_of_the_kind)?;
        Some(Self { table, code, kind: leaf.kind, is_down: query.sort.as_ref()?.descending })
    }

    /// The table that holds its entries.
    pub(crate) fn table(self) -> &'static str {
        match self.table {
            Table::Unique => "unique_key",
            Table::Lookup => "lookup",
        }
    }
}

/// Whether a place's key is of the kind that an index of this type holds. In a search over several types it may be another type's.
fn goes_with(kind: Type, key: &Comparable) -> bool {
    match key {
        Comparable::Boolean(_) => kind == Type::Boolean,
        Comparable::Integer(_) => matches!(kind, Type::Integer | Type::DateTime),
        Comparable::Decimal(_) => false,
        Comparable::Text(_) => matches!(kind, Type::String | Type::Reference | Type::Binary),
    }
}
