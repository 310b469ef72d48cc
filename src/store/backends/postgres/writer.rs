//! The writers: each takes what waits and makes one transaction of it, over a connection of its own.
//!
//! A transaction locks every resource that its units touch, in the order of ids, so that of two nodes one waits for the other and
//! sees what it has done. What is read after that stays true until the commit; the rules run over it in memory ([`Draft`]).

use super::Shared;
use super::column::{HELD, write_failed as failed};
use super::flush;
use super::lock;
use crate::base::limits;
use crate::base::task::lasting;
use crate::store::apply::{Context, apply};
use crate::store::in_order::Tried;
use crate::store::sql::draft::{Draft, Needs};
use crate::store::{Committed, Result, StoreError, StoreErrorKind, Unit};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, Postgres, Transaction};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

const BEGIN: &str = "begin a batch";

/// What a writer is asked for.
#[derive(Debug)]
enum Job {
    /// A unit.
    Commit(Unit, oneshot::Sender<Result<Committed>>),
    /// Units in order, until so many have failed.
    InOrder(Vec<Unit>, Option<usize>, oneshot::Sender<Vec<Result<Committed>>>),
}

/// What a job came to.
#[derive(Debug)]
enum Outcome {
    Commit(Result<Committed>),
    InOrder(Vec<Result<Committed>>),
}

impl Job {
    fn units(&self) -> &[Unit] {
        match self {
            Self::Commit(unit, _) => std::slice::from_ref(unit),
            Self::InOrder(units, ..) => units,
        }
    }

    /// Applies it to a draft. What fails leaves nothing there.
    fn apply(&self, draft: &mut Draft<'_>, context: Context<'_>) -> Outcome {
        let mut one = |unit: &Unit| {
            let outcome = apply(draft, unit, context);
            if outcome.is_ok() {
                draft.keep();
            } else {
                draft.undo();
            }
            outcome
        };
        match self {
            Self::Commit(unit, _) => Outcome::Commit(one(unit)),
            Self::InOrder(units, most_failures, _) => {
                let mut tried = Tried::new(*most_failures);
                for unit in units {
                    if tried.push(one(unit)).is_break() {
                        break;
                    }
                }
                Outcome::InOrder(tried.into_results())
            }
        }
    }

    /// Tells what it came to. Whoever has stopped waiting is not told.
    fn answer(self, outcome: Result<Outcome>) {
        match (self, outcome) {
            (Self::Commit(_, sender), Ok(Outcome::Commit(outcome))) => drop(sender.send(outcome)),
            (Self::InOrder(.., sender), Ok(Outcome::InOrder(outcomes))) => drop(sender.send(outcomes)),
            (Self::Commit(_, sender), outcome) => drop(sender.send(Err(outcome.err().unwrap_or_else(lost)))),
            // When all of it is lost, the first unit has failed and the others were not tried.
            (Self::InOrder(.., sender), outcome) => drop(sender.send(vec![Err(outcome.err().unwrap_or_else(lost))])),
        }
    }
}

/// What is answered for a batch that failed as a whole. Its cause is logged once.
fn lost() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "commit a batch")
}

/// Where units are handed in.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: mpsc::Sender<Job>,
    /// They end with the store.
    _tasks: JoinSet<()>,
}

impl Writer {
    /// So many writers. Of none everything is refused.
    pub(super) fn start(shared: &Arc<Shared>, writers: usize) -> Self {
        let (jobs, waiting) = mpsc::channel(limits::WRITER_QUEUE_UNITS);
        let waiting = Arc::new(Mutex::new(waiting));
        let mut tasks = JoinSet::new();
        for _ in 0..writers {
            let (shared, waiting) = (Arc::clone(shared), Arc::clone(&waiting));
            tasks.spawn(lasting("writer", move || run(Arc::clone(&shared), Arc::clone(&waiting))));
        }
        Self { jobs, _tasks: tasks }
    }

    pub(super) async fn commit(&self, unit: Unit) -> Result<Committed> {
        let (sender, answered) = oneshot::channel();
        self.hand_in(Job::Commit(unit, sender))?;
        answered.await.map_err(|_| lost())?
    }

    pub(super) async fn commit_in_order(&self, units: Vec<Unit>, most_failures: Option<usize>) -> Vec<Result<Committed>> {
        let (sender, answered) = oneshot::channel();
        match self.hand_in(Job::InOrder(units, most_failures, sender)) {
            Ok(()) => answered.await.unwrap_or_else(|_| vec![Err(lost())]),
            Err(error) => vec![Err(error)],
        }
    }

    fn hand_in(&self, job: Job) -> Result<()> {
        let refused = |_| StoreError::because(StoreErrorKind::Unavailable, "commit a unit", "the writers' queue is full");
        self.jobs.try_send(job).map_err(refused)
    }
}

/// One writer. It ends when nobody can hand anything in any more.
async fn run(shared: Arc<Shared>, waiting: Arc<Mutex<mpsc::Receiver<Job>>>) {
    let mut connection = None;
    // Which part of the counters is this writer's, so that it seldom waits for another one.
    let slot = i32::from(shared.ids.next().as_bytes()[15]) % limits::COUNTER_SLOTS;
    let mut lock_ms = limits::DATABASE_LOCK_MS;
    while let Some(jobs) = take(&waiting).await {
        lock_ms = Batch { shared: &shared, slot, lock_ms }.commit(&mut connection, jobs).await;
    }
}

/// The jobs that wait, up to so many units; waits for the first one.
async fn take(waiting: &Mutex<mpsc::Receiver<Job>>) -> Option<Vec<Job>> {
    let mut waiting = waiting.lock().await;
    let first = waiting.recv().await?;
    let mut units = first.units().len();
    let mut jobs = vec![first];
    while units < limits::UNITS_PER_COMMIT
        && let Ok(job) = waiting.try_recv()
    {
        units += job.units().len();
        jobs.push(job);
    }
    Some(jobs)
}

/// Whether the database does not answer; somebody who holds a row of it for too long is no sign of that.
fn is_gone(error: &StoreError) -> bool {
    error.kind == StoreErrorKind::Unavailable && error.operation != HELD
}

/// How one batch is committed.
struct Batch<'a> {
    shared: &'a Shared,
    slot: i32,
    /// How long it waits for a row that another transaction holds.
    lock_ms: u64,
}

impl Batch<'_> {
    /// Commits jobs and answers them: all at once, or each alone when one of them cannot be written. How long the next batch is to wait
    /// for rows: what is held for too long makes others wait once, and not each time.
    async fn commit(&self, connection: &mut Option<PgConnection>, jobs: Vec<Job>) -> u64 {
        let outcomes = self.persist(connection, &jobs, self.lock_ms).await;
        let is_held = outcomes.as_ref().is_err_and(|error| error.operation == HELD);
        match outcomes {
            Ok(outcomes) => jobs.into_iter().zip(outcomes).for_each(|(job, outcome)| job.answer(Ok(outcome))),
            // The database refuses something of it, or somebody holds a row of it, and it does not tell what.
            Err(error) if (is_held || error.kind != StoreErrorKind::Unavailable) && jobs.len() > 1 => {
                let mut gone = None;
                for job in jobs {
                    let outcome = match gone {
                        Some(operation) => Err(StoreError::new(StoreErrorKind::Unavailable, operation)),
                        None => self.persist(connection, std::slice::from_ref(&job), limits::DATABASE_LOCK_ALONE_MS).await,
                    };
                    // Without a database the others need not find that out one after another.
                    gone = outcome.as_ref().err().filter(|error| is_gone(error)).map(|error| error.operation);
                    job.answer(outcome.map(|mut outcomes| outcomes.remove(0)));
                }
            }
            Err(error) => {
                tracing::error!(operation = error.operation, %error, jobs = jobs.len(), "a batch is lost");
                for job in jobs {
                    job.answer(Err(StoreError::new(error.kind.clone(), error.operation)));
                }
            }
        }
        next_patience(self.lock_ms, is_held)
    }

    /// Commits jobs; tries again what lost a race against another node.
    async fn persist(&self, connection: &mut Option<PgConnection>, jobs: &[Job], lock_ms: u64) -> Result<Vec<Outcome>> {
        let mut tries = 1;
        loop {
            let attempt = self.attempt(connection, jobs, lock_ms);
            let attempt = timeout(Duration::from_millis(limits::DATABASE_BATCH_MS), attempt).await;
            match attempt.unwrap_or_else(|_| Err(silent("commit a batch"))) {
                Err(error) if error.kind == StoreErrorKind::Stale && tries < limits::BATCH_TRIES => tries += 1,
                // The connection was lost while it rested: nothing was begun on it.
                Err(error)
                    if error.operation == BEGIN && error.kind == StoreErrorKind::Unavailable && tries < limits::BATCH_TRIES =>
                {
                    *connection = None;
                    tries += 1;
                }
                Err(error) => {
                    // What is left of the transaction ends with the connection.
                    *connection = None;
                    if is_gone(&error) {
                        self.shared.doubt();
                    }
                    return Err(error);
                }
                Ok(outcomes) => return Ok(outcomes),
            }
        }
    }

    async fn attempt(&self, connection: &mut Option<PgConnection>, jobs: &[Job], lock_ms: u64) -> Result<Vec<Outcome>> {
        let connection = match connection {
            Some(connection) => connection,
            None => connection.insert(super::epoch::writer(self.shared).await?),
        };
        let mut transaction = begin(connection, lock_ms).await?;
        let mut needs = Needs::default();
        for unit in jobs.iter().flat_map(Job::units) {
            needs.add(&self.shared.catalogue, unit)?;
        }
        let read = lock::read(&mut transaction, self.shared, &needs).await?;
        let mut draft = Draft::new(&self.shared.catalogue, read);
        let context = Context { registry: &self.shared.registry, ids: self.shared.ids.as_ref() };
        let outcomes: Vec<Outcome> = jobs.iter().map(|job| job.apply(&mut draft, context)).collect();
        let differences = draft.into_differences();
        let has_events = !differences.events.is_empty();
        flush::write(&mut transaction, &differences, self.slot).await?;
        transaction.commit().await.map_err(failed("commit a batch"))?;
        if has_events {
            self.shared.staged.add();
        }
        let units = outcomes.iter().map(committed).sum::<u32>();
        metrics::histogram!("carillon_commit_batch_units").record(f64::from(units));
        Ok(outcomes)
    }
}

/// How long the next batch is to wait for rows that others hold, when this one has waited so long.
fn next_patience(lock_ms: u64, is_held: bool) -> u64 {
    match lock_ms {
        _ if !is_held => limits::DATABASE_LOCK_MS,
        limits::DATABASE_LOCK_MS => limits::DATABASE_LOCK_ALONE_MS,
        // Where many wait for each other, and nobody for a stranger, it must not stay so short.
        short => (short * 2).min(limits::DATABASE_LOCK_MS),
    }
}

/// Begins a transaction that waits so long for rows of others. A connection that does not answer to that was lost while it rested.
async fn begin(connection: &mut PgConnection, lock_ms: u64) -> Result<Transaction<'_, Postgres>> {
    // What is usual is set for the connection.
    let set = if lock_ms == limits::DATABASE_LOCK_MS { String::new() } else { format!("; SET LOCAL lock_timeout = {lock_ms}") };
    let sql = AssertSqlSafe(format!("BEGIN{set}"));
    let begun = timeout(Duration::from_millis(limits::DATABASE_ACQUIRE_MS), connection.begin_with(sql)).await;
    begun.map_err(|_| silent(BEGIN))?.map_err(failed(BEGIN))
}

fn silent(operation: &'static str) -> StoreError {
    StoreError::because(StoreErrorKind::Unavailable, operation, "the database does not answer")
}

/// How many units of it are committed.
fn committed(outcome: &Outcome) -> u32 {
    match outcome {
        Outcome::Commit(outcome) => u32::from(outcome.is_ok()),
        Outcome::InOrder(outcomes) => outcomes.iter().map(|outcome| u32::from(outcome.is_ok())).sum(),
    }
}

#[cfg(all(test, feature = "servers"))]
mod tests;
