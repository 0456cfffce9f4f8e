//! Counts of what waits, for metrics and for operators.

use honoken_database::statements::{Row, sql};

use super::delivery_state::pending;
use super::{Ledger, LedgerError};

/// Counts of what waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// Deliveries that are pending.
    pub pending: u64,
    /// When the phone was due that waits longest, Unix milliseconds. It may be in the future.
    pub oldest_due_ms: Option<i64>,
    /// Messages that are parked.
    pub parked_messages: u64,
    /// Topics with a credential that is parked.
    pub parked_credentials: u64,
}

impl Ledger {
    /// Counts what waits.
    ///
    /// # Errors
    /// When the data store is unavailable.
    pub async fn figures(&self) -> Result<Figures, LedgerError> {
        let row = sql(concat!(
            "select (select count(*) from delivery where state = '",
            pending!(),
            "') as pending,
                    (select min(due_at) from wake where due_at is not null) as oldest_due,
                    (select count(*) from parked_message) as parked_messages,
                    (select count(*) from parked_credential) as parked_credentials"
        ))
        .fetch_one(&self.readers)
        .await;
        let read = |row: Row| {
            Ok(Figures {
                pending: row.get::<i64>("pending")?.cast_unsigned(),
                oldest_due_ms: row.get("oldest_due")?,
                parked_messages: row.get::<i64>("parked_messages")?.cast_unsigned(),
                parked_credentials: row.get::<i64>("parked_credentials")?.cast_unsigned(),
            })
        };
        row.and_then(read).map_err(LedgerError::of("the pending deliveries"))
    }
}
