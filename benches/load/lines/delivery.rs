//! Delivery: what it costs those who write, how fast it is, and that one receiver does not keep others waiting.

use super::{delivery_fair, delivery_poll, delivery_push};
use crate::Result;
use crate::lab::Lab;
use crate::report::Report;

/// The lines of the names that are wanted.
pub(crate) async fn measure(lab: &Lab, only: &[String], report: &mut Report) -> Result<()> {
    let wants = |name: &str| only.iter().any(|line| line == name);
    if wants("poll") {
        report.push(delivery_poll::beside_writes(lab).await?);
    }
    if wants("push") {
        report.push(delivery_push::beside_writes(lab).await?);
        report.push(delivery_push::idle(lab).await?);
    }
    if wants("lanes") {
        report.push(delivery_push::lanes(lab).await?);
    }
    if wants("drain") {
        report.push(delivery_poll::drain(lab).await?);
    }
    if wants("wake") {
        for line in delivery_poll::wake(lab).await? {
            report.push(line);
        }
    }
    if wants("fair") {
        for line in delivery_fair::measure(lab).await? {
            report.push(line);
        }
    }
    Ok(())
}

/// How late all but a hundredth are at most, in milliseconds; 0 of none.
pub(super) fn p99_ms(mut latencies: Vec<std::time::Duration>) -> f64 {
    latencies.sort_unstable();
    let at = (latencies.len() * 99 / 100).min(latencies.len().saturating_sub(1));
    latencies.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
}

/// Half of them are at most so late, in milliseconds; 0 of none.
pub(super) fn p50_ms(latencies: &[std::time::Duration]) -> f64 {
    crate::report::median(latencies.iter().map(|latency| latency.as_secs_f64() * 1000.0).collect())
}
