//! The end of the receiver: why, and how everything learns of it; and waiting between tries, which the end cuts short.

use crate::base::limits;
use crate::base::secret::{Entropy, SystemEntropy};
use std::future::pending;
use std::time::Duration;
use tokio::sync::watch;

/// Why the receiver ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// SIGTERM or SIGINT.
    Signal,
    /// `--count` is reached.
    Count,
    /// Nothing came for `--until-idle`.
    Idle,
    /// It cannot go on.
    Failed(String),
}

/// Ends the receiver, once.
#[derive(Clone, Debug)]
pub(super) struct Stop(watch::Sender<Option<Ending>>);

impl Stop {
    /// A receiver that goes on.
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Ends it, unless it ends already.
    pub(super) fn end(&self, ending: Ending) {
        self.0.send_if_modified(|known| {
            let is_first = known.is_none();
            known.get_or_insert(ending);
            is_first
        });
    }

    /// Why it ends; `None` while it goes on.
    pub(super) fn ending(&self) -> Option<Ending> {
        self.0.borrow().clone()
    }

    /// Waits until it ends.
    pub(super) async fn ended(&self) {
        // The sender is here: it cannot be gone.
        let _ = self.0.subscribe().wait_for(Option::is_some).await;
    }

    /// Waits for a time, or until it ends.
    pub(super) async fn wait(&self, time: Duration) {
        let _ = tokio::time::timeout(time, self.ended()).await;
    }

    /// What comes of a future, unless it ends first.
    pub(super) async fn unless<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.ended() => None,
            done = work => Some(done),
        }
    }

    /// Waits for ever, or until it ends.
    pub(super) async fn hang(&self) {
        let _ = self.unless(pending::<()>()).await;
    }
}

/// Times between tries: each twice as long as the one before, up to a longest, and half of each by chance.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    first_ms: u64,
    longest_ms: u64,
    failures: u32,
}

impl Backoff {
    /// Between tries after failures.
    pub(super) fn new() -> Self {
        Self { first_ms: limits::RECEIVE_RETRY_MS, longest_ms: limits::RECEIVE_LONGEST_RETRY_MS, failures: 0 }
    }

    /// Between answers that come at once and hold nothing.
    pub(super) fn between_polls() -> Self {
        Self { first_ms: limits::RECEIVE_EMPTY_POLL_MS, longest_ms: limits::RECEIVE_LONGEST_EMPTY_POLL_MS, failures: 0 }
    }

    /// A transmitter asks for another first time.
    pub(super) fn set_first(&mut self, time: Duration) {
        self.first_ms = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).clamp(1, self.longest_ms);
    }

    /// It worked.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The time to wait now.
    pub(super) fn next(&mut self) -> Duration {
        let mut chance = [0; 2];
        SystemEntropy.fill(&mut chance);
        let whole_ms = self.first_ms.saturating_mul(1 << self.failures.min(20)).min(self.longest_ms);
        self.failures = self.failures.saturating_add(1);
        let half_ms = whole_ms / 2;
        Duration::from_millis(half_ms + half_ms * u64::from(u16::from_le_bytes(chance)) / u64::from(u16::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_grow_to_the_longest_and_begin_anew() {
        let mut backoff = Backoff::new();
        backoff.set_first(Duration::from_secs(1));
        for whole_ms in [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000] {
            let next = backoff.next();
            assert!((whole_ms / 2..=whole_ms).contains(&u64::try_from(next.as_millis()).expect("short")), "{next:?}");
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_secs(1));
    }

    #[tokio::test]
    async fn the_first_ending_counts() {
        let stop = Stop::new();
        assert_eq!((stop.ending(), stop.unless(async { 1 }).await), (None, Some(1)));
        stop.end(Ending::Count);
        stop.end(Ending::Signal);
        stop.hang().await;
        assert_eq!((stop.ending(), stop.unless(pending::<()>()).await), (Some(Ending::Count), None));
    }
}
