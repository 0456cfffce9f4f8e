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

use cqrs_es::Aggregate;
use cqrs_es::persist::SerializedEvent;
use sqlx::error::BoxDynError;
use tokio::sync::watch;

use crate::epoch::Epoch;
use crate::postgres::Turn;
use crate::stored::Unreadable;
use honoken_database::MigrationError;

/// Place of an event in the log; 0 stands before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(pub u64);

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
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
    /// The store did not take it: nothing was written.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The commit was sent and not answered, and the store cannot be asked what became of it. Repeating the command is safe, since it is
    /// decided on what is there then.
    #[error("the commit was not answered, and what became of it is not known")]
    Unknown(#[source] BoxDynError),
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
        source: BoxDynError,
    },
    /// The tables are not there, or of an older release.
    #[error("the event log could not be opened")]
    Schema(#[from] MigrationError),
    /// The log has been closed.
    #[error("the event log is closed")]
    Closed,
    /// A stored row is not what this service writes.
    #[error("the event at position {} is not readable", .event.position)]
    Unreadable {
        /// What is known of it: all but its payload and metadata, which are null. What is not text has replacement characters.
        event: Box<RecordedEvent>,
        /// Why.
        #[source]
        source: Unreadable,
    },
}

/// An append-only, totally ordered log of events.
pub trait EventLog: Send + Sync + 'static {
    /// Appends to one stream and answers, once that is on disk, the position of the last event appended.
    fn append(&self, append: Append) -> impl Future<Output = Result<Position, AppendError>> + Send;

    /// Waits for a turn at an aggregate that several processes change all the time, so that they do it one after the other. `None` where no
    /// other process writes, and when it does not come soon. Whoever has none may append as well.
    fn turn(
        &self,
        _aggregate_type: &'static str,
        _aggregate_id: &str,
    ) -> impl Future<Output = Option<Turn>> + Send {
        async { None }
    }

    /// The events of one aggregate behind a sequence, in order.
    fn load<A: Aggregate>(
        &self,
        aggregate_id: &str,
        after_sequence: u64,
    ) -> impl Future<Output = Result<Vec<SerializedEvent>, LogError>> + Send;

    /// At most `limit` events of one aggregate behind a sequence, in order and as they were recorded. Of one that is not readable there is
    /// what is known of it: its payload and metadata are null.
    fn history<A: Aggregate>(
        &self,
        aggregate_id: &str,
        after_sequence: u64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<RecordedEvent>, LogError>> + Send;

    /// Where in the log the event of an aggregate with this sequence is.
    fn position_of<A: Aggregate>(
        &self,
        aggregate_id: &str,
        sequence: u64,
    ) -> impl Future<Output = Result<Option<Position>, LogError>> + Send;

    /// At most `limit` events behind a position, in order. [`LogError::Unreadable`] only when the first of them is: those before an
    /// unreadable one are answered, so that a reader can come as far as to it, and then take what is known of it and go on behind it.
    fn read_after(
        &self,
        position: Position,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<RecordedEvent>, LogError>> + Send;

    /// The position of the last event that this process knows of; changes wake whoever waits. It may be behind for a moment when others
    /// write to the same log.
    fn head(&self) -> watch::Receiver<Position>;

    /// What the update tags of this log begin with.
    fn epoch(&self) -> Epoch;
}

impl LogError {
    /// The store is away, full or broken.
    pub(crate) fn unavailable<E: Into<BoxDynError>>(doing: &'static str) -> impl Fn(E) -> Self {
        move |source| Self::Unavailable { doing, source: source.into() }
    }
}

/// A stream, on either engine.
pub(crate) const LOAD: &str = "\
    select position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at
    from events
    where aggregate_type = $1 and aggregate_id = $2 and sequence > $3
    order by sequence";

/// The log in order, on either engine.
pub(crate) const READ_AFTER: &str = "\
    select position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at
    from events
    where position > $1
    order by position
    limit $2";

/// A part of a stream, on either engine.
pub(crate) const HISTORY: &str = "\
    select position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at
    from events
    where aggregate_type = $1 and aggregate_id = $2 and sequence > $3
    order by sequence
    limit $4";

/// Where an event is, on either engine.
pub(crate) const POSITION_OF: &str = "\
    select position from events
    where aggregate_type = $1 and aggregate_id = $2 and sequence = $3";
