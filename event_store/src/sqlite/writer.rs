//! How a batch gets into the file: one transaction on the one writing connection.

use serde_json::json;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::watch;

use crate::event::Append;
use crate::group_commit::{
    Commit, Decided, Failure, NewRow, NewSnapshot, Outcome, StreamHeads, decide, streams,
};
use crate::position::Position;
use crate::snapshots::PUT_SNAPSHOT;
use crate::write_probe;
use honoken_database::sqlite::Durability;
use honoken_database::sqlite_file::SqliteFile;

pub(super) struct Writer {
    file: SqliteFile,
    /// `None` after a failure, until it has been opened again.
    connection: Option<SqliteConnection>,
    head: watch::Sender<Position>,
}

impl Commit for Writer {
    /// After any failure the connection is given up and the file is asked anew for its head, since the driver cannot say how far a failed commit
    /// came.
    async fn commit(
        &mut self,
        appends: Vec<Append>,
        snapshots: &[NewSnapshot],
    ) -> Result<Vec<Outcome>, Failure> {
        let mut connection = self.take_connection().await.map_err(Failure::Refused)?;
        let head = *self.head.borrow();
        match write_all(&mut connection, head, appends, snapshots).await {
            Ok((head, outcomes)) => {
                self.connection = Some(connection);
                self.head.send_if_modified(|known| std::mem::replace(known, head) != head);
                Ok(outcomes)
            }
            Err(failure) => {
                discard(connection).await;
                self.file.heeds(Err(failure))
            }
        }
    }

    async fn probe(&mut self, bytes: usize) -> sqlx::Result<()> {
        let mut connection = self.take_connection().await?;
        match probe(&mut connection, bytes).await {
            Ok(()) => self.connection = Some(connection),
            Err(fault) => {
                discard(connection).await;
                return self.file.heeds(Err(fault));
            }
        }
        Ok(())
    }

    async fn close(self) {
        if let Some(connection) = self.connection
            && let Err(fault) = connection.close().await
        {
            tracing::error!(error = %fault, "the event log did not close cleanly");
        }
    }
}

impl Writer {
    pub(super) fn new(file: SqliteFile, connection: SqliteConnection, head: watch::Sender<Position>) -> Self {
        Self { file, connection: Some(connection), head }
    }

    /// The connection. After a failure it is a new one.
    async fn take_connection(&mut self) -> sqlx::Result<SqliteConnection> {
        match self.connection.take() {
            Some(connection) => Ok(connection),
            None => self.reopen().await,
        }
    }

    async fn reopen(&self) -> sqlx::Result<SqliteConnection> {
        let mut connection = self.file.open_writer(Durability::EveryCommit).await?;
        let head = self.file.heeds(read_head(&mut connection).await)?;
        self.head.send_if_modified(|known| std::mem::replace(known, head) != head);
        Ok(connection)
    }
}

/// Through the write-ahead log, as an append goes.
async fn probe(connection: &mut SqliteConnection, bytes: usize) -> sqlx::Result<()> {
    let mut transaction = connection.begin_with("begin immediate").await?;
    // Taken away first: a row that is written over with the same is not written.
    sqlx::query(write_probe::CLEAR).execute(&mut *transaction).await?;
    sqlx::query(write_probe::PUT).bind(write_probe::filler(bytes)).execute(&mut *transaction).await?;
    transaction.commit().await?;
    sqlx::query(write_probe::CLEAR).execute(connection).await?;
    Ok(())
}

/// Closes a connection that is given up; its own failure tells nothing new.
async fn discard(connection: SqliteConnection) {
    if let Err(fault) = connection.close().await {
        tracing::debug!(error = %fault, "a broken connection did not close");
    }
}

/// The position of the last event in the file.
pub(super) async fn read_head(connection: &mut SqliteConnection) -> sqlx::Result<Position> {
    let head: i64 =
        sqlx::query_scalar("select coalesce(max(position), 0) from events").fetch_one(connection).await?;
    Ok(Position(head.cast_unsigned()))
}

async fn write_all(
    connection: &mut SqliteConnection,
    head: Position,
    appends: Vec<Append>,
    snapshots: &[NewSnapshot],
) -> Result<(Position, Vec<Outcome>), Failure> {
    let refused = Failure::Refused;
    let mut transaction = connection.begin_with("begin immediate").await.map_err(refused)?;
    let heads = stream_heads(&mut transaction, &appends).await.map_err(refused)?;
    let Decided { head, rows, outcomes } = decide(head, heads, appends);
    if rows.is_empty() && snapshots.is_empty() {
        transaction.rollback().await.map_err(refused)?;
        return Ok((head, outcomes));
    }
    if !rows.is_empty() {
        insert(&mut transaction, rows).await.map_err(refused)?;
    }
    for snapshot in snapshots {
        put_snapshot(&mut transaction, snapshot).await.map_err(refused)?;
    }
    transaction.commit().await.map_err(Failure::Unknown)?;
    Ok((head, outcomes))
}

/// One statement for all streams.
async fn stream_heads(connection: &mut SqliteConnection, appends: &[Append]) -> sqlx::Result<StreamHeads> {
    let wanted: Vec<_> = streams(appends).collect();
    let heads: Vec<(i64, i64)> = sqlx::query_as(
        "select wanted.key,
                coalesce((select max(sequence) from events
                          where aggregate_type = wanted.value ->> 0 and aggregate_id = wanted.value ->> 1), 0)
         from json_each($1) as wanted",
    )
    .bind(json!(wanted).to_string())
    .fetch_all(connection)
    .await?;
    let head_of = |(index, sequence): (i64, i64)| {
        let (aggregate_type, aggregate_id) = *wanted.get(usize::try_from(index).ok()?)?;
        Some(((aggregate_type, aggregate_id.to_owned()), sequence.cast_unsigned()))
    };
    Ok(heads.into_iter().filter_map(head_of).collect())
}

/// Few statements for all rows: a round trip to the database's thread costs as much as several inserts.
async fn insert(connection: &mut SqliteConnection, rows: Vec<NewRow>) -> sqlx::Result<()> {
    let mut rows = rows.into_iter();
    while rows.len() > 0 {
        // Powers of two, so that there are a few texts only, which stay prepared.
        let count = (1 << rows.len().ilog2()).min(ROWS);
        let list = vec!["(?, ?, ?, ?, ?, ?, ?, ?, ?)"; count].join(", ");
        let text = format!(
            "insert into events (position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at)
             values {list}"
        );
        let mut insert = sqlx::query(&text);
        for row in rows.by_ref().take(count) {
            insert = insert
                .bind(row.position.cast_signed())
                .bind(row.aggregate_type)
                .bind(row.aggregate_id)
                .bind(row.sequence.cast_signed())
                .bind(row.event_type)
                .bind(row.event_version)
                .bind(row.payload)
                .bind(row.metadata)
                .bind(row.recorded_at_ms);
        }
        insert.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Rows in one statement at the most.
const ROWS: usize = 64;

async fn put_snapshot(
    connection: &mut SqliteConnection,
    (aggregate_type, aggregate_id, snapshot): &NewSnapshot,
) -> sqlx::Result<()> {
    sqlx::query(PUT_SNAPSHOT)
        .bind(aggregate_type)
        .bind(aggregate_id)
        .bind(snapshot.sequence.cast_signed())
        .bind(snapshot.position.0.cast_signed())
        .bind(i64::from(snapshot.shape))
        .bind(&snapshot.state)
        .execute(connection)
        .await?;
    Ok(())
}
