//! Following a feed: one event after another, as its reader takes them, until the server stops or events are lost.

use super::{FeedRequest, Reader};
use crate::auth::Caller;
use crate::base::limits;
use crate::delivery::Delivery;
use crate::scim::error::Result;
use crate::store::ledger::{Logged, Place};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, watch};

/// A reader that follows a feed. Nothing is read for it before it asks: a slow one holds no more than a page of events.
#[derive(Debug)]
pub struct Follower {
    delivery: Arc<Delivery>,
    reader: Reader,
    head: watch::Receiver<Place>,
    pending: VecDeque<Arc<Logged>>,
    /// Nothing has been read yet.
    is_new: bool,
    is_over: bool,
    _room: OwnedSemaphorePermit,
}

/// What a follower is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// An event.
    Set {
        /// Its `jti`, after which to go on.
        jti: String,
        /// Its claims, or its SET as a text.
        set: Value,
    },
    /// Events were not kept until the reader took them; there is nothing behind this.
    Gone {
        /// The `jti` of the oldest one that is kept, if there is any.
        oldest: Option<String>,
    },
}

impl Delivery {
    /// Follows a feed after an event. `limit` and `wait` of the request say nothing here. Fails when too many readers do.
    pub async fn follow_feed(self: &Arc<Self>, caller: &Caller, request: FeedRequest<'_>) -> Result<Follower> {
        let room = self.polls.room_to_follow()?;
        let reader = self.reader(caller, request).await?;
        let head = self.tail.head();
        let delivery = Arc::clone(self);
        Ok(Follower { delivery, reader, head, pending: VecDeque::new(), is_new: true, is_over: false, _room: room })
    }
}

impl Follower {
    /// The next event, when there is one; `None` when the server stops or cannot go on.
    pub async fn next(&mut self) -> Option<Told> {
        if self.is_over {
            return None;
        }
        let told = self.look().await;
        self.is_over = !matches!(told, Ok(Some(Told::Set { .. })));
        told.unwrap_or_else(|error| {
            tracing::warn!(kind = ?error.kind, "a reader of a feed cannot be told more");
            None
        })
    }

    async fn look(&mut self) -> Result<Option<Told>> {
        loop {
            while let Some(logged) = self.pending.pop_front() {
                self.reader.after = logged.place;
                if let Some(set) = self.delivery.tell(&self.reader, &logged.event)? {
                    return Ok(Some(Told::Set { jti: self.reader.tag.jti(logged.event.id), set }));
                }
            }
            self.head.mark_unchanged();
            let (tail, after, limit) = (&self.delivery.tail, self.reader.after, limits::FEED_FOLLOWED_EVENTS);
            let read = if self.is_new { tail.read_now(after, limit).await } else { tail.read(after, limit).await };
            self.is_new = false;
            let part = read.map_err(|error| error.answer())?;
            if part.floor > self.reader.after && self.reader.after > Place(0) {
                let oldest = self.delivery.oldest_kept(&self.reader.view, &self.reader.tag).await?;
                return Ok(Some(Told::Gone { oldest }));
            }
            self.pending.extend(part.events);
            if self.pending.is_empty() {
                self.reader.after = part.through;
                tokio::select! {
                    biased;
                    () = self.delivery.end.closing() => return Ok(None),
                    Ok(()) = self.head.changed() => {}
                }
            }
        }
    }
}
