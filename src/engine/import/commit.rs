//! Commits batches of resources, and tells what became of each.

use super::super::Engine;
use super::read::Prepared;
use super::rehearse::Rehearsal;
use super::{Origin, Terms};
use crate::base::id::ResourceId;
use crate::base::limits;
use crate::scim::error::Error;
use crate::scim::resource::MemberChange;
use crate::store::{Change, Effect, Guard, Result, StoreError, StoreErrorKind, Unit};
use futures_util::{StreamExt as _, stream};
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// What became of a resource.
#[derive(Debug)]
pub(super) enum Fate {
    Created,
    Present,
    Replaced,
    Skipped,
    Refused(Error),
    /// It has members of these ids, which name no resource yet.
    Waits(Box<Prepared>, Vec<String>),
}

/// Which members a group may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Members {
    /// Those that are there: the store knows then what they are.
    Known,
    /// Any.
    Any,
}

/// A resource as it was read, or why it could not be.
pub(super) type Item = Result<Prepared, (Origin, Error)>;

/// An import under way.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) engine: Arc<Engine>,
    pub(super) terms: Terms,
    pub(super) rehearsal: Option<Rehearsal>,
}

impl Run {
    /// What becomes of a batch as it comes.
    pub(super) async fn batch(&self, items: Vec<Item>) -> Result<Vec<(Origin, Fate)>> {
        if let Some(rehearsal) = &self.rehearsal {
            return rehearsal.batch(self, items).await;
        }
        let at_once = self.engine.hasher.most_at_once();
        let mut fates = Vec::with_capacity(items.len());
        for items in distinct(items, |item| item.as_ref().ok().map(|prepared| &prepared.key.id)) {
            let mut hashed = stream::iter(items).map(|item| self.with_hashes(item)).buffered(at_once);
            let mut ready = Vec::new();
            while let Some(item) = hashed.next().await {
                match item? {
                    Ok(prepared) => ready.push(prepared),
                    Err(fate) => fates.push(fate),
                }
            }
            fates.extend(self.commit(ready, Members::Known).await?);
        }
        Ok(fates)
    }

    /// Hashes clear secrets, which takes long: only of what is not there.
    async fn with_hashes(&self, item: Item) -> Result<Result<Prepared, (Origin, Fate)>> {
        let mut prepared = match item {
            Ok(prepared) if prepared.secrets.is_empty() => return Ok(Ok(prepared)),
            Ok(prepared) => prepared,
            Err((origin, error)) => return Ok(Err((origin, Fate::Refused(error)))),
        };
        if let Some(stored) = self.engine.found(&prepared).await? {
            let origin = prepared.origin.clone();
            return Ok(Err((origin, self.met(prepared, Some(stored), Members::Known).await?)));
        }
        let changes = std::mem::take(&mut prepared.secrets);
        Ok(match self.engine.hasher.apply(prepared.document.secrets.as_deref(), changes).await {
            Ok(hashed) => {
                prepared.document.secrets = hashed.stored.or(prepared.document.secrets);
                Ok(prepared)
            }
            Err(error) => Err((prepared.origin, Fate::Refused(error))),
        })
    }

    /// The same, as many at a time as a batch has.
    pub(super) async fn commit_all(&self, items: Vec<Prepared>, members: Members) -> Result<Vec<(Origin, Fate)>> {
        let mut fates = Vec::with_capacity(items.len());
        for items in distinct(items, |prepared| Some(&prepared.key.id)) {
            let mut items = items.into_iter().peekable();
            while items.peek().is_some() {
                let batch = items.by_ref().take(limits::IMPORT_BATCH_RESOURCES).collect();
                fates.extend(self.commit(batch, members).await?);
            }
        }
        Ok(fates)
    }

    /// Creates resources, in order. None of them has the id of another one.
    async fn commit(&self, items: Vec<Prepared>, members: Members) -> Result<Vec<(Origin, Fate)>> {
        let tried = self.create(items, members).await?;
        let judged = stream::iter(tried).map(|(prepared, result)| async move {
            let origin = prepared.origin.clone();
            Ok((origin, self.judge(prepared, result, members).await?))
        });
        let judged: Vec<Result<(Origin, Fate)>> = judged.buffered(limits::IMPORT_LOOKUPS).collect().await;
        judged.into_iter().collect()
    }

    async fn judge(&self, prepared: Prepared, result: Result<()>, members: Members) -> Result<Fate> {
        let Err(error) = result else { return Ok(Fate::Created) };
        match error.kind {
            StoreErrorKind::Uniqueness { ref path } if path == "id" => {
                let stored = self.engine.found(&prepared).await?;
                self.met(prepared, stored, members).await
            }
            StoreErrorKind::UnknownMembers(ids) => Ok(Fate::Waits(Box::new(prepared), ids)),
            _ => Ok(Fate::Refused(error.answer())),
        }
    }

    /// Tries each of them. Fails when the store does.
    async fn create(&self, items: Vec<Prepared>, members: Members) -> Result<Vec<(Prepared, Result<()>)>> {
        let store = &self.engine.store;
        let mut tried = Vec::with_capacity(items.len());
        let mut left = VecDeque::from(items);
        let mut stale = 0;
        while !left.is_empty() {
            let units = left.iter().map(|prepared| self.unit(prepared, members)).collect();
            let mut results = store.commit_in_order(units, None).await;
            // What was not tried for the sake of this one is tried again.
            let is_stale = |result: &Result<_>| matches!(result, Err(error) if error.kind == StoreErrorKind::Stale);
            let is_cut = results.len() < left.len() || results.last().is_some_and(is_stale);
            let broke_off = is_cut.then(|| results.pop()).flatten();
            for result in results {
                let Some(prepared) = left.pop_front() else { break };
                tried.push((prepared, settled(result)?));
            }
            match broke_off {
                Some(Err(error)) if error.kind == StoreErrorKind::Stale && stale < limits::REPLANS => stale += 1,
                Some(result) => {
                    settled(result).map(drop)?;
                    // The store refuses something of it, and does not tell what.
                    while let Some(prepared) = left.pop_front() {
                        let result = store.commit(self.unit(&prepared, members)).await;
                        tried.push((prepared, settled(result)?));
                    }
                }
                None => {}
            }
        }
        Ok(tried)
    }

    fn unit(&self, prepared: &Prepared, members: Members) -> Unit {
        let change = Change {
            key: prepared.key.clone(),
            guard: Guard::default(),
            effect: Effect::Create(prepared.document.clone()),
            members: MemberChange { reset: false, present: prepared.members.clone(), absent: Vec::new() },
            known_members_only: members == Members::Known,
            events: prepared.events.clone(),
            txn: None,
        };
        Unit { at: self.engine.clock.now(), txn: self.engine.txn(), changes: vec![change] }
    }
}

/// Cuts before what has the id of something since the last cut: what comes again meets what came before, as it then is.
fn distinct<T>(items: Vec<T>, id: impl Fn(&T) -> Option<&ResourceId>) -> Vec<Vec<T>> {
    let (mut parts, mut ids) = (vec![Vec::new()], BTreeSet::new());
    for item in items {
        if id(&item).is_some_and(|id| ids.contains(id)) {
            ids.clear();
            parts.push(Vec::new());
        }
        ids.extend(id(&item).cloned());
        if let Some(part) = parts.last_mut() {
            part.push(item);
        }
    }
    parts
}

/// What a unit came to; an error of the store as a whole ends the import.
fn settled<T>(result: Result<T>) -> Result<Result<()>, StoreError> {
    match result {
        Err(error) if matches!(error.kind, StoreErrorKind::Unavailable | StoreErrorKind::Stale) => Err(error),
        result => Ok(result.map(drop)),
    }
}
