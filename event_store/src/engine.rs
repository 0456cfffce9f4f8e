//! The event log on either engine.

use cqrs_es::Aggregate;
use cqrs_es::persist::SerializedEvent;
use tokio::sync::watch;

use crate::error::{AppendError, LogError};
use crate::event::{Append, RecordedEvent};
use crate::log::EventLog;
use crate::position::Position;
use crate::snapshots::{Snapshots, StoredSnapshot};
use crate::transfer::{Identity, StoredEvent};
use crate::turn::Turn;
use crate::{Epoch, PostgresLog, SqliteLog};
use honoken_database::Pool;

/// The event log on one of its engines. An enum, since the framework's traits cannot be made into objects.
#[derive(Debug)]
pub enum Log {
    /// In a file.
    Sqlite(SqliteLog),
    /// On a server.
    Postgres(PostgresLog),
}

impl Log {
    /// Ends when the writer does, which it never should before [`Log::close`]: nothing can be appended any longer.
    pub async fn ended(&self) {
        match self {
            Self::Sqlite(log) => log.ended().await,
            Self::Postgres(log) => log.ended().await,
        }
    }

    /// Whether the store refused the last change for a reason other than its content, and nothing has shown since that it takes changes. While
    /// that is so, the writer tries every second.
    pub fn refuses_writes(&self) -> bool {
        match self {
            Self::Sqlite(log) => log.refuses_writes(),
            Self::Postgres(log) => log.refuses_writes(),
        }
    }

    /// Whether a file was found damaged. A server sees to its own.
    pub fn is_damaged(&self) -> bool {
        match self {
            Self::Sqlite(log) => log.is_damaged(),
            Self::Postgres(_) => false,
        }
    }

    /// The connections for reading.
    pub fn pool(&self) -> Pool {
        match self {
            Self::Sqlite(log) => log.pool(),
            Self::Postgres(log) => log.pool(),
        }
    }

    /// What it says of itself beside its events.
    ///
    /// # Errors
    /// [`LogError`] when the store is unavailable.
    pub async fn identity(&self) -> Result<Identity, LogError> {
        match self {
            Self::Sqlite(log) => log.identity().await,
            Self::Postgres(log) => log.identity().await,
        }
    }

    /// The events behind a position as they are stored, in order: as many as make a batch of some megabytes, and none at the head.
    ///
    /// # Errors
    /// [`LogError`] when the store is unavailable; [`LogError::Unreadable`] when one of them cannot be read.
    pub async fn stored_after(&self, position: Position) -> Result<Vec<StoredEvent>, LogError> {
        match self {
            Self::Sqlite(log) => log.stored_after(position).await,
            Self::Postgres(log) => log.stored_after(position).await,
        }
    }

    /// Streams whose events are not numbered from 1 on without a gap, as type and id of their aggregates: so many at most.
    ///
    /// # Errors
    /// [`LogError`] when the store is unavailable.
    pub async fn streams_with_gaps(&self, limit: u32) -> Result<Vec<String>, LogError> {
        match self {
            Self::Sqlite(log) => log.streams_with_gaps(limit).await,
            Self::Postgres(log) => log.streams_with_gaps(limit).await,
        }
    }

    /// Finishes the appends that wait and closes the store.
    pub async fn close(self) {
        match self {
            Self::Sqlite(log) => log.close().await,
            Self::Postgres(log) => log.close().await,
        }
    }
}

impl EventLog for Log {
    async fn append(&self, append: Append) -> Result<Position, AppendError> {
        match self {
            Self::Sqlite(log) => log.append(append).await,
            Self::Postgres(log) => log.append(append).await,
        }
    }

    async fn turn(&self, aggregate_type: &'static str, aggregate_id: &str) -> Option<Turn> {
        match self {
            Self::Sqlite(log) => log.turn(aggregate_type, aggregate_id).await,
            Self::Postgres(log) => log.turn(aggregate_type, aggregate_id).await,
        }
    }

    async fn load<A: Aggregate>(
        &self,
        aggregate_id: &str,
        after_sequence: u64,
    ) -> Result<Vec<SerializedEvent>, LogError> {
        match self {
            Self::Sqlite(log) => log.load::<A>(aggregate_id, after_sequence).await,
            Self::Postgres(log) => log.load::<A>(aggregate_id, after_sequence).await,
        }
    }

    async fn history<A: Aggregate>(
        &self,
        aggregate_id: &str,
        after_sequence: u64,
        limit: u32,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        match self {
            Self::Sqlite(log) => log.history::<A>(aggregate_id, after_sequence, limit).await,
            Self::Postgres(log) => log.history::<A>(aggregate_id, after_sequence, limit).await,
        }
    }

    async fn position_of<A: Aggregate>(
        &self,
        aggregate_id: &str,
        sequence: u64,
    ) -> Result<Option<Position>, LogError> {
        match self {
            Self::Sqlite(log) => log.position_of::<A>(aggregate_id, sequence).await,
            Self::Postgres(log) => log.position_of::<A>(aggregate_id, sequence).await,
        }
    }

    async fn read_after(&self, position: Position, limit: u32) -> Result<Vec<RecordedEvent>, LogError> {
        match self {
            Self::Sqlite(log) => log.read_after(position, limit).await,
            Self::Postgres(log) => log.read_after(position, limit).await,
        }
    }

    fn head(&self) -> watch::Receiver<Position> {
        match self {
            Self::Sqlite(log) => log.head(),
            Self::Postgres(log) => log.head(),
        }
    }

    fn epoch(&self) -> Epoch {
        match self {
            Self::Sqlite(log) => log.epoch(),
            Self::Postgres(log) => log.epoch(),
        }
    }
}

impl Snapshots for Log {
    async fn load_snapshot(
        &self,
        aggregate_type: &str,
        aggregate_id: &str,
    ) -> Result<Option<StoredSnapshot>, LogError> {
        match self {
            Self::Sqlite(log) => log.load_snapshot(aggregate_type, aggregate_id).await,
            Self::Postgres(log) => log.load_snapshot(aggregate_type, aggregate_id).await,
        }
    }

    fn store_snapshot(&self, aggregate_type: &'static str, aggregate_id: String, snapshot: StoredSnapshot) {
        match self {
            Self::Sqlite(log) => log.store_snapshot(aggregate_type, aggregate_id, snapshot),
            Self::Postgres(log) => log.store_snapshot(aggregate_type, aggregate_id, snapshot),
        }
    }
}
