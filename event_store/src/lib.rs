//! The event log: append with optimistic concurrency, load a stream, read all in order.
//!
//! - [`log`] says in one trait what an event log promises, and why its positions can be trusted.
//! - [`sqlite`] keeps it in one file; the engine behind `honoken dev`. [`postgres`] keeps it on a server, for several processes, and `kurrentdb` on a
//!   server that is made for it. [`engine`] is any of them.
//! - `group_commit.rs` is how both write, `gathering.rs` how long a batch waits for those who are about to append, `write_probe.rs` how they notice
//!   that the store takes changes again. `stored.rs` reads rows, damaged
//!   ones too.
//! - [`append_socket`]: how a command of an operator appends to a file that a running process has.
//! - [`transfer`] moves event logs as they are stored: to another engine, into a file, out of one.
//! - [`dispatch`] turns a command into committed events: load, decide, append, and once more after a conflict.
//! - `past.rs`: an aggregate as it was at a moment.
//! - [`snapshots`] are stored states of aggregates, every hundred events; `states.rs`: those that were used last, in memory.
//!
//! This crate does not know what any event means, except that an aggregate can apply it.

pub mod append_socket;
pub mod dispatch;
pub mod engine;
#[cfg(feature = "kurrentdb")]
pub mod kurrentdb;
pub mod log;
pub mod postgres;
pub mod snapshots;
pub mod sqlite;
pub mod transfer;

mod damaged;
mod epoch;
mod error;
mod event;
mod gathering;
mod group_commit;
mod marks;
mod past;
mod position;
mod secrets;
mod states;
mod stored;
mod turn;
mod write_probe;

pub use dispatch::{Committed, DispatchError, Dispatcher, Metadata};
pub use engine::Log;
pub use epoch::Epoch;
pub use error::{AppendError, LogError, Unreadable};
pub use event::{Append, NewEvent, RecordedEvent};
#[cfg(feature = "kurrentdb")]
pub use kurrentdb::KurrentLog;
pub use log::EventLog;
pub use marks::{Mark, Origin};
pub use past::{Moment, Past};
pub use position::Position;
pub use postgres::PostgresLog;
pub use secrets::SecretEvent;
pub use snapshots::{Snapshots, StoredSnapshot};
pub use sqlite::SqliteLog;
