//! A store, a log, and streams that are pushed.

use super::super::client::{Clients, Courier, Names, SystemNames, Timing};
use super::super::schedule::{Budget, Rule, Schedule};
use super::super::{Pushing, Tools, supervise};
use super::support::receiver::Receiver;
use super::support::wait::{PATIENCE, until};
use crate::base::clock::{Clock, Timestamp};
use crate::base::id::{StreamId, TimeOrderedIds};
use crate::base::secret::SystemEntropy;
use crate::delivery::counted::Counted;
use crate::delivery::persist::Persister;
use crate::delivery::stream::{Format, Status, Stream};
use crate::delivery::{Delivery, Parts, Settings};
use crate::store::Ledger;
use crate::store::ledger::{DeadLetter, Place};
use crate::store::tests::fixture::USER;
use crate::store::tests::{Fixture, key, user};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

/// The standard schedule with waits that a test can wait for.
pub(super) const QUICK: Schedule = {
    let standard = Schedule::STANDARD;
    let rule = Rule {
        base: Duration::from_millis(4),
        cap: Duration::from_millis(40),
        late_cap: Duration::from_millis(40),
        ..standard.outage
    };
    Schedule {
        outage: rule,
        unauthorized: Rule { budget: standard.unauthorized.budget, reason: standard.unauthorized.reason, ..rule },
        misplaced: Rule { budget: standard.misplaced.budget, reason: standard.misplaced.reason, ..rule },
        forbidden: Rule { budget: standard.forbidden.budget, reason: standard.forbidden.reason, ..rule },
        unsendable: Rule { budget: Budget::Endless, ..rule },
        held: (Duration::from_millis(5), Duration::from_millis(50)),
        key_wait: Duration::from_millis(60),
        ..standard
    }
};

/// A clock that a test sets.
#[derive(Debug)]
pub(super) struct Hand(pub(super) AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

pub(super) struct World {
    pub(super) fixture: Fixture,
    pub(super) delivery: Delivery,
    pub(super) clock: Arc<Hand>,
    pub(super) settings: super::super::Settings,
    pub(super) names: Arc<dyn Names>,
    pub(super) timing: Timing,
    pub(super) schedule: Schedule,
    courier: Option<Arc<dyn Courier>>,
}

/// What runs: it stops in order, or is dropped like a process that is killed.
pub(super) struct Running {
    pub(super) pushing: Arc<Pushing>,
    tasks: JoinSet<()>,
    supervisor: JoinSet<()>,
    end: oneshot::Sender<()>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::on("memory")
    }

    pub(super) fn on(backend: &str) -> Self {
        let fixture = Fixture::new(backend);
        let ledger = Arc::clone(&fixture.backend.ledger);
        Self::over(fixture, ledger)
    }

    /// One node of several.
    pub(super) fn beside_others() -> (Self, Arc<Counted>) {
        let fixture = Fixture::new("memory");
        let counted = Counted::new(&fixture.backend.ledger);
        let ledger = Arc::<Counted>::clone(&counted);
        (Self::over(fixture, ledger), counted)
    }

    fn over(fixture: Fixture, ledger: Arc<dyn Ledger>) -> Self {
        let clock = Arc::new(Hand(AtomicI64::new(1_000_000)));
        let delivery = Delivery::new(Parts {
            ledger,
            registry: Arc::clone(&fixture.registry),
            clock: Arc::<Hand>::clone(&clock),
            ids: Arc::new(TimeOrderedIds),
            entropy: Arc::new(SystemEntropy),
            settings: Settings { format: Format::Json, issuer: Some("https://issuer.example".into()), ..Settings::default() },
        });
        Self {
            fixture,
            delivery,
            clock,
            settings: super::super::Settings::default(),
            names: Arc::new(SystemNames),
            timing: Timing { connect: Duration::from_secs(5), request: Duration::from_secs(5) },
            schedule: QUICK,
            courier: None,
        }
    }

    pub(super) fn with_courier(self, courier: Arc<dyn Courier>) -> Self {
        Self { courier: Some(courier), ..self }
    }

    /// Begins to deliver, as a process does that has just started.
    pub(super) async fn start(&self) -> Running {
        self.delivery.streams.load().await.expect("the streams");
        let persister = Arc::new(Persister::new(Arc::clone(&self.delivery.ledger)));
        let clients = || Arc::new(Clients::new(Arc::clone(&self.names), &self.settings, self.timing)) as Arc<dyn Courier>;
        let tools = Tools {
            ledger: Arc::clone(&self.delivery.ledger),
            clock: Arc::<Hand>::clone(&self.clock),
            entropy: Arc::new(SystemEntropy),
            tail: Arc::clone(&self.delivery.tail),
            streams: Arc::clone(&self.delivery.streams),
            renderer: Arc::clone(&self.delivery.renderer),
            persister: Arc::clone(&persister),
            settings: self.settings.clone(),
            format: Format::Json,
            node: "node".into(),
        };
        let pushing = Arc::new(Pushing::with(tools, self.courier.clone().unwrap_or_else(clients), Arc::new(self.schedule.clone())));
        let (end, ended) = oneshot::channel();
        let (mut tasks, mut supervisor) = (JoinSet::new(), JoinSet::new());
        let (tail, streams) = (Arc::clone(&self.delivery.tail), Arc::clone(&self.delivery.streams));
        let keys = Arc::clone(&self.delivery.keys);
        tasks.spawn(async move { tail.follow().await });
        tasks.spawn(async move { keys.follow().await });
        tasks.spawn(async move { streams.follow().await });
        tasks.spawn(async move { persister.follow().await });
        supervisor.spawn(supervise(Arc::clone(&pushing), async move { drop(ended.await) }));
        Running { pushing, tasks, supervisor, end }
    }

    /// A stream to an endpoint, with members of its record changed.
    pub(super) async fn stream(&self, id: &str, endpoint: &str, more: Value) -> StreamId {
        let id = StreamId::parse(id).expect("an id");
        let mut record = json!({
            "tenant": 0, "owner": "somebody", "origin": "configuration", "feeds": ["default"], "status": "enabled", "start": 0, "created": 0,
            "method": {"method": "push", "endpoint": endpoint, "lanes": 4},
        });
        for (name, value) in more.as_object().expect("members") {
            record[name] = value.clone();
        }
        let stream: Stream = serde_json::from_value(record).expect("a stream");
        self.delivery.streams.create(Stream { id: id.clone(), ..stream }).await.expect("it is created");
        id
    }

    /// Users that are created, one commit for all: an event for each.
    pub(super) async fn users(&self, names: &[&str]) {
        self.fixture.given(names, &[]).await;
    }

    /// So many users, in commits of a hundred.
    pub(super) async fn many_users(&self, prefix: &str, count: usize) {
        let names: Vec<String> = (0..count).map(|number| format!("{prefix}{number}")).collect();
        for names in names.chunks(100) {
            self.users(&names.iter().map(String::as_str).collect::<Vec<_>>()).await;
        }
    }

    /// A user who is changed so many times: as many events of one subject.
    pub(super) async fn changes(&self, id: &str, count: usize) {
        let mut before = user(id);
        for number in 0..count {
            let mut after = before.clone();
            after["title"] = json!(number.to_string());
            let stored = self.fixture.get(&key(USER, id)).await.expect("a user");
            let mut change = self.fixture.replace(key(USER, id), &before, &after);
            change.guard.revision = Some(stored.revision);
            self.fixture.commit(vec![change]).await.expect("a change");
            before = after;
        }
    }

    /// The jtis of a stream's events, in the order of the log.
    pub(super) async fn jtis(&self, id: &StreamId) -> Vec<String> {
        let stream = self.record(id);
        let tag = self.delivery.renderer.tag(&stream).await.expect("a tag");
        self.fixture.log().await.iter().map(|logged| tag.jti(logged.event.id)).collect()
    }

    pub(super) fn record(&self, id: &StreamId) -> Arc<Stream> {
        self.delivery.streams.get(id).expect("a stream")
    }

    /// Waits until a stream is not delivered any more, and says why.
    pub(super) async fn stopped(&self, id: &StreamId) -> (Status, String) {
        let stopped = || async {
            let stream = self.record(id);
            (stream.status != Status::Enabled).then(|| (stream.status, stream.reason.clone().unwrap_or_default()))
        };
        until("the stream stops", PATIENCE, stopped).await
    }

    /// Waits until everything up to a place is kept as resolved.
    pub(super) async fn kept(&self, id: &StreamId, place: u64) {
        let kept = || async {
            let places = self.delivery.ledger.resolved(id, self.record(id).epoch).await.expect("places");
            places.filter(|places| places.cursor() >= Place(place))
        };
        until("the places are kept", PATIENCE, kept).await;
    }

    /// Waits until there are so many dead letters.
    pub(super) async fn dead(&self, id: &StreamId, count: usize) -> Vec<DeadLetter> {
        let dead = || async {
            let letters = self.delivery.ledger.dead_letters(id, Place(0), 1_000, false).await.expect("letters").letters;
            Some(letters).filter(|letters| letters.len() == count)
        };
        until("there are dead letters", PATIENCE, dead).await
    }
}

impl Running {
    /// Waits until no stream sends to a receiver any more.
    pub(super) async fn rests(&self, receiver: &Receiver) {
        let breaker = self.pushing.breakers.of(receiver.address.to_string());
        // The one that holds all of them has it, and so does this.
        until("its task ends", PATIENCE, || async { (Arc::strong_count(&breaker) == 2).then_some(()) }).await;
    }

    /// Lets what is under way end, and keeps what is resolved.
    pub(super) async fn stop(mut self) {
        let _ = self.end.send(());
        while let Some(ended) = self.supervisor.join_next().await {
            ended.expect("the supervisor");
        }
        self.pushing.persister.flush().await.expect("kept");
        self.tasks.shutdown().await;
    }

    /// Ends at once, like a process that is killed: nothing that was noted is kept.
    pub(super) async fn kill(mut self) {
        self.tasks.shutdown().await;
        self.supervisor.shutdown().await;
    }
}
