//! A line of the log for each request, and the request's id; it is counted here too.
//!
//! The line names no resource and no person: the route's template stands for the path. A read that went well is told at DEBUG, so
//! that reading stays fast; nothing is put together for a line that is not written.

use super::{Context, limits, metrics};
use crate::auth::Caller;
use crate::base::id::Ids;
use axum::body::HttpBody as _;
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method};
use axum::response::Response;
use std::cell::RefCell;
use std::convert::Infallible;
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{self, Poll};
use std::time::Instant;
use tower::{Layer, Service};
use tracing::Level;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What stands for the status of an answer that nobody was there to take. No answer has it; proxies write it in their logs too.
const CLIENT_GONE: u16 = 499;

/// Makes request ids: what this process is called, and a number. One id of the house for each process and a counter are as unique
/// as one for each request, and cost nothing.
#[derive(Debug)]
pub(super) struct RequestIds {
    process: String,
    next: AtomicU64,
}

impl RequestIds {
    pub(super) fn new(ids: &dyn Ids) -> Self {
        let (_, random) = ids.next().as_u64_pair();
        Self { process: format!("{random:016x}"), next: AtomicU64::new(1) }
    }

    fn make(&self) -> HeaderValue {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        // Hexadecimal digits and a hyphen are always a header.
        HeaderValue::try_from(format!("{}-{number:x}", self.process)).unwrap_or(HeaderValue::from_static("-"))
    }
}

/// The one id that a client or proxy gives, if it is short and can stand in a line of the log without misleading its reader.
fn given(headers: &HeaderMap) -> Option<&HeaderValue> {
    let mut lines = headers.get_all(REQUEST_ID).iter();
    let id = lines.next().filter(|_| lines.next().is_none())?;
    let is_plain = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
    (!id.is_empty() && id.len() <= limits::REQUEST_ID_BYTES && id.as_bytes().iter().all(is_plain)).then_some(id)
}

/// What is known of the request that a thread works on.
#[derive(Debug)]
struct Scope {
    id: HeaderValue,
    caller: Option<Arc<Caller>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Scope>> = const { RefCell::new(None) };
}

/// The id of the request that this thread works on now, for the lines of the log that its failures give rise to.
pub fn current_request_id() -> Option<String> {
    CURRENT.with_borrow(|scope| scope.as_ref().and_then(|scope| scope.id.to_str().ok()).map(str::to_owned))
}

/// The current request is this caller's.
pub(super) fn is_of(caller: &Arc<Caller>) {
    CURRENT.with_borrow_mut(|current| {
        if let Some(scope) = current {
            scope.caller = Some(Arc::clone(caller));
        }
    });
}

/// Makes a scope the thread's own, until it is dropped.
struct Entered<'a>(&'a mut Option<Scope>);

impl<'a> Entered<'a> {
    fn new(scope: &'a mut Option<Scope>) -> Self {
        CURRENT.with_borrow_mut(|current| mem::swap(current, scope));
        Self(scope)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        CURRENT.with_borrow_mut(|current| mem::swap(current, self.0));
    }
}

/// Wraps every route.
#[derive(Clone, Debug)]
pub(super) struct Log(Arc<Context>);

impl Log {
    pub(super) fn new(context: &Arc<Context>) -> Self {
        Self(Arc::clone(context))
    }
}

impl<S> Layer<S> for Log {
    type Service = Logging<S>;

    fn layer(&self, within: S) -> Logging<S> {
        Logging { context: Arc::clone(&self.0), within }
    }
}

/// A service whose requests are logged.
#[derive(Clone, Debug)]
pub(super) struct Logging<S> {
    context: Arc<Context>,
    within: S,
}

impl<S> Service<Request> for Logging<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Unpin,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Logged<S::Future>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> Poll<Result<(), Infallible>> {
        self.within.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let id = given(request.headers()).cloned().unwrap_or_else(|| self.context.request_ids.make());
        let about = About {
            method: request.method().clone(),
            route: request.extensions().get::<MatchedPath>().cloned(),
            began: Instant::now(),
        };
        let scope = Some(Scope { id, caller: None });
        Logged { work: self.within.call(request), context: Arc::clone(&self.context), scope, about }
    }
}

/// What a request's line says, as far as it is known at its beginning.
#[derive(Debug)]
struct About {
    method: Method,
    route: Option<MatchedPath>,
    began: Instant,
}

/// An answer on its way.
#[derive(Debug)]
pub(super) struct Logged<F> {
    work: F,
    context: Arc<Context>,
    scope: Option<Scope>,
    about: About,
}

impl<F: Future<Output = Result<Response, Infallible>> + Unpin> Future for Logged<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut task::Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        let entered = Entered::new(&mut this.scope);
        let polled = Pin::new(&mut this.work).poll(context);
        drop(entered);
        polled.map(|answered| {
            let mut response = answered?;
            if let Some(scope) = this.scope.take() {
                this.about.tell(&this.context, response.status().as_u16(), response.body().size_hint().exact(), &scope);
                response.headers_mut().insert(REQUEST_ID, scope.id);
            }
            Ok(response)
        })
    }
}

/// A request whose connection ends before its answer is there is dropped, and its write may take effect all the same.
impl<F> Drop for Logged<F> {
    fn drop(&mut self) {
        if let Some(scope) = self.scope.take() {
            self.about.tell(&self.context, CLIENT_GONE, None, &scope);
        }
    }
}

/// An event's level is fixed where it stands.
macro_rules! write_line {
    ($level:expr, $about:expr, $status:expr, $bytes:expr, $scope:expr) => {
        tracing::event!(
            target: "carillon::request",
            $level,
            request_id = $scope.id.to_str().unwrap_or_default(),
            method = $about.known_method(),
            route = $about.route(),
            status = $status,
            duration_us = u64::try_from($about.began.elapsed().as_micros()).unwrap_or(u64::MAX),
            bytes = $bytes,
            principal = $scope.caller.as_ref().map(|caller| caller.principal.as_str()),
        )
    };
}

impl About {
    /// Counts it and writes its line.
    fn tell(&self, context: &Context, status: u16, bytes: Option<u64>, scope: &Scope) {
        let route = self.route.as_ref().map(MatchedPath::as_str);
        context.requests.count(route, &self.method, status, self.began.elapsed());
        self.write(status, bytes, scope);
    }

    fn write(&self, status: u16, bytes: Option<u64>, scope: &Scope) {
        match self.level(status) {
            Level::ERROR => write_line!(Level::ERROR, self, status, bytes, scope),
            Level::WARN => write_line!(Level::WARN, self, status, bytes, scope),
            Level::INFO => write_line!(Level::INFO, self, status, bytes, scope),
            _ => write_line!(Level::DEBUG, self, status, bytes, scope),
        }
    }

    fn level(&self, status: u16) -> Level {
        let is_read = matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS) || self.route().ends_with("/.search");
        match status {
            CLIENT_GONE if is_read => Level::DEBUG,
            500 => Level::ERROR,
            502.. => Level::WARN,
            400.. => Level::INFO,
            _ if is_read => Level::DEBUG,
            _ => Level::INFO,
        }
    }

    /// A path that no route has is the client's own text.
    fn route(&self) -> &str {
        self.route.as_ref().map_or("-", MatchedPath::as_str)
    }

    /// So is a method that HTTP does not have.
    fn known_method(&self) -> &'static str {
        metrics::name_of(&self.method).unwrap_or("-")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::TimeOrderedIds;

    #[test]
    fn ids_differ_and_those_of_two_processes_too() {
        let (one, other) = (RequestIds::new(&TimeOrderedIds), RequestIds::new(&TimeOrderedIds));
        let ids = [one.make(), one.make(), other.make(), other.make()];
        assert!((0..4).all(|at| !ids[..at].contains(&ids[at])), "{ids:?}");
        assert!(ids[0].to_str().is_ok_and(|id| id.ends_with("-1")));
    }

    #[test]
    fn only_a_plain_id_is_taken() {
        let headers = |ids: &[&str]| -> HeaderMap {
            ids.iter().map(|id| (REQUEST_ID, HeaderValue::from_bytes(id.as_bytes()).expect("a value"))).collect()
        };
        let long = "x".repeat(limits::REQUEST_ID_BYTES);
        for id in ["0190c7a4-7f2a", "a", "Root=1-67891233-abcdef012345678912345678", &long] {
            assert_eq!(given(&headers(&[id])).expect("taken"), id);
        }
        for ids in [&[][..], &[""], &["a b"], &["a\tb"], &["a\"b"], &["a\\b"], &["ü"], &["a", "b"], &[&format!("{long}x")]] {
            assert_eq!(given(&headers(ids)), None, "{ids:?}");
        }
    }

    #[test]
    fn a_line_is_as_loud_as_what_it_tells() {
        let level = |method: &str, status: u16| {
            let about = About { method: method.parse().expect("a method"), route: None, began: Instant::now() };
            about.level(status)
        };
        assert_eq!([level("GET", 200), level("HEAD", 304), level("OPTIONS", 204)], [Level::DEBUG; 3]);
        assert_eq!([level("POST", 201), level("GET", 404), level("PUT", 412), level("GET", 501)], [Level::INFO; 4]);
        assert_eq!([level("GET", CLIENT_GONE), level("POST", CLIENT_GONE)], [Level::DEBUG, Level::INFO]);
        assert_eq!([level("GET", 500), level("POST", 503)], [Level::ERROR, Level::WARN]);
    }
}
