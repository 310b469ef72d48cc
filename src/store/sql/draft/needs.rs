//! What units will look at, known before they are applied.

use super::{IndexKey, Membership, Named};
use crate::base::id::Key;
use crate::base::limits;
use crate::event::template::Template;
use crate::store::index::Entry;
use crate::store::sql::catalogue::Catalogue;
use crate::store::{Effect, Result, StoreError, StoreErrorKind, Unit};
use std::collections::{BTreeMap, BTreeSet};

/// What units rest on.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Needs {
    /// Resources to be locked, if there are such: those that change, those that become members, and ids that must be free.
    pub(crate) resources: BTreeSet<Named>,
    /// Resources that end: the groups they are in are needed as well.
    pub(crate) ending: BTreeSet<Named>,
    /// Unique keys that are to be taken or given up.
    pub(crate) claims: BTreeSet<IndexKey>,
    /// Who may join or leave.
    pub(crate) memberships: BTreeSet<Membership>,
    /// Groups of which every member is needed when they have at most so many.
    pub(crate) whole: BTreeMap<Named, u64>,
}

impl Needs {
    /// What one more unit rests on.
    pub(crate) fn add(&mut self, catalogue: &Catalogue, unit: &Unit) -> Result<()> {
        for change in &unit.changes {
            let key = &change.key;
            let name = (key.tenant, key.id.clone());
            self.resources.insert(name.clone());
            match &change.effect {
                Effect::Create(document) | Effect::Replace(document) => {
                    for entry in document.unique_added.iter().chain(&document.unique_removed) {
                        self.claims.insert(index_key(catalogue, key, entry)?);
                    }
                }
                Effect::Delete { unique, .. } => {
                    for entry in unique {
                        self.claims.insert(index_key(catalogue, key, entry)?);
                    }
                    self.ending.insert(name.clone());
                }
                Effect::Keep => {}
            }
            let members = &change.members;
            for member in &members.present {
                self.resources.insert((key.tenant, member.id.clone()));
            }
            let moving = members.present.iter().map(|member| &member.id).chain(&members.absent);
            self.memberships.extend(moving.map(|member| (key.tenant, key.id.clone(), member.clone())));
            let is_new = matches!(change.effect, Effect::Create(_));
            if members.reset && !is_new {
                self.whole.insert(name, u64::MAX);
            } else if !is_new && change.events.iter().any(Template::needs_members) {
                // So many that those who leave bring it down to what an event shows.
                let most = self.whole.entry(name).or_insert(limits::MEMBERS_IN_FULL_EVENT as u64);
                *most = most.saturating_add(members.absent.len() as u64);
            }
        }
        Ok(())
    }
}

pub(super) fn index_key(catalogue: &Catalogue, key: &Key, entry: &Entry) -> Result<IndexKey> {
    let code = catalogue.code(&entry.path).ok_or_else(|| {
        let problem = format!("'{}' is not an indexed path", entry.path);
        StoreError::because(StoreErrorKind::Corrupt, "find the code of a path", problem)
    })?;
    Ok((key.tenant, key.kind, code, entry.value.clone()))
}
