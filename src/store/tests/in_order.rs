//! Units in order: each all or nothing by itself, and where they end early.

use super::fixture::{GROUP, USER, unit};
use super::{Fixture, group, key, on_every_backend, user};
use crate::base::id::ResourceId;
use crate::event::Kind;
use crate::store::{Change, Guard, StoreErrorKind, Unit};

on_every_backend!(
    each_unit_finds_what_those_before_it_made_true,
    a_unit_in_the_middle_fails_alone,
    nothing_follows_a_stale_unit,
    it_ends_after_so_many_failures,
    nothing_at_all_is_done_for_no_units,
    a_change_can_have_a_transaction_of_its_own,
    the_change_that_failed_is_named,
);

async fn each_unit_finds_what_those_before_it_made_true(store: Fixture) {
    store.given(&["a"], &["g"]).await;
    let units = vec![
        unit(2_000, vec![store.delete(key(USER, "a"), &user("a"))]),
        unit(2_001, vec![store.create(key(USER, "b"), &user("a"))]),
        unit(2_002, vec![Fixture::move_members("g", &["b"], &[])]),
        unit(2_003, vec![store.replace(key(USER, "b"), &user("a"), &user("c"))]),
    ];
    let results = store.backend.store.commit_in_order(units, Some(1)).await;
    let versions: Vec<_> = results.into_iter().map(|result| result.expect("a commit").outcomes[0].version).collect();
    assert_eq!(versions, [2, 1, 2, 2]);
    let log = store.log().await;
    let told: Vec<_> = log[2..].iter().map(|logged| (logged.event.kind, logged.event.txn.as_str())).collect();
    let expected = [(Kind::Delete, "txn-2000"), (Kind::Create, "txn-2001"), (Kind::Patch, "txn-2002"), (Kind::Put, "txn-2003")];
    assert_eq!(told, expected);
    assert_eq!(store.get(&key(USER, "b")).await.expect("the user").body, user("c").to_string());
}

async fn a_unit_in_the_middle_fails_alone(store: Fixture) {
    store.given(&["a"], &[]).await;
    let units = vec![
        unit(1, vec![store.create(key(USER, "b"), &user("b"))]),
        unit(2, vec![store.create(key(USER, "c"), &user("c")), store.create(key(USER, "d"), &user("A"))]),
        unit(3, vec![store.delete(key(USER, "missing"), &user("missing"))]),
        unit(4, vec![store.create(key(USER, "e"), &user("c"))]),
    ];
    let results = store.backend.store.commit_in_order(units, None).await;
    let kinds: Vec<_> = results.into_iter().map(|result| result.map(drop).map_err(|error| error.kind)).collect();
    let taken = StoreErrorKind::Uniqueness { path: "userName".into() };
    assert_eq!(kinds, [Ok(()), Err(taken), Err(StoreErrorKind::NotFound), Ok(())]);
    assert_eq!(store.get(&key(USER, "c")).await, None);
    assert_eq!(store.log_after(1).await, [(Kind::Create, "b".into(), 1), (Kind::Create, "e".into(), 1)]);
    assert_eq!(store.search(USER, None, 0, 10).await.total, 3);
}

async fn nothing_follows_a_stale_unit(store: Fixture) {
    store.given(&["a"], &[]).await;
    let outdated =
        Change { guard: Guard { revision: Some(9), ..Guard::default() }, ..store.replace(key(USER, "a"), &user("a"), &user("z")) };
    let units = vec![
        unit(1, vec![store.create(key(USER, "b"), &user("b"))]),
        unit(2, vec![outdated]),
        unit(3, vec![store.create(key(USER, "c"), &user("c"))]),
    ];
    let results = store.backend.store.commit_in_order(units, None).await;
    let kinds: Vec<_> = results.into_iter().map(|result| result.map(drop).map_err(|error| error.kind)).collect();
    assert_eq!(kinds, [Ok(()), Err(StoreErrorKind::Stale)]);
    assert_eq!(store.get(&key(USER, "c")).await, None);
    assert_eq!(store.log_after(1).await, [(Kind::Create, "b".into(), 1)]);
}

async fn it_ends_after_so_many_failures(store: Fixture) {
    store.given(&["a"], &[]).await;
    let units: Vec<Unit> = ["b", "A", "c", "a", "d"]
        .into_iter()
        .zip(1..)
        .map(|(name, at)| unit(at, vec![store.create(key(USER, &format!("new-{at}")), &user(name))]))
        .collect();
    let results = store.backend.store.commit_in_order(units, Some(2)).await;
    assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true, false]);
    assert_eq!(store.get(&key(USER, "new-5")).await, None);
    assert_eq!(store.search(USER, None, 0, 10).await.total, 3);
}

async fn nothing_at_all_is_done_for_no_units(store: Fixture) {
    assert!(store.backend.store.commit_in_order(Vec::new(), None).await.is_empty());
    assert!(store.log().await.is_empty());
}

/// A group that is created and then joined, in one unit, by what is created after it.
fn circle(store: &Fixture, names: [&str; 2]) -> Unit {
    let first = store.create(key(GROUP, "g1"), &group(names[0]));
    let mut second = store.create(key(GROUP, "g2"), &group(names[1]));
    second.members = Fixture::move_members("g2", &["g1"], &[]).members;
    let joined = Fixture::move_members("g1", &["g2"], &[]);
    let changes = [first, second, joined].into_iter().zip(["t:0", "t:1", "t:0"]);
    unit(1, changes.map(|(change, txn)| Change { known_members_only: true, txn: Some(txn.into()), ..change }).collect())
}

async fn a_change_can_have_a_transaction_of_its_own(store: Fixture) {
    let committed = store.backend.store.commit(circle(&store, ["one", "two"])).await.expect("a commit");
    assert_eq!(committed.outcomes.iter().map(|outcome| outcome.version).collect::<Vec<_>>(), [1, 1, 2]);
    let log = store.log().await;
    let told: Vec<_> = log.iter().map(|logged| (logged.event.kind, logged.event.version, logged.event.txn.as_str())).collect();
    assert_eq!(told, [(Kind::Create, 1, "t:0"), (Kind::Create, 1, "t:1"), (Kind::Patch, 2, "t:0")]);
    for (id, member) in [("g1", "g2"), ("g2", "g1")] {
        let members = store.get(&key(GROUP, id)).await.and_then(|group| group.members).expect("members");
        let members: Vec<_> = members.into_iter().map(|member| (member.id, member.kind)).collect();
        assert_eq!(members, [(ResourceId::parse(member), Some("Group".into()))]);
    }
}

async fn the_change_that_failed_is_named(store: Fixture) {
    store.given(&["a"], &[]).await;
    let changes = vec![store.create(key(USER, "b"), &user("b")), store.create(key(USER, "c"), &user("A"))];
    let error = store.commit(changes).await.expect_err("a taken name");
    assert_eq!((error.change, error.kind), (Some(1), StoreErrorKind::Uniqueness { path: "userName".into() }));
}
