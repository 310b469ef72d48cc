//! Dead letters: events that a stream's receiver refused for good; and what is done with them.

use crate::auth::Caller;
use crate::base::id::{EventId, StreamId};
use crate::base::limits;
use crate::delivery::Delivery;
use crate::delivery::stream::Stream;
use crate::scim::Object;
use crate::scim::error::{Error, Result};
use crate::scim::path::shorten;
use crate::store::Place;
use crate::store::ledger::{DeadLetter, PlaceSet, Resolution};
use serde_json::{Value, json};
use std::collections::HashSet;

impl Delivery {
    /// A page of the dead letters of a stream, by place: `{total, letters, next?}`. `after` is the `next` of the page before.
    pub async fn dead_letters(&self, caller: &Caller, id: &str, after: Option<&str>, limit: Option<i64>) -> Result<Value> {
        let stream = self.stream_of(caller, id)?;
        let after = after.map_or(Some(0), |after| after.parse().ok());
        let after = after.ok_or_else(|| Error::invalid_value("after: expected the 'next' of the page before."))?;
        let limit = match limit {
            None => limits::DEAD_LETTERS_DEFAULT,
            Some(limit) => usize::try_from(limit)
                .map_err(|_| Error::invalid_value("limit must not be negative."))?
                .clamp(1, limits::DEAD_LETTERS),
        };
        let page = self.ledger.dead_letters(&stream.id, Place(after), limit, false).await.map_err(|error| error.answer())?;
        let tag = self.renderer.tag(&stream).await?;
        let letters: Vec<Value> = page.letters.iter().map(|letter| represent(letter, &tag.jti(letter.event))).collect();
        let mut answer = json!({"total": page.total, "letters": letters});
        if let Some(last) = page.letters.last().filter(|_| page.letters.len() == limit) {
            answer["next"] = last.place.0.to_string().into();
        }
        Ok(answer)
    }

    /// Sends dead letters once more: those that `jtis` names, or all. Returns `{retried, gone}`: the events of some may no longer be kept.
    pub async fn retry_dead_letters(&self, caller: &Caller, id: &str, body: &Value) -> Result<Value> {
        let stream = self.stream_of(caller, id)?;
        let object = members(body, &["jtis"])?;
        let letters = match object.get("jtis").filter(|jtis| !jtis.is_null()) {
            None => self.all_letters(&stream.id, Place::default()).await?,
            Some(jtis) => self.named_letters(&stream, jtis).await?,
        };
        let floor = self.floor(stream.tenant()).await?;
        let (kept, gone): (Vec<DeadLetter>, Vec<DeadLetter>) = letters.into_iter().partition(|letter| letter.place > floor);
        let (retried, gone) = (kept.len(), gone.len());
        let dead: Vec<DeadLetter> = kept.into_iter().map(|letter| DeadLetter { retry: true, ..letter }).collect();
        for dead in dead.chunks(limits::DEAD_LETTERS) {
            self.resolve_one(Resolution { dead: dead.to_vec(), ..nothing(&stream) }).await?;
        }
        self.streams.poke(&stream.id);
        tracing::info!(stream = %stream.id, principal = caller.principal, retried, gone, "dead letters are sent once more");
        Ok(json!({"retried": retried, "gone": gone}))
    }

    /// Gives up the dead letters that `jtis` names, for a `reason` that the log keeps. Returns `{discarded}`.
    pub async fn discard_dead_letters(&self, caller: &Caller, id: &str, body: &Value) -> Result<Value> {
        let stream = self.stream_of(caller, id)?;
        let object = members(body, &["jtis", "reason"])?;
        let reason =
            object.get("reason").and_then(Value::as_str).filter(|text| (1..=limits::STREAM_TEXT_BYTES).contains(&text.len()));
        let Some(reason) = reason else {
            let most = limits::STREAM_TEXT_BYTES;
            return Err(Error::invalid_value(format!("reason: expected a text of 1 to {most} bytes.")));
        };
        let letters = self.named_letters(&stream, object.get("jtis").unwrap_or(&Value::Null)).await?;
        let settled: Vec<Place> = letters.iter().map(|letter| letter.place).collect();
        let discarded = settled.len();
        self.resolve_one(Resolution { settled, ..nothing(&stream) }).await?;
        tracing::info!(stream = %stream.id, principal = caller.principal, discarded, reason, "dead letters are discarded");
        Ok(json!({"discarded": discarded}))
    }

    /// Every dead letter of a stream after a place.
    pub(super) async fn all_letters(&self, id: &StreamId, after: Place) -> Result<Vec<DeadLetter>> {
        let (mut letters, mut after) = (Vec::new(), after);
        loop {
            let page = self.ledger.dead_letters(id, after, limits::DEAD_LETTERS, false).await.map_err(|error| error.answer())?;
            let is_last = page.letters.len() < limits::DEAD_LETTERS;
            letters.extend(page.letters);
            match letters.last() {
                Some(last) if !is_last => after = last.place,
                _ => return Ok(letters),
            }
        }
    }

    /// The dead letters of these `jti`s, every one of which must be there.
    async fn named_letters(&self, stream: &Stream, jtis: &Value) -> Result<Vec<DeadLetter>> {
        let most = limits::DEAD_LETTERS;
        let wrong = || Error::invalid_value(format!("jtis: expected a list of 1 to {most} jtis of dead letters."));
        let jtis = jtis.as_array().filter(|jtis| (1..=most).contains(&jtis.len())).ok_or_else(wrong)?;
        let tag = self.renderer.tag(stream).await?;
        let mut wanted: HashSet<EventId> = HashSet::new();
        for jti in jtis {
            let jti = jti.as_str().ok_or_else(wrong)?;
            let none = || Error::invalid_value(format!("jtis: '{}' is the jti of no dead letter of this stream.", shorten(jti)));
            wanted.insert(tag.event(jti).ok_or_else(none)?);
        }
        let letters = self.all_letters(&stream.id, Place::default()).await?;
        let found: Vec<DeadLetter> = letters.into_iter().filter(|letter| wanted.remove(&letter.event)).collect();
        match wanted.into_iter().next() {
            None => Ok(found),
            Some(missing) => {
                let jti = tag.jti(missing);
                Err(Error::invalid_value(format!("jtis: '{jti}' is the jti of no dead letter of this stream.")))
            }
        }
    }
}

fn nothing(stream: &Stream) -> Resolution {
    let (stream, epoch) = (stream.id.clone(), stream.epoch);
    Resolution { stream, epoch, places: PlaceSet::default(), dead: Vec::new(), settled: Vec::new() }
}

/// The members of a body, none of them unknown.
pub(super) fn members<'a>(body: &'a Value, known: &[&str]) -> Result<&'a Object> {
    let object = body.as_object().ok_or_else(|| Error::invalid_syntax("The body must be a JSON object."))?;
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        None => Ok(object),
        Some(unknown) => Err(Error::invalid_value(format!("{}: there is no such member.", shorten(unknown)))),
    }
}

fn represent(letter: &DeadLetter, jti: &str) -> Value {
    let mut shown = json!({
        "jti": jti,
        "at": letter.at.to_string(),
        "attempts": letter.attempts,
        "err": letter.error,
        "retry": letter.retry,
    });
    if let Some(status) = letter.status {
        shown["status"] = status.into();
    }
    if let Some(description) = &letter.description {
        shown["description"] = description.as_str().into();
    }
    shown
}
