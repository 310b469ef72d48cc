//! Server-Sent Events: the place to go on from.

use super::support::wait::{PATIENCE, until};
use super::transmitter::{Seen, Transmitter, event_stream, json_answer};
use super::world::{World, claims_with};
use serde_json::json;

fn event(jti: &str, set: &str) -> String {
    format!(": a comment\nid: {jti}\nevent: set\ndata: {set}\n\n")
}

fn asked(seen: &[Seen]) -> Vec<Option<String>> {
    seen.iter().map(|seen| seen.header("last-event-id").map(str::to_owned)).collect()
}

#[tokio::test]
async fn it_goes_on_from_the_last_event_that_was_kept() {
    let world = World::new();
    let [one, two, three, four] = ["a.1", "a.2", "a.3", "a.4"].map(|jti| world.signer.set(jti));
    let refused = world.signer.sign(&claims_with("a.x", "iss", json!("https://else")), Some("secevent+jwt"));
    let transmitter = Transmitter::start(move |number, _| {
        Some(match number {
            // The third is not complete when the connection ends.
            0 => event_stream(format!("retry: 10\n\n{}{}id: a.3\ndata: {three}\n", event("a.1", &one), event("a.2", &two)), false),
            1 => json_answer(503, &json!({})),
            2 => event_stream(format!("{}{}{}", event("a.2", &two), event("a.3", &three), event("a.x", &refused)), false),
            3 => event_stream(String::new(), true),
            _ => event_stream(event("a.4", &four), true),
        })
    })
    .await;
    world.write("key", "a-key");
    let url = transmitter.url("/Events/Feeds/default/Stream?limit=5");
    let mut receiver = world.receive(&["--follow", &url, "--key-file", "key"]);
    until("it connects", PATIENCE, || async { (transmitter.seen().len() == 4).then_some(()) }).await;
    let last = |jti: &str| Some(jti.to_owned());
    assert_eq!(asked(&transmitter.seen()), [None, last("a.2"), last("a.2"), last("a.x")]);
    for seen in transmitter.seen() {
        assert_eq!(seen.line, "GET /Events/Feeds/default/Stream?limit=5&format=jwt");
        assert_eq!((seen.header("accept"), seen.header("authorization")), (Some("text/event-stream"), Some("Bearer a-key")));
    }
    assert_eq!(world.jtis(), ["a.1", "a.2", "a.3"]);
    receiver.kill();

    let mut receiver = world.receive(&["--follow", &url, "--key-file", "key", "--count", "1"]);
    assert!(receiver.ended().await.success());
    receiver.says("after the last event that was kept").await;
    assert_eq!(asked(&transmitter.seen()[4..]), [last("a.3")]);
    assert_eq!(world.jtis(), ["a.1", "a.2", "a.3", "a.4"]);
}

/// What comes after an event that was not kept is not kept either, so that nothing is passed by.
#[tokio::test]
async fn an_event_that_was_not_kept_comes_again_before_the_next() {
    let world = World::new();
    let sets = ["1", "2", "3"].map(|jti| (jti, world.signer.set(jti)));
    let transmitter = Transmitter::start(move |_, seen| {
        let after = sets.iter().position(|(jti, _)| seen.header("last-event-id") == Some(jti)).map_or(0, |place| place + 1);
        Some(event_stream(
            format!("retry: 10\n\n{}", sets[after..].iter().map(|(jti, set)| event(jti, set)).collect::<String>()),
            true,
        ))
    })
    .await;
    // Fails once, for the second.
    let command = "test $CARILLON_JTI != 2 || test -e tried || { touch tried; exit 1; }";
    let mut receiver = world.receive(&["--follow", &transmitter.url("/"), "--exec", command, "--count", "3"]);
    assert!(receiver.ended().await.success());
    assert_eq!(world.jtis(), ["1", "2", "3"]);
    assert_eq!(asked(&transmitter.seen()), [None, Some("1".into())]);
}

#[tokio::test]
async fn a_place_that_is_gone_ends_it() {
    let world = World::new();
    world.write("out.jsonl", "{\"receivedAt\":\"2026-01-01T00:00:00.000Z\",\"jti\":\"a.1\",\"claims\":{}}\n");
    let transmitter = Transmitter::start(|_, _| Some(json_answer(410, &json!({"detail": "The oldest is a.7."})))).await;
    let mut receiver = world.receive(&["--follow", &transmitter.url("/")]);
    assert_eq!(receiver.ended().await.code(), Some(1));
    receiver.says("gone at the transmitter (410 Gone: The oldest is a.7.)").await;
    assert_eq!(asked(&transmitter.seen()), [Some("a.1".to_owned())]);
}

#[tokio::test]
async fn a_place_that_goes_while_it_follows_ends_it_after_what_came_before() {
    let world = World::new();
    let stream = format!("{}event: gone\ndata: {{\"oldest\":\"9\"}}\n\n", event("1", &world.signer.set("1")));
    let transmitter = Transmitter::start(move |_, _| Some(event_stream(stream.clone(), true))).await;
    let mut receiver = world.receive(&["--follow", &transmitter.url("/")]);
    assert_eq!(receiver.ended().await.code(), Some(1));
    receiver.says("gone at the transmitter (it says so within the stream)").await;
    assert_eq!((world.jtis(), transmitter.seen().len()), (vec!["1".to_owned()], 1));
}

#[tokio::test]
async fn what_is_no_event_stream_ends_it() {
    let world = World::new();
    let transmitter = Transmitter::start(|_, _| Some(json_answer(200, &json!({"sets": []})))).await;
    let mut receiver = world.receive(&["--follow", &transmitter.url("/?format=json")]);
    assert_eq!(receiver.ended().await.code(), Some(1));
    receiver.says("the transmitter answers with something else than text/event-stream").await;
    assert_eq!(transmitter.seen()[0].line, "GET /?format=json");
}
