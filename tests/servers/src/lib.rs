//! What the servers that tests start have in common, for use in development only. It knows none of them.

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often a condition is looked at.
const TICK: Duration = Duration::from_millis(5);

/// Long enough for anything that happens at all on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// A port of 127.0.0.1 that is free now. It may be taken before a server has it.
///
/// # Panics
///
/// When there is none.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its number").port()
}

/// Waits until the condition gives a value.
///
/// # Panics
///
/// When it has not within [`PATIENCE`]; the message says what was waited for.
pub async fn eventually<T>(awaited: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {awaited}");
    }
}
