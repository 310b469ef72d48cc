//! HEAD, and what clients accept.

use crate::watched::Watched;
use std::collections::BTreeMap;

#[tokio::test]
async fn head_is_get_without_the_body() {
    let watched = Watched::start().await;
    let (user, group) = (format!("/Users/{}", watched.ann), format!("/Groups/{}", watched.team));
    for path in [
        "/Users",
        "/Users?filter=userName%20eq%20%22ann%22",
        &user,
        &group,
        "/Users/nobody",
        "/Users?filter=x",
        "/Groups",
        "/ServiceProviderConfig",
        "/Schemas",
        "/ResourceTypes/User",
        "/Events/Feeds",
        "/Events/Feeds/default",
        "/Events/Feeds/default/Stream",
        "/health",
        "/ready",
        "/Me",
        "/nowhere",
    ] {
        let (head, get) = (watched.client.on("HEAD", path).send().await, watched.client.get(path).await);
        let headers = |answer: &crate::support::client::Answer| -> BTreeMap<String, String> {
            let all = answer.headers.iter().map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()));
            all.filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str())).collect()
        };
        assert_eq!((head.status, headers(&head), head.body.len()), (get.status, headers(&get), 0), "{path}");
        assert_eq!(headers(&get)["content-length"], get.body.len().to_string(), "{path}");
    }
}

/// 7644-3.8-01
#[tokio::test]
async fn whatever_a_client_accepts_it_is_scim() {
    let watched = Watched::start().await;
    let path = format!("/Users/{}", watched.ann);
    let plain = watched.client.get(&path).await;
    for accept in ["application/scim+json", "application/json", "*/*", "text/html", "application/json;q=0", "", "gar/b\"age;;q=x"] {
        let answer = watched.client.on("GET", &path).header("accept", accept).send().await;
        assert_eq!((answer.status, answer.json()), (200, plain.json()), "{accept}");
        assert_eq!(answer.header("content-type"), Some("application/scim+json"), "{accept}");
    }
}
