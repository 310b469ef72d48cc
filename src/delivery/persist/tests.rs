use super::*;
use crate::base::clock::Timestamp;
use crate::base::id::EventId;
use crate::store::ledger::{DeadLetter, Place};
use crate::store::tests::Fixture;

fn id(text: &str) -> StreamId {
    StreamId::parse(text).expect("an id")
}

fn letter(place: u64, error: &str) -> DeadLetter {
    DeadLetter {
        place: Place(place),
        event: EventId(uuid::Uuid::from_u128(u128::from(place))),
        at: Timestamp(1),
        attempts: 1,
        status: Some(400),
        error: error.into(),
        description: None,
        retry: false,
    }
}

fn resolution(stream: &str, epoch: u64, through: u64) -> Resolution {
    let places = PlaceSet::through(Place(through));
    Resolution { stream: id(stream), epoch, places, dead: Vec::new(), settled: Vec::new() }
}

#[tokio::test]
async fn what_is_noted_is_kept_together_and_known_before() {
    let fixture = Fixture::new("memory");
    let ledger = Arc::clone(&fixture.backend.ledger);
    let persister = Persister::new(Arc::clone(&ledger));
    persister.note(resolution("a", 0, 3));
    persister.note(resolution("a", 0, 2));
    persister.note(Resolution { dead: vec![letter(5, "x")], ..resolution("a", 0, 5) });
    persister.note(resolution("b", 0, 9));
    assert_eq!(persister.unkept(&id("a"), 0).cursor(), Place(5));
    assert_eq!(persister.unkept(&id("a"), 1).cursor(), Place(0));
    assert_eq!(ledger.resolved(&id("a"), 0).await.expect("places"), None);
    persister.flush().await.expect("kept");
    assert_eq!(persister.unkept(&id("a"), 0).cursor(), Place(0));
    let kept = |stream: &'static str| {
        let ledger = Arc::clone(&ledger);
        async move { ledger.resolved(&id(stream), 0).await.expect("places").map(|places| places.cursor().0) }
    };
    assert_eq!((kept("a").await, kept("b").await), (Some(5), Some(9)));
    assert_eq!(ledger.dead_letters(&id("a"), Place(0), 9, false).await.expect("letters").letters, [letter(5, "x")]);
}

#[tokio::test]
async fn of_a_letter_the_last_word_counts() {
    let fixture = Fixture::new("memory");
    let ledger = Arc::clone(&fixture.backend.ledger);
    let persister = Persister::new(Arc::clone(&ledger));
    persister.note(Resolution { dead: vec![letter(1, "first"), letter(2, "first"), letter(3, "first")], ..resolution("a", 0, 3) });
    persister.note(Resolution { settled: vec![Place(1)], dead: vec![letter(2, "second")], ..resolution("a", 0, 3) });
    persister.note(Resolution { settled: vec![Place(3)], ..resolution("a", 0, 3) });
    persister.note(Resolution { dead: vec![letter(3, "third")], ..resolution("a", 0, 3) });
    persister.flush().await.expect("kept");
    let letters = ledger.dead_letters(&id("a"), Place(0), 9, false).await.expect("letters").letters;
    assert_eq!(letters, [letter(2, "second"), letter(3, "third")]);
}

#[tokio::test]
async fn a_life_that_is_over_is_told_and_takes_nothing() {
    let fixture = Fixture::new("memory");
    let ledger = Arc::clone(&fixture.backend.ledger);
    let persister = Persister::new(Arc::clone(&ledger));
    let stale = persister.stale();
    ledger.resolve(vec![resolution("a", 2, 1)]).await.expect("kept");
    persister.note(resolution("a", 1, 9));
    persister.note(resolution("b", 0, 4));
    persister.flush().await.expect("kept");
    assert!(stale.has_changed().expect("a sender"));
    let is_stale = [0, 1, 2].map(|epoch| persister.is_stale(&id("a"), epoch));
    assert_eq!((is_stale, persister.is_stale(&id("b"), 0)), ([true, true, false], false));
    persister.note(resolution("a", 1, 9));
    assert_eq!(persister.unkept(&id("a"), 1).cursor(), Place(0));
    assert_eq!(ledger.resolved(&id("a"), 2).await.expect("places").map(|places| places.cursor()), Some(Place(1)));
    assert_eq!(ledger.resolved(&id("b"), 0).await.expect("places").map(|places| places.cursor()), Some(Place(4)));
    persister.forget(&id("a")).await;
    assert!(!persister.is_stale(&id("a"), 1));
}

#[tokio::test(start_paused = true)]
async fn it_is_kept_soon_and_at_once_when_there_is_much() {
    let fixture = Fixture::new("memory");
    let ledger = Arc::clone(&fixture.backend.ledger);
    let persister = Arc::new(Persister::new(Arc::clone(&ledger)));
    let following = Arc::clone(&persister);
    let task = tokio::spawn(async move { following.follow().await });
    let begun = tokio::time::Instant::now();
    persister.note(resolution("a", 0, 1));
    while ledger.resolved(&id("a"), 0).await.expect("places").is_none() {
        tokio::time::advance(Duration::from_millis(10)).await;
    }
    assert!(begun.elapsed() <= Duration::from_millis(limits::PERSIST_MS + 20));
    (0..limits::PERSIST_SETS as u64).for_each(|place| persister.note(resolution("b", 0, place)));
    let begun = tokio::time::Instant::now();
    while ledger.resolved(&id("b"), 0).await.expect("places").is_none() {
        tokio::task::yield_now().await;
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
    task.abort();
}
