//! Dead letters that are to be sent once more.

use super::sender::Sender;
use crate::base::limits;
use crate::delivery::tail::Tail;
use crate::store::Result;
use crate::store::ledger::{DeadLetter, Logged, Place};
use std::sync::Arc;

impl Sender {
    /// Takes the letters that are marked for it into the window, as many as it has room for.
    pub(super) async fn read_letters(&mut self) {
        // What was settled a moment ago is not to be found marked still.
        self.note(false);
        if let Err(error) = self.take_letters().await {
            tracing::warn!(operation = error.operation, %error, "the dead letters of a stream cannot be read");
            self.be_patient();
        }
    }

    async fn take_letters(&mut self) -> Result<()> {
        // What of other streams cannot be kept now is theirs to try again.
        let _ = self.pushing.persister.flush().await;
        let limit = self.window.room().min(limits::DEAD_LETTERS_READ);
        let read = self.pushing.ledger.dead_letters(&self.stream.id, self.letters.after, limit, true).await?;
        let is_last = read.letters.len() < limit;
        for letter in read.letters {
            let place = letter.place;
            if !self.letters.sent.contains_key(&place) {
                self.take_letter(letter).await?;
            }
            self.letters.after = place;
        }
        if is_last {
            (self.letters.are_due, self.letters.after) = (false, Place(0));
        }
        Ok(())
    }

    async fn take_letter(&mut self, letter: DeadLetter) -> Result<()> {
        let place = letter.place;
        if !self.window.resolved().contains(place) {
            // A replay of the stream comes by it anyway.
            self.letters.sent.insert(place, letter);
            return Ok(());
        }
        if let Some(logged) = logged(&self.pushing.tail, place).await? {
            self.letters.sent.insert(place, letter);
            self.window.replay(logged);
        } else {
            let description = Some("The log no longer holds the event.".to_owned());
            self.changed.push(DeadLetter { retry: false, at: self.pushing.clock.now(), description, ..letter });
            self.has_news = true;
        }
        Ok(())
    }
}

async fn logged(tail: &Tail, place: Place) -> Result<Option<Arc<Logged>>> {
    let part = tail.read(Place(place.0.saturating_sub(1)), 1).await?;
    Ok(part.events.into_iter().next().filter(|logged| logged.place == place))
}
