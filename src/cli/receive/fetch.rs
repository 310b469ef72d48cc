//! The HTTP client: bounded answers, no redirects, no password in anything it says.

use super::arguments::Network;
use crate::base::limits;
use bytes::BytesMut;
use reqwest::header::{CACHE_CONTROL, HeaderMap, RETRY_AFTER};
use reqwest::{Certificate, Client, Response, StatusCode, Url, redirect};
use std::error::Error as _;
use std::time::Duration;

/// A document with the time for which it is good, in seconds, where it says one.
pub(super) struct Fetched {
    pub(super) body: Vec<u8>,
    pub(super) max_age: Option<u64>,
}

/// A body that ended too early, or is too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    TooLong,
    Ended(String),
}

/// A client for the transmitter. Fails when a file of certificates cannot be used.
pub(super) fn client(network: &Network) -> Result<Client, String> {
    let mut builder = Client::builder()
        .redirect(redirect::Policy::none())
        .referer(false)
        .connect_timeout(Duration::from_millis(limits::RECEIVE_CONNECT_MS))
        .user_agent(concat!("carillon-receive/", env!("CARGO_PKG_VERSION")));
    if network.is_local {
        builder = builder.no_proxy();
    }
    if let Some(path) = &network.ca_file {
        let shown = path.display();
        let text = std::fs::read(path).map_err(|error| format!("--ca-file {shown}: {error}"))?;
        let found = Certificate::from_pem_bundle(&text).map_err(|_| format!("--ca-file {shown}: no PEM certificates"))?;
        if found.is_empty() {
            return Err(format!("--ca-file {shown}: no PEM certificates"));
        }
        builder = builder.tls_certs_merge(found);
    }
    builder.build().map_err(explain)
}

/// Reads a small document.
pub(super) async fn document(client: &Client, url: &Url, limit_bytes: usize) -> Result<Fetched, String> {
    let request = client.get(url.clone()).header("accept", "application/jwk-set+json, application/json");
    let request = request.timeout(Duration::from_millis(limits::RECEIVE_FETCH_MS));
    let response = request.send().await.map_err(explain)?;
    if response.status() != StatusCode::OK {
        return Err(format!("answered {}", response.status()));
    }
    let max_age = max_age(response.headers());
    match body(response, limit_bytes).await {
        Ok(body) => Ok(Fetched { body, max_age }),
        Err(Broken::TooLong) => Err(format!("longer than {limit_bytes} bytes")),
        Err(Broken::Ended(error)) => Err(error),
    }
}

/// Reads a body to its end, or to the limit.
pub(super) async fn body(mut response: Response, limit_bytes: usize) -> Result<Vec<u8>, Broken> {
    let mut read = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| Broken::Ended(explain(error)))? {
        if read.len() + chunk.len() > limit_bytes {
            return Err(Broken::TooLong);
        }
        read.extend_from_slice(&chunk);
    }
    Ok(read.into())
}

/// What went wrong, down to its cause, without the address: its query may hold a secret.
pub(super) fn explain(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// `Cache-Control` (RFC 9111 §5.2.2): for how long an answer is good, in seconds.
fn max_age(headers: &HeaderMap) -> Option<u64> {
    let directives = headers.get_all(CACHE_CONTROL).iter().filter_map(|value| value.to_str().ok()).flat_map(|line| line.split(','));
    let mut age = None;
    for directive in directives.map(|directive| directive.trim().to_ascii_lowercase()) {
        match directive.split_once('=') {
            Some(("max-age", seconds)) => age = seconds.trim_matches('"').parse().ok(),
            None if directive == "no-store" || directive == "no-cache" => return Some(0),
            _ => {}
        }
    }
    age
}

/// `Retry-After` in seconds (RFC 9110 §10.2.3), no longer than [`limits::RECEIVE_RETRY_AFTER_SECONDS`]; a date is not followed.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(limits::RECEIVE_RETRY_AFTER_SECONDS)))
}

/// The sentence that an error of SCIM or of HTTP brings, cut to a line that can be shown.
pub(super) async fn reason(response: Response) -> String {
    let status = response.status();
    let text = body(response, limits::RECEIVE_REASON_BYTES).await.unwrap_or_default();
    let value: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    let said = ["detail", "description", "error_description"].iter().find_map(|name| value[name].as_str());
    let said: String = said.unwrap_or_default().chars().filter(|c| !c.is_control()).take(300).collect();
    if said.is_empty() { status.to_string() } else { format!("{status}: {said}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_what_the_directives_say() {
        let age = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(CACHE_CONTROL, line.parse().expect("a value"));
            }
            max_age(&headers)
        };
        assert_eq!(age(&["public, max-age=900"]), Some(900));
        assert_eq!(age(&["Max-Age=\"5\""]), Some(5));
        assert_eq!(age(&["max-age=900", "no-cache"]), Some(0));
        assert_eq!(age(&["max-age=x"]), None);
        assert_eq!(age(&[]), None);
    }
}
