//! `/Me`: the caller's own user (RFC 7644 §3.11), and keys with names.

use crate::support::client::{Answer, Client};
use crate::support::fixture::{USER, patch_of, user};
use crate::support::server::{KEY, Server, Settings};
use serde_json::{Value, json};

const KEYS: &str = r#"
[[auth.keys]]
name = "entra"
key = "key-of-entra"
user_name = "Ann@Example.com"

[[auth.keys]]
name = "entra"
key = "next-key-of-entra"
user_name = "Ann@Example.com"

[[auth.keys]]
name = "okta"
key = "key-of-okta"
"#;

/// A server whose callers are `entra` (twice) and `okta`.
fn start(folder: &tempfile::TempDir) -> Server {
    std::fs::write(folder.path().join("carillon.toml"), KEYS).expect("written");
    Server::start(&Settings::default().folder(folder.path()))
}

fn titled(title: &str) -> Value {
    patch_of(json!([{"op": "replace", "path": "title", "value": title}]))
}

/// The permanent address is in the header and in the body.
fn assert_located(answer: &Answer, location: &str) {
    assert_eq!(answer.header("location"), Some(location), "{}", answer.text());
    if answer.status == 200 && !answer.body.is_empty() {
        assert_eq!(answer.json()["meta"]["location"], location);
    }
}

/// 7644-3.11-01
#[tokio::test]
async fn it_is_the_callers_user() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = start(&folder);
    let admin = server.client();
    let me = admin.with_key(Some("key-of-entra"));
    let created = admin.post("/Users", &user("ann@example.com")).await;
    let location = created.header("location").expect("Location").to_owned();

    let read = me.get("/Me").await;
    assert_eq!((read.status, read.json()), (200, created.json()));
    assert_located(&read, &location);
    let head = me.on("HEAD", "/Me").send().await;
    assert_eq!((head.status, head.body.len(), head.header("etag")), (200, 0, read.header("etag")));
    assert_located(&head, &location);

    let patched = me.patch("/Me", &titled("Guide")).await;
    assert_eq!((patched.status, &patched.json()["title"]), (200, &json!("Guide")));
    assert_located(&patched, &location);
    let minimal = me.on("PATCH", "/Me").header("prefer", "return=minimal").json(&titled("Chief")).send().await;
    assert_eq!((minimal.status, minimal.version()), (204, 3));
    assert_located(&minimal, &location);
    let put = me.put("/Me", &json!({"schemas": [USER], "userName": "ann@example.com"})).await;
    assert_eq!((put.status, put.version(), &put.json()["title"]), (200, 4, &Value::Null));
    assert_located(&put, &location);

    let stale = me.on("PATCH", "/Me").header("if-match", "\"1\"").json(&titled("x")).send().await;
    stale.assert_error(412, None, &["If-Match"]);
    assert_located(&stale, &location);
    let known = me.on("GET", "/Me?attributes=userName").header("if-none-match", "\"4\"").send().await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    assert_located(&known, &location);
    let wrong = me.patch("/Me", &json!({})).await;
    assert_eq!(wrong.status, 400);
    assert_located(&wrong, &location);

    let rotated = admin.with_key(Some("next-key-of-entra"));
    assert_eq!(rotated.get("/Me").await.json()["id"], created.json()["id"]);
    let deleted = me.delete("/Me").await;
    assert_eq!((deleted.status, deleted.body.len()), (204, 0));
    assert_located(&deleted, &location);
    me.get("/Me").await.assert_error(404, None, &["user"]);
    admin.get(&format!("/Users/{}", created.id())).await.assert_error(404, None, &[]);
}

/// 7644-3.11-01
#[tokio::test]
async fn who_has_no_user_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = start(&folder);
    let unmapped: [Client; 2] = [server.client(), server.client().with_key(Some("key-of-okta"))];
    for client in &unmapped {
        for method in ["GET", "PUT", "PATCH", "DELETE", "POST"] {
            let answer = client.on(method, "/Me").send().await;
            answer.assert_error(501, None, &["/Me"]);
            assert_eq!(answer.header("location"), None);
        }
    }
    let absent = server.client().with_key(Some("key-of-entra"));
    for method in ["GET", "PUT", "PATCH", "DELETE"] {
        absent.on(method, "/Me").send().await.assert_error(404, None, &["mapped"]);
    }
    absent.post("/Me", &user("ann@example.com")).await.assert_error(501, None, &["/Me"]);
    server.client().with_key(None).get("/Me").await.assert_error(401, None, &["credential"]);
    assert_eq!(server.client().get("/Users").await.json()["totalResults"], 0);
}

#[tokio::test]
async fn a_key_without_a_name_may_have_one() {
    let name = "o\"brien\\ (x) eq";
    let server = Server::start(&Settings::default().with("ME_USER_NAME", name));
    let created = server.client().post("/Users", &user(name)).await;
    assert_eq!(created.status, 201, "{}", created.text());
    assert_eq!(server.client().get("/Me").await.json()["id"], created.id().as_str());
}

#[tokio::test]
async fn keys_with_names_alone_make_no_other_key() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("carillon.toml"), KEYS).expect("written");
    let server = Server::start(&Settings::default().folder(folder.path()).with("API_KEY", ""));
    assert!(!folder.path().join("api-key").exists());
    assert_eq!(server.client().with_key(Some("key-of-okta")).get("/Users").await.status, 200);
    assert_eq!(server.client().with_key(Some(KEY)).get("/Users").await.status, 401);
}
