//! Empties the tables before they are filled from the beginning of an event log.

use honoken_database::statements::{Connection, sql};
use honoken_event_store::EventLog;

use crate::projection::{VERSION, WALLET};

/// Every table that is filled from the event log, except the checkpoint.
const DELETES: &[&str] = &[
    "delete from parked_event",
    "delete from wallet_organization",
    "delete from wallet_api_key",
    "delete from wallet_pass_type",
    "delete from wallet_brand_assets",
    "delete from wallet_cert",
    "delete from wallet_cert_ref",
    "delete from wallet_apns_key",
    "delete from wallet_pass",
    "delete from wallet_pass_content",
    "delete from wallet_outdated_pass",
    "delete from wallet_personalization",
    "delete from wallet_image",
    "delete from wallet_job",
    "delete from wallet_device",
    "delete from wallet_registration",
];

/// Empties the tables and sets the checkpoint to the beginning of this event log; the caller has begun a transaction.
pub(crate) async fn empty_tables<L: EventLog>(connection: &mut Connection, log: &L) -> sqlx::Result<()> {
    for delete in DELETES {
        sql(delete).execute_however_long(connection).await?;
    }
    sql("insert into projection_checkpoint (projection, epoch, version, position) values ($1, $2, $3, 0)
         on conflict (projection) do update set epoch = excluded.epoch, version = excluded.version, position = 0")
    .bind(WALLET)
    .bind(log.epoch().to_string())
    .bind(VERSION)
    .execute(connection)
    .await?;
    Ok(())
}
