use super::*;
use crate::delivery::house::{House, PATIENCE, caller};
use crate::delivery::stream::{Gap, Method, Push, Verification};
use crate::store::ledger::{DeadLetter, PlaceSet, Resolution, Trim};
use serde_json::{Value, json};
use std::collections::HashSet;

fn at_once() -> Value {
    json!({"returnImmediately": true})
}

fn acks(jtis: &[String]) -> Value {
    json!({"ack": jtis, "returnImmediately": true})
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

/// Waits until so many polls of a stream wait.
async fn waiting(house: &House, stream: &Stream, count: usize) {
    let desk = house.delivery.polls.desk(&stream.id);
    let counted = async {
        let mut ticks = tokio::time::interval(Duration::from_millis(1));
        while desk.waiters() != count {
            ticks.tick().await;
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("they wait");
}

/// 8936-2.3-02 8936-2.2-03 8936-2.5-01
#[tokio::test]
async fn what_is_acknowledged_makes_room_for_the_next_event_of_its_subject() {
    let house = House::new().await;
    house.stream("s", |_| ()).await;
    house.write(&["a", "b", "a", "c", "a", "b"]).await;
    let (subjects, first, more) = house.taken("s", &at_once()).await;
    assert_eq!((subjects, more), (texts(&["a", "b", "c"]), true));
    assert_eq!(house.taken("s", &at_once()).await, (vec![], vec![], true));
    let (subjects, second, more) = house.taken("s", &acks(&first[..1])).await;
    assert_eq!((subjects, more), (texts(&["a"]), true));
    let (subjects, third, more) = house.taken("s", &acks(&[&first[1..], &second[..]].concat())).await;
    assert_eq!((subjects, more), (texts(&["a", "b"]), false));
    assert_eq!(house.taken("s", &acks(&third)).await, (vec![], vec![], false));
    let all: HashSet<&String> = first.iter().chain(&second).chain(&third).collect();
    assert_eq!(all.len(), 6);
}

/// 8936-2.2-05 8936-2-03 8936-2.4-02
#[tokio::test]
async fn what_another_stream_was_given_or_nobody_means_nothing() {
    let house = House::new().await;
    house.stream("s", |_| ()).await;
    house.stream("t", |_| ()).await;
    house.write(&["a", "b"]).await;
    let (_, mine, _) = house.taken("s", &at_once()).await;
    let (_, theirs, _) = house.taken("t", &at_once()).await;
    assert!(mine.iter().all(|jti| !theirs.contains(jti)));
    let odd = json!({"ack": [theirs[0], "x", "", format!("{}0", mine[0])], "setErrs": {&theirs[1]: {"err": "invalid_key"}},
                     "returnImmediately": true});
    assert_eq!(house.taken("s", &odd).await, (vec![], vec![], true));
    assert_eq!(house.dead("s").await, []);
    let twice = json!({"ack": [mine[0], mine[0], mine[1]], "returnImmediately": true});
    assert_eq!(house.taken("s", &twice).await, (vec![], vec![], false));
    assert_eq!(house.taken("s", &twice).await, (vec![], vec![], false));
    // What was acknowledged of one stream is as it was of the other.
    assert_eq!(house.taken("t", &at_once()).await, (vec![], vec![], true));
    let house = house.restarted().await;
    assert_eq!(house.taken("s", &at_once()).await, (vec![], vec![], false));
    assert_eq!(house.taken("t", &at_once()).await, (texts(&["a", "b"]), theirs, false));
}

/// 8936-2.2-04 8936-2.6-01
#[tokio::test]
async fn a_refused_set_is_a_dead_letter_until_it_is_delivered_after_all() {
    let house = House::new().await;
    let stream = house.stream("s", |_| ()).await;
    house.write(&["a", "a"]).await;
    let (_, first, _) = house.taken("s", &at_once()).await;
    let refused = json!({"setErrs": {&first[0]: {"err": "invalid_key", "description": "no"}}, "returnImmediately": true});
    let (subjects, second, more) = house.taken("s", &refused).await;
    assert_eq!((subjects, more), (texts(&["a"]), false));
    assert_eq!(house.dead("s").await, [("invalid_key".into(), Some("no".into()), 1)]);
    assert_eq!(house.taken("s", &acks(&second)).await, (vec![], vec![], false));
    // Somebody wants it delivered once more: a poll that waits is told.
    let polls = &house.delivery.polls;
    let ((subjects, again, _), ()) = tokio::join!(house.taken("s", json!({})), async {
        waiting(&house, &stream, 1).await;
        let kept = polls.ledger.dead_letters(&stream.id, Place(0), 1, false).await.expect("letters").letters;
        let dead = kept.into_iter().map(|letter| DeadLetter { retry: true, ..letter }).collect();
        let places = PlaceSet::default();
        let retry = Resolution { dead, ..Resolution::of(stream.id.clone(), 0, places) };
        polls.ledger.resolve(vec![retry]).await.expect("kept").remove(0).expect("kept");
        house.delivery.streams.poke(&stream.id);
    });
    assert_eq!((subjects, &again), (texts(&["a"]), &first));
    assert_eq!(house.taken("s", &acks(&again)).await, (vec![], vec![], false));
    assert_eq!(house.dead("s").await, []);
}

#[tokio::test]
async fn a_letter_that_is_discarded_while_it_is_out_once_more_does_not_come_back() {
    let house = House::new().await;
    let stream = house.stream("s", |_| ()).await;
    house.write(&["a"]).await;
    let (_, first, _) = house.taken("s", &at_once()).await;
    let refused = json!({"setErrs": {&first[0]: {"err": "invalid_key", "description": "no"}}, "returnImmediately": true});
    assert_eq!(house.taken("s", &refused).await, (vec![], vec![], false));
    let ann = caller("ann");
    let retried = house.delivery.retry_dead_letters(&ann, "s", &json!({"jtis": first})).await;
    assert_eq!(retried, Ok(json!({"retried": 1, "gone": 0})));
    let (_, again, _) = house.taken("s", &at_once()).await;
    assert_eq!(again, first);
    let discarded = house.delivery.discard_dead_letters(&ann, "s", &json!({"jtis": first, "reason": "seen"})).await;
    assert_eq!(discarded, Ok(json!({"discarded": 1})));
    assert_eq!(house.taken("s", &refused).await, (vec![], vec![], false));
    assert_eq!(house.dead("s").await, []);
    // What is refused in its turn is a letter as ever.
    let again = house.delivery.retry_dead_letters(&ann, stream.id.as_str(), &json!({})).await;
    assert_eq!(again, Ok(json!({"retried": 0, "gone": 0})));
}

/// 8936-2.4-01 8936-2.5-02
#[tokio::test]
async fn what_nobody_acknowledges_comes_again_after_its_lease() {
    let house = House::with_lease(Duration::from_millis(50)).await;
    house.stream("s", |_| ()).await;
    house.write(&["a", "a"]).await;
    let first = house.taken("s", &at_once()).await;
    assert_eq!((first.0.clone(), first.2), (texts(&["a"]), true));
    // The second event of the subject waits for the first, which comes again.
    assert_eq!(house.taken("s", json!({})).await, first);
    let polls = futures_util::future::join(house.taken("s", json!({})), house.taken("s", json!({})));
    let (one, other) = tokio::time::timeout(PATIENCE, polls).await.expect("in time");
    assert!(one == first && other == first, "one after the other");
}

/// 8936-2.5-02
#[tokio::test]
async fn two_polls_at_once_share_nothing() {
    let house = House::new().await;
    house.stream("s", |_| ()).await;
    let subjects: Vec<String> = (0..40).map(|number| format!("u{number}")).collect();
    house.write(&subjects.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let request = json!({"maxEvents": 10, "returnImmediately": true});
    let polls = (0..6).map(|_| house.taken("s", &request));
    let taken: Vec<String> = futures_util::future::join_all(polls).await.into_iter().flat_map(|(_, jtis, _)| jtis).collect();
    assert_eq!((taken.len(), taken.iter().collect::<HashSet<_>>().len()), (40, 40));
}

/// 8936-2.5-02
#[tokio::test]
async fn what_never_left_the_house_is_given_to_the_next_at_once() {
    let house = House::new().await;
    let stream = house.stream("s", |_| ()).await;
    house.write(&["a"]).await;
    let lost = house.poll("s", json!({})).await.expect("an answer");
    assert_eq!(lost.sets.len(), 1);
    let ((subjects, _, _), ()) = tokio::join!(house.taken("s", json!({})), async {
        waiting(&house, &stream, 1).await;
        drop(lost);
    });
    assert_eq!(subjects, texts(&["a"]));
}

/// 8936-2.4-02 8936-2.5-02
#[tokio::test]
async fn a_poll_that_is_given_up_leaves_its_acknowledgements_and_nothing_else() {
    let house = House::new().await;
    let stream = house.stream("s", |_| ()).await;
    house.write(&["a"]).await;
    let (_, jtis, _) = house.taken("s", &at_once()).await;
    let request = json!({"ack": jtis});
    tokio::select! {
        _ = house.taken("s", &request) => panic!("there is nothing"),
        () = waiting(&house, &stream, 1) => {}
    }
    waiting(&house, &stream, 0).await;
    house.write(&["b"]).await;
    assert_eq!(house.taken("s", &at_once()).await.0, texts(&["b"]));
    let house = house.restarted().await;
    assert_eq!(house.taken("s", &at_once()).await.0, texts(&["b"]));
}

/// 8936-2.4.2-01 8936-2.2-01
#[tokio::test]
async fn a_poll_for_nothing_waits_until_there_is_something_and_takes_nothing() {
    let house = House::new().await;
    let stream = house.stream("s", |_| ()).await;
    house.write(&["a"]).await;
    let none = json!({"maxEvents": 0, "returnImmediately": true});
    assert_eq!(house.taken("s", &none).await, (vec![], vec![], true));
    assert_eq!(house.taken("s", json!({"maxEvents": 0})).await, (vec![], vec![], true));
    let (_, jtis, _) = house.taken("s", &at_once()).await;
    let request = json!({"maxEvents": 0, "ack": jtis});
    let (answer, ()) = tokio::join!(house.taken("s", &request), async {
        waiting(&house, &stream, 1).await;
        let kept = house.delivery.polls.ledger.resolved(&stream.id, 0).await.expect("places");
        assert_eq!(kept.map(|places| places.to_string()), Some("1".into()), "kept before it waits");
        house.write(&["b"]).await;
    });
    assert_eq!(answer, (vec![], vec![], true));
    assert_eq!(house.taken("s", json!({"maxEvents": 1})).await.0, texts(&["b"]));
}

/// 8936-2.5-01
#[tokio::test]
async fn a_write_wakes_a_poll_and_time_ends_it() {
    let house = House::new().await;
    let stream = house.stream("s", |_| ()).await;
    let ((subjects, _, more), ()) = tokio::join!(house.taken("s", json!({})), async {
        waiting(&house, &stream, 1).await;
        house.write(&["a"]).await;
    });
    assert_eq!((subjects, more), (texts(&["a"]), false));
    let late = house.delivery.poll_stream(&caller("ann"), "s", PollRequest::default(), Duration::from_millis(20)).await;
    let late = late.expect("an answer");
    assert!(late.sets.is_empty() && late.more_available);
}

#[tokio::test]
async fn a_third_poll_takes_the_place_of_the_oldest() {
    let house = House::new().await;
    let stream = house.stream("s", |_| ()).await;
    let oldest = async {
        let answer = house.taken("s", json!({})).await;
        assert_eq!(answer, (vec![], vec![], false));
        house.write(&["a", "b"]).await;
    };
    let later = async {
        waiting(&house, &stream, 1).await;
        let second = house.taken("s", json!({"maxEvents": 1}));
        let third = async {
            waiting(&house, &stream, 2).await;
            house.taken("s", json!({"maxEvents": 1})).await
        };
        tokio::join!(second, third)
    };
    let ((), (second, third)) = tokio::join!(oldest, later);
    let taken: HashSet<String> = second.0.into_iter().chain(third.0).collect();
    assert_eq!(taken, texts(&["a", "b"]).into_iter().collect());
}

/// SSF-8.1.2.1-03 SSF-8.1.2.1-05
#[tokio::test]
async fn a_paused_stream_waits_and_a_disabled_one_says_why() {
    let house = House::new().await;
    let stream = house.stream("s", |stream| stream.status = Status::Paused).await;
    house.write(&["a"]).await;
    assert_eq!(house.taken("s", &at_once()).await, (vec![], vec![], false));
    let (resumed, ()) = tokio::join!(house.taken("s", json!({})), async {
        waiting(&house, &stream, 1).await;
        house.change("s", |stream| stream.status = Status::Enabled).await;
    });
    assert_eq!(resumed.0, texts(&["a"]));
    let (disabled, ()) = tokio::join!(house.poll("s", json!({})), async {
        waiting(&house, &stream, 1).await;
        house.change("s", |stream| (stream.status, stream.reason) = (Status::Disabled, Some("by hand.".into()))).await;
    });
    let expected = Error::new(ErrorKind::Conflict, "Stream s is disabled: by hand.");
    assert_eq!(disabled.map(drop), Err(expected.clone()));
    assert_eq!(house.poll("s", json!({"ack": resumed.1})).await.map(drop), Err(expected));
    house.change("s", |stream| (stream.status, stream.gap) = (Status::Disabled, Some(Gap { places: 1, at: 0 }))).await;
    assert_eq!(house.poll("s", &at_once()).await.map(drop).map_err(|error| error.kind), Err(ErrorKind::Gone));
}

/// 8936-2-02
#[tokio::test]
async fn a_stream_that_has_lost_events_is_disabled_and_names_the_oldest() {
    let house = House::new().await;
    let stream = house.stream("s", |_| ()).await;
    house.stream("t", |stream| stream.start = 2).await;
    house.write(&["a", "b", "c"]).await;
    let (_, before, _) = house.taken("t", &at_once()).await;
    let trim = Trim { through: Place(2), before: crate::base::clock::Timestamp(0), limit: 100 };
    assert_eq!(house.delivery.ledger.trim(Place(0), trim).await.expect("trimmed"), 2);
    let house = house.restarted().await;
    let error = house.poll("s", &at_once()).await.map(drop).expect_err("gone");
    assert_eq!(error.kind, ErrorKind::Gone);
    let third = house.delivery.ledger.read(stream.tenant(), Place(2), 1).await.expect("read").events.remove(0);
    let oldest = house.delivery.renderer.tag(&stream).await.expect("a tag").jti(third.event.id);
    assert!(error.detail.contains(&oldest), "{}", error.detail);
    let now = house.delivery.streams.get(&stream.id).expect("a stream");
    assert_eq!((now.status, now.gap.map(|gap| gap.places)), (Status::Disabled, Some(2)));
    assert_eq!(house.poll("s", &at_once()).await.map(drop), Err(error));
    // One that had nothing there has lost nothing.
    assert_eq!(house.taken("t", &at_once()).await.1, before);
}

/// 8936-2-03
#[tokio::test]
async fn a_stream_is_there_for_its_owner_and_for_administrators() {
    let house = House::new().await;
    house.stream("s", |_| ()).await;
    let pushed = Push { endpoint: "https://r".into(), authorization: None, lanes: 1 };
    house.stream("p", |stream| stream.method = Method::Push(pushed.clone())).await;
    let (ann, bob) = (caller("ann"), caller("bob"));
    let seen = |caller, id, is_admin| house.delivery.visible(caller, id, is_admin).map(|stream| stream.id.to_string());
    let not_found = |id| Err(Error::new(ErrorKind::NotFound, format!("Stream {id} not found.")));
    assert_eq!((seen(&ann, "s", false), seen(&bob, "s", true)), (Ok("s".into()), Ok("s".into())));
    assert_eq!((seen(&bob, "s", false), seen(&ann, "x", true)), (not_found("s"), not_found("x")));
    assert_eq!(seen(&ann, "../s", true), not_found("../s"));
    let conflict = house.poll("p", &at_once()).await.map(drop).map_err(|error| error.kind);
    assert_eq!(conflict, Err(ErrorKind::Conflict));
}

/// SSF-8.1.4.2-01
#[tokio::test]
async fn a_verification_event_comes_first_and_is_acknowledged_like_any_other() {
    let house = House::new().await;
    house.write(&["a"]).await;
    let event = uuid::Uuid::new_v4().to_string();
    let verification = |holds_others| Some(Verification { event: event.clone(), at: 7000, state: Some("x".into()), holds_others });
    house.stream("s", |stream| stream.verification = verification(false)).await;
    assert_eq!(house.taken("s", json!({"maxEvents": 0})).await, (vec![], vec![], true));
    let (subjects, jtis, more) = house.taken("s", &at_once()).await;
    assert_eq!((subjects, more), (texts(&["s", "a"]), false));
    assert_eq!(house.taken("s", &acks(&jtis[..1])).await, (vec![], vec![], true));
    assert_eq!(house.taken("s", &acks(&jtis)).await, (vec![], vec![], false));
    house.stream("t", |stream| stream.verification = verification(true)).await;
    let (subjects, jtis, _) = house.taken("t", &at_once()).await;
    assert_eq!(subjects, texts(&["t"]));
    let refused = json!({"setErrs": {&jtis[0]: {"err": "access_denied"}}, "returnImmediately": true});
    assert_eq!(house.taken("t", &refused).await, (vec![], vec![], false));
    let stream = house.delivery.streams.get(&StreamId::parse("t").expect("an id")).expect("a stream");
    assert_eq!(stream.status, Status::Paused);
}

#[tokio::test]
async fn a_stream_that_is_replayed_begins_anew_and_takes_acknowledgements_of_before() {
    let house = House::new().await;
    house.stream("s", |_| ()).await;
    house.write(&["a", "b"]).await;
    let (_, jtis, _) = house.taken("s", &at_once()).await;
    house.taken("s", &acks(&jtis)).await;
    house.change("s", |stream| stream.epoch += 1).await;
    let again = house.taken("s", &acks(&jtis[..1])).await;
    assert_eq!(again, (texts(&["b"]), jtis[1..].to_vec(), false));
    let kept = house.delivery.ledger.resolved(&StreamId::parse("s").expect("an id"), 1).await.expect("places");
    assert_eq!(kept.map(|places| places.to_string()), Some("1".into()));
    // With another choice of events, what is resolved stays so.
    house.write(&["a", "c"]).await;
    house.change("s", |stream| stream.resource_types = Some(vec!["Group".into()])).await;
    assert_eq!(house.taken("s", &at_once()).await, (vec![], vec![], false));
    house.delivery.polls.keep_moves();
    house.delivery.persister.flush().await.expect("kept");
    let kept = house.delivery.ledger.resolved(&StreamId::parse("s").expect("an id"), 1).await.expect("places");
    assert_eq!(kept.map(|places| places.to_string()), Some("4".into()));
}

/// 8936-2.2-01
#[tokio::test]
async fn an_answer_is_bounded_and_events_that_nobody_can_tell_hold_up_nobody() {
    let house = House::new().await;
    house.stream("s", |_| ()).await;
    house.write(&["?x", "?y"]).await;
    let subjects: Vec<String> = (0..limits::POLL_EVENTS + 20).map(|number| format!("u{number}")).collect();
    house.write(&subjects.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let (first, jtis, more) = house.taken("s", &at_once()).await;
    assert!(first.len() <= limits::POLL_EVENTS && more, "{}", first.len());
    assert_eq!(first[..], subjects[..first.len()]);
    let (rest, _, more) = house.taken("s", &acks(&jtis)).await;
    assert_eq!((&rest[..], more), (&subjects[first.len()..], false));
}

#[tokio::test]
async fn who_waits_when_the_server_stops_is_answered() {
    let house = House::new().await;
    let stream = house.stream("s", |_| ()).await;
    let (answer, ()) = tokio::join!(house.taken("s", json!({})), async {
        waiting(&house, &stream, 1).await;
        house.delivery.close();
    });
    assert_eq!(answer, (vec![], vec![], false));
    assert_eq!(house.taken("s", json!({})).await, (vec![], vec![], false));
}

/// I4: streams for which nothing comes cost the database nothing, however many wait.
#[tokio::test]
async fn a_poll_that_waits_asks_nobody_what_is_resolved_before_it_has_something_to_give() {
    let (house, counted) = House::counted().await;
    let stream = house.stream("s", |stream| stream.resource_types = Some(vec!["Group".into()])).await;
    let all = house.stream("all", |_| ()).await;
    let waits = house.taken("s", json!({}));
    let watch = async {
        waiting(&house, &stream, 1).await;
        assert!(counted.reads_of(&stream.id) >= 1, "a request looks once");
        for number in 0..20 {
            house.write(&[&format!("u{number}")]).await;
            // Whoever has taken an event was woken no earlier than who waits.
            let (_, jtis, _) = house.taken("all", &json!({"maxEvents": 9})).await;
            assert_eq!(jtis.len(), 1);
            house.taken("all", &acks(&jtis)).await;
        }
        let desk = house.delivery.polls.desk(&stream.id);
        let seen = async {
            let mut ticks = tokio::time::interval(Duration::from_millis(1));
            while desk.with(stream.epoch, |state| state.window.scanned()) != Some(Place(20)) {
                ticks.tick().await;
            }
        };
        tokio::time::timeout(PATIENCE, seen).await.expect("it was woken");
        let own = |name: &StreamId| counted.reads_of(name);
        assert_eq!(own(&stream.id), 0, "wakes that give nothing");
        assert!(own(&all.id) > 0);
        house.delivery.close();
    };
    let ((subjects, _, _), ()) = tokio::join!(waits, watch);
    assert_eq!(subjects, texts(&[]));
}

#[tokio::test]
async fn what_another_node_was_told_is_not_given_and_lets_the_next_event_go() {
    let (house, counted) = House::counted().await;
    let stream = house.stream("s", |_| ()).await;
    let other = house.beside().await;
    house.write(&["a"]).await;
    // Given by one node, acknowledged at another.
    let (_, first, _) = house.taken("s", &at_once()).await;
    let (_, again, _) = other.taken("s", &at_once()).await;
    assert_eq!(first, again);
    let waits = house.taken("s", json!({}));
    let elsewhere = async {
        waiting(&house, &stream, 1).await;
        assert_eq!(other.taken("s", &acks(&first)).await, (vec![], vec![], false));
        counted.reads_of(&stream.id);
        house.write(&["a"]).await;
    };
    let ((subjects, second, more), ()) = tokio::join!(waits, elsewhere);
    assert_eq!((subjects, more), (texts(&["a"]), false));
    assert_ne!(first, second);
    assert!(counted.reads_of(&stream.id) >= 1);
    // What waits in the window here and is resolved there is not given either.
    house.write(&["b"]).await;
    let (subjects, third, _) = other.taken("s", &at_once()).await;
    assert_eq!(subjects, texts(&["a", "b"]));
    assert_eq!(other.taken("s", &acks(&third)).await, (vec![], vec![], false));
    assert_eq!(house.taken("s", &at_once()).await, (vec![], vec![], false));
}
