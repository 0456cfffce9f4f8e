//! How a batch gets to the server: one transaction under the lock of the event log.
//!
//! The lock makes positions strictly increasing in the order of commits: its holder reads the head, writes behind it, and lets go of the lock
//! with the commit. It is an advisory lock and not a row, so that nothing is written for it. A process that is frozen while it holds the lock
//! loses it after [`SILENCE`], together with its session and its transaction.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection};

use super::set_back::{Identity, Knowledge, Seen};
use super::wakeups::Wakeups;
use crate::event::Append;
use crate::group_commit::{
    Commit, Decided, Failure, NewRow, NewSnapshot, Outcome, StreamHeads, decide, streams,
};
use crate::position::Position;
use crate::snapshots::PUT_SNAPSHOT;
use crate::write_probe;
use honoken_database::postgres::{SILENCE, open_writer, within};

/// Begins and takes the lock, in one message. At this level of isolation, every later question sees all earlier commits, and the level does not
/// depend on the server's default. The number of the lock is "honoken" in ASCII.
const BEGIN: &str = "\
    begin isolation level read committed;
    select pg_advisory_xact_lock(29395917684303214)";

/// For how long the server is asked for the fate of a commit that it did not answer, and how long in between. Longer than a session that was cut
/// off keeps its transaction.
const ASKING: Duration = Duration::from_secs(2 * SILENCE.as_secs());
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(250);

pub(super) struct Writer {
    options: PgConnectOptions,
    /// `None` after a failure, until there is a new one.
    connection: Option<PgConnection>,
    knowledge: Arc<Knowledge>,
    wakeups: Wakeups,
}

/// A batch that the server has, but for the commit.
struct Prepared {
    head: Position,
    outcomes: Vec<Outcome>,
    /// Whether there is anything to commit.
    writes: bool,
    /// The last of its events, if it has any.
    last: Option<NewRow>,
}

impl Writer {
    pub(super) fn new(
        options: PgConnectOptions,
        connection: PgConnection,
        knowledge: Arc<Knowledge>,
        wakeups: Wakeups,
    ) -> Self {
        Self { options, connection: Some(connection), knowledge, wakeups }
    }

    /// Begins a transaction; [`BEGIN`] has the lock then. The connection that was kept may have been lost since; where nothing has begun, it can begin
    /// on another.
    async fn begin(&mut self, how: &'static str) -> sqlx::Result<PgConnection> {
        if let Some(mut kept) = self.connection.take() {
            match within(say(&mut kept, how)).await {
                Ok(()) => return Ok(kept),
                Err(fault) if was_lost(&fault) => {
                    tracing::debug!(error = %fault, "a connection of the event log was lost; opening another one");
                }
                Err(fault) => return Err(fault),
            }
        }
        let mut connection = open_writer(&self.options).await?;
        within(say(&mut connection, how)).await?;
        Ok(connection)
    }

    /// Looks on other connections whether the event log has the last event of a batch whose commit was not answered. `None` when the server does
    /// not answer.
    ///
    /// The lock comes first: the session that was lost has it until its transaction has ended, one way or the other. The event itself is looked
    /// for, and not the number of the transaction: a server that crashes before it has written a number down gives it to the next.
    async fn was_committed(&self, last: &NewRow) -> Option<bool> {
        let ask = async || {
            let mut connection = open_writer(&self.options).await?;
            say(&mut connection, BEGIN).await?;
            is_there(&mut connection, last).await
        };
        let asked = async {
            loop {
                match within(ask()).await {
                    Ok(found) => return found,
                    Err(_) => tokio::time::sleep(BETWEEN_QUESTIONS).await,
                }
            }
        };
        tokio::time::timeout(ASKING, asked).await.ok()
    }
}

impl Commit for Writer {
    /// A connection that failed in any way is given up: its open transaction is rolled back with it. Only a commit may have come further than
    /// its answer.
    async fn commit(
        &mut self,
        appends: Vec<Append>,
        snapshots: &[NewSnapshot],
    ) -> Result<Vec<Outcome>, Failure> {
        let seen = self.knowledge.seen();
        let mut connection = self.begin(BEGIN).await.map_err(Failure::Refused)?;
        let prepared =
            within(prepare(&mut connection, appends, snapshots, &seen)).await.map_err(Failure::Refused)?;
        let Prepared { head, outcomes, writes, last } = prepared;
        let newest = last.as_ref().map(Identity::of);
        let end = if writes { "commit" } else { "rollback" };
        match (within(say(&mut connection, end)).await, last) {
            (Ok(()), _) => self.connection = Some(connection),
            // Without events there is nothing whose fate a caller wants to know.
            (Err(fault), None) => return Err(Failure::Refused(fault)),
            (Err(fault), Some(last)) => {
                tracing::warn!(error = %fault, "a commit was not answered; looking up its result");
                drop(connection);
                match self.was_committed(&last).await {
                    Some(true) => {}
                    Some(false) => return Err(Failure::Refused(fault)),
                    None => return Err(Failure::Unknown(fault)),
                }
            }
        }
        self.knowledge.advances_to(head);
        if let Some(newest) = newest {
            self.knowledge.has(newest);
        }
        if outcomes.iter().any(Result::is_ok) {
            self.wakeups.tell(head);
        }
        Ok(outcomes)
    }

    async fn probe(&mut self, bytes: usize) -> sqlx::Result<()> {
        let mut connection = self.begin("begin").await?;
        within(probe(&mut connection, bytes)).await?;
        self.connection = Some(connection);
        Ok(())
    }

    async fn close(self) {
        if let Some(connection) = self.connection
            && let Err(fault) = connection.close().await
        {
            tracing::debug!(error = %fault, "a connection of the event log did not close cleanly");
        }
    }
}

/// Whether the connection was lost, other than by taking too long, or the server ended it because it stops.
fn was_lost(fault: &sqlx::Error) -> bool {
    match fault {
        sqlx::Error::Io(fault) => fault.kind() != std::io::ErrorKind::TimedOut,
        sqlx::Error::Database(fault) => fault.code().is_some_and(|code| code.starts_with("57P")),
        _ => false,
    }
}

/// Executes a statement that has no parameters and no answer.
async fn say(connection: &mut PgConnection, what: &'static str) -> sqlx::Result<()> {
    connection.execute(what).await?;
    Ok(())
}

/// Whether an event is in the event log. JSON comes back as the text that was sent.
async fn is_there(connection: &mut PgConnection, row: &NewRow) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (
             select from events
             where position = $1 and aggregate_type = $2 and aggregate_id = $3 and sequence = $4
               and payload::text = $5 and metadata::text = $6 and recorded_at = $7)",
    )
    .bind(row.position.cast_signed())
    .bind(row.aggregate_type)
    .bind(&row.aggregate_id)
    .bind(row.sequence.cast_signed())
    .bind(&row.payload)
    .bind(&row.metadata)
    .bind(row.recorded_at_ms)
    .fetch_one(connection)
    .await
}

async fn prepare(
    connection: &mut PgConnection,
    appends: Vec<Append>,
    snapshots: &[NewSnapshot],
    seen: &Seen,
) -> sqlx::Result<Prepared> {
    let (head, heads) = heads(&mut *connection, &appends, seen).await?;
    let Decided { head, rows, outcomes } = decide(head, heads, appends);
    if rows.is_empty() && snapshots.is_empty() {
        return Ok(Prepared { head, outcomes, writes: false, last: None });
    }
    let last = rows.last().cloned();
    if !rows.is_empty() {
        insert(&mut *connection, rows).await?;
    }
    for snapshot in snapshots {
        put_snapshot(&mut *connection, snapshot).await?;
    }
    Ok(Prepared { head, outcomes, writes: true, last })
}

/// The head of the event log and those of the streams, in one statement, if it is the event log that was seen. Where nothing is appended, no
/// head is needed.
async fn heads(
    connection: &mut PgConnection,
    appends: &[Append],
    seen: &Seen,
) -> sqlx::Result<(Position, StreamHeads)> {
    let wanted: Vec<_> = streams(appends).collect();
    let (types, ids): (Vec<&str>, Vec<&str>) = wanted.iter().copied().unzip();
    let furthest = seen.furthest.as_ref();
    let rows: Vec<(i64, i64, Option<i64>, bool)> = sqlx::query_as(
        "select (select coalesce(max(position), 0) from events),
                wanted.number,
                (select max(sequence) from events
                 where aggregate_type = wanted.aggregate_type and aggregate_id = wanted.aggregate_id),
                exists (select from events
                        where position = $3 and aggregate_type = $4 and aggregate_id = $5 and sequence = $6 and recorded_at = $7)
         from unnest($1::text[], $2::text[]) with ordinality as wanted (aggregate_type, aggregate_id, number)",
    )
    .bind(types)
    .bind(ids)
    .bind(furthest.map(|event| event.position))
    .bind(furthest.map(|event| event.aggregate_type.as_str()))
    .bind(furthest.map(|event| event.aggregate_id.as_str()))
    .bind(furthest.map(|event| event.sequence))
    .bind(furthest.map(|event| event.recorded_at))
    .fetch_all(connection)
    .await?;
    let Some((head, .., has_furthest)) = rows.first() else { return Ok(Default::default()) };
    let head = Position(head.cast_unsigned());
    if seen.is_lacking(head, *has_furthest) {
        // The task that watches the event log says the rest.
        return Err(sqlx::Error::Protocol("the event log was set back".into()));
    }
    let head_of = |(_, number, sequence, _): (i64, i64, Option<i64>, bool)| {
        let (aggregate_type, aggregate_id) = *wanted.get(usize::try_from(number - 1).ok()?)?;
        Some(((aggregate_type, aggregate_id.to_owned()), sequence?.cast_unsigned()))
    };
    Ok((head, rows.into_iter().filter_map(head_of).collect()))
}

/// The caller has begun a transaction.
async fn probe(connection: &mut PgConnection, bytes: usize) -> sqlx::Result<()> {
    sqlx::query(write_probe::PUT).bind(write_probe::filler(bytes)).execute(&mut *connection).await?;
    say(connection, "commit").await?;
    sqlx::query(write_probe::CLEAR).execute(connection).await?;
    Ok(())
}

/// One statement for all rows.
async fn insert(connection: &mut PgConnection, rows: Vec<NewRow>) -> sqlx::Result<()> {
    let first = rows.first().map_or(0, |row| row.position);
    let mut columns = Columns::default();
    for row in rows {
        columns.aggregate_types.push(row.aggregate_type);
        columns.aggregate_ids.push(row.aggregate_id);
        columns.sequences.push(row.sequence.cast_signed());
        columns.event_types.push(row.event_type);
        columns.event_versions.push(row.event_version);
        columns.payloads.push(row.payload);
        columns.metadata.push(row.metadata);
        columns.recorded_at.push(row.recorded_at_ms);
    }
    sqlx::query(
        "insert into events (position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at)
         select $1 + number - 1, aggregate_type, aggregate_id, sequence, event_type, event_version, payload::json, metadata::json, recorded_at
         from unnest($2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[], $9::bigint[]) with ordinality
           as new (aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at, number)",
    )
    .bind(first.cast_signed())
    .bind(columns.aggregate_types)
    .bind(columns.aggregate_ids)
    .bind(columns.sequences)
    .bind(columns.event_types)
    .bind(columns.event_versions)
    .bind(columns.payloads)
    .bind(columns.metadata)
    .bind(columns.recorded_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Rows, turned by ninety degrees.
#[derive(Default)]
struct Columns {
    aggregate_types: Vec<&'static str>,
    aggregate_ids: Vec<String>,
    sequences: Vec<i64>,
    event_types: Vec<String>,
    event_versions: Vec<String>,
    payloads: Vec<String>,
    metadata: Vec<String>,
    recorded_at: Vec<i64>,
}

async fn put_snapshot(
    connection: &mut PgConnection,
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
