//! Sets of places: every place up to a cursor, and ranges above it. What a stream has resolved is one.

use super::Place;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// Every place up to a cursor, and what is known above it. Sets only grow, and to merge two takes no order: whoever knows of a place
/// that it is resolved may say so at any time, and no cursor ever goes back (I5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceSet {
    cursor: u64,
    /// First place → last place. Ranges neither touch each other nor the cursor.
    above: BTreeMap<u64, u64>,
}

impl PlaceSet {
    /// Every place up to this one.
    pub fn through(place: Place) -> Self {
        Self { cursor: place.0, above: BTreeMap::new() }
    }

    /// The place up to which every place is in the set.
    pub fn cursor(&self) -> Place {
        Place(self.cursor)
    }

    /// Whether a place is in the set.
    pub fn contains(&self, place: Place) -> bool {
        place.0 <= self.cursor || self.above.range(..=place.0).next_back().is_some_and(|(_, last)| place.0 <= *last)
    }

    /// How many ranges there are above the cursor.
    pub fn ranges(&self) -> usize {
        self.above.len()
    }

    /// How many places up to this one are not in the set.
    pub fn missing(&self, through: Place) -> u64 {
        let ranges = self.above.range(..=through.0);
        let known: u64 = ranges.map(|(first, last)| (*last).min(through.0) - first + 1).sum();
        through.0.saturating_sub(self.cursor).saturating_sub(known)
    }

    /// Adds one place.
    pub fn insert(&mut self, place: Place) {
        self.insert_range(place, place);
    }

    /// Adds the places from `first` to `last`, both included. An empty range adds nothing.
    pub fn insert_range(&mut self, first: Place, last: Place) {
        let (mut first, mut last) = (first.0.max(self.cursor.saturating_add(1)), last.0);
        if first > last {
            return;
        }
        while let Some((&start, &end)) = self.above.range(..=last.saturating_add(1)).next_back() {
            if end.saturating_add(1) < first {
                break;
            }
            self.above.remove(&start);
            (first, last) = (first.min(start), last.max(end));
        }
        if first == self.cursor.saturating_add(1) {
            self.cursor = last;
        } else {
            self.above.insert(first, last);
        }
    }

    /// The places of the set up to this one.
    #[must_use]
    pub fn up_to(&self, last: Place) -> Self {
        let above = self.above.range(..=last.0).map(|(&first, &end)| (first, end.min(last.0))).collect();
        Self { cursor: self.cursor.min(last.0), above }
    }

    /// Adds every place of another set.
    pub fn merge(&mut self, other: &Self) {
        self.insert_range(Place(1), other.cursor());
        for (&first, &last) in &other.above {
            self.insert_range(Place(first), Place(last));
        }
    }
}

/// `17 19-22 25`: the cursor, then the ranges above it.
impl fmt::Display for PlaceSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.cursor)?;
        for (first, last) in &self.above {
            if first == last { write!(formatter, " {first}") } else { write!(formatter, " {first}-{last}") }?;
        }
        Ok(())
    }
}

/// A text that is no set of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a set of places")]
pub struct NotPlaces;

impl FromStr for PlaceSet {
    type Err = NotPlaces;

    fn from_str(text: &str) -> Result<Self, NotPlaces> {
        let number = |text: &str| text.parse::<u64>().map_err(|_| NotPlaces);
        let mut parts = text.split(' ');
        let mut places = Self::through(Place(number(parts.next().unwrap_or_default())?));
        for part in parts {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            places.insert_range(Place(number(first)?), Place(number(last)?));
        }
        Ok(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// What a set must be, place by place.
    fn naive(cursor: u64, ranges: &[(u64, u64)]) -> BTreeSet<u64> {
        (1..=cursor).chain(ranges.iter().flat_map(|(first, length)| *first..first + length)).collect()
    }

    fn set(cursor: u64, ranges: &[(u64, u64)]) -> PlaceSet {
        let mut places = PlaceSet::through(Place(cursor));
        for (first, length) in ranges {
            places.insert_range(Place(*first), Place((first + length).saturating_sub(1)));
        }
        places
    }

    fn ranges() -> impl Strategy<Value = Vec<(u64, u64)>> {
        proptest::collection::vec((1u64..60, 0u64..8), 0..12)
    }

    proptest! {
        #[test]
        fn a_set_holds_what_was_put_into_it_and_nothing_else(cursor in 0u64..20, ranges in ranges()) {
            let (places, expected) = (set(cursor, &ranges), naive(cursor, &ranges));
            for place in 1..80 {
                prop_assert_eq!(places.contains(Place(place)), expected.contains(&place), "{} in {}", place, places);
            }
            let first_missing = (1..1_000).find(|place| !expected.contains(place)).expect("there is one");
            prop_assert_eq!(places.cursor(), Place(first_missing - 1));
            for through in [0, 7, 30, 79] {
                let missing = (1..=through).filter(|place| !expected.contains(place)).count() as u64;
                prop_assert_eq!(places.missing(Place(through)), missing, "up to {} of {}", through, places);
            }
            for last in [0, 7, 30, 79] {
                let kept = places.up_to(Place(last));
                let all = (1..80).filter(|place| kept.contains(Place(*place)));
                prop_assert!(all.eq(expected.iter().copied().filter(|place| *place <= last)), "{} up to {}", places, last);
            }
            prop_assert_eq!(places.to_string().parse::<PlaceSet>(), Ok(places));
        }

        #[test]
        fn merging_takes_no_order(left in (0u64..20, ranges()), right in (0u64..20, ranges())) {
            let (left, right) = (set(left.0, &left.1), set(right.0, &right.1));
            let (mut one, mut other) = (left.clone(), right.clone());
            one.merge(&right);
            other.merge(&left);
            prop_assert_eq!(&one, &other);
            for place in 1..80 {
                prop_assert_eq!(one.contains(Place(place)), left.contains(Place(place)) || right.contains(Place(place)));
            }
        }
    }

    #[test]
    fn what_is_no_set_is_refused() {
        for text in ["", "x", "-1", "1 2-", "1  3", "1 -3"] {
            assert_eq!(text.parse::<PlaceSet>(), Err(NotPlaces), "{text}");
        }
        assert_eq!("3 4-6 9".parse::<PlaceSet>().map(|places| places.to_string()), Ok("6 9".into()));
        assert_eq!("0 5-4".parse::<PlaceSet>(), Ok(PlaceSet::default()));
    }
}
