//! The log: append with optimistic concurrency, load a stream, read all in order.
//!
//! - [`log`] says in one trait what a log is, and why its positions can be trusted.
//! - [`sqlite`] keeps it in one file; the engine behind `honoken dev`.
//! - [`dispatch`] turns a command into committed events: load, decide, append, again on a conflict.
//! - [`snapshots`]: stored states of aggregates, every hundred events.
//! - [`database`] opens SQLite files the way this service needs them; `projections` uses it too.
//!
//! This crate does not know what any event means, except that an aggregate can apply it.

pub mod database;
pub mod dispatch;
mod error_chain;
pub mod log;
pub mod snapshots;
pub mod sqlite;

pub use dispatch::{Committed, DispatchError, Dispatcher, Metadata};
pub use error_chain::error_chain;
pub use log::{Append, AppendError, Epoch, EventLog, LogError, NewEvent, Position, RecordedEvent};
pub use snapshots::{Snapshots, StoredSnapshot};
pub use sqlite::SqliteLog;
