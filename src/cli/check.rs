//! `carillon check`: the settings as `serve` would read them, what they lead to, and what is risky about them. Touches nothing.

use super::serve::{Arguments, CANNOT_START};
use crate::auth::Credential;
use crate::base::secret::Secret;
use crate::config::{Settings, Shown, Source};
use crate::delivery::{Authorization, Configured, Receiving};
use crate::event::Mode;
use crate::scim::schema::{Registry, ResourceType};
use crate::store::backends;
use crate::store::index::Indexes;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::process::ExitCode;

/// A key shorter than this is called weak, in characters.
const KEY_CHARACTERS: usize = 20;
/// A key of fewer different characters than this is called weak.
const KEY_DIFFERENT_CHARACTERS: usize = 8;
/// The settings that name a file with a secret.
const FILES_OF_SECRETS: [&str; 5] =
    ["API_KEY_FILE", "DATABASE_URL_FILE", "SECRETS_KEY_FILE", "SET_SIGNING_SECRET_FILE", "SET_PUSH_TOKEN_FILE"];

/// Shows everything; ends with 2 when `serve` would not start, with every problem listed.
pub(super) fn run(arguments: Arguments) -> ExitCode {
    let (flags, environment) = arguments.sources();
    match Settings::explained(&flags, environment) {
        Ok((settings, shown)) => {
            print!("{}", report(&settings, &shown));
            ExitCode::SUCCESS
        }
        Err(problems) => {
            eprintln!("Carillon cannot start:\n{problems}");
            ExitCode::from(CANNOT_START)
        }
    }
}

fn report(settings: &Settings, shown: &[Shown]) -> String {
    let registry = &settings.schemas.registry;
    let from = |name: &str| settings.schemas.files.get(name).map_or("built in", String::as_str);
    let sections = [
        ("Settings", shown.iter().map(setting).collect::<Vec<_>>()),
        ("Callers with names", settings.named_keys.iter().map(caller).collect()),
        ("Streams", settings.delivery.streams.iter().map(stream).collect()),
        ("Schemas", registry.schemas().iter().map(|schema| vec![schema.id.clone(), from(&schema.id).to_owned()]).collect()),
        ("Resource types", registry.types().iter().map(|kind| resource_type(kind, from(&kind.name))).collect()),
        ("Indexes", indexes(registry)),
    ];
    let mut text = String::new();
    for (title, rows) in sections.into_iter().filter(|(_, rows)| !rows.is_empty()) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{title}");
        text.push_str(&table(&rows));
        text.push('\n');
    }
    let warnings = warnings(settings, shown);
    text.push_str(if warnings.is_empty() { "No warnings\n" } else { "Warnings\n" });
    for warning in warnings {
        let _ = writeln!(text, "  {warning}");
    }
    text
}

fn caller(named: &Credential) -> Vec<String> {
    let user = if named.user_name.is_some() { "/Me is set, not shown" } else { "no /Me" };
    vec![named.principal.clone(), "(1 key, not shown)".into(), user.into(), named.scopes.to_string()]
}

/// A stream without its secret, and without what a receiver may have hidden in its URL.
fn stream(configured: &Configured) -> Vec<String> {
    let Configured { id, owner, definition, .. } = configured;
    let delivered = match &definition.receiving {
        Receiving::Poll => "polled".to_owned(),
        Receiving::Push { endpoint, authorization, lanes } => {
            let header = if matches!(authorization, Authorization::New(_)) { "with a header, not shown" } else { "no header" };
            format!("pushed to {endpoint:?} ({header}), {lanes} at a time")
        }
    };
    vec![id.to_string(), format!("of {owner}"), delivered]
}

fn setting(shown: &Shown) -> Vec<String> {
    vec![shown.variable.into(), shown.key.into(), shown.value.clone(), shown.source.to_string()]
}

fn resource_type(kind: &ResourceType, from: &str) -> Vec<String> {
    let extensions = kind.extensions.iter();
    let extension =
        extensions.map(|extension| format!("{}{}", extension.schema.id, if extension.required { " (required)" } else { "" }));
    let extensions: Vec<String> = extension.collect();
    let extensions = if extensions.is_empty() { "no extensions".into() } else { format!("extensions: {}", extensions.join(", ")) };
    vec![kind.name.clone(), kind.endpoint.clone(), kind.schema.id.clone(), extensions, from.into()]
}

fn indexes(registry: &Registry) -> Vec<Vec<String>> {
    let of = |kind: &ResourceType| {
        let indexes = Indexes::of(kind);
        let paths = indexes.paths().map(|(name, _, is_unique)| format!("{name}{}", if is_unique { " (unique)" } else { "" }));
        vec![kind.name.clone(), paths.collect::<Vec<_>>().join(", ")]
    };
    registry.types().iter().map(|kind| of(kind)).collect()
}

/// Rows in columns as wide as they must be.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "  {}", cells.join("  ").trim_end());
    }
    text
}

/// What works and may be regretted.
fn warnings(settings: &Settings, shown: &[Shown]) -> Vec<String> {
    let Settings { server, switches, store, .. } = settings;
    let keys: Vec<&str> =
        settings.api_keys.iter().chain(settings.named_keys.iter().map(|named| &named.key)).map(Secret::expose).collect();
    let source =
        |variable: &str| shown.iter().find(|shown| shown.variable == variable).map_or(Source::Default, |shown| shown.source);
    let mut warnings = Vec::new();
    if server.public_url.is_none() && server.trusted_proxies.is_empty() {
        warnings.push("PUBLIC_URL is not set: addresses in answers follow the Host header, which the client chooses".into());
    }
    if server.public_url.as_ref().is_some_and(|url| url.starts_with("http://")) {
        warnings.push("PUBLIC_URL is http: keys and personal data travel in clear unless a proxy with TLS is in front".into());
    }
    if !is_loopback(&server.host) {
        let host = &server.host;
        warnings.push(format!("HOST {host}: others can reach this server, which speaks no TLS; put a proxy with TLS in front"));
    }
    if server.trusted_proxies.iter().any(|network| network.prefix_len() == 0) {
        warnings.push("TRUSTED_PROXIES holds every address: any client can say what addresses in answers begin with".into());
    }
    if source("API_KEY") == Source::Flag("--bearer-token") {
        warnings.push("--bearer-token: others on this machine can see the key; use API_KEY_FILE".into());
    }
    let weak = keys.iter().filter(|key| is_weak(key)).count();
    if weak > 0 {
        warnings.push(format!(
            "API_KEY or [[auth.keys]]: {weak} of {} keys can be guessed: use {KEY_CHARACTERS} random characters or more",
            keys.len()
        ));
    }
    if settings.delivery.secrets_key.as_ref().is_some_and(|key| is_weak(key.expose())) {
        warnings.push(format!("SECRETS_KEY: it can be guessed: use {KEY_CHARACTERS} random characters or more"));
    }
    if settings.delivery.signing_secret.as_ref().is_some_and(|secret| is_weak(secret.expose())) {
        warnings.push("SET_SIGNING_SECRET: it can be guessed: use random characters".into());
    }
    warnings.extend(shown.iter().filter(|shown| FILES_OF_SECRETS.contains(&shown.variable)).filter_map(readable_by_others));
    let about_database = store.database_url.as_ref().and_then(|url| backends::examine(store.backend, url).ok());
    warnings.extend(about_database.into_iter().flatten().map(|warning| format!("DATABASE_URL: {warning}")));
    if store.backend == "memory" {
        warnings.push("STORE is memory: everything is gone when the server stops".into());
    }
    if switches.event_mode == Mode::Full {
        warnings.push("EVENT_MODE is full: events hold personal data, for everyone who may read the feed".into());
    }
    if server.public_url.is_none() && switches.issuer.is_none() {
        warnings.push(crate::delivery::UNNAMED.into());
    }
    if settings.dump_resources.is_some() {
        warnings.push("--dump-resources: the file holds personal data".into());
    }
    warnings
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn is_weak(key: &str) -> bool {
    let different: HashSet<char> = key.chars().collect();
    key.chars().count() < KEY_CHARACTERS || different.len() < KEY_DIFFERENT_CHARACTERS
}

fn readable_by_others(shown: &Shown) -> Option<String> {
    const OTHERS: u32 = 0o077;
    let mode = std::fs::metadata(&shown.value).ok()?.permissions().mode();
    (mode & OTHERS != 0)
        .then(|| format!("{}: others on this machine may read it (mode {:o}): use mode 600", shown.variable, mode & 0o777))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_hosts_are_judged() {
        assert!(is_weak("secret") && is_weak("aaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
        assert!(!is_weak("b7Qk2mXw9ZtR4vLs8PnD"));
        assert!(is_loopback("127.0.0.1") && is_loopback("::1") && is_loopback("LOCALHOST"));
        assert!(!is_loopback("0.0.0.0") && !is_loopback("scim.example.com"));
    }

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let row = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>();
        assert_eq!(table(&[row(&["a", "b"]), row(&["ccc", "", "d"])]), "  a    b\n  ccc     d\n");
    }
}
