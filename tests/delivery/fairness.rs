//! One slow or dead receiver delays no SCIM client and no other receiver (I4). How much it may cost them is measured by the load program
//! (`--only fair`).

use crate::support::fixture::user;
use crate::support::receiver::Receiver;
use crate::support::reply::{Gate, Reply};
use crate::support::server::{Server, Settings};
use crate::support::wait::{PATIENCE, until};
use std::collections::BTreeMap;
use std::fmt::Write as _;

const HEALTHY: usize = 18;
const USERS: usize = 30;
const LANES: usize = 4;

/// The settings of a push stream.
fn stream(settings: &mut String, name: &str, endpoint: &str) {
    writeln!(settings, "[[events.streams]]\nname = \"{name}\"\nlanes = {LANES}\npush = \"{endpoint}\"\n").expect("settings");
}

/// The subjects that each healthy stream has been told of, in order.
fn told(receiver: &Receiver) -> BTreeMap<String, Vec<String>> {
    let mut told: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for request in receiver.received().iter().filter(|request| request.answered == Some(202)) {
        let subject = request.claims()["sub_id"]["uri"].as_str().expect("a subject").to_owned();
        told.entry(request.target.clone()).or_default().push(subject);
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_and_a_stalled_receiver_keep_nobody_waiting() {
    let (healthy, stalled, gate) = (Receiver::start().await, Receiver::start().await, Gate::default());
    stalled.otherwise({
        let gate = gate.clone();
        move |_| Reply::accepted().held_by(&gate)
    });
    let mut settings = String::new();
    stream(&mut settings, "dead", &format!("http://{}/dead", Receiver::nobody().await));
    stream(&mut settings, "stalled", &format!("http://{}/stalled", stalled.address));
    for number in 0..HEALTHY {
        stream(&mut settings, &format!("healthy-{number}"), &format!("http://{}/{number}", healthy.address));
    }
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("carillon.toml"), settings).expect("the settings");
    let server = Server::start(&Settings::default().folder(folder.path()));
    let client = server.client();

    let mut users = Vec::new();
    for number in 0..USERS {
        let answer = client.post("/Users", &user(&format!("user {number}"))).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        users.push(format!("/Users/{}", answer.id()));
    }
    let all = || async {
        let told = told(&healthy);
        (told.len() == HEALTHY && told.values().all(|subjects| subjects.len() >= USERS)).then_some(told)
    };
    let told = until("every healthy stream has every event", PATIENCE, all).await;
    users.sort();
    for (stream, mut subjects) in told {
        subjects.sort();
        assert_eq!(subjects, users, "{stream}");
    }
    // The stalled receiver got no more than its lanes hold.
    assert!((1..=LANES).contains(&stalled.count()) && stalled.accepted().is_empty(), "{} requests", stalled.count());
    // It goes on where it was as soon as it can.
    gate.open();
    stalled.at_least_accepted(USERS).await;
}
