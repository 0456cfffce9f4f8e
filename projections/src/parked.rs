//! Events that could not be applied, and what waits behind them.
//!
//! A parked event holds up its own aggregate only: later events of the aggregate wait in order, everything else goes on. An operator
//! retries it (after an upgrade, say) or skips it with a reason.

use std::collections::BTreeSet;

use honoken_event_store::{Position, RecordedEvent};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use crate::apply::sequence_of;
use crate::read_model::{QueryError, ReadModel};

/// Type and id of an aggregate.
pub type AggregateKey = (String, String);

/// An event that waits for an operator, or for another event to do so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedEvent {
    /// Where it is in the log.
    pub position: Position,
    /// Type of its aggregate.
    pub aggregate_type: String,
    /// Id of its aggregate. May name a device: shorten it before it is shown.
    pub aggregate_id: String,
    /// Its number within the aggregate.
    pub sequence: u64,
    /// Its name.
    pub event_type: String,
    /// Why it was not applied.
    pub error: String,
    /// Whether it only waits behind an earlier one.
    pub waiting: bool,
}

const COLUMNS: &str = "position, aggregate_type, aggregate_id, sequence, event_type, error, waiting";

impl ReadModel {
    /// The parked events of a projection in log order, at most `limit`.
    pub async fn parked_events(&self, projection: &str, limit: u32) -> Result<Vec<ParkedEvent>, QueryError> {
        let rows = sqlx::query(&format!(
            "select {COLUMNS} from parked_event
             where projection = $1
             order by position
             limit $2"
        ))
        .bind(projection)
        .bind(limit)
        .fetch_all(&self.readers)
        .await;
        rows.and_then(|rows| rows.iter().map(parked_event).collect()).map_err(QueryError::of("parked events"))
    }

    /// How many events of a projection are parked.
    pub async fn parked_count(&self, projection: &str) -> Result<u64, QueryError> {
        let count: sqlx::Result<i64> =
            sqlx::query_scalar("select count(*) from parked_event where projection = $1")
                .bind(projection)
                .fetch_one(&self.readers)
                .await;
        count.map(i64::cast_unsigned).map_err(QueryError::of("parked events"))
    }
}

fn parked_event(row: &SqliteRow) -> sqlx::Result<ParkedEvent> {
    Ok(ParkedEvent {
        position: Position(row.try_get::<i64, _>("position")?.cast_unsigned()),
        aggregate_type: row.try_get("aggregate_type")?,
        aggregate_id: row.try_get("aggregate_id")?,
        sequence: row.try_get::<i64, _>("sequence")?.cast_unsigned(),
        event_type: row.try_get("event_type")?,
        error: row.try_get("error")?,
        waiting: row.try_get("waiting")?,
    })
}

/// The aggregates that have an event parked.
pub(crate) async fn aggregates(
    connection: &mut SqliteConnection,
    projection: &str,
) -> sqlx::Result<BTreeSet<AggregateKey>> {
    let keys: Vec<AggregateKey> = sqlx::query_as(
        "select distinct aggregate_type, aggregate_id from parked_event where projection = $1",
    )
    .bind(projection)
    .fetch_all(connection)
    .await?;
    Ok(keys.into_iter().collect())
}

/// Parks an event. One that merely waits does not take the place of one that is parked for a reason of its own.
pub(crate) async fn park(
    connection: &mut SqliteConnection,
    projection: &str,
    recorded: &RecordedEvent,
    error: &str,
    waiting: bool,
) -> sqlx::Result<()> {
    sqlx::query(
        "insert into parked_event (projection, position, aggregate_type, aggregate_id, sequence, event_type, error, waiting)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (projection, position) do update set error = excluded.error, waiting = excluded.waiting
         where excluded.waiting = 0",
    )
    .bind(projection)
    .bind(recorded.position.0.cast_signed())
    .bind(&recorded.event.aggregate_type)
    .bind(&recorded.event.aggregate_id)
    .bind(sequence_of(recorded))
    .bind(&recorded.event.event_type)
    .bind(error)
    .bind(waiting)
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether this event or an earlier one of its aggregate is parked. Those before the first parked one are not held up when they are read
/// again.
pub(crate) async fn holds_up(
    connection: &mut SqliteConnection,
    projection: &str,
    recorded: &RecordedEvent,
) -> sqlx::Result<bool> {
    sqlx::query_scalar(
        "select exists (select 1 from parked_event
                        where projection = $1 and aggregate_type = $2 and aggregate_id = $3 and position <= $4)",
    )
    .bind(projection)
    .bind(&recorded.event.aggregate_type)
    .bind(&recorded.event.aggregate_id)
    .bind(recorded.position.0.cast_signed())
    .fetch_one(connection)
    .await
}

/// The events behind a position that an operator decided to do without.
pub(crate) async fn skipped_after(
    connection: &mut SqliteConnection,
    projection: &str,
    position: Position,
) -> sqlx::Result<BTreeSet<Position>> {
    let positions: Vec<i64> = sqlx::query_scalar(
        "select position from skipped_event
         where projection = $1 and position > $2",
    )
    .bind(projection)
    .bind(position.0.cast_signed())
    .fetch_all(connection)
    .await?;
    Ok(positions.into_iter().map(|position| Position(position.cast_unsigned())).collect())
}

/// The parked event at a position, if it is the one its aggregate waits for.
pub(crate) async fn blocking(
    connection: &mut SqliteConnection,
    projection: &str,
    position: Position,
) -> sqlx::Result<Option<ParkedEvent>> {
    let row = sqlx::query(&format!(
        "select {COLUMNS} from parked_event
         where projection = $1 and position = $2 and waiting = 0"
    ))
    .bind(projection)
    .bind(position.0.cast_signed())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(parked_event).transpose()
}

/// The positions of one aggregate's parked events, in order.
pub(crate) async fn positions_of(
    connection: &mut SqliteConnection,
    projection: &str,
    (aggregate_type, aggregate_id): &AggregateKey,
) -> sqlx::Result<Vec<Position>> {
    let positions: Vec<i64> = sqlx::query_scalar(
        "select position from parked_event
         where projection = $1 and aggregate_type = $2 and aggregate_id = $3
         order by position",
    )
    .bind(projection)
    .bind(aggregate_type)
    .bind(aggregate_id)
    .fetch_all(connection)
    .await?;
    Ok(positions.into_iter().map(|position| Position(position.cast_unsigned())).collect())
}

pub(crate) async fn unpark(
    connection: &mut SqliteConnection,
    projection: &str,
    position: Position,
) -> sqlx::Result<()> {
    sqlx::query("delete from parked_event where projection = $1 and position = $2")
        .bind(projection)
        .bind(position.0.cast_signed())
        .execute(connection)
        .await?;
    Ok(())
}

/// Remembers that an operator decided to do without an event.
pub(crate) async fn record_skip(
    connection: &mut SqliteConnection,
    projection: &str,
    parked: &ParkedEvent,
    reason: &str,
) -> sqlx::Result<()> {
    sqlx::query("insert into skipped_event (projection, position, error, reason) values ($1, $2, $3, $4)")
        .bind(projection)
        .bind(parked.position.0.cast_signed())
        .bind(&parked.error)
        .bind(reason)
        .execute(&mut *connection)
        .await?;
    unpark(connection, projection, parked.position).await
}
