//! A task that goes on by itself when the database is back: it tells of an outage once, and of its end.

use std::fmt::Display;

/// Whether something fails now.
#[derive(Debug)]
pub(super) struct Outage {
    /// What does not happen while it lasts.
    what: &'static str,
    is_on: bool,
}

impl Outage {
    pub(super) fn of(what: &'static str) -> Self {
        Self { what, is_on: false }
    }

    /// It failed.
    pub(super) fn began(&mut self, error: &dyn Display) {
        if !std::mem::replace(&mut self.is_on, true) {
            tracing::warn!(what = self.what, %error, "the database does not answer: it is tried again");
        }
    }

    /// It works.
    pub(super) fn ended(&mut self) {
        if std::mem::replace(&mut self.is_on, false) {
            tracing::info!(what = self.what, "the database answers again");
        }
    }
}
