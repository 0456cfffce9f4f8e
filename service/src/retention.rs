//! How long rows of devices and registrations that left are kept for those who read the tables.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use honoken_domain::ids::UnixSeconds;
use honoken_projections::Projector;
use honoken_telemetry::error_chain;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

/// The days for which such rows are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetentionDays(pub NonZeroU32);

impl Default for RetentionDays {
    /// A quarter, which is what reports look back on.
    fn default() -> Self {
        Self(NonZeroU32::new(90).expect("it is not 0"))
    }
}

/// The time between two purges.
const INTERVAL: Duration = Duration::from_hours(1);

impl RetentionDays {
    /// The moment before which rows that left are purged.
    pub fn cutoff(self, now: UnixSeconds) -> UnixSeconds {
        UnixSeconds(now.0.saturating_sub(i64::from(self.0.get()) * 24 * 60 * 60))
    }
}

/// Purges at once and then every hour, where this process runs the projection, until `stop`.
pub async fn purge(
    projector: Projector,
    clock: Arc<dyn Clock>,
    days: RetentionDays,
    stop: CancellationToken,
) {
    let mut leads = projector.leads();
    let work = async {
        // Without a projector there is nothing left to purge.
        while leads.wait_for(|leads| *leads).await.is_ok() {
            if let Err(fault) = projector.purge(days.cutoff(clock.unix_seconds())).await {
                tracing::warn!(
                    error = error_chain(&fault),
                    "rows of devices that left were not purged; that is tried again in an hour"
                );
            }
            tokio::time::sleep(INTERVAL).await;
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = work => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cutoff_is_whole_days_before_now() {
        let one = RetentionDays(NonZeroU32::MIN);
        assert_eq!(one.cutoff(UnixSeconds(1_700_000_000)), UnixSeconds(1_699_913_600));
        assert_eq!(RetentionDays::default().cutoff(UnixSeconds(1_700_000_000)), UnixSeconds(1_692_224_000));
        assert_eq!(one.cutoff(UnixSeconds(i64::MIN)), UnixSeconds(i64::MIN));
    }
}
