//! What runs while the server does: tasks that are started together and stopped in order.

use super::{Delivery, StartFailure, UNNAMED, push};
use crate::base::limits;
use crate::base::task::lasting;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How far the end has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    #[default]
    Serving,
    /// No request is waited for any more: who waits for events is answered.
    Closing,
    /// Nothing is sent any more.
    Stopping,
}

/// A signal for everybody who works until the end.
#[derive(Debug, Default)]
pub(super) struct End {
    phase: watch::Sender<Phase>,
    is_started: AtomicBool,
}

impl End {
    /// Ends when waiting requests have to be answered.
    pub(super) async fn closing(&self) {
        self.reaches(Phase::Closing).await;
    }

    /// Ends when nothing may be begun any more.
    pub(super) async fn stopping(&self) {
        self.reaches(Phase::Stopping).await;
    }

    async fn reaches(&self, wanted: Phase) {
        // The sender is our own: it is not gone while this waits.
        let _ = self.phase.subscribe().wait_for(|phase| *phase >= wanted).await;
    }

    fn is_at(&self, now: Phase) {
        self.phase.send_if_modified(|phase| {
            let is_later = now > *phase;
            *phase = now.max(*phase);
            is_later
        });
    }
}

/// The tasks of a [`Delivery`]. They are aborted when this is dropped; [`stop`](Self::stop) lets them end.
#[derive(Debug)]
#[must_use = "what runs stops when this is dropped"]
pub struct Running {
    delivery: Arc<Delivery>,
    /// They end by themselves once nothing may be begun.
    workers: JoinSet<()>,
    /// They are needed until the workers have ended, and then aborted.
    followers: JoinSet<()>,
}

impl Delivery {
    /// Reads what is kept, brings it into line with the configuration, and begins to deliver. Fails when the ledger
    /// cannot be used, and when a stream of the configuration cannot be as it says.
    pub async fn start(self: &Arc<Self>) -> Result<Running, StartFailure> {
        if self.end.is_started.swap(true, Ordering::Relaxed) {
            return Err(StartFailure::Twice);
        }
        self.streams.load().await?;
        self.open_keys().await?;
        self.reconcile().await?;
        if self.settings.issuer.is_none() && self.settings.public_url.is_none() && !self.streams.watch().borrow().is_empty() {
            tracing::warn!("{UNNAMED}");
        }
        let (mut workers, mut followers) = (JoinSet::new(), JoinSet::new());
        self.begin(&mut followers, "tail", |delivery| async move { delivery.tail.follow().await });
        self.begin(&mut followers, "streams", |delivery| async move { delivery.streams.follow().await });
        self.begin(&mut followers, "keys", |delivery| async move { delivery.keys.follow().await });
        self.begin(&mut followers, "persister", |delivery| async move { delivery.persister.follow().await });
        self.begin(&mut workers, "push", |delivery| async move {
            push::supervise(Arc::clone(&delivery.pushing), delivery.end.stopping()).await;
        });
        self.begin(&mut workers, "polls", |delivery| async move { delivery.polls.keep(&delivery.end).await });
        self.begin(&mut followers, "retention", |delivery| async move { delivery.retain().await });
        Ok(Running { delivery: Arc::clone(self), workers, followers })
    }

    /// Begins a task that lasts as long as its set.
    fn begin<F: Future<Output = ()> + Send + 'static>(
        self: &Arc<Self>,
        tasks: &mut JoinSet<()>,
        name: &'static str,
        task: impl Fn(Arc<Self>) -> F + Send + 'static,
    ) {
        let delivery = Arc::clone(self);
        tasks.spawn(lasting(name, move || task(Arc::clone(&delivery))));
    }

    /// Answers everybody who waits for events, now and from now on: the server is about to stop.
    pub fn close(&self) {
        self.end.is_at(Phase::Closing);
    }
}

impl Running {
    /// Stops: whoever waits is answered, what is under way ends within [`limits::DELIVERY_STOP_MS`], what was resolved is kept.
    pub async fn stop(mut self) {
        self.delivery.close();
        self.delivery.end.is_at(Phase::Stopping);
        let ended = async { while self.workers.join_next().await.is_some() {} };
        if tokio::time::timeout(Duration::from_millis(limits::DELIVERY_STOP_MS), ended).await.is_err() {
            tracing::warn!("delivery did not end in time: what was under way is delivered again after the next start");
        }
        self.workers.shutdown().await;
        let kept = tokio::time::timeout(Duration::from_millis(limits::PERSIST_STOP_MS), self.delivery.persister.flush()).await;
        if !matches!(kept, Ok(Ok(()))) {
            tracing::warn!("what was delivered last is not kept: it is delivered again after the next start");
        }
        self.followers.shutdown().await;
        self.delivery.end_retention().await;
    }
}
