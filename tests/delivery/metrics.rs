//! `/metrics` as Prometheus reads it: every line is what the format allows, requests are counted, and nobody is named (I6).
#![allow(clippy::float_cmp, reason = "counters are whole numbers")]

use crate::support::client::{Client, encode};
use crate::support::fixture::{group, patch_of, user};
use crate::support::server::{KEY, Server, Settings};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};

/// A metric as it stands in the text: its type, and its samples by name and labels.
#[derive(Debug, Default)]
struct Metric {
    kind: String,
    samples: BTreeMap<String, f64>,
}

/// Reads the text format 0.0.4, strictly: HELP and TYPE once before the samples of each metric, every sample once, names and labels
/// as they may be, the samples of a histogram complete.
fn parse(text: &str) -> BTreeMap<String, Metric> {
    let mut metrics: BTreeMap<String, Metric> = BTreeMap::new();
    let mut current = String::new();
    assert!(text.ends_with('\n'), "the last line ends");
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').expect("a name and a text");
            assert!(is_name(name) && !text.is_empty(), "{line}");
            assert!(metrics.insert(name.into(), Metric::default()).is_none(), "{line} stands twice");
            name.clone_into(&mut current);
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a name and a type");
            let metric = metrics.get_mut(name).expect("HELP stands before TYPE");
            assert!(name == current && metric.kind.is_empty() && metric.samples.is_empty(), "{line}");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            kind.clone_into(&mut metric.kind);
        } else {
            let (series, value) = line.rsplit_once(' ').expect("a sample and its value");
            let (name, _) = series.split_once('{').unwrap_or((series, ""));
            let metric = metrics.get_mut(&current).expect("a metric");
            let parts: &[&str] = if metric.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
            assert!(parts.iter().any(|part| name == format!("{current}{part}")), "{line} stands under {current}");
            assert!(is_name(name), "{line}");
            check_labels(&series[name.len()..]);
            let value: f64 = value.parse().expect("a number");
            assert!(metric.samples.insert(series.into(), value).is_none(), "{line} stands twice");
        }
    }
    metrics.values().filter(|metric| metric.kind == "histogram").for_each(check_histogram);
    metrics
}

fn is_name(name: &str) -> bool {
    let mut letters = name.bytes();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_')
}

/// `{name="value",…}`, or nothing.
fn check_labels(labels: &str) {
    let Some(inner) = labels.strip_prefix('{').and_then(|labels| labels.strip_suffix('}')) else {
        return assert_eq!(labels, "");
    };
    let mut names = BTreeSet::new();
    for label in inner.split("\",") {
        let (name, value) = label.split_once("=\"").expect("a name and a value");
        assert!(is_name(name) && names.insert(name), "{labels}");
        let value = value.strip_suffix('"').unwrap_or(value);
        assert!(!value.contains(['"', '\\']), "{labels}");
    }
}

/// Counts never fall from a bucket to the next, and the last one is every value.
fn check_histogram(metric: &Metric) {
    let mut last: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    for (series, count) in metric.samples.iter().filter(|(series, _)| series.contains("_bucket{")) {
        let (labels, bound) = series.rsplit_once("le=\"").expect("a bound");
        let bound = bound.trim_end_matches("\"}").replace("+Inf", "inf").parse().expect("a number");
        last.entry(labels.trim_end_matches(',').replace("_bucket{", "_count{")).or_default().push((bound, *count));
    }
    for (series, mut buckets) in last {
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        assert!(buckets.is_sorted_by(|one, other| one.1 <= other.1), "{series}: {buckets:?}");
        let all = format!("{series}}}").replace("{}", "");
        assert_eq!(buckets.last(), Some(&(f64::INFINITY, metric.samples[&all])), "{series}");
    }
}

async fn scrape(client: &Client) -> BTreeMap<String, Metric> {
    let answer = client.get("/metrics").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("text/plain; version=0.0.4; charset=utf-8")));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    parse(&answer.text())
}

/// How often a route was answered so.
fn count(metrics: &BTreeMap<String, Metric>, route: &str, method: &str, status: u16) -> f64 {
    let series = format!("carillon_http_requests_total{{route=\"{route}\",method=\"{method}\",status=\"{status}\"}}");
    metrics["carillon_http_requests_total"].samples.get(&series).copied().unwrap_or_default()
}

#[tokio::test]
async fn every_metric_is_described_before_anything_happened() {
    let server = Server::start(&Settings::default());
    let metrics = scrape(&server.client()).await;
    let named: BTreeSet<&str> = metrics.keys().map(String::as_str).filter(|name| name.starts_with("carillon_")).collect();
    let agreed = [
        "carillon_addresses_refused_total",
        "carillon_commit_batch_units",
        "carillon_dead_letters",
        "carillon_delivery_attempts_total",
        "carillon_delivery_seconds",
        "carillon_http_request_seconds",
        "carillon_http_requests_total",
        "carillon_log_floor",
        "carillon_log_head",
        "carillon_lost_places_total",
        "carillon_poll_batch_events",
        "carillon_poll_waiters",
        "carillon_push_in_flight",
        "carillon_redeliveries_total",
        "carillon_sequencer_batch_events",
        "carillon_sequencer_lag_seconds",
        "carillon_sets_signed_total",
        "carillon_stream_lag_events",
        "carillon_stream_lag_seconds",
        "carillon_stream_oldest_unresolved_seconds",
        "carillon_streams",
    ];
    assert_eq!(named, agreed.into_iter().collect());
    assert!(metrics.values().all(|metric| !metric.kind.is_empty()));
}

#[tokio::test]
async fn requests_are_counted_by_route_method_and_status() {
    let server = Server::start(&Settings::default());
    let client = server.client();
    let created = client.post("/Users", &user("ann")).await;
    let path = format!("/Users/{}", created.id());
    for _ in 0..3 {
        client.get(&path).await;
    }
    client.get("/Users/nobody").await;
    client.get("/somewhere/else").await;
    client.on("PURGE", "/Users").send().await;
    client.on("BREW", "/Users").send().await;
    client.with_key(None).get(&path).await;
    let metrics = scrape(&client).await;
    let counted = [
        count(&metrics, "/Users", "POST", 201),
        count(&metrics, "/Users/{id}", "GET", 200),
        count(&metrics, "/Users/{id}", "GET", 404),
        count(&metrics, "/Users/{id}", "GET", 401),
        count(&metrics, "none", "GET", 404),
        count(&metrics, "/Users", "other", 405),
        count(&metrics, "/metrics", "GET", 200),
    ];
    assert_eq!(counted, [1.0, 3.0, 1.0, 1.0, 1.0, 2.0, 0.0]);
    let took = &metrics["carillon_http_request_seconds"].samples;
    assert_eq!(took["carillon_http_request_seconds_count{route=\"/Users/{id}\",method=\"GET\"}"].to_bits(), 5.0_f64.to_bits());
    let log = [&metrics["carillon_log_head"], &metrics["carillon_log_floor"]];
    assert_eq!(log.map(|metric| metric.samples.values().copied().collect::<Vec<f64>>()), [vec![1.0], vec![0.0]]);
    let again = scrape(&client).await;
    assert_eq!([count(&again, "/metrics", "GET", 200), count(&again, "/Users/{id}", "GET", 200)], [1.0, 3.0]);
}

/// The text has as many series after a thousand made-up paths as after one.
#[tokio::test]
async fn what_clients_make_up_makes_no_series() {
    let server = Server::start(&Settings::default());
    let client = server.client();
    for number in 0..100 {
        client.get(&format!("/made-up/{number}")).await;
        client.get(&format!("/Users/made-up-{number}")).await;
        client.on(&format!("MADEUP{number}"), "/Users").send().await;
    }
    let metrics = scrape(&client).await;
    let counted =
        [count(&metrics, "none", "GET", 404), count(&metrics, "/Users/{id}", "GET", 404), count(&metrics, "/Users", "other", 405)];
    assert_eq!(counted, [100.0; 3]);
    assert_eq!(metrics["carillon_http_requests_total"].samples.len(), 3);
}

#[tokio::test]
async fn nothing_names_a_person_a_resource_or_a_key() {
    let server = Server::start(&Settings::default());
    let client = server.client();
    let (name, filtered, wrong) = ("zaphod-the-user", "trillian-the-sought", "a-wrong-key-4711");
    let id = client.post("/Users", &user(name)).await.id();
    let group = client.post("/Groups", &group("hitchhikers")).await.id();
    client.patch(&format!("/Users/{id}"), &patch_of(json!([{"op": "add", "path": "nickName", "value": "beeblebrox"}]))).await;
    client.get(&format!("/Users?filter={}", encode(&format!("userName eq \"{filtered}\"")))).await;
    client.get(&format!("/Users/{id}/{name}")).await;
    client.on("GET", "/Users").header("x-request-id", "request-of-zaphod").send().await;
    client.with_key(Some(wrong)).get(&format!("/Users/{id}")).await;
    let jti = client.feed(None, 10).await[0]["jti"].as_str().expect("a jti").to_owned();
    client.get(&format!("/Events/Feeds/default/Stream?after={jti}")).await;
    let text = client.get("/metrics").await.text();
    parse(&text);
    for secret in [name, filtered, wrong, KEY, &id, &group, &jti, "hitchhikers", "beeblebrox", "request-of-zaphod"] {
        assert!(!text.contains(secret), "{secret} is in\n{text}");
    }
}

#[tokio::test]
async fn they_need_a_key_that_may_do_everything_unless_they_are_public() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("carillon.toml");
    std::fs::write(&config, "[[auth.keys]]\nname = \"receiver\"\nkey = \"a-receivers-key\"\nscopes = [\"events:read\"]\n")
        .expect("written");
    let settings = Settings::default().arguments(&["--config", config.to_str().expect("a path")]);
    let server = Server::start(&settings);
    let client = server.client();
    client.with_key(None).get("/metrics").await.assert_error(401, None, &["credential"]);
    let receiver = client.with_key(Some("a-receivers-key"));
    let refused = receiver.get("/metrics").await;
    refused.assert_error(403, None, &["'admin'"]);
    let challenge = "Bearer realm=\"carillon\", error=\"insufficient_scope\", scope=\"admin\"";
    assert_eq!(refused.header("www-authenticate"), Some(challenge));
    receiver.post("/Users", &user("ann")).await.assert_error(403, None, &["'scim:write'"]);
    assert_eq!(receiver.get("/Events/Feeds/default/Stream").await.status, 200);
    let open = Server::start(&settings.with("METRICS_PUBLIC", "true").with("BASE_PATH", "/scim/v2"));
    scrape(&open.client().with_key(None)).await;
}
