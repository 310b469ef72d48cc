//! What the tests of polls and feeds share: a memory store that events are written to, and what delivers them.

use super::counted::Counted;
use super::poll::{PollAnswer, PollRequest, Polls};
use super::stream::{Format, Method, Origin, Status, Stream};
use super::{Delivery, Parts, Running, Settings};
use crate::auth::{Caller, Scopes};
use crate::base::clock::{Clock as _, SystemClock};
use crate::base::id::{Key, ResourceId, StreamId, Tenant, TimeOrderedIds, TypeCode};
use crate::base::limits::Limits;
use crate::base::secret::SystemEntropy;
use crate::event::Kind;
use crate::event::policy::AttributePolicy;
use crate::event::template::{Data, Template};
use crate::scim::error::Result;
use crate::scim::resource::MemberChange;
use crate::scim::schema::Registry;
use crate::store::backends::{self, Opening, Purpose};
use crate::store::{Backend, Change, Document, Effect, Guard, Ledger, Unit};
use serde_json::Value;
use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Long enough for anything that works.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct House {
    pub(super) delivery: Arc<Delivery>,
    backend: Backend,
    known: Mutex<HashSet<String>>,
    running: Option<Running>,
}

/// A caller that may do everything.
pub(super) fn caller(principal: &str) -> Caller {
    Caller { principal: principal.into(), tenant: Tenant(0), user_name: None, scopes: Scopes::default() }
}

fn backend() -> Backend {
    let opening = Opening {
        purpose: Purpose::Serve,
        data_path: PathBuf::new(),
        database_url: None,
        views: ["Users".into(), "Groups".into()],
        registry: Arc::new(Registry::builtin()),
        ids: Arc::new(TimeOrderedIds),
        limits: Limits::default(),
    };
    backends::open_at_once("memory", opening).expect("a store")
}

impl House {
    /// A house whose leases are as long as they are.
    pub(super) async fn new() -> Self {
        Self::over(backend(), None).await
    }

    /// A house that delivers nothing yet.
    pub(super) async fn stopped() -> Self {
        Self::new().await.stop().await
    }

    /// It delivers nothing any more. Nothing is known of the end of the log but where it is now.
    pub(super) async fn stop(self) -> Self {
        let delivery = Self::assemble(&self.backend, None);
        self.running.expect("it runs").stop().await;
        Self { delivery, running: None, ..self }
    }

    /// It delivers again.
    pub(super) async fn started(self) -> Self {
        let running = Some(self.delivery.start().await.expect("it starts"));
        Self { running, ..self }
    }

    /// A house where a SET that is not acknowledged is delivered again after this time.
    pub(super) async fn with_lease(lease: Duration) -> Self {
        Self::over(backend(), Some(lease)).await
    }

    /// A house beside which there may be others on the same ledger, and who counts what is asked of it.
    pub(super) async fn counted() -> (Self, Arc<Counted>) {
        let mut backend = backend();
        let counted = Counted::new(&backend.ledger);
        backend.ledger = Arc::<Counted>::clone(&counted);
        (Self::over(backend, None).await, counted)
    }

    /// What it is kept in.
    pub(super) fn ledger(&self) -> Arc<dyn Ledger> {
        Arc::clone(&self.backend.ledger)
    }

    /// The same store as another node sees it.
    pub(super) async fn beside(&self) -> Self {
        let Backend { store, ledger, registry } = &self.backend;
        let backend = Backend { store: Arc::clone(store), ledger: Arc::clone(ledger), registry: Arc::clone(registry) };
        Self::over(backend, None).await
    }

    /// The same store in another process: nothing is known but what is kept.
    pub(super) async fn restarted(self) -> Self {
        self.running.expect("it runs").stop().await;
        Self { known: self.known, ..Self::over(self.backend, None).await }
    }

    async fn over(backend: Backend, lease: Option<Duration>) -> Self {
        let delivery = Self::assemble(&backend, lease);
        Self { delivery, backend, known: Mutex::default(), running: None }.started().await
    }

    fn assemble(backend: &Backend, lease: Option<Duration>) -> Arc<Delivery> {
        let mut delivery = Delivery::new(Parts {
            ledger: Arc::clone(&backend.ledger),
            registry: Arc::clone(&backend.registry),
            clock: Arc::new(SystemClock),
            ids: Arc::new(TimeOrderedIds),
            entropy: Arc::new(SystemEntropy),
            settings: Settings { format: Format::Json, public_url: Some("https://b".into()), ..Settings::default() },
        });
        if let Some(lease) = lease {
            let Delivery { ledger, clock, tail, streams, renderer, persister, .. } = &delivery;
            let mut polls = Polls::new(ledger, clock, tail, streams, renderer, persister);
            polls.lease = lease;
            delivery.polls = Arc::new(polls);
        }
        Arc::new(delivery)
    }

    /// One event of each subject, in order. A subject that begins with `?` is of a type that nobody knows.
    pub(super) async fn write(&self, subjects: &[&str]) {
        for subject in subjects {
            let is_new = self.known.lock().expect("the known").insert((*subject).to_owned());
            let code = if subject.starts_with('?') { 9 } else { 1 };
            let key = Key { tenant: Tenant(0), kind: TypeCode(code), id: ResourceId::parse(subject) };
            let document = || Document { body: format!("{{\"x\":\"{}\"}}", uuid::Uuid::new_v4()).into(), ..Document::default() };
            let template = Template {
                kind: if is_new { Kind::Create } else { Kind::Put },
                subject: key.clone(),
                external_id: None,
                attributes: vec!["title".into()],
                data: Data::Nothing,
            };
            let change = Change {
                key,
                guard: Guard::default(),
                effect: if is_new { Effect::Create(document()) } else { Effect::Replace(document()) },
                members: MemberChange::default(),
                known_members_only: false,
                events: vec![template],
                txn: None,
            };
            let unit = Unit { at: SystemClock.now(), txn: "t".into(), changes: vec![change] };
            self.backend.store.commit(unit).await.expect("a commit");
        }
    }

    /// A stream of this name that is polled, with these changes.
    pub(super) async fn stream(&self, id: &str, change: impl FnOnce(&mut Stream)) -> Arc<Stream> {
        let mut stream = Stream {
            id: StreamId::parse(id).expect("an id"),
            revision: 0,
            tenant: 0,
            owner: "ann".into(),
            origin: Origin::Request,
            description: None,
            feeds: vec!["default".into()],
            events_requested: None,
            resource_types: None,
            mode: None,
            attributes: AttributePolicy::default(),
            audience: Vec::new(),
            format: None,
            algorithm: None,
            method: Method::Poll,
            status: Status::Enabled,
            reason: None,
            start: 0,
            epoch: 0,
            generation: 0,
            verification: None,
            gap: None,
            created: 0,
        };
        change(&mut stream);
        self.delivery.streams.create(stream).await.expect("a stream")
    }

    /// Changes a stream.
    pub(super) async fn change(&self, id: &str, mut change: impl FnMut(&mut Stream) + Send) {
        let id = StreamId::parse(id).expect("an id");
        let changed = self.delivery.streams.change(&id, |stream| {
            change(stream);
            Ok(super::streams::Changed::Yes)
        });
        changed.await.expect("changed");
    }

    /// A poll by the owner of streams.
    pub(super) async fn poll(&self, stream: &str, request: impl std::borrow::Borrow<Value>) -> Result<PollAnswer> {
        let request = PollRequest::parse(request.borrow()).expect("a request");
        self.delivery.poll_stream(&caller("ann"), stream, request, PATIENCE).await
    }

    /// A poll whose answer arrives: the subjects of its SETs, their `jti`s, and whether there are more.
    pub(super) async fn taken(&self, stream: &str, request: impl std::borrow::Borrow<Value>) -> (Vec<String>, Vec<String>, bool) {
        let answer = self.poll(stream, request).await.expect("an answer");
        answer.offer.handed_over();
        let (mut subjects, mut jtis) = (Vec::new(), Vec::new());
        for (jti, set) in answer.sets {
            let claims: Value = serde_json::from_str(&set).expect("claims");
            assert_eq!(claims["jti"], jti.as_str());
            let subject = claims["sub_id"]["uri"].as_str().or(claims["sub_id"]["id"].as_str()).expect("a subject");
            subjects.push(subject.trim_start_matches("/Users/").to_owned());
            jtis.push(jti);
        }
        (subjects, jtis, answer.more_available)
    }

    /// How many places of a stream are dead letters, and what they say.
    pub(super) async fn dead(&self, stream: &str) -> Vec<(String, Option<String>, u32)> {
        let id = StreamId::parse(stream).expect("an id");
        let dead = self.backend.ledger.dead_letters(&id, crate::store::Place(0), 100, false).await.expect("letters");
        dead.letters.into_iter().map(|letter| (letter.error, letter.description, letter.attempts)).collect()
    }
}
