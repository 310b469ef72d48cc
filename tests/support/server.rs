//! The real program as a process, with what it prints.

use super::client::Client;
use super::postgres::Schema;
use super::wait::{PATIENCE, until};
use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};

/// The key that the suites give the program.
pub const KEY: &str = "a-key-for-the-suites-0123456789abcdef";

/// The stores that a run may be about.
const STORES: [&str; 3] = ["sqlite", "memory", "postgres"];

thread_local! {
    /// The schemas that stand for the data folders of a test: they go with the thread, on which nothing but the test runs.
    static OF_FOLDERS: RefCell<HashMap<PathBuf, Arc<Schema>>> = RefCell::default();
}

/// The store of this run, for every test that names none.
fn store_of_the_run() -> String {
    let store = std::env::var("CARILLON_TEST_STORE").unwrap_or_else(|_| STORES[0].into());
    assert!(STORES.contains(&store.as_str()), "CARILLON_TEST_STORE is '{store}', which is none of {STORES:?}");
    store
}

/// How to start the program.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Nothing is the store of the run.
    store: Option<String>,
    /// Where the data is when a test chose a server itself; there as long as anybody uses it.
    schema: Option<Arc<Schema>>,
    folder: Option<PathBuf>,
    environment: Vec<(String, String)>,
    wrapper: Vec<String>,
    arguments: Vec<String>,
}

impl Settings {
    /// Which backend holds the resources, in every run. On a server they get a schema of their own.
    pub fn store(mut self, store: &str) -> Self {
        self.store = Some(store.into());
        self.schema = (store == "postgres").then(|| Arc::new(Schema::new()));
        self
    }

    /// A database of the test's own, by its address.
    pub fn database(mut self, url: &str) -> Self {
        self.store = Some("postgres".into());
        self.schema = Some(Arc::new(Schema::of(url)));
        self
    }

    /// The data folder; without it a fresh one that goes with the server.
    pub fn folder(mut self, folder: &Path) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// An environment variable.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Words of the command line.
    pub fn arguments(mut self, words: &[&str]) -> Self {
        self.arguments.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// A command that runs the program, such as a tracer: its words before the program's path.
    pub fn under(mut self, wrapper: &[&str]) -> Self {
        self.wrapper = wrapper.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// The store by which the program is started. What a folder holds outlives the program, and memory does not.
    pub fn chosen(&self) -> String {
        let store = self.store.clone().unwrap_or_else(store_of_the_run);
        if self.store.is_none() && self.folder.is_some() && store == "memory" { STORES[0].into() } else { store }
    }

    /// Where the data is when it is in a server: what the test chose; otherwise the same for the same folder, and a new one without.
    fn schema(&self) -> Option<Arc<Schema>> {
        if self.schema.is_some() || self.chosen() != "postgres" {
            return self.schema.clone();
        }
        let new = || Arc::new(Schema::new());
        let Some(folder) = &self.folder else { return Some(new()) };
        Some(OF_FOLDERS.with_borrow_mut(|schemas| Arc::clone(schemas.entry(folder.clone()).or_insert_with(new))))
    }

    /// Whether the data is in a server.
    pub fn is_on_server(&self) -> bool {
        self.chosen() == "postgres"
    }

    /// The address of the server where the data is, if it is in one.
    pub fn database_url(&self) -> Option<String> {
        self.schema().map(|schema| schema.url.clone())
    }

    /// What a statement gives in the server where the data is.
    pub fn ask(&self, sql: &str) -> Option<String> {
        self.schema().expect("data in a server").ask(sql.to_owned()).expect("an answer")
    }

    /// Everything that is kept in a server, if anything is.
    pub fn contents_of_schema(&self) -> String {
        self.schema().map(|schema| schema.contents()).unwrap_or_default()
    }

    /// Runs the program where it is expected to refuse to serve, to its end.
    pub fn run_to_its_end(&self) -> std::process::Output {
        let folder = self.folder.clone().expect("a folder to share");
        self.command(&folder, self.schema().as_deref()).output().expect("the program runs")
    }

    fn command(&self, folder: &Path, schema: Option<&Schema>) -> Command {
        let program = env!("CARGO_BIN_EXE_carillon");
        let mut command = match self.wrapper.split_first() {
            None => Command::new(program),
            Some((first, rest)) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
        };
        command.args(&self.arguments);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("RUST_BACKTRACE", "1");
        command.env("HOST", "127.0.0.1").env("PORT", "0").env("API_KEY", KEY).env("STORE", self.chosen()).env("DATA_PATH", folder);
        command.envs(schema.map(|schema| ("DATABASE_URL", &schema.url)));
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// A running program. It is killed when this is dropped, and what it printed is shown if the test failed.
#[derive(Debug)]
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    output: Arc<Mutex<String>>,
    _own_folder: Option<tempfile::TempDir>,
    _schema: Option<Arc<Schema>>,
}

impl Server {
    /// Starts the program and waits until it says where it listens.
    pub fn start(settings: &Settings) -> Self {
        let own = settings.folder.is_none().then(|| tempfile::tempdir().expect("a temporary folder"));
        let folder = own.as_ref().map_or_else(|| settings.folder.clone().unwrap_or_default(), |own| own.path().to_owned());
        let schema = settings.schema();
        let mut child = settings.command(&folder, schema.as_deref()).spawn().expect("the program starts");
        let output = Arc::new(Mutex::new(String::new()));
        let (said, hears) = channel();
        collect(child.stdout.take().expect("its output"), Arc::clone(&output), Some(said));
        collect(child.stderr.take().expect("its errors"), Arc::clone(&output), None);
        let Ok(address) = hears.recv_timeout(PATIENCE) else {
            let _ = child.kill();
            panic!("the program does not say where it listens; it printed:\n{}", output.lock().expect("the output"));
        };
        Self { child, address, output, _own_folder: own, _schema: schema }
    }

    /// A client with the key, with a pool of connections of its own.
    pub fn client(&self) -> Client {
        Client::new(&format!("http://{}", self.address), Some(KEY))
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn lives(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_none()
    }

    /// Everything it has printed.
    pub fn output(&self) -> String {
        self.output.lock().expect("the output").clone()
    }

    /// Waits until it has printed these words, which come through a pipe; everything that it has printed then.
    pub async fn says(&self, words: &str) -> String {
        let said = || async { Some(self.output()).filter(|output| output.contains(words)) };
        until(&format!("the program says '{words}'"), PATIENCE, said).await
    }

    /// Kills it at once (SIGKILL): it can finish nothing.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it has ended");
    }

    /// Asks it to stop (SIGTERM).
    pub fn terminate(&self) {
        let status = Command::new("kill").args(["-TERM", &self.id().to_string()]).status().expect("kill runs");
        assert!(status.success(), "kill -TERM: {status}");
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) -> ExitStatus {
        let child = Mutex::new(&mut self.child);
        until("the program ends", PATIENCE, || {
            let ended = child.lock().expect("the child").try_wait().expect("its state");
            async move { ended }
        })
        .await
    }

    /// Memory that is its own and not a file's, in kilobytes.
    pub fn anonymous_memory_kb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("its status");
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("RssAnon");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the program printed:\n{}", self.output());
        }
    }
}

/// Collects what the program prints, and tells the address it names.
fn collect(from: impl Read + Send + 'static, into: Arc<Mutex<String>>, tell: Option<Sender<SocketAddr>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            let address = line.split_once("listens on http://").map(|(_, rest)| rest.split('/').next().unwrap_or_default());
            if let (Some(tell), Some(Ok(address))) = (&tell, address.map(str::parse)) {
                let _ = tell.send(address);
            }
            let mut into = into.lock().expect("the output");
            into.push_str(&line);
            into.push('\n');
        }
    });
}
