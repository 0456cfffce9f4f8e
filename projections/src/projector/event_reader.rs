//! Reads the event log.

use honoken_event_store::{EventLog, LogError, Position, RecordedEvent};

/// The next events of the event log. An event whose row is not JSON, or not even text, comes without a payload, so that it is parked like any
/// other event that does not decode.
pub(crate) async fn read_after<L: EventLog>(
    log: &L,
    position: Position,
    limit: u32,
) -> Result<Vec<RecordedEvent>, LogError> {
    match log.read_after(position, limit).await {
        Err(LogError::Unreadable { event, .. }) => Ok(vec![*event]),
        outcome => outcome,
    }
}

/// An event that was read from the event log before, as far as it can be read.
pub(crate) async fn event_at<L: EventLog>(
    log: &L,
    position: Position,
) -> Result<Option<RecordedEvent>, LogError> {
    match log.event_at(position).await {
        Err(LogError::Unreadable { event, .. }) => Ok(Some(*event)),
        outcome => outcome,
    }
}
