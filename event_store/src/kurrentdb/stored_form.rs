//! The form of an event in a stream.
//!
//! Its data is the payload, byte for byte; what else belongs to an event stands beside the metadata of the command, in the metadata of the event.

use cqrs_es::persist::SerializedEvent;
use eventstore::EventData;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use uuid::{Builder, Uuid};

use super::address::Address;
use crate::error::{LogError, Unreadable};
use crate::event::{Append, RecordedEvent};
use crate::position::Position;
use crate::stored;
use crate::transfer::StoredEvent;

/// The metadata of an event.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope<'a> {
    /// The version of the event.
    event_version: std::borrow::Cow<'a, str>,
    /// When it was appended, Unix milliseconds by the clock of the process.
    recorded_at: i64,
    /// The metadata of its command.
    #[serde(borrow)]
    metadata: &'a RawValue,
}

/// The parts of an event that its stream has to keep.
pub(super) struct Parts<'a> {
    pub(super) event_type: &'a str,
    pub(super) event_version: &'a str,
    pub(super) payload: &'a str,
    pub(super) metadata: &'a str,
    pub(super) recorded_at_ms: i64,
}

impl Parts<'_> {
    /// The event, with this id.
    pub(super) fn to_event(&self, id: Uuid) -> Result<EventData, serde_json::Error> {
        let metadata: &RawValue = serde_json::from_str(self.metadata)?;
        let payload: &RawValue = serde_json::from_str(self.payload)?;
        let envelope =
            Envelope { event_version: self.event_version.into(), recorded_at: self.recorded_at_ms, metadata };
        Ok(EventData::json(self.event_type, &payload)?.metadata_as_json(&envelope)?.id(id))
    }
}

/// An id for an event that is about to be appended, which an append that is not answered keeps when it is repeated: the server takes events with ids
/// that it has at that place for a repetition, and answers as before. So the ids are random, and not made of the stream and the sequence, or of the event:
/// of two processes that append the same at one place one has to be told that it was too late.
pub(super) fn new_id() -> Uuid {
    #[expect(clippy::disallowed_methods, reason = "nothing is derived from it")]
    Builder::from_random_bytes(rand::random()).into_uuid()
}

/// The events of an append, and the id of the last.
pub(super) fn events_of(append: &Append) -> Result<(Vec<EventData>, Uuid), serde_json::Error> {
    let mut last = Uuid::nil();
    let events = append.events.iter().map(|event| {
        let parts = Parts {
            event_type: &event.event_type,
            event_version: &event.event_version,
            payload: &event.payload,
            metadata: &append.metadata,
            recorded_at_ms: append.recorded_at_ms,
        };
        last = new_id();
        parts.to_event(last)
    });
    let events: Result<_, _> = events.collect();
    Ok((events?, last))
}

/// The place of an event.
pub(super) fn position_of(event: &eventstore::RecordedEvent) -> Position {
    Position(event.position.commit)
}

/// The event with its payload as JSON. The inner error is [`LogError::Unreadable`].
pub(super) fn recorded(
    address: &Address,
    event: &eventstore::RecordedEvent,
) -> Result<RecordedEvent, LogError> {
    let (aggregate_type, aggregate_id) = address.aggregate(event.stream_id());
    let mut recorded = RecordedEvent {
        position: position_of(event),
        recorded_at_ms: event.created.timestamp_millis(),
        event: SerializedEvent {
            aggregate_id: aggregate_id.to_owned(),
            sequence: usize::try_from(event.revision.saturating_add(1)).unwrap_or(usize::MAX),
            aggregate_type: aggregate_type.to_owned(),
            event_type: event.event_type.clone(),
            event_version: String::new(),
            payload: Value::Null,
            metadata: Value::Null,
        },
    };
    let read = || -> Result<_, Unreadable> {
        let envelope: Envelope<'_> = json("metadata", &event.custom_metadata)?;
        let payload: Value = json("data", &event.data)?;
        let metadata: Value = json("metadata", envelope.metadata.get().as_bytes())?;
        Ok((envelope, payload, metadata))
    };
    match read() {
        Ok((envelope, payload, metadata)) => {
            recorded.recorded_at_ms = envelope.recorded_at;
            recorded.event.event_version = envelope.event_version.into_owned();
            (recorded.event.payload, recorded.event.metadata) = (payload, metadata);
            Ok(recorded)
        }
        Err(source) => {
            if let Ok(envelope) = serde_json::from_slice::<Envelope<'_>>(&event.custom_metadata) {
                recorded.recorded_at_ms = envelope.recorded_at;
                recorded.event.event_version = envelope.event_version.into_owned();
            }
            Err(LogError::Unreadable { event: Box::new(recorded), source })
        }
    }
}

/// The event with its JSON as text.
pub(super) fn stored(address: &Address, event: &eventstore::RecordedEvent) -> Result<StoredEvent, LogError> {
    let read = || -> Result<_, Unreadable> {
        let envelope: Envelope<'_> = json("metadata", &event.custom_metadata)?;
        let _: &RawValue = json("data", &event.data)?;
        let (aggregate_type, aggregate_id) = address.aggregate(event.stream_id());
        Ok(StoredEvent {
            position: position_of(event),
            aggregate_type: aggregate_type.to_owned(),
            aggregate_id: aggregate_id.to_owned(),
            sequence: event.revision.saturating_add(1).cast_signed(),
            event_type: event.event_type.clone(),
            event_version: envelope.event_version.clone().into_owned(),
            recorded_at_ms: envelope.recorded_at,
            payload: stored::text("data", &event.data)?.to_owned(),
            metadata: envelope.metadata.get().to_owned(),
        })
    };
    read().map_err(|source| match recorded(address, event) {
        Err(named) => named,
        Ok(event) => LogError::Unreadable { event: Box::new(event), source },
    })
}

fn json<'a, T: Deserialize<'a>>(column: &'static str, bytes: &'a [u8]) -> Result<T, Unreadable> {
    let text = stored::text(column, bytes)?;
    serde_json::from_str(text).map_err(|source| Unreadable::NotJson { column, source })
}
