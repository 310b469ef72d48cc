//! Order (RFC 7644 §3.4.2.3).

use crate::gateway::{Gateway, list, user};
use crate::support::client::encode;
use crate::support::fixture::ENTERPRISE;
use serde_json::{Value, json};

crate::cases!(
    sort, Strict: whole_answers_in_order, ascending_is_the_default, values_by_their_type, case_as_the_attribute_has_it,
    the_primary_value_or_the_first, no_value_is_last, pages_of_an_order, names_without_case_and_with_urn, what_cannot_be_sorted_by,
    an_unfiltered_order,
);

async fn people(gateway: &Gateway) {
    let ann = json!({"displayName": "beta", "externalId": "~b", "active": true, "title": "10",
        "emails": [{"value": "~z@example.org"}, {"value": "~a@example.org", "primary": true}]});
    gateway.create_user("ann", ann).await;
    let bob = json!({"displayName": "Alpha", "externalId": "~B", "active": false, "title": "9", "emails": [{"value": "~M@example.org"}],
        "name": {"familyName": "Ölander"}});
    gateway.create_user("bob", bob).await;
    let cid = json!({"displayName": "ALPHA", "externalId": "~a", "emails": [{"value": "~b@example.org"}, {"value": "~0@example.org"}],
        "name": {"familyName": "olander"}, ENTERPRISE: {"department": "Tours"}});
    gateway.create_user("cid", cid).await;
    gateway.create_user("Dan", json!({})).await;
}

async fn sorted(gateway: &Gateway, rest: &str) -> Vec<String> {
    let filter = encode(&gateway.fill("userName sw \"~\""));
    let answer = gateway.get(&format!("/Users?filter={filter}&{rest}")).await;
    assert_eq!(answer["status"], 200, "{rest}: {answer}");
    let label = |resource: &Value| resource["id"].as_str().expect("an id").trim_matches(['{', '}']).to_owned();
    answer["body"]["Resources"].as_array().expect("Resources").iter().map(label).collect()
}

/// 7644-3.4.2.3-01 7644-3.4.2.3-02
async fn whole_answers_in_order(gateway: &Gateway) {
    for (name, title) in [("ann", "b"), ("bob", "C"), ("cid", "a")] {
        gateway.create_user(name, json!({"title": title, "nickName": "~whole"})).await;
    }
    let [ann, bob, cid] = [("ann", "b"), ("bob", "C"), ("cid", "a")]
        .map(|(name, title)| user(name, 1, json!({"title": title, "nickName": "~whole"})));
    let path = format!("/Users?filter={}&sortBy=title", encode(&gateway.fill("nickName eq \"~whole\"")));
    assert_eq!(gateway.get(&path).await, list(3, 1, &[cid.clone(), ann.clone(), bob.clone()]));
    assert_eq!(gateway.get(&format!("{path}&sortOrder=descending&count=2")).await, list(3, 1, &[bob, ann.clone()]));
    assert_eq!(gateway.get(&format!("{path}&startIndex=2&count=1")).await, list(3, 2, &[ann]));
}

/// 7644-3.4.2.3-01
async fn ascending_is_the_default(gateway: &Gateway) {
    people(gateway).await;
    let ascending = ["ann", "bob", "cid", "Dan"];
    for order in ["", "&sortOrder=ascending", "&sortOrder=ASCENDING"] {
        assert_eq!(sorted(gateway, &format!("sortBy=userName{order}")).await, ascending);
    }
    assert_eq!(sorted(gateway, "sortBy=userName&sortOrder=Descending").await, ["Dan", "cid", "bob", "ann"]);
    assert_eq!(sorted(gateway, "sortOrder=descending").await, ["ann", "bob", "cid", "Dan"]);
    for order in ["down", "", "ascending,descending"] {
        let path = format!("/Users?sortBy=userName&sortOrder={order}");
        gateway.refused("GET", &path, None, 400, "invalidValue", &["sortOrder"]).await;
    }
}

/// 7644-3.4.2.3-02
async fn values_by_their_type(gateway: &Gateway) {
    people(gateway).await;
    // As strings: "10" is before "9".
    assert_eq!(sorted(gateway, "sortBy=title").await[..2], ["ann", "bob"]);
    assert_eq!(sorted(gateway, "sortBy=active").await[..2], ["bob", "ann"]);
    assert_eq!(sorted(gateway, "sortBy=meta.created").await, ["ann", "bob", "cid", "Dan"]);
    assert_eq!(sorted(gateway, "sortBy=id&sortOrder=descending").await, ["Dan", "cid", "bob", "ann"]);
    gateway.patch("/Users/{bob}", json!([{"op": "add", "path": "nickName", "value": "b"}])).await;
    assert_eq!(sorted(gateway, "sortBy=meta.lastModified&sortOrder=descending").await[0], "bob");
}

/// 7644-3.4.2.3-02
async fn case_as_the_attribute_has_it(gateway: &Gateway) {
    people(gateway).await;
    assert_eq!(sorted(gateway, "sortBy=displayName").await, ["bob", "cid", "ann", "Dan"]);
    assert_eq!(sorted(gateway, "sortBy=externalId").await, ["bob", "cid", "ann", "Dan"]);
    assert_eq!(sorted(gateway, "sortBy=name.familyName").await[..2], ["cid", "bob"]);
}

/// 7644-3.4.2.3-03
async fn the_primary_value_or_the_first(gateway: &Gateway) {
    people(gateway).await;
    for path in ["emails", "emails.value"] {
        assert_eq!(sorted(gateway, &format!("sortBy={path}")).await, ["ann", "cid", "bob", "Dan"]);
    }
}

/// 7644-3.4.2.3-03
async fn no_value_is_last(gateway: &Gateway) {
    people(gateway).await;
    assert_eq!(sorted(gateway, "sortBy=title").await, ["ann", "bob", "cid", "Dan"]);
    assert_eq!(sorted(gateway, "sortBy=title&sortOrder=descending").await, ["Dan", "cid", "bob", "ann"]);
    assert_eq!(sorted(gateway, "sortBy=nickName").await, ["ann", "bob", "cid", "Dan"]);
}

/// 7644-3.4.2.4-03
async fn pages_of_an_order(gateway: &Gateway) {
    people(gateway).await;
    for (sort, order) in [("displayName", ["bob", "cid", "ann", "Dan"]), ("emails", ["ann", "cid", "bob", "Dan"])] {
        for start in 1..=5 {
            let page = sorted(gateway, &format!("sortBy={sort}&startIndex={start}&count=2")).await;
            assert_eq!(page, order[(start - 1).min(4)..(start + 1).min(4)], "{sort} {start}");
        }
    }
    assert_eq!(sorted(gateway, "sortBy=displayName&count=0").await, Vec::<String>::new());
}

/// 7644-3.10-01
async fn names_without_case_and_with_urn(gateway: &Gateway) {
    people(gateway).await;
    assert_eq!(sorted(gateway, "sortBy=DISPLAYNAME").await, ["bob", "cid", "ann", "Dan"]);
    assert_eq!(
        sorted(gateway, "sortBy=urn:ietf:params:scim:schemas:core:2.0:User:displayName").await,
        ["bob", "cid", "ann", "Dan"]
    );
    assert_eq!(sorted(gateway, &format!("sortBy={ENTERPRISE}:department")).await, ["cid", "ann", "bob", "Dan"]);
}

/// 7644-3.4.2.3-03
async fn what_cannot_be_sorted_by(gateway: &Gateway) {
    for (name, word) in [
        ("hobby", "hobby"),
        ("name", "name"),
        ("addresses", "addresses"),
        ("password", "password"),
        ("meta.location", "meta.location"),
        ("emails[type eq \"work\"]", "emails"),
        (ENTERPRISE, "enterprise"),
        ("", "sortBy"),
    ] {
        let path = format!("/Users?sortBy={}", encode(name));
        gateway.refused("GET", &path, None, 400, "invalidValue", &[word]).await;
    }
    gateway.refused("GET", "/Users?sortBy=title&sortBy=title", None, 400, "invalidValue", &["sortBy"]).await;
    gateway.refused("GET", "/Groups?sortBy=userName", None, 400, "invalidValue", &["userName"]).await;
}

/// 7644-3.4.2.3-02
async fn an_unfiltered_order(gateway: &Gateway) {
    // Other cases create and delete meanwhile: only the order is certain.
    people(gateway).await;
    for (order, descending) in [("ascending", false), ("descending", true)] {
        let page = gateway.client.get(&format!("/Users?sortBy=userName&sortOrder={order}")).await.json();
        let names = page["Resources"].as_array().expect("Resources").iter().filter_map(|user| user["userName"].as_str());
        let names: Vec<String> = names.map(str::to_lowercase).collect();
        assert!(
            names.len() > 3 && names.windows(2).all(|pair| pair[0] != pair[1] && (pair[0] > pair[1]) == descending),
            "{names:?}"
        );
    }
}
