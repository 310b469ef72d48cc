//! Pages in the order of an index: the values of a single-valued attribute, and beside them the resources that have none.

use super::column::{Count, Id, comparable, failed, number};
use super::reader::Reader;
use crate::base::id::ResourceId;
use crate::store::ranking::Places;
use crate::store::sql::Cell;
use crate::store::sql::plan::Index;
use crate::store::{Page, Position, Query, Result, Start};
use rusqlite::{ToSql, params};

/// The two stretches of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stretch {
    /// The resources that have a value, in its order.
    Valued,
    /// Those without one, in id order.
    Bare,
}

/// Where a stretch is entered.
#[derive(Clone, Copy, Debug)]
enum Entrance<'a> {
    Offset(u64),
    After(&'a Position),
}

/// The places of a stretch: `?4` many after `?5` of them, or after the place of key `?5` and id `?6`.
pub(super) fn sql(index: Index, is_valued: bool, is_after: bool) -> String {
    let (direction, sign) = if index.is_down { ("DESC", "<") } else { ("ASC", ">") };
    let rest = if is_after { "LIMIT ?4" } else { "LIMIT ?4 OFFSET ?5" };
    let entries = |table: &str| format!("FROM {table} WHERE tenant = ?1 AND type = ?2 AND path = ?3");
    if is_valued {
        let entries = entries(index.table());
        let bound = if is_after { format!("AND (value, id) {sign} (?5, ?6)") } else { String::new() };
        return format!("SELECT id, value {entries} {bound} ORDER BY value {direction}, id {direction} {rest}");
    }
    let bound = if is_after { format!("AND id {sign} ?6 AND ?5 IS NULL") } else { String::new() };
    format!("SELECT id, NULL {} {bound} ORDER BY id {direction} {rest}", entries("bare"))
}

impl Reader {
    /// A page in the order of an index: as many rows of either stretch as the page has places, after those that an offset leaves out.
    pub(super) fn ordered(&self, query: &Query, index: &Index) -> Result<Page> {
        let _snapshot = self.snapshot()?;
        let total = self.count(query)?;
        let wanted = query.limit.saturating_add(1);
        let (mut offset, after) = match &query.start {
            Start::Offset(offset) if *offset >= total => {
                return self.page_of(query, Places { positions: vec![], matched: total }, 0);
            }
            Start::Offset(offset) => (*offset, None),
            Start::After(after) => (0, after.as_ref()),
        };
        let mut stretches = [Stretch::Valued, Stretch::Bare];
        if index.is_down {
            stretches.reverse();
        }
        let at = after.map(|position| if position.key.is_some() { Stretch::Valued } else { Stretch::Bare });
        // A place in the second stretch has the first one behind it.
        let behind = usize::from(at == Some(stretches[1]));
        let mut positions = Vec::new();
        for stretch in &stretches[behind..] {
            let room = wanted.saturating_sub(positions.len() as u64);
            if room == 0 {
                break;
            }
            let entrance = match after {
                Some(position) if at == Some(*stretch) => Entrance::After(position),
                _ => Entrance::Offset(offset),
            };
            let found = self.places(query, index, *stretch, entrance, room)?;
            if offset > 0 {
                // A stretch that is left out as a whole has been passed through: to count it costs no more than that.
                offset = if found.is_empty() { offset.saturating_sub(self.size(query, index, *stretch)?) } else { 0 };
            }
            positions.extend(found);
        }
        self.page_of(query, Places { positions, matched: total }, 0)
    }

    /// How many resources are in a stretch.
    fn size(&self, query: &Query, index: &Index, stretch: Stretch) -> Result<u64> {
        let failed = failed("count the entries of an index");
        let table = if stretch == Stretch::Valued { index.table() } else { "bare" };
        let sql = format!("SELECT count(*) FROM {table} WHERE tenant = ?1 AND type = ?2 AND path = ?3");
        let mut statement = self.prepare("count the entries of an index", &sql)?;
        let size = statement.query_row(params![query.tenant.0, query.kind.0, index.code], |row| row.get::<_, Count>(0));
        Ok(size.map_err(failed)?.0)
    }

    fn places(&self, query: &Query, index: &Index, stretch: Stretch, entrance: Entrance<'_>, limit: u64) -> Result<Vec<Position>> {
        let failed = failed("read an index in order");
        let sql = sql(*index, stretch == Stretch::Valued, matches!(entrance, Entrance::After(_)));
        let mut statement = self.prepare("read an index in order", &sql)?;
        let (tenant, kind, limit) = (query.tenant.0, query.kind.0, number(limit));
        let mut values: Vec<Box<dyn ToSql + '_>> = vec![Box::new(tenant), Box::new(kind), Box::new(index.code), Box::new(limit)];
        match entrance {
            Entrance::Offset(offset) => values.push(Box::new(number(offset))),
            Entrance::After(Position { key, id }) => {
                values.push(Box::new(key.as_ref().map(Cell::from)));
                values.push(Box::new(Cell::from(id)));
            }
        }
        let mut rows = statement.query(rusqlite::params_from_iter(values)).map_err(failed)?;
        let mut places = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            let id: ResourceId = row.get::<_, Id>(0).map_err(failed)?.0;
            let key = comparable(index.kind, row.get_ref(1).map_err(failed)?).map_err(|error| failed(error.into()))?;
            places.push(Position { key, id });
        }
        Ok(places)
    }
}
