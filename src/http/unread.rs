//! A request that is answered before its body is read.
//!
//! The next request on a connection stands behind that body (RFC 9112 §9.3). The HTTP library closes a connection on which one was
//! left, and the client learns of it when its next request is reset. So what is left is read and thrown away, before the answer; and
//! where that would take too long, the answer says that the connection closes.

use crate::base::limits;
use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::{CONNECTION, EXPECT};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::{BodyExt, Limited};
use std::convert::Infallible;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;
use tower::{Layer, Service};

/// Wraps every route. A request without a body costs nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unread {
    /// Most that is read of a body that nobody wanted, in bytes.
    pub(super) most: usize,
}

impl<S> Layer<S> for Unread {
    type Service = Lending<S>;

    fn layer(&self, within: S) -> Lending<S> {
        Lending { most: self.most, within }
    }
}

/// A service that lends each request its body, and looks at what comes back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lending<S> {
    most: usize,
    within: S,
}

impl<S> Service<Request> for Lending<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + Unpin + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Answering<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.within.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if request.body().is_end_stream() {
            return Answering::Bodiless(self.within.call(request));
        }
        // A client that waits to be told to go on (RFC 9110 §10.1.1) has sent nothing, and reading would tell it so.
        let waits_for_leave = request.headers().contains_key(EXPECT);
        let (back, mut returned) = oneshot::channel();
        let answer = self.within.call(request.map(|body| Body::new(Lent { body, back: Some(back) })));
        let most = self.most;
        Answering::Lent(Box::pin(async move {
            let mut response = answer.await?;
            if let Ok(rest) = returned.try_recv()
                && (waits_for_leave || !is_past(rest, response.status(), most).await)
            {
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok(response)
        }))
    }
}

/// An answer on its way.
pub(super) enum Answering<F> {
    /// To a request without a body.
    Bodiless(F),
    /// To one with a body.
    Lent(Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>),
}

impl<F: Future<Output = Result<Response, Infallible>> + Unpin> Future for Answering<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut *self {
            Self::Bodiless(answer) => Pin::new(answer).poll(context),
            Self::Lent(answer) => answer.as_mut().poll(context),
        }
    }
}

/// A body that comes back if it is not read to its end.
struct Lent {
    body: Body,
    back: Option<oneshot::Sender<Body>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.back = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(back) = self.back.take()
            && !self.body.is_end_stream()
        {
            // Nobody is there for it when the connection is gone.
            let _ = back.send(mem::take(&mut self.body));
        }
    }
}

/// Reads the rest of a body. Whether that was possible, within bounds of size and time.
async fn is_past(rest: Body, status: StatusCode, most: usize) -> bool {
    // Its time is over already (RFC 9110 §15.5.9).
    if status == StatusCode::REQUEST_TIMEOUT {
        return false;
    }
    if rest.size_hint().lower() > most as u64 {
        // A connection closed on bytes that nobody has read is reset, and the client may never see the answer.
        tokio::spawn(discard(rest, most));
        return false;
    }
    discard(rest, most).await
}

/// Whether the end of a body came, within so many bytes and [`limits::REFUSED_BODY_READ_MS`].
async fn discard(body: Body, most: usize) -> bool {
    let mut body = Limited::new(body, most);
    let rest = async {
        while let Some(frame) = body.frame().await {
            if frame.is_err() {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(Duration::from_millis(limits::REFUSED_BODY_READ_MS), rest).await.unwrap_or(false)
}
