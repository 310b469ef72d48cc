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
    Resolution::of(id(stream), epoch, places)
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

/// A letter that somebody has settled stays settled, whatever a worker has noted of it.
#[tokio::test]
async fn a_change_of_a_letter_brings_back_none_that_is_settled() {
    let fixture = Fixture::new("memory");
    let ledger = Arc::clone(&fixture.backend.ledger);
    let persister = Persister::new(Arc::clone(&ledger));
    let first = vec![letter(1, "first"), letter(2, "first"), letter(3, "first"), letter(4, "first")];
    ledger.resolve(vec![Resolution { dead: first, ..resolution("a", 0, 5) }]).await.expect("kept");
    // Somebody discards the first while a worker sends it once more; the worker itself delivers the third.
    ledger.resolve(vec![Resolution { settled: vec![Place(1)], ..resolution("a", 0, 5) }]).await.expect("kept");
    persister
        .note(Resolution { changed: vec![letter(1, "again"), letter(2, "again"), letter(3, "again")], ..resolution("a", 0, 5) });
    persister.note(Resolution { settled: vec![Place(3)], ..resolution("a", 0, 5) });
    persister.note(Resolution { changed: vec![letter(2, "last"), letter(3, "late")], ..resolution("a", 0, 5) });
    persister.note(Resolution { retried: vec![Place(1), Place(4)], ..resolution("a", 0, 5) });
    persister.note(Resolution { dead: vec![letter(5, "new")], ..resolution("a", 0, 5) });
    persister.note(Resolution { changed: vec![letter(5, "newer")], ..resolution("a", 0, 5) });
    persister.flush().await.expect("kept");
    let letters = ledger.dead_letters(&id("a"), Place(0), 9, false).await.expect("letters").letters;
    let marked = DeadLetter { retry: true, ..letter(4, "first") };
    assert_eq!(letters, [letter(2, "last"), marked, letter(5, "newer")]);
}

#[tokio::test]
async fn much_is_kept_in_several_batches() {
    let fixture = Fixture::new("memory");
    let ledger = Arc::clone(&fixture.backend.ledger);
    let persister = Persister::new(Arc::clone(&ledger));
    let streams = limits::PERSIST_ROWS * 2 + 1;
    let names: Vec<String> = (0..streams).map(|number| format!("s{number:04}")).collect();
    for name in &names {
        persister.note(resolution(name, 0, 7));
    }
    persister.flush().await.expect("kept");
    for name in &names {
        assert_eq!(ledger.resolved(&id(name), 0).await.expect("places"), Some(PlaceSet::through(Place(7))), "{name}");
    }
    let all: Vec<Resolution> = names.iter().map(|name| resolution(name, 0, 7)).collect();
    let sizes = |all: Vec<Resolution>| batches(all).iter().map(Vec::len).collect::<Vec<_>>();
    assert_eq!(sizes(all), [limits::PERSIST_ROWS, limits::PERSIST_ROWS, 1]);
    assert_eq!(sizes(Vec::new()), [0; 0]);
    let letters = |count: usize| vec![letter(1, "x"); count];
    let many = Resolution { dead: letters(limits::PERSIST_ROWS), ..resolution("b", 0, 7) };
    let few = Resolution { changed: letters(limits::PERSIST_ROWS - 2), ..resolution("c", 0, 7) };
    assert_eq!(sizes(vec![many.clone(), many, few.clone(), resolution("d", 0, 7), few]), [1, 1, 2, 1]);
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
