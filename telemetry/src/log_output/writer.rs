//! The thread that writes lines, and the ways to hand it lines.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::time::Instant;
use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::limits;
use super::queue::{Dropped, Line, Queue};
use crate::metrics::{LinePriority, Metrics};

/// The output that the subscriber writes to. Clones write to the same output.
#[derive(Debug, Clone)]
pub struct LogOutput(Arc<Queue>);

impl LogOutput {
    /// Lines go to standard error from now on.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn to_standard_error() -> io::Result<Self> {
        // Does not use the handle of the standard library: a thread that holds its lock while the reader has stopped would block all
        // others.
        let out = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        Self::to(out)
    }

    fn to(out: impl Write + Send + 'static) -> io::Result<Self> {
        let queue = Arc::new(Queue::with_room_for(limits::LOG_OUTPUT_BYTES));
        let lines = queue.clone();
        // The thread ends when the queue is closed and empty. A stopped reader may block it for ever, so the end of the process waits for
        // the queue instead, and not for long.
        std::thread::Builder::new().name("log output".to_owned()).spawn(move || write_all(&lines, out))?;
        Ok(Self(queue))
    }

    /// Counts dropped lines in these metrics, including those of before.
    pub fn count_in(&self, metrics: &Metrics) {
        self.0.count_in(metrics);
    }

    /// Waits until every line is written, at most this long.
    pub fn flush(&self, limit: Duration) {
        self.0.wait_until_empty(limit);
    }

    /// Returns a guard that waits for the last lines when it is dropped, at most [`limits::LOG_OUTPUT_AT_THE_END`].
    pub fn flushed_at_the_end(&self) -> impl Drop + use<> {
        Flushed(self.0.clone())
    }
}

struct Flushed(Arc<Queue>);

impl Drop for Flushed {
    fn drop(&mut self) {
        self.0.close();
        self.0.wait_until_empty(limits::LOG_OUTPUT_AT_THE_END);
    }
}

/// Prints the last message of a command that failed. It has the same time as the last lines: a process that is told to end does, also when
/// its output is not read.
pub fn print_last_message(text: String) {
    let (written, is_written) = mpsc::channel();
    let writes = move || {
        // A closed standard error is not worth an error, and there is no other place to report it.
        let _ = io::stderr().lock().write_all(text.as_bytes());
        let _ = written.send(());
    };
    if std::thread::Builder::new().spawn(writes).is_ok() {
        // Neither is a reader that has stopped.
        let _ = is_written.recv_timeout(limits::LOG_OUTPUT_AT_THE_END);
    }
}

impl<'a> MakeWriter<'a> for LogOutput {
    type Writer = Ticket<'a>;

    fn make_writer(&'a self) -> Ticket<'a> {
        Ticket { queue: &self.0, priority: LinePriority::Other }
    }

    fn make_writer_for(&'a self, about: &Metadata<'_>) -> Ticket<'a> {
        // The report of dropped lines must not be dropped itself.
        let matters = *about.level() == Level::ERROR || about.target() == module_path!();
        let priority = if matters { LinePriority::Error } else { LinePriority::Other };
        Ticket { queue: &self.0, priority }
    }
}

/// Takes one line, which the subscriber writes in one call.
#[derive(Debug)]
pub struct Ticket<'a> {
    queue: &'a Queue,
    priority: LinePriority,
}

impl Write for Ticket<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.queue.push(self.priority, line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes lines until the queue is closed and empty.
fn write_all(queue: &Queue, mut out: impl Write) {
    let (mut is_torn, mut goes_on_since) = (false, None);
    while let Some(line) = queue.next() {
        let is_written = write(&mut out, &line, &mut is_torn);
        let left = queue.mark_done(&line, is_written);
        if is_written && left.unreported {
            // Reports once the waiting lines are written; if that takes long, now and then meanwhile.
            let since = *goes_on_since.get_or_insert_with(Instant::now);
            if !left.lines || since.elapsed() >= limits::LOG_PERIOD {
                goes_on_since = None;
                report(queue.take_dropped());
            }
        }
    }
}

/// Writes one line, and returns whether all of it was written. A line that was torn off before (the disk was full) is ended first.
fn write(out: &mut impl Write, line: &Line, is_torn: &mut bool) -> bool {
    if *is_torn && out.write_all(b"\n").is_err() {
        return false;
    }
    let mut rest = line.bytes.as_slice();
    while !rest.is_empty() {
        match out.write(rest) {
            Ok(written @ 1..) => rest = &rest[written..],
            Err(fault) if fault.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
        }
    }
    *is_torn = !rest.is_empty() && rest.len() < line.bytes.len();
    rest.is_empty()
}

fn report(dropped: Dropped) {
    let all = dropped.all();
    tracing::warn!(
        log.dropped = all,
        log.dropped_errors = dropped.errors,
        "dropped {all} lines of log output, {} of them at ERROR: standard error was not read, or could not be written",
        dropped.errors
    );
}
