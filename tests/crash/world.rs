//! The program, its clients, and what is known of the history.

use crate::receivers::Receivers;
use crate::support::client::Client;
use crate::support::fixture::group;
use crate::support::history::receipts::check_receipts;
use crate::support::history::{History, Kind, Operation, Outcome, Resource, check, check_walks};
use crate::support::server::{KEY, Server, Settings};
use crate::support::wait::{PATIENCE, until};
use crate::worker::{Shared, Worker};
use fastrand::Rng;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::task::JoinHandle;

/// Groups that all clients share.
const GROUPS: usize = 8;
/// Fewest and most acknowledged writes before a kill.
const WRITES: std::ops::Range<usize> = 40..400;

/// A node, while it lives.
type Node = Option<Server>;

/// Everything that goes on.
pub struct World {
    nodes: Vec<Node>,
    settings: Settings,
    folder: tempfile::TempDir,
    rng: Rng,
    groups: Arc<[String]>,
    shared: Arc<Shared>,
    workers: Vec<Worker>,
    receivers: Receivers,
    log: Vec<Value>,
    kills: usize,
    violations: usize,
}

impl World {
    /// An empty store, the groups, and the clients.
    pub async fn new(seed: u64, clients: usize, store: Settings, nodes: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut rng = Rng::with_seed(seed);
        let receivers = Receivers::new(&mut rng).await;
        // The program reads it in its working folder.
        std::fs::write(folder.path().join("carillon.toml"), receivers.configuration()).expect("written");
        let shared = Arc::new(Shared::default());
        let settings = settings(&folder, store);
        let server = Server::start(&settings);
        let client = server.client();
        let mut groups = Vec::new();
        for number in 0..GROUPS {
            let name = format!("team {number}");
            let created = client.post("/Groups", &group(&name)).await;
            let path = format!("/Groups/{}", created.id());
            let outcome = Outcome::Acknowledged(Some(created.version()));
            let operation =
                Operation { kind: Kind::Create, resource: Some(path.clone()), outcome, marks: vec![name], activates: None };
            shared.operations.lock().expect("the operations").push(operation);
            groups.push(path);
        }
        let groups: Arc<[String]> = groups.into();
        let worker = |number| Worker::new(number, rng.fork(), Arc::clone(&groups), Arc::clone(&shared));
        let workers = (0..clients).map(worker).collect();
        drop(server);
        let nodes = (0..nodes).map(|_| None).collect();
        Self { nodes, settings, folder, rng, groups, shared, workers, receivers, log: Vec::new(), kills: 0, violations: 0 }
    }

    /// Starts the nodes that are not there, lets the clients write, and kills one of them while its requests are in flight. The others
    /// go on for a while.
    pub async fn cycle(&mut self) -> String {
        self.prepare().await;
        let (acknowledged, cut) = (self.acknowledged(), self.shared.cut.load(Ordering::SeqCst));
        self.shared.rests.store(false, Ordering::SeqCst);
        let running = self.run();
        let enough = acknowledged + self.rng.usize(WRITES);
        let in_flight = self.written(enough).await;
        let which = self.rng.usize(..self.nodes.len());
        let mut killed = self.nodes[which].take().expect("a node");
        assert!(killed.lives(), "the program died by itself:\n{}", killed.output());
        killed.kill();
        self.kills += 1;
        if self.nodes.iter().any(Option::is_some) {
            let enough = self.acknowledged() + self.rng.usize(WRITES);
            self.written(enough).await;
            self.shared.rests.store(true, Ordering::SeqCst);
        }
        self.rest(running).await;
        let cut = self.shared.cut.load(Ordering::SeqCst) - cut;
        assert!(cut > 0, "no request was in flight when the program was killed");
        for server in self.nodes.iter().flatten().chain([&killed]) {
            assert!(!server.output().contains("panicked"), "{}", server.output());
        }
        format!("{} acknowledged, {in_flight} in flight at the kill, {cut} cut off", self.acknowledged() - acknowledged)
    }

    /// The database will go away now and then.
    pub fn has_outages(&self) {
        self.shared.has_outages.store(true, Ordering::SeqCst);
    }

    /// Lets the clients write while the database begins anew, without an end of its own.
    pub async fn outage(&mut self, restart: impl FnOnce()) -> String {
        self.prepare().await;
        let (acknowledged, busy) = (self.acknowledged(), self.shared.busy.load(Ordering::SeqCst));
        self.shared.rests.store(false, Ordering::SeqCst);
        let running = self.run();
        let enough = acknowledged + self.rng.usize(WRITES);
        self.written(enough).await;
        restart();
        let enough = self.acknowledged() + self.rng.usize(WRITES);
        self.written(enough).await;
        self.shared.rests.store(true, Ordering::SeqCst);
        self.rest(running).await;
        for server in self.nodes.iter_mut().flatten() {
            assert!(server.lives() && !server.output().contains("panicked"), "{}", server.output());
        }
        let busy = self.shared.busy.load(Ordering::SeqCst) - busy;
        format!("{} acknowledged, {busy} refused", self.acknowledged() - acknowledged)
    }

    /// Starts the nodes that are not there, reads the log as it is before anybody writes, and lets the receivers go on.
    async fn prepare(&mut self) {
        self.start();
        let clients = self.clients();
        self.read_log(&clients[0]).await;
        self.receivers.poll(&clients);
    }

    /// Waits until nobody writes or receives any more.
    async fn rest(&mut self, running: Vec<JoinHandle<Worker>>) {
        for worker in running {
            self.workers.push(worker.await.expect("a client"));
        }
        self.receivers.rest().await;
    }

    /// The clients write, each to a node of its own choice.
    fn run(&mut self) -> Vec<JoinHandle<Worker>> {
        let bases: Vec<String> = self.nodes.iter().flatten().map(|node| format!("http://{}", node.address)).collect();
        let turns = bases.iter().cycle();
        self.workers.drain(..).zip(turns).map(|(worker, base)| tokio::spawn(worker.run(Client::new(base, Some(KEY))))).collect()
    }

    fn start(&mut self) {
        for node in self.nodes.iter_mut().filter(|node| node.is_none()) {
            *node = Some(Server::start(&self.settings));
        }
    }

    fn clients(&self) -> Vec<Client> {
        self.nodes.iter().flatten().map(Server::client).collect()
    }

    /// Waits until so much is acknowledged and more is in flight. Returns how many requests are.
    async fn written(&self, enough: usize) -> usize {
        until("writes are acknowledged and others in flight", PATIENCE, || {
            let in_flight = self.shared.in_flight.load(Ordering::SeqCst);
            let is_enough = self.shared.acknowledged.load(Ordering::SeqCst) >= enough && in_flight > 0;
            async move { is_enough.then_some(in_flight) }
        })
        .await
    }

    /// Waits until every event that is committed has its place.
    async fn settle(&self) {
        if self.settings.is_on_server() {
            let settled =
                || async { (self.settings.ask("SELECT count(*)::text FROM staged").as_deref() == Some("0")).then_some(()) };
            until("every event has its place", PATIENCE, settled).await;
        }
    }

    fn kill_all(&mut self) {
        for mut node in self.nodes.iter_mut().filter_map(Option::take) {
            node.kill();
        }
    }

    /// Starts the program, reads everything, and holds it against what the clients know.
    pub async fn check(&mut self) -> String {
        self.start();
        let clients = self.clients();
        let client = clients[0].clone();
        self.settle().await;
        self.read_log(&client).await;
        self.receivers.poll(&clients);
        self.receivers.drain(self.log.len()).await;
        let mut resources = dump(&client, "/Users").await;
        resources.extend(dump(&client, "/Groups").await);
        let operations = self.shared.operations.lock().expect("the operations").clone();
        let history = History { operations, resources, log: self.log.clone() };
        let mut violations = check(&history);
        let page = self.rng.usize(50..200);
        violations.extend(check_walks(&self.log, &client.feed(None, page).await));
        self.kill_all();
        self.receivers.rest().await;
        violations.extend(check_receipts(&self.log, &self.receivers.receipts()));
        self.violations += violations.len();
        let shown: Vec<String> = violations.iter().take(20).map(ToString::to_string).collect();
        assert!(violations.is_empty(), "{} rules broken:\n{}", violations.len(), shown.join("\n"));
        format!(
            "{} operations, {} resources, {} events; received (and again): {}",
            history.operations.len(),
            history.resources.len(),
            history.log.len(),
            self.receivers.told(),
        )
    }

    /// Looks into the database itself, and sums up.
    pub async fn finish(self) -> String {
        let mut server = Server::start(&self.settings);
        server.terminate();
        assert!(server.ended().await.success(), "{}", server.output());
        if !self.settings.is_on_server() {
            self.look_into_file();
        }
        self.told()
    }

    fn look_into_file(&self) {
        let files = std::fs::read_dir(self.folder.path()).expect("the folder").map(|entry| entry.expect("an entry").path());
        let databases: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "db")).collect();
        assert_eq!(databases.len(), 1, "{databases:?}");
        let database = rusqlite::Connection::open(&databases[0]).expect("the database");
        let sound: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a check");
        assert_eq!(sound, "ok");
    }

    fn told(&self) -> String {
        format!(
            "{} kills, {} writes acknowledged, {} cut off, {} refused as busy, {} events, {} groups, {} rules broken",
            self.kills,
            self.acknowledged(),
            self.shared.cut.load(Ordering::SeqCst),
            self.shared.busy.load(Ordering::SeqCst),
            self.log.len(),
            self.groups.len(),
            self.violations,
        )
    }

    fn acknowledged(&self) -> usize {
        self.shared.acknowledged.load(Ordering::SeqCst)
    }

    /// Reads on from the last event that was read, before the kill or after it: a cursor stays good.
    async fn read_log(&mut self, client: &Client) {
        let last = self.log.last().and_then(|event| event["jti"].as_str()).map(str::to_owned);
        self.log.extend(client.feed(last.as_deref(), 1000).await);
    }
}

/// Addresses do not change with the port, so that the events stay the same from one start to the next.
fn settings(folder: &tempfile::TempDir, store: Settings) -> Settings {
    let settings = store.folder(folder.path()).with("EVENT_MODE", "full").with("PAGE_SIZE", "1000");
    settings.with("PUBLIC_URL", "https://carillon.example").with("LIMIT_POLL_WAIT_SECONDS", "1")
}

/// Every resource of an endpoint, page by page.
async fn dump(client: &Client, endpoint: &str) -> BTreeMap<String, Resource> {
    let mut resources = BTreeMap::new();
    loop {
        let page = client.get(&format!("{endpoint}?startIndex={}&count=1000", resources.len() + 1)).await.json();
        for body in page["Resources"].as_array().expect("Resources") {
            let version = body["meta"]["version"].as_str().and_then(|tag| tag.trim_matches('"').parse().ok()).expect("a version");
            let path = format!("{endpoint}/{}", body["id"].as_str().expect("an id"));
            resources.insert(path, Resource { version, body: body.clone() });
        }
        if Some(resources.len() as u64) >= page["totalResults"].as_u64() {
            return resources;
        }
    }
}
