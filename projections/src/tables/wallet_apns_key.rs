//! `wallet_apns_key`: the keys with which teams push. Private keys are in it sealed, and this crate cannot open them.

use honoken_database::statements::{Connection, sql};
use honoken_domain::apns_key::{ApnsKeyEvent, ApnsKeyInstallation};
use honoken_domain::ids::{ApnsKeyId, KeyRef};
use honoken_domain::sealed::Sealed;
use honoken_event_store::RecordedEvent;

use crate::tables::apply_error::ApplyError;
use crate::tables::change::{Change, note_authorship};

/// Applies an event of an APNs key.
pub(crate) async fn apply(connection: &mut Connection, recorded: RecordedEvent) -> Result<(), ApplyError> {
    let id = ApnsKeyId::parse(&recorded.event.aggregate_id)?;
    let change = Change::of(&recorded);
    match serde_json::from_value(recorded.event.payload)? {
        ApnsKeyEvent::Installed(installation) => put(connection, &id, &installation, &change).await?,
        ApnsKeyEvent::Resealed { private_key, .. } => reseal(connection, &id, &private_key, &change).await?,
        ApnsKeyEvent::Revoked { .. } => revoke(connection, &id, &change).await?,
    }
    let noting = note_authorship!("wallet_apns_key", "team_identifier = $4 and key_identifier = $5");
    change
        .note_authorship(connection, noting, &[id.team_identifier.as_str(), id.key_identifier.as_str()])
        .await
}

async fn put(
    connection: &mut Connection,
    id: &ApnsKeyId,
    installation: &ApnsKeyInstallation,
    change: &Change,
) -> Result<(), ApplyError> {
    sql("insert into wallet_apns_key (team_identifier, key_identifier, fingerprint, private_key, installed_at, installed, active, position, sequence, key_ref)
         values ($1, $2, $3, $4, $5, $6, $7, $6, $8, $9)
         on conflict (team_identifier, key_identifier) do update
         set fingerprint = excluded.fingerprint, private_key = excluded.private_key, installed_at = excluded.installed_at,
             installed = excluded.installed, active = excluded.active, position = excluded.position, sequence = excluded.sequence, key_ref = excluded.key_ref
         where wallet_apns_key.sequence < excluded.sequence")
    .bind(id.team_identifier.as_str())
    .bind(id.key_identifier.as_str())
    .bind(installation.fingerprint.as_str())
    .bind(installation.private_key.as_str())
    .bind(change.recorded_at)
    .bind(change.position)
    .bind(true)
    .bind(change.sequence)
    .bind(installation.key_ref.as_ref().map(KeyRef::as_str))
    .execute(connection)
    .await?;
    Ok(())
}

async fn reseal(
    connection: &mut Connection,
    id: &ApnsKeyId,
    private_key: &Sealed,
    change: &Change,
) -> Result<(), ApplyError> {
    sql("update wallet_apns_key set private_key = $3, position = $4, sequence = $5
         where team_identifier = $1 and key_identifier = $2 and sequence < $5")
    .bind(id.team_identifier.as_str())
    .bind(id.key_identifier.as_str())
    .bind(private_key.as_str())
    .bind(change.position)
    .bind(change.sequence)
    .execute(connection)
    .await?;
    Ok(())
}

async fn revoke(connection: &mut Connection, id: &ApnsKeyId, change: &Change) -> Result<(), ApplyError> {
    sql("update wallet_apns_key set active = $3, position = $4, sequence = $5
         where team_identifier = $1 and key_identifier = $2 and sequence < $5")
    .bind(id.team_identifier.as_str())
    .bind(id.key_identifier.as_str())
    .bind(false)
    .bind(change.position)
    .bind(change.sequence)
    .execute(connection)
    .await?;
    Ok(())
}
