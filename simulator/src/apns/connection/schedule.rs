//! The answers that are given after a while.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::future::Future;
use std::pin::Pin;
use std::task::Context;
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// Streams by the moment of their answer.
pub(super) struct Schedule {
    answers: BinaryHeap<Reverse<(Instant, u32)>>,
    timer: Pin<Box<Sleep>>,
}

impl Schedule {
    pub(super) fn new() -> Self {
        Self { answers: BinaryHeap::new(), timer: Box::pin(tokio::time::sleep(Duration::ZERO)) }
    }

    pub(super) fn add(&mut self, id: u32, delay: Duration) {
        self.answers.push(Reverse((Instant::now() + delay, id)));
    }

    /// Takes the streams whose answer is due, and wakes the task when the next one is.
    pub(super) fn take_due(&mut self, cx: &mut Context<'_>) -> Vec<u32> {
        let mut taken = Vec::new();
        while let Some(Reverse((due, _))) = self.answers.peek() {
            if self.timer.deadline() != *due {
                self.timer.as_mut().reset(*due);
            }
            if self.timer.as_mut().poll(cx).is_pending() {
                break;
            }
            let now = Instant::now();
            while let Some(Reverse((due, id))) = self.answers.peek().copied()
                && due <= now
            {
                self.answers.pop();
                taken.push(id);
            }
        }
        taken
    }
}
