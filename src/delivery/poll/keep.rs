//! What is done beside polls: cursors that have moved over other streams' events are kept, and what nobody uses is forgotten.

use super::Polls;
use crate::base::limits;
use crate::delivery::running::End;
use crate::store::ledger::Resolution;
use std::sync::Arc;
use std::time::Duration;

impl Polls {
    /// Works until nothing may be begun any more.
    pub(in crate::delivery) async fn keep(&self, end: &End) {
        let mut ticks = tokio::time::interval(Duration::from_millis(limits::POLL_KEEP_MS));
        loop {
            let is_last = tokio::select! {
                () = end.stopping() => true,
                _ = ticks.tick() => false,
            };
            self.keep_moves();
            if is_last {
                return;
            }
            self.forget_idle();
        }
    }

    /// A cursor that only passes events of others is kept now and then: what is lost of it is read once more, and nothing else.
    pub(super) fn keep_moves(&self) {
        for entry in &self.desks {
            let mut state = entry.value().state();
            let Some(state) = state.as_mut().filter(|state| state.moved) else { continue };
            state.moved = false;
            if self.streams.get(entry.key()).is_none_or(|stream| stream.epoch != state.of.epoch) {
                continue;
            }
            let (stream, places) = (entry.key().clone(), state.window.resolved().clone());
            let epoch = state.of.epoch;
            self.persister.note(Resolution::of(stream, epoch, places));
        }
    }

    /// Streams that are no more, and those that nobody has polled for long.
    fn forget_idle(&self) {
        let idle = Duration::from_millis(limits::POLL_IDLE_MS);
        self.desks.retain(|id, desk| {
            let has_moved = desk.state().as_ref().is_some_and(|state| state.moved);
            let is_unused = Arc::strong_count(desk) == 1 && !has_moved && desk.is_idle(idle);
            self.streams.get(id).is_some() && !is_unused
        });
    }
}
