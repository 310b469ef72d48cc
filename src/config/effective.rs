//! The settings as a person may see them: each with its value, secrets masked, and where the value comes from.

use super::reader::Reader;
use super::table::{SECRET, SETTINGS};
use super::{LogFormat, LogLevel, Settings};
use crate::base::secret::Secret;
use crate::delivery::stream::Format;
use crate::delivery::{Authorization, Endpoint, PUSH_STREAM, Receiving};
use crate::event::Mode;
use crate::http::PatchAnswer;
use std::fmt;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// A flag of the command line.
    Flag(&'static str),
    /// The variable.
    Environment,
    /// The file of settings.
    File,
    /// A file of its own, which this setting names.
    Named(&'static str),
    /// Nobody said anything.
    Default,
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Flag(name) | Self::Named(name) => name,
            Self::Environment => "environment",
            Self::File => "file",
            Self::Default => "default",
        })
    }
}

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its variable.
    pub variable: &'static str,
    /// Its key in the file.
    pub key: &'static str,
    /// Its value in force, safe to print.
    pub value: String,
    /// Where the value comes from.
    pub source: Source,
}

/// Every setting, in the order of the table.
pub(super) fn shown(settings: &Settings, reader: &Reader) -> Vec<Shown> {
    let one = |(variable, key): &(&'static str, &'static str)| {
        let source = reader.source(variable);
        let written = || match reader.raw(variable) {
            // The flags name them; what they name is listed with the schemas.
            None if *variable == "SCHEMA_PATH" => "(the files below)".into(),
            None if matches!(source, Source::Named(_)) => "(set, not shown)".into(),
            None => "(not set)".into(),
            Some(_) if SECRET.contains(variable) => "(set, not shown)".into(),
            Some(text) => text,
        };
        let value = value(settings, variable).unwrap_or_else(written);
        Shown { variable, key, value, source }
    };
    SETTINGS.iter().map(one).collect()
}

/// The value in force. Secrets are counted, never shown; `None` leaves it to what was written, if that is no secret.
fn value(settings: &Settings, variable: &str) -> Option<String> {
    let Settings { server, store, switches, limits, .. } = settings;
    let text = |value: &Option<String>, absent: &str| value.clone().unwrap_or_else(|| format!("({absent})"));
    Some(match variable {
        "HOST" => server.host.clone(),
        "PORT" => server.port.to_string(),
        "BASE_PATH" => format!("{}/", server.base_path),
        "PUBLIC_URL" => text(&server.public_url, "the request's Host"),
        "PAGE" => server.page.to_string(),
        "REVERSE_PROXY" => (!server.trusted_proxies.is_empty()).to_string(),
        "TRUSTED_PROXIES" if server.trusted_proxies.is_empty() => "(none)".into(),
        "TRUSTED_PROXIES" => server.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        "SHUTDOWN_DELAY_MS" => server.shutdown_delay_ms.to_string(),
        "METRICS_PUBLIC" => server.metrics_public.to_string(),
        "LOG_FORMAT" => if settings.log_format == LogFormat::Json { "json" } else { "text" }.into(),
        "LOGLEVEL" => log_level(settings.log_level).into(),
        "API_KEY" => match settings.api_keys.len() {
            0 if settings.named_keys.is_empty() => "(made on the first start)".into(),
            0 => "(none without a name)".into(),
            1 => "(1 key, not shown)".into(),
            count => format!("({count} keys, not shown)"),
        },
        "ME_USER_NAME" => if settings.me_user_name.is_some() { "(set, not shown)" } else { "(nobody)" }.into(),
        "PATCH_ANSWER" => match settings.patch_answer {
            PatchAnswer::Auto => "auto",
            PatchAnswer::Resource => "resource",
            PatchAnswer::NoContent => "no_content",
        }
        .into(),
        "QUIRKS" => switches.quirks.to_string(),
        "STORE" => store.backend.into(),
        "USER_MODEL_NAME" => store.views[0].clone(),
        "GROUP_MODEL_NAME" => store.views[1].clone(),
        "DATA_PATH" => store.data_path.display().to_string(),
        "UNKNOWN_MEMBERS" => if switches.known_members_only { "reject" } else { "accept" }.into(),
        "UNIQUE_GROUP_NAMES" => settings.unique_group_names.to_string(),
        "SCHEMA_PATH" if settings.schemas.files.is_empty() => "(built in)".into(),
        "EVENT_MODE" => if switches.event_mode == Mode::Full { "full" } else { "notice" }.into(),
        "SET_ISSUER" => text(&switches.issuer, "the public URL"),
        "SET_AUDIENCE" => text(&switches.audience, "the feed's URI"),
        "PAGE_SIZE" => limits.page_size.to_string(),
        "LIMIT_BODY_BYTES" => limits.body_bytes.to_string(),
        "LIMIT_BODY_READ_MS" => limits.body_read_ms.to_string(),
        "LIMIT_REQUEST_MS" => limits.request_ms.to_string(),
        "LIMIT_WRITE_MS" => limits.write_ms.to_string(),
        "LIMIT_MEMBERS_PER_REQUEST" => limits.members_per_request.to_string(),
        "LIMIT_MEMBERS_IN_PATCH_ANSWER" => limits.members_in_patch_answer.to_string(),
        "LIMIT_BULK_OPERATIONS" => limits.bulk_operations.to_string(),
        "LIMIT_POLL_WAIT_SECONDS" => limits.poll_wait_seconds.to_string(),
        "LIMIT_CURSOR_SECONDS" => limits.cursor_seconds.to_string(),
        "LIMIT_SCAN_MS" => limits.scan_ms.to_string(),
        "LIMIT_SCANS" => limits.scans.to_string(),
        _ => return of_delivery(settings, variable),
    })
}

/// The same, of delivery.
fn of_delivery(settings: &Settings, variable: &str) -> Option<String> {
    let delivery = &settings.delivery;
    Some(match variable {
        "SET_FORMAT" => if delivery.format == Format::Json { "json" } else { "jwt" }.into(),
        "SET_PUSH_REQUIRE_TLS" => match delivery.push_require_tls {
            Some(required) => required.to_string(),
            None => "(true, but for this machine)".into(),
        },
        "SET_PUSH_URL" => pushed(settings).map_or_else(|| "(nowhere)".into(), |(endpoint, _)| format!("{endpoint:?}")),
        "SET_PUSH_TOKEN" => match pushed(settings) {
            Some((_, Authorization::New(_))) => "(set, not shown)",
            _ => "(none)",
        }
        .into(),
        "SET_PUSH_ALLOW" if delivery.push_allow.is_empty() => "(none: public addresses alone)".into(),
        "SET_PUSH_ALLOW" => joined(&delivery.push_allow),
        "SET_PUSH_PORTS" if delivery.push_ports.is_empty() => "(443 and 8443 alone)".into(),
        "SET_PUSH_PORTS" => joined(&delivery.push_ports),
        "SET_PUSH_CA_FILE" if delivery.push_authorities.is_none() => "(the system's authorities alone)".into(),
        "SET_POLL_ENABLED" => (!delivery.poll_disabled).to_string(),
        "SECRETS_KEY" => secret(delivery.secrets_key.as_ref(), "none: secrets are kept as they are"),
        "SET_SIGNING_SECRET" => secret(delivery.signing_secret.as_ref(), "none: no HS256"),
        "SET_SIGNING_ALGORITHM" => delivery.algorithm.name().into(),
        "SET_POLL_MAX_EVENTS" => delivery.retention.events.to_string(),
        "EVENT_RETENTION" => super::retention::shown(delivery.retention.age_ms),
        _ => return None,
    })
}

fn secret(secret: Option<&Secret>, absent: &str) -> String {
    if secret.is_some() { "(set, not shown)".into() } else { format!("({absent})") }
}

fn joined<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The stream of `SET_PUSH_URL`. The endpoint shows nothing behind a question mark.
fn pushed(settings: &Settings) -> Option<(&Endpoint, &Authorization)> {
    let stream = settings.delivery.streams.iter().find(|stream| stream.id.as_str() == PUSH_STREAM)?;
    match &stream.definition.receiving {
        Receiving::Push { endpoint, authorization, .. } => Some((endpoint, authorization)),
        Receiving::Poll => None,
    }
}

fn log_level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "ERROR",
        LogLevel::Warn => "WARN",
        LogLevel::Info => "INFO",
        LogLevel::Debug => "DEBUG",
        LogLevel::Trace => "TRACE",
    }
}
