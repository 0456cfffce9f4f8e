//! The log in one SQLite file.

mod writer;

use std::path::Path;

use cqrs_es::persist::SerializedEvent;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection, Row, SqlitePool};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::database::{self, Durability, EmbeddedMigration};
use crate::log::{Append, AppendError, Epoch, EventLog, LogError, Position, RecordedEvent};
use crate::snapshots::{Snapshots, StoredSnapshot};
use writer::{Request, Writer};

const MIGRATIONS: &[EmbeddedMigration] = &[
    (1, "events", include_str!("../../../migrations/sqlite/event_store/0001_events.sql")),
    (2, "snapshots", include_str!("../../../migrations/sqlite/event_store/0002_snapshots.sql")),
];

/// Appends that may wait for the writer; more make their callers wait.
const QUEUE: usize = 256;

/// Connections for loading streams and following the log.
const READERS: u32 = 4;

/// The log in one SQLite file: `synchronous=FULL`, one writer that commits concurrent appends together.
#[derive(Debug)]
pub struct SqliteLog {
    requests: mpsc::Sender<Request>,
    readers: SqlitePool,
    head: watch::Receiver<Position>,
    epoch: Epoch,
    writer: JoinHandle<()>,
}

impl SqliteLog {
    /// Opens the log, creating it where it is missing. `new_epoch` is used only then.
    ///
    /// # Errors
    /// [`LogError`] when the file cannot be opened or brought to the newest schema.
    pub async fn open(file: &Path, new_epoch: Epoch) -> Result<Self, LogError> {
        let opening = |source| LogError::Unavailable { doing: "opened", source };
        let mut connection = database::open_writer(file, Durability::EveryCommit).await.map_err(opening)?;
        database::migrate(&mut connection, MIGRATIONS).await.map_err(LogError::Migration)?;
        sqlx::query("insert into log (id, epoch) values (1, $1) on conflict do nothing")
            .bind(new_epoch.to_string())
            .execute(&mut connection)
            .await
            .map_err(opening)?;
        let epoch: String =
            sqlx::query_scalar("select epoch from log").fetch_one(&mut connection).await.map_err(opening)?;
        let epoch = u32::from_str_radix(&epoch, 16)
            .map_err(|fault| opening(sqlx::Error::Decode(Box::new(fault))))
            .map(Epoch)?;
        let head = writer::read_head(&mut connection).await.map_err(opening)?;

        let (requests, queue) = mpsc::channel(QUEUE);
        let (head_sender, head) = watch::channel(head);
        let writer = Writer::new(file.to_owned(), connection, head_sender);
        Ok(Self {
            requests,
            readers: database::open_readers(file, READERS),
            head,
            epoch,
            writer: tokio::spawn(writer.run(queue)),
        })
    }

    /// Ends when the writer does, which it never should before [`SqliteLog::close`]: nothing can be appended any more.
    pub async fn ended(&self) {
        self.requests.closed().await;
    }

    /// Finishes the appends that wait and closes the file.
    pub async fn close(self) {
        drop(self.requests);
        if let Err(fault) = self.writer.await {
            tracing::error!(error = %fault, "the log's writer ended badly");
        }
        self.readers.close().await;
    }
}

impl EventLog for SqliteLog {
    async fn append(&self, append: Append) -> Result<Position, AppendError> {
        let (answer, answered) = oneshot::channel();
        self.requests.send(Request::Append { append, answer }).await.map_err(|_| LogError::Closed)?;
        answered.await.map_err(|_| LogError::Closed)?
    }

    async fn load(
        &self,
        aggregate_type: &str,
        aggregate_id: &str,
        after_sequence: u64,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        let rows = sqlx::query(
            "select position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at
             from events
             where aggregate_type = $1 and aggregate_id = $2 and sequence > $3
             order by sequence",
        )
        .bind(aggregate_type)
        .bind(aggregate_id)
        .bind(after_sequence.cast_signed())
        .fetch_all(&self.readers)
        .await
        .map_err(unavailable("loaded"))?;
        rows.iter().map(|row| recorded(row).map_err(unavailable("loaded"))?).collect()
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
        .map_err(unavailable("read"))?;
        let mut events = Vec::with_capacity(rows.len());
        for row in &rows {
            match recorded(row).map_err(unavailable("read"))? {
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
        let row = sqlx::query(
            "select sequence, position, shape, state from snapshots
             where aggregate_type = $1 and aggregate_id = $2",
        )
        .bind(aggregate_type)
        .bind(aggregate_id)
        .fetch_optional(&self.readers)
        .await;
        row.and_then(|row| row.as_ref().map(stored_snapshot).transpose()).map_err(unavailable("loaded"))
    }

    fn store_snapshot(&self, aggregate_type: &'static str, aggregate_id: String, snapshot: StoredSnapshot) {
        // While the writer is too busy to take it, the next command for this aggregate offers a newer one.
        let _ = self.requests.try_send(Request::Snapshot { aggregate_type, aggregate_id, snapshot });
    }
}

fn stored_snapshot(row: &SqliteRow) -> sqlx::Result<StoredSnapshot> {
    Ok(StoredSnapshot {
        sequence: row.try_get::<i64, _>("sequence")?.cast_unsigned(),
        position: Position(row.try_get::<i64, _>("position")?.cast_unsigned()),
        shape: row.try_get("shape")?,
        state: row.try_get("state")?,
    })
}

fn unavailable(doing: &'static str) -> impl Fn(sqlx::Error) -> LogError {
    move |source| LogError::Unavailable { doing, source }
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

/// Closes a connection that is given up; its own failure tells nothing new.
async fn discard(connection: sqlx::SqliteConnection) {
    if let Err(fault) = connection.close().await {
        tracing::debug!(error = %fault, "a broken connection did not close");
    }
}
