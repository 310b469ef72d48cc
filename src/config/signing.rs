//! How events are signed, and what seals the secrets that are kept.

use super::keys;
use super::reader::Reader;
use crate::base::secret::Secret;
use crate::delivery::stream::Algorithm;

/// Shortest secret of HS256, in bytes: as long as its digest (RFC 7518 §3.2).
const SECRET_BYTES: usize = 32;

/// What is said of signing.
pub(super) struct Signing {
    /// The algorithm of streams that say nothing.
    pub(super) algorithm: Algorithm,
    /// The secret of HS256.
    pub(super) secret: Option<Secret>,
    /// What seals the secrets that are kept.
    pub(super) secrets_key: Option<Secret>,
}

/// A secret without an algorithm means HS256, which needs one. Beside another algorithm it serves streams that ask for HS256.
pub(super) fn signing(reader: &mut Reader) -> Signing {
    let expected = Algorithm::ALL.map(Algorithm::name).join(", ");
    let named = |text: &str| Algorithm::ALL.into_iter().find(|algorithm| algorithm.name() == text);
    let algorithm = reader.parsed("SET_SIGNING_ALGORITHM", &format!("one of {expected}"), named);
    let secret = keys::secret(reader, "SET_SIGNING_SECRET");
    let is_short = |secret: &Secret| secret.expose().len() < SECRET_BYTES;
    if secret.as_ref().is_some_and(is_short) {
        reader.problem(format!("SET_SIGNING_SECRET: expected a secret of {SECRET_BYTES} bytes or more"));
    }
    if algorithm == Some(Algorithm::Hs256) && secret.is_none() {
        reader.problem("SET_SIGNING_ALGORITHM is HS256: expected SET_SIGNING_SECRET or SET_SIGNING_SECRET_FILE too".into());
    }
    let usual = if secret.is_some() { Algorithm::Hs256 } else { Algorithm::default() };
    Signing { algorithm: algorithm.unwrap_or(usual), secret, secrets_key: keys::secret(reader, "SECRETS_KEY") }
}
