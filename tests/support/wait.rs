//! Waiting for a condition, with a bound.

use std::future::Future;
use std::time::Duration;

/// Long enough for anything that works, on a slow and busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// How often a condition is looked at, in milliseconds.
const LOOK_EVERY_MS: u64 = 2;

/// Looks again and again until there is a value; fails when there is none after `bound`.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, bound: Duration, mut look: impl FnMut() -> F) -> T {
    let looking = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(LOOK_EVERY_MS));
        loop {
            ticks.tick().await;
            if let Some(value) = look().await {
                return value;
            }
        }
    };
    tokio::time::timeout(bound, looking).await.unwrap_or_else(|_| panic!("waited {bound:?} in vain: {what}"))
}
