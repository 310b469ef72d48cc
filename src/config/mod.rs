//! F6: the settings: flags over environment over file over defaults, every problem named at once.
//!
//! A variable of the environment that is empty counts as not set. The file is `carillon.toml` in the working folder, or what
//! `--config` names; `table` says which key of it a variable is.

mod effective;
mod keys;
mod reader;
mod retention;
mod schemas;
mod signing;
mod store;
mod streams;
mod table;
#[cfg(test)]
mod tests;

use crate::auth::Credential;
use crate::base::limits::{self, Limits};
use crate::base::secret::Secret;
use crate::delivery;
use crate::engine::Switches;
use crate::event::Mode;
use crate::http::{PatchAnswer, path_prefix};
use crate::scim::quirks::Quirks;
use crate::scim::schema::Registry;
use crate::scim::schema::load::Loaded;
use ipnet::IpNet;
use reader::Reader;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

pub use effective::{Shown, Source};

/// What the command line says. `None` leaves a setting to the environment.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--hostname`
    pub hostname: Option<String>,
    /// `--port`
    pub port: Option<String>,
    /// `--config`
    pub config: Option<PathBuf>,
    /// `--bearer-token`, any number of times
    pub bearer_tokens: Vec<Secret>,
    /// `--reverse-proxy`
    pub reverse_proxy: bool,
    /// `--schema`, any number of times
    pub schemas: Vec<PathBuf>,
    /// `--resource-type`, any number of times
    pub resource_types: Vec<PathBuf>,
    /// `--dump-resources`
    pub dump_resources: Option<PathBuf>,
}

/// Every setting, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen and how clients call this server.
    pub server: Server,
    /// Least severity that is logged.
    pub log_level: LogLevel,
    /// The shape of the log's lines.
    pub log_format: LogFormat,
    /// The static API keys without a name.
    pub api_keys: Vec<Secret>,
    /// The `userName` of the user that `/Me` is for them.
    pub me_user_name: Option<Secret>,
    /// The static keys with a name. Without any key, named or not, one is made.
    pub named_keys: Vec<Credential>,
    /// What holds the resources.
    pub store: Store,
    /// What the engine is told.
    pub switches: Switches,
    /// How events are delivered.
    pub delivery: delivery::Settings,
    /// What a PATCH is answered with.
    pub patch_answer: PatchAnswer,
    /// Two groups may not share a `displayName`.
    pub unique_group_names: bool,
    /// How much and how long.
    pub limits: Limits,
    /// The schemas and resource types that are served.
    pub schemas: Loaded,
    /// A file that is to hold every resource when the server has stopped.
    pub dump_resources: Option<PathBuf>,
}

/// Where to listen and how clients call this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// A name or an address.
    pub host: String,
    /// 0 is any free one.
    pub port: u16,
    /// Prefix of every SCIM endpoint, empty or `/scim/v2`.
    pub base_path: String,
    /// Base of absolute URIs, without a slash at its end.
    pub public_url: Option<String>,
    /// Whether `/` is the interactive page.
    pub page: bool,
    /// Where proxies are whose headers count; empty when there is none in front.
    pub trusted_proxies: Vec<IpNet>,
    /// Time between saying that the server is not ready and closing the listener, in milliseconds.
    pub shutdown_delay_ms: u64,
    /// Whether `/metrics` needs no credential.
    pub metrics_public: bool,
}

/// What holds the resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The backend's name in the table of backends.
    pub backend: &'static str,
    /// Its data folder: of an embedded store its data, of any other what this node alone keeps, such as a key it has made.
    pub data_path: PathBuf,
    /// The address of a database that is reached by one.
    pub database_url: Option<Secret>,
    /// The names of the views that show users and groups to readers of the database itself.
    pub views: [String; 2],
}

impl Default for Store {
    fn default() -> Self {
        Self { backend: "sqlite", data_path: "./data".into(), database_url: None, views: ["Users", "Groups"].map(str::to_owned) }
    }
}

impl Store {
    /// The setting that says where the data is; a folder is shown, an address never, because it may hold a password.
    pub fn place(&self) -> String {
        match &self.database_url {
            Some(_) => "DATABASE_URL".into(),
            None => format!("DATA_PATH {}", self.data_path.display()),
        }
    }
}

/// Least severity that is logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Failures that need a person.
    Error,
    /// And what may become one.
    Warn,
    /// And what the server does.
    Info,
    /// And how.
    Debug,
    /// And every step.
    Trace,
}

impl LogLevel {
    /// As the log's filter spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }

    fn of(text: &str) -> Option<Self> {
        [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace]
            .into_iter()
            .find(|level| level.as_str().eq_ignore_ascii_case(text))
    }
}

/// The shape of the log's lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// An object a line.
    Json,
}

/// Everything that is wrong with the settings, a line each. No line holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<String>);

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for Problems {}

impl Settings {
    /// Reads the settings from the command line, the environment and the file. Lists every problem.
    pub fn load(flags: &Flags, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, Problems> {
        Self::explained(flags, environment).map(|(settings, _)| settings)
    }

    /// The same, and each setting as a person may see it, with where its value comes from.
    pub fn explained(
        flags: &Flags,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(Self, Vec<Shown>), Problems> {
        let environment: BTreeMap<String, String> = environment.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let mut reader = Reader::open(flags, &environment);
        let mut settings = Self {
            server: server(&mut reader, flags),
            log_level: reader.parsed("LOGLEVEL", "one of ERROR, WARN, INFO, DEBUG, TRACE", LogLevel::of).unwrap_or(LogLevel::Info),
            log_format: log_format(&mut reader),
            api_keys: keys::api_keys(&mut reader, &flags.bearer_tokens),
            me_user_name: reader.parsed("ME_USER_NAME", "a userName", |text| Some(Secret::new(text))),
            named_keys: keys::named_keys(&mut reader),
            store: store::store(&mut reader),
            switches: switches(&mut reader),
            delivery: delivery(&mut reader),
            patch_answer: patch_answer(&mut reader),
            unique_group_names: reader.parsed("UNIQUE_GROUP_NAMES", "true or false", |text| text.parse().ok()).unwrap_or(true),
            limits: limits(&mut reader),
            schemas: Loaded { registry: Registry::builtin(), files: BTreeMap::new() },
            dump_resources: flags.dump_resources.clone(),
        };
        settings.schemas = schemas::read(&mut reader, flags, settings.unique_group_names, settings.switches.quirks);
        settings.delivery.streams = streams::streams(&mut reader, &settings);
        let shown = effective::shown(&settings, &reader);
        let problems = reader.into_problems();
        if problems.is_empty() { Ok((settings, shown)) } else { Err(Problems(problems)) }
    }
}

fn server(reader: &mut Reader, flags: &Flags) -> Server {
    Server {
        host: reader.parsed("HOST", "a host name or an IP address", host).unwrap_or_else(|| "127.0.0.1".into()),
        port: reader.parsed("PORT", "a port number, 0 to 65535", |text| text.parse().ok()).unwrap_or(8000),
        base_path: reader.parsed("BASE_PATH", "a path such as /scim/v2", path_prefix).unwrap_or_default(),
        public_url: reader.parsed("PUBLIC_URL", "an http or https URL without user, query and fragment", public_url),
        page: reader.parsed("PAGE", "true or false", |text| text.parse().ok()).unwrap_or(true),
        trusted_proxies: trusted_proxies(reader, flags.reverse_proxy),
        shutdown_delay_ms: reader.whole("SHUTDOWN_DELAY_MS", 0).unwrap_or(0),
        metrics_public: reader.parsed("METRICS_PUBLIC", "true or false", |text| text.parse().ok()).unwrap_or(false),
    }
}

/// The networks in which a proxy is believed without being named: this machine and the private ones (RFC 1918, RFC 4193). What is
/// believed decides the addresses in the answer to that one request, and nothing else.
const USUAL_PROXIES: &str = "127.0.0.0/8, ::1, 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16, fc00::/7";

fn trusted_proxies(reader: &mut Reader, flag: bool) -> Vec<IpNet> {
    let named = reader.list("TRUSTED_PROXIES");
    let is_behind = reader.parsed("REVERSE_PROXY", "true or false", |text| text.parse().ok()).unwrap_or(false) || flag;
    if !is_behind {
        if !named.is_empty() {
            reader.problem("TRUSTED_PROXIES is set, but REVERSE_PROXY is not true: expected both".into());
        }
        return Vec::new();
    }
    let texts = if named.is_empty() { vec![USUAL_PROXIES.to_owned()] } else { named };
    let parts = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
    let networks: Option<Vec<IpNet>> = parts.map(network).collect();
    networks.unwrap_or_else(|| {
        let expected = "addresses and networks such as 192.0.2.1, 10.0.0.0/8";
        reader.problem(format!("TRUSTED_PROXIES (server.trusted_proxies): expected {expected}"));
        Vec::new()
    })
}

fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn log_format(reader: &mut Reader) -> LogFormat {
    let format = reader.parsed("LOG_FORMAT", "text or json", |text| match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    });
    format.unwrap_or_default()
}

fn patch_answer(reader: &mut Reader) -> PatchAnswer {
    let answer = reader.parsed("PATCH_ANSWER", "auto, resource or no_content", |text| match text {
        "auto" => Some(PatchAnswer::Auto),
        "resource" => Some(PatchAnswer::Resource),
        "no_content" => Some(PatchAnswer::NoContent),
        _ => None,
    });
    answer.unwrap_or_default()
}

fn host(text: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    text.bytes().all(allowed).then(|| text.to_owned())
}

fn public_url(text: &str) -> Option<String> {
    let url = url::Url::parse(text).ok()?;
    let is_base = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.query().is_none()
        && url.fragment().is_none()
        && url.username().is_empty()
        && url.password().is_none();
    is_base.then(|| url.as_str().trim_end_matches('/').to_owned())
}

fn switches(reader: &mut Reader) -> Switches {
    let event_mode = reader.parsed("EVENT_MODE", "notice or full", |text| match text {
        "notice" => Some(Mode::Notice),
        "full" => Some(Mode::Full),
        _ => None,
    });
    let known_members_only = reader.parsed("UNKNOWN_MEMBERS", "accept or reject", |text| match text {
        "accept" => Some(false),
        "reject" => Some(true),
        _ => None,
    });
    let expected = format!("lenient or strict, then any number of ,+name or ,-name of {}", Quirks::names());
    Switches {
        quirks: reader.parsed("QUIRKS", &expected, Quirks::parse).unwrap_or_default(),
        event_mode: event_mode.unwrap_or_default(),
        known_members_only: known_members_only.unwrap_or(false),
        issuer: reader.parsed("SET_ISSUER", "a URI, or a name without a colon", string_or_uri),
        audience: reader.parsed("SET_AUDIENCE", "a URI, or a name without a colon", string_or_uri),
    }
}

/// Who sends events, to whom and in which mode is read with the [switches](switches); where, with the [server](server).
fn delivery(reader: &mut Reader) -> delivery::Settings {
    let signing = signing::signing(reader);
    let retention = retention::retention(reader);
    delivery::Settings {
        algorithm: signing.algorithm,
        signing_secret: signing.secret,
        secrets_key: signing.secrets_key,
        retention,
        ..streams::usual(reader)
    }
}

/// What a claim such as `iss` may be (RFC 7519 §2 `StringOrURI`).
fn string_or_uri(text: &str) -> Option<String> {
    (!text.contains(':') || url::Url::parse(text).is_ok()).then(|| text.to_owned())
}

fn limits(reader: &mut Reader) -> Limits {
    let defaults = Limits::default();
    Limits {
        body_bytes: reader.whole("LIMIT_BODY_BYTES", 1).unwrap_or(defaults.body_bytes),
        body_read_ms: reader.whole("LIMIT_BODY_READ_MS", 1).unwrap_or(defaults.body_read_ms),
        request_ms: reader.whole("LIMIT_REQUEST_MS", 1).unwrap_or(defaults.request_ms),
        write_ms: reader.whole("LIMIT_WRITE_MS", 1).unwrap_or(defaults.write_ms),
        page_size: reader.whole("PAGE_SIZE", 1).unwrap_or(defaults.page_size),
        members_per_request: reader.whole("LIMIT_MEMBERS_PER_REQUEST", 1).unwrap_or(defaults.members_per_request),
        members_in_patch_answer: reader.whole("LIMIT_MEMBERS_IN_PATCH_ANSWER", 0).unwrap_or(defaults.members_in_patch_answer),
        scan_ms: reader.whole("LIMIT_SCAN_MS", 1).unwrap_or(defaults.scan_ms),
        scans: reader.whole("LIMIT_SCANS", 1).unwrap_or(defaults.scans),
        bulk_operations: reader.whole("LIMIT_BULK_OPERATIONS", 1).unwrap_or(defaults.bulk_operations),
        cursor_seconds: reader.whole("LIMIT_CURSOR_SECONDS", 1).unwrap_or(defaults.cursor_seconds),
        poll_wait_seconds: poll_wait(reader).unwrap_or(defaults.poll_wait_seconds),
    }
}

fn poll_wait(reader: &mut Reader) -> Option<u64> {
    let expected = format!("a whole number, from 1 to {}", limits::POLL_WAIT_SECONDS);
    reader.parsed("LIMIT_POLL_WAIT_SECONDS", &expected, |text| {
        text.parse().ok().filter(|seconds| (1..=limits::POLL_WAIT_SECONDS).contains(seconds))
    })
}
