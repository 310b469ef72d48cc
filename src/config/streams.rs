//! The streams of the configuration: the tables `[[events.streams]]` of the file, and the one of `SET_PUSH_URL`.

use super::keys::{read_file, secret};
use super::reader::Reader;
use super::{Settings, network};
use crate::auth::API_KEY_PRINCIPAL;
use crate::base::clock::Timestamp;
use crate::base::id::StreamId;
use crate::base::secret::Secret;
use crate::delivery::stream::{Format, Origin};
use crate::delivery::{self, Configured, Fault, PUSH_STREAM, Rules, Start, audience};
use crate::event::claims::is_jti;
use crate::scim::path::shorten;
use ipnet::IpNet;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

const PUSH: &str = "urn:ietf:rfc:8935";
const POLL: &str = "urn:ietf:rfc:8936";

/// The keys of a table.
const KEYS: [&str; 18] = [
    "name",
    "description",
    "owner",
    "feeds",
    "events",
    "resource_types",
    "mode",
    "allow",
    "deny",
    "audience",
    "format",
    "alg",
    "push",
    "authorization",
    "authorization_file",
    "lanes",
    "poll",
    "start",
];

/// What a member of a stream is called in a table, where that differs.
const NAMES: [(&str, &str); 8] = [
    ("events_requested", "events"),
    ("aud", "audience"),
    ("attributes.allow", "allow"),
    ("attributes.deny", "deny"),
    ("delivery.endpoint_url", "push"),
    ("delivery.authorization_header", "authorization"),
    ("delivery.method", "push"),
    ("delivery", "poll"),
];

/// How streams are delivered that say nothing of it.
pub(super) fn usual(reader: &mut Reader) -> delivery::Settings {
    let is_true = |text: &str| text.parse::<bool>().ok();
    delivery::Settings {
        format: reader
            .parsed("SET_FORMAT", "jwt or json", |text| match text {
                "jwt" => Some(Format::Jwt),
                "json" => Some(Format::Json),
                _ => None,
            })
            .unwrap_or_default(),
        push_require_tls: reader.parsed("SET_PUSH_REQUIRE_TLS", "true or false", is_true),
        push_allow: networks(reader),
        push_ports: ports(reader),
        push_authorities: authorities(reader),
        poll_disabled: !reader.parsed("SET_POLL_ENABLED", "true or false", is_true).unwrap_or(true),
        ..delivery::Settings::default()
    }
}

/// Networks that streams made by request may be pushed to although they are not public.
fn networks(reader: &mut Reader) -> Vec<IpNet> {
    let texts = reader.list("SET_PUSH_ALLOW");
    let parts = texts.iter().flat_map(|text| text.split(',')).map(str::trim);
    let networks: Option<Vec<IpNet>> = parts.map(network).collect();
    networks.unwrap_or_else(|| {
        reader.problem("SET_PUSH_ALLOW (events.push_allow): expected addresses and networks such as 192.0.2.1, 10.0.0.0/8".into());
        Vec::new()
    })
}

/// Ports that they may be pushed to beside the usual ones.
fn ports(reader: &mut Reader) -> Vec<u16> {
    let listed = reader.list("SET_PUSH_PORTS");
    let listed = listed.iter().flat_map(|text| text.split(','));
    let ports: Option<Vec<u16>> = listed.map(|port| port.trim().parse().ok().filter(|port| *port > 0)).collect();
    ports.unwrap_or_else(|| {
        reader.problem("SET_PUSH_PORTS (events.push_ports): expected port numbers such as 9443, 10443".into());
        Vec::new()
    })
}

/// Certificate authorities beside the system's.
fn authorities(reader: &mut Reader) -> Option<Vec<u8>> {
    let path = reader.parsed("SET_PUSH_CA_FILE", "a path", |text| Some(text.to_owned()))?;
    let read = std::fs::read(&path).map_err(|error| format!("expected a file that can be read: {error}"));
    let read = read.and_then(|pem| match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(certificates) if !certificates.is_empty() => Ok(pem),
        _ => Err("expected certificates in PEM".into()),
    });
    read.map_err(|problem| reader.problem(format!("SET_PUSH_CA_FILE (events.push_ca_file): {problem}"))).ok()
}

/// The streams. The registry and the keys have been read.
pub(super) fn streams(reader: &mut Reader, settings: &Settings) -> Vec<Configured> {
    let mut streams: Vec<Configured> = pushed(reader, settings).into_iter().collect();
    let tables = match reader.value("events.streams") {
        None => Vec::new(),
        Some(Value::Array(tables)) => tables,
        Some(_) => {
            reader.problem("events.streams: expected tables, [[events.streams]]".into());
            Vec::new()
        }
    };
    for (number, table) in (1..).zip(tables) {
        let at = format!("events.streams ({number})");
        match table {
            Value::Object(table) => streams.extend(one(reader, settings, &at, &table)),
            _ => reader.problem(format!("{at}: expected a table")),
        }
    }
    let mut names = BTreeSet::new();
    for twice in streams.iter().filter(|stream| !names.insert(&stream.id)) {
        reader.problem(format!("events.streams: the name {} stands there twice (SET_PUSH_URL makes {PUSH_STREAM})", twice.id));
    }
    streams
}

/// The stream of `SET_PUSH_URL`.
fn pushed(reader: &mut Reader, settings: &Settings) -> Option<Configured> {
    let url = reader.parsed("SET_PUSH_URL", "a URL", |text| Some(text.to_owned()));
    let token = secret(reader, "SET_PUSH_TOKEN");
    let Some(url) = url else {
        if token.is_some() {
            reader.problem("SET_PUSH_TOKEN is set, but SET_PUSH_URL is not: expected both".into());
        }
        return None;
    };
    let header = token.map(|token| format!("Bearer {}", token.expose()));
    let object = json!({"delivery": {"method": PUSH, "endpoint_url": url, "authorization_header": header}});
    let rules =
        Rules { registry: &settings.schemas.registry, settings: &settings.delivery, origin: Origin::Configuration, poll_url: None };
    let read = rules.read(object.as_object()?);
    let definition = read.map_err(|faults| {
        for Fault { member, expected } in faults {
            let variable = if member == "delivery.endpoint_url" {
                "SET_PUSH_URL (events.push_url)"
            } else {
                "SET_PUSH_TOKEN (events.push_token)"
            };
            reader.problem(format!("{variable}: expected {expected}"));
        }
    });
    let id = StreamId::parse(PUSH_STREAM)?;
    let owner = API_KEY_PRINCIPAL.to_owned();
    Some(Configured { id, owner, audience: Vec::new(), start: Start::Now, definition: definition.ok()? })
}

/// One table.
fn one(reader: &mut Reader, settings: &Settings, at: &str, table: &Map<String, Value>) -> Option<Configured> {
    for unknown in table.keys().filter(|name| !KEYS.contains(&name.as_str())) {
        reader.problem(format!("{at}: {} is not a setting", shorten(unknown)));
    }
    let id = name(reader, at, table);
    let owner = owner(reader, settings, at, table);
    let start = start(reader, at, table);
    let rules =
        Rules { registry: &settings.schemas.registry, settings: &settings.delivery, origin: Origin::Configuration, poll_url: None };
    let mut faults = Vec::new();
    let delivery = delivery_of(reader, at, table);
    let definition =
        delivery.and_then(|delivery| rules.read(&supplied(table, delivery)).map_err(|found| faults.extend(found)).ok());
    let audience = table.get("audience").map_or(Ok(Vec::new()), audience).map_err(|fault| faults.push(fault));
    for Fault { member, expected } in faults {
        let key = NAMES.iter().find(|(name, _)| *name == member).map_or(member.as_str(), |(_, key)| key);
        reader.problem(format!("{at}: {key}: expected {expected}"));
    }
    Some(Configured { id: id?, owner: owner?, audience: audience.ok()?, start: start?, definition: definition? })
}

fn name(reader: &mut Reader, at: &str, table: &Map<String, Value>) -> Option<StreamId> {
    const MOST: usize = 64;
    // Names that streams get by themselves.
    let is_free = |name: &&str| name.len() <= MOST && !name.starts_with("feed-") && uuid::Uuid::try_parse(name).is_err();
    let id = table.get("name").and_then(Value::as_str).filter(is_free).and_then(StreamId::parse);
    if id.is_none() {
        let expected =
            format!("letters, digits, '.', '_', '~' and '-', at most {MOST} of them, no UUID, and not 'feed-' before them");
        reader.problem(format!("{at}: name: expected {expected}"));
    }
    id
}

/// Who may poll it, and see it.
fn owner(reader: &mut Reader, settings: &Settings, at: &str, table: &Map<String, Value>) -> Option<String> {
    let owner = table.get("owner").map_or(Some(API_KEY_PRINCIPAL), Value::as_str);
    let is_known = |name: &&str| *name == API_KEY_PRINCIPAL || settings.named_keys.iter().any(|key| key.principal == *name);
    let owner = owner.filter(is_known);
    if owner.is_none() {
        reader.problem(format!("{at}: owner: expected the name of one of [[auth.keys]], or '{API_KEY_PRINCIPAL}'"));
    }
    owner.map(str::to_owned)
}

/// `now`, a time, or the `jti` of an event.
fn start(reader: &mut Reader, at: &str, table: &Map<String, Value>) -> Option<Start> {
    match table.get("start") {
        None => Some(Start::Now),
        Some(Value::String(text)) if text == "now" => Some(Start::Now),
        Some(Value::String(text)) if text.contains('T') => Timestamp::parse(text).map(Start::Since),
        Some(Value::String(text)) if is_jti(text) => Some(Start::After(text.clone())),
        Some(_) => None,
    }
    .or_else(|| {
        reader.problem(format!("{at}: start: expected now, a time such as 2026-01-01T00:00:00Z, or the jti of an event"));
        None
    })
}

/// `delivery` as a request would have it. An endpoint without a header says that there is to be none.
fn delivery_of(reader: &mut Reader, at: &str, table: &Map<String, Value>) -> Option<Value> {
    let is_polled = match table.get("poll") {
        None => false,
        Some(Value::Bool(is_polled)) => *is_polled,
        Some(_) => {
            reader.problem(format!("{at}: poll: expected true or false"));
            return None;
        }
    };
    let header = header(reader, at, table);
    match (table.get("push"), is_polled) {
        (Some(url), false) => {
            let header = header.map(|header| header.expose().to_owned());
            Some(json!({"method": PUSH, "endpoint_url": url, "authorization_header": header}))
        }
        (None, true) if header.is_none() => Some(json!({"method": POLL})),
        (None, true) => {
            reader.problem(format!("{at}: authorization: expected only beside push"));
            None
        }
        _ => {
            reader.problem(format!("{at}: expected one of push, a URL, and poll = true"));
            None
        }
    }
}

/// The `Authorization` header, if there is to be one. What is wrong with it is a problem.
fn header(reader: &mut Reader, at: &str, table: &Map<String, Value>) -> Option<Secret> {
    match (table.get("authorization"), table.get("authorization_file")) {
        (None, None) => None,
        (Some(Value::String(header)), None) => Some(Secret::new(header)),
        (None, Some(Value::String(path))) => read_file(reader, &format!("{at}: authorization_file"), path),
        _ => {
            reader.problem(format!("{at}: expected at most one of authorization and authorization_file, a text"));
            None
        }
    }
}

/// The members as a request would have them.
fn supplied(table: &Map<String, Value>, delivery: Value) -> Map<String, Value> {
    let mut members = Map::from_iter([("delivery".to_owned(), delivery)]);
    let mut set = |name: &str, key: &str| {
        if let Some(value) = table.get(key) {
            members.insert(name.to_owned(), value.clone());
        }
    };
    for name in ["description", "feeds", "resource_types", "mode", "format", "alg", "lanes"] {
        set(name, name);
    }
    set("events_requested", "events");
    let lists = ["allow", "deny"].map(|name| table.get(name).map(|paths| (name.to_owned(), paths.clone())));
    let lists: Map<String, Value> = lists.into_iter().flatten().collect();
    if !lists.is_empty() {
        members.insert("attributes".into(), lists.into());
    }
    members
}

#[cfg(test)]
mod tests;
