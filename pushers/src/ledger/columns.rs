//! How columns of the ledger's tables become values of the domain.

use honoken_database::statements::Row;
use honoken_domain::ids::{DeviceLibraryIdentifier, PassId, PassTypeIdentifier, SerialNumber};
use honoken_event_store::Position;

pub(super) fn pass_type(row: &Row) -> sqlx::Result<PassTypeIdentifier> {
    PassTypeIdentifier::parse(row.get::<String>("pass_type_identifier")?).map_err(decode)
}

pub(super) fn serial_number(row: &Row) -> sqlx::Result<SerialNumber> {
    SerialNumber::parse(row.get::<String>("serial_number")?).map_err(decode)
}

pub(super) fn device(row: &Row) -> sqlx::Result<DeviceLibraryIdentifier> {
    DeviceLibraryIdentifier::parse(row.get::<String>("device_library_identifier")?).map_err(decode)
}

pub(super) fn pass_id(row: &Row) -> sqlx::Result<PassId> {
    Ok(PassId { serial_number: serial_number(row)?, pass_type_identifier: pass_type(row)? })
}

pub(super) fn position(row: &Row) -> sqlx::Result<Position> {
    Ok(Position(row.get::<i64>("position")?.cast_unsigned()))
}

/// A stored value that this service does not write.
pub(super) fn decode(fault: impl std::error::Error + Send + Sync + 'static) -> sqlx::Error {
    sqlx::Error::Decode(Box::new(fault))
}
