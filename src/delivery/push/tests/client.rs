//! To where the client connects, and to whom it talks.

use super::super::client::{Clients, Courier as _, Failure, Names, Reply as Outcome, Request, SystemNames, Timing};
use super::super::endpoint::{Endpoint, Settings};
use super::support::authority::Authority;
use super::support::receiver::Receiver;
use super::support::reply::Reply;
use crate::delivery::stream::Origin;
use futures_util::future::BoxFuture;
use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_rustls::rustls::version::{TLS12, TLS13};

const ACCEPTED: Outcome = Outcome::Answered { status: 202, retry_after: None, body: Some(Vec::new()) };

/// Names whose addresses are others each time they are asked for; the last ones stay.
#[derive(Debug)]
struct Shifting(Mutex<(VecDeque<Vec<IpAddr>>, usize)>);

impl Shifting {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let addresses = |answer: &&[&str]| answer.iter().map(|address| address.parse().expect("an address")).collect();
        Arc::new(Self(Mutex::new((answers.iter().map(addresses).collect(), 0))))
    }

    fn asked(&self) -> usize {
        self.0.lock().expect("the answers").1
    }
}

impl Names for Shifting {
    fn addresses(&self, _: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let mut state = self.0.lock().expect("the answers");
        state.1 += 1;
        let answer = if state.0.len() > 1 { state.0.pop_front() } else { state.0.front().cloned() };
        Box::pin(async move { Ok(answer.unwrap_or_default()) })
    }
}

fn timing() -> Timing {
    Timing { connect: Duration::from_secs(5), request: Duration::from_secs(5) }
}

fn settings(allow: &[&str], authority: Option<&Authority>) -> Settings {
    Settings {
        allow: allow.iter().map(|network| network.parse().expect("a network")).collect(),
        ports: Vec::new(),
        require_tls: Some(false),
        authorities: authority.map(|authority| authority.pem.clone().into_bytes()),
    }
}

async fn send(clients: &Clients, url: &str, origin: Origin, settings: &Settings) -> Outcome {
    let endpoint = Endpoint::check(url, origin, settings).expect("an endpoint that may be");
    let request =
        Request { endpoint: &endpoint, authorization: None, content_type: "application/json", body: r#"{"jti":"1"}"#.into() };
    clients.send(request).await
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_at_the_next_connect_is_refused_there() {
    let receiver = Receiver::start().await;
    let settings = settings(&["127.0.0.1/32"], None);
    let names = Shifting::new(&[&["127.0.0.1"], &["127.0.0.2"], &["127.0.0.1", "127.0.0.2"], &["127.0.0.1"]]);
    let clients = Clients::new(names.clone(), &settings, timing());
    receiver.otherwise(|_| Reply::accepted().closing());
    let url = receiver.url_at("receiver.example");
    let one = || send(&clients, &url, Origin::Request, &settings);
    let outcomes = [one().await, one().await, one().await, one().await];
    assert_eq!(outcomes, [ACCEPTED, Outcome::Failed(Failure::Address), Outcome::Failed(Failure::Address), ACCEPTED]);
    assert_eq!((names.asked(), receiver.connections()), (4, 2), "each connection was looked up once");
}

#[tokio::test]
async fn a_connection_stays_where_it_was_checked() {
    let receiver = Receiver::start().await;
    let settings = settings(&["127.0.0.1/32"], None);
    let names = Shifting::new(&[&["127.0.0.1"], &["169.254.169.254"]]);
    let clients = Clients::new(names.clone(), &settings, timing());
    let url = receiver.url_at("receiver.example");
    for _ in 0..3 {
        assert_eq!(send(&clients, &url, Origin::Request, &settings).await, ACCEPTED);
    }
    assert_eq!((names.asked(), receiver.connections()), (1, 1));
}

#[tokio::test]
async fn streams_of_the_configuration_go_where_the_operator_says() {
    let receiver = Receiver::start().await;
    let settings = settings(&[], None);
    let clients = Clients::new(Shifting::new(&[&["127.0.0.1"]]), &settings, timing());
    assert_eq!(send(&clients, &receiver.url_at("receiver.example"), Origin::Configuration, &settings).await, ACCEPTED);
}

#[tokio::test]
async fn connections_of_the_operators_streams_are_not_lent_to_others() {
    let receiver = Receiver::start().await;
    let settings = settings(&["192.0.2.0/24"], None);
    let clients = Clients::new(Shifting::new(&[&["127.0.0.1"]]), &settings, timing());
    let url = receiver.url_at("receiver.example");
    assert_eq!(send(&clients, &url, Origin::Configuration, &settings).await, ACCEPTED);
    assert_eq!(send(&clients, &url, Origin::Request, &settings).await, Outcome::Failed(Failure::Address));
    assert_eq!((receiver.count(), receiver.connections()), (1, 1));
}

/// 8935-3-01
#[tokio::test]
async fn a_certificate_of_another_name_or_of_nobody_gets_nothing() {
    let authority = Authority::default();
    let settings = settings(&[], Some(&authority));
    let right = Receiver::start_tls(authority.server(&["receiver.example"])).await;
    let wrong = Receiver::start_tls(authority.server(&["other.example"])).await;
    let strange = Receiver::start_tls(Authority::default().server(&["receiver.example"])).await;
    let clients = Clients::new(Shifting::new(&[&["127.0.0.1"]]), &settings, timing());
    let one = |receiver: &Receiver| {
        let (clients, url, settings) = (&clients, receiver.url_at("receiver.example"), &settings);
        async move { send(clients, &url, Origin::Configuration, settings).await }
    };
    assert_eq!(one(&right).await, ACCEPTED);
    assert_eq!(one(&wrong).await, Outcome::Failed(Failure::Tls));
    assert_eq!(one(&strange).await, Outcome::Failed(Failure::Tls));
    assert_eq!((right.count(), wrong.count(), strange.count()), (1, 0, 0));
}

/// 8935-5.3-01
#[tokio::test]
async fn the_newest_tls_that_both_speak_is_spoken() {
    let authority = Authority::default();
    let settings = settings(&[], Some(&authority));
    let clients = Clients::new(Arc::new(SystemNames), &settings, timing());
    for (versions, expected) in [(&[&TLS12, &TLS13][..], "TLSv1_3"), (&[&TLS12], "TLSv1_2")] {
        let receiver = Receiver::start_tls(authority.server_of(&["127.0.0.1"], versions)).await;
        assert_eq!(send(&clients, &receiver.url(), Origin::Configuration, &settings).await, ACCEPTED);
        assert_eq!(receiver.received()[0].tls.as_deref(), Some(expected));
    }
}

#[tokio::test]
async fn what_does_not_answer_says_why_and_nothing_more() {
    let (silent, cutting) = (Receiver::start().await, Receiver::start().await);
    silent.otherwise(|_| Reply::never());
    cutting.otherwise(|_| Reply::reset());
    let nobody = format!("http://{}/", Receiver::nobody().await);
    let settings = settings(&[], None);
    // Only the one that waits in vain is hasty: on a busy machine the others take their time.
    let hasty = Timing { request: Duration::from_millis(100), ..timing() };
    let hasty = Clients::new(Arc::new(SystemNames), &settings, hasty);
    let clients = Clients::new(Arc::new(SystemNames), &settings, timing());
    let outcomes = [
        send(&hasty, &silent.url(), Origin::Configuration, &settings).await,
        send(&clients, &cutting.url(), Origin::Configuration, &settings).await,
        send(&clients, &nobody, Origin::Configuration, &settings).await,
        send(&clients, "http://nobody.invalid/", Origin::Configuration, &settings).await,
    ];
    assert_eq!(outcomes, [Failure::Timeout, Failure::Cut, Failure::Connect, Failure::Connect].map(Outcome::Failed));
}

#[tokio::test]
async fn connections_are_used_again_and_a_long_answer_costs_no_more_than_its_beginning() {
    let receiver = Receiver::start().await;
    let settings = settings(&[], None);
    let clients = Clients::new(Arc::new(SystemNames), &settings, timing());
    receiver.script([Reply::accepted(), Reply::refused("invalid_key"), Reply::status(204), Reply::endless(400)]);
    let mut outcomes = Vec::new();
    for _ in 0..5 {
        outcomes.push(send(&clients, &receiver.url(), Origin::Configuration, &settings).await);
    }
    let lengths: Vec<_> = outcomes
        .iter()
        .map(|outcome| if let Outcome::Answered { body, .. } = outcome { body.as_ref().map(Vec::len) } else { None })
        .collect();
    assert_eq!(lengths, [Some(0), Some(56), Some(0), Some(16 * 1024), Some(0)]);
    assert_eq!(receiver.connections(), 2);
}
