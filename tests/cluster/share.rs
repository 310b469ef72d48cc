//! Push streams are shared out among the nodes there are.

use crate::support::fixture::user;
use crate::support::history::receipts::{Receipts, check_receipts, event_of};
use crate::support::receiver::{Received, Receiver};
use crate::support::server::{Server, Settings};
use crate::support::wait::{PATIENCE, until};
use crate::two_nodes;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

const STREAMS: usize = 6;
/// Users whose events come one after the other.
const SUBJECTS: usize = 5;
/// Long enough for a lease to run out and be taken.
const TAKES_OVER_WITHIN: Duration = Duration::from_secs(90);
/// Long before a lease that nobody has given back runs out.
const HANDS_OVER_WITHIN: Duration = Duration::from_secs(10);

/// How many streams each node owns, the fewest first.
fn shares(settings: &Settings) -> Vec<usize> {
    let sql = "SELECT string_agg(owner, ' ') FROM lease WHERE name LIKE 'push/%' AND until > clock_timestamp()";
    let mut owners: BTreeMap<String, usize> = BTreeMap::new();
    for owner in settings.ask(sql).unwrap_or_default().split_whitespace() {
        *owners.entry(owner.to_owned()).or_default() += 1;
    }
    let mut shares: Vec<usize> = owners.into_values().collect();
    shares.sort_unstable();
    shares
}

async fn shared_as(settings: &Settings, expected: &[usize], bound: Duration) {
    let are_shared = || async { (shares(settings) == expected).then_some(()) };
    until(&format!("the streams are shared as {expected:?}"), bound, are_shared).await;
}

/// Changes users at a node, one after the other, until it is told to stop. Tells how many events that came to.
fn write(node: &Server, stops: &Arc<AtomicBool>) -> JoinHandle<usize> {
    let (client, stops) = (node.client(), Arc::clone(stops));
    tokio::spawn(async move {
        let mut paths = Vec::new();
        for number in 0..SUBJECTS {
            paths.push(format!("/Users/{}", client.post("/Users", &user(&format!("subject-{number}"))).await.id()));
        }
        let mut events = SUBJECTS;
        let mut ticks = tokio::time::interval(Duration::from_millis(20));
        while !stops.load(Ordering::SeqCst) {
            ticks.tick().await;
            let title = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
                "Operations": [{"op": "replace", "path": "title", "value": format!("title {events}")}]});
            assert!(client.patch(&paths[events % SUBJECTS], &title).await.status < 300);
            events += 1;
        }
        events
    })
}

async fn receivers() -> (Vec<Receiver>, tempfile::NamedTempFile) {
    let (mut receivers, mut file) = (Vec::new(), String::new());
    for number in 0..STREAMS {
        let receiver = Receiver::start().await;
        let _ = writeln!(file, "[[events.streams]]\nname = \"push-{number}\"\npush = \"{}\"\nformat = \"json\"", receiver.url());
        receivers.push(receiver);
    }
    let configuration = tempfile::Builder::new().suffix(".toml").tempfile().expect("a file");
    std::fs::write(configuration.path(), file).expect("written");
    (receivers, configuration)
}

/// Every receiver has every event, each subject's in order.
async fn received_everything(node: &Server, receivers: &[Receiver], events: usize) {
    let log = node.client().feed(None, 1_000).await;
    assert_eq!(log.len(), events);
    for (number, receiver) in receivers.iter().enumerate() {
        let received = || receiver.received().iter().map(Received::claims).collect::<Vec<_>>();
        let is_whole = || async {
            let known: BTreeSet<String> = received().iter().map(|claims| event_of(claims).to_owned()).collect();
            (known.len() >= events).then_some(())
        };
        until(&format!("receiver {number} has {events} events"), TAKES_OVER_WITHIN, is_whole).await;
        let receipts = Receipts { receiver: format!("push-{number}"), sets: received() };
        let violations = check_receipts(&log, &[receipts]);
        assert!(violations.is_empty(), "{violations:?}");
    }
}

/// I4 I5: nodes come and go, one of them by a kill, while users change.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_pushes_its_share_of_the_streams() {
    let (receivers, configuration) = receivers().await;
    let path = configuration.path().display().to_string();
    let (settings, [stays, mut goes]) = two_nodes(|settings| settings.arguments(&["--config", &path]));
    let stops = Arc::new(AtomicBool::new(false));
    let writing = write(&stays, &stops);
    // The one that was there first has given back what is not its share.
    shared_as(&settings, &[3, 3], PATIENCE).await;
    goes.kill();
    shared_as(&settings, &[6], TAKES_OVER_WITHIN).await;
    let back = Server::start(&settings);
    shared_as(&settings, &[3, 3], PATIENCE).await;
    stops.store(true, Ordering::SeqCst);
    let events = writing.await.expect("a writer");
    received_everything(&back, &receivers, events).await;
    assert_eq!(shares(&settings), [3, 3]);
}

/// I4 I5: who is stopped in order gives back what it has, and nobody waits until a lease runs out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_hands_its_streams_over_at_once() {
    let (receivers, configuration) = receivers().await;
    let path = configuration.path().display().to_string();
    let (settings, [stays, mut stopped]) = two_nodes(|settings| settings.arguments(&["--config", &path]));
    let stops = Arc::new(AtomicBool::new(false));
    let writing = write(&stays, &stops);
    for _ in 0..2 {
        shared_as(&settings, &[3, 3], PATIENCE).await;
        stopped.terminate();
        assert!(stopped.ended().await.success());
        shared_as(&settings, &[6], HANDS_OVER_WITHIN).await;
        stopped = Server::start(&settings);
    }
    shared_as(&settings, &[3, 3], PATIENCE).await;
    stops.store(true, Ordering::SeqCst);
    let events = writing.await.expect("a writer");
    received_everything(&stopped, &receivers, events).await;
    // Nothing is left of those that are gone.
    let nodes = || async {
        (settings.ask("SELECT count(*)::text FROM lease WHERE name LIKE 'node/%'").as_deref() == Some("2")).then_some(())
    };
    until("two nodes are there", TAKES_OVER_WITHIN, nodes).await;
}
