//! Requests, counted by route, method and status: each of them is found once and kept, so that counting costs a read nothing that
//! can be seen.

use axum::http::Method;
use dashmap::DashMap;
use metrics::{Counter, Histogram};
use std::fmt;
use std::time::Duration;

/// What stands for a path that no route has: it would be the client's own text.
const NO_ROUTE: &str = "none";
/// What stands for a method that HTTP does not have.
const OTHER_METHOD: &str = "other";

/// The counters that requests have needed so far. There are at most as many as routes × methods × statuses.
#[derive(Default)]
pub(in crate::http) struct Requests(DashMap<Box<str>, Vec<Series>>);

/// Requests of one route, method and status.
struct Series {
    method: &'static str,
    status: u16,
    total: Counter,
    seconds: Histogram,
}

impl fmt::Debug for Requests {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Requests(…)")
    }
}

impl Requests {
    /// One more request: its route's template, its method and what came of it.
    pub(in crate::http) fn count(&self, route: Option<&str>, method: &Method, status: u16, took: Duration) {
        let (route, method) = (route.unwrap_or(NO_ROUTE), name_of(method).unwrap_or(OTHER_METHOD));
        let is_it = |series: &&Series| series.status == status && series.method == method;
        if let Some(known) = self.0.get(route)
            && let Some(series) = known.iter().find(is_it)
        {
            return series.count(took);
        }
        let mut of_route = self.0.entry(route.into()).or_default();
        if !of_route.iter().any(|series| is_it(&series)) {
            of_route.push(Series::new(route, method, status));
        }
        if let Some(series) = of_route.iter().find(is_it) {
            series.count(took);
        }
    }
}

impl Series {
    fn new(route: &str, method: &'static str, status: u16) -> Self {
        let labels = [("route", route.to_owned()), ("method", method.to_owned())];
        let total = metrics::counter!(
            "carillon_http_requests_total", "route" => route.to_owned(), "method" => method, "status" => status.to_string()
        );
        Self { method, status, total, seconds: metrics::histogram!("carillon_http_request_seconds", &labels) }
    }

    fn count(&self, took: Duration) {
        self.total.increment(1);
        self.seconds.record(took.as_secs_f64());
    }
}

/// The name of a method that HTTP has.
pub(in crate::http) fn name_of(method: &Method) -> Option<&'static str> {
    Some(match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => return None,
    })
}
