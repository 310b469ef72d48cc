//! Secrets that have to be kept readable, such as a receiver's authorization header: sealed when a key is configured.

use crate::base::secret::{Entropy, Secret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;

const NONCE_BYTES: usize = 24;
const SEALED: &str = "sealed:";
const PLAIN: &str = "plain:";

/// Seals and opens what is kept (XChaCha20-Poly1305). Without a key it is kept as it is, in files that only their owner can read.
pub struct Sealer {
    cipher: Option<XChaCha20Poly1305>,
    entropy: Arc<dyn Entropy>,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Sealer(…)")
    }
}

/// What was sealed cannot be opened: the key is another one, or it was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a kept secret cannot be opened: SECRETS_KEY is missing, or not the key it was sealed with")]
pub struct Unopened;

impl Sealer {
    /// A sealer under the digest of a configured key.
    pub fn new(key: Option<&Secret>, entropy: Arc<dyn Entropy>) -> Self {
        let cipher = key.map(|key| {
            let digest: [u8; 32] = Sha256::digest(key.expose().as_bytes()).into();
            XChaCha20Poly1305::new(&Key::from(digest))
        });
        Self { cipher, entropy }
    }

    /// Seals a secret for one place: it cannot be opened as the secret of another.
    pub fn seal(&self, place: &str, secret: &[u8]) -> Result<String, Unopened> {
        let Some(cipher) = &self.cipher else { return Ok(format!("{PLAIN}{}", STANDARD.encode(secret))) };
        let mut nonce = [0; NONCE_BYTES];
        self.entropy.fill(&mut nonce);
        let payload = Payload { msg: secret, aad: place.as_bytes() };
        let sealed = cipher.encrypt(&XNonce::from(nonce), payload).map_err(|_| Unopened)?;
        Ok(format!("{SEALED}{}", STANDARD.encode([&nonce[..], &sealed].concat())))
    }

    /// Whether a kept secret was kept as it is, and can be sealed now.
    pub fn can_seal(&self, kept: &str) -> bool {
        self.cipher.is_some() && kept.starts_with(PLAIN)
    }

    /// Opens what was sealed for a place.
    pub fn open(&self, place: &str, kept: &str) -> Result<Vec<u8>, Unopened> {
        if let Some(plain) = kept.strip_prefix(PLAIN) {
            return STANDARD.decode(plain).map_err(|_| Unopened);
        }
        let sealed = kept.strip_prefix(SEALED).and_then(|sealed| STANDARD.decode(sealed).ok()).ok_or(Unopened)?;
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES).ok_or(Unopened)?;
        let nonce: [u8; NONCE_BYTES] = nonce.try_into().map_err(|_| Unopened)?;
        let payload = Payload { msg: sealed, aad: place.as_bytes() };
        self.cipher.as_ref().ok_or(Unopened)?.decrypt(&XNonce::from(nonce), payload).map_err(|_| Unopened)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::secret::SystemEntropy;

    fn sealer(key: Option<&str>) -> Sealer {
        Sealer::new(key.map(Secret::new).as_ref(), Arc::new(SystemEntropy))
    }

    #[test]
    fn what_is_sealed_opens_under_its_key_and_for_its_place_alone() {
        let sealed = sealer(Some("key")).seal("a", b"secret").expect("sealed");
        assert!(!sealed.contains("secret") && sealed.starts_with("sealed:"));
        assert_eq!(sealer(Some("key")).open("a", &sealed), Ok(b"secret".to_vec()));
        assert_eq!(sealer(Some("key")).open("b", &sealed), Err(Unopened));
        assert_eq!(sealer(Some("other")).open("a", &sealed), Err(Unopened));
        assert_eq!(sealer(None).open("a", &sealed), Err(Unopened));
    }

    #[test]
    fn what_was_kept_without_a_key_stays_readable_with_one() {
        let plain = sealer(None).seal("a", b"secret").expect("kept");
        assert_eq!(sealer(Some("key")).open("a", &plain), Ok(b"secret".to_vec()));
        for broken in ["", "sealed:", "sealed:AAAA", "sealed:!", "plain:!", "other:AAAA"] {
            assert_eq!(sealer(Some("key")).open("a", broken), Err(Unopened), "{broken}");
        }
    }
}
