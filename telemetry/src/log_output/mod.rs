//! The way of a line to standard error: bounded in bytes, and never delaying a request.
//!
//! A reader that has stopped (a full pipe, a stopped terminal) blocks one thread and nothing else. Lines that find no room are dropped and
//! counted, those at `ERROR` last; once the reader continues, one line reports their number. The lines that callers without credentials can
//! cause are limited as well.
//!
//! - [`queue`]: the lines that wait
//! - [`writer`]: the thread that writes them, and its use by the subscriber and by the end of the process
//! - [`record`]: the length of a line
//! - [`anonymous`]: how many lines callers without credentials may cause
//! - [`limits`]: the numbers

pub mod anonymous;
pub mod limits;
pub mod queue;
pub mod record;
pub mod writer;

pub use anonymous::AnonymousLines;
pub use writer::LogOutput;
