//! `/metrics`: what watches the server reads here, in Prometheus' text format 0.0.4. Nothing in it names a person, a resource or a
//! credential (I6), and its length does not grow with what clients send.
//!
//! What happens is counted by one recorder of the process. A program that embeds this and has installed a recorder of its own before
//! the gateway is built keeps that one: what happens is counted there, and `/metrics` has only what is read when it is asked for.

mod requests;
mod table;
#[cfg(test)]
mod tests;

use super::extract::Administers;
use super::respond::{Answer, Failure};
use super::{Context, Shared};
use crate::base::limits;
use crate::delivery::Observation;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderValue};
use axum::http::request::Parts;
use axum::response::IntoResponse;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use table::{Kind, METRICS, Metric};

pub(super) use requests::{Requests, name_of};

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// What the recorder of this process has counted; `None` when the recorder is not ours.
fn recorder() -> Option<&'static PrometheusHandle> {
    static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    RECORDER.get_or_init(install).as_ref()
}

/// Makes the process count, if nobody else has.
pub(super) fn start() {
    let _ = recorder();
}

fn install() -> Option<PrometheusHandle> {
    let mut builder = PrometheusBuilder::new();
    for metric in METRICS {
        if let Kind::Histogram(buckets) = metric.kind {
            builder = builder.set_buckets_for_metric(Matcher::Full(metric.name.into()), buckets).ok()?;
        }
    }
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    if metrics::set_global_recorder(recorder).is_err() {
        tracing::info!("this program has a recorder of metrics of its own: /metrics has only what is read when it is asked for");
        return None;
    }
    METRICS.iter().for_each(Metric::describe);
    keep(handle.clone());
    Some(handle)
}

/// The values of a histogram wait in memory until they are counted: they are, whether anybody asks for them or not. On a thread, since
/// the recorder is the process's and may outlive any runtime.
fn keep(handle: PrometheusHandle) {
    let kept = std::thread::Builder::new().name("metrics".into()).spawn(move || {
        loop {
            std::thread::park_timeout(Duration::from_millis(limits::METRICS_UPKEEP_MS));
            handle.run_upkeep();
        }
    });
    if let Err(error) = kept {
        tracing::warn!(%error, "the thread that counts what histograms hold does not start");
    }
}

/// Who may see them: a caller that may do everything, or anybody where the operator says so.
pub(super) struct Watches;

impl FromRequestParts<Arc<Context>> for Watches {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, context: &Arc<Context>) -> Result<Self, Failure> {
        if !context.context().surface.metrics_public {
            Administers::from_request_parts(parts, context).await?;
        }
        Ok(Self)
    }
}

/// GET. A ledger that does not answer takes away what would be read from it, and nothing else: that is when this is needed most.
pub(super) async fn metrics(State(context): State<Arc<Context>>, _: Watches) -> Answer {
    let observation = context.within(context.delivery.observe()).await.ok();
    let recorded = recorder().map(PrometheusHandle::render).unwrap_or_default();
    let text = exposition(&recorded, observation.as_deref());
    let text = context.answers.hold(text.into_bytes())?;
    let headers = [(header::CONTENT_TYPE, TEXT), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];
    Ok((StatusCode::OK, headers, text).into_response())
}

/// Every metric by its name: what was recorded, what was read now, and of what has no value yet its description.
fn exposition(recorded: &str, observation: Option<&Observation>) -> String {
    // The recorder ends each metric with an empty line, and puts them in no order.
    let mut by_name: BTreeMap<&str, String> = BTreeMap::new();
    for block in recorded.split("\n\n").filter(|block| !block.is_empty()) {
        let name = block.lines().find_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).unwrap_or_default();
        by_name.insert(name, format!("{block}\n"));
    }
    for metric in METRICS {
        let is_read_now = matches!(metric.kind, Kind::Observed(_) | Kind::ObservedOfStreams(_));
        if is_read_now || !by_name.contains_key(metric.name) {
            let mut block = metric.head();
            if let Some(observation) = observation {
                write_observed(&mut block, metric, observation);
            }
            by_name.insert(metric.name, block);
        }
    }
    by_name.into_values().collect()
}

/// Ids of streams hold no character that a label would have to escape.
fn write_observed(block: &mut String, metric: &Metric, observation: &Observation) {
    // Writing to a String cannot fail.
    let mut line = |labels: &str, value: f64| {
        let _ = writeln!(block, "{}{labels} {value}", metric.name);
    };
    match metric.kind {
        Kind::Observed(value) => line("", value(observation)),
        Kind::ObservedOfStreams(value) => {
            for stream in &observation.streams {
                line(&format!("{{stream=\"{}\"}}", stream.id), value(stream));
            }
        }
        _ => {}
    }
}

/// A count as the format has it.
#[expect(clippy::cast_precision_loss, reason = "a number of the format is a double; counts below 2^53 are exact")]
fn number(count: u64) -> f64 {
    count as f64
}

fn seconds(milliseconds: u64) -> f64 {
    number(milliseconds) / 1000.0
}
