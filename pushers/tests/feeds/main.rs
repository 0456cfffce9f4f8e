//! From the log to whoever wakes phones, with real files, real servers and a real broker: what is said, what survives a crash, and what is
//! said again.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod in_process;
mod jetstream;
mod log_restored;
mod relay;
mod source;
mod sweep;
mod turns;
mod world;
