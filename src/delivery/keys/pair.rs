//! Key pairs: made, opened, and what the world may know of them.

use crate::delivery::stream::Algorithm;
use aws_lc_rs::digest::Digest;
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{Jwk, ThumbprintHash};
use serde_json::{Map, Value, json};
use std::fmt;

/// A key pair that can sign.
pub(super) enum Pair {
    /// P-256.
    Es256(EcdsaKeyPair),
    /// Ed25519.
    EdDsa(Ed25519KeyPair),
    /// RSA. Less than 2048 bits are opened by nobody here.
    Rs256(RsaKeyPair),
}

impl fmt::Debug for Pair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Pair(…)")
    }
}

/// A key pair cannot be made, opened or used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a signing key cannot be made, opened or used")]
pub(super) struct Unusable;

/// A new key pair: what is kept of it.
pub(super) struct Fresh {
    /// The thumbprint of the public half (RFC 7638 §3).
    pub(super) kid: String,
    /// The members of its public JWK.
    pub(super) public: Map<String, Value>,
    /// PKCS#8.
    pub(super) private: Vec<u8>,
}

/// Makes a key pair. An RSA one takes a tenth of a second or more.
pub(super) fn generate(algorithm: Algorithm) -> Result<Fresh, Unusable> {
    let random = SystemRandom::new();
    let private = match algorithm {
        Algorithm::Es256 => {
            let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
            document.map_err(|_| Unusable)?.as_ref().to_vec()
        }
        Algorithm::EdDsa => Ed25519KeyPair::generate_pkcs8(&random).map_err(|_| Unusable)?.as_ref().to_vec(),
        Algorithm::Rs256 => {
            let pair = RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| Unusable)?;
            pair.as_der().map_err(|_| Unusable)?.as_ref().to_vec()
        }
        // Its key is the operator's.
        Algorithm::Hs256 => return Err(Unusable),
    };
    let public = Pair::open(algorithm, &private)?.public()?;
    let kid = thumbprint(&public)?;
    Ok(Fresh { kid, public, private })
}

/// RFC 7638 §3 with SHA-256.
fn thumbprint(public: &Map<String, Value>) -> Result<String, Unusable> {
    let key: Jwk = serde_json::from_value(Value::Object(public.clone())).map_err(|_| Unusable)?;
    key.thumbprint(ThumbprintHash::SHA256).map_err(|_| Unusable)
}

impl Pair {
    /// Opens PKCS#8.
    pub(super) fn open(algorithm: Algorithm, private: &[u8]) -> Result<Self, Unusable> {
        let opened = match algorithm {
            Algorithm::Es256 => EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, private).map(Self::Es256),
            Algorithm::EdDsa => Ed25519KeyPair::from_pkcs8(private).map(Self::EdDsa),
            Algorithm::Rs256 => RsaKeyPair::from_pkcs8(private).map(Self::Rs256),
            Algorithm::Hs256 => return Err(Unusable),
        };
        opened.map_err(|_| Unusable)
    }

    /// The members of the public JWK that say what key it is (RFC 7518 §6, RFC 8037 §2).
    fn public(&self) -> Result<Map<String, Value>, Unusable> {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let members = match self {
            Self::Es256(pair) => {
                // SEC 1 §2.3.3: 4, then both coordinates.
                let (x, y) =
                    pair.public_key().as_ref().strip_prefix(&[4]).and_then(|point| point.split_at_checked(32)).ok_or(Unusable)?;
                json!({"kty": "EC", "crv": "P-256", "x": text(x), "y": text(y)})
            }
            Self::EdDsa(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref())}),
            Self::Rs256(pair) => {
                let key = pair.public_key();
                let (modulus, exponent) = (key.modulus(), key.exponent());
                let unsigned = |number: aws_lc_rs::io::Positive<'_>| text(number.big_endian_without_leading_zero());
                json!({"kty": "RSA", "n": unsigned(modulus), "e": unsigned(exponent)})
            }
        };
        match members {
            Value::Object(members) => Ok(members),
            _ => Err(Unusable),
        }
    }

    /// Signs a text, whose SHA-256 digest is known already (RFC 7518 §3.3, §3.4; RFC 8037 §3.1).
    pub(super) fn sign(&self, text: &[u8], digest: &Digest) -> Result<Vec<u8>, Unusable> {
        match self {
            Self::Es256(pair) => Ok(pair.sign_digest(digest).map_err(|_| Unusable)?.as_ref().to_vec()),
            Self::EdDsa(pair) => Ok(pair.try_sign(text).map_err(|_| Unusable)?.as_ref().to_vec()),
            Self::Rs256(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign_digest(&RSA_PKCS1_SHA256, digest, &mut signature).map_err(|_| Unusable)?;
                Ok(signature)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7638 §3.1 and RFC 8037 §A.3: the same key has the same name everywhere.
    #[test]
    fn a_key_is_named_by_its_thumbprint() {
        let kid = |public: Value| thumbprint(public.as_object().expect("an object"));
        let ed25519 = json!({"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"});
        assert_eq!(kid(ed25519).as_deref(), Ok("kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"));
        let rsa = json!({"kty": "RSA", "e": "AQAB", "n": concat!(
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMs",
            "tn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1",
            "n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw")});
        assert_eq!(kid(rsa).as_deref(), Ok("NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"));
    }

    #[test]
    fn a_pair_opens_under_its_own_algorithm_alone() {
        let made = generate(Algorithm::Es256).expect("a key");
        assert!(Pair::open(Algorithm::Es256, &made.private).is_ok());
        for algorithm in [Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Hs256] {
            assert_eq!(Pair::open(algorithm, &made.private).err(), Some(Unusable), "{algorithm:?}");
        }
        assert!(generate(Algorithm::Hs256).is_err());
    }

    #[test]
    fn an_rsa_key_has_2048_bits() {
        let made = generate(Algorithm::Rs256).expect("a key");
        let modulus = URL_SAFE_NO_PAD.decode(made.public["n"].as_str().expect("n")).expect("base64url");
        assert_eq!((modulus.len() * 8, modulus[0] & 0x80), (2048, 0x80));
    }
}
