//! A node whose database is gone, for a while.

use crate::support::database::Database;
use crate::support::fixture::user;
use crate::support::server::{Server, Settings};
use crate::support::wait::{PATIENCE, until};

#[tokio::test]
async fn a_node_without_its_database_says_so_and_recovers_by_itself() {
    let database = Database::start();
    let node = Server::start(&Settings::default().database(&database.url));
    let client = node.client();
    let id = client.post("/Users", &user("before")).await.id();
    assert_eq!(client.get("/ready").await.status, 200);
    database.stop();
    let refused = client.post("/Users", &user("meanwhile")).await;
    refused.assert_error(503, None, &[]);
    assert!(refused.header("retry-after").is_some(), "{}", refused.text());
    let read = client.get(&format!("/Users/{id}")).await;
    read.assert_error(503, None, &[]);
    assert!(read.header("retry-after").is_some());
    assert_eq!((client.get("/ready").await.status, client.get("/health").await.status), (503, 200));
    for text in [refused.text(), read.text(), node.output()] {
        assert!(!text.contains("postgres@") && !text.contains("postgresql://"), "{text}");
    }
    database.start_again();
    let ready = || async { (client.get("/ready").await.status == 200).then_some(()) };
    until("it is ready again", PATIENCE, ready).await;
    assert_eq!(client.get(&format!("/Users/{id}")).await.status, 200);
    assert_eq!(client.post("/Users", &user("after")).await.status, 201);
    let told = || async { (client.feed(None, 10).await.len() == 2).then_some(()) };
    until("the log goes on", PATIENCE, told).await;
}
