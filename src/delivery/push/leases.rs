//! Which push streams this node delivers. Of several nodes on one ledger each stream has one that delivers it: the one that holds its
//! lease. A node that falls silent loses its leases when they run out, and stops by its own clock before that.
//!
//! Every node takes its share of the streams and no more, so that all of them work. One that has more, because another node has come,
//! gives back one stream after another: it stops delivering the stream, keeps what was delivered, and only then lets it go.

use crate::base::id::StreamId;
use crate::base::limits;
use crate::delivery::persist::Persister;
use crate::delivery::stream::{Status, Stream};
use crate::delivery::streams::Snapshot;
use crate::store::ledger::{Survey, node_lease, push_lease};
use crate::store::{Ledger, Result};
use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

const LENGTH: Duration = Duration::from_millis(limits::LEASE_MS);
const RENEW: Duration = Duration::from_millis(limits::LEASE_RENEW_MS);
const RETRY: Duration = Duration::from_millis(limits::LEASE_RETRY_MS);

/// The streams whose leases are held, and the epoch of each.
pub(super) type Held = Arc<HashMap<StreamId, u64>>;

/// The leases of this node.
#[derive(Debug)]
pub(super) struct Leases {
    ledger: Arc<dyn Ledger>,
    /// This node, unlike any other and unlike itself after a restart.
    owner: String,
    held: watch::Sender<Held>,
    handing: watch::Sender<Handing>,
}

/// The stream that is given back to the other nodes, whose lease is held until nothing of it is under way any more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Handing {
    #[default]
    Nothing,
    /// Its delivery is to end.
    Ending(StreamId),
    /// Its delivery has ended.
    Ended(StreamId),
}

/// What one look at the leases leaves to the next.
#[derive(Debug, Default)]
struct Looks {
    /// Since when leases have been seen free that others have room for.
    free: BTreeMap<String, Instant>,
    /// Until when nothing is given back: nobody has taken what was free.
    keeps_until: Option<Instant>,
}

/// What a look has come to.
#[derive(Debug)]
struct Claimed {
    held: HashMap<StreamId, u64>,
    /// The stream that is given back next.
    surplus: Option<StreamId>,
    /// Whether another node was faster with something.
    is_less: bool,
}

/// Whether a stream is one that is pushed now.
pub(super) fn is_pushed(stream: &Stream) -> bool {
    stream.status == Status::Enabled && stream.push().is_some()
}

impl Leases {
    pub(super) fn new(ledger: Arc<dyn Ledger>, owner: String) -> Self {
        Self { ledger, owner, held: watch::Sender::default(), handing: watch::Sender::default() }
    }

    /// What is held, and a signal when that changes.
    pub(super) fn watch(&self) -> watch::Receiver<Held> {
        self.held.subscribe()
    }

    /// The streams are delivered as `held` says, but for those that `is_at_work` tells of: what is given back may go when it is neither.
    pub(super) fn delivered(&self, held: &Held, is_at_work: impl Fn(&StreamId) -> bool) {
        self.handing.send_if_modified(|handing| match handing {
            Handing::Ending(stream) if !held.contains_key(stream) && !is_at_work(stream) => {
                *handing = Handing::Ended(stream.clone());
                true
            }
            _ => false,
        });
    }

    /// Claims and renews, until it is dropped; at once when other nodes have come, gone or given something back, and when `doubt` says
    /// that another node may hold what this one does.
    pub(super) async fn follow(
        &self,
        mut streams: watch::Receiver<Snapshot>,
        mut doubt: watch::Receiver<u64>,
        persister: &Persister,
    ) {
        // Until when nobody else can hold what this node holds: who begins, also after a failure, holds nothing.
        let mut safe_until = Instant::now();
        self.hold(HashMap::new());
        let mut looks = Looks::default();
        let mut others = self.ledger.leases_changed();
        let mut handing = self.handing.subscribe();
        loop {
            if let Some(others) = &mut others {
                others.mark_unchanged();
            }
            handing.mark_unchanged();
            let wanted: Vec<StreamId> =
                streams.borrow_and_update().iter().filter(|(_, stream)| is_pushed(stream)).map(|(id, _)| id.clone()).collect();
            let asked = Instant::now();
            let latest = asked + RENEW;
            let until = if self.held.borrow().is_empty() { latest } else { latest.min(safe_until) };
            let patience = match timeout_at(until, self.look(&wanted, persister, &mut looks)).await {
                Ok(Ok(Claimed { held, surplus, is_less })) => {
                    safe_until = asked + LENGTH.saturating_sub(RENEW);
                    // Before it is no longer held: who sees that looks what is to become of it.
                    if let Some(stream) = surplus {
                        self.handing.send_replace(Handing::Ending(stream));
                        handing.mark_unchanged();
                    }
                    self.hold(held);
                    if is_less { RETRY } else { RENEW }
                }
                failed => {
                    if let Ok(Err(error)) = failed {
                        tracing::warn!(operation = error.operation, %error, "the leases of push streams cannot be renewed");
                    }
                    RETRY
                }
            };
            if safe_until <= Instant::now() {
                self.hold(HashMap::new());
            }
            let news = async {
                tokio::select! {
                    changed = streams.changed() => changed.is_ok(),
                    doubted = doubt.changed() => doubted.is_ok(),
                    () = heard(&mut others) => true,
                    _ = handing.changed() => true,
                }
            };
            if timeout(patience, news).await == Ok(false) {
                return;
            }
        }
    }

    /// Gives back what is held, so that another node need not wait until it runs out.
    pub(super) async fn release(&self) {
        let mut names: Vec<String> = self.held.borrow().keys().map(push_lease).collect();
        if let Handing::Ending(stream) | Handing::Ended(stream) = self.handing.send_replace(Handing::Nothing) {
            names.push(push_lease(&stream));
        }
        names.push(node_lease(&self.owner));
        self.hold(HashMap::new());
        let released = timeout(RETRY, self.ledger.release(&self.owner, &names)).await;
        if !matches!(released, Ok(Ok(()))) {
            tracing::warn!("leases of push streams are not given back: other nodes wait until they run out");
        }
    }

    /// Looks once: gives back what has come to its end, holds what is held, takes what is to be taken.
    async fn look(&self, streams: &[StreamId], persister: &Persister, looks: &mut Looks) -> Result<Claimed> {
        self.give_back(streams, persister).await?;
        let names: Vec<String> = streams.iter().map(push_lease).collect();
        let survey = self.ledger.survey(&self.owner, &names).await?;
        let share = names.len().div_ceil(survey.others.saturating_add(1));
        let mut asked = vec![node_lease(&self.owner)];
        asked.extend(survey.own.iter().cloned());
        asked.extend(looks.choose(&survey, share));
        let leases = self.ledger.claim(&self.owner, &asked, LENGTH).await?;
        let epochs: HashMap<&str, u64> = leases.iter().map(|lease| (lease.name.as_str(), lease.epoch)).collect();
        let pairs = streams.iter().zip(&names);
        let mut held: HashMap<StreamId, u64> =
            pairs.filter_map(|(id, name)| Some((id.clone(), *epochs.get(name.as_str())?))).collect();
        let surplus = match &*self.handing.borrow() {
            Handing::Nothing if survey.free.is_empty() && !looks.keeps() => surplus(&held, &self.held.borrow(), share),
            Handing::Nothing => None,
            Handing::Ending(stream) | Handing::Ended(stream) => {
                held.remove(stream);
                None
            }
        };
        if let Some(surplus) = &surplus {
            held.remove(surplus);
        }
        Ok(Claimed { held, surplus, is_less: leases.len() < asked.len() })
    }

    /// Gives back what is not to be delivered any more, and the stream that goes to another node.
    async fn give_back(&self, streams: &[StreamId], persister: &Persister) -> Result<()> {
        let mut names: Vec<String> = self.held.borrow().keys().filter(|held| !streams.contains(held)).map(push_lease).collect();
        let handing = self.handing.borrow().clone();
        let is_over = match &handing {
            Handing::Nothing => false,
            Handing::Ending(stream) => !streams.contains(stream),
            Handing::Ended(_) => true,
        };
        if let (true, Handing::Ending(stream) | Handing::Ended(stream)) = (is_over, &handing) {
            // Whoever takes it begins behind what was delivered. What cannot be kept is delivered once more, as after a stop.
            if let Err(error) = persister.flush().await {
                tracing::warn!(operation = error.operation, %error, "what was delivered of a stream that goes to another node is not kept yet");
            }
            names.push(push_lease(stream));
        }
        self.ledger.release(&self.owner, &names).await?;
        if is_over {
            self.handing.send_replace(Handing::Nothing);
        }
        Ok(())
    }

    fn hold(&self, now: HashMap<StreamId, u64>) {
        self.held.send_if_modified(|held| {
            let is_new = **held != now;
            if is_new {
                *held = Arc::new(now);
            }
            is_new
        });
    }
}

impl Looks {
    /// What of the free leases is to be taken: as many as there is room for in the share, and those that nobody has taken for longer
    /// than a node that has room waits between two claims. None is left to others for ever, whatever they think of their share.
    fn choose(&mut self, survey: &Survey, share: usize) -> Vec<String> {
        let now = Instant::now();
        let Survey { own, free, .. } = survey;
        self.free.retain(|name, _| free.contains(name));
        let room = share.saturating_sub(own.len());
        let mut chosen: Vec<String> = free.iter().take(room).cloned().collect();
        for name in free.iter().skip(room) {
            if now.duration_since(*self.free.entry(name.clone()).or_insert(now)) >= RENEW {
                self.keeps_until = Some(now + LENGTH);
                chosen.push(name.clone());
            }
        }
        self.free.retain(|name, _| !chosen.contains(name));
        chosen
    }

    /// Whether nothing is given back for now: what goes to and fro is delivered by nobody in between.
    fn keeps(&self) -> bool {
        self.keeps_until.is_some_and(|until| until > Instant::now())
    }
}

/// The stream that goes to another node, when these are more than the share. One that this node has only just learnt to be its own is not
/// delivered yet, and would never be said to have ended.
fn surplus(held: &HashMap<StreamId, u64>, delivered: &Held, share: usize) -> Option<StreamId> {
    held.keys().filter(|stream| held.len() > share && delivered.contains_key(*stream)).max().cloned()
}

/// Ends when other nodes have taken leases or given some back; never where there are none.
async fn heard(others: &mut Option<watch::Receiver<u64>>) {
    let has_changed = match others {
        Some(others) => others.changed().await.is_ok(),
        None => false,
    };
    if !has_changed {
        pending::<()>().await;
    }
}

#[cfg(test)]
mod tests;
