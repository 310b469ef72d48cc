//! Over PostgreSQL: beside the nodes that serve the database, and beside each other.

use super::{agent, agents, carillon, counted, line, text, told};
use crate::support::client::encode;
use crate::support::fixture::{group, user_with};
use crate::support::postgres::Schema;
use crate::support::server::{Server, Settings};
use crate::support::wait::{PATIENCE, until};
use serde_json::json;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

const CANNOT_START: &str = "Carillon cannot start:";

fn command(folder: &Path, schema: &Schema, words: &[&str]) -> Command {
    let mut command = carillon(folder, words);
    command.env_remove("STORE").env("DATABASE_URL", &schema.url);
    command
}

fn ask(schema: &Schema, sql: &str) -> Option<String> {
    schema.ask(sql.to_owned()).expect("an answer")
}

/// All tables with what is in them, and all views, but for what nodes write without being asked: who does what for how long.
fn whole(schema: &Schema) -> Option<String> {
    let sql = "SELECT string_agg(relname || ' ' || relkind::text || CASE relkind WHEN 'v' THEN pg_get_viewdef(oid) WHEN 'r' THEN \
        query_to_xml(format('SELECT kept::text FROM %I AS kept', relname), true, false, '')::text ELSE '' END, '' ORDER BY relname) \
        FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname NOT LIKE 'lease%'";
    ask(schema, sql)
}

#[tokio::test]
async fn other_settings_change_nothing_for_the_nodes() {
    let (schema, folder) = (Schema::new(), tempfile::tempdir().expect("a temporary folder"));
    let settings =
        Settings::default().database(&schema.url).with("SCHEMA_PATH", &agents()).with("INDEXED_ATTRIBUTES", "User:title");
    let first = Server::start(&settings);
    let client = first.client();
    assert_eq!(client.post("/Users", &user_with("ann", json!({"title": "Dr"}))).await.status, 201);
    assert_eq!(client.post("/Agents", &agent("robot")).await.status, 201);
    let settled = || async { ask(&schema, "SELECT 'all' FROM log WHERE last_place = 2 AND NOT EXISTS (SELECT FROM staged)") };
    until("both events have their places", PATIENCE, settled).await;
    let before = whole(&schema);
    let others = |words: &[&str]| {
        let mut command = command(folder.path(), &schema, words);
        command.env("UNIQUE_GROUP_NAMES", "false").env("INDEXED_ATTRIBUTES", "User:nickName").env("USER_MODEL_NAME", "people");
        command.output().expect("it runs")
    };
    let exported = others(&["export"]);
    let note = "not exported: 1 of Agent, a type that the settings do not know (SCHEMA_PATH)".to_owned();
    assert_eq!(told(&exported), (Some(0), vec![note, "exported 1".to_owned()]));
    assert!(text(&exported.stdout).contains("\"userName\":\"ann\""));
    let refused = "DATABASE_URL: the servers of this database have other settings: there Group:displayName is unique (UNIQUE_GROUP_NAMES), \
        User:nickName is not indexed (INDEXED_ATTRIBUTES), User:title is indexed (INDEXED_ATTRIBUTES), the type Agent is served (SCHEMA_PATH), \
        the type AgenticApplication is served (SCHEMA_PATH): use theirs, or start a server with these first";
    let lines = |line: &str| vec![CANNOT_START.to_owned(), line.to_owned()];
    for words in [["import", "-"].as_slice(), &["import", "--dry-run", "-"]] {
        assert_eq!(told(&others(words)), (Some(2), lines(refused)));
    }
    assert_eq!(whole(&schema), before);
    let found = client.get(&format!("/Users?filter={}", encode("title eq \"dr\""))).await.json();
    assert_eq!(found["Resources"][0]["userName"], "ann");
    let second = Server::start(&settings);
    assert_eq!(second.client().get("/Users").await.json()["totalResults"], 1);
    // With the nodes' own settings it is an import as any other, and the views stay theirs.
    std::fs::write(folder.path().join("one.jsonl"), line(1)).expect("written");
    let mut same = command(folder.path(), &schema, &["import", "one.jsonl"]);
    same.env("SCHEMA_PATH", agents()).env("INDEXED_ATTRIBUTES", "User:title").env("USER_MODEL_NAME", "people");
    assert_eq!(told(&same.output().expect("it runs")), (Some(0), vec![counted(1, 0, 0)]));
    assert_eq!(second.client().get("/Users").await.json()["totalResults"], 2);
    assert_eq!(ask(&schema, "SELECT epoch || ' ' || fence FROM configuration").as_deref(), Some("1 1"));
    assert_eq!(ask(&schema, "SELECT to_regclass('people')::text"), None);
}

#[test]
fn an_export_makes_nothing_and_takes_only_what_it_knows() {
    let (schema, folder) = (Schema::new(), tempfile::tempdir().expect("a temporary folder"));
    let run = |words: &[&str]| told(&command(folder.path(), &schema, words).output().expect("it runs"));
    let refused = |line: &str| (Some(2), vec![CANNOT_START.to_owned(), format!("DATABASE_URL: {line}")]);
    assert_eq!(run(&["export"]), refused("there is nothing here yet: no server has set it up"));
    assert_eq!(whole(&schema), None);
    assert_eq!(run(&["import", "/dev/null"]), (Some(0), vec![counted(0, 0, 0)]));
    assert_eq!(run(&["export"]), (Some(0), vec!["exported 0".to_owned()]));
    let ours = ask(&schema, "SELECT value FROM meta WHERE name = 'schema_version'").expect("a version");
    for (version, problem) in [
        (0, format!("the data is of schema version 0, this program needs {ours}: start a server of it first, which changes that")),
        (99, format!("the data is of schema version 99, this program knows versions up to {ours}: use a newer program")),
    ] {
        ask(&schema, &format!("UPDATE meta SET value = '{version}' WHERE name = 'schema_version'"));
        assert_eq!(run(&["export"]), refused(&problem));
        assert_eq!(run(&["import", "/dev/null"]), refused(&problem));
    }
}

#[tokio::test]
async fn a_second_import_waits_for_its_turn() {
    const LINES: usize = 2_000;
    let (schema, folder) = (Schema::new(), tempfile::tempdir().expect("a temporary folder"));
    let all: String = (0..LINES).map(line).collect();
    let mut child = command(folder.path(), &schema, &["import", "-"]).stdin(Stdio::piped()).spawn().expect("it starts");
    let mut input = child.stdin.take().expect("its input");
    input.write_all(&all.as_bytes()[..all.len() / 2]).expect("it reads");
    let begun = || async { schema.ask("SELECT 'some' FROM resource LIMIT 1".to_owned()).ok().flatten() };
    until("something is committed", PATIENCE, begun).await;
    let second = command(folder.path(), &schema, &["import", "/dev/null"]).output().expect("it runs");
    let problem = "DATABASE_URL: another import into this database is under way: begin when it has ended";
    assert_eq!(told(&second), (Some(2), vec![CANNOT_START.to_owned(), problem.to_owned()]));
    input.write_all(&all.as_bytes()[all.len() / 2..]).expect("it reads");
    drop(input);
    assert_eq!(told(&child.wait_with_output().expect("it ends")), (Some(0), vec![counted(LINES as u64, 0, 0)]));
    let third = command(folder.path(), &schema, &["import", "/dev/null"]).output().expect("it runs");
    assert_eq!(told(&third).0, Some(0));
}

#[test]
fn a_table_can_be_one_of_another_schema() {
    let (old, new, folder) = (Schema::new(), Schema::new(), tempfile::tempdir().expect("a temporary folder"));
    let name = ask(&old, "SELECT current_schema()::text").expect("a name");
    let table = |name: &str, id: &str, details: &str| {
        ask(&old, &format!("CREATE TABLE {name} AS SELECT '{id}' AS id, '{details}'::json AS details"));
    };
    table("people", "u1", &line(1));
    table("\"Te\"\"ams\"", "g1", &group("all").to_string());
    table("\"app.users\"", "u2", &line(2));
    let groups = format!("{name}.Te\"ams");
    let into = |users: &str, from: &Schema| {
        let words = ["import", "--groups-table", &groups, "--users-table", users];
        told(&command(folder.path(), &new, &words).env("IMPORT_FROM", &from.url).output().expect("it runs"))
    };
    assert_eq!(into(&format!("{}.PEOPLE", name.to_uppercase()), &new), (Some(0), vec![counted(2, 0, 0)]));
    // A table of the whole name comes first.
    assert_eq!(into("app.users", &old), (Some(0), vec![counted(1, 1, 0)]));
    let missing = into("app.people", &old);
    assert!(missing.0 == Some(2) && missing.1[1].contains("there is no table app.people"), "{missing:?}");
}

#[test]
fn a_database_of_the_reference_on_a_server_is_taken_over() {
    let (old, new) = (Schema::new(), Schema::new());
    let users = "CREATE TABLE \"Users\" AS SELECT 'u' || n AS id, json_build_object('schemas', array['urn:ietf:params:scim:schemas:core:2.0:User'], \
        'userName', 'user' || n) AS details FROM generate_series(1, 1200) AS n";
    // The column of documents by its place, the name as SQL reads it without quotes.
    let groups = "CREATE TABLE groups AS SELECT 'g'::varchar AS id, '{\"schemas\":[\"urn:ietf:params:scim:schemas:core:2.0:Group\"],\
        \"displayName\":\"all\",\"members\":[{\"value\":\"u7\"}]}'::jsonb AS document";
    for sql in [users, groups] {
        old.ask(sql.to_owned()).expect("a table");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let from = |source: &Schema, schema: &Schema, words: &[&str]| {
        let mut command = carillon(folder.path(), words);
        command.env_remove("STORE").env("DATABASE_URL", &schema.url).env("IMPORT_FROM", &source.url);
        told(&command.output().expect("it runs"))
    };
    let into = |schema: &Schema, words: &[&str]| from(&old, schema, words);
    assert_eq!(into(&new, &["import"]), (Some(0), vec![counted(1_201, 0, 0)]));
    assert_eq!(into(&new, &["import"]), (Some(0), vec![counted(0, 1_201, 0)]));
    let members = new.ask("SELECT details -> 'members' ->> 0 FROM \"Groups\"".to_owned()).expect("a view");
    assert_eq!(members.as_deref(), Some(r#"{"type": "User", "value": "u7"}"#));
    // In their own schema the tables are in the way of the views, and are left alone.
    let (status, said) = into(&old, &["import"]);
    assert!(status == Some(2) && said[1].contains("there is a table Users already: rename it"), "{said:?}");
    // Renamed, they are taken over in place.
    old.ask("ALTER TABLE \"Users\" RENAME TO old_users".to_owned()).expect("renamed");
    old.ask("ALTER TABLE groups RENAME TO old_groups".to_owned()).expect("renamed");
    let words = ["import", "--users-table", "old_users", "--groups-table", "old_groups"];
    assert_eq!(into(&old, &words), (Some(0), vec![counted(1_201, 0, 0)]));
    // Our own views hold no password.
    let (status, said) = from(&new, &old, &["import"]);
    assert!(status == Some(2) && said[1].starts_with("--from or IMPORT_FROM: Users is a view of Carillon"), "{said:?}");
}
