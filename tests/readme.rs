//! README's tour, as it stands there, against a freshly started server: what a newcomer pastes works.

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

const README: &str = include_str!("../README.md");
const START: &str = "<!-- tour:";
const END: &str = "<!-- tour: end -->";
const KEY: &str = "readme-tour-key";

/// A server over a store of its own, ended when dropped.
struct Server {
    child: Child,
    url: String,
    folder: TempDir,
}

impl Server {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_carillon"));
        command
            .env_clear()
            .env("HOST", "127.0.0.1")
            .env("PORT", "0")
            .env("API_KEY", KEY)
            .env("DATA_PATH", folder.path().join("data"));
        // Its working directory has no settings file.
        let mut child = command.current_dir(folder.path()).stdout(Stdio::piped()).spawn().expect("the server starts");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        // Made before the wait, so that a server that says nothing is ended all the same.
        let mut server = Self { child, url: String::new(), folder };
        while server.url.is_empty() {
            let line = receiver.recv_timeout(Duration::from_secs(20)).expect("the server says where it listens");
            if let Some((_, url)) = line.split_once("Carillon listens on ") {
                url.trim_end_matches('/').clone_into(&mut server.url);
            }
        }
        server
    }

    /// Runs commands in one shell that stops at the first failure; an HTTP error is one.
    fn shell(&self, script: &str) -> Output {
        std::fs::write(self.folder.path().join(".curlrc"), "fail-with-body\nmax-time = 20\n").expect("written");
        let mut command = Command::new("sh");
        command.arg("-euc").arg(script).env("URL", &self.url).env("KEY", KEY).env("CURL_HOME", self.folder.path());
        command.output().expect("the tour needs sh and curl")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The commands between the marks, block by block.
fn tour() -> Vec<String> {
    let (_, rest) = README.split_once(START).expect("README has a tour");
    let (tour, _) = rest.split_once(END).expect("README's tour has an end");
    let blocks = tour.split("```sh\n").skip(1);
    blocks.map(|block| block.split_once("```").expect("a block ends").0.to_owned()).collect()
}

#[test]
fn the_tour_runs_as_it_stands() {
    let server = Server::start();
    let blocks = tour();
    assert_eq!(blocks.len(), 9, "create, read, filter, patch, group, delete, bulk, walk, feed");
    // Between the blocks, so that each one's output can be told.
    let mark = "\n====\n";
    let script = blocks.join("printf '\\n====\\n'\n");
    let output = server.shell(&script);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let answers: Vec<&str> = text.split(mark).map(str::trim).collect();

    let id = answers[0];
    assert_eq!(id.len(), 36, "{id}");
    assert!(answers[1].starts_with("HTTP/1.1 200") && answers[1].to_lowercase().contains("etag: \"1\""), "{}", answers[1]);
    let found = json(answers[2]);
    assert_eq!((&found["totalResults"], &found["Resources"][0]["id"]), (&1.into(), &id.into()));
    let patched = json(answers[3]);
    assert_eq!((&patched["active"], &patched["meta"]["version"]), (&false.into(), &"\"2\"".into()));
    let (group, user) = answers[4].split_once("}{").or_else(|| answers[4].split_once("}\n{")).expect("a group and a user");
    let (group, user) = (json(&format!("{group}}}")), json(&format!("{{{user}")));
    assert_eq!(group["members"][0]["value"], id);
    assert_eq!(user["groups"][0]["value"], group["id"]);
    assert!(answers[5].starts_with("HTTP/1.1 204"), "{}", answers[5]);
    let statuses = json(answers[6])["Operations"].as_array().map(|all| all.iter().map(|one| one["status"].clone()).collect());
    assert_eq!(statuses, Some(vec![Value::from("201"); 3]), "{}", answers[6]);
    let pages = answers[7].split_once('\n').map(|(first, second)| [json(first), json(second)]).expect("two pages of the walk");
    let names = pages.each_ref().map(|page| (page["totalResults"].clone(), page["Resources"][0]["userName"].clone()));
    assert_eq!(names, [(2.into(), "bob@example.com".into()), (2.into(), "cleo@example.com".into())]);
    assert_eq!(pages.each_ref().map(|page| page["nextCursor"].is_string()), [true, false]);
    let (first, rest) = answers[8].split_once('\n').expect("two pages of the feed");
    assert_eq!(
        [kinds(&json(first)), kinds(&json(rest))].concat(),
        [
            ("/Users", "create:notice"),
            ("/Users", "patch:notice"),
            ("/Users", "deactivate"),
            ("/Groups", "create:notice"),
            ("/Users", "delete"),
            ("/Groups", "patch:notice"),
            ("/Users", "create:notice"),
            ("/Groups", "create:notice"),
            ("/Users", "create:notice"),
        ]
        .map(|(endpoint, kind)| (endpoint.to_owned(), kind.to_owned()))
    );
}

/// The endpoint of the subject and the kind, of every event of a page.
fn kinds(page: &Value) -> Vec<(String, String)> {
    let sets = page["sets"].as_array().expect("sets");
    let kind = |set: &Value| {
        let uri = set["sub_id"]["uri"].as_str().expect("a subject").rsplit_once('/').expect("a path").0.to_owned();
        let events = set["events"].as_object().expect("events");
        let kind = events.keys().next().expect("an event").trim_start_matches("urn:ietf:params:scim:event:prov:").to_owned();
        (uri, kind)
    };
    sets.iter().map(kind).collect()
}

fn json(text: &str) -> Value {
    let value = serde_json::from_str(text);
    assert!(value.is_ok(), "not JSON: {text}");
    value.unwrap_or_default()
}

#[test]
fn every_file_that_readme_links_to_exists() {
    let links = README.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    for target in links.filter(|target| !target.starts_with(['#', 'h'])) {
        assert!(std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(target).exists(), "{target}");
    }
}

/// README's table names every setting with its key in the file.
#[test]
fn every_setting_is_in_readme() {
    let tables =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/config/table.rs")).expect("the tables of settings");
    let (settings, _) = tables.split_once("];").expect("the first table ends");
    let quoted: Vec<&str> = settings.split('"').skip(1).step_by(2).collect();
    assert!(quoted.len() > 20, "{quoted:?}");
    for name in quoted {
        assert!(README.contains(&format!("`{name}`")), "{name}");
    }
}
