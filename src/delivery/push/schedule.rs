//! When to try again, and when to stop trying: one table, and the pace of a stream by it.

use super::answer::Class;
use crate::base::limits;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// How the attempts after a kind of failure are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// The ceiling of the first wait; each further one is twice the one before,
    pub(super) base: Duration,
    /// but no more than this in the first day,
    pub(super) cap: Duration,
    /// nor than this later.
    pub(super) late_cap: Duration,
    /// The least of a wait, as a part of its ceiling: 0 is full jitter, 1 is half of it.
    pub(super) least_halves: u32,
    /// When the stream is paused.
    pub(super) budget: Budget,
    /// Why it then is.
    pub(super) reason: &'static str,
}

/// How long there is hope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Budget {
    /// Until failures have followed each other for so long.
    Time(Duration),
    /// For so many attempts.
    Attempts(u32),
    /// For ever.
    Endless,
}

/// The whole policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    /// Nobody answers, or with a fault that may pass.
    pub(super) outage: Rule,
    /// Our credential is not taken.
    pub(super) unauthorized: Rule,
    /// The endpoint is none.
    pub(super) misplaced: Rule,
    /// The endpoint's name has an address that may not be connected to.
    pub(super) forbidden: Rule,
    /// The SET or the request cannot be made.
    pub(super) unsendable: Rule,
    /// The least and the most that `Retry-After` counts for.
    pub(super) held: (Duration, Duration),
    /// When a SET is signed anew and sent once more whose key the receiver did not know: by then it has read the keys again.
    pub(super) key_wait: Duration,
    /// So many refused SETs
    pub(super) refusals: usize,
    /// within this time, and the stream is paused.
    pub(super) refusal_time: Duration,
    /// So many attempts without an answer, and nobody sends to that host but one at a time.
    pub(super) breaker_failures: u32,
}

/// Half a second on average at first, a quarter of an hour at most for a day, an hour then, for three days.
const OUTAGE: Rule = Rule {
    base: SECOND,
    cap: Duration::from_mins(15),
    late_cap: HOUR,
    least_halves: 0,
    budget: Budget::Time(Duration::from_hours(72)),
    reason: "the receiver has not answered for 72 hours",
};

/// The time after which the late cap holds.
const DAY: Duration = Duration::from_hours(24);

impl Schedule {
    /// What is done unless a test wants it sooner.
    pub(super) const STANDARD: Self = Self {
        outage: OUTAGE,
        // 10 attempts: 9 waits, doubling, of a quarter of an hour together.
        unauthorized: Rule {
            base: Duration::from_millis(1_761),
            cap: HOUR,
            least_halves: 1,
            budget: Budget::Attempts(10),
            reason: "the receiver does not accept the authorization",
            ..OUTAGE
        },
        // 5 attempts: 4 waits, doubling, of an hour together.
        misplaced: Rule {
            base: Duration::from_mins(4),
            cap: HOUR,
            least_halves: 1,
            budget: Budget::Attempts(5),
            reason: "the receiver has no endpoint for events there",
            ..OUTAGE
        },
        forbidden: Rule {
            base: Duration::from_mins(4),
            cap: HOUR,
            least_halves: 1,
            budget: Budget::Attempts(5),
            reason: "the endpoint's name has an address that this server does not send to",
            ..OUTAGE
        },
        unsendable: Rule { cap: MINUTE, late_cap: MINUTE, budget: Budget::Endless, ..OUTAGE },
        held: (SECOND, HOUR),
        key_wait: Duration::from_secs(limits::JWKS_AGE_SECONDS as u64),
        refusals: 20,
        refusal_time: Duration::from_mins(10),
        breaker_failures: 5,
    };

    /// The rule of a class; `None` when it is no failure of the stream.
    pub(super) fn rule(&self, class: Class) -> Option<&Rule> {
        match class {
            Class::Unreachable | Class::Failing => Some(&self.outage),
            Class::Unauthorized => Some(&self.unauthorized),
            Class::Misplaced => Some(&self.misplaced),
            Class::Forbidden => Some(&self.forbidden),
            Class::Unsendable => Some(&self.unsendable),
            _ => None,
        }
    }
}

impl Rule {
    /// The most that is waited after so many failures, the first at 1, when the first was so long ago.
    pub(super) fn ceiling(&self, failures: u32, elapsed: Duration) -> Duration {
        let cap = if elapsed < DAY { self.cap } else { self.late_cap };
        let doubled = 1u32.checked_shl(failures.saturating_sub(1)).and_then(|factor| self.base.checked_mul(factor));
        doubled.map_or(cap, |doubled| doubled.min(cap))
    }

    /// A wait below it.
    pub(super) fn wait(&self, failures: u32, elapsed: Duration, random: u64) -> Duration {
        let ceiling = self.ceiling(failures, elapsed);
        let least = ceiling / 2 * self.least_halves;
        least + part(ceiling.saturating_sub(least), random)
    }
}

/// A part of a duration: as much of it as a number is of all numbers.
fn part(whole: Duration, random: u64) -> Duration {
    let nanoseconds = (whole.as_nanos() * u128::from(random)) >> 64;
    Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
}

/// Whether a stream may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gait {
    /// As much as its lanes hold.
    Open,
    /// One request, to see whether it goes again.
    Probe,
    /// Nothing until then.
    Until(Instant),
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing is sent for so long.
    Wait(Duration),
    /// The stream is to be paused, for this reason.
    Pause(&'static str),
}

/// How a stream gets on with its receiver.
///
/// Requests that were under way together and failed together are one failure: a round ends with the first of them.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    schedule: Arc<Schedule>,
    troubles: Vec<Trouble>,
    held: u32,
    round: u64,
    until: Option<Instant>,
    refusals: VecDeque<Instant>,
}

#[derive(Clone, Debug)]
struct Trouble {
    rule: Rule,
    since: Instant,
    failures: u32,
}

impl Pace {
    pub(super) fn new(schedule: Arc<Schedule>) -> Self {
        Self { schedule, troubles: Vec::new(), held: 0, round: 0, until: None, refusals: VecDeque::new() }
    }

    /// The round that a request which begins now belongs to.
    pub(super) fn round(&self) -> u64 {
        self.round
    }

    /// Whether anything may be sent.
    pub(super) fn gait(&self, now: Instant) -> Gait {
        match self.until {
            None => Gait::Open,
            Some(until) if until > now => Gait::Until(until),
            Some(_) => Gait::Probe,
        }
    }

    /// The receiver did what it should. An answer to a request from before a failure says nothing of the time after it.
    pub(super) fn went_well(&mut self, round: u64) {
        if round >= self.round {
            self.troubles.clear();
            self.held = 0;
            self.until = None;
        }
    }

    /// Something failed.
    pub(super) fn failed(&mut self, class: Class, round: u64, now: Instant, random: u64) -> Step {
        let Some(rule) = self.schedule.rule(class).copied() else { return Step::Wait(Duration::ZERO) };
        if round < self.round {
            return Step::Wait(self.rest(now));
        }
        let known = self.troubles.iter().position(|trouble| trouble.rule == rule);
        let index = known.unwrap_or_else(|| {
            self.troubles.push(Trouble { rule, since: now, failures: 0 });
            self.troubles.len() - 1
        });
        let trouble = &mut self.troubles[index];
        trouble.failures = trouble.failures.saturating_add(1);
        let elapsed = now.duration_since(trouble.since);
        let is_spent = match rule.budget {
            Budget::Time(most) => elapsed >= most,
            Budget::Attempts(most) => trouble.failures >= most,
            Budget::Endless => false,
        };
        let wait = rule.wait(trouble.failures, elapsed, random);
        self.begin_to_wait(now + wait);
        if is_spent { Step::Pause(rule.reason) } else { Step::Wait(wait) }
    }

    /// The host of the endpoint answers nobody: that counts as this stream's own outage too.
    pub(super) fn shut_out(&mut self, now: Instant) -> Step {
        let rule = self.schedule.outage;
        let since = self.troubles.iter().find(|trouble| trouble.rule == rule).map(|trouble| trouble.since);
        let Some(since) = since else {
            self.troubles.push(Trouble { rule, since: now, failures: 0 });
            self.begin_to_wait(now);
            return Step::Wait(Duration::ZERO);
        };
        match rule.budget {
            Budget::Time(most) if now.duration_since(since) >= most => Step::Pause(rule.reason),
            _ => Step::Wait(Duration::ZERO),
        }
    }

    /// The receiver asks to be left alone: no failure, however often it does. Where it does not say for how long, longer each time.
    pub(super) fn held(&mut self, wait: Option<Duration>, round: u64, now: Instant, random: u64) -> Duration {
        if round < self.round {
            return self.rest(now);
        }
        self.held = self.held.saturating_add(1);
        let (least, most) = self.schedule.held;
        let wait = wait.unwrap_or_else(|| self.schedule.outage.wait(self.held, Duration::ZERO, random)).clamp(least, most);
        self.begin_to_wait(now + wait);
        wait
    }

    /// A SET was refused for good. Too many of them in a short time, and it is not the SETs.
    pub(super) fn refused(&mut self, now: Instant) -> Option<Step> {
        self.refusals.push_back(now);
        while self.refusals.front().is_some_and(|first| now.duration_since(*first) > self.schedule.refusal_time) {
            self.refusals.pop_front();
        }
        (self.refusals.len() >= self.schedule.refusals).then_some(Step::Pause("the receiver refuses one event after another"))
    }

    /// The host is back: there is nothing to wait for.
    pub(super) fn hasten(&mut self, now: Instant) {
        let is_outage = self.troubles.iter().all(|trouble| trouble.rule == self.schedule.outage);
        if is_outage && self.held == 0 && self.until.is_some_and(|until| until > now) {
            self.until = Some(now);
        }
    }

    fn rest(&self, now: Instant) -> Duration {
        self.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now))
    }

    fn begin_to_wait(&mut self, until: Instant) {
        self.until = Some(until);
        self.round += 1;
    }
}

#[cfg(test)]
mod tests;
