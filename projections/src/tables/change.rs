//! The place of an event, as the rows that it changes store it.

use honoken_event_store::RecordedEvent;

use crate::rows::columns::sequence_of;

/// The event that changes a row.
pub(super) struct Change {
    /// Its number within its stream: a row has seen every event up to its own.
    pub(super) sequence: i64,
    /// Its position in the event log.
    pub(super) position: i64,
    /// When it was recorded, in Unix seconds.
    pub(super) recorded_at: i64,
}

impl Change {
    pub(super) fn of(recorded: &RecordedEvent) -> Self {
        Self {
            sequence: sequence_of(recorded),
            position: recorded.position.0.cast_signed(),
            recorded_at: recorded.recorded_at_ms.div_euclid(1000),
        }
    }
}
