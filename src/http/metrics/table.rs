//! Every metric: its name, what it is, and what it says. Whoever records one finds its name here.

use super::{number, seconds};
use crate::delivery::{Observation, ObservedStream};

/// What a metric is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// It only grows. Without labels it is there from the start.
    Counter(Labels),
    /// It goes up and down, and is set where it happens. It has no labels.
    Gauge,
    /// How often a value was at most each of these.
    Histogram(&'static [f64]),
    /// A gauge that is read when it is asked for.
    Observed(fn(&Observation) -> f64),
    /// The same of each stream.
    ObservedOfStreams(fn(&ObservedStream) -> f64),
}

/// Whether a counter has labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Labels {
    None,
    Some,
}

/// A metric.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric {
    /// Its name; a unit stands at the end of it.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What it says, on one line.
    pub(super) help: &'static str,
}

const fn metric(name: &'static str, kind: Kind, help: &'static str) -> Metric {
    Metric { name, kind, help }
}

/// Answers: from a read by key to the longest wait.
const ANSWER_SECONDS: &[f64] =
    &[0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];
/// From a receiver that keeps pace to one that was away for a day.
const DELIVERY_SECONDS: &[f64] = &[
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0,
    86_400.0,
];
/// Things that are done together.
const BATCH: &[f64] = &[0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// Every metric, by name.
pub(super) const METRICS: &[Metric] = &[
    metric(
        "carillon_addresses_refused_total",
        Kind::Counter(Labels::None),
        "Addresses of receivers that were not connected to because requests may not name them.",
    ),
    metric(
        "carillon_commit_batch_units",
        Kind::Histogram(BATCH),
        "Units of work that one commit of the store put on disk together.",
    ),
    metric(
        "carillon_dead_letters",
        Kind::ObservedOfStreams(|stream| number(stream.dead_letters)),
        "Events that the receiver of a stream refused for good and nobody has settled.",
    ),
    metric(
        "carillon_delivery_attempts_total",
        Kind::Counter(Labels::Some),
        "Attempts to deliver an event, by method (push or poll) and by the class of what came of it.",
    ),
    metric(
        "carillon_delivery_seconds",
        Kind::Histogram(DELIVERY_SECONDS),
        "Seconds from the commit of an event to its delivery, by method.",
    ),
    metric(
        "carillon_http_request_seconds",
        Kind::Histogram(ANSWER_SECONDS),
        "Seconds from a request's head to the head of its answer, by route and method; those of long polls hold their wait.",
    ),
    metric(
        "carillon_http_requests_total",
        Kind::Counter(Labels::Some),
        "Answered requests by route, method and status; 499 is a client that left before its answer.",
    ),
    metric(
        "carillon_log_floor",
        Kind::Observed(|seen| number(seen.floor.0)),
        "The place of the log up to which events are no longer kept.",
    ),
    metric("carillon_log_head", Kind::Observed(|seen| number(seen.head.0)), "The last place of the log."),
    metric(
        "carillon_lost_places_total",
        Kind::Counter(Labels::None),
        "Places of the log that were gone when the turn of a stream came.",
    ),
    metric("carillon_poll_batch_events", Kind::Histogram(BATCH), "Events in one answer to a poll."),
    metric("carillon_poll_waiters", Kind::Gauge, "Requests that wait for events now."),
    metric("carillon_push_in_flight", Kind::Gauge, "Events that are being pushed now."),
    metric(
        "carillon_redeliveries_total",
        Kind::Counter(Labels::None),
        "Events that were handed out again because nobody had resolved them.",
    ),
    metric(
        "carillon_sequencer_batch_events",
        Kind::Histogram(BATCH),
        "Events that got their places in the log together, where a database keeps it.",
    ),
    metric(
        "carillon_sequencer_lag_seconds",
        Kind::Histogram(ANSWER_SECONDS),
        "Seconds for which events waited for their places, each as long as the one of its batch that waited longest.",
    ),
    metric("carillon_sets_signed_total", Kind::Counter(Labels::Some), "Security Event Tokens that were signed, by key."),
    metric(
        "carillon_stream_lag_events",
        Kind::ObservedOfStreams(|stream| number(stream.lag_events)),
        "Places of the log behind the cursor of a stream.",
    ),
    metric(
        "carillon_stream_lag_seconds",
        Kind::ObservedOfStreams(|stream| seconds(stream.lag_ms)),
        "Age in seconds of the oldest event of a stream that is not resolved.",
    ),
    metric(
        "carillon_stream_oldest_unresolved_seconds",
        Kind::ObservedOfStreams(|stream| seconds(stream.oldest_ms)),
        "The same, where a dead letter counts too, from the time at which it was given up.",
    ),
    metric(
        "carillon_streams",
        Kind::Observed(|seen| number(seen.count as u64)),
        "Streams there are; the first 1000 of them have metrics of their own.",
    ),
];

impl Metric {
    /// Tells the recorder of the process what it is. What has no labels is there from now on, and says 0.
    pub(super) fn describe(&self) {
        let Self { name, kind, help } = *self;
        match kind {
            Kind::Counter(labels) => {
                metrics::describe_counter!(name, help);
                if labels == Labels::None {
                    metrics::counter!(name).increment(0);
                }
            }
            Kind::Gauge => {
                metrics::describe_gauge!(name, help);
                metrics::gauge!(name).increment(0.0);
            }
            Kind::Histogram(_) => metrics::describe_histogram!(name, help),
            Kind::Observed(_) | Kind::ObservedOfStreams(_) => {}
        }
    }

    /// The lines before its values.
    pub(super) fn head(&self) -> String {
        let kind = match self.kind {
            Kind::Counter(_) => "counter",
            Kind::Histogram(_) => "histogram",
            Kind::Gauge | Kind::Observed(_) | Kind::ObservedOfStreams(_) => "gauge",
        };
        format!("# HELP {name} {help}\n# TYPE {name} {kind}\n", name = self.name, help = self.help)
    }
}
