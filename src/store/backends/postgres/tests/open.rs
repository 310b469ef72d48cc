//! Opening, and the views.

use super::super::open;
use super::{Fixture, Postgres, Schema};
use crate::base::secret::Secret;
use crate::scim::schema::Registry;
use crate::store::backends::{self, Opening};
use crate::store::tests::fixture::{GROUP, USER, unit};
use crate::store::tests::{group, key, records, user};
use crate::store::{Store, StoreErrorKind};
use serde_json::{Value, json};
use std::sync::Arc;

async fn refused(opening: Opening) -> String {
    let error = Postgres::open(opening).await.expect_err("refused");
    assert_eq!(error.kind, StoreErrorKind::Unavailable);
    error.to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_nodes_begin_at_once() {
    let place = Schema::empty().await;
    let registry = Arc::new(Registry::builtin());
    let openings = (0..8).map(|_| tokio::spawn(Postgres::open(place.opening(&registry))));
    let mut nodes = Vec::new();
    for node in openings.collect::<Vec<_>>() {
        nodes.push(node.await.expect("no panic").expect("a node"));
    }
    for node in &nodes {
        node.ready().await.expect("it is ready");
        assert_eq!((node.shared.epoch, node.shared.catalogue.is_unfinished()), (1, false));
    }
    drop(nodes);
    place.drop().await;
}

/// I1: a database that was copied without its sequences.
#[tokio::test]
async fn sequences_that_are_behind_are_set_forward() {
    let (store, place) = Fixture::on_a_server().await;
    store.commit(vec![store.create(key(USER, "a"), &user("a")), store.create(key(USER, "b"), &user("b"))]).await.expect("two");
    store.commit(vec![store.create(key(USER, "c"), &user("c"))]).await.expect("a third");
    assert_eq!(store.log().await.len(), 3);
    drop(store);
    place.run("UPDATE staged_floor SET number = 1000").await;
    for sequence in ["staged_number_seq", "lease_epoch", "resolved_revision", "path_code_seq"] {
        place.run(&format!("ALTER SEQUENCE {sequence} RESTART WITH 1")).await;
    }
    let store = Fixture::in_schema(&place).await;
    store.commit(vec![store.create(key(USER, "d"), &user("d"))]).await.expect("a fourth");
    assert_eq!(store.log().await.len(), 4);
    let behind = "SELECT count(*) FROM path WHERE code > (SELECT last_value FROM path_code_seq)";
    let behind: i64 = sqlx::query_scalar(behind).fetch_one(&mut place.connect().await).await.expect("a number");
    assert_eq!(behind, 0);
    drop(store);
    place.drop().await;
}

#[tokio::test]
async fn a_database_of_the_first_version_is_brought_up_to_date() {
    let place = Schema::empty().await;
    place
        .run("CREATE TABLE meta (name text PRIMARY KEY, value text NOT NULL); INSERT INTO meta VALUES ('schema_version', '1')")
        .await;
    place.run(open::MIGRATIONS[0]).await;
    place.run(records::OLDER).await;
    let node = place.node().await;
    records::go_on_from_older(&node).await;
    drop(node);
    place.drop().await;
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (store, place) = Fixture::on_a_server().await;
    drop(store);
    place.run("UPDATE meta SET value = '99' WHERE name = 'schema_version'").await;
    let error = Postgres::open(place.opening(&Arc::new(Registry::builtin()))).await.expect_err("a newer schema");
    assert_eq!(error.kind, StoreErrorKind::Corrupt);
    assert!(error.to_string().contains("the data is of schema version 99"), "{error}");
    place.drop().await;
}

#[tokio::test]
async fn what_is_in_the_way_does_not_show_the_password() {
    let place = Schema::empty().await;
    let registry = Arc::new(Registry::builtin());
    for (address, problem) in [
        ("postgresql://u:s3cret@127.0.0.1:1/x?sslmode=sometimes", "sslmode: expected"),
        ("postgresql://u:s3cret@127.0.0.1:notaport/x", "invalid port number"),
    ] {
        let opening = Opening { database_url: Some(Secret::new(address)), ..place.opening(&registry) };
        let error = refused(opening).await;
        assert!(error.contains(problem) && !error.contains("s3cret"), "{error}");
    }
    let nowhere = place.address.replace(&place.name, "nowhere");
    let error = refused(Opening { database_url: Some(Secret::new(nowhere)), ..place.opening(&registry) }).await;
    assert!(error.contains("the search_path names no schema"), "{error}");
    let nobody = place.address.replace("5432/postgres", "5432/nobody").replace("/postgres?", "/nobody?");
    let error = refused(Opening { database_url: Some(Secret::new(nobody)), ..place.opening(&registry) }).await;
    assert!(error.contains("\"nobody\" does not exist"), "{error}");
    place.drop().await;
}

#[tokio::test]
async fn the_views_have_the_shape_of_the_earlier_tables() {
    let (store, place) = Fixture::on_a_server().await;
    let uuid = "0190c7a4-7f2a-7000-8000-000000000001";
    let mut person = user("ä'b");
    person["emails"] = json!([{"value": "a@b.org"}]);
    let mut created = store.create(key(USER, uuid), &person);
    if let crate::store::Effect::Create(document) = &mut created.effect {
        document.secrets = Some(r#"{"password":"hash"}"#.into());
    }
    store.backend.store.commit(unit(1_700_000_000_123, vec![created])).await.expect("a user");
    store
        .commit(vec![store.create(key(GROUP, "g"), &group("G")), Fixture::move_members("g", &[uuid, "who"], &[])])
        .await
        .expect("a group");
    let mut connection = place.connect().await;
    let mut rows = Vec::new();
    for view in ["\"Users\"", "Users", "\"Groups\""] {
        let sql = format!("SELECT id, details::text FROM {view}");
        let row: Vec<(String, String)> = sqlx::query_as(sqlx::AssertSqlSafe(sql)).fetch_all(&mut connection).await.expect("rows");
        rows.push(
            row.into_iter().map(|(id, details)| (id, serde_json::from_str(&details).expect("JSON"))).collect::<Vec<(_, Value)>>(),
        );
    }
    let meta = json!({"resourceType": "User", "created": "2023-11-14T22:13:20.123Z", "lastModified": "2023-11-14T22:13:20.123Z", "version": "\"1\""});
    let whole =
        json!({"schemas": person["schemas"], "userName": "ä'b", "emails": [{"value": "a@b.org"}], "id": uuid, "meta": meta});
    assert_eq!(rows[0], [(uuid.to_owned(), whole)]);
    assert_eq!(rows[1], rows[0]);
    let (id, details) = &rows[2][0];
    assert_eq!((id.as_str(), &details["displayName"], &details["id"]), ("g", &json!("G"), &json!("g")));
    assert_eq!(details["members"], json!([{"value": "who"}, {"value": uuid, "type": "User"}]));
    place.drop().await;
}

#[tokio::test]
async fn a_view_takes_no_name_that_is_taken() {
    let place = Schema::empty().await;
    place.run("CREATE TABLE \"Users\" (id text, details json); CREATE VIEW mine AS SELECT 1 AS one").await;
    let registry = Arc::new(Registry::builtin());
    let of = |users: &str| Opening { views: [users.into(), "Groups".into()], ..place.opening(&registry) };
    for (name, problem) in [
        (
            "Users",
            "there is a table Users already: rename it and take its resources over with `carillon import`, or set USER_MODEL_NAME",
        ),
        ("mine", "there is a view mine that Carillon has not made: set USER_MODEL_NAME"),
        ("resource", "resource is the name of a table that Carillon needs itself: set USER_MODEL_NAME"),
    ] {
        let error = refused(of(name)).await;
        assert!(error.contains(problem), "{error}");
    }
    // A word of SQL is a name too, and a view that is there stays.
    drop(backends::open("postgres", of("user")).await.expect("another name"));
    drop(backends::open("postgres", of("user")).await.expect("the same name"));
    place.run("SELECT id, details FROM \"user\"").await;
    place.drop().await;
}
