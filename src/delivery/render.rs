//! From an event to what a receiver gets: claims, and the signed SET.

use super::keys::Keys;
use super::stream::{Format, Stream};
use super::{DEFAULT_FEED, Identity, Settings};
use crate::base::clock::Timestamp;
use crate::base::secret::Entropy;
use crate::event::claims::{Rendering, Tag, claims};
use crate::event::policy::View;
use crate::event::{Event, Kind};
use crate::scim::Object;
use crate::scim::error::Result;
use crate::scim::schema::Registry;
use crate::store::Ledger;
use serde_json::{Value, json};
use std::sync::{Arc, OnceLock};
use tokio::sync::OnceCell;

/// The URI of verification events (SSF §8.1.4.1).
const VERIFICATION: &str = "https://schemas.openid.net/secevent/ssf/event-type/verification";

/// Renders events for streams and feeds.
#[derive(Debug)]
pub(super) struct Renderer {
    registry: Arc<Registry>,
    keys: Arc<Keys>,
    origin: Arc<OnceLock<String>>,
    settings: Settings,
    ledger: Arc<dyn Ledger>,
    entropy: Arc<dyn Entropy>,
    tag_key: OnceCell<[u8; 32]>,
}

impl Renderer {
    pub(super) fn new(
        registry: Arc<Registry>,
        keys: Arc<Keys>,
        origin: Arc<OnceLock<String>>,
        settings: &Settings,
        ledger: Arc<dyn Ledger>,
        entropy: Arc<dyn Entropy>,
    ) -> Self {
        Self { registry, keys, origin, settings: settings.clone(), ledger, entropy, tag_key: OnceCell::new() }
    }

    pub(super) fn identity(&self) -> Identity {
        let listening = || self.origin.get().map_or("http://localhost", String::as_str);
        let origin = self.settings.public_url.as_deref().unwrap_or_else(listening);
        Identity {
            issuer: self.settings.issuer.clone().unwrap_or_else(|| origin.to_owned()),
            base: format!("{origin}{}", self.settings.base_path),
        }
    }

    /// The types and attributes there are.
    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The key of every `jti` of this installation. It is the ledger's, so that it stays.
    async fn tag_key(&self) -> Result<&[u8; 32]> {
        let kept = self.tag_key.get_or_try_init(|| {
            let mut fresh = [0; 32];
            self.entropy.fill(&mut fresh);
            self.ledger.secret("jti", fresh)
        });
        kept.await.map_err(|error| error.answer())
    }

    /// Sees that there is a key for what a stream's receiver gets signed; costs nothing when there is.
    pub(super) async fn ready(&self, stream: &Stream) -> Result<()> {
        match stream.format.unwrap_or(self.settings.format) {
            Format::Json => Ok(()),
            Format::Jwt => self.keys.ensure(stream.algorithm.unwrap_or(self.settings.algorithm)).await,
        }
    }

    /// What makes and checks the `jti`s of a stream. Whoever delivers it asks for this first: it is [ready](Self::ready) then.
    pub(super) async fn tag(&self, stream: &Stream) -> Result<Tag> {
        self.ready(stream).await?;
        Ok(Tag::new(self.tag_key().await?, &format!("stream/{}", stream.id), stream.generation))
    }

    /// What makes and checks the `jti`s of a feed.
    pub(super) async fn feed_tag(&self, feed: &str) -> Result<Tag> {
        Ok(Tag::new(self.tag_key().await?, feed, 0))
    }

    /// The `aud` of a stream.
    pub(super) fn audience(&self, stream: &Stream) -> Vec<String> {
        if !stream.audience.is_empty() {
            return stream.audience.clone();
        }
        let feed = stream.feeds.first().map_or(DEFAULT_FEED, String::as_str);
        vec![self.settings.audience.clone().unwrap_or_else(|| format!("{}/Events/Feeds/{feed}", self.identity().base))]
    }

    /// Whether an event is one of the stream's: its feed, its kind, its type, and something of it that the receiver may see. A resource
    /// comes, goes, and is switched on and off for every receiver.
    pub(super) fn wants(&self, stream: &Stream, event: &Event) -> bool {
        let is_of_type = |names: &Vec<String>| {
            let name = self.registry.name_of(event.subject.kind);
            name.is_some_and(|name| names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)))
        };
        let is_seen = || match event.kind {
            Kind::Put | Kind::Patch => event.attributes.iter().any(|path| stream.attributes.view(path) != View::Nothing),
            Kind::Create | Kind::Delete | Kind::Activate | Kind::Deactivate => true,
        };
        event.subject.tenant == stream.tenant()
            && stream.form(event.kind, self.settings.mode).is_some()
            && stream.resource_types.as_ref().is_none_or(is_of_type)
            && (stream.attributes.is_open() || is_seen())
    }

    /// The claims of an event for a stream; `None` when they cannot be told because nobody knows the type of its subject.
    pub(super) fn claims(&self, stream: &Stream, tag: &Tag, event: &Event) -> Option<Value> {
        let (identity, audience) = (self.identity(), self.audience(stream));
        let rendering = Rendering {
            issuer: &identity.issuer,
            audience: &audience,
            base: &identity.base,
            mode: stream.form(event.kind, self.settings.mode).unwrap_or(self.settings.mode),
            policy: &stream.attributes,
            tag,
        };
        claims(event, &self.registry, rendering)
    }

    /// The verification event that a stream's receiver has yet to acknowledge, as its `jti` and its SET (SSF §8.1.4); `None` when there
    /// is none.
    pub(super) async fn verification(&self, stream: &Stream) -> Result<Option<(String, String)>> {
        let Some(verification) = &stream.verification else { return Ok(None) };
        let jti = self.tag(stream).await?.jti(verification.event_id());
        let state = verification.state.as_ref().map(|state| ("state".to_owned(), Value::from(state.as_str())));
        let payload: Object = state.into_iter().collect();
        let claims = json!({
            "iss": self.identity().issuer,
            "iat": Timestamp(verification.at).seconds(),
            "jti": jti,
            "txn": verification.event,
            "aud": self.audience(stream),
            "sub_id": {"format": "opaque", "id": stream.id.as_str()},
            "events": {VERIFICATION: payload},
        });
        Ok(Some((jti, self.encode(stream, &claims)?)))
    }

    /// Claims as the stream's receiver gets them: signed, or as JSON text where it asked for that.
    pub(super) fn encode(&self, stream: &Stream, claims: &Value) -> Result<String> {
        match stream.format.unwrap_or(self.settings.format) {
            Format::Json => Ok(claims.to_string()),
            Format::Jwt => self.keys.sign(stream.algorithm.unwrap_or(self.settings.algorithm), claims),
        }
    }
}
