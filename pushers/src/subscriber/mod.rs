//! The push subscriber: from messages to phones.
//!
//! Two parts that know each other through the ledger alone. The [fan-out](fan_out::FanOut) runs where messages come in: it writes the pushes that
//! they ask for into the ledger, and the message is done. The [sender](sender::Sender) runs in every process that pushes: it claims phones that are
//! due, pushes to them, and writes the results.

pub mod fan_out;
pub mod sender;

mod clean_up;

use std::sync::Arc;
use std::time::Duration;

use crate::ports::{Clock, IdSource, Observer};

/// How the subscriber works.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// After a push further changes wait for so long and become one push. Zero: every state is pushed.
    pub window: Duration,
    /// Messages that are taken, or phones that are claimed, at once.
    pub batch_size: u32,
    /// Requests for one delivery at most; then it is given up.
    pub retry_attempts: u64,
    /// Pushes that are in flight at once. Those whose results have waited for 50 ms to be written count as well.
    pub at_work: usize,
    /// Deliveries that came to their end are kept for so long.
    pub retention: Duration,
    /// Between two looks for older ones, the first one after the start included.
    pub clean_up: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(30),
            batch_size: 500,
            retry_attempts: 100,
            at_work: 200,
            retention: Duration::from_hours(30 * 24),
            clean_up: Duration::from_mins(10),
        }
    }
}

/// The ports of the subscriber to the world outside. Clones share them.
pub struct Ports<A, C, D> {
    /// The client of APNs.
    pub apns: Arc<A>,
    /// Finds the credential to push with.
    pub credentials: Arc<C>,
    /// The domain, which is told that a token is dead.
    pub dead_tokens: Arc<D>,
    /// The time.
    pub time: Arc<dyn Clock>,
    /// Random identifiers.
    pub ids: Arc<dyn IdSource>,
    /// Counts pushes and deliveries.
    pub observer: Arc<dyn Observer>,
}

impl<A, C, D> Clone for Ports<A, C, D> {
    fn clone(&self) -> Self {
        Self {
            apns: self.apns.clone(),
            credentials: self.credentials.clone(),
            dead_tokens: self.dead_tokens.clone(),
            time: self.time.clone(),
            ids: self.ids.clone(),
            observer: self.observer.clone(),
        }
    }
}

/// A duration as the ledger counts time.
fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
