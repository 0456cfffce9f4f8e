//! Events before and after they are appended.

use cqrs_es::persist::SerializedEvent;
use serde::{Deserialize, Serialize};

use crate::position::Position;

/// An event that is not in the event log yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct NewEvent {
    /// Its frozen name.
    pub event_type: String,
    /// Its version.
    pub event_version: String,
    /// Its JSON.
    pub payload: String,
}

/// Events for the end of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// Type of the aggregate.
    pub aggregate_type: &'static str,
    /// Its id; with the type it names the stream.
    pub aggregate_id: String,
    /// Sequence of the last event the writer has seen, 0 for none. The append is refused when there are more.
    pub expected_sequence: u64,
    /// The events, in order; all of them are appended or none.
    pub events: Vec<NewEvent>,
    /// JSON object of strings: the actor, the organisation, the request.
    pub metadata: String,
    /// Unix milliseconds.
    pub recorded_at_ms: i64,
}

/// An event as the event log holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its place in the event log.
    pub position: Position,
    /// When it was appended, Unix milliseconds.
    pub recorded_at_ms: i64,
    /// The event, not upcast.
    pub event: SerializedEvent,
}
