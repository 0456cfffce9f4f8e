//! The push subscriber: from messages to phones.
//!
//! Two parts that know each other through the ledger alone. The [fan-out](fan_out::FanOut) runs where messages come in: it writes down who is to
//! be woken, and the message is done. The [sender](sender::Sender) runs in every process that pushes: it takes what is due, pushes, and notes
//! what became of it.

pub mod fan_out;
pub mod sender;

mod clean_up;

use std::sync::Arc;
use std::time::Duration;

use crate::ports::{Ids, Observer, Time};

/// How the subscriber works.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// After a push further changes wait for so long and become one push. Zero: every state is pushed.
    pub window: Duration,
    /// Messages, or phones, that are taken at once.
    pub batch_size: u32,
    /// Requests for one delivery, after which it is given up.
    pub retry_attempts: u64,
    /// Pushes that wait for their answers at once.
    pub at_work: usize,
    /// Deliveries that came to their end are kept for so long.
    pub retention: Duration,
    /// Between two looks for what is older, the first one after the start included.
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

/// What the subscriber needs from outside. Clones share it.
pub struct Ports<A, C, D> {
    /// The way to APNs.
    pub apns: Arc<A>,
    /// What to push with.
    pub credentials: Arc<C>,
    /// Who is told that a token is dead.
    pub dead_tokens: Arc<D>,
    /// The time.
    pub time: Arc<dyn Time>,
    /// Random identifiers.
    pub ids: Arc<dyn Ids>,
    /// Who counts.
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

/// As the ledger counts time.
fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
