//! Searches: pages in id order, candidates from the indexes, and scans.

use super::Shared;
use super::column::{Count, Id, RESOURCE_COLUMNS, failed, number, stored};
use super::reader::{RESOURCE, Reader};
use crate::base::id::ResourceId;
use crate::store::ranking::{Places, Ranking};
use crate::store::residual::{Admission, Judge, SortKey, Window, detail_for, missing};
use crate::store::sql::Cell;
use crate::store::sql::catalogue::Entry;
use crate::store::sql::filter::Candidates;
use crate::store::sql::plan::Plan;
use crate::store::{Detail, Page, Position, Query, Result, Start, Stored};
use rusqlite::{Rows, ToSql, params, params_from_iter};
use std::sync::LazyLock;

const COUNT: &str = "SELECT n FROM counter WHERE tenant = ?1 AND type = ?2";
/// All resources of a type in id order, straight from the index; and what follows a place, forwards and backwards.
pub(super) static ALL: LazyLock<String> = LazyLock::new(|| all("", "ORDER BY id LIMIT ?3 OFFSET ?4"));
pub(super) static ALL_DOWN: LazyLock<String> = LazyLock::new(|| all("", "ORDER BY id DESC LIMIT ?3 OFFSET ?4"));
pub(super) static AFTER: LazyLock<String> = LazyLock::new(|| all("AND id > ?4", "ORDER BY id LIMIT ?3"));
pub(super) static BEFORE: LazyLock<String> = LazyLock::new(|| all("AND id < ?4", "ORDER BY id DESC LIMIT ?3"));

fn all(bound: &str, rest: &str) -> String {
    format!("SELECT {RESOURCE_COLUMNS} FROM resource WHERE tenant = ?1 AND type = ?2 {bound} {rest}")
}

impl Reader {
    /// A search.
    pub(super) fn search(&self, shared: &Shared, query: &Query, plan: &Plan) -> Result<Page> {
        let Some(entry) = shared.catalogue.entry(query.kind) else {
            // Of a type that is served no longer nobody is told more than how many there are.
            let is_count = query.limit == 0 && query.filter.is_none();
            return Ok(Window::new(query).finish_with(if is_count { self.count(query)? } else { 0 }));
        };
        match plan {
            Plan::Page => self.page(query),
            Plan::Ordered(index) => self.ordered(query, index),
            Plan::Candidates(candidates) if query.is_in_id_order() => self.sift(query, entry, candidates),
            Plan::Candidates(candidates) => self.rank_candidates(query, entry, candidates),
            Plan::Scan if query.is_in_id_order() => self.scan(query, entry),
            Plan::Scan => self.rank_all(query, entry),
        }
    }

    /// How many resources of the type there are.
    pub(super) fn count(&self, query: &Query) -> Result<u64> {
        let failed = failed("count resources");
        let mut statement = self.prepare("count resources", COUNT)?;
        let mut rows = statement.query(params![query.tenant.0, query.kind.0]).map_err(failed)?;
        let Some(row) = rows.next().map_err(failed)? else { return Ok(0) };
        Ok(row.get::<_, Count>(0).map_err(failed)?.0)
    }

    fn page(&self, query: &Query) -> Result<Page> {
        let failed = failed("read a page");
        let mut window = Window::of_places(query);
        let mut total = self.prepare("read a page", COUNT)?;
        // Open to the end of this function, so that the total and the page are read in one transaction.
        let mut counted = total.query(params![query.tenant.0, query.kind.0]).map_err(failed)?;
        let Some(row) = counted.next().map_err(failed)? else { return Ok(window.finish()) };
        let count = row.get::<_, Count>(0).map_err(failed)?.0;
        let is_beyond = matches!(query.start, Start::Offset(offset) if offset >= count);
        if query.limit == 0 || is_beyond {
            return Ok(window.finish_with(count));
        }
        let is_down = query.sort.as_ref().is_some_and(|sort| sort.descending);
        // One more, to know whether it is the last page.
        let limit = number(query.limit.saturating_add(1));
        let (sql, from): (&str, &dyn ToSql) = match &query.start {
            Start::Offset(offset) => (if is_down { &ALL_DOWN } else { &ALL }, &number(*offset)),
            Start::After(None) => (if is_down { &ALL_DOWN } else { &ALL }, &0),
            Start::After(Some(position)) => (if is_down { &BEFORE } else { &AFTER }, &Cell::from(&position.id)),
        };
        let mut statement = self.prepare("read a page", sql)?;
        let mut rows = statement.query(params![query.tenant.0, query.kind.0, limit, from]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            self.check_time()?;
            if window.admit() != Admission::Taken {
                break;
            }
            let found = stored(row, query.tenant, query.kind, query.detail).map_err(failed)?;
            window.visit();
            window.push(self.with_detail(found, query.detail)?, None);
        }
        Ok(window.finish_with(count))
    }

    /// Calls back with each candidate, while all that is read is one transaction. Ends when it is told `false`.
    fn each_candidate(
        &self,
        query: &Query,
        candidates: &Candidates,
        mut take: impl FnMut(ResourceId) -> Result<bool>,
    ) -> Result<()> {
        let failed = failed("read candidates");
        let mut statement = self.prepare("read candidates", &candidates.sql)?;
        let keys = [Cell::Integer(i64::from(query.tenant.0)), Cell::Integer(i64::from(query.kind.0))];
        let values = keys.into_iter().chain(candidates.values.iter().map(Cell::from));
        let mut rows: Rows<'_> = statement.query(params_from_iter(values)).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            let Id(id) = row.get(0).map_err(failed)?;
            if !take(id)? {
                break;
            }
        }
        Ok(())
    }

    /// Reads the candidates: each of them when they must be evaluated, otherwise only those of the page.
    fn sift(&self, query: &Query, entry: &Entry, candidates: &Candidates) -> Result<Page> {
        let mut window = Window::new(query);
        let judge = Judge::new(&entry.kind, query, candidates.exact);
        let loaded = if candidates.exact { query.detail } else { detail_for(query) };
        self.each_candidate(query, candidates, |id| {
            if candidates.exact {
                match window.admit() {
                    Admission::Taken => {}
                    Admission::Passed => return Ok(true),
                    Admission::Ends => return Ok(false),
                }
            }
            self.check_time()?;
            let Some(found) = self.read(query, &id, loaded)? else { return Ok(true) };
            if candidates.exact {
                window.visit();
                window.push(found, None);
                return Ok(true);
            }
            self.weigh(query, &judge, &mut window, found, loaded)
        })?;
        Ok(window.finish())
    }

    /// Looks at a resource, of which so much is loaded, and puts it on the page if it matches and belongs there. Whether to go on.
    fn weigh(&self, query: &Query, judge: &Judge<'_>, window: &mut Window, found: Stored, loaded: Detail) -> Result<bool> {
        window.visit();
        if judge.key(&found)?.is_none() {
            return Ok(true);
        }
        let admission = window.admit();
        if admission == Admission::Taken {
            window.push(self.with_detail(found, missing(query.detail, loaded))?, None);
        }
        Ok(admission != Admission::Ends)
    }

    fn read(&self, query: &Query, id: &ResourceId, detail: Detail) -> Result<Option<Stored>> {
        let failed = failed("read a candidate");
        let mut statement = self.prepare("read a candidate", &RESOURCE)?;
        let mut rows = statement.query(params![query.tenant.0, query.kind.0, Cell::from(id)]).map_err(failed)?;
        let Some(row) = rows.next().map_err(failed)? else { return Ok(None) };
        let found = stored(row, query.tenant, query.kind, detail).map_err(failed)?;
        self.with_detail(found, detail).map(Some)
    }

    /// Calls back with every resource of the type in id order, after a place if one is given. Ends when it is told `false`.
    fn each(
        &self,
        query: &Query,
        after: Option<&ResourceId>,
        loaded: Detail,
        mut take: impl FnMut(Stored) -> Result<bool>,
    ) -> Result<()> {
        let failed = failed("scan resources");
        let (sql, from): (&str, &dyn ToSql) = match after {
            None => (&ALL, &0),
            Some(id) => (&AFTER, &Cell::from(id)),
        };
        let mut statement = self.prepare("scan resources", sql)?;
        let mut rows = statement.query(params![query.tenant.0, query.kind.0, -1, from]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            self.check_time()?;
            let found = stored(row, query.tenant, query.kind, loaded).map_err(failed)?;
            if !take(self.with_detail(found, loaded)?)? {
                break;
            }
        }
        Ok(())
    }

    fn scan(&self, query: &Query, entry: &Entry) -> Result<Page> {
        let mut window = Window::new(query);
        let (judge, loaded) = (Judge::new(&entry.kind, query, false), detail_for(query));
        let after = match &query.start {
            Start::After(Some(position)) => Some(&position.id),
            _ => None,
        };
        self.each(query, after, loaded, |found| self.weigh(query, &judge, &mut window, found, loaded))?;
        Ok(window.finish())
    }

    /// Sorts the candidates.
    fn rank_candidates(&self, query: &Query, entry: &Entry, candidates: &Candidates) -> Result<Page> {
        let _snapshot = self.snapshot()?;
        let (mut ranking, mut visited) = (Ranking::new(query), 0);
        let judge = Judge::new(&entry.kind, query, candidates.exact);
        self.each_candidate(query, candidates, |id| {
            self.check_time()?;
            if candidates.exact && query.limit == 0 {
                ranking.offer(Position { key: None, id });
                return Ok(true);
            }
            let Some(found) = self.read(query, &id, detail_for(query))? else { return Ok(true) };
            visited += 1;
            if let Some(SortKey(key)) = judge.key(&found)? {
                ranking.offer(Position { key, id });
            }
            Ok(true)
        })?;
        self.page_of(query, ranking.finish()?, visited)
    }

    /// Sorts every resource of the type that matches.
    fn rank_all(&self, query: &Query, entry: &Entry) -> Result<Page> {
        let _snapshot = self.snapshot()?;
        let (mut ranking, mut visited) = (Ranking::new(query), 0);
        let judge = Judge::new(&entry.kind, query, false);
        self.each(query, None, detail_for(query), |found| {
            visited += 1;
            if let Some(SortKey(key)) = judge.key(&found)? {
                ranking.offer(Position { key, id: found.key.id });
            }
            Ok(true)
        })?;
        self.page_of(query, ranking.finish()?, visited)
    }

    /// Reads the documents of a page whose places are known, in the transaction in which they were found.
    pub(super) fn page_of(&self, query: &Query, places: Places, visited: u64) -> Result<Page> {
        let mut window = Window::of_places(query);
        for Position { key, id } in places.positions {
            self.check_time()?;
            if window.admit() != Admission::Taken {
                break;
            }
            if let Some(found) = self.read(query, &id, query.detail)? {
                window.push(found, key);
            }
        }
        let mut page = window.finish_with(places.matched);
        page.visited = visited.max(page.resources.len() as u64);
        Ok(page)
    }
}
