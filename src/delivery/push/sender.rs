//! One push stream: one task sends what its window holds, several requests at a time.

use super::Pushing;
use super::Standing;
use super::attempt::{Attempt, Attempted, Parcel, Route};
use super::breaker::Admission;
use super::endpoint::Endpoint;
use super::schedule::{Gait, Pace, Step};
use crate::base::id::EventId;
use crate::base::limits;
use crate::delivery::stream::{Gap, Stream, Verification};
use crate::delivery::window::{Taken, Window};
use crate::scim::error::ErrorKind;
use crate::store::ledger::{DeadLetter, Place, Resolution};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The stream that is to be delivered; `None` when it is not to be delivered any more.
pub(super) type Wanted = watch::Receiver<Option<Arc<Stream>>>;

/// Why a stream's task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was told to.
    Stopped,
    /// It has changed the stream's record, which was at this revision, so that it is not delivered.
    Paused {
        /// Of the record before that.
        revision: u64,
    },
}

/// What follows when a sender stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The stream is another one: begin anew.
    Again,
    /// Its life is over: begin anew with the next.
    Stale,
    End(Ended),
}

/// Why nothing can be sent at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    Pause(String),
    /// The receiver refused the verification event that everything else waits for.
    Unverified(EventId, String),
    Lost(Gap),
}

/// Why a sender does not begin.
enum Unopened {
    Pause(String),
    /// The ledger does not answer.
    Later,
    /// The ledger is in a later life of the stream.
    Stale,
}

/// What sends the events of a stream, as it is defined now.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) pushing: Arc<Pushing>,
    /// The epoch of the lease under which it delivers.
    lease: u64,
    /// The stream as it was last seen: what it delivers, and to where, has not changed since this began.
    pub(super) stream: Arc<Stream>,
    pub(super) route: Arc<Route>,
    pub(super) window: Window,
    pub(super) pace: Pace,
    in_flight: FuturesUnordered<BoxFuture<'static, Attempted>>,
    /// SETs that wait on their own, each its own time. They are out of the window.
    pub(super) later: BTreeMap<(Instant, Place), Taken>,
    /// SETs that have failed while others did not: since when, and how often.
    pub(super) failing: HashMap<Place, (Instant, u32)>,
    /// SETs that the receiver did not know the key of.
    pub(super) resigned: HashSet<Place>,
    /// Dead letters that are being sent once more.
    pub(super) letters: Letters,
    pub(super) dead: Vec<DeadLetter>,
    /// Those that were there already.
    pub(super) changed: Vec<DeadLetter>,
    pub(super) settled: Vec<Place>,
    /// Whether something was resolved that is not noted.
    pub(super) has_news: bool,
    noted: Instant,
    noted_scanned: Place,
    /// When the ledger is asked again after it has failed.
    pub(super) patience: Option<Instant>,
    pub(super) verifying: Verifying,
    pub(super) is_late: bool,
    /// Whether the receiver has ever answered as it should: until then it gets one request at a time.
    pub(super) is_known: bool,
    shut_until: Option<Instant>,
    pub(super) end: Option<End>,
    head: watch::Receiver<Place>,
    poked: watch::Receiver<u64>,
    stale: watch::Receiver<u64>,
    news: watch::Receiver<u64>,
}

/// Dead letters that are sent once more.
#[derive(Debug)]
pub(super) struct Letters {
    /// Those that are in the window, or come to it.
    pub(super) sent: HashMap<Place, DeadLetter>,
    /// Whether there may be others, behind this place.
    pub(super) are_due: bool,
    pub(super) after: Place,
}

/// How far the verification event is.
#[derive(Debug, Default)]
pub(super) struct Verifying {
    /// The one that is under way.
    pub(super) now: Option<String>,
    /// The one that has come to its end.
    pub(super) done: Option<String>,
    /// Whether the receiver did not know the key of the last one.
    pub(super) was_resigned: bool,
    pub(super) telling: Option<BoxedTelling>,
}

/// The record of a verified stream being written.
pub(super) struct BoxedTelling(pub(super) BoxFuture<'static, bool>);

impl std::fmt::Debug for BoxedTelling {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("BoxedTelling(…)")
    }
}

/// Delivers a stream until it is told to stop, or stops the stream itself.
pub(super) async fn run(pushing: Arc<Pushing>, mut wanted: Wanted, lease: u64) -> Ended {
    loop {
        if wanted.has_changed().is_err() {
            return Ended::Stopped;
        }
        let Some(stream) = wanted.borrow_and_update().clone() else { return Ended::Stopped };
        let opened = tokio::select! {
            opened = Sender::open(&pushing, &stream, lease) => opened,
            _ = wanted.changed() => continue,
        };
        let turn = match opened {
            Ok(mut sender) => sender.run(&mut wanted).await,
            Err(Unopened::Pause(reason)) => end(&pushing, &stream, &End::Pause(reason), &mut wanted).await,
            Err(Unopened::Later) => {
                let _ = tokio::time::timeout(Duration::from_millis(limits::TAIL_RETRY_MS), wanted.changed()).await;
                Turn::Again
            }
            Err(Unopened::Stale) => Turn::Stale,
        };
        match turn {
            Turn::Again => {}
            // Only another record can help: it names the life that the ledger is in.
            Turn::Stale => {
                let _ = wanted.changed().await;
            }
            Turn::End(ended) => {
                pushing.standings().remove(&stream.id);
                return ended;
            }
        }
    }
}

/// Writes into the record why the stream is not delivered any more.
async fn end(pushing: &Pushing, stream: &Stream, end: &End, wanted: &mut Wanted) -> Turn {
    loop {
        let told = match end {
            End::Pause(reason) => pushing.streams.pause(&stream.id, stream.epoch, reason).await,
            End::Unverified(event, reason) => pushing.streams.unverified(&stream.id, *event, reason).await,
            End::Lost(gap) => pushing.streams.disable_for_gap(&stream.id, stream.epoch, *gap).await,
        };
        let Err(error) = told else { return Turn::End(Ended::Paused { revision: stream.revision }) };
        tracing::warn!(stream = stream.id.as_str(), %error, "a stream that cannot be delivered cannot be marked so: it is tried again");
        if let Ok(changed) = tokio::time::timeout(Duration::from_millis(limits::PERSIST_RETRY_MS), wanted.changed()).await {
            return if changed.is_err() { Turn::End(Ended::Stopped) } else { Turn::Again };
        }
    }
}

impl Sender {
    async fn open(pushing: &Arc<Pushing>, stream: &Arc<Stream>, lease: u64) -> Result<Self, Unopened> {
        let _turn = pushing.starts.acquire().await.map_err(|_| Unopened::Later)?;
        let push = stream.push().ok_or_else(|| Unopened::Pause("it is not a push stream".into()))?;
        let endpoint = Endpoint::check(&push.endpoint, stream.origin, &pushing.settings)
            .map_err(|refusal| Unopened::Pause(format!("the endpoint is not allowed: {refusal}")))?;
        let authorization = pushing.streams.authorization(stream).map_err(|error| Unopened::Pause(error.to_string()))?;
        let poked = pushing.streams.poked(&stream.id);
        let stale = pushing.persister.stale();
        if pushing.persister.is_stale(&stream.id, stream.epoch) {
            return Err(Unopened::Stale);
        }
        pushing.renderer.ready(stream).await.map_err(|error| match error.kind {
            ErrorKind::Unavailable | ErrorKind::Internal => Unopened::Later,
            _ => Unopened::Pause(error.to_string()),
        })?;
        let tag = pushing.renderer.tag(stream).await.map_err(|_| Unopened::Later)?;
        // In this order: what is kept in between is in the second.
        let mut places = pushing.persister.unkept(&stream.id, stream.epoch);
        let kept = pushing.ledger.resolved(&stream.id, stream.epoch).await.map_err(|error| {
            tracing::warn!(operation = error.operation, %error, "the places of a stream cannot be read");
            Unopened::Later
        })?;
        places.merge(&kept.unwrap_or_default());
        places.insert_range(Place(1), stream.start());
        let breaker = pushing.breakers.of(endpoint.authority());
        let news = breaker.news();
        let format = stream.format.unwrap_or(pushing.format);
        let route = Route { stream: Arc::clone(stream), endpoint, authorization, tag, breaker, format };
        let window = Window::new(places);
        let scanned = window.scanned();
        Ok(Self {
            pushing: Arc::clone(pushing),
            lease,
            stream: Arc::clone(stream),
            route: Arc::new(route),
            window,
            pace: Pace::new(Arc::clone(&pushing.schedule)),
            in_flight: FuturesUnordered::new(),
            later: BTreeMap::new(),
            failing: HashMap::new(),
            resigned: HashSet::new(),
            letters: Letters { sent: HashMap::new(), are_due: true, after: Place(0) },
            dead: Vec::new(),
            changed: Vec::new(),
            settled: Vec::new(),
            has_news: false,
            noted: Instant::now(),
            noted_scanned: scanned,
            patience: None,
            verifying: Verifying::default(),
            is_late: false,
            is_known: false,
            shut_until: None,
            end: None,
            head: pushing.tail.head(),
            poked,
            stale,
            news,
        })
    }

    async fn run(&mut self, wanted: &mut Wanted) -> Turn {
        loop {
            self.patience.take_if(|patience| *patience <= Instant::now());
            if self.letters.are_due && self.patience.is_none() && self.window.room() > 0 {
                self.read_letters().await;
            }
            if self.is_hungry() && self.is_behind() {
                self.read_log().await;
            }
            self.launch();
            self.note(false);
            if let Some(reason) = self.end.take() {
                self.drain().await;
                return end(&self.pushing, &self.stream, &reason, wanted).await;
            }
            if self.pushing.persister.is_stale(&self.stream.id, self.stream.epoch) {
                self.drain().await;
                return Turn::Stale;
            }
            if self.wake(wanted).await
                && let Some(turn) = self.change(wanted)
            {
                self.drain().await;
                return turn;
            }
        }
    }

    /// How many more requests may begin now.
    fn free(&self, now: Instant) -> usize {
        let lanes = self.route.stream.push().map_or(1, |push| usize::from(push.lanes.max(1)));
        match self.pace.gait(now) {
            Gait::Open if !self.is_known || self.pushing.permits.are_scarce(self.is_late) => usize::from(self.in_flight.is_empty()),
            Gait::Open => lanes.saturating_sub(self.in_flight.len()),
            Gait::Probe => usize::from(self.in_flight.is_empty()),
            Gait::Until(_) => 0,
        }
    }

    /// Whether there is a lane for an event, and none for the lane.
    fn is_hungry(&self) -> bool {
        let now = Instant::now();
        let is_fed = self.window.is_ready() || self.holding() || self.shut_until.is_some_and(|until| until > now);
        !is_fed && self.patience.is_none() && self.end.is_none() && self.window.room() > 0 && self.free(now) > 0
    }

    fn is_behind(&self) -> bool {
        *self.head.borrow() > self.window.scanned()
    }

    /// The verification event that has yet to be acknowledged.
    fn unverified(&self) -> Option<&Verification> {
        self.stream.verification.as_ref().filter(|verification| self.verifying.done.as_ref() != Some(&verification.event))
    }

    /// Whether everything else waits for it.
    fn holding(&self) -> bool {
        self.unverified().is_some_and(|verification| verification.holds_others)
    }

    /// What is sent next, if anything is: the verification event, what has waited on its own, the oldest event of the window.
    fn next(&mut self, now: Instant) -> Option<Parcel> {
        let due = self.unverified().filter(|verification| self.verifying.now.as_ref() != Some(&verification.event)).cloned();
        if let Some(verification) = due {
            self.verifying.now = Some(verification.event.clone());
            return Some(Parcel::Verification(verification, Arc::clone(&self.stream)));
        }
        // While it fails, events that have not failed yet show best whether it goes again.
        let is_probe = self.pace.gait(now) == Gait::Probe;
        if let Some(entry) = self.later.first_entry().filter(|entry| entry.key().0 <= now && !(is_probe && self.window.is_ready()))
        {
            let taken = entry.remove();
            return Some(Parcel::Event(Taken { attempts: taken.attempts.saturating_add(1), ..taken }));
        }
        self.window.take(1).pop().map(Parcel::Event)
    }

    fn has_next(&self, now: Instant) -> bool {
        let is_due = self.unverified().is_some_and(|verification| self.verifying.now.as_ref() != Some(&verification.event));
        let has_event = || self.window.is_ready() || self.later.first_key_value().is_some_and(|((at, _), _)| *at <= now);
        is_due || (!self.holding() && has_event())
    }

    fn launch(&mut self) {
        let now = Instant::now();
        self.shut_until = None;
        while self.end.is_none() && self.free(now) > 0 && self.has_next(now) {
            let probe = match self.route.breaker.admit(now) {
                Admission::Free => None,
                Admission::Probe(probe) => Some(probe),
                shut => {
                    // When somebody else asks there will be news; it is looked after that now and then all the same.
                    let patience = now + Duration::from_millis(limits::PUSH_REQUEST_MS);
                    self.shut_until = Some(if let Admission::Until(until) = shut { until } else { patience });
                    if let Step::Pause(reason) = self.pace.shut_out(now) {
                        self.end = Some(End::Pause(reason.into()));
                    }
                    return;
                }
            };
            let Some(parcel) = self.next(now) else { return };
            let attempt = Attempt { parcel, round: self.pace.round(), probe, is_late: self.is_late };
            self.in_flight.push(attempt.make(Arc::clone(&self.pushing), Arc::clone(&self.route)).boxed());
        }
    }

    /// What was resolved is to be kept: at once when the receiver resolved it, now and then when it only was none of the stream's.
    pub(super) fn note(&mut self, is_last: bool) {
        let scanned = self.window.scanned();
        let now = Instant::now();
        let oldest = self.window.oldest().map(|logged| logged.event.at);
        let standing = Standing { cursor: self.window.resolved().cursor(), oldest };
        self.pushing.standings().insert(self.stream.id.clone(), standing);
        let is_due = is_last || now >= self.noted + Duration::from_millis(limits::FOREIGN_NOTE_MS);
        if !self.has_news && (scanned == self.noted_scanned || !is_due) {
            return;
        }
        (self.has_news, self.noted, self.noted_scanned) = (false, now, scanned);
        let (dead, changed) = (std::mem::take(&mut self.dead), std::mem::take(&mut self.changed));
        let settled = std::mem::take(&mut self.settled);
        let kept = Resolution::of(self.stream.id.clone(), self.stream.epoch, self.window.resolved().clone());
        self.pushing.persister.note(Resolution { settled, changed, dead, fence: Some(self.lease), ..kept });
    }

    /// When there is something to do that nobody wakes us for.
    fn alarm(&self) -> Option<Instant> {
        let now = Instant::now();
        let gait = if let Gait::Until(until) = self.pace.gait(now) { Some(until) } else { None };
        // A due event waits for a lane, and a lane that ends wakes us.
        let later = self.later.first_key_value().map(|((at, _), _)| *at).filter(|at| *at > now);
        let foreign =
            (self.window.scanned() != self.noted_scanned).then(|| self.noted + Duration::from_millis(limits::FOREIGN_NOTE_MS));
        let shut = self.shut_until;
        // What became due since the last look has nobody to wake us: each look has a later now.
        let is_shut = shut.is_some_and(|until| until > now);
        let is_missed = !is_shut && self.end.is_none() && self.free(now) > 0 && self.has_next(now);
        [gait, later, foreign, shut, self.patience, is_missed.then_some(now)].into_iter().flatten().min()
    }

    /// Waits for something to do. Whether the stream may have changed.
    async fn wake(&mut self, wanted: &mut Wanted) -> bool {
        let (alarm, is_hungry) = (self.alarm(), self.is_hungry());
        let is_behind = is_hungry && self.is_behind();
        let telling = async {
            match &mut self.verifying.telling {
                Some(telling) => (&mut telling.0).await,
                None => std::future::pending().await,
            }
        };
        let ring = async {
            match alarm {
                Some(at) => drop(tokio::time::timeout_at(at, std::future::pending::<()>()).await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = wanted.changed() => return true,
            Some(done) = self.in_flight.next(), if !self.in_flight.is_empty() => self.settle_all(done),
            is_told = telling => self.told(is_told),
            Ok(()) = self.poked.changed() => (self.letters.are_due, self.letters.after) = (true, Place(0)),
            Ok(()) = self.stale.changed() => {}
            Ok(()) = self.news.changed() => self.listen(),
            () = std::future::ready(()), if is_behind => {}
            Ok(()) = self.head.changed(), if is_hungry => {}
            () = ring => {}
        }
        false
    }

    /// What has ended at the same time is settled together: it is noted once.
    fn settle_all(&mut self, first: Attempted) {
        self.settle(first);
        while let Some(Some(done)) = self.in_flight.next().now_or_never() {
            self.settle(done);
        }
    }

    fn listen(&mut self) {
        if self.route.breaker.is_closed() {
            self.pace.hasten(Instant::now());
        }
    }

    /// What a change of the record means: nothing, when neither what is delivered nor to where has changed.
    fn change(&mut self, wanted: &mut Wanted) -> Option<Turn> {
        if wanted.has_changed().is_err() {
            return Some(Turn::End(Ended::Stopped));
        }
        match wanted.borrow_and_update().clone() {
            None => Some(Turn::End(Ended::Stopped)),
            Some(next) if core(&next) == core(&self.stream) => {
                self.stream = next;
                None
            }
            Some(_) => Some(Turn::Again),
        }
    }

    /// Lets what is under way end, within a limit, so that little of it is sent twice.
    async fn drain(&mut self) {
        let until = Instant::now() + Duration::from_millis(limits::PUSH_DRAIN_MS);
        while let Ok(Some(done)) = tokio::time::timeout_at(until, self.in_flight.next()).await {
            self.settle(done);
        }
        if let Some(telling) = self.verifying.telling.take() {
            let _ = tokio::time::timeout_at(until, telling.0).await;
        }
        self.note(true);
    }
}

/// What of a stream decides over what is delivered, and to where.
pub(super) fn core(stream: &Stream) -> Stream {
    Stream { revision: 0, description: None, reason: None, owner: String::new(), verification: None, gap: None, ..stream.clone() }
}
