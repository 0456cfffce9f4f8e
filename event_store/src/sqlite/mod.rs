//! The log in one SQLite file.

mod writer;

use std::path::Path;

use cqrs_es::Aggregate;
use cqrs_es::persist::SerializedEvent;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection, SqlitePool};
use tokio::sync::watch;

use crate::database::sqlite::{Durability, open_readers, open_writer};
use crate::database::{self, EmbeddedMigration, Pool};
use crate::epoch::{self, Epoch};
use crate::group_commit::GroupCommit;
use crate::log::{Append, AppendError, EventLog, HISTORY, LogError, POSITION_OF, Position, RecordedEvent};
use crate::snapshots::{LOAD_SNAPSHOT, SnapshotRow, Snapshots, StoredSnapshot};
use writer::Writer;

const MIGRATIONS: &[EmbeddedMigration] = &[
    (1, "events", include_str!("../../../migrations/sqlite/event_store/0001_events.sql")),
    (2, "snapshots", include_str!("../../../migrations/sqlite/event_store/0002_snapshots.sql")),
];

/// Connections for loading streams and following the log.
const READERS: u32 = 4;

/// The log in one SQLite file: `synchronous=FULL`, one writer that commits concurrent appends together.
#[derive(Debug)]
pub struct SqliteLog {
    writer: GroupCommit,
    readers: SqlitePool,
    head: watch::Receiver<Position>,
    epoch: Epoch,
}

impl SqliteLog {
    /// Opens the log, creating it where it is missing. `new_epoch` is used only then.
    ///
    /// # Errors
    /// [`LogError`] when the file cannot be opened or brought to the newest schema.
    pub async fn open(file: &Path, new_epoch: Epoch) -> Result<Self, LogError> {
        let mut connection = migrated(file).await?;
        let epoch = put_epoch(&mut connection, epoch::CREATE, new_epoch)
            .await
            .map_err(LogError::unavailable("opened"))?;
        let head = writer::read_head(&mut connection).await.map_err(LogError::unavailable("opened"))?;
        let (head_sender, head) = watch::channel(head);
        let writer = GroupCommit::start(Writer::new(file.to_owned(), connection, head_sender));
        Ok(Self { writer, readers: open_readers(file, READERS), head, epoch })
    }

    /// Ends when the writer does, which it never should before [`SqliteLog::close`]: nothing can be appended any more.
    pub async fn ended(&self) {
        self.writer.ended().await;
    }

    /// The connections for reading.
    pub fn pool(&self) -> Pool {
        (&self.readers).into()
    }

    /// Finishes the appends that wait and closes the file.
    pub async fn close(self) {
        // The readers first: only if the writer is the last does it bring the write-ahead log into the file and remove it.
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Gives the log of a closed file another epoch, so that tags which phones got before are foreign.
///
/// # Errors
/// [`LogError`] when the file cannot be opened or written.
pub async fn change_epoch(file: &Path, epoch: Epoch) -> Result<Epoch, LogError> {
    let mut connection = migrated(file).await?;
    let changed = put_epoch(&mut connection, epoch::CHANGE, epoch).await;
    let closed = sqlx::Connection::close(connection).await;
    changed.and_then(|epoch| closed.map(|()| epoch)).map_err(LogError::unavailable("written"))
}

async fn migrated(file: &Path) -> Result<SqliteConnection, LogError> {
    let mut connection =
        open_writer(file, Durability::EveryCommit).await.map_err(LogError::unavailable("opened"))?;
    database::migrate(&mut connection, MIGRATIONS).await?;
    Ok(connection)
}

/// Sees to it that there is an epoch, and reads it.
async fn put_epoch(connection: &mut SqliteConnection, how: &str, epoch: Epoch) -> sqlx::Result<Epoch> {
    sqlx::query(how).bind(epoch.to_string()).execute(&mut *connection).await?;
    let stored: String = sqlx::query_scalar(epoch::READ).fetch_one(connection).await?;
    Epoch::parse(&stored)
}

impl EventLog for SqliteLog {
    async fn append(&self, append: Append) -> Result<Position, AppendError> {
        self.writer.append(append).await
    }

    async fn load<A: Aggregate>(
        &self,
        aggregate_id: &str,
        after_sequence: u64,
    ) -> Result<Vec<SerializedEvent>, LogError> {
        let rows = sqlx::query(
            "select position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at
             from events
             where aggregate_type = $1 and aggregate_id = $2 and sequence > $3
             order by sequence",
        )
        .bind(A::TYPE)
        .bind(aggregate_id)
        .bind(after_sequence.cast_signed())
        .fetch_all(&self.readers)
        .await
        .map_err(LogError::unavailable("loaded"))?;
        let event = |row| Ok(recorded(row).map_err(LogError::unavailable("loaded"))??.event);
        rows.iter().map(event).collect()
    }

    async fn history<A: Aggregate>(
        &self,
        aggregate_id: &str,
        after_sequence: u64,
        limit: u32,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        let rows = sqlx::query(HISTORY)
            .bind(A::TYPE)
            .bind(aggregate_id)
            .bind(after_sequence.cast_signed())
            .bind(limit)
            .fetch_all(&self.readers)
            .await
            .map_err(LogError::unavailable("read"))?;
        rows.iter().map(|row| recorded(row).map_err(LogError::unavailable("read"))?).collect()
    }

    async fn position_of<A: Aggregate>(
        &self,
        aggregate_id: &str,
        sequence: u64,
    ) -> Result<Option<Position>, LogError> {
        let position: Option<i64> = sqlx::query_scalar(POSITION_OF)
            .bind(A::TYPE)
            .bind(aggregate_id)
            .bind(sequence.cast_signed())
            .fetch_optional(&self.readers)
            .await
            .map_err(LogError::unavailable("loaded"))?;
        Ok(position.map(|position| Position(position.cast_unsigned())))
    }

    async fn read_after(&self, position: Position, limit: u32) -> Result<Vec<RecordedEvent>, LogError> {
        let rows = sqlx::query(
            "select position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at
             from events
             where position > $1
             order by position
             limit $2",
        )
        .bind(position.0.cast_signed())
        .bind(limit)
        .fetch_all(&self.readers)
        .await
        .map_err(LogError::unavailable("read"))?;
        let mut events = Vec::with_capacity(rows.len());
        for row in &rows {
            match recorded(row).map_err(LogError::unavailable("read"))? {
                Ok(event) => events.push(event),
                Err(LogError::Unreadable { .. }) if !events.is_empty() => break,
                Err(fault) => return Err(fault),
            }
        }
        Ok(events)
    }

    fn head(&self) -> watch::Receiver<Position> {
        self.head.clone()
    }

    fn epoch(&self) -> Epoch {
        self.epoch
    }
}

impl Snapshots for SqliteLog {
    async fn load_snapshot(
        &self,
        aggregate_type: &str,
        aggregate_id: &str,
    ) -> Result<Option<StoredSnapshot>, LogError> {
        let row: Option<SnapshotRow> = sqlx::query_as(LOAD_SNAPSHOT)
            .bind(aggregate_type)
            .bind(aggregate_id)
            .fetch_optional(&self.readers)
            .await
            .map_err(LogError::unavailable("loaded"))?;
        Ok(row.map(StoredSnapshot::from))
    }

    fn store_snapshot(&self, aggregate_type: &'static str, aggregate_id: String, snapshot: StoredSnapshot) {
        self.writer.store_snapshot((aggregate_type, aggregate_id, snapshot));
    }
}

/// The outer error is the driver's, the inner one the JSON's.
fn recorded(row: &SqliteRow) -> sqlx::Result<Result<RecordedEvent, LogError>> {
    let position = Position(row.try_get::<i64, _>("position")?.cast_unsigned());
    let mut event = SerializedEvent {
        aggregate_id: row.try_get("aggregate_id")?,
        sequence: usize::try_from(row.try_get::<i64, _>("sequence")?).unwrap_or_default(),
        aggregate_type: row.try_get("aggregate_type")?,
        event_type: row.try_get("event_type")?,
        event_version: row.try_get("event_version")?,
        payload: serde_json::Value::Null,
        metadata: serde_json::Value::Null,
    };
    match (serde_json::from_str(row.try_get("payload")?), serde_json::from_str(row.try_get("metadata")?)) {
        (Ok(payload), Ok(metadata)) => (event.payload, event.metadata) = (payload, metadata),
        (Err(source), _) | (_, Err(source)) => {
            return Ok(Err(LogError::Unreadable { position, event: Box::new(event), source }));
        }
    }
    Ok(Ok(RecordedEvent { position, recorded_at_ms: row.try_get("recorded_at")?, event }))
}
