//! When units that are committed in order come to an early end.

use super::{Committed, Result, StoreErrorKind};
use std::ops::ControlFlow;

/// The units that were tried so far, and what each came to.
#[derive(Debug)]
pub(crate) struct Tried {
    results: Vec<Result<Committed>>,
    failures_left: Option<usize>,
}

impl Tried {
    pub(crate) fn new(most_failures: Option<usize>) -> Self {
        Self { results: Vec::new(), failures_left: most_failures }
    }

    /// Notes the result of one more unit, and tells whether the next one is to be tried.
    pub(crate) fn push(&mut self, result: Result<Committed>) -> ControlFlow<()> {
        let mut goes_on = true;
        if let Err(error) = &result {
            self.failures_left = self.failures_left.map(|left| left.saturating_sub(1));
            // What follows was planned for a state in which this one is applied, or would meet the same store.
            goes_on = !matches!(error.kind, StoreErrorKind::Stale | StoreErrorKind::Unavailable) && self.failures_left != Some(0);
        }
        self.results.push(result);
        if goes_on { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }

    pub(crate) fn into_results(self) -> Vec<Result<Committed>> {
        self.results
    }
}
