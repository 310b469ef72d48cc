//! Between columns and values, and from PostgreSQL's failures to the store's.

use crate::base::id::{ResourceId, Tenant, TypeCode};
use crate::scim::compare::Comparable;
use crate::scim::schema::Type;
use crate::store::{StoreError, StoreErrorKind};
use uuid::Uuid;

/// What a failure of the database means. Its text goes to the log only.
pub(super) fn failed(operation: &'static str) -> impl Fn(sqlx::Error) -> StoreError + Copy {
    move |error| {
        let kind = match &error {
            sqlx::Error::Database(failure) => match failure.code().as_deref() {
                // Cancelled by `statement_timeout`, or more than a limit of the database allows.
                Some("57014" | "54000" | "54001") => StoreErrorKind::TooMany,
                // A serialization failure, a deadlock: the same work can succeed when it is done again.
                Some("40001" | "40P01") => StoreErrorKind::Stale,
                // What may conflict is asked before it is written, so that a constraint fails only where the rows contradict.
                Some(code) if code.starts_with("22") || code.starts_with("23") || code.starts_with("XX") => StoreErrorKind::Corrupt,
                _ => StoreErrorKind::Unavailable,
            },
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => StoreErrorKind::Corrupt,
            _ => StoreErrorKind::Unavailable,
        };
        StoreError::because(kind, operation, said(error))
    }
}

/// What the database says, without where in its own source it says so.
fn said(error: sqlx::Error) -> Box<dyn std::error::Error + Send + Sync> {
    match error.as_database_error() {
        Some(failure) => format!("{} (SQLSTATE {})", failure.message(), failure.code().unwrap_or_default()).into(),
        None => error.into(),
    }
}

/// What a failure means to a write, which does nothing that takes long by itself: it was kept waiting, and can succeed later.
pub(super) fn write_failed(operation: &'static str) -> impl Fn(sqlx::Error) -> StoreError + Copy {
    move |error| {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        match code.as_deref() {
            Some("55P03") => StoreError::because(StoreErrorKind::Unavailable, HELD, said(error)),
            Some("57014") => StoreError::because(StoreErrorKind::Unavailable, operation, said(error)),
            _ => failed(operation)(error),
        }
    }
}

/// What a write was doing when somebody else held a row of it for too long.
pub(super) const HELD: &str = "wait for a row";

/// What a row holds cannot be understood.
pub(super) fn corrupt(operation: &'static str, problem: &'static str) -> StoreError {
    StoreError::because(StoreErrorKind::Corrupt, operation, problem)
}

/// A tenant as a column holds it.
pub(super) fn tenant_number(tenant: Tenant) -> i32 {
    i32::try_from(tenant.0).unwrap_or(i32::MAX)
}

/// The number of a type in its column.
pub(super) fn type_number(kind: TypeCode) -> i32 {
    i32::from(kind.0)
}

const TEXT_ID: u8 = 0;
const UUID_ID: u8 = 1;

/// An id as a column holds it. Texts sort before UUIDs: the database's order is that of [`ResourceId`].
pub(super) fn id_bytes(id: &ResourceId) -> Vec<u8> {
    let (kind, value) = match id {
        ResourceId::Text(text) => (TEXT_ID, text.as_bytes()),
        ResourceId::Uuid(uuid) => (UUID_ID, &uuid.as_bytes()[..]),
    };
    std::iter::once(kind).chain(value.iter().copied()).collect()
}

/// The id that a column holds.
pub(super) fn id_of(bytes: &[u8]) -> Result<ResourceId, StoreError> {
    let corrupt = || corrupt("read an id", "not an id");
    match bytes.split_first() {
        Some((&TEXT_ID, text)) => Ok(ResourceId::Text(std::str::from_utf8(text).map_err(|_| corrupt())?.into())),
        Some((&UUID_ID, uuid)) => Ok(ResourceId::Uuid(Uuid::from_slice(uuid).map_err(|_| corrupt())?)),
        _ => Err(corrupt()),
    }
}

const SIGN: u64 = 1 << 63;

/// A comparison key as a column holds it: bytes in its order. Within one path all keys are of one kind, numbers being one: the nearest
/// fraction decides, and where two whole numbers share it, they themselves.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "what the fraction loses the whole number tells")]
pub(super) fn key_bytes(key: &Comparable) -> Vec<u8> {
    let number = |fraction: f64, whole: i64| {
        // -0.0 is 0 to a database.
        let bits = (fraction + 0.0).to_bits();
        let ordered = if bits & SIGN == 0 { bits | SIGN } else { !bits };
        [ordered.to_be_bytes(), (whole.cast_unsigned() ^ SIGN).to_be_bytes()].concat()
    };
    match key {
        Comparable::Boolean(value) => number(f64::from(u8::from(*value)), i64::from(*value)),
        Comparable::Integer(value) => number(*value as f64, *value),
        Comparable::Decimal(value) => number(*value, *value as i64),
        Comparable::Text(text) => text.as_bytes().to_vec(),
    }
}

/// The comparison key of an attribute of this type that a column holds.
pub(super) fn key_of(kind: Type, bytes: &[u8]) -> Result<Comparable, StoreError> {
    let corrupt = || corrupt("read an index", "not a comparison key");
    let half = |part: usize| -> Result<u64, StoreError> {
        let bytes = bytes.get(part * 8..part * 8 + 8).and_then(|bytes| bytes.try_into().ok());
        bytes.map(u64::from_be_bytes).ok_or_else(corrupt)
    };
    match kind {
        Type::Boolean => Ok(Comparable::Boolean(half(1)? ^ SIGN != 0)),
        Type::Integer | Type::DateTime => Ok(Comparable::Integer((half(1)? ^ SIGN).cast_signed())),
        Type::Decimal => {
            let ordered = half(0)?;
            Ok(Comparable::Decimal(f64::from_bits(if ordered & SIGN == 0 { !ordered } else { ordered ^ SIGN })))
        }
        _ => Ok(Comparable::Text(std::str::from_utf8(bytes).map_err(|_| corrupt())?.to_owned())),
    }
}

/// A number as a column holds it. Counters of one by one never reach the bound.
pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// A count that a column holds. It is never negative.
pub(super) fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn ids_keep_their_order(left in any::<[u8; 16]>(), right in any::<[u8; 16]>(), text in "\\PC{1,8}", other in "\\PC{1,8}") {
            let ids = [
                ResourceId::Uuid(Uuid::from_bytes(left)),
                ResourceId::Uuid(Uuid::from_bytes(right)),
                ResourceId::Text(text.as_str().into()),
                ResourceId::Text(other.as_str().into()),
            ];
            for left in &ids {
                prop_assert_eq!(&id_of(&id_bytes(left)).expect("an id"), left);
                for right in &ids {
                    prop_assert_eq!(id_bytes(left).cmp(&id_bytes(right)), left.cmp(right));
                }
            }
        }

        #[test]
        fn whole_numbers_keep_their_order(left: i64, right: i64) {
            let key = |number| key_bytes(&Comparable::Integer(number));
            prop_assert_eq!(key(left).cmp(&key(right)), left.cmp(&right));
            prop_assert_eq!(key_of(Type::Integer, &key(left)).expect("a key"), Comparable::Integer(left));
        }

        #[test]
        fn numbers_keep_their_order(left in -1e15f64..1e15, right in -1e15f64..1e15, whole in -1_000_000_000_i64..1_000_000_000) {
            let key = |number| key_bytes(&Comparable::Decimal(number));
            prop_assert_eq!(key(left).cmp(&key(right)), left.partial_cmp(&right).expect("an order"));
            #[expect(clippy::cast_precision_loss, reason = "small enough")]
            let fraction = whole as f64;
            prop_assert_eq!(key(fraction), key_bytes(&Comparable::Integer(whole)));
            prop_assert_eq!(key_of(Type::Decimal, &key(left)).expect("a key"), Comparable::Decimal(left));
        }
    }

    #[test]
    fn what_is_no_id_and_no_key_is_refused() {
        for bytes in [&b""[..], &[1, 2, 3], &[0, 0xff], &[7]] {
            assert!(id_of(bytes).is_err(), "{bytes:?}");
        }
        assert!(key_of(Type::Integer, &[1, 2, 3]).is_err());
        assert_eq!(key_bytes(&Comparable::Decimal(-0.0)), key_bytes(&Comparable::Integer(0)));
    }
}
