//! Identifiers: of tenants, resource types, resources and events, and the source that makes new ones.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use uuid::Uuid;

/// A separate directory with its own resources, tokens and feeds, interned as a small integer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenant(pub u32);

/// A registered resource type, interned as a small integer. Codes are stable: 1 is User, 2 is Group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TypeCode(pub u16);

/// The `id` of a resource: opaque outside (RFC 7643 §3.1), compact inside when it is a UUID in its canonical spelling.
///
/// The order, text before UUIDs and bytewise within each, is the order of the stores' lists.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ResourceId {
    /// Any other identifier, as imports and fronted directories bring them.
    Text(Box<str>),
    /// A UUID spelled in lower case with hyphens.
    Uuid(Uuid),
}

impl ResourceId {
    /// Reads an identifier. Every text is one: whether it names a resource is for the store to say.
    pub fn parse(text: &str) -> Self {
        let mut canonical = Uuid::encode_buffer();
        match Uuid::try_parse(text) {
            Ok(uuid) if *uuid.hyphenated().encode_lower(&mut canonical) == *text => Self::Uuid(uuid),
            _ => Self::Text(text.into()),
        }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Uuid(uuid) => uuid.hyphenated().fmt(formatter),
        }
    }
}

impl From<Uuid> for ResourceId {
    fn from(uuid: Uuid) -> Self {
        Self::Uuid(uuid)
    }
}

/// What stands for something else in a segment of a path (RFC 3986 §3.3: `pchar` and no more).
const NOT_IN_A_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// An identifier as a segment of a URI's path: what may not stand there is percent-encoded (RFC 3986 §3.3).
pub fn segment(id: &str) -> Cow<'_, str> {
    utf8_percent_encode(id, NOT_IN_A_SEGMENT).into()
}

/// The key of a resource in every store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The tenant that owns the resource.
    pub tenant: Tenant,
    /// Its resource type.
    pub kind: TypeCode,
    /// Its `id`.
    pub id: ResourceId,
}

/// The identity of one event in the log, the same for every receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(pub Uuid);

impl fmt::Display for EventId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.simple().fmt(formatter)
    }
}

/// The identity of a stream: a name from the configuration, or a UUID. It is a segment of its URI, of unreserved characters alone
/// (SSF §8.1.1).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(Arc<str>);

impl StreamId {
    /// Longest, in bytes.
    pub const BYTES: usize = 128;

    /// Reads an identifier; `None` when it is empty, too long, or holds what is not unreserved (RFC 3986 §2.3).
    pub fn parse(text: &str) -> Option<Self> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        let is_one = (1..=Self::BYTES).contains(&text.len()) && text.bytes().all(unreserved) && text != "." && text != "..";
        is_one.then(|| Self(text.into()))
    }

    /// As it is spelled.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<Uuid> for StreamId {
    fn from(uuid: Uuid) -> Self {
        Self(uuid.to_string().into())
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The source of new identifiers.
pub trait Ids: Send + Sync + fmt::Debug {
    /// A UUID that sorts after those made before it in this process (UUIDv7, RFC 9562 §5.7).
    fn next(&self) -> Uuid;
}

/// UUIDv7 from the system's clock and random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct TimeOrderedIds;

impl Ids for TimeOrderedIds {
    #[expect(clippy::disallowed_methods, reason = "the one place that makes identifiers")]
    fn next(&self) -> Uuid {
        Uuid::now_v7()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_prints_as_it_was_read() {
        for text in ["0190c7a4-7f2a-7000-8000-000000000001", "0190C7A4-7F2A-7000-8000-000000000001", "", "../etc", "42"] {
            assert_eq!(ResourceId::parse(text).to_string(), text);
        }
    }

    #[test]
    fn an_id_is_one_segment_of_a_path() {
        assert!(matches!(segment("0190c7a4-7f2a-7000-8000-000000000001"), Cow::Borrowed(_)));
        assert_eq!(segment("a b/c?d#e%\u{2}ê"), "a%20b%2Fc%3Fd%23e%25%02%C3%AA");
    }

    #[test]
    fn only_the_canonical_spelling_is_a_uuid() {
        assert!(matches!(ResourceId::parse("0190c7a4-7f2a-7000-8000-000000000001"), ResourceId::Uuid(_)));
        assert!(matches!(ResourceId::parse("0190c7a47f2a70008000000000000001"), ResourceId::Text(_)));
    }
}
