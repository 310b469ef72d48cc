//! What leaves the server over TLS: to whom it may go, and what protects it on its way.

use crate::support::authority::Authority;
use crate::support::client::Client;
use crate::support::fixture::user;
use crate::support::receiver::{Receiver, header_of};
use crate::support::server::{Server, Settings};
use crate::support::wait::{PATIENCE, until};
use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{DecodingKey, Validation};
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::Path;

/// A folder whose settings have a push stream for each URL, named `a`, `b`, …; the certificate is that of an authority to trust.
pub(super) fn configured(urls: &[String], authority: &Authority) -> (tempfile::TempDir, Settings) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut settings = String::new();
    for (name, url) in ('a'..).zip(urls) {
        writeln!(settings, "[[events.streams]]\nname = \"{name}\"\npush = \"{url}\"\n").expect("settings");
    }
    std::fs::write(folder.path().join("carillon.toml"), settings).expect("the settings");
    std::fs::write(folder.path().join("authority.pem"), &authority.pem).expect("the certificate");
    let trusting = Settings::default().folder(folder.path()).with("SET_PUSH_CA_FILE", &path(folder.path(), "authority.pem"));
    (folder, trusting)
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_string_lossy().into_owned()
}

/// The claims of a SET, verified with the server's JWK Set.
async fn verified(client: &Client, set: &str) -> Value {
    let answer = client.with_key(None).get("/.well-known/jwks.json").await;
    let keys: JwkSet = serde_json::from_slice(&answer.body).expect("a JWK Set");
    let header = jsonwebtoken::decode_header(set).expect("a header");
    let key = keys.find(header.kid.as_deref().expect("a kid")).expect("a key that is published");
    let mut validation = Validation::new(header.alg);
    validation.required_spec_claims.clear();
    validation.validate_aud = false;
    jsonwebtoken::decode(set, &DecodingKey::from_jwk(key).expect("a key"), &validation).expect("a good signature").claims
}

/// 8417-5.1-01 8935-5.3-01: over TLS to a receiver whose certificate is good, and signed for whoever gets it from there; nothing at all
/// to one whose certificate is of another name or from an authority that nobody vouches for.
#[tokio::test(flavor = "multi_thread")]
async fn signed_sets_go_over_tls_to_receivers_with_good_certificates_alone() {
    let (trusted, stranger) = (Authority::default(), Authority::default());
    let good = Receiver::start_tls(trusted.server(&["localhost"])).await;
    let misnamed = Receiver::start_tls(trusted.server(&["other.example"])).await;
    let unknown = Receiver::start_tls(stranger.server(&["localhost"])).await;
    let urls = [&good, &misnamed, &unknown].map(|receiver| receiver.url_at("localhost"));
    let (_folder, settings) = configured(&urls, &trusted);
    let server = Server::start(&settings);
    let client = server.client();
    let created = client.post("/Users", &user("ann")).await;
    assert_eq!(created.status, 201, "{}", created.text());

    let pushed = &good.at_least(1).await[0];
    assert_eq!((pushed.tls.as_deref(), pushed.header("content-type")), (Some("TLSv1_3"), Some("application/secevent+jwt")));
    assert_eq!(header_of(&pushed.set())["alg"], "ES256");
    let claims = verified(&client, &pushed.set()).await;
    assert_eq!(claims["sub_id"]["uri"], format!("/Users/{}", created.id()));
    let tried = || async { (misnamed.connections() > 0 && unknown.connections() > 0).then_some(()) };
    until("the others are tried", PATIENCE, tried).await;
    assert_eq!((misnamed.count(), unknown.count()), (0, 0));
}

/// 8935-6-01 9967-5-02: no endpoint without TLS, but on this machine where nobody forbids it.
#[tokio::test(flavor = "multi_thread")]
async fn endpoints_without_tls_are_refused() {
    let stream = |url: &str| json!({"delivery": {"method": "urn:ietf:rfc:8935", "endpoint_url": url}});
    let (clear, here) = ("http://receiver.example/events", "http://127.0.0.1:9/events");
    for (required, url, is_refused) in [
        (None, clear, true),
        (None, here, false),
        (Some("true"), clear, true),
        (Some("true"), here, true),
        (None, "https://receiver.example/events", false),
    ] {
        let with = |settings: Settings| match required {
            Some(required) => settings.with("SET_PUSH_REQUIRE_TLS", required),
            None => settings,
        };
        // By request.
        let server = Server::start(&with(Settings::default().with("SET_PUSH_ALLOW", "127.0.0.1").with("SET_PUSH_PORTS", "9")));
        let answer = server.client().post("/Events/Streams", &stream(url)).await;
        if is_refused {
            answer.assert_error(400, Some("invalidValue"), &["delivery.endpoint_url", "https"]);
        } else {
            assert_eq!(answer.status, 201, "{}", answer.text());
        }
        // By the configuration, at the start.
        let (_folder, settings) = configured(&[url.to_owned()], &Authority::default());
        if is_refused {
            let output = with(settings).run_to_its_end();
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success() && told.contains("push") && told.contains("https"), "{told}");
        } else {
            let server = Server::start(&with(settings));
            assert_eq!(server.client().get("/Events/Streams/a").await.status, 200);
        }
    }
}
