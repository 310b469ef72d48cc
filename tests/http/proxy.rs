//! The addresses in answers behind a proxy, and the flags of the command line.

use crate::support::fixture::{add_member, group, patch_of, user};
use crate::support::server::{Server, Settings};
use serde_json::json;

const FORWARDED: (&str, &str) = ("forwarded", "for=192.0.2.9;host=\"scim.example.com:8443\";proto=https");

async fn location(server: &Server, headers: &[(&str, &str)]) -> String {
    let client = server.client();
    let name = format!("{headers:?}").replace('"', "'");
    let request = headers.iter().fold(client.on("POST", "/Users"), |request, (name, value)| request.header(name, value));
    let created = request.json(&user(&name)).send().await;
    assert_eq!(created.status, 201, "{}", created.text());
    let location = created.header("location").expect("Location").to_owned();
    assert_eq!(created.json()["meta"]["location"], location.as_str());
    location.replace(&format!("/Users/{}", created.id()), "")
}

/// 7644-3.3-04
#[tokio::test]
async fn a_trusted_proxy_says_what_the_server_is_called() {
    let server = Server::start(&Settings::default().arguments(&["--reverse-proxy"]));
    assert_eq!(location(&server, &[FORWARDED]).await, "https://scim.example.com:8443");
    let older = [("x-forwarded-proto", "https"), ("x-forwarded-host", "scim.example.com"), ("x-forwarded-prefix", "/id")];
    assert_eq!(location(&server, &older).await, "https://scim.example.com/id");
    let own = format!("http://{}", server.address);
    assert_eq!(location(&server, &[]).await, own);
    assert_eq!(location(&server, &[("forwarded", "host=\"evil.example/x\"")]).await, own);
}

#[tokio::test]
async fn a_proxy_that_is_not_trusted_is_not_believed() {
    let elsewhere = Settings::default().with("REVERSE_PROXY", "true").with("TRUSTED_PROXIES", "192.0.2.1,2001:db8::/32");
    let public = Settings::default().with("REVERSE_PROXY", "true").with("PUBLIC_URL", "https://id.example.org");
    for (settings, expected) in [(elsewhere, None), (Settings::default(), None), (public, Some("https://id.example.org"))] {
        let server = Server::start(&settings);
        let own = format!("http://{}", server.address);
        let expected = expected.unwrap_or(&own);
        for headers in [&[FORWARDED][..], &[("x-forwarded-host", "evil.example"), ("x-forwarded-proto", "https")]] {
            assert_eq!(location(&server, headers).await, expected, "{headers:?}");
        }
    }
}

#[tokio::test]
async fn the_flags_of_the_command_line() {
    let settings = Settings::default().with("HOST", "192.0.2.1").with("PORT", "1");
    let flags = ["--hostname", "127.0.0.1", "--port", "0", "--bearer-token", "first-key", "--bearer-token", "second-key"];
    for words in [flags.to_vec(), [&["serve"], &flags[..]].concat()] {
        let server = Server::start(&settings.clone().arguments(&words));
        for (key, status) in [("first-key", 200), ("second-key", 200), (crate::support::server::KEY, 401)] {
            assert_eq!(server.client().with_key(Some(key)).get("/Users").await.status, status, "{key}");
        }
    }
}

/// 7644-3.5.2-08
#[tokio::test]
async fn what_a_patch_is_answered_with_is_a_setting() {
    let titled = patch_of(json!([{"op": "replace", "path": "title", "value": "x"}]));
    for (setting, of_user, of_group) in [("no_content", 204, 204), ("resource", 200, 200), ("auto", 200, 204)] {
        // Every group that has a member is a large one.
        let settings = Settings::default().with("PATCH_ANSWER", setting).with("LIMIT_MEMBERS_IN_PATCH_ANSWER", "0");
        let server = Server::start(&settings);
        let client = server.client();
        let ann = format!("/Users/{}", client.post("/Users", &user("ann")).await.id());
        let team = format!("/Groups/{}", client.post("/Groups", &group("team")).await.id());
        let plain = client.patch(&ann, &titled).await;
        assert_eq!((plain.status, plain.version(), plain.body.is_empty()), (of_user, 2, of_user == 204), "{setting}");
        assert_eq!(client.patch(&team, &add_member("someone")).await.status, of_group, "{setting}");
        let named = client.patch(&format!("{ann}?attributes=title"), &titled).await;
        assert_eq!((named.status, &named.json()["title"]), (200, &json!("x")), "{setting}");
        let asked = client.on("PATCH", &team).header("prefer", "return=representation").json(&add_member("other")).send().await;
        assert_eq!((asked.status, asked.header("preference-applied")), (200, Some("return=representation")), "{setting}");
        assert_eq!(asked.json()["members"].as_array().map(Vec::len), Some(2), "{setting}");
    }
}
