//! Deletes, now and then, old rows of the ledger. Their age is measured by the clock: when that was set a short time ago, as it is soon after a
//! machine has started with a wrong one, nothing is deleted.

use std::sync::Arc;

use honoken_telemetry::error_chain;
use tokio::time::MissedTickBehavior;

use super::{Settings, milliseconds};
use crate::clock_jumps::ClockJumps;
use crate::ledger::{Ledger, LedgerError};
use crate::ports::Clock;

/// Works until it is dropped.
pub(super) async fn run(ledger: Ledger, time: Arc<dyn Clock>, settings: Settings) {
    let every = settings.clean_up;
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    let mut jumps = ClockJumps::since_now(&*time);
    loop {
        ticks.tick().await;
        if jumps.take_jump(&*time).is_some() {
            continue;
        }
        if let Err(fault) = forget(&ledger, time.unix_ms(), settings).await {
            tracing::warn!(
                error = error_chain(&fault),
                "old deliveries were not deleted; retrying in {every:?}"
            );
        }
    }
}

async fn forget(ledger: &Ledger, now_ms: i64, settings: Settings) -> Result<(), LedgerError> {
    while ledger.forget_deliveries(now_ms - milliseconds(settings.retention)).await? {}
    let mut after = None;
    loop {
        after = ledger.forget_phones(after.as_ref(), now_ms).await?;
        if after.is_none() {
            return Ok(());
        }
    }
}
