//! PATCH (RFC 7644 §3.5.2): every operation applied in order to a running result, or none.
//!
//! Everything that the current document does not decide is decided when the request is read: paths, types, mutability. What is left
//! are steps, applied to a copy of the document, so that a failure changes nothing (7644-3.5.2-05).

mod document;
mod members;
mod parse;
mod step;
#[cfg(test)]
mod tests;

use super::Object;
use super::error::{Error, ErrorKind, Result};
use super::quirks::Quirks;
use super::resource::{Member, MemberChange, SecretChange};
use super::schema::ResourceType;
use super::validate::{required, set_schemas};
use crate::base::limits;
use serde_json::Value;
use step::{MemberStep, Step};

/// What a PATCH comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Patched {
    /// The document afterwards, and what becomes of members and secrets.
    Done {
        /// The document afterwards; equal to the one before when only members or secrets change.
        document: Object,
        /// What becomes of the members.
        members: MemberChange,
        /// What becomes of values with `returned: never`.
        secrets: Vec<SecretChange>,
    },
    /// An operation selects members by more than their ids: apply again with the current members.
    NeedsMembers,
}

/// The operations of a PATCH, read and resolved against the schema.
#[derive(Clone, Debug, PartialEq)]
pub struct Patch {
    steps: Vec<Step>,
}

impl Patch {
    /// Reads the body of a PATCH. A body that is not this message is `invalidSyntax`, a path that names nothing `invalidPath`, a value
    /// that does not fit `invalidValue`, a target that no client may change `mutability`.
    ///
    /// Of what the protocol does not define, only the quirks that are allowed are read; see [`super::quirks::patch`] for the others.
    pub fn parse(kind: &ResourceType, body: &Value, quirks: Quirks) -> Result<Self> {
        let steps = parse::steps(kind, body, quirks)?;
        let selections = steps.iter().filter(|step| matches!(step, Step::Members(step) if step.needs_members())).count();
        if selections > limits::MEMBER_FILTERS_PER_PATCH {
            let most = limits::MEMBER_FILTERS_PER_PATCH;
            let detail = format!("More than {most} operations select members by more than their 'value'.");
            return Err(Error::new(ErrorKind::TooMany, detail));
        }
        Ok(Self { steps })
    }

    /// Whether every operation is on `members`, by their ids: then the document stays as it is, and no member need be read.
    pub fn is_on_member_ids_only(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Members(step) if !step.needs_members()))
    }

    /// Applies the operations to a document. `members` are the current members, for those patches that
    /// [need them](Patched::NeedsMembers); the others are computed without.
    ///
    /// Fails with `noTarget` when a path selects no value to replace, with `mutability` when an immutable or required value would be
    /// lost, and with `invalidValue` when the document would not be valid afterwards.
    pub fn apply(&self, kind: &ResourceType, before: &Object, members: Option<&[Member]>) -> Result<Patched> {
        let needs_members = self.steps.iter().any(|step| matches!(step, Step::Members(step) if step.needs_members()));
        if needs_members && members.is_none() {
            return Ok(Patched::NeedsMembers);
        }
        let mut document = before.clone();
        let mut fold = members::Fold::new(members.unwrap_or_default());
        let mut secrets: Vec<SecretChange> = Vec::new();
        let mut comparisons = 0;
        for step in &self.steps {
            comparisons += match step {
                Step::Edit(edit) => document::comparisons(&document, edit),
                Step::Members(step) => fold.comparisons(step),
                Step::RemoveExtension(_) | Step::Secret(_) => 0,
            };
            if comparisons > limits::COMPARISONS_PER_PATCH {
                let most = limits::COMPARISONS_PER_PATCH;
                let detail = format!("The filters in the paths of this PATCH need more than {most} comparisons.");
                return Err(Error::new(ErrorKind::TooMany, detail));
            }
            match step {
                Step::Edit(edit) => document::edit(&mut document, edit)?,
                Step::RemoveExtension(schema) => document::remove_extension(&mut document, schema)?,
                Step::Members(step) => fold.apply(step)?,
                Step::Secret(change) => {
                    secrets.retain(|earlier| earlier.path != change.path);
                    secrets.push(change.clone());
                }
            }
        }
        set_schemas(kind, &mut document);
        required::complete(kind, &document)?;
        Ok(Patched::Done { document, members: fold.finish(), secrets })
    }
}

impl MemberStep {
    /// Whether it can only be computed with the current members.
    fn needs_members(&self) -> bool {
        matches!(self, Self::RemoveWhere(_) | Self::ReplaceWhere(..))
    }
}
