//! Request ids, and what the log says and never says (I6).

use crate::support::client::Client;
use crate::support::fixture::{patch_of, user, user_with};
use crate::support::raw::Raw;
use crate::support::server::{KEY, Server, Settings};
use crate::support::wait::{PATIENCE, until};
use serde_json::{Value, json};

/// The lines about requests, in order, once there are as many; the log comes through a pipe.
async fn request_lines(server: &Server, many: usize) -> Vec<Value> {
    let lines = || {
        let output = server.output();
        let parsed = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let found: Vec<Value> = parsed.filter(|line| line["target"] == "carillon::request").collect();
        async move { (found.len() >= many).then_some(found) }
    };
    until("the lines of the log", PATIENCE, lines).await
}

#[tokio::test]
async fn every_request_has_an_id_and_a_line() {
    let server = Server::start(&Settings::default().with("LOG_FORMAT", "json").with("LOGLEVEL", "DEBUG"));
    let client = server.client();
    let created = client.on("POST", "/Users").header("x-request-id", "from-the-proxy-1").json(&user("ann")).send().await;
    assert_eq!(created.header("x-request-id"), Some("from-the-proxy-1"));
    let path = format!("/Users/{}?attributes=userName", created.id());
    let answers = [
        client.get(&path).await,
        client.get("/Users/nobody").await,
        client.get("/nowhere/at/all").await,
        client.delete("/Users").await,
        client.with_key(None).get("/Users").await,
        client.on("GET", "/Users").header("x-request-id", "two words").send().await,
    ];
    let lines = request_lines(&server, 7).await;
    let mut ids: Vec<&str> = answers.iter().map(|answer| answer.header("x-request-id").expect("an id")).collect();
    let logged: Vec<&str> = lines[1..].iter().map(|line| line["request_id"].as_str().expect("an id")).collect();
    assert_eq!(logged, ids);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 6, "each has its own");
    let shown: Vec<Value> = lines
        .iter()
        .map(|line| {
            assert!(line["duration_us"].is_u64() && line["timestamp"].is_string(), "{line}");
            json!([line["level"], line["method"], line["route"], line["status"], line["principal"]])
        })
        .collect();
    let expected = json!([
        ["INFO", "POST", "/Users", 201, "api-key"],
        ["DEBUG", "GET", "/Users/{id}", 200, "api-key"],
        ["INFO", "GET", "/Users/{id}", 404, "api-key"],
        ["INFO", "GET", "-", 404, null],
        ["INFO", "DELETE", "/Users", 405, null],
        ["INFO", "GET", "/Users", 401, null],
        ["DEBUG", "GET", "/Users", 200, "api-key"],
    ]);
    assert_eq!(Value::from(shown), expected);
    assert_eq!(lines[1]["bytes"], answers[0].body.len());
}

#[tokio::test]
async fn reads_that_go_well_are_silent_by_default() {
    let server = Server::start(&Settings::default().with("LOG_FORMAT", "json"));
    let client = server.client();
    for _ in 0..3 {
        client.get("/Users").await;
    }
    client.post("/Users", &user("ann")).await;
    let lines = request_lines(&server, 1).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
}

/// What no line may hold: each is in some request.
const SECRETS: [&str; 9] = [
    KEY,
    "open-sesame-77",
    "zaphod-the-user",
    "zaphod@mail.example",
    "trillian",
    "not-the-key-4711",
    "Beeblebrox",
    "magrathea",
    "slartibartfast",
];

async fn talk(client: &Client) {
    let ann = user_with(
        "zaphod-the-user",
        json!({"password": "open-sesame-77", "name": {"familyName": "Beeblebrox"}, "emails": [{"value": "zaphod@mail.example"}]}),
    );
    let id = client.post("/Users", &ann).await.id();
    let path = format!("/Users/{id}");
    client.post("/Users", &ann).await.assert_error(409, Some("uniqueness"), &[]);
    client.get("/Users?filter=nickName%20eq%20%22trillian%22").await;
    client.get("/Users?filter=userName%20eq%20trillian").await;
    client.get("/Users?magrathea=slartibartfast").await;
    client.get("/magrathea/slartibartfast").await;
    client.get("/Users/slartibartfast").await;
    client.get("/Me").await;
    client.on("MAGRATHEA", "/Users").send().await;
    client.patch(&path, &patch_of(json!([{"op": "replace", "path": "password", "value": "open-sesame-77"}]))).await;
    client.patch(&path, &patch_of(json!([{"op": "replace", "path": "emails[value eq \"trillian\"].value", "value": 1}]))).await;
    client.on("PUT", &path).header("if-match", "\"slartibartfast\"").json(&ann).send().await;
    client.on("POST", "/Users").header("content-type", "slartibartfast/x").body("{\"userName\": trillian").send().await;
    client.on("POST", "/Users").header("prefer", "return=magrathea").body("{\"userName\": trillian").send().await;
    client.on("GET", "/Users").header("forwarded", "host=magrathea").header("x-request-id", "a \"magrathea\"").send().await;
    client.with_key(Some("not-the-key-4711")).get(&path).await;
    client.delete(&path).await;
    // The last line of all.
    client.on("DELETE", "/Groups/none").header("x-request-id", "the-end").send().await;
}

#[tokio::test]
async fn no_line_holds_a_secret_or_a_person() {
    for format in ["text", "json"] {
        let settings = Settings::default().with("LOGLEVEL", "TRACE").with("LOG_FORMAT", format).with("RUST_LOG", "trace");
        let settings = settings.with("ME_USER_NAME", "zaphod-the-user").arguments(&["--reverse-proxy"]);
        let server = Server::start(&settings);
        talk(&server.client()).await;
        let output = server.says("the-end").await;
        assert!(output.matches("carillon::request").count() >= 18, "{output}");
        for secret in SECRETS {
            assert!(!output.to_lowercase().contains(&secret.to_lowercase()), "'{secret}' is in the log:\n{output}");
        }
        assert!(output.contains("/Users/{id}") && !output.contains("/Users/0"), "templates alone:\n{output}");
    }
}

#[tokio::test]
async fn a_write_whose_client_goes_away_has_a_line() {
    let server = Server::start(&Settings::default().with("LOG_FORMAT", "json"));
    // Hashing takes long enough for the end of the connection to come first.
    let body = user_with("ann", json!({"password": "open-sesame-77"})).to_string();
    let head = format!("POST /Users HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {KEY}\r\nX-Request-Id: gone\r\n");
    let mut raw = Raw::connect(server.address);
    raw.send(format!("{head}Content-Length: {}\r\nExpect: 100-continue\r\n\r\n", body.len())).expect("sent");
    assert_eq!(raw.answer().expect("an answer").status, 100, "it is worked on");
    raw.send(body).expect("sent");
    drop(raw);
    let line = request_lines(&server, 1).await.remove(0);
    let shown = json!([line["level"], line["method"], line["route"], line["status"], line["principal"], line["request_id"]]);
    assert_eq!(shown, json!(["INFO", "POST", "/Users", 499, "api-key", "gone"]));
    assert!(line["duration_us"].is_u64() && line["bytes"].is_null(), "{line}");
}

/// Makes the stored users unreadable.
fn spoil(settings: &Settings, folder: &std::path::Path, body: &str) {
    if settings.is_on_server() {
        settings.ask(&format!("UPDATE resource SET body = '{body}'"));
        return;
    }
    let database = rusqlite::Connection::open(folder.join("carillon.db")).expect("the database");
    assert!(database.execute("UPDATE resource SET body = ?1", [body]).expect("updated") > 0);
}

#[tokio::test]
async fn a_document_that_cannot_be_read_is_no_resource() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = Settings::default().folder(folder.path());
    let mut server = Server::start(&settings);
    let id = server.client().post("/Users", &user("ann")).await.id();
    server.kill();
    for body in ["spoiled", "{\"schemas\":[", "{\"schemas\":}"] {
        spoil(&settings, folder.path(), body);
        let mut server = Server::start(&settings);
        let client = server.client();
        let one = format!("/Users/{id}");
        for path in [&one, &format!("{one}?attributes=userName"), "/Users", "/Users?excludedAttributes=name", "/?filter=id%20pr"] {
            // What holds everything is not read, only what is missing at its ends is seen.
            if body.ends_with('}') && !path.contains("ttributes") {
                continue;
            }
            let failed = client.get(path).await;
            assert_eq!(failed.status, 500, "{body} {path}: {}", failed.text());
            failed.assert_error(500, None, &["The server failed."]);
        }
        server.says("stored data cannot be read").await;
        server.kill();
    }
}

#[tokio::test]
async fn a_failure_inside_a_request_has_its_id() {
    for format in ["text", "json"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = Settings::default().folder(folder.path()).with("LOG_FORMAT", format);
        let mut server = Server::start(&settings);
        let id = server.client().post("/Users", &user("ann")).await.id();
        server.kill();
        spoil(&settings, folder.path(), "spoiled");
        let server = Server::start(&settings);
        let titled = patch_of(json!([{"op": "replace", "path": "title", "value": "x"}]));
        let request = server.client().on("PATCH", &format!("/Users/{id}")).header("x-request-id", "the-spoiled-one");
        let failed = request.json(&titled).send().await;
        failed.assert_error(500, None, &["failed"]);
        assert_eq!(failed.header("x-request-id"), Some("the-spoiled-one"));
        let lines = || {
            let output = server.output();
            let about: Vec<String> = output
                .lines()
                .filter(|line| line.contains("the-spoiled-one") && line.contains("ERROR"))
                .map(str::to_owned)
                .collect();
            async move { (about.len() > 1).then_some(about) }
        };
        let lines = until("what failed, and the request's line", PATIENCE, lines).await;
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(lines[0].contains("cannot be read") && lines[1].contains("carillon::request"), "{lines:?}");
        if format == "json" {
            let about: Value = serde_json::from_str(&lines[0]).expect("JSON");
            assert_eq!((&about["request_id"], &about["level"]), (&json!("the-spoiled-one"), &json!("ERROR")));
        }
    }
}
