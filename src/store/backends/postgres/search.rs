//! Searches. A page that indexes give is one statement; what must be evaluated is read in steps that see one state.

use super::Shared;
use super::column::{count, failed, id_bytes, id_of, key_of, number};
use super::ordered::{self, COUNT, How, Statement, Value};
use super::reader::{self, COLUMNS, COLUMNS_OF_EACH, EACH, Reach, beside, bytes, stored};
use super::session::Loan;
use crate::base::id::ResourceId;
use crate::base::limits;
use crate::scim::schema::Type;
use crate::store::ranking::{Places, Ranking};
use crate::store::residual::{Admission, Judge, SortKey, Window, detail_for, missing};
use crate::store::sql::catalogue::Entry;
use crate::store::sql::filter::Candidates;
use crate::store::sql::plan::Plan;
use crate::store::{Detail, Page, Position, Query, Result, Start, StoreError, StoreErrorKind, Stored};
use futures_util::TryStreamExt;
use sqlx::Row;
use std::ops::ControlFlow;
use std::time::Duration;
use tokio::time::Instant;

const OPERATION: &str = "search resources";

fn too_many(operation: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::TooMany, operation)
}

/// A search.
pub(super) async fn search(shared: &Shared, query: &Query) -> Result<Page> {
    let Some(entry) = shared.catalogue.entry(query.kind) else { return unserved(shared, query).await };
    let plan = Plan::new(&shared.catalogue, query);
    let time = shared.limits.scan_time();
    if plan.is_seek() {
        // How long a scan may take says nothing of it.
        let patience = time.max(Duration::from_millis(limits::DATABASE_STATEMENT_MS));
        let search = Search { shared, query, entry, is_scan: false, deadline: Instant::now() + patience };
        let Ok(found) = tokio::time::timeout(patience, search.run(&plan)).await else { return Err(late(shared).await) };
        if let Some(page) = found? {
            return Ok(page);
        }
    }
    // It looks at more than a few, and waits for its turn.
    let Ok(turn) = tokio::time::timeout(time, shared.scans.acquire()).await else { return Err(late(shared).await) };
    let _turn = turn.map_err(|error| StoreError::because(StoreErrorKind::Unavailable, "wait for a scan to begin", error))?;
    let search = Search { shared, query, entry, is_scan: true, deadline: Instant::now() + time };
    let Ok(found) = tokio::time::timeout(time, search.run(&plan)).await else { return Err(late(shared).await) };
    found?.ok_or_else(|| too_many(OPERATION))
}

/// Why a search has come to no end in its time: it is too much, or the database answers nobody.
async fn late(shared: &Shared) -> StoreError {
    super::reader::ping(shared).await.err().unwrap_or_else(|| too_many(OPERATION))
}

/// Of a type that is served no longer nobody is told more than how many there are.
async fn unserved(shared: &Shared, query: &Query) -> Result<Page> {
    let window = Window::new(query);
    if query.limit > 0 || query.filter.is_some() {
        return Ok(window.finish());
    }
    let failed = failed("count resources");
    let mut loan = Loan::take(&shared.readers, OPERATION).await?;
    let row = Statement::new(COUNT.to_owned()).prepare(query).fetch_one(&mut *loan).await.map_err(failed)?;
    loan.done(OPERATION).await?;
    Ok(window.finish_with(count(row.try_get(0).map_err(failed)?)))
}

struct Search<'a> {
    shared: &'a Shared,
    query: &'a Query,
    entry: &'a Entry,
    /// Whether it may look at any number of resources.
    is_scan: bool,
    deadline: Instant,
}

/// How the resources of one step are read.
struct Step<'a> {
    /// Those of these candidates, or all of the type.
    candidates: Option<&'a Candidates>,
    loaded: Detail,
    /// After this one.
    after: Option<ResourceId>,
    most: u64,
}

impl Search<'_> {
    /// The page; `None` when it needs a turn among the scans.
    async fn run(&self, plan: &Plan) -> Result<Option<Page>> {
        let query = self.query;
        let is_counted = matches!(query.start, Start::Offset(_));
        match plan {
            Plan::Page if query.limit == 0 => self.total(Statement::new(COUNT.to_owned())).await.map(Some),
            Plan::Page => self.placed(|how| ordered::page(how, query), None).await.map(Some),
            Plan::Ordered(index) => self.placed(|how| ordered::ordered(how, query, *index), Some(index.kind)).await.map(Some),
            Plan::Candidates(found) if found.exact && query.limit == 0 && is_counted => {
                self.total(ordered::count(found)).await.map(Some)
            }
            Plan::Candidates(found) if found.exact && query.limit > 0 && query.is_in_id_order() => {
                self.placed(|how| ordered::candidates(how, query, found), None).await.map(Some)
            }
            Plan::Candidates(found) if query.is_in_id_order() => self.sift(Some(found)).await,
            Plan::Candidates(found) => self.rank(Some(found)).await,
            Plan::Scan if query.is_in_id_order() => self.sift(None).await,
            Plan::Scan => self.rank(None).await,
        }
    }

    /// A connection for one statement, or for several that see one state.
    async fn borrow(&self, needs_snapshot: bool) -> Result<Loan> {
        if needs_snapshot || self.is_scan {
            let time = self.deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
            return Loan::snapshot(self.shared, OPERATION, time).await;
        }
        Loan::take(&self.shared.readers, OPERATION).await
    }

    /// A page of nothing.
    async fn total(&self, statement: Statement) -> Result<Page> {
        let window = Window::of_places(self.query);
        if matches!(self.query.start, Start::After(_)) {
            return Ok(window.finish());
        }
        let failed = failed("count resources");
        let mut loan = self.borrow(false).await?;
        let row = statement.prepare(self.query).fetch_one(&mut *loan).await.map_err(failed)?;
        loan.done(OPERATION).await?;
        Ok(window.finish_with(count(row.try_get(0).map_err(failed)?)))
    }

    /// A page whose places and documents one statement reads; `kind` is the type of the keys.
    async fn placed(&self, statement: impl Fn(How<'_>) -> Statement, kind: Option<Type>) -> Result<Page> {
        let statement = |reach| statement(How { statements: &self.shared.statements, reach });
        let (page, has_farther) = self.placed_by(statement(Reach::Near), Reach::Near, kind).await?;
        if has_farther {
            return Ok(self.placed_by(statement(Reach::Whole), Reach::Whole, kind).await?.0);
        }
        Ok(page)
    }

    /// The page of a statement, and whether it has to reach farther.
    async fn placed_by(&self, statement: Statement, reach: Reach, kind: Option<Type>) -> Result<(Page, bool)> {
        let (query, failed) = (self.query, failed("read a page"));
        let mut window = Window::of_places(query);
        let mut total = 0;
        let mut loan = self.borrow(false).await?;
        let mut rows = statement.prepare(query).fetch(&mut *loan);
        let mut has_farther = false;
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            total = row.try_get::<Option<i64>, _>(0).map_err(failed)?.map_or(0, count);
            let has_document = row.try_get::<Option<&[u8]>, _>(2).map_err(failed)?.is_some();
            if !has_document || window.admit() != Admission::Taken {
                break;
            }
            has_farther |= reach == Reach::Near && query.detail.groups && reader::has_farther(&row)?;
            let key = match kind {
                Some(kind) => row.try_get::<Option<&[u8]>, _>(1).map_err(failed)?.map(|bytes| key_of(kind, bytes)).transpose()?,
                None => None,
            };
            window.visit();
            window.push(stored(&row, 2, (query.tenant, query.kind), query.detail)?, key);
        }
        drop(rows);
        if window.is_full() {
            loan.leave();
        } else {
            loan.done(OPERATION).await?;
        }
        Ok((window.finish_with(total), has_farther))
    }

    /// Evaluates resources in id order.
    async fn sift(&self, candidates: Option<&Candidates>) -> Result<Option<Page>> {
        let query = self.query;
        let judge = Judge::new(&self.entry.kind, query, candidates.is_some_and(|candidates| candidates.exact));
        let needed = detail_for(query);
        // Of a few, everything is read at once.
        let loaded = if self.is_scan { needed } else { both(needed, query.detail) };
        let lacking = missing(query.detail, loaded);
        let mut window = Window::new(query);
        let after = match (&query.start, candidates) {
            // What candidates begin with is in their statement.
            (Start::After(Some(position)), None) => Some(position.id.clone()),
            _ => None,
        };
        let mut step = Step { candidates, loaded, after, most: limits::SEEK_CANDIDATES };
        let mut loan = self.borrow(false).await?;
        loop {
            let mut matches = Matches::new(&window, matches!(query.start, Start::Offset(_)));
            let is_end = self
                .read(&mut loan, &mut step, |found| {
                    window.visit();
                    Ok(if judge.key(&found)?.is_some() { matches.add(&mut window, found) } else { ControlFlow::Continue(()) })
                })
                .await?;
            let (is_over, beyond) = (matches.is_over, matches.beyond);
            let kept = self.fill(&mut loan, matches.kept, lacking).await?;
            for found in kept {
                if window.admit() == Admission::Taken {
                    window.push(found, None);
                }
            }
            for _ in 0..beyond {
                window.admit();
            }
            if is_over || is_end {
                break;
            }
            if !self.is_scan && window.is_full() {
                loan.leave();
                return Ok(None);
            }
            if !self.is_scan {
                return loan.done(OPERATION).await.map(|()| None);
            }
        }
        loan.done(OPERATION).await?;
        Ok(Some(window.finish()))
    }

    /// Sorts what matches.
    async fn rank(&self, candidates: Option<&Candidates>) -> Result<Option<Page>> {
        let query = self.query;
        let judge = Judge::new(&self.entry.kind, query, candidates.is_some_and(|candidates| candidates.exact));
        let mut ranking = Ranking::new(query);
        let mut visited = 0;
        let mut step = Step { candidates, loaded: detail_for(query), after: None, most: limits::SEEK_CANDIDATES };
        let mut loan = self.borrow(true).await?;
        loop {
            let is_end = self
                .read(&mut loan, &mut step, |found| {
                    visited += 1;
                    if let Some(SortKey(key)) = judge.key(&found)? {
                        ranking.offer(Position { key, id: found.key.id });
                    }
                    Ok(ControlFlow::Continue(()))
                })
                .await?;
            if is_end {
                break;
            }
            if !self.is_scan {
                return loan.done(OPERATION).await.map(|()| None);
            }
        }
        let page = self.page_of(&mut loan, ranking.finish()?, visited).await?;
        loan.done(OPERATION).await?;
        Ok(Some(page))
    }

    /// Reads one step, and makes the next one begin where it ended. Ends early when it is told so. Whether
    /// nothing more is there.
    async fn read(
        &self,
        loan: &mut Loan,
        step: &mut Step<'_>,
        mut take: impl FnMut(Stored) -> Result<ControlFlow<()>> + Send,
    ) -> Result<bool> {
        let (query, failed) = (self.query, failed("read resources"));
        let mut rows = step.statement(self.shared).prepare(query).fetch(&mut **loan);
        let mut read = 0;
        let mut last = None;
        let mut is_broken_off = false;
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            if Instant::now() > self.deadline {
                return Err(too_many("search within the time"));
            }
            read += 1;
            let found = stored(&row, 0, (query.tenant, query.kind), step.loaded)?;
            last = Some(found.key.id.clone());
            if take(found)?.is_break() {
                is_broken_off = true;
                break;
            }
        }
        drop(rows);
        let is_end = read < step.most && !is_broken_off;
        if let Some(last) = last {
            step.go_on(last);
        }
        Ok(is_end)
    }

    /// Loads what the documents of the page lack.
    async fn fill(&self, loan: &mut Loan, mut kept: Vec<Stored>, lacking: Detail) -> Result<Vec<Stored>> {
        if kept.is_empty() || lacking == Detail::default() {
            return Ok(kept);
        }
        let (query, failed) = (self.query, failed("read what belongs to resources"));
        let ids = kept.iter().map(|stored| id_bytes(&stored.key.id)).collect();
        let sql = self.shared.statements.details(lacking, &listed("place.id, x.member_count"), " ORDER BY r.n");
        let mut rows = Statement { sql, values: vec![Value::Ids(ids)] }.prepare(query).fetch(&mut **loan);
        let mut places = kept.iter_mut();
        while let Some(row) = rows.try_next().await.map_err(failed)? {
            let id = id_of(bytes(&row, 0)?)?;
            let (members, groups) = beside(&row, 1, query.tenant, lacking)?;
            if let Some(found) = places.by_ref().find(|stored| stored.key.id == id) {
                found.members = members.or_else(|| found.members.take());
                found.groups = groups.or_else(|| found.groups.take());
            }
        }
        drop(rows);
        Ok(kept)
    }

    /// Reads the documents of a page whose places are known.
    async fn page_of(&self, loan: &mut Loan, places: Places, visited: u64) -> Result<Page> {
        let (query, failed) = (self.query, failed("read a page"));
        let mut window = Window::of_places(query);
        if !places.positions.is_empty() {
            let ids = places.positions.iter().map(|position| id_bytes(&position.id)).collect();
            let sql = self.shared.statements.documents(query.detail, Reach::Whole, "", &listed(COLUMNS_OF_EACH), " ORDER BY r.n");
            let mut rows = Statement { sql, values: vec![Value::Ids(ids)] }.prepare(query).fetch(&mut **loan);
            let mut positions = places.positions.into_iter();
            while let Some(row) = rows.try_next().await.map_err(failed)? {
                let found = stored(&row, 0, (query.tenant, query.kind), query.detail)?;
                let position = positions.by_ref().find(|position| position.id == found.key.id);
                if window.admit() != Admission::Taken {
                    break;
                }
                window.push(found, position.and_then(|position| position.key));
            }
        }
        let mut page = window.finish_with(places.matched);
        page.visited = visited.max(page.resources.len() as u64);
        Ok(page)
    }
}

impl Step<'_> {
    fn statement(&self, shared: &Shared) -> Statement {
        let mut statement = Statement::new(String::new());
        let from = match self.candidates {
            None => {
                let bound = self.bound(&mut statement, "x.");
                let most = statement.bind(Value::Number(number(self.most)));
                format!(
                    "(SELECT {COLUMNS} FROM resource AS x WHERE x.tenant = $1 AND x.type = $2 {bound} ORDER BY x.id LIMIT {most})"
                )
            }
            Some(candidates) => {
                statement.values = candidates.values.iter().map(Value::from).collect();
                let bound = self.bound(&mut statement, "place.").replacen("AND", "WHERE", 1);
                let most = statement.bind(Value::Number(number(self.most)));
                format!(
                    "(SELECT {COLUMNS_OF_EACH} FROM (SELECT place.id FROM ({found}) AS place {bound} ORDER BY place.id LIMIT {most}) AS place {EACH} \
                     ORDER BY place.id)",
                    found = candidates.sql
                )
            }
        };
        statement.sql = shared.statements.documents(self.loaded, Reach::Whole, "", &from, " ORDER BY r.id");
        statement
    }

    fn bound(&self, statement: &mut Statement, table: &str) -> String {
        let bound = self.after.as_ref().map(|id| statement.bind(Value::Bytes(id_bytes(id))));
        bound.map_or_else(String::new, |id| format!("AND {table}id > {id}"))
    }

    /// Goes on after this one, with more at a time.
    fn go_on(&mut self, last: ResourceId) {
        self.after = Some(last);
        self.most = (self.most * 4).min(limits::SCAN_STEP_RESOURCES);
    }
}

/// The resources of a list of ids `$3`, in its order.
fn listed(columns: &str) -> String {
    format!(
        "(SELECT {columns}, place.n FROM unnest($3::bytea[]) WITH ORDINALITY AS place (id, n) {EACH} \
         ORDER BY place.n)"
    )
}

fn both(left: Detail, right: Detail) -> Detail {
    Detail { members: left.members || right.members, groups: left.groups || right.groups, secrets: left.secrets || right.secrets }
}

/// The matches of one step: those that the page may hold, until what they lack is read, and how many there are beyond.
struct Matches {
    kept: Vec<Stored>,
    bytes: usize,
    room: u64,
    beyond: u64,
    is_counted: bool,
    /// Whether the search is over.
    is_over: bool,
}

impl Matches {
    fn new(window: &Window, is_counted: bool) -> Self {
        Self { kept: Vec::new(), bytes: 0, room: window.room(), beyond: 0, is_counted, is_over: false }
    }

    /// Takes a match. Whether to read on in this step.
    fn add(&mut self, window: &mut Window, found: Stored) -> ControlFlow<()> {
        if window.passes() > 0 {
            window.admit();
        } else if (self.kept.len() as u64) < self.room {
            self.bytes += found.bytes();
            self.kept.push(found);
            // More is not held in memory before it is known what of it the page holds.
            if self.bytes >= limits::PAGE_BYTES {
                return ControlFlow::Break(());
            }
        } else {
            self.beyond += 1;
            self.is_over = !self.is_counted;
            if self.is_over {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }
}
