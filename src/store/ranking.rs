//! The places of a page when resources come in another order than the one asked for: a bounded heap of keys and ids, so that a sort
//! without an index keeps no document in memory.

use super::{Position, Query, Result, Start, StoreError, StoreErrorKind};
use crate::base::limits;
use crate::scim::sort::Sort;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// The first places of an order, of those that were offered.
#[derive(Debug)]
pub(crate) struct Ranking<'a> {
    sort: Option<&'a Sort>,
    after: Option<&'a Position>,
    offset: usize,
    /// How many places there are up to the end of the page, and one more to know whether it is the last.
    wanted: usize,
    matched: u64,
    heap: BinaryHeap<Ranked<'a>>,
    has_dropped: bool,
}

/// What a ranking came to.
#[derive(Debug, PartialEq)]
pub(crate) struct Places {
    /// Those of the page in order, and one more if there are more.
    pub(crate) positions: Vec<Position>,
    /// How many there are in all, those before the page included.
    pub(crate) matched: u64,
}

#[derive(Debug)]
struct Ranked<'a> {
    position: Position,
    sort: Option<&'a Sort>,
}

impl Ord for Ranked<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.position.compare(&other.position, self.sort)
    }
}

impl PartialOrd for Ranked<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Ranked<'_> {}

impl<'a> Ranking<'a> {
    /// The ranking that a query asks for.
    pub(crate) fn new(query: &'a Query) -> Self {
        let (offset, after) = match &query.start {
            Start::Offset(offset) => (*offset, None),
            Start::After(after) => (0, after.as_ref()),
        };
        let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        // A page of nothing needs no place.
        let page = if query.limit == 0 { 0 } else { size(query.limit).saturating_add(1) };
        Self {
            sort: query.sort.as_ref(),
            after,
            offset: size(offset),
            wanted: if page == 0 { 0 } else { size(offset).saturating_add(page) },
            matched: 0,
            heap: BinaryHeap::new(),
            has_dropped: false,
        }
    }

    /// Takes note of a match.
    pub(crate) fn offer(&mut self, position: Position) {
        self.matched += 1;
        if self.after.is_some_and(|after| position.compare(after, self.sort) != Ordering::Greater) {
            return;
        }
        let ranked = Ranked { position, sort: self.sort };
        if self.heap.len() < self.wanted.min(limits::SORTED_PLACES) {
            self.heap.push(ranked);
            return;
        }
        self.has_dropped = true;
        if let Some(mut last) = self.heap.peek_mut()
            && ranked < *last
        {
            *last = ranked;
        }
    }

    /// The places of the page, when every match has been offered. [Too many](StoreErrorKind::TooMany) when the page is further from the
    /// beginning than places are kept in mind.
    pub(crate) fn finish(self) -> Result<Places> {
        if self.has_dropped && self.wanted > limits::SORTED_PLACES {
            return Err(StoreError::new(StoreErrorKind::TooMany, "sort resources"));
        }
        let positions = self.heap.into_sorted_vec().into_iter().skip(self.offset).map(|ranked| ranked.position);
        Ok(Places { positions: positions.collect(), matched: self.matched })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{ResourceId, Tenant, TypeCode};
    use crate::scim::compare::Comparable;
    use crate::store::Detail;

    fn place(key: i64, id: &str) -> Position {
        Position { key: (key != 0).then_some(Comparable::Integer(key)), id: ResourceId::parse(id) }
    }

    fn query(descending: bool, start: Start, limit: u64) -> Query {
        let sort = Some(Sort { path: None, descending });
        Query { tenant: Tenant(0), kind: TypeCode(1), filter: None, sort, start, limit, detail: Detail::default() }
    }

    fn ranked(query: &Query, places: &[Position]) -> (Vec<Position>, u64) {
        let mut ranking = Ranking::new(query);
        places.iter().cloned().for_each(|place| ranking.offer(place));
        let places = ranking.finish().expect("few enough");
        (places.positions, places.matched)
    }

    /// 7644-3.4.2.3-03
    #[test]
    fn no_value_is_last_and_descending_is_the_reverse() {
        let places = [place(2, "b"), place(0, "d"), place(1, "c"), place(2, "a"), place(0, "a")];
        let mut order = vec![place(1, "c"), place(2, "a"), place(2, "b"), place(0, "a"), place(0, "d")];
        assert_eq!(ranked(&query(false, Start::Offset(0), 9), &places), (order.clone(), 5));
        assert_eq!(ranked(&query(false, Start::Offset(1), 2), &places), (order[1..4].to_vec(), 5));
        assert_eq!(ranked(&query(false, Start::After(Some(place(2, "aa"))), 1), &places), (order[2..4].to_vec(), 5));
        order.reverse();
        assert_eq!(ranked(&query(true, Start::Offset(0), 9), &places), (order.clone(), 5));
        assert_eq!(ranked(&query(true, Start::After(Some(place(0, "b"))), 9), &places), (order[1..].to_vec(), 5));
        assert_eq!(ranked(&query(false, Start::Offset(0), 0), &places), (vec![], 5));
    }

    #[test]
    fn a_page_far_from_the_beginning_is_refused_unless_there_are_few() {
        let far = limits::SORTED_PLACES as u64;
        assert_eq!(ranked(&query(false, Start::Offset(far), 1), &[place(1, "a")]), (vec![], 1));
        let query = query(false, Start::Offset(far), 1);
        let mut ranking = Ranking::new(&query);
        (0..=limits::SORTED_PLACES).for_each(|number| ranking.offer(place(1, &number.to_string())));
        assert_eq!(ranking.finish().expect_err("too far").kind, StoreErrorKind::TooMany);
    }
}
