//! The way of a line to standard error, bounded in bytes and never in the way of a request.
//!
//! A reader that stands still (a full pipe, a stopped terminal) holds up one thread and nothing else. Lines that find no room are dropped and
//! counted, those at `ERROR` last; once the reader goes on, one line says how many there were. What callers without credentials can make this
//! process log is bounded as well.
//!
//! - [`queue`]: the lines that wait
//! - [`writer`]: the thread that writes them, and how the subscriber and the end of the process meet it
//! - [`record`]: how long a line may be
//! - [`anonymous`]: how many lines callers without credentials may cause
//! - [`limits`]: the numbers

pub mod anonymous;
pub mod limits;
pub mod queue;
pub mod record;
pub mod writer;

pub use anonymous::AnonymousLines;
pub use writer::LogOutput;
