//! The listener: bounds on heads and idle connections, and a shutdown that lets requests in flight end.

use super::Context;
use crate::base::limits;
use crate::base::task::pause;
use axum::Router;
use axum_server::Handle;
use axum_server::accept::Accept;
use hyper_util::rt::TokioTimer;
use std::future::{Future, Ready, ready};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_io_timeout::TimeoutStream;

/// Serves until `shutdown` ends, then refuses new connections, lets requests in flight end for [`limits::SHUTDOWN_MS`], and
/// returns. Fails when the listener cannot be used.
///
/// HTTP/1.1 alone. The HTTP library refuses a head that has not ended when its buffer of [`limits::HEADER_BYTES`] is full, or when
/// [`limits::HEADER_READ_MS`] have passed (RFC 6585 §5). Of a request with both Transfer-Encoding and Content-Length it follows the
/// former and closes the connection after the answer, so that no byte behind it is taken for a request (RFC 9112 §6.1).
///
/// A client that takes nothing of an answer for [`write_ms`](limits::Limits::write_ms) loses its connection.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    context: Arc<Context>,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let handle: Handle<SocketAddr> = Handle::new();
    let mut server = axum_server::from_tcp(listener)?
        .handle(handle.clone())
        .acceptor(Patient { write: Duration::from_millis(context.surface.limits.write_ms) })
        .http1_only();
    server
        .http_builder()
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits::HEADER_READ_MS))
        .max_buf_size(limits::HEADER_BYTES);
    let asks_proxies = !context.surface.trusted_proxies.is_empty();
    let delay = Duration::from_millis(context.surface.shutdown_delay_ms);
    let stopping = tokio::spawn(async move {
        shutdown.await;
        context.stop();
        // Whoever sends requests here learns from `/ready` to send them elsewhere, before they are refused.
        pause(delay).await;
        // A request that waits for events is one in flight: it ends now.
        context.delivery.close();
        handle.graceful_shutdown(Some(Duration::from_millis(limits::SHUTDOWN_MS)));
    });
    let result = if asks_proxies {
        server.serve(router.into_make_service_with_connect_info::<SocketAddr>()).await
    } else {
        server.serve(router.into_make_service()).await
    };
    stopping.abort();
    result
}

/// Accepts connections whose answers leave at once, and do not wait for ever to be read.
#[derive(Clone, Copy, Debug)]
struct Patient {
    write: Duration,
}

impl<S> Accept<TcpStream, S> for Patient {
    type Stream = Pin<Box<TimeoutStream<TcpStream>>>;
    type Service = S;
    type Future = Ready<io::Result<(Self::Stream, S)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let accepted = stream.set_nodelay(true).map(|()| {
            let mut stream = TimeoutStream::new(stream);
            stream.set_write_timeout(Some(self.write));
            (Box::pin(stream), service)
        });
        ready(accepted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Surface, router, tests::context};
    use std::io::{Read, Write};
    use std::net::TcpStream;

    /// Serves while a client talks on a thread of its own; returns what the client came to.
    async fn serving<T: Send + 'static>(client: impl FnOnce(SocketAddr) -> T + Send + 'static) -> T {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let context = context(Surface::default());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let shutdown = async { stopped.await.unwrap_or_default() };
        let served = tokio::spawn(serve(listener, router(&context), context, shutdown));
        let result = tokio::task::spawn_blocking(move || client(address)).await.expect("the client");
        stop.send(()).expect("the server is there");
        tokio::time::timeout(Duration::from_secs(30), served).await.expect("it ends").expect("no panic").expect("no error");
        result
    }

    /// All that comes back for raw bytes until the server closes the connection.
    fn answers(address: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
        stream.write_all(request).expect("written");
        let mut answer = Vec::new();
        // A connection closed on unread bytes ends in a reset, after the answer.
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = stream.read(&mut buffer) {
            answer.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn heads_that_could_mislead_or_are_too_large_are_refused() {
        let (answers, _idle) = serving(|address| {
            // One open connection without a request does not hold the shutdown up.
            let idle = TcpStream::connect(address).expect("connected");
            let length = b"POST /Me HTTP/1.1\r\nHost: h\r\nX-API-Key: key\r\nContent-Length: 4\r\n";
            let smuggled = b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /health HTTP/1.1\r\nHost: h\r\n\r\n";
            let twice = b"Content-Length: 5\r\n\r\nabcd";
            let large = format!("GET /health HTTP/1.1\r\nHost: h\r\nX: {}\r\n\r\n", "x".repeat(4 * limits::HEADER_BYTES));
            let requests = [[&length[..], smuggled].concat(), [&length[..], twice].concat(), large.into_bytes()];
            (requests.map(|request| answers(address, &request)), idle)
        })
        .await;
        for (answer, status) in
            answers.iter().zip(["501 Not Implemented", "400 Bad Request", "431 Request Header Fields Too Large"])
        {
            assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
            assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
            assert!(answer.contains("connection: close\r\n"), "{answer}");
        }
    }

    /// 7644-3.7.4-01
    #[tokio::test(flavor = "multi_thread")]
    async fn a_body_announced_over_the_limit_is_refused_before_it_is_sent() {
        let answers = serving(|address| {
            let head = "POST /Users HTTP/1.1\r\nHost: h\r\nX-API-Key: key\r\nContent-Length: 999999999999\r\n";
            ["\r\n", "Expect: 100-continue\r\n\r\n"].map(|end| answers(address, format!("{head}{end}").as_bytes()))
        })
        .await;
        for answer in answers {
            assert!(answer.starts_with("HTTP/1.1 413 Payload Too Large\r\n"), "{answer}");
            assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{answer}");
        }
    }
}
