//! A search over the resource types of an endpoint, one after the other or merged in one order, with no more than a page of each in
//! memory.

use crate::base::id::{Tenant, TypeCode};
use crate::base::limits;
use crate::scim::filter::Filter;
use crate::scim::sort::Sort;
use crate::store::{Detail, Page, Position, Query, Result, Start, Store, Stored};
use std::cmp::Ordering;
use std::collections::VecDeque;

/// What is asked of one type.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) kind: TypeCode,
    pub(super) filter: Option<Filter>,
    pub(super) sort: Option<Sort>,
    pub(super) detail: Detail,
}

/// Where a page begins.
#[derive(Clone, Debug)]
pub(super) enum From {
    /// So many matches are passed over, and all of them are counted.
    Offset(u64),
    /// After a resource of this type that was at this place.
    After(TypeCode, Position),
}

impl From {
    fn is_counted(&self) -> bool {
        matches!(self, Self::Offset(_))
    }
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub(super) struct Found {
    /// All matches, if they were counted.
    pub(super) total: u64,
    pub(super) resources: Vec<Stored>,
    /// Where the page ended, if there is more.
    pub(super) next: Option<(TypeCode, Position)>,
}

/// A search over these types.
#[derive(Debug)]
pub(super) struct Gathering<'a> {
    pub(super) store: &'a dyn Store,
    pub(super) tenant: Tenant,
    pub(super) parts: &'a [Part],
    pub(super) from: From,
    pub(super) limit: u64,
}

impl Gathering<'_> {
    pub(super) async fn run(&self) -> Result<Found> {
        match self.parts {
            [] => Ok(Found::default()),
            [part] => self.one(part).await,
            [first, ..] if first.sort.is_none() => self.in_turn().await,
            _ => self.merged().await,
        }
    }

    async fn ask(&self, part: &Part, start: Start, limit: u64) -> Result<Page> {
        let Part { kind, filter, sort, detail } = part.clone();
        self.store.query(&Query { tenant: self.tenant, kind, filter, sort, start, limit, detail }).await
    }

    async fn one(&self, part: &Part) -> Result<Found> {
        let start = match &self.from {
            From::Offset(offset) => Start::Offset(*offset),
            From::After(_, position) => Start::After(Some(position.clone())),
        };
        let page = self.ask(part, start, self.limit).await?;
        let next = page.next.map(|position| (part.kind, position));
        Ok(Found { total: page.total.unwrap_or(0), resources: page.resources, next })
    }

    /// All of the first type, then all of the next one.
    async fn in_turn(&self) -> Result<Found> {
        let mut found = Found::default();
        let (mut offset, mut reached) = match &self.from {
            From::Offset(offset) => (*offset, None),
            From::After(kind, position) => (0, Some((*kind, position))),
        };
        let mut has_more = false;
        for part in self.parts {
            let start = match reached {
                Some((kind, _)) if kind != part.kind => continue,
                Some((_, position)) => Start::After(Some(position.clone())),
                None if self.from.is_counted() => Start::Offset(offset),
                None => Start::After(None),
            };
            reached = None;
            let room = if has_more { 0 } else { self.limit.saturating_sub(found.resources.len() as u64) };
            // When the page is full one resource is enough to know that there are more.
            let page = self.ask(part, start, if self.from.is_counted() { room } else { room.max(1) }).await?;
            let total = page.total.unwrap_or(0);
            found.total += total;
            has_more |= page.next.is_some() || (room == 0 && (total > offset || !page.resources.is_empty()));
            offset = offset.saturating_sub(total);
            if room > 0 {
                found.resources.extend(page.resources);
            }
            if has_more && !self.from.is_counted() {
                break;
            }
        }
        let last = found.resources.last().filter(|_| has_more);
        found.next = last.map(|stored| (stored.key.kind, Position { key: None, id: stored.key.id.clone() }));
        Ok(found)
    }

    /// The smallest of what the types have next, again and again.
    async fn merged(&self) -> Result<Found> {
        let mut found = Found::default();
        let mut offset = match self.from {
            From::Offset(offset) => offset,
            From::After(..) => 0,
        };
        let mut sources: Vec<Source<'_>> = self.parts.iter().map(|part| Source::new(part, &self.from)).collect();
        // One more than the page holds, to know whether it is the last.
        let page = if self.limit == 0 { 0 } else { self.limit.saturating_add(1) };
        for source in &mut sources {
            found.total += self.fill(source, page.max(offset.min(limits::MERGED_RESOURCES))).await?;
        }
        if self.limit == 0 || (self.from.is_counted() && offset >= found.total) {
            return Ok(found);
        }
        let (mut bytes, mut last) = (0, None);
        while let Some((kind, position, stored)) = next_of(&mut sources) {
            let is_full = found.resources.len() as u64 >= self.limit || bytes >= limits::PAGE_BYTES;
            if offset == 0 && is_full {
                found.next = last;
                break;
            }
            if offset > 0 {
                offset -= 1;
            } else {
                bytes += stored.bytes();
                found.resources.push(stored);
                last = Some((kind, position));
            }
            for source in sources.iter_mut().filter(|source| source.waiting.is_empty()) {
                self.fill(source, page.max(offset.min(limits::MERGED_RESOURCES))).await?;
            }
        }
        Ok(found)
    }

    /// Reads on in a type; how many matches it has, if they are counted.
    async fn fill(&self, source: &mut Source<'_>, limit: u64) -> Result<u64> {
        let Some(start) = source.start.take() else { return Ok(0) };
        let page = self.ask(source.part, start, limit).await?;
        let places = page.resources.into_iter().zip(page.keys);
        source.waiting.extend(places.map(|(stored, key)| (Position { key, id: stored.key.id.clone() }, stored)));
        source.start = page.next.map(|position| Start::After(Some(position)));
        Ok(page.total.unwrap_or(0))
    }
}

/// What a type has next.
struct Source<'a> {
    part: &'a Part,
    waiting: VecDeque<(Position, Stored)>,
    /// Where to read on; `None` when there is nothing more.
    start: Option<Start>,
}

impl<'a> Source<'a> {
    fn new(part: &'a Part, from: &From) -> Self {
        let has_keys = part.sort.as_ref().is_some_and(|sort| sort.path.is_some());
        let is_down = part.sort.as_ref().is_some_and(|sort| sort.descending);
        let start = match from {
            From::Offset(_) => Some(Start::Offset(0)),
            // A place that has a key is before all resources of a type that has none, or after all of them.
            From::After(_, Position { key: Some(_), .. }) if !has_keys => (!is_down).then_some(Start::After(None)),
            From::After(_, position) => Some(Start::After(Some(position.clone()))),
        };
        Self { part, waiting: VecDeque::new(), start }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self.waiting.front(), other.waiting.front()) {
            (Some((left, _)), Some((right, _))) => left.compare(right, self.part.sort.as_ref()),
            (left, right) => left.is_none().cmp(&right.is_none()),
        }
    }
}

fn next_of(sources: &mut [Source<'_>]) -> Option<(TypeCode, Position, Stored)> {
    let source = sources.iter_mut().min_by(|left, right| left.compare(right))?;
    let (position, stored) = source.waiting.pop_front()?;
    Some((source.part.kind, position, stored))
}
