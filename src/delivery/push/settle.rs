//! What follows from the outcome of an attempt, for its event and for the stream.

use super::answer::{Answer, Class};
use super::attempt::{Attempted, Parcel};
use super::schedule::{Budget, Step};
use super::sender::{BoxedTelling, End, Sender};
use crate::base::limits;
use crate::delivery::stream::Verification;
use crate::delivery::window::Taken;
use crate::store::ledger::{DeadLetter, Place};
use futures_util::FutureExt as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// What an attempt was, beside its parcel and its answer.
#[derive(Clone, Copy, Debug)]
struct Moment {
    round: u64,
    now: Instant,
    random: u64,
}

impl Sender {
    /// An attempt has ended.
    pub(super) fn settle(&mut self, mut done: Attempted) {
        let moment = Moment { round: done.round, now: Instant::now(), random: self.pushing.random() };
        let probe = done.probe.take();
        let Some(answer) = done.answer.take() else {
            match &done.parcel {
                Parcel::Event(taken) => self.resolve(taken.logged.place),
                Parcel::Verification(..) => self.verifying.now = None,
            }
            return;
        };
        match (answer.status, answer.class) {
            (Some(_), _) => self.route.breaker.answered(probe),
            (None, Class::Unreachable) if is_the_hosts(&answer) => self.route.breaker.failed(probe, moment.now, moment.random),
            // It says nothing of the host: somebody else may ask.
            (None, _) => drop(probe),
        }
        self.is_late = answer.status.is_none() || done.elapsed > Duration::from_millis(limits::PUSH_SLOW_MS);
        self.is_known |= matches!(answer.class, Class::Accepted | Class::Nonconformant);
        let next = match &done.parcel {
            Parcel::Event(taken) => self.settle_event(taken, &answer, moment),
            Parcel::Verification(verification, _) => self.settle_verification(verification, &answer, moment),
        };
        done.record(&answer, &self.stream, next);
    }

    /// Returns when the event is sent again, if it is.
    fn settle_event(&mut self, taken: &Taken, answer: &Answer, moment: Moment) -> Option<Duration> {
        let place = taken.logged.place;
        match answer.class {
            Class::Accepted | Class::Nonconformant => {
                self.pace.went_well(moment.round);
                self.delivered(taken);
                None
            }
            Class::InvalidKey if self.resigned.insert(place) => {
                self.pace.went_well(moment.round);
                let wait = self.pushing.schedule.key_wait;
                self.later.insert((moment.now + wait, place), taken.clone());
                Some(wait)
            }
            Class::InvalidKey | Class::Refused => {
                self.pace.went_well(moment.round);
                self.give_up(taken, answer, &answer.error);
                self.refused(moment);
                None
            }
            Class::Held => {
                self.window.give_back(place);
                Some(self.pace.held(answer.wait, moment.round, moment.now, moment.random))
            }
            Class::Redirected => {
                self.window.give_back(place);
                self.redirected();
                None
            }
            _ => self.failed(taken, answer, moment),
        }
    }

    /// The stream waits. The event of an answer that may be its own fault waits longer than the stream, so that it holds up no others.
    fn failed(&mut self, taken: &Taken, answer: &Answer, moment: Moment) -> Option<Duration> {
        let place = taken.logged.place;
        let wait = match self.pace.failed(answer.class, moment.round, moment.now, moment.random) {
            Step::Pause(reason) => {
                self.window.give_back(place);
                self.end = Some(End::Pause(format!("{reason} ({})", answer.error)));
                return None;
            }
            Step::Wait(wait) => wait,
        };
        if !matches!(answer.class, Class::Failing | Class::Unreachable) || is_the_hosts(answer) {
            self.window.give_back(place);
            return Some(wait);
        }
        let rule = self.pushing.schedule.outage;
        let (since, failures) = self.failing.entry(place).or_insert((moment.now, 0));
        *failures = failures.saturating_add(1);
        let elapsed = moment.now.duration_since(*since);
        let own = rule.wait(*failures, elapsed, moment.random);
        if matches!(rule.budget, Budget::Time(most) if elapsed >= most) {
            // The receiver takes others: what it has not taken in all this time it gets no more of by itself.
            self.give_up(taken, answer, "gave_up");
            return None;
        }
        self.later.insert((moment.now + own, place), taken.clone());
        Some(own.max(wait))
    }

    fn redirected(&mut self) {
        self.end = Some(End::Pause("the endpoint answers with a redirect, which is not followed".into()));
    }

    fn refused(&mut self, moment: Moment) {
        if let Some(Step::Pause(reason)) = self.pace.refused(moment.now) {
            self.end = Some(End::Pause(reason.into()));
        }
    }

    fn delivered(&mut self, taken: &Taken) {
        let event = &taken.logged.event;
        let latency = self.pushing.clock.now().0.saturating_sub(event.at.0).max(0);
        // A clock that was set back makes no negative time; nothing is so late that it is not told exactly.
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of less than a hundred thousand years")]
        metrics::histogram!("carillon_delivery_seconds", "method" => "push").record(latency as f64 / 1_000.0);
        self.resolve(taken.logged.place);
    }

    fn resolve(&mut self, place: Place) {
        if self.letters.sent.remove(&place).is_some() {
            self.settled.push(place);
        }
        self.forget(place);
    }

    fn give_up(&mut self, taken: &Taken, answer: &Answer, error: &str) {
        let place = taken.logged.place;
        let before = self.letters.sent.remove(&place).map_or(0, |letter| letter.attempts);
        let letter = DeadLetter {
            place,
            event: taken.logged.event.id,
            at: self.pushing.clock.now(),
            attempts: before.saturating_add(taken.attempts),
            status: answer.status,
            error: error.to_owned(),
            description: answer.description.clone(),
            retry: false,
        };
        // One that was sent once more may have been discarded meanwhile: it does not come back.
        let letters = if taken.is_replay { &mut self.changed } else { &mut self.dead };
        letters.push(letter);
        self.forget(place);
    }

    /// The place is resolved.
    fn forget(&mut self, place: Place) {
        self.failing.remove(&place);
        self.resigned.remove(&place);
        self.window.resolve(place);
        self.has_news = true;
    }

    fn settle_verification(&mut self, verification: &Verification, answer: &Answer, moment: Moment) -> Option<Duration> {
        self.verifying.now = None;
        let is_resigned = std::mem::replace(&mut self.verifying.was_resigned, answer.class == Class::InvalidKey);
        match answer.class {
            // Any server may say 200 to anything: that is no word of a receiver of events, to whom alone the backlog may go.
            Class::Nonconformant if verification.holds_others => {
                self.end = Some(End::Unverified(verification.event_id(), "not_202".into()));
                None
            }
            Class::Accepted | Class::Nonconformant => {
                self.pace.went_well(moment.round);
                self.tell(verification, None);
                None
            }
            Class::InvalidKey if !is_resigned => {
                let wait = Some(self.pushing.schedule.key_wait);
                Some(self.pace.held(wait, moment.round, moment.now, moment.random))
            }
            Class::InvalidKey | Class::Refused if verification.holds_others => {
                self.end = Some(End::Unverified(verification.event_id(), answer.error.clone()));
                None
            }
            Class::InvalidKey | Class::Refused => {
                self.pace.went_well(moment.round);
                self.tell(verification, Some(answer.error.clone()));
                None
            }
            Class::Held => Some(self.pace.held(answer.wait, moment.round, moment.now, moment.random)),
            Class::Redirected => {
                self.redirected();
                None
            }
            class => match self.pace.failed(class, moment.round, moment.now, moment.random) {
                Step::Wait(wait) => Some(wait),
                Step::Pause(reason) => {
                    self.end = Some(End::Pause(format!("{reason} ({})", answer.error)));
                    None
                }
            },
        }
    }

    /// The verification event has come to its end: the record is to say so. Others may flow at once.
    fn tell(&mut self, verification: &Verification, refused: Option<String>) {
        self.verifying.done = Some(verification.event.clone());
        let (pushing, id, event) = (Arc::clone(&self.pushing), self.stream.id.clone(), verification.event_id());
        let telling = async move {
            let told = match refused {
                None => pushing.streams.verified(&id, event).await,
                Some(error) => pushing.streams.unverified(&id, event, &error).await,
            };
            if let Err(error) = &told {
                tracing::warn!(stream = id.as_str(), %error, "a verified stream cannot be marked so");
            }
            told.is_ok()
        };
        self.verifying.telling = Some(BoxedTelling(telling.boxed()));
    }

    /// The record says so, or could not: then the event is sent once more.
    pub(super) fn told(&mut self, is_told: bool) {
        self.verifying.telling = None;
        if !is_told {
            self.verifying.done = None;
            self.pace.held(None, self.pace.round(), Instant::now(), self.pushing.random());
        }
    }
}

/// Whether nobody could be reached at all. A request that was taken and not answered says nothing of the host's other receivers.
fn is_the_hosts(answer: &Answer) -> bool {
    ["connect", "tls"].contains(&&*answer.error)
}
