//! Resource types from files: their endpoints, their members, and their place among the members of others (RFC 7643 §6).

use crate::gateway::{Gateway, answer, event, group, list, member, notice, resource};
use crate::support::fixture::{ENTERPRISE, GROUP, patch_of, with};
use serde_json::{Value, json};

crate::cases!(
    custom_types, Custom: they_are_published, a_device_lives, required_extensions, devices_in_groups, teams_have_members, teams_in_teams,
    who_goes_leaves_its_team, agents_live, agents_know_their_groups, kinds_of_members,
);

const DEVICE: &str = "urn:example:scim:schemas:Device";
const TEAM: &str = "urn:example:scim:schemas:Team";
const BILLING: &str = "urn:example:scim:schemas:extension:Billing";
const AGENT: &str = "urn:ietf:params:scim:schemas:core:2.0:Agent";

fn device(label: &str, version: u64, attributes: Value) -> Value {
    resource("Device", &[DEVICE], label, version, with(json!({"displayName": format!("~{label}")}), attributes))
}

async fn create_device(gateway: &Gateway, label: &str, attributes: Value) -> Value {
    let body = with(json!({"schemas": [DEVICE], "displayName": format!("~{label}")}), attributes);
    gateway.create(label, "/Devices", body).await
}

fn team_body(label: &str, members: &[&str]) -> Value {
    let members: Vec<Value> = members.iter().map(|label| json!({"value": format!("{{{label}}}")})).collect();
    json!({"schemas": [TEAM, BILLING], "displayName": format!("~{label}"), "members": members, BILLING: {"account": format!("~{label}")}})
}

fn team(label: &str, version: u64, members: &[Value]) -> Value {
    let core = json!({"displayName": format!("~{label}"), BILLING: {"account": format!("~{label}")}});
    let core = if members.is_empty() { core } else { with(core, json!({"members": members})) };
    resource("Team", &[TEAM, BILLING], label, version, core)
}

async fn they_are_published(gateway: &Gateway) {
    let types = gateway.get("/ResourceTypes").await;
    let shown: Vec<(String, String)> = types["body"]["Resources"]
        .as_array()
        .expect("types")
        .iter()
        .map(|kind| {
            (kind["name"].as_str().unwrap_or_default().to_owned(), kind["endpoint"].as_str().unwrap_or_default().to_owned())
        })
        .collect();
    let names = ["User", "Group", "Team", "Agent", "AgenticApplication", "Device"];
    assert_eq!(shown, names.map(|name| (name.to_owned(), format!("/{name}s"))));
    let one = gateway.get("/ResourceTypes/team").await["body"].clone();
    let expected = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"], "id": "Team", "name": "Team", "endpoint": "/Teams",
        "description": "Teams", "schema": TEAM, "schemaExtensions": [{"schema": BILLING, "required": true}],
        "meta": {"resourceType": "ResourceType", "location": "{base}/ResourceTypes/Team"}});
    assert_eq!(one, expected);
    let members = gateway.get(&format!("/Schemas/{GROUP}")).await["body"]["attributes"][1]["subAttributes"][3].clone();
    assert_eq!((&members["name"], &members["canonicalValues"]), (&json!("type"), &json!(names)));
}

/// 7643-3.1-08 7643-3.1-05
async fn a_device_lives(gateway: &Gateway) {
    let created =
        create_device(gateway, "d", json!({"serialNumber": "~1", "ports": [22, 443, 22], "notes": "n", "pin": "1234"})).await;
    let core = json!({"serialNumber": "~1", "ports": [22, 443]});
    assert_eq!(created, answer(201, &device("d", 1, with(core.clone(), json!({"notes": "n"})))));
    assert_eq!(gateway.get("/Devices/{d}").await, answer(200, &device("d", 1, core.clone())));
    let found = gateway.filter("/Devices", "serialNumber eq \"~1\" and ports eq 443").await;
    assert_eq!(found, list(1, 1, &[device("d", 1, core.clone())]));
    let other = json!({"schemas": [DEVICE], "displayName": "~e", "serialNumber": "~1"});
    gateway.refused("POST", "/Devices", Some(other.clone()), 409, "uniqueness", &["serialNumber"]).await;
    let renumber = patch_of(json!([{"op": "replace", "path": "serialNumber", "value": "~2"}]));
    gateway.refused("PATCH", "/Devices/{d}", Some(renumber), 400, "mutability", &["serialNumber"]).await;
    let off = gateway.patch("/Devices/{d}", json!([{"op": "replace", "value": {"active": false}}])).await;
    assert_eq!(off, answer(200, &device("d", 2, with(core.clone(), json!({"active": false})))));
    let put = json!({"schemas": [DEVICE], "displayName": "~d", "serialNumber": "~1", "externalId": "~x"});
    let put = gateway.put("/Devices/{d}", put).await;
    assert_eq!(put, answer(200, &device("d", 3, json!({"serialNumber": "~1", "externalId": "~x"}))));
    gateway.refused("GET", "/Users/{d}", None, 404, "", &[]).await;
    assert_eq!(gateway.delete("/Devices/{d}").await, json!({"status": 204}));
    assert_eq!(gateway.create("e", "/Devices", other).await["status"], 201);
    let kinds: Vec<String> = gateway
        .events()
        .await
        .iter()
        .map(|event| {
            let kind = event["events"].as_object().and_then(|events| events.keys().next().cloned()).unwrap_or_default();
            format!("{} {}", event["sub_id"]["uri"].as_str().unwrap_or_default(), kind.rsplit("prov:").next().unwrap_or_default())
        })
        .collect();
    let expected = ["create:notice", "patch:notice", "deactivate", "put:notice", "activate", "delete"]
        .map(|kind| format!("/Devices/{{d}} {kind}"));
    assert_eq!(kinds[..6], expected);
    assert_eq!(kinds[6], "/Devices/{e} create:notice");
}

/// 7643-6-01
async fn required_extensions(gateway: &Gateway) {
    let bare = json!({"schemas": [TEAM], "displayName": "~t"});
    gateway.refused("POST", "/Teams", Some(bare.clone()), 400, "invalidValue", &[BILLING]).await;
    let empty = with(bare.clone(), json!({"schemas": [TEAM, BILLING], BILLING: {}}));
    gateway.refused("POST", "/Teams", Some(empty), 400, "invalidValue", &[BILLING]).await;
    let incomplete = with(bare.clone(), json!({"schemas": [TEAM, BILLING], BILLING: {"contact": "c"}}));
    gateway.refused("POST", "/Teams", Some(incomplete), 400, "invalidValue", &["account"]).await;
    assert_eq!(gateway.create("t", "/Teams", team_body("t", &[])).await, answer(201, &team("t", 1, &[])));
    gateway.refused("PUT", "/Teams/{t}", Some(bare), 400, "invalidValue", &[BILLING]).await;
    for operations in [
        json!([{"op": "remove", "path": BILLING}]),
        json!([{"op": "replace", "path": BILLING, "value": null}]),
        json!([{"op": "remove", "path": format!("{BILLING}:account")}]),
        json!([{"op": "replace", "value": {BILLING: {"account": null}}}]),
    ] {
        let shown = operations.to_string();
        let refused = gateway.patch("/Teams/{t}", operations).await;
        assert_eq!((&refused["status"], &refused["body"]["scimType"]), (&json!(400), &json!("mutability")), "{shown}: {refused}");
    }
    let foreign = with(team_body("u", &[]), json!({"schemas": [TEAM, BILLING, ENTERPRISE]}));
    gateway.refused("POST", "/Teams", Some(foreign), 400, "invalidSyntax", &[ENTERPRISE]).await;
    gateway
        .refused(
            "POST",
            "/Teams",
            Some(with(team_body("u", &[]), json!({BILLING: {"account": "~T"}}))),
            409,
            "uniqueness",
            &["account"],
        )
        .await;
    assert_eq!(gateway.get("/Teams/{t}").await, answer(200, &team("t", 1, &[])));
}

/// 7643-4.2-02
async fn devices_in_groups(gateway: &Gateway) {
    create_device(gateway, "d", json!({})).await;
    gateway.create_user("ann", json!({})).await;
    let created = gateway.create_group("team", &["ann", "d"]).await;
    let mut expected = group("team", 1, &[]);
    let mut members = vec![member("ann", "User"), member("d", "Device")];
    members.sort_by_key(|member| gateway.fill(member["value"].as_str().unwrap_or_default()));
    expected["members"] = members.into();
    assert_eq!(created, answer(201, &expected));
    let found = gateway.found("/Groups", "displayName sw \"~\" and members[type eq \"Device\"]").await;
    assert_eq!(found, ["team"]);
}

async fn teams_have_members(gateway: &Gateway) {
    create_device(gateway, "d", json!({})).await;
    gateway.create_user("ann", json!({})).await;
    let created = gateway.create("t", "/Teams", team_body("t", &["d"])).await;
    assert_eq!(created, answer(201, &team("t", 1, &[member("d", "Device")])));
    let joined = gateway
        .patch(
            "/Teams/{t}",
            json!([{"op": "add", "path": "members", "value": [{"value": "{ann}"}]},
        {"op": "remove", "path": "members[value eq \"{d}\"]"}]),
        )
        .await;
    assert_eq!(joined, answer(200, &team("t", 2, &[member("ann", "User")])));
    let led = json!([{"op": "add", "path": "lead", "value": {"value": "{ann}", "$ref": "../Users/{ann}"}}]);
    assert_eq!(gateway.patch("/Teams/{t}", led).await["body"]["lead"], json!({"value": "{ann}", "$ref": "../Users/{ann}"}));
    let groups = gateway.get("/Users/{ann}").await["body"]["groups"].clone();
    assert_eq!(groups, json!([{"value": "{t}", "$ref": "{base}/Teams/{t}", "display": "~t", "type": "direct"}]));
    assert_eq!(gateway.put("/Teams/{t}", team_body("t", &[])).await, answer(200, &team("t", 4, &[])));
}

async fn teams_in_teams(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.create("inner", "/Teams", team_body("inner", &["ann"])).await;
    gateway.create("outer", "/Teams", team_body("outer", &["inner"])).await;
    let outer = gateway.get("/Teams/{outer}").await;
    assert_eq!(outer, answer(200, &team("outer", 1, &[member("inner", "Team")])));
    let groups = gateway.get("/Users/{ann}").await["body"]["groups"].as_array().cloned().unwrap_or_default();
    let shown: Vec<(Option<&str>, Option<&str>)> =
        groups.iter().map(|group| (group["value"].as_str(), group["type"].as_str())).collect();
    assert_eq!(shown, [(Some("{inner}"), Some("direct")), (Some("{outer}"), Some("indirect"))]);
}

async fn who_goes_leaves_its_team(gateway: &Gateway) {
    create_device(gateway, "d", json!({})).await;
    gateway.create("t", "/Teams", team_body("t", &["d"])).await;
    assert_eq!(gateway.delete("/Devices/{d}").await, json!({"status": 204}));
    assert_eq!(gateway.get("/Teams/{t}").await, answer(200, &team("t", 2, &[])));
    let events = gateway.events().await;
    let expected =
        [event("delete", "/Devices", "d", 3, json!({})), event("patch:notice", "/Teams", "t", 3, notice(2, &["members"]))];
    assert_eq!(events[2..], expected);
}

async fn agents_live(gateway: &Gateway) {
    let body = json!({"schemas": [AGENT], "name": "~agent", "displayName": "A", "active": true, "subject": "mine",
        "roles": [{"value": "r", "primary": true}]});
    let core = json!({"name": "~agent", "displayName": "A", "active": true, "roles": [{"value": "r", "primary": true}]});
    let created = gateway.create("a", "/Agents", body.clone()).await;
    assert_eq!(created, answer(201, &resource("Agent", &[AGENT], "a", 1, core.clone())));
    gateway.refused("POST", "/Agents", Some(json!({"schemas": [AGENT]})), 400, "invalidValue", &["name"]).await;
    gateway.refused("POST", "/Agents", Some(with(body, json!({"name": "~AGENT"}))), 409, "uniqueness", &["name"]).await;
    let off = gateway.patch("/Agents/{a}", json!([{"op": "replace", "path": "active", "value": false}])).await;
    assert_eq!(off, answer(200, &resource("Agent", &[AGENT], "a", 2, with(core, json!({"active": false})))));
    assert_eq!(gateway.found("/Agents", "name eq \"~agent\" and active eq false").await, ["a"]);
    assert_eq!(gateway.delete("/Agents/{a}").await, json!({"status": 204}));
    gateway.refused("GET", "/Agents/{a}", None, 404, "", &["{a}"].map(|_| "not found")).await;
}

async fn agents_know_their_groups(gateway: &Gateway) {
    gateway.create("a", "/Agents", json!({"schemas": [AGENT], "name": "~a"})).await;
    gateway.create_group("team", &["a"]).await;
    let groups = gateway.get("/Agents/{a}").await["body"]["groups"].clone();
    assert_eq!(groups, json!([{"value": "{team}", "$ref": "{base}/Groups/{team}", "display": "~team", "type": "direct"}]));
    let members = gateway.get("/Groups/{team}").await["body"]["members"].clone();
    assert_eq!(members, json!([member("a", "Agent")]));
}

async fn kinds_of_members(gateway: &Gateway) {
    // What the member really is counts, whatever the client says.
    gateway.create("a", "/Agents", json!({"schemas": [AGENT], "name": "~a"})).await;
    gateway.create_group("team", &[]).await;
    for kind in ["device", "Toaster", "AGENT"] {
        let add = json!([{"op": "add", "path": "members", "value": [{"value": "{a}", "type": kind}]}]);
        assert_eq!(gateway.patch("/Groups/{team}", add).await["body"]["members"], json!([member("a", "Agent")]), "{kind}");
        gateway.patch("/Groups/{team}", json!([{"op": "remove", "path": "members"}])).await;
    }
}
