//! Waits that end.

use std::future::Future;
use std::panic::Location;
use std::time::Duration;

/// Everything that works happens within this time, also on a busy machine.
pub const LIMIT: Duration = Duration::from_mins(1);

/// Between two looks at a condition.
const TICK: Duration = Duration::from_millis(20);

/// Waits for an event that must happen.
///
/// # Panics
///
/// When it does not happen within [`LIMIT`]; the message names the event and the caller.
#[track_caller]
pub fn soon<T>(what: &'static str, event: impl Future<Output = T>) -> impl Future<Output = T> {
    let from = Location::caller();
    async move {
        let outcome = tokio::time::timeout(LIMIT, event).await;
        outcome.unwrap_or_else(|_| panic!("{from}: {what} did not happen within {LIMIT:?}"))
    }
}

/// Asks now and then for a condition that must come true.
///
/// # Panics
///
/// When it does not within [`LIMIT`].
#[track_caller]
pub fn eventually(what: &'static str, mut condition: impl AsyncFnMut() -> bool) -> impl Future<Output = ()> {
    let mut ticks = tokio::time::interval(TICK);
    soon(what, async move {
        while !condition().await {
            ticks.tick().await;
        }
    })
}
