//! What a log is.
//!
//! **Position.** Every event has one: strictly increasing in the order of commits, so a reader that has seen position `n` will never be
//! shown a smaller one later. Checkpoints and update tags rest on this. It is assigned under one lock at append. The other ways lose
//! events: an identity column is taken before the commit, so `n + 1` can be visible while `n` is still open; ordering by transaction id
//! breaks when a dump is restored into another cluster; watching for gaps has to guess how long to wait for one. Gaplessness holds on
//! SQLite and Postgres, but nothing above this crate counts on it.
//!
//! **Acknowledged means on disk.** [`EventLog::append`] answers after the sync. Appends that arrive together are committed together;
//! a conflict in one of them fails that one alone.

use std::fmt;
use std::future::Future;

use cqrs_es::persist::SerializedEvent;
use tokio::sync::watch;

/// Place of an event in the log; 0 stands before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Eight hex digits fixed when a log is created. They begin every update tag, so that a tag of another log is known as foreign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Epoch(pub u32);

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.0)
    }
}

/// An event that is not in the log yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its frozen name.
    pub event_type: String,
    /// Its version.
    pub event_version: String,
    /// Its JSON.
    pub payload: String,
}

/// Events for the end of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Type of the aggregate.
    pub aggregate_type: &'static str,
    /// Its id; with the type it names the stream.
    pub aggregate_id: String,
    /// Sequence of the last event the writer has seen, 0 for none. The append is refused when there are more.
    pub expected_sequence: u64,
    /// What is appended, in order, all or nothing.
    pub events: Vec<NewEvent>,
    /// JSON object of strings: who, for whom, in which request.
    pub metadata: String,
    /// Unix milliseconds.
    pub recorded_at_ms: i64,
}

/// An event as the log holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its place in the log.
    pub position: Position,
    /// When it was appended, Unix milliseconds.
    pub recorded_at_ms: i64,
    /// The event, not upcast.
    pub event: SerializedEvent,
}

/// Why an append did not happen.
#[derive(Debug, thiserror::Error)]
pub enum AppendError {
    /// The stream has grown since it was loaded.
    #[error("the stream has grown since it was loaded")]
    Conflict,
    /// The store could not take it, or could not say that it did: a sync that failed leaves the outcome unknown until the stream is loaded
    /// again. Repeating the command is safe, since it is decided on what is there then.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Why the log could not be used.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The store is away, full or broken.
    #[error("the event log could not be {doing}")]
    Unavailable {
        /// What was tried.
        doing: &'static str,
        /// The driver's reason.
        #[source]
        source: sqlx::Error,
    },
    /// The migrations did not run.
    #[error("the event log could not be migrated")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The log has been closed.
    #[error("the event log is closed")]
    Closed,
    /// A stored row is not what this service writes.
    #[error("the event at position {position} is not readable")]
    Unreadable {
        /// Where.
        position: Position,
        /// What is known of it: all but its payload and metadata, which are null.
        event: Box<SerializedEvent>,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// An append-only, totally ordered log of events.
pub trait EventLog: Send + Sync + 'static {
    /// Appends to one stream and answers, once that is on disk, the position of the last event appended.
    fn append(&self, append: Append) -> impl Future<Output = Result<Position, AppendError>> + Send;

    /// The events of one stream behind a sequence, in order.
    fn load(
        &self,
        aggregate_type: &str,
        aggregate_id: &str,
        after_sequence: u64,
    ) -> impl Future<Output = Result<Vec<RecordedEvent>, LogError>> + Send;

    /// At most `limit` events behind a position, in order. [`LogError::Unreadable`] only when the first of them is: those before an
    /// unreadable one are answered, so that a reader can come as far as to it, and then take what is known of it and go on behind it.
    fn read_after(
        &self,
        position: Position,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<RecordedEvent>, LogError>> + Send;

    /// The position of the last event; changes wake whoever waits.
    fn head(&self) -> watch::Receiver<Position>;

    /// What the update tags of this log begin with.
    fn epoch(&self) -> Epoch;
}
