//! RFC 8936: the loop, its acknowledgements and its errors.

use super::support::wait::{PATIENCE, until};
use super::transmitter::{Transmitter, delivery, json_answer};
use super::world::{World, claims_with};
use serde_json::{Value, json};

/// 8936-2.6-01 9967-5-04
#[tokio::test]
async fn what_is_kept_is_acknowledged_and_what_is_refused_is_reported_with_a_language() {
    let world = World::new();
    let good = |jti: &str| world.signer.set(jti);
    let foreign = world.signer.sign(&claims_with("a.3", "aud", json!("https://else")), Some("secevent+jwt"));
    let answers = [
        // The set of another name, and something that is none.
        delivery(&[("a.1", good("a.1")), ("a.2", good("a.2")), ("a.3", foreign), ("a.4", good("a.5"))], true),
        json_answer(200, &json!({"sets": {"a.6": {"not": "a string"}, "a.2": good("a.2")}})),
        json_answer(200, &json!({"sets": {}})),
    ];
    let answers = std::sync::Mutex::new(answers.into_iter());
    let (output, written) = (world.path("out.jsonl"), std::sync::Arc::new(std::sync::Mutex::new(Vec::new())));
    let on_request = std::sync::Arc::clone(&written);
    let transmitter = Transmitter::start(move |_, _| {
        // What is on disk when the request comes.
        on_request.lock().expect("them").push(std::fs::read_to_string(&output).unwrap_or_default().lines().count());
        answers.lock().expect("them").next()
    })
    .await;
    world.write("key", "a-key\n");
    let url = transmitter.url("/Events/Streams/1/Poll");
    let mut receiver = world.receive(&["--poll", &url, "--key-file", "key", "--max-events", "7"]);
    until("it polls", PATIENCE, || async { (transmitter.seen().len() == 4).then_some(()) }).await;
    let seen = transmitter.seen();
    let bodies: Vec<&Value> = seen.iter().map(|seen| &seen.body).collect();
    let audience = json!({"err": "invalid_audience", "description": "aud does not name this receiver."});
    let name = json!({"err": "invalid_request", "description": "The SET's jti is not the one under which it came."});
    let parts = json!({"err": "invalid_request", "description": "The header is not JSON in which every name stands once."});
    assert_eq!(
        bodies,
        [
            &json!({"maxEvents": 7, "returnImmediately": false}),
            &json!({"maxEvents": 7, "returnImmediately": false, "ack": ["a.1", "a.2"], "setErrs": {"a.3": audience, "a.4": name}}),
            &json!({"maxEvents": 7, "returnImmediately": false, "ack": ["a.2"], "setErrs": {"a.6": parts}}),
            &json!({"maxEvents": 7, "returnImmediately": false}),
        ]
    );
    let languages: Vec<Option<&str>> = seen.iter().map(|seen| seen.header("content-language")).collect();
    assert_eq!(languages, [None, Some("en"), Some("en"), None]);
    for seen in &seen {
        assert_eq!(seen.line, "POST /Events/Streams/1/Poll");
        assert_eq!((seen.header("content-type"), seen.header("authorization")), (Some("application/json"), Some("Bearer a-key")));
    }
    assert_eq!(*written.lock().expect("them"), [0, 2, 2, 2], "what is acknowledged is on disk");
    assert_eq!(world.jtis(), ["a.1", "a.2"]);
    receiver.terminate();
    assert!(receiver.ended().await.success());
    assert_eq!(transmitter.seen().len(), 4, "nothing is left to acknowledge");
}

#[tokio::test]
async fn what_came_last_is_acknowledged_before_the_end() {
    let world = World::new();
    let sets = ["1", "2", "3"].map(|jti| (jti.to_owned(), world.signer.set(jti)));
    let transmitter = Transmitter::start(move |_, seen| {
        let most = usize::try_from(seen.body["maxEvents"].as_u64().expect("a number")).expect("small");
        let sets: Vec<(&str, String)> = sets.iter().take(most).map(|(jti, set)| (jti.as_str(), set.clone())).collect();
        Some(delivery(&sets, true))
    })
    .await;
    let mut receiver = world.receive(&["--poll", &transmitter.url("/"), "--count", "2"]);
    assert!(receiver.ended().await.success());
    let bodies: Vec<Value> = transmitter.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(
        bodies,
        [
            json!({"maxEvents": 2, "returnImmediately": false}),
            json!({"maxEvents": 0, "returnImmediately": true, "ack": ["1", "2"]}),
        ]
    );
    assert_eq!(world.jtis(), ["1", "2"]);
}

/// An acknowledgement whose answer was lost is sent again.
#[tokio::test]
async fn trouble_passes_and_acknowledgements_wait_for_it() {
    let world = World::new();
    let set = world.signer.set("1");
    let transmitter = Transmitter::start(move |number, _| match number {
        0 => Some(json_answer(503, &json!({"detail": "Not yet."}))),
        1 => Some(delivery(&[("1", set.clone())], false)),
        2 => Some(json_answer(401, &json!({}))),
        3 => Some(json_answer(200, &json!({"unexpected": true}))),
        4 => Some(delivery(&[], false)),
        _ => None,
    })
    .await;
    let receiver = world.receive(&["--poll", &transmitter.url("/")]);
    until("it polls", PATIENCE, || async { (transmitter.seen().len() == 6).then_some(()) }).await;
    let acks: Vec<Value> = transmitter.seen().into_iter().map(|seen| seen.body["ack"].clone()).collect();
    let one = json!(["1"]);
    assert_eq!(acks, [Value::Null, Value::Null, one.clone(), one.clone(), one, Value::Null]);
    for what in ["the transmitter answered 503 Service Unavailable: Not yet.; asking again in", "the answer is not one of RFC 8936"]
    {
        receiver.says(what).await;
    }
}

#[tokio::test]
async fn a_mistake_at_the_start_ends_it() {
    let world = World::new();
    let refusing = Transmitter::start(|_, _| Some(json_answer(401, &json!({"detail": "Who are you?"})))).await;
    let mut receiver = world.receive(&["--poll", &refusing.url("/")]);
    assert_eq!(receiver.ended().await.code(), Some(1));
    receiver.says("carillon receive ends: the transmitter answered 401 Unauthorized: Who are you?").await;
    assert_eq!(refusing.seen().len(), 1);
}
