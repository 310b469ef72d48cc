//! A ledger that other nodes are said to use too, and that counts what is asked of it.

use crate::base::clock::Timestamp;
use crate::base::id::{EventId, StreamId, Tenant};
use crate::store::ledger::{DeadLetters, Lease, Life, PlaceSet, Reading, Record, RecordChange, Resolution, Survey, Trim};
use crate::store::{Ledger, Place, Result};
use async_trait::async_trait;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;

#[derive(Debug)]
pub(super) struct Counted {
    kept: Arc<dyn Ledger>,
    /// Questions for what one stream has resolved, or several have.
    resolved: AtomicUsize,
    /// Questions for what one stream has resolved.
    of: Mutex<HashMap<StreamId, usize>>,
    /// What another node trims in the moment before this one does.
    trimmed: Mutex<Option<Trim>>,
    /// How many other nodes there are.
    others: watch::Sender<u64>,
    /// Leases that this node holds, and those that it has given to others.
    own: Mutex<BTreeSet<String>>,
    given: Mutex<BTreeSet<String>>,
    /// How often leases were claimed.
    claims: AtomicUsize,
    /// Whoever has it lets nothing be resolved.
    resolving: tokio::sync::Mutex<()>,
}

impl Counted {
    pub(super) fn new(kept: &Arc<dyn Ledger>) -> Arc<Self> {
        Arc::new(Self {
            kept: Arc::clone(kept),
            resolved: AtomicUsize::new(0),
            of: Mutex::default(),
            trimmed: Mutex::default(),
            others: watch::Sender::default(),
            own: Mutex::default(),
            given: Mutex::default(),
            claims: AtomicUsize::new(0),
            resolving: tokio::sync::Mutex::default(),
        })
    }

    /// There are so many other nodes now; they take what this one gives back.
    pub(super) fn beside(&self, others: u64) {
        self.others.send_replace(others);
    }

    /// How often leases were claimed so far.
    pub(super) fn claims(&self) -> usize {
        self.claims.load(Ordering::Relaxed)
    }

    /// The leases that this node has given to others.
    pub(super) fn given(&self) -> BTreeSet<String> {
        self.given.lock().expect("the leases").clone()
    }

    /// Lets nothing be resolved until what is returned is dropped.
    pub(super) async fn hold(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.resolving.lock().await
    }

    /// Another node trims the log just before this one does, once.
    pub(super) fn trimmed_before(&self, trim: Trim) {
        *self.trimmed.lock().expect("what is trimmed") = Some(trim);
    }

    /// How often it was asked what one stream has resolved since this was asked last of that stream.
    pub(super) fn reads_of(&self, stream: &StreamId) -> usize {
        self.of.lock().expect("the counts").remove(stream).unwrap_or(0)
    }

    /// How often it was asked what streams have resolved since this was asked last.
    pub(super) fn resolved_reads(&self) -> usize {
        self.resolved.swap(0, Ordering::Relaxed)
    }
}

#[async_trait]
impl Ledger for Counted {
    fn is_shared(&self) -> bool {
        true
    }

    async fn resolved(&self, stream: &StreamId, epoch: u64) -> Result<Option<PlaceSet>> {
        self.resolved.fetch_add(1, Ordering::Relaxed);
        *self.of.lock().expect("the counts").entry(stream.clone()).or_default() += 1;
        self.kept.resolved(stream, epoch).await
    }

    async fn resolved_of(&self, lives: &[(StreamId, u64)]) -> Result<Vec<Result<Option<PlaceSet>>>> {
        self.resolved.fetch_add(1, Ordering::Relaxed);
        self.kept.resolved_of(lives).await
    }

    async fn write_records(&self, changes: Vec<RecordChange>) -> Result<()> {
        self.kept.write_records(changes).await
    }

    async fn records(&self, collection: &'static str) -> Result<Vec<Record>> {
        self.kept.records(collection).await
    }

    fn records_changed(&self) -> watch::Receiver<u64> {
        self.kept.records_changed()
    }

    async fn read(&self, tenant: Tenant, after: Place, limit: usize) -> Result<Reading> {
        self.kept.read(tenant, after, limit).await
    }

    async fn place_of(&self, tenant: Tenant, event: EventId) -> Result<Option<Place>> {
        self.kept.place_of(tenant, event).await
    }

    async fn place_before(&self, tenant: Tenant, time: Timestamp) -> Result<Place> {
        self.kept.place_before(tenant, time).await
    }

    fn wake(&self) -> watch::Receiver<u64> {
        self.kept.wake()
    }

    async fn trim(&self, floor: Place, trim: Trim) -> Result<usize> {
        let others = self.trimmed.lock().expect("what is trimmed").take();
        if let Some(others) = others {
            assert_eq!(self.kept.trim(floor, others).await?, others.limit);
        }
        self.kept.trim(floor, trim).await
    }

    async fn secret(&self, name: &'static str, fresh: [u8; 32]) -> Result<[u8; 32]> {
        self.kept.secret(name, fresh).await
    }

    async fn survey(&self, _: &str, names: &[String]) -> Result<Survey> {
        let (own, rest): (Vec<_>, Vec<_>) = {
            let own = self.own.lock().expect("the leases");
            names.iter().cloned().partition(|name| own.contains(name))
        };
        let given = self.given();
        let free = rest.into_iter().filter(|name| !given.contains(name)).collect();
        let others = usize::try_from(*self.others.borrow()).expect("a number");
        Ok(Survey { others, own, free })
    }

    async fn claim(&self, owner: &str, names: &[String], length: Duration) -> Result<Vec<Lease>> {
        self.claims.fetch_add(1, Ordering::Relaxed);
        self.own.lock().expect("the leases").extend(names.iter().cloned());
        self.kept.claim(owner, names, length).await
    }

    fn leases_changed(&self) -> Option<watch::Receiver<u64>> {
        Some(self.others.subscribe())
    }

    async fn release(&self, _: &str, names: &[String]) -> Result<()> {
        self.own.lock().expect("the leases").retain(|name| !names.contains(name));
        self.given.lock().expect("the leases").extend(names.iter().cloned());
        Ok(())
    }

    async fn resolve(&self, resolutions: Vec<Resolution>) -> Result<Vec<Result<PlaceSet>>> {
        let _resolving = self.resolving.lock().await;
        self.kept.resolve(resolutions).await
    }

    async fn dead_letters(&self, stream: &StreamId, after: Place, limit: usize, retry: bool) -> Result<DeadLetters> {
        self.kept.dead_letters(stream, after, limit, retry).await
    }

    async fn trim_letters(&self, trim: Trim) -> Result<usize> {
        self.kept.trim_letters(trim).await
    }

    async fn renew(&self, changes: Vec<RecordChange>, stream: &StreamId, life: Option<Life>) -> Result<()> {
        self.kept.renew(changes, stream, life).await
    }
}
