//! Gives staged events their places. Every node runs one; which of them does it at a time is decided by a lock of the database, and
//! nothing is lost with one that dies: what it has not moved, another one does.

use super::Shared;
use super::column::{count, number};
use super::listener::raise;
use super::outage::Outage;
use super::session::Lock;
use crate::base::limits;
use crate::base::task::pause;
use sqlx::{PgConnection, Row};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

const PACE: Duration = Duration::from_millis(limits::SEQUENCER_PACE_MS);
const IDLE: Duration = Duration::from_millis(limits::SEQUENCER_IDLE_MS);

/// What this node has staged, and how much of it has its places.
#[derive(Debug, Default)]
pub(super) struct Staged {
    /// How many commits had events.
    commits: AtomicU64,
    /// How many of them were there when somebody looked who then left nothing.
    placed: watch::Sender<u64>,
    news: Notify,
}

impl Staged {
    /// One more commit has events.
    pub(super) fn add(&self) {
        self.commits.fetch_add(1, Ordering::AcqRel);
        self.news.notify_one();
    }

    /// Waits until the events of all commits so far have their places, for a bounded time.
    pub(super) async fn settled(&self) {
        let commits = self.commits.load(Ordering::Acquire);
        let mut placed = self.placed.subscribe();
        let placed = placed.wait_for(|placed| *placed >= commits);
        let _ = tokio::time::timeout(Duration::from_millis(limits::SETTLED_MS), placed).await;
    }
}

/// What came of one look at the staged events.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Look {
    /// So many were moved; perhaps none. There may be more when it was as many as could be at once.
    Moved { events: u64, is_full: bool },
    /// Another node is at it.
    Busy,
}

/// A connection, and how far the staged events have gone, as far as is known over it.
#[derive(Debug)]
struct Session {
    connection: PgConnection,
    /// Up to this number nothing is staged, nor ever will be; `None`: as the database has it noted.
    settled: Option<i64>,
    /// The number that is settled next, and the transaction that has to be over for it.
    mark: Option<i64>,
    mark_transaction: Option<i64>,
    /// When it was noted last.
    kept: Instant,
}

impl Session {
    async fn new(shared: &Shared) -> sqlx::Result<Self> {
        Ok(Self::of(shared.readers.manager().connect().await?))
    }

    fn of(connection: PgConnection) -> Self {
        Self { connection, settled: None, mark: None, mark_transaction: None, kept: Instant::now() }
    }
}

/// Runs until it is dropped.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut session = None;
    let mut outage = Outage::of("events get no places");
    // What was committed before the start waits too.
    let mut has_news = true;
    let mut patience = PACE;
    let mut most = limits::SEQUENCER_EVENTS;
    loop {
        let began = Instant::now();
        let commits = shared.staged.commits.load(Ordering::Acquire);
        match look(&shared, &mut session, most).await {
            Ok(Look::Moved { is_full, .. }) => {
                outage.ended();
                patience = PACE;
                most = (most * 2).min(limits::SEQUENCER_EVENTS);
                if is_full {
                    continue;
                }
                raise(&shared.staged.placed, commits);
            }
            // The other node may have looked before this one committed. One that stays busy is asked less and less often.
            Ok(Look::Busy) if has_news => {
                outage.ended();
                pause(patience).await;
                patience = (patience * 2).min(IDLE);
                continue;
            }
            Ok(Look::Busy) => outage.ended(),
            Err(error) => {
                // What is left of it ends with the connection.
                session = None;
                // Were it that these events are too many, so many would be for ever.
                most = (most / 2).max(1);
                shared.doubt();
                outage.began(&error);
                pause(Duration::from_millis(limits::DATABASE_RETRY_MS)).await;
                has_news = true;
                continue;
            }
        }
        // Other nodes may die between a commit and its places: whoever has nothing to do looks after them.
        has_news = tokio::time::timeout(IDLE, shared.staged.news.notified()).await.is_ok();
        if has_news {
            pause(PACE.saturating_sub(began.elapsed())).await;
        } else if let Some(session) = &mut session {
            // What others have moved meanwhile they have noted.
            session.settled = None;
        }
    }
}

/// What `give_places` answers: how many were moved, whether there may be more, the last place, and the longest wait.
type Given = (Option<i64>, Option<bool>, Option<i64>, Option<f64>);

/// Moves the next staged events into the log, at most so many, and tells the readers of this node.
async fn look(shared: &Shared, session: &mut Option<Session>, most: u64) -> sqlx::Result<Look> {
    let began = Instant::now();
    let late = |_| sqlx::Error::Io(std::io::ErrorKind::TimedOut.into());
    let giving = tokio::time::timeout(Duration::from_millis(limits::DATABASE_PATIENCE_MS), give(shared, session, most));
    let (Some(moved), Some(is_full), Some(reached), longest_wait) = giving.await.map_err(late)?? else { return Ok(Look::Busy) };
    let events = count(moved);
    if events > 0 {
        // Until the answer: no event has waited longer.
        observe(events, longest_wait.unwrap_or(0.0) + began.elapsed().as_secs_f64());
    }
    shared.past.reach(count(reached));
    Ok(Look::Moved { events, is_full })
}

async fn give(shared: &Shared, session: &mut Option<Session>, most: u64) -> sqlx::Result<Given> {
    const SQL: &str = "SELECT moved, is_full, reached, longest_wait, settled, mark, mark_transaction \
        FROM give_places($1, $2, $3, $4, $5, $6, $7, $8)";
    const KEEP: Duration = Duration::from_millis(limits::SEQUENCER_KEEP_MS);
    let session = match session {
        Some(session) => session,
        None => session.insert(Session::new(shared).await?),
    };
    let keep = session.kept.elapsed() >= KEEP;
    let most_bytes = i64::try_from(limits::SEQUENCER_BYTES).unwrap_or(i64::MAX);
    let query = sqlx::query(SQL).bind(number(most)).bind(most_bytes);
    let query = query.bind(&shared.channel).bind(Lock::Sequencer.key(shared.schema)).bind(keep);
    let query = query.bind(session.settled).bind(session.mark).bind(session.mark_transaction);
    let row = query.fetch_one(&mut session.connection).await?;
    let moved: Option<i64> = row.try_get(0)?;
    (session.settled, session.mark, session.mark_transaction) = (row.try_get(4)?, row.try_get(5)?, row.try_get(6)?);
    if keep && moved > Some(0) {
        session.kept = Instant::now();
    }
    Ok((moved, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))
}

#[expect(clippy::cast_precision_loss, reason = "few enough")]
fn observe(moved: u64, longest_wait: f64) {
    metrics::histogram!("carillon_sequencer_batch_events").record(moved as f64);
    // Of each event the wait of the one that waited longest: never less than its own.
    metrics::histogram!("carillon_sequencer_lag_seconds").record_many(longest_wait, usize::try_from(moved).unwrap_or(usize::MAX));
}

#[cfg(all(test, feature = "servers"))]
mod tests;
