//! What commands talk to a running gateway with: where it is, which key to show, and what went wrong in plain words.

use super::serve::secret;
use crate::auth::{Scope, key_file};
use crate::base::crypto::install_crypto;
use crate::base::limits;
use crate::base::secret::Secret;
use crate::config::{Flags, Problems, Settings};
use clap::Args;
use reqwest::{Method, StatusCode, redirect};
use serde_json::Value;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// The flags that say which gateway is meant.
#[derive(Debug, Args)]
pub(super) struct Connection {
    /// URL of the gateway, base path included (default: where the settings make it listen)
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// API key with the scope that the command needs (default: as the settings say, else the file api-key of `DATA_PATH`).
    /// Others on this machine may see it: rather use `API_KEY_FILE`
    #[arg(long, value_name = "KEY", value_parser = secret)]
    key: Option<Secret>,
    /// File of settings (default carillon.toml, if it is there)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// A client of one gateway.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    /// Without a slash at its end.
    base: String,
    key: Secret,
}

/// Why a command did not do what it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    /// The settings that say where the gateway is have problems.
    #[error("{0}\n(with --url and --key the settings are not read)")]
    Settings(Problems),
    /// It cannot be told where the gateway is.
    #[error("{0}")]
    Nowhere(String),
    /// There is no key to show.
    #[error("no key to show: {0}; use --key, API_KEY or API_KEY_FILE")]
    NoKey(String),
    /// Nothing answers there.
    #[error("no gateway answers at {url}: {why}. Is it running? --url names another place")]
    Unreachable {
        /// Where.
        url: String,
        /// What the connection says.
        why: String,
    },
    /// The gateway refuses.
    #[error("{url} refuses: {status} {detail}")]
    Refused {
        /// Which address.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What it says.
        detail: String,
    },
    /// What answers is not a gateway, or not one of this version.
    #[error("{url} answers what no Carillon would: {what}")]
    Strange {
        /// Which address.
        url: String,
        /// What.
        what: String,
    },
}

/// Runs a command against a gateway; prints what it has to say, or why it failed on the standard error. Ends with 1 when it fails.
pub(super) fn run<F: Future<Output = Result<String, Failed>>>(
    connection: Connection,
    command: impl FnOnce(Client) -> F,
) -> ExitCode {
    let done = connection.open().and_then(|client| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failed::Nowhere(format!("the runtime does not start: {error}")))?;
        runtime.block_on(command(client))
    });
    match done {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(failed) => {
            eprintln!("{failed}");
            ExitCode::FAILURE
        }
    }
}

impl Connection {
    /// A client of that gateway. The settings are read only as far as the flags leave something open.
    pub(super) fn open(self) -> Result<Client, Failed> {
        install_crypto();
        let Self { url, key, config } = self;
        let timeouts = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .connect_timeout(Duration::from_millis(limits::COMMAND_CONNECT_MS))
            .timeout(Duration::from_millis(limits::COMMAND_ANSWER_MS));
        // Where this machine listens is never behind a proxy.
        let builder = if url.is_none() { timeouts.no_proxy() } else { timeouts };
        let (base, key) = match (url, key) {
            (Some(url), Some(key)) => (url, key),
            (url, key) => {
                let flags = Flags { config, ..Flags::default() };
                let settings = Settings::load(&flags, super::serve::environment()).map_err(Failed::Settings)?;
                (url.map_or_else(|| listening_at(&settings), Ok)?, key.map_or_else(|| key_of(&settings), Ok)?)
            }
        };
        let is_web = url::Url::parse(&base).is_ok_and(|url| matches!(url.scheme(), "http" | "https"));
        if !is_web {
            return Err(Failed::Nowhere("--url: expected an http or https URL".into()));
        }
        let http = builder.build().map_err(|error| Failed::Nowhere(format!("no client for HTTP: {}", innermost(&error))))?;
        Ok(Client { http, base: base.trim_end_matches('/').to_owned(), key })
    }
}

/// Where a gateway with these settings listens, as seen from this machine.
fn listening_at(settings: &Settings) -> Result<String, Failed> {
    Ok(format!("{}{}", origin_of(settings)?, settings.server.base_path))
}

/// The same without the base path.
pub(super) fn origin_of(settings: &Settings) -> Result<String, Failed> {
    let server = &settings.server;
    Ok(match (server.port, &server.public_url) {
        (0, None) => {
            return Err(Failed::Nowhere("PORT is 0 and PUBLIC_URL is not set: use --url to say where the gateway is".into()));
        }
        (0, Some(url)) => url.clone(),
        (port, _) => match server.host.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) if address.is_unspecified() => format!("http://{}:{port}", Ipv4Addr::LOCALHOST),
            Ok(IpAddr::V6(address)) if address.is_unspecified() => format!("http://[{}]:{port}", Ipv6Addr::LOCALHOST),
            Ok(IpAddr::V6(address)) => format!("http://[{address}]:{port}"),
            _ => format!("http://{}:{port}", server.host),
        },
    })
}

/// The key that a gateway with these settings knows.
fn key_of(settings: &Settings) -> Result<Secret, Failed> {
    // Commands administer: a key that may not is the last to be tried.
    let (may, may_not): (Vec<_>, Vec<_>) = settings.named_keys.iter().partition(|named| named.scopes.contains(Scope::Admin));
    let named = may.into_iter().chain(may_not).map(|named| &named.key);
    if let Some(key) = settings.api_keys.iter().chain(named).next() {
        return Ok(key.clone());
    }
    let folder = &settings.store.data_path;
    let path = folder.display();
    match key_file::read(folder) {
        Ok(Some(key)) => Ok(key),
        Ok(None) => Err(Failed::NoKey(format!("DATA_PATH {path} has no file api-key"))),
        Err(error) => Err(Failed::NoKey(format!("DATA_PATH {path}: the file api-key: {error}"))),
    }
}

impl Client {
    /// GET of a path under the base.
    pub(super) async fn get(&self, path: &str) -> Result<Value, Failed> {
        self.send(Method::GET, path, None).await
    }

    /// POST of JSON to a path under the base. An answer without a body is null.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, Failed> {
        self.send(Method::POST, path, Some(body)).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Value, Failed> {
        let url = format!("{}{path}", self.base);
        let unreachable = |error: &reqwest::Error| Failed::Unreachable { url: self.base.clone(), why: innermost(error) };
        let request = self.http.request(method, &url).bearer_auth(self.key.expose());
        let request = if let Some(body) = body { request.json(body) } else { request };
        let mut response = request.send().await.map_err(|error| unreachable(&error))?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(part) = response.chunk().await.map_err(|error| unreachable(&error))? {
            bytes.extend_from_slice(&part);
            if bytes.len() > limits::COMMAND_ANSWER_BYTES {
                return Err(Failed::Strange { url, what: format!("more than {} bytes", limits::COMMAND_ANSWER_BYTES) });
            }
        }
        let answer = if bytes.is_empty() { Ok(Value::Null) } else { serde_json::from_slice::<Value>(&bytes) };
        understood(url, status, answer.ok())
    }
}

/// The body of a success; of anything else the detail that a SCIM error gives (RFC 7644 §3.12).
fn understood(url: String, status: StatusCode, answer: Option<Value>) -> Result<Value, Failed> {
    match answer {
        Some(answer) if status.is_success() => Ok(answer),
        None if status.is_success() => Err(Failed::Strange { url, what: "its body is not JSON".into() }),
        answer => {
            let detail = answer.as_ref().and_then(|answer| answer["detail"].as_str());
            let hint = status.canonical_reason().unwrap_or("without a reason");
            Err(Failed::Refused { url, status: status.as_u16(), detail: detail.unwrap_or(hint).to_owned() })
        }
    }
}

/// The last cause of an error: the outer ones only say that there was one.
pub(super) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(environment: &[(&str, &str)]) -> Settings {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::load(&Flags::default(), environment).expect("settings")
    }

    #[test]
    fn a_gateway_is_where_its_settings_make_it_listen() {
        let cases: [(&[(&str, &str)], &str); 5] = [
            (&[], "http://127.0.0.1:8000"),
            (&[("HOST", "0.0.0.0"), ("PORT", "80"), ("BASE_PATH", "/scim/v2")], "http://127.0.0.1:80/scim/v2"),
            (&[("HOST", "::")], "http://[::1]:8000"),
            (&[("HOST", "scim.example.com"), ("PUBLIC_URL", "https://example.com")], "http://scim.example.com:8000"),
            (&[("PORT", "0"), ("PUBLIC_URL", "https://example.com"), ("BASE_PATH", "/scim")], "https://example.com/scim"),
        ];
        for (environment, url) in cases {
            assert_eq!(listening_at(&settings(environment)).expect("a place"), url, "{environment:?}");
        }
        let nowhere = listening_at(&settings(&[("PORT", "0")])).expect_err("no place").to_string();
        assert_eq!(nowhere, "PORT is 0 and PUBLIC_URL is not set: use --url to say where the gateway is");
    }

    #[test]
    fn the_key_is_the_configured_one_else_that_of_the_data_folder() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().to_str().expect("text");
        assert_eq!(key_of(&settings(&[("API_KEY", "one"), ("DATA_PATH", path)])).expect("a key"), Secret::new("one"));
        let missing = key_of(&settings(&[("DATA_PATH", path)])).expect_err("no key").to_string();
        assert_eq!(missing, format!("no key to show: DATA_PATH {path} has no file api-key; use --key, API_KEY or API_KEY_FILE"));
        std::fs::write(folder.path().join("api-key"), "two\n").expect("written");
        assert_eq!(key_of(&settings(&[("DATA_PATH", path)])).expect("a key"), Secret::new("two"));
    }

    #[test]
    fn a_refusal_says_what_the_gateway_says() {
        let refused = |status, answer| understood("http://h/x".into(), status, answer).expect_err("refused").to_string();
        let detail = serde_json::json!({"detail": "The scope admin is needed."});
        assert_eq!(refused(StatusCode::FORBIDDEN, Some(detail)), "http://h/x refuses: 403 The scope admin is needed.");
        assert_eq!(refused(StatusCode::BAD_GATEWAY, None), "http://h/x refuses: 502 Bad Gateway");
        assert_eq!(refused(StatusCode::OK, None), "http://h/x answers what no Carillon would: its body is not JSON");
    }
}
