//! Leases of a store that only one process can open: there is nobody to share with.

use super::resolutions::{places, stream};
use super::{Fixture, on_every_embedded_backend};
use crate::store::ledger::{Lease, Resolution, push_lease};
use std::time::Duration;

on_every_embedded_backend!(whatever_is_asked_for_is_held);

async fn whatever_is_asked_for_is_held(store: Fixture) {
    let ledger = &store.backend.ledger;
    let name = push_lease(&stream("a"));
    assert_eq!(name, "push/a");
    for owner in ["one", "other"] {
        let held = ledger.claim(owner, std::slice::from_ref(&name), Duration::from_secs(1)).await.expect("leases");
        assert_eq!(held, [Lease { name: name.clone(), epoch: 1 }]);
    }
    let resolution = Resolution { fence: Some(1), ..Resolution::of(stream("a"), 0, places("3")) };
    assert!(ledger.resolve(vec![resolution]).await.expect("an answer")[0].is_ok());
    ledger.release("one", &[name]).await.expect("given back");
}
