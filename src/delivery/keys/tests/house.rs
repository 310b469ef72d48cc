use super::super::*;
use crate::base::clock::Timestamp;
use crate::base::id::{EventId, StreamId, Tenant, TimeOrderedIds};
use crate::base::secret::{Secret, SystemEntropy};
use crate::scim::schema::Registry;
use crate::store::backends::{self, Opening, Purpose};
use crate::store::ledger::{DeadLetters, Life, Place, PlaceSet, Reading, Record, Resolution, Trim};
use async_trait::async_trait;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use tokio::sync::watch;

/// A clock that a test sets.
#[derive(Debug)]
pub(super) struct Hand(AtomicI64);

impl Hand {
    pub(super) fn turn(&self, milliseconds: i64) {
        self.0.fetch_add(milliseconds, Ordering::Relaxed);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// What happens to a write that is cut off.
#[derive(Clone, Copy, Debug)]
pub(super) enum Cut {
    /// It is never made.
    Before,
    /// It is made, and nobody hears of it.
    After,
}

/// A ledger of which one write is cut off.
#[derive(Debug)]
pub(super) struct Meddled {
    kept: Arc<dyn Ledger>,
    /// So many writes from now on succeed; then comes the cut.
    until: AtomicUsize,
    cut: Cut,
}

fn nothing_more(cut: Cut) -> StoreError {
    StoreError::because(StoreErrorKind::Unavailable, "write records", format!("cut {cut:?}"))
}

#[async_trait]
impl Ledger for Meddled {
    async fn write_records(&self, changes: Vec<RecordChange>) -> crate::store::Result<()> {
        let left = self.until.fetch_sub(1, Ordering::Relaxed);
        if left > 1 {
            return self.kept.write_records(changes).await;
        }
        // The process is no more: nothing is written after it either.
        self.until.store(1, Ordering::Relaxed);
        if left == 1 && matches!(self.cut, Cut::After) {
            self.kept.write_records(changes).await?;
        }
        Err(nothing_more(self.cut))
    }

    async fn records(&self, collection: &'static str) -> crate::store::Result<Vec<Record>> {
        self.kept.records(collection).await
    }

    fn records_changed(&self) -> watch::Receiver<u64> {
        self.kept.records_changed()
    }

    async fn read(&self, tenant: Tenant, after: Place, limit: usize) -> crate::store::Result<Reading> {
        self.kept.read(tenant, after, limit).await
    }

    async fn place_of(&self, tenant: Tenant, event: EventId) -> crate::store::Result<Option<Place>> {
        self.kept.place_of(tenant, event).await
    }

    fn wake(&self) -> watch::Receiver<u64> {
        self.kept.wake()
    }

    async fn trim(&self, floor: Place, trim: Trim) -> crate::store::Result<usize> {
        self.kept.trim(floor, trim).await
    }

    async fn secret(&self, name: &'static str, fresh: [u8; 32]) -> crate::store::Result<[u8; 32]> {
        self.kept.secret(name, fresh).await
    }

    async fn resolved(&self, stream: &StreamId, epoch: u64) -> crate::store::Result<Option<PlaceSet>> {
        self.kept.resolved(stream, epoch).await
    }

    async fn resolve(&self, resolutions: Vec<Resolution>) -> crate::store::Result<Vec<crate::store::Result<PlaceSet>>> {
        self.kept.resolve(resolutions).await
    }

    async fn dead_letters(&self, stream: &StreamId, after: Place, limit: usize, retry: bool) -> crate::store::Result<DeadLetters> {
        self.kept.dead_letters(stream, after, limit, retry).await
    }

    async fn trim_letters(&self, trim: Trim) -> crate::store::Result<usize> {
        self.kept.trim_letters(trim).await
    }

    async fn renew(&self, changes: Vec<RecordChange>, stream: &StreamId, life: Option<Life>) -> crate::store::Result<()> {
        self.kept.renew(changes, stream, life).await
    }
}

/// A house with one ledger, in which nodes come and go.
pub(super) struct House {
    pub(super) ledger: Arc<dyn Ledger>,
    pub(super) clock: Arc<Hand>,
    pub(super) secrets_key: Option<&'static str>,
    pub(super) settings: Settings,
    /// Sqlite's files.
    _folder: tempfile::TempDir,
}

impl House {
    pub(super) fn new(backend: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let opening = Opening {
            purpose: Purpose::Serve,
            data_path: folder.path().to_owned(),
            database_url: None,
            views: ["Users".into(), "Groups".into()],
            registry: Arc::new(Registry::builtin()),
            ids: Arc::new(TimeOrderedIds),
            limits: limits::Limits::default(),
        };
        let ledger = backends::open_at_once(backend, opening).expect("a store").ledger;
        let clock = Arc::new(Hand(AtomicI64::new(1_800_000_000_000)));
        Self { ledger, clock, secrets_key: Some("the key of the house"), settings: Settings::default(), _folder: folder }
    }

    /// A node that starts now.
    pub(super) fn node(&self) -> Keys {
        self.node_on(Arc::clone(&self.ledger))
    }

    fn node_on(&self, ledger: Arc<dyn Ledger>) -> Keys {
        let secrets_key = self.secrets_key.map(Secret::new);
        let sealer = Arc::new(Sealer::new(secrets_key.as_ref(), Arc::new(SystemEntropy)));
        let clock: Arc<dyn Clock> = Arc::<Hand>::clone(&self.clock);
        Keys::new(ledger, clock, sealer, &self.settings)
    }

    /// A node whose ledger goes away at its nth write.
    pub(super) fn doomed(&self, writes: usize, cut: Cut) -> Keys {
        self.node_on(Arc::new(Meddled { kept: Arc::clone(&self.ledger), until: AtomicUsize::new(writes), cut }))
    }
}
