//! A row of `events`, damaged or not.
//!
//! Its columns are taken as bytes: a row that cannot be read is an event that is known not to be readable, and not an answer that failed, so
//! that it stops its own aggregate and nothing else.

use cqrs_es::persist::SerializedEvent;
use serde_json::Value;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, ValueRef};

use crate::error::{LogError, Unreadable};
use crate::event::RecordedEvent;
use crate::position::Position;

/// A stream, on either engine.
pub(crate) const LOAD: &str = "\
    select position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at
    from events
    where aggregate_type = $1 and aggregate_id = $2 and sequence > $3
    order by sequence";

/// The event log in order, on either engine.
pub(crate) const READ_AFTER: &str = "\
    select position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at
    from events
    where position > $1
    order by position
    limit $2";

/// A part of a stream, on either engine.
pub(crate) const HISTORY: &str = "\
    select position, aggregate_type, aggregate_id, sequence, event_type, event_version, payload, metadata, recorded_at
    from events
    where aggregate_type = $1 and aggregate_id = $2 and sequence > $3
    order by sequence
    limit $4";

/// Where an event is, on either engine.
pub(crate) const POSITION_OF: &str = "\
    select position from events
    where aggregate_type = $1 and aggregate_id = $2 and sequence = $3";

/// Streams whose numbers do not go from 1 to their length, on either engine.
pub(crate) const GAPS: &str = "\
    select aggregate_type || ' ' || aggregate_id as stream from events
    group by aggregate_type, aggregate_id
    having count(*) <> max(sequence) or min(sequence) <> 1
    limit $1";

/// A row of either engine.
pub(crate) trait StoredRow {
    /// A column of text; empty where nothing is stored.
    fn bytes(&self, column: &'static str) -> sqlx::Result<&[u8]>;

    /// A column of numbers.
    fn integer(&self, column: &'static str) -> sqlx::Result<i64>;
}

impl StoredRow for SqliteRow {
    fn bytes(&self, column: &'static str) -> sqlx::Result<&[u8]> {
        // Unchecked: the driver would ask whether the column is a blob.
        Ok(self.try_get_unchecked::<Option<&[u8]>, _>(column)?.unwrap_or_default())
    }

    fn integer(&self, column: &'static str) -> sqlx::Result<i64> {
        self.try_get(column)
    }
}

impl StoredRow for PgRow {
    /// Text and JSON are sent as they are stored.
    fn bytes(&self, column: &'static str) -> sqlx::Result<&[u8]> {
        let value = self.try_get_raw(column)?;
        if value.is_null() {
            return Ok(&[]);
        }
        value.as_bytes().map_err(|source| sqlx::Error::ColumnDecode { index: column.to_owned(), source })
    }

    fn integer(&self, column: &'static str) -> sqlx::Result<i64> {
        self.try_get(column)
    }
}

/// The event in a row. The outer error is the driver's; the inner one is [`LogError::Unreadable`].
pub(crate) fn recorded(row: &impl StoredRow) -> sqlx::Result<Result<RecordedEvent, LogError>> {
    let mut unreadable = None;
    let mut name = |column| -> sqlx::Result<String> {
        let bytes = row.bytes(column)?;
        match text(column, bytes) {
            Ok(text) => Ok(text.to_owned()),
            Err(why) => {
                unreadable.get_or_insert(why);
                Ok(String::from_utf8_lossy(bytes).into_owned())
            }
        }
    };
    let event = SerializedEvent {
        aggregate_id: name("aggregate_id")?,
        sequence: usize::try_from(row.integer("sequence")?).unwrap_or_default(),
        aggregate_type: name("aggregate_type")?,
        event_type: name("event_type")?,
        event_version: name("event_version")?,
        payload: Value::Null,
        metadata: Value::Null,
    };
    let position = Position(row.integer("position")?.cast_unsigned());
    let mut event = RecordedEvent { position, recorded_at_ms: row.integer("recorded_at")?, event };
    let (payload, metadata) = (json(row, "payload")?, json(row, "metadata")?);
    let unreadable = match (unreadable, payload, metadata) {
        (None, Ok(payload), Ok(metadata)) => {
            (event.event.payload, event.event.metadata) = (payload, metadata);
            return Ok(Ok(event));
        }
        (Some(why), ..) | (None, Err(why), _) | (None, Ok(_), Err(why)) => why,
    };
    Ok(Err(LogError::Unreadable { event: Box::new(event), source: unreadable }))
}

/// The events of rows as far as they can be read. An error only when the first of them cannot.
pub(crate) fn readable(rows: &[impl StoredRow], doing: &'static str) -> Result<Vec<RecordedEvent>, LogError> {
    let mut events = Vec::with_capacity(rows.len());
    for row in rows {
        match recorded(row).map_err(LogError::unavailable(doing))? {
            Ok(event) => events.push(event),
            Err(_) if !events.is_empty() => break,
            Err(fault) => return Err(fault),
        }
    }
    Ok(events)
}

/// All of them; those that cannot be read have null for payload and metadata.
pub(crate) fn known_parts(
    rows: &[impl StoredRow],
    doing: &'static str,
) -> Result<Vec<RecordedEvent>, LogError> {
    let known = |row| match recorded(row).map_err(LogError::unavailable(doing))? {
        Err(LogError::Unreadable { event, .. }) => Ok(*event),
        recorded => recorded,
    };
    rows.iter().map(known).collect()
}

/// All of them. An error when one cannot be read.
pub(crate) fn all(rows: &[impl StoredRow], doing: &'static str) -> Result<Vec<SerializedEvent>, LogError> {
    rows.iter().map(|row| Ok(recorded(row).map_err(LogError::unavailable(doing))??.event)).collect()
}

/// The streams in rows. Text that is not UTF-8 has replacement characters.
pub(crate) fn streams(rows: &[impl StoredRow]) -> sqlx::Result<Vec<String>> {
    rows.iter().map(|row| Ok(String::from_utf8_lossy(row.bytes("stream")?).into_owned())).collect()
}

pub(crate) fn text<'r>(column: &'static str, bytes: &'r [u8]) -> Result<&'r str, Unreadable> {
    str::from_utf8(bytes).map_err(|source| Unreadable::NotText { column, source })
}

fn json(row: &impl StoredRow, column: &'static str) -> sqlx::Result<Result<Value, Unreadable>> {
    let bytes = row.bytes(column)?;
    Ok(text(column, bytes)
        .and_then(|text| serde_json::from_str(text).map_err(|source| Unreadable::NotJson { column, source })))
}
