//! `wallet_cert_ref` and `wallet_cert`: certificates by name, and the one that signs the passes of each type. Private keys are in them sealed, and
//! this crate cannot open them.
//!
//! A row of `wallet_cert` follows from one of `wallet_cert_ref` and one of `wallet_pass_type`, and is written anew when either changes, so it is the same in
//! whatever order their events come. Until a pass type names a certificate, that of its own name signs.

use honoken_database::statements::{Connection, Statement, sql};
use honoken_domain::certificate::{CertificateEvent, Installation, RequestedKey};
use honoken_domain::ids::{CertRef, Digest, PassTypeIdentifier};
use honoken_domain::job::PASS_TYPE_NFC;
use honoken_domain::sealed::Sealed;
use honoken_event_store::RecordedEvent;

use crate::tables::apply_error::ApplyError;
use crate::tables::change::{Change, note_authorship};
use crate::tables::wallet_job;

/// Applies an event of a certificate.
pub(crate) async fn apply(connection: &mut Connection, recorded: RecordedEvent) -> Result<(), ApplyError> {
    let cert_ref = CertRef::parse(recorded.event.aggregate_id.clone())?;
    let change = Change::of(&recorded);
    match serde_json::from_value(recorded.event.payload)? {
        CertificateEvent::Installed(installation) | CertificateEvent::Renewed(installation) => {
            put(connection, &cert_ref, &installation, &change).await?;
            if let Some(job) = &installation.job {
                let pass_type = &installation.pass_type_identifier;
                let position = recorded.position;
                wallet_job::insert_for_pass_type(connection, job, PASS_TYPE_NFC, pass_type, position).await?;
            }
        }
        CertificateEvent::Resealed { private_key, .. } => {
            reseal(connection, &cert_ref, &private_key, &change).await?;
        }
        CertificateEvent::Revoked { .. } => revoke(connection, &cert_ref, &change).await?,
        CertificateEvent::Requested(key) => put_request(connection, &cert_ref, &key, &change).await?,
        CertificateEvent::RequestResealed { private_key, .. } => {
            reseal_request(connection, &cert_ref, &private_key, &change).await?;
        }
        CertificateEvent::RequestWithdrawn { .. } => withdraw(connection, &cert_ref, &change).await?,
        CertificateEvent::Invalidated {} => touch(connection, &cert_ref, &change).await?,
    }
    let noting = note_authorship!("wallet_cert_ref", "cert_ref = $4");
    change.note_authorship(connection, noting, &[cert_ref.as_str()]).await?;
    show_certificate(connection, &cert_ref).await
}

async fn put(
    connection: &mut Connection,
    cert_ref: &CertRef,
    installation: &Installation,
    change: &Change,
) -> Result<(), ApplyError> {
    sql("insert into wallet_cert_ref (cert_ref, pass_type_identifier, team_identifier, certificate_serial, fingerprint, not_before, not_after,
                                      certificate, intermediate, private_key, installed_at, revoked, is_enhanced, allows_nfc, description,
                                      position, sequence)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)
         on conflict (cert_ref) do update
         set pass_type_identifier = excluded.pass_type_identifier, team_identifier = excluded.team_identifier,
             certificate_serial = excluded.certificate_serial, fingerprint = excluded.fingerprint, not_before = excluded.not_before,
             not_after = excluded.not_after, certificate = excluded.certificate, intermediate = excluded.intermediate,
             private_key = excluded.private_key, installed_at = excluded.installed_at, revoked = excluded.revoked,
             is_enhanced = excluded.is_enhanced, allows_nfc = excluded.allows_nfc, description = excluded.description,
             position = excluded.position, sequence = excluded.sequence
         where wallet_cert_ref.sequence < excluded.sequence")
    .bind(cert_ref.as_str())
    .bind(installation.pass_type_identifier.as_str())
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
    .bind(installation.description.clone())
    .bind(change.position)
    .bind(change.sequence)
    .execute(&mut *connection)
    .await?;
    match &installation.requested_key {
        Some(public_key) => use_request(connection, cert_ref, public_key, change).await,
        None => Ok(()),
    }
}

/// The waiting key has its certificate. The row was written by the same event.
async fn use_request(
    connection: &mut Connection,
    cert_ref: &CertRef,
    public_key: &Digest,
    change: &Change,
) -> Result<(), ApplyError> {
    sql("update wallet_cert_ref
         set requested_pass_type = null, requested_team = null, requested_public_key = null, requested_private_key = null, requested_at = null
         where cert_ref = $1 and sequence = $2 and requested_public_key = $3")
    .bind(cert_ref.as_str())
    .bind(change.sequence)
    .bind(public_key.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

async fn reseal(
    connection: &mut Connection,
    cert_ref: &CertRef,
    private_key: &Sealed,
    change: &Change,
) -> Result<(), ApplyError> {
    let update = sql("update wallet_cert_ref set private_key = $2, position = $3, sequence = $4
         where cert_ref = $1 and sequence < $4")
    .bind(cert_ref.as_str())
    .bind(private_key.as_str());
    write(connection, update, change).await
}

async fn revoke(connection: &mut Connection, cert_ref: &CertRef, change: &Change) -> Result<(), ApplyError> {
    let update = sql("update wallet_cert_ref set revoked = $2, position = $3, sequence = $4
         where cert_ref = $1 and sequence < $4")
    .bind(cert_ref.as_str())
    .bind(true);
    write(connection, update, change).await
}

async fn put_request(
    connection: &mut Connection,
    cert_ref: &CertRef,
    key: &RequestedKey,
    change: &Change,
) -> Result<(), ApplyError> {
    let update = sql("insert into wallet_cert_ref (cert_ref, pass_type_identifier, team_identifier, revoked, allows_nfc, requested_pass_type, requested_team,
                                      requested_public_key, requested_private_key, requested_at, position, sequence)
         values ($1, $2, $3, $4, $4, $2, $3, $5, $6, $7, $8, $9)
         on conflict (cert_ref) do update
         set requested_pass_type = excluded.requested_pass_type, requested_team = excluded.requested_team,
             requested_public_key = excluded.requested_public_key, requested_private_key = excluded.requested_private_key,
             requested_at = excluded.requested_at, position = excluded.position, sequence = excluded.sequence
         where wallet_cert_ref.sequence < excluded.sequence")
    .bind(cert_ref.as_str())
    .bind(key.pass_type_identifier.as_str())
    .bind(key.team_identifier.as_str())
    .bind(false)
    .bind(key.public_key.as_str())
    .bind(key.private_key.as_str())
    .bind(change.recorded_at);
    write(connection, update, change).await
}

async fn reseal_request(
    connection: &mut Connection,
    cert_ref: &CertRef,
    private_key: &Sealed,
    change: &Change,
) -> Result<(), ApplyError> {
    let update = sql("update wallet_cert_ref set requested_private_key = $2, position = $3, sequence = $4
         where cert_ref = $1 and sequence < $4")
    .bind(cert_ref.as_str())
    .bind(private_key.as_str());
    write(connection, update, change).await
}

async fn withdraw(
    connection: &mut Connection,
    cert_ref: &CertRef,
    change: &Change,
) -> Result<(), ApplyError> {
    let update = sql("update wallet_cert_ref
         set requested_pass_type = null, requested_team = null, requested_public_key = null, requested_private_key = null, requested_at = null,
             position = $2, sequence = $3
         where cert_ref = $1 and sequence < $3")
    .bind(cert_ref.as_str());
    write(connection, update, change).await
}

/// A new position alone: processes read a row again that has one.
async fn touch(connection: &mut Connection, cert_ref: &CertRef, change: &Change) -> Result<(), ApplyError> {
    let update =
        sql("update wallet_cert_ref set position = $2, sequence = $3 where cert_ref = $1 and sequence < $3")
            .bind(cert_ref.as_str());
    write(connection, update, change).await
}

/// Executes a statement whose last two parameters are the position and the sequence of the event.
async fn write(connection: &mut Connection, statement: Statement, change: &Change) -> Result<(), ApplyError> {
    statement.bind(change.position).bind(change.sequence).execute(connection).await?;
    Ok(())
}

/// Writes the row of `wallet_cert` for the pass type of a certificate.
async fn show_certificate(connection: &mut Connection, cert_ref: &CertRef) -> Result<(), ApplyError> {
    let row = sql("select pass_type_identifier from wallet_cert_ref where cert_ref = $1")
        .bind(cert_ref.as_str())
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(()) };
    let identifier = PassTypeIdentifier::parse(row.get::<String>("pass_type_identifier")?)?;
    show_pass_type(connection, &identifier).await
}

/// Writes the row of `wallet_cert` for a pass type: the certificate that it names, if one was ever installed under that name.
pub(super) async fn show_pass_type(
    connection: &mut Connection,
    identifier: &PassTypeIdentifier,
) -> Result<(), ApplyError> {
    sql("insert into wallet_cert (pass_type_identifier, cert_ref, team_identifier, certificate_serial, fingerprint, not_before, not_after,
                                  certificate, intermediate, private_key, installed_at, revoked, is_enhanced, allows_nfc, position, sequence)
         select cert.pass_type_identifier, cert.cert_ref, cert.team_identifier, cert.certificate_serial, cert.fingerprint, cert.not_before,
                cert.not_after, cert.certificate, cert.intermediate, cert.private_key, cert.installed_at, cert.revoked, cert.is_enhanced,
                cert.allows_nfc,
                case when pass_type.cert_position > cert.position then pass_type.cert_position else cert.position end, cert.sequence
         from wallet_cert_ref cert
         left join wallet_pass_type pass_type on pass_type.pass_type_identifier = cert.pass_type_identifier
         where cert.pass_type_identifier = $1 and cert.fingerprint is not null
           and cert.cert_ref = coalesce(pass_type.cert_ref, cert.pass_type_identifier)
         on conflict (pass_type_identifier) do update
         set cert_ref = excluded.cert_ref, team_identifier = excluded.team_identifier, certificate_serial = excluded.certificate_serial,
             fingerprint = excluded.fingerprint, not_before = excluded.not_before, not_after = excluded.not_after,
             certificate = excluded.certificate, intermediate = excluded.intermediate, private_key = excluded.private_key,
             installed_at = excluded.installed_at, revoked = excluded.revoked, is_enhanced = excluded.is_enhanced,
             allows_nfc = excluded.allows_nfc, position = excluded.position, sequence = excluded.sequence")
    .bind(identifier.as_str())
    .execute(connection)
    .await?;
    Ok(())
}
