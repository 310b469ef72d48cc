//! Units: all or nothing, with their events.

use super::fixture::{GROUP, USER, unit};
use super::{Fixture, group, key, on_every_backend, user};
use crate::base::clock::Timestamp;
use crate::base::id::Tenant;
use crate::event::Kind;
use crate::scim::version::Precondition;
use crate::store::{Change, Detail, Effect, Guard, Place, StoreErrorKind, Stored};
use serde_json::json;

on_every_backend!(
    a_created_resource_is_read_back_with_its_event,
    a_replaced_resource_keeps_its_creation_and_frees_its_keys,
    a_taken_key_fails_its_unit_and_changes_nothing,
    an_id_names_one_resource_whatever_its_type,
    facts_are_checked_in_order,
    a_unit_that_fails_late_leaves_nothing,
    a_deleted_resource_is_gone_with_its_keys,
    secrets_stay_until_they_are_removed,
    another_tenant_sees_nothing,
    a_secret_is_made_once,
    the_log_wakes_its_readers,
);

/// 7643-3.1-05
async fn a_created_resource_is_read_back_with_its_event(store: Fixture) {
    let document = user("bjensen");
    let committed = store.commit(vec![store.create(key(USER, "1"), &document)]).await.expect("a commit");
    assert_eq!((committed.outcomes[0].version, committed.outcomes[0].changed), (1, true));
    let expected = Stored {
        key: key(USER, "1"),
        version: 1,
        revision: 1,
        created: Timestamp(1_000),
        modified: Timestamp(1_000),
        body: document.to_string().into(),
        member_count: 0,
        members: Some(vec![]),
        groups: Some(vec![]),
        secrets: None,
    };
    assert_eq!(store.get(&key(USER, "1")).await, Some(expected));
    assert_eq!(store.get(&key(GROUP, "1")).await, None);
    let log = store.log().await;
    let [logged] = &log[..] else { panic!("{log:?}") };
    assert_eq!((logged.place, logged.event.kind, logged.event.version), (Place(1), Kind::Create, 1));
    assert_eq!((&logged.event.subject, logged.event.txn.as_str()), (&key(USER, "1"), "txn-1000"));
    assert_eq!(store.backend.ledger.place_of(Tenant(0), logged.event.id).await.expect("a place"), Some(Place(1)));
    assert_eq!(store.backend.ledger.place_of(Tenant(1), logged.event.id).await.expect("no place"), None);
}

async fn a_replaced_resource_keeps_its_creation_and_frees_its_keys(store: Fixture) {
    store.given(&["a"], &[]).await;
    let renamed = store.replace(key(USER, "a"), &user("a"), &user("renamed"));
    let committed = store.backend.store.commit(unit(2_000, vec![renamed])).await.expect("a commit");
    assert_eq!(committed.outcomes[0].version, 2);
    let stored = store.get(&key(USER, "a")).await.expect("the user");
    assert_eq!((stored.version, stored.revision), (2, 2));
    assert_eq!((stored.created, stored.modified), (Timestamp(1_000), Timestamp(2_000)));
    assert_eq!(stored.body, user("renamed").to_string());
    // The key that was given up is free again.
    store.commit(vec![store.create(key(USER, "b"), &user("a"))]).await.expect("the freed name");
    assert_eq!(store.log_after(2).await, [(Kind::Create, "b".into(), 1)]);
}

/// 7644-3.3-07
async fn a_taken_key_fails_its_unit_and_changes_nothing(store: Fixture) {
    store.given(&["a"], &[]).await;
    let taken = store.create(key(USER, "b"), &user("A"));
    let error = store.commit(vec![store.create(key(USER, "c"), &user("c")), taken]).await.expect_err("a taken name");
    assert_eq!(error.kind, StoreErrorKind::Uniqueness { path: "userName".into() });
    assert_eq!(store.get(&key(USER, "b")).await, None);
    assert_eq!(store.get(&key(USER, "c")).await, None);
    assert_eq!(store.search(USER, None, 0, 10).await.total, 1);
    assert_eq!(store.log().await.len(), 1);
}

/// 7643-3.1-02
async fn an_id_names_one_resource_whatever_its_type(store: Fixture) {
    store.given(&["a"], &[]).await;
    for change in [store.create(key(GROUP, "a"), &group("g")), store.create(key(USER, "a"), &user("other"))] {
        let error = store.commit(vec![change]).await.expect_err("the id is taken");
        assert_eq!(error.kind, StoreErrorKind::Uniqueness { path: "id".into() });
    }
}

/// 7644-3.14-02
async fn facts_are_checked_in_order(store: Fixture) {
    store.given(&["a"], &[]).await;
    let (before, after) = (user("a"), user("a2"));
    let guarded = |id: &str, guard: Guard| Change { guard, ..store.replace(key(USER, id), &before, &after) };
    let wrong = Guard { revision: Some(7), version: None, precondition: Some(Precondition::Versions(vec![9])) };
    let cases = [
        ("gone", wrong.clone(), StoreErrorKind::NotFound),
        ("a", wrong, StoreErrorKind::PreconditionFailed),
        ("a", Guard { revision: Some(2), version: None, precondition: Some(Precondition::Any) }, StoreErrorKind::Stale),
        ("a", Guard { revision: Some(1), version: Some(2), precondition: None }, StoreErrorKind::Stale),
    ];
    for (id, guard, kind) in cases {
        assert_eq!(store.commit(vec![guarded(id, guard.clone())]).await.expect_err("a fact fails").kind, kind, "{guard:?}");
        let deletion = Change { guard, ..store.delete(key(USER, id), &before) };
        assert_eq!(store.commit(vec![deletion]).await.expect_err("a fact fails").kind, kind);
    }
    assert_eq!(store.log().await.len(), 1);
    let right = Guard { revision: Some(1), version: Some(1), precondition: Some(Precondition::Versions(vec![1])) };
    store.commit(vec![guarded("a", right)]).await.expect("the facts hold");
}

async fn a_unit_that_fails_late_leaves_nothing(store: Fixture) {
    store.given(&["a", "b"], &["g"]).await;
    store.commit(vec![Fixture::move_members("g", &["a"], &[])]).await.expect("a member");
    let before = (store.get(&key(USER, "a")).await, store.get(&key(GROUP, "g")).await, store.log().await);
    let changes = vec![
        store.create(key(USER, "c"), &user("c")),
        store.replace(key(USER, "b"), &user("b"), &user("b2")),
        Fixture::move_members("g", &["b"], &[]),
        store.delete(key(USER, "a"), &user("a")),
        store.delete(key(USER, "missing"), &user("missing")),
    ];
    assert_eq!(store.commit(changes).await.expect_err("the last change fails").kind, StoreErrorKind::NotFound);
    assert_eq!((store.get(&key(USER, "a")).await, store.get(&key(GROUP, "g")).await, store.log().await), before);
    assert_eq!(store.get(&key(USER, "c")).await, None);
    // Every key is as free or taken as it was, and the next place follows.
    store.commit(vec![store.create(key(USER, "c"), &user("c"))]).await.expect("a free name");
    assert!(store.commit(vec![store.create(key(USER, "d"), &user("a"))]).await.is_err());
    let last = store.log().await.pop().expect("an event");
    assert_eq!((last.place, last.event.subject), (Place(before.2.len() as u64 + 1), key(USER, "c")));
}

/// 7644-3.6-01 7644-3.6-02
async fn a_deleted_resource_is_gone_with_its_keys(store: Fixture) {
    store.given(&["a"], &[]).await;
    let committed = store.commit(vec![store.delete(key(USER, "a"), &user("a"))]).await.expect("a commit");
    assert_eq!((committed.outcomes[0].version, committed.outcomes[0].changed), (2, true));
    assert_eq!(store.get(&key(USER, "a")).await, None);
    assert_eq!(store.log_after(1).await, [(Kind::Delete, "a".into(), 2)]);
    assert_eq!(store.search(USER, None, 0, 10).await.total, 0);
    store.commit(vec![store.create(key(USER, "b"), &user("a"))]).await.expect("the name is free");
}

async fn secrets_stay_until_they_are_removed(store: Fixture) {
    // I6
    let secret = r#"{"password":"$argon2id$x"}"#;
    let write = |effect: fn(crate::store::Document) -> Effect, secrets: Option<&str>| {
        let mut change = store.create(key(USER, "a"), &user("a"));
        if let Effect::Create(mut document) = change.effect {
            document.secrets = secrets.map(str::to_owned);
            if effect(document.clone()).is_replace() {
                document.unique_added.clear();
            }
            change.effect = effect(document);
        }
        change
    };
    let steps = [(None, Some(secret)), (Some(""), None), (Some(secret), Some(secret))];
    store.commit(vec![write(Effect::Create, Some(secret))]).await.expect("a commit");
    for (written, kept) in steps {
        store.commit(vec![write(Effect::Replace, written)]).await.expect("a commit");
        assert_eq!(store.get(&key(USER, "a")).await.expect("the user").secrets.as_deref(), kept);
    }
    let plain = store.backend.store.get(&key(USER, "a"), Detail::default()).await.expect("a read").expect("the user");
    assert_eq!((plain.secrets, plain.members, plain.groups), (None, None, None));
}

impl Effect {
    fn is_replace(&self) -> bool {
        matches!(self, Self::Replace(_))
    }
}

async fn another_tenant_sees_nothing(store: Fixture) {
    store.given(&["a"], &[]).await;
    let elsewhere = crate::base::id::Key { tenant: Tenant(1), ..key(USER, "a") };
    assert_eq!(store.get(&elsewhere).await, None);
    assert_eq!(store.backend.ledger.read(Tenant(1), Place(0), 10).await.expect("a log").events, []);
    store.commit(vec![store.create(elsewhere, &user("a"))]).await.expect("the same id and name in another tenant");
    assert_eq!(store.search(USER, None, 0, 10).await.total, 1);
    store.settled().await;
    let log = store.backend.ledger.read(Tenant(1), Place(0), 10).await.expect("a log").events;
    assert_eq!(log.iter().map(|logged| logged.place).collect::<Vec<_>>(), [Place(2)]);
}

async fn a_secret_is_made_once(store: Fixture) {
    let ledger = &store.backend.ledger;
    assert_eq!(ledger.secret("feed tags", [1; 32]).await.expect("a secret"), [1; 32]);
    assert_eq!(ledger.secret("feed tags", [2; 32]).await.expect("a secret"), [1; 32]);
    assert_eq!(ledger.secret("other", [3; 32]).await.expect("a secret"), [3; 32]);
    store.backend.store.ready().await.expect("ready");
}

async fn the_log_wakes_its_readers(store: Fixture) {
    let mut wake = store.backend.ledger.wake();
    wake.mark_unchanged();
    store.given(&["a"], &[]).await;
    tokio::time::timeout(std::time::Duration::from_secs(10), wake.changed()).await.expect("in time").expect("an open log");
    // What changes nothing wakes nobody.
    wake.mark_unchanged();
    store.given(&[], &["g"]).await;
    tokio::time::timeout(std::time::Duration::from_secs(10), wake.changed()).await.expect("in time").expect("an open log");
    wake.mark_unchanged();
    store.commit(vec![Fixture::move_members("g", &[], &["nobody"])]).await.expect("nothing changes");
    assert!(!wake.has_changed().expect("an open log"));
    assert_eq!(store.get(&key(GROUP, "g")).await.expect("the group").body, json!(group("g")).to_string());
}
