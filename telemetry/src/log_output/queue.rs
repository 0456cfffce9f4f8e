//! Lines that wait to be written, bounded in bytes. Adding a line never blocks: one that finds no room is dropped and counted.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use prometheus::IntCounter;

use crate::metrics::{LinePriority, Metric, Metrics};

/// The cost of a waiting line besides its bytes.
const OVERHEAD: usize = 64;

/// The lines that wait.
#[derive(Debug)]
pub struct Queue {
    /// The most that waiting lines may cost together.
    room: usize,
    state: Mutex<State>,
    /// Signals that a line was added, or that the queue was closed.
    came: Condvar,
    /// Signals that nothing is left to be written.
    empty: Condvar,
    counters: OnceLock<[IntCounter; 2]>,
}

#[derive(Debug, Default)]
struct State {
    errors: VecDeque<Line>,
    others: VecDeque<Line>,
    /// The cost of all lines, including the one being written.
    cost: usize,
    /// The number of lines added.
    came: u64,
    /// Dropped since the last report.
    unreported: Dropped,
    /// Dropped since the start.
    dropped: Dropped,
    /// Whether the writer waits for a line.
    waits: bool,
    is_closed: bool,
}

/// A waiting line.
#[derive(Debug)]
pub struct Line {
    /// Its place among all lines.
    number: u64,
    priority: LinePriority,
    /// The bytes, including the line end.
    pub bytes: Vec<u8>,
}

impl Line {
    fn cost(&self) -> usize {
        self.bytes.len() + OVERHEAD
    }
}

/// The work that is left for the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// Whether lines wait.
    pub lines: bool,
    /// Whether dropped lines have not been reported yet.
    pub unreported: bool,
}

/// Lines that were not written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Those at `ERROR`.
    pub errors: u64,
    /// The others.
    pub others: u64,
}

impl Dropped {
    /// All of them.
    pub fn all(self) -> u64 {
        self.errors + self.others
    }

    fn count(&mut self, priority: LinePriority) {
        match priority {
            LinePriority::Error => self.errors += 1,
            LinePriority::Other => self.others += 1,
        }
    }
}

impl Queue {
    /// No line waits yet.
    pub fn with_room_for(bytes: usize) -> Self {
        Self {
            room: bytes,
            state: Mutex::default(),
            came: Condvar::new(),
            empty: Condvar::new(),
            counters: OnceLock::new(),
        }
    }

    /// Adds a line, or drops it. A line at `ERROR` is dropped only when no other line waits that could make room.
    pub fn push(&self, priority: LinePriority, bytes: &[u8]) {
        let mut state = self.lock();
        let line = Line { number: state.came, priority, bytes: bytes.to_vec() };
        state.came += 1;
        if priority == LinePriority::Error {
            while state.cost + line.cost() > self.room
                && let Some(other) = state.others.pop_back()
            {
                state.cost -= other.cost();
                self.count_dropped(&mut state, other.priority);
            }
        }
        if state.cost + line.cost() > self.room || state.is_closed {
            self.count_dropped(&mut state, priority);
            return;
        }
        state.cost += line.cost();
        match priority {
            LinePriority::Error => state.errors.push_back(line),
            LinePriority::Other => state.others.push_back(line),
        }
        // Notifying costs a system call, and the writer looks by itself after each line.
        if std::mem::take(&mut state.waits) {
            self.came.notify_one();
        }
    }

    /// Waits for the oldest line. `None` when the queue is closed and empty.
    pub fn next(&self) -> Option<Line> {
        let mut state = self.lock();
        loop {
            let error = state.errors.front().map(|line| line.number);
            let other = state.others.front().map(|line| line.number);
            let first = match (error, other) {
                (Some(error), Some(other)) if error < other => state.errors.pop_front(),
                (Some(_), None) => state.errors.pop_front(),
                (_, Some(_)) => state.others.pop_front(),
                (None, None) => None,
            };
            if first.is_some() || state.is_closed {
                return first;
            }
            state.waits = true;
            state = self.came.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Records that the line that was taken last has been written, or could not be.
    pub fn mark_done(&self, line: &Line, is_written: bool) -> Left {
        let mut state = self.lock();
        state.cost -= line.cost();
        if !is_written {
            self.count_dropped(&mut state, line.priority);
        }
        if state.cost == 0 {
            self.empty.notify_all();
        }
        Left { lines: state.cost > 0, unreported: state.unreported.all() > 0 }
    }

    /// The lines that were dropped since the last call.
    pub fn take_dropped(&self) -> Dropped {
        std::mem::take(&mut self.lock().unreported)
    }

    /// Waits until nothing is left to be written, at most this long.
    pub fn wait_until_empty(&self, limit: Duration) {
        let state = self.lock();
        drop(self.empty.wait_timeout_while(state, limit, |state| state.cost > 0));
    }

    /// Closes the queue: no more lines are added.
    pub fn close(&self) {
        self.lock().is_closed = true;
        self.came.notify_one();
    }

    /// Counts dropped lines in these metrics, including those of before.
    pub fn count_in(&self, metrics: &Metrics) {
        let state = self.lock();
        let counter = |priority: LinePriority| metrics.counter(Metric::LogOutputDropped, &[priority.into()]);
        let [errors, others] =
            self.counters.get_or_init(|| [counter(LinePriority::Error), counter(LinePriority::Other)]);
        errors.inc_by(state.dropped.errors);
        others.inc_by(state.dropped.others);
    }

    fn count_dropped(&self, state: &mut State, priority: LinePriority) {
        state.unreported.count(priority);
        state.dropped.count(priority);
        if let Some(counters) = self.counters.get() {
            counters[priority as usize].inc();
        }
    }

    /// No code panics while it holds the lock; and if one did, the lines would still be worth writing.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Identity;
    use crate::metrics::LabelSets;

    const LINE: usize = 36;

    /// A queue with room for so many lines.
    fn queue(lines: usize) -> Queue {
        Queue::with_room_for(lines * (LINE + OVERHEAD))
    }

    fn says(queue: &Queue, priority: LinePriority, words: &str) {
        queue.push(priority, format!("{words:<LINE$}").as_bytes());
    }

    /// Takes all waiting lines.
    fn taken(queue: &Queue) -> Vec<String> {
        queue.close();
        let lines = std::iter::from_fn(|| {
            let line = queue.next()?;
            queue.mark_done(&line, true);
            Some(String::from_utf8(line.bytes).unwrap().trim_end().to_owned())
        });
        lines.collect()
    }

    #[test]
    fn lines_are_taken_in_the_order_in_which_they_came() {
        let queue = queue(9);
        for (priority, words) in [
            (LinePriority::Other, "1"),
            (LinePriority::Error, "2"),
            (LinePriority::Other, "3"),
            (LinePriority::Error, "4"),
        ] {
            says(&queue, priority, words);
        }
        assert_eq!(taken(&queue), ["1", "2", "3", "4"]);
    }

    #[test]
    fn what_finds_no_room_is_dropped_and_counted() {
        let (queue, metrics) = (queue(2), Metrics::new(&Identity::default(), &LabelSets::default()));
        says(&queue, LinePriority::Other, "1");
        says(&queue, LinePriority::Other, "2");
        says(&queue, LinePriority::Other, "3");
        queue.count_in(&metrics);
        says(&queue, LinePriority::Other, "4");
        assert_eq!(queue.take_dropped(), Dropped { errors: 0, others: 2 });
        assert_eq!(queue.take_dropped(), Dropped::default());
        let counter =
            |priority: LinePriority| metrics.counter(Metric::LogOutputDropped, &[priority.into()]).get();
        assert_eq!((counter(LinePriority::Error), counter(LinePriority::Other)), (0, 2));
        assert_eq!(taken(&queue), ["1", "2"]);
    }

    #[test]
    fn errors_are_dropped_when_nothing_else_can_be() {
        let queue = queue(3);
        says(&queue, LinePriority::Other, "1");
        says(&queue, LinePriority::Other, "2");
        for number in 3..=6 {
            says(&queue, LinePriority::Error, &number.to_string());
        }
        says(&queue, LinePriority::Other, "7");
        assert_eq!(queue.take_dropped(), Dropped { errors: 1, others: 3 });
        assert_eq!(taken(&queue), ["3", "4", "5"]);
    }

    #[test]
    fn a_line_that_is_being_written_takes_its_room_until_it_is() {
        let queue = queue(1);
        says(&queue, LinePriority::Other, "1");
        let first = queue.next().unwrap();
        says(&queue, LinePriority::Other, "2");
        assert_eq!(queue.take_dropped().all(), 1);
        assert_eq!(queue.mark_done(&first, false), Left { lines: false, unreported: true });
        assert_eq!(queue.take_dropped().all(), 1, "it could not be written");
        says(&queue, LinePriority::Other, "3");
        assert_eq!(taken(&queue), ["3"]);
    }
}
