//! Dead letters that are sent once more.

use super::support::receiver::Receiver;
use super::support::reply::{Gate, Reply};
use super::support::wait::{PATIENCE, until};
use super::world::World;
use crate::base::id::StreamId;
use crate::store::ledger::{DeadLetter, Place, PlaceSet, Resolution, Trim};
use serde_json::json;

/// Marks letters as somebody does who wants them sent once more.
async fn retry(world: &World, id: &StreamId, letters: Vec<DeadLetter>) {
    let dead = letters.into_iter().map(|letter| DeadLetter { retry: true, ..letter }).collect();
    let resolution = Resolution { dead, ..Resolution::of(id.clone(), 0, PlaceSet::default()) };
    world.delivery.ledger.resolve(vec![resolution]).await.expect("marked")[0].as_ref().expect("marked");
    world.delivery.streams.poke(id);
}

/// 8935-4-06 8935-2-01
#[tokio::test]
async fn a_dead_letter_that_is_sent_once_more_is_settled_when_it_is_accepted() {
    let receiver = Receiver::start().await;
    receiver.script([Reply::refused("invalid_request"), Reply::refused("invalid_request")]);
    let world = World::new();
    let id = world.stream("s", &receiver.url(), json!({})).await;
    world.users(&["a", "b", "c"]).await;
    let running = world.start().await;
    world.kept(&id, 3).await;
    let dead = world.dead(&id, 2).await;
    let first = receiver.received()[0].set();
    retry(&world, &id, vec![dead[0].clone()]).await;
    let left = world.dead(&id, 1).await;
    assert_eq!((left[0].place, receiver.count()), (dead[1].place, 4));
    assert_eq!(receiver.received()[3].set(), first, "it is the same SET");
    receiver.script([Reply::refused("invalid_issuer")]);
    retry(&world, &id, left).await;
    let again = || async {
        let letters = world.delivery.ledger.dead_letters(&id, Place(0), 10, false).await.expect("letters").letters;
        letters.into_iter().find(|letter| letter.error == "invalid_issuer")
    };
    let letter = until("it is refused again", PATIENCE, again).await;
    assert_eq!((letter.attempts, letter.retry, receiver.count()), (2, false, 5));
    running.stop().await;
}

#[tokio::test]
async fn a_letter_that_is_discarded_while_it_is_sent_once_more_does_not_come_back() {
    let receiver = Receiver::start().await;
    let gate = Gate::default();
    receiver.script([Reply::refused("invalid_request"), Reply::refused("invalid_request").held_by(&gate)]);
    let world = World::new();
    let id = world.stream("s", &receiver.url(), json!({"lanes": 1})).await;
    world.users(&["a"]).await;
    let running = world.start().await;
    let dead = world.dead(&id, 1).await;
    retry(&world, &id, dead.clone()).await;
    receiver.at_least(2).await;
    let discarded = Resolution { settled: vec![dead[0].place], ..Resolution::of(id.clone(), 0, PlaceSet::default()) };
    world.delivery.ledger.resolve(vec![discarded]).await.expect("discarded")[0].as_ref().expect("discarded");
    gate.open();
    // What comes next is kept after what came of the letter.
    world.users(&["b"]).await;
    world.kept(&id, 2).await;
    running.stop().await;
    assert_eq!((world.dead(&id, 0).await, receiver.count()), (vec![], 3));
}

#[tokio::test]
async fn letters_marked_while_nothing_ran_are_sent_at_the_start() {
    let receiver = Receiver::start().await;
    receiver.script([Reply::refused("invalid_request")]);
    let world = World::new();
    let id = world.stream("s", &receiver.url(), json!({})).await;
    world.users(&["a"]).await;
    let running = world.start().await;
    let dead = world.dead(&id, 1).await;
    running.stop().await;
    retry(&world, &id, dead).await;
    let running = world.start().await;
    world.dead(&id, 0).await;
    running.stop().await;
    assert_eq!(receiver.count(), 2);
}

#[tokio::test]
async fn a_letter_whose_event_is_gone_stays_and_says_so() {
    let world = World::new();
    let receiver = Receiver::start().await;
    let id = world.stream("s", &receiver.url(), json!({"start": 1})).await;
    world.users(&["a"]).await;
    let event = world.fixture.log().await[0].event.id;
    let trim = Trim { through: Place(1), before: crate::base::clock::Timestamp(0), limit: 10 };
    world.delivery.ledger.trim(Place(0), trim).await.expect("trimmed");
    let at = crate::base::clock::Timestamp(1);
    let letter = DeadLetter {
        place: Place(1),
        event,
        at,
        attempts: 1,
        status: Some(400),
        error: "x".into(),
        description: None,
        retry: true,
    };
    retry(&world, &id, vec![letter]).await;
    let running = world.start().await;
    let gone = || async {
        let letters = world.delivery.ledger.dead_letters(&id, Place(0), 10, false).await.expect("letters").letters;
        letters.into_iter().find(|letter| !letter.retry)
    };
    let letter = until("it is given up", PATIENCE, gone).await;
    running.stop().await;
    assert_eq!((letter.description.as_deref(), receiver.count()), (Some("The log no longer holds the event."), 0));
}
