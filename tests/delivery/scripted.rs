//! The scripted receiver's own tests: the others rely on what it does.

use crate::support::authority::Authority;
use crate::support::raw::Raw;
use crate::support::receiver::{Receiver, claims_of};
use crate::support::reply::{Gate, Reply};
use crate::support::wait::{PATIENCE, until};
use std::net::TcpStream;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject as _};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

const REQUEST: &str = "POST /events?a=b HTTP/1.1\r\nHost: x\r\nX-Y: z\r\nContent-Length: 11\r\n\r\n{\"jti\":\"1\"}";

/// One request on a connection of its own, in a thread: the raw socket blocks.
async fn ask(receiver: &Receiver, requests: usize) -> Vec<Option<(u16, Vec<u8>)>> {
    let address = receiver.address;
    let asking = tokio::task::spawn_blocking(move || {
        let mut raw = Raw::connect(address);
        let one = |_| {
            raw.send(REQUEST).ok()?;
            raw.answer().map(|answer| (answer.status, answer.body))
        };
        (0..requests).map(one).collect()
    });
    asking.await.expect("the client")
}

#[tokio::test(flavor = "multi_thread")]
async fn it_does_as_the_script_says_and_then_accepts() {
    let receiver = Receiver::start().await;
    receiver.script([Reply::refused("invalid_key"), Reply::status(204), Reply::redirect(301, "http://169.254.169.254/")]);
    let answers = ask(&receiver, 4).await;
    let refused = br#"{"err":"invalid_key","description":"as the script says"}"#.to_vec();
    assert_eq!(answers, [Some((400, refused)), Some((204, vec![])), Some((301, vec![])), Some((202, vec![]))]);
    let requests = receiver.at_least(4).await;
    let answered: Vec<_> = requests.iter().map(|request| request.answered).collect();
    assert_eq!(answered, [Some(400), Some(204), Some(301), Some(202)]);
    let first = &requests[0];
    assert_eq!((first.method.as_str(), first.target.as_str(), first.header("x-y")), ("POST", "/events?a=b", Some("z")));
    assert_eq!((first.jti().as_str(), receiver.accepted()), ("1", vec![r#"{"jti":"1"}"#.to_owned()]));
    assert_eq!((receiver.connections(), receiver.most_in_flight()), (1, 1));
    receiver.otherwise(|request| Reply::status(if request.target == "/events?a=b" { 503 } else { 202 }));
    assert_eq!(ask(&receiver, 1).await, [Some((503, vec![]))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_breaks_connections_and_goes_on_without_end() {
    let receiver = Receiver::start().await;
    receiver.script([Reply::reset(), Reply::reset_in_body(500), Reply::endless(200)]);
    assert_eq!(ask(&receiver, 1).await, [None]);
    assert_eq!(ask(&receiver, 1).await, [None]);
    let address = receiver.address;
    let read = tokio::task::spawn_blocking(move || {
        use std::io::{Read as _, Write as _};
        let mut stream = TcpStream::connect(address).expect("a connection");
        stream.write_all(REQUEST.as_bytes()).expect("sent");
        stream.take(1_000_000).read_to_end(&mut Vec::new()).expect("a part of it")
    });
    assert_eq!(read.await.expect("the client"), 1_000_000);
    let none_answered = receiver.received().iter().all(|request| request.answered.is_none());
    assert!(none_answered && receiver.count() == 3);
    let closed = || async { (receiver.open_connections() == 0).then_some(()) };
    until("every connection has ended", PATIENCE, closed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_holds_answers_back_and_a_stopped_receiver_is_gone() {
    let (receiver, gate) = (Receiver::start().await, Gate::default());
    receiver.script([Reply::accepted().held_by(&gate), Reply::accepted().held_by(&gate)]);
    let (one, two) = (ask(&receiver, 1), ask(&receiver, 1));
    let opening = async {
        receiver.at_least(2).await;
        assert!(receiver.accepted().is_empty());
        gate.open();
    };
    let (one, two, ()) = tokio::join!(one, two, opening);
    assert_eq!((one, two, receiver.most_in_flight()), (vec![Some((202, vec![]))], vec![Some((202, vec![]))], 2));
    let address = receiver.address;
    receiver.stop().await;
    assert!(TcpStream::connect(address).is_err() && TcpStream::connect(Receiver::nobody().await).is_err());
    assert_eq!(ask(&Receiver::start_at(address).await, 1).await, [Some((202, vec![]))]);
}

#[tokio::test]
async fn it_speaks_tls_with_names_that_its_authority_vouches_for() {
    let authority = Authority::default();
    let receiver = Receiver::start_tls(authority.server(&["localhost"])).await;
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).expect("a certificate")).expect("a root");
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("versions").with_root_certificates(roots);
    let connector = TlsConnector::from(Arc::new(config.with_no_client_auth()));
    for (name, is_right) in [("localhost", true), ("other.example", false)] {
        let stream = tokio::net::TcpStream::connect(receiver.address).await.expect("a connection");
        let connected = connector.connect(ServerName::try_from(name).expect("a name"), stream).await;
        assert_eq!(connected.is_ok(), is_right, "{name}");
        let Ok(mut stream) = connected else { continue };
        stream.write_all(REQUEST.as_bytes()).await.expect("sent");
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).await.expect("an answer");
        assert_eq!(&answer, b"HTTP/1.1 202");
    }
    let requests = receiver.at_least(1).await;
    assert_eq!((requests.len(), requests[0].tls.as_deref()), (1, Some("TLSv1_3")));
    assert_eq!(claims_of(&requests[0].set())["jti"], "1");
    assert!(receiver.url().starts_with("https://127.0.0.1:") && receiver.url_at("localhost").starts_with("https://localhost:"));
}
