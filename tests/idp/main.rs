//! Whole provisioning cycles of identity providers, as requests and expected answers, and what others' bug trackers teach.
//!
//! A cycle is a file under `cycles/`, transcribed from the public documents that it cites. Each runs twice: as the server is by
//! default, and with `QUIRKS=strict`, where every request that needs a quirk is refused, changes nothing, and is sent again in the
//! form that it means.
#![allow(unreachable_pub, reason = "a test program exports nothing")]
#![allow(clippy::panic, reason = "a suite fails by panicking")]

#[path = "../support/mod.rs"]
mod support;

mod cycle;
mod lessons;
mod storms;

/// The tests of a cycle, and the list of all.
macro_rules! cycles {
    ($($name:ident),+ $(,)?) => {
        const CYCLES: &[&str] = &[$(stringify!($name)),+];
        $(mod $name {
            #[tokio::test]
            async fn as_it_is_sent() {
                crate::cycle::run(include_str!(concat!("cycles/", stringify!($name), ".json")), "lenient").await;
            }

            #[tokio::test]
            async fn strictly() {
                crate::cycle::run(include_str!(concat!("cycles/", stringify!($name), ".json")), "strict").await;
            }
        })+
    };
}

cycles!(entra, entra_compliant, entra_validator, jumpcloud, okta_aiw, okta_oin, onelogin, rippling, sailpoint);

#[test]
fn every_cycle_is_run() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/idp/cycles");
    let entries = std::fs::read_dir(folder).expect("the cycles");
    let mut files: Vec<String> = entries.map(|entry| entry.expect("a file").file_name().to_string_lossy().into_owned()).collect();
    files.sort();
    assert_eq!(files, CYCLES.iter().map(|name| format!("{name}.json")).collect::<Vec<_>>());
}
