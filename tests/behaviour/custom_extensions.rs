//! Extensions from files: validation, uniqueness, mutability and what is returned (RFC 7643 §3, §7).

use crate::gateway::{Gateway, answer, event, list, notice, user};
use crate::support::fixture::{GROUP, USER, patch_of, with};
use serde_json::{Value, json};

crate::cases!(
    custom_extensions, Custom: they_are_published, a_user_of_sram, a_group_of_sram, filters_name_them, links_are_patched, wrong_values_are_refused,
    unique_values, immutable_values, on_request, write_only_values,
);

const SRAM_USER: &str = "urn:mace:surf.nl:sram:scim:extension:User";
const SRAM_GROUP: &str = "urn:mace:surf.nl:sram:scim:extension:Group";
const VO_PERSON: &str = "urn:example:scim:schemas:voPerson:User";

/// A user `~ann` with an extension.
fn body(urn: &str, label: &str, extension: Value) -> Value {
    json!({"schemas": [USER, urn], "userName": format!("~{label}"), urn: extension})
}

/// What that user must be.
fn shown(urn: &str, label: &str, version: u64, extension: Value) -> Value {
    with(user(label, version, json!({})), json!({"schemas": [USER, urn], urn: extension}))
}

async fn put_and_patch(gateway: &Gateway, label: &str, urn: &str, extension: Value) -> [Value; 2] {
    let put = gateway.put(&format!("/Users/{{{label}}}"), body(urn, label, extension.clone())).await;
    let patch = json!([{"op": "replace", "path": urn, "value": extension}]);
    [put, gateway.patch(&format!("/Users/{{{label}}}"), patch).await]
}

/// 7643-6-01 7643-7-01 7644-4-01
async fn they_are_published(gateway: &Gateway) {
    let types = gateway.get("/ResourceTypes/User").await;
    let extensions = json!([
        {"schema": crate::support::fixture::ENTERPRISE, "required": false}, {"schema": SRAM_USER, "required": false},
        {"schema": VO_PERSON, "required": false},
    ]);
    assert_eq!(types["body"]["schemaExtensions"], extensions);
    let schema = gateway.get(&format!("/Schemas/{SRAM_GROUP}")).await["body"].clone();
    let links = json!({"name": "links", "type": "complex", "multiValued": true, "description": "Pages about the group", "required": false,
        "mutability": "readWrite", "returned": "default", "subAttributes": [
            {"name": "name", "type": "string", "multiValued": false, "description": "What the link is: sbs_url or logo", "required": false,
             "caseExact": false, "mutability": "readWrite", "returned": "default", "uniqueness": "none"},
            {"name": "value", "type": "string", "multiValued": false, "description": "Where it leads", "required": false,
             "caseExact": true, "mutability": "readWrite", "returned": "default", "uniqueness": "none"}]});
    assert_eq!((&schema["id"], &schema["attributes"][3]), (&json!(SRAM_GROUP), &links));
    let all = gateway.get("/Schemas").await;
    let ids: Vec<&str> =
        all["body"]["Resources"].as_array().expect("schemas").iter().filter_map(|one| one["id"].as_str()).collect();
    assert!([SRAM_USER, SRAM_GROUP, VO_PERSON, USER].iter().all(|urn| ids.contains(urn)), "{ids:?}");
}

/// 7643-3-02
async fn a_user_of_sram(gateway: &Gateway) {
    let extension = json!({"eduPersonUniqueId": "~ann@sram", "sramInactiveDays": 3,
        "voPersonPolicyAgreement": [{"url": "https://example.org/aup", "agreed_at": "2026-01-01"}]});
    let created = gateway.create("ann", "/Users", body(SRAM_USER, "ann", extension.clone())).await;
    assert_eq!(created, answer(201, &shown(SRAM_USER, "ann", 1, extension.clone())));
    assert_eq!(gateway.get("/Users/{ann}").await, answer(200, &shown(SRAM_USER, "ann", 1, extension)));
    let spelled = body(&SRAM_USER.to_uppercase(), "ann", json!({"SRAMINACTIVEDAYS": 4}));
    assert_eq!(
        gateway.put("/Users/{ann}", spelled).await,
        answer(200, &shown(SRAM_USER, "ann", 2, json!({"sramInactiveDays": 4})))
    );
    let gone = gateway.patch("/Users/{ann}", json!([{"op": "remove", "path": format!("{SRAM_USER}:sramInactiveDays")}])).await;
    assert_eq!(gone, answer(200, &user("ann", 3, json!({}))));
    let paths = |names: &[&str]| names.iter().map(|name| format!("{SRAM_USER}:{name}")).collect::<Vec<_>>();
    let created = paths(&["eduPersonUniqueId", "sramInactiveDays", "voPersonPolicyAgreement"]);
    let mut created: Vec<&str> = created.iter().map(String::as_str).chain(["id", "userName"]).collect();
    created.sort_unstable();
    let changed = paths(&["eduPersonUniqueId", "sramInactiveDays", "voPersonPolicyAgreement"]);
    let expected = [
        event("create:notice", "/Users", "ann", 1, notice(1, &created)),
        event("put:notice", "/Users", "ann", 2, notice(2, &changed.iter().map(String::as_str).collect::<Vec<_>>())),
        event("patch:notice", "/Users", "ann", 3, notice(3, &[&format!("{SRAM_USER}:sramInactiveDays")])),
    ];
    assert_eq!(gateway.events().await, expected);
}

async fn team(gateway: &Gateway) -> Value {
    let extension = json!({"urn": "~demo:test30", "labels": ["a", "b"],
        "links": [{"name": "sbs_url", "value": "https://example.org/~"}, {"name": "logo", "value": "https://example.org/logo.png"}]});
    let group = json!({"schemas": [GROUP, SRAM_GROUP], "displayName": "~team", SRAM_GROUP: extension});
    gateway.create("team", "/Groups", group.clone()).await;
    group
}

async fn a_group_of_sram(gateway: &Gateway) {
    let group = team(gateway).await;
    let expected = with(crate::gateway::group("team", 1, &[]), group);
    assert_eq!(gateway.get("/Groups/{team}").await, answer(200, &expected));
    let urn_only = gateway.get(&format!("/Groups/{{team}}?attributes={SRAM_GROUP}:urn")).await;
    assert_eq!(urn_only["body"], json!({"schemas": [GROUP, SRAM_GROUP], "id": "{team}", SRAM_GROUP: {"urn": "~demo:test30"}}));
    let without = gateway.get(&format!("/Groups/{{team}}?excludedAttributes={SRAM_GROUP}:links.value,{SRAM_GROUP}.labels")).await;
    let links = json!([{"name": "sbs_url"}, {"name": "logo"}]);
    assert_eq!(without["body"][SRAM_GROUP], json!({"urn": "~demo:test30", "links": links}));
}

async fn filters_name_them(gateway: &Gateway) {
    team(gateway).await;
    for filter in [
        format!("{SRAM_GROUP}.urn co \"~demo:test30\""),
        format!("{SRAM_GROUP}:urn eq \"~DEMO:test30\""),
        format!("{SRAM_GROUP}.urn sw \"~\" and {SRAM_GROUP}.links[name eq \"logo\"]"),
        format!("{SRAM_GROUP}:links[name eq \"sbs_url\" and value ew \"~\"]"),
        format!("{SRAM_GROUP}:urn sw \"~\" and {SRAM_GROUP}:labels eq \"B\""),
    ] {
        assert_eq!(gateway.found("/Groups", &filter).await, ["team"], "{filter}");
    }
    let none = format!("{SRAM_GROUP}:urn sw \"~\" and {SRAM_GROUP}:links[name eq \"logo\" and value ew \"~\"]");
    assert_eq!(gateway.found("/Groups", &none).await, Vec::<String>::new());
}

/// 7644-3.5.2-07 7644-3.5.2.3-04
async fn links_are_patched(gateway: &Gateway) {
    team(gateway).await;
    let patched = gateway
        .patch(
            "/Groups/{team}",
            json!([
                {"op": "replace", "path": format!("{SRAM_GROUP}:links[name eq \"logo\"].value"), "value": "https://example.org/new.png"},
                {"op": "remove", "path": format!("{SRAM_GROUP}:links[name eq \"sbs_url\"]")},
                {"op": "add", "path": format!("{SRAM_GROUP}:labels"), "value": ["c"]},
                {"op": "add", "value": {SRAM_GROUP: {"description": "For trying"}}},
            ]),
        )
        .await;
    let expected = json!({"urn": "~demo:test30", "labels": ["a", "b", "c"], "description": "For trying",
        "links": [{"name": "logo", "value": "https://example.org/new.png"}]});
    assert_eq!((&patched["status"], &patched["body"][SRAM_GROUP]), (&json!(200), &expected));
    let gone = gateway.patch("/Groups/{team}", json!([{"op": "remove", "path": SRAM_GROUP}])).await;
    assert_eq!(gone, answer(200, &crate::gateway::group("team", 3, &[])));
}

/// 7643-2.3.4-01 7643-2.1-01
async fn wrong_values_are_refused(gateway: &Gateway) {
    for (urn, extension, word) in [
        (SRAM_USER, json!({"sramInactiveDays": "3"}), "sramInactiveDays"),
        (SRAM_USER, json!({"sramInactiveDays": 1.5}), "sramInactiveDays"),
        (SRAM_USER, json!({"nothing": 1}), "nothing"),
        (SRAM_USER, json!({"voPersonPolicyAgreement": [{"agreed_at": "x"}]}), "url"),
        (SRAM_USER, json!({"voPersonPolicyAgreement": [{"url": "x", "extra": 1}]}), "extra"),
        (VO_PERSON, json!({"voPersonSince": "yesterday"}), "voPersonSince"),
    ] {
        gateway.refused("POST", "/Users", Some(body(urn, "ann", extension)), 400, "invalidValue", &[word]).await;
    }
    let foreign = json!({"schemas": [GROUP, SRAM_USER], "displayName": "~g"});
    gateway.refused("POST", "/Groups", Some(foreign), 400, "invalidSyntax", &[SRAM_USER]).await;
}

/// 7643-7-06 7644-3.3-07
async fn unique_values(gateway: &Gateway) {
    let sram = json!({"eduPersonUniqueId": "~1"});
    let person = json!({"voPersonExternalID": [{"value": "~x@a"}, {"value": "~y@a"}], "voPersonVerifiedEmail": ["~1@e", "~2@e"]});
    let mut ann = body(SRAM_USER, "ann", sram);
    ann[VO_PERSON] = person.clone();
    ann["schemas"] = json!([USER, SRAM_USER, VO_PERSON]);
    gateway.create("ann", "/Users", ann).await;
    gateway.create_user("bob", json!({})).await;
    for (urn, extension, path) in [
        (SRAM_USER, json!({"eduPersonUniqueId": "~1"}), "eduPersonUniqueId"),
        (VO_PERSON, json!({"voPersonExternalID": [{"value": "~Y@A", "prior": true}]}), "voPersonExternalID.value"),
        (VO_PERSON, json!({"voPersonVerifiedEmail": ["~9@e", "~2@E"]}), "voPersonVerifiedEmail"),
    ] {
        let named = format!("{urn}:{path}");
        gateway.refused("POST", "/Users", Some(body(urn, "cid", extension.clone())), 409, "uniqueness", &[&named]).await;
        gateway.refused("PUT", "/Users/{bob}", Some(body(urn, "bob", extension.clone())), 409, "uniqueness", &[&named]).await;
        let patch = patch_of(json!([{"op": "add", "path": urn, "value": extension}]));
        gateway.refused("PATCH", "/Users/{bob}", Some(patch), 409, "uniqueness", &[&named]).await;
    }
    // Case matters here, and what is given up is free.
    let created = gateway.create("cid", "/Users", body(SRAM_USER, "cid", json!({"eduPersonUniqueId": "~1X"}))).await;
    assert_eq!(created["status"], 201);
    gateway.patch("/Users/{ann}", json!([{"op": "remove", "path": VO_PERSON}])).await;
    let taken = gateway.patch("/Users/{bob}", json!([{"op": "add", "path": VO_PERSON, "value": person}])).await;
    assert_eq!(taken["status"], 200);
    assert_eq!(gateway.found("/Users", &format!("{VO_PERSON}:voPersonExternalID.value eq \"~x@a\"")).await, ["bob"]);
}

/// 7643-7-04 7644-3.5.1-02 7644-3.5.2-04
async fn immutable_values(gateway: &Gateway) {
    let since = json!({"voPersonSince": "2026-01-01T00:00:00Z"});
    gateway.create_user("ann", json!({})).await;
    let set = gateway.patch("/Users/{ann}", json!([{"op": "add", "path": VO_PERSON, "value": since}])).await;
    assert_eq!(set, answer(200, &shown(VO_PERSON, "ann", 2, since.clone())));
    let later = json!({"voPersonSince": "2027-01-01T00:00:00Z"});
    for refused in put_and_patch(gateway, "ann", VO_PERSON, later).await {
        assert_eq!((&refused["status"], &refused["body"]["scimType"]), (&json!(400), &json!("mutability")), "{refused}");
    }
    let remove = patch_of(json!([{"op": "remove", "path": VO_PERSON}]));
    gateway.refused("PATCH", "/Users/{ann}", Some(remove), 400, "mutability", &["voPersonSince"]).await;
    for same in put_and_patch(gateway, "ann", VO_PERSON, since.clone()).await {
        assert_eq!(same, answer(200, &shown(VO_PERSON, "ann", 2, since.clone())));
    }
}

/// 7643-7-05
async fn on_request(gateway: &Gateway) {
    let id = json!({"voPersonID": [{"value": "~v1"}]});
    let always = json!({"voPersonStatus": "active"});
    let both = with(id.clone(), always.clone());
    let created = gateway.create("ann", "/Users", body(VO_PERSON, "ann", both.clone())).await;
    assert_eq!(created, answer(201, &shown(VO_PERSON, "ann", 1, both.clone())));
    assert_eq!(gateway.get("/Users/{ann}").await, answer(200, &shown(VO_PERSON, "ann", 1, always.clone())));
    let asked = gateway.get(&format!("/Users/{{ann}}?attributes={VO_PERSON}:voPersonID")).await;
    assert_eq!(asked["body"], json!({"schemas": [USER, VO_PERSON], "id": "{ann}", VO_PERSON: both}));
    let listed = gateway.filter("/Users", "userName eq \"~ann\"").await;
    assert_eq!(listed, list(1, 1, &[shown(VO_PERSON, "ann", 1, always.clone())]));
    let other = gateway
        .patch("/Users/{ann}", json!([{"op": "replace", "path": format!("{VO_PERSON}:voPersonStatus"), "value": "expired"}]))
        .await;
    let expired = json!({"voPersonStatus": "expired"});
    assert_eq!(other, answer(200, &shown(VO_PERSON, "ann", 2, expired.clone())));
    let named = gateway.patch("/Users/{ann}", json!([{"op": "add", "value": {VO_PERSON: id}}])).await;
    assert_eq!(named, answer(200, &shown(VO_PERSON, "ann", 2, with(expired.clone(), id.clone()))));
    let put = gateway
        .put(&format!("/Users/{{ann}}?excludedAttributes={VO_PERSON}:voPersonID"), body(VO_PERSON, "ann", both.clone()))
        .await;
    assert_eq!(put, answer(200, &shown(VO_PERSON, "ann", 3, always.clone())));
    let put = gateway.put("/Users/{ann}", body(VO_PERSON, "ann", both.clone())).await;
    assert_eq!(put, answer(200, &shown(VO_PERSON, "ann", 3, both)));
}

/// 7643-7-04 7643-7-05 7644-3.4.2.2-17
async fn write_only_values(gateway: &Gateway) {
    let secret = json!({"voPersonApplicationSecret": "open sesame", "voPersonStatus": "active"});
    let created = gateway.create("ann", "/Users", body(VO_PERSON, "ann", secret)).await;
    let expected = shown(VO_PERSON, "ann", 1, json!({"voPersonStatus": "active"}));
    assert_eq!(created, answer(201, &expected));
    let asked = gateway.get(&format!("/Users/{{ann}}?attributes=userName,{VO_PERSON}:voPersonApplicationSecret")).await;
    assert!(!asked.to_string().contains("Secret"), "{asked}");
    let filter = crate::support::client::encode(&format!("{VO_PERSON}:voPersonApplicationSecret pr"));
    gateway.refused("GET", &format!("/Users?filter={filter}"), None, 400, "invalidFilter", &["voPersonApplicationSecret"]).await;
    let path = format!("{VO_PERSON}:voPersonApplicationSecret");
    let changed = gateway.patch("/Users/{ann}", json!([{"op": "replace", "path": path, "value": "another one"}])).await;
    assert_eq!(changed["etag"], "\"2\"");
    let events = gateway.events().await;
    assert_eq!(events[1], event("patch:notice", "/Users", "ann", 2, notice(2, &[&path])));
    assert!(!json!(events).to_string().contains("open sesame"));
}
