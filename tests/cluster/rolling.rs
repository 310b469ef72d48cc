//! Nodes whose configurations index different attributes, while one replaces the other under load.

use crate::support::client::Client;
use crate::support::fixture::group;
use crate::support::server::{Server, Settings};
use crate::support::wait::{PATIENCE, until};
use serde_json::{Value, json};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinHandle;

const TEAM: &str = "urn:example:scim:schemas:Team";
const BILLING: &str = "urn:example:scim:schemas:extension:Billing";
const WRITERS: usize = 3;
/// A node whose index another one does not keep is waited for, for 16 seconds.
const TAKES_OVER_WITHIN: Duration = Duration::from_mins(1);
/// Indexes that are not built to their end.
const UNFINISHED: &str = "SELECT count(*)::text FROM indexed WHERE phase <> 'whole'";

fn base() -> Settings {
    let schemas = format!("{}/tests/fixtures/schemas/teams.json", env!("CARGO_MANIFEST_DIR"));
    Settings::default().store("postgres").with("PUBLIC_URL", "https://carillon.example").with("SCHEMA_PATH", &schemas)
}

/// Writers that go round the nodes, and ask each of them after every write.
#[derive(Clone, Default)]
struct Load {
    nodes: Arc<Mutex<Vec<Client>>>,
    is_over: Arc<AtomicBool>,
    written: Arc<AtomicUsize>,
}

impl Load {
    fn use_nodes(&self, nodes: &[&Server]) {
        *self.nodes.lock().expect("the nodes") = nodes.iter().map(|node| node.client()).collect();
    }

    /// Creates teams that name this writer, one after another; each node finds as many as there are, at any time.
    async fn write(self, writer: usize) {
        let filter = format!("/Teams?count=0&filter={BILLING}:contact%20eq%20%22writer-{writer}%22");
        for number in 1_usize.. {
            if self.is_over.load(Ordering::SeqCst) {
                return;
            }
            let nodes = self.nodes.lock().expect("the nodes").clone();
            let billing = json!({"account": format!("{writer}-{number}"), "contact": format!("Writer-{writer}")});
            let team = json!({"schemas": [TEAM, BILLING], "displayName": format!("Team {writer} {number}"), BILLING: billing});
            let created = nodes[number % nodes.len()].post("/Teams", &team).await;
            assert_eq!(created.status, 201, "{}", created.text());
            for node in &nodes {
                let found = node.get(&filter).await;
                // One that has stood still may not know; it never tells what is wrong.
                assert!(matches!(found.status, 200 | 503), "{}", found.text());
                if found.status == 200 {
                    assert_eq!(found.json()["totalResults"], json!(number), "{}", node.base);
                }
            }
            self.written.fetch_add(1, Ordering::SeqCst);
        }
    }

    fn begin(&self) -> Vec<JoinHandle<()>> {
        (0..WRITERS).map(|writer| tokio::spawn(self.clone().write(writer))).collect()
    }

    /// Waits until so many more are written.
    async fn goes_on(&self, more: usize) {
        let enough = self.written.load(Ordering::SeqCst) + more;
        until("clients write", PATIENCE, || async { (self.written.load(Ordering::SeqCst) >= enough).then_some(()) }).await;
    }
}

/// I7 I8: no search misses anything, whichever node is asked and whichever index is being built, and no node stops to serve.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_another_index_is_rolled_out_under_load_and_back() {
    const ENTRIES: &str = "SELECT count(*)::text FROM lookup WHERE path = (SELECT code FROM path WHERE name LIKE '%:contact')";
    let older = base();
    let newer = older.clone().with("INDEXED_ATTRIBUTES", &format!("Team:{BILLING}:contact"));
    let (load, mut old) = (Load::default(), Server::start(&older));
    load.use_nodes(&[&old]);
    let writers = load.begin();
    load.goes_on(30).await;
    let new = Server::start(&newer);
    load.use_nodes(&[&old, &new]);
    load.goes_on(60).await;
    new.says("indexes are not built while nodes of another configuration are running").await;
    assert_eq!(older.ask(UNFINISHED).as_deref(), Some("1"));
    load.use_nodes(&[&new]);
    // What was under way at the old one is over.
    load.goes_on(2 * WRITERS).await;
    old.terminate();
    assert!(old.ended().await.success(), "{}", old.output());
    let built = || async { (older.ask(UNFINISHED).as_deref() == Some("0")).then_some(()) };
    until("the index is whole", TAKES_OVER_WITHIN, built).await;
    load.goes_on(60).await;
    // Back: the index is taken from the new one before the other writes.
    let settings = older.clone();
    let back = tokio::task::spawn_blocking(move || Server::start(&settings)).await.expect("a node");
    assert!(back.output().contains("waiting until they have noticed"), "{}", back.output());
    new.says("a node with other settings has begun: the attribute is no longer indexed").await;
    load.use_nodes(&[&back, &new]);
    load.goes_on(60).await;
    load.is_over.store(true, Ordering::SeqCst);
    for writer in writers {
        writer.await.expect("nothing was missed");
    }
    let mut new = new;
    new.terminate();
    assert!(new.ended().await.success());
    let gone = || async { (older.ask(ENTRIES).as_deref() == Some("0")).then_some(()) };
    until("what nobody asks for is removed", TAKES_OVER_WITHIN, gone).await;
}

fn signal(node: &Server, name: &str) {
    let status = Command::new("kill").args([name, &node.id().to_string()]).status().expect("kill runs");
    assert!(status.success(), "kill {name}: {status}");
}

/// A node stands still while its index is taken from it, and is asked in the moment in which it goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stood_still_finds_everything_or_says_that_it_cannot() {
    let older = base();
    let newer = older.clone().with("INDEXED_ATTRIBUTES", "User:title");
    let asleep = Server::start(&newer);
    let titled = |name: &str| crate::support::fixture::user_with(name, json!({"title": "sleeper"}));
    assert_eq!(asleep.client().post("/Users", &titled("before")).await.status, 201);
    let find = |client: Client| async move { client.get("/Users?count=0&filter=title%20eq%20%22sleeper%22").await };
    assert_eq!(find(asleep.client()).await.json()["totalResults"], json!(1));
    signal(&asleep, "-STOP");
    let settings = older.clone();
    let awake = tokio::task::spawn_blocking(move || Server::start(&settings)).await.expect("a node");
    assert_eq!(awake.client().post("/Users", &titled("meanwhile")).await.status, 201);
    // They wait for it to go on.
    let asked: Vec<_> = (0..16).map(|_| tokio::spawn(find(asleep.client()))).collect();
    signal(&asleep, "-CONT");
    for asked in asked {
        let found = asked.await.expect("an answer");
        if found.status == 503 {
            assert!(found.header("retry-after").is_some());
        } else {
            assert_eq!((found.status, found.json()["totalResults"].clone()), (200, json!(2)));
        }
    }
    let knows = || async { (find(asleep.client()).await.status == 200).then_some(()) };
    until("it has looked", PATIENCE, knows).await;
}

async fn groups_named(client: &Client, name: &str) -> Value {
    client.get(&format!("/Groups?count=0&filter=displayName%20eq%20%22{name}%22")).await.json()["totalResults"].clone()
}

/// I1: what is to be unique is so from the first write on of a node that says it: it waits for those that do not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_keeps_more_unique_waits_for_those_that_do_not() {
    const NEWER: &str = "SELECT count(*)::text FROM pg_stat_activity WHERE application_name = current_schema() || '-newer'";
    let newer = base();
    let older = newer.clone().with("UNIQUE_GROUP_NAMES", "false");
    let mut old = Server::start(&older);
    let client = old.client();
    let name = newer.ask("SELECT current_schema()::text").expect("a schema");
    let settings = newer.clone().with("PGAPPNAME", &format!("{name}-newer"));
    let starting = tokio::task::spawn_blocking(move || Server::start(&settings));
    let there = || async { (newer.ask(NEWER).as_deref() != Some("0")).then_some(()) };
    until("the newer one is there", PATIENCE, there).await;
    for number in 0..100 {
        assert_eq!(client.post("/Groups", &group(&format!("G{number}"))).await.status, 201);
    }
    assert!(!starting.is_finished(), "it waits");
    old.terminate();
    assert!(old.ended().await.success());
    let nodes = [starting.await.expect("a node"), Server::start(&newer)];
    assert!(
        nodes[0].output().contains("waiting for the nodes to end that do not keep an index to be unique"),
        "{}",
        nodes[0].output()
    );
    for number in 0..120 {
        // Every name of the old one, and some that are new, at both at once.
        let (name, is_known) = (format!("g{number}"), number < 100);
        let body = group(&name);
        let (clients, body) = (nodes.each_ref().map(Server::client), &body);
        let (one, other) = tokio::join!(clients[0].post("/Groups", body), clients[1].post("/Groups", body));
        let mut statuses = [one.status, other.status];
        statuses.sort_unstable();
        assert_eq!(statuses, if is_known { [409, 409] } else { [201, 409] }, "{name}");
        assert_eq!(groups_named(&clients[1], &name).await, json!(1));
    }
    // The other way round: one that would not keep it does not take it from those that do, but by their leave.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let twice = older.clone().folder(folder.path());
    let back = tokio::task::spawn_blocking(move || Server::start(&twice)).await.expect("a node");
    assert_eq!(back.client().post("/Groups", &group("G1")).await.status, 201, "its configuration allows it");
    drop(nodes);
    drop(back);
    // Now two share a name: nothing that keeps names unique starts, and it says why.
    let refused = newer.clone().folder(folder.path()).run_to_its_end();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(said.contains("two resources share a value of 'displayName', which is to be unique"), "{said}");
    assert_eq!(refused.status.code(), Some(2));
}
