//! The columns that several tables have: how values are written into them and read back.

use honoken_database::statements::{Row, Value};
use honoken_domain::ids::{PassId, PassTypeIdentifier, SerialNumber};
use honoken_domain::pass::{PassKind, TicketStyle};
use honoken_event_store::RecordedEvent;

/// The pass type of a pass as it is stored.
pub(crate) fn pass_type_value(id: &PassId) -> Value {
    id.pass_type_identifier.as_str().into()
}

/// The serial number of a pass as it is stored.
pub(crate) fn serial_number_value(id: &PassId) -> Value {
    id.serial_number.as_str().into()
}

/// The sequence of an event as it is stored.
pub(crate) fn sequence_of(recorded: &RecordedEvent) -> i64 {
    i64::try_from(recorded.event.sequence).unwrap_or(i64::MAX)
}

/// When an event was recorded, in Unix seconds.
pub(crate) fn recorded_at(recorded: &RecordedEvent) -> i64 {
    recorded.recorded_at_ms.div_euclid(1000)
}

/// In whose name an event was recorded, `api-key:…`, `device:…`, `operator:…` or `system:…`; `None` if its metadata names nobody.
pub(crate) fn actor_of(recorded: &RecordedEvent) -> Option<String> {
    recorded.event.metadata["actor"].as_str().map(str::to_owned)
}

/// Type and serial number of a pass as they are stored: the key of its rows.
pub(crate) fn pass_key(id: &PassId) -> [Value; 2] {
    [pass_type_value(id), serial_number_value(id)]
}

/// The pass whose key a row has.
pub(crate) fn pass_id(row: &Row) -> sqlx::Result<PassId> {
    let pass_type: String = row.get("pass_type_identifier")?;
    Ok(PassId {
        pass_type_identifier: PassTypeIdentifier::parse(pass_type).map_err(invalid_value)?,
        serial_number: SerialNumber::parse(row.get::<String>("serial_number")?).map_err(invalid_value)?,
    })
}

/// The kind of the pass whose style and look a row has.
pub(crate) fn pass_kind(row: &Row) -> sqlx::Result<PassKind> {
    let style = TicketStyle::parse(row.get("ticket_style")?).map_err(invalid_value)?;
    Ok(PassKind { style, poster: row.get("poster")? })
}

/// The error for a stored value that this service does not write.
pub(crate) fn invalid_value(fault: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(fault))
}
