//! The way of an import: batches are read on all cores, committed in order, and what became of them is told.

use super::super::Engine;
use super::commit::{Fate, Item, Run};
use super::read::Prepared;
use super::rehearse::Rehearsal;
use super::waiting::Waiting;
use super::{Failure, Imported, Origin, Record, Tally, Terms, Witness};
use crate::base::id::{ResourceId, Tenant, TypeCode};
use crate::base::limits;
use crate::scim::error::Error;
use crate::store::index::Entry;
use crate::store::{StoreError, StoreErrorKind};
use futures_util::{Stream, StreamExt as _, stream};
use std::collections::BTreeSet;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

/// What only one resource can have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Claim {
    Id(ResourceId),
    Value(TypeCode, Entry),
}

impl Claim {
    pub(super) fn of(prepared: &Prepared) -> impl Iterator<Item = Self> + '_ {
        let values = prepared.document.unique_added.iter().map(|entry| Self::Value(prepared.kind.code, entry.clone()));
        std::iter::once(Self::Id(prepared.key.id.clone())).chain(values)
    }

    pub(super) fn path(&self) -> &str {
        match self {
            Self::Id(_) => "id",
            Self::Value(_, entry) => &entry.path,
        }
    }
}

/// A batch that has been read.
struct Batch {
    items: Vec<Item>,
    claims: BTreeSet<Claim>,
    /// Room for its text.
    _room: Option<OwnedSemaphorePermit>,
}

type Read = Result<Batch, Failure>;
type Fates = Result<Vec<(Origin, Fate)>, Failure>;

impl Engine {
    /// Takes over what the feed brings. The witness is told of every refusal, and after each batch how far it has come; that is so too
    /// when it fails. What was committed stays.
    pub async fn import(
        self: &Arc<Self>,
        tenant: Tenant,
        feed: mpsc::Receiver<io::Result<Vec<Record>>>,
        terms: Terms,
        witness: &mut dyn Witness,
    ) -> Result<Imported, Failure> {
        let rehearsal = terms.rehearse.then(Rehearsal::default);
        let mut book = Book { tally: Tally::default(), most_refusals: terms.most_refusals, witness };
        let run = Arc::new(Run { engine: Arc::clone(self), terms, rehearsal });
        let mut waiting = Waiting::new(self.switches.known_members_only);
        let mut committed = pin!(committed(&run, read(&run, tenant, feed)));
        while let Some(fates) = committed.next().await {
            let mut rest = Vec::new();
            for (origin, fate) in fates? {
                match fate {
                    Fate::Waits(prepared, ids) => rest.extend(waiting.push(*prepared, ids)),
                    fate => book.enter(&origin, fate),
                }
            }
            for (origin, fate) in waiting.overflow(&run, rest).await? {
                book.enter(&origin, fate);
            }
            book.tell();
            if book.is_full() {
                return Ok(Imported { tally: book.tally, is_stopped: true });
            }
        }
        waiting.finish(&run, |origin, fate| book.enter(origin, fate)).await?;
        book.tell();
        Ok(Imported { tally: book.tally, is_stopped: false })
    }
}

/// Reads batches on all cores, in their order.
fn read(run: &Arc<Run>, tenant: Tenant, feed: mpsc::Receiver<io::Result<Vec<Record>>>) -> impl Stream<Item = Read> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let room = Arc::new(Semaphore::new(limits::IMPORT_BYTES_IN_FLIGHT as usize));
    let run = Arc::clone(run);
    let chunks = stream::unfold(feed, |mut feed| async move { feed.recv().await.map(|chunk| (chunk, feed)) });
    chunks
        .map(move |chunk| {
            let (run, room) = (Arc::clone(&run), Arc::clone(&room));
            async move {
                let records = chunk.map_err(Failure::Source)?;
                let bytes: usize = records.iter().map(|record| record.text.as_ref().map_or(0, Vec::len)).sum();
                let wanted = u32::try_from(bytes).unwrap_or(u32::MAX).min(limits::IMPORT_BYTES_IN_FLIGHT);
                let room = room.acquire_many_owned(wanted).await.ok();
                let work = move || {
                    let items = records.into_iter().map(|record| run.engine.prepare(tenant, record, &run.terms));
                    let items: Vec<Item> = items.collect();
                    let claims = items.iter().filter_map(|item| item.as_ref().ok()).flat_map(Claim::of).collect();
                    Batch { items, claims, _room: room }
                };
                tokio::task::spawn_blocking(work).await.map_err(|error| Failure::Source(io::Error::other(error)))
            }
        })
        .buffered(cores + 1)
}

/// Commits batches, several at a time, unless one claims what the one before claims: then the first that comes has it.
fn committed(run: &Arc<Run>, batches: impl Stream<Item = Read>) -> impl Stream<Item = Fates> {
    let run = Arc::clone(run);
    let mut before: Option<(BTreeSet<Claim>, oneshot::Receiver<()>)> = None;
    let next = move |batch: Read| {
        let (done, ended) = oneshot::channel();
        let claims = batch.as_ref().map(|batch| batch.claims.clone()).unwrap_or_default();
        let rival = before.take().filter(|(earlier, _)| !earlier.is_disjoint(&claims)).map(|(_, ended)| ended);
        before = Some((claims, ended));
        let run = Arc::clone(&run);
        async move {
            if let Some(ended) = rival {
                // It has ended when nobody can say so any more.
                let _ = ended.await;
            }
            let Batch { items, _room, .. } = batch?;
            let fates = run.batch(items).await;
            drop(done);
            Ok(fates?)
        }
    };
    batches.map(next).buffered(limits::IMPORT_COMMITS)
}

/// What is told.
struct Book<'a> {
    tally: Tally,
    most_refusals: Option<u64>,
    witness: &'a mut dyn Witness,
}

impl Book<'_> {
    fn enter(&mut self, origin: &Origin, fate: Fate) {
        let error = match fate {
            Fate::Created => return self.tally.created += 1,
            Fate::Present => return self.tally.present += 1,
            Fate::Replaced => return self.tally.replaced += 1,
            Fate::Skipped => return self.tally.skipped += 1,
            Fate::Refused(error) => error,
            Fate::Waits(_, ids) => unknown(ids),
        };
        self.tally.refused += 1;
        self.witness.refused(origin, &error);
    }

    fn tell(&mut self) {
        self.witness.came_to(&self.tally);
    }

    fn is_full(&self) -> bool {
        self.most_refusals.is_some_and(|most| self.tally.refused >= most)
    }
}

/// What is said of a group whose members are not there.
pub(super) fn unknown(ids: Vec<String>) -> Error {
    StoreError::new(StoreErrorKind::UnknownMembers(ids), "find the members").answer()
}
