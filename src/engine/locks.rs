//! Per-resource locks inside this process: two writers of one document wait for each other instead of planning in vain.

use crate::base::id::Key;
use std::hash::{BuildHasher, RandomState};
use tokio::sync::{Mutex, MutexGuard};

/// Locks shared by hash: memory does not grow with the resources, and one request takes at most one.
#[derive(Debug)]
pub(super) struct Locks {
    hasher: RandomState,
    stripes: Vec<Mutex<()>>,
}

impl Default for Locks {
    fn default() -> Self {
        const STRIPES: usize = 1024;
        Self { hasher: RandomState::new(), stripes: (0..STRIPES).map(|_| Mutex::new(())).collect() }
    }
}

impl Locks {
    /// Waits until no other writer of this process holds the document.
    pub(super) async fn lock(&self, key: &Key) -> MutexGuard<'_, ()> {
        #[expect(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
        let stripe = self.hasher.hash_one(key) as usize % self.stripes.len();
        self.stripes[stripe].lock().await
    }
}
