//! Schemas by flags, and what is left in a file when the server has stopped.

use crate::support::fixture::{group_of, user};
use crate::support::server::{Server, Settings};
use serde_json::{Value, json};

fn fixture(name: &str) -> String {
    format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test]
async fn flags_win_over_the_variable() {
    let settings = Settings::default().with("SCHEMA_PATH", &fixture("schemas"));
    let settings = settings.arguments(&["--schema", &fixture("agents/schemas.json")]);
    let server = Server::start(&settings.arguments(&["--resource-type", &fixture("agents/resource_types.json")]));
    let types = server.client().get("/ResourceTypes").await.json();
    let names: Vec<&str> = types["Resources"].as_array().expect("types").iter().filter_map(|kind| kind["name"].as_str()).collect();
    assert_eq!(names, ["User", "Group", "Agent", "AgenticApplication"]);
    server.client().get("/Devices").await.assert_error(404, None, &[]);
}

#[tokio::test]
async fn a_folder_without_schemas_stops_the_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let empty = tempfile::tempdir().expect("a temporary folder");
    let settings = Settings::default().folder(folder.path()).with("SCHEMA_PATH", empty.path().to_str().expect("a path"));
    let refused = settings.run_to_its_end();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2));
    assert!(said.contains("SCHEMA_PATH: expected files that end in .json"), "{said}");
}

#[tokio::test]
async fn all_resources_are_in_a_file_after_the_stop() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("dump.json");
    let settings = Settings::default().store("memory").with("SCHEMA_PATH", &fixture("schemas")).with("PAGE_SIZE", "2");
    let mut server = Server::start(&settings.arguments(&["--dump-resources", file.to_str().expect("a path")]));
    let client = server.client();
    let mut users = Vec::new();
    for name in ["ann", "bob", "cid"] {
        let mut body = user(name);
        body["password"] = "open sesame 77".into();
        users.push(client.post("/Users", &body).await.id());
    }
    client.post("/Groups", &group_of("team", &[&users[0]])).await;
    client.post("/Devices", &json!({"schemas": ["urn:example:scim:schemas:Device"], "displayName": "d", "notes": "kept"})).await;
    let mut expected: Vec<Value> = Vec::new();
    for endpoint in ["/Users", "/Groups", "/Devices?attributes=displayName,notes,meta"] {
        for id in client.get(endpoint).await.json()["Resources"].as_array().expect("a page").iter().map(|one| one["id"].clone()) {
            let (path, query) = endpoint.split_once('?').unwrap_or((endpoint, ""));
            expected.push(client.get(&format!("{path}/{}?{query}", id.as_str().expect("an id"))).await.json());
        }
    }
    expected.insert(2, client.get(&format!("/Users/{}", users[2])).await.json());
    server.terminate();
    assert!(server.ended().await.success(), "{}", server.output());
    let dumped: Value = serde_json::from_str(&std::fs::read_to_string(&file).expect("the file")).expect("JSON");
    assert_eq!(dumped, Value::Array(expected));
    assert!(!dumped.to_string().contains("sesame"));
}

#[tokio::test]
async fn a_file_that_cannot_be_written_stops_the_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = Settings::default().folder(folder.path()).arguments(&["--dump-resources", "nothing/here.json"]);
    let refused = settings.run_to_its_end();
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("--dump-resources nothing/here.json"), "{said}");
}
