//! Signing keys: made when first needed, rotated while everything runs, kept in the ledger (RFC 7517, RFC 7638).
//!
//! Of each algorithm one key signs. A rotation announces the next one in the JWKS long before it signs, and keeps the one before there
//! as long as somebody may hold what it signed.

mod book;
mod pair;
mod ring;
#[cfg(test)]
mod tests;

use super::seal::{Sealer, Unopened};
use super::stream::Algorithm;
use super::{Delivery, Result, Settings};
use crate::base::clock::{Clock, Timestamp};
use crate::base::limits;
use crate::scim::error::{Error, ErrorKind};
use crate::scim::path::shorten;
use crate::store::ledger::RecordChange;
use crate::store::{Ledger, StoreError, StoreErrorKind};
use book::{Book, Key, Sealed};
use ring::{Ring, Signatures, Signer};
use serde_json::Value;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

pub use book::State;

/// The signing keys of this installation.
#[derive(Debug)]
pub(super) struct Keys {
    ledger: Arc<dyn Ledger>,
    clock: Arc<dyn Clock>,
    sealer: Arc<Sealer>,
    /// The algorithm of whoever names none.
    usual: Algorithm,
    /// What signs as HS256, if a secret is configured.
    shared: Option<Arc<Signer>>,
    /// How long a retired key stays in the JWKS, in milliseconds.
    kept_ms: i64,
    /// `None` until the keys have been read.
    ring: RwLock<Option<Arc<Ring>>>,
    /// Held while the keys are read: what was read first never replaces what was read later.
    reading: tokio::sync::Mutex<()>,
    /// Held while a step is planned and made: of many who miss a key at once one makes it.
    changing: tokio::sync::Mutex<()>,
    signatures: Signatures,
}

/// What anybody may know of a signing key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKey {
    /// Its name in headers and in the JWKS: the thumbprint (RFC 7638).
    pub kid: String,
    /// What it signs with.
    pub algorithm: Algorithm,
    /// Where it is in its life.
    pub state: State,
    /// When it was made.
    pub created: Timestamp,
    /// When it is to become active.
    pub activates: Option<Timestamp>,
    /// When it became active.
    pub activated: Option<Timestamp>,
    /// When it was retired.
    pub retired: Option<Timestamp>,
    /// When it leaves the JWKS.
    pub leaves: Option<Timestamp>,
}

/// Why the keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The ledger does not give or take them.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A private key cannot be opened.
    #[error(transparent)]
    Unopened(#[from] Unopened),
    /// What is needed cannot be made, or a record holds what this version does not know.
    #[error("{0}")]
    Unusable(&'static str),
}

impl KeysError {
    /// What a client is told. The inside of it goes to the log, once, here.
    fn answer(&self) -> Error {
        match self {
            Self::Store(error) => error.answer(),
            Self::Unopened(_) | Self::Unusable(_) => {
                tracing::error!(error = %self, "the signing keys cannot be used");
                Error::new(ErrorKind::Internal, "The server failed.")
            }
        }
    }

    fn is_stale(&self) -> bool {
        matches!(self, Self::Store(error) if error.kind == StoreErrorKind::Stale)
    }
}

/// What somebody wants of the keys.
#[derive(Clone, Copy, Debug)]
enum Wish<'a> {
    /// A key of this algorithm signs.
    Ensure(Algorithm),
    /// Another key of this algorithm is to sign: later, or now.
    Rotate(Algorithm, bool),
    /// The key of this kid is to be no more.
    Retire(&'a str),
}

impl Keys {
    pub(super) fn new(ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>, sealer: Arc<Sealer>, settings: &Settings) -> Self {
        let kept = settings.retention.age_ms.saturating_add(1000 * u64::from(limits::JWKS_AGE_SECONDS));
        Self {
            ledger,
            clock,
            sealer,
            usual: settings.algorithm,
            shared: settings.signing_secret.as_ref().map(Signer::of_secret).map(Arc::new),
            kept_ms: i64::try_from(kept).unwrap_or(i64::MAX),
            ring: RwLock::new(None),
            reading: tokio::sync::Mutex::new(()),
            changing: tokio::sync::Mutex::new(()),
            signatures: Signatures::new(),
        }
    }

    /// Signs claims as a SET: compact serialization, with the header `{typ: "secevent+jwt", alg, kid}` (RFC 8417 §2.3). Never `none`.
    /// Fails when the algorithm has no key yet: [`ensure`](Self::ensure) makes one.
    pub(super) fn sign(&self, algorithm: Algorithm, claims: &Value) -> Result<String> {
        let ring = self.ring();
        let signer = match algorithm {
            Algorithm::Hs256 => self.shared.as_ref().ok_or_else(without_secret)?,
            _ => ring.as_ref().and_then(|ring| ring.signer(algorithm)).ok_or_else(|| {
                Error::new(ErrorKind::Unavailable, format!("There is no signing key for {} yet; try again.", algorithm.name()))
            })?,
        };
        signer.sign(claims, &self.signatures).map_err(|_| KeysError::Unusable("the signing key does not sign").answer())
    }

    /// Sees that an algorithm has a key that signs; makes one if it has none. Costs nothing when there is one.
    pub(super) async fn ensure(&self, algorithm: Algorithm) -> Result<()> {
        if algorithm == Algorithm::Hs256 {
            return self.shared.as_ref().map(|_| ()).ok_or_else(without_secret);
        }
        if self.ring().is_some_and(|ring| ring.signer(algorithm).is_some()) {
            return Ok(());
        }
        self.change(Wish::Ensure(algorithm)).await.map(|_| ())
    }

    /// The JWK Set of every key that signs, will sign or has signed (RFC 7517 §5): public members alone, and no shared secret. Who asks
    /// for it wants to verify: the usual algorithm has its key before anything is signed with it.
    pub(super) async fn published(&self) -> Result<Arc<str>> {
        if self.usual != Algorithm::Hs256 {
            self.ensure(self.usual).await?;
        }
        Ok(Arc::clone(&self.known().await?.published))
    }

    /// Every key.
    pub(super) async fn list(&self) -> Result<Vec<SigningKey>> {
        let ring = self.read().await.map_err(|error| error.answer())?;
        Ok(ring.book.keys().iter().map(SigningKey::of).collect())
    }

    /// A new key for an algorithm. It is in the JWKS at once, and signs when every receiver that keeps to `max-age` knows it; with
    /// `now` it signs at once, or the one that is announced already does.
    pub(super) async fn rotate(&self, algorithm: Option<Algorithm>, now: bool) -> Result<()> {
        let algorithm = algorithm.unwrap_or(self.usual);
        if algorithm == Algorithm::Hs256 {
            return Err(Error::invalid_value("HS256 signs with the configured secret: set another SET_SIGNING_SECRET instead."));
        }
        let ring = self.change(Wish::Rotate(algorithm, now)).await?;
        let kid = |state| ring.book.of(algorithm, state).map(|key| key.kid.as_str());
        tracing::info!(algorithm = algorithm.name(), active = kid(State::Active), next = kid(State::Next), "signing keys rotated");
        Ok(())
    }

    /// A key leaves the JWKS at once, as when its private half is known to others. If it signed, the next key does from now on, or a new
    /// one; what is delivered again is signed anew.
    pub(super) async fn retire(&self, kid: &str) -> Result<()> {
        self.change(Wish::Retire(kid)).await?;
        tracing::warn!(kid, "signing key taken out of use");
        Ok(())
    }

    /// Follows the ledger, and takes the steps that are due, until it is dropped.
    pub(super) async fn follow(&self) {
        let mut changed = self.ledger.records_changed();
        loop {
            changed.mark_unchanged();
            if let Err(error) = self.keep().await {
                tracing::warn!(%error, "the signing keys cannot be read or changed; those known before stay in use");
            }
            let patience = Duration::from_millis(limits::KEYS_PATIENCE_MS);
            if let Ok(Err(_)) = tokio::time::timeout(patience, changed.changed()).await {
                return;
            }
        }
    }

    /// Reads the keys, and takes the steps that are due.
    pub(super) async fn keep(&self) -> Result<(), KeysError> {
        let ring = self.read().await?;
        for step in ring.book.due(self.clock.now(), self.kept_ms) {
            if self.take(step).await? {
                tracing::info!("signing keys rotated, as was due");
            }
        }
        self.seal().await
    }

    /// Seals the private keys that were kept before there was a key for secrets.
    async fn seal(&self) -> Result<(), KeysError> {
        // What is left is sealed the next time.
        for _ in 0..limits::REPLANS {
            let ring = self.read().await?;
            let is_open = |key: &&Key| key.private.as_ref().is_some_and(|kept| self.sealer.can_seal(kept));
            let Some(key) = ring.book.keys().iter().find(is_open) else { return Ok(()) };
            let place = ring::place(&key.kid);
            let private = self.sealer.open(&place, key.private.as_deref().unwrap_or_default())?;
            if self.take(ring.book.reseal(key, self.sealer.seal(&place, &private)?)).await? {
                tracing::info!(kid = key.kid, "a signing key is sealed now");
            }
        }
        Ok(())
    }

    /// Takes a step that is due; `false` when another node was first, with this step or another.
    async fn take(&self, step: Vec<RecordChange>) -> Result<bool, KeysError> {
        match self.ledger.write_records(step).await {
            Err(error) if error.kind == StoreErrorKind::Stale => Ok(false),
            written => Ok(written.map(|()| true)?),
        }
    }

    /// Makes one step: reads the keys, plans on what is there, and writes all of it or nothing. When another step came between, it is
    /// planned anew.
    async fn change(&self, wish: Wish<'_>) -> Result<Arc<Ring>> {
        let _only = self.changing.lock().await;
        let mut tried = Ok(());
        for _ in 0..limits::REPLANS {
            let ring = self.read().await.map_err(|error| error.answer())?;
            let Some(step) = self.plan(wish, &ring.book).await? else { return Ok(ring) };
            tried = self.ledger.write_records(step).await.map_err(KeysError::from);
            match &tried {
                Ok(()) => return self.read().await.map_err(|error| error.answer()),
                Err(error) if error.is_stale() => {}
                Err(error) => return Err(error.answer()),
            }
        }
        tried.map_err(|error| error.answer())?;
        self.known().await
    }

    /// The step that makes a wish true; `None` when it is true already.
    async fn plan(&self, wish: Wish<'_>, book: &Book) -> Result<Option<Vec<RecordChange>>> {
        let at = self.clock.now();
        match wish {
            Wish::Ensure(algorithm) if book.of(algorithm, State::Active).is_some() => Ok(None),
            Wish::Ensure(algorithm) => Ok(Some(book.begin(self.fresh(algorithm).await?, at, self.kept_ms))),
            Wish::Rotate(algorithm, now) => match (book.of(algorithm, State::Active), book.of(algorithm, State::Next)) {
                (Some(_), Some(next)) if !now => Err(announced(next)),
                (_, Some(next)) => Ok(Some(book.activate(next, at, self.kept_ms))),
                (Some(_), None) if !now => {
                    let activates = at.0.saturating_add(2000 * i64::from(limits::JWKS_AGE_SECONDS));
                    Ok(Some(book.announce(self.fresh(algorithm).await?, at, Timestamp(activates))))
                }
                (_, None) => Ok(Some(book.begin(self.fresh(algorithm).await?, at, self.kept_ms))),
            },
            Wish::Retire(kid) => {
                let not_found = || Error::new(ErrorKind::NotFound, format!("Signing key {} not found.", shorten(kid)));
                let key = book.key(kid).ok_or_else(not_found)?;
                match book.remove(key, None, at) {
                    Some(step) => Ok(Some(step)),
                    None => Ok(book.remove(key, Some(self.fresh(key.algorithm).await?), at)),
                }
            }
        }
    }

    /// Makes a key and seals it, on a thread where it may take its time.
    async fn fresh(&self, algorithm: Algorithm) -> Result<Sealed> {
        let unusable = || KeysError::Unusable("a signing key cannot be made").answer();
        let fresh = tokio::task::spawn_blocking(move || pair::generate(algorithm)).await.map_err(|_| unusable())?;
        let fresh = fresh.map_err(|_| unusable())?;
        let private =
            self.sealer.seal(&ring::place(&fresh.kid), &fresh.private).map_err(|error| KeysError::from(error).answer())?;
        Ok(Sealed::new(algorithm, fresh, private))
    }

    /// Reads the keys from the ledger.
    async fn read(&self) -> Result<Arc<Ring>, KeysError> {
        let _only = self.reading.lock().await;
        let rings = self.ledger.records(book::RINGS).await?;
        let keys = self.ledger.records(book::KEYS).await?;
        let book = Book::read(&rings, keys).map_err(|_| KeysError::Unusable("a kept signing key cannot be read"))?;
        let before = self.ring();
        if let Some(ring) = before.as_ref().filter(|ring| ring.book == book) {
            return Ok(Arc::clone(ring));
        }
        let ring = Arc::new(Ring::new(book, &self.sealer, before.as_deref())?);
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&ring));
        Ok(ring)
    }

    /// The keys as they were read last; reads them if they never were.
    async fn known(&self) -> Result<Arc<Ring>> {
        match self.ring() {
            Some(ring) => Ok(ring),
            None => self.read().await.map_err(|error| error.answer()),
        }
    }

    fn ring(&self) -> Option<Arc<Ring>> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn without_secret() -> Error {
    Error::invalid_value("HS256 is not available: the server has no SET_SIGNING_SECRET.")
}

fn announced(next: &Key) -> Error {
    let at = Timestamp(next.activates.unwrap_or_default());
    let detail = format!("The key {} is announced already and becomes active at {at}; with now it does at once.", next.kid);
    Error::new(ErrorKind::Conflict, detail)
}

impl SigningKey {
    fn of(key: &Key) -> Self {
        Self {
            kid: key.kid.clone(),
            algorithm: key.algorithm,
            state: key.state,
            created: Timestamp(key.created),
            activates: key.activates.map(Timestamp),
            activated: key.activated.map(Timestamp),
            retired: key.retired.map(Timestamp),
            leaves: key.leaves.map(Timestamp),
        }
    }
}

impl Delivery {
    /// Reads the signing keys, so that what is wrong with them is known at the start: above all a `SECRETS_KEY` that does not open them.
    pub async fn open_keys(&self) -> Result<(), KeysError> {
        self.keys.read().await.map(|_| ())
    }

    /// The JWK Set that receivers verify with, as JSON text.
    pub async fn published_keys(&self) -> Result<Arc<str>> {
        self.keys.published().await
    }

    /// Every signing key.
    pub async fn signing_keys(&self) -> Result<Vec<SigningKey>> {
        self.keys.list().await
    }

    /// Rotates the keys of an algorithm; without one, of the usual algorithm. Returns every key. 409 when a key is announced already.
    pub async fn rotate_keys(&self, algorithm: Option<Algorithm>, now: bool) -> Result<Vec<SigningKey>> {
        self.keys.rotate(algorithm, now).await?;
        self.keys.list().await
    }

    /// Takes a key out of use at once. Returns every key that is left. 404 when there is none of this kid.
    pub async fn retire_key(&self, kid: &str) -> Result<Vec<SigningKey>> {
        self.keys.retire(kid).await?;
        self.keys.list().await
    }
}
