//! What is kept stays, once, whatever happens to the receiver; and where keys come from.

use super::support::wait::{PATIENCE, until};
use super::transmitter::{Transmitter, json_answer};
use super::world::{Signer, World, assert_accepted, assert_refused, claims, push};
use axum::http::HeaderValue;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

/// 9967-5-04
#[tokio::test]
async fn killed_between_keeping_and_acknowledging_it_keeps_one_line() {
    let world = World::new();
    let mut receiver = world.listen(&["--fault", "drop"]);
    let client = receiver.client().await;
    let set = world.signer.set("a.1");
    let request = client.on("POST", "").header("content-type", "application/secevent+jwt").body(set.clone()).try_send();
    let never_answered = tokio::spawn(request);
    until("it is kept", PATIENCE, || async { (world.jtis() == ["a.1"]).then_some(()) }).await;
    receiver.kill();
    assert!(never_answered.await.expect("no panic").is_err());

    let receiver = world.listen(&[]);
    let client = receiver.client().await;
    assert_accepted(&push(&client, &set).await);
    assert_accepted(&push(&client, &world.signer.set("a.2")).await);
    assert_eq!(world.jtis(), ["a.1", "a.2"]);
}

#[tokio::test]
async fn a_torn_line_is_cut_off_and_its_event_is_new() {
    let world = World::new();
    let whole = json!({"receivedAt": "2026-01-01T00:00:00.000Z", "jti": "a.1", "claims": claims("a.1")}).to_string();
    let torn = whole.replace("a.1", "a.2");
    world.write("out.jsonl", &format!("{whole}\n{torn}"));
    let receiver = world.listen(&[]);
    let client = receiver.client().await;
    for jti in ["a.1", "a.2", "a.2"] {
        assert_accepted(&push(&client, &world.signer.set(jti)).await);
    }
    assert_eq!(world.jtis(), ["a.1", "a.2"]);
    let second = world.run_to_its_end(&["--listen", "127.0.0.1:0", "--unverified", "--output", "out.jsonl"]);
    let said = "carillon receive cannot start:\n  --output out.jsonl: another process writes to it\n";
    assert_eq!((second.status.code(), String::from_utf8_lossy(&second.stderr).as_ref()), (Some(2), said));
}

#[tokio::test]
async fn many_at_once_are_kept_once_each() {
    let world = World::new();
    let mut receiver = world.listen(&["--count", "40"]);
    let client = receiver.client().await;
    let pushes = (0..80).map(|number| {
        let (client, set) = (client.clone(), world.signer.set(&format!("a.{}", number % 40)));
        tokio::spawn(async move { push(&client, &set).await })
    });
    // All are sent before the first is waited for.
    let pushes: Vec<_> = pushes.collect();
    assert!(receiver.ended().await.success());
    let mut accepted = 0;
    for push in pushes {
        // Those that came after the end were not answered, or asked to come again.
        accepted += push.await.map_or(0, |answer| usize::from(answer.status == 202));
    }
    assert!((40..=80).contains(&accepted), "{accepted}");
    let mut jtis = world.jtis();
    jtis.sort();
    jtis.dedup();
    assert_eq!((jtis.len(), world.jtis().len()), (40, 40));
}

#[tokio::test]
async fn lines_on_the_standard_output_are_remembered_in_a_file() {
    let world = World::new();
    let flags = ["--listen", "127.0.0.1:0", "--jwks", "jwks.json", "--state", "state"];
    let mut receiver = world.with_flags(&flags);
    let client = receiver.client().await;
    assert_accepted(&push(&client, &world.signer.set("a.1")).await);
    receiver.terminate();
    assert!(receiver.ended().await.success());
    let printed: Value = serde_json::from_str(receiver.printed().trim_end()).expect("one line");
    assert_eq!((&printed["jti"], &printed["claims"]), (&"a.1".into(), &claims("a.1")));

    let mut receiver = world.with_flags(&flags);
    let client = receiver.client().await;
    for jti in ["a.1", "a.2"] {
        assert_accepted(&push(&client, &world.signer.set(jti)).await);
    }
    receiver.terminate();
    assert!(receiver.ended().await.success());
    receiver.says("received 1 (").await;
    assert_eq!(receiver.printed().lines().count(), 1);
    assert_eq!(std::fs::read_to_string(world.path("state")).expect("the state"), "a.1\na.2\n");
}

/// An event is acknowledged only when its command has ended well.
#[tokio::test]
async fn a_command_decides() {
    let world = World::new();
    let command = "test -e ready && cat >> seen && echo $CARILLON_JTI >> seen";
    let receiver = world.listen(&["--exec", command]);
    let client = receiver.client().await;
    let answer = push(&client, &world.signer.set("a.1")).await;
    assert_eq!((answer.status, answer.header("retry-after"), answer.text().as_str()), (503, Some("1"), ""));
    receiver.says("not kept, it has to come again: --exec: the command ended with exit status: 1").await;
    assert_eq!(world.jtis(), [""; 0]);
    world.write("ready", "");
    for _ in 0..2 {
        assert_accepted(&push(&client, &world.signer.set("a.1")).await);
    }
    assert_eq!(world.jtis(), ["a.1"]);
    assert_eq!(std::fs::read_to_string(world.path("seen")).expect("its output"), format!("{}\na.1\n", claims("a.1")));
}

#[tokio::test]
async fn keys_are_fetched_again_for_a_name_that_is_unknown() {
    let world = World::new();
    let second = Signer::new("second");
    let published = Arc::new(Mutex::new(world.signer.jwks()));
    let serves = Arc::new(AtomicBool::new(false));
    let jwks = Transmitter::start({
        let (published, serves) = (Arc::clone(&published), Arc::clone(&serves));
        move |_, _| {
            if !serves.load(SeqCst) {
                return Some(json_answer(503, &json!({})));
            }
            let mut answer = json_answer(200, &published.lock().expect("the keys"));
            answer.headers_mut().insert("cache-control", HeaderValue::from_static("public, max-age=900"));
            Some(answer)
        }
    })
    .await;
    let url = jwks.url("/.well-known/jwks.json");
    let receiver = world.with_flags(&["--listen", "127.0.0.1:0", "--jwks", &url, "--output", "out.jsonl"]);
    let client = receiver.client().await;
    // Nobody can say whether it is good: it has to come again.
    assert_eq!(push(&client, &world.signer.set("1")).await.status, 503);
    serves.store(true, SeqCst);
    let accepted = |set: String| {
        let client = client.clone();
        async move { (push(&client, &set).await.status == 202).then_some(()) }
    };
    until("the keys are there", PATIENCE, || accepted(world.signer.set("1"))).await;
    let fetched = jwks.seen().len();
    assert_accepted(&push(&client, &world.signer.set("2")).await);
    assert_eq!(jwks.seen().len(), fetched, "they are kept for as long as they said");

    *published.lock().expect("the keys") = json!({"keys": [world.signer.jwk(), second.jwk()]});
    until("the new key is there", PATIENCE, || accepted(second.set("3"))).await;
    assert_eq!(jwks.seen().len(), fetched + 1, "once, though it was asked for again and again");
    let third = Signer::new("third");
    let refused = || {
        let (client, set) = (client.clone(), third.set("4"));
        async move {
            let answer = push(&client, &set).await;
            (answer.status != 503).then_some(answer)
        }
    };
    let answer = until("it is refused", PATIENCE, refused).await;
    assert_refused(&answer, "invalid_key", "No key of the transmitter has this kid.");
    assert_eq!((jwks.seen().len(), world.jtis()), (fetched + 2, vec!["1".into(), "2".into(), "3".into()]));
}
