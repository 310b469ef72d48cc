//! What a stream is to be, as its receiver or the operator says it: read from JSON, and checked as a whole.

use crate::base::limits;
use crate::base::secret::Secret;
use crate::delivery::stream::{Algorithm, Format, Origin};
use crate::delivery::{DEFAULT_FEED, Settings, push};
use crate::event::Mode;
use crate::event::policy::AttributePolicy;
use crate::scim::Object;
use crate::scim::path::{Target, resolve_target, shorten};
use crate::scim::schema::{Registry, ResourceType};
use crate::scim::uri::is_reference;
use serde_json::Value;
use std::fmt;
use std::sync::Arc;
use url::Url;

/// `delivery.method` of streams that are pushed (SSF §6.1.1).
pub(super) const PUSH: &str = "urn:ietf:rfc:8935";
/// `delivery.method` of streams that are polled (SSF §6.1.2).
pub(super) const POLL: &str = "urn:ietf:rfc:8936";

/// The members that say what a stream is to be (SSF §8.1.1 "receiver-supplied", and ours).
pub(super) const SUPPLIED: [&str; 10] =
    ["description", "events_requested", "delivery", "feeds", "resource_types", "mode", "attributes", "format", "alg", "lanes"];

/// What is wrong with a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The member, such as `delivery.endpoint_url`.
    pub member: String,
    /// What it should have been.
    pub expected: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: expected {}", self.member, self.expected)
    }
}

/// What a stream is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// For people.
    pub description: Option<String>,
    /// At least one.
    pub feeds: Vec<String>,
    /// As they were asked for, unknown ones too (SSF-8.1.1-02).
    pub events_requested: Option<Vec<String>>,
    /// Their names, as the registry spells them.
    pub resource_types: Option<Vec<String>>,
    /// `None` is as the installation says.
    pub mode: Option<Mode>,
    /// Paths as the registry spells them.
    pub attributes: AttributePolicy,
    /// `None` is as the installation says.
    pub format: Option<Format>,
    /// `None` is as the installation says.
    pub algorithm: Option<Algorithm>,
    /// How it is delivered.
    pub receiving: Receiving,
}

/// How a stream is to be delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Receiving {
    /// To a URL.
    Push {
        /// Where to.
        endpoint: Endpoint,
        /// The `Authorization` header.
        authorization: Authorization,
        /// How many at a time.
        lanes: u8,
    },
    /// When it is polled.
    Poll,
}

/// A receiver's URL. Its `Debug` shows nothing behind a question mark.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(pub String);

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0.split(['?', '#']).next().unwrap_or_default())
    }
}

impl Endpoint {
    /// Scheme, host and port: what a secret of this endpoint may be sent to.
    pub(super) fn origin(&self) -> Option<url::Origin> {
        Url::parse(&self.0).ok().map(|url| url.origin())
    }
}

/// What is said of an `Authorization` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// Nothing.
    Unsaid,
    /// There is to be none.
    Removed,
    /// It is to be this.
    New(Secret),
}

/// What definitions are checked against.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The types and attributes there are.
    pub registry: &'a Registry,
    /// What the operator decided.
    pub settings: &'a Settings,
    /// Who says it: what is made by request may not name every address.
    pub origin: Origin,
    /// Where a polled stream is polled, which a request may repeat.
    pub poll_url: Option<&'a str>,
}

impl Rules<'_> {
    /// Reads the [members](SUPPLIED) of a stream; what is missing or null gets its default. Returns everything that is wrong.
    pub fn read(&self, object: &Object) -> Result<Definition, Vec<Fault>> {
        let mut reader = Reader { object, faults: Vec::new() };
        reader.refuse_unknown("", object, &SUPPLIED);
        let definition = self.definition(&mut reader);
        let faults = reader.faults;
        match definition {
            Some(definition) if faults.is_empty() => Ok(definition),
            _ => Err(faults),
        }
    }

    fn definition(&self, reader: &mut Reader<'_>) -> Option<Definition> {
        let description = reader.text("description", limits::STREAM_DESCRIPTION_CHARACTERS);
        let feeds = Self::feeds(reader);
        let events_requested = reader.texts("events_requested", limits::STREAM_EVENTS, limits::STREAM_EVENT_CHARACTERS);
        let resource_types = self.resource_types(reader);
        let mode = reader.choice("mode", &[("notice", Mode::Notice), ("full", Mode::Full)]);
        let attributes = self.attributes(reader, resource_types.as_deref());
        let format = reader.choice("format", &[("jwt", Format::Jwt), ("json", Format::Json)]);
        let algorithm = self.algorithm(reader);
        let receiving = self.receiving(reader);
        Some(Definition {
            description,
            feeds,
            events_requested,
            resource_types,
            mode,
            attributes,
            format,
            algorithm,
            receiving: receiving?,
        })
    }

    fn feeds(reader: &mut Reader<'_>) -> Vec<String> {
        let Some(feeds) = reader.texts("feeds", limits::STREAM_FEEDS, limits::STREAM_TEXT_CHARACTERS) else {
            return vec![DEFAULT_FEED.to_owned()];
        };
        if feeds.is_empty() || !feeds.iter().all(|feed| feed_exists(feed)) {
            reader.fault("feeds", format!("feeds that there are, at least one: there is {DEFAULT_FEED}"));
        }
        feeds
    }

    fn resource_types(&self, reader: &mut Reader<'_>) -> Option<Vec<String>> {
        let names = reader.texts("resource_types", limits::RESOURCE_TYPES, limits::STREAM_TEXT_CHARACTERS)?;
        let known: Option<Vec<String>> =
            names.iter().map(|name| self.registry.by_name(name).map(|kind| kind.name.clone())).collect();
        match known {
            Some(known) if !known.is_empty() => Some(known),
            _ => {
                let served: Vec<&str> = self.registry.types().iter().map(|kind| kind.name.as_str()).collect();
                reader.fault("resource_types", format!("at least one of {}", served.join(", ")));
                None
            }
        }
    }

    fn attributes(&self, reader: &mut Reader<'_>, types: Option<&[String]>) -> AttributePolicy {
        let Some(Value::Object(lists)) = reader.present("attributes") else {
            if reader.present("attributes").is_some() {
                reader.fault("attributes", "an object of allow and deny".into());
            }
            return AttributePolicy::default();
        };
        reader.refuse_unknown("attributes.", lists, &["allow", "deny"]);
        let mut of = |member: &str, name: &str| -> Option<Vec<String>> {
            let mut within = Reader { object: lists, faults: Vec::new() };
            let paths = within.texts(name, limits::STREAM_ATTRIBUTES, limits::PATH_BYTES);
            if !within.faults.is_empty() {
                reader.fault(member, format!("a list of at most {} attribute paths", limits::STREAM_ATTRIBUTES));
            }
            paths?.iter().map(|path| self.path(reader, member, path, types)).collect()
        };
        AttributePolicy { allow: of("attributes.allow", "allow"), deny: of("attributes.deny", "deny").unwrap_or_default() }
    }

    /// A path as the first type spells it that knows it.
    fn path(&self, reader: &mut Reader<'_>, member: &str, path: &str, types: Option<&[String]>) -> Option<String> {
        let is_meant = |kind: &&Arc<ResourceType>| types.is_none_or(|names| names.contains(&kind.name));
        let found = self.registry.types().iter().filter(is_meant).find_map(|kind| match resolve_target(kind, path) {
            Ok(Target::Attribute(path)) => Some(path.to_string()),
            Ok(Target::Extension(schema)) => Some(schema.id.clone()),
            Ok(Target::Core) | Err(_) => None,
        });
        if found.is_none() {
            reader.fault(member, format!("paths of attributes and extensions that are served, not '{}'", shorten(path)));
        }
        found
    }

    fn algorithm(&self, reader: &mut Reader<'_>) -> Option<Algorithm> {
        let names: Vec<(&str, Algorithm)> = self.settings.algorithms().map(|algorithm| (algorithm.name(), algorithm)).collect();
        reader.choice("alg", &names)
    }

    fn receiving(&self, reader: &mut Reader<'_>) -> Option<Receiving> {
        let lanes = reader.present("lanes");
        let is_poll = |reader: &mut Reader<'_>| {
            if lanes.is_some() {
                reader.fault("lanes", "nothing: it is of streams that are pushed".into());
            }
            if self.settings.poll_disabled {
                reader.fault("delivery", format!("method {PUSH}: polling is switched off here"));
            }
            Some(Receiving::Poll)
        };
        let delivery = match reader.present("delivery") {
            // SSF-8.1.1.1-02
            None => return is_poll(reader),
            Some(Value::Object(delivery)) => delivery,
            Some(_) => {
                reader.fault("delivery", "an object of method, endpoint_url and authorization_header".into());
                return None;
            }
        };
        reader.refuse_unknown("delivery.", delivery, &["method", "endpoint_url", "authorization_header"]);
        match delivery.get("method").and_then(Value::as_str) {
            Some(POLL) => {
                let url = delivery.get("endpoint_url").filter(|url| !url.is_null());
                if url.is_some_and(|url| url.as_str().is_none_or(|url| Some(url) != self.poll_url)) {
                    reader.fault("delivery.endpoint_url", "nothing: the server says where a stream is polled".into());
                }
                if delivery.get("authorization_header").is_some_and(|header| !header.is_null()) {
                    reader.fault("delivery.authorization_header", "nothing: it is of streams that are pushed".into());
                }
                is_poll(reader)
            }
            Some(PUSH) => {
                let endpoint = self.endpoint(reader, delivery);
                let authorization = authorization(reader, delivery);
                Some(Receiving::Push { endpoint: endpoint?, authorization: authorization?, lanes: push_lanes(reader, lanes)? })
            }
            _ => {
                reader.fault("delivery.method", format!("{PUSH} or {POLL}"));
                None
            }
        }
    }

    fn endpoint(&self, reader: &mut Reader<'_>, delivery: &Object) -> Option<Endpoint> {
        let text = delivery.get("endpoint_url").and_then(Value::as_str).unwrap_or_default();
        let most = limits::ENDPOINT_BYTES;
        let refused = match push::Endpoint::check(text, self.origin, &self.settings.push()) {
            Ok(_) if text.len() <= most && is_reference(text) => None,
            Ok(_) => Some(format!("of at most {most} bytes")),
            Err(refusal) => Some(refusal.to_string()),
        };
        if let Some(refused) = refused {
            reader.fault("delivery.endpoint_url", format!("the URL of a receiver: {refused}"));
            return None;
        }
        Some(Endpoint(text.to_owned()))
    }
}

/// Whether there is a feed of this id.
pub(in crate::delivery) fn feed_exists(feed: &str) -> bool {
    feed == DEFAULT_FEED
}

fn authorization(reader: &mut Reader<'_>, delivery: &Object) -> Option<Authorization> {
    match delivery.get("authorization_header") {
        None => Some(Authorization::Unsaid),
        Some(Value::Null) => Some(Authorization::Removed),
        Some(Value::String(header)) if is_header(header) => Some(Authorization::New(Secret::new(header))),
        Some(_) => {
            let most = limits::AUTHORIZATION_BYTES;
            let expected = format!("the value of an Authorization header: printable ASCII, at most {most} bytes");
            reader.fault("delivery.authorization_header", expected);
            None
        }
    }
}

fn is_header(text: &str) -> bool {
    let is_printable = text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    (1..=limits::AUTHORIZATION_BYTES).contains(&text.len()) && is_printable && text.trim() == text
}

fn push_lanes(reader: &mut Reader<'_>, lanes: Option<&Value>) -> Option<u8> {
    let Some(lanes) = lanes else { return Some(limits::STREAM_LANES_DEFAULT) };
    // JSON has one kind of number, which `2.0` is of too.
    let lanes = (1..=limits::STREAM_LANES).find(|count| lanes.as_f64() == Some(f64::from(*count)));
    if lanes.is_none() {
        reader.fault("lanes", format!("a whole number from 1 to {}", limits::STREAM_LANES));
    }
    lanes
}

/// The `aud` of a stream: a text, or several (RFC 7519 §4.1.3).
pub fn audience(value: &Value) -> Result<Vec<String>, Fault> {
    // What has a colon is a URI (RFC 7519 §2 `StringOrURI`).
    let is_name_or_uri = |text: &str| !text.contains(':') || is_reference(text) && Url::parse(text).is_ok();
    let is_one = |text: &String| (1..=limits::AUDIENCE_CHARACTERS).contains(&text.chars().count()) && is_name_or_uri(text);
    let texts = match value {
        Value::String(text) => Some(vec![text.clone()]),
        Value::Array(values) => values.iter().map(|value| value.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    let texts = texts.filter(|texts| (1..=limits::AUDIENCES).contains(&texts.len()) && texts.iter().all(is_one));
    texts.ok_or_else(|| Fault {
        member: "aud".into(),
        expected: format!("a URI or a name without a colon, or a list of at most {} of them", limits::AUDIENCES),
    })
}

/// Takes members from an object, and remembers what is wrong with them.
struct Reader<'a> {
    object: &'a Object,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    fn fault(&mut self, member: &str, expected: String) {
        self.faults.push(Fault { member: member.to_owned(), expected });
    }

    fn refuse_unknown(&mut self, prefix: &str, object: &Object, known: &[&str]) {
        for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
            self.fault(&format!("{prefix}{}", shorten(name)), "nothing: a stream has no such member".into());
        }
    }

    /// A member that is there, and not null.
    fn present(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    fn text(&mut self, name: &str, longest: usize) -> Option<String> {
        match self.present(name)? {
            Value::String(text) if text.chars().count() <= longest => Some(text.clone()),
            _ => {
                self.fault(name, format!("a text of at most {longest} characters"));
                None
            }
        }
    }

    /// A list of texts, each of them once.
    fn texts(&mut self, name: &str, most: usize, longest: usize) -> Option<Vec<String>> {
        let texts: Option<Vec<String>> = match self.present(name)? {
            Value::Array(values) if values.len() <= most => values.iter().map(|value| value.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        let is_one = |text: &String| (1..=longest).contains(&text.chars().count());
        let Some(texts) = texts.filter(|texts| texts.iter().all(is_one)) else {
            self.fault(name, format!("a list of at most {most} texts of 1 to {longest} characters"));
            return None;
        };
        let mut once: Vec<String> = Vec::new();
        for text in texts {
            if !once.contains(&text) {
                once.push(text);
            }
        }
        Some(once)
    }

    fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        let value = self.present(name)?;
        let chosen = value.as_str().and_then(|text| choices.iter().find(|(known, _)| *known == text));
        if chosen.is_none() {
            let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
            self.fault(name, format!("one of {}", names.join(", ")));
        }
        chosen.map(|(_, chosen)| *chosen)
    }
}

#[cfg(test)]
mod tests;
