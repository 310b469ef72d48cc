//! Everything in memory under one lock: for trying out and for tests. What it acknowledges is gone with the process. What must be unique
//! is looked up; any other filter reads every resource of its type.

mod kept;
mod state;

use super::{Descriptor, Opening};
use crate::base::id::{EventId, Ids, Key, ResourceId, StreamId, Tenant};
use crate::base::limits::Limits;
use crate::scim::compare::Comparable;
use crate::scim::filter::{Comparison, Filter, Operator};
use crate::scim::schema::{Registry, ResourceType};
use crate::store::apply::{Context, apply};
use crate::store::index::{Entry, Indexes, indexed_value};
use crate::store::ledger::{DeadLetters, Life, PlaceSet, Record, RecordChange, Resolution, Trim};
use crate::store::ranking::Ranking;
use crate::store::residual::{Admission, Judge, SortKey, Window, detail_for};
use crate::store::{
    Backend, Capabilities, Committed, Detail, Ledger, Page, Place, Position, Query, Reading, Result, Start, Store, StoreError,
    StoreErrorKind, Stored, Unit,
};
use async_trait::async_trait;
use futures_util::FutureExt;
use kept::Kept;
use state::{Row, State, Transaction};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;

/// The row of the table.
pub const DESCRIPTOR: Descriptor =
    Descriptor { name: "memory", examine: |_| Ok(Vec::new()), open: |opening| std::future::ready(Ok(open(opening))).boxed() };

/// A new store.
pub fn open(opening: Opening) -> Backend {
    let store = Arc::new(Memory::new(opening));
    let registry = Arc::clone(&store.registry);
    Backend { store: Arc::clone(&store) as Arc<dyn Store>, ledger: store, registry }
}

#[derive(Debug)]
struct Memory {
    registry: Arc<Registry>,
    ids: Arc<dyn Ids>,
    limits: Limits,
    state: Mutex<State>,
    kept: Mutex<Kept>,
    wake: watch::Sender<u64>,
    records_changed: watch::Sender<u64>,
}

impl Memory {
    fn new(opening: Opening) -> Self {
        Self {
            registry: opening.registry,
            ids: opening.ids,
            limits: opening.limits,
            state: Mutex::default(),
            kept: Mutex::default(),
            wake: watch::Sender::new(0),
            records_changed: watch::Sender::new(0),
        }
    }

    /// A panic elsewhere cannot leave the state half changed: a unit that did not end is undone by its journal when it is dropped.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn search(&self, query: &Query) -> Result<Page> {
        let state = self.state();
        let Some(kind) = self.registry.by_code(query.kind) else { return Ok(Window::new(query).finish()) };
        let judge = Judge::new(kind, query, false);
        if query.is_in_id_order() {
            return self.in_order(&state, kind, query, &judge);
        }
        self.sorted(&state, kind, query, &judge)
    }

    /// A page in the order of ids, which is that of the rows.
    fn in_order(&self, state: &State, kind: &ResourceType, query: &Query, judge: &Judge<'_>) -> Result<Page> {
        let started = Instant::now();
        let mut window = Window::new(query);
        let after = match &query.start {
            Start::After(Some(position)) => Some(&position.id),
            _ => None,
        };
        for (key, row) in candidates(state, kind, query, after) {
            if query.filter.is_some() {
                self.check_time(started)?;
                window.visit();
                if judge.key(&state.stored(key, row, detail_for(query))?)?.is_none() {
                    continue;
                }
            }
            match window.admit() {
                Admission::Taken => {
                    if query.filter.is_none() {
                        window.visit();
                    }
                    window.push(state.stored(key, row, query.detail)?, None);
                }
                Admission::Passed => {}
                Admission::Ends => break,
            }
        }
        Ok(window.finish())
    }

    fn sorted(&self, state: &State, kind: &ResourceType, query: &Query, judge: &Judge<'_>) -> Result<Page> {
        let started = Instant::now();
        let mut ranking = Ranking::new(query);
        let mut visited = 0;
        for (key, row) in candidates(state, kind, query, None) {
            self.check_time(started)?;
            visited += 1;
            if let Some(SortKey(value)) = judge.key(&state.stored(key, row, detail_for(query))?)? {
                ranking.offer(Position { key: value, id: key.id.clone() });
            }
        }
        let places = ranking.finish()?;
        let mut window = Window::of_places(query);
        for position in places.positions {
            let key = Key { tenant: query.tenant, kind: query.kind, id: position.id };
            let Some(row) = state.row(&key) else { continue };
            if window.admit() != Admission::Taken {
                break;
            }
            window.push(state.stored(&key, row, query.detail)?, position.key);
        }
        let mut page = window.finish_with(places.matched);
        page.visited = visited;
        Ok(page)
    }

    fn check_time(&self, started: Instant) -> Result<()> {
        if started.elapsed() > self.limits.scan_time() {
            return Err(StoreError::new(StoreErrorKind::TooMany, "scan resources"));
        }
        Ok(())
    }
}

/// What can match, in id order, after this id: where the filter asks for a value that only one resource may have, that one.
fn candidates<'a>(
    state: &'a State,
    kind: &ResourceType,
    query: &Query,
    after: Option<&ResourceId>,
) -> impl Iterator<Item = (&'a Key, &'a Row)> {
    let entry = query.filter.as_ref().and_then(|filter| unique_value(kind, filter));
    let all = entry.is_none().then(|| state.of_type(query.tenant, query.kind, after));
    let holder = entry.and_then(|entry| state.holder(query.tenant, query.kind, entry));
    let holder = holder.filter(|(key, _)| after.is_none_or(|after| key.id > *after));
    holder.into_iter().chain(all.into_iter().flatten())
}

/// A value that every match has and that only one resource may have.
fn unique_value(kind: &ResourceType, filter: &Filter) -> Option<Entry> {
    match filter {
        Filter::And(operands) => operands.iter().find_map(|operand| unique_value(kind, operand)),
        Filter::Compare(Comparison { path, operator: Operator::Eq, value: Some(value @ Comparable::Text(_)) }) => {
            let is_sought = path.leaf().is_unique() && Indexes::of(kind).is_unique(path);
            is_sought.then(|| Entry { path: path.to_string().into(), value: indexed_value(value.clone()) })
        }
        _ => None,
    }
}

#[async_trait]
impl Store for Memory {
    fn capabilities(&self) -> Capabilities {
        Capabilities { durable: false, atomic: true, member_rows: true, index_seeks: false, one_owner: false }
    }

    async fn get(&self, key: &Key, detail: Detail) -> Result<Option<Stored>> {
        let state = self.state();
        state.row(key).map(|row| state.stored(key, row, detail)).transpose()
    }

    async fn query(&self, query: &Query) -> Result<Page> {
        self.search(query)
    }

    async fn commit(&self, unit: Unit) -> Result<Committed> {
        let mut state = self.state();
        let before = state.last_place();
        let mut transaction = Transaction::new(&mut state);
        let committed = apply(&mut transaction, &unit, Context { registry: &self.registry, ids: self.ids.as_ref() })?;
        transaction.keep();
        let after = state.last_place();
        drop(state);
        if after > before {
            // Another commit may have told of a later place already.
            self.wake.send_if_modified(|place| {
                let is_later = after.0 > *place;
                *place = after.0.max(*place);
                is_later
            });
        }
        Ok(committed)
    }

    async fn ready(&self) -> Result<()> {
        Ok(())
    }
}

#[async_trait]
impl Ledger for Memory {
    async fn read(&self, tenant: Tenant, after: Place, limit: usize) -> Result<Reading> {
        Ok(self.state().events(tenant, after, limit))
    }

    async fn place_of(&self, tenant: Tenant, event: EventId) -> Result<Option<Place>> {
        Ok(self.state().place_of(tenant, event))
    }

    fn wake(&self) -> watch::Receiver<u64> {
        self.wake.subscribe()
    }

    async fn trim(&self, floor: Place, trim: Trim) -> Result<usize> {
        Ok(self.state().trim(floor, trim))
    }

    async fn secret(&self, name: &'static str, fresh: [u8; 32]) -> Result<[u8; 32]> {
        Ok(self.kept().secret(name, fresh))
    }

    async fn records(&self, collection: &'static str) -> Result<Vec<Record>> {
        Ok(self.kept().records(collection))
    }

    async fn write_records(&self, changes: Vec<RecordChange>) -> Result<()> {
        self.kept().write_records(changes)?;
        self.records_changed.send_modify(|count| *count += 1);
        Ok(())
    }

    fn records_changed(&self) -> watch::Receiver<u64> {
        self.records_changed.subscribe()
    }

    async fn resolved(&self, stream: &StreamId, epoch: u64) -> Result<Option<PlaceSet>> {
        Ok(self.kept().resolved(stream, epoch))
    }

    async fn resolve(&self, resolutions: Vec<Resolution>) -> Result<Vec<Result<PlaceSet>>> {
        let mut kept = self.kept();
        Ok(resolutions.into_iter().map(|resolution| kept.resolve(resolution)).collect())
    }

    async fn dead_letters(&self, stream: &StreamId, after: Place, limit: usize, retry_only: bool) -> Result<DeadLetters> {
        Ok(self.kept().dead_letters(stream, after, limit, retry_only))
    }

    async fn trim_letters(&self, trim: Trim) -> Result<usize> {
        Ok(self.kept().trim_letters(trim))
    }

    async fn renew(&self, changes: Vec<RecordChange>, stream: &StreamId, life: Option<Life>) -> Result<()> {
        self.kept().renew(changes, stream, life)?;
        self.records_changed.send_modify(|count| *count += 1);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::fixture::{USER, opening, unit};
    use crate::store::tests::{Fixture, key, user};
    use tempfile::TempDir;

    #[tokio::test]
    async fn a_place_that_is_told_late_does_not_hide_a_later_one() {
        let folder = TempDir::new().expect("a folder");
        let store = Memory::new(opening(&folder, &Arc::new(Registry::builtin())));
        let shape = Fixture::new("memory");
        // As another commit does that has overtaken this one between the lock and the notice.
        store.wake.send_replace(7);
        let mut wake = store.wake();
        wake.mark_unchanged();
        store.commit(unit(1, vec![shape.create(key(USER, "a"), &user("a"))])).await.expect("a commit");
        assert_eq!((*wake.borrow(), wake.has_changed().expect("a store")), (7, false));
        store.wake.send_replace(0);
        store.commit(unit(1, vec![shape.create(key(USER, "b"), &user("b"))])).await.expect("a commit");
        assert_eq!((*wake.borrow(), wake.has_changed().expect("a store")), (2, true));
    }
}
