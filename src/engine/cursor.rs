//! Cursors (RFC 9865 §2): nothing is kept of a walk; what is known of it travels in the cursor, encrypted and authenticated, and bound
//! to the caller and to the query that it continues.

use super::Engine;
use crate::auth::Caller;
use crate::base::clock::Timestamp;
use crate::base::id::{ResourceId, TypeCode};
use crate::base::limits;
use crate::base::secret::Entropy;
use crate::scim::compare::Comparable;
use crate::scim::error::{Error, ErrorKind, Result};
use crate::scim::search::SearchRequest;
use crate::store::Position;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

const NONCE_BYTES: usize = 24;

/// What is known of a walk between two of its pages.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Walk {
    /// All matches, as the first page counted them.
    pub(super) total: u64,
    /// Most results of a page.
    pub(super) count: u64,
    /// When the page before was answered.
    pub(super) at: Timestamp,
    /// The type of the last resource of the page before.
    pub(super) kind: TypeCode,
    /// Its place.
    pub(super) position: Position,
}

/// The same as it is sealed: the names are short because each page carries them.
#[derive(Serialize, Deserialize)]
struct Contents {
    t: u64,
    n: u64,
    at: i64,
    k: u16,
    v: Option<Key>,
    i: String,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Key {
    Boolean(bool),
    Integer(i64),
    Decimal(f64),
    Text(String),
}

impl From<Walk> for Contents {
    fn from(walk: Walk) -> Self {
        let key = walk.position.key.map(|key| match key {
            Comparable::Boolean(value) => Key::Boolean(value),
            Comparable::Integer(value) => Key::Integer(value),
            Comparable::Decimal(value) => Key::Decimal(value),
            Comparable::Text(value) => Key::Text(value),
        });
        Self { t: walk.total, n: walk.count, at: walk.at.0, k: walk.kind.0, v: key, i: walk.position.id.to_string() }
    }
}

impl From<Contents> for Walk {
    fn from(contents: Contents) -> Self {
        let key = contents.v.map(|key| match key {
            Key::Boolean(value) => Comparable::Boolean(value),
            Key::Integer(value) => Comparable::Integer(value),
            Key::Decimal(value) => Comparable::Decimal(value),
            Key::Text(value) => Comparable::Text(value),
        });
        Self {
            total: contents.t,
            count: contents.n,
            at: Timestamp(contents.at),
            kind: TypeCode(contents.k),
            position: Position { key, id: ResourceId::parse(&contents.i) },
        }
    }
}

/// What a cursor is bound to: who asks, where, and everything that shapes the answer but the page (9865-2-05, 9865-5.2-01).
pub(super) struct Binding([u8; 32]);

impl Binding {
    pub(super) fn new(caller: &Caller, endpoint: &str, kinds: &[TypeCode], request: &SearchRequest) -> Self {
        let mut digest = Sha256::new();
        let mut add = |part: Option<&[u8]>| {
            // With its length before it no part can be taken for another one.
            digest.update(part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
            digest.update(part.unwrap_or_default());
        };
        add(Some(&caller.tenant.0.to_be_bytes()));
        add(Some(caller.principal.as_bytes()));
        add(Some(endpoint.as_bytes()));
        let kinds: Vec<u8> = kinds.iter().flat_map(|kind| kind.0.to_be_bytes()).collect();
        add(Some(&kinds));
        let SearchRequest { filter, attributes, excluded_attributes, sort_by, sort_order, .. } = request;
        for part in [filter, attributes, excluded_attributes, sort_by, sort_order] {
            add(part.as_ref().map(String::as_bytes));
        }
        Self(digest.finalize().into())
    }
}

/// Every cursor that is none for this query gets the same answer, whatever is wrong with it (9865-5.2-02).
fn invalid() -> Error {
    let detail = "The cursor is not one that was given for this query. Begin again with an empty one.";
    Error::new(ErrorKind::InvalidCursor, detail)
}

/// What seals and opens cursors.
pub(super) struct Sealer(XChaCha20Poly1305);

impl Sealer {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self(XChaCha20Poly1305::new(&(*key).into()))
    }

    /// A cursor of unreserved characters (9865-2-01).
    pub(super) fn seal(&self, walk: Walk, binding: &Binding, entropy: &dyn Entropy) -> Result<String> {
        let internal = || Error::new(ErrorKind::Internal, "The cursor cannot be made.");
        let contents = serde_json::to_vec(&Contents::from(walk)).map_err(|_| internal())?;
        let mut nonce = [0; NONCE_BYTES];
        entropy.fill(&mut nonce);
        let payload = Payload { msg: &contents, aad: &binding.0 };
        let sealed = self.0.encrypt(&XNonce::from(nonce), payload).map_err(|_| internal())?;
        Ok(URL_SAFE_NO_PAD.encode([nonce.as_slice(), &sealed].concat()))
    }

    /// The walk that a cursor continues.
    pub(super) fn open(&self, cursor: &str, binding: &Binding) -> Result<Walk> {
        if cursor.len() > limits::CURSOR_BYTES {
            return Err(invalid());
        }
        let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| invalid())?;
        let (nonce, sealed) = bytes.split_first_chunk::<NONCE_BYTES>().ok_or_else(invalid)?;
        let payload = Payload { msg: sealed, aad: &binding.0 };
        let contents = self.0.decrypt(&XNonce::from(*nonce), payload).map_err(|_| invalid())?;
        serde_json::from_slice::<Contents>(&contents).map(Walk::from).map_err(|_| invalid())
    }
}

impl Engine {
    /// The same after a restart.
    pub(super) async fn sealer(&self) -> Result<Sealer> {
        Ok(Sealer::new(self.kept_key("cursor", &self.cursor_key).await?))
    }

    /// Whether a walk may still go on with a page of this size (9865-2.1-01).
    pub(super) fn check_walk(&self, walk: &Walk, count: u64) -> Result<()> {
        let age_ms = u64::try_from(self.clock.now().0.saturating_sub(walk.at.0)).unwrap_or(0);
        let most = self.limits.cursor_seconds;
        if age_ms > most.saturating_mul(1_000) {
            let detail = format!("The cursor has expired: it is older than {most} seconds. Begin again with an empty one.");
            return Err(Error::new(ErrorKind::ExpiredCursor, detail));
        }
        if walk.count != count {
            let detail = format!("count must stay what it was for the first page, {}.", walk.count);
            return Err(Error::new(ErrorKind::InvalidCount, detail));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::Scopes;
    use crate::base::id::Tenant;
    use crate::base::secret::SystemEntropy;

    fn walk(key: Option<Comparable>) -> Walk {
        let position = Position { key, id: ResourceId::parse("0190c7a4-7f2a-7000-8000-000000000001") };
        Walk { total: 7, count: 2, at: Timestamp(5), kind: TypeCode(1), position }
    }

    fn bound(change: impl FnOnce(&mut Caller, &mut SearchRequest)) -> Binding {
        let mut caller = Caller { principal: "ada".into(), tenant: Tenant(0), user_name: None, scopes: Scopes::default() };
        let mut request = SearchRequest { filter: Some("title pr".into()), ..SearchRequest::default() };
        change(&mut caller, &mut request);
        Binding::new(&caller, "/Users", &[TypeCode(1)], &request)
    }

    /// 9865-2-01 9865-5.2-02
    #[test]
    fn a_cursor_opens_as_what_was_sealed_and_shows_nothing() {
        let sealer = Sealer::new(&[7; 32]);
        let text = Comparable::Text("bjensen@example.com".into());
        for key in
            [None, Some(text), Some(Comparable::Integer(-3)), Some(Comparable::Decimal(1.0)), Some(Comparable::Boolean(true))]
        {
            let cursor = sealer.seal(walk(key.clone()), &bound(|_, _| ()), &SystemEntropy).expect("a cursor");
            assert!(cursor.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~')));
            assert_eq!(sealer.open(&cursor, &bound(|_, _| ())), Ok(walk(key)));
        }
        let (one, other) = (
            sealer.seal(walk(None), &bound(|_, _| ()), &SystemEntropy),
            sealer.seal(walk(None), &bound(|_, _| ()), &SystemEntropy),
        );
        assert_ne!(one, other);
    }

    /// 9865-2-03
    #[test]
    fn a_cursor_that_is_given_is_never_too_long_to_be_taken() {
        let sealer = Sealer::new(&[7; 32]);
        let key = Some(Comparable::Text("\u{1}".repeat(limits::INDEXED_VALUE_BYTES)));
        let position = Position { key, id: ResourceId::parse(&"\u{1}".repeat(limits::RESOURCE_ID_BYTES)) };
        let longest = Walk { total: u64::MAX, count: u64::MAX, at: Timestamp(i64::MAX), kind: TypeCode(u16::MAX), position };
        let cursor = sealer.seal(longest.clone(), &bound(|_, _| ()), &SystemEntropy).expect("a cursor");
        assert_eq!(sealer.open(&cursor, &bound(|_, _| ())), Ok(longest));
    }

    /// 9865-2-05 9865-5.2-01 9865-5.2-02
    #[test]
    fn a_cursor_of_another_caller_or_query_is_refused_like_a_forged_one() {
        let sealer = Sealer::new(&[7; 32]);
        let cursor = sealer.seal(walk(None), &bound(|_, _| ()), &SystemEntropy).expect("a cursor");
        let others = [
            bound(|caller, _| caller.principal = "bob".into()),
            bound(|caller, _| caller.tenant = Tenant(1)),
            bound(|_, request| request.filter = None),
            bound(|_, request| request.filter = Some(String::new())),
            bound(|_, request| request.sort_by = Some("title".into())),
            bound(|_, request| request.sort_order = Some("descending".into())),
            bound(|_, request| request.attributes = Some("title".into())),
            bound(|_, request| request.excluded_attributes = Some("title".into())),
            Binding::new(
                &Caller { principal: "ada".into(), tenant: Tenant(0), user_name: None, scopes: Scopes::default() },
                "/Groups",
                &[TypeCode(1)],
                &SearchRequest::default(),
            ),
        ];
        for other in others {
            assert_eq!(sealer.open(&cursor, &other), Err(invalid()));
        }
        assert_eq!(Sealer::new(&[8; 32]).open(&cursor, &bound(|_, _| ())), Err(invalid()));
        for place in 0..cursor.len() {
            let mut forged = cursor.clone().into_bytes();
            forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).expect("text");
            assert_eq!(sealer.open(&forged, &bound(|_, _| ())), Err(invalid()), "{place}");
        }
        for forged in ["x", "=", "ä", &cursor[1..], &"A".repeat(limits::CURSOR_BYTES + 1)] {
            assert_eq!(sealer.open(forged, &bound(|_, _| ())), Err(invalid()));
        }
    }
}
