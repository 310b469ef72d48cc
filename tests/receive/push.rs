//! RFC 8935: what is accepted and what is refused.

use super::support::raw::Raw;
use super::world::{AUDIENCE, ISSUER, World, assert_accepted, assert_refused, claims, claims_with, push};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;

const TYPE: &str = "application/secevent+jwt";

/// 8935-2.2-01 8935-2-04
#[tokio::test]
async fn a_set_is_kept_and_then_acknowledged_with_an_empty_202() {
    let world = World::new();
    let receiver = world.listen(&["--keep-set"]);
    let client = receiver.client().await;
    let set = world.signer.set("a.1");
    assert_accepted(&push(&client, &set).await);
    let lines = world.lines();
    let received_at = lines[0]["receivedAt"].as_str().expect("a time");
    assert!(received_at.ends_with('Z') && received_at.len() == "2026-01-01T00:00:00.000Z".len(), "{received_at}");
    assert_eq!(lines, [json!({"receivedAt": received_at, "jti": "a.1", "claims": claims("a.1"), "set": set})]);
    // What comes again is acknowledged again, and not written again.
    assert_accepted(&push(&client, &set).await);
    assert_accepted(&push(&client, &world.signer.set("a.2")).await);
    assert_eq!(world.jtis(), ["a.1", "a.2"]);
}

/// 8935-2.3-01 8935-2-05
#[tokio::test]
async fn a_refusal_has_its_code_and_nothing_is_kept() {
    let world = World::new();
    let receiver = world.listen(&[]);
    let client = receiver.client().await;
    let signed = |name: &str, value| world.signer.sign(&claims_with("1", name, value), Some(TYPE));
    for (set, code, description) in [
        ("no SET".into(), "invalid_request", "The header is not base64url without padding."),
        (world.signer.sign(&claims("1"), Some("JWT")), "invalid_request", "The header's typ is not secevent+jwt."),
        (world.signer.sign(&claims("1"), None), "invalid_request", "The header's typ is not secevent+jwt."),
        (signed("events", json!({})), "invalid_request", "events is empty."),
        (signed("sub_id", json!(null)), "invalid_request", "sub_id is not an object with a format."),
        (signed("iss", json!("https://else")), "invalid_issuer", "iss is not an issuer that this receiver listens to."),
        (signed("aud", json!(["https://else"])), "invalid_audience", "aud does not name this receiver."),
        (super::world::Signer::new("first").set("1"), "invalid_key", "The signature does not fit the key."),
    ] {
        assert_refused(&push(&client, &set).await, code, description);
    }
    assert_eq!(world.jtis(), [""; 0]);
    receiver.says("refused: invalid_audience: aud does not name this receiver.").await;
}

/// 8725-3.1-01
#[tokio::test]
async fn a_public_key_is_no_secret_and_none_is_no_algorithm() {
    let world = World::new();
    let receiver = world.listen(&[]);
    let client = receiver.client().await;
    let header = |algorithm| Header { typ: Some("secevent+jwt".into()), kid: Some("first".into()), ..Header::new(algorithm) };
    let public = world.signer.jwks().to_string();
    let forged = jsonwebtoken::encode(&header(Algorithm::HS256), &claims("1"), &EncodingKey::from_secret(public.as_bytes()));
    let unsigned = {
        let set = world.signer.set("1");
        let payload = set.split('.').nth(1).expect("claims").to_owned();
        // {"typ":"secevent+jwt","alg":"none"}
        format!("eyJ0eXAiOiJzZWNldmVudCtqd3QiLCJhbGciOiJub25lIn0.{payload}.")
    };
    for set in [forged.expect("signed"), unsigned] {
        assert_refused(&push(&client, &set).await, "invalid_key", "The header's alg is not one that this receiver accepts.");
    }
    drop(receiver);
    let narrow = world.listen(&["--alg", "EdDSA"]);
    let answer = push(&narrow.client().await, &world.signer.set("1")).await;
    assert_refused(&answer, "invalid_key", "The header's alg is not one that this receiver accepts.");
    assert_eq!(world.jtis(), [""; 0]);
}

#[tokio::test]
async fn a_transmitter_shows_who_it_is() {
    let world = World::new();
    world.write("authorization", "Bearer of good news\n");
    let receiver = world.listen(&["--authorization-file", "authorization"]);
    let client = receiver.client().await;
    let on = || client.on("POST", "/events").header("content-type", TYPE).body(world.signer.set("1"));
    let description = "The Authorization header is not the one that was agreed on.";
    assert_refused(&on().send().await, "authentication_failed", description);
    for value in ["Bearer of good new", "Bearer of good newsy", "bearer of good news", ""] {
        assert_refused(&on().header("authorization", value).send().await, "authentication_failed", description);
    }
    let twice = on().header("authorization", "Bearer of good news").header("authorization", "Bearer of good news");
    assert_refused(&twice.send().await, "authentication_failed", description);
    assert_eq!(world.jtis(), [""; 0]);
    assert_accepted(&on().header("authorization", "Bearer of good news").send().await);
    assert_eq!(world.jtis(), ["1"]);
    assert!(!receiver.said().contains("good news"));
}

#[tokio::test]
async fn a_transmitter_from_elsewhere_is_denied() {
    let world = World::new();
    let receiver = world.listen(&["--allow", "192.0.2.0/24"]);
    let answer = push(&receiver.client().await, &world.signer.set("1")).await;
    assert_refused(&answer, "access_denied", "This receiver takes no SETs from your address.");
    drop(receiver);
    let receiver = world.listen(&["--allow", "192.0.2.0/24", "--allow", "127.0.0.0/8"]);
    assert_accepted(&push(&receiver.client().await, &world.signer.set("1")).await);
}

#[tokio::test]
async fn other_methods_types_and_sizes_are_refused_as_http_does() {
    let world = World::new();
    let receiver = world.listen(&[]);
    let client = receiver.client().await;
    for method in ["GET", "PUT", "DELETE", "OPTIONS"] {
        let answer = client.on(method, "/").send().await;
        assert_eq!((answer.status, answer.header("allow"), answer.text().as_str()), (405, Some("POST"), ""), "{method}");
    }
    for content_type in ["application/json", "application/jwt", ""] {
        let answer = client.on("POST", "").header("content-type", content_type).body(world.signer.set("1")).send().await;
        assert_eq!((answer.status, answer.json()["err"].as_str()), (415, Some("invalid_request")), "{content_type}");
    }
    let address = client.base.trim_start_matches("http://").parse().expect("an address");
    let mut raw = Raw::connect(address);
    raw.send(format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Type: {TYPE}\r\nContent-Length: 99999999\r\n\r\n")).expect("sent");
    let answer = raw.answer().expect("an answer");
    assert_eq!((answer.status, answer.json()["err"].as_str()), (413, Some("invalid_request")));
    let with_parameter = client.on("POST", "").header("content-type", format!("{TYPE}; charset=utf-8"));
    assert_accepted(&with_parameter.body(world.signer.set("1")).send().await);
}

#[tokio::test]
async fn a_shared_secret_verifies_too() {
    let world = World::new();
    let secret = "a secret of more than thirty-two bytes";
    world.write("secret", &format!("{secret}\n"));
    let receiver = world.with_flags(&["--listen", "127.0.0.1:0", "--secret-file", "secret", "--output", "out.jsonl"]);
    let client = receiver.client().await;
    let header = Header { typ: Some("secevent+jwt".into()), ..Header::new(Algorithm::HS256) };
    let sign =
        |secret: &str| jsonwebtoken::encode(&header, &claims("1"), &EncodingKey::from_secret(secret.as_bytes())).expect("signed");
    let forged = push(&client, &sign("another secret of more than thirty-two bytes")).await;
    assert_refused(&forged, "invalid_key", "The signature does not fit the key.");
    assert_accepted(&push(&client, &sign(secret)).await);
    let public = push(&client, &world.signer.set("2")).await;
    assert_refused(&public, "invalid_key", "The header's alg is not one that this receiver accepts.");
}

#[tokio::test]
async fn unverified_means_any_event_of_the_right_shape() {
    let world = World::new();
    let receiver = world.bare(&["--listen", "127.0.0.1:0", "--unverified", "--output", "out.jsonl", "--audience", AUDIENCE]);
    let client = receiver.client().await;
    receiver.says("anybody can make these events up").await;
    let json = |claims| client.on("POST", "").header("content-type", "application/json").body(format!("{claims}"));
    assert_accepted(&json(claims("1")).send().await);
    assert_accepted(&push(&client, &world.signer.set("2")).await);
    assert_refused(&json(claims_with("3", "events", json!([]))).send().await, "invalid_request", "events is not an object.");
    let answer = json(claims_with("3", "aud", ISSUER.into())).send().await;
    assert_refused(&answer, "invalid_audience", "aud does not name this receiver.");
    assert_eq!(world.jtis(), ["1", "2"]);
}
