//! Where a stream begins: now, after an event, or at a time; and beginning again.

use super::change::Changed;
use super::definition::Fault;
use crate::auth::Caller;
use crate::base::clock::Timestamp;
use crate::base::id::{EventId, StreamId, Tenant};
use crate::base::limits;
use crate::delivery::stream::{Status, Stream};
use crate::delivery::{DEFAULT_FEED, Delivery};
use crate::scim::Object;
use crate::scim::error::{Error, ErrorKind, Result};
use crate::store::Place;
use crate::store::ledger::{DeadLetter, PlaceSet, Resolution};
use serde_json::Value;
use std::sync::Arc;

/// Where a stream begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Start {
    /// With what happens from now on.
    #[default]
    Now,
    /// After the event of this `jti`.
    After(String),
    /// With the events of this time.
    Since(Timestamp),
}

impl Start {
    /// Reads `"now"`, `{"after": jti}` or `{"since": time}`.
    pub fn read(value: &Value) -> Result<Self, Fault> {
        let wrong = || Fault { member: "start".into(), expected: "\"now\", {\"after\": jti} or {\"since\": time}".into() };
        match value {
            Value::String(text) if text == "now" => Ok(Self::Now),
            Value::Object(object) if object.len() == 1 => Self::of(object).ok_or_else(wrong),
            _ => Err(wrong()),
        }
    }

    fn of(object: &Object) -> Option<Self> {
        let text = |name: &str| object.get(name).and_then(Value::as_str);
        match (text("after"), text("since")) {
            (Some(jti), None) => Some(Self::After(jti.to_owned())),
            (None, Some(time)) => Timestamp::parse(time).map(Self::Since),
            _ => None,
        }
    }
}

impl Delivery {
    /// The place before the first event of a stream that begins so. 400 when the `jti` is none that its reader can have got, 410 when
    /// the log no longer keeps what was asked for.
    pub(super) async fn place_of_start(&self, tenant: Tenant, start: &Start, among: &[Arc<Stream>]) -> Result<Place> {
        // What was written before it was asked for comes before "now".
        self.ledger.settled().await;
        match start {
            Start::Now => self.last_place(tenant).await,
            Start::After(jti) => {
                let event = self.event_of(jti, among).await?;
                let place = self.ledger.place_of(tenant, event).await.map_err(|error| error.answer())?;
                match place {
                    Some(place) => Ok(place),
                    None => Err(self.gone(tenant, "The event is no longer kept").await),
                }
            }
            Start::Since(time) => {
                let place = self.ledger.place_before(tenant, *time).await.map_err(|error| error.answer())?;
                let floor = self.floor(tenant).await?;
                // Everything that is kept is of that time or later: some of it may be gone already.
                if floor > Place::default() && place <= floor && *time < self.clock.now() {
                    return Err(self.gone(tenant, "Events of that time may no longer be kept").await);
                }
                Ok(place)
            }
        }
    }

    async fn last_place(&self, tenant: Tenant) -> Result<Place> {
        self.ledger.place_before(tenant, Timestamp(i64::MAX)).await.map_err(|error| error.answer())
    }

    /// The place up to which events are no longer kept.
    pub(in crate::delivery) async fn floor(&self, tenant: Tenant) -> Result<Place> {
        Ok(self.ledger.read(tenant, Place::default(), 1).await.map_err(|error| error.answer())?.floor)
    }

    async fn gone(&self, tenant: Tenant, what: &str) -> Error {
        let first = match self.ledger.read(tenant, Place::default(), 1).await {
            Ok(reading) => reading.events.into_iter().next(),
            Err(error) => return error.answer(),
        };
        let Some(first) = first else { return Error::new(ErrorKind::Gone, format!("{what}; the log is empty.")) };
        match self.renderer.feed_tag(DEFAULT_FEED).await {
            Ok(tag) => {
                let (jti, at) = (tag.jti(first.event.id), first.event.at);
                Error::new(ErrorKind::Gone, format!("{what}; the oldest event kept is {jti} of {at}."))
            }
            Err(error) => error,
        }
    }

    /// The event of a `jti` of the feed, or of one of these streams in any of its generations.
    async fn event_of(&self, jti: &str, among: &[Arc<Stream>]) -> Result<EventId> {
        if let Some(event) = self.renderer.feed_tag(DEFAULT_FEED).await?.event(jti) {
            return Ok(event);
        }
        for stream in among {
            let oldest = stream.generation.saturating_sub(limits::STREAM_GENERATIONS);
            for generation in (oldest..=stream.generation).rev() {
                let past = Stream { generation, ..Stream::clone(stream) };
                if let Some(event) = self.renderer.tag(&past).await?.event(jti) {
                    return Ok(event);
                }
            }
        }
        Err(Error::invalid_value("after: expected the jti of an event of this stream or of the feed."))
    }

    /// Begins a stream again after an event or at a time: its events from there on are delivered once more, with the `jti`s they had, or
    /// with fresh ones. Nothing is passed over: where the stream has not come so far it begins where it is. Dead letters from there on
    /// are settled, for they are delivered with the rest.
    pub async fn replay(&self, caller: &Caller, id: &str, body: &Value) -> Result<Arc<Stream>> {
        let stream = self.stream_of(caller, id)?;
        let (start, is_fresh) = replay_request(body)?;
        let asked = self.place_of_start(stream.tenant(), &start, &[Arc::clone(&stream)]).await?;
        let place = asked.min(self.reached(&stream).await?);
        let letters = self.all_letters(&stream.id, place).await?;
        let replayed = self.streams.change(&stream.id, |stream| {
            stream.start = place.0;
            stream.epoch += 1;
            stream.generation += u32::from(is_fresh);
            if stream.gap.take().is_some() && stream.status == Status::Disabled {
                (stream.status, stream.reason) = (Status::Enabled, None);
            }
            Ok(Changed::Yes)
        });
        let replayed = replayed.await?;
        self.settle_after(&replayed.id, replayed.epoch, place, &letters).await?;
        tracing::info!(stream = %replayed.id, principal = caller.principal, after = place.0, fresh = is_fresh, "a stream is replayed");
        Ok(replayed)
    }

    /// The place up to which a stream has been delivered everything; where it has been told of a gap, that lies behind it too.
    async fn reached(&self, stream: &Stream) -> Result<Place> {
        // In this order: what is kept in between is in the second.
        let mut places = self.persister.unkept(&stream.id, stream.epoch);
        let kept = self.ledger.resolved(&stream.id, stream.epoch).await.map_err(|error| error.answer())?;
        places.merge(&kept.unwrap_or_default());
        places.insert_range(Place(1), stream.start());
        let floor = if stream.gap.is_some() { self.floor(stream.tenant()).await? } else { Place::default() };
        Ok(places.cursor().max(floor))
    }

    /// Settles these letters where they are still as they were: one that has come in the new life stays.
    async fn settle_after(&self, id: &StreamId, epoch: u64, place: Place, before: &[DeadLetter]) -> Result<()> {
        let letters = self.all_letters(id, place).await?;
        let settled = letters.iter().filter(|letter| before.contains(letter)).map(|letter| letter.place).collect();
        let resolution = Resolution { settled, ..Resolution::of(id.clone(), epoch, PlaceSet::through(place)) };
        self.resolve_one(resolution).await
    }

    /// Keeps what is resolved of one stream. What a later replay has overtaken is nothing any more.
    pub(super) async fn resolve_one(&self, resolution: Resolution) -> Result<()> {
        let kept = self.ledger.resolve(vec![resolution]).await.map_err(|error| error.answer())?;
        let failed = kept.into_iter().filter_map(Result::err).find(|error| error.kind != crate::store::StoreErrorKind::Stale);
        failed.map_or(Ok(()), |error| Err(error.answer()))
    }
}

fn replay_request(body: &Value) -> Result<(Start, bool)> {
    let wrong = |text: &str| Err(Error::invalid_value(text));
    let Some(object) = body.as_object() else { return wrong("The body must be an object.") };
    if let Some(unknown) = object.keys().find(|name| !["after", "since", "fresh"].contains(&name.as_str())) {
        return wrong(&format!("{}: a replay has no such member.", crate::scim::path::shorten(unknown)));
    }
    let is_fresh = match object.get("fresh") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(is_fresh)) => *is_fresh,
        Some(_) => return wrong("fresh: expected true or false."),
    };
    let from: Object = object
        .iter()
        .filter(|(name, value)| *name != "fresh" && !value.is_null())
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    match Start::of(&from).filter(|_| from.len() == 1) {
        Some(start) => Ok((start, is_fresh)),
        None => wrong("Expected one of after, the jti of an event, and since, a time."),
    }
}
