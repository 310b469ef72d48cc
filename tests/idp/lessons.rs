//! What the bug trackers of other servers teach, each as a test.

use crate::support::client::{Client, encode};
use crate::support::fixture::{ENTERPRISE, add_member, group, group_of, patch_of, remove_member, user, user_with};
use crate::support::server::{Server, Settings};
use serde_json::{Value, json};
use std::time::Duration;

/// The userNames that a filter finds, as a client that encodes its query writes it.
async fn found(client: &Client, filter: &str) -> Vec<String> {
    let answer = client.get(&format!("/Users?filter={}", encode(filter))).await;
    assert_eq!(answer.status, 200, "{filter}: {}", answer.text());
    let resources = answer.json()["Resources"].as_array().cloned().expect("Resources");
    resources.iter().map(|resource| resource["userName"].as_str().expect("a name").to_owned()).collect()
}

/// A lookup that misses makes the client create a duplicate (`OctopusDeploy` #9841, authentik #25987, better-auth #10419).
#[tokio::test]
async fn a_lookup_finds_whom_it_names() {
    let server = Server::start(&Settings::default());
    let client = server.client();
    for (name, external) in [("Ann+Test@Example.com", "a+1"), ("50%@example.com", "%41"), ("o'malley\"@example.com", "A+1")] {
        let body = user_with(name, json!({"externalId": external, "emails": [{"value": name, "type": "work"}]}));
        assert_eq!(client.post("/Users", &body).await.status, 201);
    }
    for (filter, expected) in [
        ("userName eq \"ann+test@EXAMPLE.com\"", "Ann+Test@Example.com"),
        ("userName eq \"50%@example.com\"", "50%@example.com"),
        ("userName eq \"O'Malley\\\"@example.com\"", "o'malley\"@example.com"),
        ("externalId eq \"a+1\"", "Ann+Test@Example.com"),
        ("externalId eq \"A+1\"", "o'malley\"@example.com"),
        ("externalId eq \"%41\"", "50%@example.com"),
        ("emails.value eq \"ANN+test@example.com\"", "Ann+Test@Example.com"),
        ("emails[type eq \"Work\" and value eq \"50%@example.com\"]", "50%@example.com"),
    ] {
        assert_eq!(found(&client, filter).await, [expected], "{filter}");
    }
    for filter in
        ["userName eq \"ann test@example.com\"", "externalId eq \"a 1\"", "externalId eq \"A\"", "userName eq \"50_@example.com\""]
    {
        assert_eq!(found(&client, filter).await, [""; 0], "{filter}");
    }
}

/// "No match" for an attribute that the server does not know is a lie.
#[tokio::test]
async fn a_filter_on_an_unknown_attribute_is_refused() {
    let server = Server::start(&Settings::default());
    let client = server.client();
    for name in ["nope", "emails.nope", "urn:example:other:User:x", "password"] {
        let answer = client.get(&format!("/Users?filter={}", encode(&format!("{name} eq \"x\"")))).await;
        answer.assert_error(400, Some("invalidFilter"), &[name]);
    }
    assert_eq!(found(&client, &format!("{ENTERPRISE}:employeeNumber eq \"x\"")).await, [""; 0]);
}

/// Each unknown member is named (fleet #52600, Metatavu #107); by default all are taken.
#[tokio::test]
async fn unknown_members_are_rejected_by_name_where_the_operator_wants_it() {
    let server = Server::start(&Settings::default().with("UNKNOWN_MEMBERS", "reject"));
    let client = server.client();
    let ann = client.post("/Users", &user("ann")).await.id();
    let refused = client.post("/Groups", &group_of("team", &[&ann, "ghost-1", "ghost-2"])).await;
    refused.assert_error(400, Some("invalidValue"), &["ghost-1", "ghost-2"]);
    assert!(!refused.text().contains(&ann), "{}", refused.text());
    let team = client.post("/Groups", &group_of("team", &[&ann])).await.id();
    let path = format!("/Groups/{team}");
    client.patch(&path, &add_member("ghost-3")).await.assert_error(400, Some("invalidValue"), &["ghost-3"]);
    assert_eq!(client.patch(&path, &remove_member("ghost-3")).await.status, 200);
    assert_eq!(client.get(&path).await.json()["members"].as_array().map(Vec::len), Some(1));
    assert_eq!(client.feed(None, 10).await.len(), 2);
}

/// One more member of a large group took others minutes (wso2 product-is #8876, identity-inbound-provisioning #178).
#[tokio::test]
async fn one_more_member_of_fifty_thousand_is_soon_in() {
    // A client gives up at some time; this one early.
    const PATIENCE: Duration = Duration::from_secs(5);
    let server = Server::start(&Settings::default());
    let client = server.client();
    let path = format!("/Groups/{}?excludedAttributes=members", client.post("/Groups", &group("all")).await.id());
    for part in 0..10 {
        let members: Vec<Value> = (0..5_000).map(|number| json!({"value": format!("m-{part}-{number}")})).collect();
        let answer = client.patch(&path, &patch_of(json!([{"op": "add", "path": "members", "value": members}]))).await;
        assert!(matches!(answer.status, 200 | 204), "{}", answer.text());
    }
    for body in [
        add_member("one-more"),
        remove_member("m-0-0"),
        patch_of(json!([{"op": "Remove", "path": "members", "value": [{"value": "m-9-1"}]}])),
    ] {
        let answer = tokio::time::timeout(PATIENCE, client.patch(&path, &body)).await.expect("an answer in time");
        assert!(matches!(answer.status, 200 | 204), "{}", answer.text());
    }
}

/// The database's own words never reach a client (fleet #52593).
#[tokio::test]
async fn no_answer_speaks_of_the_database() {
    let server = Server::start(&Settings::default());
    let client = server.client();
    let id = client.post("/Users", &user("ann")).await.id();
    let taken = client.post("/Users", &user("ANN")).await;
    taken.assert_error(409, Some("uniqueness"), &["userName"]);
    let mut answers = vec![taken];
    for text in ["' OR 1=1 --", "%'; DROP TABLE resource; --", "\u{7f}", "a'b\"c", "\\", "💥", "SELECT"] {
        answers.push(client.get(&format!("/Users/{}", encode(text))).await);
        for filter in
            [text.to_owned(), format!("userName eq {}", json!(text)), format!("userName eq \"{text}"), format!("{text} pr")]
        {
            answers.push(client.get(&format!("/Users?filter={}", encode(&filter))).await);
        }
        answers.push(client.patch(&format!("/Users/{id}"), &patch_of(json!([{"op": "replace", "path": text, "value": 1}]))).await);
        answers.push(client.post("/Groups", &group_of(text, &[text])).await);
    }
    for answer in answers {
        assert!(answer.status < 500, "{} {}", answer.status, answer.text());
        let detail = answer.json()["detail"].as_str().unwrap_or_default().to_lowercase();
        for word in ["sqlite", "constraint", "no such", "near \"", "syntax error", "rusqlite", "panicked"] {
            assert!(!detail.contains(word), "{detail}");
        }
    }
    assert_eq!(found(&client, "userName pr").await, ["ann"]);
}

/// A write that changes `active` emits its event (keycloak #51317), and a change of members names them (keycloak #52598).
#[tokio::test]
async fn events_tell_who_was_deactivated_and_who_joined() {
    let server = Server::start(&Settings::default().with("EVENT_MODE", "full"));
    let client = server.client();
    let ann = client.post("/Users", &user_with("ann", json!({"active": true}))).await.id();
    let team = client.post("/Groups", &group("team")).await.id();
    client.patch(&format!("/Users/{ann}"), &patch_of(json!([{"op": "Replace", "path": "active", "value": "False"}]))).await;
    let path = format!("/Groups/{team}");
    client.patch(&path, &add_member(&ann)).await;
    client.patch(&path, &patch_of(json!([{"op": "Remove", "path": "members", "value": [{"value": ann}]}]))).await;
    let events = client.feed(None, 100).await;
    let of = |id: &str, kind: &str| {
        let urn = format!("urn:ietf:params:scim:event:prov:{kind}");
        let is_of = |event: &&Value| event["sub_id"]["uri"].as_str().is_some_and(|uri| uri.ends_with(id));
        events.iter().filter(is_of).filter_map(|event| event["events"].get(&urn).cloned()).collect::<Vec<Value>>()
    };
    assert_eq!(of(&ann, "deactivate").len(), 1);
    let changes = of(&team, "patch:full");
    let operations: Vec<String> = changes.iter().map(|change| change["data"]["Operations"].to_string()).collect();
    assert_eq!(operations.len(), 2, "{changes:?}");
    for (operations, op) in operations.iter().zip(["add", "remove"]) {
        assert!(operations.contains(&ann) && operations.contains(&format!("\"op\":\"{op}\"")), "{operations}");
    }
}

/// A member that is missing turned PATCH off (authentik #25056), and a `null` in the schemas breaks Entra's discovery.
#[tokio::test]
async fn discovery_leaves_nothing_out_and_holds_no_null() {
    let server = Server::start(&Settings::default());
    let client = server.client();
    let config = client.get("/ServiceProviderConfig").await.json();
    for (name, members) in [
        ("patch", &["supported"][..]),
        ("bulk", &["supported", "maxOperations", "maxPayloadSize"]),
        ("filter", &["supported", "maxResults"]),
        ("changePassword", &["supported"]),
        ("sort", &["supported"]),
        ("etag", &["supported"]),
    ] {
        for member in members {
            assert!(!config[name][member].is_null(), "{name}.{member} in {config}");
        }
    }
    assert!(config["authenticationSchemes"].is_array() && config["schemas"].is_array(), "{config}");
    for path in ["/ServiceProviderConfig", "/Schemas", "/ResourceTypes"] {
        assert!(!holds_null(&client.get(path).await.json()), "{path}");
    }
}

fn holds_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.iter().any(holds_null),
        Value::Object(members) => members.values().any(holds_null),
        _ => false,
    }
}

/// The tutorial's samples, for the operator who asks for them.
#[tokio::test]
async fn bare_words_are_read_where_the_operator_wants_it() {
    let server = Server::start(&Settings::default().with("QUIRKS", "strict,+bare_words_in_filters"));
    let client = server.client();
    client.post("/Users", &user_with("jyoung", json!({"externalId": "701984"}))).await;
    assert_eq!(found(&client, "userName eq jyoung and externalId eq 701984").await, ["jyoung"]);
    let usual = Server::start(&Settings::default());
    let refused = usual.client().get(&format!("/Users?filter={}", encode("userName eq jyoung"))).await;
    refused.assert_error(400, Some("invalidFilter"), &["double quotes"]);
}
