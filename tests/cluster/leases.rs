//! Push streams are delivered by one node at a time.

use crate::support::fixture::user;
use crate::support::receiver::{Received, Receiver};
use crate::support::server::Server;
use crate::support::wait::until;
use crate::two_nodes;
use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

/// Long enough for a lease to run out and be taken.
const TAKES_OVER_WITHIN: Duration = Duration::from_secs(90);

fn signal(node: &Server, name: &str) {
    let status = Command::new("kill").args([name, &node.id().to_string()]).status().expect("kill runs");
    assert!(status.success(), "kill {name}: {status}");
}

/// I4 I5: the node that pushes is stopped until its lease has run out, and goes on then. The other has taken over; no place is given
/// back, and what comes twice has the same `jti`.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_slept_through_its_lease_takes_nothing_back() {
    let receiver = Receiver::start().await;
    let url = receiver.url();
    let (settings, nodes) = two_nodes(|settings| settings.with("SET_PUSH_URL", &url));
    let client = nodes[0].client();
    client.post("/Users", &user("before")).await;
    receiver.at_least_accepted(1).await;
    let owner = settings.ask("SELECT owner FROM lease WHERE name = 'push/push'").expect("an owner");
    let epoch = settings.ask("SELECT epoch::text FROM lease WHERE name = 'push/push'");
    // Whoever it is: when it is stopped, the other one has to take over.
    let mut pushes = 0;
    let mut sleeper = None;
    for (number, node) in nodes.iter().enumerate() {
        let metrics = node.client().get("/metrics").await.text();
        let attempts =
            metrics.lines().filter(|line| line.starts_with("carillon_delivery_attempts_total{") && line.contains("push"));
        if attempts.into_iter().any(|line| line.ends_with(" 1")) {
            (pushes, sleeper) = (pushes + 1, Some(number));
        }
    }
    assert_eq!(pushes, 1, "one node alone has pushed");
    let (asleep, awake) = if sleeper == Some(0) { (&nodes[0], &nodes[1]) } else { (&nodes[1], &nodes[0]) };
    signal(asleep, "-STOP");
    for number in 0..20 {
        awake.client().post("/Users", &user(&format!("meanwhile-{number}"))).await;
    }
    let taken_over =
        || async { (settings.ask("SELECT owner FROM lease WHERE name = 'push/push'") != Some(owner.clone())).then_some(()) };
    until("the other node takes over", TAKES_OVER_WITHIN, taken_over).await;
    until("it delivers", TAKES_OVER_WITHIN, || async { (distinct(&receiver) == 21).then_some(()) }).await;
    let cursor = || {
        let places = settings.ask("SELECT places FROM resolved WHERE stream = 'push'").expect("places");
        places.split(' ').next().and_then(|cursor| cursor.parse::<u64>().ok()).expect("a cursor")
    };
    until("it is kept", TAKES_OVER_WITHIN, || async { (cursor() == 21).then_some(()) }).await;
    assert_ne!(settings.ask("SELECT epoch::text FROM lease WHERE name = 'push/push'"), epoch);
    signal(asleep, "-CONT");
    for number in 0..20 {
        let node = if number % 2 == 0 { asleep } else { awake };
        assert_eq!(node.client().post("/Users", &user(&format!("after-{number}"))).await.status, 201);
        assert!(cursor() >= 21, "the cursor went back");
    }
    until("everything arrives", TAKES_OVER_WITHIN, || async { (distinct(&receiver) == 41).then_some(()) }).await;
    until("everything is kept", TAKES_OVER_WITHIN, || async { (cursor() == 41).then_some(()) }).await;
    // One subject has one event here: as many jtis as subjects means that none came under two names.
    let subjects: BTreeSet<String> = receiver.received().iter().map(|request| request.claims()["sub_id"].to_string()).collect();
    let jtis: BTreeSet<String> = receiver.received().iter().map(Received::jti).collect();
    assert_eq!((subjects.len(), jtis.len()), (41, 41));
}

fn distinct(receiver: &Receiver) -> usize {
    receiver.received().iter().map(Received::jti).collect::<BTreeSet<_>>().len()
}
