//! A log that is being filled.

use std::path::Path;

use honoken_database::postgres::within;
use honoken_database::sqlite_file::SqliteFile;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, SqliteConnection};

use super::error::TransferError;
use super::stored_event::{BATCH_ROWS, StoredEvent, batch};
use super::{Checksum, Identity, number};
use crate::epoch::{self, Epoch};
use crate::error::LogError;
#[cfg(feature = "kurrentdb")]
use crate::kurrentdb::KurrentTarget;
use crate::marks::{self, Mark};
use crate::position::Position;
use crate::stored::{self, GAPS, READ_AFTER};
use crate::{postgres, sqlite};

/// A log that is being filled. Nothing else may use it meanwhile: its mark sees to that.
pub struct Target(Place);

enum Place {
    File(SqliteFile, SqliteConnection),
    Server(PgConnection),
    #[cfg(feature = "kurrentdb")]
    Kurrent(Box<KurrentTarget>),
}

/// The head of a log, with its epoch if it has one.
const HEAD: &str = "select coalesce(max(position), 0) from events";

/// On SQLite one row at a time: the statement stays prepared.
const INSERT: &str = "\
    insert into events (position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// On Postgres all rows of a batch.
const COPY: &str = "\
    copy events (position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at) from stdin";

impl Target {
    /// A log in a file, which is made where it is missing. No process may be using it.
    ///
    /// # Errors
    /// [`LogError`] when it cannot be opened or brought to the newest schema.
    pub async fn in_file(file: &Path) -> Result<Self, LogError> {
        let (file, connection) = sqlite::open_closed(file).await?;
        Ok(Self(Place::File(file, connection)))
    }

    /// A log on a server, whose tables are there.
    ///
    /// # Errors
    /// [`LogError`] when it is unavailable, or its tables are not those of this release.
    pub async fn on_server(options: &PgConnectOptions) -> Result<Self, LogError> {
        Ok(Self(Place::Server(postgres::connect_migrated(options).await?)))
    }

    /// A log on KurrentDB.
    ///
    /// # Errors
    /// [`LogError`] when the server is unavailable.
    #[cfg(feature = "kurrentdb")]
    pub async fn on_kurrentdb(address: &crate::kurrentdb::Address) -> Result<Self, LogError> {
        Ok(Self(Place::Kurrent(Box::new(KurrentTarget::open(address).await?))))
    }

    /// Whether events get the positions that they have when they are appended.
    pub fn keeps_positions(&self) -> bool {
        match &self.0 {
            Place::File(..) | Place::Server(_) => true,
            #[cfg(feature = "kurrentdb")]
            Place::Kurrent(_) => false,
        }
    }

    /// Whether a copy here has other positions than the original, and therefore another epoch: then its events are numbered from 1 on.
    pub(crate) fn renumbers(&self, of: &Identity) -> bool {
        !(of.is_gapless && self.keeps_positions())
    }

    /// Compares the log with another whose events it is to take, and answers the position that it has come to: the number of its events where they
    /// are numbered. An empty one is claimed at once; the caller claims another after it has compared more than that.
    ///
    /// # Errors
    /// [`TransferError::Another`] and [`TransferError::Used`] when it is neither empty nor a copy; nothing is changed then.
    pub async fn begin(&mut self, of: &Identity) -> Result<Position, TransferError> {
        let head = self.head().await?;
        let marks = self.marks().await?;
        if head == Position(0) {
            if marks.iter().any(|mark| mark != Mark::Filling.as_str()) {
                return Err(TransferError::Used);
            }
            self.claim(of).await?;
        } else {
            let (theirs, ours) = (self.epoch().await?, self.epoch_of_a_copy(of));
            if theirs != ours {
                return Err(TransferError::Another { theirs, ours });
            }
        }
        Ok(head)
    }

    fn epoch_of_a_copy(&self, of: &Identity) -> Epoch {
        if self.renumbers(of) { of.epoch.of_a_renumbered_copy() } else { of.epoch }
    }

    /// Keeps all others from using the log until it is finished.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn claim(&mut self, of: &Identity) -> Result<(), LogError> {
        let epoch = self.epoch_of_a_copy(of);
        #[cfg(feature = "kurrentdb")]
        if let Place::Kurrent(log) = &mut self.0 {
            return log.claim(epoch).await;
        }
        self.execute(marks::PUT, Mark::Filling.as_str()).await?;
        self.execute(epoch::CHANGE, &epoch.to_string()).await
    }

    /// Appends events with the positions that they have, all of them or none; on KurrentDB one after the other.
    ///
    /// # Errors
    /// When the store does not take them.
    pub async fn append(&mut self, events: &[StoredEvent]) -> Result<(), LogError> {
        if events.is_empty() {
            return Ok(());
        }
        let appended = match &mut self.0 {
            Place::File(file, connection) => file.heeds(insert_all(connection, events).await),
            Place::Server(connection) => copy_in(connection, events).await,
            #[cfg(feature = "kurrentdb")]
            Place::Kurrent(log) => return log.append(events).await,
        };
        appended.map_err(LogError::unavailable("written"))
    }

    /// Whether it has an event, as it is.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn has(&mut self, event: &StoredEvent) -> Result<bool, LogError> {
        let before = event.position.0.saturating_sub(1);
        #[cfg(feature = "kurrentdb")]
        if let Place::Kurrent(log) = &self.0 {
            // Found by counting.
            let (mut position, mut count) = (Position(0), 0);
            loop {
                let mut events = log.stored_after(position).await?;
                let Some(last) = events.last() else { return Ok(false) };
                position = last.position;
                number(&mut events, count);
                count += events.len() as u64;
                if count > before {
                    return Ok(events.iter().any(|found| found == event));
                }
            }
        }
        Ok(self.stored_after(Position(before), 1).await?.first() == Some(event))
    }

    /// The number and the hash of all its events, told of each batch.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn checksum(&mut self, mut read: impl FnMut(Position)) -> Result<Checksum, LogError> {
        let (mut checksum, mut position) = (Checksum::default(), Position(0));
        loop {
            let mut events = self.stored_after(position, BATCH_ROWS).await?;
            let Some(last) = events.last() else { return Ok(checksum) };
            position = last.position;
            if !self.keeps_positions() {
                number(&mut events, checksum.events());
            }
            checksum.add(&events);
            read(checksum.last());
        }
    }

    /// A stream that lacks an event, if there is one, as its aggregate's type and id.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn stream_with_a_gap(&mut self) -> Result<Option<String>, LogError> {
        let streams = match &mut self.0 {
            Place::File(file, connection) => {
                let rows = file.heeds(sqlx::query(GAPS).bind(1_i64).fetch_all(connection).await);
                rows.and_then(|rows| stored::streams(&rows))
            }
            Place::Server(connection) => {
                let rows = sqlx::query(GAPS).bind(1_i64).fetch_all(connection).await;
                rows.and_then(|rows| stored::streams(&rows))
            }
            // It takes no event out of its turn.
            #[cfg(feature = "kurrentdb")]
            Place::Kurrent(_) => return Ok(None),
        };
        Ok(streams.map_err(LogError::unavailable("read"))?.pop())
    }

    /// Lets the log be used: it has everything.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn finish(&mut self, of: &Identity) -> Result<(), LogError> {
        #[cfg(feature = "kurrentdb")]
        if let Place::Kurrent(log) = &self.0 {
            return log.finish(&of.marks).await;
        }
        for mark in &of.marks {
            self.execute(marks::PUT, mark.as_str()).await?;
        }
        self.execute(marks::REMOVE, Mark::Filling.as_str()).await
    }

    /// Closes it.
    ///
    /// # Errors
    /// When what was written last could not be brought to its place.
    pub async fn close(self) -> Result<(), LogError> {
        let closed = match self.0 {
            Place::File(_, connection) => connection.close().await,
            Place::Server(connection) => connection.close().await,
            #[cfg(feature = "kurrentdb")]
            Place::Kurrent(_) => Ok(()),
        };
        closed.map_err(LogError::unavailable("closed"))
    }

    async fn stored_after(&mut self, position: Position, rows: i64) -> Result<Vec<StoredEvent>, LogError> {
        let after = position.0.cast_signed();
        let read = match &mut self.0 {
            Place::File(file, connection) => {
                file.heeds(batch(sqlx::query(READ_AFTER).bind(after).bind(rows).fetch(connection)).await)
            }
            Place::Server(connection) => {
                within(batch(sqlx::query(READ_AFTER).bind(after).bind(rows).fetch(connection))).await
            }
            #[cfg(feature = "kurrentdb")]
            Place::Kurrent(log) => return log.stored_after(position).await,
        };
        read.map_err(LogError::unavailable("read"))?
    }

    async fn head(&mut self) -> Result<Position, LogError> {
        let head: sqlx::Result<i64> = match &mut self.0 {
            Place::File(file, connection) => file.heeds(sqlx::query_scalar(HEAD).fetch_one(connection).await),
            Place::Server(connection) => sqlx::query_scalar(HEAD).fetch_one(connection).await,
            #[cfg(feature = "kurrentdb")]
            Place::Kurrent(log) => return log.count().await,
        };
        Ok(Position(head.map_err(LogError::unavailable("read"))?.cast_unsigned()))
    }

    async fn marks(&mut self) -> Result<Vec<String>, LogError> {
        let marks = match &mut self.0 {
            Place::File(_, connection) => sqlx::query_scalar(marks::MARKS).fetch_all(connection).await,
            Place::Server(connection) => sqlx::query_scalar(marks::MARKS).fetch_all(connection).await,
            #[cfg(feature = "kurrentdb")]
            Place::Kurrent(log) => return Ok(log.marks().to_vec()),
        };
        marks.map_err(LogError::unavailable("read"))
    }

    async fn epoch(&mut self) -> Result<Epoch, LogError> {
        let stored: sqlx::Result<String> = match &mut self.0 {
            Place::File(_, connection) => sqlx::query_scalar(epoch::READ).fetch_one(connection).await,
            Place::Server(connection) => sqlx::query_scalar(epoch::READ).fetch_one(connection).await,
            // None is none that any log has.
            #[cfg(feature = "kurrentdb")]
            Place::Kurrent(log) => return Ok(log.epoch().unwrap_or(Epoch(0))),
        };
        stored.and_then(|stored| Epoch::parse(&stored)).map_err(LogError::unavailable("read"))
    }

    /// Executes a statement with one parameter.
    async fn execute(&mut self, statement: &'static str, text: &str) -> Result<(), LogError> {
        let executed = match &mut self.0 {
            Place::File(_, connection) => {
                sqlx::query(statement).bind(text).execute(connection).await.map(drop)
            }
            Place::Server(connection) => {
                sqlx::query(statement).bind(text).execute(connection).await.map(drop)
            }
            // It has no statements, and its callers ask it first.
            #[cfg(feature = "kurrentdb")]
            Place::Kurrent(_) => return Ok(()),
        };
        executed.map_err(LogError::unavailable("written"))
    }
}

async fn insert_all(connection: &mut SqliteConnection, events: &[StoredEvent]) -> sqlx::Result<()> {
    let mut transaction = connection.begin().await?;
    for event in events {
        sqlx::query(INSERT)
            .bind(event.position.0.cast_signed())
            .bind(&event.aggregate_type)
            .bind(&event.aggregate_id)
            .bind(event.sequence)
            .bind(&event.event_type)
            .bind(&event.event_version)
            .bind(&event.payload)
            .bind(&event.metadata)
            .bind(event.recorded_at_ms)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await
}

/// One statement is one transaction.
async fn copy_in(connection: &mut PgConnection, events: &[StoredEvent]) -> sqlx::Result<()> {
    let mut lines = Vec::new();
    for event in events {
        let columns = [
            &event.position.to_string(),
            &event.aggregate_type,
            &event.aggregate_id,
            &event.sequence.to_string(),
            &event.event_type,
            &event.event_version,
            &event.payload,
            &event.metadata,
            &event.recorded_at_ms.to_string(),
        ];
        for (index, column) in columns.into_iter().enumerate() {
            if index > 0 {
                lines.push(b'\t');
            }
            escape_into(&mut lines, column);
        }
        lines.push(b'\n');
    }
    let mut copying = connection.copy_in_raw(COPY).await?;
    if let Err(fault) = copying.send(lines).await {
        copying.abort("it could not be sent").await?;
        return Err(fault);
    }
    copying.finish().await.map(drop)
}

/// The text format of `COPY`: <https://www.postgresql.org/docs/current/sql-copy.html>.
fn escape_into(line: &mut Vec<u8>, column: &str) {
    for byte in column.bytes() {
        match byte {
            b'\\' => line.extend(b"\\\\"),
            b'\t' => line.extend(b"\\t"),
            b'\n' => line.extend(b"\\n"),
            b'\r' => line.extend(b"\\r"),
            other => line.push(other),
        }
    }
}
