//! The flags of `carillon receive`, and what they come to.

use super::faults::Recurring;
use super::ring::Source;
use super::verify::{Expected, Keys, PUBLIC_KEY_ALGORITHMS};
use crate::base::limits;
use crate::base::secret::{Secret, TokenDigest};
use clap::{ArgGroup, Args};
use ipnet::IpNet;
use jsonwebtoken::Algorithm;
use reqwest::Url;
use reqwest::header::HeaderValue;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The port to listen on when none is said: the number of the RFC.
const PORT: u16 = 8935;

/// The flags of `receive`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[command(group(ArgGroup::new("way").required(true).args(["listen", "poll", "follow"])))]
pub(in crate::cli) struct Arguments {
    /// Listen for SETs that are pushed (RFC 8935); port 0 for any free one (default port 8935). Without TLS: put a proxy in front
    #[arg(long, value_name = "ADDRESS[:PORT]")]
    listen: Option<String>,
    /// Poll a transmitter (RFC 8936)
    #[arg(long, value_name = "URL")]
    poll: Option<Url>,
    /// Follow a feed of Carillon by Server-Sent Events, from the last event that was kept
    #[arg(long, value_name = "URL")]
    follow: Option<Url>,
    /// Where the transmitter's public keys are: a URL, or a file
    #[arg(long, value_name = "URL|FILE", conflicts_with = "secret_file")]
    jwks: Option<String>,
    /// File with the secret that SETs are signed with (HS256)
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Issuer to take SETs of (iss); repeatable
    #[arg(long, value_name = "ISSUER")]
    issuer: Vec<String>,
    /// Name of this receiver (aud); repeatable
    #[arg(long, value_name = "AUDIENCE")]
    audience: Vec<String>,
    /// Signature algorithm to accept; repeatable (default: every one that the keys are for)
    #[arg(long, value_name = "ALG")]
    alg: Vec<Algorithm>,
    /// Verify no signature, and take events as bare JSON too. Anybody can then make events up
    #[arg(long, conflicts_with_all = ["jwks", "secret_file", "alg"])]
    unverified: bool,
    /// Authorization header that a transmitter must send, such as "Bearer …". Others on this machine may see it: rather use the file
    #[arg(long, value_name = "VALUE", conflicts_with_all = ["authorization_file", "poll", "follow"], value_parser = secret)]
    authorization: Option<Secret>,
    /// File with that header's value
    #[arg(long, value_name = "FILE", conflicts_with_all = ["poll", "follow"])]
    authorization_file: Option<PathBuf>,
    /// Network to take SETs from, such as 10.0.0.0/8; repeatable (default: any)
    #[arg(long, value_name = "NETWORK", conflicts_with_all = ["poll", "follow"])]
    allow: Vec<IpNet>,
    /// Key to send as bearer token when polling and following. Others on this machine may see it: rather use the file
    #[arg(long, value_name = "KEY", conflicts_with_all = ["key_file", "listen"], value_parser = secret)]
    key: Option<Secret>,
    /// File with that key
    #[arg(long, value_name = "FILE", conflicts_with = "listen")]
    key_file: Option<PathBuf>,
    /// Most events to ask for in one poll
    #[arg(long, value_name = "N", conflicts_with_all = ["listen", "follow"], default_value_t = limits::RECEIVE_POLL_EVENTS, value_parser = clap::value_parser!(u64).range(1..))]
    max_events: u64,
    /// File of further certificates to trust (PEM)
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Use http to other machines too: whoever is on the way can read the events and the key, and choose the signature keys
    #[arg(long)]
    insecure_http: bool,
    /// Append events to this file as JSON lines; what it holds already is not written again (default: the standard output)
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Remember the jti of every event that was kept in this file; of use without --output
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
    /// Run this with sh for each event, with its claims on the standard input. Unless it ends with 0, the event is not acknowledged
    /// and comes again. Runs before the event is written to --output; may run twice for one event after a crash
    #[arg(long, value_name = "COMMAND")]
    exec: Option<String>,
    /// Write the SET itself into each line too
    #[arg(long)]
    keep_set: bool,
    /// End after so many new events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// End when nothing came for so many seconds
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    until_idle: Option<u64>,
    /// Say every 10 s how far things are when the standard error is no terminal
    #[arg(long)]
    progress: bool,
    /// For tests of transmitters, repeatable: delay=MS, status=CODE, err=CODE (each with :EVERY), drop (keep it, never answer), reset
    /// (keep it, break the answer off; each with =EVERY). EVERY 3 is every third request
    #[arg(long, value_name = "FAULT", conflicts_with_all = ["poll", "follow"])]
    fault: Vec<Recurring>,
}

#[expect(clippy::unnecessary_wraps, reason = "the shape that the parser of arguments asks for")]
fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// How SETs come.
#[derive(Debug)]
pub(super) enum Way {
    /// They are pushed to this address.
    Listen(SocketAddr, Listening),
    /// They are polled.
    Poll(Endpoint),
    /// A feed is followed.
    Follow(Endpoint),
}

/// Who may push, and what goes wrong on purpose.
#[derive(Debug)]
pub(super) struct Listening {
    pub(super) authorization: Option<TokenDigest>,
    pub(super) allowed: Vec<IpNet>,
    pub(super) faults: Vec<Recurring>,
}

/// A transmitter to ask.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) url: Url,
    /// Marked as sensitive, so that it does not print.
    pub(super) authorization: Option<HeaderValue>,
    pub(super) most_events: u64,
}

/// How the network is used.
#[derive(Debug)]
pub(super) struct Network {
    /// No request leaves this machine: no proxy has a part in it.
    pub(super) is_local: bool,
    pub(super) ca_file: Option<PathBuf>,
}

/// What the flags come to.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) way: Way,
    pub(super) expected: Expected,
    pub(super) is_unverified: bool,
    pub(super) source: Source,
    pub(super) network: Network,
    pub(super) output: Option<PathBuf>,
    pub(super) state: Option<PathBuf>,
    pub(super) command: Option<String>,
    pub(super) keeps_set: bool,
    pub(super) count: Option<u64>,
    pub(super) idle: Option<Duration>,
    pub(super) has_lines: bool,
}

impl Arguments {
    /// Reads the files that the flags name and checks it all. Fails with every problem.
    pub(super) fn plan(self) -> Result<Plan, Vec<String>> {
        let mut problems = Vec::new();
        let source = self.source(&mut problems);
        let expected = self.expected(&mut problems);
        let way = self.way(&mut problems);
        let mut addresses: Vec<&Url> = [&self.poll, &self.follow].into_iter().flatten().collect();
        if let Some(Source::Address(url)) = &source {
            addresses.push(url);
        }
        problems.extend(addresses.iter().filter_map(|url| check_address(url, self.insecure_http)));
        let is_local = addresses.iter().all(|url| is_local(url));
        match (way, source) {
            (Some(way), Some(source)) if problems.is_empty() => Ok(Plan {
                way,
                expected,
                is_unverified: self.unverified,
                source,
                network: Network { is_local, ca_file: self.ca_file },
                output: self.output,
                state: self.state,
                command: self.exec,
                keeps_set: self.keep_set,
                count: self.count,
                idle: self.until_idle.map(Duration::from_secs),
                has_lines: self.progress,
            }),
            _ => Err(problems),
        }
    }

    /// Where keys come from. Without any, nothing could be verified: that has to be said (RFC 8935 §5.1).
    fn source(&self, problems: &mut Vec<String>) -> Option<Source> {
        let found = match (&self.jwks, &self.secret_file) {
            _ if self.unverified => Ok(Source::Fixed(Arc::default())),
            (Some(jwks), _) if jwks.contains("://") => {
                Url::parse(jwks).map(Source::Address).map_err(|error| format!("--jwks: {error}"))
            }
            (Some(jwks), _) => match std::fs::read(jwks).map_err(|error| error.to_string()).and_then(|text| Keys::of_jwks(&text)) {
                Ok(_) => Ok(Source::File(jwks.into())),
                Err(error) => Err(format!("--jwks {jwks}: {error}")),
            },
            (None, Some(path)) => read_line(path, "--secret-file").and_then(|secret| {
                let keys = Keys::of_secret(secret.expose().as_bytes()).map_err(|error| format!("--secret-file: {error}"))?;
                Ok(Source::Fixed(Arc::new(keys)))
            }),
            (None, None) => Err("--jwks or --secret-file: how SETs are signed must be known (or --unverified, for tries)".into()),
        };
        found.map_err(|problem| problems.push(problem)).ok()
    }

    fn expected(&self, problems: &mut Vec<String>) -> Expected {
        if !self.unverified {
            let missing =
                [("--issuer", &self.issuer, "whose SETs are taken"), ("--audience", &self.audience, "who this receiver is")];
            for (flag, _, what) in missing.iter().filter(|(_, values, _)| values.is_empty()) {
                problems.push(format!("{flag}: it must be known {what} (or --unverified, for tries)"));
            }
        }
        let possible: &[Algorithm] = if self.secret_file.is_some() { &[Algorithm::HS256] } else { &PUBLIC_KEY_ALGORITHMS };
        for algorithm in self.alg.iter().filter(|algorithm| !possible.contains(algorithm)) {
            problems.push(format!("--alg {algorithm:?}: the keys are not for it"));
        }
        let algorithms = if self.alg.is_empty() { possible.to_vec() } else { self.alg.clone() };
        Expected { issuers: self.issuer.clone(), audiences: self.audience.clone(), algorithms }
    }

    fn way(&self, problems: &mut Vec<String>) -> Option<Way> {
        let found = match (&self.listen, &self.poll, &self.follow) {
            (Some(listen), _, _) => address(listen).and_then(|address| {
                let authorization =
                    value_of(self.authorization.as_ref(), self.authorization_file.as_deref(), "--authorization-file")?;
                let authorization = authorization.map(|value| TokenDigest::of(value.expose()));
                let (allowed, faults) = (self.allow.clone(), self.fault.clone());
                Ok(Way::Listen(address, Listening { authorization, allowed, faults }))
            }),
            (None, Some(url), _) => self.endpoint(url.clone()).map(Way::Poll),
            (None, None, Some(url)) => {
                let mut url = url.clone();
                // Carillon's feeds bring bare claims unless they are asked for SETs.
                if !self.unverified && !url.query_pairs().any(|(name, _)| name == "format") {
                    url.query_pairs_mut().append_pair("format", "jwt");
                }
                self.endpoint(url).map(Way::Follow)
            }
            (None, None, None) => Err("--listen, --poll or --follow: one is needed".into()),
        };
        found.map_err(|problem| problems.push(problem)).ok()
    }

    fn endpoint(&self, url: Url) -> Result<Endpoint, String> {
        let key = value_of(self.key.as_ref(), self.key_file.as_deref(), "--key-file")?;
        let authorization = key.map(|key| {
            let mut value = HeaderValue::from_str(&format!("Bearer {}", key.expose()))
                .map_err(|_| "--key, --key-file: a key has no such characters".to_owned())?;
            value.set_sensitive(true);
            Ok::<_, String>(value)
        });
        Ok(Endpoint { url, authorization: authorization.transpose()?, most_events: self.max_events })
    }
}

/// A value of the command line or of a file.
fn value_of(value: Option<&Secret>, file: Option<&Path>, flag: &str) -> Result<Option<Secret>, String> {
    match (value, file) {
        (Some(value), _) => Ok(Some(value.clone())),
        (None, Some(path)) => read_line(path, flag).map(Some),
        (None, None) => Ok(None),
    }
}

fn read_line(path: &Path, flag: &str) -> Result<Secret, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{flag} {}: {error}", path.display()))?;
    let line = text.trim_end_matches(['\r', '\n']);
    if line.is_empty() { Err(format!("{flag} {}: the file is empty", path.display())) } else { Ok(Secret::new(line)) }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let whole: Option<SocketAddr> = text.parse().ok();
    let alone = || text.trim_matches(['[', ']']).parse::<IpAddr>().ok().map(|address| SocketAddr::new(address, PORT));
    let named = || {
        let with_port = if text.contains(':') { text.to_owned() } else { format!("{text}:{PORT}") };
        with_port.to_socket_addrs().ok()?.next()
    };
    whole
        .or_else(alone)
        .or_else(named)
        .ok_or_else(|| format!("--listen {text}: no address of this machine, such as 127.0.0.1:{PORT}"))
}

/// What is wrong with an address to ask.
fn check_address(url: &Url, is_insecure: bool) -> Option<String> {
    let host = url.host_str().unwrap_or_default();
    if !matches!(url.scheme(), "http" | "https") || host.is_empty() {
        return Some(format!("{}: addresses are https", url.scheme()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Some(format!("https://{host}: an address holds no user and no password; use --key-file"));
    }
    (url.scheme() == "http" && !is_insecure && !is_local(url))
        .then(|| format!("http://{host}: use https, or say --insecure-http: others could read along and make events up"))
}

fn is_local(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}
