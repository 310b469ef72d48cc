//! Resources that refer to each other in a circle (RFC 7644 §3.7.1).
//!
//! They are one unit: either all of them come into being, or none. Their ids are known before, so that a document can refer to what
//! is created after it; members are added once they exist, because only then the store knows what they are.

use super::super::plan::Planned;
use crate::base::id::ResourceId;
use crate::event::plan::members_moved;
use crate::scim::resource::MemberChange;
use crate::store::{Change, Effect, Guard};
use std::collections::HashSet;

/// The plans of creations that refer to each other, with their operations; followed by those that add, to groups, the members that
/// are created after them.
pub(super) fn closed(mut plans: Vec<(usize, Planned)>) -> Vec<(usize, Planned)> {
    let mut later: HashSet<ResourceId> = plans.iter().map(|(_, planned)| planned.change.key.id.clone()).collect();
    let mut additions = Vec::new();
    for (operation, planned) in &mut plans {
        later.remove(&planned.change.key.id);
        let present = std::mem::take(&mut planned.change.members.present);
        let (then, now) = present.into_iter().partition(|member| later.contains(&member.id));
        planned.change.members.present = now;
        let members = MemberChange { reset: false, present: then, absent: Vec::new() };
        if !members.is_empty() {
            additions.push((*operation, addition(planned, members)));
        }
    }
    plans.extend(additions);
    plans
}

fn addition(created: &Planned, members: MemberChange) -> Planned {
    let external_id = match &created.change.effect {
        Effect::Create(document) => document.external_id.clone(),
        Effect::Replace(_) | Effect::Keep | Effect::Delete { .. } => None,
    };
    let key = created.change.key.clone();
    let events = vec![members_moved(key.clone(), external_id)];
    let known_members_only = created.change.known_members_only;
    let change = Change { key, guard: Guard::default(), effect: Effect::Keep, members, known_members_only, events, txn: None };
    Planned { at: created.at, change, after: created.after.clone() }
}
