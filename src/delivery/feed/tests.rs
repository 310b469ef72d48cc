use super::*;
use crate::delivery::house::{House, PATIENCE, caller};
use crate::delivery::{PollRequest, Told};
use crate::store::ledger::Trim;

const ALL: FeedRequest<'static> =
    FeedRequest { feed: "default", after: None, limit: None, format: Format::Json, wait: Duration::ZERO };

fn subjects(page: &FeedPage) -> Vec<&str> {
    let subject = |set: &Value| set["sub_id"]["uri"].as_str().map(|uri| uri.trim_start_matches("/Users/").to_owned());
    page.sets.iter().filter_map(subject).map(|subject| &*Box::leak(subject.into_boxed_str())).collect()
}

#[tokio::test]
async fn a_feed_goes_on_past_events_that_nobody_can_tell() {
    // I5
    let house = House::new().await;
    house.write(&["?0", "?1", "?2", "?3", "?4", "a", "?5"]).await;
    let ann = caller("ann");
    let page = house.delivery.read_feed(&ann, FeedRequest { limit: Some(2), ..ALL }).await.expect("a page");
    assert_eq!(subjects(&page), ["a"]);
    let after = page.sets[0]["jti"].as_str();
    let rest = house.delivery.read_feed(&ann, FeedRequest { after, limit: Some(2), ..ALL }).await.expect("a page");
    assert_eq!(rest, FeedPage { sets: vec![], more_available: false });
}

#[tokio::test]
async fn a_reader_waits_for_the_next_event_until_the_time_is_up() {
    let house = House::new().await;
    let ann = caller("ann");
    house.write(&["a"]).await;
    let first = house.delivery.read_feed(&ann, FeedRequest { wait: PATIENCE, ..ALL }).await.expect("a page");
    let after = first.sets[0]["jti"].as_str();
    let next = FeedRequest { after, wait: PATIENCE, ..ALL };
    let (page, ()) = tokio::join!(house.delivery.read_feed(&ann, next), house.write(&["?x", "b"]));
    assert_eq!(page.as_ref().map(subjects), Ok(vec!["b"]));
    let wait = Duration::from_millis(20);
    let after = page.as_ref().ok().and_then(|page| page.sets[0]["jti"].as_str());
    let none = house.delivery.read_feed(&ann, FeedRequest { after, wait, ..ALL }).await;
    assert_eq!(none, Ok(FeedPage { sets: vec![], more_available: false }));
    let (closed, ()) = tokio::join!(house.delivery.read_feed(&ann, FeedRequest { after, wait: PATIENCE, ..ALL }), async {
        house.delivery.close();
    });
    assert_eq!(closed, Ok(FeedPage { sets: vec![], more_available: false }));
}

#[tokio::test]
async fn a_cursor_that_the_log_has_passed_is_gone_and_names_the_oldest() {
    let house = House::new().await;
    let ann = caller("ann");
    house.write(&["a", "b", "c"]).await;
    let page = house.delivery.read_feed(&ann, ALL).await.expect("a page");
    let jti = |index: usize| page.sets[index]["jti"].as_str();
    let mut behind = house.delivery.follow_feed(&ann, FeedRequest { after: jti(0), ..ALL }).await.expect("a follower");
    let trim = Trim { through: Place(2), before: Timestamp(0), limit: 100 };
    assert_eq!(house.delivery.ledger.trim(Place(0), trim).await.expect("trimmed"), 2);
    let house = house.restarted().await;
    let gone = house.delivery.read_feed(&ann, FeedRequest { after: jti(0), ..ALL }).await.expect_err("gone");
    let detail = format!("The event is no longer kept; the oldest one kept is {}.", jti(2).expect("a jti"));
    assert_eq!(gone, Error::new(ErrorKind::Gone, detail));
    assert_eq!(house.delivery.read_feed(&ann, ALL).await.as_ref().map(subjects), Ok(vec!["c"]));
    // A follower of before the restart still has its own end of the log, and none is lost in silence.
    let told = behind.next().await;
    assert!(matches!(told, Some(Told::Set { .. } | Told::Gone { .. })) || told.is_none());
    let mut anew = house.delivery.follow_feed(&ann, ALL).await.expect("a follower");
    assert!(matches!(anew.next().await, Some(Told::Set { jti: found, .. }) if Some(found.as_str()) == jti(2)));
}

#[tokio::test]
async fn a_reader_that_does_not_wait_reads_what_is_kept_now() {
    let house = House::new().await;
    let ann = caller("ann");
    house.write(&["a", "b", "c"]).await;
    let page = house.delivery.read_feed(&ann, ALL).await.expect("a page");
    let after = page.sets[0]["jti"].as_str();
    // The end of the log in memory has not heard of it: nothing came since.
    let trim = Trim { through: Place(2), before: Timestamp(0), limit: 100 };
    assert_eq!(house.delivery.ledger.trim(Place(0), trim).await.expect("trimmed"), 2);
    assert_eq!(house.delivery.read_feed(&ann, ALL).await.as_ref().map(subjects), Ok(vec!["c"]));
    let gone = house.delivery.read_feed(&ann, FeedRequest { after, ..ALL }).await;
    assert_eq!(gone.map_err(|error| error.kind), Err(ErrorKind::Gone));
}

#[tokio::test]
async fn a_follower_is_told_each_event_and_ends_with_the_server() {
    let house = House::new().await;
    let ann = caller("ann");
    house.write(&["a"]).await;
    let mut follower = house.delivery.follow_feed(&ann, ALL).await.expect("a follower");
    let mut seen = Vec::new();
    let listening = async {
        while let Some(told) = follower.next().await {
            let Told::Set { jti, set } = told else { panic!("{told:?}") };
            assert_eq!(set["jti"], jti.as_str());
            seen.push(set["sub_id"]["uri"].clone());
            if seen.len() == 3 {
                house.delivery.close();
            }
        }
    };
    tokio::join!(listening, house.write(&["?x", "b", "a"]));
    assert_eq!(seen, ["/Users/a", "/Users/b", "/Users/a"]);
}

#[tokio::test]
async fn followers_are_bounded() {
    let house = House::new().await;
    let ann = caller("ann");
    let mut all = Vec::new();
    for _ in 0..limits::FEED_FOLLOWERS {
        all.push(house.delivery.follow_feed(&ann, ALL).await.expect("a follower"));
    }
    let refused = house.delivery.follow_feed(&ann, ALL).await.map(drop).map_err(|error| error.kind);
    assert_eq!(refused, Err(ErrorKind::Unavailable));
    all.pop();
    assert!(house.delivery.follow_feed(&ann, ALL).await.is_ok());
}

/// 8936-2-03
#[tokio::test]
async fn each_caller_polls_a_feed_by_a_stream_of_its_own() {
    let house = House::new().await;
    house.write(&["a"]).await;
    let poll = async |principal: &str, request: Value| {
        let request = PollRequest::parse(&request).expect("a request");
        let answer = house.delivery.poll_feed(&caller(principal), "default", request, PATIENCE).await.expect("an answer");
        let jtis: Vec<String> = answer.sets.iter().map(|(jti, _)| jti.clone()).collect();
        answer.offer.handed_over();
        jtis
    };
    let at_once = || serde_json::json!({"returnImmediately": true});
    let (one, other) = tokio::join!(poll("ann", at_once()), poll("ann", at_once()));
    let (ann, bob) = ([one, other].concat(), poll("bøb/../", at_once()).await);
    assert!(ann.len() == 1 && bob.len() == 1 && ann != bob, "{ann:?} {bob:?}");
    assert!(poll("bøb/../", serde_json::json!({"ack": ann, "returnImmediately": true})).await.is_empty());
    assert_eq!(house.delivery.streams.watch().borrow().len(), 2);
}

/// It needs not be made, so it is not missing either.
#[tokio::test]
async fn a_poll_outlives_the_stream_that_is_removed_under_it() {
    let house = House::new().await;
    house.write(&["a"]).await;
    let poll = async |request: Value| {
        let request = PollRequest::parse(&request).expect("a request");
        let answer = house.delivery.poll_feed(&caller("ann"), "default", request, PATIENCE).await.expect("an answer");
        let jtis: Vec<String> = answer.sets.iter().map(|(jti, _)| jti.clone()).collect();
        answer.offer.handed_over();
        jtis
    };
    let first = poll(serde_json::json!({"returnImmediately": true})).await;
    let id = house.delivery.streams.watch().borrow().keys().next().cloned().expect("a stream");
    let removed = house.delivery.streams.delete(&id);
    let (second, removed) = tokio::join!(poll(serde_json::json!({"ack": first, "returnImmediately": true})), removed);
    removed.expect("removed");
    assert_eq!((second.len(), house.delivery.streams.watch().borrow().len()), (0, 1));
}
