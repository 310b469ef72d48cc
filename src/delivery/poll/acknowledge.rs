//! What a receiver has taken, or refuses: kept on disk before the poll goes on (RFC 8936 §2.4).

use super::desk::Desk;
use super::request::{PollRequest, SetError};
use super::{Polls, select};
use crate::base::id::EventId;
use crate::base::limits;
use crate::delivery::stream::Stream;
use crate::scim::error::{Error, ErrorKind, Result};
use crate::store::ledger::{DeadLetter, Place, PlaceSet, Resolution};
use crate::store::{StoreError, StoreErrorKind};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// What becomes of the events that a receiver names.
#[derive(Debug, Default)]
struct Verdict<'a> {
    /// Event → why it is refused; `None` when it is taken.
    events: BTreeMap<Place, (EventId, Option<&'a SetError>)>,
    /// The verification event, and why it is refused.
    verification: Option<(EventId, Option<&'a SetError>)>,
}

impl Polls {
    /// Resolves what a poll names. A `jti` that is unknown, another stream's, or resolved already means nothing (8936-2.2-05).
    pub(super) async fn acknowledge(&self, desk: &Desk, mut stream: Arc<Stream>, request: &PollRequest) -> Result<()> {
        for _ in 0..limits::POLL_TRIES {
            let turn = desk.turn.lock().await;
            self.open_anew(desk, &stream).await?;
            let verdict = self.judge(desk, &stream, request).await?;
            match self.resolve(desk, &stream, &verdict).await {
                Ok(()) => {
                    drop(turn);
                    desk.wake();
                    return self.verified(&stream, &verdict).await;
                }
                // A replay has begun meanwhile: what is acknowledged counts in the stream's new life.
                Err(error) if error.kind == StoreErrorKind::Stale => {
                    self.streams.load().await.map_err(|error| error.answer())?;
                    stream = self.current(&stream).await?;
                }
                Err(error) => return Err(error.answer()),
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "The stream is being replayed; try again."))
    }

    async fn judge<'a>(&self, desk: &Desk, stream: &Stream, request: &'a PollRequest) -> Result<Verdict<'a>> {
        let Some(tag) = desk.with(stream.epoch, |state| state.tag.clone()) else { return Ok(Verdict::default()) };
        let verification = select::verification(stream);
        let mut verdict = Verdict::default();
        let mut seen = HashSet::new();
        let taken = request.acks.iter().map(|jti| (jti, None));
        let refused = request.errors.iter().map(|error| (&error.jti, Some(error)));
        for (jti, error) in taken.chain(refused) {
            let Some(event) = tag.event(jti).filter(|event| seen.insert(*event)) else { continue };
            if verification == Some(event) {
                verdict.verification = Some((event, error));
            } else if let Some(place) = self.unresolved(desk, stream, event).await? {
                verdict.events.insert(place, (event, error));
            }
        }
        Ok(verdict)
    }

    /// The place of an event that the stream has not resolved.
    async fn unresolved(&self, desk: &Desk, stream: &Stream, event: EventId) -> Result<Option<Place>> {
        if let Some(place) = desk.with(stream.epoch, |state| state.window.place_of(event)).flatten() {
            return Ok(Some(place));
        }
        // Given out by another node, or before a restart.
        let place = self.ledger.place_of(stream.tenant(), event).await.map_err(|error| error.answer())?;
        let is_open = |place: &Place| {
            desk.with(stream.epoch, |state| {
                let resolved = state.window.resolved();
                // One far ahead of the window comes again: what is kept of a stream does not grow with what its receiver says.
                !resolved.contains(*place) && resolved.ranges() < limits::WINDOW_EVENTS
            })
            .unwrap_or(false)
        };
        Ok(place.filter(is_open))
    }

    async fn resolve(&self, desk: &Desk, stream: &Stream, verdict: &Verdict<'_>) -> Result<(), StoreError> {
        if verdict.events.is_empty() {
            return Ok(());
        }
        let Some(resolution) = desk.with(stream.epoch, |state| {
            let mut places: PlaceSet = state.window.resolved().clone();
            verdict.events.keys().for_each(|place| places.insert(*place));
            let letter = |(place, (event, error)): (&Place, &(EventId, Option<&SetError>))| {
                error.map(|error| DeadLetter {
                    place: *place,
                    event: *event,
                    at: self.clock.now(),
                    attempts: state.window.attempts(*place).unwrap_or(0).max(1),
                    status: None,
                    error: error.error.clone(),
                    description: error.description.clone(),
                    retry: false,
                })
            };
            let refused = verdict.events.iter().filter_map(letter);
            // One that was delivered once more may have been discarded meanwhile: it does not come back.
            let (changed, dead) = refused.partition(|letter: &DeadLetter| state.window.is_replay(letter.place));
            // Those that were dead letters are no more; a place without one is none of these for nothing.
            let taken = verdict.events.iter().filter(|(_, (_, error))| error.is_none());
            let settled = taken.map(|(place, _)| *place).filter(|place| state.settles(*place)).collect();
            state.moved = false;
            Resolution { settled, changed, dead, ..Resolution::of(stream.id.clone(), stream.epoch, places) }
        }) else {
            return Ok(());
        };
        let letters = [&resolution.dead[..], &resolution.changed[..]].concat();
        let kept = self
            .ledger
            .resolve(vec![resolution])
            .await
            .and_then(|results| results.into_iter().try_for_each(|result| result.map(drop)));
        desk.with(stream.epoch, |state| match kept {
            Ok(()) => verdict.events.keys().for_each(|place| state.resolve(*place)),
            Err(_) => state.moved = true,
        });
        kept?;
        for letter in letters {
            tracing::warn!(
                target: "carillon::delivery",
                stream = %stream.id, place = letter.place.0, event = %letter.event, class = "refused", attempt = letter.attempts,
                "a receiver refuses a SET: it is a dead letter now"
            );
        }
        metrics::counter!("carillon_delivery_attempts_total", "method" => "poll", "class" => "acknowledged")
            .increment(verdict.events.values().filter(|(_, error)| error.is_none()).count() as u64);
        metrics::counter!("carillon_delivery_attempts_total", "method" => "poll", "class" => "refused")
            .increment(verdict.events.values().filter(|(_, error)| error.is_some()).count() as u64);
        Ok(())
    }

    /// The verification event is acknowledged or refused.
    async fn verified(&self, stream: &Stream, verdict: &Verdict<'_>) -> Result<()> {
        match verdict.verification {
            None => Ok(()),
            Some((event, None)) => self.streams.verified(&stream.id, event).await,
            Some((event, Some(error))) => self.streams.unverified(&stream.id, event, &error.error).await,
        }
    }
}
