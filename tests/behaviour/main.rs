//! The behaviour suite: the same cases on every backend, through HTTP on the real program, chosen by the backend's capabilities.
//!
//! A case is named `sqlite::patch::remove_by_filter`. All cases of a backend share one process; each uses names of its own.
#![allow(unreachable_pub, reason = "a test program exports nothing")]
#![allow(clippy::panic, reason = "a suite fails by panicking")]
#![allow(clippy::needless_pass_by_value, reason = "a json! literal is given as it is written")]

#[path = "../support/mod.rs"]
mod support;

mod capabilities;
mod case;
mod gateway;

mod bulk;
mod bulk_events;
mod bulk_references;
mod common;
mod create;
mod cursor;
mod custom_extensions;
mod custom_types;
mod delete;
mod durable;
mod etag;
mod events;
mod events_full;
mod examples;
mod feed;
mod filter;
mod formats;
mod groups;
mod list;
mod members;
mod patch;
mod patch_values;
mod prefer;
mod projection;
mod protocol;
mod put;
mod read;
mod retired;
mod search;
mod secret;
mod sort;
mod unique;
mod values;

use case::Case;
use libtest_mimic::{Arguments, Trial};

/// The backends that the suite runs on. One that is named here and cannot be opened fails the run.
const BACKENDS: &[&str] = if cfg!(feature = "servers") { &["sqlite", "memory", "postgres"] } else { &["sqlite", "memory"] };

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = vec![Trial::test("capabilities::are_those_of_the_snapshot", || {
        capabilities::check(BACKENDS);
        Ok(())
    })];
    // A run of one case opens no other backend.
    let one = arguments.filter.as_deref().filter(|_| arguments.exact);
    let is_asked_for =
        |backend: &&str| one.is_none_or(|case| case.strip_prefix(backend).is_some_and(|rest| rest.starts_with("::")));
    for backend in BACKENDS.iter().copied().filter(is_asked_for) {
        let capabilities = capabilities::of(backend);
        let wanted = all().into_iter().filter(|case| case.fits(capabilities));
        trials.extend(wanted.map(|case| case.on(backend)));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    gateway::stop_all();
    conclusion.exit();
}

fn all() -> Vec<Case> {
    let families = [
        common::cases(),
        create::cases(),
        custom_extensions::cases(),
        custom_types::cases(),
        read::cases(),
        list::cases(),
        sort::cases(),
        cursor::cases(),
        search::cases(),
        filter::cases(),
        formats::cases(),
        projection::cases(),
        protocol::cases(),
        put::cases(),
        patch::cases(),
        patch_values::cases(),
        prefer::cases(),
        delete::cases(),
        etag::cases(),
        unique::cases(),
        values::cases(),
        secret::cases(),
        groups::cases(),
        members::cases(),
        events::cases(),
        events_full::cases(),
        examples::cases(),
        feed::cases(),
        durable::cases(),
        retired::cases(),
        bulk::cases(),
        bulk_references::cases(),
        bulk_events::cases(),
    ];
    families.into_iter().flatten().collect()
}
