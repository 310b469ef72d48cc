//! Reading a feed after an event: the log, rendered for the feed's audience.

use super::{Engine, failure};
use crate::auth::Caller;
use crate::base::limits;
use crate::event::claims::{Rendering, Tag, claims};
use crate::scim::error::{Error, ErrorKind, Result};
use crate::store::Place;
use crate::store::ledger::is_full;
use serde_json::Value;

/// The feed of every resource.
pub const DEFAULT_FEED: &str = "default";

/// What a reader asks of a feed.
#[derive(Clone, Copy, Debug)]
pub struct FeedRequest<'a> {
    /// The feed's id.
    pub feed: &'a str,
    /// The `jti` after which to go on; `None` is the beginning.
    pub after: Option<&'a str>,
    /// Most events.
    pub limit: Option<usize>,
    /// The base of absolute URIs, without a trailing slash.
    pub base: &'a str,
    /// The same without the base path: the issuer, unless the operator named one.
    pub origin: &'a str,
}

/// What a feed holds after a cursor.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedPage {
    /// The claims of each event, in order.
    pub sets: Vec<Value>,
    /// Whether the feed holds more.
    pub more_available: bool,
}

impl Engine {
    /// The events of a feed after one of them. A `jti` that this feed did not give is 400, one whose event is no longer kept 410:
    /// never a silent replay.
    pub async fn read_feed(&self, caller: &Caller, request: FeedRequest<'_>) -> Result<FeedPage> {
        if request.feed != DEFAULT_FEED {
            return Err(Error::new(ErrorKind::NotFound, "Feed not found."));
        }
        let tag = self.feed_tag(request.feed).await?;
        let after = match request.after {
            None => Place::default(),
            Some(jti) => self.place_after(caller, &tag, jti).await?,
        };
        let limit = request.limit.unwrap_or(limits::FEED_PAGE_DEFAULT_EVENTS).min(limits::FEED_PAGE_EVENTS);
        let audience = format!("{}/Events/Feeds/{}", request.base, request.feed);
        let rendering = Rendering {
            issuer: self.switches.issuer.as_deref().unwrap_or(request.origin),
            audience: self.switches.audience.as_deref().unwrap_or(&audience),
            base: request.base,
            mode: self.switches.event_mode,
            tag: &tag,
        };
        let mut after = after;
        loop {
            let mut logged = self.ledger.read(caller.tenant, after, limit + 1).await.map_err(|error| failure(&error))?;
            let more_available = logged.len() > limit || is_full(&logged);
            logged.truncate(limit);
            let sets: Vec<Value> = logged.iter().filter_map(|logged| claims(&logged.event, &self.registry, rendering)).collect();
            // Events of a type that the store does not know cannot be told. A page of them alone would give the reader no cursor to
            // go on from (I5).
            match logged.last() {
                Some(last) if sets.is_empty() && more_available => after = last.place,
                _ => return Ok(FeedPage { sets, more_available }),
            }
        }
    }

    /// The place of the event after which a reader goes on.
    async fn place_after(&self, caller: &Caller, tag: &Tag, jti: &str) -> Result<Place> {
        let event =
            tag.event(jti).ok_or_else(|| Error::invalid_value("Parameter 'after' must be the jti of an event of this feed."))?;
        let place = self.ledger.place_of(caller.tenant, event).await.map_err(|error| failure(&error))?;
        match place {
            Some(place) => Ok(place),
            None => Err(Error::new(ErrorKind::Gone, self.oldest(caller, tag).await?)),
        }
    }

    async fn oldest(&self, caller: &Caller, tag: &Tag) -> Result<String> {
        let first = self.ledger.read(caller.tenant, Place::default(), 1).await.map_err(|error| failure(&error))?;
        Ok(match first.first() {
            Some(logged) => format!("The event is no longer kept; the oldest one kept is {}.", tag.jti(logged.event.id)),
            None => "The event is no longer kept; the feed is empty.".to_owned(),
        })
    }

    async fn feed_tag(&self, feed: &str) -> Result<Tag> {
        Ok(Tag::new(self.kept_key("jti", &self.tag_key).await?, feed, 0))
    }
}
