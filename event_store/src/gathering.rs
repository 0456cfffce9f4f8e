//! How long a batch waits for appends that are about to come.
//!
//! A caller that has got its answer usually asks again at once. The first of them would begin a batch alone, and all others would wait for its sync: the
//! disk would sync twice for what one sync can bring to it. So a batch waits until as many appends are there as callers were seen last, but only for a
//! part of the time that the last commit took, and not when it has been in vain.

use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};

/// A commit that is faster than this is not waited for: the clock of the runtime is not fine enough to wait for less than a part of it.
const SLOW: Duration = Duration::from_millis(2);

/// The part of the last commit's time that a batch waits at the most.
const PART: u32 = 2;

/// Batches that do not wait after one that has waited in vain.
const RESTING: u32 = 16;

/// What is known of the callers.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    /// How many there were at the last commit: those that it answered, and those that came meanwhile.
    callers: usize,
    patience: Duration,
    /// Batches that do not wait.
    resting: u32,
}

/// How a batch waits.
#[derive(Debug, PartialEq, Eq)]
enum Wait {
    /// Not at all.
    No,
    /// Until those have run that can.
    ForARound,
    /// Until so many are there, but not for longer.
    For(usize, Duration),
}

impl Gathering {
    /// Waits for those that are about to come, up to so many in the batch.
    pub(crate) async fn fill<T>(&mut self, batch: &mut Vec<T>, queue: &mut Receiver<T>, most: usize) {
        match self.wait_with(batch.len(), most) {
            Wait::No => {}
            Wait::ForARound => {
                tokio::task::yield_now().await;
                while batch.len() < most
                    && let Ok(one) = queue.try_recv()
                {
                    batch.push(one);
                }
            }
            Wait::For(callers, patience) => {
                let deadline = Instant::now() + patience;
                let all = async {
                    while batch.len() < callers && queue.recv_many(batch, most - batch.len()).await > 0 {}
                };
                // Those that came in time are there either way.
                let _in_time = timeout_at(deadline, all).await;
                self.has_waited(callers, batch.len());
            }
        }
    }

    /// A batch of so many took this long, and so many came meanwhile.
    pub(crate) fn learn(&mut self, answered: usize, took: Duration, came: usize) {
        self.callers = answered + came;
        self.patience = if took < SLOW { Duration::ZERO } else { took / PART };
    }

    /// How a batch waits in which so many are.
    fn wait_with(&mut self, there: usize, most: usize) -> Wait {
        let callers = self.callers.min(most);
        if there >= callers {
            return Wait::No;
        }
        if self.patience.is_zero() {
            return Wait::ForARound;
        }
        if self.resting > 0 {
            self.resting -= 1;
            return Wait::No;
        }
        Wait::For(callers, self.patience)
    }

    /// A batch has waited for so many, and has got so many.
    fn has_waited(&mut self, callers: usize, there: usize) {
        if there < callers.div_ceil(2) {
            self.resting = RESTING;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: Duration = Duration::from_millis(20);

    /// What is known after a commit of this length, which answered so many while others came.
    fn after(answered: usize, took: Duration, came: usize) -> Gathering {
        let mut gathering = Gathering::default();
        gathering.learn(answered, took, came);
        gathering
    }

    #[test]
    fn a_batch_waits_for_as_many_as_there_were_before_and_for_a_part_of_a_commit_at_the_most() {
        assert_eq!(after(20, COMMIT, 12).wait_with(12, 256), Wait::For(32, COMMIT / PART));
        assert_eq!(after(300, COMMIT, 0).wait_with(12, 256), Wait::For(256, COMMIT / PART));
        assert_eq!(after(20, COMMIT, 12).wait_with(32, 256), Wait::No);
    }

    #[test]
    fn one_caller_alone_never_waits() {
        assert_eq!(Gathering::default().wait_with(1, 256), Wait::No);
        assert_eq!(after(1, COMMIT, 0).wait_with(1, 256), Wait::No);
    }

    #[test]
    fn after_a_fast_commit_only_those_are_waited_for_that_can_run_at_once() {
        assert_eq!(after(32, SLOW / 2, 0).wait_with(1, 256), Wait::ForARound);
    }

    #[test]
    fn who_stays_away_is_not_waited_for_for_a_while() {
        let mut gathering = after(32, COMMIT, 0);
        gathering.has_waited(32, 15);
        for _ in 0..RESTING {
            assert_eq!(gathering.wait_with(1, 256), Wait::No);
        }
        assert_eq!(gathering.wait_with(1, 256), Wait::For(32, COMMIT / PART));
        gathering.has_waited(32, 16);
        assert_eq!(gathering.wait_with(1, 256), Wait::For(32, COMMIT / PART));
    }
}
