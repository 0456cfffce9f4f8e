//! The event log in one SQLite file.

mod writer;

use std::path::Path;

use cqrs_es::Aggregate;
use cqrs_es::persist::SerializedEvent;
use sqlx::{SqliteConnection, SqlitePool};
use tokio::sync::watch;

use crate::append_socket::{ConnectError, Greeting, Visitor};
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
use honoken_database::sqlite::Durability;
use honoken_database::sqlite_file::SqliteFile;
use honoken_database::{EmbeddedMigration, Pool};
use writer::Writer;

const MIGRATIONS: &[EmbeddedMigration] = &[
    (1, "events", include_str!("../../../migrations/sqlite/event_store/0001_events.sql")),
    (2, "snapshots", include_str!("../../../migrations/sqlite/event_store/0002_snapshots.sql")),
    (3, "log_marks", include_str!("../../../migrations/sqlite/event_store/0003_log_marks.sql")),
    (4, "filling", include_str!("../../../migrations/sqlite/event_store/0004_filling.sql")),
];

/// The remedy for a damaged file.
const REMEDY: &str = "stop the service, put the file from the backup in its place, without -wal and -shm beside it, and run `honoken log restored` before \
                      the service starts";

/// Connections for loading streams and following the event log.
const READERS: u32 = 4;

/// The event log in one SQLite file: `synchronous=FULL`, one writer that commits concurrent appends together.
#[derive(Debug)]
pub struct SqliteLog {
    writing: Writing,
    readers: SqlitePool,
    file: SqliteFile,
    head: watch::Receiver<Position>,
    epoch: Epoch,
}

/// Who writes the file.
#[derive(Debug)]
enum Writing {
    /// This process.
    Here(GroupCommit),
    /// Another one, which takes appends over its socket.
    Elsewhere(Visitor),
}

impl SqliteLog {
    /// Opens the event log, creating it where it is missing. `new_epoch` is used only then.
    ///
    /// # Errors
    /// [`LogError`] when the file cannot be opened or brought to the newest schema.
    pub async fn open(file: &Path, new_epoch: Epoch) -> Result<Self, LogError> {
        let file = SqliteFile::new(file, REMEDY);
        let mut connection = migrated(&file).await?;
        must_be_complete(&file, &mut connection).await?;
        let epoch = file.heeds(put_epoch(&mut connection, epoch::CREATE, new_epoch).await);
        let epoch = epoch.map_err(LogError::unavailable("opened"))?;
        let head = file.heeds(writer::read_head(&mut connection).await);
        let head = head.map_err(LogError::unavailable("opened"))?;
        let (head_sender, head) = watch::channel(head);
        let writer = GroupCommit::start(Writer::new(file.clone(), connection, head_sender));
        let writing = Writing::Here(writer);
        Ok(Self { writing, readers: file.open_readers(READERS), file, head, epoch })
    }

    /// Opens the event log of a process that has the file, for a command of an operator: this one reads the file, and appends over the socket
    /// ([`crate::append_socket`]). The caller compares the greeting with its own release before it appends.
    ///
    /// # Errors
    /// When no process answers on the socket, or the file cannot be read.
    pub async fn beside_its_process(file: &Path, socket: &Path) -> Result<(Self, Greeting), ConnectError> {
        let (visitor, greeting) = Visitor::connect(socket).await?;
        let file = SqliteFile::new(file, REMEDY);
        let mut connection = file.open_reader().await.map_err(LogError::unavailable("opened"))?;
        let epoch = file.heeds(read_epoch(&mut connection).await).map_err(LogError::unavailable("opened"))?;
        let head = file.heeds(writer::read_head(&mut connection).await);
        let head = head.map_err(LogError::unavailable("opened"))?;
        let closed = sqlx::Connection::close(connection).await;
        closed.map_err(LogError::unavailable("opened"))?;
        let head = visitor.follows(head);
        let writing = Writing::Elsewhere(visitor);
        Ok((Self { writing, readers: file.open_readers(READERS), file, head, epoch }, greeting))
    }

    /// Whether the store refused the last change, and nothing has shown since that it takes changes.
    pub fn refuses_writes(&self) -> bool {
        match &self.writing {
            Writing::Here(writer) => writer.refuses_writes(),
            Writing::Elsewhere(_) => false,
        }
    }

    /// Whether the file was found damaged.
    pub fn is_damaged(&self) -> bool {
        self.file.is_damaged()
    }

    /// Ends when the writer does, which it never should before [`SqliteLog::close`]: nothing can be appended any longer.
    pub async fn ended(&self) {
        match &self.writing {
            Writing::Here(writer) => writer.ended().await,
            // Its process sees to that.
            Writing::Elsewhere(_) => std::future::pending().await,
        }
    }

    /// What it says of itself.
    pub(crate) async fn identity(&self) -> Result<Identity, LogError> {
        let marks = sqlx::query_scalar(marks::MARKS).fetch_all(&self.readers).await;
        let marks: Vec<String> = self.file.heeds(marks).map_err(LogError::unavailable("read"))?;
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
        self.file.heeds(batch(rows).await).map_err(LogError::unavailable("read"))?
    }

    /// Streams that lack events.
    pub(crate) async fn streams_with_gaps(&self, limit: u32) -> Result<Vec<String>, LogError> {
        let rows = sqlx::query(GAPS).bind(limit).fetch_all(&self.readers).await;
        let streams = self.file.heeds(rows).and_then(|rows| stored::streams(&rows));
        streams.map_err(LogError::unavailable("read"))
    }

    /// The connections for reading.
    pub fn pool(&self) -> Pool {
        (&self.readers).into()
    }

    /// Finishes the appends that wait and closes the file.
    pub async fn close(self) {
        // The readers first: only if the writer is the last does it bring the write-ahead log into the file and remove it.
        self.readers.close().await;
        match self.writing {
            Writing::Here(writer) => writer.close().await,
            Writing::Elsewhere(visitor) => drop(visitor),
        }
    }
}

/// Gives the event log of a closed file another epoch, so that earlier tags of phones are foreign.
///
/// # Errors
/// [`LogError`] when the file cannot be opened or written.
pub async fn change_epoch(file: &Path, epoch: Epoch) -> Result<Epoch, LogError> {
    let file = SqliteFile::new(file, REMEDY);
    let mut connection = migrated(&file).await?;
    let changed = file.heeds(put_epoch(&mut connection, epoch::CHANGE, epoch).await);
    let closed = sqlx::Connection::close(connection).await;
    changed.and_then(|epoch| closed.map(|()| epoch)).map_err(LogError::unavailable("written"))
}

/// What is known about the beginning of the event log in a closed file.
///
/// # Errors
/// [`LogError`] when the file cannot be opened or read.
pub async fn origin(file: &Path) -> Result<Origin, LogError> {
    let file = SqliteFile::new(file, REMEDY);
    let mut connection = migrated(&file).await?;
    let known = Origin::of(
        file.heeds(sqlx::query_scalar(marks::MARKS).fetch_all(&mut connection).await),
        file.heeds(sqlx::query_scalar(marks::HAS_EVENTS).fetch_one(&mut connection).await),
        file.heeds(sqlx::query_scalar(marks::ORGANIZATIONS).fetch_all(&mut connection).await),
    );
    let closed = sqlx::Connection::close(connection).await;
    known.and_then(|known| closed.map(|()| known).map_err(LogError::unavailable("read")))
}

/// The events with sealed secrets in a closed file.
///
/// # Errors
/// [`LogError`] when the file cannot be opened or read.
pub async fn secret_events(file: &Path) -> Result<Vec<SecretEvent>, LogError> {
    let file = SqliteFile::new(file, REMEDY);
    let mut connection = migrated(&file).await?;
    let rows = file.heeds(sqlx::query(SECRET_EVENTS).fetch_all(&mut connection).await);
    let closed = sqlx::Connection::close(connection).await;
    let rows = rows.and_then(|rows| closed.map(|()| rows)).map_err(LogError::unavailable("read"))?;
    Ok(rows.iter().filter_map(secrets::of_sqlite).collect())
}

/// Leaves a mark in the event log of a closed file, which is made where it is missing.
///
/// # Errors
/// [`LogError`] when the file cannot be opened or written.
pub async fn put_mark(file: &Path, mark: Mark) -> Result<(), LogError> {
    let file = SqliteFile::new(file, REMEDY);
    let mut connection = migrated(&file).await?;
    must_be_complete(&file, &mut connection).await?;
    let put = sqlx::query(marks::PUT).bind(mark.as_str()).execute(&mut connection).await;
    let put = file.heeds(put);
    let closed = sqlx::Connection::close(connection).await;
    put.and(closed).map_err(LogError::unavailable("written"))
}

async fn must_be_complete(file: &SqliteFile, connection: &mut SqliteConnection) -> Result<(), LogError> {
    let filling = sqlx::query_scalar(marks::IS_FILLING).fetch_one(connection).await;
    if file.heeds(filling).map_err(LogError::unavailable("opened"))? {
        return Err(LogError::Filling);
    }
    Ok(())
}

/// Opens the file of a log that no process uses, to fill it.
pub(crate) async fn open_closed(file: &Path) -> Result<(SqliteFile, SqliteConnection), LogError> {
    let file = SqliteFile::new(file, REMEDY);
    let connection = migrated(&file).await?;
    Ok((file, connection))
}

async fn migrated(file: &SqliteFile) -> Result<SqliteConnection, LogError> {
    let opened = file.open_writer(Durability::EveryCommit).await;
    let mut connection = opened.map_err(LogError::unavailable("opened"))?;
    file.heeds(honoken_database::migrate(&mut connection, MIGRATIONS).await)?;
    Ok(connection)
}

/// Ensures that there is an epoch, and reads it.
async fn put_epoch(connection: &mut SqliteConnection, how: &str, epoch: Epoch) -> sqlx::Result<Epoch> {
    sqlx::query(how).bind(epoch.to_string()).execute(&mut *connection).await?;
    read_epoch(connection).await
}

async fn read_epoch(connection: &mut SqliteConnection) -> sqlx::Result<Epoch> {
    let stored: String = sqlx::query_scalar(epoch::READ).fetch_one(connection).await?;
    Epoch::parse(&stored)
}

impl EventLog for SqliteLog {
    async fn append(&self, append: Append) -> Result<Position, AppendError> {
        match &self.writing {
            Writing::Here(writer) => writer.append(append).await,
            Writing::Elsewhere(visitor) => visitor.append(append).await,
        }
    }

    async fn load<A: Aggregate>(
        &self,
        aggregate_id: &str,
        after_sequence: u64,
    ) -> Result<Vec<SerializedEvent>, LogError> {
        let asked = sqlx::query(LOAD)
            .bind(A::TYPE)
            .bind(aggregate_id)
            .bind(after_sequence.cast_signed())
            .fetch_all(&self.readers);
        let rows = self.file.heeds(asked.await).map_err(LogError::unavailable("loaded"))?;
        stored::all(&rows, "loaded")
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
            .bind(limit)
            .fetch_all(&self.readers);
        let rows = self.file.heeds(asked.await).map_err(LogError::unavailable("read"))?;
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
        let position: Option<i64> = self.file.heeds(asked.await).map_err(LogError::unavailable("loaded"))?;
        Ok(position.map(|position| Position(position.cast_unsigned())))
    }

    async fn read_after(&self, position: Position, limit: u32) -> Result<Vec<RecordedEvent>, LogError> {
        let asked =
            sqlx::query(READ_AFTER).bind(position.0.cast_signed()).bind(limit).fetch_all(&self.readers);
        let rows = self.file.heeds(asked.await).map_err(LogError::unavailable("read"))?;
        stored::readable(&rows, "read")
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
        let asked = sqlx::query_as(LOAD_SNAPSHOT)
            .bind(aggregate_type)
            .bind(aggregate_id)
            .fetch_optional(&self.readers);
        snapshots::loaded(self.file.heeds(asked.await))
    }

    fn store_snapshot(&self, aggregate_type: &'static str, aggregate_id: String, snapshot: StoredSnapshot) {
        // Beside another process none is stored: that one's next command for the aggregate does it.
        if let Writing::Here(writer) = &self.writing {
            writer.store_snapshot((aggregate_type, aggregate_id, snapshot));
        }
    }
}
