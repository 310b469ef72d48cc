//! The one writer: it takes what waits, commits it at once, and answers when it is on disk.

use super::Shared;
use super::build::{self, Progress};
use super::column::{failed, number};
use super::log::LogKeeper;
use super::rows::{Statements, Transaction};
use crate::base::id::{Ids, Tenant, TypeCode};
use crate::base::limits;
use crate::scim::schema::Registry;
use crate::store::apply::{Context, apply};
use crate::store::in_order::Tried;
use crate::store::{Committed, Result, StoreError, StoreErrorKind, Unit};
use rusqlite::{Connection, params};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::JoinHandle;
use tokio::sync::{oneshot, watch};

/// What the writer is asked for.
#[derive(Debug)]
pub(super) enum Job {
    /// A unit.
    Commit(Unit, oneshot::Sender<Result<Committed>>),
    /// Units in order, until so many have failed.
    CommitInOrder(Vec<Unit>, Option<usize>, oneshot::Sender<Result<Vec<Result<Committed>>>>),
    /// What delivery keeps, and other small work within a savepoint of its own.
    Other(Work),
    /// To write anything, which shows whether commits succeed again.
    Probe(oneshot::Sender<Result<()>>),
    /// The next step in building the indexes.
    Index(oneshot::Sender<Result<Progress>>),
    /// To end.
    Stop,
}

/// Work within a savepoint of its own.
pub(super) struct Work(Doing);

/// Without a connection nothing is done: the batch is lost already.
type Doing = Box<dyn FnOnce(Option<&Connection>) -> Done + Send>;

impl std::fmt::Debug for Work {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Work(…)")
    }
}

/// What such work came to.
struct Done {
    /// Why it failed, if it did: then nothing of it stays.
    failure: Option<StoreError>,
    /// Tells who asked, once it is known whether the batch is on disk (`false`) or lost (`true`).
    answer: Box<dyn FnOnce(bool) + Send>,
}

impl Work {
    /// Work whose result goes to `sender`; `then` runs before, when it is on disk.
    pub(super) fn new<T: Send + 'static>(
        work: impl FnOnce(&Connection) -> Result<T> + Send + 'static,
        then: impl FnOnce() + Send + 'static,
        sender: oneshot::Sender<Result<T>>,
    ) -> Self {
        Self(Box::new(move |connection| {
            let outcome = connection.map_or_else(|| Err(lost()), work);
            let failure =
                outcome.as_ref().err().map(|error| StoreError::because(error.kind.clone(), error.operation, error.to_string()));
            let has_failed = failure.is_some();
            let answer = Box::new(move |is_lost: bool| {
                if !is_lost && !has_failed {
                    then();
                }
                drop(sender.send(if is_lost { Err(lost()) } else { outcome }));
            });
            Done { failure, answer }
        }))
    }
}

/// An answer that waits for the commit.
enum Answer {
    Commit(oneshot::Sender<Result<Committed>>, Result<Committed>),
    CommitInOrder(oneshot::Sender<Result<Vec<Result<Committed>>>>, Vec<Result<Committed>>),
    Other(Box<dyn FnOnce(bool) + Send>),
    Probe(oneshot::Sender<Result<()>>, Result<()>),
    Index(oneshot::Sender<Result<Progress>>, Result<Progress>),
}

/// What is answered for a batch that failed as a whole. Its cause is logged once.
fn lost() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "commit a batch")
}

impl Answer {
    /// Tells the outcome, or that the batch failed as a whole. Whoever has stopped waiting is not told.
    fn give(self, failed: bool) {
        match self {
            Self::Commit(sender, outcome) => drop(sender.send(if failed { Err(lost()) } else { outcome })),
            Self::CommitInOrder(sender, outcomes) => drop(sender.send(if failed { Err(lost()) } else { Ok(outcomes) })),
            Self::Other(answer) => answer(failed),
            Self::Probe(sender, outcome) => drop(sender.send(if failed { Err(lost()) } else { outcome })),
            Self::Index(sender, outcome) => drop(sender.send(if failed { Err(lost()) } else { outcome })),
        }
    }
}

/// What the writer begins with.
pub(super) struct Start {
    pub(super) connection: Connection,
    pub(super) shared: Arc<Shared>,
    pub(super) registry: Arc<Registry>,
    pub(super) ids: Arc<dyn Ids>,
    pub(super) wake: watch::Sender<u64>,
    pub(super) last_place: u64,
    /// Pages of the write-ahead log above which scans wait for it to begin anew.
    pub(super) most_log_pages: u32,
}

/// Starts the writer on a thread of its own.
pub(super) fn start(start: Start) -> Result<(SyncSender<Job>, JoinHandle<()>)> {
    let (sender, mut writer) = Writer::new(start);
    let thread = std::thread::Builder::new().name("store-writer".into()).spawn(move || writer.run());
    let failed = |error| StoreError::because(StoreErrorKind::Unavailable, "start the writer", error);
    Ok((sender, thread.map_err(failed)?))
}

pub(super) struct Writer {
    pub(super) start: Start,
    statements: Statements,
    jobs: Receiver<Job>,
    log: LogKeeper,
}

/// What a batch has come to so far.
struct Batch {
    answers: Vec<Answer>,
    /// How many units were tried, and how much else was done.
    size: usize,
    /// How many units are to be committed.
    units: u32,
    place: u64,
    counted: BTreeMap<(Tenant, TypeCode), i64>,
    /// Why SQLite has given the transaction up, or could not undo a unit: nothing of it may be committed.
    lost: Option<StoreError>,
}

impl Batch {
    /// Gives the batch up because of this, if it is the first reason. Returns what is answered instead.
    fn lose(&mut self, error: StoreError) -> StoreError {
        self.lost.get_or_insert(error);
        lost()
    }
}

impl Writer {
    pub(super) fn new(start: Start) -> (SyncSender<Job>, Self) {
        let (sender, jobs) = mpsc::sync_channel(limits::WRITER_QUEUE_UNITS);
        let statements = Statements::new(&start.shared);
        let log = LogKeeper::new(start.most_log_pages);
        (sender, Self { start, statements, jobs, log })
    }

    fn run(&mut self) {
        loop {
            let job = match self.log.patience() {
                None => self.jobs.recv().map_err(RecvTimeoutError::from),
                Some(patience) => self.jobs.recv_timeout(patience),
            };
            let is_idle = job.is_err();
            let goes_on = match job {
                Ok(job) => self.batch(job),
                Err(RecvTimeoutError::Timeout) => true,
                Err(RecvTimeoutError::Disconnected) => false,
            };
            if !goes_on {
                break;
            }
            self.log.tend(&self.start.connection, &self.start.shared, is_idle);
        }
        // Nothing makes the log longer any more. Who copies the database of a stopped server needs no other file.
        LogKeeper::end(&self.start.connection);
        self.start.shared.log_is_too_long.send_replace(false);
    }

    /// Commits this job and those that wait, or arrive meanwhile, up to a limit. Returns whether to go on.
    pub(super) fn batch(&mut self, first: Job) -> bool {
        let begun = self.execute("BEGIN IMMEDIATE");
        let mut batch = Batch {
            answers: Vec::new(),
            size: 0,
            units: 0,
            place: self.start.last_place,
            counted: BTreeMap::new(),
            lost: begun.err(),
        };
        let mut goes_on = true;
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Commit(unit, sender) => {
                    let outcome = self.unit(&unit, &mut batch);
                    batch.answers.push(Answer::Commit(sender, outcome));
                }
                Job::CommitInOrder(units, most_failures, sender) => {
                    let outcomes = self.units(&units, most_failures, &mut batch);
                    batch.size += outcomes.len();
                    batch.answers.push(Answer::CommitInOrder(sender, outcomes));
                }
                Job::Other(work) => {
                    let answer = self.other(work, &mut batch);
                    batch.answers.push(Answer::Other(answer));
                }
                Job::Probe(sender) => {
                    let noted = if batch.lost.is_some() { Err(lost()) } else { self.note_place(batch.place) };
                    let outcome = noted.map_err(|error| batch.lose(error));
                    batch.answers.push(Answer::Probe(sender, outcome));
                }
                Job::Index(sender) => {
                    let outcome = self.index(&mut batch);
                    batch.answers.push(Answer::Index(sender, outcome));
                }
                Job::Stop => {
                    goes_on = false;
                    break;
                }
            }
            batch.size += 1;
            let is_full = batch.lost.is_some() || batch.size >= limits::UNITS_PER_COMMIT;
            next = if is_full { None } else { self.jobs.try_recv().ok() };
        }
        self.finish(batch);
        goes_on
    }

    fn finish(&mut self, mut batch: Batch) {
        let failure = batch.lost.take().or_else(|| self.commit(&batch).err());
        if let Some(error) = &failure {
            tracing::error!(operation = error.operation, %error, units = batch.size, "a batch is lost");
            if !self.start.connection.is_autocommit() {
                // What cannot be rolled back now is when the next batch cannot begin.
                let _ = self.execute("ROLLBACK");
            }
        }
        self.start.shared.has_lost_a_batch.store(failure.is_some(), Ordering::Relaxed);
        if failure.is_none() && batch.units > 0 {
            metrics::histogram!("carillon_commit_batch_units").record(f64::from(batch.units));
        }
        let has_events = failure.is_none() && batch.place > self.start.last_place;
        if has_events {
            self.start.last_place = batch.place;
            // Before the answers: whoever follows the log after a write knows that it has grown.
            self.start.wake.send_replace(batch.place);
        }
        for answer in batch.answers {
            answer.give(failure.is_some());
        }
    }

    fn commit(&self, batch: &Batch) -> Result<()> {
        const COUNT: &str =
            "INSERT INTO counter (tenant, type, n) VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET n = n + excluded.n";
        let failed = failed("commit a batch");
        let connection = &self.start.connection;
        for ((tenant, kind), n) in batch.counted.iter().filter(|(_, n)| **n != 0) {
            connection.prepare_cached(COUNT).and_then(|mut count| count.execute(params![tenant.0, kind.0, n])).map_err(failed)?;
        }
        if batch.place > self.start.last_place {
            self.note_place(batch.place)?;
        }
        self.execute("COMMIT")
    }

    fn note_place(&self, place: u64) -> Result<()> {
        const PLACE: &str =
            "INSERT INTO meta (name, value) VALUES ('last_place', ?1) ON CONFLICT DO UPDATE SET value = excluded.value";
        let failed = failed("note the last place");
        let mut note = self.start.connection.prepare_cached(PLACE).map_err(failed)?;
        note.execute([number(place)]).map(drop).map_err(failed)
    }

    /// Applies units in order, each within a savepoint of its own: one transaction holds them all, and each can fail alone.
    fn units(&self, units: &[Unit], most_failures: Option<usize>, batch: &mut Batch) -> Vec<Result<Committed>> {
        let mut tried = Tried::new(most_failures);
        for unit in units {
            if tried.push(self.unit(unit, batch)).is_break() {
                break;
            }
        }
        tried.into_results()
    }

    /// Applies a unit within a savepoint, so that it can fail alone.
    fn unit(&self, unit: &Unit, batch: &mut Batch) -> Result<Committed> {
        if batch.lost.is_some() {
            return Err(lost());
        }
        if let Err(error) = self.execute("SAVEPOINT unit") {
            return Err(batch.lose(error));
        }
        let mut transaction = Transaction {
            connection: &self.start.connection,
            shared: &self.start.shared,
            statements: &self.statements,
            place: batch.place,
            counted: Vec::new(),
            bared: Vec::new(),
        };
        let context = Context { registry: &self.start.registry, ids: self.start.ids.as_ref() };
        let outcome = apply(&mut transaction, unit, context).and_then(|done| transaction.settle().map(|()| done));
        let (place, counted) = (transaction.place, transaction.counted);
        let outcome = self.still_open(batch, outcome);
        if batch.lost.is_some() {
            return outcome;
        }
        if outcome.is_ok() {
            batch.units = batch.units.saturating_add(1);
            batch.place = place;
            for (tenant, kind, n) in counted {
                *batch.counted.entry((tenant, kind)).or_default() += n;
            }
        } else if let Err(error) = self.execute("ROLLBACK TO unit") {
            return Err(batch.lose(error));
        }
        match self.execute("RELEASE unit") {
            Ok(()) => outcome,
            Err(error) => Err(batch.lose(error)),
        }
    }

    /// Does such work, unless the batch is lost. Returns its answer.
    fn other(&self, work: Work, batch: &mut Batch) -> Box<dyn FnOnce(bool) + Send> {
        if batch.lost.is_none() {
            batch.lost = self.execute("SAVEPOINT other").err();
        }
        if batch.lost.is_some() {
            return (work.0)(None).answer;
        }
        let Done { failure, answer } = (work.0)(Some(&self.start.connection));
        let has_failed = failure.is_some();
        let _ = self.still_open(batch, failure.map_or(Ok(()), Err));
        if batch.lost.is_none() {
            let undone = if has_failed { self.execute("ROLLBACK TO other") } else { Ok(()) };
            batch.lost = undone.and_then(|()| self.execute("RELEASE other")).err();
        }
        answer
    }

    /// A step in building the indexes, within a savepoint: a document that cannot be read holds up no commit.
    fn index(&self, batch: &mut Batch) -> Result<Progress> {
        if batch.lost.is_some() {
            return Err(lost());
        }
        self.execute("SAVEPOINT step").map_err(|error| batch.lose(error))?;
        let outcome = self.still_open(batch, build::step(&self.start.connection, &self.start.shared.catalogue));
        if batch.lost.is_some() {
            return outcome;
        }
        if let Err(error) = &outcome {
            tracing::error!(operation = error.operation, %error, "the indexes are not built: searches go without the unfinished ones");
            self.execute("ROLLBACK TO step").map_err(|error| batch.lose(error))?;
        }
        self.execute("RELEASE step").map_err(|error| batch.lose(error))?;
        outcome
    }

    /// Gives the batch up when what was done has made SQLite roll everything back by itself, as a full disk does. All that came
    /// after would be committed at once, each statement alone.
    fn still_open<T>(&self, batch: &mut Batch, outcome: Result<T>) -> Result<T> {
        if !self.start.connection.is_autocommit() {
            return outcome;
        }
        let error = outcome.err().unwrap_or_else(|| StoreError::new(StoreErrorKind::Unavailable, "keep a transaction open"));
        Err(batch.lose(error))
    }

    fn execute(&self, sql: &'static str) -> Result<()> {
        let mut statement = self.start.connection.prepare_cached(sql).map_err(failed(sql))?;
        statement.execute([]).map(drop).map_err(failed(sql))
    }
}
