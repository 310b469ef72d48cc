//! F4: from the log to the receivers. Each stream reads the log from its own cursor; SETs are rendered and signed on the way out.
//!
//! Nothing is queued anywhere but in the log: what a stream has not resolved it reads again, after a restart too (I4, I5).

#[cfg(test)]
mod counted;
mod feed;
#[cfg(test)]
mod house;
mod keys;
mod observe;
mod persist;
mod poll;
pub mod push;
mod render;
mod retention;
mod running;
pub mod seal;
pub mod stream;
mod streams;
mod tail;
mod window;

use crate::base::clock::Clock;
use crate::base::crypto::install_crypto;
use crate::base::id::{Ids, Tenant};
use crate::base::secret::{Entropy, Secret};
use crate::event::Mode;
use crate::scim::error::Result;
use crate::scim::schema::Registry;
use crate::store::Ledger;
use ipnet::IpNet;
use keys::Keys;
pub use keys::{KeysError, SigningKey, State as KeyState};
use observe::Observed;
use persist::Persister;
use poll::Polls;
use push::{Pushing, Tools};
use render::Renderer;
use running::End;
use seal::Sealer;
use std::sync::{Arc, OnceLock};
use stream::{Algorithm, Format};
use streams::Streams;
use tail::Tail;

pub use feed::{FeedPage, FeedRequest, Follower, Told};
pub use observe::{Observation, ObservedStream};
pub use poll::{Offer, PollAnswer, PollRequest, SetError};
pub use retention::Retention;
pub use running::Running;
pub use streams::{
    Authorization, Configured, Definition, Endpoint, Fault, PUSH_STREAM, Receiving, Rules, Start, StartFailure, audience,
};

/// The feed of every resource.
pub const DEFAULT_FEED: &str = "default";

/// What is wrong with streams of an installation that has no name.
pub const UNNAMED: &str = "PUBLIC_URL and SET_ISSUER are not set: `iss` of events is where the server listens, and changes with it";

/// What delivery is made of.
#[derive(Debug)]
pub struct Parts {
    /// What holds events, and what delivery keeps.
    pub ledger: Arc<dyn Ledger>,
    /// The types under the codes of the ledger's store.
    pub registry: Arc<Registry>,
    /// The source of time.
    pub clock: Arc<dyn Clock>,
    /// The source of identifiers.
    pub ids: Arc<dyn Ids>,
    /// The source of keys.
    pub entropy: Arc<dyn Entropy>,
    /// What the operator decided.
    pub settings: Settings,
}

/// What the operator decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `iss` of events; the public origin when it is not set.
    pub issuer: Option<String>,
    /// `aud` of the events of feeds, and of streams without one; the feed's URI when it is not set.
    pub audience: Option<String>,
    /// Whether events hold data, where a stream says nothing.
    pub mode: Mode,
    /// The format of streams that say nothing.
    pub format: Format,
    /// The algorithm of streams that say nothing.
    pub algorithm: Algorithm,
    /// The secret of HS256.
    pub signing_secret: Option<Secret>,
    /// What seals the secrets that are kept; without it they are kept as they are.
    pub secrets_key: Option<Secret>,
    /// Whether only https will do for the URLs of receivers; `None`: but for those of this machine.
    pub push_require_tls: Option<bool>,
    /// No stream may be polled.
    pub poll_disabled: bool,
    /// The streams of the configuration.
    pub streams: Vec<Configured>,
    /// How much of the log is kept.
    pub retention: Retention,
    /// Networks that streams made by request may be pushed to although they are not public, on any port.
    pub push_allow: Vec<IpNet>,
    /// Ports that streams made by request may be pushed to, beside 443 and 8443.
    pub push_ports: Vec<u16>,
    /// Certificate authorities of receivers beside the system's, PEM.
    pub push_authorities: Option<Vec<u8>>,
    /// The prefix of every SCIM endpoint, without a slash at its end.
    pub base_path: String,
    /// The public URL without the base path, if one is configured.
    pub public_url: Option<String>,
}

impl Settings {
    /// The algorithms that a stream can ask for: HS256 only with a secret.
    fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        let has_secret = self.signing_secret.is_some();
        Algorithm::ALL.into_iter().filter(move |algorithm| has_secret || *algorithm != Algorithm::Hs256)
    }

    /// What of them is about pushing.
    pub fn push(&self) -> push::Settings {
        push::Settings {
            allow: self.push_allow.clone(),
            ports: self.push_ports.clone(),
            require_tls: self.push_require_tls,
            authorities: self.push_authorities.clone(),
        }
    }
}

/// How this installation names itself in events. It is the same for every request, whatever its Host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `iss`
    pub issuer: String,
    /// The base of absolute URIs: the public URL with the base path, without a slash at its end.
    pub base: String,
}

/// Everything that delivers.
#[derive(Debug)]
pub struct Delivery {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    settings: Settings,
    /// This node, unlike any other and unlike itself after a restart.
    node: String,
    /// Where the server listens: the origin where no public URL is configured.
    origin: Arc<OnceLock<String>>,
    tail: Arc<Tail>,
    keys: Arc<Keys>,
    streams: Arc<Streams>,
    renderer: Arc<Renderer>,
    persister: Arc<Persister>,
    pushing: Arc<Pushing>,
    polls: Arc<Polls>,
    end: End,
    observed: Observed,
}

impl Delivery {
    /// Ends when the log is no longer the one that is delivered, and the process has to begin anew. Returns what was seen.
    pub async fn set_back(&self) -> String {
        self.ledger.set_back().await
    }

    /// Puts it together. Nothing is delivered until it is started.
    pub fn new(parts: Parts) -> Self {
        install_crypto();
        let Parts { ledger, registry, clock, ids, entropy, settings } = parts;
        let origin = Arc::new(OnceLock::new());
        let node = ids.next().to_string();
        let sealer = Arc::new(Sealer::new(settings.secrets_key.as_ref(), Arc::clone(&entropy)));
        let keys = Arc::new(Keys::new(Arc::clone(&ledger), Arc::clone(&clock), Arc::clone(&sealer), &settings));
        let streams = Arc::new(Streams::new(Arc::clone(&ledger), sealer));
        let random = Arc::clone(&entropy);
        let renderer = Renderer::new(registry, Arc::clone(&keys), Arc::clone(&origin), &settings, Arc::clone(&ledger), random);
        let renderer = Arc::new(renderer);
        let tail = Arc::new(Tail::new(Arc::clone(&ledger), Tenant(0)));
        let persister = Arc::new(Persister::new(Arc::clone(&ledger)));
        let pushing = Arc::new(Pushing::new(Tools {
            ledger: Arc::clone(&ledger),
            clock: Arc::clone(&clock),
            entropy,
            tail: Arc::clone(&tail),
            streams: Arc::clone(&streams),
            renderer: Arc::clone(&renderer),
            persister: Arc::clone(&persister),
            settings: settings.push(),
            format: settings.format,
            node: node.clone(),
        }));
        let polls = Arc::new(Polls::new(&ledger, &clock, &tail, &streams, &renderer, &persister));
        Self {
            ledger,
            clock,
            ids,
            settings,
            node,
            origin,
            tail,
            keys,
            streams,
            renderer,
            persister,
            pushing,
            polls,
            end: End::default(),
            observed: Observed::default(),
        }
    }

    /// Says where the server listens, such as `http://127.0.0.1:8000`: the origin of its URIs, unless a public URL is configured. Only
    /// the first call counts.
    pub fn listens_at(&self, origin: &str) {
        let _ = self.origin.set(origin.to_owned());
    }

    /// The algorithms that a stream's events can be signed with.
    pub fn algorithms(&self) -> Vec<Algorithm> {
        self.settings.algorithms().collect()
    }

    /// How this installation names itself.
    pub fn identity(&self) -> Identity {
        self.renderer.identity()
    }
}
