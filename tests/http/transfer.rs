//! `carillon export` and `carillon import`, as a user runs them.

#[cfg(feature = "servers")]
mod beside;

use crate::support::fixture::{GROUP, USER, group_of, user_with};
use crate::support::server::{Server, Settings};
use crate::support::wait::{PATIENCE, until};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The command over the store in a folder. It is SQLite in every run, and so are the servers on that folder.
fn carillon(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carillon"));
    command.args(words).env_clear().env("STORE", "sqlite").env("DATA_PATH", folder.join("data")).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(folder: &Path, words: &[&str]) -> Output {
    carillon(folder, words).output().expect("the program runs")
}

/// The status, and what it says but for the time that it took.
fn told(output: &Output) -> (Option<i32>, Vec<String>) {
    let lines = text(&output.stderr).lines().map(|line| line.split(" in ").next().unwrap_or_default().to_owned()).collect();
    (output.status.code(), lines)
}

fn counted(created: u64, present: u64, refused: u64) -> String {
    format!("{created} created, {present} present, 0 replaced, 0 skipped, {refused} refused")
}

fn line(number: usize) -> String {
    json!({"schemas": [USER], "id": format!("u{number}"), "userName": format!("user{number}")}).to_string() + "\n"
}

#[tokio::test]
async fn what_a_server_has_moves_to_another_store() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut server = Server::start(&Settings::default().store("sqlite").folder(&folder.path().join("data").tap_created()));
    let client = server.client();
    let ann = client.post("/Users", &user_with("ann", json!({"password": "t1meMachine", "title": "Dr"}))).await.json();
    let id = ann["id"].as_str().expect("an id");
    let group = client.post("/Groups", &group_of("all", &[id])).await.json();
    let refused = told(&run(folder.path(), &["export"]));
    let open = format!(
        "DATA_PATH {}: another process, such as a running server, has this store open",
        folder.path().join("data").display()
    );
    assert!(refused.0 == Some(2) && refused.1[1].starts_with(&open), "{refused:?}");
    assert_eq!(told(&run(folder.path(), &["import", "/dev/null"])).0, Some(2));
    server.terminate();
    assert!(server.ended().await.success());
    let exported = run(folder.path(), &["export", "--output", "all.jsonl"]);
    assert_eq!(told(&exported), (Some(0), vec!["exported 2".to_owned()]));
    let lines = std::fs::read_to_string(folder.path().join("all.jsonl")).expect("the file");
    assert!(!lines.contains("argon2") && !folder.path().join("all.jsonl.part").exists(), "{lines}");
    let users = run(folder.path(), &["export", "--type", "uSER", "--with-secrets"]);
    assert!(text(&users.stdout).lines().count() == 1 && text(&users.stdout).contains("$argon2id$"));
    assert_eq!(told(&run(folder.path(), &["export", "--type", "Usr"])).1[1], "--type Usr: there are User, Group");
    let other = tempfile::tempdir().expect("a temporary folder");
    assert_eq!(told(&run(other.path(), &["export"])).0, Some(2));
    let file = folder.path().join("all.jsonl");
    let words = ["import", file.to_str().expect("a path")];
    assert_eq!(told(&run(other.path(), &words)), (Some(0), vec![counted(2, 0, 0)]));
    assert_eq!(told(&run(other.path(), &words)), (Some(0), vec![counted(0, 2, 0)]));
    let server = Server::start(&Settings::default().store("sqlite").folder(&other.path().join("data")));
    let moved = server.client().get(&format!("/Users/{id}")).await.json();
    assert_eq!((&moved["meta"]["created"], &moved["title"]), (&ann["meta"]["created"], &json!("Dr")));
    let moved = server.client().get(&format!("/Groups/{}", group["id"].as_str().expect("an id"))).await.json();
    assert_eq!(moved["members"][0]["value"], id);
    let events = server.client().get("/Events/Feeds/default/Stream").await.json();
    assert_eq!(events["sets"], json!([]));
}

/// A folder that is there.
trait Created {
    fn tap_created(self) -> Self;
}

impl Created for std::path::PathBuf {
    fn tap_created(self) -> Self {
        std::fs::create_dir_all(&self).expect("a folder");
        self
    }
}

#[tokio::test]
async fn an_import_that_is_stopped_is_simply_begun_again() {
    const LINES: usize = 6_000;
    let all: String = (0..LINES).map(line).collect();
    for signal in ["-KILL", "-INT", "-TERM"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("all.jsonl"), &all).expect("written");
        let mut child = carillon(folder.path(), &["import"]).stdin(Stdio::piped()).spawn().expect("it starts");
        let mut input = child.stdin.take().expect("its input");
        // It never sees the end.
        input.write_all(&all.as_bytes()[..all.len() / 2]).expect("it reads");
        let database = folder.path().join("data").join("carillon.db");
        let count = || async {
            let connection = rusqlite::Connection::open_with_flags(&database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).ok()?;
            let count: i64 = connection.query_row("SELECT count(*) FROM resource", [], |row| row.get(0)).ok()?;
            (count > 0).then_some(count)
        };
        until("something is committed", PATIENCE, count).await;
        let sent = Command::new("kill").args([signal, &child.id().to_string()]).status().expect("kill runs");
        assert!(sent.success(), "kill {signal}: {sent}");
        let (status, said) = told(&child.wait_with_output().expect("it has ended"));
        drop(input);
        if signal == "-KILL" {
            assert_eq!((status, said.len()), (None, 0));
        } else {
            let asked =
                ["Carillon cannot go on: it was asked to stop", "What was created stays; begin again and it is passed over"];
            assert_eq!((status, &said[1..]), (Some(1), &asked.map(str::to_owned)[..]), "{said:?}");
            assert!(said[0].ends_with(" created, 0 present, 0 replaced, 0 skipped, 0 refused"), "{said:?}");
        }
        let there = u64::try_from(count().await.expect("what it committed")).expect("a number");
        let lines = LINES as u64;
        assert!(there < lines);
        let again = run(folder.path(), &["import", "all.jsonl"]);
        assert_eq!(told(&again), (Some(0), vec![counted(lines - there, there, 0)]), "{signal}");
    }
}

#[test]
fn bad_lines_are_told_by_number_and_the_others_stay() {
    const MIB: usize = 1024 * 1024;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut child = carillon(folder.path(), &["import", "-"]).stdin(Stdio::piped()).spawn().expect("it starts");
    let mut input = child.stdin.take().expect("its input");
    let fed = std::thread::spawn(move || {
        let mut write = |bytes: &[u8]| input.write_all(bytes).expect("it reads");
        write(line(1).as_bytes());
        write(b"{\"schemas\": \"");
        let part = vec![b'x'; MIB];
        (0..100).for_each(|_| write(&part));
        write(b"\"}\n{\"userName\": \"\xff\xfe\"}\n{\"userName\": \"a\0b\"}\n{\"userName\": \"a\\u0000b\"}\n\n");
        write(line(1).as_bytes());
        write(line(2).as_bytes());
        write(line(1).replace("user1", "other").as_bytes());
    });
    let output = child.wait_with_output().expect("it ends");
    fed.join().expect("it is fed");
    let (status, mut lines) = told(&output);
    assert_eq!((status, lines.pop()), (Some(1), Some(counted(2, 1, 5))));
    lines.sort();
    let expected = [
        "line 2: 413: The resource is longer than 64 MiB (--max-line-mib).",
        "line 3: 400 invalidSyntax: It is not valid JSON: invalid unicode code point at byte ",
        "line 4: 400 invalidSyntax: It is not valid JSON: control character ",
        "line 5: 400 invalidSyntax: It is not valid JSON: a string contains the character U+0000 at byte ",
        "line 9: 409 uniqueness: The resource of this 'id' is another one here: it differs in userName.",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(expected.split(" in ").next().unwrap_or_default()), "{line}");
    }
    let stopped = run(folder.path(), &["import", "carillon.jsonl"]);
    assert_eq!(told(&stopped).0, Some(2));
}

/// The tables as an earlier system makes them.
fn reference(path: &Path) {
    let database = rusqlite::Connection::open(path).expect("a database");
    let tables = "CREATE TABLE \"Users\" (id VARCHAR NOT NULL PRIMARY KEY, details JSON); \
        CREATE TABLE \"Groups\" (id VARCHAR NOT NULL PRIMARY KEY, details JSON);";
    database.execute_batch(tables).expect("tables");
    let insert = |table: &str, id: &str, details: Option<Value>| {
        let sql = format!("INSERT INTO \"{table}\" VALUES (?1, ?2)");
        database.execute(&sql, rusqlite::params![id, details.map(|details| details.to_string())]).expect("a row");
    };
    let meta = json!({"resourceType": "User", "created": "2021-05-05T05:05:05Z"});
    insert("Users", "1", Some(json!({"schemas": [USER], "id": "1", "userName": "ann", "meta": meta})));
    insert("Users", "2", Some(json!({"schemas": [USER], "userName": "bob", "groups": [{"value": "g"}]})));
    insert("Users", "3", None);
    insert("Groups", "g", Some(json!({"schemas": [GROUP], "displayName": "all", "members": [{"value": "1"}, {"value": "2"}]})));
}

#[test]
fn a_database_of_the_reference_is_taken_over() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    reference(&folder.path().join("scim.db"));
    let imported = run(folder.path(), &["import", "--from", "sqlite:///scim.db"]);
    let refused = "row 3 of Users (id \"3\"): 400 invalidSyntax: The row has no document.";
    assert_eq!(told(&imported), (Some(1), vec![refused.to_owned(), counted(3, 0, 1)]));
    let exported = text(&run(folder.path(), &["export"]).stdout);
    let lines: Vec<Value> = exported.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let shown: Vec<_> = lines.iter().map(|line| (line["id"].as_str(), line["meta"]["resourceType"].as_str())).collect();
    assert_eq!(shown, [(Some("1"), Some("User")), (Some("2"), Some("User")), (Some("g"), Some("Group"))]);
    assert_eq!(lines[0]["meta"]["created"], "2021-05-05T05:05:05.000Z");
    assert_eq!(lines[2]["members"][1], json!({"value": "2", "type": "User", "$ref": "/Users/2"}));
    let missing = told(&run(folder.path(), &["import", "--from", "sqlite:scim.db", "--groups-table", "Teams"]));
    let reason = "--from or IMPORT_FROM: there is no table Teams: --users-table and --groups-table name others";
    assert_eq!(missing, (Some(2), vec!["Carillon cannot import:".to_owned(), reason.to_owned()]));
    let other = told(&run(folder.path(), &["import", "--from", "mysql://u:hunter2@db/scim"]));
    assert!(other.0 == Some(2) && !other.1.iter().any(|line| line.contains("hunter2")), "{other:?}");
}

#[test]
fn a_dry_run_writes_nothing_and_an_array_is_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let array = format!("[\n{},\n{}]\n", line(1).trim(), line(2).trim());
    std::fs::write(folder.path().join("dump.json"), array).expect("written");
    let dry = told(&run(folder.path(), &["import", "--dry-run", "dump.json"]));
    assert_eq!(dry, (Some(0), vec![format!("no resource is written; it would be: {}", counted(2, 0, 0))]));
    assert_eq!(told(&run(folder.path(), &["import", "dump.json"])).1, [counted(2, 0, 0)]);
    assert_eq!(told(&carillon(folder.path(), &["export"]).env("STORE", "memory").output().expect("it runs")).0, Some(2));
}

/// The names and the contents of the files of a folder, but for those that only hold what others read.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let named = entries.map(|path| (path.file_name().expect("a name").to_string_lossy().into_owned(), path));
    let lasting = named.filter(|(name, _)| !name.ends_with("-shm") && !name.ends_with("-wal"));
    lasting.map(|(name, path)| (name, std::fs::read(path).expect("a file"))).collect()
}

/// The `SCHEMA_PATH` of a server with agents.
fn agents() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/agents").to_owned()
}

fn agent(name: &str) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Agent"], "name": name})
}

#[tokio::test]
async fn an_export_changes_nothing_whatever_its_settings_are() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let empty = format!("DATA_PATH {}: there is nothing here yet: no server has set it up", data.display());
    assert_eq!(told(&run(folder.path(), &["export"])), (Some(2), vec!["Carillon cannot start:".to_owned(), empty.clone()]));
    assert!(!data.exists());
    std::fs::create_dir(&data).expect("a folder");
    assert_eq!(told(&run(folder.path(), &["export"])).1[1], empty);
    assert!(files(&data).is_empty());
    let settings = Settings::default().folder(&data).with("SCHEMA_PATH", &agents()).with("INDEXED_ATTRIBUTES", "User:title");
    let mut server = Server::start(&settings);
    let client = server.client();
    assert_eq!(client.post("/Users", &user_with("ann", json!({"title": "Dr"}))).await.status, 201);
    assert_eq!(client.post("/Agents", &agent("robot")).await.status, 201);
    // What it has not moved into the database yet is read from its log.
    server.kill();
    let before = files(&data);
    let mut others = carillon(folder.path(), &["export"]);
    others.env("UNIQUE_GROUP_NAMES", "false").env("INDEXED_ATTRIBUTES", "User:nickName");
    let exported = others.output().expect("it runs");
    let note = "not exported: 1 of Agent, a type that the settings do not know (SCHEMA_PATH)".to_owned();
    assert_eq!(told(&exported), (Some(0), vec![note, "exported 1".to_owned()]));
    assert!(text(&exported.stdout).contains("\"userName\":\"ann\""));
    assert_eq!(told(&run(folder.path(), &["export", "--type", "User"])), (Some(0), vec!["exported 1".to_owned()]));
    assert!(files(&data) == before, "a file has changed");
    let all = carillon(folder.path(), &["export"]).env("SCHEMA_PATH", agents()).output().expect("it runs");
    assert_eq!(told(&all), (Some(0), vec!["exported 2".to_owned()]));
    assert!(files(&data) == before, "a file has changed");
    let database = rusqlite::Connection::open(data.join("carillon.db")).expect("a database");
    database.execute("UPDATE meta SET value = 1 WHERE name = 'schema_version'", []).expect("an older one");
    drop(database);
    let (status, said) = told(&run(folder.path(), &["export"]));
    assert!(status == Some(2) && said[1].contains(": the data is of schema version 1, this program needs "), "{said:?}");
}
