//! Notices when the clock was set: it has moved by another time than has passed since the last look.

use crate::ports::Clock;

/// How far the clock may be off from one look to the next: less than anything lasts whose end is stored.
const TOLERATED_MS: i64 = 1000;

/// The clock at the last look.
#[derive(Debug)]
pub(crate) struct ClockJumps {
    /// How far it is ahead of the steady clock.
    ahead_ms: Option<i64>,
}

impl ClockJumps {
    /// From here on.
    pub(crate) fn since_now(time: &dyn Clock) -> Self {
        Self { ahead_ms: ahead_ms(time) }
    }

    /// By how many milliseconds the clock was set since the last look, if it was: back when they are negative.
    pub(crate) fn take_jump(&mut self, time: &dyn Clock) -> Option<i64> {
        let now = ahead_ms(time)?;
        let before = self.ahead_ms.replace(now)?;
        Some(now - before).filter(|jump| jump.abs() > TOLERATED_MS)
    }
}

/// Two clocks cannot be read at once: where the thread was held up in between, the next look tells.
fn ahead_ms(time: &dyn Clock) -> Option<i64> {
    let (before, unix, after) = (time.steady_ms(), time.unix_ms(), time.steady_ms());
    (after - before <= TOLERATED_MS).then_some(unix - after)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// What both clocks show.
    struct Clocks(Mutex<(i64, i64)>);

    impl Clock for Clocks {
        fn unix_ms(&self) -> i64 {
            self.0.lock().unwrap().0
        }

        fn steady_ms(&self) -> i64 {
            self.0.lock().unwrap().1
        }
    }

    #[test]
    fn a_clock_that_is_set_is_noticed_once_and_time_that_passes_is_not() {
        let clocks = Clocks(Mutex::new((1_800_000_000_000, 5)));
        let mut jumps = ClockJumps::since_now(&clocks);
        let mut seen = |unix, steady| {
            let mut shown = clocks.0.lock().unwrap();
            *shown = (shown.0 + unix, shown.1 + steady);
            drop(shown);
            jumps.take_jump(&clocks)
        };
        assert_eq!(seen(86_400_000, 86_400_000), None);
        assert_eq!(seen(-10_800_000, 0), Some(-10_800_000));
        assert_eq!(seen(1000, 1000), None);
        assert_eq!(seen(3_600_000, 0), Some(3_600_000));
        assert_eq!(seen(-400, 0), None, "as NTP does all the time");
    }
}
