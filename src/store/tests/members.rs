//! Members as rows, what really changed, cascades, and the groups above a resource.

use super::fixture::{GROUP, USER, member, unit};
use super::{Fixture, group, key, on_every_backend, user};
use crate::base::clock::Timestamp;
use crate::base::id::ResourceId;
use crate::base::limits;
use crate::event::Kind;
use crate::scim::resource::{Member, MemberChange};
use crate::store::{Change, StoreErrorKind};

on_every_backend!(
    only_real_changes_of_members_are_reported,
    a_change_that_changes_nothing_leaves_no_trace,
    a_reset_keeps_those_who_stay,
    unknown_members_are_each_named,
    a_deleted_member_leaves_its_groups_in_id_order,
    a_deleted_group_leaves_its_members_and_its_parents,
    groups_are_direct_and_nested_and_cycles_end,
    nesting_is_followed_to_its_limit,
);

fn typed(id: &str, kind: &str) -> Member {
    Member { kind: Some(kind.into()), ..member(id) }
}

/// 7644-3.5.2.1-04
async fn only_real_changes_of_members_are_reported(store: Fixture) {
    store.given(&["a", "b"], &["g", "h"]).await;
    let mut first = Fixture::move_members("g", &["b", "h", "stranger"], &["a"]);
    first.members.present[0].kind = Some("Group".into());
    first.members.present[2] = Member { display: Some("Who?".into()), ..typed("stranger", "User") };
    let outcome = store.commit(vec![first]).await.expect("a commit").outcomes.remove(0);
    let stranger = Member { display: Some("Who?".into()), ..typed("stranger", "User") };
    assert_eq!(outcome.added, [typed("b", "User"), typed("h", "Group"), stranger.clone()]);
    assert_eq!((outcome.removed, outcome.version, outcome.member_count, outcome.changed), (vec![], 2, 3, true));

    let second = Fixture::move_members("g", &["b", "a"], &["h", "nobody"]);
    let outcome = store.backend.store.commit(unit(2_000, vec![second])).await.expect("a commit").outcomes.remove(0);
    assert_eq!((outcome.added, outcome.removed), (vec![typed("a", "User")], vec![ResourceId::parse("h")]));
    let stored = store.get(&key(GROUP, "g")).await.expect("the group");
    assert_eq!((stored.version, stored.revision, stored.member_count), (3, 1, 3));
    assert_eq!((stored.created, stored.modified), (Timestamp(1_000), Timestamp(2_000)));
    assert_eq!(stored.members, Some(vec![typed("a", "User"), typed("b", "User"), stranger]));
    let data = store.log().await.pop().expect("an event").event.data.expect("operations");
    assert_eq!(
        data,
        r#"[{"op":"remove","path":"members[value eq \"h\"]"},{"op":"add","path":"members","value":[{"value":"a","type":"User"}]}]"#
    );
}

/// 7644-3.5.2-09
async fn a_change_that_changes_nothing_leaves_no_trace(store: Fixture) {
    store.given(&["a"], &["g"]).await;
    store.commit(vec![Fixture::move_members("g", &["a"], &[])]).await.expect("a commit");
    let before = (store.get(&key(GROUP, "g")).await, store.log().await);
    let outcome = store.commit(vec![Fixture::move_members("g", &["a"], &["b"])]).await.expect("a commit").outcomes.remove(0);
    assert_eq!((outcome.changed, outcome.version, outcome.member_count), (false, 2, 1));
    assert_eq!((store.get(&key(GROUP, "g")).await, store.log().await), before);
}

/// 7644-3.5.2.3-02
async fn a_reset_keeps_those_who_stay(store: Fixture) {
    store.given(&["a", "b", "c"], &["g"]).await;
    store.commit(vec![Fixture::move_members("g", &["a", "b"], &[])]).await.expect("a commit");
    let members = MemberChange { reset: true, present: vec![member("c"), member("b")], absent: vec![] };
    let replaced = Change { members, ..store.replace(key(GROUP, "g"), &group("g"), &group("g2")) };
    let outcome = store.commit(vec![replaced]).await.expect("a commit").outcomes.remove(0);
    assert_eq!((outcome.added, outcome.removed), (vec![typed("c", "User")], vec![ResourceId::parse("a")]));
    assert_eq!((outcome.version, outcome.member_count), (3, 2));

    let members = MemberChange { reset: true, ..MemberChange::default() };
    let emptied = Change { members, ..Fixture::move_members("g", &[], &[]) };
    let outcome = store.commit(vec![emptied]).await.expect("a commit").outcomes.remove(0);
    assert_eq!(outcome.removed, [ResourceId::parse("b"), ResourceId::parse("c")]);
    let stored = store.get(&key(GROUP, "g")).await.expect("the group");
    assert_eq!((stored.version, stored.revision, stored.member_count, stored.members), (4, 2, 0, Some(vec![])));
}

async fn unknown_members_are_each_named(store: Fixture) {
    store.given(&["a"], &["g"]).await;
    let change = Change { known_members_only: true, ..Fixture::move_members("g", &["x", "a", "y"], &[]) };
    let error = store.commit(vec![change]).await.expect_err("unknown members");
    assert_eq!(error.kind, StoreErrorKind::UnknownMembers(vec!["x".into(), "y".into()]));
    assert_eq!(store.get(&key(GROUP, "g")).await.expect("the group").version, 1);
    // A resource that the same unit creates is known.
    let change = Change { known_members_only: true, ..Fixture::move_members("g", &["x"], &[]) };
    store.commit(vec![store.create(key(USER, "x"), &user("x")), change]).await.expect("a commit");
}

async fn a_deleted_member_leaves_its_groups_in_id_order(store: Fixture) {
    // I1: a cascade is in the commit, each group with its version and its event
    let uuid = "0190c7a4-7f2a-7000-8000-000000000001";
    store.given(&["a", "b"], &[uuid, "z", "c", "other"]).await;
    for id in ["z", uuid, "c"] {
        store.commit(vec![Fixture::move_members(id, &["a", "b"], &[])]).await.expect("members");
    }
    let places = store.log().await.len() as u64;
    let deletion = store.delete(key(USER, "a"), &user("a"));
    store.backend.store.commit(unit(5_000, vec![deletion])).await.expect("a commit");
    let expected = [
        (Kind::Delete, "a".to_owned(), 2),
        (Kind::Patch, "c".into(), 3),
        (Kind::Patch, "z".into(), 3),
        (Kind::Patch, uuid.into(), 3),
    ];
    assert_eq!(store.log_after(places).await, expected);
    let log = store.log().await;
    let last = &log.last().expect("an event").event;
    assert_eq!((last.txn.as_str(), last.attributes.clone()), ("txn-5000", vec!["members".to_owned()]));
    assert_eq!(last.data.as_deref(), Some(r#"[{"op":"remove","path":"members[value eq \"a\"]"}]"#));
    let stored = store.get(&key(GROUP, "z")).await.expect("the group");
    assert_eq!((stored.version, stored.revision, stored.member_count, stored.modified), (3, 1, 1, Timestamp(5_000)));
    assert_eq!(stored.members, Some(vec![typed("b", "User")]));
    assert_eq!(store.get(&key(GROUP, "other")).await.expect("the group").version, 1);
}

async fn a_deleted_group_leaves_its_members_and_its_parents(store: Fixture) {
    store.given(&["a"], &["child", "parent"]).await;
    store.commit(vec![Fixture::move_members("child", &["a", "child"], &[])]).await.expect("members");
    store.commit(vec![Fixture::move_members("parent", &["child"], &[])]).await.expect("members");
    store.commit(vec![store.delete(key(GROUP, "child"), &group("child"))]).await.expect("a commit");
    assert_eq!(store.get(&key(USER, "a")).await.expect("the user").groups, Some(vec![]));
    assert_eq!(store.get(&key(USER, "a")).await.expect("the user").version, 1);
    let parent = store.get(&key(GROUP, "parent")).await.expect("the group");
    assert_eq!((parent.version, parent.member_count, parent.members), (3, 0, Some(vec![])));
    assert_eq!(store.log_after(5).await, [(Kind::Delete, "child".to_owned(), 3), (Kind::Patch, "parent".into(), 3)]);
}

/// 7643-4.1.2-03
async fn groups_are_direct_and_nested_and_cycles_end(store: Fixture) {
    store.given(&["a"], &["g1", "g2", "g3", "g4"]).await;
    let moves = [("g2", vec!["a"]), ("g3", vec!["g2", "a"]), ("g1", vec!["g3", "g4"]), ("g4", vec!["g1"]), ("g2", vec!["g1"])];
    for (id, members) in moves {
        store.commit(vec![Fixture::move_members(id, &members, &[])]).await.expect("members");
    }
    let groups = store.get(&key(USER, "a")).await.expect("the user").groups.expect("groups");
    let seen: Vec<_> = groups.iter().map(|group| (group.group.id.to_string(), group.display.as_deref(), group.direct)).collect();
    let name = |name: &'static str, direct| (name.to_owned(), Some(name), direct);
    assert_eq!(seen, [name("g1", false), name("g2", true), name("g3", true), name("g4", false)]);
    assert!(groups.iter().all(|group| group.group.kind == GROUP));
    // A group in a cycle is not its own group.
    let above = store.get(&key(GROUP, "g1")).await.expect("the group").groups.expect("groups");
    let above: Vec<_> = above.iter().map(|group| group.group.id.to_string()).collect();
    assert_eq!(above, ["g2", "g3", "g4"]);
}

async fn nesting_is_followed_to_its_limit(store: Fixture) {
    let names: Vec<String> = (0..limits::GROUP_DEPTH + 3).map(|level| format!("g{level:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    store.given(&["a"], &names).await;
    store.commit(vec![Fixture::move_members(names[0], &["a"], &[])]).await.expect("members");
    for pair in names.windows(2) {
        store.commit(vec![Fixture::move_members(pair[1], &[pair[0]], &[])]).await.expect("members");
    }
    let groups = store.get(&key(USER, "a")).await.expect("the user").groups.expect("groups");
    assert_eq!(groups.len(), limits::GROUP_DEPTH);
}
