//! What each backend says it can do, pinned by `capabilities.txt`.

use crate::support::postgres::Schema;
use carillon::base::id::TimeOrderedIds;
use carillon::base::limits::Limits;
use carillon::base::secret::Secret;
use carillon::scim::schema::Registry;
use carillon::store::Capabilities;
use carillon::store::backends::{Opening, Purpose, open};
use std::sync::Arc;

/// What a backend can do, as it says itself. One that cannot be opened fails the run.
pub fn of(backend: &str) -> Capabilities {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let schema = (backend == "postgres").then(Schema::new);
    let opening = Opening {
        purpose: Purpose::Serve,
        data_path: folder.path().to_owned(),
        database_url: schema.as_ref().map(|schema| Secret::new(&*schema.url)),
        views: ["Users".into(), "Groups".into()],
        registry: Arc::new(Registry::builtin()),
        ids: Arc::new(TimeOrderedIds),
        limits: Limits::default(),
    };
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let opened = runtime.block_on(open(backend, opening));
    opened.unwrap_or_else(|error| panic!("{backend} cannot be opened: {error}")).store.capabilities()
}

/// Compares what all say with the snapshot.
pub fn check(backends: &[&str]) {
    let said: Vec<String> = backends.iter().map(|backend| format!("{backend}: {:?}", of(backend))).collect();
    let is_here = |line: &&str| line.split(':').next().is_some_and(|backend| backends.contains(&backend));
    let pinned: Vec<&str> = include_str!("capabilities.txt").lines().filter(is_here).collect();
    assert_eq!(said, pinned, "capabilities.txt pins what backends can do");
}
