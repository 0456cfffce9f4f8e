//! Waiting for a condition, with a limit.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often a condition is looked at.
const TICK: Duration = Duration::from_millis(5);

/// Long enough for anything that happens at all on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until the condition gives a value.
///
/// # Panics
///
/// When it has not within the limit; the message says what was waited for.
pub async fn eventually<T>(
    limit: Duration,
    awaited: &str,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + limit;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {limit:?}: {awaited}");
    }
}
