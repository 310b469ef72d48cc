use super::*;
use crate::base::clock::Timestamp;
use crate::scim::error::ErrorKind;
use crate::scim::message::Paging;
use crate::scim::search::SearchRequest;
use crate::store::Start;
use std::sync::atomic::{AtomicI64, Ordering};

/// A clock that stands until it is put forward.
#[derive(Debug, Default)]
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// A store that takes down what is asked of it.
#[derive(Debug)]
struct Overheard {
    store: Arc<dyn Store>,
    asked: Mutex<Vec<(TypeCode, Start, u64)>>,
}

#[async_trait]
impl Store for Overheard {
    fn capabilities(&self) -> Capabilities {
        self.store.capabilities()
    }

    async fn get(&self, key: &Key, detail: Detail) -> crate::store::Result<Option<Stored>> {
        self.store.get(key, detail).await
    }

    async fn query(&self, query: &Query) -> crate::store::Result<Page> {
        self.asked.lock().expect("not poisoned").push((query.kind, query.start.clone(), query.limit));
        self.store.query(query).await
    }

    async fn commit(&self, unit: Unit) -> crate::store::Result<Committed> {
        self.store.commit(unit).await
    }

    async fn ready(&self) -> crate::store::Result<()> {
        self.store.ready().await
    }
}

/// A house with users `u0` to `u4` and groups `g0` to `g4`, and what its store is asked.
async fn inhabited() -> (House, Engine, Arc<Overheard>, Arc<Hand>) {
    let house = House::new();
    let store = Arc::new(Overheard { store: Arc::clone(&house.backend.store), asked: Mutex::default() });
    let clock = Arc::new(Hand::default());
    let mut engine = house.engine(Arc::clone(&store) as Arc<dyn Store>);
    engine.clock = Arc::clone(&clock) as Arc<dyn Clock>;
    let user = Arc::clone(house.backend.registry.by_name("User").expect("User"));
    for number in 0..5 {
        let body =
            json!({"schemas": [crate::scim::schema::USER], "userName": format!("u{number}"), "displayName": format!("d{number}")});
        engine.create(&house.caller, &user, &body, Answer::default()).await.expect("a user");
        let body = json!({"schemas": [crate::scim::schema::GROUP], "displayName": format!("d{number}x")});
        engine.create(&house.caller, &house.group, &body, Answer::default()).await.expect("a group");
    }
    (house, engine, store, clock)
}

async fn search(house: &House, engine: &Engine, principal: &str, request: &SearchRequest) -> Result<Listing> {
    let caller = Caller { principal: principal.into(), ..house.caller.clone() };
    let kinds = house.backend.registry.types();
    let targets: Vec<Target<'_>> = kinds.iter().map(|kind| Target { kind, detail: Detail::default() }).collect();
    engine.search(&caller, Search { endpoint: "/", targets: &targets, request }).await
}

fn walk(cursor: &str, count: i64) -> SearchRequest {
    SearchRequest { cursor: Some(cursor.into()), count: Some(count), ..SearchRequest::default() }
}

fn cursor_of(listing: &Listing) -> String {
    match &listing.paging {
        Paging::Cursor(Some(cursor)) => cursor.clone(),
        other => panic!("no cursor in {other:?}"),
    }
}

fn names(listing: &Listing) -> String {
    let name = |stored: &Stored| {
        let document: Value = serde_json::from_slice(&stored.body).expect("JSON");
        document["displayName"].as_str().expect("a name").to_owned()
    };
    listing.resources.iter().map(name).collect::<Vec<_>>().join(" ")
}

/// 9865-2.1-01
#[tokio::test]
async fn a_cursor_expires() {
    let (house, engine, _, clock) = inhabited().await;
    let first = search(&house, &engine, "ada", &walk("", 3)).await.expect("a page");
    let most_ms = i64::try_from(engine.limits.cursor_seconds).expect("small") * 1_000;
    clock.0.store(most_ms, Ordering::Relaxed);
    let second = search(&house, &engine, "ada", &walk(&cursor_of(&first), 3)).await.expect("in time");
    clock.0.store(most_ms + 1, Ordering::Relaxed);
    let late = search(&house, &engine, "ada", &walk(&cursor_of(&first), 3)).await.expect_err("too late");
    assert_eq!(late.kind, ErrorKind::ExpiredCursor);
    // Each page has a time of its own.
    assert_eq!(names(&search(&house, &engine, "ada", &walk(&cursor_of(&second), 3)).await.expect("in time")), "d1x d2x d3x");
    clock.0.store(-1, Ordering::Relaxed);
    assert!(search(&house, &engine, "ada", &walk(&cursor_of(&second), 3)).await.is_ok());
}

/// 9865-5.2-01 9865-5.2-02
#[tokio::test]
async fn a_cursor_is_worth_nothing_to_another_caller() {
    let (house, engine, _, clock) = inhabited().await;
    let cursor = cursor_of(&search(&house, &engine, "ada", &walk("", 3)).await.expect("a page"));
    clock.0.store(i64::MAX / 2, Ordering::Relaxed);
    let stolen = search(&house, &engine, "bob", &walk(&cursor, 3)).await.expect_err("another caller");
    let forged = search(&house, &engine, "ada", &walk("forged", 3)).await.expect_err("no cursor");
    assert_eq!((stolen.kind, &stolen), (ErrorKind::InvalidCursor, &forged));
}

/// 7644-3.4.2.1-01
#[tokio::test]
async fn a_search_that_is_narrowed_to_a_type_spares_the_others() {
    let (house, engine, store, _) = inhabited().await;
    for (filter, sort, total, kinds) in [
        (r#"meta.resourceType eq "Group""#, None, 5, vec![TypeCode(2)]),
        (r#"meta.resourceType eq "User" and displayName gt "d2""#, Some("displayName"), 2, vec![TypeCode(1)]),
        (r#"userName eq "u1""#, None, 1, vec![TypeCode(1)]),
        (r#"meta.resourceType eq "Robot""#, None, 0, vec![]),
        ("displayName pr", None, 10, vec![TypeCode(1), TypeCode(2)]),
    ] {
        store.asked.lock().expect("not poisoned").clear();
        let request = SearchRequest { filter: Some(filter.into()), sort_by: sort.map(str::to_owned), ..SearchRequest::default() };
        assert_eq!(search(&house, &engine, "ada", &request).await.expect("a page").total, total, "{filter}");
        let asked: Vec<TypeCode> = store.asked.lock().expect("not poisoned").iter().map(|(kind, ..)| *kind).collect();
        assert_eq!(asked, kinds, "{filter}");
    }
}

#[tokio::test]
async fn types_are_merged_with_no_more_than_a_page_of_each_in_memory() {
    let (house, engine, store, _) = inhabited().await;
    let sorted = |start_index, count| SearchRequest {
        sort_by: Some("displayName".into()),
        start_index: Some(start_index),
        count: Some(count),
        ..SearchRequest::default()
    };
    for (start, count, expected) in [
        (1, 3, "d0 d0x d1"),
        (4, 3, "d1x d2 d2x"),
        (9, 5, "d4 d4x"),
        (11, 5, ""),
        (1, 0, ""),
        (1, 100, "d0 d0x d1 d1x d2 d2x d3 d3x d4 d4x"),
    ] {
        store.asked.lock().expect("not poisoned").clear();
        let listing = search(&house, &engine, "ada", &sorted(start, count)).await.expect("a page");
        assert_eq!((names(&listing).as_str(), listing.total), (expected, 10), "{start} {count}");
        let most = u64::try_from((count + 1).max(start)).expect("small");
        assert!(store.asked.lock().expect("not poisoned").iter().all(|(.., limit)| *limit <= most));
    }
}

/// 9865-2-03
#[tokio::test]
async fn a_walk_counts_once() {
    let (house, engine, store, _) = inhabited().await;
    let mut listing = search(&house, &engine, "ada", &walk("", 4)).await.expect("a page");
    assert_eq!((names(&listing).as_str(), listing.total), ("d0 d1 d2 d3", 10));
    for expected in ["d4 d0x d1x d2x", "d3x d4x"] {
        store.asked.lock().expect("not poisoned").clear();
        listing = search(&house, &engine, "ada", &walk(&cursor_of(&listing), 4)).await.expect("a page");
        assert_eq!((names(&listing).as_str(), listing.total), (expected, 10));
        assert!(store.asked.lock().expect("not poisoned").iter().all(|(_, start, _)| matches!(start, Start::After(_))));
    }
    assert_eq!(listing.paging, Paging::Cursor(None));
}
