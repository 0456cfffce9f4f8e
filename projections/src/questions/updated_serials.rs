//! The passes of a device that have changed since it last asked.

use honoken_database::statements::{Row, sql};
use honoken_domain::ids::{DeviceLibraryIdentifier, PassTypeIdentifier, SerialNumber, UnixSeconds};
use honoken_event_store::Position;

use crate::projection::WALLET;
use crate::query_error::QueryError;
use crate::read_model::ReadModel;
use crate::rows::columns::invalid_value;

/// The changes that a phone has seen already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// None that is known.
    Nothing,
    /// Everything up to a position of the event log.
    Position(Position),
    /// Everything up to a time, from services that used dates as tags.
    Moment(UnixSeconds),
}

/// The passes that have changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdatedSerials {
    /// Serial numbers in the order of their last change. Never empty.
    pub serial_numbers: Vec<SerialNumber>,
    /// The position up to which the phone has seen everything once it has fetched these.
    pub up_to: Position,
}

impl ReadModel {
    /// The passes of one type that a device holds and that have changed since; `None` when there are none, or the device is unknown.
    ///
    /// While an event is parked, no answer goes beyond it: a phone must not hold a tag that would hide the event when it is applied after
    /// all. Nor does one go beyond the tables that another process reads: the phone may fetch the pass there.
    pub async fn serials_updated_since(
        &self,
        device: &DeviceLibraryIdentifier,
        pass_type_identifier: &PassTypeIdentifier,
        since: Since,
    ) -> Result<Option<UpdatedSerials>, QueryError> {
        let (after_position, after_moment) = match since {
            Since::Nothing => (-1, i64::MIN),
            Since::Position(position) => (i64::try_from(position.0).unwrap_or(i64::MAX), i64::MIN),
            Since::Moment(moment) => (-1, moment.0),
        };
        let rows = sql(
            "select pass.serial_number, pass.update_tag, (select min(position) from parked_event where projection = $5) as first_parked,
                    (select position from copies_floor) as floor
             from wallet_registration registration
             join wallet_pass pass using (pass_type_identifier, serial_number)
             where registration.pass_type_identifier = $1 and registration.device_library_identifier = $2 and registration.deleted_at is null
               and pass.update_tag > $3 and pass.updated_at > $4
             order by pass.update_tag",
        )
        .bind(pass_type_identifier.as_str())
        .bind(device.as_str())
        .bind(after_position)
        .bind(after_moment)
        .bind(WALLET)
        .fetch_all(&self.readers)
        .await
        .map_err(QueryError::of("updated serial numbers"))?;

        let Some(last) = rows.last() else { return Ok(None) };
        let read = || -> sqlx::Result<UpdatedSerials> {
            let newest = last.get::<i64>("update_tag")?.cast_unsigned();
            let first_parked: Option<i64> = last.get("first_parked")?;
            let up_to =
                first_parked.map_or(newest, |parked| newest.min(parked.cast_unsigned().saturating_sub(1)));
            let floor: Option<i64> = last.get("floor")?;
            let up_to = floor.map_or(up_to, |floor| up_to.min(floor.cast_unsigned()));
            Ok(UpdatedSerials {
                serial_numbers: rows.iter().map(serial_number).collect::<sqlx::Result<_>>()?,
                up_to: Position(up_to),
            })
        };
        read().map(Some).map_err(QueryError::of("updated serial numbers"))
    }
}

fn serial_number(row: &Row) -> sqlx::Result<SerialNumber> {
    SerialNumber::parse(row.get::<String>("serial_number")?).map_err(invalid_value)
}
