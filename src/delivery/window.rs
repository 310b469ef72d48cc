//! What a stream has before it: the events that its receiver has not resolved, in order, each subject's one after another.

use crate::base::id::{EventId, Key};
use crate::base::limits;
use crate::event::Event;
use crate::store::ledger::{Logged, Place, PlaceSet};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The unresolved events of a stream, up to a limit, and the places that are resolved.
///
/// Of each subject one event at a time is out: a later one waits until the earlier one is resolved (I4). A place is resolved when the
/// receiver has acknowledged or refused its event, or when the event is not the stream's (I5).
#[derive(Debug)]
pub(super) struct Window {
    resolved: PlaceSet,
    scanned: Place,
    entries: BTreeMap<Place, Entry>,
    places: HashMap<EventId, Place>,
    subjects: HashMap<Key, Subject>,
    /// The first unresolved event of each subject of which none is out.
    ready: BTreeSet<Place>,
    bytes: usize,
    most: Most,
}

/// How much a window takes.
#[derive(Clone, Copy, Debug)]
struct Most {
    events: usize,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    logged: Arc<Logged>,
    attempts: u32,
    is_replay: bool,
}

#[derive(Debug, Default)]
struct Subject {
    waiting: BTreeSet<Place>,
    out: Option<Place>,
}

/// An event that is to be sent.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    /// The event and its place.
    pub(super) logged: Arc<Logged>,
    /// How many times it has been sent, this time included.
    pub(super) attempts: u32,
    /// Whether it is a dead letter that is sent once more.
    pub(super) is_replay: bool,
}

impl Window {
    /// A window over the log behind what is resolved.
    pub(super) fn new(resolved: PlaceSet) -> Self {
        Self::of(resolved, Most { events: limits::WINDOW_EVENTS, bytes: limits::WINDOW_BYTES })
    }

    fn of(resolved: PlaceSet, most: Most) -> Self {
        Self {
            scanned: resolved.cursor(),
            resolved,
            entries: BTreeMap::new(),
            places: HashMap::new(),
            subjects: HashMap::new(),
            ready: BTreeSet::new(),
            bytes: 0,
            most,
        }
    }

    /// What is resolved.
    pub(super) fn resolved(&self) -> &PlaceSet {
        &self.resolved
    }

    /// The place after which to go on reading the log.
    pub(super) fn scanned(&self) -> Place {
        self.scanned
    }

    /// How many more events it takes.
    pub(super) fn room(&self) -> usize {
        if self.bytes >= self.most.bytes { 0 } else { self.most.events.saturating_sub(self.entries.len()) }
    }

    /// How many places it has yet to read that the log no longer keeps, where everything up to `floor` is gone: events of the stream
    /// may have been there. Ask before what is behind them is offered.
    pub(super) fn lost(&self, floor: Place) -> u64 {
        self.resolved.missing(floor).saturating_sub(self.resolved.missing(self.scanned))
    }

    /// Somebody else has kept more as resolved: what was passed over before it was removed from the log, what another node was told.
    pub(super) fn merge(&mut self, kept: &PlaceSet) {
        let is_settled = |(place, entry): (&Place, &Entry)| (!entry.is_replay && kept.contains(*place)).then_some(*place);
        let settled: Vec<Place> = self.entries.iter().filter_map(is_settled).collect();
        for place in settled {
            self.resolve(place);
        }
        self.resolved.merge(kept);
        self.scanned = self.scanned.max(self.resolved.cursor());
    }

    /// How many events are unresolved.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The first unresolved event.
    pub(super) fn oldest(&self) -> Option<&Arc<Logged>> {
        self.entries.first_key_value().map(|(_, entry)| &entry.logged)
    }

    /// Whether an event could be taken now.
    pub(super) fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The log from [`scanned`](Self::scanned) on: every event up to `through`. What the stream does not want is resolved. Stops where
    /// there is no more room.
    pub(super) fn offer(&mut self, events: &[Arc<Logged>], through: Place, wanted: impl Fn(&Event) -> bool) {
        let known = events.partition_point(|logged| logged.place <= self.scanned);
        for logged in &events[known..] {
            if self.room() == 0 {
                return;
            }
            let next = Place(self.scanned.0 + 1);
            self.resolved.insert_range(next, Place(logged.place.0 - 1));
            self.scanned = logged.place;
            if self.resolved.contains(logged.place) || self.entries.contains_key(&logged.place) {
                continue;
            }
            if wanted(&logged.event) {
                self.enter(Arc::clone(logged), false);
            } else {
                self.resolved.insert(logged.place);
            }
        }
        if through > self.scanned {
            self.resolved.insert_range(Place(self.scanned.0 + 1), through);
            self.scanned = through;
        }
    }

    /// A dead letter that is to be sent once more; nothing when it is here already.
    pub(super) fn replay(&mut self, logged: Arc<Logged>) {
        if !self.entries.contains_key(&logged.place) {
            self.enter(logged, true);
        }
    }

    fn enter(&mut self, logged: Arc<Logged>, is_replay: bool) {
        let place = logged.place;
        let subject = self.subjects.entry(logged.event.subject.clone()).or_default();
        let before = subject.waiting.first().copied();
        subject.waiting.insert(place);
        if subject.out.is_none() && before.is_none_or(|before| place < before) {
            before.map(|before| self.ready.remove(&before));
            self.ready.insert(place);
        }
        self.bytes += logged.event.bytes();
        self.places.insert(logged.event.id, place);
        self.entries.insert(place, Entry { logged, attempts: 0, is_replay });
    }

    /// Takes events to be sent, the oldest first, at most one of a subject. They are out until they are resolved or given back.
    pub(super) fn take(&mut self, limit: usize) -> Vec<Taken> {
        self.take_within(limit, usize::MAX)
    }

    /// Like [`take`](Self::take), and no more than come to about so many bytes; the event that passes them is the last.
    pub(super) fn take_within(&mut self, limit: usize, bytes: usize) -> Vec<Taken> {
        let (mut taken, mut together) = (Vec::new(), 0);
        while taken.len() < limit
            && together < bytes
            && let Some(place) = self.ready.pop_first()
        {
            let Some(entry) = self.entries.get_mut(&place) else { continue };
            entry.attempts = entry.attempts.saturating_add(1);
            if let Some(subject) = self.subjects.get_mut(&entry.logged.event.subject) {
                subject.out = Some(place);
            }
            let Entry { logged, attempts, is_replay } = entry;
            together += logged.event.bytes();
            taken.push(Taken { logged: Arc::clone(logged), attempts: *attempts, is_replay: *is_replay });
        }
        taken
    }

    /// An event that was not resolved may be taken again.
    pub(super) fn give_back(&mut self, place: Place) {
        let Some(entry) = self.entries.get(&place) else { return };
        let Some(subject) = self.subjects.get_mut(&entry.logged.event.subject) else { return };
        if subject.out == Some(place) {
            subject.out = None;
            self.ready.extend(subject.waiting.first());
        }
    }

    /// The place of an unresolved event.
    pub(super) fn place_of(&self, event: EventId) -> Option<Place> {
        self.places.get(&event).copied()
    }

    /// How often an event was taken; `None` when it is not in the window.
    pub(super) fn attempts(&self, place: Place) -> Option<u32> {
        self.entries.get(&place).map(|entry| entry.attempts)
    }

    /// Whether an event is a dead letter that is sent once more.
    pub(super) fn is_replay(&self, place: Place) -> bool {
        self.entries.get(&place).is_some_and(|entry| entry.is_replay)
    }

    /// An event is resolved, whether it is out or not. The next one of its subject may go. False when it is not in the window; its place
    /// is resolved all the same.
    pub(super) fn resolve(&mut self, place: Place) -> bool {
        self.resolved.insert(place);
        let Some(Entry { logged, .. }) = self.entries.remove(&place) else { return false };
        self.bytes = self.bytes.saturating_sub(logged.event.bytes());
        self.places.remove(&logged.event.id);
        self.ready.remove(&place);
        if let Some(subject) = self.subjects.get_mut(&logged.event.subject) {
            subject.waiting.remove(&place);
            if subject.out == Some(place) {
                subject.out = None;
            }
            if subject.waiting.is_empty() {
                self.subjects.remove(&logged.event.subject);
            } else if subject.out.is_none() {
                self.ready.extend(subject.waiting.first());
            }
        }
        true
    }
}

#[cfg(test)]
mod tests;
