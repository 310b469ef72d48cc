//! What a caller does with its streams (SSF §8.1): list, make, change, remove; their status; their verification.

use super::change::Changed;
use super::definition::{Authorization, Definition, Fault, Receiving, Rules, SUPPLIED, audience};
use super::letters::members;
use super::start::Start;
use super::view::{poll_url, supplied};
use crate::auth::{Caller, Scope, is_principal};
use crate::base::id::{EventId, StreamId};
use crate::base::limits;
use crate::delivery::Delivery;
use crate::delivery::stream::{Method, Origin, Push, Status, Stream, Verification};
use crate::scim::Object;
use crate::scim::error::{Error, ErrorKind, Result};
use crate::scim::path::shorten;
use crate::store::ledger::{PlaceSet, Resolution};
use serde_json::{Value, json};
use std::sync::Arc;

/// What the server says of a stream: a request may repeat it, and not change it (SSF-8.1.1.3-02).
const SAID_BY_US: [&str; 11] =
    ["stream_id", "iss", "aud", "events_supported", "events_delivered", "status", "reason", "gap", "owner", "origin", "verified"];

impl Delivery {
    /// The streams that a caller may see, by id: its own, and for an administrator every one.
    pub fn streams_of(&self, caller: &Caller) -> Vec<Arc<Stream>> {
        self.streams.watch().borrow().values().filter(|stream| sees(caller, stream)).cloned().collect()
    }

    /// One of them. 404 for those of others as for none.
    pub fn stream_of(&self, caller: &Caller, id: &str) -> Result<Arc<Stream>> {
        let none = || Error::new(ErrorKind::NotFound, format!("Stream {} not found.", shorten(id)));
        let stream = StreamId::parse(id).and_then(|id| self.streams.get(&id));
        stream.filter(|stream| sees(caller, stream)).ok_or_else(none)
    }

    fn rules<'a>(&'a self, poll_url: Option<&'a str>) -> Rules<'a> {
        Rules { registry: self.renderer.registry(), settings: &self.settings, origin: Origin::Request, poll_url }
    }

    /// Makes a stream (SSF-8.1.1.1-01). Beside its definition the body may hold `aud`, `start`, and, from an administrator, `owner`.
    pub async fn create_stream(&self, caller: &Caller, body: &Value) -> Result<Arc<Stream>> {
        let mut object = object_of(body)?.clone();
        let taken = ["aud", "start", "owner"].map(|name| object.remove(name).filter(|value| !value.is_null()));
        let [aud, start, owner] = &taken;
        let definition = self.rules(None).read(&object).map_err(|faults| first(&faults))?;
        let audience = aud.as_ref().map_or(Ok(Vec::new()), audience).map_err(|fault| first(&[fault]))?;
        let start = start.as_ref().map_or(Ok(Start::Now), Start::read).map_err(|fault| first(&[fault]))?;
        let owner = owner_of(caller, owner.as_ref())?;
        // One at a time, so that they are counted right.
        let _turn = self.streams.making.lock().await;
        let made = self.streams.watch().borrow().values().filter(|stream| stream.origin == Origin::Request).count();
        if made >= limits::STREAMS {
            let detail = format!("There are {made} streams, as many as may be: delete one first.");
            return Err(Error::new(ErrorKind::Conflict, detail));
        }
        let place = self.place_of_start(caller.tenant, &start, &self.streams_of(caller)).await?;
        let blank = self.blank(self.ids.next().into(), owner, Origin::Request, place);
        let mut stream = Stream { tenant: caller.tenant.0, audience, ..blank };
        self.define(&mut stream, &definition)?;
        // It had no other endpoint before.
        stream.verification = None;
        // Its receiver can know the key before the first event comes.
        self.renderer.ready(&stream).await?;
        let stream = self.streams.create(stream).await?;
        tracing::info!(stream = %stream.id, principal = caller.principal, "a stream is made");
        Ok(stream)
    }

    /// Updates the members that are given (SSF-8.1.1.3-01): a JSON merge (RFC 7386).
    pub async fn patch_stream(&self, caller: &Caller, id: &str, base: &str, body: &Value) -> Result<Arc<Stream>> {
        let patch = object_of(body)?;
        self.redefine(caller, id, base, patch, |stream| {
            let mut merged = supplied(stream);
            if method(patch).is_some_and(|asked| Some(asked) != method(&merged)) {
                merged.remove("delivery");
                merged.remove("lanes");
            }
            for (name, value) in patch.iter().filter(|(name, _)| SUPPLIED.contains(&name.as_str())) {
                merge(merged.entry(name.as_str()).or_insert(Value::Null), value);
            }
            merged
        })
        .await
    }

    /// Replaces a definition: what is missing gets its default (SSF-8.1.1.4-01). An `Authorization` header stays where
    /// `authorization_header_set` says that there is one.
    pub async fn replace_stream(&self, caller: &Caller, id: &str, base: &str, body: &Value) -> Result<Arc<Stream>> {
        let replacement = object_of(body)?;
        self.redefine(caller, id, base, replacement, |_| {
            let mut said: Object = replacement.iter().filter(|(name, _)| SUPPLIED.contains(&name.as_str())).map(own).collect();
            if let Some(Value::Object(delivery)) = said.get_mut("delivery")
                && delivery.get("authorization_header_set") != Some(&Value::Bool(true))
                && delivery.get("method").and_then(Value::as_str) == Some(super::definition::PUSH)
            {
                delivery.entry("authorization_header").or_insert(Value::Null);
            }
            said
        })
        .await
    }

    async fn redefine(
        &self,
        caller: &Caller,
        id: &str,
        base: &str,
        body: &Object,
        define: impl Fn(&Stream) -> Object + Send + Sync,
    ) -> Result<Arc<Stream>> {
        let stream = self.stream_of(caller, id)?;
        let changed = self.streams.change(&stream.id, |stream| {
            may_change(stream)?;
            self.check_repeated(stream, base, body)?;
            let mut said = define(stream);
            if let Some(Value::Object(delivery)) = said.get_mut("delivery") {
                delivery.remove("authorization_header_set");
            }
            let poll_url = poll_url(stream, base);
            let definition = self.rules(Some(&poll_url)).read(&said).map_err(|faults| first(&faults))?;
            let before = stream.clone();
            self.define(stream, &definition)?;
            Ok(if *stream == before { Changed::No } else { Changed::Yes })
        });
        let changed = changed.await?;
        self.renderer.ready(&changed).await?;
        Ok(changed)
    }

    /// What the server says must be as it is, where it is repeated (SSF-8.1.1.3-02).
    fn check_repeated(&self, stream: &Stream, base: &str, body: &Object) -> Result<()> {
        let shown = Value::Object(self.represent(stream, base));
        let differs = |name: &str, given: &Value| {
            Err(Error::mutability(format!(
                "{name}: is the server's to say, and differs from what it is: {}.",
                shorten(&given.to_string())
            )))
        };
        for (name, given) in body {
            let is = shown.get(name).unwrap_or(&Value::Null);
            match name.as_str() {
                name if SUPPLIED.contains(&name) => {}
                "aud" if audience(given).is_ok_and(|audience| json!(audience) == *is) => {}
                "start" => {
                    let detail = "start: is said when a stream is made; POST to Replay begins it again.";
                    return Err(Error::mutability(detail));
                }
                name if SAID_BY_US.contains(&name) && given != is => return differs(name, given),
                name if SAID_BY_US.contains(&name) => {}
                unknown => {
                    return Err(Error::invalid_value(format!("{}: a stream has no such member.", shorten(unknown))));
                }
            }
        }
        let is_set = |value: &Value| value.pointer("/delivery/authorization_header_set").cloned();
        let given = body.get("delivery").and_then(|delivery| delivery.get("authorization_header_set"));
        match given {
            Some(given) if is_set(&shown).as_ref() != Some(given) => differs("delivery.authorization_header_set", given),
            _ => Ok(()),
        }
    }

    /// Makes a stream what a definition says. Where its endpoint changes nothing flows until the new one is verified.
    pub(super) fn define(&self, stream: &mut Stream, definition: &Definition) -> Result<()> {
        let Definition { description, feeds, events_requested, resource_types, mode, attributes, format, algorithm, receiving } =
            definition.clone();
        let method = match receiving {
            Receiving::Poll => Method::Poll,
            Receiving::Push { endpoint, authorization, lanes } => {
                let before = stream.push();
                let is_new = before.is_none_or(|before| before.endpoint != endpoint.0);
                let kept = before.and_then(|before| before.authorization.clone());
                let goes_elsewhere =
                    before.is_some_and(|before| super::definition::Endpoint(before.endpoint.clone()).origin() != endpoint.origin());
                let authorization = match authorization {
                    Authorization::New(header) => Some(self.streams.reseal(stream, &header)?),
                    Authorization::Removed => None,
                    Authorization::Unsaid if kept.is_some() && goes_elsewhere => {
                        let detail =
                            "delivery.authorization_header: the endpoint is at another origin; give the header for it, or null.";
                        return Err(Error::invalid_value(detail));
                    }
                    Authorization::Unsaid => kept,
                };
                if is_new {
                    stream.verification = Some(self.verification_of(None, true));
                }
                Method::Push(Push { endpoint: endpoint.0, authorization, lanes })
            }
        };
        if method == Method::Poll && stream.verification.as_ref().is_some_and(|verification| verification.holds_others) {
            stream.verification = None;
        }
        *stream = Stream {
            description,
            feeds,
            events_requested,
            resource_types,
            mode,
            attributes,
            format,
            algorithm,
            method,
            ..stream.clone()
        };
        Ok(())
    }

    fn verification_of(&self, state: Option<String>, holds_others: bool) -> Verification {
        Verification { event: EventId(self.ids.next()).0.to_string(), at: self.clock.now().0, state, holds_others }
    }

    /// Removes a stream, with its places and its dead letters (SSF-8.1.1.5-01).
    pub async fn delete_stream(&self, caller: &Caller, id: &str) -> Result<()> {
        let stream = self.stream_of(caller, id)?;
        may_remove(&stream)?;
        self.streams.delete(&stream.id).await?;
        tracing::info!(stream = %stream.id, principal = caller.principal, "a stream is removed");
        Ok(())
    }

    /// Enables, pauses or disables a stream (SSF-8.1.2.2-01). One that has lost events goes on with those that are kept.
    pub async fn set_stream_status(&self, caller: &Caller, id: &str, body: &Value) -> Result<Arc<Stream>> {
        let stream = self.stream_of(caller, id)?;
        let object = members(body, &["stream_id", "status", "reason"])?;
        if object.get("stream_id").is_some_and(|given| given != stream.id.as_str()) {
            return Err(Error::invalid_value("stream_id: expected that of this stream, or nothing."));
        }
        let status = match object.get("status").and_then(Value::as_str) {
            Some("enabled") => Status::Enabled,
            Some("paused") => Status::Paused,
            Some("disabled") => Status::Disabled,
            _ => return Err(Error::invalid_value("status: expected enabled, paused or disabled.")),
        };
        let reason = text_of(object, "reason")?;
        if status == Status::Enabled && stream.gap.is_some() {
            let places = PlaceSet::through(self.floor(stream.tenant()).await?);
            let (id, epoch) = (stream.id.clone(), stream.epoch);
            self.resolve_one(Resolution::of(id, epoch, places)).await?;
        }
        let changed = self.streams.change(&stream.id, |stream| {
            let before = stream.clone();
            (stream.status, stream.reason) = (status, reason.clone());
            if status == Status::Enabled {
                stream.gap = None;
            }
            Ok(if *stream == before { Changed::No } else { Changed::Yes })
        });
        let changed = changed.await?;
        tracing::info!(stream = %changed.id, principal = caller.principal, status = ?status, "a stream's status is set");
        Ok(changed)
    }

    /// Sends a verification event over a stream (SSF-8.1.4.2-01).
    pub async fn verify_stream(&self, caller: &Caller, id: &str, body: &Value) -> Result<()> {
        let stream = self.stream_of(caller, id)?;
        let object = members(body, &["stream_id", "state"])?;
        if object.get("stream_id").is_some_and(|given| given != stream.id.as_str()) {
            return Err(Error::invalid_value("stream_id: expected that of this stream, or nothing."));
        }
        let state = text_of(object, "state")?;
        let verified = self.streams.change(&stream.id, |stream| {
            if stream.status == Status::Disabled {
                return Err(Error::new(ErrorKind::Conflict, "The stream is disabled: enable it first."));
            }
            let holds_others = stream.verification.as_ref().is_some_and(|pending| pending.holds_others);
            stream.verification = Some(self.verification_of(state.clone(), holds_others));
            Ok(Changed::Yes)
        });
        verified.await.map(|_| ())
    }
}

fn sees(caller: &Caller, stream: &Stream) -> bool {
    stream.tenant() == caller.tenant && (stream.owner == caller.principal || caller.may(Scope::Admin))
}

/// How a body says that a stream is to be delivered. Without a `delivery` it is polled (SSF-8.1.1.1-02), and null removes it.
fn method(body: &Object) -> Option<&str> {
    match body.get("delivery")? {
        Value::Null => Some(super::definition::POLL),
        delivery => delivery.get("method").and_then(Value::as_str),
    }
}

fn object_of(body: &Value) -> Result<&Object> {
    body.as_object().ok_or_else(|| Error::invalid_syntax("The body must be a JSON object."))
}

fn own((name, value): (&String, &Value)) -> (String, Value) {
    (name.clone(), value.clone())
}

/// What a client is told of what is wrong with its stream.
fn first(faults: &[Fault]) -> Error {
    let faults: Vec<String> = faults.iter().take(limits::FAULTS_TOLD).map(ToString::to_string).collect();
    Error::invalid_value(format!("{}.", faults.join("; ")))
}

fn owner_of(caller: &Caller, owner: Option<&Value>) -> Result<String> {
    match owner {
        None => Ok(caller.principal.clone()),
        Some(Value::String(name)) if *name == caller.principal => Ok(name.clone()),
        Some(Value::String(name)) if is_principal(name) => {
            caller.needs(Scope::Admin)?;
            Ok(name.clone())
        }
        Some(_) => Err(Error::invalid_value("owner: expected the name of a principal.")),
    }
}

fn may_change(stream: &Stream) -> Result<()> {
    match stream.origin {
        Origin::Request => Ok(()),
        Origin::Configuration => may_remove(stream),
        Origin::Feed => {
            let detail = "The stream is the implicit one of a feed: it is as it is. Make one at /Events/Streams.";
            Err(Error::new(ErrorKind::Conflict, detail))
        }
    }
}

fn may_remove(stream: &Stream) -> Result<()> {
    if stream.origin != Origin::Configuration {
        return Ok(());
    }
    let setting =
        if stream.id.as_str() == super::PUSH_STREAM { "SET_PUSH_URL or [[events.streams]]" } else { "[[events.streams]]" };
    Err(Error::new(ErrorKind::Conflict, format!("The stream is the configuration's ({setting}): change it there.")))
}

fn text_of(object: &Object, name: &str) -> Result<Option<String>> {
    let most = limits::STREAM_TEXT_CHARACTERS;
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.chars().count() <= most => Ok(Some(text.clone())),
        Some(_) => Err(Error::invalid_value(format!("{name}: expected a text of at most {most} characters."))),
    }
}

/// RFC 7386 §2; but null stays, for it says that something is to be removed.
fn merge(target: &mut Value, patch: &Value) {
    match (target, patch) {
        (Value::Object(target), Value::Object(patch)) => {
            for (name, value) in patch {
                merge(target.entry(name.as_str()).or_insert(Value::Null), value);
            }
        }
        (target, patch) => *target = patch.clone(),
    }
}
