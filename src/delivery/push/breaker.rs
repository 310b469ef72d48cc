//! What the streams to one host know together: when it answers nobody, one of them looks whether it does again.

use super::schedule::Schedule;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::time::Instant;

/// The hosts that streams send to.
#[derive(Debug)]
pub(super) struct Breakers {
    schedule: Arc<Schedule>,
    hosts: Mutex<HashMap<String, Arc<Breaker>>>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Breaker {
    schedule: Arc<Schedule>,
    state: Mutex<State>,
    /// Counts what a stream that waits has to know.
    news: watch::Sender<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It answers, as far as is known.
    Closed { failures: u32 },
    /// It does not; nobody asks until then.
    Open { until: Instant, trips: u32 },
    /// Somebody asks.
    Probing { trips: u32 },
}

/// Whether a stream may send to the host.
#[derive(Debug)]
pub(super) enum Admission {
    /// As it likes.
    Free,
    /// One request, whose outcome the others wait for.
    Probe(Probe),
    /// Not before then.
    Until(Instant),
    /// Not before there is news: another stream asks.
    Wait,
}

/// The one request to a host that does not answer. When it ends without an outcome another stream may ask at once.
#[derive(Debug)]
pub(super) struct Probe {
    breaker: Arc<Breaker>,
    is_decided: bool,
}

impl Breakers {
    pub(super) fn new(schedule: Arc<Schedule>) -> Self {
        Self { schedule, hosts: Mutex::default() }
    }

    /// The breaker of a host. It is forgotten when no stream holds it any more.
    pub(super) fn of(&self, host: String) -> Arc<Breaker> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        hosts.retain(|_, breaker| Arc::strong_count(breaker) > 1);
        let fresh = || {
            let state = Mutex::new(State::Closed { failures: 0 });
            Arc::new(Breaker { schedule: Arc::clone(&self.schedule), state, news: watch::Sender::new(0) })
        };
        Arc::clone(hosts.entry(host).or_insert_with(fresh))
    }
}

impl Breaker {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes when the host answers again, and when somebody else may ask it.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    /// Whether it answers, as far as is known.
    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.state(), State::Closed { .. })
    }

    /// Asks to send.
    pub(super) fn admit(self: &Arc<Self>, now: Instant) -> Admission {
        let mut state = self.state();
        match *state {
            State::Closed { .. } => Admission::Free,
            State::Open { until, .. } if until > now => Admission::Until(until),
            State::Open { trips, .. } => {
                *state = State::Probing { trips };
                Admission::Probe(Probe { breaker: Arc::clone(self), is_decided: false })
            }
            State::Probing { .. } => Admission::Wait,
        }
    }

    /// The host answered, whatever it said.
    pub(super) fn answered(&self, probe: Option<Probe>) {
        decide(probe);
        let before = std::mem::replace(&mut *self.state(), State::Closed { failures: 0 });
        if !matches!(before, State::Closed { .. }) {
            self.tell();
        }
    }

    /// The host did not answer.
    pub(super) fn failed(&self, probe: Option<Probe>, now: Instant, random: u64) {
        let is_probe = decide(probe);
        let rule = &self.schedule.outage;
        let open = |trips: u32| State::Open { until: now + rule.wait(trips, std::time::Duration::ZERO, random), trips };
        let mut state = self.state();
        let next = match *state {
            State::Closed { failures } if failures + 1 < self.schedule.breaker_failures => State::Closed { failures: failures + 1 },
            State::Closed { .. } => open(1),
            State::Probing { trips } if is_probe => open(trips.saturating_add(1)),
            // It was sent before the breaker opened: that is known already.
            known => known,
        };
        *state = next;
        drop(state);
        if is_probe {
            self.tell();
        }
    }

    fn tell(&self) {
        self.news.send_modify(|count| *count += 1);
    }
}

fn decide(probe: Option<Probe>) -> bool {
    let is_probe = probe.is_some();
    if let Some(mut probe) = probe {
        probe.is_decided = true;
    }
    is_probe
}

impl Drop for Probe {
    fn drop(&mut self) {
        if self.is_decided {
            return;
        }
        let mut state = self.breaker.state();
        if let State::Probing { trips } = *state {
            *state = State::Open { until: Instant::now(), trips };
        }
        drop(state);
        self.breaker.tell();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn opened() -> (Breakers, Arc<Breaker>, Instant) {
        let breakers = Breakers::new(Arc::new(Schedule::STANDARD));
        let (breaker, now) = (breakers.of("receiver:443".into()), Instant::now());
        for failure in 0..5 {
            assert!(matches!(breaker.admit(now), Admission::Free), "{failure}");
            breaker.failed(None, now, u64::MAX);
        }
        (breakers, breaker, now)
    }

    fn probe(breaker: &Arc<Breaker>, now: Instant) -> Probe {
        match breaker.admit(now) {
            Admission::Probe(probe) => probe,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_one_stream_at_a_time_asks() {
        let (breakers, breaker, now) = opened();
        let second = Duration::from_secs(1);
        assert!(matches!(breakers.of("receiver:443".into()).admit(now), Admission::Until(_)));
        assert!(matches!(breakers.of("receiver:8443".into()).admit(now), Admission::Free));
        let asking = probe(&breaker, now + second);
        assert!(matches!(breaker.admit(now + second), Admission::Wait));
        breaker.failed(Some(asking), now + second, u64::MAX);
        assert!(matches!(breaker.admit(now + 2 * second), Admission::Until(until) if until > now + 2 * second));
        let asking = probe(&breaker, now + 3 * second);
        breaker.failed(None, now + 3 * second, 0);
        assert!(matches!(breaker.admit(now + 9 * second), Admission::Wait), "a late failure of another stream decides nothing");
        let news = breaker.news();
        breaker.answered(Some(asking));
        assert!(breaker.is_closed() && news.has_changed().expect("a sender"));
    }

    #[test]
    fn an_answer_in_between_begins_the_count_anew() {
        let breakers = Breakers::new(Arc::new(Schedule::STANDARD));
        let (breaker, now) = (breakers.of("receiver:443".into()), Instant::now());
        for _ in 0..10 {
            (0..4).for_each(|_| breaker.failed(None, now, 0));
            breaker.answered(None);
        }
        assert!(breaker.is_closed());
    }

    #[test]
    fn a_probe_that_nobody_ends_lets_the_next_one_ask() {
        let (_breakers, breaker, now) = opened();
        let later = now + Duration::from_secs(1);
        let news = breaker.news();
        drop(probe(&breaker, later));
        assert!(news.has_changed().expect("a sender"));
        drop(probe(&breaker, Instant::now().max(later)));
    }
}
