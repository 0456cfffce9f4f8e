//! Time, passed as an argument: the system's in `main`, a held one in tests.

use std::sync::{Arc, LazyLock};
use std::time::{SystemTime, UNIX_EPOCH};

use honoken_domain::ids::UnixSeconds;
use honoken_pushers::ports::Time;
use tokio::time::Instant;

/// The moment from which durations are measured, before the first of them.
static BEGINNING: LazyLock<Instant> = LazyLock::new(Instant::now);

/// A source of the time.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970-01-01 UTC.
    fn unix_ms(&self) -> i64;

    /// The same in whole seconds.
    fn unix_seconds(&self) -> UnixSeconds {
        UnixSeconds(self.unix_ms().div_euclid(1000))
    }
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the system's time enters")]
    fn unix_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

/// The clock in the form that the pushers take.
#[derive(Clone)]
pub struct SharedClock(pub Arc<dyn Clock>);

impl Time for SharedClock {
    fn unix_ms(&self) -> i64 {
        self.0.unix_ms()
    }

    fn steady_ms(&self) -> i64 {
        i64::try_from(BEGINNING.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}
