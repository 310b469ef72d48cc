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
use crate::base::task::pause;
use crate::scim::error::Result;
use crate::store::ledger::{PlaceSet, RETENTION_LEASE, Resolution, Trim};
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

/// Whether it is this node that keeps the log within its bounds.
#[derive(Debug, Default)]
struct Turn {
    asked: Option<Instant>,
    is_held: bool,
}

/// Streams that are delivered, now or later, and what each has resolved.
#[derive(Debug)]
struct Followed {
    /// Of all the streams that there were then.
    of: Snapshot,
    streams: Vec<(Arc<Stream>, PlaceSet)>,
    /// Whether all of them could be read.
    is_whole: bool,
}

impl Followed {
    fn none(of: Snapshot) -> Self {
        Self { of, streams: Vec::new(), is_whole: false }
    }
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
    /// Keeps the log within its bounds, until it is dropped, where no other node does. What fails is tried again at the next look.
    pub(super) async fn retain(&self) {
        let mut looks = Looks::default();
        let mut turn = Turn::default();
        let mut ticks = tokio::time::interval(Duration::from_millis(limits::RETENTION_LOOK_MS));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if self.has_turn(&mut turn).await {
                // The failure of the ledger is in the log already.
                let _ = Keeper(self).look(&mut looks).await;
            }
        }
    }

    /// Whether this node keeps the log within its bounds. It holds on to that, and asks for it again while another one does.
    async fn has_turn(&self, turn: &mut Turn) -> bool {
        if !self.ledger.is_shared() {
            return true;
        }
        if turn.asked.is_none_or(|asked| asked.elapsed() >= Duration::from_millis(limits::LEASE_RENEW_MS)) {
            turn.asked = Some(Instant::now());
            let claimed =
                self.ledger.claim(&self.node, &[RETENTION_LEASE.to_owned()], Duration::from_millis(limits::LEASE_MS)).await;
            turn.is_held = claimed.map_err(|error| error.answer()).is_ok_and(|held| !held.is_empty());
        }
        turn.is_held
    }

    /// Gives it back, so that another node need not wait until its lease runs out.
    pub(super) async fn end_retention(&self) {
        if self.ledger.is_shared() {
            let names = [RETENTION_LEASE.to_owned()];
            let patience = Duration::from_millis(limits::LEASE_RETRY_MS);
            let _ = tokio::time::timeout(patience, self.ledger.release(&self.node, &names)).await;
        }
    }
}

/// Who keeps the log within its bounds.
struct Keeper<'a>(&'a Delivery);

impl Keeper<'_> {
    /// Looks at the log once: disables streams that have lost events, and trims what is over the bounds.
    async fn look(&self, looks: &mut Looks) -> Result<()> {
        let mut floor = self.0.floor(TENANT).await?;
        let bounds = self.bounds().await?;
        let streams = Arc::clone(&self.0.streams.watch().borrow());
        let is_same = |(compared, known): &(Place, Snapshot)| *compared == floor && Arc::ptr_eq(known, &streams);
        let is_compared = looks.compared.as_ref().is_some_and(is_same);
        // Where nothing has changed and nothing goes, nobody is asked what streams have resolved.
        let mut followed = if is_compared && floor >= bounds.cut { Followed::none(streams) } else { self.followed().await? };
        if !is_compared {
            self.compare(&mut followed, floor, looks).await;
        }
        self.tend_disabled(floor, looks).await;
        self.remove_letters(bounds, looks).await?;
        while floor < bounds.cut {
            if !Arc::ptr_eq(&followed.of, &self.0.streams.watch().borrow()) {
                followed = self.followed().await?;
            }
            let limit = (bounds.cut.0 - floor.0).min(limits::RETENTION_STEP_EVENTS);
            let reach = Place(floor.0 + limit);
            if !self.pass_over(&mut followed, floor, reach).await? {
                break;
            }
            // Places are dense, so that so many events end where the streams have been looked at.
            let trim = Trim {
                through: bounds.by_count.min(reach),
                before: bounds.before,
                limit: usize::try_from(limit).unwrap_or(usize::MAX),
            };
            let trimmed = self.0.ledger.trim(floor, trim).await.map_err(|error| error.answer())?;
            // None when another node has trimmed it: the next look begins where the log begins then.
            if trimmed == 0 {
                break;
            }
            floor = Place(floor.0 + trimmed as u64);
            self.check(&mut followed, floor, looks).await;
            // Writers go first.
            pause(Duration::from_millis(limits::RETENTION_PAUSE_MS)).await;
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
            // Writers go first.
            pause(Duration::from_millis(limits::RETENTION_PAUSE_MS)).await;
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

    /// What streams have resolved, with one question to the ledger. An inner failure is of one stream alone.
    async fn resolved(&self, streams: &[Arc<Stream>]) -> Result<Vec<Result<PlaceSet>>> {
        // In this order: what is kept in between is in the second.
        let unkept = streams.iter().map(|stream| self.0.persister.unkept(&stream.id, stream.epoch)).collect::<Vec<_>>();
        let lives: Vec<(StreamId, u64)> = streams.iter().map(|stream| (stream.id.clone(), stream.epoch)).collect();
        let kept = self.0.ledger.resolved_of(&lives).await.map_err(|error| error.answer())?;
        let all = streams.iter().zip(unkept).zip(kept).map(|((stream, mut resolved), kept)| {
            let kept = kept.map_err(|error| error.answer())?;
            resolved.merge(&kept.unwrap_or_else(|| PlaceSet::through(stream.start())));
            Ok(resolved)
        });
        Ok(all.collect())
    }

    /// The streams that are delivered, now or later.
    async fn followed(&self) -> Result<Followed> {
        let of = Arc::clone(&self.0.streams.watch().borrow());
        let streams: Vec<Arc<Stream>> = of.values().filter(|stream| stream.status != Status::Disabled).cloned().collect();
        let resolved = self.resolved(&streams).await?;
        let count = streams.len();
        // One that cannot be read does not keep the log from being trimmed.
        let streams: Vec<_> =
            streams.into_iter().zip(resolved).filter_map(|(stream, places)| Some((stream, places.ok()?))).collect();
        Ok(Followed { is_whole: streams.len() == count, of, streams })
    }

    /// Moves streams past those events after `floor` and up to `reach` that are not theirs: what is then unresolved of these places is
    /// what the stream loses. False when some of them are gone already: whose they were nobody can tell any more.
    async fn pass_over(&self, followed: &mut Followed, floor: Place, reach: Place) -> Result<bool> {
        let is_behind =
            |(stream, resolved): &&mut (Arc<Stream>, PlaceSet)| stream.tenant() == TENANT && resolved.missing(reach) > 0;
        let mut passed: Vec<_> = followed.streams.iter_mut().filter(is_behind).collect();
        let mut after = floor;
        while after < reach && !passed.is_empty() {
            let limit = usize::try_from(reach.0 - after.0).unwrap_or(usize::MAX);
            let reading = self.0.ledger.read(TENANT, after, limit).await.map_err(|error| error.answer())?;
            if reading.floor > floor {
                return Ok(false);
            }
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
        // With what it has resolved, where it begins is kept too.
        let kept = self.keep(passed.iter().map(|(stream, places)| resolution(stream, places.clone())).collect()).await?;
        for ((_, places), kept) in passed.into_iter().zip(kept) {
            places.merge(&kept.unwrap_or_default());
        }
        Ok(true)
    }

    /// Keeps what streams have resolved, and tells what is kept of each then: nothing of one that has begun a new life meanwhile, which
    /// has places of its own, and of one that cannot be read.
    async fn keep(&self, resolutions: Vec<Resolution>) -> Result<Vec<Option<PlaceSet>>> {
        let mut all = Vec::with_capacity(resolutions.len());
        for batch in batches(resolutions) {
            for result in self.0.ledger.resolve(batch).await.map_err(|error| error.answer())? {
                all.push(match result {
                    Ok(kept) => Some(kept),
                    Err(StoreError { kind: StoreErrorKind::Stale, .. }) => None,
                    Err(error) if error.kind == StoreErrorKind::Corrupt => {
                        drop(error.answer());
                        None
                    }
                    Err(error) => return Err(error.answer()),
                });
            }
        }
        Ok(all)
    }

    /// Compares every stream with the beginning of the log.
    async fn compare(&self, followed: &mut Followed, floor: Place, looks: &mut Looks) {
        let mut left = Vec::new();
        for (stream, resolved) in std::mem::take(&mut followed.streams) {
            match self.lose(&stream, &resolved, floor).await {
                Ok(false) => left.push((stream, resolved)),
                Ok(true) => drop(looks.known.insert(stream.id.clone())),
                Err(_) => followed.is_whole = false,
            }
        }
        followed.streams = left;
        looks.compared = followed.is_whole.then(|| (floor, Arc::clone(&followed.of)));
    }

    /// Disables those of the streams that have lost events with what has just gone.
    async fn check(&self, followed: &mut Followed, floor: Place, looks: &mut Looks) {
        let (left, lost): (Vec<_>, Vec<_>) =
            std::mem::take(&mut followed.streams).into_iter().partition(|(_, resolved)| resolved.missing(floor) == 0);
        followed.streams = left;
        if lost.is_empty() {
            return;
        }
        // Their receivers may have taken them in the meantime.
        let (lost, known): (Vec<Arc<Stream>>, Vec<PlaceSet>) = lost.into_iter().unzip();
        let now = self.resolved(&lost).await.unwrap_or_default().into_iter().map(Result::ok).chain(std::iter::repeat(None));
        for ((stream, known), now) in lost.into_iter().zip(known).zip(now) {
            let is_lost = match &now {
                Some(resolved) => self.lose(&stream, resolved, floor).await.unwrap_or(false),
                None => false,
            };
            if is_lost {
                looks.known.insert(stream.id.clone());
            } else {
                followed.streams.push((stream, now.unwrap_or(known)));
            }
        }
    }

    /// Brings disabled streams up to the beginning of the log, and removes those that nobody will miss. Failures are in the log, and
    /// tried again.
    async fn tend_disabled(&self, floor: Place, looks: &mut Looks) {
        let patience = Duration::from_millis(limits::RETENTION_SETTLE_MS);
        if looks.settled.is_some_and(|settled| settled.elapsed() < patience) {
            return;
        }
        looks.settled = Some(Instant::now());
        let streams = Arc::clone(&self.0.streams.watch().borrow());
        let is_disabled = |stream: &Arc<Stream>| stream.status == Status::Disabled;
        looks.known.retain(|id| streams.get(id).is_some_and(is_disabled));
        let disabled: Vec<Arc<Stream>> = streams.values().filter(|stream| is_disabled(stream)).cloned().collect();
        let Ok(resolved) = self.resolved(&disabled).await else { return };
        for (stream, resolved) in disabled.iter().zip(resolved) {
            if self.is_abandoned(stream) {
                tracing::warn!(stream = %stream.id, "the implicit stream of a feed is removed: it was disabled, and nobody minded");
                let _ = self.0.streams.delete(&stream.id).await;
                continue;
            }
            // Whoever recorded its gap counted what had gone then.
            let is_first = looks.known.insert(stream.id.clone());
            if let Ok(resolved) = resolved {
                let _ = self.settle(stream, &resolved, floor, is_first && stream.gap.is_some()).await;
            }
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
    async fn lose(&self, stream: &Stream, resolved: &PlaceSet, floor: Place) -> Result<bool> {
        let places = resolved.missing(floor);
        if places == 0 {
            return Ok(false);
        }
        self.0.streams.disable_for_gap(&stream.id, stream.epoch, Gap { places, at: self.0.clock.now().0 }).await?;
        self.keep(vec![resolution(stream, PlaceSet::through(floor))]).await?;
        Ok(true)
    }

    async fn settle(&self, stream: &Stream, resolved: &PlaceSet, floor: Place, is_counted: bool) -> Result<()> {
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
        self.keep(vec![resolution(stream, PlaceSet::through(floor))]).await.map(drop)
    }
}

fn resolution(stream: &Stream, places: PlaceSet) -> Resolution {
    Resolution::of(stream.id.clone(), stream.epoch, places)
}
