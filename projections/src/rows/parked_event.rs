//! A row of `parked_event`.

use honoken_database::statements::Row;
use honoken_event_store::Position;

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

pub(crate) fn parked_event(row: &Row) -> sqlx::Result<ParkedEvent> {
    Ok(ParkedEvent {
        position: position_in(row)?,
        aggregate_type: row.get("aggregate_type")?,
        aggregate_id: row.get("aggregate_id")?,
        sequence: row.get::<i64>("sequence")?.cast_unsigned(),
        event_type: row.get("event_type")?,
        error: row.get("error")?,
        waiting: row.get("waiting")?,
    })
}

pub(crate) fn position_in(row: &Row) -> sqlx::Result<Position> {
    Ok(Position(row.get::<i64>("position")?.cast_unsigned()))
}
