//! Pauses after failures, with some chance in them, so that several processes, or several phones, do not try again at the same moment.

use std::time::Duration;

use crate::outcome::LONGEST_RETRY_AFTER;
use crate::subscriber::milliseconds;

/// How long a phone is left alone after one failure, two, and so on.
const STEPS: [Duration; 4] =
    [Duration::from_secs(5), Duration::from_secs(30), Duration::from_mins(2), Duration::from_mins(15)];

// Times in the future that are stored are corrected when they are later than that.
const _: () = assert!(STEPS[STEPS.len() - 1].as_secs() * 6 / 5 <= LONGEST_RETRY_AFTER.as_secs());

/// How long a phone is left alone that has failed so often in a row before, in milliseconds.
pub(super) fn of_a_phone(failures: u32) -> i64 {
    let step = usize::try_from(failures).unwrap_or(usize::MAX).min(STEPS.len() - 1);
    milliseconds(STEPS[step].mul_f64(around_one()))
}

/// A random part of a duration in milliseconds, so that phones that were put back together do not come together.
pub(super) fn spread(over: Duration) -> i64 {
    #[expect(clippy::disallowed_methods, reason = "decides nothing but when something is tried again")]
    rand::random_range(0..milliseconds(over).max(1))
}

/// One at the most, so that several processes do not pause equally long, and none for longer than is said.
pub(super) fn at_most_one() -> f64 {
    #[expect(clippy::disallowed_methods, reason = "decides nothing but when something is tried again")]
    rand::random_range(0.8..1.0)
}

/// So that phones that failed together are not tried together.
fn around_one() -> f64 {
    #[expect(clippy::disallowed_methods, reason = "decides nothing but when something is tried again")]
    rand::random_range(0.8..1.2)
}

/// A pause for the stores: after one of them has failed, nothing is claimed and nothing is written until the next refresh.
#[derive(Default)]
pub(super) struct StorePause {
    active: bool,
}

impl StorePause {
    pub(super) fn is_active(&self) -> bool {
        self.active
    }

    pub(super) fn begin(&mut self) {
        self.active = true;
    }

    pub(super) fn end(&mut self) {
        self.active = false;
    }
}
