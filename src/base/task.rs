//! Tasks that last, and pauses.

use super::limits;
use futures_util::FutureExt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

/// Does what has to be done for as long as the server runs. When it panics it begins anew after [`limits::TASK_RESTART_MS`]: what it
/// looks after is not left alone.
pub(crate) async fn lasting<F: Future<Output = ()>>(name: &'static str, begin: impl Fn() -> F) {
    while AssertUnwindSafe(begin()).catch_unwind().await.is_err() {
        tracing::error!(task = name, "a task of the server failed: it begins anew");
        pause(Duration::from_millis(limits::TASK_RESTART_MS)).await;
    }
}

/// The pause before work that nobody wakes us for.
pub(crate) async fn pause(length: Duration) {
    let _ = tokio::time::timeout(length, std::future::pending::<()>()).await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_begins_anew_and_one_that_ends_does_not() {
        let begun = Cell::new(0);
        let since = tokio::time::Instant::now();
        lasting("test", async || {
            begun.set(begun.get() + 1);
            tokio::task::yield_now().await;
            assert_eq!(begun.get(), 3, "as long as it is not the third time");
        })
        .await;
        assert_eq!((begun.get(), since.elapsed()), (3, Duration::from_millis(2 * limits::TASK_RESTART_MS)));
    }
}
