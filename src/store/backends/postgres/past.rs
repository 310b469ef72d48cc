//! Whether the database still has the past that this node knows.
//!
//! A standby that was behind when it took over, or a backup that was restored, holds a log that ends earlier, and gives the places behind
//! its end once more, to other events. What a node then has in memory is of a log that is no more: going on with it, it would take events
//! for delivered that nobody has seen (I5). Each connection is asked when it is made, because none outlives such a change, and the
//! listener's every second.

use super::column::count;
use super::listener::raise;
use sqlx::PgExecutor;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use uuid::Uuid;

/// What this node knows of the database's past.
#[derive(Debug)]
pub(super) struct Past {
    /// The last place of the log that this node knows of, or was told of.
    wake: watch::Sender<u64>,
    /// The last place that it has seen itself. Anybody in the database can tell of any place.
    reached: AtomicU64,
    known: Mutex<Known>,
    /// Why the database is another one, once it is.
    lost: watch::Sender<Option<String>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    server: Option<String>,
    /// The last event that was looked at.
    last: Option<(i64, Uuid)>,
}

/// What there is to see of it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sight {
    last_place: i64,
    last_event: Option<Uuid>,
    /// Nothing of a server that takes no writes: one that follows another may be behind it, and catch up.
    server: Option<String>,
    /// The event at the place of the one that is known.
    known_event: Option<Uuid>,
}

fn refused(problem: impl Into<String>) -> sqlx::Error {
    sqlx::Error::Io(io::Error::other(problem.into()))
}

/// What the database has, and how many changes of records there were.
async fn see(connection: impl PgExecutor<'_>, known: Option<i64>) -> sqlx::Result<(Sight, u64)> {
    const SQL: &str = "SELECT (SELECT last_place FROM log), (SELECT n FROM record_changes), server_identity(), \
        (SELECT event_id FROM event WHERE place = (SELECT last_place FROM log)), (SELECT event_id FROM event WHERE place = $1)";
    type Row = (i64, i64, Option<String>, Option<Uuid>, Option<Uuid>);
    let row: Row = sqlx::query_as(SQL).bind(known).fetch_one(connection).await?;
    let (last_place, changes, server, last_event, known_event) = row;
    Ok((Sight { last_place, last_event, server, known_event }, count(changes)))
}

/// Why what is seen is not a continuation of what is known, if it is not. `reached` is a place that the log had reached.
fn contradiction(known: &Known, reached: u64, sight: &Sight) -> Option<String> {
    let Sight { last_place, server, known_event, .. } = sight;
    if *server != known.server {
        let name = |server: &Option<String>| server.clone().unwrap_or_else(|| "unknown".to_owned());
        return Some(format!("it is server and timeline {} and was {}", name(server), name(&known.server)));
    }
    if count(*last_place) < reached {
        return Some(format!("its log ends at place {last_place} and had reached {reached}"));
    }
    match (known.last, known_event) {
        (Some((place, event)), Some(other)) if event != *other => {
            Some(format!("at place {place} of its log is another event than before"))
        }
        // Retention may have taken it.
        _ => None,
    }
}

impl Past {
    /// Begins with what the database holds now. Returns also how many changes of records there were.
    pub(super) async fn new(connection: impl PgExecutor<'_>) -> sqlx::Result<(Self, u64)> {
        let (sight, changes) = see(connection, None).await?;
        let last = sight.last_event.map(|event| (sight.last_place, event));
        let known = Mutex::new(Known { server: sight.server, last });
        let last_place = count(sight.last_place);
        let (wake, reached) = (watch::Sender::new(last_place), AtomicU64::new(last_place));
        Ok((Self { wake, reached, known, lost: watch::Sender::new(None) }, changes))
    }

    /// The log has reached this place.
    pub(super) fn reach(&self, place: u64) {
        self.reached.fetch_max(place, Ordering::AcqRel);
        raise(&self.wake, place);
    }

    /// Tells of the last place that this node knows of.
    pub(super) fn wake(&self) -> watch::Sender<u64> {
        self.wake.clone()
    }

    /// Looks whether the database goes on from what is known, and learns what it holds now. Returns how many changes of records there
    /// were. Fails when it is not asked to any good, and from then on always when it is another one.
    pub(super) async fn look(&self, connection: impl PgExecutor<'_>) -> sqlx::Result<u64> {
        self.check().map_err(refused)?;
        let known = self.known().clone();
        // As it was before the database is asked, which may go on meanwhile.
        let reached = self.reached.load(Ordering::Acquire);
        let (sight, changes) = see(connection, known.last.map(|(place, _)| place)).await?;
        if sight.server.is_none() {
            return Err(refused("the server takes no writes: it is recovering, or it is a replica"));
        }
        if let Some(contradiction) = contradiction(&known, reached, &sight) {
            self.lose(&contradiction);
            self.check().map_err(refused)?;
        }
        let mut known = self.known();
        if let Some(event) = sight.last_event
            && known.last.is_none_or(|(place, _)| place < sight.last_place)
        {
            known.last = Some((sight.last_place, event));
        }
        drop(known);
        self.reach(count(sight.last_place));
        Ok(changes)
    }

    /// Fails once the database is another one; with the reason.
    pub(super) fn check(&self) -> Result<(), String> {
        self.lost.borrow().as_ref().map_or(Ok(()), |why| Err(format!("the database was set back: {why}")))
    }

    /// Waits until the database is another one. Returns why it is taken for one.
    pub(super) async fn lost(&self) -> String {
        let mut lost = self.lost.subscribe();
        // It fails only without a sender, which is here.
        lost.wait_for(Option::is_some).await.ok().and_then(|why| why.clone()).unwrap_or_default()
    }

    fn lose(&self, why: &str) {
        let is_news = self.lost.send_if_modified(|lost| {
            let is_news = lost.is_none();
            lost.get_or_insert_with(|| why.to_owned());
            is_news
        });
        if is_news {
            tracing::error!(
                why,
                "the database was set back, by a failover or a restore: what this node knows of its log is void, and it has to begin anew"
            );
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
