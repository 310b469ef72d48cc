//! Schemas and resource types from JSON files: a function from texts to a registry, or to everything that is wrong with them.
//!
//! Two layouts are read, also mixed:
//!
//! - The RFC's own: a file holds a Schema (RFC 7643 §7), a `ResourceType` (§6), an array of them, or a `ListResponse` of them. A
//!   `ResourceType` says which schema it has and which extend it. One of a built-in name adds its extensions to the built-in type.
//! - By folders: a Schema in `core/` gets a resource type of its name, at the plural of that name, unless a `ResourceType` has it
//!   already; a Schema in `extensions/User/` extends `User`, and is not required.
//!
//! A built-in schema may be given again; `overlay` says what of it counts.

mod assemble;
mod attribute;
mod fields;
mod overlay;
mod read;
#[cfg(test)]
mod tests;

use super::Registry;
use std::collections::BTreeMap;
use std::fmt;

/// A file as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaFile {
    /// Its path. Its last folders decide whether it is of the layout by folders.
    pub name: String,
    /// What it holds.
    pub text: String,
}

/// What is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file's path.
    pub file: String,
    /// Where in it: `attributes[3].subAttributes[0].type`, or empty for the whole.
    pub place: String,
    /// What was expected, and what was found.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, place, what } = self;
        if place.is_empty() { write!(formatter, "{file}: {what}") } else { write!(formatter, "{file}: {place}: {what}") }
    }
}

/// What the files came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// The built-in definitions, extended.
    pub registry: Registry,
    /// The file of each schema, by its URN, and of each resource type, by its name. What has none is built in.
    pub files: BTreeMap<String, String>,
}

/// Reads the files, in their order, on top of the built-in definitions. Fails with every problem.
pub fn load(files: &[SchemaFile]) -> Result<Loaded, Vec<Problem>> {
    let mut problems = Vec::new();
    let found = read::definitions(files, &mut problems);
    let loaded = assemble::assemble(found, &mut problems);
    if problems.is_empty() { Ok(loaded) } else { Err(problems) }
}
