//! Changes of streams: each is one record, changed if it is still as it was read, and read and tried again if it is not.

use super::{COLLECTION, Streams, place_of_secret};
use crate::base::id::{EventId, StreamId};
use crate::base::limits;
use crate::base::secret::Secret;
use crate::delivery::seal::Unopened;
use crate::delivery::stream::{Gap, Status, Stream};
use crate::scim::error::{Error, ErrorKind, Result};
use crate::store::ledger::RecordChange;
use crate::store::{StoreError, StoreErrorKind};
use std::sync::Arc;

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
    /// Keeps a new stream and returns it; the one that there is, if its id is taken.
    pub(in crate::delivery) async fn create(&self, stream: Stream) -> Result<Arc<Stream>> {
        self.load().await.map_err(|error| error.answer())?;
        if self.get(&stream.id).is_none() {
            // Places of one that had the same id, written after that was deleted, are none of this one's.
            self.ledger.forget(&stream.id).await.map_err(|error| error.answer())?;
            match self.write(&stream, None).await {
                Err(error) if error.kind != StoreErrorKind::Stale => return Err(error.answer()),
                _ => self.load().await.map_err(|error| error.answer())?,
            }
        }
        self.get(&stream.id).ok_or_else(|| not_found(&stream.id))
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
            let written = self.ledger.write_records(vec![change]).await;
            self.load().await.map_err(|error| error.answer())?;
            match written {
                Ok(()) => {
                    self.unpoke(id);
                    return self.ledger.forget(id).await.map_err(|error| error.answer());
                }
                Err(error) if error.kind == StoreErrorKind::Stale => {}
                Err(error) => return Err(error.answer()),
            }
        }
        Err(Error::new(ErrorKind::Unavailable, "Others change the stream all the time; try again."))
    }

    async fn write(&self, stream: &Stream, expected: Option<u64>) -> Result<(), StoreError> {
        let unwritable = |error| StoreError::because(StoreErrorKind::Corrupt, "write a stream", error);
        let body = serde_json::to_string(stream).map_err(unwritable)?;
        let change = RecordChange { collection: COLLECTION, id: stream.id.to_string(), expected, body: Some(body) };
        self.ledger.write_records(vec![change]).await
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

    /// An `Authorization` header as a stream keeps it: as it is kept already, if it is the same.
    pub(in crate::delivery) fn reseal(&self, stream: &Stream, header: &Secret) -> Result<String> {
        if let Ok(Some(kept)) = self.authorization(stream)
            && kept == *header
            && let Some(sealed) = stream.push().and_then(|push| push.authorization.clone())
        {
            return Ok(sealed);
        }
        let sealed = self.sealer.seal(&place_of_secret(&stream.id), header.expose().as_bytes());
        sealed.map_err(|_| Error::new(ErrorKind::Internal, "The server failed."))
    }
}

/// A stream that is gone needs no change.
fn unless_gone(changed: Result<Arc<Stream>>) -> Result<()> {
    match changed {
        Err(error) if error.kind != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
