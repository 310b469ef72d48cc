//! A bulk request under way: what became of its operations so far, and which come next.

use super::super::Engine;
use super::super::write::{Action, Write};
use super::run::{Candidate, Failure, Run, Settled};
use super::{Performed, Processed};
use crate::auth::Caller;
use crate::base::clock::Timestamp;
use crate::base::id::{Key, ResourceId};
use crate::base::limits;
use crate::scim::bulk::{Bulk, Method, Request, Target};
use crate::scim::error::{Error, ErrorKind, Result};
use crate::scim::path::shorten;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

pub(super) struct Job<'a> {
    pub(super) engine: &'a Engine,
    pub(super) caller: &'a Caller,
    pub(super) bulk: Bulk,
    /// When no further operation is begun.
    pub(super) deadline: Instant,
    /// The transaction of the whole request.
    txn: String,
    states: Vec<State>,
    /// The ids of what the POSTs create. In a circle they are there before it is created.
    ids: Vec<Option<String>>,
    /// Whether the references of each operation have been resolved.
    resolved: Vec<bool>,
    failures: usize,
}

/// What became of an operation.
#[derive(Clone, Debug)]
enum State {
    /// Nothing yet.
    Waiting,
    /// It was performed and led to this version.
    Performed(u64),
    /// It failed.
    Failed(Error),
}

/// Whether operations can be planned.
enum Readiness {
    Ready,
    /// They refer to what is not created yet.
    Waits,
    /// This one of them can never be.
    Hopeless(usize, Error),
}

impl<'a> Job<'a> {
    pub(super) fn new(engine: &'a Engine, caller: &'a Caller, bulk: Bulk) -> Self {
        let count = bulk.operations.len();
        Self {
            engine,
            caller,
            bulk,
            deadline: Instant::now() + Duration::from_millis(engine.limits.request_ms),
            txn: engine.txn(),
            states: vec![State::Waiting; count],
            ids: vec![None; count],
            resolved: vec![false; count],
            failures: 0,
        }
    }

    /// Performs what can be performed.
    pub(super) async fn work(&mut self) {
        let order = self.bulk.order();
        let (mut first, mut most) = (0, limits::BULK_RUN_UNITS);
        while !self.has_failed_enough() {
            first += order[first..].iter().take_while(|together| !self.is_waiting(together)).count();
            if first == order.len() {
                return;
            }
            if self.is_late() {
                self.give_up();
                return;
            }
            let ready = self.ready(&order[first..], most);
            let settled = Run::new(self, &ready).settle().await;
            // What others overtook is planned again by itself, under the lock of its resource.
            most = if self.note(settled) { 1 } else { limits::BULK_RUN_UNITS };
        }
    }

    /// What became of each operation that was processed, in the order of the request.
    pub(super) fn into_processed(self) -> Vec<Processed> {
        let processed = self.states.iter().enumerate().filter_map(|(operation, state)| {
            let written = &self.bulk.operations[operation];
            let outcome = match (state, &written.request) {
                (State::Waiting, _) => return None,
                (State::Failed(error), _) | (State::Performed(_), Err(error)) => Err(error.clone()),
                (State::Performed(version), Ok(Request { method, .. })) => {
                    Ok(Performed { method: *method, version: Some(*version).filter(|_| *method != Method::Delete) })
                }
            };
            let (method, bulk_id) = (written.method.clone(), written.bulk_id.clone());
            Some(Processed { method, bulk_id, address: self.address(operation), outcome })
        });
        processed.collect()
    }

    /// Where the resource of an operation is, as far as it can be said.
    fn address(&self, operation: usize) -> Option<String> {
        let written = &self.bulk.operations[operation];
        if written.method == Method::Post.as_str() {
            let request = written.request.as_ref().ok().filter(|_| matches!(self.states[operation], State::Performed(_)))?;
            return Some(request.kind.address("", self.ids[operation].as_ref()?));
        }
        let known = written.request.as_ref().ok().and_then(|request| Some((request, self.target(request)?)));
        known.map(|(request, id)| request.kind.address("", id)).or_else(|| written.path.clone())
    }

    /// The id of the resource that a request names.
    fn target<'b>(&'b self, request: &'b Request) -> Option<&'b str> {
        match request.target.as_ref()? {
            Target::Id(id) => Some(id),
            Target::Created(post) => self.ids[*post].as_deref(),
        }
    }

    pub(super) fn txn_of(&self, operation: usize) -> String {
        format!("{}:{operation}", self.txn)
    }

    pub(super) fn is_late(&self) -> bool {
        Instant::now() >= self.deadline
    }

    /// Until when a commit that begins now is waited for. Also when planning took all of the time, what it came to is committed.
    pub(super) fn patience(&self) -> Instant {
        let milliseconds = limits::BULK_COMMIT_MS.min(self.engine.limits.request_ms);
        self.deadline.max(Instant::now()) + Duration::from_millis(milliseconds)
    }

    /// How many operations may still fail before the request ends; `None` when it never does.
    pub(super) fn failures_left(&self) -> Option<usize> {
        self.bulk.most_failures.map(|most| most.get().saturating_sub(self.failures))
    }

    fn has_failed_enough(&self) -> bool {
        self.failures_left() == Some(0)
    }

    /// Operations that belong together have one fate.
    fn is_waiting(&self, together: &[usize]) -> bool {
        together.iter().any(|operation| matches!(self.states[*operation], State::Waiting))
    }

    /// The operations that can be planned next, with their references resolved: at most so many, in their order. Those that never
    /// can be fail.
    fn ready(&mut self, rest: &[Vec<usize>], most: usize) -> Vec<Vec<usize>> {
        let mut ready = Vec::new();
        for together in rest {
            if ready.len() >= most || self.has_failed_enough() {
                break;
            }
            if !self.is_waiting(together) {
                continue;
            }
            match self.readiness(together) {
                Readiness::Ready => {
                    self.resolve(together);
                    ready.push(together.clone());
                }
                // What stands before it may fail too, and then be the last that may.
                Readiness::Hopeless(..) if !ready.is_empty() && self.failures_left().is_some() => break,
                Readiness::Hopeless(operation, error) => self.fail(together, operation, &error),
                Readiness::Waits => break,
            }
        }
        ready
    }

    fn readiness(&self, together: &[usize]) -> Readiness {
        for operation in together.iter().copied() {
            let written = &self.bulk.operations[operation];
            if let Err(error) = &written.request {
                return Readiness::Hopeless(operation, error.clone());
            }
            for needed in written.needs.iter().copied().filter(|needed| !together.contains(needed)) {
                match &self.states[needed] {
                    State::Performed(_) => {}
                    State::Waiting => return Readiness::Waits,
                    State::Failed(_) => return Readiness::Hopeless(operation, self.not_created(needed)),
                }
            }
        }
        Readiness::Ready
    }

    /// 7644-3.7.2-02
    fn not_created(&self, post: usize) -> Error {
        let bulk_id = shorten(self.bulk.operations[post].bulk_id.as_deref().unwrap_or_default());
        Error::new(ErrorKind::Conflict, format!("The operation refers to bulkId '{bulk_id}', whose resource was not created."))
    }

    fn resolve(&mut self, together: &[usize]) {
        let Self { engine, bulk, ids, resolved, .. } = self;
        // An operation may be ready many times before its turn comes, and what it is created as does not change.
        if together.first().is_none_or(|first| std::mem::replace(&mut resolved[*first], true)) {
            return;
        }
        if bulk.is_circle(together) {
            for operation in together {
                ids[*operation].get_or_insert_with(|| engine.ids.next().to_string());
            }
        }
        for operation in together {
            bulk.resolve(*operation, |post| ids[post].as_deref());
        }
    }

    /// The candidates of the next run, as far as they change different resources. What changes members by their ids can share a group.
    pub(super) fn candidates<'b>(&'b self, ready: &[Vec<usize>]) -> Vec<Candidate<'b>> {
        let mut candidates = Vec::with_capacity(ready.len());
        let mut touched: HashMap<Key, bool> = HashMap::new();
        for together in ready {
            let at = (together.len() > 1).then(|| self.engine.clock.now());
            let write = |operation: &usize| self.write(*operation, at).map_err(|error| (*operation, error));
            let writes = together.iter().map(write).collect::<Result<Vec<_>, _>>();
            for write in writes.iter().flatten() {
                let shares = write.is_on_member_ids_only();
                if touched.insert(write.key.clone(), shares).is_some_and(|shared| !(shared && shares)) {
                    return candidates;
                }
            }
            candidates.push(Candidate { operations: together.clone(), writes });
        }
        candidates
    }

    fn write(&self, operation: usize, at: Option<Timestamp>) -> Result<Write<'_>> {
        let request = self.bulk.operations[operation].request.as_ref().map_err(Clone::clone)?;
        let Request { method, kind, precondition, data, .. } = request;
        let (caller, precondition) = (self.caller, precondition.clone());
        if *method == Method::Post {
            let id = self.ids[operation].as_deref().map(ResourceId::parse);
            let fresh = || self.engine.fresh_key(caller, kind);
            let key = id.map_or_else(fresh, |id| Key { tenant: caller.tenant, kind: kind.code, id });
            return Ok(Write { kind, key, action: Action::Create(data, at), precondition });
        }
        let id = self.target(request).unwrap_or_default();
        let key = Engine::key(caller, kind, id)?;
        let action = match method {
            Method::Patch => Action::Modify(self.engine.read_patch(kind, id, data)?),
            Method::Delete => Action::Delete,
            Method::Put | Method::Post => Action::Replace(data),
        };
        Ok(Write { kind, key, action, precondition })
    }

    /// Notes what a run came to. Returns whether it ended at an operation that others had overtaken.
    fn note(&mut self, settled: Settled) -> bool {
        for (operation, id, version) in settled.performed {
            self.states[operation] = State::Performed(version);
            if self.bulk.operations[operation].method == Method::Post.as_str() {
                self.ids[operation] = Some(id.to_string());
            }
        }
        for Failure { operations, operation, error } in settled.failed {
            self.fail(&operations, operation, &error);
        }
        settled.is_overtaken
    }

    /// Notes the failure of one of the operations that belong together, which the others share. Of what may still take effect none
    /// can say that another was not created.
    fn fail(&mut self, together: &[usize], failed: usize, error: &Error) {
        let others = if error.kind == ErrorKind::Unavailable { error.clone() } else { self.not_created(failed) };
        for operation in together.iter().copied() {
            self.states[operation] = State::Failed(if operation == failed { error.clone() } else { others.clone() });
            self.failures += 1;
        }
    }

    /// The time is up: what is left is told so, and the client can send it again.
    fn give_up(&mut self) {
        let milliseconds = self.engine.limits.request_ms;
        let detail = format!(
            "The bulk request took longer than {milliseconds} milliseconds, so that this operation was not performed; send it again."
        );
        for state in self.states.iter_mut().filter(|state| matches!(state, State::Waiting)) {
            *state = State::Failed(Error::new(ErrorKind::Unavailable, detail.clone()));
        }
    }
}
