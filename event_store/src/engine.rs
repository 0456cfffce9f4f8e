//! The event log on any of the engines.

use cqrs_es::Aggregate;
use cqrs_es::persist::SerializedEvent;
use tokio::sync::watch;

#[cfg(feature = "kurrentdb")]
use crate::KurrentLog;
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
    /// On a Postgres server.
    Postgres(PostgresLog),
    /// On a KurrentDB server.
    #[cfg(feature = "kurrentdb")]
    Kurrentdb(KurrentLog),
}

impl Log {
    /// Ends when the writer does, which it never should before [`Log::close`]: nothing can be appended any longer.
    pub async fn ended(&self) {
        match self {
            Self::Sqlite(log) => log.ended().await,
            Self::Postgres(log) => log.ended().await,
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(log) => log.ended().await,
        }
    }

    /// Whether the store refused the last change for a reason other than its content, and nothing has shown since that it takes changes. While
    /// that is so, the writer tries every second.
    pub fn refuses_writes(&self) -> bool {
        match self {
            Self::Sqlite(log) => log.refuses_writes(),
            Self::Postgres(log) => log.refuses_writes(),
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(log) => log.refuses_writes(),
        }
    }

    /// Whether a file was found damaged. A server sees to its own.
    pub fn is_damaged(&self) -> bool {
        match self {
            Self::Sqlite(log) => log.is_damaged(),
            Self::Postgres(_) => false,
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(_) => false,
        }
    }

    /// The connections for reading, where there are several.
    pub fn pool(&self) -> Option<Pool> {
        match self {
            Self::Sqlite(log) => Some(log.pool()),
            Self::Postgres(log) => Some(log.pool()),
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(_) => None,
        }
    }

    /// Whether its positions are the numbers of its events, from 1 on: where one is missing, an event is.
    pub fn is_gapless(&self) -> bool {
        match self {
            Self::Sqlite(_) | Self::Postgres(_) => true,
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(_) => false,
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
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(log) => log.identity().await,
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
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(log) => log.stored_after(position).await,
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
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(log) => log.streams_with_gaps(limit).await,
        }
    }

    /// Finishes the appends that wait and closes the store.
    pub async fn close(self) {
        match self {
            Self::Sqlite(log) => log.close().await,
            Self::Postgres(log) => log.close().await,
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(log) => log.close().await,
        }
    }
}

impl EventLog for Log {
    async fn append(&self, append: Append) -> Result<Position, AppendError> {
        match self {
            Self::Sqlite(log) => log.append(append).await,
            Self::Postgres(log) => log.append(append).await,
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(log) => log.append(append).await,
        }
    }

    async fn turn(&self, aggregate_type: &'static str, aggregate_id: &str) -> Option<Turn> {
        match self {
            Self::Sqlite(log) => log.turn(aggregate_type, aggregate_id).await,
            Self::Postgres(log) => log.turn(aggregate_type, aggregate_id).await,
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(log) => log.turn(aggregate_type, aggregate_id).await,
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
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(log) => log.load::<A>(aggregate_id, after_sequence).await,
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
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(log) => log.history::<A>(aggregate_id, after_sequence, limit).await,
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
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(log) => log.position_of::<A>(aggregate_id, sequence).await,
        }
    }

    async fn read_after(&self, position: Position, limit: u32) -> Result<Vec<RecordedEvent>, LogError> {
        match self {
            Self::Sqlite(log) => log.read_after(position, limit).await,
            Self::Postgres(log) => log.read_after(position, limit).await,
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(log) => log.read_after(position, limit).await,
        }
    }

    async fn event_at(&self, position: Position) -> Result<Option<RecordedEvent>, LogError> {
        match self {
            Self::Sqlite(log) => log.event_at(position).await,
            Self::Postgres(log) => log.event_at(position).await,
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(log) => log.event_at(position).await,
        }
    }

    async fn reaches(&self, position: Position) -> Result<bool, LogError> {
        match self {
            Self::Sqlite(log) => log.reaches(position).await,
            Self::Postgres(log) => log.reaches(position).await,
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(log) => log.reaches(position).await,
        }
    }

    async fn has_more_than(&self, events: u32, position: Position) -> Result<bool, LogError> {
        match self {
            Self::Sqlite(log) => log.has_more_than(events, position).await,
            Self::Postgres(log) => log.has_more_than(events, position).await,
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(log) => log.has_more_than(events, position).await,
        }
    }

    fn head(&self) -> watch::Receiver<Position> {
        match self {
            Self::Sqlite(log) => log.head(),
            Self::Postgres(log) => log.head(),
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(log) => log.head(),
        }
    }

    fn epoch(&self) -> Epoch {
        match self {
            Self::Sqlite(log) => log.epoch(),
            Self::Postgres(log) => log.epoch(),
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(log) => log.epoch(),
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
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(log) => log.load_snapshot(aggregate_type, aggregate_id).await,
        }
    }

    fn store_snapshot(&self, aggregate_type: &'static str, aggregate_id: String, snapshot: StoredSnapshot) {
        match self {
            Self::Sqlite(log) => log.store_snapshot(aggregate_type, aggregate_id, snapshot),
            Self::Postgres(log) => log.store_snapshot(aggregate_type, aggregate_id, snapshot),
            #[cfg(feature = "kurrentdb")]
            Self::Kurrentdb(log) => log.store_snapshot(aggregate_type, aggregate_id, snapshot),
        }
    }
}
