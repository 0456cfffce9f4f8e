//! `wallet_device` and `wallet_registration`: which device holds which passes, and which it held.
//!
//! Rows of devices that hold nothing and of passes that were unregistered have a `deleted_at`. Only people who read tables see them: every
//! question leaves them out.

use std::collections::BTreeMap;

use honoken_database::statements::{Connection, Value, execute_for_each, sql};
use honoken_domain::ids::{PushToken, RegistrationId, SerialNumber, UnixSeconds};
use honoken_domain::registration::RegistrationEvent;
use honoken_event_store::RecordedEvent;

use crate::rows::columns::{recorded_at, sequence_of};
use crate::tables::apply_error::ApplyError;

/// Applies events of devices, in order. Consecutive registrations are written together: a show that begins brings thousands.
pub(crate) async fn apply(connection: &mut Connection, events: Vec<RecordedEvent>) -> Result<(), ApplyError> {
    let mut unwritten = Vec::new();
    for recorded in events {
        let id = RegistrationId::parse(&recorded.event.aggregate_id)?;
        let (recorded_at, sequence) = (recorded_at(&recorded), sequence_of(&recorded));
        match serde_json::from_value(recorded.event.payload)? {
            RegistrationEvent::DeviceRegistered { serial_number, push_token, registered_at, .. } => {
                unwritten.push(Registration { id, serial_number, push_token, registered_at, sequence });
            }
            RegistrationEvent::PushTokenChanged { push_token, changed_at, .. } => {
                register(connection, std::mem::take(&mut unwritten)).await?;
                put_devices(connection, vec![device_row(&id, &push_token, changed_at, changed_at, sequence)])
                    .await?;
            }
            RegistrationEvent::PushTokenConfirmed { confirmed_at } => {
                register(connection, std::mem::take(&mut unwritten)).await?;
                confirm_device(connection, &id, confirmed_at, sequence).await?;
            }
            RegistrationEvent::DeviceUnregistered { serial_number, .. } => {
                register(connection, std::mem::take(&mut unwritten)).await?;
                delete_registration(connection, &id, &serial_number, recorded_at, sequence).await?;
            }
            // The rows show all that can be read already: it is stated anew once the damaged event was skipped.
            RegistrationEvent::Repaired { .. } => {
                register(connection, std::mem::take(&mut unwritten)).await?;
                touch_device(connection, &id, sequence).await?;
            }
        }
    }
    register(connection, unwritten).await
}

/// A registration that is not written yet.
struct Registration {
    id: RegistrationId,
    serial_number: SerialNumber,
    push_token: PushToken,
    registered_at: UnixSeconds,
    sequence: i64,
}

async fn register(connection: &mut Connection, registrations: Vec<Registration>) -> Result<(), ApplyError> {
    // A statement may write a row once, so only the last of several events of a device is written. Sorted as in `wallet_pass`.
    let (mut rows, mut devices) =
        (BTreeMap::new(), BTreeMap::<RegistrationId, (UnixSeconds, [Value; 6])>::new());
    for Registration { id, serial_number, push_token, registered_at, sequence } in registrations {
        let row = [
            id.pass_type_identifier.as_str().into(),
            id.device_library_identifier.as_str().into(),
            serial_number.as_str().into(),
            registered_at.0.into(),
            sequence.into(),
        ];
        rows.entry((id.clone(), serial_number)).or_insert(row);
        let since = devices.get(&id).map_or(registered_at, |(since, _)| *since);
        let row = device_row(&id, &push_token, since, registered_at, sequence);
        devices.insert(id, (since, row));
    }
    execute_for_each(
        connection,
        "with new (pass_type_identifier, device_library_identifier, serial_number, registered_at, sequence) as (values {rows})
         insert into wallet_registration (pass_type_identifier, device_library_identifier, serial_number, registered_at)
         select new.pass_type_identifier, new.device_library_identifier, new.serial_number, new.registered_at
         from new
         where not exists (select 1 from wallet_device device
                           where device.pass_type_identifier = new.pass_type_identifier
                             and device.device_library_identifier = new.device_library_identifier
                             and device.sequence >= new.sequence)
         on conflict (pass_type_identifier, device_library_identifier, serial_number) do update
         set registered_at = excluded.registered_at, deleted_at = null
         where wallet_registration.deleted_at is not null",
        rows.into_values().collect(),
    )
    .await?;
    put_devices(connection, devices.into_values().map(|(_, row)| row).collect()).await
}

fn device_row(
    id: &RegistrationId,
    push_token: &PushToken,
    created_at: UnixSeconds,
    registered_at: UnixSeconds,
    sequence: i64,
) -> [Value; 6] {
    [
        id.pass_type_identifier.as_str().into(),
        id.device_library_identifier.as_str().into(),
        push_token.as_str().into(),
        created_at.0.into(),
        registered_at.0.into(),
        sequence.into(),
    ]
}

async fn put_devices(connection: &mut Connection, devices: Vec<[Value; 6]>) -> Result<(), ApplyError> {
    execute_for_each(
        connection,
        "insert into wallet_device (pass_type_identifier, device_library_identifier, push_token, created_at, registered_at, sequence)
         values {rows}
         on conflict (pass_type_identifier, device_library_identifier) do update
         set push_token = excluded.push_token, registered_at = excluded.registered_at, sequence = excluded.sequence,
             created_at = case when wallet_device.deleted_at is null then wallet_device.created_at else excluded.created_at end,
             deleted_at = null
         where wallet_device.sequence < excluded.sequence",
        devices,
    )
    .await?;
    Ok(())
}

async fn confirm_device(
    connection: &mut Connection,
    id: &RegistrationId,
    confirmed_at: UnixSeconds,
    sequence: i64,
) -> Result<(), ApplyError> {
    sql("update wallet_device set registered_at = $3, sequence = $4
         where pass_type_identifier = $1 and device_library_identifier = $2 and sequence < $4")
    .bind(id.pass_type_identifier.as_str())
    .bind(id.device_library_identifier.as_str())
    .bind(confirmed_at.0)
    .bind(sequence)
    .execute(connection)
    .await?;
    Ok(())
}

/// Marks one pass of a device as gone, and with its last pass the device.
async fn delete_registration(
    connection: &mut Connection,
    id: &RegistrationId,
    serial_number: &SerialNumber,
    deleted_at: i64,
    sequence: i64,
) -> Result<(), ApplyError> {
    sql("update wallet_registration set deleted_at = $5
         where pass_type_identifier = $1 and device_library_identifier = $2 and serial_number = $3 and deleted_at is null
           and (select sequence from wallet_device
                where pass_type_identifier = $1 and device_library_identifier = $2) < $4")
    .bind(id.pass_type_identifier.as_str())
    .bind(id.device_library_identifier.as_str())
    .bind(serial_number.as_str())
    .bind(sequence)
    .bind(deleted_at)
    .execute(&mut *connection)
    .await?;
    touch_device(connection, id, sequence).await?;
    sql("update wallet_device set deleted_at = $4
         where pass_type_identifier = $1 and device_library_identifier = $2 and sequence = $3 and deleted_at is null
           and not exists (select 1 from wallet_registration
                           where pass_type_identifier = $1 and device_library_identifier = $2 and deleted_at is null)")
    .bind(id.pass_type_identifier.as_str())
    .bind(id.device_library_identifier.as_str())
    .bind(sequence)
    .bind(deleted_at)
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes the sequence of an event that changes nothing else of a device.
async fn touch_device(
    connection: &mut Connection,
    id: &RegistrationId,
    sequence: i64,
) -> Result<(), ApplyError> {
    sql("update wallet_device set sequence = $3
         where pass_type_identifier = $1 and device_library_identifier = $2 and sequence < $3")
    .bind(id.pass_type_identifier.as_str())
    .bind(id.device_library_identifier.as_str())
    .bind(sequence)
    .execute(connection)
    .await?;
    Ok(())
}
