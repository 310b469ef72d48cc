//! A ledger that other nodes are said to use too, and that counts what is asked of it.

use crate::base::clock::Timestamp;
use crate::base::id::{EventId, StreamId, Tenant};
use crate::store::ledger::{DeadLetters, Life, PlaceSet, Reading, Record, RecordChange, Resolution, Trim};
use crate::store::{Ledger, Place, Result};
use async_trait::async_trait;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
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
}

impl Counted {
    pub(super) fn new(kept: &Arc<dyn Ledger>) -> Arc<Self> {
        Arc::new(Self { kept: Arc::clone(kept), resolved: AtomicUsize::new(0), of: Mutex::default(), trimmed: Mutex::default() })
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

    async fn resolve(&self, resolutions: Vec<Resolution>) -> Result<Vec<Result<PlaceSet>>> {
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
