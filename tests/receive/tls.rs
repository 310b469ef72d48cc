//! Transmitters over TLS: whom it trusts.

use super::support::authority::Authority;
use super::support::wait::{PATIENCE, until};
use super::transmitter::{Transmitter, delivery, event_stream, json_answer};
use super::world::World;
use serde_json::{Value, json};

/// A transmitter over TLS with a key set, one event to be polled, and another to be followed.
async fn transmitter(world: &World, authority: &Authority) -> Transmitter {
    let (keys, polled, followed) = (world.signer.jwks(), world.signer.set("a.1"), world.signer.set("a.2"));
    Transmitter::start_tls(authority.server(&["localhost"]), move |_, seen| {
        Some(match seen.line.as_str() {
            "GET /keys" => json_answer(200, &json!(keys)),
            "GET /feed?format=jwt" => event_stream(format!("id: a.2\ndata: {followed}\n\n"), true),
            _ if seen.body["ack"].is_array() => delivery(&[], false),
            _ => delivery(&[("a.1", polled.clone())], false),
        })
    })
    .await
}

#[tokio::test]
async fn keys_and_events_come_over_tls_from_whom_the_authority_vouches_for() {
    let (world, authority) = (World::new(), Authority::default());
    let transmitter = transmitter(&world, &authority).await;
    world.write("authority.pem", &authority.pem);
    let (keys, poll) = (transmitter.url_at("localhost", "/keys"), transmitter.url_at("localhost", "/poll"));
    let trusting = ["--ca-file", "authority.pem", "--jwks", &keys, "--output", "out.jsonl", "--count", "1"];
    let mut receiver = world.with_flags(&[&trusting[..], &["--poll", &poll]].concat());
    assert!(receiver.ended().await.success(), "{}", receiver.said());
    let follow = transmitter.url_at("localhost", "/feed");
    let mut receiver = world.with_flags(&[&trusting[..], &["--follow", &follow]].concat());
    assert!(receiver.ended().await.success(), "{}", receiver.said());
    assert_eq!(world.jtis(), ["a.1", "a.2"]);
    let acknowledged: Vec<Value> = transmitter.seen().into_iter().map(|seen| seen.body["ack"].clone()).collect();
    assert!(acknowledged.contains(&json!(["a.1"])), "{acknowledged:?}");
}

/// 8936-3-01: neither an authority that is a stranger nor a name that is not the certificate's; what is not trusted is sent nothing.
#[tokio::test]
async fn a_transmitter_for_whom_nobody_vouches_is_sent_nothing() {
    let (world, authority) = (World::new(), Authority::default());
    let transmitter = transmitter(&world, &authority).await;
    world.write("stranger.pem", &Authority::default().pem);
    world.write("authority.pem", &authority.pem);
    world.write("key", "a-key-for-nobody-else");
    for (name, file) in [("localhost", "stranger.pem"), ("127.0.0.1", "authority.pem")] {
        let poll = transmitter.url_at(name, "/poll");
        let receiver = world.receive(&["--poll", &poll, "--key-file", "key", "--ca-file", file]);
        let said = receiver.says("invalid peer certificate").await;
        assert!(said.contains("asking again in"), "{said}");
        drop(receiver);
        let keys = transmitter.url_at(name, "/keys");
        let flags = ["--poll", &poll, "--ca-file", file, "--jwks", &keys, "--output", "out.jsonl"];
        let refused = world.with_flags(&flags);
        until("it says so of the keys", PATIENCE, || async { refused.said().contains("certificate").then_some(()) }).await;
    }
    assert!(transmitter.seen().is_empty(), "{:?}", transmitter.seen());
    assert_eq!(world.jtis(), [""; 0]);
}
