//! Starts and stops the tasks of push streams as streams come, change and go.

use super::Pushing;
use super::leases::{Held, is_pushed};
use super::sender::{self, Ended, Wanted};
use crate::base::id::StreamId;
use crate::base::limits;
use crate::base::task::lasting;
use crate::delivery::stream::Stream;
use crate::delivery::streams::Snapshot;
use std::collections::{HashMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

#[derive(Debug)]
struct Supervisor {
    pushing: Arc<Pushing>,
    tasks: JoinSet<Done>,
    /// The stream of each task.
    names: HashMap<Id, StreamId>,
    wanted: HashMap<StreamId, Tasked>,
    /// Streams that are no more, of which what is kept is being removed.
    forgetting: HashSet<StreamId>,
    /// Streams that have stopped themselves: nothing is done before their record is at a later revision.
    paused: HashMap<StreamId, u64>,
    /// Streams whose task failed, and when it is started again.
    failed: HashMap<StreamId, Instant>,
}

/// What a task has come to.
#[derive(Debug)]
enum Done {
    Sent(Ended),
    Forgotten,
}

/// What a task is told.
#[derive(Debug)]
struct Tasked {
    wanted: watch::Sender<Option<Arc<Stream>>>,
    /// The epoch of the lease under which it delivers.
    epoch: u64,
}

/// Delivers every push stream whose lease this node holds until `end`; then lets what is under way come to its end.
pub(in crate::delivery) async fn supervise(pushing: Arc<Pushing>, end: impl Future<Output = ()>) {
    let mut streams = pushing.streams.watch();
    let mut supervisor = Supervisor {
        pushing,
        tasks: JoinSet::new(),
        names: HashMap::new(),
        wanted: HashMap::new(),
        forgetting: HashSet::new(),
        paused: HashMap::new(),
        failed: HashMap::new(),
    };
    let pushing = Arc::clone(&supervisor.pushing);
    let mut held = pushing.leases.watch();
    // A task of its own: leases are renewed whatever this one waits for.
    let mut claiming = JoinSet::new();
    let claimed = Arc::clone(&pushing);
    claiming.spawn(lasting("leases", move || claim(Arc::clone(&claimed))));
    tokio::pin!(end);
    loop {
        let snapshot = Arc::clone(&streams.borrow_and_update());
        let now = Arc::clone(&held.borrow_and_update());
        supervisor.reconcile(&snapshot, &now);
        pushing.leases.delivered(&now, |stream| supervisor.wanted.contains_key(stream));
        let again = supervisor.failed.values().min().copied();
        let alarm = async {
            match again {
                Some(at) => drop(tokio::time::timeout_at(at, std::future::pending::<()>()).await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = &mut end => break,
            changed = streams.changed() => if changed.is_err() { break },
            changed = held.changed() => if changed.is_err() { break },
            _ = claiming.join_next() => break,
            Some(ended) = supervisor.tasks.join_next_with_id() => supervisor.reap(ended, &streams),
            () = alarm => {}
        }
    }
    claiming.shutdown().await;
    for tasked in supervisor.wanted.values() {
        tasked.wanted.send_replace(None);
    }
    while supervisor.tasks.join_next().await.is_some() {}
    // What was resolved is to be kept while the leases are still held.
    if let Err(error) = pushing.persister.flush().await {
        tracing::warn!(operation = error.operation, %error, "what was delivered last is not kept yet");
    }
    pushing.leases.release().await;
}

async fn claim(pushing: Arc<Pushing>) {
    pushing.leases.follow(pushing.streams.watch(), pushing.persister.superseded(), &pushing.persister).await;
}

impl Supervisor {
    /// Brings the tasks into line with the streams there are.
    fn reconcile(&mut self, streams: &Snapshot, held: &Held) {
        for (id, Tasked { wanted, epoch }) in &self.wanted {
            let is_held = held.get(id) == Some(epoch);
            let stream = streams.get(id).filter(|stream| is_held && is_pushed(stream)).cloned();
            wanted.send_if_modified(|known| {
                let is_new = *known != stream;
                if is_new {
                    *known = stream;
                }
                is_new
            });
        }
        let now = Instant::now();
        self.failed.retain(|_, at| *at > now);
        self.paused.retain(|id, revision| streams.get(id).is_some_and(|stream| stream.revision <= *revision));
        for (id, stream) in streams.iter().filter(|(_, stream)| is_pushed(stream)) {
            let Some(epoch) = held.get(id).filter(|_| !self.forgetting.contains(id)) else { continue };
            if !self.wanted.contains_key(id) && !self.paused.contains_key(id) && !self.failed.contains_key(id) {
                self.start(stream, *epoch);
            }
        }
    }

    fn start(&mut self, stream: &Arc<Stream>, epoch: u64) {
        let (sender, wanted): (_, Wanted) = watch::channel(Some(Arc::clone(stream)));
        let sending = sender::run(Arc::clone(&self.pushing), wanted, epoch);
        let task = self.tasks.spawn(async move { Done::Sent(sending.await) });
        self.names.insert(task.id(), stream.id.clone());
        self.wanted.insert(stream.id.clone(), Tasked { wanted: sender, epoch });
    }

    /// A task has ended. If its stream is wanted all the same it is started again by the next look.
    fn reap(&mut self, ended: Result<(Id, Done), JoinError>, streams: &watch::Receiver<Snapshot>) {
        let task = match &ended {
            Ok((task, _)) => *task,
            Err(error) => error.id(),
        };
        let Some(id) = self.names.remove(&task) else { return };
        if self.forgetting.remove(&id) {
            return;
        }
        self.wanted.remove(&id);
        match ended {
            Ok((_, Done::Forgotten | Done::Sent(Ended::Stopped))) => {}
            Ok((_, Done::Sent(Ended::Paused { revision }))) => drop(self.paused.insert(id.clone(), revision)),
            Err(error) => {
                tracing::error!(stream = id.as_str(), %error, "the delivery of a stream failed: it is started again");
                self.failed.insert(id.clone(), Instant::now() + Duration::from_millis(limits::PUSH_RESTART_MS));
            }
        }
        let is_unknown = !streams.borrow().contains_key(&id);
        if is_unknown {
            let task = self.tasks.spawn(forget(Arc::clone(&self.pushing), id.clone()));
            self.names.insert(task.id(), id.clone());
            self.forgetting.insert(id);
        }
    }
}

/// A stream is no more: what was noted of it while it was removed goes too. One whose record cannot be read keeps its places.
async fn forget(pushing: Arc<Pushing>, id: StreamId) -> Done {
    pushing.persister.forget(&id).await;
    if let Err(error) = pushing.streams.forget(&id).await {
        tracing::warn!(operation = error.operation, %error, "what is kept of a stream that is no more cannot be removed");
    }
    Done::Forgotten
}
