//! How the database answers: by indexes, and by no more than the page needs, with statistics and without.

use super::super::ordered;
use super::super::ordered::Statement;
use super::super::reader::Reach;
use super::{Fixture, Schema};
use crate::scim::schema::Registry;
use crate::store::sql::plan::Plan;
use crate::store::tests::fixture::{EVERYTHING, GROUP, USER, unit};
use crate::store::tests::{key, user};
use crate::store::{Detail, Query, Start, Store};
use sqlx::{AssertSqlSafe, PgConnection, Row};
use std::sync::Arc;

const USERS: usize = 5_000;

/// The lines of a plan of this statement, run with these values.
async fn explained(connection: &mut PgConnection, statement: Statement, query: &Query) -> Vec<String> {
    let sql = format!("EXPLAIN (ANALYZE, BUFFERS, COSTS OFF, TIMING OFF) {}", statement.sql);
    let rows = Statement { sql, values: statement.values }.prepare(query).fetch_all(connection).await.expect("a plan");
    rows.iter().map(|row| row.get::<String, _>(0)).collect()
}

/// How many blocks a plan has touched.
fn blocks(plan: &[String]) -> u64 {
    let line = plan.iter().find(|line| line.contains("Buffers: ")).expect("buffers");
    let number = |word: &str| {
        let found = line.split_whitespace().find_map(|part| part.strip_prefix(word)?.parse::<u64>().ok());
        found.unwrap_or(0)
    };
    number("hit=") + number("read=")
}

async fn few_blocks(place: &Schema, most: u64) {
    let node = place.node_of(&Arc::new(Registry::builtin())).await;
    let shape = Fixture::new("memory");
    let mut connection = super::super::session::connect(&node.shared, "explain").await.expect("a connection");
    for (kind, filter, sort, start, detail) in [
        (USER, None, None, Start::Offset(0), Detail::default()),
        (USER, None, Some("-id"), Start::Offset(0), EVERYTHING),
        (USER, Some(r#"userName eq "u02500""#), None, Start::Offset(0), EVERYTHING),
        (USER, Some(r#"externalId eq "x2500" or id eq "u00007""#), None, Start::Offset(0), EVERYTHING),
        (GROUP, Some(r#"members.value eq "u02500""#), None, Start::Offset(0), Detail::default()),
        (USER, None, Some("userName"), Start::Offset(0), Detail::default()),
        (USER, None, Some("-externalId"), Start::Offset(0), Detail::default()),
    ] {
        let query = Query { detail, ..shape.query(kind, filter, sort, start, 5) };
        let plan = Plan::new(&node.shared.catalogue, &query);
        for reach in [Reach::Near, Reach::Whole] {
            let how = ordered::How { statements: &node.shared.statements, reach };
            let statement = match &plan {
                Plan::Page => ordered::page(how, &query),
                Plan::Ordered(index) => ordered::ordered(how, &query, *index),
                Plan::Candidates(candidates) if candidates.exact => ordered::candidates(how, &query, candidates),
                other => unreachable!("{filter:?} {other:?}"),
            };
            let lines = explained(&mut connection, statement, &query).await;
            let text = lines.join("\n");
            assert!(!text.contains("Seq Scan on"), "{filter:?} {sort:?}\n{text}");
            assert!(blocks(&lines) <= most, "{filter:?} {sort:?}\n{text}");
        }
    }
    // By key, with everything beside it.
    for sql in [Detail::default(), EVERYTHING].into_iter().flat_map(|detail| node.shared.statements.sql_of_get(detail)) {
        let query = shape.query(USER, None, None, Start::Offset(0), 1);
        let id = super::super::column::id_bytes(&key(USER, "u02500").id);
        let lines = explained(&mut connection, Statement { sql, values: vec![ordered::Value::Bytes(id)] }, &query).await;
        let text = lines.join("\n");
        assert!(!text.contains("Seq Scan on") && blocks(&lines) <= most, "{text}");
    }
    node.ready().await.expect("ready");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_and_seeks_go_by_indexes() {
    // I8
    let (store, place) = Fixture::on_a_server().await;
    for first in (0..USERS).step_by(1_000) {
        let changes = (first..first + 1_000).map(|number| {
            let mut document = user(&format!("u{number:05}"));
            document["externalId"] = format!("x{number}").into();
            store.create(key(USER, &format!("u{number:05}")), &document)
        });
        store.backend.store.commit(unit(1, changes.collect())).await.expect("users");
    }
    store.given(&[], &["g", "h"]).await;
    let members: Vec<String> = (0..USERS).map(|number| format!("u{number:05}")).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    for id in ["g", "h"] {
        store.commit(vec![Fixture::move_members(id, &members, &[])]).await.expect("members");
    }
    drop(store);
    // The database knows nothing of the tables yet, and then everything.
    few_blocks(&place, 160).await;
    place.run("ANALYZE").await;
    few_blocks(&place, 160).await;
    place.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_that_is_kept_from_the_beginning_goes_by_indexes() {
    let (store, place) = Fixture::on_a_server().await;
    let node = place.node_of(&Arc::new(Registry::builtin())).await;
    // Often enough that the database keeps a plan, while the tables are empty.
    for _ in 0..10 {
        assert_eq!(node.get(&key(USER, "a"), EVERYTHING).await.expect("a read"), None);
    }
    store.given(&["a"], &["g"]).await;
    store.commit(vec![Fixture::move_members("g", &["a"], &[])]).await.expect("a member");
    assert_eq!(
        node.get(&key(USER, "a"), EVERYTHING).await.expect("a read").and_then(|user| user.groups).map(|groups| groups.len()),
        Some(1)
    );
    let mut connection = super::super::session::connect(&node.shared, "explain").await.expect("a connection");
    sqlx::raw_sql("SET plan_cache_mode = force_generic_plan").execute(&mut connection).await.expect("set");
    for (number, sql) in node.shared.statements.sql_of_get(EVERYTHING).into_iter().enumerate() {
        let prepare = format!("PREPARE kept{number} (int, int, bytea) AS {sql}");
        sqlx::raw_sql(AssertSqlSafe(prepare)).execute(&mut connection).await.expect("prepared");
        let explain = format!("EXPLAIN (COSTS OFF) EXECUTE kept{number} (0, 1, '\\x00')");
        let rows = sqlx::raw_sql(AssertSqlSafe(explain)).fetch_all(&mut connection).await.expect("a plan");
        let text: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
        assert!(!text.join("\n").contains("Seq Scan on"), "{}", text.join("\n"));
    }
    drop((store, node));
    place.drop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_locks_by_whole_keys_from_the_beginning() {
    let (store, place) = Fixture::on_a_server().await;
    let node = place.node_of(&Arc::new(Registry::builtin())).await;
    let mut connection = super::super::session::connect(&node.shared, "explain").await.expect("a connection");
    let prepare = format!("PREPARE kept (int[], int[], bytea[]) AS {}", super::super::lock::LOCK);
    for sql in ["SET plan_cache_mode = force_generic_plan".to_owned(), prepare] {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.expect("prepared");
    }
    let explain = "EXPLAIN (COSTS OFF) EXECUTE kept ('{0}', '{1}', ARRAY['\\x00'::bytea])";
    let rows = sqlx::raw_sql(explain).fetch_all(&mut connection).await.expect("a plan");
    let text: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    let text = text.join("\n");
    assert!(text.contains("((tenant = wanted.tenant) AND (type = wanted.type) AND (id = wanted.id))"), "{text}");
    drop((connection, store, node));
    place.drop().await;
}
