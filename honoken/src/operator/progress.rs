//! The progress of a command that works for long.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A progress bar on a terminal, a log line now and then elsewhere.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    /// The things that are counted, in the plural.
    noun: &'static str,
    /// When the last line was written, `None` on a terminal.
    last_line: Option<Duration>,
}

/// The time between two lines.
const LINE_INTERVAL: Duration = Duration::from_secs(5);

impl Progress {
    /// Nothing is done of `total` things, 0 for a number that nobody knows; `noun` is their name in the plural.
    pub fn of(noun: &'static str, total: u64) -> Self {
        let (bar, template) = match total {
            0 => (ProgressBar::no_length(), "{spinner} {human_pos} {msg}, {per_sec}"),
            total => {
                (ProgressBar::new(total), "{bar:40} {human_pos} of {human_len} {msg}, {per_sec}, {eta} left")
            }
        };
        bar.set_style(ProgressStyle::with_template(template).expect("a template that is a constant"));
        bar.set_message(noun);
        let last_line = (!std::io::stderr().is_terminal()).then_some(Duration::ZERO);
        Self { bar, noun, last_line }
    }

    /// So many more are done.
    pub fn advance(&mut self, done: u64) {
        self.at(self.bar.position() + done);
    }

    /// So many are done in all.
    pub fn at(&mut self, done: u64) {
        self.bar.set_position(done);
        let elapsed = self.bar.elapsed();
        if let Some(last_line) = &mut self.last_line
            && elapsed.saturating_sub(*last_line) >= LINE_INTERVAL
        {
            *last_line = elapsed;
            let (noun, rate) = (self.noun, self.bar.per_sec());
            if let Some(total) = self.bar.length() {
                let left = self.bar.eta();
                tracing::info!("{done} of {total} {noun}, {rate:.0} a second, {left:.0?} left");
            } else {
                tracing::info!("{done} {noun}, {rate:.0} a second");
            }
        }
    }

    /// Takes the bar away, before anything else is printed.
    pub fn clear(self) {
        self.bar.finish_and_clear();
    }
}
