//! Streams as a receiver manages them (SSF §8.1): made, changed, read, removed; their status; their secrets.

use crate::support::client::Client;
use crate::support::fixture::user;
use crate::support::server::{Server, Settings};
use serde_json::{Value, json};

const ISSUER: &str = "https://scim.example";
const PUSH: &str = "urn:ietf:rfc:8935";
const POLL: &str = "urn:ietf:rfc:8936";
/// Most streams that are made by request.
const STREAMS: usize = carillon::base::limits::STREAMS;

/// A server with two receivers, each of which manages its streams.
fn server() -> Server {
    Server::start(&settings())
}

fn settings() -> Settings {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.keep().join("receivers.toml");
    let keys = ["ann", "bob"].map(|name| {
        format!(
            "[[auth.keys]]\nname = \"{name}\"\nkey = \"key-of-{name}-0123456789\"\nscopes = [\"streams:manage\", \"events:read\"]\n"
        )
    });
    std::fs::write(&file, keys.concat()).expect("written");
    let path = file.display().to_string();
    Settings::default()
        .with("SET_PUSH_ALLOW", "127.0.0.0/8")
        .with("PUBLIC_URL", ISSUER)
        .with("LOGLEVEL", "TRACE")
        .arguments(&["--config", &path])
}

fn of(server: &Server, name: &str) -> Client {
    server.client().with_key(Some(&format!("key-of-{name}-0123456789")))
}

fn push(url: &str) -> Value {
    json!({"method": PUSH, "endpoint_url": url, "authorization_header": "Bearer hunter2"})
}

async fn made(client: &Client, body: &Value) -> (String, Value) {
    let answer = client.post("/Events/Streams", body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let stream = answer.json();
    let id = stream["stream_id"].as_str().expect("an id").to_owned();
    assert_eq!(answer.header("location"), Some(format!("{ISSUER}/Events/Streams/{id}").as_str()));
    (format!("/Events/Streams/{id}"), stream)
}

fn kinds(form: &str) -> Value {
    let formed = ["create", "put", "patch"].map(|kind| format!("urn:ietf:params:scim:event:prov:{kind}:{form}"));
    formed
        .into_iter()
        .chain(["delete", "activate", "deactivate"].map(|kind| format!("urn:ietf:params:scim:event:prov:{kind}")))
        .collect()
}

/// SSF-8.1.1-01 SSF-8.1.1.1-01 SSF-8.1.1.1-02
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_nothing_said_is_polled_and_holds_everything() {
    let server = server();
    let ann = of(&server, "ann");
    let (path, stream) = made(&ann, &json!({})).await;
    let id = path.rsplit('/').next().expect("an id");
    let expected = json!({
        "stream_id": id, "iss": ISSUER, "aud": [format!("{ISSUER}/Events/Feeds/default")],
        "events_supported": kinds("notice"), "events_delivered": kinds("notice"),
        "delivery": {"method": POLL, "endpoint_url": format!("{ISSUER}/Events/Streams/{id}/Poll")},
        "feeds": ["default"], "mode": "notice", "format": "jwt", "alg": "ES256", "status": "enabled",
        "owner": "ann", "origin": "request", "verified": true,
    });
    assert_eq!(stream, expected);
    let read = ann.get(&path).await;
    assert_eq!((read.status, read.json(), read.header("cache-control")), (200, expected.clone(), Some("no-store")));
    let listed = ann.get("/Events/Streams").await.json();
    assert_eq!((&listed["totalResults"], &listed["Resources"]), (&json!(1), &json!([expected])));
}

/// SSF-8.1.1-02
#[tokio::test(flavor = "multi_thread")]
async fn what_is_delivered_was_asked_for_and_is_supported() {
    let server = server();
    let ann = of(&server, "ann");
    let asked =
        json!(["urn:ietf:params:scim:event:prov:delete", "urn:ietf:params:scim:event:prov:create:full", "urn:example:unknown"]);
    let (path, stream) = made(&ann, &json!({"events_requested": asked})).await;
    assert_eq!(stream["events_requested"], asked);
    assert_eq!(stream["events_delivered"], json!(["urn:ietf:params:scim:event:prov:delete"]));
    let full = ann.patch(&path, &json!({"mode": "full"})).await.json();
    let delivered = ["urn:ietf:params:scim:event:prov:create:full", "urn:ietf:params:scim:event:prov:delete"];
    assert_eq!(full["events_delivered"], json!(delivered));
    assert!(full["events_supported"].as_array().expect("a list").contains(&json!("urn:ietf:params:scim:event:prov:put:notice")));
}

/// SSF-8-01 SSF-8.1.1.2-01 SSF-8.1.1.2-02
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_its_owners_and_the_administrators() {
    let server = server();
    let (ann, bob, admin) = (of(&server, "ann"), of(&server, "bob"), server.client());
    let (path, _) = made(&ann, &json!({})).await;
    assert_eq!(bob.get("/Events/Streams").await.json()["Resources"], json!([]));
    for answer in [
        bob.get(&path).await,
        bob.patch(&path, &json!({"mode": "full"})).await,
        bob.put(&path, &json!({})).await,
        bob.delete(&path).await,
        bob.get(&format!("{path}/Status")).await,
        bob.post(&format!("{path}/Status"), &json!({"status": "paused"})).await,
        bob.post(&format!("{path}/Verify"), &json!({})).await,
        bob.get(&format!("{path}/DeadLetters")).await,
        bob.post(&format!("{path}/DeadLetters/Retry"), &json!({})).await,
        bob.post(&format!("{path}/DeadLetters/Discard"), &json!({"jtis": ["x"], "reason": "x"})).await,
        bob.post(&format!("{path}/Replay"), &json!({"since": "2026-01-01T00:00:00Z"})).await,
        bob.get("/Events/Streams/none").await,
    ] {
        answer.assert_error(404, None, &["Stream", "not found"]);
    }
    assert_eq!(admin.get(&path).await.json()["owner"], "ann");
    bob.post("/Events/Streams", &json!({"owner": "ann"})).await.assert_error(403, None, &["admin"]);
    let (given, stream) = made(&admin, &json!({"owner": "bob", "aud": ["a", "b"]})).await;
    assert_eq!((&stream["owner"], &stream["aud"]), (&json!("bob"), &json!(["a", "b"])));
    assert_eq!(bob.get(&given).await.status, 200);
    let listed = admin.get("/Events/Streams?startIndex=2&count=1").await.json();
    assert_eq!((&listed["totalResults"], &listed["itemsPerPage"]), (&json!(2), &json!(1)));
}

/// SSF-8.1.1.3-01 SSF-8.1.1.3-02
#[tokio::test(flavor = "multi_thread")]
async fn a_patch_updates_what_is_given_and_cannot_change_what_is_ours() {
    let server = server();
    let ann = of(&server, "ann");
    let endpoint = json!({"method": PUSH, "endpoint_url": "http://127.0.0.1:9/events", "authorization_header": "Bearer hunter2"});
    let (path, before) =
        made(&ann, &json!({"description": "old", "delivery": endpoint, "resource_types": ["User"], "lanes": 2})).await;
    let patched = ann
        .patch(&path, &json!({"stream_id": before["stream_id"], "aud": before["aud"], "description": "new", "lanes": null}))
        .await;
    let mut expected = before.clone();
    expected["description"] = "new".into();
    expected["lanes"] = 4.into();
    assert_eq!((patched.status, patched.json()), (200, expected.clone()));
    // Within `delivery` too.
    let patched = ann.patch(&path, &json!({"delivery": {"authorization_header": null}})).await.json();
    expected["delivery"]["authorization_header_set"] = false.into();
    assert_eq!(patched, expected);
    for (body, words) in [
        (json!({"stream_id": "other"}), "stream_id"),
        (json!({"iss": "https://evil.example"}), "iss"),
        (json!({"aud": ["other"]}), "aud"),
        (json!({"events_delivered": []}), "events_delivered"),
        (json!({"status": "paused"}), "status"),
        (json!({"owner": "bob"}), "owner"),
        (json!({"start": "now"}), "start"),
        (json!({"delivery": {"authorization_header_set": true}}), "delivery.authorization_header_set"),
    ] {
        ann.patch(&path, &body).await.assert_error(400, Some("mutability"), &[words]);
        ann.put(&path, &body).await.assert_error(400, Some("mutability"), &[words]);
    }
    for (body, words) in [
        (json!({"colour": 1}), "colour"),
        (json!({"delivery": {"colour": 1}}), "delivery.colour"),
        (json!({"feeds": ["nowhere"]}), "feeds"),
        (json!({"resource_types": ["Cat"]}), "resource_types"),
        (json!({"attributes": {"deny": ["nope"]}}), "attributes.deny"),
        (json!({"alg": "HS256"}), "alg"),
        (json!({"lanes": 17}), "lanes"),
        (json!({"delivery": {"endpoint_url": "http://example.com/"}}), "delivery.endpoint_url"),
        (json!({"delivery": {"endpoint_url": "https://ann:pw@example.com/"}}), "delivery.endpoint_url"),
    ] {
        ann.patch(&path, &body).await.assert_error(400, Some("invalidValue"), &[words]);
    }
    ann.patch(&path, &json!([])).await.assert_error(400, Some("invalidSyntax"), &["object"]);
    assert_eq!(ann.get(&path).await.json(), expected);
}

/// SSF-8.1.1.4-01 SSF-8.1.1.5-01
#[tokio::test(flavor = "multi_thread")]
async fn a_put_replaces_and_a_delete_removes() {
    let server = server();
    let ann = of(&server, "ann");
    let endpoint = json!({"method": PUSH, "endpoint_url": "http://127.0.0.1:9/events", "authorization_header": "Bearer hunter2"});
    let said = json!({"description": "old", "delivery": endpoint, "attributes": {"deny": ["name"]}, "mode": "full"});
    let (path, before) = made(&ann, &said).await;
    // What was read can be written back: nothing changes, and the header that is set stays.
    assert_eq!(ann.put(&path, &before).await.json(), before);
    let replaced = ann.put(&path, &json!({"delivery": {"method": PUSH, "endpoint_url": "http://127.0.0.1:9/events"}})).await;
    let stream = replaced.json();
    assert_eq!(replaced.status, 200);
    assert_eq!((&stream["description"], &stream["attributes"], &stream["mode"]), (&Value::Null, &Value::Null, &json!("notice")));
    assert_eq!(stream["delivery"]["authorization_header_set"], false);
    // And it can become one that is polled.
    let polled = ann.put(&path, &json!({})).await.json();
    assert_eq!(polled["delivery"], json!({"method": POLL, "endpoint_url": format!("{ISSUER}{path}/Poll")}));
    assert_eq!(polled["lanes"], Value::Null);
    let gone = ann.delete(&path).await;
    assert_eq!((gone.status, gone.body.len()), (204, 0));
    ann.delete(&path).await.assert_error(404, None, &["not found"]);
    ann.get(&path).await.assert_error(404, None, &["not found"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_goes_in_and_never_comes_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = settings().folder(folder.path()).with("SECRETS_KEY", "a-key-that-seals-0123456789abcdef");
    let mut server = Server::start(&settings);
    let ann = of(&server, "ann");
    let (path, made) = made(&ann, &json!({"delivery": push("https://receiver.example/events?x=hunter2x")})).await;
    assert_eq!(made["delivery"]["authorization_header_set"], true);
    let mut answers = vec![made.to_string()];
    answers.push(ann.get("/Events/Streams").await.text());
    answers.push(ann.patch(&path, &json!({"delivery": {"authorization_header": "Bearer hunter2\n"}})).await.text());
    answers.push(ann.patch(&path, &json!({"description": "x"})).await.text());
    for answer in &answers {
        assert!(!answer.contains("Bearer hunter2"), "{answer}");
    }
    // Another origin gets another secret, or none.
    let elsewhere = json!({"delivery": {"endpoint_url": "https://other.example/events"}});
    ann.patch(&path, &elsewhere).await.assert_error(400, Some("invalidValue"), &["delivery.authorization_header", "origin"]);
    server.terminate();
    assert!(server.ended().await.success());
    assert!(!server.output().contains("hunter2"), "a secret is in what is printed");
    for entry in std::fs::read_dir(folder.path()).expect("the folder") {
        let bytes = std::fs::read(entry.expect("an entry").path()).unwrap_or_default();
        assert!(!bytes.windows(14).any(|window| window == b"Bearer hunter2"), "a secret is on disk");
    }
    assert!(!settings.contents_of_schema().contains("Bearer hunter2"), "a secret is in the server");
}

/// SSF-8.1.4.2-01
#[tokio::test(flavor = "multi_thread")]
async fn a_new_endpoint_is_verified_before_anything_flows() {
    let server = server();
    let ann = of(&server, "ann");
    let (path, stream) = made(&ann, &json!({"delivery": {"method": PUSH, "endpoint_url": "http://127.0.0.1:9/a"}})).await;
    assert_eq!(stream["verified"], true);
    let moved = ann.patch(&path, &json!({"delivery": {"endpoint_url": "http://127.0.0.1:9/b"}})).await.json();
    assert_eq!(moved["verified"], false);
    let asked = ann.post(&format!("{path}/Verify"), &json!({"state": "abc"})).await;
    assert_eq!((asked.status, asked.body.len()), (204, 0));
    ann.post(&format!("{path}/Verify"), &json!({"state": 7})).await.assert_error(400, Some("invalidValue"), &["state"]);
    ann.post(&format!("{path}/Verify"), &json!({"stream_id": "x"})).await.assert_error(400, Some("invalidValue"), &["stream_id"]);
    ann.post(&format!("{path}/Status"), &json!({"status": "disabled"})).await;
    ann.post(&format!("{path}/Verify"), &json!({})).await.assert_error(409, None, &["disabled"]);
}

/// SSF-8.1.2.1-01 SSF-8.1.2.2-01
#[tokio::test(flavor = "multi_thread")]
async fn a_status_is_read_and_set() {
    let server = server();
    let ann = of(&server, "ann");
    let (path, stream) = made(&ann, &json!({})).await;
    let (status, id) = (format!("{path}/Status"), &stream["stream_id"]);
    assert_eq!(ann.get(&status).await.json(), json!({"stream_id": id, "status": "enabled"}));
    let set = ann.post(&status, &json!({"stream_id": id, "status": "paused", "reason": "night"})).await;
    let expected = json!({"stream_id": id, "status": "paused", "reason": "night"});
    assert_eq!((set.status, set.json()), (200, expected.clone()));
    assert_eq!(ann.get(&status).await.json(), expected);
    assert_eq!(ann.get(&path).await.json()["reason"], "night");
    for (body, words) in [
        (json!({"status": "asleep"}), "status"),
        (json!({}), "status"),
        (json!({"status": "enabled", "reason": 7}), "reason"),
        (json!({"status": "enabled", "why": "x"}), "why"),
        (json!({"status": "enabled", "stream_id": "x"}), "stream_id"),
    ] {
        ann.post(&status, &body).await.assert_error(400, Some("invalidValue"), &[words]);
    }
    let set = ann.post(&status, &json!({"status": "enabled"})).await;
    assert_eq!(set.json(), json!({"stream_id": id, "status": "enabled"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_and_a_replay_name_an_event_or_a_time() {
    let server = server();
    let (ann, admin) = (of(&server, "ann"), server.client());
    assert_eq!(admin.post("/Users", &user("ann")).await.status, 201);
    let jti = admin.feed(None, 1).await[0]["jti"].as_str().expect("a jti").to_owned();
    for start in [json!("now"), json!({"after": jti}), json!({"since": "2026-01-01T00:00:00Z"}), Value::Null] {
        made(&ann, &json!({"start": start})).await;
    }
    let (path, _) = made(&ann, &json!({})).await;
    for start in [json!("then"), json!({}), json!({"after": jti, "since": "2026-01-01T00:00:00Z"}), json!({"since": "x"}), json!(7)]
    {
        let answer = ann.post("/Events/Streams", &json!({"start": start})).await;
        answer.assert_error(400, Some("invalidValue"), &["start"]);
    }
    ann.post("/Events/Streams", &json!({"start": {"after": "x.y"}})).await.assert_error(400, Some("invalidValue"), &["after"]);
    let replay = format!("{path}/Replay");
    for body in [json!({"after": jti}), json!({"since": "2026-01-01T00:00:00Z", "fresh": true})] {
        let replayed = ann.post(&replay, &body).await;
        assert_eq!((replayed.status, replayed.json()["status"].clone()), (200, json!("enabled")));
    }
    for (body, words) in [
        (json!({}), "after"),
        (json!({"after": jti, "since": "2026-01-01T00:00:00Z"}), "after"),
        (json!({"after": jti, "fresh": "yes"}), "fresh"),
        (json!({"after": format!("0{jti}")}), "after"),
        (json!({"from": jti}), "from"),
    ] {
        ann.post(&replay, &body).await.assert_error(400, Some("invalidValue"), &[words]);
    }
}

/// As many as may be, and no more; those of the configuration and of feeds do not count.
#[tokio::test(flavor = "multi_thread")]
async fn so_many_streams_can_be_made_and_no_more() {
    let server = Server::start(&Settings::default().store("memory").with("SET_PUSH_URL", "http://127.0.0.1:9/a"));
    let admin = server.client();
    assert_eq!(admin.on("POST", "/Events/Feeds/default/Stream").json(&json!({"returnImmediately": true})).send().await.status, 200);
    let makers = (0..4).map(|_| {
        let admin = admin.clone();
        tokio::spawn(async move {
            for _ in 0..STREAMS / 4 {
                let made = admin.post("/Events/Streams", &json!({})).await;
                assert_eq!(made.status, 201, "{}", made.text());
            }
        })
    });
    for maker in makers.collect::<Vec<_>>() {
        maker.await.expect("a maker");
    }
    let refused = admin.post("/Events/Streams", &json!({})).await;
    refused.assert_error(409, None, &[&format!("There are {STREAMS} streams"), "delete one"]);
    let listed = admin.get("/Events/Streams").await.json();
    assert_eq!(listed["totalResults"], STREAMS + 2);
    let one =
        listed["Resources"].as_array().expect("a list").iter().find(|stream| stream["origin"] == "request").expect("one of them");
    let path = format!("/Events/Streams/{}", one["stream_id"].as_str().expect("an id"));
    assert_eq!(admin.delete(&path).await.status, 204);
    assert_eq!(admin.post("/Events/Streams", &json!({})).await.status, 201);
    admin.post("/Events/Streams", &json!({})).await.assert_error(409, None, &["delete one"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_no_dead_letters_without_a_delivery() {
    let server = server();
    let ann = of(&server, "ann");
    let (path, _) = made(&ann, &json!({})).await;
    assert_eq!(ann.get(&format!("{path}/DeadLetters")).await.json(), json!({"total": 0, "letters": []}));
    let retried = ann.post(&format!("{path}/DeadLetters/Retry"), &json!({})).await;
    assert_eq!((retried.status, retried.json()), (200, json!({"retried": 0, "gone": 0})));
    let discard = format!("{path}/DeadLetters/Discard");
    ann.post(&discard, &json!({"jtis": ["x"], "reason": "y"})).await.assert_error(400, Some("invalidValue"), &["jtis", "x"]);
    ann.post(&discard, &json!({"jtis": ["x"]})).await.assert_error(400, Some("invalidValue"), &["reason"]);
    ann.get(&format!("{path}/DeadLetters?after=x")).await.assert_error(400, Some("invalidValue"), &["after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_the_configuration_are_the_operators() {
    let folder = tempfile::tempdir().expect("a folder");
    let pushed = |url: &str| Settings::default().folder(folder.path()).with("SET_PUSH_URL", url).with("SET_PUSH_TOKEN", "hunter2");
    let mut server = Server::start(&pushed("http://127.0.0.1:9/a"));
    let admin = server.client();
    let stream = admin.get("/Events/Streams/push").await.json();
    assert_eq!(
        (&stream["origin"], &stream["owner"], &stream["verified"]),
        (&json!("configuration"), &json!("api-key"), &json!(true))
    );
    admin.patch("/Events/Streams/push", &json!({"lanes": 1})).await.assert_error(409, None, &["SET_PUSH_URL"]);
    admin.put("/Events/Streams/push", &json!({})).await.assert_error(409, None, &["SET_PUSH_URL"]);
    admin.delete("/Events/Streams/push").await.assert_error(409, None, &["SET_PUSH_URL"]);
    server.kill();
    // The operator's word needs no verification.
    let mut server = Server::start(&pushed("http://127.0.0.1:9/b"));
    let stream = server.client().get("/Events/Streams/push").await.json();
    assert_eq!((&stream["delivery"]["endpoint_url"], &stream["verified"]), (&json!("http://127.0.0.1:9/b"), &json!(true)));
    server.kill();
    let mut server = Server::start(&Settings::default().folder(folder.path()));
    let status = server.client().get("/Events/Streams/push/Status").await.json();
    assert_eq!(status, json!({"stream_id": "push", "status": "disabled", "reason": "no longer configured"}));
    server.kill();
    let server = Server::start(&pushed("http://127.0.0.1:9/b"));
    assert_eq!(server.client().get("/Events/Streams/push/Status").await.json(), json!({"stream_id": "push", "status": "enabled"}));
    assert!(!server.says("PUBLIC_URL and SET_ISSUER are not set").await.contains("hunter2"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_replays_a_stream() {
    let server = Server::start(&Settings::default().with("SET_PUSH_URL", "http://127.0.0.1:9/a"));
    let base = format!("http://{}", server.address);
    let run = |words: &[&str]| {
        let key = crate::support::server::KEY;
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_carillon"));
        let output = command.env_clear().args(words).args(["--url", &base, "--key", key]).output().expect("it runs");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text)
    };
    assert_eq!(run(&["replay", "push", "--since", "2026-01-01T00:00:00Z"]), (true, "push is replayed\n".into()));
    let (is_done, text) = run(&["replay", "nobody", "--since", "2026-01-01T00:00:00Z", "--fresh"]);
    assert!(!is_done && text.contains("Stream nobody not found."), "{text}");
    let (is_done, text) = run(&["replay", "push"]);
    assert!(!is_done && text.contains("--after"), "{text}");
}
