//! Walks by cursor over many users while others come and go.

use crate::support::client::Client;
use crate::support::fixture::{USER, patch_of, user_with};
use crate::support::server::{Server, Settings};
use crate::support::wait::{PATIENCE, until};
use carillon::base::clock::Timestamp;
use carillon::base::id::{Ids, Key, Tenant, TimeOrderedIds};
use carillon::base::limits::Limits;
use carillon::base::secret::Secret;
use carillon::scim::resource::MemberChange;
use carillon::scim::schema::Registry;
use carillon::store::backends::{Opening, Purpose, open};
use carillon::store::index::Indexes;
use carillon::store::{Change, Document, Effect, Guard, Unit};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use tokio::sync::Semaphore;

const USERS: usize = 20_000;
const DELETED: usize = 2_000;
const ADDED: usize = 2_000;
const PATCHED: usize = 1_000;
const PAGE: usize = 100;
/// How many writers there are at a time.
const WRITERS: usize = 8;

/// A store with users, written without the detour over HTTP. Their ids, in order.
async fn filled(folder: &Path, settings: &Settings) -> Vec<String> {
    const AT_A_TIME: usize = 500;
    let registry = Arc::new(Registry::builtin());
    let kind = registry.by_name("User").expect("User");
    let opening = Opening {
        purpose: Purpose::Serve,
        data_path: folder.to_owned(),
        database_url: settings.database_url().map(Secret::new),
        views: ["Users".into(), "Groups".into()],
        registry: Arc::clone(&registry),
        ids: Arc::new(TimeOrderedIds),
        limits: Limits::default(),
    };
    let store = open(&settings.chosen(), opening).await.expect("the store opens").store;
    let indexes = Indexes::of(kind);
    let ids: Vec<_> = (0..USERS).map(|_| TimeOrderedIds.next()).collect();
    let create = |number: usize| {
        // Names in another order than ids.
        let document = user_with(&format!("u{:05}", number * 7_919 % USERS), json!({"displayName": "A user of many"}));
        let entries = indexes.entries(document.as_object().expect("an object"));
        let written = Document {
            body: document.to_string().into(),
            unique_added: entries.unique.into_iter().collect(),
            index_added: entries.lookup.into_iter().collect(),
            ..Document::default()
        };
        Change {
            key: Key { tenant: Tenant(0), kind: kind.code, id: ids[number].into() },
            guard: Guard::default(),
            effect: Effect::Create(written),
            members: MemberChange::default(),
            known_members_only: false,
            events: Vec::new(),
            txn: None,
        }
    };
    for first in (0..USERS).step_by(AT_A_TIME) {
        let changes = (first..first + AT_A_TIME).map(create).collect();
        store.commit(Unit { at: Timestamp(1_000), txn: "fill".into(), changes }).await.expect("a commit");
    }
    ids.iter().map(ToString::to_string).collect()
}

/// What happens meanwhile: deletions, additions and changes in turn, as many as there are permits.
async fn churn(client: Client, ids: Arc<Vec<String>>, permits: Arc<Semaphore>, writer: usize) {
    // In no order, so that they are as often ahead of a walk as behind it.
    let share = |all: usize| (writer..all).step_by(WRITERS).map(move |number| number * 7_919 % all);
    let deleted = share(DELETED).map(|number| ("DELETE", format!("/Users/{}", ids[number * 10]), None));
    let patch = patch_of(json!([{"op": "replace", "path": "title", "value": "changed"}]));
    let patched = share(PATCHED).map(|number| ("PATCH", format!("/Users/{}", ids[number * 20 + 5]), Some(patch.clone())));
    let added = share(ADDED).map(|number| {
        let name = format!("{}{number}", if number % 2 == 0 { "u1" } else { "added" });
        ("POST", "/Users".to_owned(), Some(json!({"schemas": [USER], "userName": format!("{name}-new")})))
    });
    let (mut deleted, mut added, mut patched) = (deleted, added, patched);
    loop {
        let round = [deleted.next(), added.next(), patched.next()];
        if round.iter().all(Option::is_none) {
            return;
        }
        for (method, path, body) in round.into_iter().flatten() {
            permits.acquire().await.expect("open").forget();
            let request = client.on(method, &path);
            let answer = match &body {
                Some(body) => request.json(body).send().await,
                None => request.send().await,
            };
            assert!((200..300).contains(&answer.status), "{method} {path}: {}", answer.text());
        }
    }
}

/// Walks to the end; how often each id was seen. Each page lets others write so often, up to a number in all, and waits until they
/// have begun.
async fn walk(client: Client, query: &str, permits: Arc<Semaphore>, writes: usize, mut left: usize) -> HashMap<String, usize> {
    let (mut seen, mut cursor, mut pages) = (HashMap::new(), String::new(), 0);
    loop {
        let answer = client.get(&format!("/Users?{query}&attributes=userName&count={PAGE}&cursor={cursor}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let granted = writes.min(left);
        left -= granted;
        if granted > 0 {
            permits.add_permits(granted);
            until("the others write", PATIENCE, async || (permits.available_permits() == 0).then_some(())).await;
        }
        let body = answer.json();
        assert_eq!((body["totalResults"].as_u64() > Some(15_000), body.get("startIndex")), (true, None), "{query}");
        for user in body["Resources"].as_array().expect("Resources") {
            *seen.entry(user["id"].as_str().expect("an id").to_owned()).or_default() += 1;
        }
        pages += 1;
        assert!(pages <= (USERS + ADDED).div_ceil(PAGE) + 1, "the walk does not end");
        match body.get("nextCursor").map(Value::as_str) {
            Some(next) => next.expect("a text").clone_into(&mut cursor),
            None => return seen,
        }
    }
}

/// 9865-2-05 9865-2.2-01
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn walks_over_twenty_thousand_users_miss_none_and_repeat_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = Settings::default().folder(folder.path()).with("LIMIT_SCAN_MS", "60000");
    let ids = Arc::new(filled(folder.path(), &settings).await);
    let server = Server::start(&settings);
    let permits = Arc::new(Semaphore::new(0));
    let writers: Vec<_> =
        (0..WRITERS).map(|writer| tokio::spawn(churn(server.client(), Arc::clone(&ids), Arc::clone(&permits), writer))).collect();
    // So many for each page that the writes last nearly as long as the first walk, which deletions ahead of it make shorter.
    let all = DELETED + ADDED + PATCHED;
    let granted = all.div_ceil(USERS / PAGE * 9 / 10);
    let queries = ["x", "sortBy=userName&sortOrder=descending", "filter=userName%20sw%20%22u%22"];
    let walks = queries.map(|query| {
        let (granted, all) = if query == "x" { (granted, all) } else { (0, 0) };
        let (client, permits) = (server.client(), Arc::clone(&permits));
        tokio::spawn(async move { walk(client, query, permits, granted, all).await })
    });
    let mut found = Vec::new();
    for walk in walks {
        found.push(walk.await.expect("a walk"));
    }
    permits.add_permits(all);
    for writer in writers {
        writer.await.expect("a writer");
    }
    let deleted: HashSet<&String> = (0..DELETED).map(|number| &ids[number * 10]).collect();
    for (seen, query) in found.iter().zip(queries) {
        let missed = ids.iter().filter(|id| !deleted.contains(id) && !seen.contains_key(*id)).count();
        let repeated = seen.values().filter(|times| **times != 1).count();
        assert_eq!((missed, repeated), (0, 0), "{query}");
    }
    let gone = deleted.iter().filter(|id| !found[0].contains_key(**id)).count();
    assert!(gone > DELETED / 10 && gone < DELETED * 9 / 10, "{gone} users were deleted before the walk came by");
    let left = server.client().get("/Users?count=0").await.json()["totalResults"].clone();
    assert_eq!(left, json!(USERS - DELETED + ADDED));
}
