//! Deletes the rows of devices and registrations that left long ago. Rows of passes are never among them: a retired pass is served for ever.

use honoken_database::lease::Held;
use honoken_database::statements::{Connection, sql};
use honoken_domain::ids::UnixSeconds;

use crate::projection::LEASE;
use crate::projector::batch::BatchError;

/// Rows deleted in one transaction at the most, so that events do not wait for long.
const BATCH: i64 = 1000;

/// Deletes some rows that left before this moment, in a transaction of its own. Returns whether there may be more.
pub(crate) async fn purge_some(
    connection: &mut Connection,
    lease: Held,
    before: UnixSeconds,
) -> Result<bool, BatchError> {
    connection.begin().await?;
    if !LEASE.renew(connection, lease).await? {
        connection.rollback().await?;
        return Err(BatchError::Superseded);
    }
    let deleted = delete(connection, before, BATCH).await?;
    connection.commit().await?;
    Ok(deleted)
}

/// Deletes all rows that left before this moment; the caller has begun a transaction.
pub(crate) async fn purge_all(connection: &mut Connection, before: UnixSeconds) -> sqlx::Result<()> {
    while delete(connection, before, BATCH).await? {}
    Ok(())
}

/// Whether there may be more.
async fn delete(connection: &mut Connection, before: UnixSeconds, limit: i64) -> sqlx::Result<bool> {
    let registrations = sql("delete from wallet_registration
         where (pass_type_identifier, device_library_identifier, serial_number) in
               (select pass_type_identifier, device_library_identifier, serial_number from wallet_registration
                where deleted_at < $1 order by deleted_at limit $2)")
    .bind(before.0)
    .bind(limit)
    .execute(connection)
    .await?;
    let devices = sql("delete from wallet_device
         where (pass_type_identifier, device_library_identifier) in
               (select pass_type_identifier, device_library_identifier from wallet_device
                where deleted_at < $1 order by deleted_at limit $2)")
    .bind(before.0)
    .bind(limit)
    .execute(connection)
    .await?;
    let limit = limit.unsigned_abs();
    Ok(registrations >= limit || devices >= limit)
}
