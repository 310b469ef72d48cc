//! Reads on the thread that asks, over a connection that this thread keeps.

use super::Shared;
use super::column::{EVENT_COLUMNS, Id, RESOURCE_COLUMNS, failed, logged, number, stored};
use crate::base::id::{EventId, Key, ResourceId, Tenant, TypeCode};
use crate::base::limits;
use crate::scim::resource::Member;
use crate::store::ledger::reading;
use crate::store::residual::groups_above;
use crate::store::sql::Cell;
use crate::store::sql::catalogue::listed;
use crate::store::{Detail, Membership, Place, Reading, Result, StoreError, StoreErrorKind, Stored};
use rusqlite::{CachedStatement, Connection, OpenFlags, OptionalExtension, Transaction, params};
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Weak};
use std::time::{Duration, Instant};

/// The groups a resource is directly in.
pub(super) const PARENTS: &str = "SELECT group_id FROM member WHERE tenant = ?1 AND member_id = ?2 ORDER BY group_id";
/// One resource.
pub(super) static RESOURCE: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {RESOURCE_COLUMNS} FROM resource WHERE tenant = ?1 AND type = ?2 AND id = ?3"));
static EVENTS: LazyLock<String> =
    LazyLock::new(|| format!("SELECT {EVENT_COLUMNS} FROM event WHERE place > ?2 AND tenant = ?1 ORDER BY place LIMIT ?3"));
const MEMBERS: &str = "SELECT member_id, kind, display FROM member WHERE tenant = ?1 AND group_id = ?2 ORDER BY member_id";
/// How many steps of SQLite's machine pass between two looks at the clock.
const STEPS_BETWEEN_CHECKS: i32 = 4_000;

thread_local! {
    static READERS: RefCell<Vec<(Weak<Shared>, Reader)>> = const { RefCell::new(Vec::new()) };
}

/// Reads over this thread's connection, within a time.
pub(super) fn with_reader<T>(shared: &Arc<Shared>, time: Duration, read: impl FnOnce(&Reader) -> Result<T>) -> Result<T> {
    READERS.with_borrow_mut(|readers| {
        let found = readers.iter().position(|(_, reader)| reader.instance == shared.instance);
        let position = if let Some(position) = found {
            position
        } else {
            // The connections of stores that are gone go with the first read of another one.
            readers.retain(|(owner, _)| owner.strong_count() > 0);
            readers.push((Arc::downgrade(shared), Reader::open(shared)?));
            readers.len() - 1
        };
        let (_, reader) = &readers[position];
        reader.begin(time);
        read(reader)
    })
}

/// A connection that only reads.
#[derive(Debug)]
pub(super) struct Reader {
    instance: u64,
    pub(super) connection: Connection,
    started: Instant,
    /// In microseconds since `started`; shared with the handler that interrupts statements.
    deadline: Arc<AtomicU64>,
    get_groups: String,
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

impl Reader {
    fn open(shared: &Shared) -> Result<Self> {
        let failed = failed("open a connection to read");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&shared.path, flags).map_err(failed)?;
        connection.set_prepared_statement_cache_capacity(limits::PREPARED_STATEMENTS);
        connection.busy_timeout(Duration::from_millis(limits::DATABASE_BUSY_MS)).map_err(failed)?;
        connection.pragma_update(None, "query_only", true).map_err(failed)?;
        connection.pragma_update(None, "temp_store", "MEMORY").map_err(failed)?;
        let (started, deadline) = (Instant::now(), Arc::new(AtomicU64::new(u64::MAX)));
        let limit = Arc::clone(&deadline);
        let is_late = move || micros(started.elapsed()) > limit.load(Ordering::Relaxed);
        connection.progress_handler(STEPS_BETWEEN_CHECKS, Some(is_late)).map_err(failed)?;
        let types = listed(shared.catalogue.group_types().iter());
        let get_groups = format!("SELECT type, display FROM resource WHERE tenant = ?1 AND type IN ({types}) AND id = ?2");
        Ok(Self { instance: shared.instance, connection, started, deadline, get_groups })
    }

    fn begin(&self, time: Duration) {
        self.deadline.store(micros(self.started.elapsed() + time), Ordering::Relaxed);
    }

    /// Fails when the time is up. The handler alone does not see time that is spent between short statements.
    pub(super) fn check_time(&self) -> Result<()> {
        if micros(self.started.elapsed()) > self.deadline.load(Ordering::Relaxed) {
            return Err(StoreError::new(StoreErrorKind::TooMany, "read within the time"));
        }
        Ok(())
    }

    pub(super) fn prepare(&self, operation: &'static str, sql: &str) -> Result<CachedStatement<'_>> {
        self.connection.prepare_cached(sql).map_err(failed(operation))
    }

    /// Reads from here on see one state, until what this gives back is dropped.
    pub(super) fn snapshot(&self) -> Result<Transaction<'_>> {
        self.connection.unchecked_transaction().map_err(failed("begin to read"))
    }

    pub(super) fn ping(&self) -> Result<()> {
        let failed = failed("read the schema's version");
        self.connection.query_row("SELECT value FROM meta WHERE name = 'schema_version'", [], |_| Ok(())).map_err(failed)
    }

    /// One resource.
    pub(super) fn get(&self, key: &Key, detail: Detail) -> Result<Option<Stored>> {
        let failed = failed("read a resource");
        let mut statement = self.prepare("read a resource", &RESOURCE)?;
        let mut rows = statement.query(params![key.tenant.0, key.kind.0, Cell::from(&key.id)]).map_err(failed)?;
        let Some(row) = rows.next().map_err(failed)? else { return Ok(None) };
        let found = stored(row, key.tenant, key.kind, detail).map_err(failed)?;
        // `rows` is still open, which makes the reads below part of its transaction.
        self.with_detail(found, detail).map(Some)
    }

    /// Loads what is asked for beside the document. To read the same state, the document's own rows must still be open.
    pub(super) fn with_detail(&self, mut stored: Stored, detail: Detail) -> Result<Stored> {
        if detail.members {
            stored.members = Some(if stored.member_count > 0 { members(&self.connection, &stored.key)? } else { Vec::new() });
        }
        if detail.groups {
            stored.groups = Some(self.groups(&stored.key)?);
        }
        Ok(stored)
    }

    fn groups(&self, key: &Key) -> Result<Vec<Membership>> {
        groups_above(
            key.tenant,
            &key.id,
            |tenant, id| self.parents(tenant, id),
            |tenant, id, direct| self.membership(tenant, id, direct),
        )
    }

    fn parents(&self, tenant: Tenant, id: &ResourceId) -> Result<Vec<ResourceId>> {
        let failed = failed("read groups");
        let mut statement = self.prepare("read groups", PARENTS)?;
        let parents = statement.query_map(params![tenant.0, Cell::from(id)], |row| Ok(row.get::<_, Id>(0)?.0));
        parents.map_err(failed)?.collect::<rusqlite::Result<_>>().map_err(failed)
    }

    fn membership(&self, tenant: Tenant, id: &ResourceId, direct: bool) -> Result<Option<Membership>> {
        let mut statement = self.prepare("read a group", &self.get_groups)?;
        let found = statement.query_row(params![tenant.0, Cell::from(id)], |row| {
            let group = Key { tenant, kind: TypeCode(row.get(0)?), id: id.clone() };
            Ok(Membership { group, display: row.get(1)?, direct })
        });
        found.optional().map_err(failed("read a group"))
    }

    /// A page of the log, and the place up to which it is no longer kept, as they are at one moment. `head` is a place that the log
    /// had reached before.
    pub(super) fn events(&self, tenant: Tenant, head: Place, after: Place, limit: usize) -> Result<Reading> {
        let failed = failed("read the log");
        let moment = self.snapshot()?;
        let floor = self.prepare("read the log", super::ledger::FLOOR)?.query_row([], |row| row.get::<_, super::column::Count>(0));
        let floor = Place(floor.optional().map_err(failed)?.map_or(0, |floor| floor.0));
        let mut statement = self.prepare("read the log", &EVENTS)?;
        let parameters = params![tenant.0, number(after.0), i64::try_from(limit.saturating_add(1)).unwrap_or(i64::MAX)];
        let events = statement.query_map(parameters, |row| logged(row, tenant)).map_err(failed)?;
        let reading = reading(floor, head, after, limit, events).map_err(failed)?;
        drop(statement);
        drop(moment);
        Ok(reading)
    }

    /// Where an event is.
    pub(super) fn place_of(&self, tenant: Tenant, event: EventId) -> Result<Option<Place>> {
        const SQL: &str = "SELECT place FROM event WHERE event_id = ?1 AND tenant = ?2";
        let mut statement = self.prepare("find an event", SQL)?;
        let place = statement.query_row(params![event.0.as_bytes(), tenant.0], |row| row.get::<_, super::column::Count>(0));
        Ok(place.optional().map_err(failed("find an event"))?.map(|place| Place(place.0)))
    }
}

/// The members of a group, in id order.
pub(super) fn members(connection: &Connection, group: &Key) -> Result<Vec<Member>> {
    let failed = failed("read members");
    let mut statement = connection.prepare_cached(MEMBERS).map_err(failed)?;
    let members = statement.query_map(params![group.tenant.0, Cell::from(&group.id)], |row| {
        Ok(Member { id: row.get::<_, Id>(0)?.0, kind: row.get(1)?, display: row.get(2)? })
    });
    members.map_err(failed)?.collect::<rusqlite::Result<_>>().map_err(failed)
}
