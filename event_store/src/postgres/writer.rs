//! How a batch gets to the server: one transaction under the lock of the event log.
//!
//! The lock makes positions strictly increasing in the order of commits: its holder reads the head, writes behind it, and lets go of the lock
//! with the commit. A function of the database does all but the commit in one call (`append_events.rs`). It is an advisory lock and not a row, so
//! that nothing is written for it. Between two batches the next transaction has begun already, without the lock. A process that is frozen while it holds the lock loses it after [`SILENCE`], together with its session and its
//! transaction.

use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, Executor, PgConnection};

use super::append_events::{append_events, put_snapshots, rounds};
use super::set_back::{Identity, Knowledge, Seen};
use super::wakeups::Wakeups;
use crate::error::AppendError;
use crate::event::Append;
use crate::group_commit::{Commit, Failure, NewRow, NewSnapshot, Outcome};
use crate::position::Position;
use crate::write_probe;
use honoken_database::postgres::{SILENCE, open_writer, within};

/// Begins. At this level of isolation, every later question sees all earlier commits, and the level does not depend on the server's default.
const BEGIN: &str = "begin isolation level read committed";

/// The same, and takes the lock, in one message. Its number is "honoken" in ASCII.
const BEGIN_WITH_LOCK: &str = "\
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
    /// Whether a transaction has begun on it, for a batch that is to come. It holds no lock, and has seen nothing.
    has_begun: bool,
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
        Self { options, connection: Some(connection), has_begun: false, knowledge, wakeups }
    }

    /// Begins a transaction. The connection that was kept may have been lost since; where nothing has begun, it can begin on another.
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

    /// Hands a batch to the server. Where the transaction has begun before, its connection may have been lost since; nothing was to be committed on it
    /// then, so that the batch can begin on another.
    async fn prepare(
        &mut self,
        appends: &[Append],
        snapshots: &[NewSnapshot],
    ) -> sqlx::Result<(PgConnection, Prepared)> {
        let seen = self.knowledge.seen();
        if std::mem::take(&mut self.has_begun)
            && let Some(mut connection) = self.connection.take()
        {
            match within(prepare(&mut connection, appends, snapshots, &seen)).await {
                Ok(prepared) => return Ok((connection, prepared)),
                Err(fault) if was_lost(&fault) => {
                    tracing::debug!(error = %fault, "a connection of the event log was lost; opening another one");
                }
                Err(fault) => return Err(fault),
            }
        }
        let mut connection = self.begin(BEGIN).await?;
        let prepared = within(prepare(&mut connection, appends, snapshots, &seen)).await?;
        Ok((connection, prepared))
    }

    /// Looks on other connections whether the event log has the last event of a batch whose commit was not answered. `None` when the server does
    /// not answer.
    ///
    /// The lock comes first: the session that was lost has it until its transaction has ended, one way or the other. The event itself is looked
    /// for, and not the number of the transaction: a server that crashes before it has written a number down gives it to the next.
    async fn was_committed(&self, last: &NewRow) -> Option<bool> {
        let ask = async || {
            let mut connection = open_writer(&self.options).await?;
            say(&mut connection, BEGIN_WITH_LOCK).await?;
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
        let (mut connection, prepared) = self.prepare(&appends, snapshots).await.map_err(Failure::Refused)?;
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

    async fn get_ready(&mut self) -> bool {
        if !self.has_begun
            && let Some(mut connection) = self.connection.take()
            && within(say(&mut connection, BEGIN)).await.is_ok()
        {
            self.connection = Some(connection);
            self.has_begun = true;
        }
        self.has_begun
    }

    async fn stand_down(&mut self) {
        self.has_begun = false;
        if let Some(mut connection) = self.connection.take()
            && within(say(&mut connection, "rollback")).await.is_ok()
        {
            self.connection = Some(connection);
        }
    }

    async fn probe(&mut self, bytes: usize) -> sqlx::Result<()> {
        self.stand_down().await;
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
    appends: &[Append],
    snapshots: &[NewSnapshot],
    seen: &Seen,
) -> sqlx::Result<Prepared> {
    let mut outcomes: Vec<Outcome> = appends.iter().map(|_| Err(AppendError::Conflict)).collect();
    let (mut head, mut last) = (Position(0), None);
    for round in rounds(appends) {
        let appended = append_events(&mut *connection, &round, seen).await?;
        head = appended.head;
        for ((number, append), is_stale) in round.into_iter().zip(appended.are_stale) {
            if !is_stale {
                head.0 += append.events.len() as u64;
                outcomes[number] = Ok(head);
                last = last_row(append, head);
            }
        }
    }
    if !snapshots.is_empty() {
        put_snapshots(&mut *connection, snapshots).await?;
    }
    let writes = last.is_some() || !snapshots.is_empty();
    Ok(Prepared { head, outcomes, writes, last })
}

/// The last event of an append, which is at this position.
fn last_row(append: &Append, position: Position) -> Option<NewRow> {
    let event = append.events.last()?;
    Some(NewRow {
        position: position.0,
        aggregate_type: append.aggregate_type,
        aggregate_id: append.aggregate_id.clone(),
        sequence: append.expected_sequence + append.events.len() as u64,
        event_type: event.event_type.clone(),
        event_version: event.event_version.clone(),
        payload: event.payload.clone(),
        metadata: append.metadata.clone(),
        recorded_at_ms: append.recorded_at_ms,
    })
}

/// The caller has begun a transaction.
async fn probe(connection: &mut PgConnection, bytes: usize) -> sqlx::Result<()> {
    sqlx::query(write_probe::PUT).bind(write_probe::filler(bytes)).execute(&mut *connection).await?;
    say(connection, "commit").await?;
    sqlx::query(write_probe::CLEAR).execute(connection).await?;
    Ok(())
}
