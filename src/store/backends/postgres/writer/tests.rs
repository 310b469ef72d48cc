//! Whatever is committed in whatever batches, a server comes to what the store in memory comes to.

use super::{Batch, Job, next_patience};
use crate::base::id::{Key, ResourceId, Tenant, TypeCode};
use crate::base::limits;
use crate::event::Event;
use crate::event::template::Data;
use crate::scim::resource::{Member, MemberChange};
use crate::scim::version::Precondition;
use crate::store::backends::postgres::Postgres;
use crate::store::backends::server::Schema;
use crate::store::in_order::Tried;
use crate::store::tests::fixture::{EVERYTHING, GROUP, USER};
use crate::store::tests::{Fixture, group, user};
use crate::store::{Change, Committed, Detail, Effect, Guard, Place, Query, Result, Start, Store, StoreErrorKind, Stored, Unit};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use serde_json::Value;
use sqlx::PgConnection;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use tokio::sync::oneshot;

/// So few ids and names that units meet all the time. An id is a user's or a group's.
const IDS: Range<usize> = 0..5;
const NAMES: [&str; 5] = ["ann", "Ann", "bob", "cid", "dan"];
/// It is a member now and then, and names no resource.
const NOBODY: &str = "nobody";

/// A batch: what is taken at once.
type Jobs = Vec<Planned>;

#[derive(Clone, Debug)]
enum Planned {
    One(Steps),
    InOrder(Vec<Steps>, Option<usize>),
}

/// A unit: a change for each of these ids.
type Steps = BTreeMap<usize, Step>;

#[derive(Clone, Debug)]
struct Step {
    is_group: bool,
    action: Action,
    /// The plan was made from something else.
    guard: Guarded,
    members: Moves,
    /// A group that the unit creates is changed by it once more.
    again: Option<Moves>,
    has_representation: bool,
    secrets: Option<&'static str>,
}

#[derive(Clone, Copy, Debug)]
enum Action {
    /// What there is goes, is replaced, or keeps its document; what there is not comes into being.
    Fit(u8),
    Create,
    Replace,
    Keep,
    Delete,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Guarded {
    Well,
    StaleRevision,
    StaleVersion,
    RightMatch,
    WrongMatch,
}

#[derive(Clone, Debug)]
struct Moves {
    is_reset: bool,
    present: BTreeSet<usize>,
    absent: BTreeSet<usize>,
    are_known: bool,
    name: usize,
}

fn moves() -> impl Strategy<Value = Moves> {
    let ids = || btree_set(0..IDS.end + 1, 0..4);
    (proptest::bool::weighted(0.2), ids(), ids(), proptest::bool::weighted(0.3), 0..NAMES.len()).prop_map(
        |(is_reset, present, absent, are_known, name)| {
            let absent = if is_reset { BTreeSet::new() } else { absent.difference(&present).copied().collect() };
            Moves { is_reset, present, absent, are_known, name }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let action = prop_oneof![
        12 => (0..5u8).prop_map(Action::Fit),
        1 => Just(Action::Create),
        1 => Just(Action::Replace),
        2 => Just(Action::Keep),
        1 => Just(Action::Delete),
    ];
    let guard = prop_oneof![
        12 => Just(Guarded::Well),
        1 => Just(Guarded::StaleRevision),
        1 => Just(Guarded::StaleVersion),
        1 => Just(Guarded::RightMatch),
        1 => Just(Guarded::WrongMatch),
    ];
    let secrets = prop_oneof![3 => Just(None), 1 => Just(Some("{\"password\":\"hash\"}")), 1 => Just(Some(""))];
    let again = proptest::option::weighted(0.3, moves());
    (any::<bool>(), action, guard, moves(), again, any::<bool>(), secrets).prop_map(
        |(is_group, action, guard, members, again, has_representation, secrets)| Step {
            is_group,
            action,
            guard,
            members,
            again,
            has_representation,
            secrets,
        },
    )
}

fn jobs() -> impl Strategy<Value = Jobs> {
    let steps = || proptest::collection::btree_map(IDS, step(), 1..4);
    let most = prop_oneof![Just(None), (1..3usize).prop_map(Some)];
    let planned = prop_oneof![
        3 => steps().prop_map(Planned::One),
        1 => (vec(steps(), 0..4), most).prop_map(|(all, most)| Planned::InOrder(all, most)),
    ];
    vec(planned, 1..7)
}

fn id(number: usize) -> String {
    if number < IDS.end { format!("id{number}") } else { NOBODY.into() }
}

/// The store in memory, from which units are planned, and to which they happen one by one.
struct Model {
    fixture: Fixture,
    tenant: Tenant,
    time: i64,
}

impl Model {
    fn key(&self, kind: TypeCode, number: usize) -> Key {
        Key { tenant: self.tenant, kind, id: ResourceId::parse(&id(number)) }
    }

    /// The resource of an id, whatever its type.
    async fn there(&self, number: usize) -> Option<Stored> {
        for kind in [USER, GROUP] {
            let found = self.fixture.get(&self.key(kind, number)).await;
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn document(kind: TypeCode, moves: &Moves) -> Value {
        let name = NAMES[moves.name];
        let mut document = if kind == USER { user(name) } else { group(name) };
        // Often none: who has no value of an indexed attribute is kept as well.
        if moves.name > 0 {
            document["externalId"] = format!("x{}", moves.present.len() % 2).into();
        }
        document
    }

    async fn changes(&self, number: usize, step: &Step) -> Vec<Change> {
        let there = self.there(number).await;
        let action = match (step.action, &there) {
            (Action::Fit(_), None) => Action::Create,
            (Action::Fit(0), Some(_)) => Action::Delete,
            (Action::Fit(1), Some(_)) => Action::Replace,
            (Action::Fit(_), Some(_)) => Action::Keep,
            (action, _) => action,
        };
        let asked = if step.is_group { GROUP } else { USER };
        // Of the type that it has, but for those that are wrong on purpose.
        let kind = there.as_ref().map_or(asked, |there| if matches!(step.action, Action::Fit(_)) { there.key.kind } else { asked });
        let there = there.filter(|there| there.key.kind == kind);
        let before: Value = there.as_ref().map_or(Value::Null, |there| serde_json::from_slice(&there.body).expect("JSON"));
        let key = self.key(kind, number);
        let after = Self::document(kind, &step.members);
        let mut change = match action {
            Action::Delete => self.fixture.delete(key.clone(), &before),
            Action::Replace => self.fixture.replace(key.clone(), &before, &after),
            Action::Create | Action::Fit(_) => self.fixture.create(key.clone(), &after),
            Action::Keep => self.keep(&key),
        };
        if let Effect::Create(document) | Effect::Replace(document) = &mut change.effect {
            document.secrets = step.secrets.map(str::to_owned);
        }
        let has_members = kind == GROUP && !matches!(action, Action::Delete);
        if has_members {
            Self::moved(&mut change, &step.members);
        }
        if step.has_representation && !matches!(action, Action::Delete) {
            change.events[0].data = Data::Representation(after.to_string());
        }
        change.guard = guard(step.guard, action, there.as_ref());
        let again = step.again.as_ref().filter(|_| has_members && matches!(change.effect, Effect::Create(_)));
        let again = again.map(|moves| {
            let mut again = self.keep(&key);
            Self::moved(&mut again, moves);
            again.txn = Some("again".into());
            again
        });
        std::iter::once(change).chain(again).collect()
    }

    /// A change of members alone.
    fn keep(&self, key: &Key) -> Change {
        let kept = self.fixture.create(key.clone(), &Value::Null);
        Change { effect: Effect::Keep, ..kept }
    }

    fn moved(change: &mut Change, moves: &Moves) {
        let member =
            |number: &usize| Member { id: ResourceId::parse(&id(*number)), kind: Some("Device".into()), display: Some("a".into()) };
        change.members = MemberChange {
            reset: moves.is_reset,
            present: moves.present.iter().map(member).collect(),
            absent: moves.absent.iter().map(|number| ResourceId::parse(&id(*number))).collect(),
        };
        change.known_members_only = moves.are_known;
    }

    /// Plans a unit from what there is now.
    async fn unit(&mut self, steps: &Steps) -> Unit {
        self.time += 1;
        let mut changes = Vec::new();
        for (number, step) in steps {
            changes.extend(self.changes(*number, step).await);
        }
        Unit { at: crate::base::clock::Timestamp(self.time), txn: format!("txn-{}", self.time), changes }
    }

    /// Plans a job, does it, and tells what it came to.
    async fn job(&mut self, planned: &Planned) -> (Vec<Unit>, Option<usize>, Vec<Result<Committed>>) {
        match planned {
            Planned::One(steps) => {
                let unit = self.unit(steps).await;
                let outcome = self.fixture.backend.store.commit(unit.clone()).await;
                (vec![unit], None, vec![outcome])
            }
            Planned::InOrder(all, most_failures) => {
                let (mut units, mut tried, mut goes_on) = (Vec::new(), Tried::new(*most_failures), true);
                for steps in all {
                    let unit = self.unit(steps).await;
                    units.push(unit.clone());
                    if goes_on {
                        goes_on = tried.push(self.fixture.backend.store.commit(unit).await).is_continue();
                    }
                }
                (units, *most_failures, tried.into_results())
            }
        }
    }
}

/// A document's write is always planned from a document; a plan of nothing finds nothing.
fn guard(guarded: Guarded, action: Action, there: Option<&Stored>) -> Guard {
    let (revision, version) = there.map_or((1, 1), |there| (there.revision, there.version));
    let precondition = match guarded {
        Guarded::RightMatch => Some(Precondition::Versions(vec![version])),
        Guarded::WrongMatch => Some(Precondition::Versions(vec![version + 7])),
        _ => None,
    };
    let is_planned = matches!(action, Action::Replace | Action::Delete);
    let revision = if guarded == Guarded::StaleRevision { Some(revision + 7) } else { is_planned.then_some(revision) };
    let version = (guarded == Guarded::StaleVersion).then_some(version + 7);
    Guard { revision, version, precondition }
}

/// What a unit came to, in words that two stores share.
fn told(outcome: &Result<Committed>) -> Result<Committed, (StoreErrorKind, Option<usize>)> {
    match outcome {
        Ok(committed) => Ok(committed.clone()),
        Err(error) => Err((error.kind.clone(), error.change)),
    }
}

/// Everything that can be read.
async fn everything(store: &dyn Store, model: &Model) -> Vec<String> {
    let mut seen = Vec::new();
    for kind in [USER, GROUP] {
        for number in IDS {
            seen.push(format!("{:?}", store.get(&model.key(kind, number), EVERYTHING).await.expect("a read")));
        }
        let name = if kind == USER { "userName" } else { "displayName" };
        let mut searches: Vec<(Option<String>, Option<&str>)> = vec![(None, None), (None, Some("externalId")), (None, Some(name))];
        searches.extend(NAMES.map(|value| (Some(format!("{name} eq \"{value}\"")), None)));
        searches.extend(["x0", "x1"].map(|value| (Some(format!("externalId eq \"{value}\"")), None)));
        searches.push((Some("externalId pr".into()), Some("-externalId")));
        for (filter, sort) in searches {
            let query = model.fixture.query(kind, filter.as_deref(), sort, Start::Offset(0), 100);
            let page = store.query(&Query { tenant: model.tenant, detail: Detail::default(), ..query }).await.expect("a page");
            let ids: Vec<_> = page.resources.iter().map(|stored| (stored.key.id.to_string(), stored.version)).collect();
            seen.push(format!("{filter:?} {sort:?}: {:?} {ids:?} {:?}", page.total, page.keys));
        }
    }
    seen
}

/// The events, without their places and ids, which are each store's own.
async fn events(ledger: &dyn crate::store::Ledger, tenant: Tenant) -> Vec<Event> {
    let read = ledger.read(tenant, Place(0), 10_000).await.expect("the log");
    read.events.into_iter().map(|logged| Event { id: crate::base::id::EventId(uuid::Uuid::nil()), ..logged.event }).collect()
}

/// Rows that stand for nothing.
async fn leftovers(node: &Postgres, tenant: Tenant) -> i64 {
    const SQL: &str = "SELECT count(*) FROM ( \
            SELECT tenant, type, id FROM unique_key UNION ALL SELECT tenant, type, id FROM lookup \
            UNION ALL SELECT tenant, type, id FROM bare UNION ALL SELECT tenant, 2, group_id FROM member \
        ) AS kept WHERE tenant = $1 AND NOT EXISTS (SELECT FROM resource r \
            WHERE r.tenant = kept.tenant AND r.type = kept.type AND r.id = kept.id)";
    let query = sqlx::query_scalar(SQL).bind(i32::try_from(tenant.0).expect("a tenant"));
    node.shared.ask("count", async |connection| query.fetch_one(connection).await).await.expect("a count")
}

/// Commits jobs as one batch.
async fn commit(
    node: &Postgres,
    connection: &mut Option<PgConnection>,
    jobs: Vec<(Vec<Unit>, Option<usize>, bool)>,
) -> Vec<Vec<Result<Committed>>> {
    enum Answer {
        One(oneshot::Receiver<Result<Committed>>),
        InOrder(oneshot::Receiver<Vec<Result<Committed>>>),
    }
    let (jobs, answers): (Vec<Job>, Vec<Answer>) = jobs
        .into_iter()
        .map(|(mut units, most_failures, is_one)| {
            if is_one {
                let (sender, answer) = oneshot::channel();
                (Job::Commit(units.remove(0), sender), Answer::One(answer))
            } else {
                let (sender, answer) = oneshot::channel();
                (Job::InOrder(units, most_failures, sender), Answer::InOrder(answer))
            }
        })
        .unzip();
    Batch { shared: &node.shared, slot: 0, lock_ms: limits::DATABASE_LOCK_MS }.commit(connection, jobs).await;
    let mut outcomes = Vec::new();
    for answer in answers {
        outcomes.push(match answer {
            Answer::One(answer) => vec![answer.await.expect("an answer")],
            Answer::InOrder(answer) => answer.await.expect("answers"),
        });
    }
    outcomes
}

/// How often what the cases are about has happened.
#[derive(Debug, Default)]
struct Seen {
    committed: Cell<usize>,
    refused: Cell<usize>,
    cascades: Cell<usize>,
}

fn add(cell: &Cell<usize>, more: usize) {
    cell.set(cell.get() + more);
}

/// I1 I4
#[test]
fn batches_come_to_what_their_units_come_to_one_by_one() {
    const CASES: u32 = 256;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (schema, node) = runtime.block_on(async {
        let schema = Schema::new().await;
        let node = schema.node().await;
        (schema, node)
    });
    let seen = Seen::default();
    let tenants = Cell::new(0);
    let connection = Cell::new(None);
    let config = ProptestConfig { cases: CASES, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&vec(jobs(), 1..6), |batches| {
        tenants.set(tenants.get() + 1);
        let mut model = Model { fixture: Fixture::new("memory"), tenant: Tenant(tenants.get()), time: 0 };
        let mut writer = connection.take();
        runtime.block_on(async {
            for batch in &batches {
                let (mut jobs, mut expected) = (Vec::new(), Vec::new());
                for planned in batch {
                    let (units, most_failures, outcomes) = model.job(planned).await;
                    jobs.push((units, most_failures, matches!(planned, Planned::One(_))));
                    expected.push(outcomes);
                }
                let outcomes = commit(&node, &mut writer, jobs.clone()).await;
                for ((outcomes, expected), (units, ..)) in outcomes.iter().zip(&expected).zip(&jobs) {
                    let (outcomes, expected): (Vec<_>, Vec<_>) =
                        (outcomes.iter().map(told).collect(), expected.iter().map(told).collect());
                    add(&seen.committed, expected.iter().filter(|outcome| outcome.is_ok()).count());
                    add(&seen.refused, expected.iter().filter(|outcome| outcome.is_err()).count());
                    prop_assert_eq!(outcomes, expected, "{:#?}", units);
                }
            }
            let memory = &model.fixture.backend;
            prop_assert_eq!(everything(&node, &model).await, everything(memory.store.as_ref(), &model).await);
            crate::store::Ledger::settled(&node).await;
            let (here, there) = (events(&node, model.tenant).await, events(memory.ledger.as_ref(), model.tenant).await);
            add(
                &seen.cascades,
                there.iter().filter(|event| event.attributes == ["members"] && event.subject.kind == GROUP).count(),
            );
            prop_assert_eq!(here, there);
            prop_assert_eq!(leftovers(&node, model.tenant).await, 0);
            connection.set(writer);
            Ok(())
        })
    });
    drop((connection, node));
    runtime.block_on(schema.drop());
    outcome.expect("the stores agree");
    let shown = format!("{seen:?}");
    assert!(seen.committed.get() > 300 && seen.refused.get() > 300 && seen.cascades.get() > 100, "{shown}");
}

#[test]
fn a_row_that_is_held_makes_others_wait_long_once_and_the_long_wait_comes_back() {
    let (long, short) = (limits::DATABASE_LOCK_MS, limits::DATABASE_LOCK_ALONE_MS);
    assert_eq!((next_patience(long, false), next_patience(long, true), next_patience(short, false)), (long, short, long));
    // Whatever holds it, and however often: the wait grows until it is the long one.
    let waits = std::iter::successors(Some(short), |wait| Some(next_patience(*wait, true)).filter(|next| *next > short));
    let waits: Vec<u64> = waits.collect();
    assert!(waits.is_sorted() && waits.last() == Some(&long), "{waits:?}");
}
