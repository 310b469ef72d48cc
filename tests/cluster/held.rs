//! A database that answers, and still lets a node write nothing: a row that somebody else holds, and one that takes no writes at all.

use crate::support::database::Database;
use crate::support::fixture::user;
use crate::support::server::{Server, Settings};
use crate::support::wait::{PATIENCE, until};
use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};

/// Nobody waits for a row without end, and what is refused may be sent again; others in the same batch are not refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_somebody_holds_is_waited_for_with_a_bound() {
    let database = Database::start();
    let node = Server::start(&Settings::default().database(&database.url));
    let client = node.client();
    let id = client.post("/Users", &user("held")).await.id();
    let mut holder = PgConnection::connect(&database.url).await.expect("a connection");
    holder.execute("BEGIN; SELECT 1 FROM resource FOR UPDATE").await.expect("held");
    let place = format!("/Users/{id}");
    let patch = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "active", "value": false}]});
    let (held, free) = tokio::join!(
        async {
            let patches = (0..4).map(|_| client.patch(&place, &patch));
            futures_util::future::join_all(patches).await
        },
        async {
            let bodies: Vec<_> = (0..4).map(|number| user(&format!("free{number}"))).collect();
            futures_util::future::join_all(bodies.iter().map(|body| client.post("/Users", body))).await
        }
    );
    for answer in held {
        answer.assert_error(503, None, &[]);
        assert!(answer.header("retry-after").is_some());
    }
    assert!(free.iter().all(|answer| answer.status == 201), "{free:?}");
    holder.execute("COMMIT").await.expect("let go");
    assert_eq!(client.patch(&place, &patch).await.status, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_takes_no_writes_makes_its_node_unready() {
    let database = Database::start();
    let node = Server::start(&Settings::default().database(&database.url));
    let client = node.client();
    let ready = |wanted: u16| {
        let client = &client;
        until("the node says whether it is ready", PATIENCE, move || async move {
            (client.get("/ready").await.status == wanted).then_some(())
        })
    };
    ready(200).await;
    let url = format!("{}?options[default_transaction_read_only]=off", database.url);
    let mut administrator = PgConnection::connect(&url).await.expect("a connection");
    administrator.execute("ALTER SYSTEM SET default_transaction_read_only = on").await.expect("set");
    administrator.execute("SELECT pg_reload_conf()").await.expect("reloaded");
    ready(503).await;
    client.post("/Users", &user("late")).await.assert_error(503, None, &[]);
    administrator.execute("ALTER SYSTEM RESET default_transaction_read_only").await.expect("reset");
    administrator.execute("SELECT pg_reload_conf()").await.expect("reloaded");
    ready(200).await;
    assert_eq!(client.post("/Users", &user("later")).await.status, 201);
}

/// Sessions keep what they began with: those that were opened meanwhile are not taken for the database.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_is_ready_for_good_once_its_database_takes_writes_again() {
    let database = Database::start();
    let node = Server::start(&Settings::default().database(&database.url));
    let client = node.client();
    let id = client.post("/Users", &user("read")).await.id();
    let url = format!("{}?options[default_transaction_read_only]=off", database.url);
    let mut administrator = PgConnection::connect(&url).await.expect("a connection");
    let name: String = sqlx::query_scalar("SELECT current_database()").fetch_one(&mut administrator).await.expect("a name");
    let alter = |what: &str| {
        sqlx::AssertSqlSafe(format!(
            "ALTER DATABASE \"{name}\" {what} default_transaction_read_only{}",
            if what == "SET" { " = on" } else { "" }
        ))
    };
    administrator.execute(alter("SET")).await.expect("set");
    let end =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()";
    administrator.execute(end).await.expect("all sessions are new");
    // As many sessions as there may be, each of which takes no writes.
    let place = format!("/Users/{id}");
    let read_only = || async {
        futures_util::future::join_all((0..64).map(|_| client.get(&place))).await;
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'SELECT r.id%'";
        let sessions: i64 = sqlx::query_scalar(sql)
            .fetch_one(&mut PgConnection::connect(&url).await.expect("a connection"))
            .await
            .expect("a count");
        (sessions >= 4).then_some(())
    };
    until("several sessions read", PATIENCE, read_only).await;
    assert_eq!(client.get("/ready").await.status, 503);
    administrator.execute(alter("RESET")).await.expect("reset");
    for probe in 0..8 {
        assert_eq!(client.get("/ready").await.status, 200, "{probe}");
    }
}
