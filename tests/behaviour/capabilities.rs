//! What each backend says it can do, pinned by `capabilities.txt`.

use carillon::base::id::TimeOrderedIds;
use carillon::base::limits::Limits;
use carillon::scim::schema::Registry;
use carillon::store::Capabilities;
use carillon::store::backends::{Opening, open};
use std::sync::Arc;

/// What a backend can do, as it says itself. One that cannot be opened fails the run.
pub fn of(backend: &str) -> Capabilities {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let opening = Opening {
        data_path: folder.path().to_owned(),
        registry: Arc::new(Registry::builtin()),
        ids: Arc::new(TimeOrderedIds),
        limits: Limits::default(),
    };
    open(backend, opening).unwrap_or_else(|error| panic!("{backend} cannot be opened: {error}")).store.capabilities()
}

/// Compares what all say with the snapshot.
pub fn check(backends: &[&str]) {
    let said: Vec<String> = backends.iter().map(|backend| format!("{backend}: {:?}", of(backend))).collect();
    let pinned: Vec<&str> = include_str!("capabilities.txt").lines().collect();
    assert_eq!(said, pinned, "capabilities.txt pins what backends can do");
}
