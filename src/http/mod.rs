//! F5: HTTP, thin: extract, call the engine, respond.

mod bulk;
mod directives;
mod discovery;
mod docs;
mod extract;
mod feeds;
mod feeds_live;
mod health;
mod keys;
mod log;
mod me;
mod metrics;
mod parameters;
mod poll;
mod preferences;
mod proxy;
mod resources;
mod respond;
mod room;
#[cfg(test)]
mod route_tests;
mod router;
mod search;
mod server;
mod streams;
mod survive;
mod table;
#[cfg(test)]
mod tests;
mod unread;

use crate::auth::Authenticator;
use crate::base::limits::{self, Limits};
use crate::delivery::Delivery;
use crate::engine::Engine;
use crate::event::Mode;
use crate::scim::error::{Error, ErrorKind, Result};
use ipnet::IpNet;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Semaphore;

pub use log::current_request_id;
pub use proxy::path_prefix;
pub use resources::PatchAnswer;
pub use respond::named;
pub use router::router;
pub use server::serve;

/// The media type of every SCIM message (RFC 7644 §3.1).
const SCIM_JSON: &str = "application/scim+json";

/// What every handler shares.
#[derive(Debug)]
pub struct Context {
    /// The use cases.
    pub engine: Engine,
    /// What delivers events.
    pub delivery: Arc<Delivery>,
    /// Who may call them.
    pub authenticator: Authenticator,
    /// Where and how they are served.
    pub surface: Surface,
    /// The public URL with the base path.
    public_base: Option<Arc<str>>,
    openapi: docs::OpenApi,
    stopping: AtomicBool,
    request_ids: log::RequestIds,
    requests: metrics::Requests,
    /// Room for request bodies, in units of [`BODY_UNIT_BYTES`].
    room: Arc<Semaphore>,
    answers: room::AnswerRoom,
}

/// In what steps the room for bodies is counted.
const BODY_UNIT_BYTES: usize = 4096;

/// Where and how the use cases are served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surface {
    /// The prefix of every SCIM endpoint: empty, or `/scim/v2`. No slash at its end.
    pub base_path: String,
    /// The base of absolute URIs, without the base path and without a slash at its end; `None` is what trusted proxies say, or the
    /// request's Host.
    pub public_url: Option<String>,
    /// Whether `/` is the interactive page.
    pub page: Page,
    /// Where proxies are whose `Forwarded` and `X-Forwarded-*` headers count; without any those headers are not looked at.
    pub trusted_proxies: Vec<IpNet>,
    /// What a PATCH is answered with.
    pub patch_answer: PatchAnswer,
    /// Time between saying that the server is not ready and closing the listener, in milliseconds.
    pub shutdown_delay_ms: u64,
    /// What the discovery endpoints say of events.
    pub event_mode: Mode,
    /// Whether `/metrics` needs no credential.
    pub metrics_public: bool,
    /// How much and how long.
    pub limits: Limits,
}

/// Whether `/` is the interactive page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Page {
    /// It is.
    #[default]
    Served,
    /// It is not, and its files are not served either.
    Off,
}

impl Context {
    /// Handlers over these use cases, for these callers.
    pub fn new(engine: Engine, delivery: Arc<Delivery>, authenticator: Authenticator, surface: Surface) -> Self {
        let public_base = surface.public_url.as_ref().map(|url| format!("{url}{}", surface.base_path).into());
        metrics::start();
        Self {
            requests: metrics::Requests::default(),
            request_ids: log::RequestIds::new(engine.ids()),
            engine,
            delivery,
            authenticator,
            surface,
            public_base,
            openapi: docs::OpenApi::default(),
            stopping: AtomicBool::new(false),
            room: Arc::new(Semaphore::new(limits::BODY_BYTES_IN_FLIGHT / BODY_UNIT_BYTES)),
            answers: room::AnswerRoom::default(),
        }
    }

    /// From now on `/ready` says no.
    fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Bounds the time of an answer by [`Limits::request_ms`].
    async fn within<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let milliseconds = self.surface.limits.request_ms;
        tokio::time::timeout(Duration::from_millis(milliseconds), work).await.unwrap_or_else(|_| {
            let detail = format!("The request took longer than {milliseconds} milliseconds; a write may still take effect.");
            Err(Error::new(ErrorKind::Unavailable, detail))
        })
    }
}

/// A router's state from which the extractors reach the [`Context`].
trait Shared {
    fn context(&self) -> &Context;
}

impl Shared for Arc<Context> {
    fn context(&self) -> &Context {
        self
    }
}
