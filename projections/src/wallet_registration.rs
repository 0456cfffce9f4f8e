//! `wallet_device` and `wallet_registration`: which device holds which passes.

use honoken_domain::ids::{
    DeviceLibraryIdentifier, PassTypeIdentifier, RegistrationId, SerialNumber, UnixSeconds,
};
use honoken_domain::registration::RegistrationEvent;
use honoken_event_store::{Position, RecordedEvent};

use crate::apply::{ApplyError, sequence_of};
use crate::batch::WALLET;
use crate::database::{Connection, Row, sql};
use crate::read_model::{QueryError, ReadModel, decode};

/// What a phone has seen already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// Nothing that we know of.
    Nothing,
    /// Everything up to a position of the log.
    Position(Position),
    /// Everything up to a moment, from services that used dates as tags.
    Moment(UnixSeconds),
}

/// The passes that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdatedSerials {
    /// Serial numbers in the order of their last change. Never empty.
    pub serial_numbers: Vec<SerialNumber>,
    /// Up to here the phone has seen everything once it has fetched these.
    pub up_to: Position,
}

impl ReadModel {
    /// The passes of one type that a device holds and that changed since; `None` when there are none, or the device is unknown.
    ///
    /// While an event is parked, no answer goes beyond it: a phone must not hold a tag that would hide the event when it is applied after
    /// all.
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
            "select pass.serial_number, pass.update_tag, (select min(position) from parked_event where projection = $5) as first_parked
             from wallet_registration registration
             join wallet_pass pass using (pass_type_identifier, serial_number)
             where registration.pass_type_identifier = $1 and registration.device_library_identifier = $2
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
            Ok(UpdatedSerials {
                serial_numbers: rows.iter().map(serial_number).collect::<sqlx::Result<_>>()?,
                up_to: Position(up_to),
            })
        };
        read().map(Some).map_err(QueryError::of("updated serial numbers"))
    }
}

fn serial_number(row: &Row) -> sqlx::Result<SerialNumber> {
    SerialNumber::parse(row.get::<String>("serial_number")?).map_err(decode)
}

pub(crate) async fn apply(connection: &mut Connection, recorded: RecordedEvent) -> Result<(), ApplyError> {
    let id = RegistrationId::parse(&recorded.event.aggregate_id)?;
    let sequence = sequence_of(&recorded);
    let event: RegistrationEvent = serde_json::from_value(recorded.event.payload)?;
    match event {
        RegistrationEvent::DeviceRegistered { serial_number, push_token, registered_at } => {
            insert_registration(connection, &id, &serial_number, registered_at, sequence).await?;
            put_device(connection, &id, push_token.as_str(), registered_at, sequence).await
        }
        RegistrationEvent::PushTokenChanged { push_token, changed_at } => {
            put_device(connection, &id, push_token.as_str(), changed_at, sequence).await
        }
        RegistrationEvent::DeviceUnregistered { serial_number } => {
            delete_registration(connection, &id, &serial_number, sequence).await
        }
    }
}

async fn insert_registration(
    connection: &mut Connection,
    id: &RegistrationId,
    serial_number: &SerialNumber,
    registered_at: UnixSeconds,
    sequence: i64,
) -> Result<(), ApplyError> {
    sql(
        "insert into wallet_registration (pass_type_identifier, device_library_identifier, serial_number, registered_at)
         select $1, $2, $3, $4
         where not exists (select 1 from wallet_device
                           where pass_type_identifier = $1 and device_library_identifier = $2 and sequence >= $5)
         on conflict do nothing",
    )
    .bind(id.pass_type_identifier.as_str())
    .bind(id.device_library_identifier.as_str())
    .bind(serial_number.as_str())
    .bind(registered_at.0)
    .bind(sequence)
    .execute(connection)
    .await?;
    Ok(())
}

async fn put_device(
    connection: &mut Connection,
    id: &RegistrationId,
    push_token: &str,
    registered_at: UnixSeconds,
    sequence: i64,
) -> Result<(), ApplyError> {
    sql(
        "insert into wallet_device (pass_type_identifier, device_library_identifier, push_token, registered_at, sequence)
         values ($1, $2, $3, $4, $5)
         on conflict (pass_type_identifier, device_library_identifier) do update
         set push_token = excluded.push_token, registered_at = excluded.registered_at, sequence = excluded.sequence
         where wallet_device.sequence < excluded.sequence",
    )
    .bind(id.pass_type_identifier.as_str())
    .bind(id.device_library_identifier.as_str())
    .bind(push_token)
    .bind(registered_at.0)
    .bind(sequence)
    .execute(connection)
    .await?;
    Ok(())
}

/// Forgets one pass of a device, and the device with its last pass, as Apple asks.
async fn delete_registration(
    connection: &mut Connection,
    id: &RegistrationId,
    serial_number: &SerialNumber,
    sequence: i64,
) -> Result<(), ApplyError> {
    sql("delete from wallet_registration
         where pass_type_identifier = $1 and device_library_identifier = $2 and serial_number = $3
           and (select sequence from wallet_device
                where pass_type_identifier = $1 and device_library_identifier = $2) < $4")
    .bind(id.pass_type_identifier.as_str())
    .bind(id.device_library_identifier.as_str())
    .bind(serial_number.as_str())
    .bind(sequence)
    .execute(&mut *connection)
    .await?;
    sql("update wallet_device set sequence = $3
         where pass_type_identifier = $1 and device_library_identifier = $2 and sequence < $3")
    .bind(id.pass_type_identifier.as_str())
    .bind(id.device_library_identifier.as_str())
    .bind(sequence)
    .execute(&mut *connection)
    .await?;
    sql("delete from wallet_device
         where pass_type_identifier = $1 and device_library_identifier = $2 and sequence = $3
           and not exists (select 1 from wallet_registration
                           where pass_type_identifier = $1 and device_library_identifier = $2)")
    .bind(id.pass_type_identifier.as_str())
    .bind(id.device_library_identifier.as_str())
    .bind(sequence)
    .execute(connection)
    .await?;
    Ok(())
}
