//! Changes of streams: each is one record, changed if it is still as it was read, and read and tried again if it is not.

use super::{COLLECTION, Streams, place_of_secret};
use crate::base::id::{EventId, StreamId};
use crate::base::limits;
use crate::base::secret::Secret;
use crate::delivery::seal::Unopened;
use crate::delivery::stream::{Gap, Method, Status, Stream};
use crate::scim::error::{Error, ErrorKind, Result};
use crate::store::ledger::{Life, PlaceSet, RecordChange};
use crate::store::{StoreError, StoreErrorKind};
use std::sync::Arc;

/// The collection of the record that says how many streams there have been: each begins a life of its own.
const LIVES: &str = "stream-lives";
/// Its id.
const LAST_LIFE: &str = "begun";
/// Bits of an epoch that count the replays of a stream.
const REPLAYS_BITS: u32 = 32;

/// What a change of a stream comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::delivery) enum Changed {
    /// It is to be kept.
    Yes,
    /// The stream is as it should be already.
    No,
}

pub(in crate::delivery) fn not_found(id: &StreamId) -> Error {
    Error::new(ErrorKind::NotFound, format!("Stream {id} not found."))
}

impl Streams {
    /// Keeps a new stream and returns it; the one that there is, if its id is taken. Its life is one that no stream of this id has had:
    /// what is kept of another one, and what others still do for that, is none of its own.
    pub(in crate::delivery) async fn create(&self, stream: Stream) -> Result<Arc<Stream>> {
        // One at a time, so that they need not begin anew because of each other.
        let _turn = self.beginning.lock().await;
        for _ in 0..limits::STREAM_CHANGES {
            self.load().await.map_err(|error| error.answer())?;
            if let Some(known) = self.get(&stream.id) {
                return Ok(known);
            }
            match self.begin(&stream).await {
                Ok(()) => {}
                Err(error) if error.kind == StoreErrorKind::Stale && !self.is_kept(&stream.id).await => {}
                Err(error) if error.kind == StoreErrorKind::Stale => {
                    self.load().await.map_err(|error| error.answer())?;
                    let unreadable = || Error::new(ErrorKind::Internal, format!("Stream {} cannot be read.", stream.id));
                    return self.get(&stream.id).ok_or_else(unreadable);
                }
                Err(error) => return Err(error.answer()),
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "Others make streams all the time; try again."))
    }

    /// Writes the record of a new stream and the number of its life together, and what is resolved in that life.
    pub(super) async fn begin(&self, stream: &Stream) -> Result<(), StoreError> {
        let lives = self.ledger.records(LIVES).await?.into_iter().find(|record| record.id == LAST_LIFE);
        let unread = |error| StoreError::because(StoreErrorKind::Corrupt, "read the number of lives", error);
        let begun: u64 = lives.as_ref().map_or(Ok(0), |lives| lives.body.parse()).map_err(unread)?;
        let lives = RecordChange {
            collection: LIVES,
            id: LAST_LIFE.into(),
            expected: lives.map(|lives| lives.revision),
            body: Some((begun + 1).to_string()),
        };
        // Replays count on from there.
        let stream = Stream { epoch: begun << REPLAYS_BITS, ..stream.clone() };
        let life = Life { epoch: stream.epoch, places: PlaceSet::through(stream.start()) };
        self.ledger.renew(vec![lives, record(&stream, None)?], &stream.id, Some(life)).await
    }

    /// Changes a stream, and returns it as it is then. 404 when there is none. `change` may run more than once.
    pub(in crate::delivery) async fn change(
        &self,
        id: &StreamId,
        mut change: impl FnMut(&mut Stream) -> Result<Changed> + Send,
    ) -> Result<Arc<Stream>> {
        for _ in 0..limits::STREAM_CHANGES {
            let before = self.get(id).ok_or_else(|| not_found(id))?;
            let mut after = Stream::clone(&before);
            if change(&mut after)? == Changed::No {
                return Ok(before);
            }
            let written = self.write(&after, Some(before.revision)).await;
            self.load().await.map_err(|error| error.answer())?;
            match written {
                Ok(()) => return Ok(Arc::new(Stream { revision: before.revision + 1, ..after })),
                Err(error) if error.kind == StoreErrorKind::Stale => {}
                Err(error) => return Err(error.answer()),
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "Others change the stream all the time; try again."))
    }

    /// Removes a stream with everything that is kept of it.
    pub(in crate::delivery) async fn delete(&self, id: &StreamId) -> Result<()> {
        for _ in 0..limits::STREAM_CHANGES {
            let Some(before) = self.get(id) else { return Err(not_found(id)) };
            let expected = Some(before.revision);
            let change = RecordChange { collection: COLLECTION, id: id.to_string(), expected, body: None };
            let written = self.ledger.renew(vec![change], id, None).await;
            self.load().await.map_err(|error| error.answer())?;
            match written {
                Ok(()) => {
                    self.unpoke(id);
                    return Ok(());
                }
                Err(error) if error.kind == StoreErrorKind::Stale => {}
                Err(error) => return Err(error.answer()),
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "Others change the stream all the time; try again."))
    }

    /// Removes what somebody who did not know yet has kept of a stream that is no more. If there is one of this id again it stays.
    pub(in crate::delivery) async fn forget(&self, id: &StreamId) -> Result<(), StoreError> {
        let none = RecordChange { collection: COLLECTION, id: id.to_string(), expected: None, body: None };
        match self.ledger.renew(vec![none], id, None).await {
            Err(error) if error.kind == StoreErrorKind::Stale => Ok(()),
            forgotten => forgotten,
        }
    }

    async fn write(&self, stream: &Stream, expected: Option<u64>) -> Result<(), StoreError> {
        self.ledger.write_records(vec![record(stream, expected)?]).await
    }

    /// Pauses a stream that cannot be delivered, if it is enabled and still in this epoch. Its events wait.
    pub(in crate::delivery) async fn pause(&self, id: &StreamId, epoch: u64, reason: &str) -> Result<()> {
        let paused = self.change(id, |stream| {
            if stream.epoch != epoch || stream.status != Status::Enabled {
                return Ok(Changed::No);
            }
            (stream.status, stream.reason) = (Status::Paused, Some(reason.to_owned()));
            tracing::warn!(stream = %id, reason, "a stream is paused");
            Ok(Changed::Yes)
        });
        unless_gone(paused.await)
    }

    /// Disables a stream that has lost events in this epoch, and keeps how many (I5: never in silence).
    pub(in crate::delivery) async fn disable_for_gap(&self, id: &StreamId, epoch: u64, gap: Gap) -> Result<()> {
        let mut is_new = false;
        let disabled = self.change(id, |stream| {
            is_new = false;
            if stream.epoch != epoch || stream.status == Status::Disabled && stream.gap.is_some() {
                return Ok(Changed::No);
            }
            let reason = "events were removed from the log before they were delivered";
            (stream.status, stream.reason, stream.gap) = (Status::Disabled, Some(reason.to_owned()), Some(gap));
            is_new = true;
            Ok(Changed::Yes)
        });
        unless_gone(disabled.await)?;
        if is_new {
            tracing::warn!(stream = %id, places = gap.places, "a stream has lost events and is disabled");
            metrics::counter!("carillon_lost_places_total").increment(gap.places);
        }
        Ok(())
    }

    /// The receiver has acknowledged this verification event: other events may flow.
    pub(in crate::delivery) async fn verified(&self, id: &StreamId, event: EventId) -> Result<()> {
        let verified = self.change(id, |stream| match &stream.verification {
            Some(verification) if verification.event_id() == event => {
                stream.verification = None;
                Ok(Changed::Yes)
            }
            _ => Ok(Changed::No),
        });
        unless_gone(verified.await)
    }

    /// The receiver has refused this verification event. If others wait for it the stream is paused, and the event is sent again when
    /// it is enabled; otherwise it is done with.
    pub(in crate::delivery) async fn unverified(&self, id: &StreamId, event: EventId, reason: &str) -> Result<()> {
        let refused = self.change(id, |stream| {
            let Some(verification) = stream.verification.as_ref().filter(|verification| verification.event_id() == event) else {
                return Ok(Changed::No);
            };
            tracing::warn!(stream = %id, reason, "a verification event is refused");
            if verification.holds_others {
                let reason = format!("the endpoint is not verified: {reason}");
                (stream.status, stream.reason) = (Status::Paused, Some(reason));
            } else {
                stream.verification = None;
            }
            Ok(Changed::Yes)
        });
        unless_gone(refused.await)
    }

    /// The `Authorization` header of a stream that is pushed, in clear.
    pub(in crate::delivery) fn authorization(&self, stream: &Stream) -> Result<Option<Secret>, Unopened> {
        let Some(sealed) = stream.push().and_then(|push| push.authorization.as_ref()) else { return Ok(None) };
        let opened = self.sealer.open(&place_of_secret(&stream.id), sealed)?;
        String::from_utf8(opened).map(|header| Some(Secret::new(header))).map_err(|_| Unopened)
    }

    /// Whether a stream keeps its header as it was kept before there was a key for secrets.
    pub(in crate::delivery) fn can_seal(&self, stream: &Stream) -> bool {
        stream.push().and_then(|push| push.authorization.as_ref()).is_some_and(|kept| self.sealer.can_seal(kept))
    }

    /// Seals such a header.
    pub(in crate::delivery) fn seal(&self, stream: &mut Stream) -> Result<Changed> {
        let unreadable = |_| Error::new(ErrorKind::Internal, "The authorization header that is kept cannot be opened.");
        let Some(header) = self.authorization(stream).map_err(unreadable)? else { return Ok(Changed::No) };
        let sealed = self.reseal(stream, &header)?;
        if let Method::Push(push) = &mut stream.method {
            push.authorization = Some(sealed);
        }
        Ok(Changed::Yes)
    }

    /// An `Authorization` header as a stream keeps it: as it is kept already, if it is the same.
    pub(in crate::delivery) fn reseal(&self, stream: &Stream, header: &Secret) -> Result<String> {
        if let Ok(Some(kept)) = self.authorization(stream)
            && kept == *header
            && let Some(sealed) = stream.push().and_then(|push| push.authorization.clone())
            && !self.sealer.can_seal(&sealed)
        {
            return Ok(sealed);
        }
        let sealed = self.sealer.seal(&place_of_secret(&stream.id), header.expose().as_bytes());
        sealed.map_err(|_| Error::new(ErrorKind::Internal, "The server failed."))
    }
}

fn record(stream: &Stream, expected: Option<u64>) -> Result<RecordChange, StoreError> {
    let unwritable = |error| StoreError::because(StoreErrorKind::Corrupt, "write a stream", error);
    let body = serde_json::to_string(stream).map_err(unwritable)?;
    Ok(RecordChange { collection: COLLECTION, id: stream.id.to_string(), expected, body: Some(body) })
}

/// A stream that is gone needs no change.
fn unless_gone(changed: Result<Arc<Stream>>) -> Result<()> {
    match changed {
        Err(error) if error.kind != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
