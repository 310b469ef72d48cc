//! F6: the settings: flags over environment over file over defaults, every problem named at once.
//!
//! A variable of the environment that is empty counts as not set. The file is `carillon.toml` in the working folder, or what
//! `--config` names; `table` says which key of it a variable is.

mod reader;
mod table;
#[cfg(test)]
mod tests;

use crate::base::limits::Limits;
use crate::base::secret::Secret;
use crate::engine::Switches;
use crate::event::Mode;
use reader::Reader;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

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
}

/// Every setting, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where to listen and how clients call this server.
    pub server: Server,
    /// Least severity that is logged.
    pub log_level: LogLevel,
    /// The static API keys; none means that one is made.
    pub api_keys: Vec<Secret>,
    /// What holds the resources.
    pub store: Store,
    /// What the engine is told.
    pub switches: Switches,
    /// Two groups may not share a `displayName`.
    pub unique_group_names: bool,
    /// How much and how long.
    pub limits: Limits,
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
}

/// What holds the resources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The backend's name in the table of backends.
    pub backend: &'static str,
    /// Its data folder.
    pub data_path: PathBuf,
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
        let environment: BTreeMap<String, String> = environment.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let mut reader = Reader::open(flags, &environment);
        let settings = Self {
            server: server(&mut reader),
            log_level: reader.parsed("LOGLEVEL", "one of ERROR, WARN, INFO, DEBUG, TRACE", LogLevel::of).unwrap_or(LogLevel::Info),
            api_keys: api_keys(&mut reader, &flags.bearer_tokens),
            store: store(&mut reader),
            switches: switches(&mut reader),
            unique_group_names: reader.parsed("UNIQUE_GROUP_NAMES", "true or false", |text| text.parse().ok()).unwrap_or(true),
            limits: limits(&mut reader),
        };
        let problems = reader.into_problems();
        if problems.is_empty() { Ok(settings) } else { Err(Problems(problems)) }
    }
}

fn server(reader: &mut Reader) -> Server {
    Server {
        host: reader.parsed("HOST", "a host name or an IP address", host).unwrap_or_else(|| "127.0.0.1".into()),
        port: reader.parsed("PORT", "a port number, 0 to 65535", |text| text.parse().ok()).unwrap_or(8000),
        base_path: reader.parsed("BASE_PATH", "a path such as /scim/v2", base_path).unwrap_or_default(),
        public_url: reader.parsed("PUBLIC_URL", "an http or https URL without user, query and fragment", public_url),
    }
}

fn host(text: &str) -> Option<String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b':');
    text.bytes().all(allowed).then(|| text.to_owned())
}

/// Without the slash at its end; unreserved characters alone, so that it stands in a URI as it is.
fn base_path(text: &str) -> Option<String> {
    let path = text.strip_suffix('/').unwrap_or(text);
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_' | b'~');
    let is_segment = |segment: &str| !segment.is_empty() && segment != "." && segment != ".." && segment.bytes().all(allowed);
    let is_path = path.is_empty() || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(is_segment));
    (text.starts_with('/') && is_path).then(|| path.to_owned())
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

/// Flags first, else the variable, else the file it names.
fn api_keys(reader: &mut Reader, flags: &[Secret]) -> Vec<Secret> {
    let named = reader.list("API_KEY");
    let in_file = reader.parsed("API_KEY_FILE", "a path", |text| Some(text.to_owned()));
    if !named.is_empty() && in_file.is_some() {
        reader.problem("API_KEY and API_KEY_FILE are both set: expected one of them".into());
    }
    let (source, keys) = if !flags.is_empty() {
        ("--bearer-token", flags.to_vec())
    } else if let Some(path) = in_file {
        let read = std::fs::read_to_string(&path);
        let read = read.inspect_err(|error| reader.problem(format!("API_KEY_FILE: expected a file that can be read: {error}")));
        ("API_KEY_FILE", read.map(|text| vec![Secret::new(text.trim())]).unwrap_or_default())
    } else {
        ("API_KEY", named.into_iter().map(Secret::new).collect())
    };
    let is_header_safe = |key: &Secret| !key.expose().is_empty() && key.expose().bytes().all(|byte| byte.is_ascii_graphic());
    if !keys.iter().all(is_header_safe) {
        reader.problem(format!("{source}: expected a key of printable ASCII characters without spaces"));
    }
    keys
}

fn store(reader: &mut Reader) -> Store {
    let data_path = reader.parsed("DATA_PATH", "a path", |text| Some(PathBuf::from(text)));
    let backend = reader.parsed("STORE", "sqlite or memory (no other store is built yet)", |text| match text {
        "sqlite" => Some("sqlite"),
        "memory" => Some("memory"),
        _ => None,
    });
    let database = reader.parsed("DATABASE_URL", "sqlite:<folder>/carillon.db (no other database is built yet)", database_folder);
    if database.is_some() && backend == Some("memory") {
        reader.problem("DATABASE_URL names a database, but STORE is memory: expected one of them".into());
    }
    if database.is_some() && data_path.is_some() {
        reader.problem("DATABASE_URL and DATA_PATH both say where the data is: expected one of them".into());
    }
    Store { backend: backend.unwrap_or("sqlite"), data_path: database.or(data_path).unwrap_or_else(|| "./data".into()) }
}

/// The folder of `sqlite:data/carillon.db`, `sqlite:///var/lib/carillon/carillon.db`. The file's name is the store's to choose, so
/// no other is taken.
fn database_folder(text: &str) -> Option<PathBuf> {
    let path = text.strip_prefix("sqlite:")?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = PathBuf::from(path);
    if path.file_name()? != "carillon.db" {
        return None;
    }
    let folder = path.parent()?;
    Some(if folder.as_os_str().is_empty() { ".".into() } else { folder.to_owned() })
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
    Switches {
        event_mode: event_mode.unwrap_or_default(),
        known_members_only: known_members_only.unwrap_or(false),
        issuer: reader.parsed("SET_ISSUER", "a URI, or a name without a colon", string_or_uri),
        audience: reader.parsed("SET_AUDIENCE", "a URI, or a name without a colon", string_or_uri),
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
        page_size: reader.whole("PAGE_SIZE", 1).unwrap_or(defaults.page_size),
        members_per_request: reader.whole("LIMIT_MEMBERS_PER_REQUEST", 1).unwrap_or(defaults.members_per_request),
        members_in_patch_answer: reader.whole("LIMIT_MEMBERS_IN_PATCH_ANSWER", 0).unwrap_or(defaults.members_in_patch_answer),
        scan_ms: reader.whole("LIMIT_SCAN_MS", 1).unwrap_or(defaults.scan_ms),
        scans: reader.whole("LIMIT_SCANS", 1).unwrap_or(defaults.scans),
    }
}
