use super::*;
use crate::base::clock::Timestamp;
use crate::base::id::{ResourceId, Tenant, TypeCode};
use crate::event::Kind;
use proptest::prelude::*;
use uuid::Uuid;

/// What a window is held to: everything is looked for anew each time.
#[derive(Debug)]
struct Naive {
    log: Vec<Arc<Logged>>,
    wanted: Vec<bool>,
    most: Most,
    resolved: BTreeSet<u64>,
    scanned: u64,
    /// Unresolved places of the window.
    inside: BTreeSet<u64>,
    out: BTreeSet<u64>,
    replays: BTreeSet<u64>,
    attempts: HashMap<u64, u32>,
}

#[derive(Clone, Debug)]
enum Step {
    /// The log is read on, so many places.
    Read(u64),
    Take(usize, usize),
    /// The receiver resolves one of those that are inside, out or not.
    Resolve(usize),
    GiveBack(usize),
    /// One of those that are resolved is delivered once more.
    Replay(usize),
    /// Everything but what is resolved is forgotten.
    Restart,
}

const EVENT_BYTES: usize = 256;

fn logged(place: u64, subject: u8) -> Arc<Logged> {
    let event = Event {
        id: EventId(Uuid::from_u128(u128::from(place))),
        kind: Kind::Delete,
        subject: Key { tenant: Tenant(0), kind: TypeCode(1), id: ResourceId::parse(&subject.to_string()) },
        external_id: None,
        version: place,
        txn: "t".into(),
        at: Timestamp(0),
        attributes: Vec::new(),
        data: None,
    };
    Arc::new(Logged { place: Place(place), event })
}

impl Naive {
    fn new(events: &[(u8, bool)], most: Most) -> Self {
        let log = (1..).zip(events).map(|(place, (subject, _))| logged(place, *subject)).collect();
        Self {
            log,
            wanted: events.iter().map(|(_, wanted)| *wanted).collect(),
            most,
            resolved: BTreeSet::new(),
            scanned: 0,
            inside: BTreeSet::new(),
            out: BTreeSet::new(),
            replays: BTreeSet::new(),
            attempts: HashMap::new(),
        }
    }

    fn at(&self, place: u64) -> &Arc<Logged> {
        &self.log[usize::try_from(place - 1).expect("small")]
    }

    fn subject(&self, place: u64) -> &Key {
        &self.at(place).event.subject
    }

    fn wants(&self, event: &Event) -> bool {
        self.wanted[usize::try_from(event.version - 1).expect("small")]
    }

    fn is_full(&self) -> bool {
        self.inside.len() >= self.most.events || self.inside.len() * EVENT_BYTES >= self.most.bytes
    }

    fn read(&mut self, through: u64) {
        while self.scanned < through && !self.is_full() {
            self.scanned += 1;
            if self.resolved.contains(&self.scanned) {
                continue;
            }
            if self.wants(&self.at(self.scanned).event) {
                self.inside.insert(self.scanned);
            } else {
                self.resolved.insert(self.scanned);
            }
        }
    }

    fn may_go(&self, place: u64) -> bool {
        let same = |other: &&u64| self.subject(**other) == self.subject(place);
        !self.out.iter().any(|other| same(&other)) && self.inside.iter().find(same) == Some(&place)
    }

    fn take(&mut self, limit: usize, bytes: usize) -> Vec<(u64, u32, bool)> {
        let mut taken = Vec::new();
        for place in self.inside.clone() {
            if taken.len() >= limit || taken.len() * EVENT_BYTES >= bytes {
                break;
            }
            if self.may_go(place) {
                self.out.insert(place);
                let attempts = self.attempts.entry(place).or_default();
                *attempts += 1;
                taken.push((place, *attempts, self.replays.contains(&place)));
            }
        }
        taken
    }

    fn resolve(&mut self, place: u64) {
        self.resolved.insert(place);
        for set in [&mut self.inside, &mut self.out, &mut self.replays] {
            set.remove(&place);
        }
        self.attempts.remove(&place);
    }

    fn restart(&mut self) {
        let after = self.log.len() as u64 + 1;
        let cursor = (1..=after).find(|place| !self.resolved.contains(place)).expect("one") - 1;
        (self.scanned, self.inside) = (cursor, BTreeSet::new());
        (self.out, self.replays, self.attempts) = (BTreeSet::new(), BTreeSet::new(), HashMap::new());
    }
}

fn nth(places: &BTreeSet<u64>, index: usize) -> Option<u64> {
    places.iter().nth(index % places.len().max(1)).copied()
}

/// A window, its model, and what was seen of both.
struct Pair {
    window: Window,
    naive: Naive,
    /// By subject, the places that were delivered for the first time, in the order in which they were.
    first: HashMap<Key, Vec<u64>>,
}

impl Pair {
    fn new(events: &[(u8, bool)], most: Most) -> Self {
        Self { window: Window::of(PlaceSet::default(), most), naive: Naive::new(events, most), first: HashMap::new() }
    }

    fn step(&mut self, step: &Step) {
        let Self { window, naive, .. } = self;
        match *step {
            Step::Read(count) => {
                let from = usize::try_from(window.scanned().0).expect("small");
                let through = (window.scanned().0 + count).min(naive.log.len() as u64);
                let part = &naive.log[from..usize::try_from(through).expect("small")];
                window.offer(part, Place(through), |event| naive.wants(event));
                naive.read(through);
            }
            Step::Take(limit, bytes) => self.take(limit, bytes),
            Step::Resolve(index) => {
                let Some(place) = nth(&naive.inside, index) else { return };
                let expected = (place, naive.attempts.get(&place).copied().unwrap_or(0), naive.replays.contains(&place));
                let seen = (place, window.attempts(Place(place)).expect("it is inside"), window.is_replay(Place(place)));
                assert_eq!(seen, expected);
                assert!(window.resolve(Place(place)), "it is inside");
                naive.resolve(place);
                assert!(!window.resolve(Place(place)), "once");
            }
            Step::GiveBack(index) => {
                let Some(place) = nth(&naive.inside, index) else { return };
                window.give_back(Place(place));
                naive.out.remove(&place);
            }
            Step::Replay(index) => {
                let Some(place) = nth(&naive.resolved, index).filter(|place| naive.wants(&naive.at(*place).event)) else { return };
                window.replay(Arc::clone(naive.at(place)));
                naive.inside.insert(place);
                naive.replays.insert(place);
            }
            Step::Restart => {
                *window = Window::of(window.resolved().to_string().parse().expect("places"), naive.most);
                naive.restart();
            }
        }
    }

    fn take(&mut self, limit: usize, bytes: usize) {
        let shown = |taken: &Taken| (taken.logged.place.0, taken.attempts, taken.is_replay);
        let taken: Vec<_> = self.window.take_within(limit, bytes).iter().map(shown).collect();
        assert_eq!(taken, self.naive.take(limit, bytes));
        for (place, _, is_replay) in taken {
            let first = self.first.entry(self.naive.subject(place).clone()).or_default();
            if !is_replay && !first.contains(&place) {
                assert!(first.iter().all(|before| *before < place), "{place} after {first:?}");
                first.push(place);
            }
        }
    }

    fn check(&self) {
        let Self { window, naive, .. } = self;
        assert_eq!((window.len(), window.scanned().0), (naive.inside.len(), naive.scanned));
        assert_eq!(window.oldest().map(|logged| logged.place.0), naive.inside.first().copied());
        assert_eq!(window.is_ready(), naive.inside.iter().any(|place| naive.may_go(*place)));
        assert_eq!(window.room() == 0, naive.is_full());
        let subjects: BTreeSet<&Key> = naive.out.iter().map(|place| naive.subject(*place)).collect();
        assert_eq!(subjects.len(), naive.out.len(), "two of a subject are out");
        for place in 1..=naive.log.len() as u64 {
            assert_eq!(window.resolved().contains(Place(place)), naive.resolved.contains(&place), "{place}");
            let inside = naive.inside.contains(&place).then_some(Place(place));
            assert_eq!(window.place_of(EventId(Uuid::from_u128(u128::from(place)))), inside);
            let attempts = inside.map(|_| naive.attempts.get(&place).copied().unwrap_or(0));
            assert_eq!(window.attempts(Place(place)), attempts);
        }
        for floor in 0..=naive.log.len() as u64 {
            let lost = (naive.scanned + 1..=floor).filter(|place| !naive.resolved.contains(place)).count() as u64;
            assert_eq!(window.lost(Place(floor)), lost, "{floor}");
        }
    }

    /// The receiver resolves all that there is: everything that the stream wants has then been delivered.
    fn drain(&mut self) {
        let head = self.naive.log.len() as u64;
        while self.window.resolved().cursor().0 < head || self.window.len() > 0 {
            self.step(&Step::Read(head));
            for place in self.naive.out.clone() {
                self.window.give_back(Place(place));
                self.naive.out.remove(&place);
            }
            self.take(usize::MAX, usize::MAX);
            let out = self.naive.out.clone();
            assert!(!out.is_empty() || self.naive.inside.is_empty(), "it stands still");
            for place in out {
                self.window.resolve(Place(place));
                self.naive.resolve(place);
            }
            self.check();
        }
        let delivered: BTreeSet<u64> = self.first.values().flatten().copied().collect();
        assert_eq!(self.window.room() == 0, self.naive.is_full());
        assert!(delivered.iter().all(|place| self.naive.wants(&self.naive.at(*place).event)));
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..12u64).prop_map(Step::Read),
        4 => (0..6usize, 1..2000usize).prop_map(|(limit, bytes)| Step::Take(limit, bytes)),
        4 => any::<prop::sample::Index>().prop_map(|index| Step::Resolve(index.index(1000))),
        2 => any::<prop::sample::Index>().prop_map(|index| Step::GiveBack(index.index(1000))),
        2 => any::<prop::sample::Index>().prop_map(|index| Step::Replay(index.index(1000))),
        1 => Just(Step::Restart),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    /// I4, I5: a window does what the plainest reading of the rules does, and loses nothing.
    #[test]
    fn a_window_is_its_model(
        events in proptest::collection::vec((0..4u8, proptest::bool::weighted(0.8)), 0..40),
        most in (1..12usize, EVENT_BYTES..12 * EVENT_BYTES).prop_map(|(events, bytes)| Most { events, bytes }),
        steps in steps(),
    ) {
        let mut pair = Pair::new(&events, most);
        for step in &steps {
            pair.step(step);
            pair.check();
        }
        pair.drain();
    }

    /// Without resolutions before their time, every event that the stream wants is delivered, in the order of its subject.
    #[test]
    fn everything_wanted_comes_in_the_order_of_its_subject(
        events in proptest::collection::vec((0..4u8, any::<bool>()), 0..60),
        most in (1..12usize).prop_map(|events| Most { events, bytes: usize::MAX }),
    ) {
        let mut pair = Pair::new(&events, most);
        pair.drain();
        let delivered: BTreeSet<u64> = pair.first.values().flatten().copied().collect();
        let wanted: BTreeSet<u64> = (1..).zip(&events).filter(|(_, (_, wanted))| *wanted).map(|(place, _)| place).collect();
        prop_assert_eq!(delivered, wanted);
        prop_assert_eq!(pair.window.resolved().to_string(), events.len().to_string());
    }
}
