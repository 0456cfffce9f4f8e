//! How values of the domain are written into columns and read back.

use honoken_database::statements::{Row, Value};
use honoken_domain::ids::PassId;
use honoken_domain::pass::TicketStyle;
use honoken_event_store::RecordedEvent;

pub(crate) fn type_of(id: &PassId) -> Value {
    id.pass_type_identifier.as_str().into()
}

pub(crate) fn serial_of(id: &PassId) -> Value {
    id.serial_number.as_str().into()
}

/// The sequence as it is stored.
pub(crate) fn sequence_of(recorded: &RecordedEvent) -> i64 {
    i64::try_from(recorded.event.sequence).unwrap_or(i64::MAX)
}

/// The pass that a row is about.
pub(crate) fn pass_id(row: &Row) -> sqlx::Result<PassId> {
    let id = format!("{}/{}", row.get::<&str>("pass_type_identifier")?, row.get::<&str>("serial_number")?);
    PassId::parse(&id).map_err(decode)
}

/// Reads a stored style back.
pub(crate) fn ticket_style(name: &str) -> sqlx::Result<TicketStyle> {
    TicketStyle::parse(name)
        .ok_or_else(|| sqlx::Error::Decode(format!("unknown ticket style {name:?}").into()))
}

/// A stored value that is not what this service writes.
pub(crate) fn decode(fault: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(fault))
}
