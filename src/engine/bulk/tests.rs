//! Bulk requests that meet others, and stores that fail.

use super::super::tests::{House, Meddled, Meddling};
use super::*;
use crate::base::limits::Limits;
use crate::scim::error::ErrorKind;
use crate::store::Store;
use serde_json::json;
use std::sync::{Arc, Mutex};

fn rename(id: &str, name: &str) -> Value {
    let operations = json!([{"op": "replace", "path": "displayName", "value": name}]);
    let data = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations});
    json!({"method": "PATCH", "path": format!("/Groups/{id}"), "data": data})
}

fn post(name: &str) -> Value {
    let data = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": name});
    json!({"method": "POST", "path": "/Users", "bulkId": name, "data": data})
}

/// What operations come to over a store that meddles with the first commit.
async fn meddled(
    house: &House,
    next: Meddling,
    limits: Limits,
    operations: Value,
) -> Vec<Result<Option<u64>, (ErrorKind, String)>> {
    let store = Arc::new(Meddled { store: Arc::clone(&house.backend.store), next: Mutex::new(next) });
    let engine = house.engine_within(store as Arc<dyn Store>, limits);
    let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations});
    let processed = engine.bulk(&house.caller, body, "http://example.com").await.expect("a bulk request");
    let outcome = |processed: Processed| match processed.outcome {
        Ok(performed) => Ok(performed.version),
        Err(error) => Err((error.kind, error.detail)),
    };
    processed.into_iter().map(outcome).collect()
}

/// 7644-3.7-05
#[tokio::test]
async fn what_is_overtaken_in_a_run_is_planned_again() {
    let house = House::new();
    let id = house.create().await;
    let other = house.planned(&id, json!([{"op": "replace", "path": "displayName", "value": "theirs"}])).await;
    let operations = json!([post("a"), rename(&id, "ours"), post("b"), rename(&id, "again")]);
    let outcomes = meddled(&house, Meddling::Overtake(other), Limits::default(), operations).await;
    assert_eq!(outcomes, [Ok(Some(1)), Ok(Some(3)), Ok(Some(1)), Ok(Some(4))]);
}

#[tokio::test]
async fn what_finds_the_store_unavailable_fails_alone() {
    let house = House::new();
    let id = house.create().await;
    let operations = json!([post("a"), rename(&id, "ours"), post("b")]);
    let outcomes = meddled(&house, Meddling::Capture, Limits::default(), operations).await;
    let busy = (ErrorKind::Unavailable, "The server is busy; try again.".to_owned());
    assert_eq!(outcomes, [Err(busy), Ok(Some(2)), Ok(Some(1))]);
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_not_waited_for() {
    let house = House::new();
    let id = house.create().await;
    let limits = Limits { request_ms: 50, ..Limits::default() };
    let operations = json!([post("a"), rename(&id, "one"), rename(&id, "two"), rename(&id, "three")]);
    let outcomes = meddled(&house, Meddling::Hang, limits.clone(), operations).await;
    let uncertain = "The operation was not committed in time; it may still take effect.".to_owned();
    let untried =
        "The bulk request took longer than 50 milliseconds, so that this operation was not performed; send it again.".to_owned();
    let details = [&uncertain, &uncertain, &untried, &untried].map(|detail| Err((ErrorKind::Unavailable, detail.clone())));
    assert_eq!(outcomes, details);
    let alone = meddled(&house, Meddling::Hang, limits, json!([rename(&id, "four")])).await;
    assert_eq!(alone, [Err((ErrorKind::Unavailable, uncertain))]);
}

#[tokio::test]
async fn the_members_of_a_circle_count_together() {
    let house = House::new();
    let group = |bulk_id: &str, members: &[&str]| {
        let members: Vec<Value> = members.iter().map(|member| json!({"value": format!("bulkId:{member}")})).collect();
        let data = json!({"schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"], "displayName": bulk_id, "members": members});
        json!({"method": "POST", "path": "/Groups", "bulkId": bulk_id, "data": data})
    };
    let operations = json!([group("a", &["b", "c"]), group("b", &["a", "c"]), group("c", &["b"]), group("d", &[])]);
    let within = |members_per_request| Limits { members_per_request, ..Limits::default() };
    let outcomes = meddled(&house, Meddling::None, within(4), operations.clone()).await;
    let named = (ErrorKind::TooLarge, "The request names 5 members; at most 4 are allowed.".to_owned());
    let other = (ErrorKind::Conflict, "The operation refers to bulkId 'a', whose resource was not created.".to_owned());
    assert_eq!(outcomes, [Err(named), Err(other.clone()), Err(other), Ok(Some(1))]);
    let house = House::new();
    let outcomes = meddled(&house, Meddling::None, within(5), operations).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
}

#[tokio::test]
async fn the_address_of_what_is_not_there_is_a_uri() {
    let house = House::new();
    let paths = ["/Users/a%2Fb%20c%0a", "/Users/%C3%BC?", "/Users/a b"];
    let operations: Vec<Value> = paths.iter().map(|path| json!({"method": "DELETE", "path": path})).collect();
    let body = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations});
    let engine = house.engine_within(Arc::clone(&house.backend.store) as Arc<dyn Store>, Limits::default());
    let processed = engine.bulk(&house.caller, body, "http://example.com").await.expect("a bulk request");
    let addresses: Vec<Option<String>> = processed.into_iter().map(|processed| processed.address).collect();
    assert_eq!(addresses, ["/Users/a%2Fb%20c%0A", "/Users/%C3%BC?", "/Users/a%20b"].map(|address| Some(address.to_owned())));
}
