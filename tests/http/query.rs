//! Parameters, headers and ids that are not what they should be.

use crate::support::client::encode;
use crate::support::fixture::USER;
use crate::watched::Watched;
use serde_json::json;

#[tokio::test]
async fn filters_of_ten_thousand_levels() {
    let mut watched = Watched::start().await;
    let nots = format!("{}title pr{}", "not(".repeat(3_000), ")".repeat(3_000));
    let open = "(".repeat(10_000);
    let terms = vec!["title pr"; 500].join(" or ");
    for filter in [nots, open, terms, "(".repeat(5_000) + "title pr" + &")".repeat(5_000)] {
        let answer = watched.client.get(&format!("/Users?filter={}", encode(&filter))).await;
        answer.assert_error(400, Some("invalidFilter"), &[]);
        assert!(answer.body.len() < 1_000, "an error of {} bytes", answer.body.len());
    }
    watched.assert_unchanged().await;
}

#[tokio::test]
async fn unknown_attributes_and_operators_in_filters() {
    let mut watched = Watched::start().await;
    for (filter, word) in [
        ("hobby eq \"x\"", "hobby"),
        ("userName is \"x\"", ""),
        ("userName == \"x\"", ""),
        ("userName eq 'x'", ""),
        ("userName eq \"x\"; DROP TABLE resource", ""),
        ("members pr", "members"),
        ("userName eq \"\0\"", ""),
    ] {
        watched.client.get(&format!("/Users?filter={}", encode(filter))).await.assert_error(400, Some("invalidFilter"), &[word]);
    }
    watched.assert_unchanged().await;
}

/// 7644-3.4.2.2-17
#[tokio::test]
async fn a_filter_on_password() {
    let mut watched = Watched::start().await;
    for filter in ["password eq \"x\"", "password pr", "not (PASSWORD sw \"x\")", "userName eq \"ann\" or password co \"a\""] {
        watched.client.get(&format!("/Users?filter={}", encode(filter))).await.assert_error(
            400,
            Some("invalidFilter"),
            &["password"],
        );
    }
    let urn = format!("{USER}:password pr");
    watched.client.get(&format!("/Users?filter={}", encode(&urn))).await.assert_error(400, Some("invalidFilter"), &["password"]);
    watched.assert_unchanged().await;
}

#[tokio::test]
async fn garbage_in_if_match() {
    let mut watched = Watched::start().await;
    let path = format!("/Users/{}", watched.ann);
    let garbage: [&[u8]; 9] = [b"1", b"\"1", b"W/1", b"", b"\"1\" \"2\"", b"*,\"1\"", b"\"a b\"", b"\xff\xfe", b","];
    for tag in garbage {
        for method in ["PUT", "PATCH", "DELETE"] {
            let body = json!({"schemas": [USER], "userName": "ann"});
            let answer = watched.client.on(method, &path).header("if-match", tag).json(&body).send().await;
            answer.assert_error(400, Some("invalidValue"), &["If-Match"]);
        }
    }
    let long = format!("\"{}\"", "9".repeat(10_000));
    watched.client.on("DELETE", &path).header("if-match", long).send().await.assert_error(412, None, &["If-Match"]);
    for tag in garbage {
        let answer = watched.client.on("DELETE", &path).header("if-none-match", tag).send().await;
        answer.assert_error(400, Some("invalidValue"), &["If-None-Match"]);
    }
    watched.assert_unchanged().await;
}

/// 7644-3.4.2.4-01 7644-3.4.2.4-02 7644-3.4.2.4-04
#[tokio::test]
async fn start_index_and_count_at_their_edges() {
    let mut watched = Watched::start().await;
    let huge = "9".repeat(400);
    for (query, start, items) in [
        ("startIndex=-1", 1, 1),
        ("startIndex=0", 1, 1),
        ("count=-1", 1, 0),
        ("count=0", 1, 0),
        ("count=9223372036854775807", 1, 1),
        (&format!("count={huge}"), 1, 1),
        (&format!("startIndex=-{huge}"), 1, 1),
        ("startIndex=9223372036854775806&count=9223372036854775807", 9_223_372_036_854_775_806_u64, 0),
    ] {
        let answer = watched.client.get(&format!("/Users?{query}")).await;
        let body = answer.json();
        let found = (answer.status, &body["totalResults"], &body["startIndex"], &body["itemsPerPage"]);
        assert_eq!(found, (200, &json!(1), &json!(start), &json!(items)), "{query}");
        assert_eq!(body["Resources"].as_array().map(Vec::len), Some(items), "{query}");
    }
    for query in
        ["startIndex=NaN", "count=NaN", "startIndex=Infinity", "count=0x10", "count=", "startIndex=1.0", "count=%00", "count=1,2"]
    {
        let name = query.split('=').next().expect("a name");
        watched.client.get(&format!("/Users?{query}")).await.assert_error(400, Some("invalidValue"), &[name]);
    }
    watched.client.get("/Users?count=1&count=2").await.assert_error(400, Some("invalidValue"), &["count", "twice"]);
    watched.assert_unchanged().await;
}

#[tokio::test]
async fn queries_that_are_not_utf_8() {
    let mut watched = Watched::start().await;
    for query in ["filter=%ff%fe", "filter=%", "filter=%zz", "attributes=%c3%28"] {
        watched.client.get(&format!("/Users?{query}")).await.assert_error(400, Some("invalidSyntax"), &[]);
    }
    let attributes = vec!["title"; 1_000].join(",");
    watched.client.get(&format!("/Users?attributes={attributes}")).await.assert_error(400, Some("invalidValue"), &["attributes"]);
    watched.assert_unchanged().await;
}

#[tokio::test]
async fn ids_that_climb() {
    let mut watched = Watched::start().await;
    let ids = [
        "../Groups",
        "..",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e%2fGroups",
        "%2e%2e",
        "%2E%2E%5c",
        "a%2fb",
        "%00",
        "%20",
        ";x",
        "*",
        "%25",
    ];
    for id in ids {
        for method in ["GET", "DELETE"] {
            let mut raw = watched.connect();
            raw.send(watched.head(&format!("{method} /Users/{id}"), "")).expect("sent");
            let answer = raw.answer().expect("an answer");
            crate::watched::assert_scim_error(&answer, 404, None);
        }
    }
    for id in ["%ff", "%c3%28", &"x".repeat(20_000)] {
        let mut raw = watched.connect();
        raw.send(watched.head(&format!("DELETE /Users/{id}"), "")).expect("sent");
        let answer = raw.answer().expect("an answer");
        assert!(matches!(answer.status, 400 | 404), "{id}: {}", answer.status);
        assert!(answer.body.len() < 1_000, "an error of {} bytes", answer.body.len());
    }
    watched.assert_unchanged().await;
}

#[tokio::test]
async fn members_with_odd_ids() {
    let watched = Watched::start().await;
    let ids = ["../../etc", "a\"b", "a]b", "x' or 1=1 --", "ü😀"];
    let path = format!("/Groups/{}", watched.team);
    for id in ids {
        let answer = watched.client.patch(&path, &crate::support::fixture::add_member(id)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let members = watched.client.get(&path).await.json()["members"].clone();
    let mut found: Vec<&str> = members.as_array().expect("members").iter().filter_map(|member| member["value"].as_str()).collect();
    let mut expected = ids.to_vec();
    expected.push(&watched.ann);
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}
