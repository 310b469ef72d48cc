//! The primitive operations of a transaction as prepared statements.

use super::Shared;
use super::column::{Count, Id, failed, number};
use crate::base::clock::Timestamp;
use crate::base::id::{Key, ResourceId, Tenant, TypeCode};
use crate::event::Event;
use crate::scim::resource::Member;
use crate::store::apply::{Facts, Left, Rows};
use crate::store::index::Entry;
use crate::store::sql::Cell;
use crate::store::{Document, Result, StoreError, StoreErrorKind};
use rusqlite::{CachedStatement, Connection, OptionalExtension, Row, params};
use std::collections::BTreeMap;

/// The statements that hold the list of all types.
#[derive(Debug)]
pub(super) struct Statements {
    kind_of: String,
    part: String,
}

impl Statements {
    pub(super) fn new(shared: &Shared) -> Self {
        let types = shared.catalogue.all_types();
        Self {
            kind_of: format!("SELECT type FROM resource WHERE tenant = ?1 AND type IN ({types}) AND id = ?2"),
            part: format!(
                "UPDATE resource SET version = version + 1, modified = ?3, member_count = member_count - 1 \
                 WHERE tenant = ?1 AND type IN ({types}) AND id = ?2 RETURNING type, external_id, version"
            ),
        }
    }
}

/// One unit's part of a transaction.
pub(super) struct Transaction<'a> {
    pub(super) connection: &'a Connection,
    pub(super) shared: &'a Shared,
    pub(super) statements: &'a Statements,
    /// The last place given.
    pub(super) place: u64,
    /// How many resources of a type came or went.
    pub(super) counted: Vec<(Tenant, TypeCode, i64)>,
    /// By how much it has changed whether a resource is without a value at a path.
    pub(super) bared: Vec<(Key, i64, i8)>,
}

fn facts(row: &Row<'_>) -> rusqlite::Result<Facts> {
    Ok(Facts { version: row.get::<_, Count>(0)?.0, revision: row.get::<_, Count>(1)?.0, member_count: row.get::<_, Count>(2)?.0 })
}

impl<'a> Transaction<'a> {
    fn prepare(&self, operation: &'static str, sql: &str) -> Result<CachedStatement<'a>> {
        self.connection.prepare_cached(sql).map_err(failed(operation))
    }

    /// Writes or removes an entry; `bared` is 1 when the resource loses a value, and -1 when it gets one.
    fn entry(&mut self, operation: &'static str, sql: &str, key: &Key, entry: &Entry, bared: i8) -> Result<usize> {
        let code = self.shared.catalogue.code(&entry.path).ok_or_else(|| {
            StoreError::because(StoreErrorKind::Corrupt, operation, format!("'{}' is not an indexed path", entry.path))
        })?;
        if self.shared.catalogue.places(key.kind).contains(&code) {
            self.bared.push((key.clone(), code, bared));
        }
        let (value, id) = (Cell::from(&entry.value), Cell::from(&key.id));
        self.prepare(operation, sql)?.execute(params![key.tenant.0, key.kind.0, code, value, id]).map_err(failed(operation))
    }

    /// A resource comes without any value, or goes with none.
    fn bare(&mut self, key: &Key, bared: i8) {
        let codes = self.shared.catalogue.places(key.kind).iter();
        self.bared.extend(codes.map(|code| (key.clone(), *code, bared)));
    }

    /// Writes down who is without a value now. It comes last, because most that come without one get one in the same unit.
    pub(super) fn settle(&mut self) -> Result<()> {
        const ADD: &str = "INSERT OR IGNORE INTO bare (tenant, type, path, id) VALUES (?1, ?2, ?3, ?4)";
        const REMOVE: &str = "DELETE FROM bare WHERE tenant = ?1 AND type = ?2 AND path = ?3 AND id = ?4";
        let mut changed: BTreeMap<(Key, i64), i8> = BTreeMap::new();
        for (key, code, bared) in std::mem::take(&mut self.bared) {
            *changed.entry((key, code)).or_default() += bared;
        }
        for ((key, code), bared) in changed.iter().filter(|(_, bared)| **bared != 0) {
            let parameters = params![key.tenant.0, key.kind.0, code, Cell::from(&key.id)];
            let operation = "note who has no value";
            self.prepare(operation, if *bared > 0 { ADD } else { REMOVE })?.execute(parameters).map_err(failed(operation))?;
        }
        Ok(())
    }

    fn ids(&self, operation: &'static str, sql: &str, tenant: Tenant, id: &ResourceId) -> Result<Vec<ResourceId>> {
        let mut statement = self.prepare(operation, sql)?;
        let rows = statement.query_map(params![tenant.0, Cell::from(id)], |row| row.get(0)).map_err(failed(operation))?;
        rows.map(|id: rusqlite::Result<Id>| id.map(|Id(id)| id)).collect::<rusqlite::Result<_>>().map_err(failed(operation))
    }
}

impl Rows for Transaction<'_> {
    fn kind_of(&mut self, tenant: Tenant, id: &ResourceId) -> Result<Option<TypeCode>> {
        let failed = failed("find an id");
        let mut statement = self.prepare("find an id", &self.statements.kind_of)?;
        let found = statement.query_row(params![tenant.0, Cell::from(id)], |row| row.get(0)).optional().map_err(failed)?;
        Ok(found.map(TypeCode))
    }

    fn find(&mut self, key: &Key) -> Result<Option<Facts>> {
        const SQL: &str = "SELECT version, revision, member_count FROM resource WHERE tenant = ?1 AND type = ?2 AND id = ?3";
        let mut statement = self.prepare("find a resource", SQL)?;
        let found = statement.query_row(params![key.tenant.0, key.kind.0, Cell::from(&key.id)], facts);
        found.optional().map_err(failed("find a resource"))
    }

    fn insert(&mut self, key: &Key, document: &Document, at: Timestamp) -> Result<()> {
        const SQL: &str = "INSERT INTO resource \
            (tenant, type, id, version, revision, created, modified, member_count, external_id, display, secrets, body) \
            VALUES (?1, ?2, ?3, 1, 1, ?4, ?9, 0, ?5, ?6, nullif(?7, ''), ?8)";
        let dates = document.dates(at);
        let parameters = params![
            key.tenant.0,
            key.kind.0,
            Cell::from(&key.id),
            dates.created.0,
            document.external_id,
            document.display,
            document.secrets,
            &document.body[..],
            dates.modified.0,
        ];
        self.prepare("insert a resource", SQL)?.execute(parameters).map_err(failed("insert a resource"))?;
        self.counted.push((key.tenant, key.kind, 1));
        self.bare(key, 1);
        Ok(())
    }

    fn replace(&mut self, key: &Key, document: &Document, at: Timestamp) -> Result<Option<Facts>> {
        const SQL: &str = "UPDATE resource SET version = version + 1, revision = revision + 1, modified = ?4, external_id = ?5, \
            display = ?6, secrets = nullif(coalesce(?7, secrets), ''), body = ?8 \
            WHERE tenant = ?1 AND type = ?2 AND id = ?3 RETURNING version - 1, revision - 1, member_count";
        let parameters = params![
            key.tenant.0,
            key.kind.0,
            Cell::from(&key.id),
            at.0,
            document.external_id,
            document.display,
            document.secrets,
            &document.body[..],
        ];
        self.prepare("replace a resource", SQL)?.query_row(parameters, facts).optional().map_err(failed("replace a resource"))
    }

    fn delete(&mut self, key: &Key) -> Result<Option<Facts>> {
        const SQL: &str =
            "DELETE FROM resource WHERE tenant = ?1 AND type = ?2 AND id = ?3 RETURNING version, revision, member_count";
        let parameters = params![key.tenant.0, key.kind.0, Cell::from(&key.id)];
        let deleted = self.prepare("delete a resource", SQL)?.query_row(parameters, facts).optional();
        let deleted = deleted.map_err(failed("delete a resource"))?;
        if deleted.is_some() {
            self.counted.push((key.tenant, key.kind, -1));
            self.bare(key, -1);
        }
        Ok(deleted)
    }

    fn claim(&mut self, key: &Key, entry: &Entry) -> Result<bool> {
        const SQL: &str = "INSERT OR IGNORE INTO unique_key (tenant, type, path, value, id) VALUES (?1, ?2, ?3, ?4, ?5)";
        Ok(self.entry("claim a unique key", SQL, key, entry, -1)? > 0)
    }

    fn release(&mut self, key: &Key, entry: &Entry) -> Result<()> {
        const SQL: &str = "DELETE FROM unique_key WHERE tenant = ?1 AND type = ?2 AND path = ?3 AND value = ?4 AND id = ?5";
        self.entry("release a unique key", SQL, key, entry, 1).map(drop)
    }

    fn index(&mut self, key: &Key, entry: &Entry) -> Result<()> {
        const SQL: &str = "INSERT OR IGNORE INTO lookup (tenant, type, path, value, id) VALUES (?1, ?2, ?3, ?4, ?5)";
        self.entry("add an index entry", SQL, key, entry, -1).map(drop)
    }

    fn unindex(&mut self, key: &Key, entry: &Entry) -> Result<()> {
        const SQL: &str = "DELETE FROM lookup WHERE tenant = ?1 AND type = ?2 AND path = ?3 AND value = ?4 AND id = ?5";
        self.entry("remove an index entry", SQL, key, entry, 1).map(drop)
    }

    fn join(&mut self, group: &Key, member: &Member) -> Result<bool> {
        const SQL: &str = "INSERT OR IGNORE INTO member (tenant, group_id, member_id, kind, display) VALUES (?1, ?2, ?3, ?4, ?5)";
        let parameters = params![group.tenant.0, Cell::from(&group.id), Cell::from(&member.id), member.kind, member.display];
        let joined = self.prepare("add a member", SQL)?.execute(parameters).map_err(failed("add a member"))?;
        Ok(joined > 0)
    }

    fn leave(&mut self, group: &Key, member: &ResourceId) -> Result<bool> {
        const SQL: &str = "DELETE FROM member WHERE tenant = ?1 AND group_id = ?2 AND member_id = ?3";
        let parameters = params![group.tenant.0, Cell::from(&group.id), Cell::from(member)];
        let left = self.prepare("remove a member", SQL)?.execute(parameters).map_err(failed("remove a member"))?;
        Ok(left > 0)
    }

    fn members(&mut self, group: &Key) -> Result<Vec<Member>> {
        super::reader::members(self.connection, group)
    }

    fn disband(&mut self, group: &Key) -> Result<()> {
        const SQL: &str = "DELETE FROM member WHERE tenant = ?1 AND group_id = ?2";
        let parameters = params![group.tenant.0, Cell::from(&group.id)];
        self.prepare("remove all members", SQL)?.execute(parameters).map(drop).map_err(failed("remove all members"))
    }

    fn recount(&mut self, group: &Key, member_count: u64, modified: Option<Timestamp>) -> Result<()> {
        const SQL: &str = "UPDATE resource SET member_count = ?4, version = version + ?5, modified = coalesce(?6, modified) \
            WHERE tenant = ?1 AND type = ?2 AND id = ?3";
        let modified = modified.map(|at| at.0);
        let step = i64::from(modified.is_some());
        let parameters = params![group.tenant.0, group.kind.0, Cell::from(&group.id), number(member_count), step, modified];
        self.prepare("count members", SQL)?.execute(parameters).map(drop).map_err(failed("count members"))
    }

    fn groups_of(&mut self, tenant: Tenant, member: &ResourceId) -> Result<Vec<ResourceId>> {
        self.ids("find groups", super::reader::PARENTS, tenant, member)
    }

    fn part(&mut self, tenant: Tenant, group: &ResourceId, member: &ResourceId, at: Timestamp) -> Result<Option<Left>> {
        const SQL: &str = "DELETE FROM member WHERE tenant = ?1 AND group_id = ?2 AND member_id = ?3";
        let failed = failed("leave a group");
        let parameters = params![tenant.0, Cell::from(group), Cell::from(member)];
        self.prepare("leave a group", SQL)?.execute(parameters).map_err(failed)?;
        let mut statement = self.prepare("leave a group", &self.statements.part)?;
        let left = statement.query_row(params![tenant.0, Cell::from(group), at.0], |row| {
            let group = Key { tenant, kind: TypeCode(row.get(0)?), id: group.clone() };
            Ok(Left { group, external_id: row.get(1)?, version: row.get::<_, Count>(2)?.0 })
        });
        left.optional().map_err(failed)
    }

    fn log(&mut self, event: Event) -> Result<()> {
        const SQL: &str = "INSERT INTO event (place, event_id, tenant, kind, type, id, external_id, version, txn, at, attributes, data) \
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        let attributes = serde_json::to_string(&event.attributes)
            .map_err(|error| StoreError::because(StoreErrorKind::Unavailable, "log an event", error))?;
        let parameters = params![
            number(self.place + 1),
            event.id.0.as_bytes(),
            event.subject.tenant.0,
            event.kind.code(),
            event.subject.kind.0,
            Cell::from(&event.subject.id),
            event.external_id,
            number(event.version),
            event.txn,
            event.at.0,
            attributes,
            event.data,
        ];
        self.prepare("log an event", SQL)?.execute(parameters).map_err(failed("log an event"))?;
        self.place += 1;
        Ok(())
    }
}
