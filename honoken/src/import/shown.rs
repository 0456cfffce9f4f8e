//! The progress of an import: a bar on a terminal, a line now and then elsewhere.

use std::cell::Cell;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::outcome::Counts;
use crate::phone::print_progress;

/// The time between two lines where no bar can be drawn.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

/// The progress, by bytes of the input.
pub(super) struct Shown {
    bar: ProgressBar,
    /// When the last line was written; `None` on a terminal.
    last_line: Option<Cell<Duration>>,
}

impl Shown {
    /// Of an input of this size; `None` where it is not known.
    pub(super) fn new(bytes: Option<u64>) -> Self {
        let (bar, template) = match bytes {
            Some(bytes) => (ProgressBar::new(bytes), "{bar:40} {percent}%, {eta} left; {msg}"),
            None => (ProgressBar::new_spinner(), "{spinner} {msg}"),
        };
        bar.set_style(ProgressStyle::with_template(template).expect("a template that is a constant"));
        let last_line = (!std::io::stderr().is_terminal()).then(Cell::default);
        Self { bar, last_line }
    }

    /// Shows how far it is.
    pub(super) fn at(&self, bytes: u64, counts: Counts) {
        self.bar.set_position(bytes);
        let Some(last_line) = &self.last_line else {
            let Counts { refused, .. } = counts;
            self.bar.set_message(format!("{} lines, {refused} refused", counts.total()));
            return;
        };
        let elapsed = self.bar.elapsed();
        if elapsed.saturating_sub(last_line.get()) >= LINE_INTERVAL {
            last_line.set(elapsed);
            print_progress(&format!(
                "{} lines after {:.0} s: {counts}",
                counts.total(),
                elapsed.as_secs_f64()
            ));
        }
    }

    /// Takes the bar away.
    pub(super) fn ends(&self) {
        self.bar.finish_and_clear();
    }
}
