//! What the receiver says to people, on the standard error: a bar on a terminal, lines elsewhere.

use super::stop::{Ending, Stop};
use crate::base::clock::{Clock, Timestamp};
use crate::base::limits;
use indicatif::{ProgressBar, ProgressStyle};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// What came so far.
#[derive(Debug)]
pub(super) struct Tally {
    clock: Arc<dyn Clock>,
    kept: AtomicU64,
    known: AtomicU64,
    refused: AtomicU64,
    not_kept: AtomicU64,
    lag_ms: AtomicI64,
    arrivals: watch::Sender<u64>,
}

/// What became of a SET.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Kept, for the first time.
    Kept,
    /// It had been before.
    Known,
    /// It is not acceptable.
    Refused,
    /// It has to come again.
    NotKept,
}

impl Tally {
    /// Nothing came yet.
    pub(super) fn new(clock: Arc<dyn Clock>) -> Self {
        let zero = || AtomicU64::new(0);
        let arrivals = watch::Sender::new(0);
        Self { clock, kept: zero(), known: zero(), refused: zero(), not_kept: zero(), lag_ms: AtomicI64::new(0), arrivals }
    }

    /// Counts a SET, with its `iat` where it is known, in seconds since the epoch.
    pub(super) fn count(&self, fate: Fate, issued_at: Option<f64>) {
        let counter = match fate {
            Fate::Kept => &self.kept,
            Fate::Known => &self.known,
            Fate::Refused => &self.refused,
            Fate::NotKept => &self.not_kept,
        };
        counter.fetch_add(1, Relaxed);
        if let Some(seconds) = issued_at {
            #[expect(clippy::cast_possible_truncation, reason = "a float too large for milliseconds becomes the largest of them")]
            let at = Timestamp((seconds * 1000.0) as i64);
            self.lag_ms.store(self.clock.now().0.saturating_sub(at.0), Relaxed);
        }
        self.arrivals.send_modify(|count| *count += 1);
    }

    /// The counts in one line; the first number is of this run alone and all kinds of SETs.
    fn line(&self, seconds: f64) -> String {
        let [kept, known, refused, not_kept] =
            [&self.kept, &self.known, &self.refused, &self.not_kept].map(|counter| counter.load(Relaxed));
        #[expect(clippy::cast_precision_loss, reason = "shown with one digit after the point")]
        let (rate, lag) = (kept as f64 / seconds.max(0.001), self.lag_ms.load(Relaxed) as f64 / 1000.0);
        format!("received {kept} ({rate:.1}/s), duplicates {known}, refused {refused}, not kept {not_kept}, lag {lag:.1} s")
    }
}

/// Says things.
#[derive(Debug)]
pub(super) struct Reporter {
    bar: Option<ProgressBar>,
}

impl Reporter {
    /// With a bar, or with lines alone.
    pub(super) fn new(has_bar: bool) -> Self {
        let bar = has_bar.then(|| {
            let style = ProgressStyle::with_template("{spinner} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
            ProgressBar::new_spinner().with_style(style)
        });
        Self { bar }
    }

    /// Says something that is worth a line.
    pub(super) fn note(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// Shows how far things are until the receiver ends.
    pub(super) async fn follow(&self, tally: &Tally, has_lines: bool, stop: &Stop) {
        let begun = Instant::now();
        let period = if self.bar.is_some() { limits::RECEIVE_TICK_MS } else { limits::RECEIVE_PROGRESS_MS };
        let mut ticks = interval(Duration::from_millis(period));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        ticks.tick().await;
        while stop.unless(ticks.tick()).await.is_some() {
            let line = tally.line(begun.elapsed().as_secs_f64());
            match &self.bar {
                Some(bar) => {
                    bar.set_message(line);
                    bar.tick();
                }
                None if has_lines => eprintln!("{line}"),
                None => {}
            }
        }
    }

    /// The last line, with everything in it.
    pub(super) fn finish(&self, tally: &Tally, seconds: f64) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        eprintln!("{}", tally.line(seconds));
    }
}

/// Ends the receiver when nothing came for a time.
pub(super) async fn watch_idle(tally: &Tally, idle: Duration, stop: &Stop) {
    let mut arrivals = tally.arrivals.subscribe();
    while tokio::time::timeout(idle, arrivals.changed()).await.is_ok() {}
    stop.end(Ending::Idle);
}
