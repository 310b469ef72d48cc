//! Signing keys over HTTP and from the command line: published, rotated, retired, and whole after a kill.

use crate::support::client::{Client, NoAnswer};
use crate::support::server::{KEY, Server, Settings};
use crate::support::shape::is_house_time;
use crate::support::wait::{PATIENCE, until};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Output;

/// Every key as `state alg`, in order.
fn states(answer: &Value) -> Vec<String> {
    let keys = answer["Resources"].as_array().expect("keys");
    keys.iter().map(|key| format!("{} {}", key["state"].as_str().expect("state"), key["alg"].as_str().expect("alg"))).collect()
}

fn kids(keys: &Value, states: &[&str]) -> BTreeSet<String> {
    let keys = keys.as_array().expect("keys").iter();
    let of_state = keys.filter(|key| states.is_empty() || states.iter().any(|state| key["state"] == *state));
    of_state.map(|key| key["kid"].as_str().expect("kid").to_owned()).collect()
}

async fn published(server: &Server) -> Value {
    let answer = Client::new(&format!("http://{}", server.address), None).get("/.well-known/jwks.json").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/jwk-set+json")), "{}", answer.text());
    assert_eq!(answer.header("cache-control"), Some("public, max-age=900"));
    serde_json::from_slice(&answer.body).expect("JSON")
}

#[tokio::test]
async fn keys_are_published_to_everybody_and_shown_to_administrators() {
    let server = Server::start(&Settings::default().with("BASE_PATH", "/scim/v2"));
    let client = server.client().under("/scim/v2");
    assert_eq!(states(&client.get("/Events/Keys").await.json()), Vec::<String>::new());
    let set = published(&server).await;
    let key = &set["keys"][0];
    let expected =
        json!({"kty": "EC", "crv": "P-256", "x": key["x"], "y": key["y"], "kid": key["kid"], "use": "sig", "alg": "ES256"});
    assert_eq!(set, json!({"keys": [expected]}));

    let listed = client.get("/Events/Keys").await.json();
    let one = &listed["Resources"][0];
    assert_eq!(
        listed,
        json!({
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 1, "itemsPerPage": 1, "startIndex": 1,
            "Resources": [{
                "kid": key["kid"], "alg": "ES256", "state": "active", "created": one["created"], "activated": one["created"],
            }],
        })
    );
    assert!(is_house_time(one["created"].as_str().expect("a time")));
    let nobody = client.with_key(None);
    nobody.get("/Events/Keys").await.assert_error(401, None, &["credential"]);
    nobody.post("/Events/Keys/Rotate", &json!({})).await.assert_error(401, None, &["credential"]);
}

#[tokio::test]
async fn keys_are_rotated_and_retired_by_request() {
    let server = Server::start(&Settings::default());
    let client = server.client();
    let asked = async |path: &str, body: Value| client.post(path, &body).await;
    assert_eq!(states(&asked("/Events/Keys/Rotate", json!({})).await.json()), ["active ES256"]);
    let announced = asked("/Events/Keys/Rotate", json!({"alg": "ES256"})).await.json();
    assert_eq!(states(&announced), ["active ES256", "next ES256"]);
    let (first, second) = (&announced["Resources"][0]["kid"], &announced["Resources"][1]["kid"]);
    assert_eq!(kids(&published(&server).await["keys"], &[]), kids(&announced["Resources"], &[]));
    asked("/Events/Keys/Rotate", json!({})).await.assert_error(409, None, &["announced already", second.as_str().expect("kid")]);
    let rotated = asked("/Events/Keys/Rotate", json!({"now": true})).await.json();
    assert_eq!(states(&rotated), ["active ES256", "retired ES256"]);
    assert_eq!((&rotated["Resources"][0]["kid"], &rotated["Resources"][1]["kid"]), (second, first));

    let path = format!("/Events/Keys/{}/Retire", second.as_str().expect("kid"));
    let retired = asked(&path, json!({})).await.json();
    assert_eq!(states(&retired), ["active ES256", "retired ES256"]);
    assert!(!kids(&published(&server).await["keys"], &[]).contains(second.as_str().expect("kid")));
    asked(&path, json!({})).await.assert_error(404, None, &["Signing key", "not found"]);
    asked("/Events/Keys/Rotate", json!({"alg": "none"})).await.assert_error(400, Some("invalidValue"), &["'alg'"]);
    asked("/Events/Keys/Rotate", json!({"alg": "HS256"})).await.assert_error(400, Some("invalidValue"), &["SET_SIGNING_SECRET"]);
    asked("/Events/Keys/Rotate", json!({"kid": "x"})).await.assert_error(400, Some("invalidSyntax"), &["'kid'"]);
}

/// A SET tells; it never allows. 8417-4.2-01
#[tokio::test]
async fn a_set_is_no_credential() {
    const SECRET: &str = "a-secret-that-both-sides-know-0123456789";
    let server = Server::start(&Settings::default().with("SET_SIGNING_SECRET", SECRET));
    let base = format!("http://{}", server.address);
    let claims = json!({
        "iss": base, "aud": [base, "api-key"], "sub": "api-key", "jti": "1", "iat": 1, "exp": 99_999_999_999_u64,
        "events": {"urn:ietf:params:scim:event:prov:create:notice": {}},
    });
    for typ in [Some("secevent+jwt"), Some("at+jwt"), None] {
        let header = Header { typ: typ.map(str::to_owned), ..Header::new(Algorithm::HS256) };
        let set = encode(&header, &claims, &EncodingKey::from_secret(SECRET.as_bytes())).expect("a SET");
        let answer = server.client().with_key(Some(&set)).get("/Users").await;
        answer.assert_error(401, None, &["not known"]);
        assert!(!answer.text().contains(&set));
    }
    assert_eq!(published(&server).await, json!({"keys": []}));
}

/// The ring is whole whenever the process is killed: one key signs, and what was ever told to have signed can be verified.
#[tokio::test]
async fn a_kill_in_a_rotation_leaves_a_ring_that_signs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = Settings::default().folder(folder.path());
    let mut told: BTreeSet<String> = BTreeSet::new();
    for answers in [0, 1, 2, 5] {
        let mut server = Server::start(&settings);
        let client = server.client();
        let rotating = tokio::spawn(async move {
            let mut told = BTreeSet::new();
            let mut count = 0;
            loop {
                let asked = client.on("POST", "/Events/Keys/Rotate").json(&json!({"now": true})).try_send().await;
                match asked {
                    Ok(answer) => told.extend(kids(&answer.json()["Resources"], &["active", "retired"])),
                    Err(NoAnswer::NeverSent | NoAnswer::Unknown) => return (told, count),
                }
                count += 1;
            }
        });
        let watching = server.client();
        until("some rotations", PATIENCE, || async {
            let keys = watching.get("/Events/Keys").await.json();
            (states(&keys).len() > answers).then_some(())
        })
        .await;
        server.kill();
        told.extend(rotating.await.expect("no panic").0);
    }
    let server = Server::start(&settings);
    let set = kids(&published(&server).await["keys"], &[]);
    let keys = server.client().get("/Events/Keys").await.json();
    assert_eq!(states(&keys).iter().filter(|state| *state == "active ES256").count(), 1, "{keys}");
    assert!(told.is_subset(&set), "{told:?} {set:?}");
}

#[tokio::test]
async fn a_key_of_secrets_that_opens_nothing_stops_the_start() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = Settings::default().folder(folder.path());
    let sealed = Server::start(&settings.clone().with("SECRETS_KEY", "the-key-0123456789-abcdef"));
    let set = published(&sealed).await;
    drop(sealed);
    let place = if settings.is_on_server() { "DATABASE_URL".to_owned() } else { format!("DATA_PATH {}", folder.path().display()) };
    for wrong in ["another-key-0123456789", ""] {
        let refused = settings.clone().with("SECRETS_KEY", wrong).run_to_its_end();
        assert_eq!(
            (refused.status.code(), String::from_utf8_lossy(&refused.stderr).into_owned()),
            (
                Some(2),
                format!(
                    "Carillon cannot start:\n{place}: signing keys: a kept secret cannot be opened: SECRETS_KEY is missing, or not \
                     the key it was sealed with\n"
                )
            )
        );
    }
    let opened = Server::start(&settings.with("SECRETS_KEY", "the-key-0123456789-abcdef"));
    assert_eq!(published(&opened).await, set);
}

fn command(folder: &Path, port: u16, words: &[&str]) -> Output {
    let settings = Settings::default().folder(folder).with("PORT", &port.to_string());
    settings.arguments(&["keys"]).arguments(words).run_to_its_end()
}

fn said(output: &Output) -> (Option<i32>, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_lists_rotates_and_retires() {
    let server = Server::start(&Settings::default().with("BASE_PATH", "/scim"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let port = server.address.port();
    let run = |words: &[&str]| {
        let settings = Settings::default().folder(folder.path()).with("PORT", &port.to_string()).with("BASE_PATH", "/scim");
        said(&settings.arguments(&["keys"]).arguments(words).run_to_its_end())
    };
    assert_eq!(run(&["list"]), (Some(0), "No keys yet: the first one is made when it is needed\n".into(), String::new()));
    assert_eq!(run(&["rotate"]).0, Some(0));
    let (code, table, _) = run(&["rotate", "--alg", "ES256"]);
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((code, rows.len()), (Some(0), 3), "{table}");
    assert_eq!(rows[0], ["KID", "ALG", "STATE", "CREATED", "ACTIVATES", "ACTIVATED", "RETIRED", "LEAVES"]);
    assert_eq!((rows[1][2], rows[2][2]), ("active", "next"));
    assert_eq!(run(&["rotate"]).0, Some(1));
    let (code, listed, _) = run(&["list", "--json"]);
    let listed: Value = serde_json::from_str(&listed).expect("JSON");
    assert_eq!((code, &listed), (Some(0), &server.client().under("/scim").get("/Events/Keys").await.json()));
    let (code, table, _) = run(&["retire", rows[1][0]]);
    assert_eq!((code, table.lines().count(), table.contains(rows[1][0])), (Some(0), 2, false), "{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_says_why_it_cannot() {
    let mut server = Server::start(&Settings::default());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (port, base) = (server.address.port(), format!("http://{}", server.address));
    let refused = said(&command(folder.path(), port, &["list", "--key", "another"]));
    assert_eq!(refused, (Some(1), String::new(), format!("{base}/Events/Keys refuses: 401 The credential is not known.\n")));
    let unknown = said(&command(folder.path(), port, &["retire", "nothing"]));
    assert_eq!(unknown.2, format!("{base}/Events/Keys/nothing/Retire refuses: 404 Signing key nothing not found.\n"));
    for words in [["retire", "-nothing", "--json"], ["retire", "--json", "-nothing"]] {
        let unknown = said(&command(folder.path(), port, &words));
        assert_eq!(unknown.2, format!("{base}/Events/Keys/%2Dnothing/Retire refuses: 404 Signing key -nothing not found.\n"));
    }
    let listed = said(&command(folder.path(), 1, &["list", "--url", &base, "--key", KEY]));
    assert_eq!((listed.0, listed.2), (Some(0), String::new()));
    server.kill();
    let (code, output, problem) = said(&command(folder.path(), port, &["list"]));
    assert_eq!((code, output), (Some(1), String::new()));
    let expected = format!("no gateway answers at {base}: ");
    assert!(problem.starts_with(&expected) && problem.ends_with("Is it running? --url names another place\n"), "{problem}");
    let nowhere = said(&command(folder.path(), 0, &["list"]));
    assert_eq!(nowhere.2, "PORT is 0 and PUBLIC_URL is not set: use --url to say where the gateway is\n");
    assert!(std::fs::read_dir(folder.path()).expect("the folder").next().is_none(), "a command touches no data folder");
}
