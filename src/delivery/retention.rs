//! Retention: how much of the log is kept, and what becomes of streams that have not read what goes.
//!
//! A stream holds up no trim: what has outlived the bounds goes, read or not. Before it goes, streams that it does not concern are moved
//! past it; one that loses events is disabled with a gap that says how many, never in silence (RFC 8936 §2). A process that dies between
//! the trim and the record of the gap leaves a cursor before the beginning of the log: the next look finds it, and so does whoever
//! reads the stream.
//!
//! Dead letters are bounded alike: one goes when its event is over the number of those that are kept, and when it has been dead for longer
//! than an event is kept. Until then it may outlive its event, and says so to whoever wants it sent once more.

use super::persist::batches;
use super::stream::{Gap, Origin, Status, Stream};
use super::streams::{Changed, Snapshot};
use super::{Delivery, Settings};
use crate::base::clock::Timestamp;
use crate::base::id::{StreamId, Tenant};
use crate::base::limits;
use crate::scim::error::Result;
use crate::store::ledger::{PlaceSet, Resolution, Trim};
use crate::store::{Place, StoreError, StoreErrorKind};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior};

#[cfg(test)]
mod tests;

/// Whose events the log holds.
const TENANT: Tenant = Tenant(0);

/// How much of the log is kept: an event goes when it is over either bound, and every event before it has gone. A dead letter goes when
/// its event is over the first, or when it has been dead for longer than the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Most events.
    pub events: u64,
    /// Greatest age by the clock, in milliseconds. A clock that is set back makes events stay longer, one that is set forward makes
    /// them go earlier: their time is compared with what the clock says now, and nothing else.
    pub age_ms: u64,
}

impl Default for Retention {
    fn default() -> Self {
        Self { events: limits::RETAINED_EVENTS, age_ms: limits::RETAINED_MS }
    }
}

/// What one look at the log leaves to the next.
#[derive(Debug, Default)]
pub(super) struct Looks {
    /// The beginning of the log and the streams that were compared last.
    compared: Option<(Place, Snapshot)>,
    /// When disabled streams were brought up to the beginning of the log last.
    settled: Option<Instant>,
    /// When old dead letters were removed last.
    lettered: Option<Instant>,
    /// The disabled streams whose gaps hold everything that their cursors have passed.
    known: BTreeSet<StreamId>,
}

/// How far the log is to be trimmed.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    /// Events up to here are too many.
    by_count: Place,
    /// Events from before this are too old.
    before: Timestamp,
    /// Events up to here may go for either reason.
    cut: Place,
}

impl Delivery {
    /// Keeps the log within its bounds, until it is dropped. What fails is tried again at the next look.
    pub(super) async fn retain(&self) {
        let mut looks = Looks::default();
        let mut ticks = tokio::time::interval(Duration::from_millis(limits::RETENTION_LOOK_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            // The failure of the ledger is in the log already.
            let _ = Keeper(self).look(&mut looks).await;
        }
    }
}

/// Who keeps the log within its bounds.
struct Keeper<'a>(&'a Delivery);

impl Keeper<'_> {
    /// Looks at the log once: disables streams that have lost events, and trims what is over the bounds.
    async fn look(&self, looks: &mut Looks) -> Result<()> {
        let mut floor = self.0.floor(TENANT).await?;
        self.compare(floor, looks).await;
        let bounds = self.bounds().await?;
        self.remove_letters(bounds, looks).await?;
        let mut behind = if floor < bounds.cut { self.behind(bounds.cut).await } else { Vec::new() };
        while floor < bounds.cut {
            let limit = (bounds.cut.0 - floor.0).min(limits::RETENTION_STEP_EVENTS);
            let reach = Place(floor.0 + limit);
            self.pass_over(&behind, floor, reach).await?;
            // Places are dense, so that so many events end where the streams have been looked at.
            let trim = Trim {
                through: bounds.by_count.min(reach),
                before: bounds.before,
                limit: usize::try_from(limit).unwrap_or(usize::MAX),
            };
            let trimmed = self.0.ledger.trim(trim).await.map_err(|error| error.answer())?;
            if trimmed == 0 {
                break;
            }
            floor = Place(floor.0 + trimmed as u64);
            let mut left = Vec::new();
            for stream in behind {
                if self.check(&stream, floor).await.unwrap_or(false) {
                    looks.known.insert(stream.id.clone());
                } else {
                    left.push(stream);
                }
            }
            behind = left;
            pause().await;
        }
        Ok(())
    }

    /// Removes dead letters that are over the bounds, now and then.
    async fn remove_letters(&self, bounds: Bounds, looks: &mut Looks) -> Result<()> {
        let patience = Duration::from_millis(limits::RETENTION_LETTERS_MS);
        if looks.lettered.is_some_and(|lettered| lettered.elapsed() < patience) {
            return Ok(());
        }
        let limit = usize::try_from(limits::RETENTION_STEP_EVENTS).unwrap_or(usize::MAX);
        let trim = Trim { through: bounds.by_count, before: bounds.before, limit };
        let mut removed = 0;
        loop {
            let gone = self.0.ledger.trim_letters(trim).await.map_err(|error| error.answer())?;
            removed += gone;
            if gone < limit {
                break;
            }
            pause().await;
        }
        looks.lettered = Some(Instant::now());
        if removed > 0 {
            tracing::warn!(removed, "dead letters are removed that nobody has had sent once more in all the time events are kept");
        }
        Ok(())
    }

    async fn bounds(&self) -> Result<Bounds> {
        let Settings { retention: Retention { events, age_ms }, .. } = &self.0.settings;
        let age = i64::try_from(*age_ms).unwrap_or(i64::MAX);
        let before = Timestamp(self.0.clock.now().0.saturating_sub(age));
        let by_count = Place(self.0.ledger.wake().borrow().saturating_sub(*events));
        let by_age = self.0.ledger.place_before(TENANT, before).await.map_err(|error| error.answer())?;
        Ok(Bounds { by_count, before, cut: by_count.max(by_age) })
    }

    /// What a stream has resolved.
    async fn resolved(&self, stream: &Stream) -> Result<PlaceSet> {
        // In this order: what is kept in between is in the second.
        let mut resolved = self.0.persister.unkept(&stream.id, stream.epoch);
        let kept = self.0.ledger.resolved(&stream.id, stream.epoch).await.map_err(|error| error.answer())?;
        resolved.merge(&kept.unwrap_or_else(|| PlaceSet::through(stream.start())));
        Ok(resolved)
    }

    /// The streams that are delivered, now or later, and have not resolved everything up to a place.
    async fn behind(&self, cut: Place) -> Vec<Arc<Stream>> {
        let snapshot = Arc::clone(&self.0.streams.watch().borrow());
        let mut behind = Vec::new();
        for stream in snapshot.values().filter(|stream| stream.status != Status::Disabled) {
            // One that cannot be read does not keep the log from being trimmed.
            if self.resolved(stream).await.is_ok_and(|resolved| resolved.missing(cut) > 0) {
                behind.push(Arc::clone(stream));
            }
        }
        behind
    }

    /// Moves streams past those events after `floor` and up to `reach` that are not theirs: what is then unresolved of these places is
    /// what the stream loses.
    async fn pass_over(&self, behind: &[Arc<Stream>], floor: Place, reach: Place) -> Result<()> {
        let mut passed = Vec::new();
        for stream in behind.iter().filter(|stream| stream.tenant() == TENANT) {
            // With what it has resolved, where it begins is kept too.
            if let Ok(resolved) = self.resolved(stream).await
                && resolved.missing(reach) > 0
            {
                passed.push((stream, resolved));
            }
        }
        let mut after = floor;
        while after < reach && !passed.is_empty() {
            let limit = usize::try_from(reach.0 - after.0).unwrap_or(usize::MAX);
            let reading = self.0.ledger.read(TENANT, after, limit).await.map_err(|error| error.answer())?;
            let through = reading.through.min(reach);
            if through <= after {
                break;
            }
            for (stream, places) in &mut passed {
                let mut next = Place(after.0 + 1);
                let events = reading.events.iter().take_while(|logged| logged.place <= through);
                for logged in events.filter(|logged| self.0.renderer.wants(stream, &logged.event)) {
                    places.insert_range(next, Place(logged.place.0 - 1));
                    next = Place(logged.place.0 + 1);
                }
                places.insert_range(next, through);
            }
            after = through;
        }
        self.keep(passed.into_iter().map(|(stream, places)| resolution(stream, places)).collect()).await
    }

    /// Keeps what streams have resolved. One that has begun a new life meanwhile has places of its own.
    async fn keep(&self, resolutions: Vec<Resolution>) -> Result<()> {
        for batch in batches(resolutions) {
            for result in self.0.ledger.resolve(batch).await.map_err(|error| error.answer())? {
                match result {
                    Err(StoreError { kind: StoreErrorKind::Stale, .. }) | Ok(_) => {}
                    Err(error) => drop(error.answer()),
                }
            }
        }
        Ok(())
    }

    /// Compares every stream with the beginning of the log, when either has changed.
    async fn compare(&self, floor: Place, looks: &mut Looks) {
        let streams = Arc::clone(&self.0.streams.watch().borrow());
        let is_same = |(compared, known): &(Place, Snapshot)| *compared == floor && Arc::ptr_eq(known, &streams);
        if !looks.compared.as_ref().is_some_and(is_same) {
            let mut is_whole = true;
            for stream in streams.values().filter(|stream| stream.status != Status::Disabled) {
                match self.check(stream, floor).await {
                    Ok(false) => {}
                    Ok(true) => drop(looks.known.insert(stream.id.clone())),
                    Err(_) => is_whole = false,
                }
            }
            looks.compared = is_whole.then(|| (floor, Arc::clone(&streams)));
        }
        let patience = Duration::from_millis(limits::RETENTION_SETTLE_MS);
        if looks.settled.is_none_or(|settled| settled.elapsed() >= patience) {
            looks.settled = Some(Instant::now());
            self.tend_disabled(floor, looks).await;
        }
    }

    /// Brings disabled streams up to the beginning of the log, and removes those that nobody will miss. Failures are in the log, and
    /// tried again.
    async fn tend_disabled(&self, floor: Place, looks: &mut Looks) {
        let streams = Arc::clone(&self.0.streams.watch().borrow());
        let is_disabled = |stream: &Arc<Stream>| stream.status == Status::Disabled;
        looks.known.retain(|id| streams.get(id).is_some_and(is_disabled));
        for stream in streams.values().filter(|stream| is_disabled(stream)) {
            if self.is_abandoned(stream) {
                tracing::warn!(stream = %stream.id, "the implicit stream of a feed is removed: it was disabled, and nobody minded");
                let _ = self.0.streams.delete(&stream.id).await;
                continue;
            }
            // Whoever recorded its gap counted what had gone then.
            let is_first = looks.known.insert(stream.id.clone());
            let _ = self.settle(stream, floor, is_first && stream.gap.is_some()).await;
        }
    }

    /// Whether an implicit stream has lost events and been left alone for as long again: callers come and go, and each leaves one.
    /// Whoever polls the feed again begins with what is kept then.
    fn is_abandoned(&self, stream: &Stream) -> bool {
        let age = i64::try_from(self.0.settings.retention.age_ms).unwrap_or(i64::MAX);
        let since = stream.gap.map(|gap| gap.at);
        stream.origin == Origin::Feed && since.is_some_and(|since| self.0.clock.now().0.saturating_sub(since) > age)
    }

    /// Whether a stream has lost events: some up to `floor` are neither resolved nor kept. Then it is disabled, its gap is recorded, and
    /// its cursor is moved past it.
    async fn check(&self, stream: &Stream, floor: Place) -> Result<bool> {
        let places = self.resolved(stream).await?.missing(floor);
        if places == 0 {
            return Ok(false);
        }
        self.0.streams.disable_for_gap(&stream.id, stream.epoch, Gap { places, at: self.0.clock.now().0 }).await?;
        self.keep(vec![resolution(stream, PlaceSet::through(floor))]).await?;
        Ok(true)
    }

    async fn settle(&self, stream: &Stream, floor: Place, is_counted: bool) -> Result<()> {
        let resolved = self.resolved(stream).await?;
        let places = resolved.missing(floor);
        if places == 0 {
            return Ok(());
        }
        let now = self.0.clock.now().0;
        if !is_counted {
            let grown = self.0.streams.change(&stream.id, |stream| {
                let before = stream.gap.unwrap_or(Gap { places: 0, at: now });
                stream.gap = Some(Gap { places: before.places.saturating_add(places), ..before });
                Ok(Changed::Yes)
            });
            grown.await?;
            metrics::counter!("carillon_lost_places_total").increment(places);
        }
        self.keep(vec![resolution(stream, PlaceSet::through(floor))]).await
    }
}

/// Writers go first.
async fn pause() {
    let pause = Duration::from_millis(limits::RETENTION_PAUSE_MS);
    let _ = tokio::time::timeout(pause, std::future::pending::<()>()).await;
}

fn resolution(stream: &Stream, places: PlaceSet) -> Resolution {
    Resolution::of(stream.id.clone(), stream.epoch, places)
}
