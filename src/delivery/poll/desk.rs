//! What a node keeps in memory of one polled stream: its window, what is out and until when, and who waits.

use crate::base::id::EventId;
use crate::base::limits;
use crate::delivery::stream::Stream;
use crate::delivery::window::{Taken, Window};
use crate::event::Mode;
use crate::event::claims::Tag;
use crate::event::policy::AttributePolicy;
use crate::store::ledger::{Logged, Place, PlaceSet};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

/// One polled stream. Nobody holds up another stream here.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// Whose turn it is to read the log into the window, or to resolve what is in it: this may take a while.
    pub(super) turn: tokio::sync::Mutex<()>,
    state: Mutex<Option<State>>,
    /// Something was given back, or resolved: what waited for it may go.
    pub(super) changed: watch::Sender<u64>,
    waiting: Mutex<Waiting>,
    tickets: AtomicU64,
    used: Mutex<Option<Instant>>,
}

/// What is known of a stream.
#[derive(Debug)]
pub(super) struct State {
    /// Of which life of the stream, and with which choice of events.
    pub(super) of: Identity,
    /// What it has before it.
    pub(super) window: Window,
    /// Makes and checks its `jti`s.
    pub(super) tag: Tag,
    /// Whether the window has resolved places that are not kept yet.
    pub(super) moved: bool,
    /// Behind which place there are dead letters to be delivered once more; `None` when all of them are in the window.
    letters_after: Option<Place>,
    /// Says that there may be more of them.
    poked: watch::Receiver<u64>,
    leases: HashMap<Place, Lease>,
    /// Dead letters to be delivered once more that come by anyway, as a replay of the stream passes them.
    passed: BTreeSet<Place>,
    verification: Option<(EventId, Lease)>,
    /// When it was last looked up what other nodes were told.
    refreshed: Instant,
}

/// What a window depends on: with another one it is begun anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) epoch: u64,
    generation: u32,
    feeds: Vec<String>,
    events_requested: Option<Vec<String>>,
    resource_types: Option<Vec<String>>,
    mode: Option<Mode>,
    attributes: AttributePolicy,
}

/// SETs that a receiver has been given, by which answer and until when they are its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    /// Unlike that of any other answer.
    ticket: u64,
    until: Instant,
}

#[derive(Debug, Default)]
struct Waiting {
    polls: VecDeque<(u64, oneshot::Sender<()>)>,
    next: u64,
}

impl Identity {
    pub(super) fn of(stream: &Stream) -> Self {
        Self {
            epoch: stream.epoch,
            generation: stream.generation,
            feeds: stream.feeds.clone(),
            events_requested: stream.events_requested.clone(),
            resource_types: stream.resource_types.clone(),
            mode: stream.mode,
            attributes: stream.attributes.clone(),
        }
    }

    fn is_of(&self, stream: &Stream) -> bool {
        self.epoch == stream.epoch
            && self.generation == stream.generation
            && self.feeds == stream.feeds
            && self.events_requested == stream.events_requested
            && self.resource_types == stream.resource_types
            && self.mode == stream.mode
            && self.attributes == stream.attributes
    }
}

impl State {
    /// A stream behind what is resolved.
    pub(super) fn new(stream: &Stream, resolved: PlaceSet, tag: Tag, poked: watch::Receiver<u64>) -> Self {
        Self {
            of: Identity::of(stream),
            window: Window::new(resolved),
            tag,
            moved: false,
            letters_after: Some(Place(0)),
            poked,
            leases: HashMap::new(),
            passed: BTreeSet::new(),
            verification: None,
            refreshed: Instant::now(),
        }
    }

    /// Behind which place to look for dead letters that are to be delivered once more; `None` when there is no room, or no more of them.
    pub(super) fn letters_wanted(&mut self) -> Option<Place> {
        if self.poked.has_changed().unwrap_or(false) {
            self.poked.mark_unchanged();
            self.letters_after = Some(Place(0));
        }
        self.letters_after.filter(|_| self.window.room() > 0)
    }

    /// They were read up to this place; `None`: to the last.
    pub(super) fn letters_read(&mut self, through: Option<Place>) {
        self.letters_after = through;
    }

    /// Takes back what was not acknowledged in time.
    pub(super) fn expire(&mut self, now: Instant) {
        let Self { window, leases, verification, .. } = self;
        leases.retain(|place, lease| {
            let is_current = lease.until > now;
            if !is_current {
                window.give_back(*place);
            }
            is_current
        });
        verification.take_if(|(_, lease)| lease.until <= now);
    }

    /// When something is taken back next.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.leases.values().chain(self.verification.iter().map(|(_, lease)| lease)).map(|lease| lease.until).min()
    }

    /// Whether this verification event may be given to a receiver.
    pub(super) fn may_verify(&self, event: EventId) -> bool {
        self.verification.is_none_or(|(out, _)| out != event)
    }

    /// Gives events to a receiver, at most so many, and the verification event beside them.
    pub(super) fn give(&mut self, verification: Option<EventId>, limit: usize, lease: Lease) -> Vec<Taken> {
        if let Some(event) = verification {
            self.verification = Some((event, lease));
        }
        let taken = self.window.take_within(limit, limits::POLL_BYTES);
        self.leases.extend(taken.iter().map(|taken| (taken.logged.place, lease)));
        taken
    }

    /// What was given and never left the house.
    fn give_back(&mut self, ticket: u64) {
        let Self { window, leases, verification, .. } = self;
        leases.retain(|place, lease| {
            let is_out = lease.ticket != ticket;
            if !is_out {
                window.give_back(*place);
            }
            is_out
        });
        verification.take_if(|(_, lease)| lease.ticket == ticket);
    }

    /// Whether what other nodes were told matters now that there were `known` events in the window before: something would be given, or
    /// waits behind what is out and may have been resolved elsewhere. What waits for long is worth a look now and then.
    pub(super) fn needs_news(&self, known: usize) -> bool {
        let is_held_up = self.is_held_up();
        let is_news = self.window.len() > known || self.refreshed.elapsed() >= Duration::from_millis(limits::POLL_REFRESH_MS);
        self.window.is_ready() || is_held_up && is_news
    }

    /// Whether events wait for others that are out, or for room: what another node is told may let them go.
    fn is_held_up(&self) -> bool {
        self.window.len() > self.leases.len() || self.window.room() == 0
    }

    /// When to ask the ledger what other nodes were told, where there are any and that may let events go.
    pub(super) fn next_refresh(&self) -> Option<Instant> {
        self.is_held_up().then(|| self.refreshed + Duration::from_millis(limits::POLL_REFRESH_MS))
    }

    /// Places that are resolved, as the ledger says.
    pub(super) fn refresh(&mut self, resolved: &PlaceSet) {
        self.refreshed = Instant::now();
        let Self { window, leases, .. } = self;
        window.merge(resolved);
        leases.retain(|place, _| window.is_replay(*place) || !resolved.contains(*place));
    }

    /// A dead letter that is to be delivered once more.
    pub(super) fn replay(&mut self, logged: Arc<Logged>) {
        if self.window.resolved().contains(logged.place) {
            self.window.replay(logged);
        } else {
            self.passed.insert(logged.place);
        }
    }

    /// Whether there is a dead letter at a place which this delivery settles.
    pub(super) fn settles(&self, place: Place) -> bool {
        self.window.is_replay(place) || self.passed.contains(&place)
    }

    /// A place is resolved.
    pub(super) fn resolve(&mut self, place: Place) {
        self.leases.remove(&place);
        self.passed.remove(&place);
        self.window.resolve(place);
    }
}

impl Desk {
    /// What is known of the stream; for a moment, and never while something is waited for.
    pub(super) fn state(&self) -> MutexGuard<'_, Option<State>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether what is known is of the stream as it is now.
    pub(super) fn is_of(&self, stream: &Stream) -> bool {
        self.state().as_ref().is_some_and(|state| state.of.is_of(stream))
    }

    /// Looks at what is known, if it is of this life of the stream.
    pub(super) fn with<T>(&self, epoch: u64, look: impl FnOnce(&mut State) -> T) -> Option<T> {
        self.state().as_mut().filter(|state| state.of.epoch == epoch).map(look)
    }

    /// A lease for the SETs of one more answer.
    pub(super) fn lease(&self, until: Instant) -> Lease {
        Lease { ticket: self.tickets.fetch_add(1, Ordering::Relaxed), until }
    }

    /// Wakes whoever waits for the stream.
    pub(super) fn wake(&self) {
        self.changed.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Somebody polls.
    pub(super) fn is_used(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    /// Whether nobody has polled for so long.
    pub(super) fn is_idle(&self, time: Duration) -> bool {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).is_none_or(|used| used.elapsed() >= time)
    }

    /// One more poll that waits. The oldest has to go when there are too many: its connection is as good as dead.
    pub(super) fn wait(self: &Arc<Self>) -> Waiter {
        let (superseded, is_superseded) = oneshot::channel();
        let mut waiting = self.waiting();
        while waiting.polls.len() >= limits::POLL_WAITERS_PER_STREAM {
            if let Some((_, oldest)) = waiting.polls.pop_front() {
                let _ = oldest.send(());
            }
        }
        let number = waiting.next;
        waiting.next += 1;
        waiting.polls.push_back((number, superseded));
        Waiter { desk: Arc::clone(self), number, superseded: is_superseded }
    }

    /// How many polls wait.
    #[cfg(test)]
    pub(super) fn waiters(&self) -> usize {
        self.waiting().polls.len()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A poll that waits, until this is dropped.
#[derive(Debug)]
pub(super) struct Waiter {
    desk: Arc<Desk>,
    number: u64,
    /// Ends when another poll takes its place.
    pub(super) superseded: oneshot::Receiver<()>,
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.desk.waiting().polls.retain(|(number, _)| *number != self.number);
    }
}

/// SETs on their way to a receiver. They are given back when this is dropped before they have left the house.
#[derive(Debug)]
#[must_use = "dropped, it gives the SETs back"]
pub struct Offer {
    desk: Arc<Desk>,
    ticket: Option<u64>,
}

impl Offer {
    /// What was given under this lease.
    pub(super) fn of(desk: &Arc<Desk>, lease: Lease) -> Self {
        Self { desk: Arc::clone(desk), ticket: Some(lease.ticket) }
    }

    /// Nothing was given.
    pub(super) fn of_nothing(desk: &Arc<Desk>) -> Self {
        Self { desk: Arc::clone(desk), ticket: None }
    }

    /// They are out: until they are acknowledged, or their lease ends.
    pub fn handed_over(mut self) {
        self.ticket = None;
    }
}

impl Drop for Offer {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            if let Some(state) = self.desk.state().as_mut() {
                state.give_back(ticket);
            }
            self.desk.wake();
        }
    }
}
