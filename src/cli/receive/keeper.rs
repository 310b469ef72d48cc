//! Keeps events: tells new ones from those that were kept before, and answers once they are where they stay.
//!
//! One thread does it, in the order in which events come; those that came meanwhile are written together.

use super::journal::Journal;
use super::stop::{Ending, Stop};
use super::verify::Accepted;
use crate::base::clock::Clock;
use crate::base::limits;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::io::{self, Write as _};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// Whether an event is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is, and stays from now on.
    New,
    /// It was kept before.
    Known,
}

/// Why an event was not kept: it has to come again. What went wrong, for the operator of this receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NotKept(pub(super) String);

/// What comes of an event, soon.
pub(super) type Answer = oneshot::Receiver<Result<Kept, NotKept>>;

/// An event to keep.
#[derive(Debug)]
pub(super) struct Job {
    /// Its claims.
    pub(super) accepted: Accepted,
    /// Its text, when that is to be kept too.
    pub(super) set: Option<String>,
    /// Set once an event before this one was not kept, where none may be kept after that.
    pub(super) broken: Option<Arc<AtomicBool>>,
    /// Who waits for it.
    pub(super) answer: oneshot::Sender<Result<Kept, NotKept>>,
}

impl Job {
    fn fail(self, error: String) {
        if let Some(broken) = &self.broken {
            broken.store(true, Relaxed);
        }
        let _ = self.answer.send(Err(NotKept(error)));
    }
}

/// Where events go.
#[derive(Debug)]
pub(super) enum Sink {
    /// A file of JSON lines, which is also the memory of what was kept.
    File(Journal),
    /// JSON lines on the standard output.
    Stdout,
    /// Nowhere but to the command.
    Nowhere,
}

/// Keeps events.
#[derive(Debug)]
pub(super) struct Keeper {
    sink: Sink,
    /// A file of the `jti`s of what was kept.
    state: Option<Journal>,
    memory: Memory,
    command: Option<String>,
    /// How many new events it still takes.
    remaining: Option<u64>,
    clock: Arc<dyn Clock>,
    stop: Stop,
    runtime: Handle,
}

/// The end of a line of the output that is looked at again.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    jti: Cow<'a, str>,
}

/// What was kept before, and the last of it.
#[derive(Debug, Default)]
pub(super) struct Memory {
    digests: HashSet<[u8; 16]>,
    order: VecDeque<[u8; 16]>,
    /// The `jti` of what was kept last, where it is known.
    pub(super) last: Option<String>,
}

impl Memory {
    /// Opens the file that events are written to, and remembers what it holds.
    pub(super) fn open_output(&mut self, path: &Path) -> io::Result<Journal> {
        Journal::open(path, |line| {
            if let Ok(line) = serde_json::from_slice::<Line<'_>>(line) {
                self.remember(digest(&line.jti));
                self.last = Some(line.jti.into_owned());
            }
        })
    }

    /// Opens the file of `jti`s, and remembers what it holds.
    pub(super) fn open_state(&mut self, path: &Path) -> io::Result<Journal> {
        let known_last = self.last.take();
        let journal = Journal::open(path, |line| {
            let jti = String::from_utf8_lossy(line);
            self.remember(digest(&jti));
            self.last = Some(jti.into_owned());
        })?;
        // The output, where there is one, is written first.
        self.last = known_last.or(self.last.take());
        Ok(journal)
    }

    fn knows(&self, digest: &[u8; 16]) -> bool {
        self.digests.contains(digest)
    }

    fn remember(&mut self, digest: [u8; 16]) {
        if self.digests.insert(digest) {
            self.order.push_back(digest);
        }
        if self.order.len() > limits::RECEIVE_REMEMBERED_EVENTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.digests.remove(&oldest);
        }
    }
}

fn digest(jti: &str) -> [u8; 16] {
    let mut digest = [0; 16];
    digest.copy_from_slice(&Sha256::digest(jti.as_bytes())[..16]);
    digest
}

/// What a keeper is made of.
#[derive(Debug)]
pub(super) struct Parts {
    /// Where events go.
    pub(super) sink: Sink,
    /// The file of `jti`s.
    pub(super) state: Option<Journal>,
    /// What was kept before.
    pub(super) memory: Memory,
    /// The command to run for each event.
    pub(super) command: Option<String>,
    /// How many new events to take.
    pub(super) count: Option<u64>,
    /// The source of time.
    pub(super) clock: Arc<dyn Clock>,
    /// What ends the receiver.
    pub(super) stop: Stop,
}

impl Keeper {
    /// Puts one together; called within the runtime that commands run in.
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { sink, state, memory, command, count, clock, stop } = parts;
        Self { sink, state, memory, command, remaining: count, clock, stop, runtime: Handle::current() }
    }

    /// Keeps events until nobody can send any.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            let mut batch = vec![first];
            while batch.len() < limits::RECEIVE_BATCH_EVENTS
                && let Ok(job) = jobs.try_recv()
            {
                batch.push(job);
            }
            self.keep(batch);
        }
    }

    fn keep(&mut self, batch: Vec<Job>) {
        let (mut lines, mut jtis) = (Vec::new(), Vec::new());
        let (mut fresh, mut repeated, mut digests) = (Vec::new(), Vec::new(), HashSet::new());
        for job in batch {
            let digest = digest(&job.accepted.jti);
            let is_broken = job.broken.as_ref().is_some_and(|broken| broken.load(Relaxed));
            if is_broken {
                let _ = job.answer.send(Err(NotKept("one before it was not".into())));
            } else if self.memory.knows(&digest) {
                let _ = job.answer.send(Ok(Kept::Known));
            } else if digests.contains(&digest) {
                repeated.push(job.answer);
            } else if self.remaining.is_some_and(|remaining| remaining <= fresh.len() as u64) {
                job.fail("the receiver ends: --count is reached".into());
            } else if let Err(error) = self.run_command(&job.accepted) {
                job.fail(error);
            } else {
                jtis.extend_from_slice(job.accepted.jti.as_bytes());
                jtis.push(b'\n');
                if !matches!(self.sink, Sink::Nowhere) {
                    lines.extend_from_slice(self.line(job.accepted, job.set).to_string().as_bytes());
                    lines.push(b'\n');
                }
                digests.insert(digest);
                fresh.push((digest, job.answer, job.broken));
            }
        }
        let written = self.write(&lines, &jtis);
        if written.is_ok() {
            for (digest, ..) in &fresh {
                self.memory.remember(*digest);
            }
            self.remaining = self.remaining.map(|remaining| remaining.saturating_sub(fresh.len() as u64));
        } else {
            for broken in fresh.iter().filter_map(|(.., broken)| broken.as_ref()) {
                broken.store(true, Relaxed);
            }
        }
        if self.remaining == Some(0) {
            // Before the answers, so that whoever brought the last event asks for no more.
            self.stop.end(Ending::Count);
        }
        let answers = fresh.into_iter().map(|(_, answer, _)| (answer, Kept::New));
        for (answer, kept) in answers.chain(repeated.into_iter().map(|answer| (answer, Kept::Known))) {
            let _ = answer.send(written.clone().map(|()| kept));
        }
    }

    fn line(&self, accepted: Accepted, set: Option<String>) -> Value {
        let mut line = Map::new();
        line.insert("receivedAt".into(), self.clock.now().to_string().into());
        line.insert("jti".into(), accepted.jti.into());
        line.insert("claims".into(), Value::Object(accepted.claims));
        line.extend(set.map(|set| ("set".into(), set.into())));
        Value::Object(line)
    }

    fn write(&mut self, lines: &[u8], jtis: &[u8]) -> Result<(), NotKept> {
        match &mut self.sink {
            Sink::File(journal) => journal.append(lines).map_err(|error| NotKept(format!("--output: {error}")))?,
            Sink::Stdout => {
                let mut output = io::stdout().lock();
                if let Err(error) = output.write_all(lines).and_then(|()| output.flush()) {
                    // Nobody reads any more, and a line may be torn.
                    self.stop.end(Ending::Failed(format!("the standard output: {error}")));
                    return Err(NotKept(format!("the standard output: {error}")));
                }
            }
            Sink::Nowhere => {}
        }
        let state = self.state.as_mut().map_or(Ok(()), |state| state.append(jtis));
        state.map_err(|error| NotKept(format!("--state: {error}")))
    }

    /// Runs the command with the claims on its standard input.
    fn run_command(&self, accepted: &Accepted) -> Result<(), String> {
        let Some(command) = &self.command else { return Ok(()) };
        let claims = Value::Object(accepted.claims.clone()).to_string();
        self.runtime.block_on(async {
            let limit = Duration::from_millis(limits::RECEIVE_COMMAND_MS);
            match tokio::time::timeout(limit, execute(command, &accepted.jti, claims)).await {
                Ok(result) => result,
                Err(_) => Err(format!("--exec: the command took longer than {} s", limit.as_secs())),
            }
        })
    }
}

async fn execute(command: &str, jti: &str, claims: String) -> Result<(), String> {
    let fail = |error: io::Error| format!("--exec: {error}");
    let mut process = tokio::process::Command::new("sh");
    process.arg("-c").arg(command).env("CARILLON_JTI", jti).stdin(Stdio::piped()).kill_on_drop(true);
    let mut child = process.spawn().map_err(fail)?;
    let input = child.stdin.take();
    let feed = async {
        if let Some(mut input) = input {
            // A command that does not read its input closes it.
            let _ = input.write_all(claims.as_bytes()).await;
            let _ = input.write_all(b"\n").await;
        }
    };
    let ((), status) = tokio::join!(feed, child.wait());
    let status = status.map_err(fail)?;
    if status.success() { Ok(()) } else { Err(format!("--exec: the command ended with {status}")) }
}
