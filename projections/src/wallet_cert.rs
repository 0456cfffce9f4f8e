//! `wallet_cert`: what signs the passes of each type. Private keys are in it sealed, and this crate cannot open them.

use honoken_domain::certificate::{CertificateEvent, Installation};
use honoken_domain::ids::{Digest, PassTypeIdentifier, TeamIdentifier, UnixSeconds};
use honoken_domain::sealed::Sealed;
use honoken_event_store::{Position, RecordedEvent};

use crate::apply::{ApplyError, sequence_of};
use crate::read_model::{QueryError, ReadModel, decode};
use honoken_database::statements::{Connection, Row, sql};

/// The last certificate of a pass type.
#[derive(Debug, Clone, PartialEq)]
pub struct CertificateRow {
    /// The certificate, with its key sealed.
    pub installation: Installation,
    /// When it was installed.
    pub installed_at: UnixSeconds,
    /// It signs no more.
    pub revoked: bool,
    /// Where in the log it was changed last.
    pub position: Position,
}

impl ReadModel {
    /// The certificates that were changed behind a position, revoked ones too, in the order of their changes; from 0 on all of them. Costs
    /// next to nothing when there are none.
    pub async fn certificates_changed_after(
        &self,
        position: Position,
    ) -> Result<Vec<CertificateRow>, QueryError> {
        let rows = sql(
            "select pass_type_identifier, team_identifier, certificate_serial, fingerprint, not_before, not_after, certificate, intermediate,
                    private_key, installed_at, revoked, position
             from wallet_cert
             where position > $1
             order by position",
        )
        .bind(position.0.cast_signed())
        .fetch_all(&self.readers)
        .await;
        rows.and_then(|rows| rows.iter().map(row).collect()).map_err(QueryError::of("certificates"))
    }

    /// The last certificate of a pass type, also when it was revoked.
    pub async fn certificate(
        &self,
        pass_type_identifier: &PassTypeIdentifier,
    ) -> Result<Option<CertificateRow>, QueryError> {
        let found = sql(
            "select pass_type_identifier, team_identifier, certificate_serial, fingerprint, not_before, not_after, certificate, intermediate,
                    private_key, installed_at, revoked, position
             from wallet_cert
             where pass_type_identifier = $1",
        )
        .bind(pass_type_identifier.as_str())
        .fetch_optional(&self.readers)
        .await;
        found.and_then(|found| found.as_ref().map(row).transpose()).map_err(QueryError::of("a certificate"))
    }
}

fn row(row: &Row) -> sqlx::Result<CertificateRow> {
    let text = |column| row.get::<String>(column);
    Ok(CertificateRow {
        installation: Installation {
            pass_type_identifier: PassTypeIdentifier::parse(text("pass_type_identifier")?).map_err(decode)?,
            team_identifier: TeamIdentifier::parse(text("team_identifier")?).map_err(decode)?,
            certificate_serial: text("certificate_serial")?,
            fingerprint: Digest::parse(text("fingerprint")?).map_err(decode)?,
            not_before: UnixSeconds(row.get("not_before")?),
            not_after: UnixSeconds(row.get("not_after")?),
            certificate: text("certificate")?,
            intermediate: text("intermediate")?,
            private_key: Sealed::parse(text("private_key")?).map_err(decode)?,
        },
        installed_at: UnixSeconds(row.get("installed_at")?),
        revoked: row.get("revoked")?,
        position: Position(row.get::<i64>("position")?.cast_unsigned()),
    })
}

pub(crate) async fn apply(connection: &mut Connection, recorded: RecordedEvent) -> Result<(), ApplyError> {
    let identifier = PassTypeIdentifier::parse(recorded.event.aggregate_id.clone())?;
    let change = Change {
        sequence: sequence_of(&recorded),
        position: recorded.position.0.cast_signed(),
        at: recorded.recorded_at_ms.div_euclid(1000),
    };
    match serde_json::from_value(recorded.event.payload)? {
        CertificateEvent::Installed(installation) | CertificateEvent::Renewed(installation) => {
            put(connection, &identifier, &installation, &change).await
        }
        CertificateEvent::Resealed { private_key, .. } => {
            reseal(connection, &identifier, &private_key, &change).await
        }
        CertificateEvent::Revoked { .. } => revoke(connection, &identifier, &change).await,
    }
}

/// Which event, and when.
struct Change {
    sequence: i64,
    position: i64,
    at: i64,
}

async fn put(
    connection: &mut Connection,
    identifier: &PassTypeIdentifier,
    installation: &Installation,
    change: &Change,
) -> Result<(), ApplyError> {
    sql("insert into wallet_cert (pass_type_identifier, team_identifier, certificate_serial, fingerprint, not_before, not_after,
                                  certificate, intermediate, private_key, installed_at, revoked, position, sequence)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
         on conflict (pass_type_identifier) do update
         set team_identifier = excluded.team_identifier, certificate_serial = excluded.certificate_serial,
             fingerprint = excluded.fingerprint, not_before = excluded.not_before, not_after = excluded.not_after,
             certificate = excluded.certificate, intermediate = excluded.intermediate, private_key = excluded.private_key,
             installed_at = excluded.installed_at, revoked = excluded.revoked, position = excluded.position,
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
    .bind(change.at)
    .bind(false)
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
