//! Retention where several nodes keep one log within its bounds.

use super::*;
use crate::delivery::counted::Counted;
use crate::store::Ledger;

on_every_backend!(
    of_two_nodes_that_trim_at_once_none_disables_a_stream_that_lost_nothing,
    what_another_node_trims_in_between_moves_nobody_past_too_little,
    one_question_tells_what_all_streams_have_resolved,
    what_has_gone_meanwhile_is_passed_over_by_nobody,
);

/// A node that keeps the log of a [`House`] within its bounds.
struct Keeping {
    delivery: Arc<Delivery>,
    looks: Looks,
}

impl House {
    /// Makes so many users.
    async fn has_users(&self, count: u64) {
        let names: Vec<String> = (0..count).map(|number| format!("u{number}")).collect();
        for names in names.chunks(1_000) {
            let changes = names.iter().map(|name| self.store.create(key(USER, name), &user(name)));
            self.store.commit(changes.collect()).await.expect("users");
        }
    }

    /// The same store as another node sees it.
    async fn beside(&self) -> Keeping {
        let Self { delivery, clock, store, .. } = self;
        let delivery = assemble(store, clock, delivery.settings.retention);
        delivery.streams.load().await.expect("streams");
        Keeping { delivery, looks: Looks::default() }
    }
}

/// I5
async fn of_two_nodes_that_trim_at_once_none_disables_a_stream_that_lost_nothing(store: Fixture) {
    const USERS: u64 = 6_000;
    let house = House::new(store, 1_000_000, 100);
    house.stream("groups", json!({"resource_types": ["Group"]})).await;
    house.has_users(USERS).await;
    house.store.backend.ledger.wake().wait_for(|place| *place >= USERS).await.expect("an open store");
    // They grow old together.
    house.clock.0.store(i64::MAX, Ordering::Relaxed);
    let look = async |mut keeping: Keeping| {
        while !house.places().await.is_empty() {
            Keeper(&keeping.delivery).look(&mut keeping.looks).await.expect("a look");
        }
        Keeper(&keeping.delivery).look(&mut keeping.looks).await.expect("a look");
        let stream = keeping.delivery.streams.get(&id("groups")).expect("a stream");
        (stream.status, stream.gap)
    };
    let (one, other, third) = (house.beside().await, house.beside().await, house.beside().await);
    assert_eq!(tokio::join!(look(one), look(other), look(third)), (WHOLE, WHOLE, WHOLE));
    let kept = house.store.backend.ledger.resolved(&id("groups"), 0).await.expect("places");
    assert_eq!(kept, Some(PlaceSet::through(Place(USERS))));
}

/// I5
async fn what_another_node_trims_in_between_moves_nobody_past_too_little(store: Fixture) {
    let mut house = House::new(store, 200, FOR_EVER_MS);
    let counted = Counted::new(&house.store.backend.ledger);
    let ledger = Arc::clone(&counted) as Arc<dyn Ledger>;
    house.delivery = assemble_over(ledger, &house.store, &house.clock, house.delivery.settings.retention);
    house.stream("groups", json!({"resource_types": ["Group"]})).await;
    let names: Vec<String> = (0..1_200).map(|number| format!("u{number}")).collect();
    house.store.commit(names.iter().map(|name| house.store.create(key(USER, name), &user(name))).collect()).await.expect("users");
    house.head.store(1_200, Ordering::Relaxed);
    counted.trimmed_before(Trim { through: Place(300), before: Timestamp(i64::MIN), limit: 300 });
    // The streams were moved past 500 events, and not past those behind the 300 that went: they stay.
    house.look_at(0).await;
    assert_eq!(house.places().await.first(), Some(&301));
    house.look_at(0).await;
    assert_eq!(house.places().await.first(), Some(&1_001));
    house.look_at(0).await;
    assert_eq!((house.state("groups"), house.resolved("groups").await), (WHOLE, "1000".into()));
}

async fn one_question_tells_what_all_streams_have_resolved(store: Fixture) {
    let mut house = House::new(store, 1_500, FOR_EVER_MS);
    let counted = Counted::new(&house.store.backend.ledger);
    let ledger = Arc::clone(&counted) as Arc<dyn Ledger>;
    house.delivery = assemble_over(ledger, &house.store, &house.clock, house.delivery.settings.retention);
    for number in 0..20 {
        house.stream(&format!("groups-{number}"), json!({"resource_types": ["Group"]})).await;
    }
    house.look_at(0).await;
    counted.resolved_reads();
    // Nothing has changed, and nothing goes.
    house.look_at(0).await;
    assert_eq!(counted.resolved_reads(), 0);
    // Steps enough, streams that are behind in each.
    house.has_users(3_000).await;
    house.head.store(3_000, Ordering::Relaxed);
    house.look_at(0).await;
    assert_eq!(house.places().await.first(), Some(&1_501));
    assert_eq!(counted.resolved_reads(), 1);
    assert_eq!((house.state("groups-7"), house.resolved("groups-7").await), (WHOLE, "1500".into()));
}

/// I5
async fn what_has_gone_meanwhile_is_passed_over_by_nobody(store: Fixture) {
    let house = House::new(store, 100, FOR_EVER_MS);
    house.stream("groups", json!({"resource_types": ["Group"]})).await;
    house.events(&[1, 2]).await;
    house.group("one").await;
    house.events(&[4]).await;
    house.store.backend.ledger.wake().wait_for(|place| *place >= 4).await.expect("an open store");
    let ledger = &house.store.backend.ledger;
    let trim = Trim { through: Place(3), before: Timestamp(i64::MIN), limit: 9 };
    assert_eq!(ledger.trim(Place(0), trim).await.expect("trimmed"), 3);
    // This node has looked at the log before that, and knows nothing of it.
    let keeper = Keeper(&house.delivery);
    let mut followed = keeper.followed().await.expect("streams");
    assert_eq!(keeper.pass_over(&mut followed, Place(0), Place(4)).await, Ok(false));
    assert_eq!(ledger.resolved(&id("groups"), 0).await.expect("places"), Some(PlaceSet::default()));
}
