//! Time, passed as an argument: the system's in `main`, a held one in tests.

use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

pub use honoken_pushers::ports::Clock;
use tokio::time::Instant;

/// The moment from which durations are measured, before the first of them.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the system's time enters")]
    fn unix_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }

    fn steady_ms(&self) -> i64 {
        i64::try_from(BEGINNING.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}
