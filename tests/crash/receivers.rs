//! Two receivers of pushed events and two that poll. They outlive every kill of the gateway, and persist before they acknowledge.

use crate::support::client::Client;
use crate::support::history::receipts::{Receipts, event_of};
use crate::support::receiver::{Receiver, claims_of};
use crate::support::reply::Reply;
use crate::support::wait::until;
use fastrand::Rng;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

/// Within this time everything arrives once the gateway is left alone, however far behind a receiver was.
const DRAINS_WITHIN: Duration = Duration::from_mins(3);
/// Longest time that a slow answer takes, in milliseconds.
const SLOW_MS: u64 = 150;
/// Time after which a poller asks again that the server was too busy for, in milliseconds.
const BUSY_MS: u64 = 50;
/// Most events that a poller asks for.
const POLLED: usize = 40;
const PUSHED: [&str; 2] = ["pushed", "pushed-unsteadily"];
const POLLERS: [&str; 2] = ["polled", "polled-forgetfully"];

/// What a receiver has persisted.
#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<(Vec<String>, HashSet<String>)>>);

impl Kept {
    fn keep(&self, claims: &Value) {
        let (texts, events) = &mut *self.0.lock().expect("what is kept");
        texts.push(claims.to_string());
        events.insert(event_of(claims).to_owned());
    }

    fn count(&self) -> usize {
        self.0.lock().expect("what is kept").1.len()
    }

    fn times(&self) -> usize {
        self.0.lock().expect("what is kept").0.len()
    }

    fn receipts(&self, receiver: &str) -> Receipts {
        let sets = self.0.lock().expect("what is kept").0.iter().map(|text| serde_json::from_str(text).expect("claims")).collect();
        Receipts { receiver: receiver.to_owned(), sets }
    }
}

/// One that polls, with what it has not acknowledged.
#[derive(Debug)]
struct Poller {
    name: &'static str,
    kept: Kept,
    rng: Rng,
    unacknowledged: Vec<String>,
    /// It forgets what it had not acknowledged when the connection breaks.
    forgets: bool,
}

/// All of them.
#[derive(Debug)]
pub struct Receivers {
    pushed: Vec<(Receiver, Kept)>,
    polled: Vec<Kept>,
    pollers: Vec<Poller>,
    running: Vec<JoinHandle<Poller>>,
    /// While this is so each of them accepts everything at once.
    is_calm: Arc<AtomicBool>,
    /// The pollers end after the poll under way.
    rests: Arc<AtomicBool>,
}

impl Receivers {
    /// They listen and wait.
    pub async fn new(rng: &mut Rng) -> Self {
        let is_calm = Arc::new(AtomicBool::new(false));
        let mut pushed = Vec::new();
        for name in PUSHED {
            let (receiver, kept) = (Receiver::start().await, Kept::default());
            let (calm, persists, choices) = (Arc::clone(&is_calm), kept.clone(), Mutex::new(rng.fork()));
            let is_steady = name == PUSHED[0];
            receiver.otherwise(move |request| {
                let choice =
                    if is_steady || calm.load(Ordering::Relaxed) { 99 } else { choices.lock().expect("choices").u64(..100) };
                if choice == 0 {
                    return Reply::status(503).header("retry-after", "1");
                }
                persists.keep(&claims_of(&request.set()));
                match choice {
                    // It is there, but the sender does not learn it.
                    1 => Reply::reset(),
                    2..10 => Reply::accepted().taking(Duration::from_millis(choice * SLOW_MS / 10)),
                    _ => Reply::accepted(),
                }
            });
            pushed.push((receiver, kept));
        }
        let poller =
            |name| Poller { name, kept: Kept::default(), rng: rng.fork(), unacknowledged: Vec::new(), forgets: name == POLLERS[1] };
        let pollers: Vec<Poller> = POLLERS.into_iter().map(poller).collect();
        let kept = pollers.iter().map(|poller| poller.kept.clone()).collect();
        Self { pushed, polled: kept, pollers, running: Vec::new(), is_calm, rests: Arc::default() }
    }

    /// The streams of the configuration: one for each.
    pub fn configuration(&self) -> String {
        let mut file = String::new();
        for ((name, format), (receiver, _)) in PUSHED.iter().zip(["jwt", "json"]).zip(&self.pushed) {
            let url = receiver.url();
            let _ = writeln!(file, "[[events.streams]]\nname = \"{name}\"\npush = \"{url}\"\nformat = \"{format}\"\nlanes = 8");
        }
        for (name, format) in POLLERS.iter().zip(["jwt", "json"]) {
            let _ = writeln!(file, "[[events.streams]]\nname = \"{name}\"\npoll = true\nformat = \"{format}\"");
        }
        file
    }

    /// The pollers poll these nodes, each in turn, until one is gone or they are to rest.
    pub fn poll(&mut self, nodes: &[Client]) {
        self.rests.store(false, Ordering::SeqCst);
        let rests = &self.rests;
        self.running.extend(self.pollers.drain(..).map(|poller| tokio::spawn(poller.run(nodes.to_vec(), Arc::clone(rests)))));
    }

    /// The gateway is gone, or nothing more is to be asked for: waits until the pollers have noticed.
    pub async fn rest(&mut self) {
        self.rests.store(true, Ordering::SeqCst);
        for poller in std::mem::take(&mut self.running) {
            self.pollers.push(poller.await.expect("a poller"));
        }
    }

    /// Waits until everybody has so many events, with a bound.
    pub async fn drain(&self, events: usize) {
        self.is_calm.store(true, Ordering::Relaxed);
        let drained = || async { self.kept().iter().all(|(_, kept)| kept.count() >= events).then_some(()) };
        let far = || self.kept().iter().map(|(name, kept)| format!("{name} {}", kept.count())).collect::<Vec<_>>().join(", ");
        let waited = tokio::time::timeout(DRAINS_WITHIN, until("every receiver has every event", DRAINS_WITHIN * 2, drained));
        assert!(waited.await.is_ok(), "{events} events are not received within {DRAINS_WITHIN:?}: {}", far());
        self.is_calm.store(false, Ordering::Relaxed);
    }

    /// What each has persisted.
    pub fn receipts(&self) -> Vec<Receipts> {
        self.kept().into_iter().map(|(name, kept)| kept.receipts(name)).collect()
    }

    /// How many events came to each, and how often one came again.
    pub fn told(&self) -> String {
        let one = |(name, kept): (&str, &Kept)| format!("{name} {} (+{})", kept.count(), kept.times() - kept.count());
        self.kept().into_iter().map(one).collect::<Vec<_>>().join(", ")
    }

    fn kept(&self) -> Vec<(&'static str, &Kept)> {
        let pushed = PUSHED.into_iter().zip(self.pushed.iter().map(|(_, kept)| kept));
        pushed.chain(POLLERS.into_iter().zip(&self.polled)).collect()
    }
}

impl Poller {
    /// Polls, persists and acknowledges until a gateway is gone or it is to rest.
    async fn run(mut self, nodes: Vec<Client>, rests: Arc<AtomicBool>) -> Self {
        let mut turns = nodes.iter().cycle();
        while !rests.load(Ordering::SeqCst)
            && let Some(node) = turns.next()
            && self.step(node).await.is_some()
        {}
        if self.forgets {
            self.unacknowledged.clear();
        }
        self
    }

    async fn step(&mut self, client: &Client) -> Option<()> {
        // Some are acknowledged a poll later than they could be.
        let late = if self.rng.bool() { self.rng.usize(..=self.unacknowledged.len()) } else { 0 };
        let acknowledged = &self.unacknowledged[late..];
        let body = json!({
            "ack": acknowledged, "maxEvents": self.rng.usize(1..POLLED), "returnImmediately": !self.unacknowledged.is_empty(),
        });
        let request = client.on("POST", &format!("/Events/Streams/{}/Poll", self.name));
        let answer = request.header("content-type", "application/json").body(body.to_string()).try_send().await.ok()?;
        if answer.status == 503 {
            // As a client does that is asked to come again.
            let pause = Duration::from_millis(BUSY_MS);
            let _ = tokio::time::timeout(pause, std::future::pending::<()>()).await;
            return Some(());
        }
        assert_eq!(answer.status, 200, "{}: {}", self.name, answer.text());
        self.unacknowledged.truncate(late);
        let answer = answer.json();
        for (jti, set) in answer["sets"].as_object().expect("sets") {
            let claims = set.as_str().map_or_else(|| set.clone(), claims_of);
            assert_eq!(claims["jti"].as_str(), Some(jti.as_str()), "{}", self.name);
            self.kept.keep(&claims);
            if !self.unacknowledged.contains(jti) {
                self.unacknowledged.push(jti.clone());
            }
        }
        Some(())
    }
}
