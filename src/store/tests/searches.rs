//! Lists and searches.

use super::fixture::{GROUP, USER, ids, unit};
use super::{Fixture, key, on_every_backend, user};
use serde_json::json;

on_every_backend!(
    pages_are_in_id_order_with_the_total,
    the_total_follows_every_change,
    filters_find_what_the_evaluator_finds,
    an_index_spares_the_other_documents,
    changed_values_move_in_the_index,
);

/// 7644-3.4.2.4-03 7644-3.4.2.4-04
async fn pages_are_in_id_order_with_the_total(store: Fixture) {
    let uuids = ["0190c7a4-7f2a-7000-8000-000000000002", "0190c7a4-7f2a-7000-8000-00000000000a"];
    store.given(&[uuids[1], "zoe", uuids[0], "Adam", "ä"], &["in between"]).await;
    let order = ["Adam", "zoe", "ä", uuids[0], uuids[1]];
    let whole = store.search(USER, None, 0, 100).await;
    assert_eq!((ids(&whole), whole.total, whole.visited), (order.map(String::from).to_vec(), 5, 5));
    let part = store.search(USER, None, 1, 2).await;
    assert_eq!((ids(&part), part.total, part.visited), (vec!["zoe".into(), "ä".into()], 5, 2));
    for (offset, limit) in [(5, 10), (u64::MAX, 10), (0, 0)] {
        let empty = store.search(USER, None, offset, limit).await;
        assert_eq!((ids(&empty), empty.total), (vec![], 5));
    }
}

async fn the_total_follows_every_change(store: Fixture) {
    store.given(&["a", "b", "c"], &["g"]).await;
    let changes = vec![
        store.delete(key(USER, "a"), &user("a")),
        store.delete(key(USER, "b"), &user("b")),
        store.create(key(USER, "d"), &json!({"userName": "d"})),
    ];
    store.backend.store.commit(unit(2_000, changes)).await.expect("a commit");
    assert_eq!(store.search(USER, None, 0, 10).await.total, 2);
    assert_eq!(store.search(GROUP, None, 0, 10).await.total, 1);
}

/// Users whose filters are answered by index, by both, and by evaluation alone.
async fn people(store: &Fixture) {
    let long = |end: &str| format!("{}{end}", "l".repeat(600));
    let person = |name: &str, rest: serde_json::Value| {
        let mut document = user(name);
        for (attribute, value) in rest.as_object().expect("an object") {
            document[attribute] = value.clone();
        }
        document
    };
    let people = [
        ("1", person("Anna", json!({"externalId": "X1", "active": true, "emails": [{"value": "anna@a.org", "type": "work"}]}))),
        ("2", person("bert", json!({"externalId": "x1", "active": true, "emails": [{"value": "anna@a.org", "type": "home"}]}))),
        ("3", person("Ann", json!({"active": false, "emails": [{"value": "ann@a.org"}, {"value": "ann@b.org"}]}))),
        ("4", person(&long("a"), json!({"externalId": ""}))),
        ("5", person(&long("b"), json!({"externalId": "X1"}))),
    ];
    store.commit(people.iter().map(|(id, document)| store.create(key(USER, id), document)).collect()).await.expect("people");
    store.given(&[], &["g"]).await;
    store.commit(vec![Fixture::move_members("g", &["1", "3"], &[])]).await.expect("members");
}

/// 7644-3.4.2.2-01
async fn filters_find_what_the_evaluator_finds(store: Fixture) {
    people(&store).await;
    let long = |end: &str| format!("{}{end}", "l".repeat(600));
    let cases = [
        (r#"userName eq "ANNA""#.to_owned(), vec!["1"]),
        (r#"userName sw "ann""#.into(), vec!["1", "3"]),
        (r#"userName gt "anna" and userName lt "c""#.into(), vec!["2"]),
        (r#"externalId eq "X1""#.into(), vec!["1", "5"]),
        ("externalId pr".into(), vec!["1", "2", "5"]),
        (r#"externalId eq "X1" and active eq true"#.into(), vec!["1"]),
        (r#"id eq "3" or userName eq "bert""#.into(), vec!["2", "3"]),
        (r#"emails.value eq "Anna@A.org""#.into(), vec!["1", "2"]),
        (r#"emails[value eq "anna@a.org" and type eq "home"]"#.into(), vec!["2"]),
        (r#"emails.value sw "ann@""#.into(), vec!["3"]),
        ("not (active eq true)".into(), vec!["3", "4", "5"]),
        (r#"groups.value eq "g""#.into(), vec!["1", "3"]),
        (r#"meta.created eq "1970-01-01T00:00:01Z" and userName ew "t""#.into(), vec!["2"]),
        (format!("userName eq \"{}\"", long("a")), vec!["4"]),
        (format!("userName sw \"{}\"", long("")), vec!["4", "5"]),
        (format!("userName gt \"{}\"", long("a")), vec!["5"]),
        (format!("userName le \"{}\" and userName ge \"k\"", long("a")), vec!["4"]),
        (format!("userName lt \"{}\" and userName gt \"k\"", "l".repeat(446)), vec![]),
    ];
    for (filter, expected) in cases {
        let page = store.search(USER, Some(&filter), 0, 100).await;
        assert_eq!(
            (ids(&page), page.total),
            (expected.iter().map(|&id| id.to_owned()).collect(), expected.len() as u64),
            "{filter}"
        );
        let second = store.search(USER, Some(&filter), 1, 1).await;
        assert_eq!((ids(&second), second.total), (ids(&page).into_iter().skip(1).take(1).collect(), page.total), "{filter}");
        assert!(page.resources.iter().all(|stored| stored.groups.is_none()));
    }
    let groups = store.search(GROUP, Some(r#"members.value eq "3" and displayName eq "G""#), 0, 100).await;
    assert_eq!(ids(&groups), ["g"]);
    assert_eq!(store.search(GROUP, Some(r#"members[value eq "2"]"#), 0, 100).await.total, 0);
    assert_eq!(ids(&store.search(GROUP, Some(r#"members[value eq "1" and type eq "User"]"#), 0, 100).await), ["g"]);
}

async fn an_index_spares_the_other_documents(store: Fixture) {
    // I8
    people(&store).await;
    // What must be unique is looked up by every store.
    let unique = [(r#"userName eq "anna""#, 1), (r#"userName eq "nobody""#, 0), (r#"userName eq "anna" and active eq true"#, 1)];
    for (filter, visited) in unique {
        assert_eq!(store.search(USER, Some(filter), 0, 100).await.visited, visited, "{filter}");
    }
    if !store.backend.store.capabilities().index_seeks {
        return;
    }
    let cases = [
        (USER, r#"externalId eq "X1""#, 2),
        (USER, r#"emails[value eq "anna@a.org" and type eq "home"]"#, 2),
        (USER, r#"id eq "3""#, 1),
        (GROUP, r#"members.value eq "3""#, 1),
        (USER, "active eq true", 5),
    ];
    for (kind, filter, visited) in cases {
        assert_eq!(store.search(kind, Some(filter), 0, 100).await.visited, visited, "{filter}");
    }
    // An index alone tells the total.
    assert_eq!(store.search(USER, Some(r#"externalId eq "X1""#), 0, 0).await.visited, 0);
}

async fn changed_values_move_in_the_index(store: Fixture) {
    people(&store).await;
    let before = store.get(&key(USER, "3")).await.expect("the user").body;
    let before: serde_json::Value = serde_json::from_slice(&before).expect("JSON");
    let mut after = before.clone();
    after["emails"] = json!([{"value": "ann@b.org"}, {"value": "new@b.org"}]);
    store.commit(vec![store.replace(key(USER, "3"), &before, &after)]).await.expect("a commit");
    for (filter, total) in [(r#"emails eq "ann@a.org""#, 0), (r#"emails eq "ann@b.org""#, 1), (r#"emails eq "new@b.org""#, 1)] {
        assert_eq!(store.search(USER, Some(filter), 0, 10).await.total, total, "{filter}");
    }
    store.commit(vec![store.delete(key(USER, "3"), &after)]).await.expect("a commit");
    assert_eq!(store.search(USER, Some(r#"emails sw "new""#), 0, 10).await.total, 0);
}
