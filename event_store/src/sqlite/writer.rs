//! The one writer: takes the appends that wait, commits them together, answers each.

use std::collections::HashMap;
use std::path::PathBuf;

use serde_json::json;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot, watch};

use crate::database::{self, Durability};
use crate::log::{Append, AppendError, LogError, Position};
use crate::snapshots::StoredSnapshot;

/// Type and id of an aggregate, and its state.
type NewSnapshot = (&'static str, String, StoredSnapshot);

/// Appends committed with one sync at the most, so that the last of a crowd does not wait for all of it.
const BATCH: usize = 256;

/// What the writer is asked to write.
#[derive(Debug)]
pub(super) enum Request {
    /// An append, and where its outcome goes.
    Append { append: Append, answer: oneshot::Sender<Result<Position, AppendError>> },
    /// A snapshot, of which nobody waits to hear.
    Snapshot { aggregate_type: &'static str, aggregate_id: String, snapshot: StoredSnapshot },
}

pub(super) struct Writer {
    file: PathBuf,
    /// `None` after a failure, until it has been opened again.
    connection: Option<SqliteConnection>,
    head: watch::Sender<Position>,
}

impl Writer {
    pub(super) fn new(file: PathBuf, connection: SqliteConnection, head: watch::Sender<Position>) -> Self {
        Self { file, connection: Some(connection), head }
    }

    /// Serves the queue until all its senders are gone.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<Request>) {
        let mut batch = Vec::with_capacity(BATCH);
        while queue.recv_many(&mut batch, BATCH).await > 0 {
            self.serve(std::mem::take(&mut batch)).await;
        }
        if let Some(connection) = self.connection
            && let Err(fault) = connection.close().await
        {
            tracing::error!(error = %fault, "the event log did not close cleanly");
        }
    }

    async fn serve(&mut self, batch: Vec<Request>) {
        let (mut appends, mut answers, mut snapshots) = (Vec::new(), Vec::new(), Vec::new());
        for request in batch {
            match request {
                Request::Append { append, answer } => {
                    appends.push(append);
                    answers.push(answer);
                }
                Request::Snapshot { aggregate_type, aggregate_id, snapshot } => {
                    snapshots.push((aggregate_type, aggregate_id, snapshot));
                }
            }
        }
        let outcomes = match self.commit(appends, &snapshots).await {
            Ok(outcomes) => outcomes,
            Err(fault) => {
                tracing::error!(error = %fault, appends = answers.len(), "could not append to the event log");
                let refused =
                    |_| Err(LogError::Unavailable { doing: "written", source: shared(&fault) }.into());
                answers.iter().map(refused).collect()
            }
        };
        for (answer, outcome) in answers.into_iter().zip(outcomes) {
            // A caller that has gone away keeps what it asked for; nobody is left to tell.
            let _ = answer.send(outcome);
        }
    }

    /// Commits what is not stale. After any failure the connection is given up and the file is asked again what it holds, since the
    /// driver cannot say how far a failed commit came.
    async fn commit(
        &mut self,
        appends: Vec<Append>,
        snapshots: &[NewSnapshot],
    ) -> sqlx::Result<Vec<Result<Position, AppendError>>> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.reopen().await?,
        };
        let head = *self.head.borrow();
        match write_all(&mut connection, head, appends, snapshots).await {
            Ok((head, outcomes)) => {
                self.connection = Some(connection);
                self.head.send_if_modified(|known| std::mem::replace(known, head) != head);
                Ok(outcomes)
            }
            Err(fault) => {
                super::discard(connection).await;
                Err(fault)
            }
        }
    }

    async fn reopen(&self) -> sqlx::Result<SqliteConnection> {
        let mut connection = database::open_writer(&self.file, Durability::EveryCommit).await?;
        let head = read_head(&mut connection).await?;
        self.head.send_if_modified(|known| std::mem::replace(known, head) != head);
        Ok(connection)
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
) -> sqlx::Result<(Position, Vec<Result<Position, AppendError>>)> {
    let mut transaction = connection.begin_with("begin immediate").await?;
    let mut sequences = stream_heads(&mut transaction, &appends).await?;
    let mut position = head.0;
    let mut rows = Vec::with_capacity(appends.len());
    let mut outcomes = Vec::with_capacity(appends.len());
    for append in appends {
        let stream = (append.aggregate_type, append.aggregate_id.clone());
        let sequence = sequences.entry(stream).or_default();
        if *sequence != append.expected_sequence {
            outcomes.push(Err(AppendError::Conflict));
            continue;
        }
        for event in append.events {
            *sequence += 1;
            position += 1;
            rows.push(json!([
                position,
                append.aggregate_type,
                append.aggregate_id,
                *sequence,
                event.event_type,
                event.event_version,
                event.payload,
                append.metadata,
                append.recorded_at_ms
            ]));
        }
        outcomes.push(Ok(Position(position)));
    }
    if rows.is_empty() && snapshots.is_empty() {
        transaction.rollback().await?;
        return Ok((head, outcomes));
    }
    if !rows.is_empty() {
        insert(&mut transaction, rows).await?;
    }
    for snapshot in snapshots {
        put_snapshot(&mut transaction, snapshot).await?;
    }
    transaction.commit().await?;
    Ok((Position(position), outcomes))
}

/// The last sequence of each stream that is written to; a stream that is missing here is empty.
async fn stream_heads(
    connection: &mut SqliteConnection,
    appends: &[Append],
) -> sqlx::Result<HashMap<(&'static str, String), u64>> {
    let streams: Vec<_> =
        appends.iter().map(|append| (append.aggregate_type, &append.aggregate_id)).collect();
    let heads: Vec<(i64, i64)> = sqlx::query_as(
        "select wanted.key,
                coalesce((select max(sequence) from events
                          where aggregate_type = wanted.value ->> 0 and aggregate_id = wanted.value ->> 1), 0)
         from json_each($1) as wanted",
    )
    .bind(json!(streams).to_string())
    .fetch_all(connection)
    .await?;
    let head_of = |(index, sequence): (i64, i64)| {
        let append = appends.get(usize::try_from(index).ok()?)?;
        Some(((append.aggregate_type, append.aggregate_id.clone()), sequence.cast_unsigned()))
    };
    Ok(heads.into_iter().filter_map(head_of).collect())
}

/// One statement for all rows: a round trip to the database's thread costs as much as several inserts.
async fn insert(connection: &mut SqliteConnection, rows: Vec<serde_json::Value>) -> sqlx::Result<()> {
    sqlx::query(
        "insert into events (position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at)
         select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7, value ->> 8
         from json_each($1)
         order by key",
    )
    .bind(serde_json::Value::Array(rows).to_string())
    .execute(connection)
    .await?;
    Ok(())
}

/// An older state does not take the place of a newer one, which another writer of the same aggregate may have offered.
async fn put_snapshot(
    connection: &mut SqliteConnection,
    (aggregate_type, aggregate_id, snapshot): &NewSnapshot,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into snapshots (aggregate_type, aggregate_id, sequence, position, shape, state)
         values ($1, $2, $3, $4, $5, $6)
         on conflict (aggregate_type, aggregate_id) do update
         set sequence = excluded.sequence, position = excluded.position, shape = excluded.shape, state = excluded.state
         where excluded.sequence > snapshots.sequence or excluded.shape <> snapshots.shape",
    )
    .bind(aggregate_type)
    .bind(aggregate_id)
    .bind(snapshot.sequence.cast_signed())
    .bind(snapshot.position.0.cast_signed())
    .bind(snapshot.shape)
    .bind(&snapshot.state)
    .execute(connection)
    .await?;
    Ok(())
}

/// `sqlx::Error` cannot be cloned, and every append of the batch wants to know; the log line above has the original.
fn shared(fault: &sqlx::Error) -> sqlx::Error {
    sqlx::Error::Protocol(fault.to_string())
}
