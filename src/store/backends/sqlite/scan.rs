//! Searches: pages in id order, candidates from the indexes, and scans.

use super::Shared;
use super::column::{Count, Id, RESOURCE_COLUMNS, failed, number, stored};
use super::reader::{RESOURCE, Reader};
use crate::base::id::ResourceId;
use crate::scim::filter::Filter;
use crate::store::residual::{Window, detail_for, missing, whole};
use crate::store::sql::Cell;
use crate::store::sql::catalogue::Entry;
use crate::store::sql::filter::{Breadth, Candidates, candidates};
use crate::store::{Detail, Page, Query, Result};
use rusqlite::{Rows, params, params_from_iter};
use std::sync::LazyLock;

const COUNT: &str = "SELECT n FROM counter WHERE tenant = ?1 AND type = ?2";
/// All resources of a type in id order, straight from the index.
pub(super) static ALL: LazyLock<String> = LazyLock::new(|| {
    format!("SELECT {RESOURCE_COLUMNS} FROM resource WHERE tenant = ?1 AND type = ?2 ORDER BY id LIMIT ?3 OFFSET ?4")
});

/// How a search is answered.
#[derive(Clone, Debug)]
pub(super) enum Plan {
    /// No filter: a page in id order.
    Page,
    /// The indexes narrow it to these.
    Candidates(Candidates),
    /// Every resource of the type is read.
    Scan,
}

impl Plan {
    pub(super) fn new(shared: &Shared, query: &Query) -> Self {
        match (&query.filter, shared.catalogue.entry(query.kind)) {
            (None, _) | (_, None) => Self::Page,
            (Some(filter), Some(entry)) => candidates(&shared.catalogue, entry, filter).map_or(Self::Scan, Self::Candidates),
        }
    }

    /// Whether it reads no more than an index and a page.
    pub(super) fn is_seek(&self) -> bool {
        match self {
            Self::Page => true,
            Self::Candidates(candidates) => candidates.breadth < Breadth::Many,
            Self::Scan => false,
        }
    }
}

impl Reader {
    /// A search.
    pub(super) fn search(&self, shared: &Shared, query: &Query, plan: &Plan) -> Result<Page> {
        let Some(entry) = shared.catalogue.entry(query.kind) else { return Ok(Window::new(query).finish()) };
        match (plan, &query.filter) {
            (Plan::Page, _) | (_, None) => self.page(query),
            (Plan::Candidates(candidates), Some(filter)) => self.sift(query, filter, entry, candidates),
            (Plan::Scan, Some(filter)) => self.scan(query, filter, entry),
        }
    }

    fn page(&self, query: &Query) -> Result<Page> {
        let failed = failed("read a page");
        let mut window = Window::new(query);
        let mut total = self.prepare("read a page", COUNT)?;
        // Open to the end of this function, so that the total and the page are read in one transaction.
        let mut counted = total.query(params![query.tenant.0, query.kind.0]).map_err(failed)?;
        let Some(row) = counted.next().map_err(failed)? else { return Ok(window.finish()) };
        let count = row.get::<_, Count>(0).map_err(failed)?.0;
        window.set_total(count);
        if query.limit == 0 || query.offset >= count {
            return Ok(window.finish());
        }
        let mut statement = self.prepare("read a page", &ALL)?;
        let parameters = params![query.tenant.0, query.kind.0, number(query.limit), number(query.offset)];
        let mut rows = statement.query(parameters).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            self.check_time()?;
            let found = stored(row, query.tenant, query.kind, query.detail).map_err(failed)?;
            window.visit();
            window.push(self.with_detail(found, query.detail)?);
            if window.is_full() {
                break;
            }
        }
        Ok(window.finish())
    }

    /// Reads the candidates: each of them when they must be evaluated, otherwise only those of the page.
    fn sift(&self, query: &Query, filter: &Filter, entry: &Entry, candidates: &Candidates) -> Result<Page> {
        let failed = failed("read candidates");
        let mut window = Window::new(query);
        let mut statement = self.prepare("read candidates", &candidates.sql)?;
        let keys = [Cell::Integer(i64::from(query.tenant.0)), Cell::Integer(i64::from(query.kind.0))];
        let values = keys.into_iter().chain(candidates.values.iter().map(Cell::from));
        // Open while the candidates' documents are read, so that all is one transaction.
        let mut rows: Rows<'_> = statement.query(params_from_iter(values)).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            if candidates.exact && !window.admit() {
                continue;
            }
            self.check_time()?;
            let Id(id) = row.get(0).map_err(failed)?;
            if candidates.exact {
                if let Some(found) = self.read(query, &id, query.detail)? {
                    window.visit();
                    window.push(found);
                }
                continue;
            }
            let loaded = detail_for(filter);
            let Some(found) = self.read(query, &id, loaded)? else { continue };
            window.visit();
            if filter.matches(&whole(&entry.kind, &found)?) && window.admit() {
                window.push(self.with_detail(found, missing(query.detail, loaded))?);
            }
        }
        Ok(window.finish())
    }

    fn read(&self, query: &Query, id: &ResourceId, detail: Detail) -> Result<Option<crate::store::Stored>> {
        let failed = failed("read a candidate");
        let mut statement = self.prepare("read a candidate", &RESOURCE)?;
        let mut rows = statement.query(params![query.tenant.0, query.kind.0, Cell::from(id)]).map_err(failed)?;
        let Some(row) = rows.next().map_err(failed)? else { return Ok(None) };
        let found = stored(row, query.tenant, query.kind, detail).map_err(failed)?;
        self.with_detail(found, detail).map(Some)
    }

    fn scan(&self, query: &Query, filter: &Filter, entry: &Entry) -> Result<Page> {
        let failed = failed("scan resources");
        let mut window = Window::new(query);
        let loaded = detail_for(filter);
        let mut statement = self.prepare("scan resources", &ALL)?;
        let mut rows = statement.query(params![query.tenant.0, query.kind.0, -1, 0]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            self.check_time()?;
            window.visit();
            let found = stored(row, query.tenant, query.kind, loaded).map_err(failed)?;
            let found = self.with_detail(found, loaded)?;
            if filter.matches(&whole(&entry.kind, &found)?) && window.admit() {
                window.push(self.with_detail(found, missing(query.detail, loaded))?);
            }
        }
        Ok(window.finish())
    }
}
