//! Reads that take too long on the thread that asks.

use super::super::Sqlite;
use super::*;
use crate::store::tests::fixture::EVERYTHING;

#[tokio::test]
async fn a_read_that_takes_too_long_is_begun_anew_among_the_scans() {
    // I8
    let folder = TempDir::new().expect("a folder");
    let registry = Arc::new(Registry::builtin());
    let mut settings = opening(&folder, &registry);
    settings.limits.scan_ms = 1_000;
    let mut store = Sqlite::open(settings).expect("a store");
    let shape = Fixture::new("memory");
    let names: Vec<String> = (0..2_000).map(|number| format!("m{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let users = names.iter().map(|name| shape.create(key(USER, name), &user(name)));
    let created = users.chain([shape.create(key(GROUP, "g"), &group("g"))]).collect();
    store.commit(unit(1, created)).await.expect("a commit");
    store.commit(unit(2, vec![Fixture::move_members("g", &names, &[])])).await.expect("a commit");
    store.inline_time = Duration::ZERO;
    let found = store.get(&key(GROUP, "g"), EVERYTHING).await.expect("a read").expect("the group");
    assert_eq!(found.members.expect("members").len(), names.len());
    let log = store.read(Tenant(0), Place(0), 1_000).await.expect("the log").events;
    assert_eq!(log.len(), 1_000);
    assert_eq!(store.place_of(Tenant(0), log[7].event.id).await.expect("a read"), Some(Place(8)));
    // Where none can begin, the answer says that the time is up.
    store.scans = Arc::new(Semaphore::new(0));
    assert_eq!(store.get(&key(GROUP, "g"), EVERYTHING).await.expect_err("no turn").kind, StoreErrorKind::TooMany);
    assert_eq!(store.read(Tenant(0), Place(0), 1_000).await.expect_err("no turn").kind, StoreErrorKind::TooMany);
}
