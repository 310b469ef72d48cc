//! Large answers that wait for clients which do not read them.

use crate::support::fixture::{patch_of, user_with};
use crate::support::raw::Raw;
use crate::support::server::Settings;
use crate::support::wait::{PATIENCE, until};
use crate::watched::Watched;
use serde_json::json;

#[tokio::test]
async fn large_answers_that_nobody_reads_keep_others_waiting_and_not_more() {
    const LARGE: usize = 15_000_000;
    let watched = Watched::with(Settings::default()).await;
    let client = &watched.client;
    let id = client.post("/Users", &user_with("large", json!({"title": "x".repeat(LARGE)}))).await.id();
    let (one, list) = (format!("/Users/{id}"), "/Users?filter=userName%20eq%20%22large%22");
    let before = watched.server.anonymous_memory_kb();
    let ask = |path: &str| {
        let mut raw = watched.connect();
        raw.send(watched.head(&format!("GET {path}"), "")).expect("sent");
        raw
    };
    let mut unread: Vec<Raw> = [one.as_str(), list].iter().cycle().take(60).map(|path| ask(path)).collect();
    assert!(unread.iter_mut().all(|raw| matches!(raw.status(), Some(200 | 503))));
    // Many of these were refused for answers that were being made then, and may leave room for one more: it is taken too.
    for path in [list, one.as_str()] {
        loop {
            let mut raw = ask(path);
            let status = raw.status();
            unread.push(raw);
            assert!(unread.len() < 100, "there is always room");
            if status == Some(503) {
                break;
            }
        }
    }
    let refused = client.get(list).await;
    refused.assert_error(503, None, &["busy with other large answers"]);
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert_eq!(client.get(&one).await.status, 503);
    // What is small goes on, and a write that is performed is not said to have failed.
    let (ann, titled) = (format!("/Users/{}", watched.ann), patch_of(json!([{"op": "replace", "path": "active", "value": true}])));
    assert_eq!(client.get(&ann).await.status, 200);
    assert_eq!(client.patch(&ann, &titled).await.status, 200);
    let written = client.on("PATCH", &one).header("prefer", "return=representation").json(&titled).send().await;
    assert_eq!((written.status, written.version(), written.header("preference-applied")), (204, 2, None));
    let grown = watched.server.anonymous_memory_kb().saturating_sub(before);
    assert!(grown < 640 * 1024, "{grown} kB more");
    drop(unread);
    let answered = || async { Some(client.get(&one).await).filter(|answer| answer.status == 200) };
    let answered = until("there is room again", PATIENCE, answered).await;
    assert!(answered.body.len() > LARGE);
    let head = client.on("HEAD", &one).send().await;
    assert_eq!((head.status, head.header("content-length")), (200, Some(answered.body.len().to_string().as_str())));
}
