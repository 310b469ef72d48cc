//! Room for large answers: how many bytes of them wait for their clients at a time.
//!
//! A client may take long to read what it asked for, and until then the answer is in memory. A small answer needs no room.

use super::BODY_UNIT_BYTES as UNIT_BYTES;
use crate::base::limits;
use crate::scim::error::{Error, ErrorKind, Result};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// All of it.
const UNITS: usize = limits::ANSWER_BYTES_IN_FLIGHT / UNIT_BYTES;

/// The room of a server.
#[derive(Debug)]
pub(super) struct AnswerRoom(Arc<Semaphore>);

impl Default for AnswerRoom {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(UNITS)))
    }
}

impl AnswerRoom {
    /// Takes room for an answer that is about to be made, of about so many bytes. Fails when others leave too little of it.
    pub(super) fn take(&self, bytes: usize) -> Result<Taken<'_>> {
        let mut taken = Taken { room: self, permit: None };
        taken.grow(units(bytes))?;
        Ok(taken)
    }

    /// The same bytes, holding the room that they take until the last of them is gone.
    pub(super) fn hold(&self, answer: Vec<u8>) -> Result<Bytes> {
        self.take(answer.capacity())?.hold(answer)
    }
}

/// Room that an answer will hold.
#[derive(Debug)]
pub(super) struct Taken<'a> {
    room: &'a AnswerRoom,
    permit: Option<OwnedSemaphorePermit>,
}

impl Taken<'_> {
    /// The bytes of the answer, holding the room that they really take until the last of them is gone: hyper keeps what it has not
    /// written yet, and drops the body before.
    pub(super) fn hold(mut self, answer: Vec<u8>) -> Result<Bytes> {
        self.grow(units(answer.capacity()))?;
        // An answer that is smaller than it was thought to be may need none after all.
        let room = self.permit.filter(|_| answer.capacity() > limits::SMALL_ANSWER_BYTES);
        Ok(match room {
            Some(room) => hold_in(room, answer),
            None => answer.into(),
        })
    }

    fn grow(&mut self, units: usize) -> Result<()> {
        let wanted = units.saturating_sub(self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits));
        if wanted == 0 {
            return Ok(());
        }
        let busy = |_| Error::new(ErrorKind::Unavailable, "The server is busy with other large answers; try again.");
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let more = Arc::clone(&self.room.0).try_acquire_many_owned(wanted).map_err(busy)?;
        match &mut self.permit {
            Some(permit) => permit.merge(more),
            None => self.permit = Some(more),
        }
        Ok(())
    }
}

/// The bytes of an answer that has to be given, holding of this room as much as they take of it: a bulk request was performed, and
/// its answer is about as large as its body.
pub(super) fn hold_in(mut room: OwnedSemaphorePermit, answer: Vec<u8>) -> Bytes {
    drop(room.split(room.num_permits().saturating_sub(units(answer.capacity()))));
    Bytes::from_owner(Held { answer, _room: room })
}

/// What an answer of so many bytes takes. One that is larger than all the room takes all of it: it would never be answered else.
fn units(bytes: usize) -> usize {
    if bytes <= limits::SMALL_ANSWER_BYTES { 0 } else { bytes.div_ceil(UNIT_BYTES).min(UNITS) }
}

/// An answer and its room.
struct Held {
    answer: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LARGE: usize = 16 * 1024 * 1024;

    fn left(room: &AnswerRoom) -> usize {
        room.0.available_permits()
    }

    #[test]
    fn a_small_answer_takes_no_room() {
        let room = AnswerRoom::default();
        let _all = room.take(usize::MAX).expect("all of it");
        assert_eq!(left(&room), 0);
        let small = vec![b'x'; limits::SMALL_ANSWER_BYTES];
        assert_eq!(room.hold(small.clone()), Ok(Bytes::from(small)));
    }

    #[test]
    fn a_large_answer_holds_what_it_takes_until_its_last_byte_is_gone() {
        let room = AnswerRoom::default();
        for expected in [0, LARGE / 2, 2 * LARGE] {
            let mut answer = room.take(expected).expect("room").hold(vec![b'x'; LARGE]).expect("room");
            assert_eq!((answer.len(), left(&room)), (LARGE, UNITS - LARGE / UNIT_BYTES), "{expected}");
            let rest = answer.split_off(LARGE - 1);
            drop(answer);
            assert_eq!(left(&room), UNITS - LARGE / UNIT_BYTES);
            drop(rest);
            assert_eq!(left(&room), UNITS);
        }
    }

    #[test]
    fn without_room_an_answer_is_refused_and_takes_nothing() {
        let room = AnswerRoom::default();
        let answers: Vec<Bytes> = (0..16).map(|_| room.hold(vec![b'x'; LARGE]).expect("room")).collect();
        let busy = Error::new(ErrorKind::Unavailable, "The server is busy with other large answers; try again.");
        assert_eq!(room.take(LARGE).err(), Some(busy.clone()));
        assert_eq!(room.take(0).expect("none yet").hold(vec![b'x'; LARGE]), Err(busy));
        drop(answers);
        assert_eq!(left(&room), UNITS);
    }
}
