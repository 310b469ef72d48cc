//! Folding the operations on members to one set of joins and leaves, at a cost that grows only with what the request names (I8).

use super::step::MemberStep;
use crate::base::id::ResourceId;
use crate::scim::error::{Error, Result};
use crate::scim::filter::{Expression, Filter, Operator};
use crate::scim::resource::{Member, MemberChange};
use serde_json::Value;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The changes so far. A later operation overrides an earlier one.
#[derive(Debug)]
pub(super) struct Fold<'a> {
    current: &'a [Member],
    reset: bool,
    named: Vec<(ResourceId, Option<Member>)>,
    places: HashMap<ResourceId, usize>,
}

impl<'a> Fold<'a> {
    /// No change yet of these members; they may be left out where no step needs them.
    pub(super) fn new(current: &'a [Member]) -> Self {
        Self { current, reset: false, named: Vec::new(), places: HashMap::new() }
    }

    pub(super) fn apply(&mut self, step: &MemberStep) -> Result<()> {
        match step {
            MemberStep::Add(members) => self.add(members),
            MemberStep::Remove(ids) => ids.iter().for_each(|id| self.remove(id)),
            MemberStep::Replace(members) => {
                self.reset = true;
                self.named.clear();
                self.places.clear();
                self.add(members);
            }
            MemberStep::RemoveWhere(filter) => self.selected(filter).iter().for_each(|id| self.remove(id)),
            MemberStep::ReplaceWhere(filter, member) => {
                let selected = self.selected(filter);
                if selected.is_empty() {
                    // 7644-3.5.2.3-05
                    return Err(Error::no_target("The filter of 'members' selects no member to replace."));
                }
                for id in &selected {
                    self.remove(id);
                }
                self.add(std::slice::from_ref(member));
            }
        }
        Ok(())
    }

    /// How many comparisons a step takes at most.
    pub(super) fn comparisons(&self, step: &MemberStep) -> usize {
        match step {
            MemberStep::RemoveWhere(filter) | MemberStep::ReplaceWhere(filter, _) => {
                (self.current.len() + self.named.len()).saturating_mul(filter.terms())
            }
            MemberStep::Add(_) | MemberStep::Remove(_) | MemberStep::Replace(_) => 0,
        }
    }

    fn add(&mut self, members: &[Member]) {
        for member in members {
            match self.places.entry(member.id.clone()) {
                Entry::Occupied(place) => {
                    if let Some((_, slot @ None)) = self.named.get_mut(*place.get()) {
                        *slot = Some(member.clone());
                    }
                }
                Entry::Vacant(place) => {
                    place.insert(self.named.len());
                    self.named.push((member.id.clone(), Some(member.clone())));
                }
            }
        }
    }

    fn remove(&mut self, id: &ResourceId) {
        match self.places.entry(id.clone()) {
            Entry::Occupied(place) => {
                if let Some((_, slot)) = self.named.get_mut(*place.get()) {
                    *slot = None;
                }
            }
            Entry::Vacant(place) => {
                place.insert(self.named.len());
                self.named.push((id.clone(), None));
            }
        }
    }

    /// The ids of the members that satisfy a filter now.
    fn selected(&self, filter: &Filter) -> Vec<ResourceId> {
        let kept = self.current.iter().filter(|member| !self.reset && !self.places.contains_key(&member.id));
        let joined = self.named.iter().filter_map(|(_, member)| member.as_ref());
        let is_selected = |member: &&Member| filter.matches_element(&member.to_value());
        kept.chain(joined).filter(is_selected).map(|member| member.id.clone()).collect()
    }

    pub(super) fn finish(self) -> MemberChange {
        let mut change = MemberChange { reset: self.reset, ..MemberChange::default() };
        for (id, member) in self.named {
            match member {
                Some(member) => change.present.push(member),
                None if !change.reset => change.absent.push(id),
                None => {}
            }
        }
        change
    }
}

/// The ids that a filter names when it is `value eq "…"`, or several of these joined with `or`. Then no member has to be looked at.
pub(super) fn named_ids(filter: &Expression) -> Option<Vec<ResourceId>> {
    match filter {
        Expression::Compare { path, operator: Operator::Eq, value: Value::String(id) } if path.eq_ignore_ascii_case("value") => {
            Some(vec![ResourceId::parse(id)])
        }
        Expression::Or(terms) => {
            let ids: Option<Vec<Vec<ResourceId>>> = terms.iter().map(named_ids).collect();
            ids.map(|ids| ids.into_iter().flatten().collect())
        }
        _ => None,
    }
}
