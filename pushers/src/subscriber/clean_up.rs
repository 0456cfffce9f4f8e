//! Forgets, now and then, what is old in the ledger. How old it is, the clock says: where that was set a short time ago, as it is soon after a
//! machine has started with a wrong one, nothing is forgotten.

use std::sync::Arc;

use honoken_telemetry::error_chain;
use tokio::time::MissedTickBehavior;

use super::{Settings, milliseconds};
use crate::clock_jumps::ClockJumps;
use crate::ledger::{Ledger, LedgerError};
use crate::ports::Time;

/// Works until it is dropped.
pub(super) async fn run(ledger: Ledger, time: Arc<dyn Time>, settings: Settings) {
    let often = settings.clean_up;
    let mut ticks = tokio::time::interval(often);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    let mut jumps = ClockJumps::since_now(&*time);
    loop {
        ticks.tick().await;
        if jumps.noticed(&*time).is_some() {
            continue;
        }
        if let Err(fault) = forget(&ledger, time.unix_ms(), settings).await {
            tracing::warn!(
                error = error_chain(&fault),
                "old deliveries were not forgotten, tries again in {often:?}"
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
