//! Between columns and values, and from SQLite's failures to the store's.

use crate::base::clock::Timestamp;
use crate::base::id::{EventId, Key, ResourceId, Tenant, TypeCode};
use crate::event::{Event, Kind};
use crate::scim::compare::Comparable;
use crate::scim::schema::Type;
use crate::store::sql::Cell;
use crate::store::{Detail, Logged, Place, StoreError, StoreErrorKind, Stored};
use bytes::Bytes;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSqlOutput, ValueRef};
use rusqlite::{Error, ErrorCode, Row, ToSql};
use uuid::Uuid;

/// What a failure of SQLite means. Its text goes to the log only.
pub(super) fn failed(operation: &'static str) -> impl Fn(Error) -> StoreError + Copy {
    move |error| {
        let kind = match &error {
            Error::SqliteFailure(failure, _) => match failure.code {
                ErrorCode::OperationInterrupted | ErrorCode::TooBig => StoreErrorKind::TooMany,
                // What may conflict is asked before it is written, so that a constraint fails only where the rows contradict.
                ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation => StoreErrorKind::Corrupt,
                _ => StoreErrorKind::Unavailable,
            },
            Error::FromSqlConversionFailure(..) | Error::IntegralValueOutOfRange(..) | Error::InvalidColumnType(..) => {
                StoreErrorKind::Corrupt
            }
            _ => StoreErrorKind::Unavailable,
        };
        StoreError::because(kind, operation, error)
    }
}

impl ToSql for Cell<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match *self {
            Cell::Integer(value) => ValueRef::Integer(value),
            Cell::Real(value) => ValueRef::Real(value),
            Cell::Text(text) => ValueRef::Text(text.as_bytes()),
            Cell::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// An `id` column.
pub(super) struct Id(pub(super) ResourceId);

impl FromSql for Id {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Blob(bytes) => Ok(Self(ResourceId::Uuid(Uuid::from_slice(bytes).map_err(FromSqlError::other)?))),
            ValueRef::Text(_) => Ok(Self(ResourceId::Text(value.as_str()?.into()))),
            _ => Err(FromSqlError::InvalidType),
        }
    }
}

/// A comparison key of an attribute of this type, as an index holds it.
pub(super) fn comparable(kind: Type, value: ValueRef<'_>) -> FromSqlResult<Option<Comparable>> {
    Ok(Some(match value {
        ValueRef::Null => return Ok(None),
        ValueRef::Integer(number) if kind == Type::Boolean => Comparable::Boolean(number != 0),
        ValueRef::Integer(number) => Comparable::Integer(number),
        ValueRef::Real(number) => Comparable::Decimal(number),
        ValueRef::Text(_) => Comparable::Text(value.as_str()?.to_owned()),
        ValueRef::Blob(_) => return Err(FromSqlError::InvalidType),
    }))
}

/// A whole number that is never negative.
pub(super) struct Count(pub(super) u64);

impl FromSql for Count {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let number = value.as_i64()?;
        u64::try_from(number).map(Self).map_err(|_| FromSqlError::OutOfRange(number))
    }
}

/// A number as a column holds it. Counters of one by one never reach the bound.
pub(super) fn number(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The columns that [`stored`] reads.
pub(super) const RESOURCE_COLUMNS: &str = "id, version, revision, created, modified, member_count, body, secrets";

/// A resource from its row.
pub(super) fn stored(row: &Row<'_>, tenant: Tenant, kind: TypeCode, detail: Detail) -> rusqlite::Result<Stored> {
    let secrets = if detail.secrets { row.get(7)? } else { None };
    Ok(Stored {
        key: Key { tenant, kind, id: row.get::<_, Id>(0)?.0 },
        version: row.get::<_, Count>(1)?.0,
        revision: row.get::<_, Count>(2)?.0,
        created: Timestamp(row.get(3)?),
        modified: Timestamp(row.get(4)?),
        member_count: row.get::<_, Count>(5)?.0,
        body: Bytes::copy_from_slice(row.get_ref(6)?.as_blob()?),
        members: None,
        groups: None,
        secrets,
    })
}

/// The columns that [`logged`] reads.
pub(super) const EVENT_COLUMNS: &str = "place, event_id, kind, type, id, external_id, version, txn, at, attributes, data";

/// An event from its row.
pub(super) fn logged(row: &Row<'_>, tenant: Tenant) -> rusqlite::Result<Logged> {
    let attributes = row.get_ref(9)?.as_str()?;
    let event = Event {
        id: EventId(Uuid::from_bytes(row.get(1)?)),
        kind: Kind::of_code(row.get(2)?).ok_or(FromSqlError::InvalidType)?,
        subject: Key { tenant, kind: TypeCode(row.get(3)?), id: row.get::<_, Id>(4)?.0 },
        external_id: row.get(5)?,
        version: row.get::<_, Count>(6)?.0,
        txn: row.get(7)?,
        at: Timestamp(row.get(8)?),
        attributes: serde_json::from_str(attributes).map_err(FromSqlError::other)?,
        data: row.get(10)?,
    };
    Ok(Logged { place: Place(row.get::<_, Count>(0)?.0), event })
}
