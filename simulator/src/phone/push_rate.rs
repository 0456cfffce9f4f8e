//! How the phone holds frequent pushes against a pass type. The formula was observed on one build of iOS; from which score on it slows
//! down, waits, or turns updates off was not, so no verdict is drawn from it here.

use std::time::{Duration, SystemTime};

/// With few passes of a type, pushes this far apart cost nothing.
const SHARED_PATIENCE: Duration = Duration::from_hours(2);
/// However many passes of a type there are, pushes closer than this cost something.
const LEAST_PATIENCE: Duration = Duration::from_mins(30);

/// The score of one pass type.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct PushRate {
    score: f64,
    last_push: Option<SystemTime>,
}

impl PushRate {
    /// Counts a push. One that comes sooner than the patience of the phone raises the score, by the cube of how much sooner, so by
    /// less than 1; one that comes later lowers it, in proportion.
    pub(super) fn count_push(&mut self, now: SystemTime, passes_of_the_type: usize) {
        if let Some(last_push) = self.last_push {
            let patience = patience(passes_of_the_type).as_secs_f64();
            let waited = now.duration_since(last_push).unwrap_or_default().as_secs_f64();
            let sooner = (patience - waited) / patience;
            let cost = if sooner > 0.0 { sooner.powi(3) } else { sooner };
            self.score = (self.score + cost).max(0.0);
        }
        self.last_push = Some(now);
    }

    pub(super) fn score(self) -> f64 {
        self.score
    }
}

fn patience(passes_of_the_type: usize) -> Duration {
    let passes = u32::try_from(passes_of_the_type.max(1)).unwrap_or(u32::MAX);
    (SHARED_PATIENCE / passes).max(LEAST_PATIENCE)
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    /// The score after pushes at these minutes, for a type with so many passes on the phone.
    fn score<const N: usize>(passes: usize, minutes: [u64; N]) -> f64 {
        let mut rate = PushRate::default();
        for minute in minutes {
            rate.count_push(UNIX_EPOCH + Duration::from_mins(minute), passes);
        }
        rate.score()
    }

    #[track_caller]
    fn assert_close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found} is not {expected}");
    }

    #[test]
    fn the_first_push_and_rare_ones_cost_nothing() {
        assert_close(score(1, [0]), 0.0);
        assert_close(score(1, [0, 120, 240]), 0.0);
    }

    #[test]
    fn pushes_at_once_cost_one_each_and_those_after_half_the_time_an_eighth() {
        assert_close(score(1, [0, 0, 0]), 2.0);
        assert_close(score(1, [0, 60]), 0.125);
    }

    #[test]
    fn silence_pays_back_and_never_more_than_was_owed() {
        assert_close(score(1, [0, 0, 0, 240]), 1.0);
        assert_close(score(1, [0, 0, 0, 2_000, 2_000]), 1.0);
    }

    #[test]
    fn many_passes_of_a_type_may_be_pushed_more_often_down_to_half_an_hour() {
        assert_close(score(2, [0, 60]), 0.0);
        assert_close(score(4, [0, 15]), 0.125);
        assert_close(score(400, [0, 15]), 0.125);
    }
}
