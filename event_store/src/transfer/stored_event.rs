//! An event with its JSON as the text that is stored.

use futures::{Stream, TryStreamExt};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use sqlx::Row;

use crate::error::{LogError, Unreadable};
use crate::position::Position;
use crate::stored::{self, StoredRow};

/// Rows that are read at once, at most.
pub(crate) const BATCH_ROWS: i64 = 2_000;

/// Bytes of JSON after which a batch ends, whatever is left of its rows: what bounds the memory of a copy.
pub(crate) const BATCH_BYTES: usize = 4 << 20;

/// An event as its row has it: payload and metadata are the text that was written, byte for byte.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the event log.
    pub position: Position,
    /// The type of its aggregate.
    pub aggregate_type: String,
    /// The aggregate.
    pub aggregate_id: String,
    /// Its number within the aggregate's stream, from 1.
    pub sequence: i64,
    /// Its frozen name.
    pub event_type: String,
    /// Its version.
    pub event_version: String,
    /// When it was appended, Unix milliseconds.
    pub recorded_at_ms: i64,
    /// JSON.
    pub payload: String,
    /// JSON.
    pub metadata: String,
}

impl StoredEvent {
    /// The event in a row of either engine. The outer error is the driver's.
    fn of(row: &impl StoredRow) -> sqlx::Result<Result<Self, LogError>> {
        match Self::readable(row) {
            Ok(event) => Ok(Ok(event)),
            Err(Fault::Driver(fault)) => Err(fault),
            Err(Fault::Unreadable(source)) => Ok(Err(match stored::recorded(row)? {
                Ok(event) => LogError::Unreadable { event: Box::new(event), source },
                Err(named) => named,
            })),
        }
    }

    fn readable(row: &impl StoredRow) -> Result<Self, Fault> {
        let text = |column| Ok::<_, Fault>(stored::text(column, row.bytes(column)?)?);
        let json = |column| {
            let text = text(column)?;
            match serde_json::from_str::<&RawValue>(text) {
                Ok(_) => Ok(text.to_owned()),
                Err(source) => Err(Fault::Unreadable(Unreadable::NotJson { column, source })),
            }
        };
        Ok(Self {
            position: Position(row.integer("position")?.cast_unsigned()),
            aggregate_type: text("aggregate_type")?.to_owned(),
            aggregate_id: text("aggregate_id")?.to_owned(),
            sequence: row.integer("sequence")?,
            event_type: text("event_type")?.to_owned(),
            event_version: text("event_version")?.to_owned(),
            recorded_at_ms: row.integer("recorded_at")?,
            payload: json("payload")?,
            metadata: json("metadata")?,
        })
    }

    /// Adds all of it to a hash, each text with its length before it.
    pub(super) fn hash_into(&self, hasher: &mut Sha256) {
        for number in [self.position.0.cast_signed(), self.sequence, self.recorded_at_ms] {
            hasher.update(number.to_be_bytes());
        }
        let texts = [
            &self.aggregate_type,
            &self.aggregate_id,
            &self.event_type,
            &self.event_version,
            &self.payload,
            &self.metadata,
        ];
        for text in texts {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text);
        }
    }
}

/// Why a row is no event.
enum Fault {
    Driver(sqlx::Error),
    Unreadable(Unreadable),
}

impl From<sqlx::Error> for Fault {
    fn from(fault: sqlx::Error) -> Self {
        Self::Driver(fault)
    }
}

impl From<Unreadable> for Fault {
    fn from(fault: Unreadable) -> Self {
        Self::Unreadable(fault)
    }
}

/// The events of rows, until they are many or large.
pub(crate) async fn batch<R: Row + StoredRow>(
    mut rows: impl Stream<Item = sqlx::Result<R>> + Unpin,
) -> sqlx::Result<Result<Vec<StoredEvent>, LogError>> {
    let (mut events, mut bytes) = (Vec::new(), 0);
    while bytes < BATCH_BYTES
        && let Some(row) = rows.try_next().await?
    {
        match StoredEvent::of(&row)? {
            Ok(event) => {
                bytes += event.payload.len() + event.metadata.len();
                events.push(event);
            }
            Err(fault) => return Ok(Err(fault)),
        }
    }
    Ok(Ok(events))
}
