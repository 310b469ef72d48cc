//! Feeds: reading one after an event, following it, and the stream that each of its pollers has of it.

mod follow;
#[cfg(test)]
mod tests;

use super::stream::{Format, Method, Origin, Status, Stream};
use super::{DEFAULT_FEED, Delivery};
use crate::auth::Caller;
use crate::base::clock::Timestamp;
use crate::base::id::{StreamId, Tenant};
use crate::base::limits;
use crate::event::claims::Tag;
use crate::event::policy::AttributePolicy;
use crate::scim::error::{Error, ErrorKind, Result};
use crate::scim::path::shorten;
use crate::store::ledger::Place;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

pub use follow::{Follower, Told};

/// What a reader asks of a feed.
#[derive(Clone, Copy, Debug)]
pub struct FeedRequest<'a> {
    /// The feed's id.
    pub feed: &'a str,
    /// The `jti` after which to go on; `None` is the beginning.
    pub after: Option<&'a str>,
    /// Most events; `None` is [`limits::FEED_PAGE_DEFAULT_EVENTS`].
    pub limit: Option<usize>,
    /// Claims, or signed SETs.
    pub format: Format,
    /// How long to wait for an event where there is none.
    pub wait: Duration,
}

/// What a feed holds after a cursor.
#[derive(Clone, Debug, PartialEq)]
pub struct FeedPage {
    /// Each event, in order: its claims, or its SET as a text.
    pub sets: Vec<Value>,
    /// Whether the feed holds more.
    pub more_available: bool,
}

/// Where a reader of a feed is.
#[derive(Debug)]
struct Reader {
    /// The feed as a stream that wants everything.
    view: Stream,
    tag: Tag,
    after: Place,
}

impl Delivery {
    /// Whether there is such a feed.
    pub fn feed_exists(&self, feed: &str) -> bool {
        feed == DEFAULT_FEED
    }

    /// The events of a feed after one of them. A `jti` that this feed did not give is 400, one whose event is no longer kept 410:
    /// never a silent replay.
    pub async fn read_feed(&self, caller: &Caller, request: FeedRequest<'_>) -> Result<FeedPage> {
        let mut reader = self.reader(caller, request).await?;
        let limit = request.limit.unwrap_or(limits::FEED_PAGE_DEFAULT_EVENTS).min(limits::FEED_PAGE_EVENTS);
        let mut head = self.tail.head();
        // A client that has just written reads what it wrote.
        self.ledger.settled().await;
        let page = self.page(&mut reader, limit, false).await?;
        if limit == 0 || !page.sets.is_empty() || request.wait.is_zero() {
            return Ok(page);
        }
        let _room = self.polls.room_to_wait()?;
        let until = Instant::now() + request.wait;
        loop {
            tokio::select! {
                () = self.end.closing() => return Ok(page),
                Ok(()) = head.changed() => {
                    let page = self.page(&mut reader, limit, true).await?;
                    if !page.sets.is_empty() {
                        return Ok(page);
                    }
                }
                _ = tokio::time::timeout_at(until, std::future::pending::<()>()) => return Ok(page),
            }
        }
    }

    /// A page; for a reader that waits from the end of the log in memory, so that many of them take one reading of it.
    async fn page(&self, reader: &mut Reader, limit: usize, waits: bool) -> Result<FeedPage> {
        loop {
            let read = if waits { self.tail.read(reader.after, limit).await } else { self.tail.kept(reader.after, limit).await };
            let part = read.map_err(|error| error.answer())?;
            if part.floor > reader.after && reader.after > Place(0) {
                return Err(self.passed(&reader.view, &reader.tag).await?);
            }
            let tell = |event| self.tell(reader, event).transpose();
            let sets = part.events.iter().filter_map(|logged| tell(&logged.event)).collect::<Result<Vec<Value>>>()?;
            // Events of a type that the store does not know cannot be told. A page of them alone would give the reader no cursor to go
            // on from (I5).
            if !sets.is_empty() || !part.more || limit == 0 {
                // A reader that waits goes on behind what it has seen.
                reader.after = if sets.is_empty() && limit > 0 { part.through } else { reader.after };
                return Ok(FeedPage { sets, more_available: part.more });
            }
            reader.after = part.through;
        }
    }

    /// An event as the reader gets it; `None` when it cannot be told.
    fn tell(&self, reader: &Reader, event: &crate::event::Event) -> Result<Option<Value>> {
        let Some(claims) = self.renderer.claims(&reader.view, &reader.tag, event) else { return Ok(None) };
        match reader.view.format {
            Some(Format::Jwt) => self.renderer.encode(&reader.view, &claims).map(|set| Some(set.into())),
            _ => Ok(Some(claims)),
        }
    }

    async fn reader(&self, caller: &Caller, request: FeedRequest<'_>) -> Result<Reader> {
        self.known_feed(request.feed)?;
        let view = feed_view(caller, request.feed, Some(request.format));
        self.renderer.ready(&view).await?;
        let tag = self.renderer.feed_tag(request.feed).await?;
        let after = match request.after {
            None => Place(0),
            Some(jti) => self.place_after(&view, &tag, jti).await?,
        };
        Ok(Reader { view, tag, after })
    }

    /// The place of the event after which a reader goes on.
    async fn place_after(&self, view: &Stream, tag: &Tag, jti: &str) -> Result<Place> {
        let unknown = || Error::invalid_value("Parameter 'after' must be the jti of an event of this feed.");
        let event = tag.event(jti).ok_or_else(unknown)?;
        match self.ledger.place_of(view.tenant(), event).await.map_err(|error| error.answer())? {
            Some(place) => Ok(place),
            None => Err(self.passed(view, tag).await?),
        }
    }

    async fn passed(&self, view: &Stream, tag: &Tag) -> Result<Error> {
        let detail = match self.oldest_kept(view, tag).await? {
            Some(jti) => format!("The event is no longer kept; the oldest one kept is {jti}."),
            None => "The event is no longer kept; the feed is empty.".to_owned(),
        };
        Ok(Error::new(ErrorKind::Gone, detail))
    }

    /// The `jti` of the oldest event that is kept.
    async fn oldest_kept(&self, view: &Stream, tag: &Tag) -> Result<Option<String>> {
        let first = self.ledger.read(view.tenant(), Place(0), 1).await.map_err(|error| error.answer())?;
        Ok(first.events.first().map(|logged| tag.jti(logged.event.id)))
    }

    fn known_feed(&self, feed: &str) -> Result<()> {
        if self.feed_exists(feed) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::NotFound, format!("Feed {} not found.", shorten(feed))))
    }

    /// The stream by which a caller polls a feed (RFC 8936), made when it is first asked for. It begins with the oldest event that is
    /// kept.
    pub(super) async fn implicit_stream(&self, caller: &Caller, feed: &str) -> Result<Arc<Stream>> {
        self.known_feed(feed)?;
        let id = implicit_id(caller.tenant, &caller.principal, feed);
        if let Some(stream) = self.streams.get(&id) {
            return Ok(stream);
        }
        let kept = self.ledger.read(caller.tenant, Place(0), 1).await.map_err(|error| error.answer())?;
        let stream = Stream { id, start: kept.floor.0, created: self.clock.now().0, ..feed_view(caller, feed, None) };
        self.streams.create(stream).await
    }
}

/// `feed-default-…`: one for each caller and feed, whatever characters the caller's name has.
fn implicit_id(tenant: Tenant, principal: &str, feed: &str) -> StreamId {
    let digest = Sha256::digest(format!("{}/{principal}", tenant.0).as_bytes());
    let digest = digest.iter().take(16).fold(String::new(), |text, byte| format!("{text}{byte:02x}"));
    let id = StreamId::parse(&format!("feed-{feed}-{digest}"));
    // A feed whose name no stream can have is hashed too.
    id.unwrap_or_else(|| implicit_id(tenant, &format!("{feed}/{principal}"), "other"))
}

/// A feed as a stream that wants all of it.
fn feed_view(caller: &Caller, feed: &str, format: Option<Format>) -> Stream {
    Stream {
        id: implicit_id(caller.tenant, &caller.principal, feed),
        revision: 0,
        tenant: caller.tenant.0,
        owner: caller.principal.clone(),
        origin: Origin::Feed,
        description: None,
        feeds: vec![feed.to_owned()],
        events_requested: None,
        resource_types: None,
        mode: None,
        attributes: AttributePolicy::default(),
        audience: Vec::new(),
        format,
        algorithm: None,
        method: Method::Poll,
        status: Status::Enabled,
        reason: None,
        start: 0,
        epoch: 0,
        generation: 0,
        verification: None,
        gap: None,
        created: Timestamp(0).0,
    }
}
