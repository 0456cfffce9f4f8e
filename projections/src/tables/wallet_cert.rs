//! `wallet_cert`: the certificates that sign the passes of each type. Private keys are in it sealed, and this crate cannot open them.

use honoken_database::statements::{Connection, sql};
use honoken_domain::certificate::{CertificateEvent, Installation};
use honoken_domain::ids::PassTypeIdentifier;
use honoken_domain::job::PASS_TYPE_NFC;
use honoken_domain::sealed::Sealed;
use honoken_event_store::RecordedEvent;

use crate::tables::apply_error::ApplyError;
use crate::tables::change::Change;
use crate::tables::wallet_job;

/// Applies an event of a certificate.
pub(crate) async fn apply(connection: &mut Connection, recorded: RecordedEvent) -> Result<(), ApplyError> {
    let identifier = PassTypeIdentifier::parse(recorded.event.aggregate_id.clone())?;
    let change = Change::of(&recorded);
    match serde_json::from_value(recorded.event.payload)? {
        CertificateEvent::Installed(installation) | CertificateEvent::Renewed(installation) => {
            put(connection, &identifier, &installation, &change).await?;
            match &installation.job {
                Some(job) => {
                    wallet_job::insert_for_pass_type(
                        connection,
                        job,
                        PASS_TYPE_NFC,
                        &identifier,
                        recorded.position,
                    )
                    .await
                }
                None => Ok(()),
            }
        }
        CertificateEvent::Resealed { private_key, .. } => {
            reseal(connection, &identifier, &private_key, &change).await
        }
        CertificateEvent::Revoked { .. } => revoke(connection, &identifier, &change).await,
    }
}

async fn put(
    connection: &mut Connection,
    identifier: &PassTypeIdentifier,
    installation: &Installation,
    change: &Change,
) -> Result<(), ApplyError> {
    sql("insert into wallet_cert (pass_type_identifier, team_identifier, certificate_serial, fingerprint, not_before, not_after,
                                  certificate, intermediate, private_key, installed_at, revoked, is_enhanced, allows_nfc, position, sequence)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
         on conflict (pass_type_identifier) do update
         set team_identifier = excluded.team_identifier, certificate_serial = excluded.certificate_serial,
             fingerprint = excluded.fingerprint, not_before = excluded.not_before, not_after = excluded.not_after,
             certificate = excluded.certificate, intermediate = excluded.intermediate, private_key = excluded.private_key,
             installed_at = excluded.installed_at, revoked = excluded.revoked, is_enhanced = excluded.is_enhanced,
             allows_nfc = excluded.allows_nfc, position = excluded.position,
             sequence = excluded.sequence
         where wallet_cert.sequence < excluded.sequence")
    .bind(identifier.as_str())
    .bind(installation.team_identifier.as_str())
    .bind(installation.certificate_serial.as_str())
    .bind(installation.fingerprint.as_str())
    .bind(installation.not_before.0)
    .bind(installation.not_after.0)
    .bind(installation.certificate.as_str())
    .bind(installation.intermediate.as_str())
    .bind(installation.private_key.as_str())
    .bind(change.recorded_at)
    .bind(false)
    .bind(installation.is_enhanced)
    .bind(installation.allows_nfc())
    .bind(change.position)
    .bind(change.sequence)
    .execute(connection)
    .await?;
    Ok(())
}

async fn reseal(
    connection: &mut Connection,
    identifier: &PassTypeIdentifier,
    private_key: &Sealed,
    change: &Change,
) -> Result<(), ApplyError> {
    sql("update wallet_cert set private_key = $2, position = $3, sequence = $4
         where pass_type_identifier = $1 and sequence < $4")
    .bind(identifier.as_str())
    .bind(private_key.as_str())
    .bind(change.position)
    .bind(change.sequence)
    .execute(connection)
    .await?;
    Ok(())
}

async fn revoke(
    connection: &mut Connection,
    identifier: &PassTypeIdentifier,
    change: &Change,
) -> Result<(), ApplyError> {
    sql("update wallet_cert set revoked = $2, position = $3, sequence = $4
         where pass_type_identifier = $1 and sequence < $4")
    .bind(identifier.as_str())
    .bind(true)
    .bind(change.position)
    .bind(change.sequence)
    .execute(connection)
    .await?;
    Ok(())
}
