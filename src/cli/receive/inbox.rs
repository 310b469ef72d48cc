//! The way of a SET into the receiver: verified, then kept, then acknowledged by whoever brought it.

use super::keeper::{Answer, Job, Kept, NotKept};
use super::progress::{Fate, Reporter, Tally};
use super::ring::{Ring, Unavailable};
use super::verify::{Accepted, Code, Expected, Refusal};
use crate::base::clock::Clock;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use tokio::sync::{mpsc, oneshot};

/// Why a SET is not acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// It is not acceptable, and will not be.
    Refused(Refusal),
    /// It has to come again.
    NotKept,
}

/// Whether an event may be kept when one before it was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// It may: each is acknowledged for itself.
    Free,
    /// It may not: the last one that was kept says where to go on. The results may be fewer than the SETs, but then the last one says
    /// that its SET has to come again.
    Strict,
}

/// Takes SETs.
#[derive(Debug)]
pub(super) struct Inbox {
    /// What is accepted.
    pub(super) expected: Expected,
    /// Nothing is verified.
    pub(super) is_unverified: bool,
    /// The text of each SET is kept too.
    pub(super) keeps_set: bool,
    /// The transmitter's keys.
    pub(super) ring: Ring,
    /// The way to the keeper.
    pub(super) keeper: mpsc::Sender<Job>,
    /// What came so far.
    pub(super) tally: Arc<Tally>,
    /// What people are told.
    pub(super) reporter: Arc<Reporter>,
    /// The source of time.
    pub(super) clock: Arc<dyn Clock>,
}

impl Inbox {
    /// Takes one SET; `key` is the `jti` that it came under, where it came under one.
    pub(super) async fn take(&self, set: &str, key: Option<&str>) -> Result<Kept, Failure> {
        let mut results = self.take_all([(key, set)], Order::Free).await;
        results.pop().unwrap_or(Err(Failure::NotKept))
    }

    /// Takes several SETs, and keeps those that are good together, in their order.
    pub(super) async fn take_all<'a>(
        &self,
        sets: impl IntoIterator<Item = (Option<&'a str>, &'a str)>,
        order: Order,
    ) -> Vec<Result<Kept, Failure>> {
        let mut waiting = Vec::new();
        let broken = (order == Order::Strict).then(Arc::default);
        for (key, set) in sets {
            let checked = self.check(set, key).await;
            let must_end = order == Order::Strict && matches!(checked, Err(Failure::NotKept));
            waiting.push(match checked {
                Ok(accepted) => Ok(self.submit(accepted, set, broken.clone()).await),
                Err(failure) => Err(failure),
            });
            if must_end {
                break;
            }
        }
        let mut results = Vec::with_capacity(waiting.len());
        for one in waiting {
            results.push(match one {
                Ok((answer, issued_at)) => self.settle(answer, issued_at).await,
                Err(failure) => Err(failure),
            });
        }
        results
    }

    async fn check(&self, set: &str, key: Option<&str>) -> Result<Accepted, Failure> {
        let Ok(verified) = self.verify(set).await else {
            self.tally.count(Fate::NotKept, None);
            return Err(Failure::NotKept);
        };
        let fits = |accepted: &Accepted| key.is_none_or(|key| key == accepted.jti);
        let refusal = match verified {
            Ok(accepted) if fits(&accepted) => return Ok(accepted),
            Ok(_) => Refusal::new(Code::InvalidRequest, "The SET's jti is not the one under which it came."),
            Err(refusal) => refusal,
        };
        self.tally.count(Fate::Refused, None);
        self.reporter.note(&format!("refused: {}: {}", refusal.code.name(), refusal.description));
        Err(Failure::Refused(refusal))
    }

    async fn verify(&self, set: &str) -> Result<Result<Accepted, Refusal>, Unavailable> {
        let now = self.clock.now().seconds();
        if self.is_unverified {
            return Ok(self.expected.read_unverified(set, now));
        }
        let header = match self.expected.header(set) {
            Ok(header) => header,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let keys = self.ring.keys_for(&header).await?;
        Ok(self.expected.verify(set, &keys, now))
    }

    async fn submit(&self, accepted: Accepted, set: &str, broken: Option<Arc<AtomicBool>>) -> (Answer, f64) {
        let (answer, receiver) = oneshot::channel();
        let issued_at = accepted.issued_at;
        let set = self.keeps_set.then(|| set.to_owned());
        // A keeper that is gone drops the sender, which `settle` sees.
        let _ = self.keeper.send(Job { accepted, set, broken, answer }).await;
        (receiver, issued_at)
    }

    async fn settle(&self, answer: Answer, issued_at: f64) -> Result<Kept, Failure> {
        let result = answer.await.unwrap_or_else(|_| Err(NotKept("the receiver ends".into())));
        let fate = match result {
            Ok(Kept::New) => Fate::Kept,
            Ok(Kept::Known) => Fate::Known,
            Err(_) => Fate::NotKept,
        };
        self.tally.count(fate, Some(issued_at));
        result.map_err(|NotKept(error)| {
            self.reporter.note(&format!("not kept, it has to come again: {error}"));
            Failure::NotKept
        })
    }
}
