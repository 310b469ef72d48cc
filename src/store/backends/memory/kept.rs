//! What delivery keeps: records, resolved places, dead letters.

use crate::base::id::StreamId;
use crate::store::ledger::{DeadLetter, DeadLetters, Life, PlaceSet, Record, RecordChange, Resolution, Trim};
use crate::store::{Place, Result, StoreError, StoreErrorKind};
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

#[derive(Debug, Default)]
pub(super) struct Kept {
    secrets: HashMap<&'static str, [u8; 32]>,
    records: BTreeMap<(&'static str, String), Record>,
    /// How many changes of records there have been: a record begins with the number of the change that makes it.
    record_changes: u64,
    resolved: HashMap<StreamId, (u64, PlaceSet)>,
    dead: BTreeMap<(StreamId, Place), DeadLetter>,
}

impl Kept {
    pub(super) fn secret(&mut self, name: &'static str, fresh: [u8; 32]) -> [u8; 32] {
        *self.secrets.entry(name).or_insert(fresh)
    }

    pub(super) fn records(&self, collection: &'static str) -> Vec<Record> {
        let of_it = self.records.range((collection, String::new())..).take_while(|((name, _), _)| *name == collection);
        of_it.map(|(_, record)| record.clone()).collect()
    }

    /// Checks every change against those before it, then makes all of them true.
    pub(super) fn write_records(&mut self, changes: Vec<RecordChange>) -> Result<()> {
        let (mut after, mut count) = (BTreeMap::new(), self.record_changes);
        for RecordChange { collection, id, expected, body } in changes {
            let key = (collection, id);
            let before = after.get(&key).cloned().unwrap_or_else(|| self.records.get(&key).cloned());
            if before.map(|record| record.revision) != expected {
                return Err(StoreError::new(StoreErrorKind::Stale, "write a record"));
            }
            count += 1;
            let revision = expected.map_or(count, |before| before + 1);
            let record = body.map(|body| Record { id: key.1.clone(), revision, body });
            after.insert(key, record);
        }
        self.record_changes = count;
        for (key, record) in after {
            match record {
                Some(record) => drop(self.records.insert(key, record)),
                None => drop(self.records.remove(&key)),
            }
        }
        Ok(())
    }

    pub(super) fn resolved(&self, stream: &StreamId, epoch: u64) -> Option<PlaceSet> {
        self.resolved.get(stream).filter(|(of, _)| *of == epoch).map(|(_, places)| places.clone())
    }

    pub(super) fn resolve(&mut self, resolution: Resolution) -> Result<PlaceSet> {
        let Resolution { stream, epoch, mut places, settled, changed, retried, dead, fence: _ } = resolution;
        match self.resolved.get(&stream) {
            Some((kept, _)) if *kept > epoch => {
                return Err(StoreError::new(StoreErrorKind::Stale, "keep the places of a stream"));
            }
            Some((kept, before)) if *kept == epoch => places.merge(before),
            _ => {}
        }
        self.resolved.insert(stream.clone(), (epoch, places.clone()));
        for place in settled {
            self.dead.remove(&(stream.clone(), place));
        }
        for letter in changed {
            if let Some(known) = self.dead.get_mut(&(stream.clone(), letter.place)) {
                *known = letter;
            }
        }
        for place in retried {
            if let Some(known) = self.dead.get_mut(&(stream.clone(), place)) {
                known.retry = true;
            }
        }
        self.dead.extend(dead.into_iter().map(|letter| ((stream.clone(), letter.place), letter)));
        Ok(places)
    }

    pub(super) fn dead_letters(&self, stream: &StreamId, after: Place, limit: usize, retry_only: bool) -> DeadLetters {
        let of_it = |from: Bound<Place>| {
            let from = from.map(|place| (stream.clone(), place));
            let letters = self.dead.range((from, Bound::Unbounded)).take_while(|((of, _), _)| of == stream);
            letters.map(|(_, letter)| letter).filter(move |letter| letter.retry || !retry_only)
        };
        let total = of_it(Bound::Included(Place(0))).count() as u64;
        DeadLetters { total, letters: of_it(Bound::Excluded(after)).take(limit).cloned().collect() }
    }

    pub(super) fn trim_letters(&mut self, trim: Trim) -> usize {
        let by_place = |(_, letter): &(_, &DeadLetter)| letter.place > trim.through;
        let due = self.dead.iter().filter(|(_, letter)| letter.place <= trim.through || letter.at < trim.before);
        let mut due: Vec<_> = due.collect();
        due.sort_by_key(|entry @ ((stream, place), letter)| {
            let is_by_age = by_place(entry);
            (is_by_age, if is_by_age { letter.at.0 } else { 0 }, if is_by_age { Place(0) } else { *place }, stream.clone(), *place)
        });
        let gone: Vec<_> = due.into_iter().take(trim.limit).map(|(key, _)| key.clone()).collect();
        for key in &gone {
            self.dead.remove(key);
        }
        gone.len()
    }

    pub(super) fn renew(&mut self, changes: Vec<RecordChange>, stream: &StreamId, life: Option<Life>) -> Result<()> {
        self.write_records(changes)?;
        self.resolved.remove(stream);
        self.dead.retain(|(of, _), _| of != stream);
        self.resolved.extend(life.map(|Life { epoch, places }| (stream.clone(), (epoch, places))));
        Ok(())
    }
}
