//! What is acknowledged survives the process (I2).

use crate::gateway::{Gateway, answer, group, user};
use crate::support::server::{Server, Settings};
use serde_json::json;

crate::cases!(
    durable, Notice: everything_survives_a_kill needs durable, a_clean_stop_loses_nothing needs durable, a_folder_has_one_owner needs one_owner,
);

struct Own {
    settings: Settings,
    server: Server,
    _folder: tempfile::TempDir,
}

fn own(gateway: &Gateway) -> Own {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let settings = Settings::default().store(gateway.backend).folder(folder.path());
    Own { server: Server::start(&settings), settings, _folder: folder }
}

async fn written(gateway: &Gateway) {
    gateway.create_user("ann", json!({"title": "Guide"})).await;
    gateway.create_group("team", &["ann"]).await;
    gateway.patch("/Users/{ann}", json!([{"op": "replace", "path": "title", "value": "Boss"}])).await;
}

/// Everything that [`written`] wrote is there, and the versions and the log go on.
async fn goes_on(before: &Gateway, server: &Server, log: &[serde_json::Value]) {
    let after = before.through(server.client());
    let excluded = "?excludedAttributes=groups";
    let ann = user("ann", 2, json!({"title": "Boss"}));
    assert_eq!(after.get(&format!("/Users/{{ann}}{excluded}")).await, answer(200, &ann));
    assert_eq!(after.get("/Groups/{team}").await, answer(200, &group("team", 1, &["ann"])));
    assert_eq!(after.events().await, log);
    after
        .refused(
            "POST",
            "/Users",
            Some(json!({"schemas": [crate::support::fixture::USER], "userName": "~ANN"})),
            409,
            "uniqueness",
            &[],
        )
        .await;
    after.patch("/Users/{ann}", json!([{"op": "remove", "path": "title"}])).await;
    assert_eq!(after.get(&format!("/Users/{{ann}}{excluded}")).await, answer(200, &user("ann", 3, json!({}))));
    assert_eq!(after.events().await.len(), log.len() + 1);
    assert_eq!(after.get("/Users?count=0").await["body"]["totalResults"], 1);
}

async fn everything_survives_a_kill(gateway: &Gateway) {
    let mut own = own(gateway);
    let mine = gateway.through(own.server.client());
    written(&mine).await;
    let log = mine.events().await;
    let cursor = mine.client.feed(None, 10).await[1]["jti"].as_str().map(str::to_owned);
    own.server.kill();
    own.server = Server::start(&own.settings);
    assert_eq!(own.server.client().feed(cursor.as_deref(), 10).await.len(), 1);
    goes_on(&mine, &own.server, &log).await;
}

async fn a_clean_stop_loses_nothing(gateway: &Gateway) {
    let mut own = own(gateway);
    let mine = gateway.through(own.server.client());
    written(&mine).await;
    let log = mine.events().await;
    own.server.terminate();
    assert!(own.server.ended().await.success(), "{}", own.server.output());
    own.server = Server::start(&own.settings);
    goes_on(&mine, &own.server, &log).await;
}

async fn a_folder_has_one_owner(gateway: &Gateway) {
    let own = own(gateway);
    let refused = own.settings.run_to_its_end();
    assert!(!refused.status.success());
    let said = format!("{}{}", String::from_utf8_lossy(&refused.stdout), String::from_utf8_lossy(&refused.stderr));
    assert!(
        said.contains("already") || said.contains("another process") || said.contains("in use") || said.contains("locked"),
        "{said}"
    );
    assert_eq!(own.server.client().get("/Users?count=0").await.status, 200);
}
