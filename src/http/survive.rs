//! A panic of a handler becomes a 500, and the connection and the server live on.

use super::respond::Failure;
use crate::scim::error::{Error, ErrorKind};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use std::convert::Infallible;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use tower::{Layer, Service};

/// Wraps every route. It allocates one box a request and nothing else.
#[derive(Clone, Copy, Debug)]
pub(super) struct Survive;

impl<S> Layer<S> for Survive {
    type Service = Surviving<S>;

    fn layer(&self, within: S) -> Surviving<S> {
        Surviving(within)
    }
}

/// A service whose panics are answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surviving<S>(S);

impl<S> Service<Request> for Surviving<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Caught<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        Caught(Box::pin(self.0.call(request)))
    }
}

/// A response, or the answer to the panic of what makes it.
#[derive(Debug)]
pub(super) struct Caught<F>(Pin<Box<F>>);

impl<F: Future<Output = Result<Response, Infallible>>> Future for Caught<F> {
    type Output = Result<Response, Infallible>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let within = self.0.as_mut();
        catch_unwind(AssertUnwindSafe(|| within.poll(context))).unwrap_or_else(|_| {
            tracing::error!("a handler panicked");
            Poll::Ready(Ok(Failure::from(Error::new(ErrorKind::Internal, "The server failed.")).into_response()))
        })
    }
}
