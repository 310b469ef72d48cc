//! Filters (RFC 7644 §3.4.2.2).

use crate::gateway::Gateway;
use crate::support::client::encode;
use crate::support::fixture::{ENTERPRISE, USER};
use serde_json::json;

crate::cases!(
    filter, Notice: equality_and_case, every_operator_on_text, presence, precedence_and_grouping, one_value_or_any_value, booleans_and_times,
    extensions_and_urns, external_id_and_emails, groups_by_name_and_member, what_is_malformed_is_refused, what_is_unknown_is_refused,
    operators_that_do_not_fit_are_refused, special_characters, members_of_a_user,
);

async fn people(gateway: &Gateway) {
    let ann = json!({"externalId": "~E1", "displayName": "Ann Example", "title": "Guide", "active": true,
        "emails": [{"value": "~ann@work.example", "type": "work"}, {"value": "~ann@home.example", "type": "home"}],
        "name": {"familyName": "Jensen", "givenName": "Ann"}});
    gateway.create_user("ann", ann).await;
    let bob = json!({"externalId": "~e1", "displayName": "Bob", "active": false,
        "emails": [{"value": "~bob@home.example", "type": "home"}], ENTERPRISE: {"department": "Tours", "manager": {"value": "{ann}"}}});
    gateway.create_user("bob", bob).await;
    gateway.create_user("cid", json!({"name": {"familyName": "Müller"}})).await;
}

/// Filters among this case's people, with what each finds.
async fn finds(gateway: &Gateway, expected: &[(&str, &[&str])]) {
    for (filter, labels) in expected {
        let narrowed = format!("userName sw \"~\" and ({filter})");
        assert_eq!(gateway.found("/Users", &narrowed).await, *labels, "{filter}");
    }
}

/// 7644-3.4.2.2-04 7644-3.4.2.2-10
async fn equality_and_case(gateway: &Gateway) {
    people(gateway).await;
    assert_eq!(gateway.found("/Users", "userName eq \"~ann\"").await, ["ann"]);
    assert_eq!(gateway.found("/Users", "USERNAME EQ \"~ANN\"").await, ["ann"]);
    finds(
        gateway,
        &[
            ("userName eq \"~an\"", &[]),
            ("userName ne \"~ann\"", &["bob", "cid"]),
            ("externalId eq \"~E1\"", &["ann"]),
            ("externalId eq \"~e1\"", &["bob"]),
            ("name.familyName eq \"MÜLLER\"", &["cid"]),
            ("id eq \"{cid}\"", &["cid"]),
            ("nickName eq \"x\"", &[]),
        ],
    )
    .await;
}

/// 7644-3.4.2.2-06 7644-3.4.2.2-08
async fn every_operator_on_text(gateway: &Gateway) {
    people(gateway).await;
    finds(
        gateway,
        &[
            ("displayName co \"EXAMPLE\"", &["ann"]),
            ("displayName sw \"b\"", &["bob"]),
            ("displayName ew \"B\"", &["bob"]),
            ("displayName gt \"ann\"", &["ann", "bob"]),
            ("displayName ge \"bob\"", &["bob"]),
            ("displayName lt \"bob\"", &["ann"]),
            ("displayName le \"bob\"", &["ann", "bob"]),
            ("displayName co \"_\"", &[]),
            ("displayName co \"%\"", &[]),
        ],
    )
    .await;
}

/// 7644-3.4.2.2-07
async fn presence(gateway: &Gateway) {
    people(gateway).await;
    finds(
        gateway,
        &[
            ("title pr", &["ann"]),
            ("not (title pr)", &["bob", "cid"]),
            ("emails pr", &["ann", "bob"]),
            ("name pr", &["ann", "cid"]),
            ("name.givenName pr", &["ann"]),
            ("title eq null", &["bob", "cid"]),
            ("groups pr", &[]),
        ],
    )
    .await;
}

/// 7644-3.4.2.2-05 7644-3.4.2.2-03
async fn precedence_and_grouping(gateway: &Gateway) {
    people(gateway).await;
    finds(
        gateway,
        &[
            ("displayName sw \"bob\" or displayName sw \"ann\" and title eq \"none\"", &["bob"]),
            ("(displayName sw \"bob\" or displayName sw \"ann\") and title eq \"guide\"", &["ann"]),
            ("not(title pr) and not (active eq false)", &["cid"]),
            ("((title pr))", &["ann"]),
        ],
    )
    .await;
}

/// 7644-3.4.2.2-11 7644-3.4.2.2-12 7644-3.4.2.2-13
async fn one_value_or_any_value(gateway: &Gateway) {
    people(gateway).await;
    finds(
        gateway,
        &[
            ("emails.type eq \"work\" and emails.value co \"home.example\"", &["ann"]),
            ("emails[type eq \"work\" and value co \"home.example\"]", &[]),
            ("emails[type eq \"home\" and value co \"home.example\"]", &["ann", "bob"]),
            // No value is not "home" either.
            ("emails.type ne \"home\"", &["ann", "cid"]),
            ("emails co \"work.example\"", &["ann"]),
            ("emails[not (type eq \"home\")]", &["ann"]),
        ],
    )
    .await;
}

/// 7644-3.4.2.2-08
async fn booleans_and_times(gateway: &Gateway) {
    people(gateway).await;
    let created =
        gateway.raw("GET", "/Users/{bob}", &[], None).await.json()["meta"]["created"].as_str().expect("created").to_owned();
    finds(
        gateway,
        &[
            ("active eq false", &["bob"]),
            ("active ne false", &["ann", "cid"]),
            ("meta.created gt \"2000-01-01T00:00:00+02:00\"", &["ann", "bob", "cid"]),
            ("meta.lastModified lt \"2000-01-01T00:00:00Z\"", &[]),
            ("meta.resourceType eq \"User\"", &["ann", "bob", "cid"]),
        ],
    )
    .await;
    let at = gateway.found("/Users", &format!("userName sw \"~\" and meta.created ge \"{created}\"")).await;
    assert!(at.contains(&"bob".to_owned()) && at.contains(&"cid".to_owned()), "{at:?}");
}

/// 7644-3.10-01 7644-3.4.2.2-16
async fn extensions_and_urns(gateway: &Gateway) {
    people(gateway).await;
    let department = format!("{ENTERPRISE}:department eq \"tours\"");
    let dotted = format!("{ENTERPRISE}.department pr");
    let manager = format!("{ENTERPRISE}:manager.value eq \"{{ann}}\"");
    let core = format!("{USER}:displayName eq \"bob\"");
    let schemas = format!("schemas eq \"{ENTERPRISE}\"");
    for filter in [department, dotted, manager, core, schemas] {
        finds(gateway, &[(&filter, &["bob"])]).await;
    }
}

async fn external_id_and_emails(gateway: &Gateway) {
    people(gateway).await;
    assert_eq!(gateway.found("/Users", "externalId eq \"~E1\"").await, ["ann"]);
    assert_eq!(gateway.found("/Users", "emails.value eq \"~ANN@HOME.example\"").await, ["ann"]);
    assert_eq!(gateway.found("/Users", "emails[value eq \"~bob@home.example\"]").await, ["bob"]);
    assert_eq!(gateway.found("/Users", "userName eq \"~bob\" or externalId eq \"~E1\"").await, ["ann", "bob"]);
}

async fn groups_by_name_and_member(gateway: &Gateway) {
    people(gateway).await;
    gateway.create_group("one", &["ann", "bob"]).await;
    gateway.create_group("two", &["bob"]).await;
    gateway.create_group("three", &[]).await;
    for (filter, labels) in [
        ("displayName eq \"~ONE\"", &["one"][..]),
        ("displayName sw \"~t\"", &["two", "three"]),
        ("displayName sw \"~\" and members pr", &["one", "two"]),
        ("displayName sw \"~\" and members[value eq \"{ann}\"]", &["one"]),
        ("displayName sw \"~\" and members.value eq \"{bob}\"", &["one", "two"]),
        ("displayName sw \"~\" and not (members pr)", &["three"]),
    ] {
        assert_eq!(gateway.found("/Groups", filter).await, labels, "{filter}");
    }
}

async fn members_of_a_user(gateway: &Gateway) {
    people(gateway).await;
    gateway.create_group("one", &["ann"]).await;
    finds(gateway, &[("groups.value eq \"{one}\"", &["ann"]), ("groups pr", &["ann"])]).await;
}

async fn refused(gateway: &Gateway, filter: &str, words: &[&str]) {
    gateway.refused("GET", &format!("/Users?filter={}", encode(filter)), None, 400, "invalidFilter", words).await;
}

/// 7644-3.4.2.2-14 7644-3.4.2.2-03
async fn what_is_malformed_is_refused(gateway: &Gateway) {
    for filter in [
        "",
        "userName",
        "userName eq",
        "userName eq bob",
        "userName eq 'bob'",
        "eq \"bob\"",
        "userName eq \"bob",
        "userName eq \"b\" and",
        "userName eq \"b\" or or title pr",
        "(userName pr",
        "userName pr)",
        "emails[type eq \"work\"",
        "emails[]",
        "not userName pr",
        "userName eq \"\\x\"",
        "userName pr title pr",
        "emails[type eq \"work\"].value eq \"x\" extra",
    ] {
        refused(gateway, filter, &[]).await;
    }
}

async fn what_is_unknown_is_refused(gateway: &Gateway) {
    refused(gateway, "hobby eq \"x\"", &["hobby"]).await;
    refused(gateway, "name.first eq \"x\"", &["name.first"]).await;
    refused(gateway, "emails[colour eq \"x\"]", &["colour"]).await;
    refused(gateway, "urn:example:other:thing eq \"x\"", &["urn:example:other:thing"]).await;
    refused(gateway, "userName like \"x\"", &[]).await;
    refused(gateway, "password eq \"x\"", &["password"]).await;
    refused(gateway, "not (password pr)", &["password"]).await;
}

/// 7644-3.4.2.2-08 7644-3.4.2.2-09
async fn operators_that_do_not_fit_are_refused(gateway: &Gateway) {
    refused(gateway, "active gt true", &["active"]).await;
    refused(gateway, "active co \"t\"", &["active"]).await;
    refused(gateway, "active eq \"x\"", &["active"]).await;
    refused(gateway, "userName eq 5", &["userName"]).await;
    refused(gateway, "userName co true", &["userName"]).await;
    refused(gateway, "meta.created gt \"yesterday\"", &["meta.created"]).await;
    refused(gateway, "name eq \"x\"", &["name"]).await;
}

async fn special_characters(gateway: &Gateway) {
    let name = r#"q"uo\te'); DROP TABLE resource; -- %_+&=é😀"#;
    gateway.create_user("odd", json!({"displayName": name, "nickName": "~odd"})).await;
    let literal = json!(name).to_string();
    assert_eq!(gateway.found("/Users", &format!("nickName eq \"~odd\" and displayName eq {literal}")).await, ["odd"]);
    assert_eq!(gateway.found("/Users", "nickName eq \"~odd\" and displayName co \"%_+&=É\"").await, ["odd"]);
    assert_eq!(gateway.found("/Users", "nickName eq \"~odd\" and displayName eq \"\\u0071\"").await, Vec::<String>::new());
}
