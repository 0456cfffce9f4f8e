//! What the services share: the log, the faults, and a signal that the log grew.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use uuid::Uuid;

use crate::faults::Faults;
use crate::log::{Appended, Conflict, Expected, Log, Proposal};
use crate::wire::Connections;

/// A server's memory; it outlives its connections and its port.
#[derive(Debug)]
pub(crate) struct State {
    log: Mutex<Log>,
    grew: watch::Sender<()>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) connections: Connections,
    subscriptions: AtomicU64,
}

impl State {
    pub(crate) fn new() -> Self {
        State {
            log: Mutex::new(Log::new(ticks())),
            grew: watch::Sender::new(()),
            faults: Arc::default(),
            connections: Connections::default(),
            subscriptions: AtomicU64::new(0),
        }
    }

    pub(crate) fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn append(
        &self,
        stream: &str,
        expected: Expected,
        events: Vec<Proposal>,
    ) -> Result<Appended, Conflict> {
        self.faults.count_append();
        let appended = self.log().append(stream, expected, events, ticks());
        self.grew.send_replace(());
        appended
    }

    pub(crate) fn delete(&self, stream: &str, expected: Expected) -> Result<u64, Conflict> {
        let deleted = self.log().delete(stream, expected, ticks());
        self.grew.send_replace(());
        deleted
    }

    pub(crate) fn tombstone(&self, stream: &str, expected: Expected) -> Result<u64, Conflict> {
        let deleted = self.log().tombstone(stream, expected, ticks());
        self.grew.send_replace(());
        deleted
    }

    /// Says whenever the log grew after this call.
    pub(crate) fn growth(&self) -> watch::Receiver<()> {
        self.grew.subscribe()
    }

    /// The id of the next subscription.
    pub(crate) fn next_subscription(&self) -> Uuid {
        let number = self.subscriptions.fetch_add(1, Ordering::Relaxed);
        Uuid::from_u128(0x5b5c_0000_0000_4000_8000_0000_0000_0000 + u128::from(number))
    }
}

/// The present, in steps of 100 ns since 1970.
pub(crate) fn ticks() -> u64 {
    let elapsed = now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_nanos() / 100).unwrap_or(u64::MAX)
}

/// The present, as the messages of the protocol say it.
pub(crate) fn timestamp() -> prost_types::Timestamp {
    prost_types::Timestamp::from(now())
}

#[expect(clippy::disallowed_methods, reason = "a database has a clock of its own, which no test holds")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}
