//! Events that could not be applied, and events that wait behind them.
//!
//! A parked event holds up its own aggregate only: later events of the aggregate wait in order, all other aggregates go on. An operator
//! retries it (after an upgrade, say) or skips it with a reason.

use std::collections::BTreeSet;

use honoken_database::statements::{Connection, sql};
use honoken_event_store::{Position, RecordedEvent};

use crate::projector::progress::AggregateKey;
use crate::rows::columns::sequence_of;
use crate::rows::parked_event::{ParkedEvent, parked_event, position_of};

/// The aggregates that have an event parked.
pub(crate) async fn aggregates(
    connection: &mut Connection,
    projection: &str,
) -> sqlx::Result<BTreeSet<AggregateKey>> {
    let rows = sql("select distinct aggregate_type, aggregate_id from parked_event where projection = $1")
        .bind(projection)
        .fetch_all(connection)
        .await?;
    rows.iter().map(|row| Ok((row.get("aggregate_type")?, row.get("aggregate_id")?))).collect()
}

/// Parks an event. An entry with an error of its own is not replaced by one that merely waits.
pub(crate) async fn park(
    connection: &mut Connection,
    projection: &str,
    recorded: &RecordedEvent,
    error: &str,
    waiting: bool,
) -> sqlx::Result<()> {
    sql(
        "insert into parked_event (projection, position, aggregate_type, aggregate_id, sequence, event_type, error, waiting)
         values ($1, $2, $3, $4, $5, $6, $7, $8)
         on conflict (projection, position) do update set error = excluded.error, waiting = excluded.waiting
         where not excluded.waiting",
    )
    .bind(projection)
    .bind(recorded.position.0.cast_signed())
    .bind(recorded.event.aggregate_type.as_str())
    .bind(recorded.event.aggregate_id.as_str())
    .bind(sequence_of(recorded))
    .bind(recorded.event.event_type.as_str())
    // The error may quote the event, and text in Postgres cannot hold this character.
    .bind(error.replace('\0', "\u{fffd}"))
    .bind(waiting)
    .execute(connection)
    .await?;
    Ok(())
}

/// Whether this event or an earlier one of its aggregate is parked. Events before the first parked one are not held up when they are read
/// again.
pub(crate) async fn holds_up(
    connection: &mut Connection,
    projection: &str,
    recorded: &RecordedEvent,
) -> sqlx::Result<bool> {
    let row = sql("select exists (select 1 from parked_event
                       where projection = $1 and aggregate_type = $2 and aggregate_id = $3 and position <= $4) as held")
    .bind(projection)
    .bind(recorded.event.aggregate_type.as_str())
    .bind(recorded.event.aggregate_id.as_str())
    .bind(recorded.position.0.cast_signed())
    .fetch_one(connection)
    .await?;
    row.get("held")
}

/// The events behind a position that operators decided to skip.
pub(crate) async fn skipped_after(
    connection: &mut Connection,
    projection: &str,
    position: Position,
) -> sqlx::Result<BTreeSet<Position>> {
    let rows = sql("select position from skipped_event where projection = $1 and position > $2")
        .bind(projection)
        .bind(position.0.cast_signed())
        .fetch_all(connection)
        .await?;
    rows.iter().map(position_of).collect()
}

/// The parked event at a position, if its aggregate waits for that one and not for an earlier one.
pub(crate) async fn find_blocking(
    connection: &mut Connection,
    projection: &str,
    position: Position,
) -> sqlx::Result<Option<ParkedEvent>> {
    let row = sql("select position, aggregate_type, aggregate_id, sequence, event_type, error, waiting
         from parked_event
         where projection = $1 and position = $2 and not waiting")
    .bind(projection)
    .bind(position.0.cast_signed())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(parked_event).transpose()
}

/// The positions of one aggregate's parked events, in order.
pub(crate) async fn positions_of(
    connection: &mut Connection,
    projection: &str,
    (aggregate_type, aggregate_id): &AggregateKey,
) -> sqlx::Result<Vec<Position>> {
    let rows = sql("select position from parked_event
         where projection = $1 and aggregate_type = $2 and aggregate_id = $3
         order by position")
    .bind(projection)
    .bind(aggregate_type.as_str())
    .bind(aggregate_id.as_str())
    .fetch_all(connection)
    .await?;
    rows.iter().map(position_of).collect()
}

/// The positions of all parked events.
pub(crate) async fn positions(
    connection: &mut Connection,
    projection: &str,
) -> sqlx::Result<BTreeSet<Position>> {
    let rows = sql("select position from parked_event where projection = $1")
        .bind(projection)
        .fetch_all(connection)
        .await?;
    rows.iter().map(position_of).collect()
}

/// Takes an event out of the parked ones.
pub(crate) async fn unpark(
    connection: &mut Connection,
    projection: &str,
    position: Position,
) -> sqlx::Result<()> {
    sql("delete from parked_event where projection = $1 and position = $2")
        .bind(projection)
        .bind(position.0.cast_signed())
        .execute(connection)
        .await?;
    Ok(())
}

/// Stores an operator's decision to skip an event.
pub(crate) async fn record_skip(
    connection: &mut Connection,
    projection: &str,
    parked: &ParkedEvent,
    reason: &str,
) -> sqlx::Result<()> {
    sql("insert into skipped_event (projection, position, error, reason) values ($1, $2, $3, $4)")
        .bind(projection)
        .bind(parked.position.0.cast_signed())
        .bind(parked.error.as_str())
        .bind(reason)
        .execute(&mut *connection)
        .await?;
    unpark(connection, projection, parked.position).await
}
