//! GET of one resource (RFC 7644 §3.4.1).

use crate::gateway::{Gateway, answer, user};
use serde_json::json;

crate::cases!(
    read, Notice: a_known_id, an_unknown_id, an_id_of_another_type, an_id_in_another_case, times_are_those_of_the_last_change,
    discovery_is_complete, the_key_in_either_header,
);

/// 7644-3.4.1-01 7644-3.9-05
async fn a_known_id(gateway: &Gateway) {
    gateway.create_user("ann", json!({"title": "Guide"})).await;
    assert_eq!(gateway.get("/Users/{ann}").await, answer(200, &user("ann", 1, json!({"title": "Guide"}))));
}

/// 7644-3.4.1-01
async fn an_unknown_id(gateway: &Gateway) {
    for id in ["0190c7a4-7f2a-7000-8000-000000000001", "nobody", "%20", "a%22b", "ü"] {
        gateway.refused("GET", &format!("/Users/{id}"), None, 404, "", &["not found"]).await;
        gateway.refused("DELETE", &format!("/Groups/{id}"), None, 404, "", &["not found"]).await;
    }
}

async fn an_id_of_another_type(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    gateway.refused("GET", "/Groups/{ann}", None, 404, "", &["not found"]).await;
    gateway.refused("DELETE", "/Groups/{ann}", None, 404, "", &["not found"]).await;
    assert_eq!(gateway.get("/Users/{ann}").await["status"], 200);
}

/// 7643-3.1-02
async fn an_id_in_another_case(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let upper = gateway.fill("{ann}").to_uppercase();
    gateway.refused("GET", &format!("/Users/{upper}"), None, 404, "", &["not found"]).await;
}

/// 7643-3.1-05
async fn times_are_those_of_the_last_change(gateway: &Gateway) {
    gateway.create_user("ann", json!({})).await;
    let first = gateway.raw("GET", "/Users/{ann}", &[], None).await.json()["meta"].clone();
    assert_eq!(first["created"], first["lastModified"]);
    gateway.patch("/Users/{ann}", json!([{"op": "add", "path": "title", "value": "x"}])).await;
    let second = gateway.raw("GET", "/Users/{ann}", &[], None).await.json()["meta"].clone();
    assert_eq!(second["created"], first["created"]);
    assert!(second["lastModified"].as_str() >= first["lastModified"].as_str(), "{first} {second}");
}

/// 7644-4-01 7643-6-01 7643-7-01
async fn discovery_is_complete(gateway: &Gateway) {
    let config = gateway.get("/ServiceProviderConfig").await["body"].clone();
    for name in ["patch", "bulk", "filter", "changePassword", "sort", "etag"] {
        assert!(config[name]["supported"].is_boolean(), "{name} in {config}");
    }
    assert!(config["bulk"]["maxOperations"].is_u64() && config["bulk"]["maxPayloadSize"].is_u64(), "{config}");
    assert!(config["filter"]["maxResults"].is_u64() && config["authenticationSchemes"].is_array(), "{config}");
    let types = gateway.get("/ResourceTypes").await["body"].clone();
    let named: Vec<_> =
        types["Resources"].as_array().expect("Resources").iter().map(|kind| (&kind["id"], &kind["endpoint"])).collect();
    assert_eq!(named, [(&json!("User"), &json!("/Users")), (&json!("Group"), &json!("/Groups"))]);
    let schemas = gateway.get("/Schemas").await["body"].clone();
    let schemas = schemas["Resources"].as_array().expect("Resources").clone();
    for schema in &schemas {
        let id = schema["id"].as_str().expect("an id");
        assert_eq!(gateway.get(&format!("/Schemas/{id}")).await["body"], *schema);
        assert!(!schema.to_string().contains("null"), "a null in {id}");
    }
    for kind in types["Resources"].as_array().expect("Resources") {
        assert!(schemas.iter().any(|schema| schema["id"] == kind["schema"]), "{kind}");
        let name = kind["id"].as_str().expect("an id");
        assert_eq!(gateway.get(&format!("/ResourceTypes/{name}")).await["body"], *kind);
    }
}

async fn the_key_in_either_header(gateway: &Gateway) {
    let bare = gateway.client.with_key(None);
    let key = crate::support::server::KEY;
    assert_eq!(bare.on("GET", "/Users?count=0").header("x-api-key", key).send().await.status, 200);
    assert_eq!(bare.on("GET", "/Users?count=0").header("authorization", format!("bearer {key}")).send().await.status, 200);
    assert_eq!(bare.on("GET", "/Users?count=0").header("x-api-key", format!("{key}x")).send().await.status, 401);
    assert_eq!(bare.get("/Users?count=0").await.status, 401);
}
