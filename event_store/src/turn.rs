//! The turn of a process at one aggregate, which `postgres/turns.rs` gives.

use std::time::Duration;

use sqlx::{Postgres, Transaction};
use tokio::sync::OwnedSemaphorePermit;

/// The longest that a command waits for its turn, before it goes on without.
pub(crate) const LONGEST: Duration = Duration::from_secs(2);

/// A turn, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    lock: Transaction<'static, Postgres>,
    _permit: OwnedSemaphorePermit,
}

impl Turn {
    /// A turn that is held by a lock of the server, and takes one of the permits of this process.
    pub(crate) fn new(lock: Transaction<'static, Postgres>, permit: OwnedSemaphorePermit) -> Self {
        Self { lock, _permit: permit }
    }

    /// Lets the next process have its turn.
    pub(crate) async fn ends(self) {
        // Where this fails the connection is given up, and the turn with it.
        let _ = tokio::time::timeout(LONGEST, self.lock.rollback()).await;
    }
}
