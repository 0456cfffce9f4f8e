//! How a batch gets into the file: one transaction on the one writing connection.

use futures::StreamExt;
use serde_json::json;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Connection, Executor, Row, Sqlite, SqliteConnection};
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

/// Gives the appends their places, and writes those that are not stale. Few messages to the database's thread: each and its answer cost as much as
/// several inserts.
async fn write_all(
    connection: &mut SqliteConnection,
    head: Position,
    appends: Vec<Append>,
    snapshots: &[NewSnapshot],
) -> Result<(Position, Vec<Outcome>), Failure> {
    let heads = begin(connection, &appends).await.map_err(Failure::Refused)?;
    let Decided { head, rows, outcomes } = decide(head, heads, appends);
    if rows.is_empty() && snapshots.is_empty() {
        sqlx::query("rollback").execute(connection).await.map_err(Failure::Refused)?;
        return Ok((head, outcomes));
    }
    let mut rows = rows.into_iter();
    let before = rows.len().saturating_sub(ROWS);
    insert(connection, rows.by_ref().take(before)).await.map_err(Failure::Refused)?;
    for snapshot in snapshots {
        put_snapshot(&mut *connection, snapshot).await.map_err(Failure::Refused)?;
    }
    insert_and_commit(connection, rows).await?;
    Ok((head, outcomes))
}

/// Begins, and asks for the heads of all streams in the same message.
async fn begin(connection: &mut SqliteConnection, appends: &[Append]) -> sqlx::Result<StreamHeads> {
    let wanted: Vec<_> = streams(appends).collect();
    let rows = sqlx::query(
        "begin immediate;
         select wanted.key,
                coalesce((select max(sequence) from events
                          where aggregate_type = wanted.value ->> 0 and aggregate_id = wanted.value ->> 1), 0) as head
         from json_each($1) as wanted",
    )
    .bind(json!(wanted).to_string())
    .fetch_all(connection)
    .await?;
    let head_of = |row: SqliteRow| {
        let (index, sequence): (i64, i64) = (row.try_get("key")?, row.try_get("head")?);
        let stream = usize::try_from(index).ok().and_then(|index| wanted.get(index));
        Ok(stream.map(|(aggregate_type, id)| ((*aggregate_type, (*id).to_owned()), sequence.cast_unsigned())))
    };
    rows.into_iter().filter_map(|row| head_of(row).transpose()).collect()
}

async fn insert(
    connection: &mut SqliteConnection,
    mut rows: impl ExactSizeIterator<Item = NewRow>,
) -> sqlx::Result<()> {
    while rows.len() > 0 {
        let count = rows.len().min(ROWS);
        let text = insert_of(count);
        rows.by_ref().take(count).fold(sqlx::query(&text), bind).execute(&mut *connection).await?;
    }
    Ok(())
}

/// The last rows, at most [`ROWS`], and the commit in one message.
async fn insert_and_commit(
    connection: &mut SqliteConnection,
    rows: impl ExactSizeIterator<Item = NewRow>,
) -> Result<(), Failure> {
    if rows.len() == 0 {
        sqlx::query("commit").execute(connection).await.map_err(Failure::Unknown)?;
        return Ok(());
    }
    let text = format!("{}; commit", insert_of(rows.len()));
    let mut results = connection.fetch_many(rows.fold(sqlx::query(&text), bind));
    let mut is_inserted = false;
    while let Some(result) = results.next().await {
        match result {
            Ok(_) => is_inserted = true,
            Err(fault) if is_inserted => return Err(Failure::Unknown(fault)),
            Err(fault) => return Err(Failure::Refused(fault)),
        }
    }
    Ok(())
}

/// Rows in one statement at the most. There is a text for every number of them, which stays prepared.
const ROWS: usize = 64;

/// The insert of so many rows.
fn insert_of(count: usize) -> String {
    let list = vec!["(?, ?, ?, ?, ?, ?, ?, ?, ?)"; count].join(", ");
    format!(
        "insert into events (position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at)
         values {list}"
    )
}

type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments<'q>>;

fn bind(insert: Query<'_>, row: NewRow) -> Query<'_> {
    insert
        .bind(row.position.cast_signed())
        .bind(row.aggregate_type)
        .bind(row.aggregate_id)
        .bind(row.sequence.cast_signed())
        .bind(row.event_type)
        .bind(row.event_version)
        .bind(row.payload)
        .bind(row.metadata)
        .bind(row.recorded_at_ms)
}

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
