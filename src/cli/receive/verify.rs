//! The independent view of a receiver: whether a text is a Security Event Token (RFC 8417) that this receiver accepts.
//!
//! Nothing here comes from the rest of the program, so that it can be copied into a receiver of your own; besides the standard
//! library it needs `jsonwebtoken` (for the signature alone), `base64`, `serde` and `serde_json`. In the order of the steps:
//!
//! 1. Three parts of base64url without padding; header and claims are JSON objects in which no name stands twice.
//! 2. `typ` is `secevent+jwt` (RFC 8417 §2.3), there is no `crit` (RFC 7515 §4.1.11), and `alg` is on the receiver's list: `none` and
//!    whatever the receiver did not choose are refused before any key is looked at (RFC 8725 §3.1).
//! 3. The key is one that the receiver holds, found by `kid`, and may be used with this `alg`: a key of the receiver's list has its
//!    algorithms from its own type, so that a public key is never taken for a secret (RFC 8725 §2.1).
//! 4. The signature, and only then the claims: `iss` and `aud` are the receiver's (RFC 8935 §2), `jti`, `iat`, `events` and `sub_id`
//!    have the shape of RFC 8417 §2 and RFC 9493. There need not be an `exp`; one that has passed is refused (RFC 7519 §4.1.4).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// Every algorithm that a set of public keys may bring.
pub(super) const PUBLIC_KEY_ALGORITHMS: [Algorithm; 9] = [
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
];
const RSA: &[Algorithm] = PUBLIC_KEY_ALGORITHMS.split_at(3).1;
/// Smallest RSA modulus, in bytes (RFC 7518 §3.3).
const RSA_BYTES: usize = 256;
/// Smallest secret, in bytes (RFC 7518 §3.2).
const SECRET_BYTES: usize = 32;
/// Most keys that are looked at in one set of keys.
const KEYS: usize = 64;
/// Longest `jti`, in bytes.
const JTI_BYTES: usize = 1024;
/// How far an `exp` may have passed, for clocks that differ, in seconds.
const LEEWAY_SECONDS: f64 = 60.0;

/// Why a SET is refused, as its transmitter is told (RFC 8935 §2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// The text is no SET, or its claims are not what they must be.
    InvalidRequest,
    /// The key or its use is not acceptable.
    InvalidKey,
    /// Not an issuer of this receiver.
    InvalidIssuer,
    /// Not meant for this receiver.
    InvalidAudience,
    /// The transmitter did not show who it is.
    AuthenticationFailed,
    /// The transmitter may not send here.
    AccessDenied,
}

impl Code {
    /// The registered name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidKey => "invalid_key",
            Self::InvalidIssuer => "invalid_issuer",
            Self::InvalidAudience => "invalid_audience",
            Self::AuthenticationFailed => "authentication_failed",
            Self::AccessDenied => "access_denied",
        }
    }
}

/// A refusal. The description is English and repeats nothing of the SET.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) description: String,
}

impl Refusal {
    /// Puts one together.
    pub(super) fn new(code: Code, description: impl Into<String>) -> Self {
        Self { code, description: description.into() }
    }
}

fn invalid(description: impl Into<String>) -> Refusal {
    Refusal::new(Code::InvalidRequest, description)
}

fn invalid_key(description: impl Into<String>) -> Refusal {
    Refusal::new(Code::InvalidKey, description)
}

/// What is known of a SET before its key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) algorithm: Algorithm,
    pub(super) kid: Option<String>,
}

/// The claims of an accepted SET.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Accepted {
    /// The `jti`: not empty.
    pub(super) jti: String,
    /// The `iat`, in seconds since the epoch.
    pub(super) issued_at: f64,
    /// All of them, in the order in which they came.
    pub(super) claims: Map<String, Value>,
}

/// A key with what it may verify.
struct Key {
    kid: Option<String>,
    algorithms: Vec<Algorithm>,
    material: DecodingKey,
}

/// The keys of the transmitter.
#[derive(Default)]
pub(super) struct Keys(Vec<Key>);

impl fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Keys({})", self.0.len())
    }
}

impl Keys {
    /// The shared secret of HS256. Fails when it is too short for that.
    pub(super) fn of_secret(secret: &[u8]) -> Result<Self, String> {
        if secret.len() < SECRET_BYTES {
            return Err(format!("the secret has {} bytes, HS256 wants {SECRET_BYTES} or more (RFC 7518 §3.2)", secret.len()));
        }
        Ok(Self(vec![Key { kid: None, algorithms: vec![Algorithm::HS256], material: DecodingKey::from_secret(secret) }]))
    }

    /// The public signature keys of a JWK set (RFC 7517 §5). Others are passed over, secrets among them: they have no place in a
    /// document that is published. Fails when the text is no JWK set.
    pub(super) fn of_jwks(text: &[u8]) -> Result<Self, String> {
        let document: Value = serde_json::from_slice(text).map_err(|error| format!("not JSON: {error}"))?;
        let keys = document.get("keys").and_then(Value::as_array).ok_or("not a JWK set: it has no list 'keys'")?;
        Ok(Self(keys.iter().take(KEYS).filter_map(Key::of_jwk).collect()))
    }

    /// Whether there is a key that this SET may have been signed with.
    pub(super) fn knows(&self, header: &Header) -> bool {
        self.named(header).next().is_some()
    }

    /// Those with the SET's `kid`; all of them when it names none. A secret has no name: it is the only one.
    fn named(&self, header: &Header) -> impl Iterator<Item = &Key> {
        self.0.iter().filter(|key| match (&key.kid, &header.kid) {
            (Some(known), Some(wanted)) => known == wanted,
            (None, Some(_)) => key.algorithms == [Algorithm::HS256],
            (_, None) => true,
        })
    }
}

impl Key {
    fn of_jwk(jwk: &Value) -> Option<Self> {
        let text = |name: &str| jwk.get(name).and_then(Value::as_str);
        let signs = jwk.get("use").is_none_or(|used| used == "sig");
        let verifies = jwk.get("key_ops").is_none_or(|uses| uses.as_array().is_some_and(|uses| uses.contains(&"verify".into())));
        if !signs || !verifies {
            return None;
        }
        let (possible, material): (&[Algorithm], _) = match (text("kty")?, text("crv")) {
            ("EC", Some("P-256")) => (&[Algorithm::ES256], DecodingKey::from_ec_components(text("x")?, text("y")?)),
            ("EC", Some("P-384")) => (&[Algorithm::ES384], DecodingKey::from_ec_components(text("x")?, text("y")?)),
            ("OKP", Some("Ed25519")) => (&[Algorithm::EdDSA], DecodingKey::from_ed_components(text("x")?)),
            ("RSA", _) => {
                let modulus = URL_SAFE_NO_PAD.decode(text("n")?).ok()?;
                if modulus.iter().skip_while(|byte| **byte == 0).count() < RSA_BYTES {
                    return None;
                }
                (RSA, DecodingKey::from_rsa_components(text("n")?, text("e")?))
            }
            _ => return None,
        };
        let algorithms = match text("alg") {
            None => possible.to_vec(),
            // RFC 9864 gave the one curve of EdDSA that is in use a name of its own.
            Some("Ed25519") => possible.iter().copied().filter(|one| *one == Algorithm::EdDSA).collect(),
            Some(name) => possible.iter().copied().filter(|one| Some(*one) == name.parse().ok()).collect(),
        };
        Some(Self { kid: text("kid").map(str::to_owned), algorithms, material: material.ok()? })
    }
}

/// What a receiver accepts.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// One of these is the `iss`; with none, any is.
    pub(super) issuers: Vec<String>,
    /// One of these is among the `aud`; with none, any is.
    pub(super) audiences: Vec<String>,
    /// One of these is the `alg`.
    pub(super) algorithms: Vec<Algorithm>,
}

impl Expected {
    /// Reads the header of a compact SET, so that its key can be looked up. Nothing of it is proven yet.
    pub(super) fn header(&self, set: &str) -> Result<Header, Refusal> {
        let header = part(set.split('.').next().unwrap_or_default(), "header")?;
        if set.split('.').count() != 3 {
            return Err(invalid("A SET has three parts with dots between them."));
        }
        let typ = header.get("typ").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        if typ.strip_prefix("application/").unwrap_or(&typ) != "secevent+jwt" {
            return Err(invalid("The header's typ is not secevent+jwt."));
        }
        if header.contains_key("crit") {
            return Err(invalid("The header's crit names what this receiver does not know."));
        }
        let algorithm = header.get("alg").and_then(Value::as_str).and_then(|name| name.parse().ok());
        let algorithm = algorithm.filter(|algorithm| self.algorithms.contains(algorithm));
        let Some(algorithm) = algorithm else {
            return Err(invalid_key("The header's alg is not one that this receiver accepts."));
        };
        match header.get("kid") {
            None => Ok(Header { algorithm, kid: None }),
            Some(Value::String(kid)) => Ok(Header { algorithm, kid: Some(kid.clone()) }),
            Some(_) => Err(invalid("The header's kid is not a string.")),
        }
    }

    /// Verifies a compact SET at this time, in seconds since the epoch.
    pub(super) fn verify(&self, set: &str, keys: &Keys, now: i64) -> Result<Accepted, Refusal> {
        let header = self.header(set)?;
        let Some((message, signature)) = set.rsplit_once('.') else { return Err(invalid("A SET has a signature.")) };
        let mut named = keys.named(&header).peekable();
        if named.peek().is_none() {
            return Err(invalid_key("No key of the transmitter has this kid."));
        }
        let mut usable = named.filter(|key| key.algorithms.contains(&header.algorithm)).peekable();
        if usable.peek().is_none() {
            return Err(invalid_key("The key is not one for the header's alg."));
        }
        let fits = |key: &Key| {
            let verified = jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key.material, header.algorithm);
            verified.unwrap_or(false)
        };
        if !usable.any(fits) {
            return Err(invalid_key("The signature does not fit the key."));
        }
        let payload = message.rsplit_once('.').map_or("", |(_, payload)| payload);
        self.claims(part(payload, "payload")?, now)
    }

    /// Reads a compact SET, or claims as JSON, without asking who made it: for tries in which nothing is signed.
    pub(super) fn read_unverified(&self, text: &str, now: i64) -> Result<Accepted, Refusal> {
        if text.trim_start().starts_with('{') {
            return self.claims(object(text.as_bytes(), "payload")?, now);
        }
        match text.split('.').collect::<Vec<_>>()[..] {
            [_, payload, _] => self.claims(part(payload, "payload")?, now),
            _ => Err(invalid("Neither a SET, which has three parts with dots between them, nor a JSON object.")),
        }
    }

    /// Checks claims whose signature has been.
    fn claims(&self, claims: Map<String, Value>, now: i64) -> Result<Accepted, Refusal> {
        self.check_issuer(claims.get("iss"))?;
        self.check_audience(claims.get("aud"))?;
        if let Some(expires) = claims.get("exp") {
            #[expect(clippy::cast_precision_loss, reason = "seconds since the epoch have 31 bits, a float has 53")]
            let now = now as f64;
            let expires = expires.as_f64().ok_or_else(|| invalid("exp is not a number."))?;
            if expires + LEEWAY_SECONDS < now {
                return Err(invalid("exp has passed."));
            }
        }
        let jti = claims.get("jti").and_then(Value::as_str).filter(|jti| is_name(jti));
        let jti = jti.ok_or_else(|| invalid("jti is not a string of 1 to 1,024 bytes without control characters."))?.to_owned();
        let issued_at = claims.get("iat").and_then(Value::as_f64).ok_or_else(|| invalid("iat is not a number."))?;
        check_events(claims.get("events"))?;
        let format = claims.get("sub_id").and_then(|subject| subject.get("format"));
        if format.and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(invalid("sub_id is not an object with a format."));
        }
        Ok(Accepted { jti, issued_at, claims })
    }

    fn check_issuer(&self, issuer: Option<&Value>) -> Result<(), Refusal> {
        let is_known = |issuer: &str| self.issuers.is_empty() || self.issuers.iter().any(|known| known == issuer);
        match issuer {
            Some(Value::String(issuer)) if is_known(issuer) => Ok(()),
            Some(Value::String(_)) => Err(Refusal::new(Code::InvalidIssuer, "iss is not an issuer that this receiver listens to.")),
            _ => Err(Refusal::new(Code::InvalidIssuer, "iss is not a string.")),
        }
    }

    fn check_audience(&self, audience: Option<&Value>) -> Result<(), Refusal> {
        let is_own = |one: &Value| self.audiences.iter().any(|own| one == own.as_str());
        let fits = match audience {
            _ if self.audiences.is_empty() => true,
            Some(Value::Array(several)) => several.iter().any(is_own),
            Some(one) => is_own(one),
            None => false,
        };
        if fits { Ok(()) } else { Err(Refusal::new(Code::InvalidAudience, "aud does not name this receiver.")) }
    }
}

/// Whether a `jti` can stand in a line of a file and in the environment of a command.
fn is_name(jti: &str) -> bool {
    (1..=JTI_BYTES).contains(&jti.len()) && !jti.contains(char::is_control)
}

/// RFC 8417 §2: at least one event, each named by a URI, each with an object, which may be empty.
fn check_events(events: Option<&Value>) -> Result<(), Refusal> {
    let events = events.and_then(Value::as_object).ok_or_else(|| invalid("events is not an object."))?;
    if events.is_empty() {
        return Err(invalid("events is empty."));
    }
    let is_scheme = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
    };
    let is_uri = |name: &str| name.split_once(':').is_some_and(|(scheme, rest)| is_scheme(scheme) && !rest.is_empty());
    if !events.keys().all(|name| is_uri(name)) {
        return Err(invalid("events has a name that is no URI."));
    }
    if !events.values().all(Value::is_object) {
        return Err(invalid("events has a value that is no object."));
    }
    Ok(())
}

/// A part of a compact SET, which is an object.
fn part(text: &str, what: &str) -> Result<Map<String, Value>, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid(format!("The {what} is not base64url without padding.")))?;
    object(&bytes, what)
}

fn object(text: &[u8], what: &str) -> Result<Map<String, Value>, Refusal> {
    match serde_json::from_slice(text) {
        Ok(Unique(Value::Object(object))) => Ok(object),
        Ok(_) => Err(invalid(format!("The {what} is not an object."))),
        Err(_) => Err(invalid(format!("The {what} is not JSON in which every name stands once."))),
    }
}

/// JSON in which no object has a name twice: two readers could take one of them each (RFC 7515 §4, RFC 8417 §2).
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = sequence.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unique(value))) = members.next_entry::<String, Unique>()? {
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(Value::Object(object))
    }
}
