//! Where the transmitter's keys come from, and for how long they are good.

use super::fetch::{self, Fetched};
use super::progress::Reporter;
use super::verify::{Header, Keys};
use crate::base::limits;
use reqwest::Url;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// Where keys come from.
#[derive(Debug)]
pub(super) enum Source {
    /// A secret that both sides hold, or no key at all because nothing is verified.
    Fixed(Arc<Keys>),
    /// A JWK set in a file.
    File(PathBuf),
    /// A JWK set at an address.
    Address(Url),
}

/// The transmitter's keys. A JWK set is read when the first SET wants it, again when its time is up, and once more when a SET names
/// a key that is not in it, but not more often than every [`limits::RECEIVE_REFETCH_MS`].
#[derive(Debug)]
pub(super) struct Ring {
    source: Source,
    client: reqwest::Client,
    reporter: Arc<Reporter>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    keys: Arc<Keys>,
    fetched: Option<Instant>,
    fresh_until: Option<Instant>,
    /// When the set may be asked for again.
    next_try: Option<Instant>,
}

/// Nobody can say now whether the SET is good: it has to come again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unavailable;

impl Ring {
    /// A ring that has read nothing yet.
    pub(super) fn new(source: Source, client: reqwest::Client, reporter: Arc<Reporter>) -> Self {
        Self { source, client, reporter, state: Mutex::default() }
    }

    /// The keys to verify a SET of this header with. When they hold none that fits, none exists: they were read for this SET.
    pub(super) async fn keys_for(&self, header: &Header) -> Result<Arc<Keys>, Unavailable> {
        if let Source::Fixed(keys) = &self.source {
            return Ok(Arc::clone(keys));
        }
        let mut state = self.state.lock().await;
        let now = Instant::now();
        let known = state.keys.knows(header);
        if known && state.fresh_until.is_some_and(|until| now < until) {
            return Ok(Arc::clone(&state.keys));
        }
        if state.next_try.is_none_or(|next| now >= next) && self.fetch(&mut state).await {
            return Ok(Arc::clone(&state.keys));
        }
        // Keys whose time is up serve on while their address does not answer, but not for ever: one of them may be revoked.
        let longest = Duration::from_secs(limits::RECEIVE_STALE_KEYS_SECONDS);
        let is_usable = known && state.fetched.is_some_and(|fetched| now.duration_since(fetched) < longest);
        if is_usable { Ok(Arc::clone(&state.keys)) } else { Err(Unavailable) }
    }

    async fn fetch(&self, state: &mut State) -> bool {
        let found = match &self.source {
            Source::Fixed(_) => return true,
            Source::File(path) => match tokio::fs::read(path).await {
                Ok(text) => Ok(Fetched { body: text, max_age: None }),
                Err(error) => Err(error.to_string()),
            },
            Source::Address(url) => fetch::document(&self.client, url, limits::RECEIVE_KEY_SET_BYTES).await,
        };
        let now = Instant::now();
        let read = found.and_then(|fetched| Ok((Keys::of_jwks(&fetched.body)?, fetched.max_age)));
        let wait_ms = if read.is_ok() { limits::RECEIVE_REFETCH_MS } else { limits::RECEIVE_REFETCH_FAILED_MS };
        state.next_try = Some(now + Duration::from_millis(wait_ms));
        match read {
            Ok((keys, max_age)) => {
                let age = max_age.unwrap_or(limits::RECEIVE_KEY_SET_SECONDS).min(limits::RECEIVE_STALE_KEYS_SECONDS);
                let age = Duration::from_secs(age).max(Duration::from_millis(limits::RECEIVE_REFETCH_MS));
                *state = State { keys: Arc::new(keys), fetched: Some(now), fresh_until: Some(now + age), next_try: state.next_try };
                true
            }
            Err(error) => {
                self.reporter.note(&format!("the keys cannot be read: {error}"));
                false
            }
        }
    }
}
