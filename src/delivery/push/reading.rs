//! From the log into the window of a push stream.

use super::sender::{End, Sender, core};
use crate::base::limits;
use crate::delivery::stream::Gap;
use crate::store::Place;
use std::time::Duration;
use tokio::time::Instant;

impl Sender {
    /// Reads more of the log into the window.
    pub(super) async fn read_log(&mut self) {
        let scanned = self.window.scanned();
        let limit = self.window.room().min(limits::PUSH_READ_EVENTS);
        let part = match self.pushing.tail.read(scanned, limit).await {
            Ok(part) => part,
            Err(error) => {
                tracing::warn!(operation = error.operation, %error, "the log cannot be read");
                return self.be_patient();
            }
        };
        // What is passed over stays so: it is judged by what the stream wants now, or not at all.
        if self.pushing.streams.get(&self.stream.id).is_none_or(|now| core(&now) != core(&self.stream)) {
            return self.be_patient();
        }
        if part.floor > scanned && !self.is_whole(part.floor).await {
            return;
        }
        let (renderer, stream) = (&self.pushing.renderer, &self.route.stream);
        self.window.offer(&part.events, part.through, |event| renderer.wants(stream, event));
        if self.window.scanned() == scanned {
            self.be_patient();
        }
    }

    /// Whether the stream has lost nothing although the log begins after what was read: what was removed may have been passed over
    /// before, as none of the stream's. Otherwise the stream is to end.
    async fn is_whole(&mut self, floor: Place) -> bool {
        match self.pushing.ledger.resolved(&self.stream.id, self.stream.epoch).await {
            Ok(kept) => self.window.merge(&kept.unwrap_or_default()),
            Err(error) => {
                tracing::warn!(operation = error.operation, %error, "the places of a stream cannot be read");
                self.be_patient();
                return false;
            }
        }
        let places = self.window.resolved().missing(floor);
        if places > 0 {
            self.end = Some(End::Lost(Gap { places, at: self.pushing.clock.now().0 }));
        }
        places == 0
    }

    pub(super) fn be_patient(&mut self) {
        self.patience = Some(Instant::now() + Duration::from_millis(limits::TAIL_RETRY_MS));
    }
}
