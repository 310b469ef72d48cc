//! Requests that end too late, too early or twice.

use crate::support::fixture::user;
use crate::support::raw::Raw;
use crate::support::server::Settings;
use crate::support::wait::{PATIENCE, until};
use crate::watched::{Watched, assert_scim_error};

const LIMIT_BYTES: usize = 1024 * 1024;

async fn limited() -> Watched {
    Watched::with(Settings::default().with("LIMIT_BODY_BYTES", &LIMIT_BYTES.to_string())).await
}

/// 7644-3.7.4-01: nothing of the body is sent.
#[tokio::test]
async fn a_body_over_the_limit_is_refused_by_its_announcement() {
    let mut watched = limited().await;
    for (method, path) in watched.writes() {
        let mut raw = watched.connect();
        let head = watched.head(&format!("{method} {path}"), &format!("Content-Length: {}\r\n", LIMIT_BYTES + 1));
        raw.send(head).expect("sent");
        let answer = raw.answer().expect("an answer");
        assert_scim_error(&answer, 413, None);
        assert!(answer.json()["detail"].as_str().is_some_and(|detail| detail.contains(&LIMIT_BYTES.to_string())));
    }
    watched.assert_unchanged().await;
}

/// 7644-3.7.4-01: without Content-Length, in chunks that never end.
#[tokio::test]
async fn a_body_over_the_limit_is_refused_while_it_is_read() {
    let mut watched = limited().await;
    let mut raw = watched.connect();
    raw.send(watched.head("POST /Users", "Transfer-Encoding: chunked\r\n")).expect("sent");
    let chunk = format!("{:x}\r\n{}\r\n", 64 * 1024, " ".repeat(64 * 1024));
    let memory_before = watched.server.anonymous_memory_kb();
    let mut sent = 0;
    // The server answers after the limit; the client that goes on sending meets a closed connection at some point.
    while sent < 64 * LIMIT_BYTES && raw.send(&chunk).is_ok() {
        sent += 64 * 1024;
        if sent > LIMIT_BYTES {
            break;
        }
    }
    let answer = raw.answer().expect("an answer before the end of the body");
    assert_scim_error(&answer, 413, None);
    let grown = watched.server.anonymous_memory_kb().saturating_sub(memory_before);
    assert!(grown < 16 * 1024, "memory grew by {grown} kB");
    watched.assert_unchanged().await;
}

#[tokio::test]
async fn a_body_at_the_limit_is_read() {
    let watched = limited().await;
    let mut body = user("bob").to_string();
    body.push_str(&" ".repeat(LIMIT_BYTES - body.len()));
    assert_eq!(watched.send("POST", "/Users", body.as_bytes()).await.status, 201);
}

/// Whatever is refused by its head alone: the body that comes after it is read past, and the connection serves the next request.
#[tokio::test]
async fn a_refusal_before_the_body_leaves_the_connection_in_step() {
    let mut watched = Watched::start().await;
    let body = user("bob").to_string();
    for (request, headers, status) in [
        ("POST /Users", "", 401),
        ("POST /Nothing", "", 404),
        ("POST /ServiceProviderConfig", "", 405),
        ("DELETE /Users/nobody", "", 404),
        ("POST /Users", "Content-Type: text/plain\r\n", 415),
        ("POST /Users?attributes=%ff", "", 400),
        ("PUT /Users/%ff", "", 400),
        ("PATCH /Users/nobody", "If-Match: 1\r\n", 400),
    ] {
        for (length, body) in [
            (format!("Content-Length: {}\r\n", body.len()), body.clone()),
            ("Transfer-Encoding: chunked\r\n".into(), format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len())),
        ] {
            let (mut raw, before) = (watched.connect(), refusals(&watched).await);
            let head = watched.head(request, &format!("{headers}{length}"));
            let head = if status == 401 { head.replace("Authorization", "X-Other") } else { head };
            raw.send(head).expect("sent");
            let is_refused = || async { (refusals(&watched).await > before).then_some(()) };
            until("the request is refused", PATIENCE, is_refused).await;
            raw.send(body).expect("sent");
            let answer = raw.answer().expect("an answer");
            assert_eq!((answer.status, answer.header("connection")), (status, None), "{request} {headers}");
            raw.send(watched.head("GET /Users?count=0", "")).expect("sent");
            assert_eq!(raw.answer().expect("the answer to the next request").status, 200, "{request} {headers}");
        }
    }
    watched.assert_unchanged().await;
}

/// Where the body would take too long, the client is told that the connection closes.
#[tokio::test]
async fn a_refusal_says_when_the_connection_closes() {
    let watched = limited().await;
    for (headers, status) in [
        // Larger than any body may be.
        (format!("Content-Length: {}\r\n", LIMIT_BYTES + 1), 413),
        // Not sent before the client is told to go on, which it is not.
        ("Content-Length: 9\r\nContent-Type: text/plain\r\nExpect: 100-continue\r\n".into(), 415),
        // Never sent.
        ("Content-Length: 9\r\nContent-Type: text/plain\r\n".into(), 415),
        ("Transfer-Encoding: chunked\r\nContent-Type: text/plain\r\n".into(), 415),
    ] {
        let mut raw = watched.connect();
        raw.send(watched.head("POST /Users", &headers)).expect("sent");
        let answer = raw.answer().expect("an answer");
        assert_eq!((answer.status, answer.header("connection")), (status, Some("close")), "{headers}");
        assert!(raw.is_closed(), "{headers}");
    }
}

/// Requests that were refused so far.
async fn refusals(watched: &Watched) -> u64 {
    let metrics = watched.client.get("/metrics").await.text();
    let refused = metrics.lines().filter(|line| line.starts_with("carillon_http_requests_total") && line.contains("status=\"4"));
    refused.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

#[tokio::test]
async fn half_sent_bodies_change_nothing() {
    let mut watched = Watched::start().await;
    let body = user("bob").to_string();
    for (method, path) in watched.writes() {
        let mut raw = watched.connect();
        raw.send(watched.head(&format!("{method} {path}"), &format!("Content-Length: {}\r\n", body.len() + 1))).expect("sent");
        raw.send(&body).expect("sent");
        raw.finish();
        if let Some(answer) = raw.answer() {
            assert!(answer.status >= 400, "{method} {path} was answered {}", answer.status);
        }
        let mut raw = watched.connect();
        raw.send(watched.head(&format!("{method} {path}"), "Transfer-Encoding: chunked\r\n")).expect("sent");
        raw.send(format!("{:x}\r\n{body}\r\n", body.len())).expect("sent");
        drop(raw);
    }
    watched.assert_unchanged().await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let mut watched = Watched::with(Settings::default().with("LIMIT_BODY_READ_MS", "200")).await;
    let mut raw = watched.connect();
    raw.send(watched.head("POST /Users", "Content-Length: 100\r\n")).expect("sent");
    raw.send("{").expect("sent");
    let answer = raw.answer().expect("an answer");
    assert_scim_error(&answer, 408, None);
    assert_eq!(answer.header("connection"), Some("close"));
    watched.assert_unchanged().await;
}

#[tokio::test]
async fn half_sent_heads_change_nothing() {
    let mut watched = Watched::start().await;
    let head = watched.head("DELETE /Users/x", "X: y\r\n");
    for end in [1, 10, head.len() / 2, head.len() - 2, head.len() - 1] {
        let mut raw = watched.connect();
        raw.send(&head[..end]).expect("sent");
        raw.finish();
        if let Some(answer) = raw.answer() {
            assert!(answer.status >= 400, "{}", answer.status);
        }
    }
    watched.assert_unchanged().await;
}

/// Sends a request whose length can be read in two ways, with another one hidden in what one of them takes for the body. The hidden
/// one must not be answered, on this connection or any other.
async fn desync(headers: &str, body: &str) {
    let mut watched = Watched::start().await;
    let hidden = watched.head(&format!("DELETE /Users/{}", watched.ann), "");
    let mut raw = watched.connect();
    raw.send(watched.head("POST /Users", headers)).expect("sent");
    let _ = raw.send(body.replace("HIDDEN", &hidden));
    let first = raw.answer();
    if let Some(first) = &first {
        assert!(first.status >= 400, "answered {}", first.status);
        let second = raw.answer();
        assert_eq!(second, None, "the hidden request was answered");
    }
    watched.assert_unchanged().await;
}

#[tokio::test]
async fn transfer_encoding_and_content_length() {
    // RFC 9112 §6.1
    desync("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\nHIDDEN").await;
    desync("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\nHIDDEN").await;
    desync("Transfer-Encoding: chunked\r\nContent-Length: 400\r\n", "0\r\n\r\nHIDDEN").await;
}

#[tokio::test]
async fn two_lengths() {
    desync("Content-Length: 2\r\nContent-Length: 3\r\n", "{}\r\nHIDDEN").await;
    desync("Content-Length: 2, 3\r\n", "{}\r\nHIDDEN").await;
    desync("Content-Length: +2\r\n", "{}HIDDEN").await;
    desync("Content-Length: -1\r\n", "HIDDEN").await;
    desync("Content-Length: 99999999999999999999999\r\n", "HIDDEN").await;
}

#[tokio::test]
async fn encodings_that_are_not_chunked_at_last() {
    desync("Transfer-Encoding: identity\r\n", "HIDDEN").await;
    desync("Transfer-Encoding: chunked, identity\r\n", "0\r\n\r\nHIDDEN").await;
    desync("Transfer-Encoding: xchunked\r\n", "0\r\n\r\nHIDDEN").await;
    desync("Transfer-Encoding : chunked\r\n", "0\r\n\r\nHIDDEN").await;
    desync("X: y\r\n Transfer-Encoding: chunked\r\n", "0\r\n\r\nHIDDEN").await;
    desync("Transfer-Encoding: chunked\r\n", "zz\r\n\r\nHIDDEN").await;
    desync("Transfer-Encoding: chunked\r\n", "ffffffffffffffffff\r\n\r\nHIDDEN").await;
}

#[tokio::test]
async fn heads_over_the_limit() {
    let mut watched = Watched::start().await;
    let many = (0..2_000).map(|number| format!("X-{number}: y")).collect::<Vec<_>>().join("\r\n") + "\r\n";
    // The bound is that of a buffer which grows by doubling: what comes in one piece is refused at twice the limit at the latest.
    for headers in [format!("X: {}\r\n", "y".repeat(72 * 1024)), many] {
        let mut raw = watched.connect();
        let _ = raw.send(watched.head("GET /Users", &headers));
        if let Some(answer) = raw.answer() {
            assert!(matches!(answer.status, 400 | 431), "{}", answer.status);
        }
    }
    let mut raw = watched.connect();
    let _ = raw.send(watched.head(&format!("GET /Users?x={}", "y".repeat(100 * 1024)), ""));
    if let Some(answer) = raw.answer() {
        assert!(matches!(answer.status, 400 | 414 | 431), "{}", answer.status);
    }
    watched.assert_unchanged().await;
}

#[tokio::test]
async fn a_head_within_the_limit_is_read() {
    let watched = Watched::start().await;
    let mut raw = watched.connect();
    raw.send(watched.head("GET /Users", &format!("X: {}\r\n", "y".repeat(30 * 1024)))).expect("sent");
    assert_eq!(raw.answer().expect("an answer").status, 200);
}

#[tokio::test]
async fn what_is_no_http() {
    let mut watched = Watched::start().await;
    let garbage: [&[u8]; 6] = [
        b"\r\n\r\n\r\n\r\n",
        b"hello\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\0\0\0\0",
    ];
    for bytes in garbage {
        let mut raw = watched.connect();
        raw.send(bytes).expect("sent");
        raw.finish();
        if let Some(answer) = raw.answer() {
            assert_eq!(answer.status, 400);
        }
    }
    let mut raw = watched.connect();
    raw.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("sent");
    raw.finish();
    let _ = raw.answer();
    watched.assert_unchanged().await;
}

#[tokio::test]
async fn host_headers() {
    let mut watched = Watched::start().await;
    let key = crate::support::server::KEY;
    for host in ["", "Host: \r\n", "Host: a\r\nHost: b\r\n", "Host: a/b\r\n", "Host: a\"b\r\n", "Host: evil.example/x?\r\n"] {
        let mut raw = watched.connect();
        raw.send(format!("GET /Users HTTP/1.1\r\nAuthorization: Bearer {key}\r\n{host}\r\n")).expect("sent");
        let answer = raw.answer().expect("an answer");
        assert_scim_error(&answer, 400, Some("invalidSyntax"));
    }
    watched.assert_unchanged().await;
}

#[tokio::test]
async fn requests_in_a_row_on_one_connection() {
    let watched = Watched::start().await;
    let mut raw = watched.connect();
    let one = watched.head("GET /Users?count=0", "");
    raw.send(one.repeat(50)).expect("sent");
    for _ in 0..50 {
        assert_eq!(raw.answer().expect("an answer").status, 200);
    }
}

#[tokio::test]
async fn clients_that_leave_before_the_answer() {
    let mut watched = Watched::start().await;
    for _ in 0..200 {
        let mut raw = Raw::connect(watched.server.address);
        raw.send(watched.head("GET /Users", "")).expect("sent");
    }
    let client = watched.client.clone();
    until("the server answers", PATIENCE, || async { (client.get("/health").await.status == 200).then_some(()) }).await;
    watched.assert_unchanged().await;
}
