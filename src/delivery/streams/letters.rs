//! Dead letters: events that a stream's receiver refused for good; and what is done with them.

use super::change::not_found;
use crate::auth::Caller;
use crate::base::id::{EventId, StreamId};
use crate::base::limits;
use crate::delivery::Delivery;
use crate::delivery::stream::Stream;
use crate::scim::Object;
use crate::scim::error::{Error, ErrorKind, Result};
use crate::scim::path::shorten;
use crate::store::ledger::{DeadLetter, PlaceSet, Resolution};
use crate::store::{Place, StoreErrorKind};
use serde_json::{Value, json};
use std::collections::HashSet;

impl Delivery {
    /// A page of the dead letters of a stream, by place: `{total, letters, next?}`. `after` is the `next` of the page before.
    pub async fn dead_letters(&self, caller: &Caller, id: &str, after: Option<&str>, limit: Option<i64>) -> Result<Value> {
        let stream = self.stream_of(caller, id)?;
        let after = after.map_or(Some(0), place);
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
    /// 410 when that is so for one that is named; then none is sent.
    pub async fn retry_dead_letters(&self, caller: &Caller, id: &str, body: &Value) -> Result<Value> {
        let stream = self.stream_of(caller, id)?;
        let object = members(body, &["jtis"])?;
        let jtis = object.get("jtis").filter(|jtis| !jtis.is_null());
        // What was refused a moment ago is a letter too. What cannot be kept is tried again, and in the log.
        let _ = self.persister.flush().await;
        let floor = self.floor(stream.tenant()).await?;
        let (mut retried, mut gone) = (0, 0);
        if let Some(jtis) = jtis {
            let letters = self.named_letters(&stream, jtis).await?;
            if let Some(letter) = letters.iter().find(|letter| letter.place <= floor) {
                let jti = self.renderer.tag(&stream).await?.jti(letter.event);
                let detail = format!("jtis: the event of '{jti}' is no longer kept: it cannot be sent any more, only discarded.");
                return Err(Error::new(ErrorKind::Gone, detail));
            }
            (retried, _) = self.mark(&stream.id, &letters, floor).await?;
        } else {
            let mut next = Some(Place::default());
            while let Some(after) = next.take() {
                let letters;
                (letters, next) = self.letters_after(&stream.id, after).await?;
                let (marked, unmarked) = self.mark(&stream.id, &letters, floor).await?;
                (retried, gone) = (retried + marked, gone + unmarked);
            }
        }
        self.streams.poke(&stream.id);
        tracing::info!(stream = %stream.id, principal = caller.principal, retried, gone, "dead letters are sent once more");
        Ok(json!({"retried": retried, "gone": gone}))
    }

    /// Gives up the dead letters that `jtis` names, for a `reason` that the log keeps. Returns `{discarded}`.
    pub async fn discard_dead_letters(&self, caller: &Caller, id: &str, body: &Value) -> Result<Value> {
        let stream = self.stream_of(caller, id)?;
        let object = members(body, &["jtis", "reason"])?;
        let reason = object
            .get("reason")
            .and_then(Value::as_str)
            .filter(|text| (1..=limits::STREAM_TEXT_CHARACTERS).contains(&text.chars().count()));
        let Some(reason) = reason else {
            let most = limits::STREAM_TEXT_CHARACTERS;
            return Err(Error::invalid_value(format!("reason: expected a text of 1 to {most} characters.")));
        };
        let _ = self.persister.flush().await;
        let letters = self.named_letters(&stream, object.get("jtis").unwrap_or(&Value::Null)).await?;
        let settled: Vec<Place> = letters.iter().map(|letter| letter.place).collect();
        let discarded = settled.len();
        self.resolve_now(&stream.id, |stream| Resolution { settled: settled.clone(), ..nothing(stream) }).await?;
        tracing::info!(stream = %stream.id, principal = caller.principal, discarded, reason, "dead letters are discarded");
        Ok(json!({"discarded": discarded}))
    }

    /// The next of the dead letters of a stream after a place, and the place after which there may be others.
    async fn letters_after(&self, id: &StreamId, after: Place) -> Result<(Vec<DeadLetter>, Option<Place>)> {
        let page = self.ledger.dead_letters(id, after, limits::DEAD_LETTERS, false).await.map_err(|error| error.answer())?;
        let next = page.letters.last().filter(|_| page.letters.len() == limits::DEAD_LETTERS).map(|letter| letter.place);
        Ok((page.letters, next))
    }

    /// Every dead letter of a stream after a place.
    pub(super) async fn all_letters(&self, id: &StreamId, after: Place) -> Result<Vec<DeadLetter>> {
        let (mut letters, mut next) = (Vec::new(), Some(after));
        while let Some(after) = next.take() {
            let page;
            (page, next) = self.letters_after(id, after).await?;
            letters.extend(page);
        }
        Ok(letters)
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
        let (mut found, mut next) = (Vec::new(), Some(Place::default()));
        while let Some(after) = next.take().filter(|_| !wanted.is_empty()) {
            let page;
            (page, next) = self.letters_after(&stream.id, after).await?;
            found.extend(page.into_iter().filter(|letter| wanted.remove(&letter.event)));
        }
        match wanted.into_iter().next() {
            None => Ok(found),
            Some(missing) => {
                let jti = tag.jti(missing);
                Err(Error::invalid_value(format!("jtis: '{jti}' is the jti of no dead letter of this stream.")))
            }
        }
    }

    /// Marks those of these letters whose events are kept; returns how many are, and how many are not.
    async fn mark(&self, stream: &StreamId, letters: &[DeadLetter], floor: Place) -> Result<(usize, usize)> {
        let kept = letters.iter().map(|letter| letter.place).filter(|place| *place > floor);
        let retried: Vec<Place> = kept.collect();
        for places in retried.chunks(limits::PERSIST_ROWS) {
            self.resolve_now(stream, |stream| Resolution { retried: places.to_vec(), ..nothing(stream) }).await?;
        }
        Ok((retried.len(), letters.len() - retried.len()))
    }

    /// Keeps something of the letters of a stream in the life that it is in. One that is settled meanwhile stays so.
    async fn resolve_now(&self, id: &StreamId, what: impl Fn(&Stream) -> Resolution + Send + Sync) -> Result<()> {
        for _ in 0..limits::STREAM_CHANGES {
            let stream = self.streams.get(id).ok_or_else(|| not_found(id))?;
            let kept = self.ledger.resolve(vec![what(&stream)]).await.map_err(|error| error.answer())?;
            match kept.into_iter().find_map(Result::err) {
                None => return Ok(()),
                Some(error) if error.kind == StoreErrorKind::Stale => {
                    self.streams.load().await.map_err(|error| error.answer())?;
                }
                Some(error) => return Err(error.answer()),
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "The stream is being replayed; try again."))
    }
}

/// The place that the `next` of a page names. More digits than a place has are as good as the last one.
fn place(next: &str) -> Option<u64> {
    let is_number = !next.is_empty() && next.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| next.parse().unwrap_or(u64::MAX))
}

fn nothing(stream: &Stream) -> Resolution {
    Resolution::of(stream.id.clone(), stream.epoch, PlaceSet::through(stream.start()))
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
