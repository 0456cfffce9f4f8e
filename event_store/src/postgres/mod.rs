//! The log on a Postgres server, for several processes.
//!
//! The table is postgres-es's, and so is reading a stream. Appending is ours (`writer.rs`), and so is reading in order: postgres-es commits every
//! command by itself, in an order that no position tells. `wakeups.rs` hears of what other processes append; `turns.rs` puts those that change the
//! same aggregate in a row.

mod turns;
pub mod wakeups;
mod writer;

use std::sync::Arc;

use cqrs_es::Aggregate;
use cqrs_es::persist::{PersistedEventRepository, SerializedEvent};
use postgres_es::PostgresEventRepository;
use sqlx::postgres::{PgConnectOptions, PgRow};
use sqlx::{PgConnection, PgPool, Row};
use tokio::sync::watch;

use crate::database::postgres::{open_readers, open_writer, within};
use crate::database::{self, EmbeddedMigration, Pool};
use crate::epoch::{self, Epoch};
use crate::group_commit::GroupCommit;
use crate::log::{Append, AppendError, EventLog, HISTORY, LogError, POSITION_OF, Position, RecordedEvent};
use crate::snapshots::{LOAD_SNAPSHOT, SnapshotRow, Snapshots, StoredSnapshot};
pub use turns::Turn;
use turns::Turns;
use wakeups::{Topic, Wakeups};
use writer::Writer;

/// Versions below 1000 are the log's; the read model, in the same database, has its own from there.
const MIGRATIONS: &[EmbeddedMigration] =
    &[(1, "events", include_str!("../../../migrations/postgres/event_store/0001_events.sql"))];

/// Connections for loading streams and following the log.
const READERS: u32 = 8;

/// What is told of the log: the position of the last event.
const HEAD: Topic = Topic { channel: "honoken_log", newest: "select coalesce(max(position), 0) from events" };

/// The log on a Postgres server: in each process one writer that commits concurrent appends together, and one lock for all of them.
#[derive(Debug)]
pub struct PostgresLog {
    writer: GroupCommit,
    readers: PgPool,
    turns: Turns,
    streams: Streams,
    head: watch::Receiver<Position>,
    epoch: Epoch,
}

/// postgres-es's repository has no `Debug`.
struct Streams(PostgresEventRepository);

impl std::fmt::Debug for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PostgresEventRepository")
    }
}

/// Brings the tables of the log to the newest schema.
///
/// # Errors
/// [`LogError`] when the server is away or a migration fails.
pub async fn migrate(options: &PgConnectOptions) -> Result<(), LogError> {
    let mut connection = connect(options).await?;
    Ok(database::migrate(&mut connection, MIGRATIONS).await?)
}

/// Gives a log that no process uses another epoch, so that tags which phones got before are foreign.
///
/// # Errors
/// [`LogError`] when the server is away, or the tables are not there.
pub async fn change_epoch(options: &PgConnectOptions, epoch: Epoch) -> Result<Epoch, LogError> {
    let mut connection = connect(options).await?;
    database::ensure_migrated(&mut connection, MIGRATIONS).await?;
    put_epoch(&mut connection, epoch::CHANGE, epoch).await.map_err(LogError::unavailable("written"))
}

impl PostgresLog {
    /// Opens the log, whose tables must have been made by [`migrate`]. `new_epoch` is used when it is new.
    ///
    /// # Errors
    /// [`LogError`] when the server is away, or its schema is older than this release needs.
    pub async fn open(options: &PgConnectOptions, new_epoch: Epoch) -> Result<Self, LogError> {
        let mut connection = connect(options).await?;
        database::ensure_migrated(&mut connection, MIGRATIONS).await?;
        let epoch = put_epoch(&mut connection, epoch::CREATE, new_epoch)
            .await
            .map_err(LogError::unavailable("opened"))?;
        let newest: i64 = sqlx::query_scalar(HEAD.newest)
            .fetch_one(&mut connection)
            .await
            .map_err(LogError::unavailable("opened"))?;
        let (head, known) = watch::channel(Position(newest.cast_unsigned()));
        let head = Arc::new(head);
        let readers = open_readers(options, READERS);
        let known_head = head.clone();
        let wakeups =
            Wakeups::start(readers.clone(), HEAD, move |position| writer::advance(&known_head, position));
        let writer = GroupCommit::start(Writer::new(options.clone(), connection, head, wakeups));
        let streams = Streams(PostgresEventRepository::new(readers.clone()));
        let turns = Turns::new(options);
        Ok(Self { writer, readers, turns, streams, head: known, epoch })
    }

    /// Ends when the writer does, which it never should before [`PostgresLog::close`]: nothing can be appended any more.
    pub async fn ended(&self) {
        self.writer.ended().await;
    }

    /// The connections for reading.
    pub fn pool(&self) -> Pool {
        (&self.readers).into()
    }

    /// Finishes the appends that wait and closes the connections.
    pub async fn close(self) {
        self.writer.close().await;
        self.turns.close().await;
        self.readers.close().await;
    }
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, LogError> {
    open_writer(options).await.map_err(LogError::unavailable("opened"))
}

/// Sees to it that there is an epoch, and reads it.
async fn put_epoch(connection: &mut PgConnection, how: &str, epoch: Epoch) -> sqlx::Result<Epoch> {
    sqlx::query(how).bind(epoch.to_string()).execute(&mut *connection).await?;
    let stored: String = sqlx::query_scalar(epoch::READ).fetch_one(connection).await?;
    Epoch::parse(&stored)
}

impl EventLog for PostgresLog {
    async fn append(&self, append: Append) -> Result<Position, AppendError> {
        self.writer.append(append).await
    }

    async fn turn(&self, aggregate_type: &'static str, aggregate_id: &str) -> Option<Turn> {
        self.turns.take(aggregate_type, aggregate_id).await
    }

    async fn load<A: Aggregate>(
        &self,
        aggregate_id: &str,
        after_sequence: u64,
    ) -> Result<Vec<SerializedEvent>, LogError> {
        let Streams(streams) = &self.streams;
        // Without a sequence the statement is always the same, and the server has it prepared.
        let asked = async {
            let events = match usize::try_from(after_sequence).unwrap_or(usize::MAX) {
                0 => streams.get_events::<A>(aggregate_id).await,
                after => streams.get_last_events::<A>(aggregate_id, after).await,
            };
            // `within` gives up with an error of the driver's, and postgres-es wraps the driver's in its own.
            Ok(events)
        };
        let events = within(asked).await.map_err(LogError::unavailable("loaded"))?;
        events.map_err(LogError::unavailable("loaded"))
    }

    async fn history<A: Aggregate>(
        &self,
        aggregate_id: &str,
        after_sequence: u64,
        limit: u32,
    ) -> Result<Vec<RecordedEvent>, LogError> {
        let asked = sqlx::query(HISTORY)
            .bind(A::TYPE)
            .bind(aggregate_id)
            .bind(after_sequence.cast_signed())
            .bind(i64::from(limit))
            .fetch_all(&self.readers);
        let rows = within(asked).await.map_err(LogError::unavailable("read"))?;
        rows.iter().map(recorded).collect::<sqlx::Result<_>>().map_err(LogError::unavailable("read"))
    }

    async fn position_of<A: Aggregate>(
        &self,
        aggregate_id: &str,
        sequence: u64,
    ) -> Result<Option<Position>, LogError> {
        let asked = sqlx::query_scalar(POSITION_OF)
            .bind(A::TYPE)
            .bind(aggregate_id)
            .bind(sequence.cast_signed())
            .fetch_optional(&self.readers);
        let position: Option<i64> = within(asked).await.map_err(LogError::unavailable("loaded"))?;
        Ok(position.map(|position| Position(position.cast_unsigned())))
    }

    async fn read_after(&self, position: Position, limit: u32) -> Result<Vec<RecordedEvent>, LogError> {
        let asked = sqlx::query(
            "select position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at
             from events
             where position > $1
             order by position
             limit $2",
        )
        .bind(position.0.cast_signed())
        .bind(i64::from(limit))
        .fetch_all(&self.readers);
        let rows = within(asked).await.map_err(LogError::unavailable("read"))?;
        rows.iter().map(recorded).collect::<sqlx::Result<_>>().map_err(LogError::unavailable("read"))
    }

    fn head(&self) -> watch::Receiver<Position> {
        self.head.clone()
    }

    fn epoch(&self) -> Epoch {
        self.epoch
    }
}

impl Snapshots for PostgresLog {
    async fn load_snapshot(
        &self,
        aggregate_type: &str,
        aggregate_id: &str,
    ) -> Result<Option<StoredSnapshot>, LogError> {
        let asked = sqlx::query_as(LOAD_SNAPSHOT)
            .bind(aggregate_type)
            .bind(aggregate_id)
            .fetch_optional(&self.readers);
        let row: Option<SnapshotRow> = within(asked).await.map_err(LogError::unavailable("loaded"))?;
        Ok(row.map(StoredSnapshot::from))
    }

    fn store_snapshot(&self, aggregate_type: &'static str, aggregate_id: String, snapshot: StoredSnapshot) {
        self.writer.store_snapshot((aggregate_type, aggregate_id, snapshot));
    }
}

/// `json` columns hold JSON: the server has seen to that.
fn recorded(row: &PgRow) -> sqlx::Result<RecordedEvent> {
    Ok(RecordedEvent {
        position: Position(row.try_get::<i64, _>("position")?.cast_unsigned()),
        recorded_at_ms: row.try_get("recorded_at")?,
        event: SerializedEvent {
            aggregate_id: row.try_get("aggregate_id")?,
            sequence: usize::try_from(row.try_get::<i64, _>("sequence")?).unwrap_or_default(),
            aggregate_type: row.try_get("aggregate_type")?,
            event_type: row.try_get("event_type")?,
            event_version: row.try_get("event_version")?,
            payload: row.try_get("payload")?,
            metadata: row.try_get("metadata")?,
        },
    })
}
