//! Streams of the configuration: brought into line with what is kept whenever the server starts. Each keeps its place.

use super::change::Changed;
use super::definition::Definition;
use super::start::Start;
use crate::base::id::{StreamId, Tenant};
use crate::delivery::stream::{Gap, Method, Origin, Status, Stream};
use crate::delivery::{Delivery, KeysError};
use crate::scim::error::{Error, ErrorKind, Result};
use crate::store::{Place, StoreError};
use std::sync::Arc;

/// The stream of `SET_PUSH_URL`.
pub const PUSH_STREAM: &str = "push";

const NO_LONGER: &str = "no longer configured";

/// A stream as the configuration has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configured {
    /// Its name, which is its id.
    pub id: StreamId,
    /// The principal that may poll it.
    pub owner: String,
    /// `aud`; empty is the installation's.
    pub audience: Vec<String>,
    /// Where it begins when it is new.
    pub start: Start,
    /// What it is.
    pub definition: Definition,
}

/// Why delivery does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartFailure {
    /// It runs already: twice it would deliver everything twice.
    #[error("delivery is started already")]
    Twice,
    /// The ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] StoreError),
    /// The signing keys cannot be used.
    #[error("signing keys: {0}")]
    Keys(#[from] KeysError),
    /// A stream of the configuration cannot be as it says.
    #[error("events.streams: {stream}: {detail}")]
    Stream {
        /// Which stream.
        stream: StreamId,
        /// What is wrong with it.
        detail: String,
    },
}

impl Delivery {
    /// Makes the streams of the configuration what it says. One that it no longer names is disabled, and goes on where it was when it is
    /// named again.
    pub(in crate::delivery) async fn reconcile(&self) -> Result<(), StartFailure> {
        for configured in &self.settings.streams {
            let reconciled = self.reconcile_one(configured).await;
            let stream = configured.id.clone();
            reconciled.map_err(|error| StartFailure::Stream { stream, detail: error.detail })?;
        }
        let streams: Vec<Arc<Stream>> = self.streams.watch().borrow().values().cloned().collect();
        for stream in streams.iter().filter(|stream| stream.origin == Origin::Configuration) {
            if self.settings.streams.iter().any(|configured| configured.id == stream.id) {
                continue;
            }
            let disabled = self.streams.change(&stream.id, |stream| {
                if stream.status == Status::Disabled && stream.reason.as_deref() == Some(NO_LONGER) {
                    return Ok(Changed::No);
                }
                (stream.status, stream.reason) = (Status::Disabled, Some(NO_LONGER.to_owned()));
                tracing::warn!(stream = %stream.id, "a stream is no longer configured and is disabled");
                Ok(Changed::Yes)
            });
            let id = stream.id.clone();
            disabled.await.map_err(|error| StartFailure::Stream { stream: id, detail: error.detail })?;
        }
        for stream in streams.iter().filter(|stream| self.streams.can_seal(stream)) {
            let sealed = self.streams.change(&stream.id, |stream| self.streams.seal(stream)).await;
            let id = stream.id.clone();
            sealed.map_err(|error| StartFailure::Stream { stream: id, detail: error.detail })?;
        }
        Ok(())
    }

    async fn reconcile_one(&self, configured: &Configured) -> Result<()> {
        let Configured { id, owner, audience, definition, .. } = configured;
        if self.streams.get(id).is_none() {
            return self.create_configured(configured).await;
        }
        let reconciled = self.streams.change(id, |stream| {
            if stream.origin != Origin::Configuration {
                return Err(Error::new(ErrorKind::Conflict, "there is a stream of this name that the configuration did not make"));
            }
            let before = stream.clone();
            self.define(stream, definition)?;
            // What the file says is the operator's word: it takes no verification.
            stream.verification.clone_from(&before.verification);
            stream.owner.clone_from(owner);
            stream.audience.clone_from(audience);
            if stream.status == Status::Disabled && stream.reason.as_deref() == Some(NO_LONGER) {
                (stream.status, stream.reason) = (Status::Enabled, None);
            }
            Ok(if *stream == before { Changed::No } else { Changed::Yes })
        });
        reconciled.await.map(|_| ())
    }

    async fn create_configured(&self, configured: &Configured) -> Result<()> {
        let Configured { id, owner, audience, start, definition } = configured;
        let tenant = Tenant(0);
        let among: Vec<Arc<Stream>> = self.streams.watch().borrow().values().cloned().collect();
        let (place, gap) = match self.place_of_start(tenant, start, &among).await {
            Err(error) if error.kind == ErrorKind::Gone => {
                let floor = self.floor(tenant).await?;
                tracing::warn!(stream = %id, "the log no longer keeps the events with which a stream was to begin: it begins with the oldest");
                (floor, Some(Gap { places: floor.0, at: self.clock.now().0 }))
            }
            place => (place?, None),
        };
        let mut stream = Stream { gap, ..self.blank(id.clone(), owner.clone(), Origin::Configuration, place) };
        stream.audience.clone_from(audience);
        self.define(&mut stream, definition)?;
        stream.verification = None;
        self.streams.create(stream).await.map(|_| ())
    }

    /// A stream of every event, that is polled.
    pub(in crate::delivery) fn blank(&self, id: StreamId, owner: String, origin: Origin, start: Place) -> Stream {
        Stream {
            id,
            revision: 0,
            tenant: 0,
            owner,
            origin,
            description: None,
            feeds: vec![crate::delivery::DEFAULT_FEED.to_owned()],
            events_requested: None,
            resource_types: None,
            mode: None,
            attributes: crate::event::policy::AttributePolicy::default(),
            audience: Vec::new(),
            format: None,
            algorithm: None,
            method: Method::Poll,
            status: Status::Enabled,
            reason: None,
            start: start.0,
            epoch: 0,
            generation: 0,
            verification: None,
            gap: None,
            created: self.clock.now().0,
        }
    }
}
