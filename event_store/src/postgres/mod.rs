//! The event log on a Postgres server, for several processes.
//!
//! The table is postgres-es's, and so is reading a stream. Appending is ours (`writer.rs`), and so is reading in order: postgres-es commits
//! every command by itself, in an order that no position tells. `wakeups.rs` hears of the appends of other processes; `turns.rs` puts processes
//! that change the same aggregate in a row; `set_back.rs` notices that the event log has lost events.

mod append_events;
mod set_back;
mod turns;
pub mod wakeups;
mod writer;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use cqrs_es::Aggregate;
use cqrs_es::persist::{PersistedEventRepository, SerializedEvent};
use futures::FutureExt;
use postgres_es::PostgresEventRepository;
use sqlx::postgres::PgConnectOptions;
use sqlx::{PgConnection, PgPool};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::epoch::{self, Epoch};
use crate::error::{AppendError, LogError};
use crate::event::{Append, RecordedEvent};
use crate::group_commit::GroupCommit;
use crate::log::EventLog;
use crate::marks::{self, Mark, Origin};
use crate::position::Position;
use crate::secrets::{self, SECRET_EVENTS, SecretEvent};
use crate::snapshots::{self, LOAD_SNAPSHOT, Snapshots, StoredSnapshot};
use crate::stored::{self, GAPS, HISTORY, LOAD, POSITION_OF, READ_AFTER};
use crate::transfer::{BATCH_ROWS, Identity, StoredEvent, batch};
pub use crate::turn::Turn;
use honoken_database::postgres::{open_readers, open_writer, within};
use honoken_database::{EmbeddedMigration, Pool};
use set_back::Knowledge;
use turns::Turns;
use wakeups::{Topic, Wakeups};
use writer::Writer;

/// Versions below 1000 are the event log's; the read model, in the same database, has its own from there.
const MIGRATIONS: &[EmbeddedMigration] = &[
    (1, "events", include_str!("../../../migrations/postgres/event_store/0001_events.sql")),
    (2, "log_marks", include_str!("../../../migrations/postgres/event_store/0002_log_marks.sql")),
    (3, "filling", include_str!("../../../migrations/postgres/event_store/0003_filling.sql")),
    (4, "append_events", include_str!("../../../migrations/postgres/event_store/0004_append_events.sql")),
];

/// Whether a table exists.
const HAS_TABLE: &str = "select to_regclass($1) is not null";

/// Connections for loading streams and following the event log.
const READERS: u32 = 8;

/// The topic of the event log: the position of its last event.
const HEAD: Topic = Topic { channel: "honoken_log", newest: "select coalesce(max(position), 0) from events" };

/// The event log on a Postgres server: in each process one writer that commits concurrent appends together, and one lock for all of them.
#[derive(Debug)]
pub struct PostgresLog {
    writer: GroupCommit,
    readers: PgPool,
    turns: Turns,
    streams: Streams,
    head: watch::Receiver<Position>,
    epoch: Epoch,
    /// Cancelled when the event log was set back under this process.
    set_back: CancellationToken,
    watching: AbortOnDropHandle<()>,
}

/// postgres-es's repository has no `Debug`.
struct Streams(PostgresEventRepository);

impl std::fmt::Debug for Streams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PostgresEventRepository")
    }
}

/// Brings the tables of the event log to the newest schema.
///
/// # Errors
/// [`LogError`] when the server is unavailable or a migration fails.
pub async fn migrate(options: &PgConnectOptions) -> Result<(), LogError> {
    let mut connection = connect(options).await?;
    Ok(honoken_database::migrate(&mut connection, MIGRATIONS).await?)
}

/// Gives an event log that no process uses another epoch, so that earlier tags of phones are foreign.
///
/// # Errors
/// [`LogError`] when the server is unavailable, or the tables are not there.
pub async fn change_epoch(options: &PgConnectOptions, epoch: Epoch) -> Result<Epoch, LogError> {
    let mut connection = connect(options).await?;
    honoken_database::ensure_migrated(&mut connection, MIGRATIONS).await?;
    put_epoch(&mut connection, epoch::CHANGE, epoch).await.map_err(LogError::unavailable("written"))
}

/// What is known about the beginning of an event log, whose tables need not be there or may be those of an older release.
///
/// # Errors
/// [`LogError`] when the server is unavailable.
pub async fn origin(options: &PgConnectOptions) -> Result<Origin, LogError> {
    let mut connection = connect(options).await?;
    let has_table = async |connection: &mut PgConnection, table: &'static str| {
        let asked = sqlx::query_scalar(HAS_TABLE).bind(table).fetch_one(connection).await;
        asked.map_err(LogError::unavailable("read"))
    };
    if !has_table(&mut connection, "events").await? {
        return Ok(Origin::default());
    }
    let marks = if has_table(&mut connection, "log_marks").await? {
        sqlx::query_scalar(marks::MARKS).fetch_all(&mut connection).await
    } else {
        Ok(Vec::new())
    };
    Origin::of(
        marks,
        sqlx::query_scalar(marks::HAS_EVENTS).fetch_one(&mut connection).await,
        sqlx::query_scalar(marks::ORGANIZATIONS).fetch_all(&mut connection).await,
    )
}

/// The events with sealed secrets.
///
/// # Errors
/// [`LogError`] when the server is unavailable, or the tables are not there.
pub async fn secret_events(options: &PgConnectOptions) -> Result<Vec<SecretEvent>, LogError> {
    let mut connection = connect(options).await?;
    honoken_database::ensure_migrated(&mut connection, MIGRATIONS).await?;
    let rows = sqlx::query(SECRET_EVENTS).fetch_all(&mut connection).await;
    let rows = rows.map_err(LogError::unavailable("read"))?;
    Ok(rows.iter().filter_map(secrets::of_postgres).collect())
}

/// Leaves a mark in an event log.
///
/// # Errors
/// [`LogError`] when the server is unavailable, or the tables are not there.
pub async fn put_mark(options: &PgConnectOptions, mark: Mark) -> Result<(), LogError> {
    let mut connection = connect(options).await?;
    honoken_database::ensure_migrated(&mut connection, MIGRATIONS).await?;
    must_be_complete(&mut connection).await?;
    let put = sqlx::query(marks::PUT).bind(mark.as_str()).execute(&mut connection).await;
    put.map(drop).map_err(LogError::unavailable("written"))
}

impl PostgresLog {
    /// Opens the event log, whose tables must have been made by [`migrate`]. It gets `new_epoch` when it is new, or when it is set back while it
    /// is open.
    ///
    /// # Errors
    /// [`LogError`] when the server is unavailable, or its schema is older than this release needs.
    pub async fn open(options: &PgConnectOptions, new_epoch: Epoch) -> Result<Self, LogError> {
        let mut connection = connect(options).await?;
        honoken_database::ensure_migrated(&mut connection, MIGRATIONS).await?;
        must_be_complete(&mut connection).await?;
        let epoch = put_epoch(&mut connection, epoch::CREATE, new_epoch)
            .await
            .map_err(LogError::unavailable("opened"))?;
        let newest: i64 = sqlx::query_scalar(HEAD.newest)
            .fetch_one(&mut connection)
            .await
            .map_err(LogError::unavailable("opened"))?;
        let knowledge = Arc::new(Knowledge::new(Position(newest.cast_unsigned())));
        let head = knowledge.head();
        let readers = open_readers(options, READERS);
        let hearing = knowledge.clone();
        let wakeups = Wakeups::start(readers.clone(), HEAD, move |position| hearing.advances_to(position));
        let streams = Streams(PostgresEventRepository::new(readers.clone()));
        let turns = Turns::new(options);
        let writer = Writer::new(options.clone(), connection, knowledge.clone(), wakeups);
        let writer = GroupCommit::start(writer);
        let set_back = CancellationToken::new();
        let epochs = (epoch, epoch.another(new_epoch));
        let watching = set_back::watch(readers.clone(), knowledge, epochs, set_back.clone());
        let watching = AbortOnDropHandle::new(tokio::spawn(watching));
        Ok(Self { writer, readers, turns, streams, head, epoch, set_back, watching })
    }

    /// Ends when the writer does, which it never should before [`PostgresLog::close`]: nothing can be appended any longer. It also ends when the
    /// event log was set back, and has to be opened anew.
    pub async fn ended(&self) {
        tokio::select! {
            () = self.writer.ended() => {}
            () = self.set_back.cancelled() => {}
        }
    }

    /// Whether the store refused the last change, and nothing has shown since that it takes changes.
    pub fn refuses_writes(&self) -> bool {
        self.writer.refuses_writes()
    }

    /// What it says of itself.
    pub(crate) async fn identity(&self) -> Result<Identity, LogError> {
        let marks = within(sqlx::query_scalar(marks::MARKS).fetch_all(&self.readers)).await;
        let marks: Vec<String> = marks.map_err(LogError::unavailable("read"))?;
        Ok(Identity {
            epoch: self.epoch,
            is_gapless: true,
            marks: marks.iter().filter_map(|mark| Mark::of_a_process(mark)).collect(),
        })
    }

    /// Some events behind a position, as they are stored.
    pub(crate) async fn stored_after(&self, position: Position) -> Result<Vec<StoredEvent>, LogError> {
        let rows =
            sqlx::query(READ_AFTER).bind(position.0.cast_signed()).bind(BATCH_ROWS).fetch(&self.readers);
        within(batch(rows)).await.map_err(LogError::unavailable("read"))?
    }

    /// Streams that lack events.
    pub(crate) async fn streams_with_gaps(&self, limit: u32) -> Result<Vec<String>, LogError> {
        // However long it takes: it reads the whole index.
        let rows = sqlx::query(GAPS).bind(i64::from(limit)).fetch_all(&self.readers).await;
        let streams = rows.and_then(|rows| stored::streams(&rows));
        streams.map_err(LogError::unavailable("read"))
    }

    /// The connections for reading.
    pub fn pool(&self) -> Pool {
        (&self.readers).into()
    }

    /// Finishes the appends that wait and closes the connections.
    pub async fn close(self) {
        drop(self.watching);
        self.writer.close().await;
        self.turns.close().await;
        self.readers.close().await;
    }
}

impl PostgresLog {
    /// A stream that may hold an event which cannot be read.
    async fn load_by_bytes<A: Aggregate>(
        &self,
        aggregate_id: &str,
        after_sequence: u64,
    ) -> Result<Vec<SerializedEvent>, LogError> {
        let asked = sqlx::query(LOAD)
            .bind(A::TYPE)
            .bind(aggregate_id)
            .bind(after_sequence.cast_signed())
            .fetch_all(&self.readers);
        let rows = within(asked).await.map_err(LogError::unavailable("loaded"))?;
        stored::all(&rows, "loaded")
    }
}

async fn must_be_complete(connection: &mut PgConnection) -> Result<(), LogError> {
    let filling = sqlx::query_scalar(marks::IS_FILLING).fetch_one(connection).await;
    if filling.map_err(LogError::unavailable("opened"))? {
        return Err(LogError::Filling);
    }
    Ok(())
}

/// Connects to a log that no process uses, to fill it.
pub(crate) async fn connect_migrated(options: &PgConnectOptions) -> Result<PgConnection, LogError> {
    let mut connection = connect(options).await?;
    honoken_database::ensure_migrated(&mut connection, MIGRATIONS).await?;
    Ok(connection)
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, LogError> {
    open_writer(options).await.map_err(LogError::unavailable("opened"))
}

/// Ensures that there is an epoch, and reads it.
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
            match usize::try_from(after_sequence).unwrap_or(usize::MAX) {
                0 => streams.get_events::<A>(aggregate_id).await,
                after => streams.get_last_events::<A>(aggregate_id, after).await,
            }
        };
        let asked = AssertUnwindSafe(asked).catch_unwind();
        // `within` gives up with an error of the driver's, and postgres-es wraps the driver's in its own.
        match within(async { Ok(asked.await) }).await.map_err(LogError::unavailable("loaded"))? {
            Ok(events) => events.map_err(LogError::unavailable("loaded")),
            // postgres-es panics on a row that does not decode. Which row that is, and why, can be seen in its bytes.
            Err(_) => self.load_by_bytes::<A>(aggregate_id, after_sequence).await,
        }
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
        stored::known_parts(&rows, "read")
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
        let asked = sqlx::query(READ_AFTER)
            .bind(position.0.cast_signed())
            .bind(i64::from(limit))
            .fetch_all(&self.readers);
        let rows = within(asked).await.map_err(LogError::unavailable("read"))?;
        stored::readable(&rows, "read")
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
        snapshots::loaded(within(asked).await)
    }

    fn store_snapshot(&self, aggregate_type: &'static str, aggregate_id: String, snapshot: StoredSnapshot) {
        self.writer.store_snapshot((aggregate_type, aggregate_id, snapshot));
    }
}
