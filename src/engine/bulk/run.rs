//! A run: operations that are planned and committed together, each a unit of its own.

use super::super::plan::Planned;
use super::super::write::Write;
use super::super::{Engine, failure_of};
use super::circle;
use super::job::Job;
use crate::base::id::{Key, ResourceId};
use crate::base::limits;
use crate::scim::error::{Error, ErrorKind, Result};
use crate::store::{Change, Committed, Detail, Effect, StoreError, StoreErrorKind, Unit};
use futures_util::stream::{FuturesOrdered, StreamExt};
use tokio::time::timeout_at;

/// Operations that belong together, usually one, and their writes; or which of them cannot be written, and why.
pub(super) struct Candidate<'a> {
    pub operations: Vec<usize>,
    pub writes: Result<Vec<Write<'a>>, (usize, Error)>,
}

/// Operations that belong together, and which of them failed.
pub(super) struct Failure {
    pub operations: Vec<usize>,
    pub operation: usize,
    pub error: Error,
}

/// What a run came to. Operations that are in neither list are yet to be performed.
#[derive(Default)]
pub(super) struct Settled {
    /// Operation, id and version.
    pub performed: Vec<(usize, ResourceId, u64)>,
    pub failed: Vec<Failure>,
    /// Whether the next operation was overtaken by others between its plan and its commit.
    pub is_overtaken: bool,
}

/// Operations as they will be committed.
struct Pending {
    operations: Vec<usize>,
    /// The operation of each change of the unit, and its resource.
    changes: Vec<(usize, Key)>,
    unit: Unit,
}

/// Why a candidate was not planned.
struct Unplanned {
    failure: Failure,
    /// Whether what stands before it in the run can have nothing to do with it.
    is_final: bool,
}

pub(super) struct Run<'a, 'b> {
    job: &'b Job<'a>,
    candidates: Vec<Candidate<'b>>,
}

impl<'a, 'b> Run<'a, 'b> {
    pub(super) fn new(job: &'b Job<'a>, ready: &[Vec<usize>]) -> Self {
        Self { job, candidates: job.candidates(ready) }
    }

    /// Plans and commits.
    pub(super) async fn settle(self) -> Settled {
        if let [Candidate { operations, writes: Ok(writes) }] = &self.candidates[..]
            && let ([operation], [write]) = (&operations[..], &writes[..])
        {
            return self.alone(*operation, write).await;
        }
        let Self { job, candidates } = self;
        let (pending, failed) = plan(job, candidates).await;
        let mut settled = Settled { failed, ..Settled::default() };
        if pending.is_empty() {
            return settled;
        }
        let (units, owners): (Vec<_>, Vec<_>) =
            pending.into_iter().map(|Pending { operations, changes, unit }| (unit, (operations, changes))).unzip();
        let committing = job.engine.store.commit_in_order(units, job.failures_left());
        let Ok(results) = timeout_at(job.patience(), committing).await else {
            settled.failed.extend(owners.into_iter().map(|(operations, _)| uncertain(operations)));
            return settled;
        };
        for (result, (operations, changes)) in results.into_iter().zip(owners) {
            settled.add(operations, changes, result);
        }
        settled
    }

    /// A run of one is what a single request is.
    async fn alone(&self, operation: usize, write: &Write<'_>) -> Settled {
        let txn = self.job.txn_of(operation);
        let performing = self.job.engine.perform(write, Detail::default(), &txn);
        let mut settled = Settled::default();
        match timeout_at(self.job.patience(), performing).await {
            Ok(Ok(stored)) => settled.performed.push((operation, stored.key.id, stored.version)),
            Ok(Err(error)) => settled.failed.push(Failure { operations: vec![operation], operation, error }),
            Err(_) => settled.failed.push(uncertain(vec![operation])),
        }
        settled
    }
}

impl Settled {
    fn add(&mut self, operations: Vec<usize>, changes: Vec<(usize, Key)>, result: Result<Committed, StoreError>) {
        match result {
            Ok(Committed { outcomes }) => {
                let performed = changes.into_iter().zip(outcomes);
                self.performed.extend(performed.map(|((operation, key), outcome)| (operation, key.id, outcome.version)));
            }
            Err(error) if error.kind == StoreErrorKind::Stale => self.is_overtaken = true,
            Err(error) => {
                let place = error.change.filter(|place| *place < changes.len()).unwrap_or_default();
                let (operation, key) = &changes[place];
                self.failed.push(Failure { operations, operation: *operation, error: failure_of(&error, &key.id) });
            }
        }
    }
}

/// Nobody knows what becomes of these.
fn uncertain(operations: Vec<usize>) -> Failure {
    let detail = "The operation was not committed in time; it may still take effect.";
    Failure { operation: operations[0], operations, error: Error::new(ErrorKind::Unavailable, detail) }
}

/// Plans candidates in their order, as far as they can be committed together: a plan that fails for what the units before it may
/// change is made anew after them. As many are planned at a time as passwords are hashed, so that a bulk of many passwords uses every
/// core and yet lets others have their turn.
async fn plan(job: &Job<'_>, candidates: Vec<Candidate<'_>>) -> (Vec<Pending>, Vec<Failure>) {
    let (mut pending, mut failed, mut bytes) = (Vec::new(), Vec::new(), 0);
    let mut candidates = candidates.into_iter();
    let mut plans: FuturesOrdered<_> =
        candidates.by_ref().take(job.engine.hasher.most_at_once()).map(|next| plan_one(job, next)).collect();
    while let Some(planned) = plans.next().await {
        plans.extend(candidates.next().map(|next| plan_one(job, next)));
        match planned {
            Ok(unit) => {
                bytes += bytes_of(&unit.unit);
                pending.push(unit);
                if bytes > limits::BULK_RUN_BYTES || job.is_late() {
                    break;
                }
            }
            Err(Unplanned { failure, is_final }) => {
                let is_limited = job.failures_left().is_some();
                if pending.is_empty() || (is_final && !is_limited) {
                    failed.push(failure);
                    if !is_limited {
                        continue;
                    }
                }
                break;
            }
        }
    }
    (pending, failed)
}

async fn plan_one(job: &Job<'_>, candidate: Candidate<'_>) -> Result<Pending, Unplanned> {
    let Candidate { operations, writes } = candidate;
    let writes = match writes {
        Ok(writes) => writes,
        Err((operation, error)) => return Err(Unplanned { failure: Failure { operations, operation, error }, is_final: true }),
    };
    let mut plans = Vec::with_capacity(writes.len());
    for (operation, write) in operations.iter().copied().zip(&writes) {
        match plan_write(job.engine, write).await {
            Ok(planned) => plans.push((operation, planned)),
            Err((error, is_final)) => return Err(Unplanned { failure: Failure { operations, operation, error }, is_final }),
        }
    }
    // A circle is one unit, so that the limit of one request is that of all its members.
    let members = || plans.iter().map(|(_, planned)| planned.change.members.present.len()).sum();
    if let ([operation, _, ..], Err(error)) = (&operations[..], job.engine.check_member_count(members())) {
        let operation = *operation;
        return Err(Unplanned { failure: Failure { operations, operation, error }, is_final: true });
    }
    let plans = circle::closed(plans);
    let at = plans.first().map(|(_, planned)| planned.at).unwrap_or_default();
    let changes = plans.iter().map(|(operation, planned)| (*operation, planned.change.key.clone())).collect();
    let txn = job.txn_of(operations[0]);
    let named = |(operation, planned): (usize, Planned)| Change { txn: Some(job.txn_of(operation)), ..planned.change };
    let unit = Unit { at, txn, changes: plans.into_iter().map(named).collect() };
    Ok(Pending { operations, changes, unit })
}

/// Other operations of a run touch other resources, but one of them may still move this one's version: by taking a member from it.
async fn plan_write(engine: &Engine, write: &Write<'_>) -> Result<Planned, (Error, bool)> {
    let planned = engine.plan_write(write, Detail::default()).await;
    planned.map_err(|error| {
        let is_final = write.is_create() || error.kind == ErrorKind::NotFound;
        (error, is_final)
    })
}

/// What a unit takes, about.
fn bytes_of(unit: &Unit) -> usize {
    const MEMBER_BYTES: usize = 64;
    let of_change = |change: &Change| {
        let document = match &change.effect {
            Effect::Create(document) | Effect::Replace(document) => document.body.len(),
            Effect::Keep | Effect::Delete { .. } => 0,
        };
        document + MEMBER_BYTES * (change.members.present.len() + change.members.absent.len())
    };
    unit.changes.iter().map(of_change).sum()
}
