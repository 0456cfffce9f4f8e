//! How many pushes this sender may have sent whose results are not written yet: they would be sent again if the process died.
//!
//! So many may be in flight. Those that were answered count as well, unless their results are so young that they are about to be written anyway: a
//! ledger that is quick holds up no push, and with one that is slow everything counts.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// How old results that are not written may be, and not count.
const YOUNG: Duration = Duration::from_millis(50);

/// Answers within this time are counted together.
const TOGETHER: Duration = Duration::from_millis(2);

pub(super) struct Permits {
    /// The most that are given out.
    cap: usize,
    /// Pushes, and reports of dead tokens, that wait for their answers.
    in_flight: usize,
    /// Pushes that were answered, and whose results are not written; and since when, the oldest first.
    unwritten: VecDeque<(Instant, usize)>,
}

impl Permits {
    pub(super) fn new(cap: usize) -> Self {
        Self { cap, in_flight: 0, unwritten: VecDeque::new() }
    }

    pub(super) fn cap(&self) -> usize {
        self.cap
    }

    pub(super) fn are_available(&self, now: Instant) -> bool {
        let are_young =
            self.unwritten.front().is_none_or(|(oldest, _)| now.saturating_duration_since(*oldest) < YOUNG);
        let counted = if are_young { 0 } else { self.unwritten.iter().map(|(_, pushes)| pushes).sum() };
        self.in_flight + counted < self.cap
    }

    /// Whether every push and every report has been answered.
    pub(super) fn are_all_answered(&self) -> bool {
        self.in_flight == 0
    }

    /// For a push that is sent now.
    pub(super) fn acquire(&mut self) {
        self.in_flight += 1;
    }

    /// The push has been answered. It keeps its permit, or may count again, until the result is [written](Self::release).
    pub(super) fn push_answered(&mut self, now: Instant) {
        self.in_flight -= 1;
        match self.unwritten.back_mut() {
            Some((since, pushes)) if now.saturating_duration_since(*since) < TOGETHER => *pushes += 1,
            _ => self.unwritten.push_back((now, 1)),
        }
    }

    /// The results of so many pushes are written, the oldest.
    pub(super) fn release(&mut self, mut pushes: usize) {
        while pushes > 0
            && let Some((_, oldest)) = self.unwritten.front_mut()
        {
            let written = pushes.min(*oldest);
            pushes -= written;
            *oldest -= written;
            if *oldest == 0 {
                self.unwritten.pop_front();
            }
        }
    }

    /// The domain is told that a token is dead. That must not wait for a permit: the push that found it out had one.
    pub(super) fn report_sent(&mut self) {
        self.in_flight += 1;
    }

    pub(super) fn report_answered(&mut self) {
        self.in_flight -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_count_from_when_they_are_too_old_until_they_are_written() {
        let mut permits = Permits::new(2);
        let now = Instant::now();
        for _ in 0..10 {
            permits.acquire();
            permits.push_answered(now);
        }
        permits.acquire();
        assert!(permits.are_available(now + YOUNG / 2), "one is in flight, and the results are young");
        assert!(!permits.are_available(now + YOUNG), "ten results are not written");
        permits.release(9);
        assert!(!permits.are_available(now + YOUNG), "one in flight, one result");
        permits.release(1);
        assert!(permits.are_available(now + YOUNG));
        permits.acquire();
        assert!(!permits.are_available(now), "two are in flight");
    }
}
