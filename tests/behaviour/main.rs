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

mod create;
mod delete;
mod durable;
mod etag;
mod events;
mod events_full;
mod feed;
mod filter;
mod groups;
mod list;
mod members;
mod patch;
mod patch_values;
mod projection;
mod put;
mod read;
mod secret;
mod unique;

use case::Case;
use libtest_mimic::{Arguments, Trial};

/// The backends that the suite runs on. One that is named here and cannot be opened fails the run.
const BACKENDS: [&str; 2] = ["sqlite", "memory"];

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = vec![Trial::test("capabilities::are_those_of_the_snapshot", || {
        capabilities::check(&BACKENDS);
        Ok(())
    })];
    for backend in BACKENDS {
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
        create::cases(),
        read::cases(),
        list::cases(),
        filter::cases(),
        projection::cases(),
        put::cases(),
        patch::cases(),
        patch_values::cases(),
        delete::cases(),
        etag::cases(),
        unique::cases(),
        secret::cases(),
        groups::cases(),
        members::cases(),
        events::cases(),
        events_full::cases(),
        feed::cases(),
        durable::cases(),
    ];
    families.into_iter().flatten().collect()
}
