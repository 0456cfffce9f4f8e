//! A row of `parked_event`.

use honoken_database::statements::Row;
use honoken_event_store::Position;

/// An event that waits for an operator, or behind another event that does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedEvent {
    /// Its position in the event log.
    pub position: Position,
    /// Type of its aggregate.
    pub aggregate_type: String,
    /// Id of its aggregate. May name a device: shorten it before it is shown.
    pub aggregate_id: String,
    /// Its number within the aggregate.
    pub sequence: u64,
    /// Its name.
    pub event_type: String,
    /// The reason for which it was not applied.
    pub error: String,
    /// Whether it only waits behind an earlier one.
    pub waiting: bool,
}

/// Reads all columns but the projection.
pub(crate) fn parked_event(row: &Row) -> sqlx::Result<ParkedEvent> {
    Ok(ParkedEvent {
        position: position_of(row)?,
        aggregate_type: row.get("aggregate_type")?,
        aggregate_id: row.get("aggregate_id")?,
        sequence: row.get::<i64>("sequence")?.cast_unsigned(),
        event_type: row.get("event_type")?,
        error: row.get("error")?,
        waiting: row.get("waiting")?,
    })
}

/// The column `position`.
pub(crate) fn position_of(row: &Row) -> sqlx::Result<Position> {
    Ok(Position(row.get::<i64>("position")?.cast_unsigned()))
}
