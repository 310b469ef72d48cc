//! Groups that have come before their members.
//!
//! They wait until all has come, so that the store knows what their members are, and so that with `UNKNOWN_MEMBERS=reject` their order
//! does not matter.

use super::commit::{Fate, Members, Run};
use super::read::Prepared;
use super::{Failure, Origin};
use crate::base::limits;
use std::collections::HashSet;

/// Those that wait, with the ids that named nothing.
#[derive(Debug)]
pub(super) struct Waiting {
    groups: Vec<(Prepared, Vec<String>)>,
    /// How much memory they take.
    bytes: usize,
    known_members_only: bool,
}

type Fates = Vec<(Origin, Fate)>;

impl Waiting {
    pub(super) fn new(known_members_only: bool) -> Self {
        Self { groups: Vec::new(), bytes: 0, known_members_only }
    }

    /// Keeps a group, unless too much is kept already: then it is given back.
    pub(super) fn push(&mut self, group: Prepared, unknown: Vec<String>) -> Option<(Prepared, Vec<String>)> {
        let text = group.text.as_ref().map_or(0, |text| text.len());
        let bytes = self.bytes + group.document.body.len() + text + group.members.len() * limits::IMPORT_MEMBER_BYTES;
        if bytes > limits::IMPORT_WAITING_BYTES && !self.groups.is_empty() {
            return Some((group, unknown));
        }
        self.bytes = bytes;
        self.groups.push((group, unknown));
        None
    }

    /// What becomes of groups that cannot wait.
    pub(super) async fn overflow(&self, run: &Run, groups: Vec<(Prepared, Vec<String>)>) -> Result<Fates, Failure> {
        if self.known_members_only {
            let refused =
                |(group, unknown): (Prepared, Vec<String>)| (group.origin, Fate::Refused(super::pipeline::unknown(unknown)));
            return Ok(groups.into_iter().map(refused).collect());
        }
        Ok(run.commit_all(groups.into_iter().map(|(group, _)| group).collect(), Members::Any).await?)
    }

    /// Everything has come: commits what can be.
    pub(super) async fn finish(mut self, run: &Run, mut enter: impl FnMut(&Origin, Fate)) -> Result<(), Failure> {
        loop {
            let before = self.groups.len();
            // What contains others often comes before them. Of one id the first goes first.
            let mut ids = HashSet::new();
            let (first, again): (Vec<_>, Vec<_>) = self.groups.drain(..).partition(|(group, _)| ids.insert(group.key.id.clone()));
            let groups: Vec<Prepared> = first.into_iter().rev().map(|(group, _)| group).collect();
            for (origin, fate) in run.commit_all(groups, Members::Known).await? {
                match fate {
                    Fate::Waits(group, unknown) => self.groups.push((*group, unknown)),
                    fate => enter(&origin, fate),
                }
            }
            self.groups.reverse();
            self.groups.extend(again);
            if self.groups.is_empty() || self.groups.len() == before {
                break;
            }
        }
        if self.known_members_only {
            self.refuse_open(&mut enter);
        }
        let groups = self.groups.into_iter().map(|(group, _)| group).collect();
        for (origin, fate) in run.commit_all(groups, Members::Any).await? {
            enter(&origin, fate);
        }
        Ok(())
    }

    /// Refuses groups until all that are left name nobody but each other: those come into being together.
    fn refuse_open(&mut self, enter: &mut impl FnMut(&Origin, Fate)) {
        loop {
            let ids: HashSet<String> = self.groups.iter().map(|(group, _)| group.key.id.to_string()).collect();
            let (closed, open): (Vec<_>, Vec<_>) =
                self.groups.drain(..).partition(|(_, unknown)| unknown.iter().all(|id| ids.contains(id)));
            self.groups = closed;
            if open.is_empty() {
                return;
            }
            for (group, unknown) in open {
                enter(&group.origin, Fate::Refused(super::pipeline::unknown(unknown)));
            }
        }
    }
}
