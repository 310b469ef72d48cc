//! Types that come and go between starts: they keep their resources, and their events are told for ever.

use crate::gateway::{Gateway, answer, event, group, member, notice, resource, schema_path};
use crate::support::server::{Server, Settings};
use serde_json::{Value, json};

crate::cases!(retired, Notice: a_type_goes_and_comes_back needs durable, types_change_places needs durable);

const DEVICE: &str = "urn:example:scim:schemas:Device";
const AGENT: &str = "urn:ietf:params:scim:schemas:core:2.0:Agent";

/// The program on one folder, with these schemas after the others.
struct Own {
    settings: Settings,
    server: Option<Server>,
    _folder: tempfile::TempDir,
}

impl Own {
    fn new(gateway: &Gateway) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let settings = Settings::default().store(gateway.backend).folder(folder.path());
        Self { settings, server: None, _folder: folder }
    }

    /// Starts again with these schemas.
    async fn restart(&mut self, schemas: &str, ids: &Gateway) -> Gateway {
        if let Some(mut server) = self.server.take() {
            server.terminate();
            assert!(server.ended().await.success(), "{}", server.output());
        }
        let server = Server::start(&self.settings.clone().with("SCHEMA_PATH", schemas));
        let client = server.client();
        self.server = Some(server);
        ids.through(client)
    }
}

fn kinds(events: &[Value]) -> Vec<String> {
    let of = |event: &Value| {
        let kind = event["events"].as_object().and_then(|events| events.keys().next().cloned()).unwrap_or_default();
        format!("{} {}", event["sub_id"]["uri"].as_str().unwrap_or_default(), kind.rsplit("prov:").next().unwrap_or_default())
    };
    events.iter().map(of).collect()
}

async fn a_type_goes_and_comes_back(gateway: &Gateway) {
    let mut own = Own::new(gateway);
    let with = own.restart(&schema_path(), gateway).await;
    with.create("d", "/Devices", json!({"schemas": [DEVICE], "displayName": "~d", "serialNumber": "~1"})).await;
    with.create("a", "/Agents", json!({"schemas": [AGENT], "name": "~a"})).await;
    with.create_group("team", &["d"]).await;
    let team_of = |own: &str| {
        json!({"schemas": ["urn:example:scim:schemas:Team", "urn:example:scim:schemas:extension:Billing"],
        "displayName": "~t", "members": [{"value": format!("{{{own}}}")}], "urn:example:scim:schemas:extension:Billing": {"account": "~t"}})
    };
    with.create_user("ann", json!({})).await;
    with.create("t", "/Teams", team_of("ann")).await;
    let cursor = with.client.feed(None, 1000).await[0]["jti"].as_str().map(str::to_owned);

    // Nothing of them is served, and the feed tells of them as before, also in pages of one.
    let without = own.restart("", &with).await;
    without.refused("GET", "/Devices/{d}", None, 404, "", &[]).await;
    let told = [
        "/Devices/{d} create:notice",
        "/Agents/{a} create:notice",
        "/Groups/{team} create:notice",
        "/Users/{ann} create:notice",
        "/Teams/{t} create:notice",
    ];
    assert_eq!(kinds(&without.events().await), told);
    assert_eq!(without.client.feed(cursor.as_deref(), 1).await.len(), 4);
    let mut expected = group("team", 1, &[]);
    expected["members"] = json!([{"value": "{d}", "type": "Device"}]);
    assert_eq!(without.get("/Groups/{team}").await, answer(200, &expected));
    assert_eq!(without.get("/Users/{ann}").await["body"]["groups"], Value::Null);
    // Its team loses her all the same.
    assert_eq!(without.delete("/Users/{ann}").await, json!({"status": 204}));

    let again = own.restart(&schema_path(), &without).await;
    let device = resource("Device", &[DEVICE], "d", 1, json!({"displayName": "~d", "serialNumber": "~1"}));
    assert_eq!(again.get("/Devices/{d}").await, answer(200, &device));
    assert_eq!(again.get("/Groups/{team}").await["body"]["members"], json!([member("d", "Device")]));
    assert_eq!(again.get("/Teams/{t}").await["body"]["members"], Value::Null);
    let taken = json!({"schemas": [DEVICE], "displayName": "~e", "serialNumber": "~1"});
    again.refused("POST", "/Devices", Some(taken), 409, "uniqueness", &["serialNumber"]).await;
    assert_eq!(again.found("/Devices", "serialNumber eq \"~1\"").await, ["d"]);
    let last = again.events().await.last().cloned();
    assert_eq!(last, Some(event("patch:notice", "/Teams", "t", 6, notice(2, &["members"]))));
}

async fn types_change_places(gateway: &Gateway) {
    let mut own = Own::new(gateway);
    let (agents, all) = (schema_path().split(':').next_back().unwrap_or_default().to_owned(), schema_path());
    let first = own.restart(&agents, gateway).await;
    first.create("a", "/Agents", json!({"schemas": [AGENT], "name": "~a"})).await;
    let second = own.restart(&all, &first).await;
    second.create("d", "/Devices", json!({"schemas": [DEVICE], "displayName": "~d"})).await;
    let turned = all.split(':').rev().collect::<Vec<_>>().join(":");
    let third = own.restart(&turned, &second).await;
    let agent = resource("Agent", &[AGENT], "a", 1, json!({"name": "~a"}));
    assert_eq!(third.get("/Agents/{a}").await, answer(200, &agent));
    assert_eq!(third.get("/Devices/{d}").await["body"]["displayName"], "~d");
    third.refused("GET", "/Devices/{a}", None, 404, "", &[]).await;
    assert_eq!(kinds(&third.events().await), ["/Agents/{a} create:notice", "/Devices/{d} create:notice"]);
    let server = own.server.as_ref().expect("a server");
    assert!(!server.output().contains("no longer configured"), "{}", server.output());
    let fourth = own.restart("", &third).await;
    let server = own.server.as_ref().expect("a server");
    server.says("no longer configured").await;
    assert_eq!(fourth.events().await.len(), 2);
}
