//! A router that can say which routes it has, so that a test can hold each of them to the rules.

use axum::Router;
use axum::routing::MethodRouter;

/// Routes, and their paths.
pub(super) struct Table<S = ()> {
    pub(super) router: Router<S>,
    pub(super) paths: Vec<String>,
}

impl<S: Clone + Send + Sync + 'static> Table<S> {
    pub(super) fn new() -> Self {
        Self { router: Router::new(), paths: Vec::new() }
    }

    /// One more route.
    pub(super) fn route(mut self, path: &str, methods: MethodRouter<S>) -> Self {
        self.paths.push(path.to_owned());
        Self { router: self.router.route(path, methods), ..self }
    }

    /// The routes with what their handlers share.
    pub(super) fn with_state(self, state: S) -> Table {
        Table { router: self.router.with_state(state), paths: self.paths }
    }

    /// The routes of both.
    pub(super) fn merge(mut self, other: Self) -> Self {
        self.paths.extend(other.paths);
        Self { router: self.router.merge(other.router), ..self }
    }
}
