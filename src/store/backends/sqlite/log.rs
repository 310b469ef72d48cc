//! The length of the write-ahead log: it begins anew only when no reader needs it, which scans that overlap would put off for ever.

use super::Shared;
use super::column::{Count, failed};
use crate::base::limits;
use crate::store::Result;
use rusqlite::Connection;
use std::time::{Duration, Instant};

/// Looks after the log, on the writer's thread. While the log is too long, scans wait at the gate in [`Shared`].
#[derive(Debug)]
pub(super) struct LogKeeper {
    /// The length, in pages, above which no scan begins.
    most_pages: u64,
    commits_since_look: u32,
    /// Whether pages may have been written since the log was last moved into the database.
    has_news: bool,
    /// When the log was last tried to be emptied; `None` while the gate is open.
    tried: Option<Instant>,
}

/// The log's length in pages, and how many of them are in the database too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Length {
    pages: u64,
    moved: u64,
}

const REST: Duration = Duration::from_millis(limits::WRITER_REST_MS);
const RETRY: Duration = Duration::from_millis(limits::WAL_RETRY_MS);

impl LogKeeper {
    pub(super) fn new(most_pages: u32) -> Self {
        Self { most_pages: u64::from(most_pages), commits_since_look: 0, has_news: false, tried: None }
    }

    /// How long the writer may wait for a job before it calls [`Self::tend`].
    pub(super) fn patience(&self) -> Option<Duration> {
        self.tried.map(|_| RETRY).or_else(|| self.has_news.then_some(REST))
    }

    /// Looks at the log after a batch, or when no job came in time. A failure is logged: it does not concern what is committed.
    pub(super) fn tend(&mut self, connection: &Connection, shared: &Shared, is_idle: bool) {
        self.has_news |= !is_idle;
        let looked = if is_idle && self.tried.is_none() { self.rest(connection) } else { self.look(connection, shared) };
        if let Err(error) = looked {
            tracing::warn!(operation = error.operation, %error, "the write-ahead log was not looked after");
        }
    }

    /// Moves the log into the database while there is nothing to write: readers then need not look for each page in the log first.
    fn rest(&mut self, connection: &Connection) -> Result<()> {
        self.has_news = false;
        checkpoint(connection, "PRAGMA wal_checkpoint(PASSIVE)").map(drop)
    }

    /// Moves the whole log into the database at the end. A failure is logged: the log is then read at the next start.
    pub(super) fn end(connection: &Connection) {
        if let Err(error) = checkpoint(connection, "PRAGMA wal_checkpoint(TRUNCATE)") {
            tracing::warn!(operation = error.operation, %error, "the write-ahead log was not emptied");
        }
    }

    fn look(&mut self, connection: &Connection, shared: &Shared) -> Result<()> {
        if let Some(tried) = self.tried {
            if tried.elapsed() >= RETRY {
                self.empty(connection, shared)?;
            }
            return Ok(());
        }
        self.commits_since_look += 1;
        if self.commits_since_look < limits::WAL_LOOK_COMMITS {
            return Ok(());
        }
        self.commits_since_look = 0;
        let length = checkpoint(connection, "PRAGMA wal_checkpoint(NOOP)")?;
        if length.pages > self.most_pages && length.moved < length.pages {
            tracing::debug!(pages = length.pages, "scans wait until the write-ahead log begins anew");
            shared.log_is_too_long.send_replace(true);
            self.empty(connection, shared)?;
        }
        Ok(())
    }

    /// Moves what can be moved into the database and, when that is all and no reader needs the log, empties it and opens the gate.
    fn empty(&mut self, connection: &Connection, shared: &Shared) -> Result<()> {
        self.tried = Some(Instant::now());
        // Reads by key end within this time. The scans that are under way are only waited for by trying again.
        let wait = |ms| connection.busy_timeout(Duration::from_millis(ms)).map_err(failed("empty the log"));
        wait(limits::WAL_RETRY_WAIT_MS)?;
        let length = checkpoint(connection, "PRAGMA wal_checkpoint(TRUNCATE)");
        wait(limits::DATABASE_BUSY_MS)?;
        if length?.pages == 0 {
            self.tried = None;
            shared.log_is_too_long.send_replace(false);
        }
        Ok(())
    }
}

fn checkpoint(connection: &Connection, sql: &str) -> Result<Length> {
    let failed = failed("ask for a checkpoint");
    let mut statement = connection.prepare_cached(sql).map_err(failed)?;
    // The first column tells whether it was held up, which the others show as well.
    let length = statement.query_row([], |row| Ok(Length { pages: row.get::<_, Count>(1)?.0, moved: row.get::<_, Count>(2)?.0 }));
    length.map_err(failed)
}
