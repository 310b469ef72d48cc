//! What SQL stores share: the tables, how values become columns, and the compiler from filters to candidates.

pub mod catalogue;
pub(crate) mod draft;
pub mod filter;
pub(crate) mod plan;

use crate::base::id::ResourceId;
use crate::scim::compare::Comparable;

/// The migrations, in order. The schema's version is how many of them have run.
pub const MIGRATIONS: &[&str] = &[
    include_str!("migrations/0001_first.sql"),
    include_str!("migrations/0002_indexed.sql"),
    include_str!("migrations/0003_types.sql"),
    include_str!("migrations/0004_bare.sql"),
    include_str!("migrations/0005_delivery.sql"),
    include_str!("migrations/0006_letters.sql"),
    include_str!("migrations/0007_revisions.sql"),
];

/// A value on its way to a column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell<'a> {
    /// A whole number, a time, a boolean as 0 or 1.
    Integer(i64),
    /// Any other number.
    Real(f64),
    /// Compared bytewise.
    Text(&'a str),
    /// Sorts after every text.
    Blob(&'a [u8]),
}

impl<'a> From<&'a ResourceId> for Cell<'a> {
    /// A UUID takes its 16 bytes. Texts sort before bytes, so that the database's order is that of [`ResourceId`].
    fn from(id: &'a ResourceId) -> Self {
        match id {
            ResourceId::Text(text) => Self::Text(text),
            ResourceId::Uuid(uuid) => Self::Blob(uuid.as_bytes()),
        }
    }
}

impl<'a> From<&'a Comparable> for Cell<'a> {
    /// Within one path all keys are of one kind (numbers being one), so that none can be mistaken for another.
    fn from(value: &'a Comparable) -> Self {
        match value {
            Comparable::Boolean(value) => Self::Integer(i64::from(*value)),
            Comparable::Integer(value) => Self::Integer(*value),
            Comparable::Decimal(value) => Self::Real(*value),
            Comparable::Text(text) => Self::Text(text),
        }
    }
}
